//! The mutations: what operators decide about streams that a read model could not take.
//!
//! Invariant: a mutation appends one event and writes nothing else; the projectors carry it out. Everything
//! that stations and engineers command goes to the command API.

use async_graphql::{Context, Object, Result, SimpleObject};
use domain::ProjectionName;
use platform::auth::Scope;
use platform::projection_repair::{RepairAction, RepairRequest, record_repair};
use platform::telemetry::TraceContext;

use super::cost::single_cost;
use super::{Allowed, current_session, query_context};
use crate::error::QueryError;
use crate::read_model::projections;
use crate::read_model::{KeptPlace, LogPosition};

/// Decisions about parked streams. Each is recorded with who made it and why, and is carried out once the read
/// model's `position` has come to the decision's. A decision that was made but whose answer was lost may be
/// made again: a second retry changes nothing more, and a second discard is refused with `already-discarded`.
pub(crate) struct RepairMutation;

/// A decision, as it was recorded.
#[derive(Debug, SimpleObject)]
pub(super) struct RecordedDecision {
    /// Its place in the log.
    position: KeptPlace,
    /// What kind of stream it is about.
    aggregate_type: String,
    /// Whose stream.
    aggregate_id: String,
    /// The stored name of the event that could not be applied.
    event_type: String,
}

#[Object(name = "Mutation")]
impl RepairMutation {
    /// Applies the events of a parked stream again: `position` is where it is parked. A stream that was
    /// discarded is taken up, too.
    #[graphql(
        guard = "Allowed(Scope::ProjectionsWrite)",
        complexity = "single_cost(child_complexity)"
    )]
    async fn retry_parked_stream(
        &self,
        ctx: &Context<'_>,
        projection: String,
        position: LogPosition,
        reason: String,
    ) -> Result<RecordedDecision> {
        Ok(decide(ctx, RepairAction::Retry, (&projection, position), reason).await?)
    }

    /// Goes on for good without the event at `position`, where a stream is parked, and without what comes after
    /// it in that stream. The read model keeps what it had of it. A retry takes it back.
    #[graphql(
        guard = "Allowed(Scope::ProjectionsWrite)",
        complexity = "single_cost(child_complexity)"
    )]
    async fn discard_parked_stream(
        &self,
        ctx: &Context<'_>,
        projection: String,
        position: LogPosition,
        reason: String,
    ) -> Result<RecordedDecision> {
        Ok(decide(ctx, RepairAction::Discard, (&projection, position), reason).await?)
    }
}

async fn decide(
    ctx: &Context<'_>,
    action: RepairAction,
    (projection, position): (&str, LogPosition),
    reason: String,
) -> Result<RecordedDecision, QueryError> {
    let projection: ProjectionName = projection.parse()?;
    let context = query_context(ctx)?;
    if !projections::is_parked(&context.pool, projection, position).await? {
        let what = format!("stream that is parked in {projection} at position {}", position.0);
        return Err(QueryError::NotFound(what));
    }
    let request = RepairRequest {
        projection: projection.to_string(),
        action,
        position: position.into(),
        reason,
        actor: current_session(ctx)?.actor_ref(),
        trace: ctx.data_opt().cloned().unwrap_or_else(|| TraceContext::new(None)),
    };
    let (poison, decided_at) = record_repair(&**context.tail.log(), request).await?;
    Ok(RecordedDecision {
        position: KeptPlace(decided_at),
        aggregate_type: poison.aggregate_type,
        aggregate_id: poison.aggregate_id,
        event_type: poison.event_type,
    })
}
