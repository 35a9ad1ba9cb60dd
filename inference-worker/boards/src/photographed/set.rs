//! Photographs in a folder, as `manifest.json` beside `images/`: golden samples, accepted pieces, and
//! pieces under test.

use std::path::Path;

use domain::DefectClass;

use crate::camera::encode_jpeg;
use crate::manifest::{
    BoardsError, BoardsSummary, Manifest, ManifestFile, ManifestItem, begin_set, write_image,
    write_manifest,
};
use crate::random::Random;

use super::{BoardStyle, PhotographedBoard, Shot};

/// What is photographed beside the golden sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PhotographedUnits {
    /// The golden sample's own piece, shot again; flaws are put into it.
    SamePiece,
    /// Other pieces of the part.
    OtherPieces,
}

/// What a set of photographs holds.
#[derive(Debug, Clone, Copy)]
pub struct PhotographOptions {
    /// Width and height of the photographs in pixels; 256 to 4,096.
    pub size: (u32, u32),
    /// What is photographed.
    pub units: PhotographedUnits,
    /// Photographs under test of one part before the next begins.
    pub units_per_design: u32,
    /// Further good pieces of each part that are photographed.
    pub accepted: u32,
    /// Per cent of photographs under test without any flaw.
    pub clean_per_cent: u32,
    /// Most flaws on a flawed piece; at least 1 is tried.
    pub max_defects: u32,
    /// How far shots differ; see [`Shot::repeated`].
    pub reach: f32,
}

impl Default for PhotographOptions {
    fn default() -> Self {
        Self {
            size: (1200, 900),
            units: PhotographedUnits::OtherPieces,
            units_per_design: 1,
            accepted: 0,
            clean_per_cent: 0,
            max_defects: 8,
            reach: 1.0,
        }
    }
}

/// Quality of the JPEG files.
const QUALITY: u8 = 92;
/// The golden sample's number; accepted pieces follow, then pieces under test.
const GOLDEN_PIECE: u64 = 0;

/// Writes `count` photographs under test into `out`, with golden samples and accepted pieces. Equal
/// arguments write equal files.
///
/// # Errors
/// When a folder or file cannot be written.
pub fn write_photographs(
    count: u64,
    seed: u64,
    options: &PhotographOptions,
    out: &Path,
) -> Result<BoardsSummary, BoardsError> {
    begin_set(out)?;
    let per_design = u64::from(options.units_per_design.max(1));
    let mut items = Vec::new();
    for number in 0..count.div_ceil(per_design) {
        let part = PhotographedPart::new(number, seed, options);
        let template = part.write_shot("temp", GOLDEN_PIECE, &part.station, out)?;
        let accepted: Vec<ManifestFile> = (1..=u64::from(options.accepted))
            .map(|piece| {
                let shot = part.station.repeated(piece, options.reach);
                part.write_shot(&format!("accepted{piece:02}"), piece, &shot, out)
            })
            .collect::<Result<_, _>>()?;
        for unit in number * per_design..count.min((number + 1) * per_design) {
            items.push(part.write_unit(unit, &template, &accepted, out)?);
        }
    }
    let manifest = Manifest {
        dataset: "chipq generated photographs".to_owned(),
        source: format!("chipq generate-boards --photographs --count {count} --seed {seed}"),
        licence: "MIT".to_owned(),
        image_size: Some([options.size.0, options.size.1]),
        classes: DefectClass::ALL.map(|class| class.as_str().to_owned()).to_vec(),
        count,
        items,
    };
    write_manifest(out, &manifest)
}

/// One part of a set, and the station that photographs it.
struct PhotographedPart<'a> {
    name: String,
    board: PhotographedBoard,
    station: Shot,
    options: &'a PhotographOptions,
}

impl<'a> PhotographedPart<'a> {
    fn new(number: u64, seed: u64, options: &'a PhotographOptions) -> Self {
        let seed = Random::new(&[seed, number, 0x7068_6f74]).next();
        let style = BoardStyle::from_seed(seed, options.size.0, options.size.1);
        let board = PhotographedBoard::new(seed, style);
        let station = Shot::for_station(seed);
        Self { name: format!("part{number:05}"), board, station, options }
    }

    /// A good piece.
    fn write_shot(
        &self,
        what: &str,
        piece: u64,
        shot: &Shot,
        out: &Path,
    ) -> Result<ManifestFile, BoardsError> {
        let picture = self.board.piece(piece).photograph(shot).picture;
        write_image(out, &format!("{}_{what}.jpg", self.name), &encode_jpeg(&picture, QUALITY)?)
    }

    /// A piece under test.
    fn write_unit(
        &self,
        unit: u64,
        template: &ManifestFile,
        accepted: &[ManifestFile],
        out: &Path,
    ) -> Result<ManifestItem, BoardsError> {
        let mut random = Random::new(&[self.station.seed, unit, 0x756e_6974]);
        let clean = random.between(1, 100) <= super::signed(self.options.clean_per_cent);
        let most = super::signed(self.options.max_defects.max(1));
        let count = if clean { 0 } else { random.between(1, most).unsigned_abs() as usize };
        let number = u64::from(self.options.accepted) + 1 + unit;
        let piece = match self.options.units {
            PhotographedUnits::SamePiece => GOLDEN_PIECE,
            PhotographedUnits::OtherPieces => number,
        };
        let shot = self.station.repeated(number, self.options.reach);
        let photograph = self.board.flawed_piece(piece, unit, count).photograph(&shot);
        let bytes = encode_jpeg(&photograph.picture, QUALITY)?;
        Ok(ManifestItem {
            id: format!("{unit:08}"),
            split: "test".to_owned(),
            group: self.name.clone(),
            test: write_image(out, &format!("{unit:08}_test.jpg"), &bytes)?,
            template: template.clone(),
            variants: Vec::new(),
            accepted: accepted.to_vec(),
            boxes: photograph.labels,
        })
    }
}
