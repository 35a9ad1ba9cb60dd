//! What is marked on the pictures: findings by their numbers, and differences that no finding explains by
//! theirs with a D before it.

use domain::report::{Report, ReportDefect, ReportDifference};
use domain::{ArtifactId, MillimetreBox, PixelBox};

use super::{MAX_BOXES, MAX_CARDS, words};

/// A place on a picture, and what to say of it.
pub(super) struct Mark {
    pub(super) artifact_id: ArtifactId,
    /// Its number as it is printed.
    pub(super) label: String,
    /// The class of a finding, the kind of a difference.
    pub(super) name: &'static str,
    /// The grade of a finding; a difference has none.
    pub(super) grade: &'static str,
    pub(super) bounds: PixelBox,
    /// The same on the board; `None` when the picture's scale is not known.
    pub(super) box_mm: Option<MillimetreBox>,
    /// What it means for the board.
    pub(super) consequence: String,
}

impl Mark {
    fn from_defect(defect: &ReportDefect, report: &Report) -> Self {
        Self {
            artifact_id: defect.artifact_id,
            label: defect.number.to_string(),
            name: defect.class.as_str(),
            grade: defect.grade.as_str(),
            bounds: defect.bounds,
            box_mm: defect.box_mm,
            consequence: words::describe_consequence(defect.confidence, &report.recipe),
        }
    }

    fn from_difference(difference: &ReportDifference) -> Self {
        Self {
            artifact_id: difference.artifact_id,
            label: format!("D{}", difference.number),
            name: difference.kind.as_str(),
            grade: "unexplained",
            bounds: difference.bounds,
            box_mm: difference.box_mm,
            consequence: words::describe_difference(difference),
        }
    }
}

/// The marks that have crops of their own: of the first findings, then of the first differences.
pub(super) fn marks_with_cards(report: &Report) -> Vec<Mark> {
    let defects = report.defects.iter().take(MAX_CARDS);
    let differences = report.differences.iter().take(MAX_CARDS);
    let defects = defects.map(|defect| Mark::from_defect(defect, report));
    defects.chain(differences.map(Mark::from_difference)).collect()
}

/// The marks that are drawn on a picture, and how many are not.
pub(super) fn marks_on_picture(report: &Report, id: ArtifactId) -> (Vec<Mark>, usize) {
    let defects: Vec<_> = report.defects.iter().filter(|d| d.artifact_id == id).collect();
    let differences: Vec<_> = report.differences.iter().filter(|d| d.artifact_id == id).collect();
    let drawn = defects.iter().take(MAX_BOXES).map(|defect| Mark::from_defect(defect, report));
    let drawn = drawn.chain(
        differences.iter().take(MAX_BOXES).map(|difference| Mark::from_difference(difference)),
    );
    let drawn: Vec<_> = drawn.collect();
    let undrawn = defects.len() + differences.len() - drawn.len();
    (drawn, undrawn)
}
