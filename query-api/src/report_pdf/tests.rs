//! Reports over synthetic pictures: what is rendered, what is refused, and that it is always the
//! same.

mod letters;
mod sample;
mod schema;

use domain::report::{Outcome, TimelineEntry};
use domain::{Lot, NotComparable, PartNumber, PixelBox};

use super::*;
use crate::report_font::tests::synthetic;
use sample::{pass, pictures, png, report};

fn pages(pdf: &[u8]) -> usize {
    let mark = b"/Type /Page\n";
    let compact = b"/Type/Page/";
    let count = |mark: &[u8]| pdf.windows(mark.len()).filter(|window| *window == mark).count();
    count(mark) + count(compact)
}

fn contains(pdf: &[u8], text: &str) -> bool {
    pdf.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn the_same_report_and_pictures_give_the_same_bytes() {
    let first = ReportRenderer::new(None).render_pdf(&report(), &pictures()).unwrap();
    typst::comemo::evict(0); // or the second would be remembered, not rendered
    let second = ReportRenderer::new(None).render_pdf(&report(), &pictures()).unwrap();
    assert!(first == second, "two renderers disagree");
    assert!(first.starts_with(b"%PDF-1."));
}

#[test]
fn the_pdf_is_archival_dated_by_the_judgement_and_carries_the_json() {
    let pdf = ReportRenderer::new(None).render_pdf(&report(), &pictures()).unwrap();
    assert!(contains(&pdf, "<pdfaid:part>3</pdfaid:part>"));
    assert!(contains(&pdf, "<pdfaid:conformance>B</pdfaid:conformance>"));
    assert!(contains(&pdf, "<xmp:CreateDate>2026-03-01T08:30:02+00:00</xmp:CreateDate>"));
    assert!(contains(&pdf, "(report.json)"));
    assert!(contains(&pdf, "/AFRelationship/Source"));
}

#[test]
fn a_report_without_any_picture_at_hand_still_renders() {
    let renderer = ReportRenderer::new(None);
    let with = renderer.render_pdf(&report(), &pictures()).unwrap();
    let without = renderer.render_pdf(&report(), &Pictures::default()).unwrap();
    assert!(pages(&without) > 0 && with != without);
}

#[test]
fn a_passed_board_renders_with_its_picture() {
    assert!(ReportRenderer::new(None).render_pdf(&pass(), &pictures()).is_ok());
}

#[test]
fn what_differs_unexplained_and_what_was_not_compared_is_shown() {
    let renderer = ReportRenderer::new(None);
    let all = renderer.render_pdf(&report(), &pictures()).unwrap();
    let mut explained = report();
    explained.differences.clear();
    let mut covered = report();
    if let Outcome::Compared { coverage, .. } = &mut covered.artifacts[0].outcome {
        *coverage = Some(domain::Coverage::complete(96 * 64));
    }
    let mut inspected = report();
    if let Outcome::Compared { coverage: Some(coverage), .. } = &mut inspected.artifacts[0].outcome
    {
        *coverage = coverage.clone().with_excluded(0, vec![]);
    }
    for less in [explained, covered, inspected] {
        assert!(renderer.render_pdf(&less, &pictures()).unwrap() != all);
    }
    let evidence = evidence::collect_evidence(&report(), &pictures()).unwrap();
    for name in ["test-D1", "golden-D1", "test-D2", "golden-D2"] {
        assert!(evidence.files.contains_key(name), "no crop {name}");
    }
    assert_eq!(evidence.cards.len(), 4, "two findings and two differences");
}

#[test]
fn boxes_are_in_millimetres_where_the_scale_is_known_and_a_golden_sample_sent_as_a_board_is_told() {
    let renderer = ReportRenderer::new(None);
    let all = renderer.render_pdf(&report(), &pictures()).unwrap();
    let mut unmeasured = report();
    unmeasured.defects[0].box_mm = None;
    let mut identical = report();
    identical.artifacts[0].identical_to_golden_sample = Some(true);
    for other in [unmeasured, identical] {
        assert!(renderer.render_pdf(&other, &pictures()).unwrap() != all);
    }
}

#[test]
fn bytes_that_are_not_the_reports_are_refused() {
    let report = report();
    let renderer = ReportRenderer::new(None);
    for id in Pictures::artifacts_to_fetch(&report) {
        let mut pictures = pictures();
        pictures.insert(id, b"another picture".as_slice());
        let refused = renderer.render_pdf(&report, &pictures);
        assert!(matches!(refused, Err(ReportPdfError::DigestMismatch { artifact_id, .. })
                if artifact_id == id));
    }
}

#[test]
fn what_to_fetch_is_each_picture_and_each_golden_sample_once() {
    let report = report();
    let golden = report.artifacts[0].golden.as_ref().unwrap().artifact_id;
    assert_eq!(
        Pictures::artifacts_to_fetch(&report)[..2],
        [report.artifacts[0].artifact_id, golden]
    );
    assert_eq!(Pictures::artifacts_to_fetch(&pass()), [pass().artifacts[0].artifact_id]);
}

#[test]
fn a_picture_that_does_not_decode_is_said_to_be_so() {
    let mut report = report();
    let junk = b"not a picture".as_slice();
    let artifact = &mut report.artifacts[0];
    artifact.picture.as_mut().unwrap().sha256 = Sha256::digest_of(junk);
    let mut pictures = pictures();
    pictures.insert(artifact.artifact_id, junk);
    assert!(ReportRenderer::new(None).render_pdf(&report, &pictures).is_ok());
}

#[test]
fn hostile_text_is_printed_and_never_run() {
    let names = [
        "#panic(\"x\") $x^2$ *b* _i_ ] } \\ @a <b> `c` // /* ",
        "דוח בדיקה عربي हिन्दी ไทย",
        "漢字かな한국어 👩🏽‍🔧🇨🇭",
        "a\u{301}\u{302}\u{303}\u{304}\u{20dd}\u{336} ﬁ ǆ Å",
        "MMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMM",
    ];
    // As if the machine's font had a glyph for everything.
    let everything = synthetic(&names.concat());
    for (name, font) in names.iter().flat_map(|name| [(name, None), (name, Some(&everything))]) {
        let renderer = ReportRenderer::new(font.cloned());
        let mut report = report();
        report.lot = Lot::new(name.trim()).unwrap_or(report.lot);
        report.part = PartNumber::new(name.trim()).unwrap_or(report.part);
        let told = format!("{name}\n\0\u{202e}{name}\u{e000}\u{10ffff}");
        report.timeline[0].actor = told.clone();
        report.timeline[0].actor_name = Some(told.clone());
        report.timeline[0].event = told.clone();
        report.artifacts[1].outcome =
            Outcome::NotComparable { reason: NotComparable::Unreadable, detail: told };
        if let Outcome::Compared { model, .. } = &mut report.artifacts[0].outcome {
            model.name = name.repeat(100);
        }
        renderer
            .render_pdf(&report, &Pictures::default())
            .unwrap_or_else(|e| panic!("{name}: {e}"));
    }
}

#[test]
fn a_flood_of_findings_and_events_is_cut_short() {
    let renderer = ReportRenderer::new(None);
    let mut report = report();
    let defect = report.defects[0].clone();
    report.defects = (1..=MAX_BOXES as u32 + 50)
        .map(|number| domain::report::ReportDefect { number, ..defect.clone() })
        .collect();
    let difference = report.differences[0].clone();
    report.differences = (1..=MAX_BOXES as u32 + 50)
        .map(|number| domain::report::ReportDifference { number, ..difference.clone() })
        .collect();
    let event: TimelineEntry = report.timeline[0].clone();
    report.timeline = vec![event; 1_000];
    let pdf = renderer.render_pdf(&report, &pictures()).unwrap();
    assert!((5..25).contains(&pages(&pdf)), "{} pages", pages(&pdf));
}

#[test]
fn a_year_that_no_pdf_can_hold_is_refused() {
    let mut report = report();
    report.judged_at = DateTime::<Utc>::MAX_UTC;
    let refused = ReportRenderer::new(None).render_pdf(&report, &Pictures::default());
    assert!(matches!(refused, Err(ReportPdfError::Date(_))));
}

#[test]
fn the_attached_json_reads_back_as_the_report() {
    let json = report_json(&report()).unwrap();
    assert_eq!(serde_json::from_slice::<Report>(&json).unwrap(), report());
}

#[test]
fn the_golden_crop_shows_the_place_of_the_finding_though_the_picture_lies_shifted() {
    let copper = |x: u32, y: u32| (x * x + y * 7 + x * y) % 5 < 2;
    let (golden, shifted) = (png(copper), png(|x, y| x >= 2 && copper(x - 2, y + 1)));
    let mut report = report();
    report.defects.truncate(1);
    report.defects[0].bounds = PixelBox { x: 40, y: 28, width: 8, height: 8 };
    let artifact = &mut report.artifacts[0];
    let Outcome::Compared { registration, .. } = &mut artifact.outcome else { panic!("sample") };
    (registration.dx, registration.dy) = (2.0, -1.25);
    artifact.picture.as_mut().unwrap().sha256 = Sha256::digest_of(&shifted);
    let reference = artifact.golden.as_mut().unwrap();
    reference.sha256 = Sha256::digest_of(&golden);
    let mut pictures = Pictures::default();
    pictures.insert(reference.artifact_id, golden);
    pictures.insert(artifact.artifact_id, shifted);
    let files = evidence::collect_evidence(&report, &pictures).unwrap().files;
    assert!(files["test-1"] == files["golden-1"], "the crops show different places");
}
