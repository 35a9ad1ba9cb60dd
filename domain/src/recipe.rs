//! A part's inspection recipe: the thresholds by which pictures are judged. A revision never changes.

use serde::{Deserialize, Serialize};

use crate::vocabulary::vocabulary;
use crate::{Confidence, Invalid};

vocabulary! {
    /// What a confidence means under a recipe.
    pub enum Grade ("grade") {
        /// Below `review_at`: kept in the event, shown nowhere, decides nothing.
        Negligible = "negligible",
        /// From `review_at`: a person has to look.
        Doubtful = "doubtful",
        /// From `fail_at`: the board fails.
        Defect = "defect",
    }
}

/// One immutable revision of a part's recipe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// 1 for the first of a part; 0 for the factory recipe, which stands in for an unregistered part.
    pub revision: u32,
    /// Confidence from which a finding is a defect: the board fails.
    pub fail_at: Confidence,
    /// Confidence from which a finding is doubtful: the board goes to review.
    pub review_at: Confidence,
}

impl Recipe {
    /// A recipe whose thresholds are in order.
    ///
    /// # Errors
    /// When `review_at` is above `fail_at`: such a recipe could pass what it should doubt.
    pub fn new(revision: u32, fail_at: Confidence, review_at: Confidence) -> Result<Self, Invalid> {
        if review_at > fail_at {
            return Err(Invalid::new("review_at", "must not be above fail_at"));
        }
        Ok(Self { revision, fail_at, review_at })
    }

    /// The thresholds that a part starts with: fail from 0.5, review from 0.25.
    #[must_use]
    pub fn factory(revision: u32) -> Self {
        Self { revision, fail_at: Confidence::HALF, review_at: Confidence::QUARTER }
    }

    /// What `confidence` means under this recipe.
    #[must_use]
    pub fn grade(&self, confidence: Confidence) -> Grade {
        if confidence >= self.fail_at {
            Grade::Defect
        } else if confidence >= self.review_at {
            Grade::Doubtful
        } else {
            Grade::Negligible
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn confidence(value: f32) -> Confidence {
        Confidence::new(value).unwrap()
    }

    #[test]
    fn a_recipe_doubts_no_later_than_it_fails() {
        assert!(Recipe::new(1, confidence(0.5), confidence(0.5)).is_ok());
        let refused = Recipe::new(1, confidence(0.5), confidence(0.51)).unwrap_err();
        assert_eq!(refused.to_string(), "review_at must not be above fail_at");
    }

    #[test]
    fn the_factory_recipe_fails_from_one_half_and_doubts_from_one_quarter() {
        let factory = Recipe::factory(7);
        assert_eq!(
            (factory.revision, factory.fail_at.get(), factory.review_at.get()),
            (7, 0.5, 0.25)
        );
    }

    #[test]
    fn a_threshold_belongs_to_the_grade_above_it() {
        let grade = |value| Recipe::factory(1).grade(confidence(value)).as_str();
        assert_eq!(
            [0.0, 0.2499, 0.25, 0.4999, 0.5, 1.0].map(grade),
            ["negligible", "negligible", "doubtful", "doubtful", "defect", "defect",]
        );
    }

    proptest! {
        #[test]
        fn more_confidence_is_never_a_lesser_grade(
            thresholds in (0.0_f32..=1.0, 0.0_f32..=1.0),
            confidences in (0.0_f32..=1.0, 0.0_f32..=1.0),
        ) {
            let (fail_at, review_at) = thresholds;
            if let Ok(recipe) = Recipe::new(1, confidence(fail_at), confidence(review_at)) {
                let (less, more) = (confidences.0.min(confidences.1), confidences.0.max(confidences.1));
                prop_assert!(recipe.grade(confidence(less)) <= recipe.grade(confidence(more)));
            }
        }
    }
}
