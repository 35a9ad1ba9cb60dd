//! Training crops: exactly the candidates that the shipped pipeline makes of labelled boards, drawn
//! by the generator or read from a manifest, with the class and box that the network should answer.
//! `triton/training/train.py` reads the file.

use std::io::{self, Write};

use boards::GeneratedBoard;
use domain::{DefectClass, PixelBox};
use vision::PreparedGolden;

/// Side of a stored crop: larger than the network's, so that training can move it about.
pub const STORED_SIDE: usize = 112;
/// Bytes of a stored record: class, where its centre lies (three bytes, see [`write_records`]), four
/// sides as little-endian `f32`, two planes of bits.
pub const RECORD_LEN: usize = 4 + 16 + 2 * STORED_SIDE * STORED_SIDE / 8;

/// Writes the records of one board: every candidate, and `extra` places where nothing differs.
/// A centre is stored as `x + 4096 y`, 24 bits, little-endian. None when the board cannot be
/// compared, else how many records were written.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_records(
    board: &GeneratedBoard,
    extra: u64,
    out: &mut impl Write,
) -> io::Result<Option<u64>> {
    let Ok(golden) = PreparedGolden::new(&board.golden) else { return Ok(None) };
    let Ok((pair, mut centres, _)) = vision::locate_candidates(&board.test, &golden) else {
        return Ok(None);
    };
    let (width, height) = pair.size();
    for number in 1..=extra {
        // Places spread by an irrational-like stride; the same for every board of this size.
        let at = (number * 7919 + centres.len() as u64 * 104_729) as usize;
        centres.push((at % width, (at / 3) % height));
    }
    let mut written = 0;
    for (x, y) in centres {
        let label = expected_answer(&board.defects, x, y);
        let mut record = Vec::with_capacity(RECORD_LEN);
        record.push(label.map_or(0, |(class, _)| class));
        record.extend_from_slice(&((x & 4095) | (y & 4095) << 12).to_le_bytes()[..3]);
        for side in label.map_or([0.0; 4], |(_, sides)| sides) {
            record.extend_from_slice(&side.to_le_bytes());
        }
        for plane in pair.planes_around((x, y), STORED_SIDE) {
            for row in plane {
                record.extend_from_slice(&row.to_le_bytes()[..STORED_SIDE / 8]);
            }
        }
        out.write_all(&record)?;
        written += 1;
    }
    Ok(Some(written))
}

/// Class number and box sides for a crop centred at `x`, `y`; none when no label's box holds the
/// centre.
fn expected_answer(
    defects: &[(DefectClass, PixelBox)],
    x: usize,
    y: usize,
) -> Option<(u8, [f32; 4])> {
    let (x, y) = (x as f32, y as f32);
    let sides = |b: &PixelBox| {
        let (left, top) = (b.x as f32, b.y as f32);
        [x - left, y - top, left + b.width as f32 - x, top + b.height as f32 - y]
    };
    let off_centre = |s: &[f32; 4]| (s[0] - s[2]).abs() + (s[1] - s[3]).abs();
    defects
        .iter()
        .map(|(class, bounds)| (class, sides(bounds)))
        .filter(|(_, sides)| sides.iter().all(|&side| side > 0.0))
        .min_by(|a, b| off_centre(&a.1).total_cmp(&off_centre(&b.1)))
        .and_then(|(class, sides)| {
            let number = DefectClass::ALL.iter().position(|other| other == class)? + 1;
            Some((u8::try_from(number).ok()?, sides))
        })
}
