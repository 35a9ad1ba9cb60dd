//! Photographs: what differs level by level, and crops of copper around it by which the network may name it.
//!
//! What differs is decided by the pictures alone (`appearance`). The network, which was trained on copper,
//! gives names; what it does not name stays a difference, and what it names where nothing differs is dropped:
//! the copper read from a photograph has flaws of its own.

use domain::{PixelBox, UnexplainedDifference};

use super::appearance::{GoldenPhotograph, RegisteredPhotograph};
use super::binary_image::BinaryImage;
use super::candidates::Candidates;
use super::coverage::CoverageTally;
use super::crops::{CropBatch, RegisteredPair};
use super::decode::ImageView;
use super::field;
use super::normalised_pair::NormalisedPair;
use super::refusal::{self, AgreeingTiles};
use super::stage::{Stage, StageWatch};
use super::{BEND_MAX, Incomparable, MAX_CANDIDATES, PreparedPicture};

/// The margin of a photograph that is not inspected, in parts of its longer side: a board lies that much off
/// before the next shot, and what comes into the picture there is on no golden sample.
const MARGIN_PART: usize = 100;
/// A difference that is longer than this does not fit a crop and is looked at in pieces, in pixels.
const WHOLE_SIDE_MAX: u32 = 88;
/// Side of those pieces in pixels.
const PIECE_SIDE: u32 = 56;

/// Compares a photograph, of which `bits` is the copper, and cuts crops around what differs.
pub(super) fn prepare_photograph(
    test: ImageView<'_>,
    bits: BinaryImage,
    (golden_bits, golden): (&BinaryImage, &GoldenPhotograph),
    watch: &mut impl StageWatch,
) -> Result<PreparedPicture, Incomparable> {
    let size = test.dimensions();
    let (registered, pair, known) = register(test, bits, (golden_bits, golden), watch)?;
    let registration = registered.registration();
    let differences = golden.find_differences(registered)?;
    if differences.len() > MAX_CANDIDATES {
        return Err(Incomparable::TooManyDifferences);
    }
    let whole = pair.size();
    let margin = whole.0.max(whole.1) / MARGIN_PART;
    let mut tally = CoverageTally::with_margin(whole, margin);
    tally.add_window(&known, (0, 0), [0, 0, whole.0, whole.1]);
    let coverage = tally.into_coverage()?;
    watch.stage_ended(Stage::Candidates);
    let centres = crop_centres(&differences);
    let candidates = Candidates { centres, significant: differences, only_significant: true };
    let mut crops = CropBatch::default();
    for &centre in &candidates.centres {
        crops.push(&pair, centre);
    }
    watch.stage_ended(Stage::Crops);
    Ok(PreparedPicture { crops, registration, coverage, candidates, size })
}

/// The levels of a photograph and its golden sample as they are compared, and where to look at what differs.
pub(super) fn locate_differences(
    test: ImageView<'_>,
    bits: BinaryImage,
    (golden_bits, golden): (&BinaryImage, &GoldenPhotograph),
) -> Result<(NormalisedPair, Vec<(usize, usize)>), Incomparable> {
    let (registered, ..) = register(test, bits, (golden_bits, golden), &mut ())?;
    let (differences, levels) = golden.find_differences_and_levels(registered)?;
    Ok((levels, crop_centres(&differences)))
}

/// A photograph that lies over its golden sample, the copper of both, and where the latter is known.
fn register(
    test: ImageView<'_>,
    bits: BinaryImage,
    (golden_bits, golden): (&BinaryImage, &GoldenPhotograph),
    watch: &mut impl StageWatch,
) -> Result<(RegisteredPhotograph, RegisteredPair, BinaryImage), Incomparable> {
    let registered = golden.register(test);
    let warped = field::warp_golden(golden_bits, registered.field());
    // The level by level comparison leaves out two pixels more along borders.
    let known = warped.known.eroded().eroded();
    let pair = RegisteredPair { golden: warped.fill_unknown_from(&bits), test: bits };
    watch.stage_ended(Stage::Register);
    if !registered.agrees() {
        let score = registered.registration().score;
        let tiles = AgreeingTiles::count(&pair.test, &pair.golden);
        return Err(refusal::explain_refusal(&pair.test, golden_bits, tiles, score));
    }
    let bend = registered.field().bend();
    if bend > BEND_MAX {
        return Err(Incomparable::Bent { bend });
    }
    Ok((registered, pair, known))
}

/// Where to look at differences, the strongest first: their middles, or the middles of their pieces.
fn crop_centres(differences: &[UnexplainedDifference]) -> Vec<(usize, usize)> {
    let centres = differences.iter().flat_map(|difference| {
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
