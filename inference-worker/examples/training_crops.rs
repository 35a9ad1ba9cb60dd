//! Writes training crops of generated boards: `training_crops COUNT SEED OUT_FILE [CLEAN_PER_CENT]`.
//! Progress and counts go to standard error.

use std::fs::File;
use std::io::{BufWriter, Write};

use inference_worker::boards::{BoardOptions, generate};
use inference_worker::training::write_records;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let (count, seed, path, clean) = match arguments.as_slice() {
        [_, count, seed, path] => (count, seed, path, "0"),
        [_, count, seed, path, clean] => (count, seed, path, clean.as_str()),
        _ => return Err("usage: training_crops COUNT SEED OUT_FILE [CLEAN_PER_CENT]".into()),
    };
    let (count, seed): (u64, u64) = (count.parse()?, seed.parse()?);
    let clean_per_cent = clean.parse()?;
    let options = BoardOptions { max_shift: 8, clean_per_cent, ..BoardOptions::default() };
    let mut out = BufWriter::new(File::create(path)?);
    let (mut records, mut labels) = (0, 0);
    for index in 0..count {
        let board = generate(seed, index, &options);
        labels += board.defects.len();
        records += write_records(&board, 1, &mut out)?;
    }
    out.flush()?;
    eprintln!("{count} boards, {labels} labels, {records} records");
    Ok(())
}
