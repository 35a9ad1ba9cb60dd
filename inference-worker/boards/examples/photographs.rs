//! Writes photographs of one generated part: `photographs SEED WIDTH HEIGHT OUT`: the golden sample, a second
//! shot of it, another piece, and a flawed one.

use std::path::Path;
use std::time::Instant;

use boards::photographed::{BoardStyle, PhotographedBoard, Shot};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, seed, width, height, out] = arguments.as_slice() else {
        return Err("usage: photographs SEED WIDTH HEIGHT OUT".into());
    };
    let seed = seed.parse()?;
    let started = Instant::now();
    let board =
        PhotographedBoard::new(seed, BoardStyle::from_seed(seed, width.parse()?, height.parse()?));
    eprintln!("plan {:?}", started.elapsed());
    let golden = Shot::for_station(seed);
    let again = golden.repeated(1, 1.0);
    for (name, number, flaws, shot) in [
        ("golden", 0, 0, &golden),
        ("again", 0, 0, &again),
        ("other", 1, 0, &again),
        ("flawed", 1, 12, &again),
    ] {
        let started = Instant::now();
        let piece =
            if flaws > 0 { board.flawed_piece(number, 1, flaws) } else { board.piece(number) };
        eprintln!("piece {:?}", started.elapsed());
        let photograph = piece.photograph(shot);
        eprintln!("shot {:?} {:?}", started.elapsed(), photograph.labels);
        photograph.picture.save(Path::new(out).join(format!("{seed}_{name}.png")))?;
    }
    eprintln!("all {:?}", started.elapsed());
    Ok(())
}
