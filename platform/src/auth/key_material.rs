//! What is in the files of keys, and how new ones are made.
//!
//! Invariant: a file is a whole key or none; half a file never passes for a key.

use std::path::{Path, PathBuf};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};

use super::key_error::KeyError;
use super::key_place::SECRET_FILE;
use crate::config::{SecretFileError, random_bytes, read_or_create_secret};

/// Bytes of a secret, and of every key that is derived from it.
pub(super) const SECRET_BYTES: usize = 32;
/// Where a key begins and ends in PEM (RFC 7468, section 10).
const PEM_BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const PEM_END: &str = "-----END PRIVATE KEY-----";

/// A pair of keys as it is used: its private half in PKCS #8, and the public one as it is.
pub(super) struct TokenKey {
    pub(super) pkcs8: Vec<u8>,
    pub(super) public: Vec<u8>,
}

/// The Ed25519 key in a file, in PKCS #8 (RFC 8410) as DER or PEM, as openssl writes them.
pub(super) fn parse_token_key(path: &Path, bytes: Vec<u8>) -> Result<TokenKey, KeyError> {
    let not_a_key = || KeyError::NotAKey(path.to_owned());
    let text = std::str::from_utf8(&bytes).ok().map(str::trim);
    let pkcs8 = match text.and_then(|text| text.strip_prefix(PEM_BEGIN)) {
        Some(rest) => {
            let body: String =
                rest.strip_suffix(PEM_END).ok_or_else(not_a_key)?.split_whitespace().collect();
            STANDARD.decode(body).map_err(|_| not_a_key())?
        }
        None => bytes,
    };
    let pair = Ed25519KeyPair::from_pkcs8(&pkcs8).map_err(|_| not_a_key())?;
    Ok(TokenKey { public: pair.public_key().as_ref().to_vec(), pkcs8 })
}

/// The secret in a file: its bytes, or as text, which is what many stores of secrets keep.
pub(super) fn parse_secret(path: &Path, bytes: Vec<u8>) -> Result<[u8; SECRET_BYTES], KeyError> {
    let bytes = match <[u8; SECRET_BYTES]>::try_from(bytes) {
        Ok(secret) => return Ok(secret),
        Err(bytes) => bytes,
    };
    let text = std::str::from_utf8(&bytes).unwrap_or_default().trim();
    let unpadded = text.trim_end_matches('=');
    let decoded = hex::decode(text)
        .ok()
        .or_else(|| STANDARD_NO_PAD.decode(unpadded).ok())
        .or_else(|| URL_SAFE_NO_PAD.decode(unpadded).ok());
    let secret = decoded.and_then(|decoded| decoded.try_into().ok());
    secret.ok_or_else(|| KeyError::NotASecret(path.to_owned()))
}

/// Makes a key of tokens in `folder`.
///
/// # Errors
/// When it cannot be made or written.
pub(super) fn generate_token_key(folder: &Path, now: DateTime<Utc>) -> Result<PathBuf, KeyError> {
    let path = folder.join(format!("{:015}.pk8", now.timestamp_millis()));
    generate_ed25519(&path)?;
    Ok(path)
}

/// The Ed25519 key in a file of one's own, in PKCS #8, made when it is missing.
///
/// # Errors
/// When it cannot be made or written.
pub(super) fn generate_ed25519(path: &Path) -> Result<Vec<u8>, KeyError> {
    let failed = |reason: &str| SecretFileError::Generate {
        path: path.to_owned(),
        reason: reason.to_owned(),
    };
    let bytes = read_or_create_secret(path, || {
        let pair = Ed25519KeyPair::generate().map_err(|_| failed("no randomness available"))?;
        let pkcs8 = pair.to_pkcs8().map_err(|_| failed("the key cannot be encoded"))?;
        Ok(pkcs8.as_ref().to_vec())
    })?;
    Ok(bytes)
}

/// Makes a secret in `folder`: the first one where `now` is absent.
///
/// # Errors
/// When it cannot be made or written.
pub(super) fn generate_secret(
    folder: &Path,
    now: Option<DateTime<Utc>>,
) -> Result<PathBuf, KeyError> {
    let name = match now {
        None => SECRET_FILE.to_owned(),
        Some(now) => format!("{SECRET_FILE}-{:015}", now.timestamp_millis()),
    };
    let path = folder.join(name);
    let failed = |reason| SecretFileError::Generate { path: path.clone(), reason };
    read_or_create_secret(&path, || random_bytes::<SECRET_BYTES>().map(Vec::from).map_err(failed))?;
    Ok(path)
}

/// When the key in this file was made, in milliseconds at the end of its name; long ago where it has another one.
pub(super) fn time_in_name(path: &Path) -> DateTime<Utc> {
    let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
    let digits = name.rsplit('-').next().unwrap_or_default();
    digits.parse().ok().and_then(DateTime::from_timestamp_millis).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `openssl genpkey -algorithm ed25519` writes it: PKCS #8, version 1, which has no public half.
    const PEM: &str = "-----BEGIN PRIVATE KEY-----\n\
        MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
        -----END PRIVATE KEY-----\n";

    #[test]
    fn a_key_of_openssl_is_taken_and_half_of_it_is_not() {
        let path = Path::new("/keys/001790000000000.pem");
        let key = parse_token_key(path, PEM.into()).unwrap();
        // RFC 8410, section 10.3, has this key with its public half.
        let public = "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1";
        assert_eq!(hex::encode(&key.public), public);
        let der = parse_token_key(path, key.pkcs8.clone()).unwrap();
        assert_eq!(der.public, key.public);
        for half in 0..PEM.len() - 2 {
            assert!(parse_token_key(path, PEM.as_bytes()[..half].to_vec()).is_err(), "{half}");
        }
        for half in 0..key.pkcs8.len() {
            assert!(parse_token_key(path, key.pkcs8[..half].to_vec()).is_err(), "{half}");
        }
        assert_eq!(time_in_name(path).timestamp_millis(), 1_790_000_000_000);
    }

    #[test]
    fn a_secret_may_be_bytes_or_text_and_half_of_one_is_none() {
        let path = Path::new("/keys/url-signing-key-001790000000000");
        let secret: [u8; 32] = std::array::from_fn(|n| (n * 7 + 251) as u8);
        let hexadecimal = hex::encode(secret);
        let written = [
            secret.to_vec(),
            format!("{hexadecimal}\n").into(),
            format!("{}\n", STANDARD.encode(secret)).into(),
            URL_SAFE_NO_PAD.encode(secret).into(),
        ];
        for bytes in written {
            assert_eq!(parse_secret(path, bytes).unwrap(), secret);
        }
        for bytes in [&secret[..31], b"", &hexadecimal.as_bytes()[..62], b"short\n"] {
            assert!(parse_secret(path, bytes.to_vec()).is_err(), "{bytes:?}");
        }
        assert_eq!(time_in_name(path).timestamp_millis(), 1_790_000_000_000);
        assert_eq!(time_in_name(Path::new("url-signing-key")), DateTime::UNIX_EPOCH);
    }
}
