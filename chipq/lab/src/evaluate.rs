//! Evaluation: the shipped pipeline over a manifest of labelled pairs, one line of predictions per
//! pair.
//!
//! Scores are computed elsewhere, by a script that knows nothing of this code.

use std::fs;
use std::io::{self, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use boards::{LabelledBox, Manifest, ManifestItem, WholeFile, paste_golden};
use domain::{Defect, NotComparable, PixelBox, UnexplainedDifference};
use inference::engine::{EmbeddedEngine, EngineError};
use serde::Serialize;
use vision::{DecodeError, DecodedImage, Findings, PreparedGolden, UnusableAnswers};

mod golden_sets;
#[cfg(test)]
mod tests;

use crate::outputs::find_input;
use golden_sets::{LastSet, ReadySet};

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
    /// The manifest is not one of picture pairs.
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
    /// The predictions would replace what they are made from.
    #[error("{} would be written over, and it is read", .path.display())]
    ReplacesInput {
        /// The manifest, the weights or a picture.
        path: PathBuf,
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

/// What is evaluated, and on what.
#[derive(Debug, Clone, Default)]
pub struct EvaluateOptions {
    /// Only pairs of this split; all by default.
    pub split: Option<String>,
    /// Paste the golden sample over every labelled box first, so that every call is a false one.
    pub repaired: bool,
    /// An ONNX file instead of the compiled-in network.
    pub weights: Option<PathBuf>,
    /// Write the predictions also over a file that is read.
    pub replaces_inputs: bool,
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
    /// Calls of half confidence or more, right or wrong.
    pub calls: usize,
    /// Pairs with such a call.
    pub called: usize,
    /// Differences that no finding explains.
    pub unexplained: usize,
    /// Labels on all pairs.
    pub labels: usize,
    /// Labels of classes that the network does not name.
    pub other_labels: usize,
}

/// A line of the predictions file.
#[derive(Serialize)]
struct Prediction<'a> {
    id: &'a str,
    detections: Vec<Detection>,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_comparable: Option<NotComparable>,
}

/// The class that an unexplained difference is written under, beside the network's.
pub const DIFFERENCE: &str = "difference";
/// The confidences that differences are written with: those of a doubtful finding, because the board goes
/// to review by them and does not fail.
const DIFFERENCE_CONFIDENCE: Range<f32> = 0.25..0.499;

/// A finding or a difference; pixels of the test picture, `x2` and `y2` excluded.
#[derive(Serialize)]
struct Detection {
    x1: u32,
    y1: u32,
    x2: u32,
    y2: u32,
    class: &'static str,
    confidence: f32,
}

impl Detection {
    fn new(class: &'static str, confidence: f32, bounds: PixelBox) -> Self {
        let PixelBox { x, y, width, height } = bounds;
        let (x2, y2) = (x.saturating_add(width), y.saturating_add(height));
        Self { x1: x, y1: y, x2, y2, class, confidence }
    }

    fn from_defect(defect: &Defect) -> Self {
        Self::new(defect.class.as_str(), defect.confidence.get(), defect.bounds)
    }

    fn from_difference(difference: &UnexplainedDifference) -> Self {
        Self::new(DIFFERENCE, confidence_of_difference(difference), difference.bounds)
    }
}

/// The confidence that an unexplained difference is written with where a detection needs one: 0.25 to below
/// 0.5, as that of a doubtful finding; the stronger the difference, the higher.
#[must_use]
pub fn confidence_of_difference(difference: &UnexplainedDifference) -> f32 {
    let Range { start, end } = DIFFERENCE_CONFIDENCE;
    start + (end - start) * (1.0 - difference.strength.max(1.0).recip())
}

/// Runs the shipped pipeline over every pair of a manifest, or of one of its splits, on all cores,
/// and writes one JSON line per pair to `out`, in the manifest's order.
///
/// # Errors
/// [`EvaluateError`]; a pair that cannot be compared is no error but a line without detections.
pub fn evaluate(
    manifest: &Path,
    out: &Path,
    options: &EvaluateOptions,
) -> Result<Evaluation, EvaluateError> {
    let items = select_items(manifest, options.split.as_deref())?;
    let weights = options.weights.as_deref().map(read).transpose()?;
    let folder = manifest.parent().unwrap_or(Path::new("."));
    if !options.replaces_inputs {
        spare_inputs(out, [Some(manifest), options.weights.as_deref()], folder, &items)?;
    }
    let next = AtomicUsize::new(0);
    let work = || -> Result<(Evaluation, Vec<(usize, String)>), EvaluateError> {
        // The boards are spread over the cores, and each has a network of its own that computes on one.
        let engine = match &weights {
            Some(onnx) => EmbeddedEngine::load_file(onnx.clone(), 1)?,
            None => EmbeddedEngine::load_on(1)?,
        };
        let sets = LastSet::default();
        let pipeline = Pipeline { folder, engine, sets, repaired: options.repaired };
        let (mut sum, mut lines) = (Evaluation::default(), Vec::new());
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index) else { return Ok((sum, lines)) };
            lines.push((index, pipeline.predict_pair(item, &mut sum)?));
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from).min(items.len());
    let parts = thread::scope(|scope| {
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        handles
            .into_iter()
            .map(|handle| handle.join().unwrap_or_else(|_| Err(thread_panicked())))
            .collect()
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
        self.calls += other.calls;
        self.called += other.called;
        self.unexplained += other.unexplained;
        self.labels += other.labels;
        self.other_labels += other.other_labels;
    }
}

fn thread_panicked() -> EvaluateError {
    EngineError::Backend { detail: "a thread panicked".to_owned() }.into()
}

fn select_items(manifest: &Path, split: Option<&str>) -> Result<Vec<ManifestItem>, EvaluateError> {
    let path = manifest.to_owned();
    let bytes = read(manifest)?;
    let parsed =
        Manifest::from_json(&bytes).map_err(|source| EvaluateError::Manifest { path, source })?;
    let mut items = parsed.items;
    if let Some(split) = split {
        items.retain(|item| item.split == split);
        if items.is_empty() {
            return Err(EvaluateError::EmptySplit { split: split.to_owned() });
        }
    }
    Ok(items)
}

/// Refuses to write predictions over one of the files, or of the pictures of the items.
fn spare_inputs(
    out: &Path,
    files: [Option<&Path>; 2],
    folder: &Path,
    items: &[ManifestItem],
) -> Result<(), EvaluateError> {
    let pictures: Vec<_> =
        items.iter().flat_map(ManifestItem::files).map(|file| folder.join(&file.file)).collect();
    let inputs = files.into_iter().flatten().chain(pictures.iter().map(PathBuf::as_path));
    match find_input(out, inputs) {
        Some(input) => Err(EvaluateError::ReplacesInput { path: input.to_owned() }),
        None => Ok(()),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, EvaluateError> {
    fs::read(path).map_err(|source| EvaluateError::Read { path: path.to_owned(), source })
}

/// All of them or none: predictions that end early count as pairs without findings.
fn write(out: &Path, lines: &[(usize, String)]) -> Result<(), EvaluateError> {
    let failed = |source| EvaluateError::Write { path: out.to_owned(), source };
    let mut file = WholeFile::create(out).map_err(failed)?;
    for (_, line) in lines {
        writeln!(file, "{line}").map_err(failed)?;
    }
    file.finish().map_err(failed)
}

/// Confidence from which a finding counts as a call.
const CALL: f32 = 0.5;

struct Pipeline<'a> {
    folder: &'a Path,
    engine: EmbeddedEngine,
    sets: LastSet,
    repaired: bool,
}

impl Pipeline<'_> {
    fn predict_pair(
        &self,
        item: &ManifestItem,
        sum: &mut Evaluation,
    ) -> Result<String, EvaluateError> {
        let test = read(&self.folder.join(&item.test.file))?;
        let golden = read(&self.folder.join(&item.template.file))?;
        sum.pairs += 1;
        sum.labels += item.boxes.len();
        sum.other_labels +=
            item.boxes.iter().filter(|label| label.class.as_named().is_none()).count();
        let set = self.sets.prepare(self.folder, item, self.repaired)?;
        let (found, not_comparable) = match self.prepare_pair([&test, &golden], set, item, sum) {
            Ok(prepared) => (self.compare_pair(&prepared, sum)?, None),
            Err(reason) => {
                sum.not_comparable += 1;
                (Findings::default(), Some(reason))
            }
        };
        let Findings { defects, differences } = found;
        let calls = defects.iter().filter(|defect| defect.confidence.get() >= CALL).count();
        sum.calls += calls;
        sum.called += usize::from(calls > 0);
        sum.unexplained += differences.len();
        let detections = defects.iter().map(Detection::from_defect);
        let detections =
            detections.chain(differences.iter().map(Detection::from_difference)).collect();
        let prediction = Prediction { id: &item.id, detections, not_comparable };
        let path = PathBuf::from("predictions");
        serde_json::to_string(&prediction)
            .map_err(|source| EvaluateError::Manifest { path, source })
    }

    fn compare_pair(
        &self,
        prepared: &vision::PreparedPicture,
        sum: &mut Evaluation,
    ) -> Result<Findings, EngineError> {
        let started = Instant::now();
        let outputs = self.engine.run(&prepared.crops)?;
        sum.network += started.elapsed();
        sum.crops += outputs.len();
        let unusable = |error: UnusableAnswers| EngineError::Backend { detail: error.to_string() };
        prepared.merge_answers(&outputs).map_err(unusable)
    }

    /// The shipped pipeline up to the crops, or why the pair cannot be compared.
    fn prepare_pair(
        &self,
        [test, golden]: [&[u8]; 2],
        set: Option<ReadySet>,
        item: &ManifestItem,
        sum: &mut Evaluation,
    ) -> Result<vision::PreparedPicture, NotComparable> {
        let unreadable = |_: DecodeError| NotComparable::Unreadable;
        let started = Instant::now();
        let test = vision::decode(test).map_err(unreadable)?;
        let golden = vision::decode(golden).map_err(unreadable)?;
        sum.decode += started.elapsed();
        let (test, golden) = if self.repaired {
            let (golden, mut test) = (golden.into_grey(), test.into_grey());
            paste_golden(&mut test, &golden, item.boxes.iter().map(LabelledBox::bounds));
            (DecodedImage::Grey(test), DecodedImage::Grey(golden))
        } else {
            (test, golden)
        };
        let started = Instant::now();
        let prepared = match set {
            Some(set) => set?.prepare(&test),
            None => PreparedGolden::new(&golden).and_then(|golden| vision::prepare(&test, &golden)),
        };
        sum.compare += started.elapsed();
        prepared.map_err(|why| why.reason())
    }
}
