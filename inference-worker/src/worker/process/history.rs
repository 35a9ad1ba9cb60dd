//! What an inspection's stream says: its state, and which events ask for results.
//!
//! Invariant: the stream is read once. State and causes are of the same moment, so every picture that
//! the state knows as uploaded has its event here.

use std::collections::HashMap;

use domain::{Aggregate as _, ArtifactId, Inspection, InspectionEvent};
use platform::event_log::{Recorded, UndecodableEvent};

/// An inspection as its stream says.
#[derive(Debug, Default)]
pub(super) struct InspectionHistory {
    pub(super) state: Inspection,
    uploaded: HashMap<ArtifactId, Recorded>,
    inference_requested: Option<Recorded>,
}

impl InspectionHistory {
    /// Folds the events of one stream, from its beginning.
    pub(super) fn from_events(events: Vec<Recorded>) -> Result<Self, UndecodableEvent> {
        let mut history = Self::default();
        for recorded in events {
            let event = recorded.decode::<Inspection>()?;
            history.state.evolve(&event);
            match event {
                InspectionEvent::ArtifactUploaded { artifact_id, .. } => {
                    history.uploaded.insert(artifact_id, recorded);
                }
                InspectionEvent::InferenceRequested { .. } => {
                    history.inference_requested = Some(recorded);
                }
                _ => {}
            }
        }
        Ok(history)
    }

    /// The event that asks for the comparison of a picture: its upload.
    pub(super) fn upload_of(&self, artifact_id: ArtifactId) -> Option<&Recorded> {
        self.uploaded.get(&artifact_id)
    }

    /// The event after which no golden sample is waited for any more.
    pub(super) const fn inference_requested(&self) -> Option<&Recorded> {
        self.inference_requested.as_ref()
    }
}
