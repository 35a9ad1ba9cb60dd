//! The subscription: what happens to inspections, replayed from a position, then live, on one ordered
//! path.
//!
//! Invariants: an event is passed on only once the read model reflects it, in the log's order, none
//! left out and none twice, and nothing outside the reach that the subscriber has by then. Whoever is told anything is told first where the feed begins, and last,
//! whatever ends it, where to go on; what may pass by itself does not end it. No buffer can overflow: a
//! page is read when the one before was passed on, whoever is slow reads later from the log, and
//! whoever is too slow is told where to go on.
//!
//! However many subscribers there are, the end of the log is read once for all of them
//! ([`platform::follower::LogTail`]), and so are the checkpoints, and the rows for all who see the same.

mod patience;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use async_graphql::{Context, ID, Result, SimpleObject, Subscription as Subscribes};
use chrono::{DateTime, Utc};
use domain::{Aggregate as _, ProjectionName};
use futures::{FutureExt as _, Stream, StreamExt as _, stream};
use platform::auth::Scope;
use platform::event_log::{Incarnation, LogPlace, Position, Recorded};
use platform::follower::Follow;
use platform::shutdown::Shutdown;
use tokio::time::Instant;
use uuid::Uuid;

use super::{Allowed, current_session, query_context};
use crate::concurrency_limit::ConcurrencyPermit;
use crate::cursor::CursorScope;
use crate::error::QueryError;
use crate::query_context::QueryContext;
use crate::read_model::inspections::{InspectionFilter, InspectionObject, by_ids_shared};
use crate::read_model::{KeptPlace, LogPosition};
use crate::session::Session;
use patience::{FeedPatience, SESSION_CHECK, wait_for};

/// The name of the subscription in its cursors.
const NAME: &str = "inspectionChanged";
/// Events read at once.
const PAGE: usize = 256;

/// One item of the feed.
#[derive(Debug, SimpleObject)]
pub(super) struct InspectionFeedItem {
    /// Everything up to here in the log was passed on: every item has a greater one than the item before.
    position: LogPosition,
    /// Give it as `after` to go on behind this item.
    cursor: String,
    /// What happened; null in the first item, which says where the feed begins.
    change: Option<InspectionChange>,
}

/// Something happened to an inspection.
#[derive(Debug, SimpleObject)]
pub(super) struct InspectionChange {
    /// The event's stored name.
    event_type: String,
    /// When the command was accepted.
    occurred_at: DateTime<Utc>,
    /// The inspection's id.
    inspection_id: ID,
    /// The inspection as it stands now, which may be later than the event.
    inspection: Option<InspectionObject>,
}

/// Over `GET /graphql/ws` (graphql-transport-ws), or `POST /graphql` with `Accept:
/// text/event-stream`.
pub(crate) struct Subscription;

#[Subscribes]
impl Subscription {
    /// What happens to inspections: first where the feed begins, then what happened after `from` (a
    /// place in the log) or `after` (the cursor of an item), then what happens, in the log's order. With
    /// neither, from now on. An error ends it, and carries the cursor to go on from in its `extensions`.
    #[graphql(guard = "Allowed(Scope::InspectionsRead)")]
    async fn inspection_changed(
        &self,
        ctx: &Context<'_>,
        from: Option<KeptPlace>,
        after: Option<String>,
        filter: Option<InspectionFilter>,
    ) -> Result<impl Stream<Item = Result<InspectionFeedItem>>> {
        let filter = filter.unwrap_or_default();
        filter.check_arguments()?;
        let start = match (from, after) {
            (Some(_), Some(_)) => {
                return Err(QueryError::invalid("after", "must stand alone, without from").into());
            }
            (Some(KeptPlace(from)), None) => Start::After(from),
            (None, Some(cursor)) => Start::Resume(cursor),
            (None, None) => Start::Now,
        };
        let (reads, session) = (query_context(ctx)?.clone(), current_session(ctx)?.clone());
        let ends = ctx.data_opt().unwrap_or(&reads.shutdown).clone();
        let feed = Feed::open(reads, (session, ends), filter, start).await?;
        Ok(feed.into_stream().map(|item| Ok(item?)))
    }
}

/// Where a feed begins.
#[derive(Debug)]
enum Start {
    /// With what happens from now on.
    Now,
    /// After this place.
    After(LogPlace),
    /// After the item that had this cursor.
    Resume(String),
}

