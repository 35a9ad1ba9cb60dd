//! Writes generated boards into a folder: `boards COUNT SEED OUT [CLEAN_PER_CENT | photographs]`. Photographs are of
//! the golden sample's own piece, flawed and shot again.

use std::path::Path;

use boards::photographed::{PhotographOptions, PhotographedUnits, write_photographs};
use boards::{BoardOptions, write_boards};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let (count, seed, out, clean) = match arguments.as_slice() {
        [_, count, seed, out] => (count, seed, out, "0"),
        [_, count, seed, out, clean] => (count, seed, out, clean.as_str()),
        _ => return Err("usage: boards COUNT SEED OUT [CLEAN_PER_CENT | photographs]".into()),
    };
    let (count, seed, out) = (count.parse()?, seed.parse()?, Path::new(out));
    if clean == "photographs" {
        let units = PhotographedUnits::SamePiece;
        let options = PhotographOptions { units, accepted: 0, ..PhotographOptions::default() };
        write_photographs(count, seed, &options, out)?;
    } else {
        let options = BoardOptions { clean_per_cent: clean.parse()?, ..BoardOptions::default() };
        write_boards(count, seed, &options, out)?;
    }
    Ok(())
}
