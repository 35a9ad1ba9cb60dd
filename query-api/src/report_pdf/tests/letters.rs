//! Chinese, Japanese and Korean: printed in the machine's font, by code points without one, and never a
//! reason for two machines' PDFs to differ unsaid.

use std::io::Read as _;

use flate2::read::ZlibDecoder;

use super::super::glyphs::{Escape, Typesetter};
use super::super::view::ReportView;
use super::super::*;
use super::sample::{pass, pictures, report};
use crate::report_font::tests::synthetic;

const LETTERS: &str = "李雷ひらがな한국어";

fn font() -> ReportFont {
    synthetic(&format!("中あ{LETTERS}"))
}

/// With these letters in what people name.
fn named() -> Report {
    let mut report = report();
    report.lot = "李雷".parse().unwrap();
    report.part = "ひらがな".parse().unwrap();
    report.timeline[0].actor = "한국어".to_owned();
    report
}

/// What a reader takes the PDF's glyphs for: its maps from glyphs to Unicode, in hexadecimal.
fn unicode_maps(pdf: &[u8]) -> String {
    let mut maps = String::new();
    let mut rest = pdf;
    while let Some(start) = rest.windows(7).position(|window| window == b"stream\n") {
        rest = &rest[start + 7..];
        let mut text = Vec::new();
        // What is no compressed stream is none of these maps.
        let read = ZlibDecoder::new(rest).read_to_end(&mut text);
        if read.is_ok() && text.windows(11).any(|window| window == b"beginbfchar") {
            maps.push_str(&String::from_utf8_lossy(&text).to_lowercase());
        }
    }
    maps
}

fn has_letter(maps: &str, letter: char) -> bool {
    maps.contains(&format!("> <{:04x}>", u32::from(letter)))
}

#[test]
fn chinese_japanese_and_korean_are_printed_and_can_be_read_out_again() {
    let pdf = ReportRenderer::new(Some(font())).render_pdf(&named(), &pictures()).unwrap();
    let maps = unicode_maps(&pdf);
    for letter in LETTERS.chars() {
        assert!(has_letter(&maps, letter), "{letter} is missing");
    }
    assert!(!has_letter(&maps, '‹'), "something was written as its code point");
}

#[test]
fn without_a_font_their_code_points_are_printed() {
    let pdf = ReportRenderer::new(None).render_pdf(&named(), &pictures()).unwrap();
    let maps = unicode_maps(&pdf);
    assert!(has_letter(&maps, '‹'));
    assert!(!LETTERS.chars().any(|letter| has_letter(&maps, letter)));
}

#[test]
fn a_report_with_these_letters_is_the_same_again_and_one_without_on_every_machine() {
    let render = |font, report: &Report| {
        typst::comemo::evict(0); // or it would be remembered, not rendered
        ReportRenderer::new(font).render_pdf(report, &pictures()).unwrap()
    };
    assert!(render(Some(font()), &named()) == render(Some(font()), &named()));
    assert!(render(Some(font()), &named()) != render(None, &named()));
    for plain in [report(), pass()] {
        assert!(render(Some(font()), &plain) == render(None, &plain));
    }
}

#[test]
fn the_font_of_the_machine_is_named_with_its_digest_where_it_is_used() {
    let font = font();
    let renderer = ReportRenderer::new(Some(font.clone()));
    let view = |report: &Report| {
        let text = Typesetter::new(renderer.compiler.fonts(), Escape::Unknown);
        let digest = Sha256::digest_of(b"");
        let shown = evidence::collect_evidence(report, &pictures()).unwrap();
        let view = ReportView::new(report, digest, &text, (&shown.boards, &shown.cards));
        serde_json::to_string(&view).unwrap()
    };
    let [used, unused] = [named(), report()].map(|report| view(&report));
    assert!(used.contains(&format!("\"{}\",\"sha256\":\"{}\"", font.name(), font.sha256())));
    assert!(!unused.contains(&font.sha256().to_string()));
}
