//! What can have happened to the retention policy, and under which names it is stored.

use serde::{Deserialize, Serialize};

use super::RetentionPeriods;
use crate::aggregate::stored_events;

/// The events of the policy's stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum PictureRetentionEvent {
    /// Another policy is in force.
    #[serde(rename = "PictureRetentionRevised")]
    PictureRetentionRevised {
        /// Its number, from 1.
        revision: u32,
        /// How long pictures are kept by it: the whole policy.
        #[serde(flatten)]
        periods: RetentionPeriods,
        /// Why, in the words of whoever revised it.
        reason: String,
    },
}

stored_events!(PictureRetentionEvent {
    PICTURE_RETENTION_REVISED: PictureRetentionRevised = "PictureRetentionRevised",
});
