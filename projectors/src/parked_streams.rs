//! The streams that a generation passes over: those that are parked, and those that are discarded.
//!
//! Invariant: every event that was passed over is counted with its stream. Absent: who decides about them
//! (`repair`).

use platform::event_log::{Position, StreamId};
use platform::postgres::DatabaseConnection;

use crate::checkpoint::to_bigint;
use crate::generation::Generation;
use crate::poison::Poison;

/// The most poisons that are listed at once; how many there are is counted beside them.
const LISTED_MAX: i64 = 1_000;

/// The events of one stream that a page passes over.
#[derive(Debug, Default)]
pub(crate) struct Passed {
    /// The one that parks it, if it was not parked before.
    pub(crate) poison: Option<Poison>,
    pub(crate) events: u64,
}

/// Parks the stream, or counts what was passed over of one that is parked already.
pub(crate) async fn pass_over(
    tx: &mut DatabaseConnection,
    generation: &Generation,
    stream: &StreamId,
    passed: &Passed,
) -> Result<(), sqlx::Error> {
    let Some(poison) = &passed.poison else {
        let sql = "UPDATE public.parked_streams SET events = events + $5
                   WHERE projection = $1 AND generation = $2 AND aggregate_type = $3
                     AND aggregate_id = $4";
        of_stream(sql, generation, stream).bind(to_bigint(passed.events)).execute(tx).await?;
        return Ok(());
    };
    let sql = "INSERT INTO public.parked_streams (projection, generation, aggregate_type,
                   aggregate_id, events, position, event_type, error, discarded, parked_by)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    of_stream(sql, generation, stream)
        .bind(to_bigint(passed.events))
        .bind(poison.position.0)
        .bind(&poison.event_type)
        .bind(&poison.reason)
        .bind(generation.has_discarded(stream, poison.position))
        .bind(generation.projection.code())
        .execute(tx)
        .await?;
    Ok(())
}

/// Says of a stream that stays parked where it fails now.
pub(crate) async fn keep_parked(
    tx: &mut DatabaseConnection,
    generation: &Generation,
    poison: &Poison,
) -> Result<(), sqlx::Error> {
    let sql = "UPDATE public.parked_streams
               SET position = $5, event_type = $6, error = $7, parked_by = $8
               WHERE projection = $1 AND generation = $2 AND aggregate_type = $3
                 AND aggregate_id = $4";
    of_stream(sql, generation, &poison.stream)
        .bind(poison.position.0)
        .bind(&poison.event_type)
        .bind(&poison.reason)
        .bind(generation.projection.code())
        .execute(tx)
        .await?;
    Ok(())
}

/// Whether a stream is parked or discarded in a generation.
pub(crate) async fn is_parked(
    tx: &mut DatabaseConnection,
    generation: &Generation,
    stream: &StreamId,
) -> Result<bool, sqlx::Error> {
    let sql = "SELECT FROM public.parked_streams
               WHERE projection = $1 AND generation = $2 AND aggregate_type = $3
                 AND aggregate_id = $4";
    Ok(of_stream(sql, generation, stream).fetch_optional(tx).await?.is_some())
}

/// Takes a stream off the list: what was passed over of it is applied now.
pub(crate) async fn unpark_stream(
    tx: &mut DatabaseConnection,
    generation: &Generation,
    stream: &StreamId,
) -> Result<(), sqlx::Error> {
    let sql = "WITH unparked AS (
                   DELETE FROM public.parked_streams
                   WHERE projection = $1 AND generation = $2 AND aggregate_type = $3
                     AND aggregate_id = $4
                   RETURNING events)
               UPDATE public.projection_checkpoints c
               SET events_applied = events_applied + events, events_parked = events_parked - events
               FROM unparked WHERE projection = $1 AND generation = $2";
    of_stream(sql, generation, stream).execute(tx).await?;
    Ok(())
}

