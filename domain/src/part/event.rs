//! What can have happened to a part, and under which names it is stored.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::golden::{GoldenPurpose, GoldenSampleUse};
use crate::aggregate::stored_events;
use crate::recipe::with_the_whole_picture;
use crate::scale::without_scale;
use crate::{ArtifactId, MediaType, PartNumber, Picture, PixelScale, Recipe};

/// The events of a part's stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum PartEvent {
    /// A part was registered, with its first recipe.
    #[serde(rename = "PartRegistered")]
    PartRegistered {
        /// The part number.
        part: PartNumber,
        /// Its first recipe.
        recipe: Recipe,
    },
    /// A new revision of the recipe is in force.
    #[serde(rename = "RecipeRevised")]
    RecipeRevised {
        /// The whole recipe under its new number.
        recipe: Recipe,
        /// Why, in the words of whoever revised it.
        reason: String,
    },
    /// A golden sample was announced.
    #[serde(rename = "GoldenSampleReserved")]
    GoldenSampleReserved {
        /// The picture.
        artifact_id: ArtifactId,
        /// Its announced format.
        media_type: MediaType,
        /// What it is for.
        #[serde(flatten)]
        purpose: GoldenPurpose,
        /// Its scale; `None` when nobody stated it.
        pixels_per_millimetre: Option<PixelScale>,
        /// Until when it may be uploaded.
        expires_at: DateTime<Utc>,
    },
    /// An announced golden sample that did not come yet may come later.
    #[serde(rename = "GoldenSampleReservationRenewed")]
    GoldenSampleReservationRenewed {
        /// The picture.
        artifact_id: ArtifactId,
        /// Until when it may be uploaded now.
        expires_at: DateTime<Utc>,
    },
    /// The announcement of a golden sample was taken back.
    #[serde(rename = "GoldenSampleReservationCancelled")]
    GoldenSampleReservationCancelled {
        /// The picture.
        artifact_id: ArtifactId,
    },
    /// A golden sample is at rest, and in force for what it is for.
    #[serde(rename = "GoldenSampleRegistered")]
    GoldenSampleRegistered {
        /// The picture.
        artifact_id: ArtifactId,
        /// Its number within the part, from 1.
        revision: u32,
        /// What it is for.
        #[serde(flatten)]
        purpose: GoldenPurpose,
        /// Its scale; `None` when nobody stated it.
        pixels_per_millimetre: Option<PixelScale>,
        /// What is known of it.
        #[serde(flatten)]
        picture: Picture,
    },
    /// The files of golden samples are given up that another took the place of: their retention period is over. What
    /// is known of them stays.
    #[serde(rename = "GoldenSamplesRetired")]
    GoldenSamplesRetired {
        /// The golden samples, oldest first.
        artifacts: Vec<ArtifactId>,
        /// The revision of the one that took their place.
        superseded_by: u32,
        /// The revision of the retention policy that said so.
        policy_revision: u32,
    },
}

stored_events!(PartEvent {
    PART_REGISTERED: PartRegistered = "PartRegistered" upcast [with_thresholds_only],
    RECIPE_REVISED: RecipeRevised = "RecipeRevised",
    GOLDEN_SAMPLE_RESERVED: GoldenSampleReserved = "GoldenSampleReserved" upcast [as_a_replacement, without_scale],
    GOLDEN_SAMPLE_RESERVATION_RENEWED: GoldenSampleReservationRenewed = "GoldenSampleReservationRenewed",
    GOLDEN_SAMPLE_RESERVATION_CANCELLED: GoldenSampleReservationCancelled = "GoldenSampleReservationCancelled",
    GOLDEN_SAMPLE_REGISTERED: GoldenSampleRegistered = "GoldenSampleRegistered" upcast [as_a_replacement, without_scale],
    GOLDEN_SAMPLES_RETIRED: GoldenSamplesRetired = "GoldenSamplesRetired",
});

/// From version 1, whose recipe had thresholds only, to version 2.
fn with_thresholds_only(mut payload: Value) -> Value {
    with_the_whole_picture(&mut payload["recipe"]);
    payload
}

/// From version 1, when every golden sample took the place of the one before and views had no names, to
/// version 2.
fn as_a_replacement(mut payload: Value) -> Value {
    payload["use"] = GoldenSampleUse::Replacement.as_str().into();
    payload["view"] = Value::Null;
    payload["reason"] = Value::Null;
    payload
}
