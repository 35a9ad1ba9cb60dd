//! What the test picture shows beyond what its golden sample, a pixel beside it, and noise explain.
//!
//! A test level counts as explained between the darkest and the brightest golden level of the 3 × 3
//! neighbours: that much the registration and the sampling are uncertain. What lies beyond, less a tolerance,
//! in units of the noise, is the excess; channels add up by their squares. The noise is measured on the two
//! pictures themselves, channel by channel, because cameras, exposures and JPEG differ more than any constant.
//! Pictures are looked at tile by tile, so that everything in between stays in the processor's cache.

use super::level_spread::LevelSpread;
use super::light::LocalLight;
use super::planes::{Channels, Plane, SIGMA_PER_MEDIAN, gaussian_weights, median};
use super::warp::RowSpan;
use super::window::{PictureWindow, find_extremes, larger, smaller};
use crate::binary_image::{BinaryImage, column_mask};

/// Both pictures are blurred by this sigma, in pixels: single pixels are noise.
pub(super) const SMOOTHING: f32 = 1.0;
/// The least tolerance in levels, the noise's sigmas that are tolerated, and the part of the local contrast.
pub(super) const TOLERANCE_LEVELS: f32 = 1.2;
pub(super) const TOLERANCE_SIGMAS: f32 = 2.5;
pub(super) const TOLERANCE_CONTRAST: f32 = 0.06;
/// A pixel differs when its excess is larger than this, in units of the noise.
pub(super) const EXCESS_MIN: f32 = 0.35;
/// Columns and rows of a tile, whole words.
const TILE: (usize, usize) = (256, 64);
/// The noise is measured on about this many tiles.
const NOISE_TILES: usize = 24;
/// Levels from here on are clipped: what is brighter looks the same.
const CLIPPED: u8 = 249;
/// Local contrast from which on a place tells how sharp the picture is, in levels.
const EDGE_CONTRAST: f32 = 24.0;
/// Excess is kept in parts of this.
pub(super) const EXCESS_UNIT: f32 = 1.0 / 64.0;

/// The excess at each pixel of the golden sample, in [`EXCESS_UNIT`], and where it counts.
#[derive(Clone)]
pub(super) struct ExcessMap {
    pub(super) width: usize,
    pub(super) values: Vec<u16>,
    pub(super) differing: BinaryImage,
    pub(super) edges: Vec<EdgeEnergy>,
    /// Standard deviation of the noise in each channel, in levels.
    pub(super) noise: Vec<f32>,
}

impl ExcessMap {
    /// Nothing differs at these pixels.
    fn leave_out(&mut self, pixels: &BinaryImage) {
        self.differing = self.differing.without(pixels);
        for (y, row) in self.values.chunks_exact_mut(self.width).enumerate() {
            for (index, values) in row.chunks_mut(64).enumerate() {
                let word = pixels.row(y)[index];
                if word != 0 {
                    for (bit, value) in values.iter_mut().enumerate() {
                        *value *= u16::from(word >> bit & 1 == 0);
                    }
                }
            }
        }
    }

    /// Takes what differs at these pixels out of the map, into one of its own.
    pub(super) fn split_off(&mut self, pixels: &BinaryImage) -> Self {
        let mut taken = Self { edges: Vec::new(), ..self.clone() };
        taken.leave_out(&pixels.inverted());
        self.leave_out(pixels);
        taken
    }
}

/// The squared slopes of a tile's edges in both pictures, and how many pixels lie on one.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct EdgeEnergy {
    pub(super) pixels: u32,
    pub(super) golden: f32,
    pub(super) test: f32,
}

/// Each channel's clipped pixels, and their neighbours up to two pixels away.
pub(super) fn clipped_pixels(picture: &Channels) -> Vec<BinaryImage> {
    let of_channel = |channel: usize| {
        let mut clipped = BinaryImage::new(picture.width, picture.height);
        for y in 0..picture.height {
            let levels = picture.row(channel, y).chunks(64);
            for (word, levels) in clipped.row_mut(y).iter_mut().zip(levels) {
                if levels.iter().fold(0, |most: u8, &level| most.max(level)) >= CLIPPED {
                    for (bit, &level) in levels.iter().enumerate() {
                        *word |= u64::from(level >= CLIPPED) << bit;
                    }
                }
            }
        }
        clipped.dilated().dilated()
    };
    (0..picture.levels.len()).map(of_channel).collect()
}

