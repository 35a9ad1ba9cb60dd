//! What `chipq bench workers` prints.

use std::fmt;

use serde::Serialize;

use crate::cli::BenchWorkersArgs;
use crate::machine::Machine;
use crate::statistics::Spread;

/// One round with so many workers.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct ScalingRound {
    pub(super) workers: usize,
    pub(super) boards: usize,
    /// Boards that were left when every worker had its share: the rate is theirs.
    pub(super) timed: usize,
    pub(super) boards_per_s: f64,
    /// Boards with exactly one judgement in the log.
    pub(super) judged_once: usize,
}

/// The round in which one worker was killed.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct KilledWorker {
    pub(super) boards: usize,
    /// Boards with exactly one judgement in the log.
    pub(super) judged_once: usize,
    /// Leases that the worker held when it was killed.
    pub(super) leases_held: i64,
    pub(super) moved_after_s: f64,
    pub(super) all_judged_after_s: f64,
}

#[derive(Debug, Serialize)]
pub(super) struct WorkersReport {
    machine: Machine,
    engine: String,
    boards: usize,
    lease_ms: u64,
    pub(super) scaling: Vec<ScalingRound>,
    pub(super) killed: Option<KilledWorker>,
    load_average_at_the_end: String,
}

impl WorkersReport {
    pub(super) fn new(machine: Machine, args: &BenchWorkersArgs) -> Self {
        Self {
            machine,
            engine: args.engine.to_string(),
            boards: args.boards,
            lease_ms: args.lease_ms,
            scaling: Vec::new(),
            killed: None,
            load_average_at_the_end: String::new(),
        }
    }

    pub(super) fn is_each_judged_once(&self) -> bool {
        self.scaling.iter().all(|round| round.judged_once == round.boards)
            && self.killed.as_ref().is_none_or(|killed| killed.judged_once == killed.boards)
    }

    pub(super) fn summarise_rates(&mut self) {
        self.load_average_at_the_end = Machine::this().load_average;
    }
}

impl fmt::Display for WorkersReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.machine)?;
        let load_average = &self.machine.load_average;
        let end = &self.load_average_at_the_end;
        writeln!(f, "load average: {load_average} at the beginning, {end} at the end")?;
        writeln!(f, "engine: {}; a lease lasts {} ms\n", self.engine, self.lease_ms)?;
        let mut counts: Vec<_> = self.scaling.iter().map(|scaling| scaling.workers).collect();
        counts.sort_unstable();
        counts.dedup();
        for count in counts {
            let of_count = self.scaling.iter().filter(|scaling| scaling.workers == count);
            let Spread { least, median, most } =
                Spread::from_values(of_count.map(|s| s.boards_per_s));
            writeln!(f, "{count} workers: {median:.1} boards/s ({least:.1} to {most:.1})")?;
        }
        let boards: usize = self.scaling.iter().map(|round| round.boards).sum();
        let once: usize = self.scaling.iter().map(|round| round.judged_once).sum();
        writeln!(f, "{once} of {boards} boards judged exactly once")?;
        if let Some(killed) = &self.killed {
            writeln!(
                f,
                "\none of four killed (kill -9) with {} leases: they had moved after {:.1} s; \
                 {} of {} boards judged exactly once, the last {:.1} s after the kill",
                killed.leases_held,
                killed.moved_after_s,
                killed.judged_once,
                killed.boards,
                killed.all_judged_after_s,
            )?;
        }
        writeln!(
            f,
            "\nmethod: {} generated boards of 640 x 640 pixels of one part handed over while no worker \
             runs; a rate is that of the boards that were left when every worker had its share of the \
             leases, up to the last judgement, by the database's clock; workers, Triton, command API and \
             PostgreSQL share the machine",
            self.boards
        )
    }
}
