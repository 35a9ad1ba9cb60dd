//! Tells readers in other processes that rows have changed: a reason to look, never data.

use std::sync::Arc;

use sqlx::PgPool;
use tokio::sync::Notify;
use tokio_util::task::AbortOnDropHandle;

/// The channel of the notifications. The payload is empty; one may stand for many changes, and one
/// may be lost.
pub const PROJECTED_CHANNEL: &str = "chipq_projected";

/// Sends notifications outside any transaction, one for all changes since the last.
#[derive(Clone)]
pub(crate) struct Hint {
    changed: Arc<Notify>,
    _sender: Arc<AbortOnDropHandle<()>>,
}

impl Hint {
    pub(crate) fn start(pool: PgPool) -> Self {
        let changed = Arc::new(Notify::new());
        let sender = tokio::spawn(send(pool, Arc::clone(&changed)));
        Self { changed, _sender: Arc::new(AbortOnDropHandle::new(sender)) }
    }

    /// Rows have changed, and the change is committed.
    pub(crate) fn changed(&self) {
        self.changed.notify_one();
    }
}

async fn send(pool: PgPool, changed: Arc<Notify>) {
    loop {
        changed.notified().await;
        let sent =
            sqlx::query("SELECT pg_notify($1, '')").bind(PROJECTED_CHANNEL).execute(&pool).await;
        if let Err(error) = sent {
            tracing::debug!(%error, "hint not sent; readers will poll");
        }
    }
}
