//! A log in KurrentDB: the cluster in memory that stands in for it, and a database beside it.

use std::sync::Arc;

use platform::event_log::{
    Append, AppendError, Appended, EventLog, EventLogConfig, EventLogUrl, EventMetadata, NewEvent,
    OpenEventLogError, StreamId,
};
use platform::test_support::{TestDatabase, fresh_database};
use uuid::Uuid;

#[path = "../../kurrentdb-client/tests/stand_in/cluster.rs"]
mod stand_in;

pub(crate) use stand_in::{Fault, StandIn};

pub(crate) struct KurrentStage {
    pub(crate) cluster: StandIn,
    pub(crate) database: TestDatabase,
}

impl KurrentStage {
    /// So many nodes, of which the first leads, and an empty database.
    pub(crate) async fn start(nodes: usize) -> Self {
        Self { cluster: StandIn::start(nodes).await, database: fresh_database().await }
    }

    /// The log, as another process opens it.
    pub(crate) async fn open(&self) -> Arc<dyn EventLog> {
        self.try_to_open().await.unwrap_or_else(|error| panic!("{error}"))
    }

    /// The same, which may be refused.
    pub(crate) async fn try_to_open(&self) -> Result<Arc<dyn EventLog>, OpenEventLogError> {
        open_at(&self.cluster.url(), &self.database).await
    }
}

/// The log at `url` beside a database.
pub(crate) async fn open_at(
    url: &str,
    database: &TestDatabase,
) -> Result<Arc<dyn EventLog>, OpenEventLogError> {
    let config = EventLogConfig { event_log_url: Some(url.into()) };
    let url: Option<EventLogUrl> = config.url()?;
    platform::event_log::open(url.as_ref(), &database.pool()).await
}

pub(crate) fn stream(id: &str) -> StreamId {
    StreamId { aggregate_type: "test".into(), aggregate_id: id.into() }
}

/// Of one event, by a command if one is given.
pub(crate) fn append_to(id: &str, expected: u64, command: Option<u128>) -> Append {
    let event = NewEvent {
        event_type: "Happened".into(),
        event_version: "1".into(),
        payload: serde_json::json!({ "id": id }),
        labels: domain::EventLabels::default(),
    };
    let metadata = EventMetadata::by_service("test");
    let metadata = match command {
        Some(command) => metadata.with_command_id(Uuid::from_u128(command)),
        None => metadata,
    };
    Append::new(stream(id), expected, vec![event], metadata)
}

pub(crate) async fn append(log: &dyn EventLog, id: &str) -> Result<Appended, AppendError> {
    log.append(append_to(id, 0, None)).await
}
