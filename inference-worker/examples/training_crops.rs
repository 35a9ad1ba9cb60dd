//! Writes training crops of generated boards: `training_crops COUNT SEED OUT_FILE`.
//! Progress and counts go to standard error.

use std::fs::File;
use std::io::{BufWriter, Write};

use inference_worker::boards::{BoardOptions, generate};
use inference_worker::training::write_records;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, count, seed, path] = arguments.as_slice() else {
        return Err("usage: training_crops COUNT SEED OUT_FILE".into());
    };
    let (count, seed): (u64, u64) = (count.parse()?, seed.parse()?);
    let options = BoardOptions { max_shift: 8, ..BoardOptions::default() };
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
