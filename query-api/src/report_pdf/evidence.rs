//! What is seen: each picture with numbered boxes, each finding's crop and the golden sample's.
//!
//! Invariant: both crops of a finding show the same place of the board at the same scale: the
//! golden sample's is shifted by the registration.

use std::collections::BTreeMap;

use domain::PixelBox;
use domain::report::{Outcome, Report, ReportArtifact, ReportDefect};
use serde::Serialize;

use super::labels::{self, Rect};
use super::raster::{Encoded, Raster};
use super::{MAX_BOXES, MAX_CARDS, MAX_PICTURES, Pictures, ReportPdfError, golden_shown};

/// The room for a picture, in points: A4 between its margins.
const BOARD_WIDTH: f64 = 493.2;
const BOARD_HEIGHT: f64 = 372.0;
/// What the first picture leaves to each rule in the banner beyond the first three, so that both
/// fit on the first page, in points.
const RULE_HEIGHT: f64 = 14.0;
const RULES_FREE: usize = 3;
const BOARD_HEIGHT_MIN: f64 = 230.0;
/// The least context around a finding, in pixels.
const MARGIN: u32 = 16;
/// The least and the most a crop shows, in pixels.
const CROP_SIDE: (u32, u32) = (48, 2_048);
/// The largest believable offset between a picture and its golden sample, in pixels.
const OFFSET_MAX: f32 = 65_536.0;

/// A picture among the report's virtual files.
#[derive(Serialize)]
pub(super) struct Shown {
    file: String,
    encoding: &'static str,
    width: u32,
    height: u32,
}

/// A picture, or why there is none.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Sight {
    Shown(Shown),
    Absent(&'static str),
}

/// One picture of the board with its boxes, in points.
#[derive(Serialize)]
pub(super) struct Board {
    sight: Sight,
    width: f64,
    height: f64,
    boxes: Vec<BoardBox>,
    /// Findings on this picture that are not drawn.
    undrawn: usize,
}

#[derive(Serialize)]
struct BoardBox {
    number: u32,
    class: &'static str,
    grade: &'static str,
    bounds: Rect,
    label: Rect,
}

/// A finding's two crops; the box in parts of their side.
#[derive(Serialize)]
pub(super) struct Card {
    test: Sight,
    golden: Sight,
    bounds: Rect,
    /// What each crop shows, in pixels each way.
    side: u32,
    /// The length of the scale bar, in pixels.
    bar: u32,
}

/// Everything seen, with the files it refers to.
pub(super) struct Evidence {
    /// One for each of the first [`MAX_PICTURES`] pictures.
    pub(super) boards: Vec<Board>,
    /// One for each of the first [`MAX_CARDS`] findings.
    pub(super) cards: Vec<Card>,
    pub(super) files: BTreeMap<String, Vec<u8>>,
}

impl Evidence {
    fn keep(&mut self, file: String, encoded: Encoded) -> Sight {
        let Encoded { encoding, width, height, data } = encoded;
        self.files.insert(file.clone(), data);
        Sight::Shown(Shown { file, encoding, width, height })
    }
}

type Seen = Result<Raster, &'static str>;

/// Looks at every picture of `report` that is at hand.
pub(super) fn evidence(report: &Report, pictures: &Pictures) -> Result<Evidence, ReportPdfError> {
    let (boards, cards) = (Vec::new(), Vec::new());
    let mut evidence = Evidence { boards, cards, files: BTreeMap::new() };
    let mut cards = BTreeMap::new();
    for (artifact, index) in report.artifacts.iter().take(MAX_PICTURES).zip(1..) {
        let test = test_picture(artifact, pictures)?;
        let golden = match golden_shown(report, artifact) {
            Some((id, sha256)) => seen(pictures.verified(id, sha256)?),
            None => Err("no golden sample"),
        };
        let found = report.defects.iter().filter(|d| d.artifact_id == artifact.artifact_id);
        let rules = if index == 1 { report.rules.len() } else { 0 };
        let board = board(&mut evidence, (&test, index), board_height(rules), found);
        evidence.boards.push(board);
        for defect in carded(report).filter(|d| d.artifact_id == artifact.artifact_id) {
            let card = card(&mut evidence, (&test, &golden), artifact, defect);
            cards.insert(defect.number, card);
        }
    }
    for defect in carded(report) {
        let card = cards.remove(&defect.number).unwrap_or_else(|| {
            let absent = || Sight::Absent("picture not shown");
            Place::of(defect.bounds).card(absent(), absent())
        });
        evidence.cards.push(card);
    }
    Ok(evidence)
}

fn carded(report: &Report) -> impl Iterator<Item = &ReportDefect> {
    report.defects.iter().take(MAX_CARDS)
}

fn test_picture(artifact: &ReportArtifact, pictures: &Pictures) -> Result<Seen, ReportPdfError> {
    let Some(picture) = &artifact.picture else { return Ok(Err("never uploaded")) };
    let test = seen(pictures.verified(artifact.artifact_id, picture.sha256)?);
    let size = (picture.width, picture.height);
    Ok(test.and_then(|raster| {
        if raster.size() == size { Ok(raster) } else { Err("not of the size in the report") }
    }))
}

