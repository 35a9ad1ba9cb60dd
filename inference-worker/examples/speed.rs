//! Reports how fast pairs are inspected on one thread, stage by stage:
//! `speed [--pairs N] [--manifest FILE --split NAME]`, or a large panel: `speed --panel SIDE`.

use std::error::Error;
use std::io::Write;
use std::path::PathBuf;

use clap::Parser;
use inference_worker::speed::{self, SpeedOptions};

#[derive(Parser)]
struct Arguments {
    /// At most so many pairs.
    #[arg(long, default_value_t = 200)]
    pairs: usize,
    /// DeepPCB-style manifest.json instead of generated boards.
    #[arg(long)]
    manifest: Option<PathBuf>,
    /// Only pairs of this split.
    #[arg(long, default_value = "trainval")]
    split: String,
    /// A panel of so many pixels a side instead of pairs.
    #[arg(long)]
    panel: Option<u32>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let Arguments { pairs, manifest, split, panel } = Arguments::parse();
    let mut out = std::io::stdout();
    if let Some(side) = panel {
        let took = speed::panel::measure(side)?;
        let memory = took.memory.map_or(f64::NAN, |kilobytes| kilobytes as f64 / 1024.0);
        writeln!(
            out,
            "panel of {side} × {side}: read {:.2} s, compared {:.2} s, {} candidates, {memory:.0} MiB",
            took.read.as_secs_f64(),
            took.compare.as_secs_f64(),
            took.candidates,
        )?;
    } else {
        let manifest = manifest.map(|path| (path, split));
        write!(out, "{}", speed::measure(&SpeedOptions { pairs, manifest })?)?;
    }
    Ok(())
}
