//! The event log against what its database can do: durable appends against bare commits, how soon a follower has what is
//! appended at a steady rate, what the tree over the log costs, and what subscribers cost.

mod proving;
mod subscribers;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use platform::event_log::EventLog;
use tokio::task::JoinSet;

use super::child::PlatformProcess;
use super::figures::{Figure, Figures};
use super::log_load::{
    append_at_rate, append_part, count_events, installation_in, time_until_seen,
};
use super::print;
use super::private_server::{COMMIT_CLIENTS, SharedServer};
use crate::cli::BenchLogArgs;
use crate::installation::Installation;
use crate::machine::Machine;
use crate::statistics::{Durations, Spread};
use crate::temporary::TemporaryFolder;

/// How much of the rate of bare commits is asked of durable appends, by as many writers.
const COMMITS_GOAL: f64 = 0.7;
/// Events a second that a follower is given, and how long it may take until it has one, in milliseconds.
const FOLLOWED_PER_SECOND: u32 = 1_000;
const FOLLOWED_GOAL_MS: f64 = 20.0;

/// Measures in a temporary folder.
pub(super) async fn run(args: BenchLogArgs) -> anyhow::Result<ExitCode> {
    let folder = TemporaryFolder::new("bench-log")?;
    let mut figures = Figures::new(Machine::this());
    let installation = Installation::open(&installation_in(folder.path())).await?;
    let outcome = measure(&args, &installation, folder.path(), &mut figures).await;
    installation.close().await?;
    outcome?;
    let child = PlatformProcess::start(folder.path()).await?;
    let outcome = subscribers::measure(&child, args.seconds, &mut figures).await;
    child.stop().await?;
    outcome?;
    print(args.json, &figures)?;
    Ok(ExitCode::SUCCESS)
}

async fn measure(
    args: &BenchLogArgs,
    installation: &Installation,
    data: &Path,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let foundation = installation.open_foundation().await?;
    let (log, server) = (foundation.log(), SharedServer::prepare(data).await?);
    let (mut appended, mut committed) = (Vec::new(), Vec::new());
    for round in 1..=args.rounds {
        errln!("round {round} of {} ...", args.rounds);
        appended.push(append_for(&log, Duration::from_secs(args.seconds)).await?);
        committed.extend(server.count_commits(args.seconds).await?);
    }
    if let Some(figure) = append_figure(args, &appended, &committed) {
        figures.add(figure);
    }
    proving::measure((&foundation, data), (args.rounds, args.seconds), figures).await?;
    errln!("following ...");
    let elsewhere = installation.open_foundation().await?;
    let events = FOLLOWED_PER_SECOND * u32::try_from(args.seconds)?;
    let followed = follow_at_rate((&log, elsewhere.log()), events).await?;
    for per_cent in [50, 99] {
        let name = format!("append to follower at {FOLLOWED_PER_SECOND}/s");
        let figure = Figure::for_percentile(&name, &followed, per_cent, FOLLOWED_GOAL_MS);
        figures.add(figure.measured_by(format!(
            "{} appends of one event, {FOLLOWED_PER_SECOND} a second (open loop); from the answer to the append until a \
             follower with its own connections has the event",
            followed.len(),
        )));
    }
    foundation.pool().close().await;
    elsewhere.pool().close().await;
    Ok(())
}

/// Appends of one event a second, by as many writers as pgbench has clients, each to a stream of its own.
async fn append_for(log: &Arc<dyn EventLog>, length: Duration) -> anyhow::Result<f64> {
    let begun = Instant::now();
    let mut writers = JoinSet::new();
    for _ in 0..COMMIT_CLIENTS {
        let log = Arc::clone(log);
        writers.spawn(async move {
            let mut appended = 0_u32;
            while begun.elapsed() < length {
                append_part(log.as_ref()).await?;
                appended += 1;
            }
            anyhow::Ok(appended)
        });
    }
    let mut appended = 0;
    while let Some(writer) = writers.join_next().await {
        appended += writer??;
    }
    Ok(f64::from(appended) / begun.elapsed().as_secs_f64())
}

/// `None` without pgbench.
fn append_figure(args: &BenchLogArgs, appended: &[f64], committed: &[f64]) -> Option<Figure> {
    if committed.is_empty() {
        errln!("pgbench is not installed: how often the server commits is not measured");
        return None;
    }
    let pairs = appended.iter().zip(committed);
    let ratio = Spread::from_values(pairs.map(|(appends, commits)| appends / commits));
    let [appended, committed] =
        [appended, committed].map(|rates| Spread::from_values(rates.iter().copied()));
    let name = "durable appends, rate against bare commits";
    let figure = Figure::at_least(name, ratio.median, "times", COMMITS_GOAL);
    Some(figure.measured_by(format!(
        "{} times: {} appends of one event a second against {} transactions of pgbench that insert one row each, \
         prepared, {COMMIT_CLIENTS} writers, {} rounds of {} s each in turns",
        ratio.show(2),
        appended.show(0),
        committed.show(0),
        args.rounds,
        args.seconds,
    )))
}

/// How long after each append was answered a follower had it.
async fn follow_at_rate(
    (log, elsewhere): (&Arc<dyn EventLog>, Arc<dyn EventLog>),
    events: u32,
) -> anyhow::Result<Durations> {
    let reader = tokio::spawn(count_events(elsewhere, log.head().await?, events as usize));
    let appended = append_at_rate(log, FOLLOWED_PER_SECOND, events).await?;
    let answered =
        appended.into_iter().map(|(position, times)| (position, times.answered)).collect();
    time_until_seen(&answered, reader).await
}
