//! The one executable: every role as a subcommand, the demo, offline tools.
//!
//! Only this crate imports services. It wires them together, talks to people on the terminal, and in
//! `demo` and `bench` talks to the platform strictly through its public HTTP API.
#![warn(clippy::print_stderr)]

#[macro_use]
mod output;

mod access;
mod annotation;
mod audit;
mod bench;
mod cli;
mod demo;
mod environment;
mod failure;
mod http_client;
mod installation;
mod key_failure;
mod machine;
mod model;
mod offline;
mod openapi;
mod operator_session;
mod projections;
mod roles;
mod services;
mod shell;
mod statistics;
mod temporary;
mod topics;
mod up;
mod wiring;

use std::ffi::OsString;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use clap::CommandFactory as _;
use futures::{FutureExt as _, TryFutureExt as _};
use platform::shutdown::{Interrupted, Shutdown};
use platform::telemetry::{self, TelemetryConfig};

use cli::{Cli, Command};
use failure::Failure;
pub use openapi::openapi;

/// How long threads may go on computing for a command that is done.
const THREADS_END_WITHIN: Duration = Duration::from_secs(2);

/// The command line as it is defined, with every subcommand, option and variable.
#[must_use]
pub fn command_line() -> clap::Command {
    Cli::command()
}

/// Runs the command line `arguments`; errors go to standard error, two lines each.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let cli = match Cli::from_arguments(&arguments) {
        Ok(cli) => cli,
        Err(error) => {
            let code = if error.use_stderr() { failure::exit::USAGE } else { 0 };
            // Nothing is left to tell anyone when the terminal is gone.
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    environment::unmask_own_files();
    let prepared = if cli.command.has_configured_database() {
        Ok(())
    } else {
        environment::leave_client_variables(&arguments)
    };
    let outcome = prepared.map_err(Into::into).and_then(|()| start(cli));
    let outcome = outcome.and_then(|code| Ok(output::finish().map(|()| code)?));
    outcome.unwrap_or_else(|error| {
        if let Some(interrupted) = error.downcast_ref::<Interrupted>() {
            // Whoever sent the signal knows.
            return ExitCode::from(interrupted.exit_code());
        }
        let failure = Failure::from_error(&error);
        errln!("{failure}");
        ExitCode::from(failure.code)
    })
}

fn start(cli: Cli) -> anyhow::Result<ExitCode> {
    // Before anything is made that measures, and before it would say so in the log.
    platform::metrics::install()?;
    telemetry::init(&telemetry_for(&cli))?;
    platform::descriptors::raise_limit();
    let workers = worker_threads(cli.threads);
    environment::check_threads(workers)?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build()?;
    let outcome = runtime.block_on(async {
        let shutdown = Shutdown::on_signal()?;
        tokio::select! {
            outcome = run(cli.command, &shutdown) => outcome,
            () = shutdown.insisted() => Err(shutdown.interruption().into()),
        }
    });
    // A thread that is still computing must not keep a finished command on the terminal.
    let is_interrupted = outcome.as_ref().is_err_and(|error| error.is::<Interrupted>());
    runtime.shutdown_timeout(if is_interrupted { Duration::ZERO } else { THREADS_END_WITHIN });
    outcome
}

/// Said to tokio in any case: it would take its own variable for it, and panic at what it does not like there.
fn worker_threads(configured: Option<u16>) -> usize {
    configured.map_or_else(|| thread::available_parallelism().map_or(1, usize::from), usize::from)
}

/// What serves finishes in order when a signal comes; everything else is given up, and what it holds ends with it.
async fn run(command: Command, shutdown: &Shutdown) -> anyhow::Result<ExitCode> {
    let succeeded = |()| ExitCode::SUCCESS;
    let work = match command {
        Command::Up(args) => return up::run(args, shutdown).await.map(succeeded),
        Command::Demo(args) => return demo::run(args, shutdown).await,
        Command::CommandApi(args) => {
            return roles::command_api(args, shutdown).await.map(succeeded);
        }
        Command::QueryApi(args) => return roles::query_api(args, shutdown).await.map(succeeded),
        Command::Projectors(args) => return roles::projectors(args, shutdown).await.map(succeeded),
        Command::InferenceWorker(args) => {
            return roles::inference_worker(args, shutdown).await.map(succeeded);
        }
        Command::Relay(args) => return roles::relay(args, shutdown).await.map(succeeded),
        Command::PictureRetention(args) => {
            return roles::picture_retention(args, shutdown).await.map(succeeded);
        }
        Command::LogProof(args) => return roles::log_proof(args, shutdown).await.map(succeeded),
        Command::Audit(command) => return audit::run(command, shutdown).await,
        Command::Migrate(args) => projections::migrate(args).map_ok(succeeded).boxed_local(),
        Command::Rebuild(args) => projections::rebuild(args).map_ok(succeeded).boxed_local(),
        Command::Projections(command) => projections::run(command).boxed_local(),
        Command::Topics(command) => topics::run(command).boxed_local(),
        Command::Accounts(command) => access::run_accounts(command).boxed_local(),
        Command::Clients(command) => access::run_clients(command).boxed_local(),
        Command::Token(args) => access::print_token(args).boxed_local(),
        Command::Keys(command) => access::run_keys(command).boxed_local(),
        Command::Verify(args) => projections::verify(args).boxed_local(),
        Command::Evaluate(args) => {
            compute(move || offline::evaluate(&args)).map_ok(succeeded).boxed_local()
        }
        Command::Inspect(args) => compute(move || offline::inspect(&args)).boxed_local(),
        Command::GenerateBoards(args) => {
            compute(move || offline::generate_boards(&args)).map_ok(succeeded).boxed_local()
        }
        Command::Model(command) => model::run(command).boxed_local(),
        Command::Bench(args) => bench::run(args).boxed_local(),
        Command::RemoveAbandoned { folder } => {
            temporary::remove_abandoned(folder).map_ok(succeeded).boxed_local()
        }
        Command::Completions { shell } => {
            shell::completions(shell);
            return Ok(ExitCode::SUCCESS);
        }
        Command::ManualPages { folder } => {
            return shell::manual_pages(&folder).map(succeeded);
        }
    };
    shutdown.run_until_requested(work).await
}

/// Computes on a thread of its own, so that a signal is heard meanwhile.
async fn compute<T: Send + 'static>(
    work: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    tokio::task::spawn_blocking(work).await?
}

/// Commands that draw on the terminal log warnings only, unless told otherwise.
fn telemetry_for(cli: &Cli) -> TelemetryConfig {
    let mut config = cli.telemetry.clone();
    let quiet = !matches!(
        cli.command,
        Command::Up(_)
            | Command::CommandApi(_)
            | Command::QueryApi(_)
            | Command::Projectors(_)
            | Command::InferenceWorker(_)
            | Command::Relay(_)
            | Command::PictureRetention(_)
            | Command::LogProof(_)
    );
    if quiet && config.filter == telemetry::DEFAULT_FILTER {
        "warn".clone_into(&mut config.filter);
    }
    config
}
