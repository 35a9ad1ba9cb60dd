//! Runs the shipped pipeline over a manifest: `evaluate MANIFEST SPLIT OUT`. Times go to standard
//! error.

use std::path::Path;

use inference_worker::evaluate::evaluate;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, manifest, split, out] = arguments.as_slice() else {
        return Err("usage: evaluate MANIFEST SPLIT OUT".into());
    };
    let done = evaluate(Path::new(manifest), Path::new(out), Some(split))?;
    let each = |time: std::time::Duration| time.as_secs_f64() * 1e3 / done.pairs.max(1) as f64;
    eprintln!(
        "{} pairs, {} not comparable, {} crops; \
         ms per pair: decode {:.2}, compare {:.2}, network {:.2}",
        done.pairs,
        done.not_comparable,
        done.crops,
        each(done.decode),
        each(done.compare),
        each(done.network),
    );
    Ok(())
}