fn seen(file: Option<&[u8]>) -> Seen {
    let file = file.ok_or("picture not available")?;
    Raster::decode(file).ok_or("picture does not decode")
}

fn sight(
    evidence: &mut Evidence,
    seen: &Seen,
    file: String,
    encode: impl FnOnce(&Raster) -> Option<Encoded>,
) -> Sight {
    match seen {
        Err(reason) => Sight::Absent(reason),
        Ok(raster) => match encode(raster) {
            Some(encoded) => evidence.keep(file, encoded),
            None => Sight::Absent("picture not available"),
        },
    }
}

/// The room for the picture under a banner with so many rules.
fn board_height(rules: usize) -> f64 {
    let taken = RULE_HEIGHT * rules.saturating_sub(RULES_FREE) as f64;
    (BOARD_HEIGHT - taken).max(BOARD_HEIGHT_MIN)
}

fn board<'a>(
    evidence: &mut Evidence,
    (test, index): (&Seen, usize),
    height_max: f64,
    found: impl Iterator<Item = &'a ReportDefect>,
) -> Board {
    let (width_px, height_px) = test.as_ref().map_or((1, 1), Raster::size);
    let (across, down) = (f64::from(width_px.max(1)), f64::from(height_px.max(1)));
    let scale = (BOARD_WIDTH / across).min(height_max / down);
    let (width, height) = (across * scale, down * scale);
    let found: Vec<_> = found.collect();
    let drawn = &found[..found.len().min(MAX_BOXES)];
    let bounds: Vec<_> =
        drawn.iter().map(|defect| (defect.number, scaled(defect.bounds, scale))).collect();
    let labels = labels::place(&bounds, (width, height));
    let boxes = drawn.iter().zip(bounds.iter().zip(labels));
    let boxes = boxes.map(|(defect, ((number, bounds), label))| BoardBox {
        number: *number,
        class: defect.class.as_str(),
        grade: defect.grade.as_str(),
        bounds: *bounds,
        label,
    });
    let boxes = boxes.collect();
    let sight = sight(evidence, test, format!("board-{index}"), Raster::overview);
    Board { sight, width, height, boxes, undrawn: found.len() - drawn.len() }
}

fn scaled(bounds: PixelBox, scale: f64) -> Rect {
    let PixelBox { x, y, width, height } = bounds;
    let [x, y, width, height] = [x, y, width, height].map(|length| f64::from(length) * scale);
    Rect { x, y, width, height }
}

fn card(
    evidence: &mut Evidence,
    (test, golden): (&Seen, &Seen),
    artifact: &ReportArtifact,
    defect: &ReportDefect,
) -> Card {
    let place = Place::of(defect.bounds);
    let number = defect.number;
    let (dx, dy) = offset(artifact);
    let (x, y) = place.origin;
    let test = sight(evidence, test, format!("test-{number}"), |raster| {
        Some(raster.crop((x, y), place.side))
    });
    let golden = sight(evidence, golden, format!("golden-{number}"), |raster| {
        Some(raster.crop((x - dx, y - dy), place.side))
    });
    place.card(test, golden)
}

/// Whole pixels by which the picture lies right of and below its golden sample.
fn offset(artifact: &ReportArtifact) -> (i64, i64) {
    let whole = |pixels: f32| pixels.clamp(-OFFSET_MAX, OFFSET_MAX).round() as i64;
    match &artifact.outcome {
        Outcome::Compared { registration, .. } => (whole(registration.dx), whole(registration.dy)),
        Outcome::NotComparable { .. } | Outcome::Missing => (0, 0),
    }
}

/// The square of the picture that a card shows.
struct Place {
    origin: (i64, i64),
    side: u32,
    bounds: PixelBox,
}

impl Place {
    fn of(bounds: PixelBox) -> Self {
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

    fn card(&self, test: Sight, golden: Sight) -> Card {
        let part = |pixels: i64| pixels as f64 / f64::from(self.side);
        let PixelBox { x, y, width, height } = self.bounds;
        let bounds = Rect {
            x: part(i64::from(x) - self.origin.0),
            y: part(i64::from(y) - self.origin.1),
            width: part(i64::from(width)),
            height: part(i64::from(height)),
        };
        Card { test, golden, bounds, side: self.side, bar: bar(self.side) }
    }
}

/// The longest of 1, 2, 5, 10, 20, 50, … that is at most a third of `side`.
fn bar(side: u32) -> u32 {
    let steps = [500, 200, 100, 50, 20, 10, 5, 2];
    steps.into_iter().find(|length| length * 3 <= side).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crop_is_centred_on_its_box_with_context_around_it() {
        let place = Place::of(PixelBox { x: 100, y: 50, width: 40, height: 20 });
        assert_eq!((place.origin, place.side), ((80, 20), 80));
        let small = Place::of(PixelBox { x: 0, y: 0, width: 4, height: 4 });
        assert_eq!((small.origin, small.side), ((-22, -22), 48));
        assert_eq!(bar(80), 20);
    }

    #[test]
    fn an_absurd_box_does_not_overflow() {
        let bounds = PixelBox { x: u32::MAX, y: 0, width: u32::MAX, height: 1 };
        assert_eq!(Place::of(bounds).side, CROP_SIDE.1);
    }
}
