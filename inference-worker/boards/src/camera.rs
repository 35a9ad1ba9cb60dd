//! A camera for generated boards: what a photograph of one looks like, with the colours of copper
//! and substrate, uneven light, optics, noise and a crooked fixture. For tests, demonstrations and
//! figures; no picture under inspection passes here.
//!
//! The same settings give the same photograph: noise comes from a seed. Radiance is computed in
//! linear light and stored with a gamma of 2.2.

use domain::PixelBox;
use image::codecs::jpeg::JpegEncoder;
use image::{GrayImage, Rgb, RgbImage};

use super::random::Random;

/// Colours (sRGB) of the two materials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Palette {
    /// Copper, as it shows: bare or under a mask.
    pub copper: [u8; 3],
    /// What lies between.
    pub substrate: [u8; 3],
}

impl Palette {
    /// Traces under a green solder mask.
    pub const GREEN_MASK: Self = Self { copper: [78, 158, 88], substrate: [28, 88, 48] };
    /// Traces under a blue solder mask.
    pub const BLUE_MASK: Self = Self { copper: [72, 112, 192], substrate: [26, 50, 108] };
    /// Bare copper on laminate, well apart in brightness.
    pub const BARE: Self = Self { copper: [214, 138, 96], substrate: [92, 96, 58] };
    /// Bare copper on a laminate of nearly the same brightness: only the colour tells.
    pub const PALE: Self = Self { copper: [190, 110, 80], substrate: [118, 138, 70] };
    /// All of them.
    pub const ALL: [Self; 4] = [Self::GREEN_MASK, Self::BLUE_MASK, Self::BARE, Self::PALE];
}

/// How a photograph is taken. The default is a good one of a board that lies exactly.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Camera {
    /// The board's colours.
    pub palette: Palette,
    /// Light times exposure time; 1 shows the colours as they are.
    pub exposure: f32,
    /// Share of the light that the corners lose against the middle, 0 to 1.
    pub vignetting: f32,
    /// By how much the light grows from the middle to the right and to the lower edge, -1 to 1.
    pub gradient: (f32, f32),
    /// Standard deviation of the optics' blur in pixels.
    pub blur: f32,
    /// Standard deviation of the noise at half brightness, in parts of the full scale.
    pub noise: f32,
    /// Amplitude of the materials' texture, in parts of their brightness.
    pub texture: f32,
    /// Turn of the board in degrees, clockwise, around the picture's middle.
    pub turn: f32,
    /// Shift of the board in pixels to the right and down.
    pub shift: (f32, f32),
    /// Seeds noise and texture.
    pub seed: u64,
}

impl Default for Camera {
    fn default() -> Self {
        Self {
            palette: Palette::GREEN_MASK,
            exposure: 1.0,
            vignetting: 0.2,
            gradient: (0.08, -0.05),
            blur: 0.8,
            noise: 0.015,
            texture: 0.04,
            turn: 0.0,
            shift: (0.0, 0.0),
            seed: 0,
        }
    }
}

impl Camera {
    /// A photograph, `size` × `size` pixels, of the middle of a binarised board whose copper is
    /// dark. The board is larger than the photograph, so that a shift brings in more of it.
    #[must_use]
    pub fn take_photograph(&self, board: &GrayImage, size: u32) -> RgbImage {
        let mut light = self.compute_radiance(board, size);
        blur_light(&mut light, size as usize, self.blur);
        self.develop_picture(&light, size)
    }

    /// The box in the photograph of what lies at `bounds` on the board; none outside of it.
    #[must_use]
    pub fn project_box(&self, bounds: PixelBox, board: &GrayImage, size: u32) -> Option<PixelBox> {
        let (sine, cosine) = self.turn.to_radians().sin_cos();
        let (mut left, mut top, mut right, mut bottom) = (f32::MAX, f32::MAX, 0.0_f32, 0.0_f32);
        for (x, y) in [(0, 0), (bounds.width, 0), (0, bounds.height), (bounds.width, bounds.height)]
        {
            let x = (bounds.x + x) as f32 - board.width() as f32 / 2.0;
            let y = (bounds.y + y) as f32 - board.height() as f32 / 2.0;
            let middle = size as f32 / 2.0;
            let (to_x, to_y) = (x * cosine - y * sine, x * sine + y * cosine);
            let (to_x, to_y) = (to_x + middle + self.shift.0, to_y + middle + self.shift.1);
            (left, right) = (left.min(to_x), right.max(to_x));
            (top, bottom) = (top.min(to_y), bottom.max(to_y));
        }
        let whole = size as f32;
        let inside = left >= 0.0 && top >= 0.0 && right <= whole && bottom <= whole;
        inside.then(|| PixelBox {
            x: left.round() as u32,
            y: top.round() as u32,
            width: (right - left).round() as u32,
            height: (bottom - top).round() as u32,
        })
    }

