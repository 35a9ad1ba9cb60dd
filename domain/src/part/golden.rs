//! Golden samples: what each is for, and which of them are in force for a view.
//!
//! Invariant: which golden samples are in force at a revision never changes; what comes later is later.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::inspection::GoldenReference;
use crate::vocabulary::vocabulary;
use crate::{ArtifactId, Invalid, MediaType, Picture, PixelScale, ViewName};

vocabulary! {
    /// What a golden sample is for.
    pub enum GoldenSampleUse ("use") {
        /// It takes the place of all before it, of its view.
        Replacement = "replacement",
        /// It stands beside the one in force, such as for another solder colour; the best match decides.
        Variant = "variant",
        /// A good board. Where good boards differ, the tolerance is wider; findings are never relative to
        /// it.
        AcceptedBoard = "accepted-board",
    }
}

impl GoldenSampleUse {
    /// How many of them stand beside one golden sample at most.
    #[must_use]
    pub const fn max_in_force(self) -> usize {
        match self {
            Self::Replacement => 1,
            Self::Variant => 8,
            Self::AcceptedBoard => 32,
        }
    }
}

/// What a golden sample was announced for, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoldenPurpose {
    /// What it is for.
    #[serde(rename = "use")]
    pub usage: GoldenSampleUse,
    /// The view of the board that it shows; `None` where views have no names.
    pub view: Option<ViewName>,
    /// Why, in the words of whoever announced it.
    pub reason: Option<String>,
}

impl GoldenPurpose {
    /// # Errors
    /// When there is no reason for a variant or an accepted board: they let more pass.
    pub fn new(
        usage: GoldenSampleUse,
        view: Option<ViewName>,
        reason: Option<String>,
    ) -> Result<Self, Invalid> {
        match (usage, &reason) {
            (GoldenSampleUse::Replacement, _) | (_, Some(_)) => Ok(Self { usage, view, reason }),
            (GoldenSampleUse::Variant | GoldenSampleUse::AcceptedBoard, None) => {
                Err(Invalid::new("reason", "must be given for a variant and an accepted board"))
            }
        }
    }
}

/// A golden sample that was announced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoldenReservation {
    /// The format that was announced.
    pub media_type: MediaType,
    /// What it was announced for.
    pub purpose: GoldenPurpose,
    /// The scale that it was announced with.
    pub pixels_per_millimetre: Option<PixelScale>,
    /// When the upload URL ends.
    pub expires_at: DateTime<Utc>,
}

/// The picture of a board known to be right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoldenSample {
    /// The picture's id.
    pub artifact_id: ArtifactId,
    /// Its number within the part, from 1.
    pub revision: u32,
    /// What it is for.
    pub purpose: GoldenPurpose,
    /// The scale that it was announced with; `None` when nobody stated it.
    pub pixels_per_millimetre: Option<PixelScale>,
    /// What is known of the picture.
    pub picture: Picture,
    /// Whether its file was given up: its retention period is over.
    pub is_retired: bool,
}

impl GoldenSample {
    /// How results refer to it.
    #[must_use]
    pub const fn reference(&self) -> GoldenReference {
        GoldenReference {
            artifact_id: self.artifact_id,
            revision: self.revision,
            sha256: self.picture.sha256,
        }
    }
}

/// The golden samples that pictures of one view are compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoldenSet<'a> {
    /// The one that took the place of all before it.
    pub golden: &'a GoldenSample,
    /// What stands beside it, oldest first: at most [`GoldenSampleUse::max_in_force`].
    pub variants: Vec<&'a GoldenSample>,
    /// Good boards, oldest first: at most [`GoldenSampleUse::max_in_force`].
    pub accepted_boards: Vec<&'a GoldenSample>,
}

impl<'a> GoldenSet<'a> {
    /// The golden samples of `view` that were in force when `revision` was the latest of `samples`, which
    /// are in the order of their revisions.
    pub(super) fn in_force(
        samples: &'a [GoldenSample],
        view: Option<&ViewName>,
        revision: u32,
    ) -> Option<Self> {
        let of_view = |sample: &&GoldenSample| {
            sample.revision <= revision && sample.purpose.view.as_ref() == view
        };
        let mut in_force: Option<Self> = None;
        for sample in samples.iter().filter(of_view) {
            match (&mut in_force, sample.purpose.usage) {
                (set, GoldenSampleUse::Replacement) => {
                    let (variants, accepted_boards) = (Vec::new(), Vec::new());
                    *set = Some(Self { golden: sample, variants, accepted_boards });
                }
                (Some(set), GoldenSampleUse::Variant) => set.variants.push(sample),
                (Some(set), GoldenSampleUse::AcceptedBoard) => set.accepted_boards.push(sample),
                // Beside nothing; no command leads here.
                (None, GoldenSampleUse::Variant | GoldenSampleUse::AcceptedBoard) => {}
            }
        }
        in_force
    }

    /// How many of this use are in it.
    pub(super) const fn count(&self, usage: GoldenSampleUse) -> usize {
        match usage {
            GoldenSampleUse::Replacement => 1,
            GoldenSampleUse::Variant => self.variants.len(),
            GoldenSampleUse::AcceptedBoard => self.accepted_boards.len(),
        }
    }
}
