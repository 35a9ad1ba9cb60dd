//! Pairs a second on one core, from two files' bytes to findings, stage by stage; or one large panel.

use std::fmt;
use std::process::ExitCode;
use std::time::Duration;

use lab::speed::panel::{self, PanelSpeed};
use lab::speed::{self, Speed, SpeedError, SpeedOptions};
use serde::Serialize;
use vision::Stage;

use super::print;
use crate::cli::BenchPairsArgs;
use crate::failure::{Failure, exit};
use crate::machine::Machine;
use crate::statistics::Durations;

/// What the reference reaches on a GPU, pairs of 640 × 640 pixels a second (Tang et al. 2019, *Online
/// PCB Defect Detector On A New PCB Defect Dataset*).
const GOAL_PAIRS_PER_S: f64 = 62.0;
/// Memory for the pair that is under way, MiB.
const GOAL_MEMORY_MIB: f64 = 16.0;

/// Measures, and prints the figures with the machine and the method.
pub(super) async fn run(args: BenchPairsArgs) -> anyhow::Result<ExitCode> {
    let machine = Machine::this();
    if let Some(side) = args.panel {
        let measured = tokio::task::spawn_blocking(move || panel::measure(side)).await??;
        print(args.json, &PanelReport::new(machine, &measured))?;
    } else {
        let manifest = args.manifest.map(|path| (path, args.split));
        let boards = manifest.as_ref().map_or_else(
            || "generated boards of 640 x 640 pixels, PNG".to_owned(),
            |(path, split)| format!("{} of {}", split, path.display()),
        );
        let options = SpeedOptions { pairs: args.pairs as usize, manifest };
        let measured = tokio::task::spawn_blocking(move || speed::measure(&options)).await?;
        let measured = measured.map_err(not_measured)?;
        print(args.json, &PairsReport::new(machine, boards, measured))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What the error means to whoever chose the pairs.
fn not_measured(error: SpeedError) -> anyhow::Error {
    let failure = match &error {
        SpeedError::Read { path, source } => Failure::new(
            format_args!("cannot read {}: {source}", path.display()),
            "check --manifest and that the pictures lie where it says, relative to its folder",
            exit::NO_INPUT,
        ),
        SpeedError::Manifest(source) => Failure::new(
            format_args!("not a manifest of picture pairs: {source}"),
            "chipq generate-boards writes one to look at",
            exit::DATA,
        ),
        SpeedError::Nothing => Failure::new(
            "no pair could be compared",
            "name a --split that the manifest has, or leave --manifest out",
            exit::DATA,
        ),
        SpeedError::Picture(_) | SpeedError::Engine(_) => return error.into(),
    };
    failure.into()
}

/// Milliseconds of one pair.
#[derive(Debug, Serialize)]
struct StageTime {
    stage: &'static str,
    median_ms: f64,
    p95_ms: f64,
}

impl StageTime {
    fn new(stage: &'static str, times: Vec<Duration>) -> Self {
        let times = Durations::new(times);
        Self { stage, median_ms: times.percentile_ms(50), p95_ms: times.percentile_ms(95) }
    }
}

#[derive(Debug, Serialize)]
struct PairsReport {
    machine: Machine,
    boards: String,
    pairs: usize,
    not_comparable: usize,
    crops_per_pair: f64,
    stages: Vec<StageTime>,
    pairs_per_s: f64,
    goal_pairs_per_s: f64,
    /// When the golden sample is kept ready, as a worker keeps it.
    golden_kept_pairs_per_s: f64,
    /// The network's share of the time.
    network: f64,
    /// The rest of the time in copies of the pair's grey levels, timed in the same run.
    rest_in_copies: f64,
    /// What the pair under way adds to memory at the peak, MiB.
    memory_mib: Option<f64>,
    goal_memory_mib: f64,
}

impl PairsReport {
    fn new(machine: Machine, boards: String, speed: Speed) -> Self {
        let Speed { stages, whole, golden, not_comparable, crops, copy, memory } = speed;
        let pairs = whole.len();
        let total: Duration = whole.iter().sum();
        let golden: Duration = golden.iter().sum();
        let network: Duration = stages[Stage::Network as usize].iter().sum();
        let rest = total.saturating_sub(network).as_secs_f64() / pairs as f64;
        let stages = Stage::ALL.iter().map(|stage| stage.name()).zip(stages);
        let stages = stages.chain([("whole", whole)]);
        Self {
            machine,
            boards,
            pairs,
            not_comparable,
            crops_per_pair: crops as f64 / pairs as f64,
            stages: stages.map(|(name, times)| StageTime::new(name, times)).collect(),
            pairs_per_s: pairs as f64 / total.as_secs_f64(),
            goal_pairs_per_s: GOAL_PAIRS_PER_S,
            golden_kept_pairs_per_s: pairs as f64 / total.saturating_sub(golden).as_secs_f64(),
            network: network.as_secs_f64() / total.as_secs_f64(),
            rest_in_copies: rest / copy.as_secs_f64(),
            memory_mib: memory.map(|(before, peak)| mebibytes(peak.saturating_sub(before))),
            goal_memory_mib: GOAL_MEMORY_MIB,
        }
    }
}

fn mebibytes(kibibytes: u64) -> f64 {
    kibibytes as f64 / 1024.0
}

const fn goal_word(is_met: bool) -> &'static str {
    if is_met { "met" } else { "missed" }
}

impl fmt::Display for PairsReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.machine)?;
        writeln!(f, "load average: {} at the beginning", self.machine.load_average)?;
        writeln!(
            f,
            "{} pairs, {} not comparable: {}\n",
            self.pairs, self.not_comparable, self.boards
        )?;
        writeln!(f, "{:<12} {:>9} {:>9}", "ms per pair", "median", "p95")?;
        for StageTime { stage, median_ms, p95_ms } in &self.stages {
            writeln!(f, "{stage:<12} {median_ms:>9.3} {p95_ms:>9.3}")?;
        }
        let (speed, goal) = (self.pairs_per_s, self.goal_pairs_per_s);
        let ratio = speed / goal;
        let is_met = goal_word(speed >= goal);
        writeln!(f, "\n{speed:.1} pairs/s on one core: {ratio:.2} of the goal, {goal} ({is_met})")?;
        let kept = self.golden_kept_pairs_per_s;
        writeln!(
            f,
            "{kept:.1} pairs/s when the golden sample is kept ready, as a worker keeps it"
        )?;
        if let Some(memory) = self.memory_mib {
            let (goal, is_met) = (self.goal_memory_mib, goal_word(memory <= self.goal_memory_mib));
            writeln!(f, "{memory:.1} MiB for the pair under way: at most {goal} ({is_met})")?;
        }
        writeln!(
            f,
            "{:.1} crops a pair; the network takes {:.2} of the time, the rest as long as {:.0} copies \
             of the pair's grey levels",
            self.crops_per_pair, self.network, self.rest_in_copies
        )?;
        writeln!(
            f,
            "\nmethod: both files in memory, one pair after the other on one thread, the golden sample \
             decoded and prepared again for every pair; three pairs before that are not counted; memory \
             is the peak of the resident set less what it was before the first pair"
        )
    }
}

