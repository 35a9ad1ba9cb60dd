//! The colours of what is marked on pictures, the same on every face of a result: dark enough to print in grey and
//! to carry white text; after Okabe and Ito (2008), so that the colour-blind can tell them apart.

use std::collections::BTreeMap;

use domain::DefectClass;
use serde::Serialize;

/// Red, green and blue.
pub(crate) type Colour = [u8; 3];

/// Text, and what no class names.
pub(crate) const INK: Colour = [0x1b, 0x1f, 0x24];
/// What was not compared.
pub(crate) const UNCOVERED: Colour = [0x8a, 0x61, 0x00];
/// What was not to be inspected.
pub(crate) const EXCLUDED: Colour = [0x5a, 0x62, 0x6c];

/// The colour of a class of defects.
pub(crate) const fn class_colour(class: DefectClass) -> Colour {
    match class {
        DefectClass::Open => [0x00, 0x65, 0xa3],
        DefectClass::Short => [0xb8, 0x43, 0x00],
        DefectClass::Mousebite => [0x9c, 0x3f, 0x74],
        DefectClass::Spur => [0x00, 0x73, 0x5a],
        DefectClass::Copper => [0x8a, 0x61, 0x00],
        DefectClass::PinHole => [0x4b, 0x3f, 0x9e],
        DefectClass::MissingHole => [0xa3, 0x12, 0x3f],
    }
}

#[derive(Serialize)]
struct PaletteFile {
    ink: String,
    uncovered: String,
    excluded: String,
    classes: BTreeMap<&'static str, String>,
}

/// All of them, as `#rrggbb`, for the template of reports.
///
/// # Errors
/// Never: names and strings serialise.
pub(crate) fn to_json() -> serde_json::Result<Vec<u8>> {
    let classes = DefectClass::ALL.map(|class| (class.as_str(), to_hex(class_colour(class))));
    serde_json::to_vec(&PaletteFile {
        ink: to_hex(INK),
        uncovered: to_hex(UNCOVERED),
        excluded: to_hex(EXCLUDED),
        classes: classes.into(),
    })
}

fn to_hex([red, green, blue]: Colour) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}
