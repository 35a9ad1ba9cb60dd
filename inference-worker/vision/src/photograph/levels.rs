//! The levels of copper and of substrate all over a picture, under uneven light: measured where
//! both are near (Otsu in windows), and carried on over plain areas, following the light.

use image::GrayImage;

use crate::binary_image::BinaryImage;

/// Side of a tile in pixels; a window is three tiles wide and high.
const TILE: usize = 32;
/// Fewest levels between copper and substrate that can be told from noise.
pub(super) const MIN_CONTRAST: f32 = 12.0;
/// A window shows both materials when their difference is at least this part of the usual one: less
/// is texture or noise on a plain area.
const TYPICAL_PART_MIN: f32 = 0.4;
/// ... and when this part of its variance lies between the two. Plain noise has 0.64, an even slope
/// 0.75.
const MIN_SEPARATION: f32 = 0.78;
/// ... and when the rarer one has at least this share.
const MIN_SHARE: f32 = 0.03;
/// Windows that say what is usual have at least this share of each.
const TYPICAL_SHARE: f32 = 0.1;
/// A plain tile is followed when its level is off by no more than this part of the contrast.
const PLAIN_TOLERANCE: f32 = 0.3;

/// What a window shows when its pixels are split in two (Otsu, 1979).
#[derive(Debug, Clone, Copy)]
pub(super) struct ClassSplit {
    /// Median level of the darker and of the brighter class.
    pub(super) low: f32,
    pub(super) high: f32,
    /// Share of the brighter class.
    pub(super) share: f32,
    /// Variance between the classes, and in all.
    pub(super) between: f32,
    pub(super) total: f32,
    /// Median level of the tile in the window's middle.
    pub(super) middle: f32,
}

impl ClassSplit {
    fn contrast(&self) -> f32 {
        self.high - self.low
    }

    fn shows_two_materials(&self, contrast: f32, share: f32) -> bool {
        self.contrast() >= contrast
            && self.between >= MIN_SEPARATION * self.total
            && (share..=1.0 - share).contains(&self.share)
    }
}

type Histogram = [u32; 256];

/// Calls `see` with the number of every tile, row by row, and how its window splits.
pub(super) fn for_each_split(picture: &GrayImage, mut see: impl FnMut(usize, ClassSplit)) {
    let (columns, rows) = tile_grid(picture);
    let row = |row: usize| -> Vec<Histogram> {
        if row < rows { tile_histograms(picture, row) } else { vec![[0; 256]; columns] }
    };
    // Three rows of tiles at a time: memory does not grow with the picture's height.
    let mut above = vec![[0; 256]; columns];
    let mut here = row(0);
    for y in 0..rows {
        let below = row(y + 1);
        let tall: Vec<Histogram> = (0..columns)
            .map(|x| std::array::from_fn(|bin| above[x][bin] + here[x][bin] + below[x][bin]))
            .collect();
        for x in 0..columns {
            let near = &tall[x.saturating_sub(1)..(x + 2).min(columns)];
            let window = std::array::from_fn(|bin| near.iter().map(|tile| tile[bin]).sum());
            see(y * columns + x, split_classes(&window, &here[x]));
        }
        above = std::mem::replace(&mut here, below);
    }
}

fn tile_grid(picture: &GrayImage) -> (usize, usize) {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    (width.div_ceil(TILE), height.div_ceil(TILE))
}

fn tile_histograms(picture: &GrayImage, row: usize) -> Vec<Histogram> {
    let width = picture.width() as usize;
    let mut tiles = vec![[0; 256]; width.div_ceil(TILE)];
    let lines = picture.as_raw().chunks_exact(width).skip(row * TILE).take(TILE);
    for line in lines {
        for (tile, levels) in tiles.iter_mut().zip(line.chunks(TILE)) {
            for &level in levels {
                tile[usize::from(level)] += 1;
            }
        }
    }
    tiles
}

