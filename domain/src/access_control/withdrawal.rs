//! What was granted, and is taken back before its time is over: sessions and single tokens.
//!
//! Invariant: it is known for as long as anything of it could still be believed, and no longer; and for each
//! principal there are no more than a named number of them. Whoever has more taken back loses everything.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{AccessControl, AccessControlEvent as Event, AccessControlRejection, PrincipalName};

/// How much of one principal may be taken back at a time, one by one.
const WITHDRAWALS_MAX: usize = 64;

/// A session, or a token that belongs to none, that is worth nothing any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Withdrawal {
    name: PrincipalName,
    /// From when on nothing of it would be believed anyway.
    until: DateTime<Utc>,
}

impl AccessControl {
    /// Whether the session or token of this id was taken back. What has long expired is not remembered.
    #[must_use]
    pub fn is_withdrawn(&self, id: Uuid) -> bool {
        self.withdrawals.contains_key(&id)
    }

    /// Takes back what has this id, by an event of its own, or everything where that would be one too many.
    pub(super) fn withdraw(
        &self,
        (name, id): (&PrincipalName, Uuid),
        at: DateTime<Utc>,
        event: Event,
    ) -> Result<Vec<Event>, AccessControlRejection> {
        if self.principal(name).is_none() {
            return Err(AccessControlRejection::PrincipalNotFound { name: name.clone() });
        }
        if self.is_withdrawn(id) {
            return Ok(Vec::new());
        }
        let of_same = |known: &&Withdrawal| known.name == *name && at < known.until;
        if self.withdrawals.values().filter(of_same).count() < WITHDRAWALS_MAX {
            Ok(vec![event])
        } else {
            Ok(vec![Event::AllTokensRevoked { name: name.clone(), at }])
        }
    }

    pub(super) fn note_withdrawal(
        &mut self,
        (name, id): (&PrincipalName, Uuid),
        (at, until): (DateTime<Utc>, DateTime<Utc>),
    ) {
        self.withdrawals.retain(|_, known| at < known.until);
        self.withdrawals.insert(id, Withdrawal { name: name.clone(), until });
    }

    /// Everything of a lower revision is worth nothing, so that nothing of it needs to be known one by one.
    pub(super) fn note_all_withdrawn(&mut self, name: &PrincipalName) {
        self.withdrawals.retain(|_, known| known.name != *name);
        self.change(name, |_| ());
    }
}
