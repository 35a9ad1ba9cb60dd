//! Whom and which inspection an event is by or about: what trails are found by.

use std::collections::BTreeSet;

use domain::{
    ANYBODY, AccessAttemptEvent, AccessAttempts, AccessControl, Aggregate as _, Inspection,
    ProjectionRepair,
};
use platform::event_log::{Recorded, StoredPayload};
use serde_json::Value;
use uuid::Uuid;

/// What an event is by or about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Concerns {
    /// Accounts, clients, operators and parts of the platform.
    pub subjects: BTreeSet<String>,
    /// The inspection's id.
    pub inspection: Option<String>,
}

impl Concerns {
    /// What `recorded` is by or about.
    #[must_use]
    pub fn named_by(recorded: &Recorded) -> Self {
        let payload = &recorded.payload;
        let text = |field: &str| payload.get(field).and_then(Value::as_str).map(str::to_owned);
        let actor = recorded.metadata.actor.as_ref();
        let mut subjects: BTreeSet<String> =
            actor.map(|actor| actor.subject.clone()).into_iter().collect();
        subjects.extend(actor.and_then(|actor| actor.client.clone()));
        let mut inspection = None;
        match recorded.stream.aggregate_type.as_str() {
            AccessControl::TYPE => subjects.extend(text("name")),
            AccessAttempts::TYPE => {
                subjects.extend(text("subject"));
                inspection = text("resource").as_deref().and_then(inspection_at);
                if recorded.event_type == AccessAttemptEvent::ATTEMPTS_SUMMED {
                    subjects.insert(ANYBODY.to_owned());
                }
            }
            Inspection::TYPE => inspection = Some(recorded.stream.aggregate_id.clone()),
            ProjectionRepair::TYPE => inspection = repaired_inspection(payload),
            _ => {}
        }
        Self { subjects, inspection }
    }
}

/// The inspection that a command was for which was sent to this path.
fn inspection_at(path: &str) -> Option<String> {
    let id = path.strip_prefix("/v1/inspections/")?.split('/').next()?;
    Some(id.parse::<Uuid>().ok()?.to_string())
}

/// The inspection whose stream a read model was repaired for.
fn repaired_inspection(payload: &StoredPayload) -> Option<String> {
    let poison = payload.get("poison")?;
    let is_inspection = poison.get("aggregate_type")?.as_str()? == Inspection::TYPE;
    is_inspection.then(|| poison.get("aggregate_id")?.as_str().map(str::to_owned)).flatten()
}
