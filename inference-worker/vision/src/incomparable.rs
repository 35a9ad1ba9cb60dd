//! Why a picture is not compared: an outcome of its own, with what to do about it in words.

use std::fmt;

use domain::{NotComparable, PixelBox};

use super::{
    CANDIDATES_PER_MEGAPIXEL, MAX_CANDIDATES, MAX_DIFFERING, MIN_SCORE, MIN_SIDE,
    PANEL_CANDIDATES_MAX,
};

/// Why a picture could not be compared with its golden sample.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Incomparable {
    /// The two pictures differ in size.
    #[error("the picture is {picture:?} pixels and the golden sample {golden:?}")]
    SizeMismatch {
        /// Width and height of the picture.
        picture: (u32, u32),
        /// Width and height of the golden sample.
        golden: (u32, u32),
    },
    /// A picture is smaller than a crop.
    #[error("the picture is smaller than {MIN_SIDE} × {MIN_SIDE} pixels")]
    TooSmall,
    /// The picture or the golden sample is all copper or all substrate.
    #[error("the {0} shows nothing: it is all of one brightness")]
    Blank(&'static str),
    /// The picture does not fit the golden sample anywhere near.
    #[error("the picture agrees with the golden sample by {score:.2} only; {MIN_SCORE} is needed")]
    NotRegistered {
        /// The best agreement, 0 to 1.
        score: f32,
    },
    /// Registration bends the golden sample farther than a board of the part may bend.
    #[error(
        "the picture fits the golden sample only when that is bent by {bend:.1} pixels; up to \
         {allowed} are tolerated: lay the board flat and look straight at it"
    )]
    Bent {
        /// How far, pixels.
        bend: f32,
        /// How far it may be, pixels.
        allowed: f32,
    },
    /// The picture shows the part, and not where it may lie.
    #[error("the picture shows the part {0}")]
    Misplaced(Misplacement),
    /// The picture has structure, and agrees with the golden sample no better than another part.
    #[error("the picture shows another part: it agrees with the golden sample by {score:.2} only")]
    WrongPart {
        /// The best agreement, 0 to 1.
        score: f32,
    },
    /// The picture is more blurred than its golden sample.
    #[error("edges are {edge:.1} pixels wide, in the golden sample {golden:.1}: focus the camera")]
    OutOfFocus {
        /// Width of the picture's edges in pixels.
        edge: f32,
        /// Width of the golden sample's edges in pixels.
        golden: f32,
    },
    /// The picture is more blurred than its golden sample, by a Gaussian of this sigma in pixels.
    #[error(
        "the picture is blurred by {sigma:.1} pixels more than the golden sample: focus the camera"
    )]
    Blurred {
        /// Sigma of the blur in pixels.
        sigma: f32,
    },
    /// A part of the picture is more blurred than the rest.
    #[error(
        "{share} per cent of the picture's edges are blurred: focus the camera, level the board"
    )]
    PartlyBlurred {
        /// Per cent of the edges.
        share: u8,
    },
    /// Copper and substrate can hardly be told apart: too dark, too bright, or no board there.
    #[error(
        "copper and substrate differ by {levels} of 255 levels only, {needed} are needed: check \
         light and exposure of the {which}"
    )]
    Exposure {
        /// Which picture.
        which: &'static str,
        /// Levels between copper and substrate.
        levels: u8,
        /// The fewest that do.
        needed: u8,
    },
    /// One picture is colour, grey or binarised, and the other is not.
    #[error("the picture is {picture} and the golden sample is {golden}: take both in one way")]
    OtherKind {
        /// What the picture is.
        picture: &'static str,
        /// What the golden sample is.
        golden: &'static str,
    },
    /// A picture of the golden set shows another part, or differs from the golden sample nearly everywhere.
    #[error(
        "agrees with the golden sample in too few places, by {score:.2} on the whole: it shows another part, or \
         is a variant"
    )]
    Unlike {
        /// The agreement, 0 to 1.
        score: f32,
    },
    /// A picture of the golden set cannot stand beside the golden sample; nothing is wrong with the board.
    #[error("{member}: {cause}")]
    Member {
        /// Which.
        member: SetMember,
        /// Why not.
        cause: Box<Incomparable>,
    },
    /// An accepted board differs in one place by so much that it is a flaw, or another variant.
    #[error(
        "differs grossly in one place, {} × {} pixels at x {}, y {}, where it is no good board; leave it \
         out, or register it as a variant",
        bounds.width, bounds.height, bounds.x, bounds.y
    )]
    GrosslyDeviating {
        /// Where, in pixels of the golden sample.
        bounds: PixelBox,
    },
    /// Accepted boards differ over so much of the area that flaws would go unseen.
    #[error(
        "{:.1} per cent of the area would be tolerated with it, and flaws go unseen there: leave it out, or \
         register it as a variant",
        share * 100.0
    )]
    WidelyDeviating {
        /// The part of the area, 0 to 1.
        share: f64,
    },
    /// So much differs that single defects mean nothing.
    #[error(
        "more than {MAX_CANDIDATES} places ({} a megapixel of a panel, {} in all) or {MAX_DIFFERING} of \
         all pixels differ",
        CANDIDATES_PER_MEGAPIXEL,
        PANEL_CANDIDATES_MAX
    )]
    TooManyDifferences,
}

impl Incomparable {
    /// The reason as the domain names it.
    #[must_use]
    pub fn reason(&self) -> NotComparable {
        match self {
            Self::SizeMismatch { .. } => NotComparable::SizeMismatch,
            Self::TooSmall
            | Self::Blank(_)
            | Self::Exposure { .. }
            | Self::OtherKind { .. }
            | Self::Misplaced(_)
            | Self::Bent { .. }
            | Self::NotRegistered { .. } => NotComparable::NotRegistered,
            Self::WrongPart { .. } | Self::Unlike { .. } => NotComparable::WrongPart,
            Self::OutOfFocus { .. } | Self::Blurred { .. } | Self::PartlyBlurred { .. } => {
                NotComparable::OutOfFocus
            }
            Self::Member { cause, .. } => cause.reason(),
            Self::GrosslyDeviating { .. }
            | Self::WidelyDeviating { .. }
            | Self::TooManyDifferences => NotComparable::TooManyDifferences,
        }
    }
}

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
    /// In its place, but turned a little, or stretched, beyond what registration follows.
    Distorted,
    /// Turned by so many degrees, clockwise.
    Turned(i32),
    /// Copper and substrate are exchanged.
    Inverted,
    /// Only a part of the picture agrees, in per cent of its area.
    Partly(u8),
}

impl fmt::Display for Misplacement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Moved { dx, dy } => write!(f, "moved by about {dx:+} {dy:+} pixels"),
            Self::Distorted => f.write_str("in its place, and turned or stretched too much"),
            Self::Turned(degrees) => write!(f, "turned by about {degrees} degrees"),
            Self::Inverted => f.write_str("with copper and substrate exchanged"),
            Self::Partly(share) => write!(f, "on {share} per cent of its area only"),
        }
    }
}

/// A picture of a golden set besides the golden sample in force; numbered from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetMember {
    /// A golden sample that stands beside it.
    Variant(u32),
    /// A good board.
    AcceptedBoard(u32),
}

impl fmt::Display for SetMember {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variant(number) => write!(f, "variant {number} of the golden sample"),
            Self::AcceptedBoard(number) => write!(f, "accepted board {number}"),
        }
    }
}
