//! Measuring a field: by how much each part of the golden sample is shifted in the test picture.
//!
//! A field bends only as far as wide areas of the picture agree on: what a few tiles tell against their
//! surroundings is a difference, not a bend. Were it otherwise, the field would follow a missing or
//! moved trace and heal the very defect that is looked for. So an affine offset is fitted first, then a
//! bend that is stiff (`fit_offsets`), and tiles are measured again around what was found.

use super::binary_image::BinaryImage;
use super::field::{AffineOffset, OffsetField};
use super::fit_offsets;
use super::tile::{self, MeasuredTile};

/// The residuals, in pixels, at which a tile keeps a quarter of its weight, one fit after the other.
/// The first is wide, so that a fit that begins wrong is pulled to most tiles; the last is as narrow as
/// edges are rough (graduated non-convexity, Blake and Zisserman, 1987).
const RESIDUAL_SCALES: [f32; 4] = [6.0, 3.0, 2.0, 1.5];
/// Changes below this are of no account, in pixels: the golden sample is warped by whole pixels.
const OFFSET_CHANGE_MIN: f32 = 0.5;
/// Times that the growth, then the bend, is measured anew.
const ROUNDS_MAX: usize = 2;

/// Measures how the golden sample lies in the test picture, from a first guess.
///
/// Tiles look only a few pixels around what is known of them. So they are measured, the field is fitted,
/// and they are measured again around it, until nothing moves; the affine part comes first, because it
/// carries the tiles at the border, which a turn moves most, into their reach.
pub(super) fn measure_field(
    test: &BinaryImage,
    golden: &BinaryImage,
    guess: &AffineOffset,
) -> OffsetField {
    let mut affine = *guess;
    let mut field = OffsetField::from_affine(&affine, test);
    let mut tiles = tile::measure_tiles(test, golden, &field);
    for _ in 0..ROUNDS_MAX {
        affine = fit_growth(&tiles, &field, &affine);
        let next = OffsetField::from_affine(&affine, test);
        if largest_change(&field, &next) < OFFSET_CHANGE_MIN {
            break;
        }
        field = next;
        tiles = tile::measure_tiles(test, golden, &field);
    }
    for _ in 0..ROUNDS_MAX {
        let next = fit_bending(&tiles, &field, &affine);
        let change = largest_change(&field, &next);
        field = next;
        if change < OFFSET_CHANGE_MIN {
            break;
        }
        tiles = tile::measure_tiles(test, golden, &field);
    }
    field
}

fn largest_change(a: &OffsetField, b: &OffsetField) -> f32 {
    let apart = |(a, b): (&[f32; 2], &[f32; 2])| (a[0] - b[0]).abs().max((a[1] - b[1]).abs());
    a.nodes.iter().zip(&b.nodes).map(apart).fold(0.0, f32::max)
}

/// The affine offset that most tiles agree on.
fn fit_growth(
    tiles: &[Option<MeasuredTile>],
    field: &OffsetField,
    before: &AffineOffset,
) -> AffineOffset {
    let mut affine = *before;
    for residual_scale in RESIDUAL_SCALES {
        let next = fit_offsets::fit_affine(tiles, field, &affine, residual_scale);
        affine = next;
    }
    affine
}

/// The field that follows what neighbouring tiles agree on beyond the affine offset.
fn fit_bending(
    tiles: &[Option<MeasuredTile>],
    field: &OffsetField,
    affine: &AffineOffset,
) -> OffsetField {
    let even: Vec<[f32; 2]> = (0..field.nodes.len())
        .map(|node| {
            let (x, y) = field.node_position(node);
            affine.offset_at(x, y)
        })
        .collect();
    let mut next = field.clone();
    for residual_scale in RESIDUAL_SCALES {
        fit_offsets::fit_plate(tiles, field, &even, residual_scale, &mut next);
    }
    next
}
