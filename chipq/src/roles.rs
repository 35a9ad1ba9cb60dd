//! One role per process, for scaling out: configured by flags or environment, on a shared database.

use std::path::PathBuf;
use std::sync::Arc;

use ::projectors::ProjectorsConfig;
use clap::Args;
use inference_worker::WorkerConfig;
use platform::artifact_store::ArtifactStore;
use platform::event_log::EventLog;
use platform::event_log::postgres::PostgresEventLog;
use platform::postgres::{self, DatabaseConfig};
use platform::shutdown::Shutdown;

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
    config: query_api::RunConfig,
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
    ::projectors::run(args.config, pool, log, shutdown).await
}

/// Compares uploaded pictures until a signal.
pub(crate) async fn inference_worker(args: InferenceWorkerArgs) -> anyhow::Result<()> {
    let shutdown = Shutdown::on_signal()?;
    let pool = postgres::connect(&args.database).await?;
    let log: Arc<dyn EventLog> = Arc::new(PostgresEventLog::new(pool.clone()));
    let artifacts = ArtifactStore::open_folder(&args.data_dir.join("artifacts"))?;
    inference_worker::run(args.config, pool, log, artifacts, shutdown).await
}
