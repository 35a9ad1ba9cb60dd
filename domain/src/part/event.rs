//! What can have happened to a part, and under which names it is stored.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::aggregate::stored_events;
use crate::{ArtifactId, MediaType, PartNumber, Picture, Recipe};

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
    /// A golden sample was announced.
    #[serde(rename = "GoldenSampleReserved")]
    GoldenSampleReserved {
        /// The picture.
        artifact_id: ArtifactId,
        /// Its announced format.
        media_type: MediaType,
        /// Until when it may be uploaded.
        expires_at: DateTime<Utc>,
    },
    /// A golden sample is at rest and in force.
    #[serde(rename = "GoldenSampleRegistered")]
    GoldenSampleRegistered {
        /// The picture.
        artifact_id: ArtifactId,
        /// Its number within the part, from 1.
        revision: u32,
        /// What is known of it.
        #[serde(flatten)]
        picture: Picture,
    },
}

stored_events!(PartEvent {
    PART_REGISTERED: PartRegistered = "PartRegistered",
    GOLDEN_SAMPLE_RESERVED: GoldenSampleReserved = "GoldenSampleReserved",
    GOLDEN_SAMPLE_REGISTERED: GoldenSampleRegistered = "GoldenSampleRegistered",
});
