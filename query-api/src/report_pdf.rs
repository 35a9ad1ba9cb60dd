//! A report's printed face: A4, PDF/A-3b, rendered by Typst, with the report's JSON attached.
//!
//! Invariants: the same report and pictures give the same bytes, on every machine unless the report has
//! Chinese, Japanese or Korean letters: then the font that they are printed in is named in it. A picture whose digest is not the
//! report's is an error, never shown; text from outside reaches Typst as data in a virtual file,
//! never as source. Absent on purpose: fetching pictures, caching results, async.

mod evidence;
mod glyphs;
mod marks;
mod raster;
#[cfg(test)]
mod tests;
mod view;
mod words;
mod world;

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::report::{Report, ReportArtifact};
use domain::{ArtifactId, Sha256};

pub(crate) use raster::DECODE_BYTES_MAX;

use crate::palette;
use crate::report_font::ReportFont;
use glyphs::{Escape, Typesetter};
use view::ReportView;
use world::Compiler;

/// The most findings, and the most differences, with a crop of their own; the rest are in the attached
/// JSON.
pub const MAX_CARDS: usize = 60;
/// The most findings, and the most differences, drawn on one picture.
pub const MAX_BOXES: usize = 200;
/// The most pictures shown.
pub const MAX_PICTURES: usize = 24;
/// The most events in the printed timeline.
pub const MAX_EVENTS: usize = 200;
/// The name under which the report's JSON is attached to the PDF.
pub const ATTACHMENT: &str = "report.json";

const VIEW: &str = "view.json";
const PALETTE: &str = "palette.json";

/// Why a report was not rendered.
#[derive(Debug, thiserror::Error)]
pub enum ReportPdfError {
    /// A picture's bytes are not the ones the report speaks of.
    #[error("artifact {artifact_id} has digest {found}, the report says {expected}")]
    DigestMismatch {
        /// The picture or golden sample.
        artifact_id: ArtifactId,
        /// The digest in the report.
        expected: Sha256,
        /// The digest of the bytes at hand.
        found: Sha256,
    },
    /// The report does not serialise.
    #[error("the report does not serialise")]
    Json(#[from] serde_json::Error),
    /// The time of judgement is outside the years that a PDF can hold.
    #[error("{0} cannot be the date of a PDF")]
    Date(DateTime<Utc>),
    /// Typst refused the document: a defect of the template.
    #[error("typst: {0}")]
    Typst(String),
}

/// The files of the pictures a report shows, by artifact id; test pictures and golden samples
/// alike.
///
/// Any may be missing: the report then says so in its place.
#[derive(Debug, Clone, Default)]
pub struct Pictures {
    files: BTreeMap<ArtifactId, Arc<[u8]>>,
    retired: RetiredPictures,
}

/// When the files of pictures were given up, because their retention period was over.
pub type RetiredPictures = BTreeMap<ArtifactId, DateTime<Utc>>;

impl Pictures {
    /// Pictures of which these were retired: the report says when.
    #[must_use]
    pub fn without(retired: RetiredPictures) -> Self {
        Self { files: BTreeMap::new(), retired }
    }

    /// When the file of `artifact_id` was given up; `None` while it is kept.
    #[must_use]
    pub fn retired_at(&self, artifact_id: ArtifactId) -> Option<DateTime<Utc>> {
        self.retired.get(&artifact_id).copied()
    }

    /// Adds an artifact's file, as it is at rest.
    pub fn insert(&mut self, artifact_id: ArtifactId, file: impl Into<Arc<[u8]>>) {
        self.files.insert(artifact_id, file.into());
    }

