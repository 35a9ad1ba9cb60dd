//! The worker's way through Triton against Triton's own load generator: crops a second of the batcher
//! and the Triton engine, divided by what `perf_analyzer` reaches on the same server and model.
//!
//! Both are swept over their settings first; then the best setting of each is measured again in turns,
//! so that whatever else the machine does falls on both.

mod batcher_load;
mod perf_analyzer;
mod report;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use inference::engine::{EngineUrl, Models as _, TritonModels};

use super::print;
use crate::cli::BenchTritonArgs;
use crate::failure::{Failure, exit};
use crate::machine::Machine;
use batcher_load::{BatcherLoad, BatcherSetting};
use perf_analyzer::{PerfAnalyzer, PerfSetting};
use report::{PeerRound, SweepPoint, TritonReport};

/// Where `deploy/ensure-triton --with-perf-analyzer` is usually called from.
const PERF_ANALYZER: &str = "perf_analyzer";

/// Measures, and prints the ratio with everything that it was measured by.
pub(super) async fn run(args: BenchTritonArgs) -> anyhow::Result<ExitCode> {
    let EngineUrl::Triton(url) = &args.engine else {
        return Err(Failure::new(
            "the embedded engine has no load generator to be measured against",
            "name a Triton server: --engine grpc://HOST:8001",
            exit::USAGE,
        )
        .into());
    };
    let models = TritonModels::connect(url, &args.triton)?;
    let engine = models.engine_for(models.shipped_model()).await?;
    let load = BatcherLoad::new(engine).await?;
    let program = args.perf_analyzer.clone().unwrap_or_else(|| PathBuf::from(PERF_ANALYZER));
    let peer = PerfAnalyzer::new(
        program,
        &args.engine.to_string(),
        models.shipped_model(),
        &load.first_crop_bytes(),
    )?;
    let window = Duration::from_secs(args.seconds);

    let mut report = TritonReport::new(
        Machine::this(),
        &args,
        peer.program_version().await?,
        load.describe_boards(),
    );
    for setting in perf_settings(&args) {
        errln!("perf_analyzer {setting} ...");
        let measured = peer.measure_throughput(setting, window).await?;
        report.peer_sweep.push(SweepPoint { setting, crops_per_s: measured });
    }
    for setting in batcher_settings(&args) {
        errln!("batcher {setting} ...");
        let measured = load.measure_throughput(setting, window).await?;
        report.worker_sweep.push(SweepPoint { setting, crops_per_s: measured });
    }
    let (Some(peer_best), Some(worker_best)) =
        (report::best_setting(&report.peer_sweep), report::best_setting(&report.worker_sweep))
    else {
        bail!("there was no setting to measure");
    };
    for round in 0..args.rounds {
        errln!("round {} of {} ...", round + 1, args.rounds);
        let worker_first = round % 2 == 1;
        let first = if worker_first {
            Some(load.measure_throughput(worker_best, window).await?)
        } else {
            None
        };
        let peer_crops_per_s = peer.measure_throughput(peer_best, window).await?;
        let worker_crops_per_s = match first {
            Some(measured) => measured,
            None => load.measure_throughput(worker_best, window).await?,
        };
        report.rounds.push(PeerRound { peer_crops_per_s, worker_crops_per_s });
    }
    report.summarise_rounds();
    print(args.json, &report)?;
    Ok(ExitCode::SUCCESS)
}

fn perf_settings(args: &BenchTritonArgs) -> Vec<PerfSetting> {
    let of = |&batch: &u32| {
        args.concurrency.iter().map(move |&concurrency| PerfSetting { batch, concurrency })
    };
    args.batch_sizes.iter().flat_map(of).collect()
}

fn batcher_settings(args: &BenchTritonArgs) -> Vec<BatcherSetting> {
    let of = |&batch: &u32| {
        args.concurrency.iter().map(move |&in_flight| BatcherSetting { batch, in_flight })
    };
    args.batch_sizes.iter().flat_map(of).collect()
}
