//! A reactor of a test on a real PostgreSQL: what it is given, and what its checkpoints say.

use std::sync::Mutex;

use futures::FutureExt as _;
use uuid::Uuid;

use super::*;
use crate::event_log::postgres::PostgresEventLog;
use crate::event_log::{Append, EventLog, EventMetadata, NewEvent, Position};
use crate::follower::Followers;
use crate::test_support::{TestDatabase, fresh_database};

const PATIENCE: Duration = Duration::from_secs(30);

/// Notes what it was given; holds streams whose id is in `held` until a shutdown, puts those in
/// `obstructed` off, and panics once for each in `faulty`.
#[derive(Default)]
struct Recorder {
    given: Mutex<Vec<(StreamId, Vec<u64>)>>,
    held: Mutex<Vec<StreamId>>,
    obstructed: Mutex<Vec<StreamId>>,
    faulty: Mutex<Vec<StreamId>>,
}

impl StreamReactor for Recorder {
    fn name(&self) -> &'static str {
        "recorder"
    }

    fn partitions(&self) -> u16 {
        4
    }

    fn gives_work(&self, event: &Recorded) -> bool {
        event.event_type == "Asked"
    }

    fn handle<'a>(
        &'a self,
        stream: &'a StreamId,
        events: &'a [Arc<Recorded>],
        shutdown: &'a Shutdown,
    ) -> BoxFuture<'a, Handled> {
        let sequences = events.iter().map(|event| event.sequence).collect();
        self.given.lock().unwrap().push((stream.clone(), sequences));
        async move {
            let is_faulty =
                self.faulty.lock().unwrap().extract_if(.., |of| of == stream).count() > 0;
            assert!(!is_faulty, "the reactor has a fault");
            if self.held.lock().unwrap().contains(stream) {
                shutdown.requested().await;
                return Handled::Left;
            }
            if self.obstructed.lock().unwrap().contains(stream) {
                return Handled::Later { pause: Duration::from_millis(20) };
            }
            Handled::Done
        }
        .boxed()
    }
}

struct Running {
    shutdown: Shutdown,
    task: tokio::task::JoinHandle<()>,
}

impl Running {
    fn start(database: &TestDatabase, log: &Arc<dyn EventLog>, reactor: &Arc<Recorder>) -> Self {
        let shutdown = Shutdown::new();
        let status = Arc::new(PartitionStatus::new(Followers::new().register("recorder")));
        let on = (database.pool(), LogTail::new(Arc::clone(log)));
        let options =
            ReactorOptions { concurrency: 2, lease: Duration::from_millis(500), member_name: None };
        let running = run_reactor(Arc::clone(reactor) as _, on, options, status, shutdown.clone());
        let task = tokio::spawn(async move { running.await.unwrap() });
        Self { shutdown, task }
    }

    async fn stop(self) {
        self.shutdown.request();
        self.task.await.unwrap();
    }
}

fn stream(id: u128) -> StreamId {
    StreamId { aggregate_type: "thing".into(), aggregate_id: Uuid::from_u128(id).to_string() }
}

async fn append(log: &dyn EventLog, id: u128, version: u64, event_type: &str) -> Position {
    let event = NewEvent {
        event_type: event_type.into(),
        event_version: "1".into(),
        payload: serde_json::json!({}),
        labels: domain::EventLabels::default(),
    };
    let metadata = EventMetadata::by_service("test");
    let append = Append::new(stream(id), version, vec![event], metadata);
    log.append(append).await.unwrap().position.unwrap()
}

async fn until(what: &str, mut found: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !found().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("not in time: {what}"));
}

async fn lowest_checkpoint(database: &TestDatabase) -> Option<i64> {
    sqlx::query_scalar("SELECT min(position) FROM follower_leases WHERE follower = 'recorder'")
        .fetch_one(&database.pool())
        .await
        .unwrap()
}

