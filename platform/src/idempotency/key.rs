//! What an `Idempotency-Key` may be, and what makes two requests the same.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// The longest key, in characters.
pub const KEY_MAX_CHARS: usize = 255;

/// An `Idempotency-Key`: 1 to 255 visible ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(String);

/// A header that is no idempotency key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an Idempotency-Key is 1 to 255 visible ASCII characters, bare or as a quoted string")]
pub struct InvalidKey;

impl IdempotencyKey {
    /// Parses a header's value, bare or as an RFC 8941 string.
    ///
    /// # Errors
    /// When the key is empty, too long, not visible ASCII, or its quotes do not match.
    pub fn parse(header: &str) -> Result<Self, InvalidKey> {
        let header = header.trim();
        let key = match header.strip_prefix('"') {
            Some(rest) => unquote_string(rest)?,
            None => header.to_owned(),
        };
        let visible = key.chars().all(|c| c.is_ascii_graphic());
        if key.is_empty() || key.len() > KEY_MAX_CHARS || !visible {
            return Err(InvalidKey);
        }
        Ok(Self(key))
    }

    /// The key without quotes.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The inside of an RFC 8941 string whose opening quote is gone: `\"` and `\\` are its only escapes.
fn unquote_string(rest: &str) -> Result<String, InvalidKey> {
    let inside = rest.strip_suffix('"').ok_or(InvalidKey)?;
    let mut key = String::with_capacity(inside.len());
    let mut characters = inside.chars();
    while let Some(c) = characters.next() {
        key.push(match c {
            '\\' => characters.next().filter(|c| matches!(c, '"' | '\\')).ok_or(InvalidKey)?,
            '"' => return Err(InvalidKey),
            other => other,
        });
    }
    Ok(key)
}

/// SHA-256 of everything that makes a request what it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The fingerprint of a request: each part is preceded by its length, so that no two requests
    /// run together.
    #[must_use]
    pub fn for_request(
        method: &str,
        path_and_query: &str,
        media_type: Option<&str>,
        if_match: Option<&str>,
        canonical_body: &[u8],
    ) -> Self {
        let parts = [
            method.as_bytes(),
            path_and_query.as_bytes(),
            media_type.unwrap_or_default().as_bytes(),
            if_match.unwrap_or_default().as_bytes(),
            canonical_body,
        ];
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_bare_or_quoted_visible_ascii() {
        assert_eq!(IdempotencyKey::parse("abc-1").unwrap().as_str(), "abc-1");
        assert_eq!(IdempotencyKey::parse(r#""a\"b\\""#).unwrap().as_str(), r#"a"b\"#);
        assert!(IdempotencyKey::parse(&"k".repeat(255)).is_ok());
        let too_long = "k".repeat(256);
        let bad =
            ["", r#""""#, "a b", "ä", r#""open"#, r#""a"b""#, r#""a\b""#, "a\u{7f}", &too_long];
        for key in bad {
            assert_eq!(IdempotencyKey::parse(key), Err(InvalidKey), "{key:?}");
        }
    }

    #[test]
    fn requests_that_differ_in_any_part_have_different_fingerprints() {
        let all = [
            Fingerprint::for_request("POST", "/a", None, None, b""),
            Fingerprint::for_request("PUT", "/a", None, None, b""),
            Fingerprint::for_request("POST", "/ab", None, None, b""),
            Fingerprint::for_request("POST", "/a", Some("b"), None, b""),
            Fingerprint::for_request("POST", "/a", None, Some("b"), b""),
            Fingerprint::for_request("POST", "/a", None, None, b"b"),
        ];
        for (n, one) in all.iter().enumerate() {
            assert!(all[..n].iter().all(|other| other != one));
        }
    }
}
