//! Photographs of generated boards, from the file to the findings of the shipped network: inspected
//! with the findings that the binarised board gives, or refused with the reason.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::sync::OnceLock;

use boards::camera::{Camera, Palette, encode_jpeg};
use boards::{BoardOptions, Design};
use domain::{DefectClass, NotComparable, PixelBox};
use image::imageops::crop_imm;
use image::{DynamicImage, GrayImage, Luma, Rgb, RgbImage};
use inference::engine::EmbeddedEngine;
use vision::{DecodedImage, Findings, Incomparable, Misplacement, PreparedGolden, decode, prepare};

#[path = "photographs/inspected.rs"]
mod inspected;
#[path = "photographs/never_silent.rs"]
mod never_silent;
#[path = "photographs/refused.rs"]
mod refused;

/// Side of a photograph; the boards are larger by a margin that shifts bring into view.
const SIZE: u32 = 640;
const BOARD: u32 = 704;
type Label = (DefectClass, PixelBox);

fn engine() -> &'static EmbeddedEngine {
    static ENGINE: OnceLock<EmbeddedEngine> = OnceLock::new();
    ENGINE.get_or_init(|| EmbeddedEngine::load().expect("the compiled-in network"))
}

fn design(part: u64) -> Design {
    Design::new(9000 + part, BOARD)
}

/// A camera for a part; parts come in all colours.
fn of(part: u64) -> Camera {
    Camera { palette: Palette::ALL[part as usize % 4], seed: part, ..Camera::default() }
}

fn shot(camera: &Camera, board: &GrayImage) -> DecodedImage {
    let bytes = encode_jpeg(&camera.take_photograph(board, SIZE), 90).expect("writing to memory");
    decode(&bytes).expect("a JPEG")
}

fn golden(board: &Design, part: u64) -> PreparedGolden {
    PreparedGolden::new(&shot(&of(part), &board.golden_sample())).expect("a photograph of a board")
}

/// A photograph of a flawed unit, with what is wrong in its pixels.
fn tested(board: &Design, unit: u64, camera: &Camera) -> (DecodedImage, Vec<Label>) {
    let options = BoardOptions { size: BOARD, max_shift: 3, ..BoardOptions::default() };
    let (print, labels) = board.print_unit(unit, &options);
    let camera = Camera { seed: camera.seed + 1000, ..*camera };
    let seen = |(class, bounds)| Some((class, camera.project_box(bounds, &print, SIZE)?));
    let labels = labels.into_iter().filter_map(seen).collect();
    (shot(&camera, &print), labels)
}

/// The same unit without a camera: the middle of the binarised board.
fn binarised(board: &Design, unit: u64) -> (PreparedGolden, DecodedImage, Vec<Label>) {
    let margin = (BOARD - SIZE) / 2;
    let middle = |board: &GrayImage| crop_imm(board, margin, margin, SIZE, SIZE).to_image();
    let options = BoardOptions { size: BOARD, max_shift: 3, ..BoardOptions::default() };
    let (print, labels) = board.print_unit(unit, &options);
    let seen =
        |(class, bounds)| Some((class, Camera::default().project_box(bounds, &print, SIZE)?));
    let labels = labels.into_iter().filter_map(seen).collect();
    let golden = PreparedGolden::new(&middle(&board.golden_sample())).expect("a board");
    (golden, DecodedImage::Grey(middle(&print)), labels)
}

/// Findings of confidence 0.5 and above, held against the labels (DeepPCB's IoU above 0.33).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Tally {
    /// Labels that lie where everything was compared.
    labelled: usize,
    /// Of these, those that a finding names ...
    found: usize,
    /// ... and those that a finding names or that touch a difference: either keeps the board from passing.
    seen: usize,
    /// Labels on a piece that was not compared.
    uncovered: usize,
    calls: usize,
    /// Calls where nothing is labelled.
    extra: usize,
    /// Boards of which a piece was not compared: none of them passes.
    not_covered: usize,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.labelled += other.labelled;
        self.found += other.found;
        self.seen += other.seen;
        self.uncovered += other.uncovered;
        self.calls += other.calls;
        self.extra += other.extra;
        self.not_covered += other.not_covered;
    }
}

fn inspected(
    golden: &PreparedGolden,
    test: &DecodedImage,
    labels: &[Label],
) -> Result<Tally, Incomparable> {
    let prepared = prepare(test, golden)?;
    let outputs = engine().run(&prepared.crops).expect("the network runs");
    let Findings { defects: mut found, differences } =
        prepared.merge_answers(&outputs).expect("as many answers as crops");
    found.retain(|defect| defect.confidence.get() >= 0.5);
    let uncovered = prepared.coverage.uncovered();
    let (cut, whole): (Vec<Label>, Vec<Label>) = labels
        .iter()
        .partition(|label| uncovered.iter().any(|piece| overlap(piece, &label.1) > 0.0));
    let hit = |a: &PixelBox, b: &PixelBox| overlap(a, b) > 0.33;
    let is_found = |label: &&Label| found.iter().any(|defect| hit(&defect.bounds, &label.1));
    let differs =
        |label: &Label| differences.iter().any(|other| overlap(&other.bounds, &label.1) > 0.0);
    let is_extra = |bounds: &PixelBox| !labels.iter().any(|label| hit(bounds, &label.1));
    Ok(Tally {
        labelled: whole.len(),
        found: whole.iter().filter(is_found).count(),
        seen: whole.iter().filter(|label| is_found(label) || differs(label)).count(),
        uncovered: cut.len(),
        calls: found.len(),
        extra: found.iter().filter(|defect| is_extra(&defect.bounds)).count(),
        not_covered: usize::from(!uncovered.is_empty()),
    })
}

fn overlap(a: &PixelBox, b: &PixelBox) -> f32 {
    let shared = |from: u32, length: u32, other: u32, other_length: u32| {
        (from + length).min(other + other_length).saturating_sub(from.max(other))
    };
    let both = shared(a.x, a.width, b.x, b.width) * shared(a.y, a.height, b.y, b.height);
    both as f32 / (a.width * a.height + b.width * b.height - both) as f32
}

fn reason(result: Result<Tally, Incomparable>) -> Option<NotComparable> {
    result.err().map(|why| why.reason())
}