#[tokio::test]
async fn each_stream_is_given_the_events_that_ask_for_something_and_then_the_checkpoint_moves() {
    let database = fresh_database().await;
    let log: Arc<dyn EventLog> = Arc::new(PostgresEventLog::new(database.pool()));
    append(&*log, 1, 0, "Asked").await;
    append(&*log, 2, 0, "Happened").await;
    append(&*log, 1, 1, "Happened").await;
    let end = append(&*log, 1, 2, "Asked").await;
    let reactor = Arc::new(Recorder::default());
    let running = Running::start(&database, &log, &reactor);
    until("the end", async || lowest_checkpoint(&database).await == Some(end.0)).await;
    running.stop().await;
    assert_eq!(*reactor.given.lock().unwrap(), [(stream(1), vec![1, 3])]);
    let running = Running::start(&database, &log, &reactor);
    append(&*log, 2, 1, "Asked").await;
    until("the next one", async || reactor.given.lock().unwrap().len() == 2).await;
    running.stop().await;
    assert_eq!(reactor.given.lock().unwrap()[1], (stream(2), vec![2]), "nothing comes again");
}

#[tokio::test]
async fn what_is_left_at_the_end_keeps_its_checkpoint_back_and_is_given_to_the_next_owner() {
    let database = fresh_database().await;
    let log: Arc<dyn EventLog> = Arc::new(PostgresEventLog::new(database.pool()));
    append(&*log, 3, 0, "Happened").await;
    let first = append(&*log, 1, 0, "Asked").await;
    let second = append(&*log, 2, 0, "Asked").await;
    let reactor = Arc::new(Recorder::default());
    reactor.held.lock().unwrap().push(stream(1));
    let running = Running::start(&database, &log, &reactor);
    until("both", async || reactor.given.lock().unwrap().len() == 2).await;
    running.stop().await;
    assert_eq!(lowest_checkpoint(&database).await, Some(first.0 - 1));

    reactor.held.lock().unwrap().clear();
    let next = Running::start(&database, &log, &reactor);
    until("the end", async || lowest_checkpoint(&database).await == Some(second.0)).await;
    next.stop().await;
    let given = reactor.given.lock().unwrap();
    let times = |id| given.iter().filter(|(of, _)| *of == stream(id)).count();
    assert_eq!((times(1), times(2)), (2, 1));
}

#[tokio::test]
async fn a_stream_whose_handling_panicked_is_given_again_to_the_same_owner() {
    let database = fresh_database().await;
    let log: Arc<dyn EventLog> = Arc::new(PostgresEventLog::new(database.pool()));
    append(&*log, 1, 0, "Asked").await;
    let end = append(&*log, 2, 0, "Asked").await;
    let reactor = Arc::new(Recorder::default());
    reactor.faulty.lock().unwrap().push(stream(1));
    let running = Running::start(&database, &log, &reactor);
    until("the end", async || lowest_checkpoint(&database).await == Some(end.0)).await;
    running.stop().await;
    let given = reactor.given.lock().unwrap();
    assert_eq!(given.iter().filter(|(of, _)| *of == stream(1)).count(), 2, "{given:?}");
}

#[tokio::test]
async fn streams_that_are_put_off_hold_up_nobody_and_are_given_until_they_are_done() {
    let database = fresh_database().await;
    let log: Arc<dyn EventLog> = Arc::new(PostgresEventLog::new(database.pool()));
    // More than may be under way at a time, and before all others in the log.
    let obstructed = [1, 2, 3];
    for id in obstructed {
        append(&*log, id, 0, "Asked").await;
    }
    let end = append(&*log, 4, 0, "Asked").await;
    let reactor = Arc::new(Recorder::default());
    reactor.obstructed.lock().unwrap().extend(obstructed.map(stream));
    let running = Running::start(&database, &log, &reactor);
    let times =
        |id| reactor.given.lock().unwrap().iter().filter(|(of, _)| *of == stream(id)).count();
    until("the other one", async || times(4) == 1).await;
    until("several tries", async || obstructed.iter().all(|id| times(*id) >= 3)).await;
    assert_eq!(lowest_checkpoint(&database).await, Some(0), "they stay open");
    reactor.obstructed.lock().unwrap().clear();
    until("the end", async || lowest_checkpoint(&database).await == Some(end.0)).await;
    running.stop().await;
    assert_eq!(times(4), 1);
}
