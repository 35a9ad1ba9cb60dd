//! The adapters of the event log, each held to the same suite. What only one of them does is tested in a
//! file of its own (`event_log_hammer.rs`, `event_log_watermark.rs`).

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "support/event_log_suite.rs"]
mod event_log_suite;
#[path = "support/kurrent_stage.rs"]
#[allow(dead_code, unused_imports, reason = "shared with tests of its failures")]
mod kurrent_stage;
#[path = "support/two_step_log.rs"]
#[allow(dead_code, reason = "shared with tests that let it die")]
mod two_step_log;

use std::sync::{Arc, Mutex};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use platform::event_log::EventLog;
use platform::event_log::postgres::PostgresEventLog;
use platform::test_support::{TestDatabase, fresh_database};

use event_log_suite::{EmptyLog, event_log_tests};
use kurrent_stage::KurrentStage;
use two_step_log::TwoSteps;

/// A database of the test's own.
struct OnPostgres(TestDatabase);

impl EmptyLog for OnPostgres {
    fn open(&self) -> Arc<dyn EventLog> {
        Arc::new(PostgresEventLog::new(self.0.pool()))
    }

    fn cut_off(&self) -> BoxFuture<'_, ()> {
        async { self.0.pool().close().await }.boxed()
    }
}

/// The same, with answers kept in a step of their own.
struct InTwoSteps(OnPostgres);

impl EmptyLog for InTwoSteps {
    fn open(&self) -> Arc<dyn EventLog> {
        Arc::new(TwoSteps::over(self.0.open(), self.0.0.pool()))
    }

    fn cut_off(&self) -> BoxFuture<'_, ()> {
        self.0.cut_off()
    }
}

mod postgres {
    use super::*;

    async fn open() -> OnPostgres {
        OnPostgres(fresh_database().await)
    }

    event_log_tests!(open);
}

mod two_steps {
    use super::*;

    async fn open() -> InTwoSteps {
        InTwoSteps(OnPostgres(fresh_database().await))
    }

    event_log_tests!(open);
}

/// In KurrentDB, for which a cluster in memory stands in. Each handle is opened before the test, as opening one waits
/// for the server.
struct OnKurrentDb {
    stage: KurrentStage,
    handles: Mutex<Vec<Arc<dyn EventLog>>>,
}

impl EmptyLog for OnKurrentDb {
    fn open(&self) -> Arc<dyn EventLog> {
        self.handles.lock().unwrap().pop().expect("no test opens more than two")
    }

    fn cut_off(&self) -> BoxFuture<'_, ()> {
        async { self.stage.cluster.kill_node(0) }.boxed()
    }
}

mod kurrentdb {
    use super::*;

    async fn open() -> OnKurrentDb {
        let stage = KurrentStage::start(1).await;
        let handles = Mutex::new(vec![stage.open().await, stage.open().await]);
        OnKurrentDb { stage, handles }
    }

    event_log_tests!(open);
}
