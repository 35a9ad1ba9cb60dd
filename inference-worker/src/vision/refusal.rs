//! Why two pictures that do not register do not: another part, or the part out of place.

use std::fmt;

use super::Incomparable;
use super::bits::Bits;

/// Where the part was found instead of where it may lie.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Misplacement {
    /// Moved farther than registration follows; pixels to the right and down.
    Moved {
        /// To the right.
        dx: i32,
        /// Down.
        dy: i32,
    },
    /// Turned by so many degrees, clockwise.
    Turned(i32),
    /// Copper and substrate are exchanged.
    Inverted,
}

impl fmt::Display for Misplacement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Moved { dx, dy } => write!(f, "moved by about {dx:+} {dy:+} pixels"),
            Self::Turned(degrees) => write!(f, "turned by about {degrees} degrees"),
            Self::Inverted => f.write_str("with copper and substrate exchanged"),
        }
    }
}

/// Names the reason why `test` agrees with `golden` by `score` only.
pub(super) fn why(_test: &Bits, _golden: &Bits, score: f32) -> Incomparable {
    Incomparable::NotRegistered { score }
}
