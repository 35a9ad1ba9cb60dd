//! A reactor is one small file: this one writes every event's name into a ledger at the other end.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::*;
use crate::event_log::postgres::PostgresEventLog;
use crate::event_log::{
    Append, EventLog, EventLogError, EventMetadata, Incarnation, NewEvent, Page, StreamId,
};
use crate::follower::status::FollowerState;
use crate::follower::{Followers, run_follower};
use crate::shutdown::Shutdown;
use crate::test_support::{InterceptedLog, Interception, TestDatabase, fresh_database};

/// The other end: what was written under which key, how often in all, and what happens to the writer.
#[derive(Default)]
struct Ledger {
    entries: Mutex<BTreeMap<i64, String>>,
    order: Mutex<Vec<i64>>,
    next: Mutex<Vec<Accident>>,
    /// What comes behind it is not there any more.
    lost_behind: Mutex<Option<i64>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Accident {
    /// The ledger does not answer.
    Away,
    /// The process stands still after it has written and before the checkpoint.
    Stall,
}

// The reactor: from here ...

struct Scribe(Arc<Ledger>);

struct Writing {
    ledger: Arc<Ledger>,
    /// Taken and not written.
    pages: VecDeque<Page>,
}

impl LogReactor for Scribe {
    type Session = Writing;

    fn name(&self) -> &'static str {
        "scribe"
    }

    async fn begin(&mut self, checkpoint: Position) -> Result<(Writing, Position), ReactionError> {
        let ledger = Arc::clone(&self.0);
        // What the other end has lost is written again.
        let lost = ledger.lost_behind.lock().unwrap().take();
        let from = lost.map_or(checkpoint, |lost| Position(lost).min(checkpoint));
        Ok((Writing { ledger, pages: VecDeque::new() }, from))
    }
}

impl ReactionSession for Writing {
    fn has_room(&self) -> bool {
        self.pages.is_empty()
    }

    fn take(&mut self, page: &Page) {
        self.pages.push_back(page.clone());
    }

    async fn done(&mut self) -> Result<Position, ReactionError> {
        let Some(page) = self.pages.front() else { return std::future::pending().await };
        let accident = self.ledger.next.lock().unwrap().pop();
        if accident == Some(Accident::Away) {
            return Err("the ledger does not answer".into());
        }
        for event in &page.events {
            // The position is the key: writing it again changes nothing.
            let name = event.event_type.clone();
            self.ledger.entries.lock().unwrap().insert(event.position.0, name);
            self.ledger.order.lock().unwrap().push(event.position.0);
        }
        if accident == Some(Accident::Stall) {
            std::future::pending::<()>().await;
        }
        let done = page.up_to;
        self.pages.pop_front();
        Ok(done)
    }

    async fn save(&mut self, transaction: &mut DatabaseConnection) -> Result<(), sqlx::Error> {
        let sql = "INSERT INTO follower_members (follower, member, expires_at)
                   VALUES ('scribe', gen_random_uuid(), 'infinity')";
        sqlx::query(sql).execute(transaction).await.map(drop)
    }
}

// ... to here.

struct Bench {
    database: TestDatabase,
    log: Arc<PostgresEventLog>,
    ledger: Arc<Ledger>,
    followers: Followers,
    version: u64,
}

impl Bench {
    async fn new() -> Self {
        let database = fresh_database().await;
        let log = Arc::new(PostgresEventLog::new(database.pool()));
        let (ledger, followers) = (Arc::default(), Followers::new());
        Self { database, log, ledger, followers, version: 0 }
    }

    async fn append(&mut self, events: u64) {
        let event = |n| NewEvent {
            event_type: format!("Happened{n}"),
            event_version: "1".into(),
            payload: serde_json::json!({}),
            labels: domain::EventLabels::default(),
        };
        let events: Vec<_> = (self.version..self.version + events).map(event).collect();
        let stream = StreamId { aggregate_type: "test".into(), aggregate_id: "a".into() };
        let append = Append::new(stream, self.version, events, EventMetadata::by_service("test"));
        self.version = self.log.append(append).await.unwrap().version;
    }

    /// Another process that runs the reactor.
    fn start(&self, shutdown: &Shutdown) -> (FollowerStatus, JoinHandle<()>) {
        self.start_on(self.log.clone(), shutdown)
    }

