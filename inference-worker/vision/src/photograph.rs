//! How a golden sample's pictures tell copper from substrate: binarised ones by a fixed level,
//! photographs by what separates the two on the golden sample, under whatever light.
//!
//! A photograph that is too dark, too bright, blank or blurred is refused here, before anything is
//! compared. `docs/photographs.md` explains the conventions and gives the figures.

use image::GrayImage;

use super::Incomparable;
use super::binary_image::BinaryImage;
use super::decode::ImageView;

mod focus;
mod levels;
mod projection;
#[cfg(test)]
mod tests;

use focus::EdgeWidths;
use levels::{MIN_CONTRAST, MaterialLevels};
use projection::ColourProjection;

/// Levels from black and from white that count as either in a binarised picture.
const EXTREME_MARGIN: u8 = 48;
/// Rows that are looked at to tell a binarised picture from a photograph: every eighth.
const ROWS_LOOKED_AT: usize = 8;
/// A golden sample is binarised when at most one pixel in this many is neither black nor white ...
pub(super) const BINARY_GOLDEN: usize = 50;
/// ... and the pictures compared with it when at most one in this many is.
pub(super) const BINARY_PICTURE: usize = 20;
/// A photograph has at least this part of the golden sample's contrast.
const MIN_OF_CONTRAST: f32 = 0.35;
/// Edges may be this many times as wide as the golden sample's.
const MAX_WIDENING: f32 = 1.8;
/// The golden sample's edges count as at least this wide, in pixels.
const SHARP_EDGE: f32 = 2.4;

/// How the pictures of a part are read; decided on the golden sample, the same for every picture
/// compared with it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum CopperReading {
    /// Binarised pictures: grey levels below 128 are copper.
    Binary,
    /// Photographs: copper is brighter, in grey or in a combination of colours.
    Photograph {
        /// None for grey pictures.
        projection: Option<ColourProjection>,
        /// Usual difference of copper and substrate on the golden sample.
        contrast: f32,
        /// The golden sample's edges.
        edges: EdgeWidths,
    },
}

impl CopperReading {
    /// How `golden` is read, and its copper.
    pub(super) fn from_golden(golden: ImageView<'_>) -> Result<(Self, BinaryImage), Incomparable> {
        let projection = match golden {
            ImageView::Grey(grey) => {
                if is_binary(grey, BINARY_GOLDEN) {
                    return Ok((Self::Binary, BinaryImage::from_picture(grey)));
                }
                None
            }
            ImageView::Colour(colour) => {
                let grey = projection::LUMA.apply(colour);
                if is_binary(&grey, BINARY_GOLDEN) {
                    return Ok((Self::Binary, BinaryImage::from_picture(&grey)));
                }
                Some(ColourProjection::best_for(colour))
            }
        };
        let seen =
            SeenPhotograph::new(golden, projection).ok_or(Incomparable::Blank("golden sample"))?;
        let SeenPhotograph { bits, contrast, edges } =
            seen.require_contrast("golden sample", MIN_CONTRAST)?;
        Ok((Self::Photograph { projection, contrast, edges }, bits))
    }

    /// True for binarised pictures.
    pub(super) const fn is_binary(&self) -> bool {
        matches!(self, Self::Binary)
    }

    /// The copper of a picture that is to be compared with this golden sample.
    pub(super) fn read_copper(&self, picture: ImageView<'_>) -> Result<BinaryImage, Incomparable> {
        match self {
            Self::Binary => {
                let luma;
                let grey = match picture {
                    ImageView::Grey(grey) => grey,
                    ImageView::Colour(colour) => {
                        luma = projection::LUMA.apply(colour);
                        &luma
                    }
                };
                let same = is_binary(grey, BINARY_PICTURE);
                same.then(|| BinaryImage::from_picture(grey))
                    .ok_or_else(|| self.other_kind(picture))
            }
            Self::Photograph { projection, contrast, edges } => {
                let fits = matches!(picture, ImageView::Colour(_)) == projection.is_some();
                let applied = if fits { *projection } else { None };
                let seen =
                    SeenPhotograph::new(picture, applied).ok_or(Incomparable::Blank("picture"))?;
                if !fits
                    || matches!(picture, ImageView::Grey(grey) if is_binary(grey, BINARY_GOLDEN))
                {
                    return Err(self.other_kind(picture));
                }
                edges.sharp_enough(&seen.edges)?;
                let needed = MIN_CONTRAST.max(MIN_OF_CONTRAST * contrast);
                Ok(seen.require_contrast("picture", needed)?.bits)
            }
        }
    }

