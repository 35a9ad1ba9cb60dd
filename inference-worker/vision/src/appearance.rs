//! How a photograph looks beside its golden sample, level by level: no material, no class and no training.
//!
//! Registered and bent over each other, equally sharp and in one light, two photographs of one part differ by
//! noise, and by flaws. Noise is measured; what lies beyond it is a difference in appearance.
//!
//! What one of them does not cover is not compared: `coverage` counts it. What is clipped is known from one side:
//! it is at least as bright as the camera can tell, so it is never called darker, nor anything brighter than it.

use domain::UnexplainedDifference;
use domain::inspection::Registration;

use super::Incomparable;
use super::area::GoldenArea;
use super::binary_image::BinaryImage;
use super::decode::ImageView;
use super::field::{AffineOffset, OffsetField};
use super::normalised_pair::NormalisedPair;

mod agreement;
mod align;
mod displacement;
mod excess;
mod learning;
mod level_spread;
mod light;
mod likeness;
mod planes;
mod pyramid;
mod regions;
mod search;
mod sharpness;
mod slope;
#[cfg(test)]
mod tests;
mod warp;
mod window;

use agreement::Agreement;
use align::LevelPair;
use excess::{AlignedPair, EdgeEnergy, ExcessMap};
use light::{AveragedPair, LIGHT_SCALE, LocalLight};
use planes::{Channels, Plane};
use pyramid::{PyramidLevel, StructureSource};
use search::SearchPicture;
use warp::{RowSpan, WarpedPicture};

pub(super) use level_spread::LevelSpread;

/// Of the tiles with structure, this share must agree, or differences come from the registration.
const AGREEING_SHARE_MIN: f32 = 0.75;
/// With fewer tiles a single flaw moves the share too much to say anything.
const TILES_MIN: u32 = 12;
/// The structure of one part correlates by at least this.
const CORRELATION_MIN: f32 = 0.5;
/// A rough place that correlates by this, and by so much more than the next, is followed alone.
const PLACE_SURE: f32 = 0.4;
const PLACE_CLEAR: f32 = 1.25;
/// A golden sample that needs more blur than this, in pixels, is sharper than the test picture may lack.
const BLUR_MAX: f32 = 2.0;
/// A tile is out of focus when its edges keep less than this part of the squared slopes that those of the sharpest
/// quarter of the picture keep, which are at least so sharp themselves ...
const EDGE_ENERGY_MIN: f32 = 0.5;
const SHARP_ENERGY_MIN: f32 = 0.7;
/// ... and it has so many pixels on edges. A picture is when this share of its edges is.
const EDGE_PIXELS_MIN: u32 = 200;
const BLURRED_SHARE_MAX: f32 = 0.1;
/// The border of either picture that is not compared, in pixels: as far as blurs reach, what is seen there
/// depends on what lies beyond.
pub(super) const BORDER: usize = 5;
/// A blur reaches so many sigmas far.
const BLUR_REACH: f32 = 2.0;

/// A photograph, and how it lies over its golden sample.
pub(super) struct RegisteredPhotograph {
    test: Channels,
    registration: Registration,
    field: OffsetField,
    agrees: bool,
}

impl RegisteredPhotograph {
    pub(super) const fn registration(&self) -> Registration {
        self.registration
    }

    pub(super) const fn field(&self) -> &OffsetField {
        &self.field
    }

    /// True when the two agree there: where they do not, differences mean nothing.
    pub(super) const fn agrees(&self) -> bool {
        self.agrees
    }
}

/// A registered photograph, as sharp as its golden sample and in its light.
struct AlignedPhotograph {
    warped: Channels,
    spans: Vec<RowSpan>,
    field: OffsetField,
    light: Vec<LocalLight>,
    /// Clipped pixels of the golden sample and of this one, channel by channel.
    clipped: [Vec<BinaryImage>; 2],
    blur: f32,
    /// So many pixels along the border of either picture are not compared.
    border: usize,
}

/// Pixels of a golden sample that do not count like the others; none, when all do.
#[derive(Debug, Clone, Default)]
pub(super) struct CountingPixels {
    /// Not inspected.
    excluded: Option<BinaryImage>,
    /// Differences there are told apart from the others.
    tolerated: Option<BinaryImage>,
}

impl CountingPixels {
    pub(super) fn from_area(area: &GoldenArea) -> Self {
        let excluded = Some(area.excluded_pixels());
        Self { excluded, tolerated: area.tolerated_pixels().cloned() }
    }
}

/// What came of comparing a photograph.
pub(super) struct ComparedPhotograph {
    /// What differs, strongest first: what counts, and what is tolerated.
    pub(super) differences: [Vec<UnexplainedDifference>; 2],
    aligned: AlignedPhotograph,
}

impl ComparedPhotograph {
    /// So many pixels along the border of either picture were not compared.
    pub(super) const fn border(&self) -> usize {
        self.aligned.border
    }
}

/// A golden sample made ready for many comparisons.
#[derive(Debug, Clone)]
pub(super) struct GoldenPhotograph {
    channels: Channels,
    source: StructureSource,
    pyramid: Vec<PyramidLevel>,
    search: SearchPicture,
    averaged: Vec<Plane>,
    clipped: Vec<BinaryImage>,
}

