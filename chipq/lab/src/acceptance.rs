//! Acceptance: what a new model makes of a fixed set of boards, beside the one in use.
//!
//! Both engines see the same crops of the same boards, through the batcher that the worker uses.
//! Everything that follows from the answers is a pure function of them; no judgement of any
//! inspection is made or changed here. [`Acceptance::worse_ways`] is the rule for "worse".

use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::inspection::ModelIdentity;
use domain::model_route::Comparison;
use domain::{Judgement, Recipe, View, judge};
use inference::batcher::{Batcher, BatchingConfig};
use inference::engine::Engine;
use serde::Serialize;
use vision::{Findings, PreparedPicture};

mod set;
mod tally;
#[cfg(test)]
mod tests;
mod worse;

pub use set::{FixedSet, GeneratedBoards, SetError};
pub use tally::{FindingMatches, LabelTally};
pub use worse::WorseWay;

use set::PreparedCase;

/// Why two models could not be compared.
#[derive(Debug, thiserror::Error)]
pub enum AcceptanceError {
    /// A board of the set cannot be had.
    #[error(transparent)]
    Set(#[from] SetError),
    /// A model gave no usable answers for a board.
    #[error("{} version {} failed on board {board}: {detail}", model.name, model.version)]
    Engine {
        /// Which model.
        model: ModelIdentity,
        /// The board's id in the set.
        board: String,
        /// What the engine said.
        detail: String,
    },
    /// Preparing a board was broken off.
    #[error("preparing a board was broken off: {0}")]
    Stopped(#[from] tokio::task::JoinError),
}

/// A board that the two models judge differently.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChangedJudgement {
    /// Its id in the set.
    pub board: String,
    /// How many defects are labelled on it.
    pub labels: usize,
    /// By the model in use.
    pub old: Judgement,
    /// By the new model.
    pub new: Judgement,
}

/// What one model made of the set.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelResult {
    /// The model.
    pub model: ModelIdentity,
    /// Labelled defects found, rightly named, and calls where nothing is labelled.
    #[serde(flatten)]
    pub found: LabelTally,
    /// Milliseconds per crop: engine and batcher, crops of one board at a time.
    pub ms_per_crop: f64,
}

/// What a new model makes of a fixed set of boards, beside the one in use.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Acceptance {
    /// The set, in words.
    pub set: String,
    /// Boards in the set.
    pub boards: usize,
    /// Of these, boards that could not be compared with their golden sample, by either model.
    pub not_comparable: usize,
    /// Crops that each model answered.
    pub crops: usize,
    /// Labelled defects on all boards.
    pub labels: usize,
    /// Of these, those on boards that could be compared.
    pub labels_compared: usize,
    /// Boards that the two judge differently, in the set's order.
    pub changed: Vec<ChangedJudgement>,
    /// How the findings of the two agree.
    #[serde(flatten)]
    pub matches: FindingMatches,
    /// The model in use.
    pub old: ModelResult,
    /// The new model.
    pub new: ModelResult,
}

impl From<&Acceptance> for Comparison {
    fn from(acceptance: &Acceptance) -> Self {
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let Acceptance { matches, old, new, .. } = acceptance;
        Self {
            set: acceptance.set.clone(),
            worse: acceptance.worse_ways().iter().map(|worse| worse.name().to_owned()).collect(),
            boards_compared: count(acceptance.boards - acceptance.not_comparable),
            boards_judged_differently: count(acceptance.changed.len()),
            findings_matched: count(matches.matched + matches.renamed),
            findings_only_old: count(matches.only_old),
            findings_only_new: count(matches.only_new),
            labelled_defects: count(acceptance.labels),
            labelled_found_by_old: count(old.found.found),
            labelled_found_by_new: count(new.found.found),
            false_calls_by_old: count(old.found.false_calls),
            false_calls_by_new: count(new.found.false_calls),
        }
    }
}

