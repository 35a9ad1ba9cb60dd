//! What every read model stands on: the step that it takes for a stretch of events (decode them, load the
//! rows that they are about, change those by one event after the other, store them), its events as it
//! takes them, and its rows as structs.
//!
//! Invariant: an event follows on the one before in its stream, or it is applied already, or it is refused.
//!
//! A struct's fields bear the names of the columns. Rows travel as one JSON array, which PostgreSQL takes
//! apart by the table's own row type; so a table's columns are spelt out in its DDL and struct. They are
//! written back in one statement.

use std::marker::PhantomData;

use domain::{Aggregate, Inspection, InspectionEvent};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use platform::event_log::Recorded;
use platform::postgres::DatabaseConnection;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::types::Json;
use sqlx::{Encode, Postgres, Type};
use uuid::Uuid;

use crate::projection::{ApplyError, Projection, ProjectionDefinition};

/// Stands for the actor of an event that another tool appended without saying who it was.
const UNKNOWN_ACTOR: &str = "unknown";

/// The rows of one read model that a stretch of events is about.
pub(super) trait ReadModel: Sized + Send + 'static {
    /// What the projection says of itself.
    const DEFINITION: ProjectionDefinition;

    /// The events that it reads: those of one type of aggregate.
    type Event: ProjectedEvent;

    /// Loads what is known before the first of these events.
    fn load(
        tx: &mut DatabaseConnection,
        records: &[EventRecord<'_, Self::Event>],
    ) -> impl Future<Output = Result<Self, ApplyError>> + Send;

    /// Changes the rows as the event says; an event that is applied already changes nothing.
    fn apply_record(&mut self, record: EventRecord<'_, Self::Event>) -> Result<(), ApplyError>;

    /// Writes back what has changed.
    fn store(
        self,
        tx: &mut DatabaseConnection,
    ) -> impl Future<Output = Result<(), ApplyError>> + Send;
}

/// The projection that a read model is.
pub(super) struct ReadModelProjection<M>(PhantomData<fn() -> M>);

impl<M> ReadModelProjection<M> {
    pub(super) const NEW: Self = Self(PhantomData);
}

impl<M: ReadModel> Projection for ReadModelProjection<M> {
    fn definition(&self) -> ProjectionDefinition {
        M::DEFINITION
    }

    fn apply<'a>(
        &'a self,
        tx: &'a mut DatabaseConnection,
        events: &'a [&'a Recorded],
    ) -> BoxFuture<'a, Result<(), ApplyError>> {
        async move {
            let records = events.iter().map(|event| EventRecord::decode(event));
            let records = records.collect::<Result<Vec<_>, _>>()?;
            let mut rows = M::load(&mut *tx, &records).await?;
            for record in records {
                rows.apply_record(record)?;
            }
            rows.store(tx).await
        }
        .boxed()
    }
}

/// An event that read models take.
pub(super) trait ProjectedEvent: Sized + Send + Sync {
    /// Whose stream it belongs to; knows the older versions of its shape.
    type Aggregate: Aggregate<Event = Self>;
    /// What identifies its stream.
    type Id: Send + Sync;

    /// The stream it belongs to. Refuses an event that cannot stand where it stands.
    fn stream_of(&self, recorded: &Recorded) -> Result<Self::Id, ApplyError>;
}

/// An event and where it stands.
pub(super) struct EventRecord<'a, E: ProjectedEvent> {
    /// Whose event it is.
    pub(super) aggregate_id: E::Id,
    /// What happened.
    pub(super) event: E,
    /// The circumstances.
    pub(super) recorded: &'a Recorded,
}

/// An event of an inspection.
pub(super) type InspectionRecord<'a> = EventRecord<'a, InspectionEvent>;

impl<'a, E: ProjectedEvent> EventRecord<'a, E> {
    /// Decodes an event. One that is damaged can never be applied.
    pub(super) fn decode(recorded: &'a Recorded) -> Result<Self, ApplyError> {
        let event = recorded.decode::<E::Aggregate>()?;
        Ok(Self { aggregate_id: event.stream_of(recorded)?, event, recorded })
    }

    /// Who asked for it.
    pub(super) fn actor_subject(&self) -> String {
        let actor = self.recorded.metadata.actor.as_ref();
        actor.map_or_else(|| UNKNOWN_ACTOR.to_owned(), |actor| actor.subject.clone())
    }