/// Where one subscriber stands.
struct Feed {
    reads: Arc<QueryContext>,
    session: Session,
    /// Asks it to end: the server's shutdown, or that of the connection it is on.
    ends: Shutdown,
    filter: InspectionFilter,
    scope: CursorScope,
    /// The history of the log that was read last, and that cursors belong to.
    incarnation: Incarnation,
    follow: Follow,
    /// Read from the log, and not reflected by the read model yet.
    read: VecDeque<Arc<Recorded>>,
    /// Everything up to here is in `ready` or was passed on.
    after: Position,
    ready: VecDeque<InspectionFeedItem>,
    /// Whether it was said where it begins.
    has_begun: bool,
    /// When the last item was passed on; while the caller has it, time counts against the caller.
    handed: Option<Instant>,
    is_live: bool,
    checked_at: Instant,
    _permit: ConcurrencyPermit,
}

impl Feed {
    /// A feed from `start`.
    ///
    /// # Errors
    /// When the cursor is not of this subscription and filter, there are too many subscriptions, or
    /// the database or the read model is not there and does not come.
    async fn open(
        reads: Arc<QueryContext>,
        (session, ends): (Session, Shutdown),
        filter: InspectionFilter,
        start: Start,
    ) -> Result<Self, QueryError> {
        let scope = CursorScope::new(NAME, &filter);
        let permit = reads.subscriptions.acquire_permit(session.principal())?;
        // Nobody could go on from a refusal that says no place: where it begins is waited for.
        let placed = place_patiently(Arc::clone(&reads), scope.clone(), start).boxed();
        let placed = wait_for(placed, &ends, || session.check_token()).await?;
        let (follow, incarnation) = placed.ok_or(QueryError::GoingAway)??;
        Ok(Self {
            reads,
            session,
            ends,
            filter,
            scope,
            incarnation,
            after: follow.position(),
            follow,
            read: VecDeque::new(),
            ready: VecDeque::new(),
            has_begun: false,
            handed: None,
            is_live: false,
            checked_at: Instant::now(),
            _permit: permit,
        })
    }

    /// The items, until the first error, which is the last item.
    fn into_stream(self) -> impl Stream<Item = Result<InspectionFeedItem, QueryError>> + Send {
        stream::unfold(Some(self), |feed| async move {
            let mut feed = feed?;
            match feed.next().await {
                Ok(item) => Some((Ok(item), Some(feed))),
                Err(reason) => {
                    let resume = feed.cursor(feed.passed_on());
                    Some((Err(QueryError::feed_ended(reason, resume)), None))
                }
            }
        })
    }

    async fn next(&mut self) -> Result<InspectionFeedItem, QueryError> {
        if let Some(since) = self.handed.take()
            && since.elapsed() > self.reads.config.slow_after()
        {
            return Err(QueryError::SlowClient);
        }
        loop {
            if self.ends.is_requested() {
                return Err(QueryError::GoingAway);
            }
            if let Some(item) = self.take_item() {
                self.handed = Some(Instant::now());
                return Ok(item);
            }
            self.check_session()?;
            let (session, ends) = (self.session.clone(), self.ends.clone());
            wait_for(self.fill_patiently(), &ends, || session.check_token())
                .await?
                .unwrap_or(Ok(()))?;
        }
    }

    /// Where it begins, then what is ready.
    fn take_item(&mut self) -> Option<InspectionFeedItem> {
        if self.has_begun {
            return self.ready.pop_front();
        }
        self.has_begun = true;
        let position = LogPosition(self.after.0);
        Some(InspectionFeedItem { position, cursor: self.cursor(self.after), change: None })
    }

    /// Makes ready what there is, trying again while the reason for which that fails may pass by itself.
    async fn fill_patiently(&mut self) -> Result<(), QueryError> {
        let mut patience = FeedPatience::default();
        while let Err(error) = self.fill().await {
            patience.wait_out(error).await?;
            // What happened meanwhile is caught up with, which is not the client's fault.
            self.is_live = false;
        }
        Ok(())
    }

    /// By how many positions it may be behind while it is live: so many events, by which the log grows.
    fn slow_behind(&self) -> i64 {
        let per_event = self.reads.checkpoints.log().positions_per_event();
        self.reads.config.slow_behind.saturating_mul(per_event)
    }

    /// Makes ready what was read and is reflected by now; waits when there is nothing. Cancel-safe.
    async fn fill(&mut self) -> Result<(), QueryError> {
        let served =
            self.reads.checkpoints.place(ProjectionName::InspectionOverview).await?.position;
        if served <= self.after {
            self.is_live = true;
        } else if self.is_live && served.0 - self.after.0 > self.slow_behind() {
            return Err(QueryError::SlowClient);
        }
        let reflected = self.read.iter().take_while(|event| event.position <= served).count();
        if reflected > 0 {
            let events = self.read.range(..reflected).cloned().collect();
            self.ready = self.load_changes(events).await?.into();
            self.read.drain(..reflected);
        } else if self.read.is_empty() {
            self.read_page().await?;
        } else {
            self.wait_until_reflected().await?;
        }
        let first_unread = self.read.front().map(|event| Position(event.position.0 - 1));
        self.after = first_unread.unwrap_or(self.follow.position());
        Ok(())
    }

