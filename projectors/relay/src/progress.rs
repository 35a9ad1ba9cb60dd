//! What a session has taken, what of it is done, and what stands in the way.
//!
//! Invariant: everything up to [`Progress::done`] is acknowledged or asked for by no topic; a position is acknowledged
//! by the lane that took it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use platform::event_log::Position;
use platform::follower::ReactionError;
use tokio::sync::Notify;

use crate::partition_state::Sent;

/// The most events that wait at a time. A partition that is stopped holds them back, and when so many wait for it,
/// all others wait too: what a restart has to look through again is bounded by it.
pub(crate) const WAITING_MAX: usize = 10_000;

/// A topic and the number of its partition.
pub(crate) type PartitionName = (String, i32);

/// The account of one session. Lanes and session share it.
pub(crate) struct Progress {
    account: Mutex<SessionAccount>,
    changed: Notify,
}

struct SessionAccount {
    taken: Position,
    waiting: BTreeSet<Position>,
    has_changed: bool,
    failure: Option<String>,
    /// Known and not written down.
    unsaved: BTreeMap<PartitionName, Sent>,
}

impl SessionAccount {
    fn find_done(&self) -> Position {
        self.waiting.first().map_or(self.taken, |first| Position(first.0 - 1))
    }
}

impl Progress {
    /// Everything up to `from` is done; what is known of `partitions` is to be written down.
    pub(crate) fn new(from: Position, partitions: BTreeMap<PartitionName, Sent>) -> Self {
        let account = SessionAccount {
            taken: from,
            waiting: BTreeSet::new(),
            has_changed: !partitions.is_empty(),
            failure: None,
            unsaved: partitions,
        };
        Self { account: Mutex::new(account), changed: Notify::new() }
    }

    pub(crate) fn has_room(&self) -> bool {
        self.lock_account().waiting.len() < WAITING_MAX
    }

    /// Everything up to `up_to` was taken; of it `positions` have to be acknowledged.
    pub(crate) fn take(&self, positions: impl Iterator<Item = Position>, up_to: Position) {
        let mut account = self.lock_account();
        account.waiting.extend(positions);
        account.taken = up_to;
        self.tell_change(account);
    }

    /// These need not be waited for any more, for this is what the partition holds.
    pub(crate) fn acknowledge(
        &self,
        partition: &PartitionName,
        positions: impl Iterator<Item = Position>,
        sent: Sent,
    ) {
        let mut account = self.lock_account();
        for position in positions {
            account.waiting.remove(&position);
        }
        account.unsaved.insert(partition.clone(), sent);
        self.tell_change(account);
    }

    /// The session cannot go on.
    pub(crate) fn fail(&self, why: String) {
        let mut account = self.lock_account();
        account.failure.get_or_insert(why);
        self.tell_change(account);
    }

    /// Waits until something has changed since this was asked last, and says up to where everything is done.
    pub(crate) async fn done(&self) -> Result<Position, ReactionError> {
        loop {
            {
                let mut account = self.lock_account();
                if let Some(failure) = &account.failure {
                    return Err(failure.clone().into());
                }
                if std::mem::take(&mut account.has_changed) {
                    return Ok(account.find_done());
                }
            }
            self.changed.notified().await;
        }
    }

    /// What is known of partitions and was not asked for before, and up to where everything is done.
    pub(crate) fn take_unsaved(&self) -> (BTreeMap<PartitionName, Sent>, Position) {
        let mut account = self.lock_account();
        (std::mem::take(&mut account.unsaved), account.find_done())
    }

    fn tell_change(&self, mut account: MutexGuard<'_, SessionAccount>) {
        account.has_changed = true;
        drop(account);
        self.changed.notify_one();
    }

    fn lock_account(&self) -> MutexGuard<'_, SessionAccount> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
