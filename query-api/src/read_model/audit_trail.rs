//! Who did what, of every event: entries of the audit trail, as the projection made them.

use async_graphql::{InputObject, Json as JsonScalar, SimpleObject};
use chrono::{DateTime, Utc};
use domain::ANYBODY;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sqlx::postgres::PgRow;
use sqlx::query_builder::Separated;
use sqlx::types::Json;
use sqlx::{FromRow, Postgres, Row as _};
use uuid::Uuid;

use super::LogPosition;
use super::conditions::{check_times, given};
use crate::error::QueryError;
use crate::paging::{Filter, Listed, TimeRange};
use crate::visibility::Placed;

/// The most entries of a page: one of a recipe with all its boxes has 16 kB.
pub(crate) const ENTRY_PAGE_MAX: usize = 100;

/// The longest name that is looked for, in bytes.
const SUBJECT_MAX_BYTES: usize = 255;

/// What the audit trail says of one event; `chipq audit trail --json` says the same.
#[derive(Debug, Clone, Deserialize, SimpleObject)]
#[graphql(name = "AuditEntry")]
pub(crate) struct AuditEntryObject {
    /// Its place in the log.
    position: LogPosition,
    /// When the command was accepted.
    at: DateTime<Utc>,
    /// Its stored name.
    event: String,
    /// The version of its stored shape.
    event_version: String,
    /// The stream that it belongs to.
    stream: AuditedStreamObject,
    /// Who did it; null when another tool appended it without saying so.
    actor: Option<AuditedActorObject>,
    /// What led to it, as far as the log says.
    caused_by: Option<AuditedCauseObject>,
    /// The business transaction that it belongs to.
    correlation_id: Option<String>,
    /// The command that it follows from.
    command_id: Option<Uuid>,
    /// The address that it was asked from.
    address: Option<String>,
    /// The id (`jti`) of the token that it was asked with.
    token_id: Option<String>,
    /// Why, in the words of whoever did it, or as the rule's name.
    reason: Option<String>,
    /// Everybody whom it is by or about; `*` where it may be anybody.
    subjects: Vec<String>,
    /// The inspection that it is about.
    #[serde(rename = "inspection")]
    inspection_id: Option<String>,
    /// What took the place of what.
    changed: Vec<ChangedObject>,
    /// Everything else that the event says, as an object.
    facts: JsonScalar<Map<String, Value>>,
}

/// Where an event stands among those of its aggregate.
#[derive(Debug, Clone, Deserialize, SimpleObject)]
#[graphql(name = "AuditedStream")]
struct AuditedStreamObject {
    /// What kind of stream.
    #[serde(rename = "type")]
    #[graphql(name = "type")]
    aggregate_type: String,
    /// Whose stream.
    id: String,
    /// Its place in the stream, from 1.
    sequence: u64,
}

/// Who did something.
#[derive(Debug, Clone, Deserialize, SimpleObject)]
#[graphql(name = "AuditedActor")]
struct AuditedActorObject {
    /// The account, the client, the operator, or the part of the platform.
    subject: String,
    /// What the person was called then.
    name: Option<String>,
    /// The roles held then.
    roles: Vec<String>,
    /// The client that asked, when one did.
    client: Option<String>,
}

/// What led to an event: an event before it in its stream, or a request.
#[derive(Debug, Clone, Deserialize, SimpleObject)]
#[graphql(name = "AuditedCause")]
struct AuditedCauseObject {
    /// The id of the event.
    event_id: Option<Uuid>,
    /// Its place in the log.
    position: Option<LogPosition>,
    /// Its stored name.
    event: Option<String>,
    /// The trace id of the request.
    trace_id: Option<String>,
}

/// What took the place of what.
#[derive(Debug, Clone, Deserialize, SimpleObject)]
#[graphql(name = "AuditedChange")]
struct ChangedObject {
    /// What changed, such as `recipe.fail_at`.
    field: String,
    /// What it was.
    old: JsonScalar<Value>,
    /// What it is.
    new: JsonScalar<Value>,
}

