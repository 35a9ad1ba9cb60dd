//! How a picture was compared, and what such a comparison finds and may not find: a pass says no more.
//!
//! Invariant: what a report says of a limit never changes, so a method is its limit. Whoever changes what is
//! found gives the method another word.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::PixelScale;
use crate::vocabulary::vocabulary;

vocabulary! {
    /// How a picture was compared with its golden sample.
    pub enum ComparisonMethod ("method") {
        /// Copper against copper: both pictures in black and white.
        Copper = "copper",
        /// Level by level: both photographs in one light.
        Levels = "levels",
    }
}

/// What a comparison finds, and what it may not find, in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DetectionLimit {
    /// What it finds.
    pub finds: String,
    /// What it may not find.
    pub may_miss: String,
}

/// Where the recipe and good boards say so, every method tolerates more.
const TOLERATED: &str = "more in tolerated zones and where accepted boards differ";

impl ComparisonMethod {
    /// The method in words.
    #[must_use]
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Copper => "copper against copper, in black and white",
            Self::Levels => "level by level",
        }
    }

    /// Its limit in pixels, and in millimetres of a picture of this scale. The figures are measured:
    /// `docs/detector.md` has those of copper, `docs/photographs.md` those of levels.
    #[must_use]
    pub fn detection_limit(self, scale: Option<PixelScale>) -> DetectionLimit {
        let px = |pixels| Length { pixels, scale };
        match self {
            Self::Copper => DetectionLimit {
                finds: format!(
                    "copper that is joined or parted over {five} or more, however thin; copper too many or \
                     too few that holds a square of {five} a side; of what is smaller, from {three} across, \
                     what the network names",
                    five = px(5),
                    three = px(3)
                ),
                may_miss: format!(
                    "copper that is joined or parted over less than {five}; what is less than {three} across; \
                     what lies within {six} of the border; what shows neither as copper nor as substrate; \
                     {TOLERATED}",
                    five = px(5),
                    three = px(3),
                    six = px(6)
                ),
            },
            Self::Levels => DetectionLimit {
                finds: format!(
                    "what is lighter or darker than the golden sample: by 20 of 255 levels from {six} across \
                     on plain places and from {ten} beside edges; by 40 levels from {four} and from {six}",
                    four = px(4),
                    six = px(6),
                    ten = px(10)
                ),
                may_miss: format!(
                    "what is fainter or smaller; what is lighter where the golden sample is clipped to white; \
                     what lies along the border, which is not inspected; {TOLERATED}"
                ),
            },
        }
    }
}

/// A length in a picture, and on the board where the scale is known.
struct Length {
    pixels: u8,
    scale: Option<PixelScale>,
}

/// More digits are nobody's.
const DECIMALS_MAX: usize = 6;

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} px", self.pixels)?;
        let Some(scale) = self.scale else { return Ok(()) };
        let millimetres = f64::from(self.pixels) / f64::from(scale.get());
        // Two digits, counted without a logarithm: the same on every machine.
        let (mut decimals, mut shifted) = (0, millimetres);
        while shifted < 10.0 && decimals < DECIMALS_MAX {
            shifted *= 10.0;
            decimals += 1;
        }
        write!(f, " ({millimetres:.decimals$} mm)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finds(method: ComparisonMethod, scale: Option<f32>) -> String {
        let scale = scale.map(|scale| PixelScale::new(scale).unwrap());
        method.detection_limit(scale).finds
    }

    #[test]
    fn a_limit_is_in_pixels_and_in_millimetres_where_the_scale_is_known() {
        let unknown = finds(ComparisonMethod::Levels, None);
        assert!(unknown.contains("from 6 px across on plain places and from 10 px beside edges"));
        let known = finds(ComparisonMethod::Levels, Some(40.0));
        assert!(known.contains("from 6 px (0.15 mm) across on plain places"), "{known}");
        assert!(known.contains("from 10 px (0.25 mm) beside edges"), "{known}");
        let known = finds(ComparisonMethod::Copper, Some(0.1));
        assert!(known.contains("over 5 px (50 mm) or more"), "{known}");
        let known = finds(ComparisonMethod::Copper, Some(10_000.0));
        assert!(known.contains("a square of 5 px (0.00050 mm) a side"), "{known}");
    }

    #[test]
    fn every_method_says_what_it_may_not_find() {
        for method in ComparisonMethod::ALL {
            let limit = method.detection_limit(None);
            assert!(limit.may_miss.contains("border") && limit.may_miss.contains(TOLERATED));
        }
    }
}
