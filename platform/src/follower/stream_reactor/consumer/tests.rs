//! The consumer, stepped on a real PostgreSQL.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::BoxFuture;

use super::*;
use crate::event_log::postgres::PostgresEventLog;
use crate::event_log::{Append, EventLog, EventMetadata, NewEvent, Recorded};
use crate::follower::Followers;
use crate::test_support::fresh_database;

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

impl PartitionConsumer {
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
    };
    let metadata = EventMetadata::by_service("test");
    log.append(Append::new(stream.clone(), 0, vec![asked], metadata)).await.unwrap();

    let reactor = Arc::new(Endless::default());
    let status = Arc::new(PartitionStatus::new(Followers::new().register("endless")));
    let leases = Leases::new(database.pool(), ("endless", 4), Duration::from_secs(3_600), None);
    let (tail, shutdown) = (LogTail::new(log), Shutdown::new());
    let on = (Arc::clone(&reactor) as Arc<dyn StreamReactor>, 2);
    let mut consumer = PartitionConsumer::start(on, tail, leases, status, shutdown).await.unwrap();
    consumer.step_until_given(&reactor, 1).await;

    // As an acquisition finds it whose own lease ran out while this process stood still.
    let partition = Partition::for_stream(&stream, 4);
    let before = consumer.backlog.current_lease(partition).unwrap();
    consumer.add_leases(&[Lease { epoch: before.epoch + 1, ..before }]);
    consumer.step_until_given(&reactor, 2).await;
    assert_eq!(reactor.at_once.load(Ordering::SeqCst), 1, "what goes on is of the new lease alone");
    assert!(consumer.backlog.is_under_way(&stream, before.epoch + 1));
}
