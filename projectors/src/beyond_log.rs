//! A generation that says more than the log holds, because an earlier state of the log was put back without it.
//!
//! Invariant: nothing is written into such a generation. Its rows may say what never happened, and where the log
//! comes there again it would pass over what comes first. Only another one, built from the log, leads out.

use platform::event_log::{EventLog, EventLogError, Position};
use sqlx::PgExecutor;

use crate::projection::Projection;

/// A generation is beyond the end of the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{projection} has come to position {position}, and the log ends at {end}: an earlier state of the log was \
     put back; run `chipq rebuild {projection}`"
)]
pub struct BeyondLog {
    /// The projection.
    pub projection: String,
    /// Up to where the generation is done.
    pub position: Position,
    /// Where the log ends.
    pub end: Position,
}

/// Whether a generation at `position` is beyond the end of the log.
///
/// # Errors
/// When the log cannot be asked.
pub(crate) async fn find_beyond_log(
    log: &dyn EventLog,
    projection: &dyn Projection,
    position: Position,
) -> Result<Option<BeyondLog>, EventLogError> {
    let end = log.end().await?.position;
    let projection = projection.name().to_owned();
    Ok((end < position).then_some(BeyondLog { projection, position, end }))
}

/// Whether a log outside the database went back under what a generation had read. It stays so also once that log has
/// come on past where the generation is.
///
/// # Errors
/// When the database fails.
pub(crate) async fn find_lost_log(
    database: impl PgExecutor<'_>,
    projection: &dyn Projection,
    generation: i32,
) -> Result<Option<BeyondLog>, sqlx::Error> {
    let lost: Option<(i64, i64)> = sqlx::query_as(
        "SELECT position, log_lost_after FROM public.projection_checkpoints
         WHERE projection = $1 AND generation = $2 AND log_lost_after IS NOT NULL",
    )
    .bind(projection.name())
    .bind(generation)
    .fetch_optional(database)
    .await?;
    Ok(lost.map(|(position, end)| BeyondLog {
        projection: projection.name().to_owned(),
        position: Position(position),
        end: Position(end),
    }))
}
