//! What is read of a stream that was read before, and that it makes the same aggregate.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use domain::{Confidence, Part, PartCommand, PartNumber, Recipe};
use futures::FutureExt as _;
use futures::future::BoxFuture;

use super::*;
use crate::event_log::postgres::PostgresEventLog;
use crate::event_log::{EventLogError, EventMetadata};
use crate::execute::{Request, execute};
use crate::test_support::{InterceptedLog, Interception, TestDatabase, fresh_database};

const PART: &str = "P-1";
/// More than are read whole each time.
const REVISIONS: u32 = 60;

/// Counts the events that are read of streams, and reads those of another log once there is one.
#[derive(Default)]
struct Readings {
    events: AtomicUsize,
    restored: Mutex<Option<Arc<dyn EventLog>>>,
}

impl Readings {
    fn take(&self) -> usize {
        self.events.swap(0, Ordering::SeqCst)
    }
}

impl Interception for Readings {
    fn read_stream<'a>(
        &'a self,
        log: &'a dyn EventLog,
        stream: &'a StreamId,
        after_sequence: u64,
    ) -> BoxFuture<'a, Result<StreamEvents, EventLogError>> {
        async move {
            let restored = self.restored.lock().unwrap().clone();
            let read =
                restored.as_deref().unwrap_or(log).read_stream(stream, after_sequence).await?;
            self.events.fetch_add(read.events.len(), Ordering::SeqCst);
            Ok(read)
        }
        .boxed()
    }
}

async fn send(log: &dyn EventLog, command: PartCommand) -> Uuid {
    let command_id = Uuid::new_v4();
    let metadata = EventMetadata::by_service("test").with_command_id(command_id);
    let aggregate_id = PART.to_owned();
    let request =
        Request::<Part> { aggregate_id, command, is_new: false, if_match: None, metadata };
    execute(log, request).await.unwrap();
    command_id
}

async fn revise(log: &dyn EventLog, bend_max_px: f32) -> Uuid {
    let recipe = Recipe::new(0, Confidence::HALF, Confidence::QUARTER).unwrap();
    let recipe = recipe.with_bend_max_px(bend_max_px).unwrap();
    send(log, PartCommand::ReviseRecipe { recipe, reason: "again".to_owned() }).await
}

/// A log of one part with so many revisions of its recipe, and the command of the first.
async fn log_with_revisions(revisions: u32) -> (TestDatabase, Arc<dyn EventLog>, Uuid) {
    let database = fresh_database().await;
    let log: Arc<dyn EventLog> = Arc::new(PostgresEventLog::new(database.pool()));
    send(&*log, PartCommand::RegisterPart { part: PartNumber::new(PART).unwrap() }).await;
    let mut first = None;
    for n in 0..revisions {
        let command_id = revise(&*log, n as f32 / 100.0).await;
        first.get_or_insert(command_id);
    }
    (database, log, first.unwrap())
}

#[tokio::test]
async fn of_a_long_stream_only_what_came_since_is_read() {
    let (_database, log, _) = log_with_revisions(REVISIONS).await;
    let log = InterceptedLog::over(log, Readings::default());
    let first = load::<Part>(&log, PART).await.unwrap();
    log.take();
    let again = load::<Part>(&log, PART).await.unwrap();
    assert_eq!(log.take(), 1, "its last event");
    assert_eq!(
        (&again.state, again.version, again.position),
        (&first.state, first.version, first.position)
    );
    assert_eq!(again.state.recipe().revision, REVISIONS + 1);

    revise(&log, 9.0).await;
    log.take();
    let later = load::<Part>(&log, PART).await.unwrap();
    assert_eq!((log.take(), later.version), (2, first.version + 1));
    assert_eq!(load::<Part>(&log, PART).await.unwrap().state, later.state);
    assert_eq!(later.state.recipe().bend_max_px, 9.0);
}

#[tokio::test]
async fn a_stream_that_is_not_what_it_was_is_read_whole() {
    let (_database, log, _) = log_with_revisions(REVISIONS).await;
    for revisions in [REVISIONS / 2, REVISIONS, REVISIONS + 10] {
        let log = InterceptedLog::over(Arc::clone(&log), Readings::default());
        let before = load::<Part>(&log, PART).await.unwrap();
        let (_database, restored, _) = log_with_revisions(revisions).await;
        *log.restored.lock().unwrap() = Some(Arc::clone(&restored));
        let (loaded, expected) = (
            load::<Part>(&log, PART).await.unwrap(),
            load::<Part>(&*restored, PART).await.unwrap(),
        );
        assert_eq!((&loaded.state, loaded.version), (&expected.state, expected.version));
        assert_eq!(loaded.incarnation, expected.incarnation);
        assert_eq!(before.version, u64::from(REVISIONS) + 1);
    }
}

#[tokio::test]
async fn what_a_command_appended_is_found_however_long_ago() {
    let (_database, log, first) = log_with_revisions(REVISIONS).await;
    load::<Part>(&*log, PART).await.unwrap();
    let (loaded, found) = load_beside::<Part>(&*log, PART, first).await.unwrap();
    assert_eq!(loaded.version, u64::from(REVISIONS) + 1);
    assert_eq!(found.map(|event| event.sequence), Some(2));
    let (_, found) = load_beside::<Part>(&*log, PART, Uuid::new_v4()).await.unwrap();
    assert!(found.is_none());
}
