//! Turns at something of which a few may be at work at once, and fewer of one principal: whoever asks for
//! much waits for itself, and nobody else for more than the few that others may have.
//!
//! Invariants: turns come in the order of asking, first among those of a principal, then among all; who waits
//! holds nothing but that; a principal that has and wants none takes no memory. Whoever waits has to be polled:
//! a turn that was given to somebody who does not look is taken from all.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::error::QueryError;

/// The turns at one thing. Clones share them.
#[derive(Clone)]
pub(crate) struct FairTurns {
    /// What it is, as a refusal calls it.
    what: &'static str,
    of_all: Arc<Semaphore>,
    principal_max: usize,
    /// Of principals that have a turn or wait for one.
    of_principals: Arc<Mutex<HashMap<String, Weak<Semaphore>>>>,
}

/// A turn, until it is dropped.
pub(crate) struct FairTurn {
    _of_all: OwnedSemaphorePermit,
    _of_principal: OwnedSemaphorePermit,
}

impl FairTurns {
    /// `max` turns at once, and `principal_max` of each principal; at least one.
    pub(crate) fn new(what: &'static str, max: usize, principal_max: usize) -> Self {
        let of_all = Arc::new(Semaphore::new(max.max(1)));
        Self { what, of_all, principal_max: principal_max.max(1), of_principals: Arc::default() }
    }

    /// Waits for a turn of `principal`. Cancel-safe.
    ///
    /// # Errors
    /// When it has not come within `limit`.
    pub(crate) async fn wait_for_turn(
        &self,
        principal: &str,
        limit: Duration,
    ) -> Result<FairTurn, QueryError> {
        let deadline = Instant::now() + limit;
        let wait = async |turns: Arc<Semaphore>| {
            let turn = timeout_at(deadline, turns.acquire_owned()).await;
            turn.map_err(|_| QueryError::TooMany(self.what))?.map_err(QueryError::internal)
        };
        let of_principal = wait(self.turns_of(principal)).await?;
        let of_all = wait(Arc::clone(&self.of_all)).await?;
        Ok(FairTurn { _of_all: of_all, _of_principal: of_principal })
    }

    /// Whoever has one or waits keeps them in the table.
    fn turns_of(&self, principal: &str) -> Arc<Semaphore> {
        // Nothing that holds it can panic half-way.
        let mut turns = self.of_principals.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turns) = turns.get(principal).and_then(Weak::upgrade) {
            return turns;
        }
        turns.retain(|_, turns| turns.strong_count() > 0);
        let own = Arc::new(Semaphore::new(self.principal_max));
        turns.insert(principal.to_owned(), Arc::downgrade(&own));
        own
    }
}

#[cfg(test)]
mod tests {
    use futures::poll;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_principal_waits_for_itself_and_others_pass() {
        let turns = FairTurns::new("seats", 2, 1);
        let first = turns.wait_for_turn("a", LIMIT).await.unwrap();
        let mut second = Box::pin(turns.wait_for_turn("a", LIMIT));
        let mut third = Box::pin(turns.wait_for_turn("a", LIMIT));
        assert!(poll!(&mut second).is_pending() && poll!(&mut third).is_pending());
        drop(turns.wait_for_turn("b", LIMIT).await.unwrap());
        drop(first);
        assert!(poll!(&mut third).is_pending(), "it came last");
        drop(second.await.unwrap());
        drop(third.await.unwrap());
        drop(turns.wait_for_turn("c", LIMIT).await.unwrap());
        let known = turns.of_principals.lock().unwrap().len();
        assert_eq!(known, 1, "who has none is forgotten");
    }

    #[tokio::test]
    async fn all_together_have_no_more_than_there_are_and_nobody_waits_for_ever() {
        let turns = FairTurns::new("seats", 1, 1);
        let first = turns.wait_for_turn("a", LIMIT).await.unwrap();
        for principal in ["a", "b"] {
            let refused = turns.wait_for_turn(principal, Duration::from_millis(1)).await;
            assert!(matches!(refused, Err(QueryError::TooMany("seats"))));
        }
        drop(first);
        drop(turns.wait_for_turn("b", LIMIT).await.unwrap());
    }
}
