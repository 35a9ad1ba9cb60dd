//! What a part and the station that photographs it look like.

use crate::random::Random;

/// The colour of the solder mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaskColour {
    /// As most boards are.
    Green,
    /// Copper is lighter under it.
    Blue,
    /// Copper is lighter under it.
    Red,
    /// Copper can hardly be told from substrate.
    Black,
}

impl MaskColour {
    /// Colours (sRGB) of copper and of substrate under the mask.
    pub(super) const fn tones(self) -> [[u8; 3]; 2] {
        match self {
            Self::Green => [[8, 104, 26], [5, 48, 14]],
            Self::Blue => [[30, 74, 158], [12, 32, 84]],
            Self::Red => [[164, 34, 32], [88, 16, 20]],
            Self::Black => [[58, 58, 60], [28, 29, 31]],
        }
    }
}

/// What covers the pads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PadFinish {
    /// Hot tin: uneven domes, grey.
    Tin,
    /// Gold: flat, warm.
    Gold,
}

/// What one sees through the holes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backdrop {
    /// A dark table.
    Dark,
    /// A light table.
    Light,
    /// Nothing: they are filled with solder, which shines.
    Solder,
}

/// How a part looks on photographs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BoardStyle {
    /// Width of the photographs in pixels, 256 to 4,096.
    pub width: u32,
    /// Height of the photographs in pixels, 256 to 4,096.
    pub height: u32,
    /// The solder mask.
    pub mask: MaskColour,
    /// The pads.
    pub finish: PadFinish,
    /// Behind the board.
    pub backdrop: Backdrop,
    /// Specks of dust a megapixel; a third as many fibres.
    pub dust: u32,
    /// How much pieces differ from each other: 0 only in grain and dust; 0.5 as from one production, which
    /// is usual here; 1 as from several.
    pub spread: f32,
}

impl BoardStyle {
    /// The style of this seed: mostly green boards with tinned pads.
    #[must_use]
    pub fn from_seed(seed: u64, width: u32, height: u32) -> Self {
        let mut random = Random::new(&[seed, 0x7374_796c]);
        let green = MaskColour::Green;
        Self {
            width: width.clamp(256, 4096),
            height: height.clamp(256, 4096),
            mask: random.pick([
                green,
                green,
                green,
                green,
                MaskColour::Blue,
                MaskColour::Red,
                MaskColour::Black,
            ]),
            finish: random.pick([PadFinish::Tin, PadFinish::Tin, PadFinish::Gold]),
            backdrop: random.pick([Backdrop::Dark, Backdrop::Light]),
            dust: 6,
            spread: 0.5,
        }
    }
}