    /// Linear light per pixel and channel.
    fn compute_radiance(&self, board: &GrayImage, size: u32) -> Vec<[f32; 3]> {
        let linear = |colour: [u8; 3]| colour.map(|level| (f32::from(level) / 255.0).powf(GAMMA));
        let (copper, substrate) = (linear(self.palette.copper), linear(self.palette.substrate));
        let (sine, cosine) = self.turn.to_radians().sin_cos();
        let middle = size as f32 / 2.0;
        let texture = Texture::new(self.seed, size);
        let mut light = Vec::with_capacity((size * size) as usize);
        for y in 0..size {
            for x in 0..size {
                let from_x = x as f32 + 0.5 - middle - self.shift.0;
                let from_y = y as f32 + 0.5 - middle - self.shift.1;
                let at_x = from_x * cosine + from_y * sine + board.width() as f32 / 2.0 - 0.5;
                let at_y = from_y * cosine - from_x * sine + board.height() as f32 / 2.0 - 0.5;
                let share = copper_at(board, at_x, at_y);
                let (out_x, out_y) = (x as f32 / middle - 1.0, y as f32 / middle - 1.0);
                let corner = (out_x * out_x + out_y * out_y) / 2.0;
                let even = 1.0 + self.gradient.0 * out_x + self.gradient.1 * out_y;
                let lit = self.exposure * even * (1.0 - self.vignetting * corner);
                let rough = 1.0 + self.texture * texture.value_at(x, y);
                light.push([0, 1, 2].map(|channel| {
                    let colour = copper[channel] * share + substrate[channel] * (1.0 - share);
                    (colour * lit * rough).max(0.0)
                }));
            }
        }
        light
    }

    fn develop_picture(&self, light: &[[f32; 3]], size: u32) -> RgbImage {
        let mut random = Random::new(&[self.seed, 0x6e6f_6973]);
        let mut picture = RgbImage::new(size, size);
        for (pixel, light) in picture.pixels_mut().zip(light) {
            *pixel = Rgb(light.map(|light| {
                // Shot noise grows with the root of the light.
                let spread = self.noise * (light * 2.0).sqrt() + self.noise / 4.0;
                let seen = (light + spread * sample_normal(&mut random)).clamp(0.0, 1.0);
                (seen.powf(1.0 / GAMMA) * 255.0).round() as u8
            }));
        }
        picture
    }
}

/// A photograph as a JPEG of the given quality, 1 to 100.
///
/// # Errors
/// When the encoder refuses.
pub fn encode_jpeg(photograph: &RgbImage, quality: u8) -> Result<Vec<u8>, image::ImageError> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, quality).encode_image(photograph)?;
    Ok(bytes)
}

const GAMMA: f32 = 2.2;

/// Share of copper at a place between pixels; the border goes on outside.
fn copper_at(board: &GrayImage, x: f32, y: f32) -> f32 {
    let (left, top) = (x.floor(), y.floor());
    let copper = |x: f32, y: f32| {
        let x = x.clamp(0.0, board.width() as f32 - 1.0) as u32;
        let y = y.clamp(0.0, board.height() as f32 - 1.0) as u32;
        f32::from(u8::from(board.get_pixel(x, y).0[0] < 128))
    };
    let (right, down) = (x - left, y - top);
    let above = copper(left, top) * (1.0 - right) + copper(left + 1.0, top) * right;
    let below = copper(left, top + 1.0) * (1.0 - right) + copper(left + 1.0, top + 1.0) * right;
    above * (1.0 - down) + below * down
}

/// Nearly normal, with a standard deviation of 1 (a sum of eight dice of 256 sides).
pub(super) fn sample_normal(random: &mut Random) -> f32 {
    let bytes = random.next().to_le_bytes().map(f32::from);
    // Eight uniform bytes: mean 1020, standard deviation 209.
    (bytes.iter().sum::<f32>() - 1020.0) / 209.0
}

/// A weave of patches, −1 to 1.
struct Texture {
    across: u32,
    cells: Vec<f32>,
}

/// Side of a patch in pixels.
const PATCH: u32 = 9;

impl Texture {
    fn new(seed: u64, size: u32) -> Self {
        let mut random = Random::new(&[seed, 0x7465_7874]);
        let across = size / PATCH + 2;
        let cells = (0..across * across).map(|_| random.between(-1000, 1000) as f32 / 1000.0);
        Self { across, cells: cells.collect() }
    }

    fn value_at(&self, x: u32, y: u32) -> f32 {
        let part = |at: u32| (at / PATCH, (at % PATCH) as f32 / PATCH as f32);
        let ((x, right), (y, down)) = (part(x), part(y));
        let cell = |x: u32, y: u32| self.cells[(y * self.across + x) as usize];
        let above = cell(x, y) * (1.0 - right) + cell(x + 1, y) * right;
        let below = cell(x, y + 1) * (1.0 - right) + cell(x + 1, y + 1) * right;
        above * (1.0 - down) + below * down
    }
}

/// Gaussian blur of a square picture, in both directions.
fn blur_light(light: &mut [[f32; 3]], side: usize, deviation: f32) {
    if deviation < 0.05 {
        return;
    }
    let reach = (deviation * 3.0).ceil() as isize;
    let weight = |at: isize| (-(at as f32 / deviation).powi(2) / 2.0).exp();
    let weights: Vec<f32> = (-reach..=reach).map(weight).collect();
    let whole: f32 = weights.iter().sum();
    let mut line = vec![[0.0; 3]; side];
    for (stride, step) in [(side, 1), (1, side)] {
        for start in (0..side).map(|index| index * stride) {
            for (at, out) in line.iter_mut().enumerate() {
                *out = [0.0; 3];
                for (&weight, offset) in weights.iter().zip(-reach..) {
                    let from = at.saturating_add_signed(offset).min(side - 1);
                    let light = light[start + from * step];
                    for (out, light) in out.iter_mut().zip(light) {
                        *out += light * weight / whole;
                    }
                }
            }
            for (at, line) in line.iter().enumerate() {
                light[start + at * step] = *line;
            }
        }
    }
}