    fn start_on(
        &self,
        log: Arc<dyn EventLog>,
        shutdown: &Shutdown,
    ) -> (FollowerStatus, JoinHandle<()>) {
        let follower = LogReactorFollower {
            reactor: Scribe(Arc::clone(&self.ledger)),
            pool: self.database.pool(),
            tail: LogTail::new(log),
            page_events: 3,
        };
        let status = self.followers.register("scribe");
        let running = tokio::spawn(run_follower(follower, status.clone(), shutdown.child()));
        (status, running)
    }

    async fn until(&self, what: impl Fn() -> bool) {
        let waiting = async {
            while !what() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), waiting).await.expect("it never happens");
    }

    async fn until_written(&self, events: usize) {
        self.until(|| self.ledger.entries.lock().unwrap().len() == events).await;
    }

    fn order(&self) -> Vec<i64> {
        self.ledger.order.lock().unwrap().clone()
    }

    async fn until_checkpoint(&self, position: i64) {
        let waiting = async {
            while self.checkpoint().await != position {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), waiting).await.expect("it never comes there");
    }

    /// 0 before anybody was the owner.
    async fn checkpoint(&self) -> i64 {
        let sql = "SELECT position FROM follower_leases WHERE follower = 'scribe'";
        let found = sqlx::query_scalar(sql).fetch_optional(&self.database.pool()).await.unwrap();
        found.unwrap_or_default()
    }
}

#[tokio::test]
async fn a_crash_between_effect_and_checkpoint_gives_the_page_again_and_its_effects_stand_once() {
    let (mut bench, shutdown) = (Bench::new().await, Shutdown::new());
    bench.append(5).await;
    bench.ledger.next.lock().unwrap().extend([Accident::Stall]);
    let (_, crashing) = bench.start(&shutdown);
    bench.until_written(3).await;
    assert_eq!(bench.checkpoint().await, 0, "the effect comes first");
    crashing.abort();
    let _ = crashing.await;
    let (_, running) = bench.start(&shutdown);
    bench.until_written(5).await;
    bench.until_checkpoint(5).await;
    assert_eq!(bench.order(), [1, 2, 3, 1, 2, 3, 4, 5], "in the log's order, at least once");
    shutdown.request();
    running.await.unwrap();
}

#[tokio::test]
async fn an_owner_that_was_fenced_off_saves_nothing_and_looks_again() {
    let (mut bench, shutdown) = (Bench::new().await, Shutdown::new());
    bench.append(2).await;
    let (status, running) = bench.start(&shutdown);
    bench.until(|| status.position() == Some(Position(2))).await;
    // What another owner does when this one was believed to be gone.
    let take_over = "UPDATE follower_leases SET epoch = epoch + 1, position = 3";
    bench.append(1).await;
    bench.until_written(3).await;
    bench.until_checkpoint(3).await;
    sqlx::query(take_over).execute(&bench.database.pool()).await.unwrap();
    bench.append(1).await;
    bench.until(|| bench.order().len() == 5).await;
    bench.until_checkpoint(4).await;
    assert_eq!(bench.order(), [1, 2, 3, 4, 4], "the fenced owner's effect was not saved");
    shutdown.request();
    running.await.unwrap();
}

#[tokio::test]
async fn a_checkpoint_that_was_moved_back_by_hand_is_gone_on_from_and_not_overwritten() {
    let (mut bench, shutdown) = (Bench::new().await, Shutdown::new());
    bench.append(4).await;
    let (_, running) = bench.start(&shutdown);
    bench.until_checkpoint(4).await;
    let move_back = "UPDATE follower_leases SET position = 2";
    sqlx::query(move_back).execute(&bench.database.pool()).await.unwrap();
    bench.append(1).await;
    bench.until(|| bench.order().len() == 8).await;
    bench.until_checkpoint(5).await;
    assert_eq!(bench.order(), [1, 2, 3, 4, 5, 3, 4, 5], "what was asked for again is done again");
    shutdown.request();
    running.await.unwrap();
}

