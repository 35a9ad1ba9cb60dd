//! The test picture laid over the golden sample along a field, and which part of the golden sample it covers.
//!
//! Pictures are sampled between pixels by the cubic of Catmull and Rom (1974): a linear sample would blur
//! more half-way between two pixels than on one, and the edges would differ by that. Structure that is only
//! aligned by is sampled linearly.

use super::planes::{Channels, Plane};
use crate::field::OffsetField;

/// The columns of a row that the test picture covers, `start..end`; empty when they are equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RowSpan {
    pub(super) start: usize,
    pub(super) end: usize,
}

impl RowSpan {
    /// The columns whose places lie in a picture of `size`, at least `margin` from its border. The picture
    /// is convex and a row nearly straight, so they are one stretch.
    fn find(across: &[f32], down: &[f32], size: (usize, usize), margin: f32) -> Self {
        let (right, bottom) = ((size.0 - 1) as f32 - margin, (size.1 - 1) as f32 - margin);
        let inside = |at: usize| {
            (margin..=right).contains(&across[at]) && (margin..=bottom).contains(&down[at])
        };
        let start = (0..across.len()).find(|&at| inside(at));
        let end = (0..across.len()).rfind(|&at| inside(at));
        match (start, end) {
            (Some(start), Some(last)) => Self { start, end: last + 1 },
            _ => Self { start: 0, end: 0 },
        }
    }

    /// The part of the span of row `y` that lies at least `border` pixels inside a picture of `size`.
    pub(super) fn within(self, y: usize, size: (usize, usize), border: usize) -> Self {
        let inside = y >= border && y + border < size.1;
        let start = self.start.max(border);
        let end = if inside { self.end.min(size.0 - border).max(start) } else { start };
        Self { start, end }
    }
}

/// What of the spans lies at least `reach` pixels inside of what they cover.
pub(super) fn shrink_spans(spans: &[RowSpan], reach: usize) -> Vec<RowSpan> {
    let shrunk = |y: usize| {
        let rows = &spans[y.saturating_sub(reach)..(y + reach + 1).min(spans.len())];
        let start = rows.iter().map(|span| span.start).max().unwrap_or(0) + reach;
        let end = rows.iter().map(|span| span.end).min().unwrap_or(0).saturating_sub(reach);
        RowSpan { start, end: end.max(start) }
    };
    let all = (0..spans.len()).map(shrunk);
    // A row that nothing covers has its span at 0, and takes its neighbours' with it.
    all.map(|span| if span.start < span.end { span } else { RowSpan { start: 0, end: 0 } })
        .collect()
}

/// A plane at a resolution laid over another of `size`, zero where it is not known; the spans leave out
/// `border` pixels of either.
pub(super) fn warp_plane(
    plane: &Plane,
    field: &OffsetField,
    size: (usize, usize),
    scale: usize,
    border: usize,
) -> (Plane, Vec<RowSpan>) {
    let mut warped = Plane::new(size.0, size.1);
    let mut spans = Vec::with_capacity(size.1);
    let (mut across, mut down) = (vec![0.0; size.0], vec![0.0; size.0]);
    for y in 0..size.1 {
        field.positions_along_row(y, scale, (&mut across, &mut down));
        let span = RowSpan::find(&across, &down, (plane.width, plane.height), 0.0);
        let RowSpan { start, end } = span;
        let places = across[start..end].iter().zip(&down[start..end]);
        for (value, (&x, &y)) in warped.row_mut(y)[start..end].iter_mut().zip(places) {
            *value = sample_linear(plane, x, y);
        }
        let span = RowSpan::find(&across, &down, (plane.width, plane.height), border as f32);
        spans.push(span.within(y, size, border));
    }
    (warped, spans)
}

/// The value at a place inside the plane.
fn sample_linear(plane: &Plane, x: f32, y: f32) -> f32 {
    let (left, top) = (x as usize, y as usize);
    let (left, top) = (left.min(plane.width - 2), top.min(plane.height - 2));
    let (across, down) = (x - left as f32, y - top as f32);
    let at = top * plane.width + left;
    let (upper, lower) = (&plane.values[at..at + 2], &plane.values[at + plane.width..][..2]);
    let above = upper[0] + (upper[1] - upper[0]) * across;
    let below = lower[0] + (lower[1] - lower[0]) * across;
    above + (below - above) * down
}

