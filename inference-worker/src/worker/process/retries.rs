//! What is remembered of an inspection between two tries: how often it was tried, and how often each
//! picture failed, and how.
//!
//! Invariant: it is bounded, and in this process's memory only. The next owner of a partition counts
//! anew, so a fault of one machine does not give up a picture for all.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use domain::{ArtifactId, InspectionId};
use platform::backoff::Backoff;

/// The pauses before an inspection is tried again.
const RETRY: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(10), 0.5);
/// How often bytes at rest that are missing or altered are looked for, and how often an engine that
/// fails on a picture is asked, before the picture is given up.
const ATTEMPTS_MAX: u32 = 3;
/// How often a network that is no longer in force is looked for: some 3 s.
const MODEL_ATTEMPTS_MAX: u32 = 6;
/// How many inspections are remembered, twice what the follower reads ahead: those that another worker
/// has taken over meanwhile are among them.
const INSPECTIONS_MAX: usize = 8_192;

/// What can go wrong with one picture again and again, and is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum FailureKind {
    Unreadable,
    EngineFailed,
    ModelGone,
}

/// How often each picture of an inspection failed, and how.
#[derive(Debug, Default)]
pub(super) struct FailureCounter(HashMap<(ArtifactId, FailureKind), u32>);

impl FailureCounter {
    /// Counts this failure; `true` when no attempt is left after it.
    pub(super) fn exhausted_by(&mut self, artifact_id: ArtifactId, kind: FailureKind) -> bool {
        let attempts = self.0.entry((artifact_id, kind)).or_default();
        *attempts += 1;
        *attempts >= if kind == FailureKind::ModelGone { MODEL_ATTEMPTS_MAX } else { ATTEMPTS_MAX }
    }
}

/// One inspection that is being tried, perhaps not for the first time.
#[derive(Debug, Default)]
pub(super) struct Retry {
    /// How often it was tried in vain before.
    pub(super) attempt: u32,
    pub(super) failures: FailureCounter,
    /// It was put off because large pictures had all their places.
    pub(super) needs_large_place: bool,
}

/// The inspections that are tried again later.
#[derive(Debug, Default)]
pub(super) struct Retries(Mutex<HashMap<InspectionId, (Instant, Retry)>>);

impl Retries {
    /// What is known of an inspection that is tried now; it is kept no longer.
    pub(super) fn take(&self, inspection_id: InspectionId) -> Retry {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.remove(&inspection_id).map(|(_, retry)| retry).unwrap_or_default()
    }

    /// The inspection was tried in vain: after how long to try it again.
    pub(super) fn keep(&self, inspection_id: InspectionId, mut retry: Retry) -> Duration {
        let pause = RETRY.delay(retry.attempt);
        retry.attempt = retry.attempt.saturating_add(1);
        self.put_back(inspection_id, retry);
        pause
    }

    /// The inspection was not tried: what is known of it is kept as it is.
    pub(super) fn put_back(&self, inspection_id: InspectionId, retry: Retry) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= INSPECTIONS_MAX {
            // The one that was kept longest has moved to another worker: none here pauses that long.
            let oldest = kept.iter().min_by_key(|(_, (since, _))| *since).map(|(id, _)| *id);
            oldest.map(|id| kept.remove(&id));
        }
        kept.insert(inspection_id, (Instant::now(), retry));
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn inspection(n: usize) -> InspectionId {
        InspectionId(Uuid::from_u128(n as u128))
    }

    #[test]
    fn an_inspection_that_comes_again_goes_on_counting_and_its_pauses_grow() {
        let retries = Retries::default();
        let picture = ArtifactId(Uuid::from_u128(7));
        let mut pauses = Vec::new();
        for attempt in 0..ATTEMPTS_MAX {
            let mut retry = retries.take(inspection(1));
            assert_eq!(retry.attempt, attempt);
            let is_last = attempt + 1 == ATTEMPTS_MAX;
            assert_eq!(retry.failures.exhausted_by(picture, FailureKind::Unreadable), is_last);
            pauses.push(retries.keep(inspection(1), retry).as_millis());
        }
        assert!(
            pauses.iter().zip([50, 100, 200]).all(|(pause, least)| *pause >= least),
            "{pauses:?}"
        );
        // Whoever is broken off in between, because the partition is another's now, is forgotten.
        drop(retries.take(inspection(1)));
        assert_eq!(retries.take(inspection(1)).attempt, 0);
    }

    #[test]
    fn so_many_inspections_are_remembered_and_the_oldest_goes_first() {
        let retries = Retries::default();
        for n in 0..=INSPECTIONS_MAX {
            retries.keep(inspection(n), Retry::default());
        }
        assert_eq!(retries.0.lock().unwrap().len(), INSPECTIONS_MAX);
        assert_eq!(retries.take(inspection(0)).attempt, 0);
        assert_eq!(retries.take(inspection(1)).attempt, 1);
    }
}
