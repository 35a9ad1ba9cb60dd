//! What stands in the way of signing and of the witness: for readiness, logs and gauges.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use opentelemetry::global;
use platform::health::Check;

/// What may be in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Concern {
    /// Tree heads are not signed.
    Signing,
    /// The witness does not get them.
    Witness,
}

impl Concern {
    const fn check_name(self) -> &'static str {
        match self {
            Self::Signing => "log-proof:tree-heads",
            Self::Witness => "log-proof:witness",
        }
    }
}

/// All of it, of this process.
#[derive(Debug, Default)]
pub(crate) struct ProofTroubles {
    found: Mutex<BTreeMap<Concern, (DateTime<Utc>, String)>>,
    signed_events: AtomicU64,
}

impl ProofTroubles {
    /// What is in the way now, or nothing. Said in the log when it is another reason than before.
    pub(crate) fn note_outcome(&self, concern: Concern, outcome: Result<(), String>) {
        let mut found = self.lock_found();
        let before = found.get(&concern).cloned();
        let name = concern.check_name();
        match (outcome, before) {
            (Ok(()), None) => {}
            (Ok(()), Some(_)) => {
                found.remove(&concern);
                tracing::info!(concern = name, "it goes on");
            }
            (Err(said), before) => {
                if before.as_ref().is_none_or(|(_, known)| *known != said) {
                    tracing::error!(concern = name, "{said}");
                }
                let since = before.map_or_else(Utc::now, |(since, _)| since);
                found.insert(concern, (since, said));
            }
        }
    }

    /// A tree head of so many events was signed.
    pub(crate) fn note_signed(&self, size: u64) {
        self.signed_events.store(size, Ordering::Relaxed);
    }

    /// The session is over, and so is what it knew.
    pub(crate) fn clear_all(&self) {
        self.lock_found().clear();
    }

    pub(crate) fn checks(&self) -> Vec<Check> {
        let check = |(concern, (since, said)): (&Concern, &(DateTime<Utc>, String))| {
            let said = format!("since {}: {said}", since.format("%FT%TZ"));
            Check::degrading(concern.check_name(), Err(said))
        };
        self.lock_found().iter().map(check).collect()
    }

    fn lock_found(&self) -> MutexGuard<'_, BTreeMap<Concern, (DateTime<Utc>, String)>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Shows what was signed, and what is in the way, for as long as `troubles` lives.
pub(crate) fn observe_troubles(troubles: &Arc<ProofTroubles>) {
    let (signed, counted) = (Arc::downgrade(troubles), Arc::downgrade(troubles));
    let meter = global::meter("chipq.proof");
    meter
        .u64_observable_gauge("chipq.proof.signed_events")
        .with_unit("{event}")
        .with_description(
            "Events of the log that the last tree head covers that this process signed.",
        )
        .with_callback(move |observer| {
            if let Some(troubles) = signed.upgrade() {
                observer.observe(troubles.signed_events.load(Ordering::Relaxed), &[]);
            }
        })
        .build();
    meter
        .u64_observable_gauge("chipq.proof.troubles")
        .with_unit("{trouble}")
        .with_description("1 for signing and 1 for the witness, where either waits for a person or is tried again.")
        .with_callback(move |observer| {
            if let Some(troubles) = counted.upgrade() {
                observer.observe(troubles.lock_found().len() as u64, &[]);
            }
        })
        .build();
}
