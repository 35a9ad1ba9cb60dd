//! A large panel: how long it takes and how much memory, from a PNG's bytes to crops.

use std::time::{Duration, Instant};

use boards::{BoardOptions, Design};
use png::{BitDepth, ColorType, Encoder};
use vision::{Panel, PreparedGolden, prepare_panel};

use super::{SpeedError, peak_memory, reset_resident};

/// Side of the board that is repeated over the panel, pixels.
const BOARD: u32 = 2048;

/// What a panel took.
#[derive(Debug, Clone, Copy)]
pub struct PanelSpeed {
    /// Side in pixels.
    pub side: u32,
    /// Both pictures from PNG to bits.
    pub read: Duration,
    /// From bits to crops.
    pub compare: Duration,
    /// Candidates found.
    pub candidates: usize,
    /// Peak of resident memory beyond what it was before, kilobytes; none where the system does not
    /// say.
    pub memory: Option<u64>,
}

/// Compares a panel of `side` × `side` pixels, a board repeated, with its golden sample.
///
/// # Errors
/// [`SpeedError`]
pub fn measure(side: u32) -> Result<PanelSpeed, SpeedError> {
    let design = Design::new(7, BOARD.min(side));
    let options = BoardOptions { size: BOARD.min(side), ..BoardOptions::default() };
    let golden = repeat_board(&design.golden_sample(), side)?;
    let test = repeat_board(&design.print_unit(1, &options).0, side)?;
    let before = reset_resident();
    let started = Instant::now();
    let picture = |error: &dyn std::fmt::Display| SpeedError::Picture(error.to_string());
    let golden = Panel::decode(&golden).map_err(|error| picture(&error))?;
    let test = Panel::decode(&test).map_err(|error| picture(&error))?;
    let read = started.elapsed();
    let started = Instant::now();
    let golden = PreparedGolden::from_panel(golden).map_err(|error| picture(&error))?;
    let prepared = prepare_panel(test, &golden, &mut ()).map_err(|error| picture(&error))?;
    let compare = started.elapsed();
    let memory = before.zip(peak_memory()).map(|(before, peak)| peak.saturating_sub(before));
    Ok(PanelSpeed { side, read, compare, candidates: prepared.crops.len(), memory })
}

/// A board repeated over a panel, as a PNG that is written row by row.
fn repeat_board(board: &image::GrayImage, side: u32) -> Result<Vec<u8>, SpeedError> {
    let failed = |error: png::EncodingError| SpeedError::Picture(error.to_string());
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, side, side);
    encoder.set_color(ColorType::Grayscale);
    encoder.set_depth(BitDepth::Eight);
    let mut writer = encoder.write_header().map_err(failed)?;
    let mut stream = writer.stream_writer().map_err(failed)?;
    let mut row = Vec::with_capacity(side as usize);
    for y in 0..side {
        row.clear();
        let levels = (0..side).map(|x| board.get_pixel(x % board.width(), y % board.height()).0[0]);
        row.extend(levels);
        std::io::Write::write_all(&mut stream, &row)
            .map_err(|error| SpeedError::Picture(error.to_string()))?;
    }
    stream.finish().map_err(failed)?;
    drop(writer);
    Ok(bytes)
}
