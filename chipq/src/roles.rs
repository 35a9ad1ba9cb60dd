//! One role per process, for scaling out: configured by flags or environment, on a shared database.
//!
//! Invariant: /healthz, /readyz and /metrics are answered by the roles that serve HTTP, on their listener,
//! and by the others where `CHIPQ_HEALTH_LISTEN` says; without it these listen nowhere.

mod log_proof;
mod opening;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use ::projectors::ProjectorsConfig;
use ::relay::RelayConfig;
use clap::Args;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use inference_worker::WorkerConfig;
use platform::access::{AccessProbe, follow_access};
use platform::access_attempts::{AttemptRecorder, record_attempts};
use platform::auth::{KeysConfig, RolesConfig, TokenIssuerConfig, Users};
use platform::config::{ConfigErrors, listen_address};
use platform::event_log::EventLog;
use platform::foundation::{DataConfig, Foundation, FoundationConfig};
use platform::health::{
    Check, HealthConfig, Probe, ServerSurface, serve_health, serve_with_health,
};
use platform::http::{CorsConfig, HttpConfig, ProxyConfig, ServerEntry};
use platform::identity_provider::IdentityProviderConfig;
use platform::ownership::check_owner;
use platform::picture_memory::PictureMemoryConfig;
use platform::shutdown::Shutdown;
use tokio::task::JoinHandle;

use crate::wiring::{
    ApiStores, bind, build_command_api, build_query_api, describe_server, open_keys, sessions,
};
use opening::{BucketUse, check, open, open_beside};

pub(crate) use log_proof::{LogProofArgs, log_proof};

const LATER: &str = "run `chipq migrate` first; see docs/architecture.md for which role needs what";

/// `chipq command-api`
#[derive(Debug, Clone, Args)]
#[command(after_help = LATER)]
pub(crate) struct CommandApiArgs {
    /// Where to listen.
    #[arg(long, env = "CHIPQ_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDR")]
    #[arg(value_parser = listen_address)]
    listen: SocketAddr,
    /// Let the user demo (password demo) in, to try it out; refused unless the listener is on loopback.
    #[arg(long, env = "CHIPQ_DEMO", default_value_t = false)]
    demo: bool,
    #[command(flatten)]
    issuer: TokenIssuerConfig,
    #[command(flatten)]
    data: DataConfig,
    #[command(flatten)]
    keys: KeysConfig,
    #[command(flatten, next_help_heading = "Database")]
    foundation: FoundationConfig,
    #[command(flatten, next_help_heading = "Limits")]
    config: command_api::CommandApiConfig,
    #[command(flatten)]
    roles: RolesConfig,
    #[command(flatten)]
    pictures: PictureMemoryConfig,
    #[command(flatten, next_help_heading = "Limits")]
    cors: CorsConfig,
    #[command(flatten, next_help_heading = "Limits")]
    proxies: ProxyConfig,
    #[command(flatten, next_help_heading = "Identity provider")]
    identity_provider: IdentityProviderConfig,
}

/// `chipq query-api`
#[derive(Debug, Clone, Args)]
#[command(after_help = LATER)]
pub(crate) struct QueryApiArgs {
    /// Where to listen.
    #[arg(long, env = "CHIPQ_LISTEN", default_value = "127.0.0.1:8081", value_name = "ADDR")]
    #[arg(value_parser = listen_address)]
    listen: SocketAddr,
    /// Base that this API is reached by, such as `https://chipq.example`: a listener on loopback answers to
    /// its host too.
    #[arg(long, env = "CHIPQ_PUBLIC_URL")]
    public_url: Option<command_api::PublicUrl>,
    #[command(flatten)]
    issuer: TokenIssuerConfig,
    #[command(flatten)]
    data: DataConfig,
    #[command(flatten)]
    keys: KeysConfig,
    #[command(flatten, next_help_heading = "Database")]
    foundation: FoundationConfig,
    #[command(flatten, next_help_heading = "Limits")]
    config: query_api::QueryApiConfig,
    #[command(flatten)]
    roles: RolesConfig,
    #[command(flatten, next_help_heading = "Limits")]
    cors: CorsConfig,
    #[command(flatten, next_help_heading = "Limits")]
    proxies: ProxyConfig,
    #[command(flatten)]
    pictures: PictureMemoryConfig,
    #[command(flatten, next_help_heading = "Identity provider")]
    identity_provider: IdentityProviderConfig,
}

