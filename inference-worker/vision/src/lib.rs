//! Golden comparison: decode, register, find candidates, cut crops, and merge the network's
//! answers.
//!
//! Pure and synchronous. The network is absent on purpose: [`prepare`] ends with crops and
//! [`PreparedPicture::merge_answers`] begins with answers, so that a batcher in between can fill one engine batch
//! with crops of several boards. A picture that cannot be compared is an outcome of its own, never
//! a board without findings.

use domain::inspection::Registration;
use domain::{Coverage, Recipe};

mod appearance;
mod area;
mod binary_image;
mod candidates;
mod comparable;
mod connectivity;
mod copper;
mod coverage;
mod crops;
mod decode;
mod field;
mod golden_set;
mod incomparable;
mod measure;
pub mod memory;
mod merge;
mod named_differences;
mod normalised_pair;
mod panel;
mod photograph;
mod refusal;
mod register;
mod stage;
#[cfg(test)]
mod tests;
mod tile;

pub use comparable::{ComparablePicture, GoldenSetFiles, UnusableGolden};
pub use crops::{CROP_LEN, CROP_PLANES, CROP_SIDE, CropBatch, RegisteredPair};
pub use decode::{
    DecodeError, DecodedImage, ImageView, MAX_PIXELS, MAX_SIDE, check_file, decode, media_type_of,
};
pub use golden_set::PreparedGoldenSet;
pub use incomparable::{Incomparable, Misplacement, SetMember};
pub use merge::{CLASS_COUNT, CropOutput, Findings, UnusableAnswers};
pub use normalised_pair::NormalisedPair;
pub use panel::Panel;
pub use stage::{Stage, StageWatch};

use appearance::{GoldenPhotograph, LevelSpread};
use area::GoldenArea;
use binary_image::BinaryImage;
use candidates::Candidates;
use photograph::CopperReading;
use register::CoarseCounts;

/// Pictures that agree less than this after registration are not of one part.
const MIN_SCORE: f32 = 0.7;
/// A board bends no farther than this against its golden sample, pixels; where registration says so, it has
/// gone astray. Twice what DeepPCB's boards bend: 5.1 at most on trainval, less than 4.2 on 199 in 200.
const BEND_MAX: f32 = Recipe::BEND_MAX_PX;
/// More candidates than this on one picture are not inspected one by one.
pub const MAX_CANDIDATES: usize = 192;
/// More candidates on a megapixel of a panel than this, as on a whole picture, are not inspected one by
/// one...
const CANDIDATES_PER_MEGAPIXEL: usize = MAX_CANDIDATES;
/// ...nor are more than this on any panel: some 10 MB of crops, and four seconds of a core's network.
const PANEL_CANDIDATES_MAX: usize = 4_096;
/// When a larger share of the pixels differs, counting defects means nothing.
const MAX_DIFFERING: f64 = 0.03;
/// A picture with less copper, or less substrate, than this share shows nothing to compare by.
const MIN_CONTENT: f64 = 0.001;
/// The smallest picture, in pixels a side.
const MIN_SIDE: u32 = 96;

/// A golden sample made ready for many comparisons.
#[derive(Debug, Clone)]
pub struct PreparedGolden {
    bits: BinaryImage,
    /// None of a large panel, which is registered window by window.
    coarse: Option<CoarseCounts>,
    size: (u32, u32),
    /// How its pictures tell copper from substrate.
    reading: CopperReading,
    /// What photographs are compared with, level by level; none of a binarised golden sample.
    photograph: Option<Box<GoldenPhotograph>>,
}

