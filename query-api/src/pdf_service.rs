//! Report PDFs on demand: pictures fetched and verified, rendering bounded and off the async
//! threads.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use domain::report::SCHEMA_VERSION;
use domain::{ArtifactId, Report, Sha256};
use platform::artifact_store::{ArtifactStore, ArtifactStoreError};
use platform::http::{Problem, ProblemType};
use platform::picture_memory::{MemoryShare, PictureMemory};
use tokio::time::timeout;

use crate::error::QueryError;
use crate::fair_turns::FairTurns;
use crate::report_font::ReportFont;
use crate::report_pdf::{
    DECODE_BYTES_MAX, MAX_PICTURES, Pictures, ReportRenderer, RetiredPictures,
};

/// How long a request waits for its turn.
const TURN_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of a pixel as it is in its file, at the most: four channels of 16 bits.
const FILE_BYTES_PER_PIXEL: u64 = 8;
/// Bytes of a pixel in colour, as it is shown.
const COLOUR_BYTES_PER_PIXEL: u64 = 3;
/// Bytes of what the page shows of a picture at the most: as a bitmap, and compressed.
const SHOWN_BYTES: u64 = 24 << 20;

/// Renders reports, a few at a time. The renderer is built when the first PDF is asked for: it
/// holds fonts that an API that serves none need not load.
pub(crate) struct PdfService {
    artifacts: ArtifactStore,
    memory: PictureMemory,
    turns: FairTurns,
    font: Option<ReportFont>,
    renderer: Arc<OnceLock<ReportRenderer>>,
}

impl PdfService {
    pub(crate) fn new(
        artifacts: ArtifactStore,
        memory: PictureMemory,
        font: Option<ReportFont>,
        at_once: usize,
    ) -> Self {
        // Half of them of one principal, so that there are some for others.
        let turns = FairTurns::new("PDFs", at_once, at_once / 2);
        Self { artifacts, memory, turns, font, renderer: Arc::new(OnceLock::new()) }
    }

    /// What PDFs depend on besides their report and its pictures.
    pub(crate) fn edition(&self) -> String {
        let version = env!("CARGO_PKG_VERSION");
        match &self.font {
            Some(font) => format!("{version}-{}", font.sha256()),
            None => version.to_owned(),
        }
    }

    /// The PDF of a stored report, for `principal`; without the pictures that were retired.
    ///
    /// # Errors
    /// 503 when too many are asked for or the store is away; 422 when its pictures never fit the memory; 500 when a
    /// picture is damaged.
    #[tracing::instrument(skip_all, fields(report_id))]
    pub(crate) async fn render_stored(
        &self,
        principal: &str,
        report: Report,
        retired: RetiredPictures,
    ) -> Result<Vec<u8>, Problem> {
        let span = tracing::Span::current();
        span.record("report_id", tracing::field::display(report.report_id));
        let turn = self.turns.wait_for_turn(principal, TURN_TIMEOUT).await?;
        let memory = timeout(TURN_TIMEOUT, self.reserve_memory(&report)).await;
        let memory = memory.map_err(|_| QueryError::TooMany("PDFs"))??;
        let pictures = self.fetch_pictures(&report, retired).await?;
        let (renderer, font) = (Arc::clone(&self.renderer), self.font.clone());
        let rendered = tokio::task::spawn_blocking(move || {
            // Nobody may wait for it any more: it is at work all the same, and has its turn until then.
            let (_turn, _memory) = (turn, memory);
            // A thread of its own does not know by itself whose work it does.
            let _of_request = span.entered();
            renderer.get_or_init(|| ReportRenderer::new(font)).render_pdf(&report, &pictures)
        });
        Ok(rendered.await.map_err(QueryError::internal)?.map_err(QueryError::internal)?)
    }

