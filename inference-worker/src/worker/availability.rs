//! Whether the engine can be asked, and where inspections wait while it cannot.
//!
//! Invariant: while the engine is away one inspection at a time tries it, after a growing pause; all
//! others wait, and with them the log. Nothing is recorded, nothing given up.
//!
//! One probe is enough to learn that the engine is back. If every waiting inspection tried, an engine
//! that is starting would be met by all of them at once, each with a picture fetched and decoded for
//! nothing.

use std::time::Duration;

use platform::backoff::Backoff;
use tokio::sync::{Semaphore, SemaphorePermit, watch};

use crate::metrics::Metrics;

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
pub(crate) struct EngineAvailability {
    state: watch::Sender<State>,
    /// Whoever probes an engine that is away holds it.
    probe: Semaphore,
    metrics: Metrics,
}

/// Leave to ask the engine once. Dropped without a report, it says nothing of the engine, and the
/// next inspection has its turn to probe.
pub(crate) struct EngineTurn<'a> {
    engine: &'a EngineAvailability,
    probe: Option<SemaphorePermit<'a>>,
}

impl EngineAvailability {
    pub(crate) fn new(metrics: Metrics) -> Self {
        metrics.engine_available(true);
        Self { state: watch::Sender::new(State::Available), probe: Semaphore::new(1), metrics }
    }

    /// Why the engine is away, when it is.
    pub(crate) fn reason_away(&self) -> Option<String> {
        match &*self.state.borrow() {
            State::Available => None,
            State::Away { reason, .. } => Some(reason.clone()),
        }
    }

    /// Waits until the engine is available, or it is this caller's turn to probe it. Cancel-safe.
    pub(crate) async fn wait_for_turn(&self) -> EngineTurn<'_> {
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
    pub(crate) fn report_answer(&self) {
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
    pub(crate) fn report_away(self, reason: String) {
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
    use futures::FutureExt as _;

    use super::*;

    fn engine() -> EngineAvailability {
        EngineAvailability::new(Metrics::of_process())
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
}