/// Compares `new` with `old` on every board of `set`, under the factory recipe; `progress` is told
/// how many boards are done.
///
/// # Errors
/// When a board cannot be read, or an engine gives no usable answers: then nothing is known about
/// the new model, and it must not be routed to.
pub async fn compare_engines(
    old: Arc<dyn Engine>,
    new: Arc<dyn Engine>,
    set: &Arc<FixedSet>,
    mut progress: impl FnMut(usize),
) -> Result<Acceptance, AcceptanceError> {
    let mut old = TimedEngine::start(old);
    let mut new = TimedEngine::start(new);
    let mut tally = Acceptance {
        set: set.name().to_owned(),
        boards: set.len(),
        not_comparable: 0,
        crops: 0,
        labels: 0,
        labels_compared: 0,
        changed: Vec::new(),
        matches: FindingMatches::default(),
        old: old.start_result(),
        new: new.start_result(),
    };
    for index in 0..set.len() {
        let boards = Arc::clone(set);
        let case = tokio::task::spawn_blocking(move || boards.prepare_case(index)).await??;
        tally.labels += case.labels.len();
        match &case.prepared {
            Err(_) => tally.not_comparable += 1,
            // Whoever goes first may find the caches cold: they take turns.
            Ok(prepared) if index % 2 == 0 => {
                let old_found = old.compare_case(&case, prepared).await?;
                let new_found = new.compare_case(&case, prepared).await?;
                tally.add(&case, prepared, [&old_found, &new_found]);
            }
            Ok(prepared) => {
                let new_found = new.compare_case(&case, prepared).await?;
                let old_found = old.compare_case(&case, prepared).await?;
                tally.add(&case, prepared, [&old_found, &new_found]);
            }
        }
        progress(index + 1);
    }
    tally.old.ms_per_crop = old.ms_per_crop(tally.crops);
    tally.new.ms_per_crop = new.ms_per_crop(tally.crops);
    Ok(tally)
}

impl Acceptance {
    fn add(
        &mut self,
        case: &PreparedCase,
        prepared: &PreparedPicture,
        [old_found, new_found]: [&Findings; 2],
    ) {
        let recipe = Recipe::factory(1);
        let coverage = Some(&prepared.coverage);
        let judged = |Findings { defects, differences }: &Findings| {
            let view = View::Compared { findings: defects, differences, coverage };
            judge([(None, view)], &recipe).0
        };
        let (old_says, new_says) = (judged(old_found), judged(new_found));
        let (old, new) = (&old_found.defects, &new_found.defects);
        if old_says != new_says {
            let (board, labels) = (case.id.clone(), case.labels.len());
            self.changed.push(ChangedJudgement { board, labels, old: old_says, new: new_says });
        }
        self.crops += prepared.crops.len();
        self.labels_compared += case.labels.len();
        self.matches.add(old, new, &recipe);
        self.old.found.add(old, &case.labels, &recipe);
        self.new.found.add(new, &case.labels, &recipe);
        self.old.found.add_doubts(old_found, &case.labels, &recipe);
        self.new.found.add_doubts(new_found, &case.labels, &recipe);
    }
}

/// An engine behind a batcher, and the time that it took.
struct TimedEngine {
    batcher: Batcher,
    took: Duration,
}

impl TimedEngine {
    fn start(engine: Arc<dyn Engine>) -> Self {
        let size = engine.batch_sizes().largest_size();
        let config = BatchingConfig { size, delay: Duration::ZERO, ..BatchingConfig::default() };
        Self { batcher: Batcher::start(engine, config), took: Duration::ZERO }
    }

    fn start_result(&self) -> ModelResult {
        let model = self.batcher.model().clone();
        ModelResult { model, found: LabelTally::default(), ms_per_crop: 0.0 }
    }

    async fn compare_case(
        &mut self,
        case: &PreparedCase,
        prepared: &PreparedPicture,
    ) -> Result<Findings, AcceptanceError> {
        let started = Instant::now();
        let answers = self.batcher.infer(&prepared.crops).await;
        self.took += started.elapsed();
        let failed = |detail: String| AcceptanceError::Engine {
            model: self.batcher.model().clone(),
            board: case.id.clone(),
            detail,
        };
        let outputs = answers.map_err(|error| failed(error.to_string()))?.outputs;
        prepared.merge_answers(&outputs).map_err(|error| failed(error.to_string()))
    }

    fn ms_per_crop(&self, crops: usize) -> f64 {
        self.took.as_secs_f64() * 1e3 / crops.max(1) as f64
    }
}
