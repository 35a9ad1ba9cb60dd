//! Writes generated boards into a folder: `boards COUNT SEED OUT`.

use std::path::Path;

use inference_worker::boards::{BoardOptions, generate_boards};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, count, seed, out] = arguments.as_slice() else {
        return Err("usage: boards COUNT SEED OUT".into());
    };
    let options = BoardOptions::default();
    generate_boards(count.parse()?, seed.parse()?, &options, Path::new(out))?;
    Ok(())
}
