//! What is seen: each picture with numbered boxes and what of it was not compared, each mark's crop and
//! the golden sample's.
//!
//! Invariant: both crops of a mark show the same place of the board at the same scale: the
//! golden sample's is shifted by the registration.

use std::borrow::Cow;
use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::report::{Outcome, Report, ReportArtifact};
use domain::{ArtifactId, PixelBox, Sha256};
use serde::Serialize;

use super::marks::{Mark, marks_on_picture, marks_with_cards};
use super::raster::{EncodedPicture, Raster};
use super::{MAX_PICTURES, Pictures, ReportPdfError, golden_shown};
use crate::labels::{PlacedRect, place_labels};

/// The room for a picture, in points: A4 between its margins.
const BOARD_WIDTH: f64 = 493.2;
const BOARD_HEIGHT: f64 = 372.0;
/// What the first picture leaves to each rule in the banner beyond the first three, so that both
/// fit on the first page, in points.
const RULE_HEIGHT: f64 = 14.0;
const RULES_FREE: usize = 3;
const BOARD_HEIGHT_MIN: f64 = 230.0;
/// The label of a mark, in points: its height, and its width without its digits and for each of them.
const LABEL_HEIGHT: f64 = 8.5;
const LABEL_PADDING: f64 = 3.5;
const LABEL_DIGIT_WIDTH: f64 = 4.3;
/// The least context around a finding, in pixels.
const MARGIN: u32 = 16;
/// The least and the most a crop shows, in pixels.
const CROP_SIDE: (u32, u32) = (48, 2_048);
/// The largest believable offset between a picture and its golden sample, in pixels.
const OFFSET_MAX: f32 = 65_536.0;

/// A picture among the report's virtual files.
#[derive(Serialize)]
pub(super) struct EmbeddedFile {
    file: String,
    encoding: &'static str,
    width: u32,
    height: u32,
}

/// A picture, or why there is none.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum PictureView {
    Shown(EmbeddedFile),
    Absent(Cow<'static, str>),
}

/// One picture of the board with its boxes, in points.
#[derive(Serialize)]
pub(super) struct BoardView {
    sight: PictureView,
    width: f64,
    height: f64,
    boxes: Vec<BoxView>,
    /// Marks on this picture that are not drawn.
    undrawn: usize,
    /// What of it was not compared.
    uncovered: Vec<PlacedRect>,
    /// What of it was not inspected, on purpose.
    excluded: Vec<PlacedRect>,
    /// When its file was given up.
    #[serde(skip)]
    pub(super) retired_at: Option<DateTime<Utc>>,
}

#[derive(Serialize)]
struct BoxView {
    number: String,
    name: &'static str,
    grade: &'static str,
    bounds: PlacedRect,
    label: PlacedRect,
}

/// A mark's two crops; the box in parts of their side.
#[derive(Serialize)]
pub(super) struct CardView {
    test: PictureView,
    golden: PictureView,
    bounds: PlacedRect,
    /// What each crop shows, in pixels each way.
    side: u32,
    /// The length of the scale bar, in pixels.
    bar: u32,
}

/// Everything seen, with the files it refers to.
pub(super) struct Evidence {
    /// One for each of the first [`MAX_PICTURES`] pictures.
    pub(super) boards: Vec<BoardView>,
    /// One for each of [`marks_with_cards`].
    pub(super) cards: Vec<CardView>,
    pub(super) files: BTreeMap<String, Vec<u8>>,
}

impl Evidence {
    fn keep_file(&mut self, file: String, encoded: EncodedPicture) -> PictureView {
        let EncodedPicture { encoding, width, height, data } = encoded;
        self.files.insert(file.clone(), data);
        PictureView::Shown(EmbeddedFile { file, encoding, width, height })
    }
}

type DecodedPicture = Result<Raster, Cow<'static, str>>;

