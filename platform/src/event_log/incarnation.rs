//! Which history of the log a position, or a version of a stream, belongs to.
//!
//! Both are given out again when the database is restored, or when another server takes over without all
//! that the one before had acknowledged. So whoever keeps one outside the log's own database keeps the
//! incarnation with it; what is in the database was restored with the log.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Position;

/// One history of the log. Another one begins with every restore and every other primary.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Incarnation(pub Uuid);

/// A place in one history of the log. As a text it is the position, a dot and the incarnation in 32
/// hexadecimal digits; the beginning, which is the same in every history, may also be `0`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LogPlace {
    /// Which history.
    pub incarnation: Incarnation,
    /// Where in it.
    pub position: Position,
}

/// A version of a stream in one history of the log. As a text it is the version, a dot and the incarnation in
/// 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamVersion {
    /// Which history.
    pub incarnation: Incarnation,
    /// How many events the stream has in it.
    pub number: u64,
}

/// The text is no [`LogPlace`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an X-Log-Position as it was answered, or 0")]
pub struct InvalidLogPlace;

/// The text is no [`StreamVersion`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a version as it was answered")]
pub struct InvalidStreamVersion;

impl LogPlace {
    /// Whether it is before the first event, which is a place in every history.
    #[must_use]
    pub const fn is_beginning(self) -> bool {
        self.position.0 == 0
    }
}

impl StreamVersion {
    /// The strong entity tag of a resource in this version (RFC 9110, 8.8.3).
    #[must_use]
    pub fn entity_tag(self) -> String {
        format!("\"{self}\"")
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.simple().fmt(f)
    }
}

impl fmt::Display for LogPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.position, self.incarnation)
    }
}

impl FromStr for LogPlace {
    type Err = InvalidLogPlace;

    fn from_str(text: &str) -> Result<Self, InvalidLogPlace> {
        if text == "0" {
            return Ok(Self::default());
        }
        let (position, incarnation) = parse_numbered(text).ok_or(InvalidLogPlace)?;
        let position = i64::try_from(position).map_err(|_| InvalidLogPlace)?;
        Ok(Self { incarnation, position: Position(position) })
    }
}

impl TryFrom<String> for LogPlace {
    type Error = InvalidLogPlace;

    fn try_from(text: String) -> Result<Self, InvalidLogPlace> {
        text.parse()
    }
}

impl From<LogPlace> for String {
    fn from(place: LogPlace) -> Self {
        place.to_string()
    }
}

impl fmt::Display for StreamVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.number, self.incarnation)
    }
}

impl FromStr for StreamVersion {
    type Err = InvalidStreamVersion;

    fn from_str(text: &str) -> Result<Self, InvalidStreamVersion> {
        let (number, incarnation) = parse_numbered(text).ok_or(InvalidStreamVersion)?;
        Ok(Self { incarnation, number })
    }
}

/// A number and the incarnation that it is of, in the one form in which they are written.
fn parse_numbered(text: &str) -> Option<(u64, Incarnation)> {
    let (number, incarnation) = text.split_once('.')?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let incarnation = Uuid::try_parse(incarnation).ok().filter(|_| incarnation.len() == 32)?;
    Some((number.parse().ok().filter(|_| is_number)?, Incarnation(incarnation)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_and_a_version_are_read_as_they_are_written() {
        let incarnation = Incarnation(Uuid::from_u128(0x0123_4567_89ab));
        let place = LogPlace { incarnation, position: Position(4711) };
        assert_eq!(place.to_string(), "4711.00000000000000000000".to_owned() + "0123456789ab");
        assert_eq!(place.to_string().parse(), Ok(place));
        let version = StreamVersion { incarnation, number: 3 };
        assert_eq!(version.to_string().parse(), Ok(version));
        assert!("0".parse::<LogPlace>().is_ok_and(LogPlace::is_beginning));

        let id = incarnation.to_string();
        let hyphenated = incarnation.0.to_string();
        for bad in ["", "4711", ".", "x", "+1.", "-1."] {
            assert_eq!(bad.parse::<LogPlace>(), Err(InvalidLogPlace), "{bad}");
            let bad = format!("{bad}{id}");
            assert_eq!(bad.parse::<LogPlace>(), Err(InvalidLogPlace), "{bad}");
        }
        for bad in [format!("1.{hyphenated}"), format!("{}.{id}", u64::MAX), "0.".to_owned()] {
            assert_eq!(bad.parse::<LogPlace>(), Err(InvalidLogPlace), "{bad}");
        }
        for bad in ["3", "0", "*", ""] {
            assert_eq!(bad.parse::<StreamVersion>(), Err(InvalidStreamVersion), "{bad}");
        }
    }
}
