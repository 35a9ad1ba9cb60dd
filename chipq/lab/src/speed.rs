//! How fast pairs are inspected, and where the time goes: the whole pipeline on one thread, from a
//! file's bytes to findings, on generated boards or on a labelled data set; and a large panel.
//!
//! A limit is measured in the same run, so that a ratio to it means the same on any machine. Absent:
//! what the figures are held against and how they are printed, which is `chipq bench pairs`.

use std::fs;
use std::hint::black_box;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use boards::{BoardOptions, Manifest, generate_board};
use image::{GrayImage, ImageFormat};
use inference::engine::{EmbeddedEngine, EngineError};
use vision::{PreparedGolden, Stage, StageWatch};

pub mod panel;

/// Seed of the generated boards.
const SEED: u64 = 62;
/// Pairs that warm caches and the network up, and are not counted.
const WARM_UP: usize = 3;
/// Copies of a pair's grey levels that are timed.
const COPIES: usize = 99;

/// Which pairs are inspected.
#[derive(Debug, Clone)]
pub struct SpeedOptions {
    /// At most so many pairs.
    pub pairs: usize,
    /// A DeepPCB-style manifest and one of its splits; generated boards without it.
    pub manifest: Option<(PathBuf, String)>,
}

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
pub enum SpeedError {
    /// A file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The manifest is not in the DeepPCB layout.
    #[error("the manifest is not one of picture pairs")]
    Manifest(#[from] serde_json::Error),
    /// A picture did not encode or decode.
    #[error("a picture of the benchmark is not usable: {0}")]
    Picture(String),
    /// The network failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Nothing could be compared.
    #[error("no pair could be compared; choose other pairs")]
    Nothing,
}

/// What was measured. Times are of one pair each, in the order of the pairs.
#[derive(Debug, Clone)]
pub struct Speed {
    /// Time per stage, in the order of [`Stage::ALL`].
    pub stages: [Vec<Duration>; Stage::ALL.len()],
    /// From both files' bytes to findings.
    pub whole: Vec<Duration>,
    /// The golden sample's part of that: decoded and made ready, which a worker does once for many
    /// pictures.
    pub golden: Vec<Duration>,
    /// Pairs that could not be compared.
    pub not_comparable: usize,
    /// Crops of all pairs.
    pub crops: usize,
    /// Copying the grey levels of one pair, the least that looking at them can take.
    pub copy: Duration,
    /// Resident memory before the first pair and its peak while pairs were inspected, kilobytes; none
    /// where the system does not say.
    pub memory: Option<(u64, u64)>,
}

/// Adds up the time of each stage.
struct Clock {
    last: Instant,
    spent: [Duration; Stage::ALL.len()],
}

impl Clock {
    fn start() -> Self {
        Self { last: Instant::now(), spent: Default::default() }
    }
}

impl StageWatch for Clock {
    fn stage_ended(&mut self, stage: Stage) {
        let now = Instant::now();
        self.spent[stage as usize] += now - self.last;
        self.last = now;
    }
}

/// Inspects pairs one after the other on the calling thread and one thread of the network.
///
/// # Errors
/// [`SpeedError`]
pub fn measure(options: &SpeedOptions) -> Result<Speed, SpeedError> {
    let pairs = match &options.manifest {
        Some((manifest, split)) => read_manifest_pairs(manifest, split, options.pairs)?,
        None => generate_pairs(options.pairs)?,
    };
    let engine = EmbeddedEngine::load_on(1)?;
    for (test, golden) in pairs.iter().take(WARM_UP) {
        inspect_pair(test, golden, &engine)?;
    }
    let before = reset_resident();
    let mut speed = Speed {
        stages: Default::default(),
        whole: Vec::new(),
        golden: Vec::new(),
        not_comparable: 0,
        crops: 0,
        copy: measure_copy(&pairs)?,
        memory: None,
    };
    for (test, golden) in &pairs {
        let started = Instant::now();
        match inspect_pair(test, golden, &engine)? {
            Some(InspectedPair { spent, golden, crops }) => {
                speed.whole.push(started.elapsed());
                speed.golden.push(golden);
                for (all, one) in speed.stages.iter_mut().zip(spent) {
                    all.push(one);
                }
                speed.crops += crops;
            }
            None => speed.not_comparable += 1,
        }
    }
    speed.memory = before.zip(peak_memory());
    if speed.whole.is_empty() { Err(SpeedError::Nothing) } else { Ok(speed) }
}

/// Both files' bytes: the picture under test and its golden sample.
type EncodedPair = (Vec<u8>, Vec<u8>);

/// Time per stage, the golden sample's part of it, and the number of crops.
struct InspectedPair {
    spent: [Duration; Stage::ALL.len()],
    golden: Duration,
    crops: usize,
}

/// None when the pair is not comparable.
fn inspect_pair(
    test: &[u8],
    golden: &[u8],
    engine: &EmbeddedEngine,
) -> Result<Option<InspectedPair>, SpeedError> {
    let unusable = |error: vision::DecodeError| SpeedError::Picture(error.to_string());
    let mut clock = Clock::start();
    let golden = vision::decode(golden).map_err(unusable)?;
    clock.stage_ended(Stage::Decode);
    let Ok(golden) = PreparedGolden::new(&golden) else { return Ok(None) };
    clock.stage_ended(Stage::Read);
    let golden_ready = clock.spent.iter().sum();
    let test = vision::decode(test).map_err(unusable)?;
    clock.stage_ended(Stage::Decode);
    let Ok(prepared) = vision::prepare_watched(&test, &golden, &mut clock) else {
        return Ok(None);
    };
    let outputs = engine.run(&prepared.crops)?;
    clock.stage_ended(Stage::Network);
    let findings = prepared.merge_answers(&outputs);
    black_box(findings.map_err(|error| SpeedError::Picture(error.to_string()))?);
    clock.stage_ended(Stage::Merge);
    Ok(Some(InspectedPair { spent: clock.spent, golden: golden_ready, crops: outputs.len() }))
}

fn generate_pairs(count: usize) -> Result<Vec<EncodedPair>, SpeedError> {
    let encoded = |picture: &GrayImage| {
        let mut bytes = Vec::new();
        let written = picture.write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png);
        written.map(|()| bytes).map_err(|error| SpeedError::Picture(error.to_string()))
    };
    (0..count as u64)
        .map(|index| generate_board(SEED, index, &BoardOptions::default()))
        .map(|board| Ok((encoded(&board.test)?, encoded(&board.golden)?)))
        .collect()
}

