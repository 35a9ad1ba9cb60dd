//! Planes of numbers, row by row, and the filters that everything here is made of: separable blurs, box sums
//! by running sums, and extremes of neighbours.
//!
//! Loops run over whole rows of equal length, so that the compiler works on several numbers at once.

use crate::decode::ImageView;

/// Squares are taken about this level, so that 32 bits hold their sums.
pub(super) const MIDDLE_LEVEL: f32 = 128.0;
/// A median of absolute differences as a standard deviation of normal noise.
pub(super) const SIGMA_PER_MEDIAN: f32 = 1.4826;

/// One number per pixel.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Plane {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) values: Vec<f32>,
}

impl Plane {
    pub(super) fn new(width: usize, height: usize) -> Self {
        Self { width, height, values: vec![0.0; width * height] }
    }

    /// Makes room for another size; what is in it means nothing then.
    pub(super) fn resize(&mut self, width: usize, height: usize) {
        (self.width, self.height) = (width, height);
        self.values.resize(width * height, 0.0);
    }

    pub(super) fn row(&self, y: usize) -> &[f32] {
        &self.values[y * self.width..][..self.width]
    }

    pub(super) fn row_mut(&mut self, y: usize) -> &mut [f32] {
        &mut self.values[y * self.width..][..self.width]
    }

    /// The mean of each square of `side` pixels; what is left over at the right and below is left out.
    pub(super) fn shrunk_by(&self, side: usize) -> Self {
        let mut small = Self::new(self.width / side, self.height / side);
        let part = 1.0 / (side * side) as f32;
        for y in 0..small.height {
            for line in y * side..(y + 1) * side {
                let squares = self.row(line).chunks_exact(side);
                for (sum, square) in small.row_mut(y).iter_mut().zip(squares) {
                    *sum += square.iter().sum::<f32>() * part;
                }
            }
        }
        small
    }

    /// The sum of each square of `2 * radius + 1` pixels, as far as it lies inside.
    pub(super) fn box_sums(&self, radius: usize) -> Self {
        let mut across = Self::new(self.width, self.height);
        for y in 0..self.height {
            running_sums(self.row(y), radius, across.row_mut(y));
        }
        let mut sums = Self::new(self.width, self.height);
        let mut column = vec![0.0_f32; self.width];
        for y in 0..self.height + radius {
            if y < self.height {
                column.iter_mut().zip(across.row(y)).for_each(|(sum, value)| *sum += value);
            }
            if y > 2 * radius {
                let gone = across.row(y - 2 * radius - 1);
                column.iter_mut().zip(gone).for_each(|(sum, value)| *sum -= value);
            }
            if y >= radius {
                sums.row_mut(y - radius).copy_from_slice(&column);
            }
        }
        sums
    }

    /// The mean of each square of `2 * radius + 1` pixels, of what lies inside the picture.
    pub(super) fn box_means(&self, radius: usize) -> Self {
        let mut means = self.box_sums(radius);
        let inside =
            |at: usize, length: usize| (at + radius + 1).min(length) - at.saturating_sub(radius);
        let (width, height) = (self.width, self.height);
        let across: Vec<f32> = (0..width).map(|x| 1.0 / inside(x, width) as f32).collect();
        for y in 0..height {
            let down = 1.0 / inside(y, height) as f32;
            for (mean, across) in means.row_mut(y).iter_mut().zip(&across) {
                *mean *= across * down;
            }
        }
        means
    }

    /// The value between pixels, bilinear; beyond the border that of the border.
    pub(super) fn value_between(&self, x: f32, y: f32) -> f32 {
        let (x, y) =
            (x.clamp(0.0, (self.width - 1) as f32), y.clamp(0.0, (self.height - 1) as f32));
        let (left, top) = (x as usize, y as usize);
        let (right, below) = ((left + 1).min(self.width - 1), (top + 1).min(self.height - 1));
        let (across, down) = (x - left as f32, y - top as f32);
        let line = |row: &[f32]| row[left] + (row[right] - row[left]) * across;
        let (upper, lower) = (line(self.row(top)), line(self.row(below)));
        upper + (lower - upper) * down
    }
}

