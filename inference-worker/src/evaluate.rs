//! Evaluation: the shipped pipeline over a manifest of labelled pairs, one line of predictions per
//! pair.
//!
//! Scores are computed elsewhere, by a script that knows nothing of this code.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use domain::{Defect, DefectClass, NotComparable};
use serde::Serialize;

use crate::boards::{Manifest, ManifestItem};
use crate::engine::{EmbeddedEngine, EngineError};
use crate::vision::{self, DecodeError, Golden};

#[cfg(test)]
mod tests;

/// Why an evaluation stopped.
#[derive(Debug, thiserror::Error)]
pub enum EvaluateError {
    /// A file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The manifest is not in the DeepPCB layout.
    #[error("{path} is not a manifest of picture pairs")]
    Manifest {
        /// Which file.
        path: PathBuf,
        /// Where it departs.
        source: serde_json::Error,
    },
    /// No item has the split that was asked for.
    #[error("no pair of the manifest has the split {split:?}")]
    EmptySplit {
        /// The split.
        split: String,
    },
    /// The predictions cannot be written.
    #[error("cannot write {path}")]
    Write {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The network failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// What an evaluation did, and where its time went, summed over all threads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Evaluation {
    /// Pairs in the predictions.
    pub pairs: usize,
    /// Pairs that could not be compared; their detections are empty.
    pub not_comparable: usize,
    /// Crops that the network saw.
    pub crops: usize,
    /// Decoding both pictures.
    pub decode: Duration,
    /// Registration, candidates, crops and merging.
    pub compare: Duration,
    /// The network.
    pub network: Duration,
}

/// A line of the predictions file.
#[derive(Serialize)]
struct Prediction<'a> {
    id: &'a str,
    detections: Vec<Detection>,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_comparable: Option<NotComparable>,
}

/// A finding; pixels of the test picture, `x2` and `y2` excluded.
#[derive(Serialize)]
struct Detection {
    x1: u32,
    y1: u32,
    x2: u32,
    y2: u32,
    class: DefectClass,
    confidence: f32,
}

impl From<Defect> for Detection {
    fn from(Defect { class, confidence, bounds }: Defect) -> Self {
        Self {
            x1: bounds.x,
            y1: bounds.y,
            x2: bounds.x + bounds.width,
            y2: bounds.y + bounds.height,
            class,
            confidence: confidence.get(),
        }
    }
}

/// Runs the shipped pipeline over every pair of a manifest, or of one of its splits, on all cores,
/// and writes one JSON line per pair to `out`, in the manifest's order.
///
/// # Errors
/// [`EvaluateError`]; a pair that cannot be compared is no error but a line without detections.
pub fn evaluate(
    manifest: &Path,
    out: &Path,
    split: Option<&str>,
) -> Result<Evaluation, EvaluateError> {
    let folder = manifest.parent().unwrap_or(Path::new("."));
    let items = items(manifest, split)?;
    let engine = EmbeddedEngine::load()?;
    let next = AtomicUsize::new(0);
    let work = || -> Result<(Evaluation, Vec<(usize, String)>), EvaluateError> {
        let (mut sum, mut lines) = (Evaluation::default(), Vec::new());
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index) else { return Ok((sum, lines)) };
            lines.push((index, predict(item, folder, &engine, &mut sum)?));
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from).min(items.len());
    let parts = thread::scope(|scope| {
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        handles.into_iter().map(|handle| handle.join().unwrap_or_else(|_| Err(lost()))).collect()
    });
    let parts: Vec<Result<_, _>> = parts;
    let (mut total, mut lines) = (Evaluation::default(), Vec::new());
    for part in parts {
        let (sum, some) = part?;
        total.add(&sum);
        lines.extend(some);
    }
    lines.sort_by_key(|(index, _)| *index);
    write(out, &lines)?;
    Ok(total)
}

impl Evaluation {
    fn add(&mut self, other: &Self) {
        self.pairs += other.pairs;
        self.not_comparable += other.not_comparable;
        self.crops += other.crops;
        self.decode += other.decode;
        self.compare += other.compare;
        self.network += other.network;
    }
}

fn lost() -> EvaluateError {
    EngineError::Backend { detail: "a thread panicked".to_owned() }.into()
}

fn items(manifest: &Path, split: Option<&str>) -> Result<Vec<ManifestItem>, EvaluateError> {
    let path = manifest.to_owned();
    let bytes = read(manifest)?;
    let parsed: Manifest = serde_json::from_slice(&bytes)
        .map_err(|source| EvaluateError::Manifest { path, source })?;
    let mut items = parsed.items;
    if let Some(split) = split {
        items.retain(|item| item.split == split);
        if items.is_empty() {
            return Err(EvaluateError::EmptySplit { split: split.to_owned() });
        }
    }
    Ok(items)
}

fn read(path: &Path) -> Result<Vec<u8>, EvaluateError> {
    fs::read(path).map_err(|source| EvaluateError::Read { path: path.to_owned(), source })
}

fn write(out: &Path, lines: &[(usize, String)]) -> Result<(), EvaluateError> {
    let failed = |source| EvaluateError::Write { path: out.to_owned(), source };
    let mut file = BufWriter::new(File::create(out).map_err(failed)?);
    for (_, line) in lines {
        writeln!(file, "{line}").map_err(failed)?;
    }
    file.flush().map_err(failed)
}

fn predict(
    item: &ManifestItem,
    folder: &Path,
    engine: &EmbeddedEngine,
    sum: &mut Evaluation,
) -> Result<String, EvaluateError> {
    let test = read(&folder.join(&item.test.file))?;
    let golden = read(&folder.join(&item.template.file))?;
    sum.pairs += 1;
    let (defects, not_comparable) = match prepare(&test, &golden, sum) {
        Ok(prepared) => {
            let started = Instant::now();
            let outputs = engine.run(&prepared.crops)?;
            sum.network += started.elapsed();
            sum.crops += outputs.len();
            let finished = prepared.finish(&outputs);
            let mismatch =
                |e: vision::CountMismatch| EngineError::Backend { detail: e.to_string() };
            (finished.map_err(mismatch)?, None)
        }
        Err(reason) => {
            sum.not_comparable += 1;
            (Vec::new(), Some(reason))
        }
    };
    let detections = defects.into_iter().map(Detection::from).collect();
    let prediction = Prediction { id: &item.id, detections, not_comparable };
    let path = PathBuf::from("predictions");
    serde_json::to_string(&prediction).map_err(|source| EvaluateError::Manifest { path, source })
}

/// The shipped pipeline up to the crops, or why the pair cannot be compared.
fn prepare(
    test: &[u8],
    golden: &[u8],
    sum: &mut Evaluation,
) -> Result<vision::Prepared, NotComparable> {
    let unreadable = |_: DecodeError| NotComparable::Unreadable;
    let started = Instant::now();
    let test = vision::decode(test).map_err(unreadable)?;
    let golden = vision::decode(golden).map_err(unreadable)?;
    sum.decode += started.elapsed();
    let started = Instant::now();
    let prepared = Golden::new(&golden).and_then(|golden| vision::prepare(&test, &golden));
    sum.compare += started.elapsed();
    prepared.map_err(|why| why.reason())
}