impl GoldenPhotograph {
    /// Makes a photograph ready, grey or in colour, of at least [`super::MIN_SIDE`] pixels a side.
    pub(super) fn new(picture: ImageView<'_>) -> Self {
        let channels = Channels::from_picture(picture);
        let source = StructureSource::choose_for(&channels);
        let pyramid = pyramid::build_pyramid(&channels, source);
        let search = SearchPicture::from_level(&pyramid[pyramid.len() - 1]);
        let all = 0..channels.levels.len();
        let averaged = all.map(|channel| channels.shrunk_channel(channel, LIGHT_SCALE)).collect();
        let clipped = excess::clipped_pixels(&channels);
        Self { channels, source, pyramid, search, averaged, clipped }
    }

    fn size(&self) -> (usize, usize) {
        (self.channels.width, self.channels.height)
    }

    /// What differs of a photograph that was registered to this one and agrees. With `levels` of accepted boards the
    /// band around this one reaches as far as they do, and print and mask may lie off as a whole.
    ///
    /// # Errors
    /// [`Incomparable`] when the photograph is out of focus, as a whole or in part, or differs nearly everywhere.
    pub(super) fn find_differences(
        &self,
        registered: RegisteredPhotograph,
        counting: &CountingPixels,
        levels: Option<&LevelSpread>,
    ) -> Result<ComparedPhotograph, Incomparable> {
        let size = (registered.test.width as u32, registered.test.height as u32);
        let aligned = self.align_levels(registered)?;
        let pair = self.pair_with(&aligned, levels);
        let mut map = pair.measure_excess(counting.excluded.as_ref());
        in_focus_everywhere(&map.edges)?;
        if levels.is_some() {
            displacement::explain_by_shifts(&pair, &mut map);
        }
        let tolerated = counting.tolerated.as_ref().map(|zones| map.split_off(zones));
        let find = |map: &ExcessMap| {
            let found = regions::find_differences(map, &aligned.field, size);
            found.ok_or(Incomparable::TooManyDifferences)
        };
        let tolerated = tolerated.map_or(Ok(Vec::new()), |map| find(&map))?;
        Ok(ComparedPhotograph { differences: [find(&map)?, tolerated], aligned })
    }

    /// The levels of this photograph and of one that was compared with it, in one light; equal where nothing
    /// counts.
    pub(super) fn normalise_levels(
        &self,
        compared: &ComparedPhotograph,
        counting: &CountingPixels,
    ) -> NormalisedPair {
        let aligned = &compared.aligned;
        let pair = self.pair_with(aligned, None);
        let [golden, mut test] = pair.normalise_channel(self.channels.sharpest());
        if let Some(excluded) = &counting.excluded {
            excluded.for_each_set(|x, y| {
                let at = y * excluded.width + x;
                test[at] = golden[at];
            });
        }
        NormalisedPair { size: self.size(), golden, test, field: aligned.field.clone() }
    }

    /// Makes a registered photograph as sharp as this one, and finds its light.
    fn align_levels(
        &self,
        registered: RegisteredPhotograph,
    ) -> Result<AlignedPhotograph, Incomparable> {
        let RegisteredPhotograph { test, field, .. } = registered;
        let WarpedPicture { channels: warped, mut spans } =
            warp::warp_picture(&test, &field, self.size(), BORDER);
        drop(test);
        for (y, span) in spans.iter_mut().enumerate() {
            *span = span.within(y, self.size(), BORDER);
        }
        let mut clipped = [self.clipped.clone(), excess::clipped_pixels(&warped)];
        let averaged = AveragedPair::new(&self.averaged, &warped, &spans, &clipped);
        let whole = averaged.match_whole();
        let blur = sharpness::match_blur(&self.channels, (&warped, &spans), &whole);
        if blur > BLUR_MAX {
            return Err(Incomparable::Blurred { sigma: blur });
        }
        let light = averaged.match_locally(&whole);
        // What is clipped, or lies beyond the border, shows as far as the picture that is sharper is blurred.
        let reach = (BLUR_REACH * blur.abs()).ceil() as usize;
        for channel in &mut clipped[usize::from(blur < 0.0)] {
            (0..reach).for_each(|_| *channel = channel.dilated());
        }
        let spans = warp::shrink_spans(&spans, reach);
        let border = BORDER + reach;
        Ok(AlignedPhotograph { warped, spans, field, light, clipped, blur, border })
    }

