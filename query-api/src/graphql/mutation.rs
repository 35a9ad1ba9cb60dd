//! The mutations: what operators decide about streams that a read model could not take.
//!
//! Invariant: a mutation appends one event for a read model and writes nothing else; the projectors carry it out. Everything
//! that stations and engineers command goes to the command API.

use async_graphql::{Context, Object, Result, SimpleObject};
use domain::ProjectionName;
use platform::auth::Scope;
use platform::projection_repair::{
    Decided, RepairAction, RepairRequest, record_repair, record_repairs,
};
use platform::telemetry::TraceContext;

use super::cost::{projections_cost, single_cost};
use super::{Allowed, Everywhere, current_session, query_context};
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
    /// The read model that it is for.
    projection: String,
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
        guard = "Allowed(Scope::ProjectionsWrite).and(Everywhere)",
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
        guard = "Allowed(Scope::ProjectionsWrite).and(Everywhere)",
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

    /// The same in every read model that the event at `position` is in the way of: those that stand still before
    /// it since they do not know it (`blockedBy`), those of which it has parked a stream, and those that have yet
    /// to come there. Where it is discarded already nothing is recorded.
    #[graphql(
        guard = "Allowed(Scope::ProjectionsWrite).and(Everywhere)",
        complexity = "projections_cost(child_complexity)"
    )]
    async fn discard_event(
        &self,
        ctx: &Context<'_>,
        position: LogPosition,
        reason: String,
    ) -> Result<Vec<RecordedDecision>> {
        Ok(discard_everywhere(ctx, position, reason).await?)
    }
}

async fn discard_everywhere(
    ctx: &Context<'_>,
    position: LogPosition,
    reason: String,
) -> Result<Vec<RecordedDecision>, QueryError> {
    let context = query_context(ctx)?;
    let stopped = projections::list_stopped_by(&context.pool, position).await?;
    if stopped.is_empty() {
        let what = format!("read model that the event at position {} is in the way of", position.0);
        return Err(QueryError::NotFound(what));
    }
    let mut requests = Vec::with_capacity(stopped.len());
    for projection in stopped {
        requests.push(request(ctx, projection, RepairAction::Discard, position, &reason)?);
    }
    let decided = record_repairs(&**context.tail.log(), requests).await;
    let decided = note_rejection(ctx, ("all", position), decided.map_err(Into::into))?;
    Ok(decided.into_iter().map(RecordedDecision::from).collect())
}

async fn decide(
    ctx: &Context<'_>,
    action: RepairAction,
    (projection, position): (&str, LogPosition),
    reason: String,
) -> Result<RecordedDecision, QueryError> {
    let projection: ProjectionName = projection.parse()?;
    let context = query_context(ctx)?;
    if !projections::is_stopped_by(&context.pool, projection, position).await? {
        let what = format!("event at position {} that parks or stops {projection}", position.0);
        return Err(QueryError::NotFound(what));
    }
    let request = request(ctx, projection.to_string(), action, position, &reason)?;
    let decided = record_repair(&**context.tail.log(), request).await;
    let about = (projection.as_str(), position);
    Ok(note_rejection(ctx, about, decided.map_err(Into::into))?.into())
}

/// Has it recorded when the rules reject a decision.
fn note_rejection<T>(
    ctx: &Context<'_>,
    (projection, position): (&str, LogPosition),
    decided: Result<T, QueryError>,
) -> Result<T, QueryError> {
    if let Err(QueryError::Rejected { rejection, .. }) = &decided {
        let resource = format!("{projection} at position {}", position.0);
        current_session(ctx)?.note_rejection(&resource, rejection);
    }
    decided
}

/// The caller's decision for one read model.
fn request(
    ctx: &Context<'_>,
    projection: String,
    action: RepairAction,
    position: LogPosition,
    reason: &str,
) -> Result<RepairRequest, QueryError> {
    Ok(RepairRequest {
        projection,
        action,
        position: position.into(),
        reason: reason.to_owned(),
        actor: current_session(ctx)?.actor_ref(),
        trace: ctx.data_opt().cloned().unwrap_or_else(|| TraceContext::new(None)),
    })
}

impl From<Decided> for RecordedDecision {
    fn from(Decided { projection, poison, place }: Decided) -> Self {
        Self {
            projection,
            position: KeptPlace(place),
            aggregate_type: poison.aggregate_type,
            aggregate_id: poison.aggregate_id,
            event_type: poison.event_type,
        }
    }
}
