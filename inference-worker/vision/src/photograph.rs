//! How a golden sample's pictures tell copper from substrate: binarised ones by a fixed level,
//! photographs by what separates the two on the golden sample, under whatever light.
//!
//! A photograph that is too dark, too bright, blank or blurred is refused here, before anything is
//! compared. `docs/photographs.md` explains the conventions and gives the figures.

use image::GrayImage;

use super::Incomparable;
use super::bits::Bits;
use super::decode::Look;

mod focus;
mod levels;
mod projection;
#[cfg(test)]
mod tests;

use focus::Edges;
use levels::{Levels, MIN_CONTRAST};
use projection::Projection;

/// Levels from black and from white that count as either in a binarised picture.
const EXTREME: u8 = 48;
/// Rows that are looked at to tell a binarised picture from a photograph: every eighth.
const ROWS_LOOKED_AT: usize = 8;
/// A golden sample is binarised when at most one pixel in this many is neither black nor white ...
const BINARY_GOLDEN: usize = 50;
/// ... and the pictures compared with it when at most one in this many is.
const BINARY_PICTURE: usize = 20;
/// A photograph has at least this part of the golden sample's contrast.
const MIN_OF_CONTRAST: f32 = 0.35;
/// Edges may be this many times as wide as the golden sample's.
const MAX_WIDENING: f32 = 1.8;
/// The golden sample's edges count as at least this wide, in pixels.
const SHARP: f32 = 2.4;

/// How the pictures of a part are read; decided on the golden sample, the same for every picture
/// compared with it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Reading {
    /// Binarised pictures: grey levels below 128 are copper.
    Binary,
    /// Photographs: copper is brighter, in grey or in a combination of colours.
    Photograph {
        /// None for grey pictures.
        projection: Option<Projection>,
        /// Usual difference of copper and substrate on the golden sample.
        contrast: f32,
        /// The golden sample's edges.
        edges: Edges,
    },
}

impl Reading {
    /// How `golden` is read, and its copper.
    pub(super) fn of(golden: Look<'_>) -> Result<(Self, Bits), Incomparable> {
        let projection = match golden {
            Look::Grey(grey) => {
                if is_binary(grey, BINARY_GOLDEN) {
                    return Ok((Self::Binary, Bits::from_picture(grey)));
                }
                None
            }
            Look::Colour(colour) => {
                let grey = projection::LUMA.apply(colour);
                if is_binary(&grey, BINARY_GOLDEN) {
                    return Ok((Self::Binary, Bits::from_picture(&grey)));
                }
                Some(Projection::of(colour))
            }
        };
        let seen = Seen::new(golden, projection).ok_or(Incomparable::Blank("golden sample"))?;
        let Seen { bits, contrast, edges } = seen.enough("golden sample", MIN_CONTRAST)?;
        Ok((Self::Photograph { projection, contrast, edges }, bits))
    }

    /// True for binarised pictures.
    pub(super) const fn is_binary(&self) -> bool {
        matches!(self, Self::Binary)
    }

    /// The copper of a picture that is to be compared with this golden sample.
    pub(super) fn bits(&self, picture: Look<'_>) -> Result<Bits, Incomparable> {
        match self {
            Self::Binary => {
                let luma;
                let grey = match picture {
                    Look::Grey(grey) => grey,
                    Look::Colour(colour) => {
                        luma = projection::LUMA.apply(colour);
                        &luma
                    }
                };
                let same = is_binary(grey, BINARY_PICTURE);
                same.then(|| Bits::from_picture(grey)).ok_or_else(|| self.other(picture))
            }
            Self::Photograph { projection, contrast, edges } => {
                let fits = matches!(picture, Look::Colour(_)) == projection.is_some();
                let applied = if fits { *projection } else { None };
                let seen = Seen::new(picture, applied).ok_or(Incomparable::Blank("picture"))?;
                if !fits || matches!(picture, Look::Grey(grey) if is_binary(grey, BINARY_GOLDEN)) {
                    return Err(self.other(picture));
                }
                edges.sharp_enough(&seen.edges)?;
                let needed = MIN_CONTRAST.max(MIN_OF_CONTRAST * contrast);
                Ok(seen.enough("picture", needed)?.bits)
            }
        }
    }

    fn other(&self, picture: Look<'_>) -> Incomparable {
        let picture = match picture {
            Look::Grey(grey) if is_binary(grey, BINARY_GOLDEN) => "binarised",
            Look::Grey(_) => "a grey photograph",
            Look::Colour(_) => "a colour photograph",
        };
        let golden = match self {
            Self::Binary => "binarised",
            Self::Photograph { projection: None, .. } => "a grey photograph",
            Self::Photograph { projection: Some(_), .. } => "a colour photograph",
        };
        Incomparable::OtherKind { picture, golden }
    }
}

impl Edges {
    /// Refuses a picture whose edges are much wider than these, in either direction.
    fn sharp_enough(&self, picture: &Self) -> Result<(), Incomparable> {
        let pairs = [(self.upright, picture.upright), (self.level, picture.level)];
        for (golden, edge) in pairs {
            if let (Some(golden), Some(edge)) = (golden, edge)
                && edge > MAX_WIDENING * golden.max(SHARP)
            {
                return Err(Incomparable::OutOfFocus { edge, golden });
            }
        }
        Ok(())
    }
}

/// What a photograph shows.
struct Seen {
    bits: Bits,
    contrast: f32,
    edges: Edges,
}

impl Seen {
    /// None when nowhere two materials are seen.
    fn new(picture: Look<'_>, projection: Option<Projection>) -> Option<Self> {
        let zero = projection.map_or(0, |projection| projection.zero);
        let projected = match (picture, projection) {
            (Look::Grey(grey), _) => quiet(grey),
            (Look::Colour(colour), Some(projection)) => quiet(&projection.apply(colour)),
            (Look::Colour(colour), None) => quiet(&projection::LUMA.apply(colour)),
        };
        let levels = Levels::of(&projected, zero)?;
        let bits = levels.bits(&projected);
        let edges = Edges::of(&projected, &levels, &bits);
        Some(Self { bits, contrast: levels.contrast, edges })
    }

    fn enough(self, which: &'static str, needed: f32) -> Result<Self, Incomparable> {
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
        let grey = |level: &u8| u32::from(level.wrapping_sub(EXTREME) <= 255 - 2 * EXTREME);
        between += row.iter().map(grey).sum::<u32>() as usize;
        all += row.len();
    }
    between * one_in <= all
}

/// The picture with its noise damped: each pixel with its neighbours in the ratio 1 : 2 : 1, in both
/// directions; the border goes on outside.
fn quiet(picture: &GrayImage) -> GrayImage {
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
