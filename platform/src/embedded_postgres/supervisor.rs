//! Watches the server of a serving cluster and starts it again, on the same port, when it dies.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::Pid;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::cluster::Cluster;
use super::server::{Server, end_now};
use crate::backoff::Backoff;

/// Between failed attempts to start it again. Nobody else tries, so nothing is left to chance.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5), 0.0);

/// The task that watches. Dropping it ends the server and waits until it has: its folder may be removed next.
#[derive(Debug)]
pub(super) struct Supervisor {
    watching: Option<(JoinHandle<Option<Server>>, DropGuard)>,
    cluster: Arc<Cluster>,
    /// The server that runs at the moment.
    running: Arc<Mutex<Option<Pid>>>,
}

impl Supervisor {
    pub(super) fn spawn(cluster: Arc<Cluster>, server: Server) -> Self {
        let released = CancellationToken::new();
        let release = released.clone().drop_guard();
        let running = Arc::new(Mutex::new(Some(server.pid())));
        let task = restart_when_dead(Arc::clone(&cluster), server, released, Arc::clone(&running));
        Self { watching: Some((tokio::spawn(task), release)), cluster, running }
    }

    /// Ends the watch; gives back the server, if there is one at the moment.
    pub(super) async fn stop_watching(mut self) -> Option<Server> {
        let (task, release) = self.watching.take()?;
        drop(release);
        task.await.ok().flatten()
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        let Some((task, release)) = self.watching.take() else { return };
        // The task may have no thread to run on any more; so it is not waited for.
        task.abort();
        drop(release);
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(pid) = running {
            end_now(pid, &self.cluster.folder());
        }
    }
}

async fn restart_when_dead(
    cluster: Arc<Cluster>,
    mut server: Server,
    released: CancellationToken,
    running: Arc<Mutex<Option<Pid>>>,
) -> Option<Server> {
    let note = |pid| *running.lock().unwrap_or_else(PoisonError::into_inner) = pid;
    loop {
        let died = released.run_until_cancelled(server.wait_for_death()).await;
        if died.is_none() {
            return Some(server);
        }
        note(None);
        tracing::warn!("the private PostgreSQL died; starting it again");
        let port = server.port();
        server = released.run_until_cancelled(restart_until_it_runs(&cluster, port)).await?;
        note(Some(server.pid()));
        tracing::info!(port, "the private PostgreSQL is back");
    }
}

async fn restart_until_it_runs(cluster: &Cluster, port: u16) -> Server {
    let mut attempt = 0;
    loop {
        match cluster.launch_on(port).await {
            Ok(server) => return server,
            Err(error) => tracing::error!(%error, "the private PostgreSQL does not start"),
        }
        BACKOFF.wait(attempt).await;
        attempt = attempt.saturating_add(1);
    }
}
