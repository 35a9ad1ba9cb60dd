//! The sensor: blur of the optics, noise that grows with the light, and levels.

use image::{Rgb, RgbImage};

use crate::camera::sample_normal;
use crate::random::Random;

/// Linear light per pixel and channel, row by row.
pub(super) struct Light {
    pub(super) width: usize,
    pub(super) pixels: Vec<[f32; 3]>,
}

impl Light {
    /// Gaussian blur with this standard deviation in pixels; the border goes on outside.
    pub(super) fn blur(&mut self, deviation: f32) {
        let reach = (deviation * 3.0).ceil().clamp(1.0, 12.0) as usize;
        let weight = |at: usize| {
            let far = at as f32 - reach as f32;
            (-(far / deviation.max(0.1)).powi(2) / 2.0).exp()
        };
        let weights: Vec<f32> = (0..=2 * reach).map(weight).collect();
        let whole: f32 = weights.iter().sum();
        let weights: Vec<f32> = weights.iter().map(|weight| weight / whole).collect();
        let width = self.width;
        let mut line = Vec::with_capacity(width + 2 * reach);
        for row in self.pixels.chunks_exact_mut(width) {
            line.clear();
            line.extend(std::iter::repeat_n(row[0], reach));
            line.extend_from_slice(row);
            line.extend(std::iter::repeat_n(row[width - 1], reach));
            for (pixel, near) in row.iter_mut().zip(line.windows(2 * reach + 1)) {
                *pixel = weighted_sum(near.iter().copied().zip(weights.iter().copied()));
            }
        }
        let (before, height) = (self.pixels.clone(), self.pixels.len() / width);
        for (y, row) in self.pixels.chunks_exact_mut(width).enumerate() {
            row.fill([0.0; 3]);
            for (step, &weight) in weights.iter().enumerate() {
                let from = (y + step).saturating_sub(reach).min(height - 1) * width;
                for (sum, light) in row.iter_mut().zip(&before[from..from + width]) {
                    *sum = [0, 1, 2].map(|channel| sum[channel] + light[channel] * weight);
                }
            }
        }
    }

    /// Levels of the picture: sRGB-like, with noise of this deviation at half brightness.
    pub(super) fn develop(&self, noise: f32, random: &mut Random) -> RgbImage {
        let curve: Vec<u8> = (0..=CURVE_STEPS).map(level_of_step).collect();
        let height = self.pixels.len() / self.width;
        let mut picture = RgbImage::new(self.width as u32, height as u32);
        for (pixel, light) in picture.pixels_mut().zip(&self.pixels) {
            *pixel = Rgb(light.map(|light| {
                // Shot noise grows with the root of the light, read noise does not.
                let spread = noise * ((light.max(0.0) * 2.0).sqrt() + 0.12);
                let seen = (light + spread * sample_normal(random)).clamp(0.0, 1.0);
                curve[(seen.sqrt() * CURVE_STEPS as f32 + 0.5) as usize]
            }));
        }
        picture
    }
}

/// Steps of the curve from the root of light to levels: fine in the dark, where levels change fast.
const CURVE_STEPS: u32 = 4095;

fn level_of_step(step: u32) -> u8 {
    let root = step as f32 / CURVE_STEPS as f32;
    ((root * root).powf(1.0 / 2.2) * 255.0 + 0.5) as u8
}

fn weighted_sum(taps: impl Iterator<Item = ([f32; 3], f32)>) -> [f32; 3] {
    taps.fold([0.0; 3], |sum, (light, weight)| {
        [0, 1, 2].map(|channel| sum[channel] + light[channel] * weight)
    })
}
