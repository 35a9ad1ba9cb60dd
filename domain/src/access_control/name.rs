//! The names of principals: one that identifies, in letters that cannot be mistaken for others, and one that
//! is printed.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Invalid;
use crate::value::parse_name;

/// The longest name of a principal, in characters.
const PRINCIPAL_NAME_MAX_CHARS: usize = 64;

/// Names under which the platform itself acts in the log.
const RESERVED: [&str; 10] = [
    "admin",
    "chipq",
    "command-api",
    "demo",
    "inference-worker",
    "judge",
    "projectors",
    "query-api",
    "relay",
    "service",
];

/// The name that identifies an account or a client: ASCII letters, digits, `.`, `_`, `@` and `-`, beginning and
/// ending with a letter or digit; capital letters are taken as small ones. No two of them look alike.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PrincipalName(String);

impl PrincipalName {
    /// The name in small letters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the platform itself, or its demonstration, acts under this name.
    pub(super) fn is_reserved(&self) -> bool {
        RESERVED.contains(&self.as_str())
    }
}

impl FromStr for PrincipalName {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let must = "must be 1 to 64 letters a to z, digits, and . _ @ - between them";
        let is_edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
        let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || b"._@-".contains(&byte);
        let bytes = text.as_bytes();
        let is_name = bytes.len() <= PRINCIPAL_NAME_MAX_CHARS
            && is_edge(bytes.first())
            && is_edge(bytes.last())
            && bytes.iter().copied().all(is_inner);
        if is_name {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(Invalid { field: "name", must })
        }
    }
}

impl TryFrom<String> for PrincipalName {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl From<PrincipalName> for String {
    fn from(name: PrincipalName) -> Self {
        name.0
    }
}

impl fmt::Display for PrincipalName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A person's name as it is printed on reports, in any letters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DisplayName(String);

impl DisplayName {
    /// The name, composed.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DisplayName {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        parse_name("display_name", text).map(Self)
    }
}

impl TryFrom<String> for DisplayName {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl From<DisplayName> for String {
    fn from(name: DisplayName) -> Self {
        name.0
    }
}