    /// The memory that the pictures of `report` take.
    async fn reserve_memory(&self, report: &Report) -> Result<MemoryShare, Problem> {
        let mut file_bytes = 0;
        for id in Pictures::artifacts_to_fetch(report) {
            match self.artifacts.stored_length(id).await {
                Ok(length) => file_bytes += length,
                Err(ArtifactStoreError::NotFound(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let reserved = self.memory.reserve(memory_for(report, file_bytes)).await;
        reserved.map_err(|exceeds| {
            Problem::new(ProblemType::ReportTooLarge, format!("the PDF is not made: {exceeds}"))
        })
    }

    /// The files that the report shows. One that is not at rest is left out: the report says so.
    async fn fetch_pictures(
        &self,
        report: &Report,
        retired: RetiredPictures,
    ) -> Result<Pictures, Problem> {
        let mut pictures = Pictures::without(retired);
        for id in Pictures::artifacts_to_fetch(report) {
            if pictures.retired_at(id).is_some() {
                continue;
            }
            let Some(sha256) = digest_in_report(report, id) else { continue };
            match self.artifacts.get_verified(id, &sha256).await {
                Ok(file) => pictures.insert(id, file.as_ref()),
                Err(ArtifactStoreError::NotFound(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(pictures)
    }
}

/// Bytes that the pictures of a report take while it is rendered. Their files lie in memory twice; one after the
/// other is decoded, its golden sample of the same size with it; and what the page shows of each stays.
fn memory_for(report: &Report, file_bytes: u64) -> u64 {
    let pictures = report.artifacts.iter().take(MAX_PICTURES);
    let pixels = pictures.filter_map(|artifact| artifact.picture.as_ref());
    let pixels = pixels.map(|picture| u64::from(picture.width) * u64::from(picture.height));
    let shown = pixels.clone().count() as u64;
    let decoded = pixels.map(decoded_bytes).max().unwrap_or_default();
    decoded.saturating_add(file_bytes.saturating_mul(2)).saturating_add(shown * SHOWN_BYTES)
}

/// Bytes while a picture of so many pixels is decoded beside another one: both as they are shown, and the second
/// as it is in its file. The larger a picture, the fewer bytes a pixel has if it is decoded at all.
const fn decoded_bytes(pixels: u64) -> u64 {
    if pixels == 0 {
        return 0;
    }
    let most = DECODE_BYTES_MAX / pixels;
    let in_file = if most < FILE_BYTES_PER_PIXEL { most } else { FILE_BYTES_PER_PIXEL };
    let shown = match in_file {
        0 => 0,
        1 | 2 => 1,
        _ => COLOUR_BYTES_PER_PIXEL,
    };
    pixels.saturating_mul(in_file + 2 * shown)
}

/// A stored report. One of an older version waits for its projection to be rebuilt from the log.
pub(crate) fn read_report(document: &str) -> Result<Report, QueryError> {
    /// What every version of a report has.
    #[derive(serde::Deserialize)]
    struct Versioned {
        schema_version: u32,
    }
    let versioned: Versioned = serde_json::from_str(document).map_err(QueryError::internal)?;
    if versioned.schema_version != SCHEMA_VERSION {
        return Err(QueryError::NotBuilt);
    }
    serde_json::from_str(document).map_err(QueryError::internal)
}

/// The digest that the report gives for a picture or golden sample.
fn digest_in_report(report: &Report, id: ArtifactId) -> Option<Sha256> {
    report.artifacts.iter().find_map(|artifact| {
        let golden = artifact.golden.as_ref().filter(|golden| golden.artifact_id == id);
        let own = artifact.picture.as_ref().filter(|_| artifact.artifact_id == id);
        golden.map(|golden| golden.sha256).or_else(|| own.map(|picture| picture.sha256))
    })
}

#[cfg(test)]
mod tests {
    use domain::report::{Outcome, ReportArtifact};
    use domain::{FiredRule, InspectionId, Judgement, MediaType, Picture, Recipe, ReportId};
    use platform::test_support::artifact_store_in;

    use super::*;

    /// A report that shows no picture.
    fn document() -> Report {
        report(Vec::new())
    }

    fn report(artifacts: Vec<ReportArtifact>) -> Report {
        let at = "2026-03-01T08:30:00Z".parse().unwrap();
        let inspection_id = InspectionId(uuid::Uuid::now_v7());
        Report {
            schema_version: SCHEMA_VERSION,
            report_id: ReportId::for_inspection(inspection_id),
            inspection_id,
            lot: "L1".parse().unwrap(),
            part: "P".parse().unwrap(),
            station: "AOI-1".parse().unwrap(),
            judgement: Judgement::Pass,
            rules: vec![FiredRule::NothingFound],
            recipe: Recipe::factory(0),
            golden_sample_revision: None,
            created_at: at,
            judged_at: at,
            artifacts,
            defects: Vec::new(),
            differences: Vec::new(),
            timeline: Vec::new(),
        }
    }

    /// A picture of so many pixels each way that nobody compared.
    fn picture_of(side: u32) -> ReportArtifact {
        let (sha256, media_type) = (Sha256::digest_of(b"picture"), MediaType::Png);
        let picture = Picture { sha256, bytes: 7, media_type, width: side, height: side };
        ReportArtifact {
            artifact_id: ArtifactId(uuid::Uuid::now_v7()),
            view: None,
            pixels_per_millimetre: None,
            picture: Some(picture),
            golden: None,
            identical_to_golden_sample: None,
            outcome: Outcome::Missing,
        }
    }

    #[tokio::test]
    async fn a_report_waits_for_the_memory_of_its_pictures_and_one_that_never_fits_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let memory = PictureMemory::from_mib(256);
        let service = PdfService::new(artifact_store_in(folder.path()), memory.clone(), None, 1);
        let document = |side| report(vec![picture_of(side)]);
        let others = memory.reserve(150 << 20).await.unwrap();
        let (small, large) = (document(2_048), document(8_000));
        let mut waiting =
            Box::pin(service.render_stored("somebody", small, RetiredPictures::new()));
        let refused = tokio::time::timeout(Duration::from_millis(200), &mut waiting).await;
        assert!(refused.is_err(), "others have it");
        drop(others);
        assert!(waiting.await.is_ok());
        assert!(memory.try_reserve(192 << 20).is_some(), "it was given back");
        let refused =
            service.render_stored("somebody", large, RetiredPictures::new()).await.unwrap_err();
        assert_eq!((refused.status().as_u16(), refused.name()), (422, "report-too-large"));
        assert!(refused.detail().contains("CHIPQ_PICTURE_MEMORY_MIB"), "{refused}");
    }

    #[tokio::test]
    async fn a_report_of_the_largest_panel_or_of_full_sets_of_photographs_fits_by_default() {
        let memory = PictureMemory::default();
        let panel = report(vec![picture_of(16_384)]);
        let photographs = report((0..MAX_PICTURES + 1).map(|_| picture_of(8_000)).collect());
        for (report, bytes) in [(panel, 64 << 20), (photographs, 32 << 20)] {
            let needed = memory_for(&report, bytes);
            assert!(memory.try_reserve(needed).is_some(), "{needed}");
        }
        // Never less than what the renderer decodes: 16 bits of grey, and a golden sample of 8.
        assert!(memory_for(&report(vec![picture_of(16_384)]), 0) >= 4 * 16_384 * 16_384);
    }

    #[tokio::test]
    async fn a_rendering_that_nobody_waits_for_keeps_its_turn_until_it_is_done() {
        let folder = tempfile::tempdir().unwrap();
        let store = artifact_store_in(folder.path());
        let service = PdfService::new(store, PictureMemory::default(), None, 1);
        let mut left =
            Box::pin(service.render_stored("somebody", document(), RetiredPictures::new()));
        // It has begun: the renderer reads its fonts, which takes a while.
        assert!(futures::poll!(&mut left).is_pending());
        drop(left);
        let turn = service.turns.wait_for_turn("other", Duration::ZERO).await;
        assert!(turn.is_err(), "it is still at work");
        assert!(
            service.render_stored("somebody", document(), RetiredPictures::new()).await.is_ok(),
            "it had its turn after that one"
        );
        assert!(service.turns.wait_for_turn("other", Duration::ZERO).await.is_ok());
    }
}