/// Sums of `2 * radius + 1` neighbours in a row, as far as they lie inside.
fn running_sums(row: &[f32], radius: usize, sums: &mut [f32]) {
    let mut sum: f32 = row.iter().take(radius).sum();
    for x in 0..row.len() {
        sum += row.get(x + radius).copied().unwrap_or(0.0);
        if x > radius {
            sum -= row[x - radius - 1];
        }
        sums[x] = sum;
    }
}

/// Levels of a photograph, channel by channel: one of a grey picture, three of a coloured one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Channels {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) levels: Vec<Vec<u8>>,
}

impl Channels {
    pub(super) fn from_picture(picture: ImageView<'_>) -> Self {
        let (width, height) = picture.dimensions();
        let (width, height) = (width as usize, height as usize);
        let levels = match picture {
            ImageView::Grey(grey) => vec![grey.as_raw().clone()],
            ImageView::Colour(colour) => {
                let mut planes = [(); 3].map(|()| vec![0_u8; width * height]);
                let [red, green, blue] = &mut planes;
                let each = red.iter_mut().zip(green.iter_mut().zip(blue.iter_mut()));
                for ((red, (green, blue)), pixel) in each.zip(colour.as_raw().as_chunks::<3>().0) {
                    [*red, *green, *blue] = *pixel;
                }
                planes.into()
            }
        };
        Self { width, height, levels }
    }

    pub(super) fn row(&self, channel: usize, y: usize) -> &[u8] {
        &self.levels[channel][y * self.width..][..self.width]
    }

    /// The channel that is sharpest and has the least noise: a sensor has twice as many green pixels, and
    /// JPEG keeps colour differences at half the resolution.
    pub(super) fn sharpest(&self) -> usize {
        self.levels.len() / 2
    }

    /// The mean of each square of `side` pixels of a channel.
    pub(super) fn shrunk_channel(&self, channel: usize, side: usize) -> Plane {
        let mut small = Plane::new(self.width / side, self.height / side);
        let part = 1.0 / (side * side) as f32;
        let mut sums = vec![0_u32; small.width * side];
        for y in 0..small.height {
            sums.fill(0);
            for line in y * side..(y + 1) * side {
                for (sum, &level) in sums.iter_mut().zip(self.row(channel, line)) {
                    *sum = sum.wrapping_add(u32::from(level));
                }
            }
            for (mean, sums) in small.row_mut(y).iter_mut().zip(sums.chunks_exact(side)) {
                *mean = sums.iter().fold(0_u32, |sum, part| sum.wrapping_add(*part)) as f32 * part;
            }
        }
        small
    }

    /// Brightness, (red + 2 green + blue) / 4, as the mean of each square of `side` pixels.
    pub(super) fn shrunk_brightness(&self, side: usize) -> Plane {
        let mut brightness = self.shrunk_channel(self.sharpest(), side);
        if let [_, _, _] = self.levels.as_slice() {
            let (red, blue) = (self.shrunk_channel(0, side), self.shrunk_channel(2, side));
            for (level, (red, blue)) in
                brightness.values.iter_mut().zip(red.values.iter().zip(&blue.values))
            {
                *level = (2.0 * *level + red + blue) / 4.0;
            }
        }
        brightness
    }
}

/// The weights of a Gaussian blur from the middle outwards; what lies beyond three sigmas is cut off.
pub(super) fn gaussian_weights(sigma: f32) -> Vec<f32> {
    let radius = (3.0 * sigma).round().max(1.0) as usize;
    let weight = |x: usize| (-0.5 * (x as f32 / sigma).powi(2)).exp();
    let all: f32 = weight(0) + 2.0 * (1..=radius).map(weight).sum::<f32>();
    (0..=radius).map(|x| weight(x) / all).collect()
}

/// The middle of some values, which are put out of order; 0 when there are none.
pub(super) fn median(values: &mut [f32]) -> f32 {
    if values.is_empty() {
        return 0.0;
    }
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f32::total_cmp).1
}

/// The sum of products, in eight sums at once: a single one would wait for each addition.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (a, a_rest) = a.as_chunks::<8>();
    let (b, b_rest) = b.as_chunks::<8>();
    let mut sums = [0.0_f32; 8];
    for (a, b) in a.iter().zip(b) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}
