//! Generated photographs to train on: golden samples, and pieces under test as a camera files them.

use std::error::Error;

use boards::LabelledBox;
use boards::camera::encode_jpeg;
use boards::photographed::{Backdrop, BoardStyle, Photograph, PhotographedBoard, Shot};
use image::imageops::{self, FilterType};
use vision::{DecodedImage, PreparedGolden};

/// Width and height in pixels: many crops, and few seconds.
const SIZE: f32 = 960.0;
/// Most flaws on a photograph; real boards have few, training wants many.
const FLAWS: f32 = 20.0;
/// Cameras stand nearer to some parts than to others: photographs are enlarged by so much, in turns.
const SCALES: [f32; 4] = [1.0, 1.4, 1.8, 2.4];
/// Holes are filled with solder in one part of so many.
const SOLDERED_OF: u64 = 5;
/// Qualities of JPEG that cameras use.
const QUALITIES: [u8; 4] = [80, 88, 92, 96];

/// A golden sample, made ready; none when its picture shows too little.
type Golden = Option<PreparedGolden>;
/// A photograph as it is read from its file, and the truth about it.
type FiledPhotograph = (DecodedImage, Photograph);

/// Photographs of part `number` of the sequence that `seed` starts, `units` of them: in turns of the golden
/// sample's own piece, shot again, and of other pieces.
///
/// # Errors
/// When a picture is not encoded or not decoded.
pub fn photographed_pairs(
    seed: u64,
    number: u64,
    units: u64,
    clean: bool,
) -> Result<(Golden, Vec<FiledPhotograph>), Box<dyn Error>> {
    let seed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(number);
    let scale = SCALES[(number % 4) as usize];
    let side = (SIZE / scale) as u32;
    let mut style = BoardStyle::from_seed(seed, side, side);
    if number.is_multiple_of(SOLDERED_OF) {
        style.backdrop = Backdrop::Solder;
    }
    let board = PhotographedBoard::new(seed, style);
    let station = Shot::for_station(seed);
    let file = |photograph: Photograph, at: u64| -> Result<FiledPhotograph, Box<dyn Error>> {
        let photograph = enlarge_photograph(photograph, scale);
        let quality = QUALITIES[((seed ^ at) % 4) as usize];
        let bytes = encode_jpeg(&photograph.picture, quality)?;
        Ok((vision::decode(&bytes)?, photograph))
    };
    let (golden, _) = file(board.piece(0).photograph(&station), 0)?;
    let golden = PreparedGolden::new(&golden).ok();
    let filed = (1..=units).map(|unit| {
        let piece = if unit % 2 == 1 { 0 } else { unit };
        let flaws = if clean { 0 } else { (FLAWS / scale) as usize };
        let shot = station.repeated(unit, 1.5);
        file(board.flawed_piece(piece, unit, flaws).photograph(&shot), unit)
    });
    Ok((golden, filed.collect::<Result<_, _>>()?))
}

/// The photograph as a camera nearer to the board takes it.
fn enlarge_photograph(photograph: Photograph, scale: f32) -> Photograph {
    if scale <= 1.0 {
        return photograph;
    }
    let longer = |length: u32| (length as f32 * scale).round() as u32;
    let (width, height) = photograph.picture.dimensions();
    let picture = imageops::resize(
        &photograph.picture,
        longer(width),
        longer(height),
        FilterType::CatmullRom,
    );
    let labels = photograph.labels.iter().map(|label| LabelledBox {
        x1: longer(label.x1),
        y1: longer(label.y1),
        x2: longer(label.x2),
        y2: longer(label.y2),
        class: label.class,
    });
    Photograph { labels: labels.collect(), picture }
}
