//! Aligning to a fraction of a pixel: each tile of the golden sample tells by its gradients how far it lies
//! from where the field says (Lucas and Kanade, 1981), an affine offset is fitted to the tiles from coarse to
//! fine, then a stiff bend (`measure`'s fits, which keep a flaw from moving the field).
//!
//! A pixel that differs by more than its gradient explains is a flaw or its reflection, and counts less.

use std::borrow::Cow;

use super::agreement::Agreement;
use super::planes::{Plane, median};
use super::pyramid::{LOCAL_RADIUS, PyramidLevel};
use super::warp::{RowSpan, warp_plane};
use crate::binary_image::BinaryImage;
use crate::field::{AffineOffset, OffsetField, TILE};
use crate::measure;
use crate::tile::MeasuredTile;

/// Times that the affine offset is measured on each level, and the bend on the finest.
const ROUNDS_MAX: [usize; 2] = [4, 2];
/// Changes below this many pixels of the level end the rounds.
const CHANGE_MIN: f32 = 0.02;
/// Residuals, in pixels of the level, at which a tile keeps a quarter of its weight, one fit after another.
const RESIDUAL_SCALES: [f32; 4] = [2.0, 1.0, 0.5, 0.25];
/// The weight of a tile full of structure, in the unit of `measure`'s stiffnesses.
const TILE_WEIGHT: f32 = 100.0;
/// How firmly a tile is held where it is, in parts of the usual tile's structure.
const TILE_STIFFNESS: f32 = 0.02;
/// A tile is measured with its neighbours in squares of about this radius, pixels of the level: enough to
/// tell an offset across a few tracks.
const WINDOW_RADIUS: usize = 40;
/// A pixel of the test picture may differ by so many times the usual difference before it counts less.
const USUAL_DIFFERENCES: f32 = 2.5 * 1.4826;
/// The border of either picture that is not looked at: there the local mean that structure is measured from
/// depends on what lies beyond. Never more than this part of a side.
const BORDER: usize = LOCAL_RADIUS;
const BORDER_PART: usize = 10;

/// Both pictures at one resolution.
#[derive(Clone, Copy)]
pub(super) struct LevelPair<'a> {
    golden: &'a PyramidLevel,
    test: &'a PyramidLevel,
    /// Size of the golden sample in pixels.
    size: (usize, usize),
    /// What the test picture's structure is multiplied by.
    gain: f32,
}

impl<'a> LevelPair<'a> {
    pub(super) fn new(
        golden: &'a PyramidLevel,
        test: &'a PyramidLevel,
        size: (usize, usize),
    ) -> Self {
        let strength = |plane: &Plane| {
            let sum: f32 = plane.values.iter().step_by(7).map(|value| value * value).sum();
            (sum / (plane.values.len() / 7).max(1) as f32).sqrt().max(0.5)
        };
        Self { golden, test, size, gain: strength(&golden.structure) / strength(&test.structure) }
    }

    fn warped_test(&self, field: &OffsetField) -> (Plane, Vec<RowSpan>) {
        let size = (self.golden.structure.width, self.golden.structure.height);
        let scale = self.golden.scale;
        let border = BORDER.min(size.0.min(size.1) / BORDER_PART).max(1);
        let (mut plane, spans) = warp_plane(&self.test.structure, field, size, scale, border);
        plane.values.iter_mut().for_each(|value| *value *= self.gain);
        (plane, spans)
    }

    /// The affine offset that the tiles agree on, beginning with `affine`.
    pub(super) fn refine_affine(&self, mut affine: AffineOffset) -> AffineOffset {
        let scale = self.golden.scale as f32;
        for _ in 0..ROUNDS_MAX[0] {
            let field = OffsetField::from_affine(&affine, self.size);
            let tiles = self.measure_tiles(&field);
            let before = field;
            for residual in RESIDUAL_SCALES {
                affine = measure::fit_affine(&tiles, &before, &affine, residual * scale);
            }
            let after = OffsetField::from_affine(&affine, self.size);
            if measure::largest_change(&before, &after) < CHANGE_MIN * scale {
                break;
            }
        }
        affine
    }

