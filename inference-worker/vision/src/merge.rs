//! What the network's answers mean: the findings that come of them, one per place.

use domain::{Confidence, Defect, DefectClass, PixelBox, Recipe, UnexplainedDifference};

use super::binary_image::BinaryImage;
use super::candidates::Candidates;

/// What came of a picture's answers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Findings {
    /// What the network names: most confident first, one per place.
    pub defects: Vec<Defect>,
    /// What differs and none of the defects explains.
    pub differences: Vec<UnexplainedDifference>,
}

/// A class that has this much of an answer is doubted at least, and its probability is the confidence. Where
/// so many share what is found that none has, it would count as nothing: then all of them together are.
const NAMED_FROM: Confidence = Confidence::QUARTER;
/// Findings below this are dropped.
const CONFIDENCE_FLOOR: f32 = 0.05;
/// Of findings that overlap by more than this (intersection over union), the most confident one
/// stays.
const SAME_PLACE_IOU: f32 = 0.33;

/// A finding explains what differs within its box from this confidence on: whatever the recipe, it sends the
/// board to review at least. A more doubtful one explains nothing.
const EXPLAINS_FROM: Confidence = Recipe::REVIEW_AT_MAX;

/// Number of probabilities per crop: background, then [`DefectClass::ALL`].
pub const CLASS_COUNT: usize = 1 + DefectClass::ALL.len();

/// The network's answer for one crop.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CropOutput {
    /// Probabilities of background and of the classes in the order of [`DefectClass::ALL`].
    pub probabilities: [f32; CLASS_COUNT],
    /// Distances from the crop's centre to the box's left, top, right and bottom side, in pixels.
    pub sides: [f32; 4],
}

/// Why answers cannot be made findings of: they are not answers to these crops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnusableAnswers {
    /// There are more or fewer answers than crops.
    #[error("{answers} answers for {crops} crops")]
    Count {
        /// Crops of the board.
        crops: usize,
        /// Answers given.
        answers: usize,
    },
    /// The probability of background is none.
    #[error("answer {answer} gives no probability of background")]
    Probability {
        /// Which, from 0.
        answer: usize,
    },
    /// Something was found, and its box has no extent within the picture.
    #[error("answer {answer} finds something, and its box has no extent within the picture")]
    NoExtent {
        /// Which, from 0.
        answer: usize,
    },
}

/// The finding that answer number `answer` makes of the crop around `centre`; none when it is background.
///
/// What the network does not call background is a finding, however it is divided among the classes; it
/// bears the name of the strongest. Its confidence is that class's probability, or, when no class has a
/// part that counts, what is not background.
fn finding_from_output(
    (answer, output): (usize, &CropOutput),
    centre: (usize, usize),
    size: (u32, u32),
) -> Result<Option<Defect>, UnusableAnswers> {
    let [background, classes @ ..] = output.probabilities;
    let strongest = DefectClass::ALL.into_iter().zip(classes).max_by(|a, b| a.1.total_cmp(&b.1));
    let Ok(something) = Confidence::new(1.0 - background) else {
        return Err(UnusableAnswers::Probability { answer });
    };
    let Some((class, probability)) = strongest.filter(|_| something.get() >= CONFIDENCE_FLOOR)
    else {
        return Ok(None);
    };
    let named = Confidence::new(probability).ok().filter(|named| *named >= NAMED_FROM);
    let confidence = named.unwrap_or(something);
    let [left, top, right, bottom] = output.sides;
    let across = box_side(centre.0, (left, right), size.0);
    let down = box_side(centre.1, (top, bottom), size.1);
    let (Some((x, width)), Some((y, height))) = (across, down) else {
        return Err(UnusableAnswers::NoExtent { answer });
    };
    Ok(Some(Defect { class, confidence, bounds: PixelBox { x, y, width, height } }))
}

/// The finding, if it lies at least partly where the picture is inspected. One that was made of a difference
/// there and is boxed beside it, in a keep-out, is boxed so that it holds the place that was looked at.
fn keep_inspected(
    finding: Defect,
    (x, y): (usize, usize),
    excluded: Option<&BinaryImage>,
) -> Option<Defect> {
    let Some(excluded) = excluded.filter(|excluded| excluded.holds_box(&finding.bounds)) else {
        return Some(finding);
    };
    let bounds = finding.bounds;
    let side = |start: u32, length: u32, at: u32| {
        let (low, high) = (start.min(at), (start + length).max(at + 1));
        (low, high - low)
    };
    let (x, width) = side(bounds.x, bounds.width, x as u32);
    let (y, height) = side(bounds.y, bounds.height, y as u32);
    let bounds = PixelBox { x, y, width, height };
    (!excluded.holds_box(&bounds)).then_some(Defect { bounds, ..finding })
}

/// Start and length of a box along one axis, inside the picture: what has any extent there is at least a
/// pixel long.
fn box_side(centre: usize, (before, after): (f32, f32), length: u32) -> Option<(u32, u32)> {
    let (centre, end) = (centre as f32, length as f32);
    let (low, high) = ((centre - before).clamp(0.0, end), (centre + after).clamp(0.0, end));
    if high.total_cmp(&low).is_le() || length == 0 {
        return None;
    }
    let start = (low.round() as u32).min(length - 1);
    Some((start, (high.round() as u32).max(start + 1) - start))
}

/// Findings of a board of `size`, most confident first, one per place, and what none of them explains.
pub(super) fn merge_findings(
    candidates: &Candidates,
    outputs: &[CropOutput],
    size: (u32, u32),
) -> Result<Findings, UnusableAnswers> {
    let Candidates { centres, significant, tolerated, only_significant, excluded } = candidates;
    if centres.len() != outputs.len() {
        return Err(UnusableAnswers::Count { crops: centres.len(), answers: outputs.len() });
    }
    let mut found: Vec<Defect> = Vec::new();
    for (output, &centre) in outputs.iter().enumerate().zip(centres) {
        let finding = finding_from_output(output, centre, size)?;
        found
            .extend(finding.and_then(|finding| keep_inspected(finding, centre, excluded.as_ref())));
    }
    found.sort_by(|a, b| b.confidence.get().total_cmp(&a.confidence.get()));
    let mut kept: Vec<Defect> = Vec::new();
    for defect in found {
        if kept.iter().all(|other| other.bounds.iou(&defect.bounds) <= SAME_PLACE_IOU) {
            kept.push(defect);
        }
    }
    let touch = |defect: &Defect, difference: &UnexplainedDifference| {
        defect.bounds.iou(&difference.bounds) > 0.0
    };
    if *only_significant {
        let differing = significant.iter().chain(tolerated);
        kept.retain(|defect| differing.clone().any(|difference| touch(defect, difference)));
    }
    let explained = |difference: &UnexplainedDifference| {
        let mut sure = kept.iter().filter(|defect| defect.confidence >= EXPLAINS_FROM);
        sure.any(|defect| touch(defect, difference))
    };
    let differences = significant.iter().filter(|difference| !explained(difference));
    Ok(Findings { differences: differences.copied().collect(), defects: kept })
}
