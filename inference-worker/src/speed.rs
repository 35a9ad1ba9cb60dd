//! How fast pairs are inspected, and where the time goes: the whole pipeline on one thread, from a
//! file's bytes to findings, on generated boards or on a labelled data set.
//!
//! Besides milliseconds it reports ratios to limits measured in the same run, which mean the same on
//! any machine.

use std::fmt;
use std::fs;
use std::hint::black_box;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use image::{GrayImage, ImageFormat};

use crate::boards::{BoardOptions, Manifest, generate};
use crate::engine::{EmbeddedEngine, EngineError};
use crate::vision::{self, Golden, Stage, Watch};

pub mod panel;

/// Seed of the generated boards.
const SEED: u64 = 62;
/// Pairs that warm caches and the network up, and are not counted.
const WARM_UP: usize = 3;

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

impl Watch for Clock {
    fn ended(&mut self, stage: Stage) {
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
        Some((manifest, split)) => from_manifest(manifest, split, options.pairs)?,
        None => generated(options.pairs)?,
    };
    let engine = EmbeddedEngine::load_on(1)?;
    for (test, golden) in pairs.iter().take(WARM_UP) {
        inspect(test, golden, &engine)?;
    }
    let before = resident();
    let mut speed = Speed {
        stages: Default::default(),
        whole: Vec::new(),
        not_comparable: 0,
        crops: 0,
        copy: copying(&pairs)?,
        memory: None,
    };
    for (test, golden) in &pairs {
        let started = Instant::now();
        match inspect(test, golden, &engine)? {
            Some((spent, crops)) => {
                speed.whole.push(started.elapsed());
                for (all, one) in speed.stages.iter_mut().zip(spent) {
                    all.push(one);
                }
                speed.crops += crops;
            }
            None => speed.not_comparable += 1,
        }
    }
    speed.memory = before.zip(peak());
    if speed.whole.is_empty() { Err(SpeedError::Nothing) } else { Ok(speed) }
}

/// Both files' bytes: the picture under test and its golden sample.
type Encoded = (Vec<u8>, Vec<u8>);
type Spent = [Duration; Stage::ALL.len()];

/// The time per stage and the number of crops; none when the pair is not comparable.
fn inspect(
    test: &[u8],
    golden: &[u8],
    engine: &EmbeddedEngine,
) -> Result<Option<(Spent, usize)>, SpeedError> {
    let unusable = |error: vision::DecodeError| SpeedError::Picture(error.to_string());
    let mut clock = Clock::start();
    let golden = vision::decode(golden).map_err(unusable)?;
    let test = vision::decode(test).map_err(unusable)?;
    clock.ended(Stage::Decode);
    let Ok(golden) = Golden::new(&golden) else { return Ok(None) };
    clock.ended(Stage::Read);
    let Ok(prepared) = vision::prepare_watched(&test, &golden, &mut clock) else {
        return Ok(None);
    };
    let outputs = engine.run(&prepared.crops)?;
    clock.ended(Stage::Network);
    let findings = prepared.finish(&outputs);
    black_box(findings.map_err(|error| SpeedError::Picture(error.to_string()))?);
    clock.ended(Stage::Merge);
    Ok(Some((clock.spent, outputs.len())))
}

fn generated(count: usize) -> Result<Vec<Encoded>, SpeedError> {
    let encoded = |picture: &GrayImage| {
        let mut bytes = Vec::new();
        let written = picture.write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png);
        written.map(|()| bytes).map_err(|error| SpeedError::Picture(error.to_string()))
    };
    (0..count as u64)
        .map(|index| generate(SEED, index, &BoardOptions::default()))
        .map(|board| Ok((encoded(&board.test)?, encoded(&board.golden)?)))
        .collect()
}

fn from_manifest(manifest: &Path, split: &str, count: usize) -> Result<Vec<Encoded>, SpeedError> {
    let read = |path: PathBuf| {
        fs::read(&path).map_err(|source| SpeedError::Read { path: path.clone(), source })
    };
    let parsed: Manifest = serde_json::from_slice(&read(manifest.to_owned())?)?;
    let folder = manifest.parent().unwrap_or(Path::new("."));
    let items = parsed.items.iter().filter(|item| item.split == split).take(count);
    items
        .map(|item| {
            Ok((read(folder.join(&item.test.file))?, read(folder.join(&item.template.file))?))
        })
        .collect()
}

/// The median time of copying both pictures of a pair.
fn copying(pairs: &[Encoded]) -> Result<Duration, SpeedError> {
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
    Ok(share(&(0..99).map(copy).collect::<Vec<_>>(), 0.5))
}

/// The time that this share of the pairs stay below; zero of none.
#[must_use]
pub fn share(times: &[Duration], share: f64) -> Duration {
    let mut times = times.to_vec();
    times.sort_unstable();
    let index = (share * times.len() as f64) as usize;
    times.get(index.min(times.len().saturating_sub(1))).copied().unwrap_or_default()
}

/// A line of /proc/self/status, kilobytes.
fn status(name: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Resident memory now; the peak starts again from here where the system allows it.
fn resident() -> Option<u64> {
    // 5 resets the peak (proc(5), clear_refs); without it the peak is only higher.
    let _ = fs::write("/proc/self/clear_refs", "5");
    status("VmRSS")
}

fn peak() -> Option<u64> {
    status("VmHWM")
}

impl fmt::Display for Speed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        let pairs = self.whole.len();
        let total: Duration = self.whole.iter().sum();
        writeln!(f, "{pairs} pairs on one thread, {} not comparable", self.not_comparable)?;
        writeln!(f, "{:<12} {:>9} {:>9}", "ms per pair", "median", "p95")?;
        let stages = Stage::ALL.iter().map(|stage| stage.name()).zip(&self.stages);
        for (name, times) in stages.chain([("whole", &self.whole)]) {
            writeln!(
                f,
                "{name:<12} {:>9.3} {:>9.3}",
                ms(share(times, 0.5)),
                ms(share(times, 0.95))
            )?;
        }
        writeln!(f, "{:.1} pairs/s", pairs as f64 / total.as_secs_f64())?;
        writeln!(f, "{:.2} candidates per pair", self.crops as f64 / pairs as f64)?;
        let network: Duration = self.stages[Stage::Network as usize].iter().sum();
        let around = (total - network).as_secs_f64();
        writeln!(
            f,
            "{:.2} of the time is the network",
            network.as_secs_f64() / total.as_secs_f64()
        )?;
        let copies = around / pairs as f64 / self.copy.as_secs_f64();
        writeln!(f, "the rest takes as long as {copies:.0} copies of the pair's grey levels")?;
        if let Some((before, peak)) = self.memory {
            let more = peak.saturating_sub(before) as f64 / 1024.0;
            writeln!(f, "{more:.1} MiB more than at rest at the peak")?;
        }
        Ok(())
    }
}