    /// What that person was called then.
    pub(super) fn actor_name(&self) -> Option<String> {
        self.recorded.metadata.actor.as_ref()?.name.clone()
    }

    /// Whether it is the next of a stream of which `version` events are applied; false when it is
    /// applied already.
    pub(super) fn follows_on(&self, version: u64) -> Result<bool, ApplyError> {
        let sequence = self.recorded.sequence;
        if sequence > version + 1 {
            let message = format!("event {sequence} of the stream follows on event {version}");
            return Err(ApplyError::Permanent(message));
        }
        Ok(sequence == version + 1)
    }
}

impl ProjectedEvent for InspectionEvent {
    type Aggregate = Inspection;
    type Id = Uuid;

    fn stream_of(&self, recorded: &Recorded) -> Result<Uuid, ApplyError> {
        let id = recorded.stream.aggregate_id.parse().map_err(ApplyError::permanent)?;
        let begins_a_stream = match self {
            Self::InspectionCreated { inspection_id, .. } => {
                if inspection_id.0 != id {
                    let message = "the event is in another inspection's stream";
                    return Err(ApplyError::permanent(message));
                }
                true
            }
            _ => false,
        };
        if begins_a_stream != (recorded.sequence == 1) {
            let message = "InspectionCreated is the first event of a stream and no other";
            return Err(ApplyError::permanent(message));
        }
        Ok(id)
    }
}

/// The inspections of these events, each once.
pub(super) fn distinct_inspections(records: &[InspectionRecord<'_>]) -> Vec<Uuid> {
    let mut ids: Vec<_> = records.iter().map(|record| record.aggregate_id).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// A row of a table.
pub(super) trait TableRow: Serialize + DeserializeOwned + Send + Unpin + 'static {
    /// The table.
    const TABLE: &'static str;
    /// The column that rows are looked up by: the first of the key, so that its index serves.
    const LOOKUP: &'static str;
    /// The columns of its primary key. In a table that grows with time one of them is a time, or it
    /// could not be partitioned by it: a unique index has to contain the partitioning column. Such
    /// a time never changes, so that the others alone identify a row.
    const KEY: &'static str;
    /// The columns that change after the row was inserted; none when it never changes.
    const CHANGING: &'static [&'static str];
}

/// The rows whose lookup column has one of these values.
pub(super) async fn load_rows<R: TableRow, I>(
    tx: &mut DatabaseConnection,
    values: Vec<I>,
) -> Result<Vec<R>, ApplyError>
where
    Vec<I>: for<'q> Encode<'q, Postgres> + Type<Postgres> + Send,
{
    if values.is_empty() {
        return Ok(Vec::new());
    }
    let (table, column) = (R::TABLE, R::LOOKUP);
    let sql = format!("SELECT to_json(r) FROM {table} r WHERE {column} = ANY($1)");
    let rows: Vec<Json<R>> = sqlx::query_scalar(&sql).bind(values).fetch_all(tx).await?;
    Ok(rows.into_iter().map(|Json(row)| row).collect())
}

/// Inserts the rows, or brings those that exist up to date.
pub(super) async fn store_rows<R: TableRow>(
    tx: &mut DatabaseConnection,
    rows: &[R],
) -> Result<(), ApplyError> {
    if rows.is_empty() {
        return Ok(());
    }
    let (table, key) = (R::TABLE, R::KEY);
    let on_conflict = if R::CHANGING.is_empty() {
        "NOTHING".to_owned()
    } else {
        let changes = R::CHANGING.iter().map(|column| format!("{column} = excluded.{column}"));
        format!("UPDATE SET {}", changes.collect::<Vec<_>>().join(", "))
    };
    let sql = format!(
        "INSERT INTO {table}
         SELECT r.* FROM json_populate_recordset(NULL::{table}, $1::text::json) r
         ON CONFLICT ({key}) DO {on_conflict}"
    );
    let json = rows_to_json(rows)?;
    sqlx::query(&sql).bind(json).execute(tx).await?;
    Ok(())
}

/// Rows as PostgreSQL takes them apart.
pub(super) fn rows_to_json(
    rows: impl IntoIterator<Item = impl Serialize>,
) -> Result<String, ApplyError> {
    let rows: Vec<_> = rows.into_iter().collect();
    serde_json::to_string(&rows).map_err(ApplyError::permanent)
}
