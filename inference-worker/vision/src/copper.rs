//! Copper compared with copper: binarised pictures as a whole, and the way to the crops of any picture's.

use domain::inspection::Registration;
use domain::{ComparisonMethod, Coverage};

use super::binary_image::BinaryImage;
use super::candidates::{self, Candidates};
use super::coverage::CoverageTally;
use super::crops::{CropBatch, RegisteredPair};
use super::refusal::{self, AgreeingTiles};
use super::register::{self, CoarseCounts};
use super::stage::{Stage, StageWatch};
use super::{ComparisonBasis, Incomparable, MIN_SCORE, PreparedPicture, area, panel};

/// Registers the copper of a picture and cuts a crop around every candidate.
pub(super) fn prepare_copper(
    bits: BinaryImage,
    basis: ComparisonBasis<'_>,
    watch: &mut impl StageWatch,
) -> Result<PreparedPicture, Incomparable> {
    if panel::is_large(&bits) {
        return panel::prepare_windows(&bits, basis, watch);
    }
    let LocatedPicture { pair, candidates, registration, coverage } =
        locate_in_copper(bits, basis, watch)?;
    let mut crops = CropBatch::default();
    for &centre in &candidates.centres {
        crops.push_bits(&pair, centre);
    }
    watch.stage_ended(Stage::Crops);
    let size = basis.golden.size;
    Ok(PreparedPicture { crops, registration, coverage, variant: 0, candidates, size })
}

/// All of a prepared picture but its crops.
pub(super) struct LocatedPicture {
    pub(super) pair: RegisteredPair,
    pub(super) candidates: Candidates,
    pub(super) registration: Registration,
    coverage: Coverage,
}

/// The candidates of a picture that is compared as a whole.
pub(super) fn locate_in_copper(
    bits: BinaryImage,
    basis: ComparisonBasis<'_>,
    watch: &mut impl StageWatch,
) -> Result<LocatedPicture, Incomparable> {
    let golden = basis.golden;
    let measured;
    let coarse = match &golden.coarse {
        Some(coarse) => coarse,
        None => {
            measured = CoarseCounts::from_image(&golden.bits);
            &measured
        }
    };
    let mut registered = register::register_picture(&bits, (&golden.bits, coarse), watch);
    let laid = basis.area.map(|area| area.lay_over(&registered.field));
    let mut score = registered.score;
    if let Some(laid) = &laid {
        let inspected = registered.leave_out(&bits, &laid.excluded);
        // What is left out does not have to agree.
        score = if score < MIN_SCORE { score.max(inspected) } else { score };
    }
    let aligned = registered.warped.fill_unknown_from(&bits);
    let tiles = || match &laid {
        Some(laid) => {
            AgreeingTiles::count(&bits.without(&laid.excluded), &aligned.without(&laid.excluded))
        }
        None => AgreeingTiles::count(&bits, &aligned),
    };
    if score < MIN_SCORE || (!golden.reading.is_binary() && !tiles().fit_everywhere()) {
        return Err(refusal::explain_refusal(&bits, &golden.bits, tiles(), score));
    }
    let bend = basis.check_bend(registered.field.bend())?;
    let size = (bits.width, bits.height);
    let mut tally = CoverageTally::new(size);
    let excluded = laid.as_ref().map(|laid| &laid.excluded);
    tally.add_window(&registered.warped.known, excluded, (0, 0), [0, 0, size.0, size.1]);
    let boxes = laid.iter().flat_map(|laid| &laid.boxes);
    tally.add_excluded_boxes(boxes.map(|reach| area::clip_reach(*reach, size)));
    let coverage = tally.into_coverage(ComparisonMethod::Copper)?;
    let pair = RegisteredPair { test: bits, golden: aligned };
    let mut candidates =
        candidates::find_candidates(&pair, golden.reading.is_binary(), laid.as_ref())?;
    candidates.excluded = laid.map(|laid| laid.excluded);
    watch.stage_ended(Stage::Candidates);
    let [dx, dy] = registered.field.middle_offset();
    let registration = Registration { dx, dy, score, bend: Some(bend) };
    Ok(LocatedPicture { pair, candidates, registration, coverage })
}