/// Places between two pixels that are told apart by the cubic.
const PHASES: usize = 256;

/// The weights of four neighbours at each place between the middle two.
fn cubic_weights() -> Vec<[f32; 4]> {
    let weights = |phase: usize| {
        let t = phase as f32 / PHASES as f32;
        let (t2, t3) = (t * t, t * t * t);
        [
            0.5 * (-t3 + 2.0 * t2 - t),
            0.5 * (3.0 * t3 - 5.0 * t2 + 2.0),
            0.5 * (-3.0 * t3 + 4.0 * t2 + t),
            0.5 * (t3 - t2),
        ]
    };
    (0..=PHASES).map(weights).collect()
}

/// The test picture over the golden sample, and the columns of each row that it covers.
pub(super) struct WarpedPicture {
    pub(super) channels: Channels,
    pub(super) spans: Vec<RowSpan>,
}

/// Lays the test picture over a golden sample of `size`; what lies less than `border` pixels inside the test
/// picture counts as not covered.
pub(super) fn warp_picture(
    test: &Channels,
    field: &OffsetField,
    size: (usize, usize),
    border: usize,
) -> WarpedPicture {
    let levels = vec![vec![0_u8; size.0 * size.1]; test.levels.len()];
    let mut channels = Channels { width: size.0, height: size.1, levels };
    let mut spans = Vec::with_capacity(size.1);
    let weights = cubic_weights();
    let (mut across, mut down) = (vec![0.0; size.0], vec![0.0; size.0]);
    let mut places = vec![SamplingPlace::default(); size.0];
    for y in 0..size.1 {
        field.positions_along_row(y, 1, (&mut across, &mut down));
        spans.push(RowSpan::find(&across, &down, (test.width, test.height), border as f32 - 0.5));
        for (place, (&x, &y)) in places.iter_mut().zip(across.iter().zip(&down)) {
            *place = SamplingPlace::new(x, y, (test.width, test.height));
        }
        for (to, from) in channels.levels.iter_mut().zip(&test.levels) {
            let row = &mut to[y * size.0..(y + 1) * size.0];
            for (level, place) in row.iter_mut().zip(&places) {
                *level = place.sample_cubic(from, test.width, &weights);
            }
        }
    }
    WarpedPicture { channels, spans }
}

/// A place between pixels: the first of its sixteen neighbours, and how far it lies beyond the sixth.
#[derive(Clone, Copy, Default)]
struct SamplingPlace {
    first: usize,
    across: u16,
    down: u16,
}

impl SamplingPlace {
    fn new(x: f32, y: f32, size: (usize, usize)) -> Self {
        // Near the border the nearest place with all of its neighbours; that much is not compared.
        let x = x.clamp(1.0, (size.0 - 3) as f32 + 0.999);
        let y = y.clamp(1.0, (size.1 - 3) as f32 + 0.999);
        let (left, top) = (x as u32 as usize, y as u32 as usize);
        let phase = |part: f32| (part * PHASES as f32 + 0.5) as u16;
        Self {
            first: (top - 1) * size.0 + left - 1,
            across: phase(x - left as f32),
            down: phase(y - top as f32),
        }
    }

    fn sample_cubic(self, levels: &[u8], width: usize, weights: &[[f32; 4]]) -> u8 {
        let (across, down) = (&weights[usize::from(self.across)], &weights[usize::from(self.down)]);
        let rest = &levels[self.first..];
        let mut columns = [0.0_f32; 4];
        for (line, weight) in down.iter().enumerate() {
            let row = &rest[line * width..][..4];
            for (column, &level) in columns.iter_mut().zip(row) {
                *column += weight * f32::from(level);
            }
        }
        let sum: f32 = columns.iter().zip(across).map(|(column, weight)| column * weight).sum();
        (sum + 0.5) as u8
    }
}
