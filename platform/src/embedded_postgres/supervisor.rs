//! Watches the server of a serving cluster and starts it again, on the same port, when it dies.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::cluster::Cluster;
use super::server::Server;
use crate::backoff::Backoff;

/// Between failed attempts to start it again. Nobody else tries, so nothing is left to chance.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5), 0.0);

/// The task that watches. Dropping it ends the watch and leaves the server running.
#[derive(Debug)]
pub(super) struct Supervisor {
    task: JoinHandle<Option<Server>>,
    release: DropGuard,
}

impl Supervisor {
    pub(super) fn spawn(cluster: Arc<Cluster>, server: Server) -> Self {
        let released = CancellationToken::new();
        let release = released.clone().drop_guard();
        Self { task: tokio::spawn(restart_when_dead(cluster, server, released)), release }
    }

    /// Ends the watch; gives back the server, if there is one at the moment.
    pub(super) async fn stop_watching(self) -> Option<Server> {
        drop(self.release);
        self.task.await.ok().flatten()
    }
}

async fn restart_when_dead(
    cluster: Arc<Cluster>,
    mut server: Server,
    released: CancellationToken,
) -> Option<Server> {
    loop {
        let died = released.run_until_cancelled(server.wait_for_death(&cluster.folder())).await;
        if died.is_none() {
            return Some(server);
        }
        tracing::warn!("the private PostgreSQL died; starting it again");
        let port = server.port();
        server = released.run_until_cancelled(restart_until_it_runs(&cluster, port)).await?;
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
