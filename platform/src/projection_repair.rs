//! What operators decide about streams that a projection could not apply, as events of the projection:
//! whoever decides, at the command line or over GraphQL, comes through here.
//!
//! Invariant: what is decided about is an event that is in the log, and who decided is recorded with it.
//! Absent: what follows, which the projection does when it reads the decision in the log.

use chrono::{DateTime, Utc};
use domain::{
    PoisonedEvent, ProjectionRepair, ProjectionRepairCommand, ProjectionRepairEvent,
    ProjectionRepairRejection,
};
use uuid::Uuid;

use crate::event_log::{
    ActorRef, EventLog, EventLogError, EventMetadata, LogPlace, Position, StreamId,
    UndecodableEvent,
};
use crate::execute::{ExecuteError, Request, execute};
use crate::telemetry::TraceContext;

/// What to do about a stream that a projection could not apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RepairAction {
    /// Apply its events again.
    Retry,
    /// Go on for good without the event, and without what comes after it in its stream.
    Discard,
}

/// A decision about an event that a projection could not apply.
#[derive(Debug, Clone)]
pub struct RepairRequest {
    /// The projection's stored name.
    pub projection: String,
    /// What to do.
    pub action: RepairAction,
    /// Where the event is.
    pub position: Position,
    /// Why.
    pub reason: String,
    /// Who decides.
    pub actor: ActorRef,
    /// The request that it came with.
    pub trace: TraceContext,
}

/// A decision as the log has it.
#[derive(Debug, Clone)]
pub struct RecordedRepair {
    /// Its place in the log: it is carried out once the projection has come here.
    pub position: Position,
    /// When it was made.
    pub at: DateTime<Utc>,
    /// Who made it; `None` when another tool appended it without saying so.
    pub actor: Option<ActorRef>,
    /// What was decided.
    pub action: RepairAction,
    /// About which event.
    pub poison: PoisonedEvent,
    /// Why.
    pub reason: String,
}

