//! What happens to inspections: replayed from a position, then live, on one ordered path.
//!
//! Invariant: an event is passed on only once the read model reflects it, in the log's order, none
//! left out and none twice. There is no buffer to overflow: whoever is slow reads later from the
//! log, and whoever is too slow is told where to go on.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::{Aggregate as _, ProjectionName};
use futures::Stream;
use futures::stream;
use platform::event_log::{Position, Recorded};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::Instant;
use uuid::Uuid;

use crate::cursor::Scope;
use crate::error::QueryError;
use crate::read_model::LogPosition;
use crate::read_model::inspections::{self, Inspection, InspectionFilter};
use crate::reads::Reads;
use crate::session::Session;

/// The name of the subscription in its cursors.
const NAME: &str = "inspectionChanged";
/// Events read at once.
const PAGE: usize = 256;
/// How long to wait for the read model while nothing hints at events.
const IDLE: Duration = Duration::from_millis(50);
/// How long to wait for it when something was appended a moment ago.
const EAGER: Duration = Duration::from_millis(15);
/// How long a moment is.
const EAGER_FOR: Duration = Duration::from_secs(1);
/// How often the token is looked at again.
const SESSION_CHECK: Duration = Duration::from_secs(1);

/// One event of an inspection.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub(super) position: LogPosition,
    pub(super) cursor: String,
    pub(super) event_type: String,
    pub(super) occurred_at: DateTime<Utc>,
    pub(super) inspection_id: Uuid,
    /// As it stands in the read model now; absent when its stream is parked.
    pub(super) inspection: Option<Inspection>,
}

/// Where a feed begins.
#[derive(Debug)]
pub(super) enum Start {
    /// With what happens from now on.
    Now,
    /// After this position.
    After(Position),
    /// After the item that had this cursor.
    Resume(String),
}

/// Where one subscriber stands.
pub(super) struct Feed {
    reads: Arc<Reads>,
    session: Session,
    filter: InspectionFilter,
    scope: Scope,
    hints: watch::Receiver<u64>,
    /// Everything up to here is in `ready` or was passed on.
    after: Position,
    ready: VecDeque<Change>,
    /// The last item passed on and when; while the caller has it, time counts against the caller.
    handed: Option<(Instant, Position)>,
    is_live: bool,
    eager_until: Instant,
    checked_at: Instant,
    _permit: OwnedSemaphorePermit,
}

impl Feed {
    /// A feed from `start`.
    ///
    /// # Errors
    /// When the cursor is not of this subscription and filter, there are too many subscriptions, or
    /// the read model is not there.
    pub(super) async fn open(
        reads: Arc<Reads>,
        session: Session,
        filter: InspectionFilter,
        start: Start,
    ) -> Result<Self, QueryError> {
        let scope = Scope::new(NAME, &filter);
        let hints = reads.log.hints();
        let permit = Arc::clone(&reads.subscriptions)
            .try_acquire_owned()
            .map_err(|_| QueryError::TooMany("subscriptions"))?;
        let after = match start {
            Start::After(position) => position,
            Start::Resume(cursor) => Position(reads.cursor_key.open(&scope, &cursor)?),
            Start::Now => reads.checkpoints.position(ProjectionName::InspectionOverview).await?,
        };
        let now = Instant::now();
        Ok(Self {
            reads,
            session,
            filter,
            scope,
            hints,
            after,
            ready: VecDeque::new(),
            handed: None,
            is_live: false,
            eager_until: now,
            checked_at: now,
            _permit: permit,
        })
    }

    /// The items, until the first error, which is the last item.
    pub(super) fn into_stream(self) -> impl Stream<Item = Result<Change, QueryError>> + Send {
        stream::unfold(Some(self), |feed| async move {
            let mut feed = feed?;
            match feed.next().await {
                Ok(change) => Some((Ok(change), Some(feed))),
                Err(error) => Some((Err(error), None)),
            }
        })
    }

