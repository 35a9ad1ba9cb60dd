//! Where inspections wait while the engine is away.
//!
//! Invariant: while the engine is away one inspection at a time tries it, after a growing pause; all
//! others wait, and with them the log. Nothing is recorded, nothing given up.

use std::time::Duration;

use rand::Rng as _;
use tokio::sync::{Semaphore, SemaphorePermit, watch};

use crate::metrics::Metrics;

/// The pause before the engine is tried for the first time after it went away.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
/// The longest pause between two tries.
const PAUSE_MAX: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Open,
    Closed { detail: String, tries: u32 },
}

pub(crate) struct Gate {
    state: watch::Sender<State>,
    /// The one who tries holds it.
    trying: Semaphore,
    metrics: Metrics,
}

/// Leave to ask the engine.
pub(crate) struct Pass<'a> {
    gate: &'a Gate,
    trying: Option<SemaphorePermit<'a>>,
}

impl Gate {
    pub(crate) fn new(metrics: Metrics) -> Self {
        metrics.engine_available(true);
        Self { state: watch::Sender::new(State::Open), trying: Semaphore::new(1), metrics }
    }

    /// Why the engine is away, when it is.
    pub(crate) fn closed(&self) -> Option<String> {
        match &*self.state.borrow() {
            State::Open => None,
            State::Closed { detail, .. } => Some(detail.clone()),
        }
    }

    /// Waits until the engine is there, or it is this caller's turn to try it.
    pub(crate) async fn admit(&self) -> Pass<'_> {
        let mut state = self.state.subscribe();
        loop {
            if *state.borrow_and_update() == State::Open {
                return Pass { gate: self, trying: None };
            }
            tokio::select! {
                // The sender lives as long as `self`; an error would be a change too.
                _ = state.changed() => {}
                trying = self.trying.acquire() => {
                    tokio::select! {
                        () = tokio::time::sleep(self.pause()) => {}
                        _ = state.wait_for(|state| *state == State::Open) => {}
                    }
                    return Pass { gate: self, trying: trying.ok() };
                }
            }
        }
    }

    fn pause(&self) -> Duration {
        let tries = match &*self.state.borrow() {
            State::Open => return Duration::ZERO,
            State::Closed { tries, .. } => *tries,
        };
        let bound = (PAUSE_FIRST * 2_u32.pow(tries.min(10))).min(PAUSE_MAX);
        rand::rng().random_range(bound / 2..=bound)
    }

    /// The engine answered, whatever it said.
    pub(crate) fn open(&self) {
        let opened = self.state.send_if_modified(|state| {
            let was_closed = *state != State::Open;
            *state = State::Open;
            was_closed
        });
        if opened {
            self.metrics.engine_available(true);
            tracing::info!("the inference engine is back");
        }
    }
}

impl Pass<'_> {
    /// The engine is away.
    pub(crate) fn close(self, detail: String) {
        let is_try = self.trying.is_some();
        let mut went_away = false;
        self.gate.state.send_if_modified(|state| match state {
            State::Open => {
                went_away = true;
                *state = State::Closed { detail: detail.clone(), tries: 0 };
                true
            }
            // Those who asked before it was known add nothing.
            State::Closed { tries, detail: known } if is_try => {
                *tries = tries.saturating_add(1);
                known.clone_from(&detail);
                true
            }
            State::Closed { .. } => false,
        });
        if went_away {
            self.gate.metrics.engine_available(false);
            tracing::warn!(detail, "the inference engine is away; inspections wait for it");
        } else if is_try {
            tracing::debug!(detail, "the inference engine is still away");
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    fn gate() -> Gate {
        Gate::new(Metrics::of_process())
    }

    #[tokio::test]
    async fn everybody_passes_while_the_engine_is_there() {
        let gate = gate();
        let first = gate.admit().await;
        let second = gate.admit().await;
        assert!(first.trying.is_none() && second.trying.is_none());
        assert_eq!(gate.closed(), None);
    }

    #[tokio::test]
    async fn one_at_a_time_tries_an_engine_that_is_away_and_the_first_answer_lets_all_in() {
        let gate = gate();
        gate.admit().await.close("refused".into());
        assert_eq!(gate.closed().as_deref(), Some("refused"));
        let probe = gate.admit().await;
        assert!(probe.trying.is_some());
        let mut others = Box::pin(futures::future::join(gate.admit(), gate.admit()));
        assert!((&mut others).now_or_never().is_none(), "they wait");
        gate.open();
        drop(probe);
        others.await;
        assert_eq!(gate.closed(), None);
    }

    #[tokio::test]
    async fn only_tries_make_the_pause_longer() {
        let gate = gate();
        let (first, second) = (gate.admit().await, gate.admit().await);
        first.close("refused".into());
        second.close("refused too".into());
        assert!(gate.pause() <= PAUSE_FIRST);
        gate.admit().await.close("still refused".into());
        assert!(gate.pause() >= PAUSE_FIRST, "{:?}", gate.pause());
        assert_eq!(gate.closed().as_deref(), Some("still refused"));
    }

    #[tokio::test]
    async fn a_try_that_came_to_nothing_leaves_the_next_one_its_turn() {
        let gate = gate();
        gate.admit().await.close("refused".into());
        drop(gate.admit().await);
        assert!(gate.admit().await.trying.is_some());
    }
}
