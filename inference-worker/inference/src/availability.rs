//! Whether the engine is available: decided here and nowhere else, and waited for here.
//!
//! Invariant: while the engine is away one caller at a time tries it, after a growing pause; all others
//! wait. One probe is enough to learn that it is back. If everybody who waits tried, an engine that is
//! starting would be met by all of them at once, each with a picture fetched and decoded for nothing.
//!
//! What is known comes from two sides. Whoever asked says what came of it: an engine that could not be
//! asked is away until somebody gets an answer. And the place of the networks says whether it can be
//! asked ([`Models::ready`]): a Triton server that does not answer cannot, nor one of whose models a
//! *circuit breaker* is open. A breaker is another thing than this: it belongs to one version of one
//! model and never waits; it refuses requests to a server that keeps failing, at once, so that they do
//! not each run into a deadline. Its refusals reach this place as an engine that could not be asked.

use std::convert::Infallible;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use platform::backoff::Backoff;
use tokio::sync::{Semaphore, SemaphorePermit, watch};

use crate::engine::Models;
use crate::metrics::InferenceMetrics;

/// The pause before the engine is tried for the first time after it went away.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
/// The pauses before an engine that is away is probed.
const PROBE: Backoff = Backoff::new(PAUSE_FIRST, Duration::from_secs(10), 0.5);

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Available,
    Away { reason: String, failed_probes: u32 },
}

/// What is known of the engine from those who asked it last.
pub struct EngineAvailability {
    state: watch::Sender<State>,
    /// Whoever probes an engine that is away holds it.
    probe: Semaphore,
    models: OnceLock<Arc<dyn Models>>,
    metrics: InferenceMetrics,
}

/// Leave to ask the engine once. Dropped without a report, it says nothing of the engine, and the
/// next caller has its turn to probe.
pub struct EngineTurn<'a> {
    engine: &'a EngineAvailability,
    probe: Option<SemaphorePermit<'a>>,
}

impl EngineAvailability {
    /// Of an engine of which nothing bad is known.
    #[must_use]
    pub fn new(metrics: InferenceMetrics) -> Self {
        metrics.engine_available(true);
        let (state, probe) = (watch::Sender::new(State::Available), Semaphore::new(1));
        Self { state, probe, models: OnceLock::new(), metrics }
    }

    /// Where the networks are, once that is known.
    pub fn set_models(&self, models: Arc<dyn Models>) {
        // The first place stands: there is one.
        let _ = self.models.set(models);
    }

    /// Whether the engine can be used now, for readiness. A network that is not there keeps callers
    /// waiting although its place answers.
    ///
    /// # Errors
    /// Why it cannot; `None` when it is not even known where the networks are.
    pub async fn check(&self) -> Result<(), Option<String>> {
        let models = self.models.get().ok_or(None)?;
        models.ready().await.map_err(|error| Some(error.to_string()))?;
        self.reason_away().map_or(Ok(()), |reason| Err(Some(reason)))
    }

    /// Whether nothing bad is known of the engine.
    #[must_use]
    pub fn is_available(&self) -> bool {
        *self.state.borrow() == State::Available
    }

    /// Asks by `probe`, whenever it is its turn, while the engine is away: also when no caller waits for
    /// it any more, somebody finds out that it is back. `probe` says why the engine could not be asked,
    /// or nothing when it does not know.
    pub async fn keep_probing<P>(&self, probe: impl Fn() -> P) -> Infallible
    where
        P: Future<Output = Result<(), Option<String>>>,
    {
        let mut state = self.state.subscribe();
        loop {
            // The sender lives as long as `self`.
            let _ = state.wait_for(|state| *state != State::Available).await;
            let turn = self.wait_for_turn().await;
            if turn.probe.is_none() {
                continue;
            }
            match probe().await {
                Ok(()) => self.report_answer(),
                Err(Some(reason)) => turn.report_away(reason),
                Err(None) => {}
            }
        }
    }

    /// Why the engine is away, when it is.
    fn reason_away(&self) -> Option<String> {
        match &*self.state.borrow() {
            State::Available => None,
            State::Away { reason, .. } => Some(reason.clone()),
        }
    }