/// `chipq projectors`
#[derive(Debug, Clone, Args)]
#[command(after_help = LATER)]
pub(crate) struct ProjectorsArgs {
    #[command(flatten, next_help_heading = "Database")]
    foundation: FoundationConfig,
    #[command(flatten)]
    health: HealthConfig,
    #[command(flatten)]
    config: ProjectorsConfig,
}

/// `chipq inference-worker`
#[derive(Debug, Clone, Args)]
#[command(after_help = LATER)]
pub(crate) struct InferenceWorkerArgs {
    #[command(flatten)]
    data: DataConfig,
    #[command(flatten, next_help_heading = "Database")]
    foundation: FoundationConfig,
    #[command(flatten)]
    health: HealthConfig,
    #[command(flatten)]
    config: WorkerConfig,
    #[command(flatten)]
    pictures: PictureMemoryConfig,
}

/// `chipq relay`
#[derive(Debug, Clone, Args)]
#[command(after_help = LATER)]
pub(crate) struct RelayArgs {
    #[command(flatten, next_help_heading = "Database")]
    foundation: FoundationConfig,
    #[command(flatten)]
    health: HealthConfig,
    #[command(flatten, next_help_heading = "Kafka")]
    config: RelayConfig,
}

/// `chipq picture-retention`
#[derive(Debug, Clone, Args)]
#[command(after_help = LATER)]
pub(crate) struct PictureRetentionArgs {
    #[command(flatten)]
    data: DataConfig,
    #[command(flatten, next_help_heading = "Database")]
    foundation: FoundationConfig,
    #[command(flatten)]
    health: HealthConfig,
}

/// Serves commands until a signal.
pub(crate) async fn command_api(args: CommandApiArgs, shutdown: &Shutdown) -> anyhow::Result<()> {
    let mut errors = ConfigErrors::new();
    args.foundation.check(&mut errors);
    args.data.check(&mut errors);
    args.keys.check(&mut errors);
    let is_local = !args.demo || args.listen.ip().is_loopback();
    let refusal = "demo/demo is let in on loopback only; listen on 127.0.0.1, or leave it out";
    errors.require(is_local, "CHIPQ_DEMO", refusal);
    args.identity_provider.check(&mut errors);
    args.config.check(&mut errors);
    errors.finish()?;
    check_owner(&args.data.data_dir)?;
    let pictures = (&args.data, BucketUse::Write);
    let foundation = open_beside(&args.foundation, pictures, shutdown).await?;
    let issuers = (&args.issuer, &args.identity_provider);
    let keys = open_keys(args.keys.place(&args.data.data_dir), &foundation).await?;
    let data = (&args.data, keys.keys());
    let stores = ApiStores::open(data, &args.roles, issuers)?;
    let users = if args.demo { Users::demo() } else { Users::none() };
    let api = build_command_api(&foundation, &stores, args.pictures.budget(), users, &args.config);
    let kept = (foundation.idempotency(), sessions(&foundation));
    tokio::spawn(command_api::housekeeping(kept, stores.artifacts.clone(), shutdown.clone()));
    let listener = bind(args.listen, "--listen").await?;
    tracing::info!(address = %listener.local_addr()?, "the command API is listening");
    let mut probes = vec![api.probe(), follow_accounts(&foundation, &stores, shutdown)];
    probes.extend(stores.follow_identity_provider(shutdown.clone()));
    probes.push(keys.probe());
    let following = tokio::spawn(keys.follow(shutdown.clone()));
    let entry = describe_server("Commands over REST", &command_api::PAGES);
    let (attempts, recording) = begin_recording(&foundation, "command-api");
    let router = command_api::router(api);
    let surface = ServerSurface { entry, router, probes, attempts };
    let http = args.config.http();
    let config = HttpConfig { cors: args.cors, proxies: args.proxies, ..http };
    let served = serve_with_health(listener, surface, &config, shutdown.clone()).await;
    recording.finish().await;
    following.await?;
    Ok(served?)
}