impl<'r> FromRow<'r, PgRow> for AuditEntryObject {
    fn from_row(row: &'r PgRow) -> sqlx::Result<Self> {
        let Json(entry): Json<Self> = row.try_get("entry")?;
        // As the list is sorted: the database's times have no nanoseconds.
        Ok(Self { at: row.try_get("at")?, ..entry })
    }
}

/// In the order of time; of one moment, in the log's order.
impl Listed for AuditEntryObject {
    type Key = (DateTime<Utc>, i64);
    const NAME: &'static str = "audit trail by time";
    const SELECT: &'static str = "SELECT position, at, entry FROM read.audit_trail";
    const KEY: &'static [&'static str] = &["at", "position"];
    const DESCENDING: bool = false;
    const PLACED: Placed = Placed::AtStation;
    const PAGE_MAX: usize = ENTRY_PAGE_MAX;

    fn sort_key(&self) -> Self::Key {
        (self.at, self.position.0)
    }

    fn bind_key(key: Self::Key, values: &mut Separated<'_, '_, Postgres, &'static str>) {
        values.push_bind(key.0).push_bind(key.1);
    }
}

/// An entry that is by or about somebody: found by whom it is, and otherwise the same.
#[derive(Debug)]
pub(crate) struct SubjectEntry(AuditEntryObject);

impl<'r> FromRow<'r, PgRow> for SubjectEntry {
    fn from_row(row: &'r PgRow) -> sqlx::Result<Self> {
        AuditEntryObject::from_row(row).map(Self)
    }
}

impl From<SubjectEntry> for AuditEntryObject {
    fn from(SubjectEntry(entry): SubjectEntry) -> Self {
        entry
    }
}

impl Listed for SubjectEntry {
    type Key = (DateTime<Utc>, i64);
    const NAME: &'static str = "audit trail of a subject by time";
    const SELECT: &'static str = "SELECT position, at, entry FROM (
        SELECT of_subject.*, entries.entry
        FROM read.audit_trail_subjects AS of_subject JOIN read.audit_trail AS entries USING (position)
        ) AS of_subject";
    const SELECT_COUNTED: &'static str = "SELECT position, at FROM read.audit_trail_subjects";
    const KEY: &'static [&'static str] = AuditEntryObject::KEY;
    const DESCENDING: bool = AuditEntryObject::DESCENDING;
    const PLACED: Placed = AuditEntryObject::PLACED;
    const PAGE_MAX: usize = ENTRY_PAGE_MAX;

    fn sort_key(&self) -> Self::Key {
        self.0.sort_key()
    }

    fn bind_key(key: Self::Key, values: &mut Separated<'_, '_, Postgres, &'static str>) {
        AuditEntryObject::bind_key(key, values);
    }
}

/// Which events; everything that is given must hold.
#[derive(Debug, Clone, Default, InputObject, Serialize, Deserialize)]
pub(crate) struct AuditTrailFilter {
    /// What is about this inspection.
    pub(crate) inspection_id: Option<Uuid>,
    /// What this account, client, operator or part of the platform did, and what was done to it; sums of attempts by
    /// nobody knows whom are among it.
    pub(crate) subject: Option<String>,
    /// At this time or later.
    pub(crate) from: Option<DateTime<Utc>>,
    /// Before this time.
    pub(crate) to: Option<DateTime<Utc>>,
}

impl AuditTrailFilter {
    /// # Errors
    /// When the name or the times could not be ones.
    pub(crate) fn check_arguments(&self) -> Result<(), QueryError> {
        let is_name = |name: &String| !name.trim().is_empty() && name.len() <= SUBJECT_MAX_BYTES;
        if !self.subject.as_ref().is_none_or(is_name) {
            return Err(QueryError::invalid("subject", "must have 1 to 255 bytes"));
        }
        check_times((self.from, self.to))
    }
}

impl Filter for AuditTrailFilter {
    fn wanted(&self) -> Vec<(&'static str, String)> {
        given([
            ("subject", self.subject.clone()),
            ("inspection_id", self.inspection_id.map(|id| id.to_string())),
        ])
    }

    fn or_else(&self) -> Option<(&'static str, &'static str)> {
        Some(("subject", ANYBODY))
    }

    fn stretch(&self) -> TimeRange {
        (self.from, self.to)
    }

    fn is_small(&self) -> bool {
        self.inspection_id.is_some()
    }
}
