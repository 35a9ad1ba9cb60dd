//! Every role in one process, on one installation and one listener.
//!
//! Invariant: it stops in order: no new connections, open requests finish, then the worker and the
//! projectors, then the database. When one role ends by itself, whoever waits is told which and why.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use command_api::{CommandApi, CommandApiConfig};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use inference_worker::WorkerConfig;
use platform::access::{AccessAdministration, AccessProbe, follow_access};
use platform::access_attempts::{AttemptRecorder, record_attempts};
use platform::artifact_store::ArtifactStore;
use platform::auth::{KeyPlace, RolesConfig, TokenIssuerConfig, Users};
use platform::config::ConfigErrors;
use platform::disk::check_room;
use platform::foundation::Foundation;
use platform::health::{Check, Probe, ServerSurface, serve_with_health};
use platform::http::{CorsConfig, HttpConfig, ProxyConfig};
use platform::identity_provider::IdentityProviderConfig;
use platform::key_holders::SharedKeys;
use platform::picture_memory::PictureMemoryConfig;
use platform::shutdown::Shutdown;
use projectors::ProjectorsConfig;
use proof::ProofConfig;
use query_api::{QueryApi, QueryApiConfig};
use relay::RelayConfig;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

use crate::installation::{Installation, InstallationArgs};
use crate::openapi::openapi;
use crate::wiring::{
    ApiStores, build_command_api, build_query_api, describe_server, open_keys, sessions,
};

/// How long everything together may take to get ready before somebody is told what is not.
pub(crate) const READY_WITHIN: Duration = Duration::from_secs(60);

/// How waiting for everything to be ready ended.
#[must_use]
pub(crate) enum StartOutcome {
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
    pub(crate) roles: RolesConfig,
    #[command(flatten)]
    pub(crate) cors: CorsConfig,
    #[command(flatten)]
    pub(crate) proxies: ProxyConfig,
    #[command(flatten)]
    pub(crate) pictures: PictureMemoryConfig,
    #[command(flatten, next_help_heading = "Identity provider")]
    pub(crate) identity_provider: IdentityProviderConfig,
    #[command(flatten)]
    pub(crate) worker: WorkerConfig,
    #[command(flatten)]
    pub(crate) projectors: ProjectorsConfig,
    #[command(flatten)]
    pub(crate) issuer: TokenIssuerConfig,
    #[command(flatten, next_help_heading = "Kafka")]
    pub(crate) relay: RelayConfig,
    #[command(flatten, next_help_heading = "Proof")]
    pub(crate) proof: ProofConfig,
}

impl Settings {
    /// Everything that is wrong with them and with `installation`, before anything is touched.
    pub(crate) fn check(&self, installation: &InstallationArgs) -> ConfigErrors {
        let mut errors = ConfigErrors::new();
        installation.check(&mut errors);
        self.commands.check(&mut errors);
        self.identity_provider.check(&mut errors);
        self.relay.check(&mut errors);
        errors
    }
}

/// All roles, running.
pub(crate) struct Services {
    url: String,
    installation: Installation,
    foundation: Foundation,
    stop_http: Shutdown,
    http: Option<JoinHandle<std::io::Result<()>>>,
    stop_roles: Shutdown,
    roles: JoinSet<EndedRole>,
}