/// Marks the streams that are discarded, as the generation knows them, and those that no longer are.
pub(crate) async fn mark_discarded(
    tx: &mut DatabaseConnection,
    generation: &Generation,
) -> Result<(), sqlx::Error> {
    let (streams, positions): (Vec<&StreamId>, Vec<i64>) =
        generation.discarded.iter().map(|(stream, position)| (stream, position.0)).unzip();
    let parts = |part: fn(&StreamId) -> &str| streams.iter().map(|s| part(s)).collect::<Vec<_>>();
    sqlx::query(
        "UPDATE public.parked_streams p SET discarded = NOT discarded
         WHERE projection = $1 AND generation = $2
           AND discarded <> EXISTS (
               SELECT FROM unnest($3::text[], $4::text[], $5::bigint[]) AS d (type, id, position)
               WHERE d.type = p.aggregate_type AND d.id = p.aggregate_id
                 AND d.position = p.position)",
    )
    .bind(generation.projection.name())
    .bind(generation.number)
    .bind(parts(|stream| &stream.aggregate_type))
    .bind(parts(|stream| &stream.aggregate_id))
    .bind(positions)
    .execute(tx)
    .await?;
    Ok(())
}

/// How many streams are parked, and how many are discarded.
pub(crate) async fn count_streams(
    connection: &mut DatabaseConnection,
    generation: &Generation,
) -> Result<(i64, i64), sqlx::Error> {
    sqlx::query_as(
        "SELECT count(*) FILTER (WHERE NOT discarded), count(*) FILTER (WHERE discarded)
         FROM public.parked_streams WHERE projection = $1 AND generation = $2",
    )
    .bind(generation.projection.name())
    .bind(generation.number)
    .fetch_one(connection)
    .await
}

/// The events that park streams, the first ones in the log first. Those of discarded streams are not among
/// them.
pub(crate) async fn list_poisons(
    connection: &mut DatabaseConnection,
    generation: &Generation,
) -> Result<Vec<Poison>, sqlx::Error> {
    let rows: Vec<(i64, String, String, String, String)> = sqlx::query_as(
        "SELECT position, aggregate_type, aggregate_id, event_type, error
         FROM public.parked_streams WHERE projection = $1 AND generation = $2 AND NOT discarded
         ORDER BY position LIMIT $3",
    )
    .bind(generation.projection.name())
    .bind(generation.number)
    .bind(LISTED_MAX)
    .fetch_all(connection)
    .await?;
    let poisons =
        rows.into_iter().map(|(position, aggregate_type, aggregate_id, event_type, reason)| {
            let stream = StreamId { aggregate_type, aggregate_id };
            Poison { position: Position(position), stream, event_type, reason }
        });
    Ok(poisons.collect())
}

/// Streams that other code than this parked, at most so many; discarded ones are left alone.
pub(crate) async fn list_parked_by_other_code(
    connection: &mut DatabaseConnection,
    generation: &Generation,
    limit: i64,
) -> Result<Vec<StreamId>, sqlx::Error> {
    let rows: Vec<(String, String)> = sqlx::query_as(
        "SELECT aggregate_type, aggregate_id FROM public.parked_streams
         WHERE projection = $1 AND generation = $2 AND NOT discarded AND parked_by <> $3
         ORDER BY position LIMIT $4",
    )
    .bind(generation.projection.name())
    .bind(generation.number)
    .bind(generation.projection.code())
    .bind(limit)
    .fetch_all(connection)
    .await?;
    let streams = rows.into_iter();
    Ok(streams
        .map(|(aggregate_type, aggregate_id)| StreamId { aggregate_type, aggregate_id })
        .collect())
}

type Statement<'q> = sqlx::query::Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments>;

/// A statement about one stream in a generation, which are its first four values.
fn of_stream<'q>(sql: &'q str, generation: &Generation, stream: &'q StreamId) -> Statement<'q> {
    sqlx::query(sql)
        .bind(generation.projection.name())
        .bind(generation.number)
        .bind(&stream.aggregate_type)
        .bind(&stream.aggregate_id)
}
