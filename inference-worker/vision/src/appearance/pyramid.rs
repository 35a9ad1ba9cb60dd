//! A picture's structure at several resolutions: its levels less their local mean, so that neither exposure nor
//! uneven light matters to where things lie. Levels are brightness, or a channel in which the golden sample shows
//! much more: copper may be as bright as the laminate, and of another colour.

use super::planes::{Channels, Plane, dot};

/// Pictures of at most so many pixels are registered at full resolution, larger ones at half: that is good to
/// a tenth of a pixel, and four times as fast.
const FULL_RESOLUTION_PIXELS: usize = 1 << 20;
/// The longer side of the coarsest level has at most so many pixels.
const COARSEST_SIDE: usize = 200;
/// Levels less the mean of squares of this radius, in pixels of the level: wider than tracks, narrower than
/// the slopes of light.
pub(super) const LOCAL_RADIUS: usize = 15;

/// A channel must show so many times the structure of brightness, which has the least noise.
const CHANNEL_PART: f32 = 1.5;
/// Structure is compared on means of squares of this side, in pixels.
const CHOICE_SCALE: usize = 4;

/// What structure is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StructureSource {
    Brightness,
    Channel(usize),
}

impl StructureSource {
    /// The source that shows most of a golden sample.
    pub(super) fn choose_for(golden: &Channels) -> Self {
        let strength = |source: Self| {
            let structure = without_local_mean(&source.shrink(golden, CHOICE_SCALE));
            dot(&structure.values, &structure.values).sqrt()
        };
        let channels = (0..golden.levels.len()).map(|channel| {
            let source = Self::Channel(channel);
            (strength(source) / CHANNEL_PART, source)
        });
        let brightness = (strength(Self::Brightness), Self::Brightness);
        channels.fold(brightness, |best, next| if next.0 > best.0 { next } else { best }).1
    }

    fn shrink(self, picture: &Channels, side: usize) -> Plane {
        match self {
            Self::Brightness => picture.shrunk_brightness(side),
            Self::Channel(channel) => picture.shrunk_channel(channel, side),
        }
    }
}

/// One resolution.
#[derive(Debug, Clone)]
pub(super) struct PyramidLevel {
    /// Pixels of the picture per pixel of the level along a side.
    pub(super) scale: usize,
    /// Levels less their local mean.
    pub(super) structure: Plane,
}

/// The levels of a picture, finest first, each half as wide as the one before.
pub(super) fn build_pyramid(picture: &Channels, source: StructureSource) -> Vec<PyramidLevel> {
    let mut scale = if picture.width * picture.height <= FULL_RESOLUTION_PIXELS { 1 } else { 2 };
    let mut shrunk = source.shrink(picture, scale);
    let mut levels = Vec::new();
    loop {
        let coarsest = shrunk.width.max(shrunk.height) <= COARSEST_SIDE;
        levels.push(PyramidLevel { scale, structure: without_local_mean(&shrunk) });
        if coarsest {
            return levels;
        }
        shrunk = shrunk.shrunk_by(2);
        scale *= 2;
    }
}

fn without_local_mean(levels: &Plane) -> Plane {
    let mut structure = levels.box_means(LOCAL_RADIUS);
    for (value, level) in structure.values.iter_mut().zip(&levels.values) {
        *value = level - *value;
    }
    structure
}
