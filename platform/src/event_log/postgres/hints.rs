//! Hints between processes by LISTEN and NOTIFY, coalesced and always outside the append transaction:
//! a NOTIFY inside it would serialise every commit of the database.

use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::PgListener;
use tokio::sync::{Notify, watch};
use tokio_util::task::AbortOnDropHandle;

const CHANNEL: &str = "chipq_events";

/// How long a broken listener waits before it connects again; followers poll meanwhile.
const RECONNECT_DELAY: Duration = Duration::from_secs(1);

/// The two ends of the hints of one process.
pub(super) struct Hints {
    appended: Arc<Notify>,
    seen: Arc<watch::Sender<u64>>,
    _tasks: [AbortOnDropHandle<()>; 2],
}

impl Hints {
    pub(super) fn start(pool: PgPool) -> Self {
        let appended = Arc::new(Notify::new());
        let seen = Arc::new(watch::Sender::new(0));
        let sender = tokio::spawn(send(pool.clone(), Arc::clone(&appended)));
        let listener = tokio::spawn(listen(pool, Arc::clone(&seen)));
        let tasks = [sender, listener].map(AbortOnDropHandle::new);
        Self { appended, seen, _tasks: tasks }
    }

    /// Something may have been appended here: wakes followers of this process at once, and those of
    /// others by one notification for all appends since the last.
    pub(super) fn appended(&self) {
        self.seen.send_modify(bump);
        self.appended.notify_one();
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<u64> {
        self.seen.subscribe()
    }
}

fn bump(count: &mut u64) {
    *count = count.wrapping_add(1);
}

async fn send(pool: PgPool, appended: Arc<Notify>) {
    loop {
        appended.notified().await;
        let sent = sqlx::query("SELECT pg_notify($1, '')").bind(CHANNEL).execute(&pool).await;
        if let Err(error) = sent {
            tracing::debug!(%error, "hint not sent; followers elsewhere will poll");
        }
    }
}

async fn listen(pool: PgPool, seen: Arc<watch::Sender<u64>>) {
    loop {
        if let Err(error) = forward(&pool, &seen).await {
            tracing::debug!(%error, "hints interrupted; followers poll meanwhile");
        }
        tokio::time::sleep(RECONNECT_DELAY).await;
    }
}

async fn forward(pool: &PgPool, seen: &watch::Sender<u64>) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(CHANNEL).await?;
    loop {
        listener.recv().await?;
        seen.send_modify(bump);
    }
}
