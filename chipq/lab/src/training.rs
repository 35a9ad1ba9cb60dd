//! Training crops: exactly the candidates that the shipped pipeline makes of labelled boards, drawn
//! by the generator or read from a manifest, with the class and box that the network should answer.
//! Crops of photographs are grey levels, and have one class more.
//! `triton/training/train.py` reads the file.

use std::io::{self, Write};

use boards::{GeneratedBoard, LabelClass, LabelledBox};
use domain::{DefectClass, PixelBox};
use vision::{DecodedImage, PreparedGolden};

mod photographs;
#[cfg(test)]
mod tests;

pub use photographs::photographed_pairs;

/// Side of a stored crop: larger than the network's, so that training can move it about.
pub const STORED_SIDE: usize = 112;
/// Bytes of a stored record: class, where its centre lies (three bytes, see [`write_records`]), four
/// sides as little-endian `f32`, two planes of bits.
pub const RECORD_LEN: usize = 4 + 16 + 2 * STORED_SIDE * STORED_SIDE / 8;

/// Bytes of a stored record of a photograph: as [`RECORD_LEN`], but two planes of bytes.
pub const PHOTOGRAPH_RECORD_LEN: usize = 4 + 16 + 2 * STORED_SIDE * STORED_SIDE;

/// Another piece differs in hundreds of places that are no flaw; so many of one photograph are enough.
const BACKGROUND_MAX: u32 = 24;

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
    add_places(&mut centres, extra, pair.size());
    let labels: Vec<_> =
        board.defects.iter().map(|&(class, bounds)| (class.into(), bounds)).collect();
    let mut written = 0;
    for (x, y) in centres {
        let mut record = Vec::with_capacity(RECORD_LEN);
        push_answer(&labels, (x, y), &mut record);
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

/// Writes the records of one photograph, as [`write_records`] does: levels of both pictures in one light, as
/// [`vision::NormalisedPair`] cuts them. Flaws that the comparison did not find are looked at too, and only the
/// strongest of many places without one. None when the two cannot be compared, else how many records were written.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_photograph_records(
    golden: &PreparedGolden,
    test: &DecodedImage,
    labels: &[LabelledBox],
    extra: u64,
    out: &mut impl Write,
) -> io::Result<Option<u64>> {
    let Ok(Some((pair, mut centres))) = vision::locate_differences(test, golden) else {
        return Ok(None);
    };
    let labels: Vec<_> = labels.iter().map(|label| (label.class, label.bounds())).collect();
    for (_, bounds) in &labels {
        let seen = centres.iter().any(|&(x, y)| sides_around(bounds, (x, y)).is_some());
        if !seen {
            centres.push((
                (bounds.x + bounds.width / 2) as usize,
                (bounds.y + bounds.height / 2) as usize,
            ));
        }
    }
    add_places(&mut centres, extra, pair.size());
    let (mut written, mut background) = (0, 0);
    for centre in centres {
        let mut record = Vec::with_capacity(PHOTOGRAPH_RECORD_LEN);
        push_answer(&labels, centre, &mut record);
        background += u32::from(record[0] == 0);
        if record[0] == 0 && background > BACKGROUND_MAX {
            continue;
        }
        written += 1;
        for plane in pair.crops_around(centre, STORED_SIDE) {
            record.extend_from_slice(&plane);
        }
        out.write_all(&record)?;
    }
    Ok(Some(written))
}

/// Places spread by an irrational-like stride; the same for every board of this size.
fn add_places(centres: &mut Vec<(usize, usize)>, extra: u64, (width, height): (usize, usize)) {
    for number in 1..=extra {
        let at = (number * 7919 + centres.len() as u64 * 104_729) as usize;
        centres.push((at % width, (at / 3) % height));
    }
}

/// The head of a record: class, centre, sides.
fn push_answer(labels: &[(LabelClass, PixelBox)], (x, y): (usize, usize), record: &mut Vec<u8>) {
    let label = expected_answer(labels, (x, y));
    record.push(label.map_or(0, |(class, _)| class));
    record.extend_from_slice(&((x & 4095) | (y & 4095) << 12).to_le_bytes()[..3]);
    for side in label.map_or([0.0; 4], |(_, sides)| sides) {
        record.extend_from_slice(&side.to_le_bytes());
    }
}

/// Class number and box sides for a crop centred at `x`, `y`; none when no label's box holds the
/// centre.
fn expected_answer(
    labels: &[(LabelClass, PixelBox)],
    centre: (usize, usize),
) -> Option<(u8, [f32; 4])> {
    let off_centre = |s: &[f32; 4]| (s[0] - s[2]).abs() + (s[1] - s[3]).abs();
    labels
        .iter()
        .filter_map(|(class, bounds)| Some((class, sides_around(bounds, centre)?)))
        .min_by(|a, b| off_centre(&a.1).total_cmp(&off_centre(&b.1)))
        .and_then(|(class, sides)| Some((number_of(*class)?, sides)))
}

/// How far a box reaches to the left, up, right and down of a place inside it.
fn sides_around(bounds: &PixelBox, (x, y): (usize, usize)) -> Option<[f32; 4]> {
    let (x, y) = (x as f32, y as f32);
    let (left, top) = (bounds.x as f32, bounds.y as f32);
    let sides = [x - left, y - top, left + bounds.width as f32 - x, top + bounds.height as f32 - y];
    sides.iter().all(|&side| side > 0.0).then_some(sides)
}

/// The number of a class among the network's outputs, background being 0.
fn number_of(class: LabelClass) -> Option<u8> {
    let number = match class {
        LabelClass::Named(class) => DefectClass::ALL.iter().position(|other| *other == class)?,
        LabelClass::Other => return None,
    };
    u8::try_from(number + 1).ok()
}
