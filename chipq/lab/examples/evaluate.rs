//! Runs the shipped pipeline over a manifest and writes its predictions, as `chipq evaluate` does,
//! and a summary of counts and times as JSON to standard output. The model card is made of both.

use std::error::Error;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use lab::evaluate::{EvaluateOptions, evaluate};

#[derive(Parser)]
struct Arguments {
    /// DeepPCB-style manifest.json.
    #[arg(long)]
    manifest: PathBuf,
    /// File for the predictions, one JSON object per pair.
    #[arg(long)]
    out: PathBuf,
    /// Only pairs of this split.
    #[arg(long)]
    split: Option<String>,
    /// Paste the golden sample over every labelled box first.
    #[arg(long)]
    repaired: bool,
    /// ONNX file instead of the compiled-in network.
    #[arg(long)]
    weights: Option<PathBuf>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let Arguments { manifest, out, split, repaired, weights } = Arguments::parse();
    let done = evaluate(
        &manifest,
        &out,
        &EvaluateOptions { split, repaired, weights, replaces_inputs: false },
    )?;
    let each = |time: Duration, of: usize| time.as_secs_f64() * 1e3 / of.max(1) as f64;
    let summary = serde_json::json!({
        "pairs": done.pairs,
        "not_comparable": done.not_comparable,
        "crops": done.crops,
        "calls": done.calls,
        "pairs_with_calls": done.called,
        "decode_ms_per_pair": each(done.decode, done.pairs),
        "compare_ms_per_pair": each(done.compare, done.pairs),
        "network_ms_per_pair": each(done.network, done.pairs),
        "network_ms_per_crop": each(done.network, done.crops),
    });
    writeln!(std::io::stdout(), "{summary}")?;
    Ok(())
}
