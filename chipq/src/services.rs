//! Every role in one process, on one place and one listener.
//!
//! Invariant: it stops in order: no new connections, open requests finish, then the worker and the
//! projectors, then the database. When one role ends by itself, whoever waits is told which and why.

mod assembly;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use command_api::CommandApiConfig;
use inference_worker::WorkerConfig;
use platform::auth::Users;
use platform::health::Probe;
use platform::shutdown::Shutdown;
use projectors::ProjectorsConfig;
use query_api::QueryApiConfig;
use sqlx::PgPool;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

use crate::place::Place;

/// How long everything together may take to get ready before somebody is told what is not.
pub(crate) const READY_WITHIN: Duration = Duration::from_secs(60);

/// Whether everything is ready.
#[must_use]
pub(crate) enum Readiness {
    Ready,
    /// Something is not, such as a Triton server that is away: what `/readyz` said last.
    NotYet(String),
}

/// How the roles work.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Settings {
    #[command(flatten)]
    pub(crate) commands: CommandApiConfig,
    #[command(flatten)]
    pub(crate) queries: QueryApiConfig,
    #[command(flatten)]
    pub(crate) worker: WorkerConfig,
    #[command(flatten)]
    pub(crate) projectors: ProjectorsConfig,
}

/// All roles, running.
pub(crate) struct Services {
    url: String,
    place: Place,
    pool: PgPool,
    stop_http: Shutdown,
    http: Option<JoinHandle<std::io::Result<()>>>,
    stop_roles: Shutdown,
    roles: JoinSet<Ended>,
}

/// A role that has ended, and how.
type Ended = (&'static str, anyhow::Result<()>);

impl Services {
    /// Starts every role. When that fails, the place is closed again.
    pub(crate) async fn start(
        place: Place,
        listener: TcpListener,
        users: Users,
        settings: &Settings,
    ) -> anyhow::Result<Self> {
        let started = async {
            let url = format!("http://{}", listener.local_addr()?);
            let pool = place.migrated_pool().await?;
            projectors::ensure(&pool).await?;
            anyhow::Ok((url, pool))
        };
        let (url, pool) = match started.await {
            Ok(started) => started,
            Err(error) => return Err(close_after(place, error).await),
        };
        let mut services = Self {
            url,
            place,
            pool,
            stop_http: Shutdown::new(),
            http: None,
            stop_roles: Shutdown::new(),
            roles: JoinSet::new(),
        };
        match services.spawn(listener, users, settings) {
            Ok(()) => Ok(services),
            Err(error) => {
                // The first error is the one to tell; what stops badly after it is in the log.
                if let Err(second) = services.stop().await {
                    tracing::warn!(error = %second, "not everything stopped in good order");
                }
                Err(error)
            }
        }
    }

    fn spawn(
        &mut self,
        listener: TcpListener,
        users: Users,
        settings: &Settings,
    ) -> anyhow::Result<()> {
        let shared = assembly::Shared::new(&self.place, self.pool.clone())?;
        platform::metrics::install()?;
        let mut worker = settings.worker.clone();
        worker.worker_name = worker.worker_name.or_else(|| worker_name(&self.place));
        let worker = inference_worker::Service::new(worker);
        let worker_health = worker.health();
        let worker = worker.run(
            self.pool.clone(),
            shared.tail(),
            shared.artifacts(),
            self.stop_roles.child(),
        );
        let projectors = projectors::Service::new(settings.projectors.clone());
        let probes = vec![worker_health as Arc<dyn Probe>, projectors.probe()];
        let projectors = projectors.run(self.pool.clone(), shared.tail(), self.stop_roles.child());
        let housekeeping = shared.housekeeping(self.stop_roles.child());
        let http = (self.stop_http.clone(), probes);
        let http = shared.serve(listener, users, settings, http);
        self.roles.spawn(async { ("the inference worker", worker.await) });
        self.roles.spawn(async { ("the projectors", projectors.await) });
        self.roles.spawn(async {
            housekeeping.await;
            ("housekeeping", Ok(()))
        });
        self.http = Some(tokio::spawn(http));
        Ok(())
    }

    /// Where it serves.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The place it works in.
    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// Waits until `/readyz` says that everything is ready, or for so long; an error when a role
    /// ends.
    pub(crate) async fn ready(&mut self, within: Duration) -> anyhow::Result<Readiness> {
        let url = format!("{}/readyz", self.url);
        tokio::select! {
            ready = wait_until_ready(&url, within) => ready,
            error = self.failed() => Err(error),
        }
    }

    /// Waits until a role ends by itself, which none should. Cancel-safe.
    pub(crate) async fn failed(&mut self) -> anyhow::Error {
        let http = async {
            match &mut self.http {
                Some(http) => http.await,
                None => std::future::pending().await,
            }
        };
        let (role, outcome) = tokio::select! {
            served = http => {
                self.http = None;
                ("the HTTP server", served.map_err(Into::into).and_then(|s| s.map_err(Into::into)))
            }
            Some(ended) = self.roles.join_next() => {
                ended.unwrap_or_else(|error| ("a role", Err(error.into())))
            }
        };
        match outcome {
            Ok(()) => anyhow!("{role} ended by itself"),
            Err(error) => error.context(format!("{role} failed")),
        }
    }

    /// Stops everything in order. What fails on the way does not keep the rest from stopping.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        let mut outcome = Ok(());
        self.stop_http.request();
        if let Some(http) = self.http.take()
            && let Err(error) = http.await.map_err(Into::into).and_then(|s| s.map_err(Into::into))
        {
            outcome = Err(anyhow::Error::context(error, "the HTTP server failed"));
        }
        self.stop_roles.request();
        while let Some(ended) = self.roles.join_next().await {
            let (role, ended) = ended.unwrap_or_else(|error| ("a role", Err(error.into())));
            if let Err(error) = ended {
                outcome = Err(error.context(format!("{role} failed")));
            }
        }
        self.pool.close().await;
        let closed = self.place.close().await.context("the database did not stop in order");
        outcome.and(closed)
    }
}

async fn close_after(place: Place, error: anyhow::Error) -> anyhow::Error {
    if let Err(second) = place.close().await {
        tracing::warn!(error = %second, "the database did not stop in good order");
    }
    error
}

/// A name that no other platform has, and that this one keeps when it starts again: its machine's
/// and its folder's. None where the machine does not tell its own.
fn worker_name(place: &Place) -> Option<String> {
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    let folder = std::fs::canonicalize(place.data()).ok()?;
    Some(format!("{}:{}", machine.trim(), folder.display()))
}

async fn wait_until_ready(url: &str, within: Duration) -> anyhow::Result<Readiness> {
    let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build()?;
    let begun = Instant::now();
    loop {
        let said = match http.get(url).send().await {
            Ok(answer) if answer.status().is_success() => return Ok(Readiness::Ready),
            Ok(answer) => answer.text().await.unwrap_or_default(),
            Err(error) => error.without_url().to_string(),
        };
        if begun.elapsed() > within {
            return Ok(Readiness::NotYet(said));
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}
