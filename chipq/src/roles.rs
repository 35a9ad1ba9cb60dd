//! One role per process, for scaling out: configured by flags or environment, on a shared database.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use ::projectors::ProjectorsConfig;
use clap::Args;
use inference_worker::WorkerConfig;
use platform::artifact_store::{self, ArtifactStoreUrl};
use platform::auth::SigningKey;
use platform::event_log::EventLog;
use platform::event_log::postgres::PostgresEventLog;
use platform::follower::LogTail;
use platform::health::Probe;
use platform::http::HttpConfig;
use platform::postgres::{self, DatabaseConfig};
use platform::shutdown::Shutdown;
use tokio::task::JoinHandle;

use crate::up::bind;

const LATER: &str = "run `chipq migrate` first; see docs/architecture.md for which role needs what";

/// `chipq command-api`
#[derive(Debug, Clone, Args)]
#[command(after_help = LATER)]
pub(crate) struct CommandApiArgs {
    #[command(flatten)]
    config: command_api::RunConfig,
}

/// `chipq query-api`
#[derive(Debug, Clone, Args)]
#[command(after_help = LATER)]
pub(crate) struct QueryApiArgs {
    #[command(flatten)]
    config: query_api::QueryApiRunConfig,
}

/// `chipq projectors`
#[derive(Debug, Clone, Args)]
#[command(after_help = LATER)]
pub(crate) struct ProjectorsArgs {
    #[command(flatten, next_help_heading = "Database")]
    database: DatabaseConfig,
    #[command(flatten)]
    config: ProjectorsConfig,
}

/// `chipq inference-worker`
#[derive(Debug, Clone, Args)]
#[command(after_help = LATER)]
pub(crate) struct InferenceWorkerArgs {
    /// The folder of pictures and keys, shared with the other services.
    #[arg(long = "data", env = "CHIPQ_DATA", value_name = "DIR")]
    data_dir: PathBuf,
    #[command(flatten, next_help_heading = "Database")]
    database: DatabaseConfig,
    /// Answers /healthz, /readyz and /metrics here, such as 0.0.0.0:9464 for probes of Kubernetes;
    /// nowhere when it is not set. No token is asked for, no data shown.
    #[arg(long, env = "CHIPQ_HEALTH_LISTEN", value_name = "ADDR")]
    health_listen: Option<SocketAddr>,
    #[command(flatten)]
    config: WorkerConfig,
}

/// Serves commands until a signal.
pub(crate) async fn command_api(args: CommandApiArgs) -> anyhow::Result<()> {
    command_api::run(args.config, Shutdown::on_signal()?).await
}

/// Serves queries until a signal.
pub(crate) async fn query_api(args: QueryApiArgs) -> anyhow::Result<()> {
    query_api::run(args.config, Shutdown::on_signal()?).await
}

/// Keeps the read models up to date until a signal.
pub(crate) async fn projectors(args: ProjectorsArgs) -> anyhow::Result<()> {
    let shutdown = Shutdown::on_signal()?;
    let pool = postgres::connect(&args.database).await?;
    let log: Arc<dyn EventLog> = Arc::new(PostgresEventLog::new(pool.clone()));
    let tail = LogTail::new(log);
    ::projectors::Service::new(args.config).run(pool, tail, shutdown).await
}

/// Compares uploaded pictures until a signal.
pub(crate) async fn inference_worker(args: InferenceWorkerArgs) -> anyhow::Result<()> {
    let shutdown = Shutdown::on_signal()?;
    let pool = postgres::connect(&args.database).await?;
    let log: Arc<dyn EventLog> = Arc::new(PostgresEventLog::new(pool.clone()));
    let pictures = ArtifactStoreUrl::Folder(args.data_dir.join("artifacts"));
    let artifacts = artifact_store::open(&pictures, &SigningKey::open(&args.data_dir)?)?;
    platform::metrics::install()?;
    let worker = inference_worker::Service::new(args.config);
    let health = serve_health(args.health_listen, worker.health(), shutdown.child()).await?;
    let outcome = worker.run(pool, LogTail::new(log), artifacts, shutdown.clone()).await;
    shutdown.request();
    health.await??;
    outcome
}

/// Serves health and metrics until `shutdown`, if anywhere.
async fn serve_health(
    address: Option<SocketAddr>,
    probe: Arc<dyn Probe>,
    shutdown: Shutdown,
) -> anyhow::Result<JoinHandle<std::io::Result<()>>> {
    let Some(address) = address else { return Ok(tokio::spawn(async { Ok(()) })) };
    let listener = bind(address).await?;
    tracing::info!(address = %listener.local_addr()?, "health and metrics are served");
    let router = platform::health::router(probe).merge(platform::metrics::router());
    let router = platform::http::wrap(router, &HttpConfig::default());
    Ok(tokio::spawn(platform::http::serve(listener, router, shutdown)))
}
