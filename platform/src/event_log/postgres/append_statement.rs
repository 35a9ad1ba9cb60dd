//! The statement that appends a group, with the answers that go with it, in one round trip.
//!
//! Invariants: it is a transaction by itself, and answered once that is committed. What is in conflict with what others
//! appended is left out, and the rest is appended.

use std::collections::HashMap;

use sqlx::types::Json;
use uuid::Uuid;

use crate::event_log::{
    Append, EventMetadata, Incarnation, KeyedAnswer, NewEvent, Position, StreamId, StreamVersion,
    first_event_id,
};
use crate::postgres::DatabaseConnection;

/// SQLSTATE of a group in which another request holds a key.
pub(super) const KEY_TAKEN: &str = "CQ001";

/// How long a group waits for what another process holds.
#[derive(Debug, Clone, Copy)]
pub(super) enum LockPatience {
    /// Not for long: those who append with it, and after it, would wait, too.
    Brief,
    /// For an append by itself: should the other process stand still, whoever sent this is told to come again.
    Long,
}

impl LockPatience {
    const fn lock_timeout(self) -> &'static str {
        match self {
            Self::Brief => "30ms",
            Self::Long => "2s",
        }
    }
}

/// Appends those whose stream has exactly the expected version, and whose command is not in the log. Returns where each
/// event is.
pub(super) async fn append_events(
    connection: &mut DatabaseConnection,
    incarnation: Incarnation,
    appends: &[Append],
    patience: LockPatience,
) -> Result<HashMap<Uuid, Position>, sqlx::Error> {
    fn column<'a, R, T>(rows: &'a [R], value: impl Fn(&'a R) -> T) -> Vec<T> {
        rows.iter().map(value).collect()
    }
    let events: Vec<NewRow<'_>> = appends.iter().flat_map(rows_of).collect();
    let keyed: Vec<KeyedRow<'_>> = appends.iter().filter_map(keyed_row_of).collect();
    let made = column(&keyed, |row| {
        let number = row.append.version_after();
        Json(row.answer.make(StreamVersion { incarnation, number }))
    });
    let appended: Vec<(Uuid, i64)> = sqlx::query_as(
        "SELECT event_id, position
         FROM append_events($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12,
                            $13, $14, $15, $16, $17, $18, $19)",
    )
    .bind(patience.lock_timeout())
    .bind(incarnation.0)
    .bind(column(&events, |row| &*row.stream.aggregate_type))
    .bind(column(&events, |row| &*row.stream.aggregate_id))
    .bind(column(&events, |row| row.expected))
    .bind(column(&events, |row| row.number))
    .bind(column(&events, |row| &*row.event.event_type))
    .bind(column(&events, |row| &*row.event.event_version))
    .bind(column(&events, |row| Json(&row.event.payload)))
    .bind(column(&events, |row| Json(row.metadata.to_map())))
    .bind(column(&events, |row| row.event_id))
    .bind(column(&events, |row| row.metadata.command_id))
    .bind(column(&events, |row| row.metadata.command_id.map(first_event_id)))
    .bind(column(&keyed, |row| &*row.answer.key().principal))
    .bind(column(&keyed, |row| &*row.answer.key().key))
    .bind(column(&keyed, |row| &row.answer.key().fingerprint[..]))
    .bind(column(&keyed, |row| row.answer.key().claim_id))
    .bind(made)
    .bind(column(&keyed, |row| row.append.event_ids.last().copied()))
    // All that comes, since the transaction is not committed before the last of it.
    .fetch_all(connection)
    .await?;
    Ok(appended.into_iter().map(|(event_id, at)| (event_id, Position(at))).collect())
}

/// An event as it is inserted.
struct NewRow<'a> {
    stream: &'a StreamId,
    /// How many events the stream has.
    expected: i64,
    /// From 1 in its append.
    number: i64,
    event: &'a NewEvent,
    event_id: Uuid,
    metadata: EventMetadata,
}

fn rows_of(append: &Append) -> impl Iterator<Item = NewRow<'_>> {
    let expected = i64::try_from(append.expected_version).unwrap_or(i64::MAX);
    let each = append.events.iter().zip(&append.event_ids).zip(append.circumstances());
    (1..).zip(each).map(move |(number, ((event, &event_id), metadata))| NewRow {
        stream: &append.stream,
        expected,
        number,
        event,
        event_id,
        metadata,
    })
}

/// An answer, and to what.
struct KeyedRow<'a> {
    append: &'a Append,
    answer: &'a KeyedAnswer,
}

fn keyed_row_of(append: &Append) -> Option<KeyedRow<'_>> {
    append.answer.as_ref().map(|answer| KeyedRow { append, answer })
}