    async fn next(&mut self) -> Result<Change, QueryError> {
        if let Some((since, position)) = self.handed.take()
            && since.elapsed() > self.reads.config.slow_after()
        {
            return Err(self.slow(position));
        }
        loop {
            if self.reads.shutdown.is_requested() {
                return Err(QueryError::GoingAway { resume: self.cursor(self.passed_on()) });
            }
            if let Some(change) = self.ready.pop_front() {
                self.handed = Some((Instant::now(), Position(change.position.0)));
                return Ok(change);
            }
            self.check_session()?;
            self.fill().await?;
        }
    }

    /// Reads the next stretch of the log that the read model reflects; waits when there is none.
    async fn fill(&mut self) -> Result<(), QueryError> {
        let served = self.reads.checkpoints.position(ProjectionName::InspectionOverview).await?;
        if served <= self.after {
            self.is_live = true;
            self.wait().await;
            return Ok(());
        }
        if self.is_live && served.0 - self.after.0 > self.reads.config.slow_behind {
            return Err(self.slow(self.after));
        }
        let page = self.reads.log.read_all(self.after, PAGE).await?;
        let is_ours = |event: &Recorded| {
            event.position <= served && event.stream.aggregate_type == domain::Inspection::TYPE
        };
        let events = page.events.into_iter().filter(is_ours).collect();
        self.ready = self.changes(events).await?.into();
        self.after = page.up_to.min(served);
        Ok(())
    }

    /// The events with the rows as they stand now: one statement for all.
    async fn changes(&self, events: Vec<Recorded>) -> Result<Vec<Change>, QueryError> {
        let identified: Vec<(Uuid, Recorded)> = events
            .into_iter()
            .filter_map(|event| Some((event.stream.aggregate_id.parse().ok()?, event)))
            .collect();
        if identified.is_empty() {
            return Ok(Vec::new());
        }
        let mut ids: Vec<Uuid> = identified.iter().map(|(id, _)| *id).collect();
        ids.sort_unstable();
        ids.dedup();
        let rows = inspections::by_ids(&self.reads.pool, &ids).await?;
        let rows: HashMap<_, _> = rows.into_iter().map(|row| (row.inspection_id, row)).collect();
        let changes = identified.into_iter().filter_map(|(id, event)| {
            let inspection = rows.get(&id).cloned();
            let is_admitted = match &inspection {
                Some(row) => self.filter.admits(row),
                None => self.filter.is_open(),
            };
            is_admitted.then(|| Change {
                position: LogPosition(event.position.0),
                cursor: self.cursor(event.position),
                occurred_at: event.occurred_at(),
                event_type: event.event_type,
                inspection_id: id,
                inspection,
            })
        });
        Ok(changes.collect())
    }

    /// Waits for a hint, or until the read model is worth another look.
    async fn wait(&mut self) {
        let pause = if Instant::now() < self.eager_until { EAGER } else { IDLE };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            hinted = self.hints.changed() => match hinted {
                // A hint precedes the read model: look often for a while, but never in a busy loop.
                Ok(()) => {
                    self.eager_until = Instant::now() + EAGER_FOR;
                    tokio::time::sleep(EAGER).await;
                }
                // The log is going away.
                Err(_) => tokio::time::sleep(IDLE).await,
            },
            () = self.reads.shutdown.requested() => {}
        }
    }

    fn check_session(&mut self) -> Result<(), QueryError> {
        if self.checked_at.elapsed() >= SESSION_CHECK {
            self.session.check()?;
            self.checked_at = Instant::now();
        }
        Ok(())
    }

    /// Everything up to here was passed on.
    fn passed_on(&self) -> Position {
        let first = self.ready.front().map(|change| Position(change.position.0 - 1));
        first.unwrap_or(self.after)
    }

    fn slow(&self, position: Position) -> QueryError {
        QueryError::SlowClient { resume: self.cursor(position) }
    }

    fn cursor(&self, position: Position) -> String {
        self.reads.cursor_key.seal(&self.scope, &position.0)
    }
}