/// Serves queries until a signal. Read models may still be missing; `/readyz` then says so.
pub(crate) async fn query_api(args: QueryApiArgs, shutdown: &Shutdown) -> anyhow::Result<()> {
    let mut errors = ConfigErrors::new();
    args.foundation.check(&mut errors);
    args.data.check(&mut errors);
    args.keys.check(&mut errors);
    args.identity_provider.check(&mut errors);
    errors.finish()?;
    check_owner(&args.data.data_dir)?;
    let pictures = (&args.data, BucketUse::Read);
    let foundation = open_beside(&args.foundation, pictures, shutdown).await?;
    let issuers = (&args.issuer, &args.identity_provider);
    let keys = open_keys(args.keys.place(&args.data.data_dir), &foundation).await?;
    let data = (&args.data, keys.keys());
    let stores = ApiStores::open(data, &args.roles, issuers)?;
    let memory = args.pictures.budget();
    let api = build_query_api(&foundation, &stores, memory, &args.config, shutdown.clone());
    let listener = bind(args.listen, "--listen").await?;
    tracing::info!(address = %listener.local_addr()?, "the query API is listening");
    let mut probes = vec![api.probe(), follow_accounts(&foundation, &stores, shutdown)];
    probes.extend(stores.follow_identity_provider(shutdown.clone()));
    probes.push(keys.probe());
    let following = tokio::spawn(keys.follow(shutdown.clone()));
    let entry = describe_server("GraphQL, REST reads and report PDFs", &query_api::PAGES);
    let (attempts, recording) = begin_recording(&foundation, "query-api");
    let router = query_api::router(api);
    let surface = ServerSurface { entry, router, probes, attempts };
    let public_host = args.public_url.map(|url| url.host());
    let (cors, proxies) = (args.cors, args.proxies);
    let config = HttpConfig { public_host, cors, proxies, ..HttpConfig::default() };
    let served = serve_with_health(listener, surface, &config, shutdown.clone()).await;
    recording.finish().await;
    following.await?;
    Ok(served?)
}

/// Keeps what this role believes about accounts and clients as the log says, and tells whether it could.
fn follow_accounts(
    foundation: &Foundation,
    stores: &ApiStores,
    shutdown: &Shutdown,
) -> Arc<dyn Probe> {
    let (register, tail) = (stores.register.clone(), foundation.tail().clone());
    tokio::spawn(follow_access(register.clone(), tail, shutdown.clone()));
    Arc::new(AccessProbe::new(register))
}

/// The recording of who is let in and refused, which ends after everybody was answered.
struct Recording {
    stop: Shutdown,
    task: JoinHandle<()>,
}

fn begin_recording(foundation: &Foundation, service: &'static str) -> (AttemptRecorder, Recording) {
    let ((attempts, noted), stop) = (AttemptRecorder::new(), Shutdown::new());
    let recording = record_attempts(noted, foundation.log(), service, stop.clone());
    (attempts, Recording { stop, task: tokio::spawn(recording) })
}

impl Recording {
    /// Records what is left.
    async fn finish(self) {
        self.stop.request();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "attempts to sign in were not recorded to the end");
        }
    }
}

/// Keeps the read models up to date until a signal.
pub(crate) async fn projectors(args: ProjectorsArgs, shutdown: &Shutdown) -> anyhow::Result<()> {
    let foundation = open(&args.foundation, shutdown).await?;
    let service = ::projectors::Service::new(args.config);
    let probes = probes_on(&foundation, service.probe());
    let role =
        service.run(foundation.lease_pool().clone(), foundation.tail().clone(), shutdown.clone());
    let entry = describe_server("Builds the read models and reports from the event log", &[]);
    run_with_health((&args.health, entry), probes, shutdown, role).await
}

