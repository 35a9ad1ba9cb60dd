//! Boards a second as workers are added, and what becomes of the share of one that is killed.
//!
//! Every role is a process of its own on one private database. The boards are handed over while no
//! worker runs, so that what is timed is the workers; times are those of the log.

mod cluster;
mod report;

use std::collections::{HashMap, HashSet};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use chrono::{DateTime, Utc};
use platform::event_log::{EventLog, Follow, Position};

use crate::cli::BenchWorkersArgs;
use crate::machine::Machine;
use cluster::{Cluster, WorkerProcess};
use report::{Killed, Report, Scaling};

/// How long a round may take.
const ROUND_LIMIT: Duration = Duration::from_secs(600);
/// How many events are read at a time.
const PAGE: usize = 500;
/// Workers in the round in which one is killed.
const WORKERS_AND_ONE_KILLED: usize = 4;

/// Measures, and prints the figures with everything that they were measured by.
pub(super) async fn run(args: BenchWorkersArgs) -> anyhow::Result<ExitCode> {
    let cluster = Cluster::start(&args).await?;
    let mut report = Report::new(Machine::this(), &args);
    let outcome = measure(&args, &cluster, &mut report).await;
    cluster.stop().await?;
    outcome?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{report}");
    }
    let once = report.killed.as_ref().is_none_or(|killed| killed.judged_once == killed.boards);
    Ok(if once { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn measure(
    args: &BenchWorkersArgs,
    cluster: &Cluster,
    report: &mut Report,
) -> anyhow::Result<()> {
    for round in 0..args.rounds {
        for &workers in &args.workers {
            eprintln!("round {}: {workers} workers, {} boards ...", round + 1, args.boards);
            let after = cluster.log().head().await?;
            let boards = cluster.submit(args.boards).await?;
            let processes = cluster.workers(workers)?;
            let judged = Judged::of(cluster.log(), after, &boards, boards.len()).await?;
            stop(processes).await?;
            let boards_per_s = judged.rate();
            report.scaling.push(Scaling { workers, boards_per_s });
        }
    }
    eprintln!("{WORKERS_AND_ONE_KILLED} workers, one of them killed ...");
    report.killed = Some(kill_one(args, cluster).await?);
    report.finish();
    Ok(())
}

/// Kills one of four workers when a quarter of the boards is judged.
async fn kill_one(args: &BenchWorkersArgs, cluster: &Cluster) -> anyhow::Result<Killed> {
    // The first worker has all leases for itself, and so tells its name.
    let mut first = cluster.workers(1)?;
    let victim = cluster.only_owner(ROUND_LIMIT).await?;
    let others = cluster.workers(WORKERS_AND_ONE_KILLED - 1)?;
    cluster.shared_by(WORKERS_AND_ONE_KILLED, ROUND_LIMIT).await?;
    let after = cluster.log().head().await?;
    let boards = cluster.submit(args.boards).await?;
    Judged::of(cluster.log(), after, &boards, boards.len() / 4).await?;
    let held = cluster.held_by(victim).await?;
    if let Some(first) = first.pop() {
        first.kill().await?;
    }
    let killed_at = Instant::now();
    while cluster.held_by(victim).await? > 0 {
        ensure!(killed_at.elapsed() < ROUND_LIMIT, "the leases of the killed worker do not move");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let moved_after = killed_at.elapsed();
    Judged::of(cluster.log(), after, &boards, boards.len()).await?;
    let all_judged_after = killed_at.elapsed();
    stop(others).await?;
    // Only now is nobody left who could judge a board again.
    let judged = Judged::of(cluster.log(), after, &boards, boards.len()).await?;
    Ok(Killed {
        boards: boards.len(),
        judged_once: judged.times.values().filter(|times| times.len() == 1).count(),
        leases_held: held,
        moved_after_s: moved_after.as_secs_f64(),
        all_judged_after_s: all_judged_after.as_secs_f64(),
    })
}

async fn stop(processes: Vec<WorkerProcess>) -> anyhow::Result<()> {
    for process in processes {
        process.stop().await?;
    }
    Ok(())
}

/// The judgements of boards, by the log's clock.
struct Judged {
    times: HashMap<String, Vec<DateTime<Utc>>>,
    first_result: Option<DateTime<Utc>>,
}

impl Judged {
    /// Reads the log after `after` until `enough` of the boards are judged.
    async fn of(
        log: &Arc<dyn EventLog>,
        after: Position,
        boards: &HashSet<String>,
        enough: usize,
    ) -> anyhow::Result<Self> {
        let mut judged = Self { times: HashMap::new(), first_result: None };
        let mut follow = Follow::new(Arc::clone(log), after);
        let begun = Instant::now();
        let mut at = after;
        let head = log.head().await?;
        // Everything that is there already is read, too: a second judgement would be among it.
        while judged.times.len() < enough || at < head {
            let left = ROUND_LIMIT.saturating_sub(begun.elapsed());
            let Ok(page) = tokio::time::timeout(left, follow.next_page(PAGE)).await else {
                bail!("{} of {} boards were judged in time", judged.times.len(), boards.len());
            };
            let page = page?;
            at = page.up_to;
            for event in page.events {
                let inspection = &event.stream.aggregate_id;
                if !boards.contains(inspection) {
                    continue;
                }
                match event.event_type.as_str() {
                    "InferenceCompleted" => {
                        judged.first_result.get_or_insert(event.recorded_at);
                    }
                    "InspectionJudged" => {
                        judged.times.entry(inspection.clone()).or_default().push(event.recorded_at);
                    }
                    _ => {}
                }
            }
        }
        Ok(judged)
    }

    /// Boards a second from the first result to the last judgement.
    fn rate(&self) -> f64 {
        let last = self.times.values().flatten().max();
        let took = last.zip(self.first_result).map(|(last, first)| *last - first);
        let seconds =
            took.map_or(f64::NAN, |took| took.num_microseconds().unwrap_or(0) as f64 / 1e6);
        (self.times.len().saturating_sub(1)) as f64 / seconds
    }
}
