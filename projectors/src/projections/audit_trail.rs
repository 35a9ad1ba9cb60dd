//! `read.audit_trail` and `read.audit_trail_subjects`: what every event says of who did what, and whom it is by or about.
//!
//! Invariant: it leaves nothing out. An event that is damaged, or that this software does not know, has an entry as well
//! ([`AuditEntry`]), so that no stream is parked here and nothing stands still before one.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use domain::{
    AccessAttempts, AccessControl, Aggregate as _, Inspection, InspectionEvent, ModelRoute, Part,
    PictureRetention, ProjectionName, ProjectionRepair,
};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use platform::event_log::{Position, Recorded, StreamId};
use platform::postgres::DatabaseConnection;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::read_model::{TableRow, load_rows, store_rows};
use crate::audit_entry::{
    AuditEntry, BeforeEvent, EarlierEvent, cause_within_stream, replaceable_values,
};
use crate::projection::{ApplyError, Projection, ProjectionDefinition};

/// The read model `audit_trail`.
pub(super) struct AuditTrail;

impl Projection for AuditTrail {
    fn definition(&self) -> ProjectionDefinition {
        ProjectionDefinition {
            name: ProjectionName::AuditTrail.as_str(),
            schema_version: 1,
            schema_sql: |_| include_str!("audit_trail.sql"),
            views: &["audit_trail", "audit_trail_subjects"],
            aggregate_types: &[
                Inspection::TYPE,
                Part::TYPE,
                ModelRoute::TYPE,
                ProjectionRepair::TYPE,
                PictureRetention::TYPE,
                AccessControl::TYPE,
                AccessAttempts::TYPE,
            ],
        }
    }

    fn leaves_nothing_out(&self) -> bool {
        ProjectionName::AuditTrail.leaves_nothing_out()
    }

    fn apply<'a>(
        &'a self,
        tx: &'a mut DatabaseConnection,
        events: &'a [&'a Recorded],
    ) -> BoxFuture<'a, Result<(), ApplyError>> {
        async move {
            let mut rows = TrailRows::load(&mut *tx, events).await?;
            events.iter().for_each(|event| rows.take_in(event));
            rows.store(tx).await
        }
        .boxed()
    }
}

/// The rows that a stretch of events is about.
struct TrailRows {
    contexts: HashMap<(String, String), ContextRow>,
    earlier: HashMap<Uuid, EarlierEvent>,
    entries: Vec<EntryRow>,
    subjects: Vec<SubjectRow>,
}

impl TrailRows {
    async fn load(tx: &mut DatabaseConnection, events: &[&Recorded]) -> Result<Self, ApplyError> {
        let streams = events.iter().map(|event| &event.stream).filter(|stream| has_context(stream));
        let mut ids: Vec<_> = streams.map(|stream| stream.aggregate_id.clone()).collect();
        ids.sort_unstable();
        ids.dedup();
        let known: Vec<ContextRow> = load_rows(tx, ids).await?;
        let contexts = known.into_iter().map(|row| (row.key(), row)).collect();
        let causes: Vec<Uuid> =
            events.iter().filter_map(|event| cause_within_stream(event)).collect();
        let earlier = load_earlier(tx, causes).await?;
        Ok(Self { contexts, earlier, entries: Vec::new(), subjects: Vec::new() })
    }

    fn take_in(&mut self, event: &Recorded) {
        let values = replaceable_values(event);
        let key = (event.stream.aggregate_id.clone(), event.stream.aggregate_type.clone());
        let context = self.contexts.get(&key);
        let value = |key: &String| Some((key.clone(), context?.replaceable.get(key)?.clone()));
        let before = BeforeEvent {
            cause: cause_within_stream(event).and_then(|id| self.earlier.get(&id).cloned()),
            values: values.iter().filter_map(|replaced| value(&replaced.key)).collect(),
        };
        let entry = AuditEntry::new(event, &before);
        let earlier = EarlierEvent { position: event.position, event: event.event_type.clone() };
        self.earlier.insert(event.event_id, earlier);
        if has_context(&event.stream) {
            let context = self
                .contexts
                .entry(key)
                .or_insert_with_key(|key| ContextRow::begun(key, event.occurred_at()));
            // One that is given again, after its stream was parked, puts nothing in place.
            if context.sequence < event.sequence {
                context.sequence = event.sequence;
                context.place(event);
                context.replaceable.extend(values.into_iter().map(|of| (of.key, of.value)));
            }
        }
        let (part, station) = self.place_of(&event.stream);
        self.push_rows(event.event_id, entry, part, station);
    }

    /// Of which part, and at which station, whatever is said of the stream is.
    fn place_of(&self, stream: &StreamId) -> (Option<String>, Option<String>) {
        let key = (stream.aggregate_id.clone(), stream.aggregate_type.clone());
        let context = self.contexts.get(&key);
        let place = context.map(|context| (context.part.clone(), context.station.clone()));
        place.unwrap_or_default()
    }

