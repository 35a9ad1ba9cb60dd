//! The one executable: every role as a subcommand, the demo, offline tools.
//!
//! Only this crate imports services. It wires them together, talks to people on the terminal, and in
//! `demo` and `bench` talks to the platform strictly through its public HTTP API.
#![warn(clippy::print_stderr)]

#[macro_use]
mod output;

mod bench;
mod cli;
mod demo;
mod failure;
mod http_client;
mod installation;
mod machine;
mod model;
mod offline;
mod openapi;
mod operator_session;
mod projections;
mod roles;
mod services;
mod statistics;
mod temporary;
mod up;
mod wiring;

use std::ffi::OsString;
use std::process::ExitCode;
use std::thread;

use clap::CommandFactory as _;
use platform::telemetry::{self, TelemetryConfig};

use cli::{Cli, Command};
use failure::Failure;
pub use openapi::openapi;

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
    let outcome = start(cli).and_then(|code| Ok(output::finish().map(|()| code)?));
    outcome.unwrap_or_else(|error| {
        let failure = Failure::from_error(&error);
        errln!("{failure}");
        ExitCode::from(failure.code)
    })
}

fn start(cli: Cli) -> anyhow::Result<ExitCode> {
    telemetry::init(&telemetry_for(&cli))?;
    platform::descriptors::raise_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(worker_threads(cli.threads))
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(run(cli.command));
    // A thread that is still computing must not keep a finished command on the terminal.
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    outcome
}

/// Said to tokio in any case: it would take its own variable for it, and panic at what it does not like there.
fn worker_threads(configured: Option<u16>) -> usize {
    configured.map_or_else(|| thread::available_parallelism().map_or(1, usize::from), usize::from)
}

async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Up(args) => up::run(args).await?,
        Command::Demo(args) => return demo::run(args).await,
        Command::CommandApi(args) => roles::command_api(args).await?,
        Command::QueryApi(args) => roles::query_api(args).await?,
        Command::Projectors(args) => roles::projectors(args).await?,
        Command::InferenceWorker(args) => roles::inference_worker(args).await?,
        Command::Migrate(args) => projections::migrate(args).await?,
        Command::Rebuild(args) => projections::rebuild(args).await?,
        Command::Projections(command) => return projections::run(command).await,
        Command::Verify(args) => return projections::verify(args).await,
        Command::Evaluate(args) => offline::evaluate(&args)?,
        Command::Inspect(args) => return offline::inspect(&args),
        Command::GenerateBoards(args) => offline::generate_boards(&args)?,
        Command::Model(command) => return model::run(command).await,
        Command::Bench(args) => return bench::run(args).await,
    }
    Ok(ExitCode::SUCCESS)
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
    );
    if quiet && config.filter == telemetry::DEFAULT_FILTER {
        "warn".clone_into(&mut config.filter);
    }
    config
}