#[tokio::test]
async fn what_the_other_end_has_lost_is_given_again_and_the_checkpoint_goes_back_with_what_is_known()
 {
    let (mut bench, shutdown) = (Bench::new().await, Shutdown::new());
    bench.append(4).await;
    let (_, running) = bench.start(&shutdown);
    bench.until_checkpoint(4).await;
    running.abort();
    let _ = running.await;
    bench.ledger.lost_behind.lock().unwrap().replace(1);
    // The process dies before anything is done again: the checkpoint must have gone back by then.
    bench.ledger.next.lock().unwrap().push(Accident::Stall);
    let (_, stalling) = bench.start(&shutdown);
    bench.until(|| bench.order().len() == 7).await;
    assert_eq!(bench.checkpoint().await, 1);
    stalling.abort();
    let _ = stalling.await;
    let (_, running) = bench.start(&shutdown);
    bench.until_checkpoint(4).await;
    assert_eq!(bench.order(), [1, 2, 3, 4, 2, 3, 4, 2, 3, 4]);
    let saved = "SELECT count(*) FROM follower_members WHERE follower = 'scribe'";
    let saved: i64 = sqlx::query_scalar(saved).fetch_one(&bench.database.pool()).await.unwrap();
    assert!(saved >= 3, "what is known beside the checkpoint is saved with it: {saved}");
    shutdown.request();
    running.await.unwrap();
}

#[tokio::test]
async fn an_error_is_tried_again_and_a_second_process_stands_by() {
    let (mut bench, shutdown) = (Bench::new().await, Shutdown::new());
    bench.append(4).await;
    bench.ledger.next.lock().unwrap().extend([Accident::Away; 2]);
    let (first, running) = bench.start(&shutdown);
    bench.until_written(4).await;
    bench.until(|| first.state() == FollowerState::Following).await;
    let (second, standing_by) = bench.start(&shutdown);
    bench.until(|| second.state() == FollowerState::StandingBy).await;
    bench.append(1).await;
    bench.until_written(5).await;
    assert_eq!(bench.order(), [1, 2, 3, 4, 5]);
    running.abort();
    bench.append(1).await;
    bench.until_written(6).await;
    assert_eq!(second.state(), FollowerState::Following);
    shutdown.request();
    standing_by.await.unwrap();
}

/// Pages of a server that the database is not on.
struct FromElsewhere;

impl Interception for FromElsewhere {
    fn read_all<'a>(
        &'a self,
        log: &'a dyn EventLog,
        after: Position,
        limit: usize,
    ) -> BoxFuture<'a, Result<Page, EventLogError>> {
        let incarnation = Incarnation(Uuid::from_u128(1));
        let read = log.read_all(after, limit);
        async move { Ok(Page { incarnation, ..read.await? }) }.boxed()
    }
}

#[tokio::test]
async fn what_was_read_of_another_history_than_the_checkpoints_is_not_acted_on() {
    let (mut bench, shutdown) = (Bench::new().await, Shutdown::new());
    bench.append(2).await;
    let elsewhere = Arc::new(InterceptedLog::over(bench.log.clone(), FromElsewhere));
    let (status, running) = bench.start_on(elsewhere, &shutdown);
    bench.until(|| matches!(status.state(), FollowerState::Interrupted { .. })).await;
    assert_eq!((bench.order(), bench.checkpoint().await), (vec![], 0));
    shutdown.request();
    running.await.unwrap();
}

/// Says how often it was asked for a page, and takes its time.
#[derive(Default)]
struct Slow(Mutex<usize>);

impl Interception for Slow {
    fn read_all<'a>(
        &'a self,
        log: &'a dyn EventLog,
        after: Position,
        limit: usize,
    ) -> BoxFuture<'a, Result<Page, EventLogError>> {
        *self.0.lock().unwrap() += 1;
        async move {
            tokio::time::sleep(Duration::from_millis(100)).await;
            log.read_all(after, limit).await
        }
        .boxed()
    }
}

#[tokio::test]
async fn a_page_that_is_waited_for_in_pieces_is_read_once() {
    let mut bench = Bench::new().await;
    bench.append(6).await;
    let slow = Arc::new(InterceptedLog::over(bench.log.clone(), Slow::default()));
    let tail = LogTail::new(slow.clone());
    let mut ahead = ReadAhead::start(tail.follow(Position(0)), 3);
    let mut read = Vec::new();
    while read.len() < 6 {
        // As often as a reactor has something done.
        let waiting = tokio::time::timeout(Duration::from_millis(5), ahead.next_page());
        let Ok(page) = waiting.await else { continue };
        read.extend(page.unwrap().events.iter().map(|event| event.position.0));
    }
    assert_eq!(read, [1, 2, 3, 4, 5, 6]);
    let asked = *slow.0.lock().unwrap();
    assert!(asked <= 6, "two pages, and what the reader of the end asks for: {asked}");
}