impl PreparedGolden {
    /// Makes a golden sample ready: a binarised picture, whose copper is dark, or a photograph, whose
    /// copper is bright. Pictures compared with it are read in the same way.
    ///
    /// # Errors
    /// [`Incomparable::TooSmall`], [`Incomparable::Blank`] or [`Incomparable::Exposure`].
    pub fn new<'a>(picture: impl Into<ImageView<'a>>) -> Result<Self, Incomparable> {
        let picture = picture.into();
        let (reading, bits) = CopperReading::from_golden(large_enough(picture)?)?;
        shows_something(&bits, "golden sample")?;
        let photograph =
            if reading.is_binary() { None } else { Some(Box::new(GoldenPhotograph::new(picture))) };
        Ok(Self { photograph, ..Self::from_copper(bits, reading) })
    }

    /// Makes a binarised panel ready.
    ///
    /// # Errors
    /// [`Incomparable::TooSmall`] or [`Incomparable::Blank`].
    pub fn from_panel(panel: Panel) -> Result<Self, Incomparable> {
        shows_something(&panel.bits, "golden sample")?;
        Ok(Self::from_copper(panel.bits, CopperReading::Binary))
    }

    fn from_copper(bits: BinaryImage, reading: CopperReading) -> Self {
        let size = (bits.width as u32, bits.height as u32);
        let coarse = (!panel::is_large(&bits)).then(|| CoarseCounts::from_image(&bits));
        Self { bits, coarse, size, reading, photograph: None }
    }

    /// Width and height in pixels.
    #[must_use]
    pub const fn size(&self) -> (u32, u32) {
        self.size
    }
}

/// What a picture is compared with, and what of it counts.
#[derive(Clone, Copy)]
struct ComparisonBasis<'a> {
    golden: &'a PreparedGolden,
    /// None: all of it.
    area: Option<&'a GoldenArea>,
    /// How far accepted boards differ from it, of photographs.
    levels: Option<&'a LevelSpread>,
    /// How far the picture may be bent, pixels.
    bend_max: f32,
}

impl<'a> From<&'a PreparedGolden> for ComparisonBasis<'a> {
    fn from(golden: &'a PreparedGolden) -> Self {
        Self { golden, area: None, levels: None, bend_max: BEND_MAX }
    }
}

impl ComparisonBasis<'_> {
    /// The bend, when it is tolerated.
    fn check_bend(&self, bend: f32) -> Result<f32, Incomparable> {
        let allowed = self.bend_max.min(BEND_MAX);
        if bend > allowed { Err(Incomparable::Bent { bend, allowed }) } else { Ok(bend) }
    }
}

/// A picture that is registered and cut into crops, one per candidate.
#[derive(Debug, Clone)]
pub struct PreparedPicture {
    /// The candidates' crops, `[n, 2, 96, 96]`; empty when nothing differs.
    pub crops: CropBatch,
    /// How the picture lies over the golden sample.
    pub registration: Registration,
    /// How much of the picture is compared.
    pub coverage: Coverage,
    /// Which golden sample of a set it is compared with, from 0.
    pub variant: usize,
    /// The crops' centres, and what is significant, in pixels of the picture.
    candidates: Candidates,
    size: (u32, u32),
}

impl PreparedPicture {
    /// The crops' centres (x, y) in pixels of the picture, in the crops' order.
    #[must_use]
    pub fn centres(&self) -> &[(usize, usize)] {
        &self.candidates.centres
    }

    #[cfg(test)]
    fn significant(&self) -> &[domain::UnexplainedDifference] {
        &self.candidates.significant
    }

    /// What was found and what is not explained; `outputs` are the network's answers in the crops' order.
    ///
    /// # Errors
    /// When these are no answers to the crops; the picture must not pass then.
    pub fn merge_answers(&self, outputs: &[CropOutput]) -> Result<Findings, UnusableAnswers> {
        merge::merge_findings(&self.candidates, outputs, self.size)
    }
}

/// Registers a picture to its golden sample and cuts a crop around every candidate.
///
/// # Errors
/// [`Incomparable`] when the two cannot be compared; the judgement is then review, never pass.
pub fn prepare<'a>(
    test: impl Into<ImageView<'a>>,
    golden: &PreparedGolden,
) -> Result<PreparedPicture, Incomparable> {
    prepare_watched(test, golden, &mut ())
}

/// As [`prepare`]; `watch` is told how the time was spent.
///
/// # Errors
/// As [`prepare`].
pub fn prepare_watched<'a>(
    test: impl Into<ImageView<'a>>,
    golden: &PreparedGolden,
    watch: &mut impl StageWatch,
) -> Result<PreparedPicture, Incomparable> {
    compare_picture(test.into(), golden.into(), watch)
}

