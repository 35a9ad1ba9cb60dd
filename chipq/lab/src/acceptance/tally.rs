//! Counting: findings against labels, and findings against findings.

use boards::LabelClass;
use domain::{Defect, Grade, PixelBox, Recipe};
use serde::Serialize;
use vision::Findings;

/// Boxes that overlap by more than this (intersection over union) are one place, as in DeepPCB's
/// protocol.
const SAME_PLACE_IOU: f32 = 0.33;

/// Findings held against labels. A finding counts from the recipe's `fail_at`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct LabelTally {
    /// Labelled defects with a finding at their place.
    pub found: usize,
    /// Of these, findings of the label's class.
    pub named: usize,
    /// Findings where nothing is labelled.
    pub false_calls: usize,
    /// Places where nothing is labelled and a person has to look: findings from `review_at` up to
    /// `fail_at`, and differences that nothing explains.
    pub doubts: usize,
}

impl LabelTally {
    /// Adds a board: each label takes the most confident finding at its place that none took yet.
    pub(super) fn add(
        &mut self,
        findings: &[Defect],
        labels: &[(LabelClass, PixelBox)],
        recipe: &Recipe,
    ) {
        let mut open: Vec<_> = labels.iter().collect();
        // Most confident first, as `PreparedPicture::merge_answers` gives them.
        for finding in findings.iter().filter(|f| recipe.grade(f.confidence) == Grade::Defect) {
            let near = best_overlap(&open, |(_, bounds)| bounds.iou(&finding.bounds));
            match near.map(|at| open.swap_remove(at)) {
                Some((class, _)) => {
                    self.found += 1;
                    self.named += usize::from(*class == LabelClass::Named(finding.class));
                }
                None => self.false_calls += 1,
            }
        }
    }
}

impl LabelTally {
    /// Adds the doubts about a board.
    pub(super) fn add_doubts(
        &mut self,
        findings: &Findings,
        labels: &[(LabelClass, PixelBox)],
        recipe: &Recipe,
    ) {
        let is_labelled = |place: &PixelBox| labels.iter().any(|(_, label)| label.iou(place) > 0.0);
        let doubtful = findings
            .defects
            .iter()
            .filter(|found| recipe.grade(found.confidence) == Grade::Doubtful);
        let places = doubtful.map(|found| &found.bounds);
        let places = places.chain(findings.differences.iter().map(|differs| &differs.bounds));
        self.doubts += places.filter(|place| !is_labelled(place)).count();
    }
}

/// Findings of two models held against each other. A finding counts from the recipe's `review_at`;
/// what is just below it in the other model still is its partner.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct FindingMatches {
    /// Places where both have a finding of one class.
    pub matched: usize,
    /// Places where both have a finding, of different classes.
    pub renamed: usize,
    /// Findings of the model in use alone.
    pub only_old: usize,
    /// Findings of the new model alone.
    pub only_new: usize,
    /// The largest difference of confidence at a matched place, 0 to 1.
    pub largest_confidence_difference: f32,
}

impl FindingMatches {
    pub(super) fn add(&mut self, old: &[Defect], new: &[Defect], recipe: &Recipe) {
        let counts = |finding: &Defect| recipe.grade(finding.confidence) > Grade::Negligible;
        let mut open: Vec<_> = new.iter().collect();
        for finding in old {
            let near = best_overlap(&open, |other| other.bounds.iou(&finding.bounds));
            match near.map(|at| open.swap_remove(at)) {
                Some(other) if counts(finding) || counts(other) => {
                    if finding.class == other.class {
                        self.matched += 1;
                    } else {
                        self.renamed += 1;
                    }
                    let apart = (finding.confidence.get() - other.confidence.get()).abs();
                    let largest = &mut self.largest_confidence_difference;
                    *largest = largest.max(apart);
                }
                Some(_) => {}
                None => self.only_old += usize::from(counts(finding)),
            }
        }
        self.only_new += open.into_iter().filter(|finding| counts(finding)).count();
    }
}

/// The one that overlaps most, if by more than [`SAME_PLACE_IOU`].
fn best_overlap<T>(open: &[T], overlap: impl Fn(&T) -> f32) -> Option<usize> {
    let near = open.iter().enumerate().map(|(at, one)| (at, overlap(one)));
    let near = near.filter(|(_, overlap)| *overlap > SAME_PLACE_IOU);
    near.max_by(|a, b| a.1.total_cmp(&b.1)).map(|(at, _)| at)
}

#[cfg(test)]
mod tests {
    use domain::{Confidence, DefectClass};

    use super::*;

    fn place(x: u32) -> PixelBox {
        PixelBox { x, y: 0, width: 10, height: 10 }
    }

    fn finding(class: DefectClass, confidence: f32, x: u32) -> Defect {
        Defect { class, confidence: Confidence::new(confidence).unwrap(), bounds: place(x) }
    }

    #[test]
    fn a_label_is_found_once_and_what_is_left_is_a_false_call() {
        let labels = [DefectClass::Open, DefectClass::Short].map(LabelClass::Named);
        let labels = [(labels[0], place(0)), (labels[1], place(100))];
        let findings = [
            finding(DefectClass::Open, 0.9, 1),
            finding(DefectClass::Spur, 0.8, 101),
            finding(DefectClass::Open, 0.7, 2),
            finding(DefectClass::Short, 0.49, 100),
        ];
        let mut found = LabelTally::default();
        found.add(&findings, &labels, &Recipe::factory(1));
        assert_eq!(found, LabelTally { found: 2, named: 1, false_calls: 1, doubts: 0 });
    }

    #[test]
    fn what_a_person_would_look_at_is_a_doubt_unless_something_is_labelled_there() {
        let labels = [(LabelClass::Named(DefectClass::Open), place(0))];
        let defects = vec![
            finding(DefectClass::Open, 0.3, 1),
            finding(DefectClass::Spur, 0.3, 100),
            finding(DefectClass::Spur, 0.9, 200),
            finding(DefectClass::Spur, 0.1, 300),
        ];
        let findings = Findings { defects, differences: Vec::new() };
        let mut found = LabelTally::default();
        found.add_doubts(&findings, &labels, &Recipe::factory(1));
        assert_eq!(found, LabelTally { doubts: 1, ..LabelTally::default() });
    }

    #[test]
    fn findings_are_paired_by_place_and_faint_ones_do_not_count() {
        let old = [
            finding(DefectClass::Open, 0.9, 0),
            finding(DefectClass::Spur, 0.26, 100),
            finding(DefectClass::Copper, 0.6, 200),
            finding(DefectClass::Copper, 0.1, 300),
        ];
        let new = [
            finding(DefectClass::Open, 0.8, 1),
            finding(DefectClass::Short, 0.24, 101),
            finding(DefectClass::PinHole, 0.3, 400),
        ];
        let mut matches = FindingMatches::default();
        matches.add(&old, &new, &Recipe::factory(1));
        assert!((matches.largest_confidence_difference - 0.1).abs() < 1e-6);
        matches.largest_confidence_difference = 0.0;
        let expected =
            FindingMatches { matched: 1, renamed: 1, only_old: 1, only_new: 1, ..matches };
        assert_eq!(matches, expected);
    }
}
