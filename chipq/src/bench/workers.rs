//! Boards a second as workers are added, and what becomes of the share of one that is killed.
//!
//! Every role is a process of its own on one private database. The boards are handed over while no
//! worker runs, and a rate begins when every worker has its share of the leases, so that what is timed
//! is so many workers at work; times are those of the database.

mod fleet;
mod report;

use std::collections::{HashMap, HashSet};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use chrono::{DateTime, Utc};
use domain::InspectionEvent;
use platform::event_log::{EventLog, Position};
use platform::follower::LogTail;

use super::print;
use crate::cli::BenchWorkersArgs;
use crate::machine::Machine;
use fleet::{WorkerFleet, WorkerProcess};
use report::{KilledWorker, ScalingRound, WorkersReport};

/// How long a round may take.
const ROUND_LIMIT: Duration = Duration::from_secs(600);
/// How many events are read at a time.
const PAGE: usize = 500;
/// Workers in the round in which one is killed.
const WORKERS_AND_ONE_KILLED: usize = 4;

/// Measures, and prints the figures with everything that they were measured by.
pub(super) async fn run(args: BenchWorkersArgs) -> anyhow::Result<ExitCode> {
    let fleet = WorkerFleet::start(&args).await?;
    let mut report = WorkersReport::new(Machine::this(), &args);
    let outcome = measure_scaling(&args, &fleet, &mut report).await;
    fleet.stop().await?;
    outcome?;
    print(args.json, &report)?;
    Ok(if report.is_each_judged_once() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn measure_scaling(
    args: &BenchWorkersArgs,
    fleet: &WorkerFleet,
    report: &mut WorkersReport,
) -> anyhow::Result<()> {
    for round in 0..args.rounds {
        for &workers in &args.workers {
            errln!("round {}: {workers} workers, {} boards ...", round + 1, args.boards);
            let after = fleet.log().head().await?;
            let boards = fleet.submit_boards(args.boards).await?;
            let processes = fleet.start_workers(workers)?;
            let shared = fleet.shared_by(workers, ROUND_LIMIT).await?;
            JudgedBoards::wait_for(fleet.log(), after, Some(&boards), boards.len()).await?;
            stop(processes).await?;
            // Only now is nobody left who could judge a board again.
            let judged =
                JudgedBoards::wait_for(fleet.log(), after, Some(&boards), boards.len()).await?;
            let (timed, boards_per_s) = judged.rate_from(shared);
            ensure!(
                timed >= boards.len() / 4,
                "{timed} of {} boards were left when {workers} workers had shared the leases: take \
                 more --boards, or a shorter --lease-ms",
                boards.len()
            );
            report.scaling.push(ScalingRound {
                workers,
                boards: boards.len(),
                timed,
                boards_per_s,
                judged_once: judged.count_judged_once(),
            });
        }
    }
    errln!("{WORKERS_AND_ONE_KILLED} workers, one of them killed ...");
    report.killed = Some(kill_one(args, fleet).await?);
    report.summarise_rates();
    Ok(())
}

/// Kills one of four workers when a quarter of the boards is judged, while the others are still coming.
async fn kill_one(args: &BenchWorkersArgs, fleet: &WorkerFleet) -> anyhow::Result<KilledWorker> {
    // The first worker has all leases for itself, and so tells its name.
    let mut first = fleet.start_workers(1)?;
    let victim = fleet.only_owner(ROUND_LIMIT).await?;
    let others = fleet.start_workers(WORKERS_AND_ONE_KILLED - 1)?;
    fleet.shared_by(WORKERS_AND_ONE_KILLED, ROUND_LIMIT).await?;
    let after = fleet.log().head().await?;
    let killing = async {
        JudgedBoards::wait_for(fleet.log(), after, None, args.boards / 4).await?;
        let held = fleet.held_by(victim).await?;
        if let Some(first) = first.pop() {
            first.kill_process().await?;
        }
        let killed_at = Instant::now();
        while fleet.held_by(victim).await? > 0 {
            ensure!(killed_at.elapsed() < ROUND_LIMIT, "the killed worker's leases do not move");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok((held, killed_at, killed_at.elapsed()))
    };
    let (boards, (held, killed_at, moved_after)) =
        tokio::try_join!(fleet.submit_boards(args.boards), killing)?;
    JudgedBoards::wait_for(fleet.log(), after, Some(&boards), boards.len()).await?;
    let all_judged_after = killed_at.elapsed();
    stop(others).await?;
    // Only now is nobody left who could judge a board again.
    let judged = JudgedBoards::wait_for(fleet.log(), after, Some(&boards), boards.len()).await?;
    Ok(KilledWorker {
        boards: boards.len(),
        judged_once: judged.count_judged_once(),
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
struct JudgedBoards {
    times: HashMap<String, Vec<DateTime<Utc>>>,
}

impl JudgedBoards {
    /// Reads the log after `after` until `enough` of the boards are judged; without `boards`, of all.
    async fn wait_for(
        log: &Arc<dyn EventLog>,
        after: Position,
        boards: Option<&HashSet<String>>,
        enough: usize,
    ) -> anyhow::Result<Self> {
        let mut judged = Self { times: HashMap::new() };
        let mut follow = LogTail::new(Arc::clone(log)).follow(after);
        let begun = Instant::now();
        let mut at = after;
        let head = log.head().await?;
        // Everything that is there already is read, too: a second judgement would be among it.
        while judged.times.len() < enough || at < head {
            let left = ROUND_LIMIT.saturating_sub(begun.elapsed());
            let Ok(page) = tokio::time::timeout(left, follow.next_page(PAGE)).await else {
                bail!("{} of {enough} boards were judged in time", judged.times.len());
            };
            let page = page?;
            at = page.up_to;
            for event in page.events {
                let inspection = &event.stream.aggregate_id;
                let is_counted = boards.is_none_or(|boards| boards.contains(inspection));
                if is_counted && event.event_type == InspectionEvent::INSPECTION_JUDGED {
                    judged.times.entry(inspection.clone()).or_default().push(event.recorded_at);
                }
            }
        }
        Ok(judged)
    }

    /// Boards with exactly one judgement.
    fn count_judged_once(&self) -> usize {
        self.times.values().filter(|times| times.len() == 1).count()
    }

    /// How many boards were judged after `from`, and how many a second until the last of them.
    fn rate_from(&self, from: DateTime<Utc>) -> (usize, f64) {
        let after: Vec<_> = self.times.values().flatten().filter(|time| **time > from).collect();
        let took = after.iter().max().map(|last| **last - from);
        let seconds =
            took.map_or(f64::NAN, |took| took.num_microseconds().unwrap_or(0) as f64 / 1e6);
        (after.len(), after.len() as f64 / seconds)
    }
}
