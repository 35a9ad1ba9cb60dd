//! Small judged inspections with synthetic pictures.

use std::io::Cursor;

use chrono::{DateTime, TimeDelta, Utc};
use domain::inspection::{GoldenReference, ModelIdentity, Registration, Timing};
use domain::report::{
    Outcome, Report, ReportArtifact, ReportDefect, ReportDifference, SCHEMA_VERSION, TimelineEntry,
};
use domain::{
    ArtifactId, ComparisonMethod, Confidence, Coverage, DefectClass, DifferenceKind, FiredRule,
    InspectionId, Judgement, MediaType, NotComparable, Picture, PixelBox, PixelScale, Recipe,
    ReportId, Sha256,
};
use image::{GrayImage, ImageFormat, Luma};
use uuid::Uuid;

use super::super::Pictures;

fn id(number: u128) -> ArtifactId {
    ArtifactId(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 + number))
}

/// A binary picture of 96 × 64 px, white where there is copper.
pub(super) fn png(has_copper: impl Fn(u32, u32) -> bool) -> Vec<u8> {
    let pixels = GrayImage::from_fn(96, 64, |x, y| Luma([if has_copper(x, y) { 255 } else { 0 }]));
    let mut file = Cursor::new(Vec::new());
    pixels.write_to(&mut file, ImageFormat::Png).unwrap();
    file.into_inner()
}

/// Traces of eight pixels.
fn golden_png() -> Vec<u8> {
    png(|_, y| (y / 8) % 2 == 0)
}

/// The same with a short and an open.
fn test_png() -> Vec<u8> {
    png(|x, y| {
        let short = (30..34).contains(&x) && y < 24;
        let open = (60..66).contains(&x) && (32..40).contains(&y);
        ((y / 8) % 2 == 0 || short) && !open
    })
}

pub(super) fn pictures() -> Pictures {
    let mut pictures = Pictures::default();
    pictures.insert(id(1), test_png());
    pictures.insert(id(9), golden_png());
    pictures
}

fn at(ms: i64) -> DateTime<Utc> {
    let start: DateTime<Utc> = "2026-03-01T08:30:00.125Z".parse().unwrap();
    start + TimeDelta::milliseconds(ms)
}

fn picture(file: &[u8]) -> Picture {
    let (bytes, media_type) = (file.len() as u64, MediaType::Png);
    Picture { sha256: Sha256::digest_of(file), bytes, media_type, width: 96, height: 64 }
}

fn compared() -> Outcome {
    Outcome::Compared {
        model: ModelIdentity {
            name: "copper-layer".to_owned(),
            version: "1".to_owned(),
            sha256: Sha256::digest_of(b"model"),
        },
        registration: Registration { dx: 2.0, dy: -1.25, score: 0.987, bend: Some(0.75) },
        coverage: Some(all_but_a_strip()),
        detection_limit: Some(ComparisonMethod::Copper.detection_limit(None)),
        timing: Timing { queue_ms: 3, compute_ms: 41, total_ms: 58 },
    }
}

/// The rightmost two columns were not compared; a corner was left out on purpose.
fn all_but_a_strip() -> Coverage {
    let strip = PixelBox { x: 94, y: 0, width: 2, height: 64 };
    let corner = PixelBox { x: 0, y: 56, width: 12, height: 8 };
    let coverage = Coverage::new(96 * 63, 94 * 63, vec![strip]).unwrap();
    coverage.with_excluded(96, vec![corner]).with_method(ComparisonMethod::Copper)
}

fn scale() -> PixelScale {
    PixelScale::new(48.5).unwrap()
}

fn difference(number: u32, kind: DifferenceKind, strength: f32) -> ReportDifference {
    let bounds = PixelBox { x: 80, y: 10 * number, width: 6, height: 5 };
    let box_mm = Some(scale().measure(bounds));
    ReportDifference { number, artifact_id: id(1), kind, strength, bounds, box_mm }
}

fn defect(number: u32, class: DefectClass, confidence: f32, bounds: PixelBox) -> ReportDefect {
    let confidence = Confidence::new(confidence).unwrap();
    let grade = Recipe::factory(3).grade(confidence);
    let box_mm = Some(scale().measure(bounds));
    ReportDefect { number, artifact_id: id(1), class, confidence, grade, bounds, box_mm }
}

