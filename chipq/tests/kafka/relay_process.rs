//! `chipq relay` as a process of its own on a log of the test's own.

use std::fs::File;
use std::path::Path;
use std::process::Child;
use std::sync::Arc;

use ::platform::event_log::postgres::PostgresEventLog;
use ::platform::event_log::{Append, EventLog as _, EventMetadata, NewEvent, StreamId};
use ::platform::test_support::{TestDatabase, free_port, fresh_database};
use serde_json::{Value, json};

use crate::platform::chipq;
use crate::until;

/// A relay.
pub(crate) struct Relay {
    process: Child,
    health: String,
}

impl Relay {
    /// Starts one that sends the log of `database`, and may not be ready yet.
    pub(crate) fn start(database: &TestDatabase, kafka: &str, folder: &Path) -> Self {
        Self::start_with(database, kafka, folder, &[])
    }

    pub(crate) fn start_with(
        database: &TestDatabase,
        kafka: &str,
        folder: &Path,
        environment: &[(&str, &str)],
    ) -> Self {
        let health = format!("127.0.0.1:{}", free_port());
        let log = File::options().create(true).append(true).open(folder.join("relay.log")).unwrap();
        let process = chipq(&["relay", "--kafka", kafka, "--health-listen", &health])
            .env("CHIPQ_DATABASE_URL", database.url())
            .env("CHIPQ_LOG", "info")
            .envs(environment.iter().copied())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { process, health: format!("http://{health}/readyz") }
    }

    /// As a power failure ends it.
    pub(crate) fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// What `/readyz` says is not ready, by name.
    pub(crate) async fn troubles(&self) -> Option<Vec<(String, String)>> {
        let answer = reqwest::get(&self.health).await.ok()?;
        let said: Value = answer.json().await.ok()?;
        let checks = said["checks"].as_array()?.iter();
        let troubles = checks.filter(|check| check["ready"] == false);
        let text =
            |check: &Value, field: &str| check[field].as_str().unwrap_or_default().to_owned();
        Some(troubles.map(|check| (text(check, "name"), text(check, "detail"))).collect())
    }

    /// Waits until something that is not ready says all of `parts`.
    pub(crate) async fn until_it_says(&self, parts: &[&str]) {
        let mut last = None;
        until(&format!("{parts:?}"), async || {
            last = self.troubles().await.or(last.take());
            let said = last.iter().flatten();
            said.into_iter().any(|(_, detail)| parts.iter().all(|part| detail.contains(part)))
        })
        .await;
    }

    pub(crate) async fn until_ready(&self) {
        until("the relay is well", async || self.troubles().await.is_some_and(|t| t.is_empty()))
            .await;
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A log and its database.
pub(crate) struct Log {
    pub(crate) database: TestDatabase,
    pub(crate) log: Arc<PostgresEventLog>,
}

impl Log {
    pub(crate) async fn new() -> Self {
        let database = fresh_database().await;
        let log = Arc::new(PostgresEventLog::new(database.pool()));
        Self { database, log }
    }

    /// Appends so many events to a stream that has `version`; each says `reason`.
    pub(crate) async fn append(&self, stream: &StreamId, version: u64, events: u64, reason: &str) {
        let event = |_| NewEvent {
            event_type: "InspectionVoided".into(),
            event_version: "1".into(),
            payload: json!({"type": "InspectionVoided", "reason": reason}),
            labels: domain::EventLabels::default(),
        };
        let events = (0..events).map(event).collect();
        let append =
            Append::new(stream.clone(), version, events, EventMetadata::by_service("test"));
        self.log.append(append).await.unwrap();
    }

    /// Waits until the relay has sent everything up to the end of the log.
    pub(crate) async fn until_sent(&self) {
        let end = self.log.end().await.unwrap().position.0;
        until("everything is sent", async || self.checkpoint().await == Some(end)).await;
    }

    pub(crate) async fn checkpoint(&self) -> Option<i64> {
        let sql = "SELECT position FROM follower_leases WHERE follower = 'relay'";
        sqlx::query_scalar(sql).fetch_optional(&self.database.pool()).await.unwrap()
    }
}

/// The stream of an inspection.
pub(crate) fn inspection(id: &str) -> StreamId {
    StreamId { aggregate_type: "inspection".into(), aggregate_id: id.into() }
}
