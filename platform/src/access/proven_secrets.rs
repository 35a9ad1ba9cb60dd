//! The secrets of clients that were right a moment ago, so that a station which signs in for every board is not
//! charged Argon2id each time, nor everybody beside it.
//!
//! Invariants: what is kept is HMAC-SHA256 under a key that is made when the process starts and is nowhere else; it
//! counts for one digest, which has to be there still, and for a limited time from when it was compared.
//! Only for what was generated at random: whoever guesses a password pays for each guess, and so does whoever has a
//! wrong secret.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hmac::Mac as _;
use secrecy::{ExposeSecret as _, SecretString};

use crate::auth::hmac_sha256;

/// How long a secret counts as right without being digested again.
const KEPT_FOR: Duration = Duration::from_secs(15 * 60);
/// The most that are kept; whoever comes then is compared with the digest.
const KEPT_MAX: usize = 10_000;

/// Clones share everything.
#[derive(Clone)]
pub(super) struct ProvenSecrets {
    key: [u8; 32],
    /// By digest.
    proven: Arc<Mutex<HashMap<String, Proven>>>,
}

/// That a secret was right, and when.
struct Proven {
    tag: [u8; 32],
    at: Instant,
}

impl std::fmt::Debug for ProvenSecrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ProvenSecrets([redacted])")
    }
}

impl Default for ProvenSecrets {
    fn default() -> Self {
        Self { key: rand::random(), proven: Arc::default() }
    }
}

impl ProvenSecrets {
    /// Whether `secret` was that of this digest not long before `now`.
    pub(super) fn is_proven(&self, digest: &str, secret: &SecretString, now: Instant) -> bool {
        let proven = self.proven.lock().unwrap_or_else(PoisonError::into_inner);
        proven.get(digest).is_some_and(|proven| {
            let is_recent = now.saturating_duration_since(proven.at) < KEPT_FOR;
            // In constant time.
            is_recent && self.mac(digest, secret).verify_slice(&proven.tag).is_ok()
        })
    }

    /// Notes that `secret` was compared with this digest at `now`, and is the one.
    pub(super) fn note_proven(&self, digest: String, secret: &SecretString, now: Instant) {
        let tag = self.mac(&digest, secret).finalize().into_bytes().into();
        let mut proven = self.proven.lock().unwrap_or_else(PoisonError::into_inner);
        if proven.len() >= KEPT_MAX {
            proven.retain(|_, proven| now.saturating_duration_since(proven.at) < KEPT_FOR);
        }
        if proven.len() < KEPT_MAX {
            proven.insert(digest, Proven { tag, at: now });
        }
    }

    fn mac(&self, digest: &str, secret: &SecretString) -> hmac::Hmac<sha2::Sha256> {
        let mut mac = hmac_sha256(&self.key);
        // No digest is the beginning of another: all are as long.
        mac.update(digest.as_bytes());
        mac.update(secret.expose_secret().as_bytes());
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_counts_for_its_digest_and_its_time_alone() {
        let (secrets, now) = (ProvenSecrets::default(), Instant::now());
        let (right, wrong) = ("chipq_secret_right".into(), "chipq_secret_wrong".into());
        assert!(!secrets.is_proven("a digest", &right, now));
        secrets.note_proven("a digest".into(), &right, now);
        assert!(secrets.clone().is_proven("a digest", &right, now));
        assert!(!secrets.is_proven("a digest", &wrong, now));
        assert!(!secrets.is_proven("another", &right, now), "rotated: it has another digest");
        let last = now + KEPT_FOR - Duration::from_millis(1);
        assert!(secrets.is_proven("a digest", &right, last));
        assert!(!secrets.is_proven("a digest", &right, now + KEPT_FOR));
        assert!(!ProvenSecrets::default().is_proven("a digest", &right, now), "another process");
    }

    #[test]
    fn no_more_are_kept_than_have_a_place_until_those_have_expired() {
        let (secrets, now, secret) = (ProvenSecrets::default(), Instant::now(), "a".into());
        for n in 0..KEPT_MAX {
            secrets.note_proven(n.to_string(), &secret, now);
        }
        let later = now + KEPT_FOR;
        secrets.note_proven("one more".into(), &secret, now);
        assert!(!secrets.is_proven("one more", &secret, now));
        secrets.note_proven("one more".into(), &secret, later);
        assert!(secrets.is_proven("one more", &secret, later));
        assert_eq!(secrets.proven.lock().unwrap().len(), 1);
    }
}