fn read_manifest_pairs(
    manifest: &Path,
    split: &str,
    count: usize,
) -> Result<Vec<EncodedPair>, SpeedError> {
    let read = |path: PathBuf| {
        fs::read(&path).map_err(|source| SpeedError::Read { path: path.clone(), source })
    };
    let parsed = Manifest::from_json(&read(manifest.to_owned())?)?;
    let folder = manifest.parent().unwrap_or(Path::new("."));
    let items = parsed.items.iter().filter(|item| item.split == split).take(count);
    items
        .map(|item| {
            Ok((read(folder.join(&item.test.file))?, read(folder.join(&item.template.file))?))
        })
        .collect()
}

/// The median time of copying both pictures of a pair.
fn measure_copy(pairs: &[EncodedPair]) -> Result<Duration, SpeedError> {
    let (test, golden) = pairs.first().ok_or(SpeedError::Nothing)?;
    let decoded = [test, golden].map(|bytes| vision::decode(bytes));
    let mut levels = Vec::new();
    for picture in decoded {
        let picture = picture.map_err(|error| SpeedError::Picture(error.to_string()))?;
        levels.extend(picture.into_grey().into_raw());
    }
    let mut into = vec![0; levels.len()];
    let copy = |_| {
        let started = Instant::now();
        into.copy_from_slice(black_box(&levels));
        black_box(&into);
        started.elapsed()
    };
    let mut copies: Vec<Duration> = (0..COPIES).map(copy).collect();
    copies.sort_unstable();
    Ok(copies[COPIES / 2])
}

/// A line of /proc/self/status, kilobytes.
fn proc_status(name: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Resident memory now; the peak starts again from here where the system allows it.
fn reset_resident() -> Option<u64> {
    // 5 resets the peak (proc(5), clear_refs); without it the peak is only higher.
    let _ = fs::write("/proc/self/clear_refs", "5");
    proc_status("VmRSS")
}

fn peak_memory() -> Option<u64> {
    proc_status("VmHWM")
}