/// Two pictures of one size, one over the other, in one light.
pub(super) struct AlignedPair<'a> {
    pub(super) golden: &'a Channels,
    pub(super) test: &'a Channels,
    /// The columns of each row that are compared.
    pub(super) spans: &'a [RowSpan],
    pub(super) light: &'a [LocalLight],
    /// Clipped pixels of the golden sample and of the test picture, channel by channel.
    pub(super) clipped: &'a [Vec<BinaryImage>; 2],
    /// The blur that makes both equally sharp, as `sharpness` gives it.
    pub(super) blur: f32,
    /// How far accepted boards differ from the golden sample.
    pub(super) levels: Option<&'a LevelSpread>,
}

#[derive(Clone, Copy)]
struct Tile {
    left: usize,
    top: usize,
    width: usize,
    height: usize,
}

impl AlignedPair<'_> {
    /// The excess everywhere but at the excluded pixels of the golden sample.
    pub(super) fn measure_excess(&self, excluded: Option<&BinaryImage>) -> ExcessMap {
        let (width, height) = (self.golden.width, self.golden.height);
        let mut look = TileLook::new(self, excluded);
        let noise = self.measure_noise(&mut look);
        let mut map = ExcessMap {
            width,
            values: vec![0; width * height],
            differing: BinaryImage::new(width, height),
            edges: Vec::new(),
            noise,
        };
        for tile in self.tiles() {
            look.sum_excess(tile, &mut map);
            look.store_excess(tile, &mut map);
        }
        if let Some(excluded) = excluded {
            map.leave_out(excluded);
        }
        map
    }

    /// Levels of one channel, of the golden sample and of the test picture, as they are compared: equally
    /// sharp, in one light.
    pub(super) fn normalise_channel(&self, channel: usize) -> [Vec<u8>; 2] {
        let (width, height) = (self.golden.width, self.golden.height);
        let mut levels = [vec![0; width * height], vec![0; width * height]];
        let mut look = TileLook::new(self, None);
        for tile in self.tiles() {
            look.load_channel(tile, channel);
            for y in 0..tile.height {
                let rows = [&look.golden.row(y + 2)[2..], look.test.row(y)];
                let at = (tile.top + y) * width + tile.left;
                for (levels, row) in levels.iter_mut().zip(rows) {
                    for (to, level) in levels[at..at + tile.width].iter_mut().zip(row) {
                        *to = (level + 0.5) as u8;
                    }
                }
            }
        }
        levels
    }

    fn tiles(&self) -> impl Iterator<Item = Tile> {
        let (width, height) = (self.golden.width, self.golden.height);
        (0..height).step_by(TILE.1).flat_map(move |top| {
            (0..width).step_by(TILE.0).map(move |left| Tile {
                left,
                top,
                width: TILE.0.min(width - left),
                height: TILE.1.min(height - top),
            })
        })
    }

    /// The noise of each channel, by the median of the differences on some tiles. What is clipped tells none.
    fn measure_noise(&self, look: &mut TileLook<'_>) -> Vec<f32> {
        let step = (self.tiles().count() / NOISE_TILES).max(1);
        let channels = 0..self.golden.levels.len();
        let noise = channels.map(|channel| {
            let mut differences = Vec::new();
            for tile in self.tiles().skip(step / 2).step_by(step) {
                look.load_channel(tile, channel);
                for y in 0..tile.height {
                    look.load_told(tile, y, channel);
                    let span = tile.covered_columns(self.spans, y);
                    let golden = &look.golden.row(y + 2)[2..][span.clone()];
                    let [brighter, darker] = &look.told;
                    let told = brighter[span.clone()].iter().zip(&darker[span.clone()]);
                    let pairs = golden.iter().zip(&look.test.row(y)[span]).zip(told).step_by(3);
                    let told = pairs.filter(|(_, (brighter, darker))| **brighter + **darker > 1.5);
                    differences.extend(told.map(|((golden, test), _)| (test - golden).abs()));
                }
            }
            SIGMA_PER_MEDIAN * median(&mut differences)
        });
        noise.collect()
    }
}

