//! Hints between processes by LISTEN and NOTIFY: a reason to look, never data.
//!
//! Invariant: nothing is notified inside anybody's transaction, where a NOTIFY would serialise every
//! commit of the database; one notification stands for all hints since the last, and there are few in any second
//! however many hints are given. A hint may be late, early or lost, so whoever waits for one looks now and then
//! without it. Absent: payloads, but for who sends.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use sqlx::Executor as _;
use sqlx::postgres::PgListener;
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use super::Pool;
use crate::backoff::Backoff;

/// The channel of the hints that read models have moved: rows and checkpoint are committed.
pub const PROJECTED_CHANNEL: &str = "chipq_projected";

/// The least time between two notifications. The first hint after a silence is sent at once.
const LEAST_INTERVAL: Duration = Duration::from_millis(5);

/// Between attempts to listen again.
const RECONNECT: Backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(5), 0.5);

/// A listener that has heard nothing for so long asks whether the database still answers, and how long that
/// may take. Nothing but an answer tells a channel on which nothing is said from a dead one.
const PROVE_AFTER: Duration = Duration::from_secs(5);
const PROOF_LIMIT: Duration = Duration::from_secs(2);

/// Sends hints to the listeners of a channel in every process. Clones share one sender.
#[derive(Debug, Clone)]
pub struct HintSender {
    id: Uuid,
    due: Arc<Notify>,
    _task: Arc<AbortOnDropHandle<()>>,
}

impl HintSender {
    /// Sends on `channel` of the database of `pool` by a task that ends with the last clone.
    #[must_use]
    pub fn start(pool: Pool, channel: &'static str) -> Self {
        let (id, due) = (Uuid::new_v4(), Arc::new(Notify::new()));
        let task = tokio::spawn(notify_when_due(pool, (channel, id), Arc::clone(&due)));
        Self { id, due, _task: Arc::new(AbortOnDropHandle::new(task)) }
    }

    /// There is a reason to look, and what there is to see is committed. Returns at once.
    pub fn send_hint(&self) {
        self.due.notify_one();
    }
}

/// Hears the hints of a channel. Clones share one connection.
#[derive(Debug, Clone)]
pub struct HintListener {
    heard: Arc<watch::Sender<u64>>,
    _task: Arc<AbortOnDropHandle<()>>,
}

impl HintListener {
    /// Listens to `channel` of the database of `pool` by a task that ends with the last clone.
    #[must_use]
    pub fn start(pool: Pool, channel: &'static str) -> Self {
        Self::start_ignoring(pool, channel, None)
    }

    /// The same, for the subscribers of whoever wakes them itself when it sends hints by `sender`: those need not be
    /// heard.
    #[must_use]
    pub fn start_beside(pool: Pool, channel: &'static str, sender: &HintSender) -> Self {
        Self::start_ignoring(pool, channel, Some(sender.id.to_string()))
    }

    fn start_ignoring(pool: Pool, channel: &'static str, ignored: Option<String>) -> Self {
        let heard = Arc::new(watch::Sender::new(0));
        let task = tokio::spawn(listen_for_ever(pool, (channel, ignored), Arc::clone(&heard)));
        Self { heard, _task: Arc::new(AbortOnDropHandle::new(task)) }
    }

    /// Changes with every hint.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.heard.subscribe()
    }

    /// Wakes the subscribers of this process at once, without the detour over the database.
    pub fn wake_subscribers(&self) {
        count_hint(&self.heard);
    }
}

fn count_hint(heard: &watch::Sender<u64>) {
    heard.send_modify(|count| *count = count.wrapping_add(1));
}

async fn notify_when_due(pool: Pool, (channel, id): (&'static str, Uuid), due: Arc<Notify>) {
    let id = id.to_string();
    loop {
        due.notified().await;
        let sent = sqlx::query("SELECT pg_notify($1, $2)").bind(channel).bind(&id);
        let sent = sent.execute(&pool).await;
        if let Err(error) = sent {
            tracing::debug!(channel, %error, "hint not sent; others look without it");
        }
        sleep(LEAST_INTERVAL).await;
    }
}

async fn listen_for_ever(
    pool: Pool,
    (channel, ignored): (&'static str, Option<String>),
    heard: Arc<watch::Sender<u64>>,
) {
    let (mut listener, mut attempt) = (None, 0);
    loop {
        let which = (channel, ignored.as_deref());
        let Err(error) = listen(&pool, which, &mut listener, &heard, &mut attempt).await;
        tracing::debug!(channel, %error, "hints interrupted; followers look without them");
        RECONNECT.wait(attempt).await;
        attempt = attempt.saturating_add(1);
    }
}

/// Listens until something is in the way. What listened before is left behind for the next time, because a
/// connection on which nothing comes back is closed by the one that takes its place ([`Pool::listen`]).
async fn listen(
    pool: &Pool,
    (channel, ignored): (&str, Option<&str>),
    listener: &mut Option<PgListener>,
    heard: &watch::Sender<u64>,
    attempt: &mut u32,
) -> Result<Infallible, sqlx::Error> {
    let listening = pool.listen(channel, listener).await?;
    *attempt = 0;
    // What was sent while nobody listened is not repeated.
    count_hint(heard);
    loop {
        match timeout(PROVE_AFTER, listening.try_recv()).await {
            Ok(Ok(Some(hint))) if Some(hint.payload()) == ignored => {}
            Ok(Ok(Some(_))) => count_hint(heard),
            Ok(Ok(None)) => {
                // It has closed its connection by itself, and has none to be replaced.
                *listener = None;
                return Err(io::Error::from(io::ErrorKind::ConnectionAborted).into());
            }
            Ok(Err(error)) => return Err(error),
            Err(_) if pool.is_closed() => return Err(sqlx::Error::PoolClosed),
            Err(_) => {
                let proof = timeout(PROOF_LIMIT, listening.execute("SELECT 1")).await;
                proof.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::fresh_database;

    const PATIENCE: Duration = Duration::from_secs(30);

    async fn hear(hints: &mut watch::Receiver<u64>) {
        tokio::time::timeout(PATIENCE, hints.changed()).await.expect("no hint came").unwrap();
    }

    #[tokio::test]
    async fn a_hint_is_heard_in_every_process_also_after_the_connection_was_lost() {
        let database = fresh_database().await;
        let sender = HintSender::start(database.pool(), "chipq_test");
        let listener = HintListener::start(database.pool(), "chipq_test");
        let mut hints = listener.subscribe();
        // The first says that it listens now.
        hear(&mut hints).await;
        sender.send_hint();
        hear(&mut hints).await;
        sqlx::query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND query LIKE 'LISTEN%'",
        )
        .execute(&database.pool())
        .await
        .unwrap();
        hear(&mut hints).await;
        sender.send_hint();
        hear(&mut hints).await;
    }
}