/// Looks at every picture of `report` that is at hand.
pub(super) fn collect_evidence(
    report: &Report,
    pictures: &Pictures,
) -> Result<Evidence, ReportPdfError> {
    let (boards, cards) = (Vec::new(), Vec::new());
    let mut evidence = Evidence { boards, cards, files: BTreeMap::new() };
    let marks = marks_with_cards(report);
    let mut cards: Vec<Option<CardView>> = marks.iter().map(|_| None).collect();
    for (artifact, index) in report.artifacts.iter().take(MAX_PICTURES).zip(1..) {
        let test = test_picture(artifact, pictures)?;
        let golden = match golden_shown(report, artifact) {
            Some((id, sha256)) => decode_picture(pictures, id, sha256)?,
            None => Err("no golden sample".into()),
        };
        let rules = if index == 1 { report.rules.len() } else { 0 };
        let marked = marks_on_picture(report, artifact.artifact_id);
        let retired_at = pictures.retired_at(artifact.artifact_id);
        let mut board = draw_board(&mut evidence, (&test, index), board_height(rules), marked);
        board.shade_unseen(artifact, &test);
        board.retired_at = retired_at;
        evidence.boards.push(board);
        for (mark, card) in marks.iter().zip(&mut cards) {
            if mark.artifact_id == artifact.artifact_id {
                *card = Some(draw_card(&mut evidence, (&test, &golden), artifact, mark));
            }
        }
    }
    for (mark, card) in marks.iter().zip(cards) {
        evidence.cards.push(card.unwrap_or_else(|| {
            let absent = || PictureView::Absent("picture not shown".into());
            CropSquare::around_box(mark.bounds).to_card(absent(), absent())
        }));
    }
    Ok(evidence)
}

fn test_picture(
    artifact: &ReportArtifact,
    pictures: &Pictures,
) -> Result<DecodedPicture, ReportPdfError> {
    let Some(picture) = &artifact.picture else { return Ok(Err("never uploaded".into())) };
    let test = decode_picture(pictures, artifact.artifact_id, picture.sha256)?;
    let size = (picture.width, picture.height);
    Ok(test.and_then(|raster| {
        if raster.pixel_size() == size {
            Ok(raster)
        } else {
            Err("not of the size in the report".into())
        }
    }))
}

fn decode_picture(
    pictures: &Pictures,
    id: ArtifactId,
    sha256: Sha256,
) -> Result<DecodedPicture, ReportPdfError> {
    let Some(file) = pictures.verified_file(id, sha256)? else {
        return Ok(Err(match pictures.retired_at(id) {
            Some(at) => format!("retired on {}", at.format("%Y-%m-%d")).into(),
            None => "picture not available".into(),
        }));
    };
    Ok(Raster::decode(file).ok_or_else(|| "picture does not decode".into()))
}

fn place_picture(
    evidence: &mut Evidence,
    seen: &DecodedPicture,
    file: String,
    encode: impl FnOnce(&Raster) -> Option<EncodedPicture>,
) -> PictureView {
    match seen {
        Err(reason) => PictureView::Absent(reason.clone()),
        Ok(raster) => match encode(raster) {
            Some(encoded) => evidence.keep_file(file, encoded),
            None => PictureView::Absent("picture not available".into()),
        },
    }
}

/// The room for the picture under a banner with so many rules.
fn board_height(rules: usize) -> f64 {
    let taken = RULE_HEIGHT * rules.saturating_sub(RULES_FREE) as f64;
    (BOARD_HEIGHT - taken).max(BOARD_HEIGHT_MIN)
}

fn draw_board(
    evidence: &mut Evidence,
    (test, index): (&DecodedPicture, usize),
    height_max: f64,
    (marks, undrawn): (Vec<Mark>, usize),
) -> BoardView {
    let (width_px, height_px) = pixel_size(test);
    let (across, down) = (f64::from(width_px), f64::from(height_px));
    let scale = (BOARD_WIDTH / across).min(height_max / down);
    let (width, height) = (across * scale, down * scale);
    let label_size =
        |label: &str| (LABEL_PADDING + LABEL_DIGIT_WIDTH * label.len() as f64, LABEL_HEIGHT);
    let bounds: Vec<_> =
        marks.iter().map(|mark| (label_size(&mark.label), scale_box(mark.bounds, scale))).collect();
    let labels = place_labels(&bounds, (width, height));
    let boxes = marks.iter().zip(bounds.iter().zip(labels)).map(|(mark, ((_, bounds), label))| {
        let (number, name, grade) = (mark.label.clone(), mark.name, mark.grade);
        BoxView { number, name, grade, bounds: *bounds, label }
    });
    let boxes = boxes.collect();
    let sight = place_picture(evidence, test, format!("board-{index}"), Raster::encode_overview);
    let (uncovered, excluded) = (Vec::new(), Vec::new());
    let retired_at = None;
    BoardView { sight, width, height, boxes, undrawn, uncovered, excluded, retired_at }
}

