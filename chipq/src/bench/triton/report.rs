//! What `chipq bench triton` prints: the ratio, and everything that it was measured by.

use std::fmt;

use serde::Serialize;

use super::batcher_load::BatcherSetting;
use super::perf_analyzer::PerfSetting;
use crate::cli::BenchTritonArgs;
use crate::machine::Machine;
use crate::statistics::Spread;

/// At least this share of what Triton's own load generator reaches.
const GOAL: f64 = 0.9;

/// One setting of a sweep.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct SweepPoint<S> {
    pub(super) setting: S,
    pub(super) crops_per_s: f64,
}

/// The best settings of both, one after the other.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct PeerRound {
    pub(super) peer_crops_per_s: f64,
    pub(super) worker_crops_per_s: f64,
}

impl PeerRound {
    fn ratio(&self) -> f64 {
        self.worker_crops_per_s / self.peer_crops_per_s
    }
}

#[derive(Debug, Serialize)]
pub(super) struct TritonReport {
    machine: Machine,
    engine: String,
    perf_analyzer: String,
    crops: String,
    window_s: u64,
    pub(super) peer_sweep: Vec<SweepPoint<PerfSetting>>,
    pub(super) worker_sweep: Vec<SweepPoint<BatcherSetting>>,
    pub(super) rounds: Vec<PeerRound>,
    peer_crops_per_s: Spread,
    worker_crops_per_s: Spread,
    /// Worker ÷ peer, round by round.
    ratio: Spread,
    goal: f64,
    load_average_at_the_end: String,
}

/// The setting with the most crops a second.
pub(super) fn best_setting<S: Copy>(sweep: &[SweepPoint<S>]) -> Option<S> {
    let most = sweep.iter().max_by(|a, b| a.crops_per_s.total_cmp(&b.crops_per_s));
    most.map(|point| point.setting)
}

impl TritonReport {
    pub(super) fn new(
        machine: Machine,
        args: &BenchTritonArgs,
        perf_analyzer: String,
        crops: String,
    ) -> Self {
        Self {
            machine,
            engine: args.engine.to_string(),
            perf_analyzer,
            crops,
            window_s: args.seconds,
            peer_sweep: Vec::new(),
            worker_sweep: Vec::new(),
            rounds: Vec::new(),
            peer_crops_per_s: Spread::default(),
            worker_crops_per_s: Spread::default(),
            ratio: Spread::default(),
            goal: GOAL,
            load_average_at_the_end: String::new(),
        }
    }

    /// Computes what follows from the rounds.
    pub(super) fn summarise_rounds(&mut self) {
        self.peer_crops_per_s =
            Spread::from_values(self.rounds.iter().map(|round| round.peer_crops_per_s));
        self.worker_crops_per_s =
            Spread::from_values(self.rounds.iter().map(|round| round.worker_crops_per_s));
        self.ratio = Spread::from_values(self.rounds.iter().map(PeerRound::ratio));
        self.load_average_at_the_end = Machine::this().load_average;
    }
}

impl fmt::Display for TritonReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.machine)?;
        let load_average = &self.machine.load_average;
        let end = &self.load_average_at_the_end;
        writeln!(f, "load average: {load_average} at the beginning, {end} at the end")?;
        writeln!(
            f,
            "server: {}, on this machine's network; {}\n",
            self.engine, self.perf_analyzer
        )?;
        writeln!(f, "sweep, {} s a point, crops a second:", self.window_s)?;
        for SweepPoint { setting, crops_per_s } in &self.peer_sweep {
            writeln!(f, "  perf_analyzer  {:<28} {crops_per_s:>8.0}", setting.to_string())?;
        }
        for SweepPoint { setting, crops_per_s } in &self.worker_sweep {
            writeln!(f, "  worker         {:<28} {crops_per_s:>8.0}", setting.to_string())?;
        }
        writeln!(f, "\nthe best setting of each in turns, crops a second:")?;
        for round in &self.rounds {
            writeln!(
                f,
                "  perf_analyzer {:>8.0}   worker {:>8.0}   ratio {:.3}",
                round.peer_crops_per_s,
                round.worker_crops_per_s,
                round.ratio()
            )?;
        }
        let line = |f: &mut fmt::Formatter<'_>, name: &str, spread: &Spread, digits: usize| {
            let Spread { least, median, most } = spread;
            writeln!(f, "{name:<24} {median:.digits$} ({least:.digits$} to {most:.digits$})")
        };
        writeln!(f)?;
        line(f, "perf_analyzer, crops/s", &self.peer_crops_per_s, 0)?;
        line(f, "worker, crops/s", &self.worker_crops_per_s, 0)?;
        line(f, "ratio", &self.ratio, 3)?;
        let met = if self.ratio.median >= self.goal { "met" } else { "missed" };
        writeln!(f, "goal: ratio >= {} ({met})", self.goal)?;
        writeln!(
            f,
            "\nmethod: {}, handed over again and again by 8 boards for each batch in flight and 8 \
             more (closed loop), batcher and Triton engine as in the worker; perf_analyzer with one \
             of these crops in every row, gRPC, three windows; medians with least and most",
            self.crops
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_setting_is_the_one_with_the_most_crops() {
        let point = |setting, crops_per_s| SweepPoint { setting, crops_per_s };
        assert_eq!(best_setting(&[point(1, 10.0), point(2, 30.0), point(3, 20.0)]), Some(2));
        assert_eq!(best_setting::<u8>(&[]), None);
    }
}