    fn other_kind(&self, picture: ImageView<'_>) -> Incomparable {
        let picture = match picture {
            ImageView::Grey(grey) if is_binary(grey, BINARY_GOLDEN) => "binarised",
            ImageView::Grey(_) => "a grey photograph",
            ImageView::Colour(_) => "a colour photograph",
        };
        let golden = match self {
            Self::Binary => "binarised",
            Self::Photograph { projection: None, .. } => "a grey photograph",
            Self::Photograph { projection: Some(_), .. } => "a colour photograph",
        };
        Incomparable::OtherKind { picture, golden }
    }
}

impl EdgeWidths {
    /// Refuses a picture whose edges are much wider than these, in either direction.
    fn sharp_enough(&self, picture: &Self) -> Result<(), Incomparable> {
        let pairs = [(self.upright, picture.upright), (self.level, picture.level)];
        for (golden, edge) in pairs {
            if let (Some(golden), Some(edge)) = (golden, edge)
                && edge > MAX_WIDENING * golden.max(SHARP_EDGE)
            {
                return Err(Incomparable::OutOfFocus { edge, golden });
            }
        }
        Ok(())
    }
}

/// What a photograph shows.
struct SeenPhotograph {
    bits: BinaryImage,
    contrast: f32,
    edges: EdgeWidths,
}

impl SeenPhotograph {
    /// None when nowhere two materials are seen.
    fn new(picture: ImageView<'_>, projection: Option<ColourProjection>) -> Option<Self> {
        let zero = projection.map_or(0, |projection| projection.zero);
        let projected = match (picture, projection) {
            (ImageView::Grey(grey), _) => damp_noise(grey),
            (ImageView::Colour(colour), Some(projection)) => damp_noise(&projection.apply(colour)),
            (ImageView::Colour(colour), None) => damp_noise(&projection::LUMA.apply(colour)),
        };
        let levels = MaterialLevels::measure_in(&projected, zero)?;
        let bits = levels.copper_of(&projected);
        let edges = EdgeWidths::measure_in(&projected, &levels, &bits);
        Some(Self { bits, contrast: levels.contrast, edges })
    }

    fn require_contrast(self, which: &'static str, needed: f32) -> Result<Self, Incomparable> {
        if self.contrast >= needed {
            return Ok(self);
        }
        let (levels, needed) = (self.contrast as u8, needed.ceil() as u8);
        Err(Incomparable::Exposure { which, levels, needed })
    }
}

/// True when at most one pixel in `one_in` is neither black nor white.
fn is_binary(picture: &GrayImage, one_in: usize) -> bool {
    let width = picture.width().max(1) as usize;
    let rows = picture.as_raw().chunks_exact(width).step_by(ROWS_LOOKED_AT);
    let (mut between, mut all) = (0, 0);
    for row in rows {
        let grey =
            |level: &u8| u8::from(level.wrapping_sub(EXTREME_MARGIN) <= 255 - 2 * EXTREME_MARGIN);
        // So few that a byte holds their number: bytes are counted many at once.
        for levels in row.chunks(128) {
            between += usize::from(levels.iter().map(grey).fold(0, u8::wrapping_add));
        }
        all += row.len();
    }
    between * one_in <= all
}

/// The picture with its noise damped: each pixel with its neighbours in the ratio 1 : 2 : 1, in both
/// directions; the border goes on outside.
fn damp_noise(picture: &GrayImage) -> GrayImage {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let from = picture.as_raw();
    let mut out = GrayImage::new(picture.width(), picture.height());
    let mut tall = vec![0_u16; width];
    for (y, out) in out.chunks_exact_mut(width).enumerate() {
        let row = |y: usize| &from[y * width..(y + 1) * width];
        let rows = row(y.saturating_sub(1)).iter().zip(row(y)).zip(row((y + 1).min(height - 1)));
        for (tall, ((above, here), below)) in tall.iter_mut().zip(rows) {
            *tall = u16::from(*above) + 2 * u16::from(*here) + u16::from(*below);
        }
        let (first, last) = (tall[0], tall[width - 1]);
        out[0] = ((3 * first + tall[1.min(width - 1)] + 8) >> 4) as u8;
        for (out, near) in out[1..].iter_mut().zip(tall.windows(3)) {
            *out = ((near[0] + 2 * near[1] + near[2] + 8) >> 4) as u8;
        }
        out[width - 1] = ((3 * last + tall[width.saturating_sub(2)] + 8) >> 4) as u8;
    }
    out
}
