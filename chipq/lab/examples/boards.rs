//! Writes generated boards into a folder: `boards COUNT SEED OUT [CLEAN_PER_CENT]`.

use std::path::Path;

use boards::{BoardOptions, write_boards};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let (count, seed, out, clean) = match arguments.as_slice() {
        [_, count, seed, out] => (count, seed, out, "0"),
        [_, count, seed, out, clean] => (count, seed, out, clean.as_str()),
        _ => return Err("usage: boards COUNT SEED OUT [CLEAN_PER_CENT]".into()),
    };
    let options = BoardOptions { clean_per_cent: clean.parse()?, ..BoardOptions::default() };
    write_boards(count.parse()?, seed.parse()?, &options, Path::new(out))?;
    Ok(())
}