/// At least one pixel each way.
fn pixel_size(picture: &DecodedPicture) -> (u32, u32) {
    let (width, height) = picture.as_ref().map_or((1, 1), Raster::pixel_size);
    (width.max(1), height.max(1))
}

impl BoardView {
    fn shade_unseen(&mut self, artifact: &ReportArtifact, test: &DecodedPicture) {
        let Outcome::Compared { coverage: Some(coverage), .. } = &artifact.outcome else { return };
        let scale = self.width / f64::from(pixel_size(test).0);
        let to_page = |boxes: &[PixelBox]| boxes.iter().map(|b| scale_box(*b, scale)).collect();
        self.uncovered = to_page(coverage.uncovered());
        self.excluded = to_page(coverage.excluded());
    }
}

fn scale_box(bounds: PixelBox, scale: f64) -> PlacedRect {
    let PixelBox { x, y, width, height } = bounds;
    let [x, y, width, height] = [x, y, width, height].map(|length| f64::from(length) * scale);
    PlacedRect { x, y, width, height }
}

fn draw_card(
    evidence: &mut Evidence,
    (test, golden): (&DecodedPicture, &DecodedPicture),
    artifact: &ReportArtifact,
    mark: &Mark,
) -> CardView {
    let place = CropSquare::around_box(mark.bounds);
    let number = &mark.label;
    let (dx, dy) = registration_offset(artifact);
    let (x, y) = place.origin;
    let test = place_picture(evidence, test, format!("test-{number}"), |raster| {
        Some(raster.encode_crop((x, y), place.side))
    });
    let golden = place_picture(evidence, golden, format!("golden-{number}"), |raster| {
        Some(raster.encode_crop((x - dx, y - dy), place.side))
    });
    place.to_card(test, golden)
}

/// Whole pixels by which the picture lies right of and below its golden sample.
fn registration_offset(artifact: &ReportArtifact) -> (i64, i64) {
    let whole = |pixels: f32| pixels.clamp(-OFFSET_MAX, OFFSET_MAX).round() as i64;
    match &artifact.outcome {
        Outcome::Compared { registration, .. } => (whole(registration.dx), whole(registration.dy)),
        Outcome::NotComparable { .. } | Outcome::Missing => (0, 0),
    }
}

/// The square of the picture that a card shows.
struct CropSquare {
    origin: (i64, i64),
    side: u32,
    bounds: PixelBox,
}

impl CropSquare {
    fn around_box(bounds: PixelBox) -> Self {
        let longest = bounds.width.max(bounds.height);
        let margin = MARGIN.max(longest / 2);
        let side = longest.saturating_add(margin.saturating_mul(2));
        let side = side.clamp(CROP_SIDE.0, CROP_SIDE.1);
        let start = |at: u32, length: u32| {
            i64::from(at) + (i64::from(length) - i64::from(side)).div_euclid(2)
        };
        let origin = (start(bounds.x, bounds.width), start(bounds.y, bounds.height));
        Self { origin, side, bounds }
    }

    fn to_card(&self, test: PictureView, golden: PictureView) -> CardView {
        let part = |pixels: i64| pixels as f64 / f64::from(self.side);
        let PixelBox { x, y, width, height } = self.bounds;
        let bounds = PlacedRect {
            x: part(i64::from(x) - self.origin.0),
            y: part(i64::from(y) - self.origin.1),
            width: part(i64::from(width)),
            height: part(i64::from(height)),
        };
        CardView { test, golden, bounds, side: self.side, bar: scale_bar(self.side) }
    }
}

/// The longest of 1, 2, 5, 10, 20, 50, … that is at most a third of `side`.
fn scale_bar(side: u32) -> u32 {
    let steps = [500, 200, 100, 50, 20, 10, 5, 2];
    steps.into_iter().find(|length| length * 3 <= side).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crop_is_centred_on_its_box_with_context_around_it() {
        let place = CropSquare::around_box(PixelBox { x: 100, y: 50, width: 40, height: 20 });
        assert_eq!((place.origin, place.side), ((80, 20), 80));
        let small = CropSquare::around_box(PixelBox { x: 0, y: 0, width: 4, height: 4 });
        assert_eq!((small.origin, small.side), ((-22, -22), 48));
        assert_eq!(scale_bar(80), 20);
    }

    #[test]
    fn an_absurd_box_does_not_overflow() {
        let bounds = PixelBox { x: u32::MAX, y: 0, width: u32::MAX, height: 1 };
        assert_eq!(CropSquare::around_box(bounds).side, CROP_SIDE.1);
    }
}
