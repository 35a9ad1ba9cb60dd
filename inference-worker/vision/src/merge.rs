//! What the network's answers mean: the findings that come of them, one per place.

use domain::{Confidence, Defect, DefectClass, PixelBox, UnexplainedDifference};

use super::candidates::Candidates;

/// What came of a picture's answers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Findings {
    /// What the network names: most confident first, one per place.
    pub defects: Vec<Defect>,
    /// What differs and none of the defects explains.
    pub differences: Vec<UnexplainedDifference>,
}

/// Findings below this are dropped.
const CONFIDENCE_FLOOR: f32 = 0.05;
/// Of findings that overlap by more than this (intersection over union), the most confident one
/// stays.
const SAME_PLACE_IOU: f32 = 0.33;

/// A finding explains what differs within its box from this confidence on: it fails the board, or sends it to
/// review, under the thresholds that a part begins with. A doubtful one explains nothing.
const EXPLAINS_FROM: f32 = 0.5;

/// Number of probabilities per crop: background, then [`DefectClass::ALL`].
pub const CLASS_COUNT: usize = 7;

/// The network's answer for one crop.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CropOutput {
    /// Probabilities of background and of the classes in the order of [`DefectClass::ALL`].
    pub probabilities: [f32; CLASS_COUNT],
    /// Distances from the crop's centre to the box's left, top, right and bottom side, in pixels.
    pub sides: [f32; 4],
}

/// The number of answers is not the number of crops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{answers} answers for {crops} crops")]
pub struct CountMismatch {
    /// Crops of the board.
    pub crops: usize,
    /// Answers given.
    pub answers: usize,
}

/// The finding of one crop around `centre`; none when it is background, faint or without extent.
fn finding_from_output(
    output: &CropOutput,
    centre: (usize, usize),
    size: (u32, u32),
) -> Option<Defect> {
    let (class, probability) = DefectClass::ALL
        .into_iter()
        .zip(output.probabilities.into_iter().skip(1))
        .max_by(|a, b| a.1.total_cmp(&b.1))?;
    if probability.is_nan() || probability < CONFIDENCE_FLOOR {
        return None;
    }
    let confidence = Confidence::new(probability.min(1.0)).ok()?;
    let [left, top, right, bottom] = output.sides;
    let (x, width) = box_side(centre.0, (left, right), size.0)?;
    let (y, height) = box_side(centre.1, (top, bottom), size.1)?;
    Some(Defect { class, confidence, bounds: PixelBox { x, y, width, height } })
}

/// Start and length of a box along one axis, inside the picture.
fn box_side(centre: usize, (before, after): (f32, f32), length: u32) -> Option<(u32, u32)> {
    let centre = centre as f32;
    let low = (centre - before).round().clamp(0.0, length as f32) as u32;
    let high = (centre + after).round().clamp(0.0, length as f32) as u32;
    (high > low).then(|| (low, high - low))
}

/// Findings of a board of `size`, most confident first, one per place, and what none of them explains.
pub(super) fn merge_findings(
    Candidates { centres, significant }: &Candidates,
    outputs: &[CropOutput],
    size: (u32, u32),
) -> Result<Findings, CountMismatch> {
    if centres.len() != outputs.len() {
        return Err(CountMismatch { crops: centres.len(), answers: outputs.len() });
    }
    let mut found: Vec<Defect> = outputs
        .iter()
        .zip(centres)
        .filter_map(|(output, &centre)| finding_from_output(output, centre, size))
        .collect();
    found.sort_by(|a, b| b.confidence.get().total_cmp(&a.confidence.get()));
    let mut kept: Vec<Defect> = Vec::new();
    for defect in found {
        if kept.iter().all(|other| other.bounds.iou(&defect.bounds) <= SAME_PLACE_IOU) {
            kept.push(defect);
        }
    }
    let explained = |difference: &UnexplainedDifference| {
        let explains = |defect: &Defect| {
            let sure = defect.confidence.get() >= EXPLAINS_FROM;
            sure && defect.bounds.iou(&difference.bounds) > 0.0
        };
        kept.iter().any(explains)
    };
    let differences = significant.iter().filter(|difference| !explained(difference));
    Ok(Findings { differences: differences.copied().collect(), defects: kept })
}