/// A role that has ended, and how.
type EndedRole = (&'static str, anyhow::Result<()>);

impl Services {
    /// Starts every role on `opened`, with the keys in `place`. When that fails, the installation is closed again.
    pub(crate) async fn start(
        (installation, foundation): (Installation, Foundation),
        listener: TcpListener,
        users: Users,
        (settings, place): (&Settings, KeyPlace),
    ) -> anyhow::Result<Self> {
        let started = async {
            let url = format!("http://{}", listener.local_addr()?);
            projectors::ensure(foundation.pool()).await?;
            let data_dir = installation.data_dir();
            let proof = proof::Service::open(&settings.proof, (data_dir, &place))?;
            let keys = open_keys(place, &foundation).await?;
            anyhow::Ok((url, (keys, proof)))
        };
        let (url, keys) = match started.await {
            Ok(started) => started,
            Err(error) => return Err(installation.close_after(error).await),
        };
        let mut services = Self {
            url,
            installation,
            foundation,
            stop_http: Shutdown::new(),
            http: None,
            stop_roles: Shutdown::new(),
            roles: JoinSet::new(),
        };
        match services.spawn_roles(listener, keys, users, settings).await {
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

    async fn spawn_roles(
        &mut self,
        listener: TcpListener,
        (keys, proof): (SharedKeys, proof::Service),
        users: Users,
        settings: &Settings,
    ) -> anyhow::Result<()> {
        let issuers = (&settings.issuer, &settings.identity_provider);
        let data = (self.installation.data(), keys.keys());
        let stores = ApiStores::open(data, &settings.roles, issuers)?;
        let mut worker = settings.worker.clone();
        worker.worker_name = worker.worker_name.or_else(|| worker_name(&self.installation));
        let worker = inference_worker::Service::new(worker);
        let projectors = projectors::Service::new(settings.projectors.clone());
        let access = Arc::new(AccessProbe::new(stores.register.clone()));
        let mut probes: Vec<Arc<dyn Probe>> = vec![worker.health(), projectors.probe(), access];
        probes.push(keys.probe());
        probes.extend(stores.follow_identity_provider(self.stop_roles.child()));
        if self.installation.is_private() {
            probes.push(Arc::new(DiskProbe(self.installation.data_dir().to_owned())));
        }
        let retention = retention::Service::new();
        probes.push(retention.probe(true));
        probes.push(proof.probe(true));
        let relay = relay::Service::new(&settings.relay)?;
        probes.extend(relay.iter().map(|relay| relay.probe(true)));
        let memory = settings.pictures.budget();
        let commands =
            build_command_api(&self.foundation, &stores, memory.clone(), users, &settings.commands);
        let stop_http = self.stop_http.clone();
        let queries = build_query_api(
            &self.foundation,
            &stores,
            memory.clone(),
            &settings.queries,
            stop_http,
        );
        let (cors, proxies) = (settings.cors.clone(), settings.proxies.clone());
        let http = HttpConfig { cors, proxies, ..settings.commands.http() };
        let (attempts, noted) = AttemptRecorder::new();
        self.serve_apis(listener, (commands, queries), &http, (probes, attempts));

        let (pool, tail) = (self.foundation.lease_pool(), self.foundation.tail());
        let stop = || self.stop_roles.child();
        let pictures_store = stores.artifacts.clone();
        let pictures = (pictures_store.clone(), memory);
        let worker = worker.run(pool.clone(), tail.clone(), pictures, stop());
        let projectors = projectors.run(pool.clone(), tail.clone(), stop());
        let kept = (self.foundation.idempotency(), sessions(&self.foundation));
        let housekeeping = command_api::housekeeping(kept, stores.artifacts.clone(), stop());
        self.roles.spawn(async { ("the inference worker", worker.await) });
        self.roles.spawn(async { ("the projectors", projectors.await) });
        let following = keys.follow(stop());
        self.roles.spawn(async {
            following.await;
            ("the keys", Ok(()))
        });
        let access = follow_access(stores.register, self.foundation.tail().clone(), stop());
        self.roles.spawn(async {
            housekeeping.await;
            ("housekeeping", Ok(()))
        });
        self.roles.spawn(async {
            access.await;
            ("access control", Ok(()))
        });
        // Stopped after HTTP, as all of them: whatever was tried before is recorded.
        let recording = record_attempts(noted, self.foundation.log(), "chipq", stop());
        self.roles.spawn(async {
            recording.await;
            ("the record of attempts", Ok(()))
        });
        self.spawn_log_reactors((retention, proof, relay), pictures_store);
        Ok(())
    }

    /// Starts those that take the whole log in its order.
    fn spawn_log_reactors(
        &mut self,
        (retention, proof, relay): (retention::Service, proof::Service, Option<relay::Service>),
        artifacts: ArtifactStore,
    ) {
        let (pool, tail) = (self.foundation.lease_pool(), self.foundation.tail());
        let stop = || self.stop_roles.child();
        let retention = retention.run(pool.clone(), tail.clone(), artifacts, stop());
        self.roles.spawn(async { ("picture retention", retention.await) });
        let proof = proof.run(pool.clone(), tail.clone(), stop());
        self.roles.spawn(async { ("the proof of the log", proof.await) });
        if let Some(relay) = relay {
            let relay = relay.run(pool.clone(), tail.clone(), stop());
            self.roles.spawn(async { ("the relay", relay.await) });
        }
    }

    /// Serves commands and queries on one listener, and the health of everything.
    fn serve_apis(
        &mut self,
        listener: TcpListener,
        (commands, queries): (CommandApi, QueryApi),
        config: &HttpConfig,
        (mut probes, attempts): (Vec<Arc<dyn Probe>>, AttemptRecorder),
    ) {
        probes.splice(0..0, [queries.probe(), commands.probe()]);
        let router = command_api::router_described_by(commands, openapi());
        let router = router.merge(query_api::router(queries));
        let pages = [&command_api::PAGES[..], &query_api::PAGES].concat();
        let entry = describe_server("All of it in one process", &pages);
        let surface = ServerSurface { entry, router, probes, attempts };
        let serving = serve_with_health(listener, surface, config, self.stop_http.clone());
        self.http = Some(tokio::spawn(serving));
    }

    /// Accounts and clients.
    pub(crate) fn access_administration(&self) -> AccessAdministration {
        AccessAdministration::new(self.foundation.log(), self.foundation.pool().clone())
    }

    /// Where it serves.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The installation it works in.
    pub(crate) fn installation(&self) -> &Installation {
        &self.installation
    }

    /// Waits until `/readyz` says that everything is ready, or for so long; an error when a role
    /// ends.
    pub(crate) async fn wait_until_ready(
        &mut self,
        within: Duration,
    ) -> anyhow::Result<StartOutcome> {
        let url = format!("{}/readyz", self.url);
        tokio::select! {
            ready = poll_until_ready(&url, within) => ready,
            error = self.wait_for_failure() => Err(error),
        }
    }

    /// Waits until a role ends by itself, which none should. Cancel-safe.
    pub(crate) async fn wait_for_failure(&mut self) -> anyhow::Error {
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
        self.foundation.close().await;
        let closed = self.installation.close().await.context("the database did not stop in order");
        outcome.and(closed)
    }
}

/// Whether the private PostgreSQL has room to write: it answers reads when it has none.
struct DiskProbe(PathBuf);

impl Probe for DiskProbe {
    fn name(&self) -> &'static str {
        "disk"
    }

    fn checks(&self) -> BoxFuture<'_, Vec<Check>> {
        let folder = self.0.clone();
        async {
            let looked = tokio::task::spawn_blocking(move || check_room(&folder)).await;
            let found = looked.unwrap_or_else(|panic| Err(panic.to_string()));
            vec![Check::new(self.name(), found)]
        }
        .boxed()
    }
}

/// A name that the worker keeps when the platform starts again, wherever its folder and its machine are by
/// then: nobody else is a member in a private database. In one that others share it has none, and waits for
/// its own leases when it was killed.
fn worker_name(installation: &Installation) -> Option<String> {
    installation.is_private().then(|| "chipq up".to_owned())
}

async fn poll_until_ready(url: &str, within: Duration) -> anyhow::Result<StartOutcome> {
    let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build()?;
    let begun = Instant::now();
    loop {
        let said = match http.get(url).send().await {
            Ok(answer) if answer.status().is_success() => return Ok(StartOutcome::Ready),
            Ok(answer) => answer.text().await.unwrap_or_default(),
            Err(error) => error.without_url().to_string(),
        };
        if begun.elapsed() > within {
            return Ok(StartOutcome::NotYet(said));
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}
