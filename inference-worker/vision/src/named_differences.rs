//! Photographs: what differs level by level, and crops around it by which the network may name it.
//!
//! What differs is decided by the pictures alone (`appearance`). The network gives names; what it does not
//! name stays a difference, and a name where nothing differs is dropped. The copper that is read from a
//! photograph says whether there is a board at all, and why one does not lie over its golden sample.

use domain::{ComparisonMethod, PixelBox, UnexplainedDifference};

use super::appearance::{BORDER, CountingPixels, GoldenPhotograph, RegisteredPhotograph};
use super::area::LaidArea;
use super::binary_image::BinaryImage;
use super::candidates::Candidates;
use super::coverage::{self, CoverageTally};
use super::crops::CropBatch;
use super::decode::ImageView;
use super::field;
use super::normalised_pair::NormalisedPair;
use super::refusal::{self, AgreeingTiles};
use super::stage::{Stage, StageWatch};
use super::{ComparisonBasis, Incomparable, MAX_CANDIDATES, PreparedPicture, area};

/// The widest margin of a photograph that is not inspected, in parts of its longer side: a board lies that much
/// off before the next shot, and what comes into the picture there is on no golden sample.
const MARGIN_PART: usize = 100;
/// A difference that is longer than this does not fit a crop and is looked at in pieces, in pixels.
const WHOLE_SIDE_MAX: u32 = 88;
/// Side of those pieces in pixels.
const PIECE_SIDE: u32 = 56;

/// Compares a photograph, of which `bits` is the copper, and cuts crops of its levels around what differs.
pub(super) fn prepare_photograph(
    test: ImageView<'_>,
    bits: BinaryImage,
    golden: &GoldenPhotograph,
    basis: ComparisonBasis<'_>,
    watch: &mut impl StageWatch,
) -> Result<PreparedPicture, Incomparable> {
    let size = test.dimensions();
    let counting = basis.area.map(CountingPixels::from_area).unwrap_or_default();
    let LaidPhotograph { registered, known, laid } =
        register((test, &bits), golden, (basis, &counting), watch)?;
    let registration = registered.registration();
    let compared = golden.find_differences(registered, &counting, basis.levels)?;
    let [significant, tolerated] = &compared.differences;
    if significant.len() > MAX_CANDIDATES {
        return Err(Incomparable::TooManyDifferences);
    }
    let border = compared.border();
    let whole = bits.size();
    // As far as the blur reaches, the comparison leaves out more along borders than the copper does.
    let known = (BORDER..border).fold(known, |known, _| known.eroded());
    let excluded = laid.as_ref().map(|laid| &laid.excluded);
    // As far as a blur shows what lies beyond the border, nothing can be told, wherever the board lies.
    let least = coverage::MARGIN + border - BORDER;
    let most = (whole.0.max(whole.1) / MARGIN_PART).max(coverage::MARGIN) + border - BORDER;
    let mut tally = CoverageTally::with_narrowest_margin(&known, excluded, (least, most));
    tally.add_window(&known, excluded, (0, 0), [0, 0, whole.0, whole.1]);
    let boxes = laid.iter().flat_map(|laid| &laid.boxes);
    tally.add_excluded_boxes(boxes.map(|reach| area::clip_reach(*reach, whole)));
    let coverage = tally.into_coverage(ComparisonMethod::Levels)?;
    watch.stage_ended(Stage::Candidates);
    let centres = crop_centres(significant.iter().chain(tolerated));
    let mut crops = CropBatch::default();
    if !centres.is_empty() {
        let levels = golden.normalise_levels(&compared, &counting);
        centres.iter().for_each(|&centre| crops.push_levels(&levels, centre));
    }
    let [significant, tolerated] = compared.differences;
    let excluded = laid.map(|laid| laid.excluded);
    let candidates =
        Candidates { centres, significant, tolerated, only_significant: true, excluded };
    watch.stage_ended(Stage::Crops);
    Ok(PreparedPicture { crops, registration, coverage, variant: 0, candidates, size })
}

/// The levels of a photograph and its golden sample as they are compared, and where to look at what differs.
pub(super) fn locate_differences(
    test: ImageView<'_>,
    bits: BinaryImage,
    golden: &GoldenPhotograph,
    basis: ComparisonBasis<'_>,
) -> Result<(NormalisedPair, Vec<(usize, usize)>), Incomparable> {
    let all = CountingPixels::default();
    let registered = register((test, &bits), golden, (basis, &all), &mut ())?.registered;
    let compared = golden.find_differences(registered, &all, basis.levels)?;
    let centres = crop_centres(compared.differences.iter().flatten());
    Ok((golden.normalise_levels(&compared, &all), centres))
}

/// A photograph that lies over its golden sample.
struct LaidPhotograph {
    registered: RegisteredPhotograph,
    /// Where the golden sample is known.
    known: BinaryImage,
    /// The area as it lies in the photograph.
    laid: Option<LaidArea>,
}

/// Lays a photograph, of which `bits` is the copper, over the golden sample.
fn register(
    (test, bits): (ImageView<'_>, &BinaryImage),
    golden: &GoldenPhotograph,
    (basis, counting): (ComparisonBasis<'_>, &CountingPixels),
    watch: &mut impl StageWatch,
) -> Result<LaidPhotograph, Incomparable> {
    let golden_bits = &basis.golden.bits;
    let registered = golden.register(test, counting);
    let laid = basis.area.map(|area| area.lay_over(registered.field()));
    let mut warped = field::warp_golden(golden_bits, registered.field());
    // The level by level comparison leaves out two pixels more along borders.
    let known = warped.known.eroded().eroded();
    watch.stage_ended(Stage::Register);
    if !registered.agrees() {
        laid.iter().for_each(|laid| warped.leave_out(&laid.excluded));
        let tiles = AgreeingTiles::count(bits, &warped.fill_unknown_from(bits));
        let score = registered.registration().score;
        return Err(refusal::explain_refusal(bits, golden_bits, tiles, score));
    }
    basis.check_bend(registered.field().bend())?;
    Ok(LaidPhotograph { registered, known, laid })
}

/// Where to look at differences, in their order: their middles, or the middles of their pieces.
fn crop_centres<'a>(
    differences: impl Iterator<Item = &'a UnexplainedDifference>,
) -> Vec<(usize, usize)> {
    let centres = differences.flat_map(|difference| {
        let PixelBox { x, y, width, height } = difference.bounds;
        let pieces = if width.max(height) <= WHOLE_SIDE_MAX {
            [1, 1]
        } else {
            [width, height].map(|length| length.div_ceil(PIECE_SIDE))
        };
        let middle = |start: u32, length: u32, piece: u32, pieces: u32| {
            (start + length * (2 * piece + 1) / (2 * pieces)) as usize
        };
        (0..pieces[1]).flat_map(move |row| {
            (0..pieces[0]).map(move |column| {
                (middle(x, width, column, pieces[0]), middle(y, height, row, pieces[1]))
            })
        })
    });
    centres.take(MAX_CANDIDATES).collect()
}
