//! What the event log says about models: which version is routed to, and which versions open
//! inspections keep. Read only.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use domain::inspection::ModelIdentity;
use domain::{Inspection, InspectionEvent, ModelRoute, ModelRouteEvent};
use platform::event_log::{EventLog, Position, Recorded, StreamId, StreamVersion};
use serde::Serialize;

/// How many events are read at a time.
const PAGE: usize = 2_000;

/// The version that new inspections use.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Routing {
    /// The version.
    pub(super) model: ModelIdentity,
    /// How it came to that; absent while nobody routed and the shipped version is in force.
    pub(super) routed: Option<Routed>,
    /// How many events the route has.
    #[serde(skip)]
    pub(super) version: StreamVersion,
}

/// Who routed, when and why.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Routed {
    pub(super) since: DateTime<Utc>,
    pub(super) actor: String,
    pub(super) reason: String,
    /// The rules by which it was worse than the one before, and was accepted nevertheless.
    pub(super) accepted: Vec<String>,
}

impl Routing {
    /// The routing in force; `shipped` is while nobody routed.
    pub(super) async fn load(log: &dyn EventLog, shipped: &ModelIdentity) -> anyhow::Result<Self> {
        let stream = StreamId::for_aggregate::<ModelRoute>(&shipped.name);
        let recorded = log.read_stream_end(&stream, 1).await?;
        let last = recorded.events.first();
        let number = last.map_or(0, |event| event.sequence);
        let version = StreamVersion { incarnation: recorded.incarnation, number };
        let Some(last) = last else {
            return Ok(Self { model: shipped.clone(), routed: None, version });
        };
        let ModelRouteEvent::ModelRouted { to, reason, comparison, .. } =
            last.decode::<ModelRoute>()?;
        let actor = last.metadata.actor.as_ref();
        let routed = Routed {
            since: last.occurred_at(),
            actor: actor.map_or_else(|| "unknown".to_owned(), |actor| actor.subject.clone()),
            reason,
            accepted: comparison.map(|comparison| comparison.worse).unwrap_or_default(),
        };
        Ok(Self { model: to, routed: Some(routed), version })
    }
}

/// The versions that open inspections keep, because they have a result of it, with their numbers.
///
/// Reads the whole log: about ten thousand events a second.
pub(super) async fn open_on(log: &dyn EventLog) -> anyhow::Result<HashMap<ModelIdentity, usize>> {
    let mut kept = HashMap::new();
    let mut after = Position::default();
    loop {
        let page = log.read_all(after, PAGE).await?;
        for event in &page.events {
            note_routing(&mut kept, event)?;
        }
        if page.up_to >= page.head || page.up_to == after {
            break;
        }
        after = page.up_to;
    }
    let mut open = HashMap::new();
    for model in kept.into_values() {
        *open.entry(model).or_default() += 1;
    }
    Ok(open)
}

/// Which version each inspection keeps, after one more event.
fn note_routing(kept: &mut HashMap<String, ModelIdentity>, event: &Recorded) -> anyhow::Result<()> {
    let inspection = &event.stream.aggregate_id;
    match event.event_type.as_str() {
        InspectionEvent::INFERENCE_COMPLETED => {
            if let InspectionEvent::InferenceCompleted { model, .. } =
                event.decode::<Inspection>()?
            {
                kept.entry(inspection.clone()).or_insert(model);
            }
        }
        InspectionEvent::INSPECTION_JUDGED | InspectionEvent::INSPECTION_VOIDED => {
            kept.remove(inspection);
        }
        _ => {}
    }
    Ok(())
}
