//! What operators decide about streams that a projection could not apply, as events of the projection:
//! whoever decides, at the command line or over GraphQL, comes through here.
//!
//! Invariants: what is decided about is an event that is in the log, and who decided is recorded with it. A
//! decision that cannot be read counts as not made, and is in the way of no other: this is the way out of
//! what cannot be read, so it must not depend on reading everything. Absent: what follows, which the
//! projection does when it reads the decision in the log.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::{
    Aggregate as _, PoisonedEvent, ProjectionRepair, ProjectionRepairCommand,
    ProjectionRepairEvent, ProjectionRepairRejection,
};
use uuid::Uuid;

use crate::event_log::{
    ActorRef, EventLog, EventLogError, EventMetadata, LogPlace, Position, StreamEvents, StreamId,
    UndecodableEvent,
};
use crate::execute::{ExecuteError, Loaded, Request, execute_on};
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
    /// What was decided, if this software can read it.
    pub decision: Result<ReadRepair, UndecodableEvent>,
}

/// What a recorded decision says.
#[derive(Debug, Clone)]
pub struct ReadRepair {
    /// What was decided.
    pub action: RepairAction,
    /// About which event.
    pub poison: PoisonedEvent,
    /// Why.
    pub reason: String,
}

/// A decision that was recorded just now.
#[derive(Debug, Clone)]
pub struct Decided {
    /// The projection that it is for.
    pub projection: String,
    /// What it is about.
    pub poison: PoisonedEvent,
    /// Its place in the log.
    pub place: LogPlace,
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
    /// The log cannot be reached, or failed.
    #[error(transparent)]
    Log(#[from] EventLogError),
}

/// Records a decision.
///
/// # Errors
/// When there is no such event, the rules refuse the decision, or the log fails; then nothing is recorded.
pub async fn record_repair(
    log: &dyn EventLog,
    request: RepairRequest,
) -> Result<Decided, RepairError> {
    let poison = find_event(log, request.position).await?;
    let (about, reason) = (poison.clone(), request.reason);
    let command = match request.action {
        RepairAction::Retry => ProjectionRepairCommand::RetryStream { poison, reason },
        RepairAction::Discard => ProjectionRepairCommand::DiscardStream { poison, reason },
    };
    let projection = request.projection;
    let request = Request::<ProjectionRepair> {
        aggregate_id: projection.clone(),
        command,
        is_new: false,
        if_match: None,
        metadata: EventMetadata::by_actor(request.actor, &request.trace)
            .with_command_id(Uuid::new_v4()),
    };
    match execute_on(log, request, replay_readable).await {
        Ok(executed) => Ok(Decided { projection, poison: about, place: executed.place() }),
        Err(ExecuteError::Rejected(rejection)) => Err(RepairError::Refused(rejection)),
        Err(ExecuteError::Log(error)) => Err(error.into()),
        // No version, no key and no reach were given, and what cannot be read is passed over, so that only the first of
        // these can be.
        Err(
            ExecuteError::Contended
            | ExecuteError::Unreadable(_)
            | ExecuteError::VersionMismatch { .. }
            | ExecuteError::OutOfReach
            | ExecuteError::ClaimLost,
        ) => Err(RepairError::Contended),
    }
}

/// Records decisions about one event for several projections, one after the other. Those where it is discarded
/// already are left out.
///
/// # Errors
/// When it is discarded already for all of them, or one could not be recorded; those before it then are.
pub async fn record_repairs(
    log: &dyn EventLog,
    requests: Vec<RepairRequest>,
) -> Result<Vec<Decided>, RepairError> {
    let (mut decided, mut refused) = (Vec::new(), None);
    for request in requests {
        match record_repair(log, request).await {
            Ok(one) => decided.push(one),
            Err(RepairError::Refused(
                already @ ProjectionRepairRejection::AlreadyDiscarded { .. },
            )) => refused = Some(already),
            Err(error) => return Err(error),
        }
    }
    match refused {
        Some(already) if decided.is_empty() => Err(RepairError::Refused(already)),
        _ => Ok(decided),
    }
}

/// What is decided of a projection, as far as this software can read it.
fn replay_readable(recorded: &StreamEvents) -> Result<Loaded<ProjectionRepair>, UndecodableEvent> {
    let mut state = ProjectionRepair::default();
    for event in &recorded.events {
        match event.decode::<ProjectionRepair>() {
            Ok(decision) => state.evolve(&decision),
            Err(error) => {
                let projection = &event.stream.aggregate_id;
                tracing::warn!(%projection, %error, "a decision counts as not made");
            }
        }
    }
    let last = recorded.events.last();
    Ok(Loaded {
        state,
        version: last.map_or(0, |event| event.sequence),
        position: last.map_or(Position::default(), |event| event.position),
        incarnation: recorded.incarnation,
    })
}

/// The event at `position`.
async fn find_event(log: &dyn EventLog, position: Position) -> Result<PoisonedEvent, RepairError> {
    let before = Position(position.0.saturating_sub(1).max(0));
    let page = log.read_all(before, 1).await?;
    let event = page.events.into_iter().next().filter(|event| event.position == position);
    let event = Arc::unwrap_or_clone(event.ok_or(RepairError::NoEvent(position))?);
    let StreamId { aggregate_type, aggregate_id } = event.stream;
    let event_type = event.event_type;
    Ok(PoisonedEvent { aggregate_type, aggregate_id, position: position.0, event_type })
}

/// The decisions about a projection, the latest first, at most `limit`, those among them that this software
/// cannot read.
///
/// # Errors
/// When the log fails.
pub async fn list_repairs(
    log: &dyn EventLog,
    projection: &str,
    limit: usize,
) -> Result<Vec<RecordedRepair>, EventLogError> {
    let stream = StreamId::for_aggregate::<ProjectionRepair>(projection);
    let events = log.read_stream_end(&stream, limit).await?.events;
    let repairs = events.into_iter().map(|event| {
        let decision = event.decode::<ProjectionRepair>().map(ReadRepair::from);
        let (position, at) = (event.position, event.occurred_at());
        RecordedRepair { position, at, actor: event.metadata.actor, decision }
    });
    Ok(repairs.collect())
}

impl From<ProjectionRepairEvent> for ReadRepair {
    fn from(event: ProjectionRepairEvent) -> Self {
        match event {
            ProjectionRepairEvent::StreamRetryRequested { poison, reason } => {
                Self { action: RepairAction::Retry, poison, reason }
            }
            ProjectionRepairEvent::StreamDiscarded { poison, reason } => {
                Self { action: RepairAction::Discard, poison, reason }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use domain::{Aggregate as _, Inspection};
    use futures::FutureExt as _;
    use futures::future::BoxFuture;
    use serde_json::json;

    use super::*;
    use crate::event_log::postgres::PostgresEventLog;
    use crate::event_log::{Append, NewEvent};
    use crate::test_support::{InterceptedLog, Interception, fresh_database};

    fn request(action: RepairAction, position: Position) -> RepairRequest {
        let actor = ActorRef::new("ada", &["admin"]);
        let (projection, reason) = ("reports".to_owned(), "torn by a tool".to_owned());
        let trace = TraceContext::new(None);
        RepairRequest { projection, action, position, reason, actor, trace }
    }

    /// Appends an event without its fields.
    async fn append_torn(
        log: &PostgresEventLog,
        stream: StreamId,
        expected_version: u64,
        (event_type, event_version): (&str, &str),
    ) -> Position {
        let (event_type, event_version) = (event_type.to_owned(), event_version.to_owned());
        let event = NewEvent {
            event_type,
            event_version,
            payload: json!({}),
            labels: domain::EventLabels::default(),
        };
        let by = EventMetadata::by_service("test");
        let append = Append::new(stream, expected_version, vec![event], by);
        log.append(append).await.unwrap().position.unwrap()
    }

    fn read(repair: &RecordedRepair) -> &ReadRepair {
        repair.decision.as_ref().unwrap()
    }

    #[tokio::test]
    async fn a_decision_names_the_event_who_decided_and_why() {
        let database = fresh_database().await;
        let log = PostgresEventLog::new(database.pool());
        let nothing = record_repair(&log, request(RepairAction::Retry, Position(1))).await;
        assert!(matches!(nothing, Err(RepairError::NoEvent(Position(1)))), "{nothing:?}");

        let stream = StreamId::for_aggregate::<Inspection>("x");
        let position = append_torn(&log, stream, 0, ("InspectionVoided", "1")).await;

        for action in [RepairAction::Retry, RepairAction::Discard] {
            let Decided { projection, poison, .. } =
                record_repair(&log, request(action, position)).await.unwrap();
            assert_eq!(
                (projection.as_str(), poison.aggregate_type.as_str(), poison.position),
                ("reports", Inspection::TYPE, position.0)
            );
        }
        let again = record_repair(&log, request(RepairAction::Discard, position)).await;
        assert!(matches!(again, Err(RepairError::Refused(_))), "{again:?}");

        let [latest, first] = &list_repairs(&log, "reports", 10).await.unwrap()[..] else {
            panic!()
        };
        assert_eq!(latest.actor.as_ref().unwrap().subject, "ada");
        let (latest, first) = (read(latest), read(first));
        assert_eq!((latest.action, first.action), (RepairAction::Discard, RepairAction::Retry));
        assert_eq!(
            (latest.reason.as_str(), latest.poison.aggregate_id.as_str()),
            ("torn by a tool", "x")
        );
        assert_eq!(list_repairs(&log, "reports", 1).await.unwrap().len(), 1);
        assert!(list_repairs(&log, "parts", 10).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_decision_that_cannot_be_read_is_in_the_way_of_no_other_and_is_shown() {
        let database = fresh_database().await;
        let log = PostgresEventLog::new(database.pool());
        let board = StreamId::for_aggregate::<Inspection>("x");
        let position = append_torn(&log, board, 0, ("InspectionVoided", "1")).await;
        let decisions = StreamId::for_aggregate::<ProjectionRepair>("reports");
        append_torn(&log, decisions.clone(), 0, ("StreamDiscarded", "1")).await;
        append_torn(&log, decisions, 1, ("StreamForgiven", "7")).await;

        for action in [RepairAction::Discard, RepairAction::Retry, RepairAction::Discard] {
            record_repair(&log, request(action, position)).await.unwrap();
        }
        let shown = list_repairs(&log, "reports", 10).await.unwrap();
        let unreadable: Vec<_> =
            shown.iter().filter_map(|repair| repair.decision.as_ref().err()).collect();
        assert_eq!((shown.len(), unreadable.len()), (5, 2), "{shown:?}");
        assert_eq!(unreadable[0].event_type, "StreamForgiven");
        assert_eq!(read(&shown[0]).poison.position, position.0);
    }

    #[tokio::test]
    async fn a_decision_for_several_projections_is_made_where_it_was_not() {
        let database = fresh_database().await;
        let log = PostgresEventLog::new(database.pool());
        let board = StreamId::for_aggregate::<Inspection>("x");
        let position = append_torn(&log, board, 0, ("InspectionVoided", "1")).await;
        let discard = request(RepairAction::Discard, position);
        record_repair(&log, discard.clone()).await.unwrap();
        let in_yield = RepairRequest { projection: "yield".to_owned(), ..discard.clone() };
        let both = [discard, in_yield];
        let decided = record_repairs(&log, both.to_vec()).await.unwrap();
        assert_eq!(
            decided.iter().map(|one| one.projection.as_str()).collect::<Vec<_>>(),
            ["yield"]
        );
        let again = record_repairs(&log, both.to_vec()).await;
        assert!(matches!(again, Err(RepairError::Refused(_))), "{again:?}");
    }

    /// A log whose streams are too long to be read as a whole.
    struct Endless;

    impl Interception for Endless {
        fn read_stream<'a>(
            &'a self,
            _: &'a dyn EventLog,
            _: &'a StreamId,
            _: u64,
        ) -> BoxFuture<'a, Result<StreamEvents, EventLogError>> {
            async { Err(EventLogError::Failed("it has no end".into())) }.boxed()
        }
    }

    #[tokio::test]
    async fn the_latest_decisions_are_listed_however_many_there_are() {
        let database = fresh_database().await;
        let log = PostgresEventLog::new(database.pool());
        let decisions = StreamId::for_aggregate::<ProjectionRepair>("reports");
        for version in 0..3 {
            append_torn(&log, decisions.clone(), version, ("StreamDiscarded", "1")).await;
        }
        let endless = InterceptedLog::over(Arc::new(log), Endless);
        assert_eq!(list_repairs(&endless, "reports", 2).await.unwrap().len(), 2);
    }
}
