//! The faces of a report: its JSON, as it is stored, and its PDF, made as the query API makes it.

use domain::{ArtifactId, Report, Sha256};
use platform::artifact_store::{ArtifactStore, ArtifactStoreError};
use projectors::Retirements;
use query_api::ReportFontConfig;
use query_api::report_pdf::{Pictures, ReportRenderer};
use std::sync::Arc;

use crate::failure::{Failure, exit};
use crate::operator_session::OperatorSession;

/// What PDFs are made of besides their reports.
pub(super) struct ReportFaces {
    artifacts: ArtifactStore,
    renderer: Arc<ReportRenderer>,
}

/// A PDF, and what was missing for it.
pub(super) struct MadePdf {
    pub(super) bytes: Vec<u8>,
    /// What is the matter with pictures that no event retired: they are not at rest, or not what the report says.
    pub(super) faults: Vec<String>,
}

impl ReportFaces {
    /// The pictures of an installation, and the renderer.
    pub(super) async fn open(
        session: &OperatorSession,
        font: &ReportFontConfig,
    ) -> anyhow::Result<Self> {
        let artifacts = session.open_artifacts_to_read()?;
        let renderer = Arc::new(ReportRenderer::new(font.font()));
        Ok(Self { artifacts, renderer })
    }

    /// The PDF of a report, without the pictures that were retired.
    pub(super) async fn make_pdf(
        &self,
        report: Report,
        retired: Retirements,
    ) -> Result<MadePdf, Failure> {
        let (mut pictures, mut faults) = (Pictures::without(retired), Vec::new());
        for id in Pictures::artifacts_to_fetch(&report) {
            let Some(sha256) = digest_in(&report, id) else { continue };
            if pictures.retired_at(id).is_some() {
                continue;
            }
            match self.artifacts.get_verified(id, &sha256).await {
                Ok(file) => pictures.insert(id, file.as_ref()),
                Err(ArtifactStoreError::NotFound(_)) => {
                    faults.push(format!("picture {id} is not at rest any more, and no event retired it"));
                }
                Err(ArtifactStoreError::DigestMismatch { expected, found, .. }) => faults.push(
                    format!("picture {id} has digest {found}, and the event that recorded it says {expected}"),
                ),
                Err(error) => return Err(explain(&error)),
            }
        }
        let renderer = Arc::clone(&self.renderer);
        let made = tokio::task::spawn_blocking(move || renderer.render_pdf(&report, &pictures));
        let bytes =
            made.await.map_err(|error| explain(&error))?.map_err(|error| explain(&error))?;
        Ok(MadePdf { bytes, faults })
    }
}

/// The digest that the report gives for a picture or golden sample.
fn digest_in(report: &Report, id: ArtifactId) -> Option<Sha256> {
    report.artifacts.iter().find_map(|artifact| {
        let golden = artifact.golden.as_ref().filter(|golden| golden.artifact_id == id);
        let own = artifact.picture.as_ref().filter(|_| artifact.artifact_id == id);
        golden.map(|golden| golden.sha256).or_else(|| own.map(|picture| picture.sha256))
    })
}

fn explain(error: &(impl std::fmt::Display + ?Sized)) -> Failure {
    Failure::new(
        format_args!("a PDF cannot be made: {error}"),
        "check that the pictures can be read, or leave --into and --inspection out",
        exit::UNAVAILABLE,
    )
}
