//! What a part is inspected and judged by: thresholds, the area, the tolerated bend, the required views.
//!
//! Invariant: a revision of a recipe never changes. A new one is a new revision, with who, when and why in
//! the event; an inspection keeps the one that it was created with.

#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::vocabulary::vocabulary;
use crate::{Confidence, InspectedArea, Invalid};

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

/// The name of one view of a board, such as `top`: 1 to 32 of a–z, 0–9 and the hyphen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ViewName(String);

impl ViewName {
    /// The longest name, in characters.
    pub const CHARS_MAX: usize = 32;

    /// # Errors
    /// When the text is empty, longer than [`Self::CHARS_MAX`] or has another character.
    pub fn new(text: &str) -> Result<Self, Invalid> {
        let is_allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if (1..=Self::CHARS_MAX).contains(&text.len()) && text.bytes().all(is_allowed) {
            return Ok(Self(text.to_owned()));
        }
        Err(Invalid::new("view", "must be 1 to 32 characters of a-z, 0-9 and -"))
    }

    /// The name as typed.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ViewName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ViewName {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::new(text)
    }
}

impl TryFrom<String> for ViewName {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        Self::new(&text)
    }
}

impl From<ViewName> for String {
    fn from(name: ViewName) -> Self {
        name.0
    }
}

/// One immutable revision of a part's recipe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "StoredRecipe")]
pub struct Recipe {
    /// 1 for the first of a part; 0 for the factory recipe, which stands in for an unregistered part.
    pub revision: u32,
    /// Confidence from which a finding is a defect: the board fails.
    pub fail_at: Confidence,
    /// Confidence from which a finding is doubtful: the board goes to review.
    pub review_at: Confidence,
    /// What is inspected.
    pub area: InspectedArea,
    /// By how much a picture may bend against its golden sample, in pixels.
    pub bend_max_px: f32,
    /// The views that a board must show, each once; empty when they are not named.
    pub views: Vec<ViewName>,
}

impl Recipe {
    /// The most bend that may be tolerated, in pixels: registration follows no more.
    pub const BEND_MAX_PX: f32 = 10.0;
    /// The highest `review_at`: from there on a finding explains what differs where it lies, so it must not
    /// be one that decides nothing.
    pub const REVIEW_AT_MAX: Confidence = Confidence::HALF;
    /// The most views that may be named: an inspection takes no more pictures.
    pub const VIEWS_MAX: usize = 64;

    /// A recipe of these thresholds that inspects the whole of every picture.
    ///
    /// # Errors
    /// When `review_at` is above `fail_at` or [`Self::REVIEW_AT_MAX`]: such a recipe could pass what it
    /// should doubt.
    pub fn new(revision: u32, fail_at: Confidence, review_at: Confidence) -> Result<Self, Invalid> {
        if review_at > fail_at {
            return Err(Invalid::new("review_at", "must not be above fail_at"));
        }
        if review_at > Self::REVIEW_AT_MAX {
            return Err(Invalid::new("review_at", "must not be above 0.5"));
        }
        Ok(Self {
            revision,
            fail_at,
            review_at,
            area: InspectedArea::default(),
            bend_max_px: Self::BEND_MAX_PX,
            views: Vec::new(),
        })
    }

    /// What a part starts with: fail from 0.5, review from 0.25, all of every picture, unnamed views.
    #[must_use]
    pub fn factory(revision: u32) -> Self {
        Self {
            revision,
            fail_at: Confidence::HALF,
            review_at: Confidence::QUARTER,
            area: InspectedArea::default(),
            bend_max_px: Self::BEND_MAX_PX,
            views: Vec::new(),
        }
    }

    /// The same that inspects this area.
    #[must_use]
    pub fn with_area(self, area: InspectedArea) -> Self {
        Self { area, ..self }
    }

    /// The same that tolerates a bend of so many pixels.
    ///
    /// # Errors
    /// When it is not a number from 0 to [`Self::BEND_MAX_PX`].
    pub fn with_bend_max_px(self, bend_max_px: f32) -> Result<Self, Invalid> {
        if (0.0..=Self::BEND_MAX_PX).contains(&bend_max_px) {
            return Ok(Self { bend_max_px, ..self });
        }
        Err(Invalid::new("bend_max_px", "must be a number from 0 to 10"))
    }

    /// The same that demands these views of a board.
    ///
    /// # Errors
    /// When a view stands there twice, or there are more than [`Self::VIEWS_MAX`].
    pub fn with_views(self, views: Vec<ViewName>) -> Result<Self, Invalid> {
        if views.len() > Self::VIEWS_MAX {
            return Err(Invalid::new("views", "must not be more than 64"));
        }
        if views.iter().enumerate().any(|(n, view)| views[..n].contains(view)) {
            return Err(Invalid::new("views", "must name every view once"));
        }
        Ok(Self { views, ..self })
    }

    /// The same under another number.
    #[must_use]
    pub fn with_revision(self, revision: u32) -> Self {
        Self { revision, ..self }
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

/// A recipe as it stands in events and tables, before it is known to be one.
#[derive(Deserialize)]
struct StoredRecipe {
    revision: u32,
    fail_at: Confidence,
    review_at: Confidence,
    area: InspectedArea,
    bend_max_px: f32,
    views: Vec<ViewName>,
}

impl TryFrom<StoredRecipe> for Recipe {
    type Error = Invalid;

    fn try_from(stored: StoredRecipe) -> Result<Self, Invalid> {
        Self::new(stored.revision, stored.fail_at, stored.review_at)?
            .with_area(stored.area)
            .with_bend_max_px(stored.bend_max_px)?
            .with_views(stored.views)
    }
}

/// From the recipe of the oldest events, which had thresholds only, to today's: all of every picture is
/// inspected, as it was, and views have no names.
pub(crate) fn with_the_whole_picture(recipe: &mut serde_json::Value) {
    if let Some(fields) = recipe.as_object_mut() {
        let area =
            serde_json::json!({"region_of_interest": null, "keep_outs": [], "tolerated": []});
        fields.insert("area".to_owned(), area);
        fields.insert("bend_max_px".to_owned(), Recipe::BEND_MAX_PX.into());
        fields.insert("views".to_owned(), serde_json::json!([]));
    }
}