fn split_classes(window: &Histogram, tile: &Histogram) -> ClassSplit {
    let (mut count, mut sum, mut squares) = (0_u64, 0_u64, 0_u64);
    for (level, &n) in (0_u64..).zip(window) {
        count += u64::from(n);
        sum += level * u64::from(n);
        squares += level * level * u64::from(n);
    }
    let (all, whole) = (count.max(1) as f32, sum as f32);
    let total = squares as f32 / all - (whole / all).powi(2);
    let (mut below, mut below_sum, mut best) = (0_u64, 0_u64, (0.0, 0_usize));
    for (level, &n) in window.iter().enumerate() {
        below += u64::from(n);
        below_sum += level as u64 * u64::from(n);
        if below == 0 || below == count {
            continue;
        }
        let (dark, bright) = (below as f32, (count - below) as f32);
        let apart = (whole - below_sum as f32) / bright - below_sum as f32 / dark;
        let between = dark * bright / (all * all) * apart * apart;
        if between > best.0 {
            best = (between, level);
        }
    }
    let cut = best.1 + 1;
    let bright: u32 = window[cut..].iter().sum();
    ClassSplit {
        low: median(window, 0..cut),
        high: median(window, cut..256),
        share: bright as f32 / all,
        between: best.0,
        total,
        middle: median(tile, 0..256),
    }
}

fn median(histogram: &Histogram, levels: std::ops::Range<usize>) -> f32 {
    let half = histogram[levels.clone()].iter().sum::<u32>().div_ceil(2);
    let mut seen = 0;
    for level in levels.clone() {
        seen += histogram[level];
        if seen >= half {
            return level as f32;
        }
    }
    levels.start as f32
}

/// The levels of copper and substrate, tile by tile.
#[derive(Debug, Clone)]
pub(super) struct MaterialLevels {
    columns: usize,
    rows: usize,
    /// Substrate and copper.
    tiles: Vec<(f32, f32)>,
    /// Usual difference of copper and substrate.
    pub(super) contrast: f32,
}

impl MaterialLevels {
    /// Measures a picture in which copper is the brighter material; `zero` is the level that no
    /// light gives. None when no window shows two materials.
    pub(super) fn measure_in(picture: &GrayImage, zero: u8) -> Option<Self> {
        let (columns, rows) = tile_grid(picture);
        let mut found = Vec::with_capacity(columns * rows);
        for_each_split(picture, |_, split| found.push(split));
        let contrast = typical_contrast(&found, TYPICAL_SHARE)
            .or_else(|| typical_contrast(&found, MIN_SHARE))?;
        let enough = MIN_CONTRAST.max(TYPICAL_PART_MIN * contrast);
        let known = found
            .iter()
            .map(|split| {
                split.shows_two_materials(enough, MIN_SHARE).then_some((split.low, split.high))
            })
            .collect();
        let tiles = carry_over_plain_tiles(known, &found, columns, f32::from(zero))?;
        let mut levels = Self { columns, rows, tiles, contrast };
        levels.smooth_tiles();
        Some(levels)
    }

    /// Levels between substrate and copper at a pixel's tile.
    pub(super) fn contrast_at(&self, x: usize, y: usize) -> f32 {
        let (low, high) = self.levels_of_tile(x / TILE, y / TILE);
        (high - low).max(1.0)
    }

    fn levels_of_tile(&self, column: usize, row: usize) -> (f32, f32) {
        self.tiles[row.min(self.rows - 1) * self.columns + column.min(self.columns - 1)]
    }

    fn smooth_tiles(&mut self) {
        let mut out = Vec::with_capacity(self.tiles.len());
        for y in 0..self.rows {
            for x in 0..self.columns {
                let (mut low, mut high, mut count) = (0.0, 0.0, 0.0);
                for y in y.saturating_sub(1)..(y + 2).min(self.rows) {
                    for x in x.saturating_sub(1)..(x + 2).min(self.columns) {
                        let tile = self.levels_of_tile(x, y);
                        (low, high, count) = (low + tile.0, high + tile.1, count + 1.0);
                    }
                }
                out.push((low / count, high / count));
            }
        }
        self.tiles = out;
    }

