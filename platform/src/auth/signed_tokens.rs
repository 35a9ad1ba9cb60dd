//! Tokens whose signature was found good a moment ago, so that it is not computed again for every request.
//!
//! Invariants: only what the key that is named in it still believed has signed is found here; its time, and what it
//! was granted to, are checked each time; and there are never more than a named number of them, whoever sends what.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use domain::Sha256;

use super::tokens::VerifiedToken;

/// How many are kept at most: those of a thousand machines, twice over.
const KEPT_MAX: usize = 4_096;

/// A token whose signature, issuer and audience are right.
pub(super) struct SignedToken {
    pub(super) kid: String,
    pub(super) not_before: i64,
    pub(super) token: VerifiedToken,
}

/// By the SHA-256 of the token. Those that were not asked for since as many others came are forgotten.
#[derive(Default)]
pub(super) struct SignedTokens(Mutex<Generations>);

#[derive(Default)]
struct Generations {
    recent: HashMap<[u8; 32], Arc<SignedToken>>,
    before: HashMap<[u8; 32], Arc<SignedToken>>,
}

impl SignedTokens {
    pub(super) fn find(&self, digest: &Sha256) -> Option<Arc<SignedToken>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = kept.recent.get(digest.as_bytes()) {
            return Some(Arc::clone(found));
        }
        let found = kept.before.remove(digest.as_bytes())?;
        kept.keep(*digest.as_bytes(), Arc::clone(&found));
        Some(found)
    }

    pub(super) fn keep(&self, digest: &Sha256, token: &Arc<SignedToken>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.keep(*digest.as_bytes(), Arc::clone(token));
    }
}

impl Generations {
    fn keep(&mut self, digest: [u8; 32], token: Arc<SignedToken>) {
        if self.recent.len() >= KEPT_MAX / 2 {
            self.before = std::mem::take(&mut self.recent);
        }
        self.recent.insert(digest, token);
    }
}
