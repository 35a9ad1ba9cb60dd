//! Figures of this machine, each with its method and held against its goal.
//!
//! The platform runs as a child process, just as `chipq up` runs for anyone; it is measured through the
//! public HTTP API. Followers and rebuilds are measured here, on its database.

mod child;
mod figures;
mod growth;
mod http_load;
mod log_limits;
mod log_load;
mod pairs;
mod peer;
mod private_server;
mod relay;
mod sign_ins;
mod tokens;
mod triton;
mod workers;
mod wrk;

use std::fmt::Display;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::cli::{BenchArgs, BenchCommand};
use crate::machine::{Machine, resident_mib};
use crate::temporary::TemporaryFolder;
use child::PlatformProcess;
use figures::{Figure, Figures};

/// Measures what was asked for.
pub(crate) async fn run(args: BenchArgs) -> anyhow::Result<ExitCode> {
    match args.what {
        Some(BenchCommand::Growth(args)) => growth::run(args).await,
        Some(BenchCommand::Log(args)) => log_limits::run(args).await,
        Some(BenchCommand::Pairs(args)) => pairs::run(args).await,
        Some(BenchCommand::Peer(args)) => peer::run(args).await,
        Some(BenchCommand::Relay(args)) => {
            relay::check(&args)?;
            relay::run(args).await
        }
        Some(BenchCommand::SignIns(args)) => sign_ins::run(args).await,
        Some(BenchCommand::Tokens(args)) => tokens::run(args).await,
        Some(BenchCommand::Triton(args)) => triton::run(args).await,
        Some(BenchCommand::Workers(args)) => workers::run(args).await,
        None => measure_platform(args).await,
    }
}

/// Starts a private platform in a temporary folder, measures, and prints the figures.
async fn measure_platform(args: BenchArgs) -> anyhow::Result<ExitCode> {
    let folder = TemporaryFolder::new("bench")?;
    let mut figures = Figures::new(Machine::this());
    let note = |what: &str| errln!("measuring {what} ...");

    note("the first start");
    let started = Instant::now();
    let child = PlatformProcess::start(folder.path()).await?;
    figures.add(Figure::first_start(started.elapsed()));
    child.stop().await?;

    note("a later start");
    let started = Instant::now();
    let child = PlatformProcess::start(folder.path()).await?;
    figures.add(Figure::later_start(started.elapsed()));

    note("memory without work");
    tokio::time::sleep(Duration::from_secs(args.idle_seconds)).await;
    if let Some(mib) = resident_mib(child.pid()) {
        figures.add(Figure::idle_memory(mib, args.idle_seconds));
    }
    let outcome = load(&args, &child, &mut figures, note).await;
    child.stop().await?;
    outcome?;

    note("rebuilds");
    log_load::measure_rebuilds(folder.path(), args.events, &mut figures).await?;
    print(args.json, &figures)?;
    Ok(ExitCode::SUCCESS)
}

/// For machines or for people.
fn print(json: bool, report: &(impl Serialize + Display)) -> anyhow::Result<()> {
    if json {
        outln!("{}", serde_json::to_string_pretty(report)?);
    } else {
        out!("{report}");
    }
    Ok(())
}

async fn load(
    args: &BenchArgs,
    child: &PlatformProcess,
    figures: &mut Figures,
    note: impl Fn(&str),
) -> anyhow::Result<()> {
    note("commands");
    let peer = log_load::bare_commits(child.data_folder(), args.commands).await?;
    http_load::measure_commands(child.url(), args.commands, &peer, figures).await?;
    note("a follower");
    log_load::measure_follower(child.data_folder(), args.follow, figures).await?;
    note("boards");
    http_load::measure_boards(child.url(), args.boards_per_second, args.seconds, figures).await
}
