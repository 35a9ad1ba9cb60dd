//! The role that builds the tree over the log and signs its heads.

use std::path::PathBuf;

use ::proof::ProofConfig;
use clap::Args;
use platform::auth::KeysConfig;
use platform::config::ConfigErrors;
use platform::foundation::FoundationConfig;
use platform::health::HealthConfig;
use platform::ownership::check_owner;
use platform::shutdown::Shutdown;

use super::opening::open;
use super::{LATER, probes_on, run_with_health};
use crate::wiring::describe_server;

/// `chipq log-proof`
#[derive(Debug, Clone, Args)]
#[command(after_help = LATER)]
pub(crate) struct LogProofArgs {
    /// The folder of tree heads and keys.
    #[arg(long, env = "CHIPQ_DATA", value_name = "DIR")]
    data: PathBuf,
    #[command(flatten)]
    keys: KeysConfig,
    #[command(flatten, next_help_heading = "Database")]
    foundation: FoundationConfig,
    #[command(flatten)]
    health: HealthConfig,
    #[command(flatten, next_help_heading = "Proof")]
    config: ProofConfig,
}

/// Builds the tree over the log and signs tree heads until a signal.
pub(crate) async fn log_proof(args: LogProofArgs, shutdown: &Shutdown) -> anyhow::Result<()> {
    let mut errors = ConfigErrors::new();
    args.foundation.check(&mut errors);
    errors.finish()?;
    check_owner(&args.data)?;
    let foundation = open(&args.foundation, shutdown).await?;
    let place = args.keys.place(&args.data);
    let service = ::proof::Service::open(&args.config, (&args.data, &place))?;
    let probes = probes_on(&foundation, service.probe(false));
    let role =
        service.run(foundation.lease_pool().clone(), foundation.tail().clone(), shutdown.clone());
    let entry = describe_server("Builds the tree over the event log and signs tree heads", &[]);
    run_with_health((&args.health, entry), probes, shutdown, role).await
}
