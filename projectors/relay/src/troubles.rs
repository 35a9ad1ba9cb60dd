//! What stands in the way of partitions: for readiness, logs and gauges.
//!
//! Invariant: a partition is named here from its second failure in a row until it goes on.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use platform::health::Check;

use crate::progress::{PartitionName, WAITING_MAX};

/// What stands in the way of one partition.
#[derive(Debug, Clone)]
struct Trouble {
    since: DateTime<Utc>,
    sentence: String,
    /// Whether nothing goes on until a person has done something.
    is_stopped: bool,
}

/// All of it, of this process.
#[derive(Debug, Default)]
pub(crate) struct Troubles {
    of_partitions: Mutex<BTreeMap<PartitionName, Trouble>>,
    /// Whether so many events wait for those that nothing else is sent.
    is_full: AtomicBool,
}

impl Troubles {
    /// `partition` does not go on, for this reason. Said in the log when it is another one than before.
    pub(crate) fn note_trouble(
        &self,
        partition: &PartitionName,
        sentence: String,
        is_stopped: bool,
    ) {
        let mut troubles = self.lock_troubles();
        let before = troubles.get(partition);
        let is_known = before.is_some_and(|before| before.sentence == sentence);
        let since = before.map_or_else(Utc::now, |before| before.since);
        troubles
            .insert(partition.clone(), Trouble { since, sentence: sentence.clone(), is_stopped });
        drop(troubles);
        let (topic, number) = partition;
        match (is_known, is_stopped) {
            (true, _) => {}
            (false, true) => {
                tracing::error!(topic, partition = number, "the partition is stopped: {sentence}");
            }
            (false, false) => {
                tracing::warn!(topic, partition = number, "waiting for the partition: {sentence}");
            }
        }
    }

    /// `partition` goes on.
    pub(crate) fn clear_partition(&self, partition: &PartitionName) {
        if self.lock_troubles().remove(partition).is_some() {
            let (topic, number) = partition;
            tracing::info!(topic, partition = number, "the partition goes on");
        }
    }

    /// Whether so many events wait that nothing more is taken from the log.
    pub(crate) fn set_full(&self, is_full: bool) {
        self.is_full.store(is_full, Ordering::Relaxed);
    }

    /// The session is over, and so is what it knew.
    pub(crate) fn clear_all(&self) {
        self.set_full(false);
        self.lock_troubles().clear();
    }

    /// How many partitions wait for a person.
    pub(crate) fn count_stopped(&self) -> usize {
        self.lock_troubles().values().filter(|trouble| trouble.is_stopped).count()
    }

    /// Each partition that does not go on.
    pub(crate) fn checks(&self) -> Vec<Check> {
        let check = |((topic, number), trouble): (&PartitionName, &Trouble)| {
            let since = trouble.since.format("%FT%TZ");
            let said = format!("since {since}: {}", trouble.sentence);
            Check::new(format!("relay:{topic}/{number}"), Err(said))
        };
        let troubles = self.lock_troubles();
        let mut checks: Vec<_> = troubles.iter().map(check).collect();
        // For a moment that is so whenever there is much to do.
        if !checks.is_empty() && self.is_full.load(Ordering::Relaxed) {
            let said = format!(
                "{WAITING_MAX} events wait for the partitions that are named here; nothing is sent to any other until \
                 they go on"
            );
            checks.push(Check::new("relay:waiting", Err(said)));
        }
        checks
    }

    fn lock_troubles(&self) -> MutexGuard<'_, BTreeMap<PartitionName, Trouble>> {
        self.of_partitions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