    /// The field that bends from the affine offset where wide areas agree on it.
    pub(super) fn measure_bend(&self, affine: &AffineOffset) -> OffsetField {
        let scale = self.golden.scale as f32;
        let mut field = OffsetField::from_affine(affine, self.size);
        let even = field.nodes.clone();
        for _ in 0..ROUNDS_MAX[1] {
            let tiles = self.measure_tiles(&field);
            let before = field.clone();
            for residual in RESIDUAL_SCALES {
                measure::fit_plate(&tiles, &before, &even, residual * scale, &mut field);
            }
            if measure::largest_change(&before, &field) < CHANGE_MIN * scale {
                break;
            }
        }
        field
    }

    fn measure_tiles(&self, field: &OffsetField) -> Vec<Option<MeasuredTile>> {
        let (warped, spans) = self.warped_test(field);
        let golden = &self.golden.structure;
        let noise = usual_difference(golden, &warped, &spans);
        let side = TILE / self.golden.scale;
        let mut sums = GradientSums::new(field.columns, field.rows);
        let mut products = RowProducts::new(golden.width);
        for tile_row in 0..field.rows {
            products.clear();
            let rows = tile_row * side..((tile_row + 1) * side).min(golden.height);
            for y in rows {
                products.add_row((golden, &warped), y, spans[y], noise);
            }
            products.sum_tiles(side, sums.row_mut(tile_row));
        }
        let radius = (WINDOW_RADIUS / side).max(1);
        sums.to_tiles(radius, self.golden.scale as f32)
    }

    /// How far both agree along a field, but for the excluded pixels of the golden sample.
    pub(super) fn measure_agreement(
        &self,
        field: &OffsetField,
        excluded: Option<&BinaryImage>,
    ) -> Agreement {
        let (mut warped, spans) = self.warped_test(field);
        let (mut golden, scale) = (Cow::Borrowed(&self.golden.structure), self.golden.scale);
        if let Some(excluded) = excluded {
            // Equal and plain: it neither agrees nor disagrees.
            for plane in [golden.to_mut(), &mut warped] {
                for (at, value) in plane.values.iter_mut().enumerate() {
                    let (x, y) = (at % plane.width * scale, at / plane.width * scale);
                    if excluded.is_set(x, y) {
                        *value = 0.0;
                    }
                }
            }
        }
        Agreement::measure(&golden, &warped, &spans, TILE / scale)
    }
}

/// The usual difference of two pictures, by its median, in levels.
fn usual_difference(golden: &Plane, warped: &Plane, spans: &[RowSpan]) -> f32 {
    let mut differences = Vec::new();
    for y in (0..golden.height).step_by(4) {
        let columns = spans[y].start..spans[y].end;
        let pairs = golden.row(y)[columns.clone()].iter().zip(&warped.row(y)[columns]);
        differences.extend(pairs.step_by(4).map(|(golden, test)| (test - golden).abs()));
    }
    USUAL_DIFFERENCES * median(&mut differences) + 1.0
}

/// Products of gradients and differences, summed up column by column over the rows of one row of tiles:
/// `xx, yy, xy` and `x, y` times the difference.
struct RowProducts {
    columns: [Vec<f32>; 5],
}

impl RowProducts {
    fn new(width: usize) -> Self {
        Self { columns: [(); 5].map(|()| vec![0.0; width]) }
    }

    fn clear(&mut self) {
        self.columns.iter_mut().for_each(|column| column.fill(0.0));
    }

