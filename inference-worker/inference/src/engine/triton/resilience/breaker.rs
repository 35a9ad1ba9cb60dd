//! A circuit breaker for one version of one model: after failures in a row nobody is let through for a
//! while, then one is, to see. It refuses and never waits; waiting is `EngineAvailability`'s.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use platform::backoff::Backoff;

use super::JITTER;

/// The first pause is this part of the longest.
const FIRST_PAUSE_PART: u32 = 16;

/// Whether requests are let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// They are.
    Closed,
    /// None is, until a pause is over.
    Open,
    /// One is under way to see whether the others may follow.
    HalfOpen,
}

/// Counts failures in a row. Shared by all requests to one model version.
#[derive(Debug)]
pub(in super::super) struct Breaker {
    failures: u32,
    pauses: Backoff,
    circuit: Mutex<Circuit>,
}

/// Nobody is let through at the moment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("left alone for {} ms more after failures in a row, the last: {last}", .pause.as_millis())]
pub(in super::super) struct Open {
    pause: Duration,
    last: String,
}

#[derive(Debug)]
enum Circuit {
    Closed {
        failures: u32,
    },
    /// After so many probes in vain.
    Open {
        until: Instant,
        probes: u32,
        last: String,
    },
    /// After so many probes in vain, another one.
    Probing {
        probes: u32,
        last: String,
    },
}

/// The right to ask once. Dropped without a verdict, it says nothing.
#[derive(Debug)]
pub(in super::super) struct Permit<'a> {
    breaker: &'a Breaker,
    /// When a probe was let through; `None` for what is not one.
    probe: Option<Instant>,
}

impl Breaker {
    /// Opens after so many `failures` in a row; pauses grow up to `longest`.
    pub(in super::super) fn new(failures: u32, longest: Duration) -> Self {
        let circuit = Mutex::new(Circuit::Closed { failures: 0 });
        let pauses = Backoff::new(longest / FIRST_PAUSE_PART, longest, JITTER);
        Self { failures: failures.max(1), pauses, circuit }
    }

    pub(in super::super) fn state(&self) -> BreakerState {
        match *self.circuit() {
            Circuit::Closed { .. } => BreakerState::Closed,
            Circuit::Open { .. } => BreakerState::Open,
            Circuit::Probing { .. } => BreakerState::HalfOpen,
        }
    }

    /// Lets the caller through, or says how long it would be in vain.
    pub(in super::super) fn admit(&self, now: Instant) -> Result<Permit<'_>, Open> {
        let mut circuit = self.circuit();
        let is_probe = match &*circuit {
            Circuit::Closed { .. } => false,
            Circuit::Open { until, last, .. } if *until > now => {
                return Err(Open { pause: *until - now, last: last.clone() });
            }
            Circuit::Open { .. } => true,
            Circuit::Probing { probes, last } => {
                let pause = self.pauses.delay(*probes);
                return Err(Open { pause, last: last.clone() });
            }
        };
        if let Circuit::Open { probes, last, .. } = &mut *circuit {
            let (probes, last) = (*probes, std::mem::take(last));
            *circuit = Circuit::Probing { probes, last };
        }
        Ok(Permit { breaker: self, probe: is_probe.then_some(now) })
    }

    fn opened_at(&self, now: Instant, probes: u32, last: &str) -> Circuit {
        Circuit::Open { until: now + self.pauses.delay(probes), probes, last: last.to_owned() }
    }

    fn circuit(&self) -> MutexGuard<'_, Circuit> {
        // Every assignment to it is whole.
        self.circuit.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit<'_> {
    /// The server answered.
    pub(in super::super) fn succeeded(mut self) {
        // A probe's answer closes it; so does a late answer to a request from before it opened.
        *self.breaker.circuit() = Circuit::Closed { failures: 0 };
        self.probe = None;
    }

    /// The server did not answer, or not as a working server does.
    pub(in super::super) fn failed(mut self, why: &str, now: Instant) {
        let breaker = self.breaker;
        let mut circuit = breaker.circuit();
        match &mut *circuit {
            Circuit::Closed { failures } => {
                *failures += 1;
                if *failures >= breaker.failures {
                    *circuit = breaker.opened_at(now, 0, why);
                }
            }
            Circuit::Probing { probes, .. } if self.probe.is_some() => {
                let probes = probes.saturating_add(1);
                *circuit = breaker.opened_at(now, probes, why);
            }
            // Late news of what is known already.
            Circuit::Open { .. } | Circuit::Probing { .. } => {}
        }
        self.probe = None;
    }
}

impl Drop for Permit<'_> {
    /// A probe that was abandoned leaves room for the next one.
    fn drop(&mut self) {
        let Some(until) = self.probe else { return };
        let mut circuit = self.breaker.circuit();
        if let Circuit::Probing { probes, last } = &mut *circuit {
            let (probes, last) = (*probes, std::mem::take(last));
            *circuit = Circuit::Open { until, probes, last };
        }
    }
}
