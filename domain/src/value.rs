//! Value objects that parse once, at the edge: names people type, ids, digests.

#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;
use uuid::Uuid;

/// A value that does not parse: which field, and what it must be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} {must}")]
pub struct Invalid {
    /// The field as it is named on the wire.
    pub field: &'static str,
    /// What it must be, as the rest of a sentence: "must be …".
    pub must: &'static str,
}

impl Invalid {
    pub(crate) const fn new(field: &'static str, must: &'static str) -> Self {
        Self { field, must }
    }
}

/// PostgreSQL's jsonb takes every character but NUL.
pub(crate) fn replace_nul(text: String) -> String {
    if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text }
}

/// The longest reason of an operator, in characters.
pub(crate) const REASON_MAX_CHARS: usize = 500;

/// Why a reason is none.
pub(crate) enum ReasonFlaw {
    /// It says nothing.
    Empty,
    /// It has more than [`REASON_MAX_CHARS`].
    Long,
}

/// The reason that an operator gives, as it can be stored.
pub(crate) fn check_reason(reason: String) -> Result<String, ReasonFlaw> {
    if reason.trim().is_empty() {
        return Err(ReasonFlaw::Empty);
    }
    if reason.chars().count() > REASON_MAX_CHARS {
        return Err(ReasonFlaw::Long);
    }
    Ok(replace_nul(reason))
}

/// The longest lot, part or station name, in characters.
pub const NAME_MAX_CHARS: usize = 64;
const TOO_LONG: &str = "must be at most 64 characters long";
/// The most characters that are composed into one (U+1F82, for one).
const COMPOSED_MAX_CHARS: usize = 4;

/// Printable, not blank at either end, and short enough to stand on a label. Composed (Unicode's NFC), so that
/// two names that look the same and only differ in how their accents were typed are one; no relative path, which
/// a client would resolve away before it asks for it.
pub(crate) fn parse_name(field: &'static str, text: &str) -> Result<String, Invalid> {
    let text = compose(text).ok_or(Invalid::new(field, TOO_LONG))?;
    if text.is_empty() {
        return Err(Invalid::new(field, "must not be empty"));
    }
    if text.chars().count() > NAME_MAX_CHARS {
        return Err(Invalid::new(field, TOO_LONG));
    }
    if text.trim() != text {
        return Err(Invalid::new(field, "must not begin or end with white space"));
    }
    if text.chars().any(is_unprintable) {
        return Err(Invalid::new(field, "must consist of printable characters"));
    }
    if stands_alone(&text) {
        return Err(Invalid::new(field, "must not hold an accent without a letter before it"));
    }
    if matches!(text.as_str(), "." | "..") {
        return Err(Invalid::new(field, "must not be a relative path, . or .."));
    }
    Ok(text)
}

/// Whether a mark that belongs to the character before it has none: at the beginning it would be drawn on whatever
/// stands before the name, on a label as in a list.
fn stands_alone(text: &str) -> bool {
    let before = std::iter::once(' ').chain(text.chars());
    before.zip(text.chars()).any(|(before, c)| before == ' ' && is_combining_mark(c))
}

/// `text` composed; `None` when it is too long for a name however it is composed.
fn compose(text: &str) -> Option<String> {
    if text.is_ascii() {
        return Some(text.to_owned());
    }
    let is_short = text.chars().count() <= COMPOSED_MAX_CHARS * NAME_MAX_CHARS;
    is_short.then(|| text.nfc().collect())
}

/// Controls, white space other than the space, direction overrides, invisible characters (Unicode's
/// `Default_Ignorable_Code_Point`, the blank letters) and code points without a meaning of their own:
/// they would make two names look alike or a log line lie.
fn is_unprintable(c: char) -> bool {
    let is_noncharacter = u32::from(c) & 0xfffe == 0xfffe;
    c.is_control()
        || is_noncharacter
        || (c.is_whitespace() && c != ' ')
        || matches!(c,
            '\u{00ad}' | '\u{034f}' | '\u{061c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{e000}'..='\u{f8ff}'
            | '\u{fdd0}'..='\u{fdef}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffd}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}' | '\u{f0000}'..='\u{10ffff}')
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $field:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// # Errors
            /// When the text is empty, longer than [`NAME_MAX_CHARS`], padded, not printable, `.` or `..`, or has an
            /// accent without a letter.
            pub fn new(text: &str) -> Result<Self, Invalid> {
                parse_name($field, text).map(Self)
            }

            /// The name as typed, composed.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = Invalid;

            fn from_str(text: &str) -> Result<Self, Invalid> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = Invalid;

            fn try_from(text: String) -> Result<Self, Invalid> {
                Self::new(&text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }
    };
}

name!(
    /// A production lot.
    Lot, "lot"
);
name!(
    /// A part number: what the board is. It identifies the part's stream.
    PartNumber, "part"
);
name!(
    /// The station that took the picture.
    Station, "station"
);

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                text.parse().map(Self)
            }
        }
    };
}

id!(
    /// One inspection of one board; identifies the inspection's stream.
    InspectionId
);
id!(
    /// One picture: of a board, or a golden sample. Its object key is derived from this alone.
    ArtifactId
);
id!(
    /// The report of a judged inspection; derived from the inspection's id.
    ReportId
);

impl ReportId {
    /// The id of the report of `inspection`: the same for ever, so that a rebuilt report keeps its URL.
    #[must_use]
    pub fn for_inspection(inspection: InspectionId) -> Self {
        Self(Uuid::new_v5(&inspection.0, b"report"))
    }
}

/// A SHA-256 digest; lower-case hexadecimal on the wire.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sha256([u8; 32]);

impl Sha256 {
    /// Wraps 32 bytes that are already a digest.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The digest of `data`.
    #[must_use]
    pub fn digest_of(data: &[u8]) -> Self {
        use sha2::Digest as _;
        Self(sha2::Sha256::digest(data).into())
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Sha256 {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes)
            .map_err(|_| Invalid::new("sha256", "must be 64 hexadecimal digits"))?;
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for Sha256 {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl From<Sha256> for String {
    fn from(digest: Sha256) -> Self {
        digest.to_string()
    }
}