    /// Reads the next events of the log, as soon as there are some.
    async fn read_page(&mut self) -> Result<(), QueryError> {
        let page = self.follow.next_page(PAGE).await?;
        let is_ours =
            |event: &Arc<Recorded>| event.stream.aggregate_type == domain::Inspection::TYPE;
        self.incarnation = page.incarnation;
        self.read.extend(page.events.into_iter().filter(is_ours));
        Ok(())
    }

    /// Waits until the read model has come past what was passed on.
    async fn wait_until_reflected(&self) -> Result<(), QueryError> {
        let overview = ProjectionName::InspectionOverview;
        self.reads.checkpoints.wait_past(overview, self.after).await
    }

    /// The events with the rows as they stand now: one statement for all, and for all feeds that need the same rows.
    async fn load_changes(
        &self,
        events: Vec<Arc<Recorded>>,
    ) -> Result<Vec<InspectionFeedItem>, QueryError> {
        let identified: Vec<(Uuid, Arc<Recorded>)> = events
            .into_iter()
            .filter_map(|event| Some((event.stream.aggregate_id.parse().ok()?, event)))
            .collect();
        if identified.is_empty() {
            return Ok(Vec::new());
        }
        let mut ids: Vec<Uuid> = identified.iter().map(|(id, _)| *id).collect();
        ids.sort_unstable();
        ids.dedup();
        // As it is now: a feed may be open for as long as its token is good.
        let session = self.session.renewed()?;
        let (reads, reach) = (&self.reads, session.reach());
        let rows = by_ids_shared(&reads.shared_inspections, &reads.pool, ids, reach).await?;
        let rows: HashMap<_, _> = rows.iter().map(|row| (row.inspection_id, row)).collect();
        let changes = identified.into_iter().filter_map(|(id, event)| {
            let inspection = rows.get(&id).copied();
            let is_admitted = match inspection {
                Some(row) => self.filter.admits_inspection(row),
                None => self.filter.is_open() && session.reach().is_everywhere(),
            };
            is_admitted.then(|| InspectionFeedItem {
                position: LogPosition(event.position.0),
                cursor: self.cursor(event.position),
                change: Some(InspectionChange {
                    occurred_at: event.occurred_at(),
                    event_type: event.event_type.clone(),
                    inspection_id: id.into(),
                    inspection: inspection.cloned(),
                }),
            })
        });
        Ok(changes.collect())
    }

    fn check_session(&mut self) -> Result<(), QueryError> {
        if self.checked_at.elapsed() >= SESSION_CHECK {
            self.session.check_token()?;
            self.checked_at = Instant::now();
        }
        Ok(())
    }

    /// Everything up to here was passed on.
    fn passed_on(&self) -> Position {
        let first = self.ready.front().map(|item| Position(item.position.0 - 1));
        first.unwrap_or(self.after)
    }

    fn cursor(&self, position: Position) -> String {
        let place = LogPlace { incarnation: self.incarnation, position };
        self.reads.cursor_key.seal_cursor(&self.scope, &place)
    }
}

/// A follower of the log from `start`, as soon as what may pass by itself has passed.
async fn place_patiently(
    reads: Arc<QueryContext>,
    scope: CursorScope,
    start: Start,
) -> Result<(Follow, Incarnation), QueryError> {
    let mut patience = FeedPatience::default();
    loop {
        match place_follower(&reads, &scope, &start).await {
            Err(error) => patience.wait_out(error).await?,
            placed => return placed,
        }
    }
}

/// A follower of the log from `start`, and the history that its place belongs to.
async fn place_follower(
    reads: &QueryContext,
    scope: &CursorScope,
    start: &Start,
) -> Result<(Follow, Incarnation), QueryError> {
    let after = match start {
        Start::After(place) if place.is_beginning() => place.position,
        Start::After(place) => check_place(reads, *place).await?,
        Start::Resume(cursor) => check_place(reads, reads.cursor_key.open(scope, cursor)?).await?,
        Start::Now => reads.checkpoints.place(ProjectionName::InspectionOverview).await?.position,
    };
    let mut follow = reads.tail.follow(after);
    let incarnation = follow.incarnation().await?;
    Ok((follow, incarnation))
}

/// The position of a place, if what comes after it is what came after it when it was given out.
async fn check_place(reads: &QueryContext, place: LogPlace) -> Result<Position, QueryError> {
    reads.tail.log().check_place(place).await?;
    Ok(place.position)
}

#[cfg(test)]
mod tests;