    fn add_row(&mut self, (golden, test): (&Plane, &Plane), y: usize, span: RowSpan, noise: f32) {
        let (from, to) = (span.start, span.end);
        if to <= from {
            return;
        }
        let count = to - from;
        let part = |plane: &'_ Plane, y: usize, shift: usize| {
            let start = y * plane.width + from + shift - 1;
            start..start + count
        };
        let (g, t) = (&golden.values, &test.values);
        let (gl, gr) = (&g[part(golden, y, 0)], &g[part(golden, y, 2)]);
        let (gu, gd) = (&g[part(golden, y - 1, 1)], &g[part(golden, y + 1, 1)]);
        let (tl, tr) = (&t[part(test, y, 0)], &t[part(test, y, 2)]);
        let (tu, td) = (&t[part(test, y - 1, 1)], &t[part(test, y + 1, 1)]);
        let (gm, tm) = (&g[part(golden, y, 1)], &t[part(test, y, 1)]);
        let [xx, yy, xy, xe, ye] = &mut self.columns;
        let (xx, yy, xy) = (&mut xx[from..to], &mut yy[from..to], &mut xy[from..to]);
        let (xe, ye) = (&mut xe[from..to], &mut ye[from..to]);
        for i in 0..count {
            let x = (gr[i] - gl[i] + tr[i] - tl[i]) * 0.25;
            let y = (gd[i] - gu[i] + td[i] - tu[i]) * 0.25;
            let e = tm[i] - gm[i];
            let allowed = (noise + (x * x + y * y).sqrt()) / (e.abs() + 1e-6);
            let weight = allowed.min(1.0) * allowed.min(1.0);
            let (wx, wy) = (weight * x, weight * y);
            xx[i] += wx * x;
            yy[i] += wy * y;
            xy[i] += wx * y;
            xe[i] += wx * e;
            ye[i] += wy * e;
        }
    }

    fn sum_tiles(&self, side: usize, tiles: &mut [[f32; 5]]) {
        for (number, column) in self.columns.iter().enumerate() {
            for (tile, columns) in tiles.iter_mut().zip(column.chunks(side)) {
                tile[number] = columns.iter().sum();
            }
        }
    }
}

/// The sums of each tile: `xx, yy, xy` and `x, y` times the difference.
struct GradientSums {
    columns: usize,
    rows: usize,
    tiles: Vec<[f32; 5]>,
}

impl GradientSums {
    fn new(columns: usize, rows: usize) -> Self {
        Self { columns, rows, tiles: vec![[0.0; 5]; columns * rows] }
    }

    fn row_mut(&mut self, row: usize) -> &mut [[f32; 5]] {
        &mut self.tiles[row * self.columns..][..self.columns]
    }

    /// Each tile's own offset, measured with its neighbours up to `radius` tiles away.
    fn to_tiles(&self, radius: usize, scale: f32) -> Vec<Option<MeasuredTile>> {
        let wide = self.window_sums(radius);
        let mut traces: Vec<f32> = wide.iter().map(|sums| sums[0] + sums[1]).collect();
        let usual = median(&mut traces).max(1e-3);
        let tile = |[xx, yy, xy, xe, ye]: &[f32; 5]| {
            let stiffness = TILE_STIFFNESS * usual;
            let (a, c) = (xx + stiffness, yy + stiffness);
            let determinant = a * c - xy * xy;
            (xx + yy > 1e-6 && determinant > 0.0).then(|| {
                let part = TILE_WEIGHT / (xx + yy + usual);
                MeasuredTile {
                    correction: [
                        -(c * xe - xy * ye) / determinant * scale,
                        -(a * ye - xy * xe) / determinant * scale,
                    ],
                    weight: [xx * part, yy * part, xy * part],
                }
            })
        };
        wide.iter().map(tile).collect()
    }

    fn window_sums(&self, radius: usize) -> Vec<[f32; 5]> {
        let mut wide = Vec::with_capacity(self.tiles.len());
        for row in 0..self.rows {
            for column in 0..self.columns {
                let rows = row.saturating_sub(radius)..(row + radius + 1).min(self.rows);
                let columns =
                    column.saturating_sub(radius)..(column + radius + 1).min(self.columns);
                let mut sums = [0.0; 5];
                for row in rows {
                    for tile in &self.tiles[row * self.columns..][columns.clone()] {
                        sums.iter_mut().zip(tile).for_each(|(sum, part)| *sum += part);
                    }
                }
                wide.push(sums);
            }
        }
        wide
    }
}
