//! Generated photographs to train on: golden samples, and pieces under test as a camera files them.

use std::error::Error;

use boards::camera::encode_jpeg;
use boards::photographed::{BoardStyle, Photograph, PhotographedBoard, Shot};
use vision::{DecodedImage, PreparedGolden};

/// Width and height in pixels: many crops, and few seconds.
const SIZE: u32 = 960;
/// Most flaws on a photograph; real boards have few, training wants many.
const FLAWS: usize = 20;
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
    let board = PhotographedBoard::new(seed, BoardStyle::from_seed(seed, SIZE, SIZE));
    let station = Shot::for_station(seed);
    let file = |photograph: Photograph, at: u64| -> Result<FiledPhotograph, Box<dyn Error>> {
        let quality = QUALITIES[((seed ^ at) % 4) as usize];
        let bytes = encode_jpeg(&photograph.picture, quality)?;
        Ok((vision::decode(&bytes)?, photograph))
    };
    let (golden, _) = file(board.piece(0).photograph(&station), 0)?;
    let golden = PreparedGolden::new(&golden).ok();
    let filed = (1..=units).map(|unit| {
        let piece = if unit % 2 == 1 { 0 } else { unit };
        let flaws = if clean { 0 } else { FLAWS };
        let shot = station.repeated(unit, 1.5);
        file(board.flawed_piece(piece, unit, flaws).photograph(&shot), unit)
    });
    Ok((golden, filed.collect::<Result<_, _>>()?))
}