    /// The artifacts whose files the report of `report` shows: what to fetch, each once, in order.
    #[must_use]
    pub fn artifacts_to_fetch(report: &Report) -> Vec<ArtifactId> {
        let mut wanted = Vec::new();
        for artifact in report.artifacts.iter().take(MAX_PICTURES) {
            let test = artifact.picture.as_ref().map(|_| artifact.artifact_id);
            let golden = golden_shown(report, artifact).map(|(id, _)| id);
            for id in test.into_iter().chain(golden) {
                if !wanted.contains(&id) {
                    wanted.push(id);
                }
            }
        }
        wanted
    }

    /// The file of `artifact_id` when it is at hand and is the one the report speaks of.
    fn verified_file(
        &self,
        artifact_id: ArtifactId,
        expected: Sha256,
    ) -> Result<Option<&[u8]>, ReportPdfError> {
        let Some(file) = self.files.get(&artifact_id) else { return Ok(None) };
        let found = Sha256::digest_of(file);
        if found == expected {
            Ok(Some(file))
        } else {
            Err(ReportPdfError::DigestMismatch { artifact_id, expected, found })
        }
    }
}

/// The golden sample whose crops stand beside those of `artifact`, when anything is marked on it.
fn golden_shown(report: &Report, artifact: &ReportArtifact) -> Option<(ArtifactId, Sha256)> {
    let golden = artifact.golden.as_ref()?;
    marks::marks_with_cards(report)
        .iter()
        .any(|mark| mark.artifact_id == artifact.artifact_id)
        .then_some((golden.artifact_id, golden.sha256))
}

/// The report's JSON, byte for byte as it is attached to the PDF; its SHA-256 stands in the footer.
///
/// Serve these bytes as the report's other face, and the printed digest proves it.
///
/// # Errors
/// When the report does not serialise.
pub fn report_json(report: &Report) -> Result<Vec<u8>, ReportPdfError> {
    Ok(serde_json::to_vec(report)?)
}

/// Renders reports. It holds fonts and the Typst library: build it once and share it.
pub struct ReportRenderer {
    compiler: Compiler,
}

impl ReportRenderer {
    /// Loads the embedded fonts and the template. Chinese, Japanese and Korean letters are printed in
    /// `of_machine`; without it, as their code points.
    #[must_use]
    pub fn new(of_machine: Option<ReportFont>) -> Self {
        Self { compiler: Compiler::new(of_machine) }
    }

    /// The PDF of `report`. It computes and does not wait: call it where blocking is allowed.
    ///
    /// # Errors
    /// When a picture's digest is not the report's, or the document cannot be made; a
    /// picture that is missing or does not decode is no error.
    #[tracing::instrument(skip_all, fields(report_id = %report.report_id), err)]
    pub fn render_pdf(
        &self,
        report: &Report,
        pictures: &Pictures,
    ) -> Result<Vec<u8>, ReportPdfError> {
        let json = report_json(report)?;
        let digest = Sha256::digest_of(&json);
        let evidence::Evidence { boards, cards, mut files } =
            evidence::collect_evidence(report, pictures)?;
        files.insert(ATTACHMENT.to_owned(), json);
        files.insert(PALETTE.to_owned(), palette::to_json()?);
        // Whether shaping found every glyph shows only when the PDF is written, and PDF/A forbids a
        // missing one: then everything beyond ASCII is written as code points.
        let mut last = None;
        for escape in [Escape::Unknown, Escape::BeyondAscii] {
            let text = Typesetter::new(self.compiler.fonts(), escape);
            let view = ReportView::new(report, digest, &text, (&boards, &cards));
            files.insert(VIEW.to_owned(), serde_json::to_vec(&view)?);
            let needs_machine_font = text.machine_font_used().is_some();
            match self.compiler.compile_pdf(&files, report, needs_machine_font) {
                Err(ReportPdfError::Typst(reason)) => last = Some(reason),
                done => {
                    #[cfg(test)]
                    done.iter().for_each(|pdf| platform::test_support::keep_pdf(pdf));
                    return done;
                }
            }
        }
        Err(ReportPdfError::Typst(last.unwrap_or_default()))
    }
}