/// A failed board of three pictures: one compared, one not comparable, one missing.
pub(super) fn report() -> Report {
    let golden = GoldenReference { artifact_id: id(9), revision: 2, sha256: golden_sha256() };
    let inspection_id = InspectionId(Uuid::from_u128(0x0190_aaaa_0000_7000_8000_0000_0000_0001));
    let reason = NotComparable::SizeMismatch;
    let other = picture(b"another");
    let detail = "the picture is 96 × 64 px, the golden sample 640 × 640 px".to_owned();
    let artifacts = vec![
        ReportArtifact {
            artifact_id: id(1),
            view: Some("top".parse().unwrap()),
            pixels_per_millimetre: Some(scale()),
            picture: Some(picture(&test_png())),
            golden: Some(golden.clone()),
            identical_to_golden_sample: Some(false),
            outcome: compared(),
        },
        ReportArtifact {
            artifact_id: id(2),
            view: None,
            pixels_per_millimetre: None,
            picture: Some(other),
            golden: Some(golden),
            identical_to_golden_sample: Some(false),
            outcome: Outcome::NotComparable { reason, detail },
        },
        ReportArtifact {
            artifact_id: id(3),
            view: None,
            pixels_per_millimetre: None,
            picture: None,
            golden: None,
            identical_to_golden_sample: None,
            outcome: Outcome::Missing,
        },
    ];
    let short = PixelBox { x: 28, y: 6, width: 8, height: 12 };
    let open = PixelBox { x: 58, y: 30, width: 10, height: 12 };
    Report {
        schema_version: SCHEMA_VERSION,
        report_id: ReportId::for_inspection(inspection_id),
        inspection_id,
        lot: "L-2026-009".parse().unwrap(),
        part: "PCB-640-A".parse().unwrap(),
        station: "AOI-2".parse().unwrap(),
        judgement: Judgement::Fail,
        rules: vec![
            FiredRule::Defect { class: DefectClass::Short, count: 1 },
            FiredRule::DoubtfulFinding { class: DefectClass::Open, count: 1 },
            FiredRule::UnexplainedDifference { count: 2 },
            FiredRule::NotCovered { pieces: 1 },
            FiredRule::NotCompared { reason },
            FiredRule::MissingView,
        ],
        recipe: Recipe::factory(3),
        golden_sample_revision: Some(4),
        created_at: at(0),
        judged_at: at(2_000),
        artifacts,
        defects: vec![
            defect(1, DefectClass::Short, 0.973, short),
            defect(2, DefectClass::Open, 0.31, open),
        ],
        differences: vec![
            difference(1, DifferenceKind::Joined, 12.5),
            difference(2, DifferenceKind::Appearance, 1.25),
        ],
        timeline: timeline(),
    }
}

fn timeline() -> Vec<TimelineEntry> {
    let events = [
        ("InspectionCreated", "station:aoi-2"),
        ("ArtifactReserved", "station:aoi-2"),
        ("ArtifactUploaded", "station:aoi-2"),
        ("InferenceRequested", "station:aoi-2"),
        ("InferenceCompleted", "inference-worker"),
        ("InspectionJudged", "judge"),
    ];
    let entry = |((event, actor), index): ((&str, &str), i32)| TimelineEntry {
        sequence: index.unsigned_abs().into(),
        position: 1_000 + i64::from(index),
        occurred_at: at(i64::from(index - 1) * 400),
        event: event.to_owned(),
        actor: actor.to_owned(),
        actor_name: (index == 4).then(|| "Ada Lovelace".to_owned()),
    };
    events.into_iter().zip(1..).map(entry).collect()
}

fn golden_sha256() -> Sha256 {
    Sha256::digest_of(&golden_png())
}

/// A passed board of one picture.
pub(super) fn pass() -> Report {
    let mut report = report();
    report.judgement = Judgement::Pass;
    report.rules = vec![FiredRule::NothingFound];
    report.artifacts.truncate(1);
    if let Outcome::Compared { coverage, .. } = &mut report.artifacts[0].outcome {
        *coverage = Some(Coverage::complete(96 * 64));
    }
    report.defects.clear();
    report.differences.clear();
    report
}
