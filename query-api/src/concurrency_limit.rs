//! How many of something may be open at once: in all, and for each principal, so that none takes all.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::QueryError;

/// A limit on what is open at once.
pub(crate) struct ConcurrencyLimit {
    /// What is open, as a refusal calls it.
    what: &'static str,
    max: usize,
    principal_max: usize,
    open: Mutex<OpenPermits>,
}

#[derive(Default)]
struct OpenPermits {
    in_all: usize,
    /// Who has none does not stand here.
    by_principal: HashMap<String, usize>,
}

/// Leave to have one open, until it is dropped.
pub(crate) struct ConcurrencyPermit {
    limit: Arc<ConcurrencyLimit>,
    principal: String,
}

impl ConcurrencyLimit {
    pub(crate) fn new(what: &'static str, max: usize, principal_max: usize) -> Arc<Self> {
        Arc::new(Self { what, max, principal_max, open: Mutex::default() })
    }

    /// A permit for `principal`.
    ///
    /// # Errors
    /// When as many are open as may be, in all or of this principal.
    pub(crate) fn acquire_permit(
        self: &Arc<Self>,
        principal: &str,
    ) -> Result<ConcurrencyPermit, QueryError> {
        let mut open = self.lock_open();
        let of_principal = open.by_principal.get(principal).copied().unwrap_or_default();
        if open.in_all >= self.max || of_principal >= self.principal_max {
            return Err(QueryError::TooMany(self.what));
        }
        open.in_all += 1;
        open.by_principal.insert(principal.to_owned(), of_principal + 1);
        Ok(ConcurrencyPermit { limit: Arc::clone(self), principal: principal.to_owned() })
    }

    /// Nothing that holds it can panic half-way.
    fn lock_open(&self) -> MutexGuard<'_, OpenPermits> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ConcurrencyPermit {
    fn drop(&mut self) {
        let mut open = self.limit.lock_open();
        open.in_all = open.in_all.saturating_sub(1);
        match open.by_principal.get_mut(&self.principal) {
            Some(permits) if *permits > 1 => *permits -= 1,
            _ => {
                open.by_principal.remove(&self.principal);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_takes_all_permits_and_each_is_given_back() {
        let limit = ConcurrencyLimit::new("seats", 3, 2);
        let acquire = |principal| limit.acquire_permit(principal);
        let (first, _second) = (acquire("a").unwrap(), acquire("a").unwrap());
        assert!(matches!(acquire("a"), Err(QueryError::TooMany("seats"))));
        let other = acquire("b").unwrap();
        assert!(acquire("c").is_err(), "all are taken");
        drop(first);
        assert!(acquire("c").is_ok());
        assert!(acquire("a").is_ok());
        drop(other);
        assert_eq!(limit.lock_open().in_all, 1);
        assert_eq!(limit.lock_open().by_principal.len(), 1);
    }
}
