//! What is found on a board: a class of the DeepPCB vocabulary, a box, and how sure the network is.

use serde::{Deserialize, Serialize};

use crate::Invalid;
use crate::vocabulary::vocabulary;

vocabulary! {
    /// The six defect classes of a bare copper layer, as DeepPCB (Tang et al., 2019) names them, and
    /// the one of its holes, in the order of the network's outputs after background.
    pub enum DefectClass ("class") {
        /// A trace that is interrupted.
        Open = "open",
        /// Copper that joins two nets.
        Short = "short",
        /// A bite out of a trace or pad that leaves it connected.
        Mousebite = "mousebite",
        /// A copper protrusion that reaches no other net.
        Spur = "spur",
        /// A spurious island of copper on the substrate.
        Copper = "copper",
        /// A hole inside copper.
        PinHole = "pin-hole",
        /// A hole that was not drilled, or is closed; photographs show it.
        MissingHole = "missing-hole",
    }
}

impl DefectClass {
    /// The classes of a copper layer: those of binarised pictures.
    pub const OF_COPPER: [Self; 6] =
        [Self::Open, Self::Short, Self::Mousebite, Self::Spur, Self::Copper, Self::PinHole];
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
        // Wider than u32, because a stored box may end beyond the last pixel that u32 counts.
        let overlap = |a: u32, a_len: u32, b: u32, b_len: u32| {
            let end = (u64::from(a) + u64::from(a_len)).min(u64::from(b) + u64::from(b_len));
            end.saturating_sub(u64::from(a.max(b))) as f64
        };
        let shared = overlap(self.x, self.width, other.x, other.width)
            * overlap(self.y, self.height, other.y, other.height);
        let union = self.pixel_area() + other.pixel_area() - shared;
        if union > 0.0 { (shared / union) as f32 } else { 0.0 }
    }

    fn pixel_area(&self) -> f64 {
        f64::from(self.width) * f64::from(self.height)
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn square(x: u32, y: u32, side: u32) -> PixelBox {
        PixelBox { x, y, width: side, height: side }
    }

    #[test]
    fn a_class_reads_back_from_its_name_and_is_stored_by_it() {
        for class in DefectClass::ALL {
            assert_eq!(class.to_string().parse::<DefectClass>().unwrap(), class);
            assert_eq!(serde_json::to_value(class).unwrap(), class.as_str());
        }
        for wrong in ["", "pinhole", "Open", "spurious-copper"] {
            assert!(wrong.parse::<DefectClass>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_classes_stand_in_the_order_of_the_networks_outputs() {
        let names = DefectClass::ALL.map(DefectClass::as_str);
        let deeppcb = ["open", "short", "mousebite", "spur", "copper", "pin-hole"];
        assert_eq!(names[..6], deeppcb);
        assert_eq!(names[6..], ["missing-hole"]);
        assert_eq!(DefectClass::OF_COPPER.map(DefectClass::as_str), deeppcb);
        assert_eq!(DefectClass::ALL.map(|class| class as usize), [0, 1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn intersection_over_union_is_what_two_squares_share() {
        let one = square(10, 10, 4);
        assert_eq!(one.iou(&one), 1.0);
        assert_eq!(one.iou(&square(12, 10, 4)), 8.0 / 24.0);
        assert_eq!(one.iou(&square(11, 11, 2)), 4.0 / 16.0, "one within the other");
        assert_eq!(one.iou(&square(14, 10, 4)), 0.0, "they touch");
        assert_eq!(one.iou(&square(50, 50, 4)), 0.0, "they are apart");
    }

    #[test]
    fn a_box_without_area_overlaps_nothing_not_even_itself() {
        let empty = square(10, 10, 0);
        assert_eq!(empty.iou(&empty), 0.0);
        assert_eq!(empty.iou(&square(5, 5, 20)), 0.0);
    }

    #[test]
    fn boxes_that_reach_beyond_any_picture_do_not_overflow() {
        let huge = square(u32::MAX, u32::MAX, u32::MAX);
        assert_eq!(huge.iou(&huge), 1.0);
        assert_eq!(huge.iou(&square(0, 0, u32::MAX)), 0.0);
    }

    #[test]
    fn a_confidence_is_a_number_from_0_to_1() {
        for value in [0.0, 0.25, 1.0] {
            assert_eq!(Confidence::new(value).unwrap().get(), value);
        }
        for value in [-0.01, 1.01, f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let refused = Confidence::new(value).unwrap_err().to_string();
            assert_eq!(refused, "confidence must be a number from 0 to 1");
        }
        assert!(serde_json::from_str::<Confidence>("1.5").is_err());
        assert!(serde_json::from_str::<Confidence>("null").is_err());
    }

    fn any_box() -> impl Strategy<Value = PixelBox> {
        let near = (0..12_u32, 0..12_u32, 0..12_u32, 0..12_u32);
        let anywhere = (any::<u32>(), any::<u32>(), any::<u32>(), any::<u32>());
        prop_oneof![near, anywhere].prop_map(|(x, y, width, height)| PixelBox {
            x,
            y,
            width,
            height,
        })
    }

    proptest! {
        #[test]
        fn intersection_over_union_is_from_0_to_1_and_the_same_both_ways(
            a in any_box(),
            b in any_box(),
        ) {
            prop_assert!((0.0..=1.0).contains(&a.iou(&b)));
            prop_assert_eq!(a.iou(&b), b.iou(&a));
            let itself = if a.width > 0 && a.height > 0 { 1.0 } else { 0.0 };
            prop_assert_eq!(a.iou(&a), itself);
        }
    }
}