    /// Waits until the engine is available, or it is this caller's turn to probe it. Cancel-safe.
    pub async fn wait_for_turn(&self) -> EngineTurn<'_> {
        let mut state = self.state.subscribe();
        loop {
            if *state.borrow_and_update() == State::Available {
                return EngineTurn { engine: self, probe: None };
            }
            tokio::select! {
                // The sender lives as long as `self`; an error would be a change too.
                _ = state.changed() => {}
                probe = self.probe.acquire() => {
                    tokio::select! {
                        () = tokio::time::sleep(self.probe_pause()) => {}
                        _ = state.wait_for(|state| *state == State::Available) => {}
                    }
                    return EngineTurn { engine: self, probe: probe.ok() };
                }
            }
        }
    }

    fn probe_pause(&self) -> Duration {
        match &*self.state.borrow() {
            State::Available => Duration::ZERO,
            State::Away { failed_probes, .. } => PROBE.delay(*failed_probes),
        }
    }

    /// The engine answered, whatever it said: everybody may ask.
    pub fn report_answer(&self) {
        let is_back = self.state.send_if_modified(|state| {
            let was_away = *state != State::Available;
            *state = State::Available;
            was_away
        });
        if is_back {
            self.metrics.engine_available(true);
            tracing::info!("the inference engine is back");
        }
    }
}

impl EngineTurn<'_> {
    /// The engine could not be asked.
    pub fn report_away(self, reason: String) {
        let is_probe = self.probe.is_some();
        let mut went_away = false;
        self.engine.state.send_if_modified(|state| match state {
            State::Available => {
                went_away = true;
                *state = State::Away { reason: reason.clone(), failed_probes: 0 };
                true
            }
            State::Away { failed_probes, reason: known } if is_probe => {
                *failed_probes = failed_probes.saturating_add(1);
                known.clone_from(&reason);
                true
            }
            // Those who asked before it was known add nothing, above all no longer pause.
            State::Away { .. } => false,
        });
        if went_away {
            self.engine.metrics.engine_available(false);
            tracing::warn!(reason, "the inference engine is away; inspections wait for it");
        } else if is_probe {
            tracing::debug!(reason, "the inference engine is still away");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::sync::atomic::Ordering::Relaxed;

    use futures::FutureExt as _;

    use super::*;

    fn engine() -> EngineAvailability {
        EngineAvailability::new(InferenceMetrics::for_process())
    }

    #[tokio::test]
    async fn everybody_passes_while_the_engine_is_there() {
        let engine = engine();
        let first = engine.wait_for_turn().await;
        let second = engine.wait_for_turn().await;
        assert!(first.probe.is_none() && second.probe.is_none());
        assert_eq!(engine.reason_away(), None);
    }

    #[tokio::test]
    async fn one_at_a_time_tries_an_engine_that_is_away_and_the_first_answer_lets_all_in() {
        let engine = engine();
        engine.wait_for_turn().await.report_away("refused".into());
        assert_eq!(engine.reason_away().as_deref(), Some("refused"));
        let probe = engine.wait_for_turn().await;
        assert!(probe.probe.is_some());
        let mut others =
            Box::pin(futures::future::join(engine.wait_for_turn(), engine.wait_for_turn()));
        assert!((&mut others).now_or_never().is_none(), "they wait");
        engine.report_answer();
        drop(probe);
        others.await;
        assert_eq!(engine.reason_away(), None);
    }

    #[tokio::test]
    async fn only_probes_make_the_pause_longer() {
        let engine = engine();
        let (first, second) = (engine.wait_for_turn().await, engine.wait_for_turn().await);
        first.report_away("refused".into());
        second.report_away("refused too".into());
        assert!(engine.probe_pause() <= PAUSE_FIRST);
        engine.wait_for_turn().await.report_away("still refused".into());
        assert!(engine.probe_pause() >= PAUSE_FIRST, "{:?}", engine.probe_pause());
        assert_eq!(engine.reason_away().as_deref(), Some("still refused"));
    }

    #[tokio::test]
    async fn a_probe_that_came_to_nothing_leaves_the_next_one_its_turn() {
        let engine = engine();
        engine.wait_for_turn().await.report_away("refused".into());
        drop(engine.wait_for_turn().await);
        assert!(engine.wait_for_turn().await.probe.is_some());
    }

    #[tokio::test]
    async fn an_engine_that_nobody_waits_for_is_asked_until_it_is_back() {
        let engine = engine();
        let left = AtomicUsize::new(2);
        let probe = || async {
            let failed = left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok();
            if failed { Err(Some("refused again".to_owned())) } else { Ok(()) }
        };
        engine.wait_for_turn().await.report_away("refused".into());
        let is_back = async {
            while !engine.is_available() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::select! {
            never = engine.keep_probing(probe) => match never {},
            () = is_back => {}
        }
        assert_eq!((left.load(Relaxed), engine.reason_away()), (0, None));
    }
}