impl Tile {
    /// The columns of a row of the tile that are compared, counted from its left.
    fn covered_columns(&self, spans: &[RowSpan], y: usize) -> std::ops::Range<usize> {
        let RowSpan { start, end } = spans[self.top + y];
        let end = end.clamp(self.left, self.left + self.width) - self.left;
        start.max(self.left).min(self.left + end) - self.left..end
    }
}

/// Buffers for one tile.
struct TileLook<'a> {
    pair: &'a AlignedPair<'a>,
    /// Pixels of the golden sample that are not inspected.
    excluded: Option<&'a BinaryImage>,
    weights: [Vec<f32>; 2],
    /// Golden levels, with two pixels around the tile; test levels in the golden sample's light.
    golden: Plane,
    test: Plane,
    /// Extremes of 3 × 3 golden levels, with one pixel around the tile, and of 5 × 5.
    near: [Plane; 2],
    wide: [Plane; 2],
    scratch: Plane,
    light: [Vec<f32>; 2],
    /// 1 where a brighter, or a darker, test level can be told.
    told: [Vec<f32>; 2],
    /// Sums of squared excesses.
    sums: Plane,
}

impl<'a> TileLook<'a> {
    fn new(pair: &'a AlignedPair<'a>, excluded: Option<&'a BinaryImage>) -> Self {
        let weights = |blur: f32| gaussian_weights(SMOOTHING.hypot(blur.max(0.0)));
        let empty = || Plane::new(0, 0);
        Self {
            pair,
            excluded,
            weights: [weights(pair.blur), weights(-pair.blur)],
            golden: empty(),
            test: empty(),
            near: [(); 2].map(|()| empty()),
            wide: [(); 2].map(|()| empty()),
            scratch: empty(),
            light: [(); 2].map(|()| vec![0.0; TILE.0]),
            told: [(); 2].map(|()| vec![1.0; TILE.0]),
            sums: empty(),
        }
    }

    /// Blurs both pictures of a tile, and puts the test picture into the golden sample's light.
    fn load_channel(&mut self, tile: Tile, channel: usize) {
        let Self { pair, weights, golden, test, scratch, light, .. } = self;
        let around = |margin| PictureWindow {
            left: tile.left,
            top: tile.top,
            width: tile.width,
            height: tile.height,
            margin,
        };
        around(2).blur(pair.golden, channel, &weights[0], (scratch, golden));
        around(0).blur(pair.test, channel, &weights[1], (scratch, test));
        let [gain, offset] = light;
        let (gain, offset) = (&mut gain[..tile.width], &mut offset[..tile.width]);
        for y in 0..tile.height {
            pair.light[channel].along_row(tile.top + y, tile.left, gain, offset);
            let light = gain.iter().zip(offset.iter());
            for (level, (gain, offset)) in test.row_mut(y).iter_mut().zip(light) {
                *level = gain * *level + offset;
            }
        }
    }

    fn sum_excess(&mut self, tile: Tile, map: &mut ExcessMap) {
        self.sums.resize(tile.width, tile.height);
        self.sums.values.fill(0.0);
        for channel in 0..self.pair.golden.levels.len() {
            self.load_channel(tile, channel);
            let Self { golden, near: [high, low], wide: [highest, lowest], scratch, .. } = self;
            find_extremes(golden, scratch, high, larger);
            find_extremes(golden, scratch, low, smaller);
            find_extremes(high, scratch, highest, larger);
            find_extremes(low, scratch, lowest, smaller);
            if let Some(levels) = self.pair.levels {
                self.widen_band(tile, channel, levels);
            }
            let middle = (tile.left + tile.width / 2, tile.top + tile.height / 2);
            let amplification = self.pair.light[channel].amplification_at(middle.0, middle.1);
            for y in 0..tile.height {
                self.load_told(tile, y, channel);
                self.add_row(tile, y, map.noise[channel] * amplification);
            }
            if channel == self.pair.golden.sharpest() {
                map.edges.push(self.edge_energy(tile));
            }
        }
    }