fn compare_picture(
    test: ImageView<'_>,
    basis: ComparisonBasis<'_>,
    watch: &mut impl StageWatch,
) -> Result<PreparedPicture, Incomparable> {
    let bits = read_copper(test, basis.golden)?;
    watch.stage_ended(Stage::Read);
    match &basis.golden.photograph {
        Some(photograph) => {
            named_differences::prepare_photograph(test, bits, photograph, basis, watch)
        }
        None => copper::prepare_copper(bits, basis, watch),
    }
}

/// As [`prepare`], of a binarised panel.
///
/// # Errors
/// As [`prepare`].
pub fn prepare_panel(
    test: Panel,
    golden: &PreparedGolden,
    watch: &mut impl StageWatch,
) -> Result<PreparedPicture, Incomparable> {
    compare_panel(test, golden.into(), watch)
}

fn compare_panel(
    test: Panel,
    basis: ComparisonBasis<'_>,
    watch: &mut impl StageWatch,
) -> Result<PreparedPicture, Incomparable> {
    same_size((test.bits.width as u32, test.bits.height as u32), basis.golden)?;
    shows_something(&test.bits, "picture")?;
    copper::prepare_copper(test.bits, basis, watch)
}

/// A registered pair, the centres of its candidates, and how it was registered.
pub type LocatedCandidates = (RegisteredPair, Vec<(usize, usize)>, Registration);

/// Everything of [`prepare`] but the crops, for pictures that are compared as a whole.
///
/// # Errors
/// As [`prepare`].
pub fn locate_candidates<'a>(
    test: impl Into<ImageView<'a>>,
    golden: &PreparedGolden,
) -> Result<LocatedCandidates, Incomparable> {
    let bits = read_copper(test.into(), golden)?;
    let located = copper::locate_in_copper(bits, golden.into(), &mut ())?;
    Ok((located.pair, located.candidates.centres, located.registration))
}

/// The levels of a photograph and its golden sample in one light, and the centres of what differs.
pub type LocatedDifferences = (NormalisedPair, Vec<(usize, usize)>);

/// Everything of [`prepare`] of a photograph but the crops; none when the golden sample is binarised.
///
/// # Errors
/// As [`prepare`].
pub fn locate_differences<'a>(
    test: impl Into<ImageView<'a>>,
    golden: &PreparedGolden,
) -> Result<Option<LocatedDifferences>, Incomparable> {
    let test = test.into();
    let bits = read_copper(test, golden)?;
    let Some(photograph) = &golden.photograph else { return Ok(None) };
    named_differences::locate_differences(test, bits, photograph, golden.into()).map(Some)
}

/// The copper of a picture that may be compared.
fn read_copper(test: ImageView<'_>, golden: &PreparedGolden) -> Result<BinaryImage, Incomparable> {
    same_size(test.dimensions(), golden)?;
    let bits = golden.reading.read_copper(large_enough(test)?)?;
    shows_something(&bits, "picture")?;
    Ok(bits)
}

fn same_size(picture: (u32, u32), golden: &PreparedGolden) -> Result<(), Incomparable> {
    if picture == golden.size {
        Ok(())
    } else {
        Err(Incomparable::SizeMismatch { picture, golden: golden.size })
    }
}

fn large_enough(picture: ImageView<'_>) -> Result<ImageView<'_>, Incomparable> {
    let (width, height) = picture.dimensions();
    if width.min(height) < MIN_SIDE { Err(Incomparable::TooSmall) } else { Ok(picture) }
}

fn shows_something(bits: &BinaryImage, which: &'static str) -> Result<(), Incomparable> {
    let copper = bits.count_copper() as f64 / (bits.width * bits.height) as f64;
    let content = (MIN_CONTENT..=1.0 - MIN_CONTENT).contains(&copper);
    if content { Ok(()) } else { Err(Incomparable::Blank(which)) }
}
