//! What is found on a board: a class of the DeepPCB vocabulary, a box, and how sure the network is.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Invalid;

/// The six defect classes of a bare copper layer, as DeepPCB (Tang et al., 2019) names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DefectClass {
    /// A trace that is interrupted.
    Open,
    /// Copper that joins two nets.
    Short,
    /// A bite out of a trace or pad that leaves it connected.
    Mousebite,
    /// A copper protrusion that reaches no other net.
    Spur,
    /// A spurious island of copper on the substrate.
    Copper,
    /// A hole inside copper.
    PinHole,
}

impl DefectClass {
    /// Every class, in the order of the network's outputs after background.
    pub const ALL: [Self; 6] =
        [Self::Open, Self::Short, Self::Mousebite, Self::Spur, Self::Copper, Self::PinHole];

    /// The class's name on the wire, in manifests and in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Short => "short",
            Self::Mousebite => "mousebite",
            Self::Spur => "spur",
            Self::Copper => "copper",
            Self::PinHole => "pin-hole",
        }
    }
}

impl fmt::Display for DefectClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for DefectClass {
    type Err = Invalid;

    fn from_str(name: &str) -> Result<Self, Invalid> {
        Self::ALL.into_iter().find(|class| class.as_str() == name).ok_or_else(|| {
            Invalid::new("class", "must be one of open, short, mousebite, spur, copper, pin-hole")
        })
    }
}

/// An axis-aligned box in pixels of the picture, origin at the top left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PixelBox {
    /// Left edge, pixels from the picture's left.
    pub x: u32,
    /// Top edge, pixels from the picture's top.
    pub y: u32,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
}

impl PixelBox {
    /// Intersection over union with `other`, 0 to 1.
    #[must_use]
    pub fn iou(&self, other: &Self) -> f32 {
        let overlap = |a: u32, a_len: u32, b: u32, b_len: u32| {
            (a + a_len).min(b + b_len).saturating_sub(a.max(b)) as f32
        };
        let shared = overlap(self.x, self.width, other.x, other.width)
            * overlap(self.y, self.height, other.y, other.height);
        let union = self.area() + other.area() - shared;
        if union > 0.0 { shared / union } else { 0.0 }
    }

    fn area(&self) -> f32 {
        self.width as f32 * self.height as f32
    }
}

/// How sure the network is, 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f32", into = "f32")]
pub struct Confidence(f32);

impl Confidence {
    /// One half.
    pub const HALF: Self = Self(0.5);
    /// One quarter.
    pub const QUARTER: Self = Self(0.25);

    /// # Errors
    /// When `value` is not a number from 0 to 1.
    pub fn new(value: f32) -> Result<Self, Invalid> {
        if (0.0..=1.0).contains(&value) {
            Ok(Self(value))
        } else {
            Err(Invalid::new("confidence", "must be a number from 0 to 1"))
        }
    }

    /// The number, 0 to 1.
    #[must_use]
    pub const fn get(self) -> f32 {
        self.0
    }
}

impl TryFrom<f32> for Confidence {
    type Error = Invalid;

    fn try_from(value: f32) -> Result<Self, Invalid> {
        Self::new(value)
    }
}

impl From<Confidence> for f32 {
    fn from(confidence: Confidence) -> Self {
        confidence.0
    }
}

/// One finding of the network on one picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Defect {
    /// What it is.
    pub class: DefectClass,
    /// How sure the network is.
    pub confidence: Confidence,
    /// Where it is, in pixels of the test picture.
    #[serde(rename = "box")]
    pub bounds: PixelBox,
}
