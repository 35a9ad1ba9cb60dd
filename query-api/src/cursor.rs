//! Opaque cursors: a place in one query with one filter, authenticated by HMAC-SHA256.
//!
//! Invariant: a cursor that was altered, made up, or comes from another query or filter never
//! opens.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use platform::auth::SigningKey;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256, Sha512};

use crate::error::QueryError;

/// Bytes of the authenticator in front of a cursor (RFC 2104 allows truncation to half).
const TAG_BYTES: usize = 16;
/// Bytes of the filter's digest inside a cursor.
const FILTER_BYTES: usize = 8;
/// The purpose that the keys of cursors are derived for.
const PURPOSE: &str = "cursors";
/// The longest cursor that is looked at, in characters.
const CURSOR_MAX_CHARS: usize = 512;

/// The secrets behind cursors; all processes that serve one API share them.
#[derive(Clone)]
pub(crate) struct CursorKey(SigningKey);

impl CursorKey {
    /// The keys that follow from the installation's secrets: nothing more to keep, and cursors that
    /// cannot be mistaken for anything else that these sign.
    pub(crate) fn derived_from(secret: &SigningKey) -> Self {
        Self(secret.clone())
    }

    /// A cursor to `place` in the query `scope`.
    pub(crate) fn seal_cursor<K: Serialize>(&self, scope: &CursorScope, place: &K) -> String {
        // A tuple of numbers, names and ids always has a JSON shape.
        let place = serde_json::to_vec(place).unwrap_or_default();
        let key = self.0.derive_key(PURPOSE);
        let full = authenticate(&key, scope, &place).finalize().into_bytes();
        let mut bytes = full[..TAG_BYTES].to_vec();
        bytes.extend(place);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The place that `cursor` points to, if it is one of the query `scope`.
    ///
    /// # Errors
    /// [`QueryError::InvalidCursor`]. Compares in constant time.
    pub(crate) fn open<K: DeserializeOwned>(
        &self,
        scope: &CursorScope,
        cursor: &str,
    ) -> Result<K, QueryError> {
        if cursor.len() > CURSOR_MAX_CHARS {
            return Err(QueryError::InvalidCursor);
        }
        let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| QueryError::InvalidCursor)?;
        let (tag, place) = bytes.split_at_checked(TAG_BYTES).ok_or(QueryError::InvalidCursor)?;
        let is_by =
            |key: &[u8; 32]| authenticate(key, scope, place).verify_truncated_left(tag).is_ok();
        if !self.0.derive_keys(PURPOSE).iter().any(is_by) {
            return Err(QueryError::InvalidCursor);
        }
        serde_json::from_slice(place).map_err(|_| QueryError::InvalidCursor)
    }
}

fn authenticate(key: &[u8; 32], scope: &CursorScope, place: &[u8]) -> Hmac<Sha256> {
    // As long as a block of SHA-256, whatever HMAC would make of a shorter one.
    let key: [u8; 64] = Sha512::digest(key).into();
    let mut mac = Hmac::<Sha256>::new(&key.into());
    mac.update(scope.query.as_bytes());
    mac.update(&[0]);
    mac.update(&scope.filter);
    mac.update(place);
    mac
}

/// Which query, with which filter. Both are authenticated with the cursor and not stored in it.
#[derive(Debug, Clone)]
pub(crate) struct CursorScope {
    query: &'static str,
    filter: [u8; FILTER_BYTES],
}

impl CursorScope {
    /// The scope of `query` with `filter`; two filters are the same when their JSON is.
    pub(crate) fn new<F: Serialize>(query: &'static str, filter: &F) -> Self {
        let json = serde_json::to_vec(filter).unwrap_or_default();
        let digest = Sha256::digest(json);
        Self { query, filter: std::array::from_fn(|n| digest[n]) }
    }
}

#[cfg(test)]
mod tests {
    use platform::auth::{InstallationKeys, KeyRing};

    use super::*;

    fn new_key() -> CursorKey {
        let folder = tempfile::tempdir().unwrap();
        let ring = KeyRing::open(folder.path(), chrono::Utc::now()).unwrap();
        CursorKey::derived_from(&SigningKey::new(&InstallationKeys::new(&ring)))
    }

    #[test]
    fn a_cursor_opens_only_under_its_own_key_query_and_filter() {
        let (key, other) = (new_key(), new_key());
        let scope = CursorScope::new("inspections", &("lot", 1));
        let cursor = key.seal_cursor(&scope, &(7_i64, "x"));
        assert_eq!(key.open::<(i64, String)>(&scope, &cursor).unwrap(), (7, "x".to_owned()));

        let refused = |key: &CursorKey, scope: &CursorScope, cursor: &str| {
            matches!(key.open::<(i64, String)>(scope, cursor), Err(QueryError::InvalidCursor))
        };
        assert!(refused(&other, &scope, &cursor));
        assert!(refused(&key, &CursorScope::new("reports", &("lot", 1)), &cursor));
        assert!(refused(&key, &CursorScope::new("inspections", &("lot", 2)), &cursor));
        for made_up in ["", "AAAA", "not base64!", &"A".repeat(513), &cursor[..cursor.len() - 2]] {
            assert!(refused(&key, &scope, made_up), "{made_up:?}");
        }
        let mut altered = URL_SAFE_NO_PAD.decode(&cursor).unwrap();
        for n in 0..altered.len() {
            altered[n] ^= 1;
            assert!(refused(&key, &scope, &URL_SAFE_NO_PAD.encode(&altered)), "byte {n}");
            altered[n] ^= 1;
        }
    }
}