    /// Copper: what is nearer to copper's level than to the substrate's.
    pub(super) fn copper_of(&self, picture: &GrayImage) -> BinaryImage {
        let (width, height) = (picture.width() as usize, picture.height() as usize);
        let mut limits = vec![0_i32; width];
        let pixels = picture.as_raw();
        let mut bits = BinaryImage::new(width, height);
        for y in 0..height {
            self.thresholds_along_row(y, &mut limits);
            let line = &pixels[y * width..(y + 1) * width];
            let chunks = line.chunks(64).zip(limits.chunks(64));
            for (word, (levels, limits)) in bits.row_mut(y).iter_mut().zip(chunks) {
                let copper = |(level, limit): (&u8, &i32)| (i32::from(*level) << 8) > *limit;
                let pairs = levels.iter().zip(limits).enumerate();
                *word = pairs.fold(0, |word, (bit, pair)| word | u64::from(copper(pair)) << bit);
            }
        }
        bits
    }

    /// The level halfway between substrate and copper along row `y`, in 1/256, between the middles
    /// of tiles in proportion.
    fn thresholds_along_row(&self, y: usize, out: &mut [i32]) {
        let half = |column: usize, row: usize| {
            let (low, high) = self.levels_of_tile(column, row);
            (low + high) / 2.0
        };
        let (row, down) = tiles_around(y);
        let at = |column: usize| half(column, row.0) * (1.0 - down) + half(column, row.1) * down;
        let whole: Vec<f32> = (0..self.columns).map(at).collect();
        for (x, out) in out.iter_mut().enumerate() {
            let ((left, right), part) = tiles_around(x);
            let right = whole[right.min(self.columns - 1)];
            *out = ((whole[left] * (1.0 - part) + right * part) * 256.0) as i32;
        }
    }
}

/// The two tiles between whose middles a pixel lies, and how far it is from the first.
fn tiles_around(at: usize) -> ((usize, usize), f32) {
    let from = at as f32 + 0.5 - TILE as f32 / 2.0;
    if from < 0.0 {
        return ((0, 0), 0.0);
    }
    let first = from as usize / TILE;
    ((first, first + 1), from / TILE as f32 - first as f32)
}

/// Median contrast of the windows that show two materials.
fn typical_contrast(splits: &[ClassSplit], share: f32) -> Option<f32> {
    let clear = splits.iter().filter(|split| split.shows_two_materials(MIN_CONTRAST, share));
    let mut contrasts: Vec<f32> = clear.map(ClassSplit::contrast).collect();
    contrasts.sort_by(f32::total_cmp);
    contrasts.get(contrasts.len() / 2).copied()
}

/// Carries known levels over the plain tiles between them, ring by ring. A plain tile shows one
/// material, and by that how the light changes; what is neither is passed over.
fn carry_over_plain_tiles(
    mut known: Vec<Option<(f32, f32)>>,
    splits: &[ClassSplit],
    columns: usize,
    zero: f32,
) -> Option<Vec<(f32, f32)>> {
    let rows = known.len() / columns;
    for _ in 0..rows + columns {
        let mut ring = Vec::new();
        for (index, split) in splits.iter().enumerate().filter(|(i, _)| known[*i].is_none()) {
            let (x, y) = (index % columns, index / columns);
            let (mut low, mut high, mut count) = (0.0, 0.0, 0.0);
            for y in y.saturating_sub(1)..(y + 2).min(rows) {
                for x in x.saturating_sub(1)..(x + 2).min(columns) {
                    if let Some(tile) = known[y * columns + x] {
                        (low, high, count) = (low + tile.0, high + tile.1, count + 1.0);
                    }
                }
            }
            if count > 0.0 {
                let light =
                    relative_light(split.middle - zero, low / count - zero, high / count - zero);
                let lit = |level: f32| (level / count - zero) * light + zero;
                ring.push((index, (lit(low), lit(high))));
            }
        }
        if ring.is_empty() {
            break;
        }
        for (index, levels) in ring {
            known[index] = Some(levels);
        }
    }
    known.into_iter().collect()
}

/// How much brighter a plain tile is lit than expected.
fn relative_light(level: f32, low: f32, high: f32) -> f32 {
    let contrast = high - low;
    let expected = if (level - low).abs() < (level - high).abs() { low } else { high };
    let off = (level - expected).abs();
    if expected.abs() > contrast / 2.0 && off <= PLAIN_TOLERANCE * contrast {
        level / expected
    } else {
        1.0
    }
}