    fn push_rows(
        &mut self,
        event_id: Uuid,
        entry: AuditEntry,
        part: Option<String>,
        station: Option<String>,
    ) {
        let (position, at) = (entry.position, entry.at);
        self.subjects.extend(entry.subjects.iter().map(|subject| SubjectRow {
            subject: subject.clone(),
            at,
            position,
            inspection_id: entry.inspection.clone(),
            part: part.clone(),
            station: station.clone(),
        }));
        self.entries.push(EntryRow {
            position,
            at,
            event_id,
            event: entry.event.clone(),
            inspection_id: entry.inspection.clone(),
            part,
            station,
            // An entry is text, numbers and what was read as JSON: it always has this shape.
            entry: serde_json::to_value(&entry).unwrap_or_default(),
        });
    }

    async fn store(self, tx: &mut DatabaseConnection) -> Result<(), ApplyError> {
        store_rows(tx, &self.entries).await?;
        store_rows(tx, &self.subjects).await?;
        store_rows(tx, &self.contexts.into_values().collect::<Vec<_>>()).await
    }
}

/// Whether something is remembered of a stream: attempts and repairs replace nothing, and are of no part.
fn has_context(stream: &StreamId) -> bool {
    ![AccessAttempts::TYPE, ProjectionRepair::TYPE].contains(&stream.aggregate_type.as_str())
}

/// Those of these events that have a row.
async fn load_earlier(
    tx: &mut DatabaseConnection,
    ids: Vec<Uuid>,
) -> Result<HashMap<Uuid, EarlierEvent>, ApplyError> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let sql = "SELECT event_id, position, event FROM audit_trail WHERE event_id = ANY($1)";
    let rows: Vec<(Uuid, i64, String)> = sqlx::query_as(sql).bind(ids).fetch_all(tx).await?;
    let earlier =
        |(id, position, event)| (id, EarlierEvent { position: Position(position), event });
    Ok(rows.into_iter().map(earlier).collect())
}

#[derive(Serialize, Deserialize)]
struct EntryRow {
    position: Position,
    at: DateTime<Utc>,
    event_id: Uuid,
    event: String,
    inspection_id: Option<String>,
    part: Option<String>,
    station: Option<String>,
    entry: Value,
}

impl TableRow for EntryRow {
    const TABLE: &'static str = "audit_trail";
    const LOOKUP: &'static str = "position";
    const KEY: &'static str = "position, at";
    const CHANGING: &'static [&'static str] = &[];
}

#[derive(Serialize, Deserialize)]
struct SubjectRow {
    subject: String,
    at: DateTime<Utc>,
    position: Position,
    inspection_id: Option<String>,
    part: Option<String>,
    station: Option<String>,
}

impl TableRow for SubjectRow {
    const TABLE: &'static str = "audit_trail_subjects";
    const LOOKUP: &'static str = "subject";
    const KEY: &'static str = "subject, at, position";
    const CHANGING: &'static [&'static str] = &[];
}

/// What is remembered of a stream.
#[derive(Serialize, Deserialize)]
struct ContextRow {
    aggregate_id: String,
    aggregate_type: String,
    /// When its first event was.
    begun_at: DateTime<Utc>,
    /// How many of its events are applied.
    sequence: u64,
    part: Option<String>,
    station: Option<String>,
    /// What is in place, by key.
    replaceable: BTreeMap<String, Value>,
}

impl ContextRow {
    fn begun((aggregate_id, aggregate_type): &(String, String), begun_at: DateTime<Utc>) -> Self {
        Self {
            begun_at,
            aggregate_id: aggregate_id.clone(),
            aggregate_type: aggregate_type.clone(),
            sequence: 0,
            part: (aggregate_type == Part::TYPE).then(|| aggregate_id.clone()),
            station: None,
            replaceable: BTreeMap::new(),
        }
    }

    fn key(&self) -> (String, String) {
        (self.aggregate_id.clone(), self.aggregate_type.clone())
    }

    /// Takes in where the stream's board is, as its first event says.
    fn place(&mut self, event: &Recorded) {
        if event.event_type == InspectionEvent::INSPECTION_CREATED {
            let text = |field: &str| event.payload.get(field).and_then(Value::as_str);
            self.part = text("part").map(str::to_owned);
            self.station = text("station").map(str::to_owned);
        }
    }
}

impl TableRow for ContextRow {
    const TABLE: &'static str = "audit_trail_contexts";
    const LOOKUP: &'static str = "aggregate_id";
    const KEY: &'static str = "aggregate_id, aggregate_type, begun_at";
    const CHANGING: &'static [&'static str] = &["sequence", "part", "station", "replaceable"];
}