/// Why a decision was not recorded.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    /// There is nothing to decide about.
    #[error("there is no event at position {0}")]
    NoEvent(Position),
    /// The rules refuse it.
    #[error(transparent)]
    Refused(ProjectionRepairRejection),
    /// Too many decide about the projection at once.
    #[error("others decide about the projection at the same time")]
    Contended,
    /// What was decided before cannot be read by this software.
    #[error(transparent)]
    Unreadable(#[from] UndecodableEvent),
    /// The log cannot be reached, or failed.
    #[error(transparent)]
    Log(#[from] EventLogError),
}

/// Records a decision, and says what it is about and its place in the log.
///
/// # Errors
/// When there is no such event, the rules refuse the decision, or the log fails; then nothing is recorded.
pub async fn record_repair(
    log: &dyn EventLog,
    request: RepairRequest,
) -> Result<(PoisonedEvent, LogPlace), RepairError> {
    let poison = find_event(log, request.position).await?;
    let (about, reason) = (poison.clone(), request.reason);
    let command = match request.action {
        RepairAction::Retry => ProjectionRepairCommand::RetryStream { poison, reason },
        RepairAction::Discard => ProjectionRepairCommand::DiscardStream { poison, reason },
    };
    let request = Request::<ProjectionRepair> {
        aggregate_id: request.projection,
        command,
        if_match: None,
        metadata: EventMetadata::by_actor(request.actor, &request.trace)
            .with_command_id(Uuid::new_v4()),
    };
    match execute(log, request).await {
        Ok(executed) => Ok((about, executed.place())),
        Err(ExecuteError::Rejected(rejection)) => Err(RepairError::Refused(rejection)),
        Err(ExecuteError::Unreadable(error)) => Err(error.into()),
        Err(ExecuteError::Log(error)) => Err(error.into()),
        // No version and no key were given, so that only the first of these can be.
        Err(
            ExecuteError::Contended
            | ExecuteError::VersionMismatch { .. }
            | ExecuteError::ClaimLost,
        ) => Err(RepairError::Contended),
    }
}

/// The event at `position`.
async fn find_event(log: &dyn EventLog, position: Position) -> Result<PoisonedEvent, RepairError> {
    let before = Position(position.0.saturating_sub(1).max(0));
    let page = log.read_all(before, 1).await?;
    let event = page.events.into_iter().next().filter(|event| event.position == position);
    let event = event.ok_or(RepairError::NoEvent(position))?;
    let StreamId { aggregate_type, aggregate_id } = event.stream;
    let event_type = event.event_type;
    Ok(PoisonedEvent { aggregate_type, aggregate_id, position: position.0, event_type })
}

/// The decisions about a projection, the latest first, at most `limit`. One that this software cannot read is
/// left out, and logged.
///
/// # Errors
/// When the log fails.
pub async fn list_repairs(
    log: &dyn EventLog,
    projection: &str,
    limit: usize,
) -> Result<Vec<RecordedRepair>, EventLogError> {
    let stream = StreamId::for_aggregate::<ProjectionRepair>(projection);
    let events = log.read_stream(&stream, 0).await?.events;
    let repairs = events.into_iter().rev().filter_map(|event| {
        let decoded = event.decode::<ProjectionRepair>();
        let decision = decoded
            .inspect_err(|error| tracing::warn!(projection, %error, "a decision is not shown"))
            .ok()?;
        let (action, poison, reason) = match decision {
            ProjectionRepairEvent::StreamRetryRequested { poison, reason } => {
                (RepairAction::Retry, poison, reason)
            }
            ProjectionRepairEvent::StreamDiscarded { poison, reason } => {
                (RepairAction::Discard, poison, reason)
            }
        };
        let (position, at) = (event.position, event.occurred_at());
        Some(RecordedRepair { position, at, actor: event.metadata.actor, action, poison, reason })
    });
    Ok(repairs.take(limit).collect())
}

#[cfg(test)]
mod tests {
    use domain::{Aggregate as _, Inspection};
    use serde_json::json;

    use super::*;
    use crate::event_log::postgres::PostgresEventLog;
    use crate::event_log::{Append, NewEvent};
    use crate::test_support::fresh_database;

    fn request(action: RepairAction, position: Position) -> RepairRequest {
        let actor = ActorRef { subject: "ada".into(), roles: vec!["admin".into()] };
        let (projection, reason) = ("reports".to_owned(), "torn by a tool".to_owned());
        let trace = TraceContext::new(None);
        RepairRequest { projection, action, position, reason, actor, trace }
    }

    #[tokio::test]
    async fn a_decision_names_the_event_who_decided_and_why() {
        let database = fresh_database().await;
        let log = PostgresEventLog::new(database.pool());
        let nothing = record_repair(&log, request(RepairAction::Retry, Position(1))).await;
        assert!(matches!(nothing, Err(RepairError::NoEvent(Position(1)))), "{nothing:?}");

        let stream = StreamId::for_aggregate::<Inspection>("x");
        let (event_type, event_version) = ("InspectionVoided".to_owned(), "1".to_owned());
        let event = NewEvent { event_type, event_version, payload: json!({}) };
        let append = Append::new(stream, 0, vec![event], EventMetadata::by_service("test"));
        let position = log.append(append).await.unwrap().position.unwrap();

        for action in [RepairAction::Retry, RepairAction::Discard] {
            let (poison, _) = record_repair(&log, request(action, position)).await.unwrap();
            assert_eq!(
                (poison.aggregate_type.as_str(), poison.position),
                (Inspection::TYPE, position.0)
            );
        }
        let again = record_repair(&log, request(RepairAction::Discard, position)).await;
        assert!(matches!(again, Err(RepairError::Refused(_))), "{again:?}");

        let [latest, first] = &list_repairs(&log, "reports", 10).await.unwrap()[..] else {
            panic!()
        };
        assert_eq!((latest.action, first.action), (RepairAction::Discard, RepairAction::Retry));
        assert_eq!(latest.actor.as_ref().unwrap().subject, "ada");
        assert_eq!(
            (latest.reason.as_str(), latest.poison.aggregate_id.as_str()),
            ("torn by a tool", "x")
        );
        assert_eq!(list_repairs(&log, "reports", 1).await.unwrap().len(), 1);
        assert!(list_repairs(&log, "parts", 10).await.unwrap().is_empty());
    }
}