#[derive(Debug, Serialize)]
struct PanelReport {
    machine: Machine,
    side_px: u32,
    read_s: f64,
    compare_s: f64,
    crops: usize,
    memory_mib: Option<f64>,
}

impl PanelReport {
    fn new(machine: Machine, measured: &PanelSpeed) -> Self {
        let PanelSpeed { side, read, compare, candidates, memory } = *measured;
        Self {
            machine,
            side_px: side,
            read_s: read.as_secs_f64(),
            compare_s: compare.as_secs_f64(),
            crops: candidates,
            memory_mib: memory.map(mebibytes),
        }
    }
}

impl fmt::Display for PanelReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { side_px, read_s, compare_s, crops, .. } = self;
        writeln!(f, "{}", self.machine)?;
        writeln!(f, "load average: {} at the beginning", self.machine.load_average)?;
        writeln!(
            f,
            "panel of {side_px} x {side_px} pixels and its golden sample: read in {read_s:.2} s, \
             compared in {compare_s:.2} s, {crops} crops"
        )?;
        let pictures = f64::from(*side_px).powi(2) * 2.0 / 8.0 / f64::from(1 << 20);
        if let Some(memory) = self.memory_mib {
            writeln!(
                f,
                "{memory:.0} MiB at the peak; both pictures are {pictures:.0} MiB of bits"
            )?;
        }
        writeln!(
            f,
            "\nmethod: a generated board of 2,048 pixels repeated, one thread; PNG to bits, then bits to \
             crops, without the network; memory is the peak of the resident set less what it was before"
        )
    }
}