    fn widen_band(&mut self, tile: Tile, channel: usize, levels: &LevelSpread) {
        let [high, low] = &mut self.near;
        for y in 0..tile.height {
            let golden = &self.golden.row(y + 2)[2..][..tile.width];
            let band = (
                &mut high.row_mut(y + 1)[1..][..tile.width],
                &mut low.row_mut(y + 1)[1..][..tile.width],
            );
            levels.widen_band(channel, (tile.left, tile.top + y), golden, band);
        }
    }

    /// Where a row's brighter and darker test levels can be told.
    fn load_told(&mut self, tile: Tile, y: usize, channel: usize) {
        for (told, clipped) in self.told.iter_mut().zip(self.pair.clipped) {
            for (word, told) in told[..tile.width].chunks_mut(64).enumerate() {
                let x = (tile.left + 64 * word).cast_signed();
                let bits = clipped[channel].word_at(x, (tile.top + y).cast_signed());
                if bits == 0 {
                    told.fill(1.0);
                } else {
                    for (bit, told) in told.iter_mut().enumerate() {
                        *told = if bits >> bit & 1 == 1 { 0.0 } else { 1.0 };
                    }
                }
            }
        }
    }

    fn add_row(&mut self, tile: Tile, y: usize, noise: f32) {
        let width = tile.width;
        let noise = TOLERANCE_LEVELS.max(TOLERANCE_SIGMAS * noise);
        let unit = 1.0 / noise;
        let high = &self.near[0].row(y + 1)[1..][..width];
        let low = &self.near[1].row(y + 1)[1..][..width];
        let (highest, lowest) = (&self.wide[0].row(y)[..width], &self.wide[1].row(y)[..width]);
        let test = &self.test.row(y)[..width];
        let (brighter, darker) = (&self.told[0][..width], &self.told[1][..width]);
        let sums = &mut self.sums.values[y * width..][..width];
        for x in 0..width {
            let tolerance = noise + TOLERANCE_CONTRAST * (highest[x] - lowest[x]);
            let above = (test[x] - high[x] - tolerance) * brighter[x];
            let below = (low[x] - test[x] - tolerance) * darker[x];
            let excess = larger(larger(above, below), 0.0) * unit;
            sums[x] += excess * excess;
        }
    }

    fn edge_energy(&self, tile: Tile) -> EdgeEnergy {
        let mut energy = EdgeEnergy::default();
        for y in 0..tile.height.saturating_sub(1) {
            let span = tile.covered_columns(self.pair.spans, y);
            let golden = [&self.golden.row(y + 2)[2..], &self.golden.row(y + 3)[2..]];
            let test = [self.test.row(y), self.test.row(y + 1)];
            let contrast = [self.wide[0].row(y), self.wide[1].row(y)];
            for x in span.start..span.end.saturating_sub(1) {
                let is_left_out =
                    |excluded: &BinaryImage| excluded.is_set(tile.left + x, tile.top + y);
                if contrast[0][x] - contrast[1][x] < EDGE_CONTRAST
                    || self.excluded.is_some_and(is_left_out)
                {
                    continue;
                }
                let slope = |[here, below]: [&[f32]; 2]| {
                    let (right, down) = (here[x + 1] - here[x], below[x] - here[x]);
                    right * right + down * down
                };
                energy.pixels += 1;
                energy.golden += slope(golden);
                energy.test += slope(test);
            }
        }
        energy
    }

    fn store_excess(&self, tile: Tile, map: &mut ExcessMap) {
        for y in 0..tile.height {
            let span = tile.covered_columns(self.pair.spans, y);
            let at = (tile.top + y) * map.width + tile.left;
            let sums = &self.sums.row(y)[..tile.width];
            for (value, sum) in
                map.values[at..at + tile.width][span.clone()].iter_mut().zip(&sums[span.clone()])
            {
                *value = (sum.sqrt() / EXCESS_UNIT).min(f32::from(u16::MAX)) as u16;
            }
            let first = tile.left / 64;
            let words = map.differing.row_mut(tile.top + y).iter_mut().enumerate().skip(first);
            for ((index, word), sums) in words.zip(sums.chunks(64)) {
                for (bit, &sum) in sums.iter().enumerate() {
                    *word |= u64::from(sum > EXCESS_MIN * EXCESS_MIN) << bit;
                }
                *word &= column_mask(tile.left + span.start, tile.left + span.end, index);
            }
        }
    }
}