/// Compares uploaded pictures until a signal.
pub(crate) async fn inference_worker(
    args: InferenceWorkerArgs,
    shutdown: &Shutdown,
) -> anyhow::Result<()> {
    check(&args.foundation, &args.data)?;
    let pictures = (&args.data, BucketUse::Read);
    let foundation = open_beside(&args.foundation, pictures, shutdown).await?;
    let artifacts = args.data.open_artifacts_to_read()?;
    let worker = inference_worker::Service::new(args.config);
    let probes = probes_on(&foundation, worker.health());
    let role = worker.run(
        foundation.lease_pool().clone(),
        foundation.tail().clone(),
        (artifacts, args.pictures.budget()),
        shutdown.clone(),
    );
    let entry = describe_server("Compares uploaded pictures with their golden samples", &[]);
    run_with_health((&args.health, entry), probes, shutdown, role).await
}

/// Sends the event log to Kafka until a signal.
pub(crate) async fn relay(args: RelayArgs, shutdown: &Shutdown) -> anyhow::Result<()> {
    let mut errors = ConfigErrors::new();
    args.foundation.check(&mut errors);
    args.config.check(&mut errors);
    let whither = "say where to send to, such as kafka://kafka.example:9092";
    errors.require(args.config.kafka.is_some(), "CHIPQ_KAFKA", whither);
    errors.finish()?;
    let foundation = open(&args.foundation, shutdown).await?;
    let Some(service) = ::relay::Service::new(&args.config)? else { return Ok(()) };
    let probes = probes_on(&foundation, service.probe(false));
    let role =
        service.run(foundation.lease_pool().clone(), foundation.tail().clone(), shutdown.clone());
    let entry = describe_server("Sends the event log to Kafka", &[]);
    run_with_health((&args.health, entry), probes, shutdown, role).await
}

/// Retires pictures whose retention period is over until a signal.
pub(crate) async fn picture_retention(
    args: PictureRetentionArgs,
    shutdown: &Shutdown,
) -> anyhow::Result<()> {
    check(&args.foundation, &args.data)?;
    let pictures = (&args.data, BucketUse::Read);
    let foundation = open_beside(&args.foundation, pictures, shutdown).await?;
    let artifacts = args.data.open_artifacts_to_read()?;
    let service = ::retention::Service::new();
    let probes = probes_on(&foundation, service.probe(false));
    let (pool, tail) = (foundation.lease_pool().clone(), foundation.tail().clone());
    let role = service.run(pool, tail, artifacts, shutdown.clone());
    let entry = describe_server("Retires pictures whose retention period is over", &[]);
    run_with_health((&args.health, entry), probes, shutdown, role).await
}

/// Runs a role that serves nothing else, with its health and metrics beside it, if anywhere.
async fn run_with_health(
    (config, entry): (&HealthConfig, ServerEntry),
    probes: Vec<Arc<dyn Probe>>,
    shutdown: &Shutdown,
    role: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<()> {
    let Some(address) = config.health_listen else { return role.await };
    let listener = bind(address, "--health-listen").await?;
    tracing::info!(address = %listener.local_addr()?, "health and metrics are served");
    let described = (entry, config.proxies.clone());
    let health = tokio::spawn(serve_health(listener, described, probes, shutdown.clone()));
    let outcome = role.await;
    shutdown.request();
    health.await??;
    outcome
}

/// What a role that follows the log needs: the log, and what the role itself knows.
fn probes_on(foundation: &Foundation, role: Arc<dyn Probe>) -> Vec<Arc<dyn Probe>> {
    vec![Arc::new(LogProbe(Arc::clone(foundation.tail().log()))), role]
}

/// Whether the log answers now: who waits for the next event notices only with its next look that it does not.
struct LogProbe(Arc<dyn EventLog>);

impl Probe for LogProbe {
    fn name(&self) -> &'static str {
        "event-log"
    }

    fn checks(&self) -> BoxFuture<'_, Vec<Check>> {
        async {
            let head = self.0.head().await;
            vec![Check::new(self.name(), head.map(drop).map_err(|error| error.to_string()))]
        }
        .boxed()
    }
}
