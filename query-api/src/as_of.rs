//! An inspection as of an earlier moment, made from its own stream up to there by the code that makes what serves.
//!
//! Invariants: nothing that happened later is in it; who may not see the inspection now sees nothing of then, and is
//! not told whether it was there. Absent: the code that makes it, which is the projectors' and is handed in.

use std::str::FromStr as _;

use domain::{Aggregate as _, Inspection};
use platform::event_log::{EventLog, FindMomentError, LogMoment, LogPlace, StreamId, find_moment};
use uuid::Uuid;

use crate::error::QueryError;
use crate::query_context::QueryContext;
use crate::read_model::LogPosition;
use crate::read_model::past_inspections::{PastInspection, read_rows};
use crate::session::Session;

/// Events that a read looks at in turn to find the position that a time means.
const LOOKED_AT_MAX: u64 = 100_000;

/// A moment that was asked for, and by which argument.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AsOf {
    argument: &'static str,
    moment: LogMoment,
}

impl AsOf {
    /// A moment that stands beside nothing that contradicts it.
    ///
    /// # Errors
    /// When the read is to wait for a position as well.
    pub(crate) fn new(
        argument: &'static str,
        moment: LogMoment,
        min_position: Option<LogPlace>,
    ) -> Result<Self, QueryError> {
        if min_position.is_some() {
            let must = "it is read from the log and waits for no read model: leave the position to wait for out";
            return Err(QueryError::invalid(argument, must));
        }
        Ok(Self { argument, moment })
    }

    /// The same of a text.
    ///
    /// # Errors
    /// When it is no moment, too.
    pub(crate) fn from_argument(
        argument: &'static str,
        text: &str,
        min_position: Option<LogPlace>,
    ) -> Result<Self, QueryError> {
        let moment = LogMoment::from_str(text);
        let moment = moment.map_err(|error| QueryError::invalid(argument, error.to_string()))?;
        Self::new(argument, moment, min_position)
    }

    /// The place in the log that it means. `what` is asked for.
    ///
    /// # Errors
    /// When the log has no such place.
    pub(crate) async fn find_place(
        self,
        log: &dyn EventLog,
        what: &str,
    ) -> Result<LogPlace, QueryError> {
        find_moment(log, self.moment, LOOKED_AT_MAX).await.map_err(|error| match error {
            FindMomentError::EmptyLog | FindMomentError::BeforeFirst { .. } => {
                QueryError::NotFound(format!("{what} as of then: {error}"))
            }
            FindMomentError::BeyondEnd { .. } | FindMomentError::NotYet { .. } => {
                QueryError::invalid(self.argument, error.to_string())
            }
            FindMomentError::TooManyEvents { .. } => QueryError::TooBroad(error.to_string()),
            FindMomentError::Log(error) => error.into(),
        })
    }
}

/// The inspection as of then, and the place in the log that this was; `None` when there is none that `session` sees.
///
/// # Errors
/// When it was created later, the log has no such moment, or does not answer.
pub(crate) async fn read_as_of(
    context: &QueryContext,
    session: &Session,
    id: Uuid,
    wanted: AsOf,
) -> Result<Option<(LogPlace, PastInspection)>, QueryError> {
    let _turn = context.wait_for_broad_turn(session).await?;
    let log = context.checkpoints.log();
    let place = wanted.find_place(log, &format!("inspection {id}")).await?;
    let stream =
        StreamId { aggregate_type: Inspection::TYPE.to_owned(), aggregate_id: id.to_string() };
    let events = log.read_stream(&stream, 0).await?.events;
    let Some(created) = events.first().map(|event| event.position) else { return Ok(None) };
    let then = events.partition_point(|event| event.position <= place.position);
    // Of one that was created later it is looked, by its first event, whether the caller may know that.
    let seen = events.get(..then.max(1)).unwrap_or_default();
    let rows = (context.fold_inspection)(seen).map_err(QueryError::internal)?;
    let as_of = LogPosition(place.position.0);
    let found = read_rows(&context.pool, (&rows, as_of), session.reach()).await?;
    if then == 0 && found.is_some() {
        return Err(QueryError::NotFound(format!(
            "inspection {id} as of position {}: it was created later, at position {created}",
            place.position
        )));
    }
    Ok(found.map(|found| (place, found)))
}
