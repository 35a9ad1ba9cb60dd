//! What a password must be: long, and not one that is guessed early (NIST SP 800-63B, 5.1.1.2; OWASP ASVS 2.1).
//!
//! There are no rules on kinds of characters, and no dates after which it has to be changed.

use secrecy::{ExposeSecret as _, SecretString};
use unicode_normalization::UnicodeNormalization as _;
use zxcvbn::Score;

/// The shortest password, in characters.
const MIN_CHARS: usize = 12;
/// The longest password, in characters.
const MAX_CHARS: usize = 128;
/// The longest one that is looked at, in bytes: before anything is made of it.
const MAX_BYTES: usize = 4 * MAX_CHARS;
/// How much of it is estimated, in characters; estimating takes longer the longer it is.
const ESTIMATED_CHARS: usize = 64;

/// Why a password is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordFlaw {
    /// Too short.
    #[error(
        "the password is shorter than {MIN_CHARS} characters; take a longer one, such as four words"
    )]
    Short,
    /// Too long.
    #[error("the password is longer than {MAX_CHARS} characters")]
    Long,
    /// One of those that are tried first.
    #[error(
        "the password is guessed early: it is among those that leaked, made of few words, or of the account's \
         name; take four words that have nothing to do with each other"
    )]
    Guessable,
}

/// The password as it is digested (RFC 8265, `OpaqueString`): composed, so that it fits whichever keyboard it is typed
/// on. `of` are words that belong to the account, such as its name.
///
/// # Errors
/// When nobody should have it.
pub fn check_password(password: &SecretString, of: &[&str]) -> Result<SecretString, PasswordFlaw> {
    let password = normalise_password(password).ok_or(PasswordFlaw::Long)?;
    let text = password.expose_secret();
    if text.chars().count() < MIN_CHARS {
        return Err(PasswordFlaw::Short);
    }
    let estimated: String = text.chars().take(ESTIMATED_CHARS).collect();
    if zxcvbn::zxcvbn(&estimated, of).score() < Score::Three {
        return Err(PasswordFlaw::Guessable);
    }
    Ok(password)
}

/// The password as it is digested; `None` when it is longer than any.
pub(super) fn normalise_password(password: &SecretString) -> Option<SecretString> {
    let text = password.expose_secret();
    if text.len() > MAX_BYTES {
        return None;
    }
    let composed: String = text.nfc().collect();
    (composed.chars().count() <= MAX_CHARS).then(|| SecretString::from(composed))
}