    fn pair_with<'a>(
        &'a self,
        aligned: &'a AlignedPhotograph,
        levels: Option<&'a LevelSpread>,
    ) -> AlignedPair<'a> {
        AlignedPair {
            golden: &self.channels,
            test: &aligned.warped,
            spans: &aligned.spans,
            light: &aligned.light,
            clipped: &aligned.clipped,
            blur: aligned.blur,
            levels,
        }
    }

    /// How the picture lies: searched roughly, then aligned from coarse to fine. Whether it agrees there is
    /// said, and is for the caller to see to.
    ///
    /// The picture is of the same size and kind. It agrees when the whole of it does, or all that is inspected.
    pub(super) fn register(
        &self,
        picture: ImageView<'_>,
        counting: &CountingPixels,
    ) -> RegisteredPhotograph {
        self.register_channels(Channels::from_picture(picture), counting)
    }

    /// How another golden sample of the same size lies over this one, or how little it agrees.
    pub(super) fn register_golden(&self, other: &Self) -> Result<OffsetField, f32> {
        let registered = self.register_channels(other.channels.clone(), &CountingPixels::default());
        if registered.agrees { Ok(registered.field) } else { Err(registered.registration.score) }
    }

    fn register_channels(&self, test: Channels, counting: &CountingPixels) -> RegisteredPhotograph {
        let pyramid = pyramid::build_pyramid(&test, self.source);
        let levels = self.pair_levels(&pyramid);
        let affine = self.choose_place(&pyramid, &levels);
        let affine = levels[0].refine_affine(affine);
        let field = levels[0].measure_bend(&affine);
        // The finest level has the most noise, and says the least about whether it is the same part.
        let level = &levels[1.min(levels.len() - 1)];
        let mut agreement = level.measure_agreement(&field, None);
        if !is_one_part(&agreement) && counting.excluded.is_some() {
            agreement = level.measure_agreement(&field, counting.excluded.as_ref());
        }
        let agrees = is_one_part(&agreement);
        let score = agreement.correlation.clamp(0.0, 1.0);
        let [dx, dy] = field.middle_offset();
        let registration = Registration { dx, dy, score, bend: Some(field.bend()) };
        RegisteredPhotograph { test, registration, field, agrees }
    }

    /// The levels of this golden sample beside those of a picture of the same size.
    fn pair_levels<'a>(&'a self, test: &'a [PyramidLevel]) -> Vec<LevelPair<'a>> {
        let pairs = self.pyramid.iter().zip(test);
        pairs.map(|(golden, test)| LevelPair::new(golden, test, self.size())).collect()
    }

    /// The place that agrees best once it is aligned on all levels but the finest; `levels` are the pairs of
    /// the picture's `pyramid`.
    fn choose_place(&self, pyramid: &[PyramidLevel], levels: &[LevelPair<'_>]) -> AffineOffset {
        let test = &SearchPicture::from_level(&pyramid[pyramid.len() - 1]);
        let mut places = self.search.search_shifts(test);
        let clear = match places.as_slice() {
            [best, next, ..] => best.correlation >= PLACE_CLEAR * next.correlation,
            _ => true,
        };
        let first = places.first().map_or(0.0, |place| place.correlation);
        if first >= PLACE_SURE && clear {
            places.truncate(1);
        } else {
            places.extend(self.search.search_turns(test));
        }
        let coarse = &levels[1.min(levels.len() - 1)..];
        let mut best = (f32::MIN, AffineOffset::from_shift(0.0, 0.0));
        let alone = places.len() == 1;
        for place in places {
            let refined =
                coarse.iter().rev().fold(place.affine, |affine, level| level.refine_affine(affine));
            let correlation = if alone {
                1.0
            } else {
                let field = OffsetField::from_affine(&refined, self.size());
                coarse[0].measure_agreement(&field, None).correlation
            };
            if correlation > best.0 {
                best = (correlation, refined);
            }
        }
        best.1
    }
}

/// True when so much agrees that both show one part.
fn is_one_part(agreement: &Agreement) -> bool {
    let share = agreement.agreeing as f32 / agreement.tiles.max(1) as f32;
    let scattered = agreement.tiles >= TILES_MIN && share < AGREEING_SHARE_MIN;
    agreement.correlation >= CORRELATION_MIN && !scattered
}

/// Refuses a picture of which a region is less sharp than the rest. The rest tells how sharp that may be: the blur
/// that was matched is one for both, and lies in between when half of the picture is blurred.
fn in_focus_everywhere(tiles: &[EdgeEnergy]) -> Result<(), Incomparable> {
    let structured = tiles.iter().filter(|tile| tile.pixels >= EDGE_PIXELS_MIN);
    let mut kept: Vec<(f32, u32)> =
        structured.map(|tile| (tile.test / tile.golden.max(1.0), tile.pixels)).collect();
    kept.sort_by(|a, b| b.0.total_cmp(&a.0));
    let all: u32 = kept.iter().map(|(_, pixels)| pixels).sum();
    let mut seen = 0;
    let sharp = kept.iter().find(|(_, pixels)| {
        seen += pixels;
        4 * seen >= all
    });
    let limit = EDGE_ENERGY_MIN * sharp.map_or(0.0, |(part, _)| *part).max(SHARP_ENERGY_MIN);
    let blurred: u32 =
        kept.iter().filter(|(part, _)| *part < limit).map(|(_, pixels)| pixels).sum();
    if blurred as f32 > BLURRED_SHARE_MAX * all as f32 {
        let share = (100.0 * blurred as f32 / all as f32) as u8;
        return Err(Incomparable::PartlyBlurred { share });
    }
    Ok(())
}
