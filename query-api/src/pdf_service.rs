//! Report PDFs on demand: pictures fetched and verified, rendering bounded and off the async
//! threads.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use domain::report::SCHEMA_VERSION;
use domain::{ArtifactId, Report, Sha256};
use platform::artifact_store::{ArtifactStore, ArtifactStoreError};
use platform::http::Problem;

use crate::error::QueryError;
use crate::fair_turns::FairTurns;
use crate::report_pdf::{Pictures, ReportRenderer};

/// How long a request waits for its turn.
const TURN_TIMEOUT: Duration = Duration::from_secs(10);

/// Renders reports, a few at a time. The renderer is built when the first PDF is asked for: it
/// holds fonts that an API that serves none need not load.
pub(crate) struct PdfService {
    artifacts: ArtifactStore,
    turns: FairTurns,
    renderer: Arc<OnceLock<ReportRenderer>>,
}

impl PdfService {
    pub(crate) fn new(artifacts: ArtifactStore, at_once: usize) -> Self {
        // Half of them of one principal, so that there are some for others.
        let turns = FairTurns::new("PDFs", at_once, at_once / 2);
        Self { artifacts, turns, renderer: Arc::new(OnceLock::new()) }
    }

    /// The PDF of a stored report, for `principal`.
    ///
    /// # Errors
    /// 503 when too many are asked for, the store is away or the report is of an older version; 500 when
    /// a picture is damaged.
    #[tracing::instrument(skip_all, fields(report_id))]
    pub(crate) async fn render_stored(
        &self,
        principal: &str,
        document: &str,
    ) -> Result<Vec<u8>, Problem> {
        let report = read_report(document)?;
        let span = tracing::Span::current();
        span.record("report_id", tracing::field::display(report.report_id));
        let turn = self.turns.wait_for_turn(principal, TURN_TIMEOUT).await?;
        let pictures = self.fetch_pictures(&report).await?;
        let renderer = Arc::clone(&self.renderer);
        let rendered = tokio::task::spawn_blocking(move || {
            // Nobody may wait for it any more: it is at work all the same, and has its turn until then.
            let _turn = turn;
            // A thread of its own does not know by itself whose work it does.
            let _of_request = span.entered();
            renderer.get_or_init(ReportRenderer::new).render_pdf(&report, &pictures)
        });
        Ok(rendered.await.map_err(QueryError::internal)?.map_err(QueryError::internal)?)
    }

    /// The files that the report shows. One that is not at rest is left out: the report says so.
    async fn fetch_pictures(&self, report: &Report) -> Result<Pictures, Problem> {
        let mut pictures = Pictures::default();
        for id in Pictures::artifacts_to_fetch(report) {
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

/// A stored report. One of an older version waits for its projection to be rebuilt from the log.
fn read_report(document: &str) -> Result<Report, QueryError> {
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
    use domain::{FiredRule, InspectionId, Judgement, Recipe, ReportId};
    use platform::test_support::artifact_store_in;

    use super::*;

    /// A report that shows no picture.
    fn document() -> String {
        let at = "2026-03-01T08:30:00Z".parse().unwrap();
        let inspection_id = InspectionId(uuid::Uuid::now_v7());
        let report = Report {
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
            artifacts: Vec::new(),
            defects: Vec::new(),
            differences: Vec::new(),
            timeline: Vec::new(),
        };
        serde_json::to_string(&report).unwrap()
    }

    #[tokio::test]
    async fn a_rendering_that_nobody_waits_for_keeps_its_turn_until_it_is_done() {
        let folder = tempfile::tempdir().unwrap();
        let service = PdfService::new(artifact_store_in(folder.path()), 1);
        let document = document();
        let mut left = Box::pin(service.render_stored("somebody", &document));
        // It has begun: the renderer reads its fonts, which takes a while.
        assert!(futures::poll!(&mut left).is_pending());
        drop(left);
        let turn = service.turns.wait_for_turn("other", Duration::ZERO).await;
        assert!(turn.is_err(), "it is still at work");
        assert!(
            service.render_stored("somebody", &document).await.is_ok(),
            "it had its turn after that one"
        );
        assert!(service.turns.wait_for_turn("other", Duration::ZERO).await.is_ok());
    }
}
