//! The consumer, stepped on a real PostgreSQL.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::BoxFuture;

use super::*;
use crate::event_log::postgres::PostgresEventLog;
use crate::event_log::{Append, EventLog, EventMetadata, NewEvent, Recorded};
use crate::follower::Followers;
use crate::health::Probe as _;
use crate::test_support::{TestDatabase, fresh_database};

const PATIENCE: Duration = Duration::from_secs(30);

/// Never comes to an end with a stream, and counts how many it was given, and has at once.
#[derive(Default)]
struct Endless {
    given: AtomicUsize,
    at_once: AtomicUsize,
}

/// Counts down also when the future is dropped.
struct Counted<'a>(&'a AtomicUsize);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl StreamReactor for Endless {
    fn name(&self) -> &'static str {
        "endless"
    }

    fn partitions(&self) -> u16 {
        4
    }

    fn gives_work(&self, _: &Recorded) -> bool {
        true
    }

    fn handle<'a>(
        &'a self,
        _: &'a StreamId,
        _: &'a [Arc<Recorded>],
        _: &'a Shutdown,
    ) -> BoxFuture<'a, Handled> {
        async {
            self.given.fetch_add(1, Ordering::SeqCst);
            self.at_once.fetch_add(1, Ordering::SeqCst);
            let _counted = Counted(&self.at_once);
            std::future::pending().await
        }
        .boxed()
    }
}

async fn start(
    database: &TestDatabase,
    log: Arc<dyn EventLog>,
    reactor: &Arc<Endless>,
    followers: &Followers,
) -> PartitionConsumer {
    let status = Arc::new(PartitionStatus::new(followers.register("endless")));
    let leases = Leases::new(database.pool(), ("endless", 4), Duration::from_secs(3_600), None);
    let on = (Arc::clone(reactor) as Arc<dyn StreamReactor>, 2);
    PartitionConsumer::start(on, LogTail::new(log), leases, status, Shutdown::new()).await.unwrap()
}

impl PartitionConsumer {
    /// Steps until the followers are ready, or not.
    async fn step_until_ready(&mut self, followers: &Followers, ready: bool) {
        let stepping = async {
            while followers.checks().await[0].ready != ready {
                let wakeup = self.next_wakeup().await;
                self.handle(wakeup).await;
            }
        };
        tokio::time::timeout(PATIENCE, stepping).await.expect("readiness never changes");
    }

    /// Steps until the reactor was given so many streams.
    async fn step_until_given(&mut self, reactor: &Endless, streams: usize) {
        let stepping = async {
            while reactor.given.load(Ordering::SeqCst) < streams {
                self.start_next();
                let wakeup = self.next_wakeup().await;
                self.handle(wakeup).await;
            }
        };
        tokio::time::timeout(PATIENCE, stepping).await.expect("it is never given");
    }
}

#[tokio::test]
async fn a_partition_that_is_leased_again_under_another_epoch_is_dropped_first() {
    let database = fresh_database().await;
    let log: Arc<dyn EventLog> = Arc::new(PostgresEventLog::new(database.pool()));
    let stream = StreamId { aggregate_type: "thing".into(), aggregate_id: "a".into() };
    let asked = NewEvent {
        event_type: "Asked".into(),
        event_version: "1".into(),
        payload: serde_json::json!({}),
        labels: domain::EventLabels::default(),
    };
    let metadata = EventMetadata::by_service("test");
    log.append(Append::new(stream.clone(), 0, vec![asked], metadata)).await.unwrap();

    let reactor = Arc::new(Endless::default());
    let mut consumer = start(&database, log, &reactor, &Followers::new()).await;
    consumer.step_until_given(&reactor, 1).await;

    // As an acquisition finds it whose own lease ran out while this process stood still.
    let partition = Partition::for_stream(&stream, 4);
    let before = consumer.backlog.current_lease(partition).unwrap();
    consumer.add_leases(&[Lease { epoch: before.epoch + 1, ..before }]);
    consumer.step_until_given(&reactor, 2).await;
    assert_eq!(reactor.at_once.load(Ordering::SeqCst), 1, "what goes on is of the new lease alone");
    assert!(consumer.backlog.is_under_way(&stream, before.epoch + 1));
}

#[tokio::test]
async fn a_log_that_cannot_be_read_is_shown_until_it_can_be_read_again_also_when_nothing_happens() {
    let database = fresh_database().await;
    let log: Arc<dyn EventLog> = Arc::new(PostgresEventLog::new(database.pool()));
    let (reactor, followers) = (Arc::new(Endless::default()), Followers::new());
    let mut consumer = start(&database, log, &reactor, &followers).await;
    assert!(followers.checks().await[0].ready);
    let rename = async |sql: &str| sqlx::raw_sql(sql).execute(&database.pool()).await.unwrap();
    rename("ALTER TABLE events RENAME TO gone").await;
    consumer.step_until_ready(&followers, false).await;
    let detail = followers.checks().await.remove(0).detail.unwrap();
    assert!(detail.starts_with("interrupted since"), "{detail}");
    rename("ALTER TABLE gone RENAME TO events").await;
    consumer.step_until_ready(&followers, true).await;
}
