//! The fold of an inspection's events that a report is made from.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use indexmap::IndexMap;

use super::{Entry, Outcome, ReportArtifact};
use crate::inspection::GoldenReference;
use crate::{
    ArtifactId, Coverage, Defect, DetectionLimit, FiredRule, InspectionEvent, InspectionId,
    Judgement, Lot, PartNumber, Picture, PixelScale, Recipe, Station, UnexplainedDifference,
    ViewName,
};

/// What the first event says of the inspection.
pub(super) struct Created {
    pub(super) inspection_id: InspectionId,
    pub(super) lot: Lot,
    pub(super) part: PartNumber,
    pub(super) station: Station,
    pub(super) recipe: Recipe,
    pub(super) golden_sample_revision: Option<u32>,
    pub(super) created_at: DateTime<Utc>,
}

impl Created {
    /// `None` for another event.
    fn from_entry(entry: &Entry) -> Option<Self> {
        let InspectionEvent::InspectionCreated {
            inspection_id,
            lot,
            part,
            station,
            recipe,
            golden_sample_revision,
        } = &entry.event
        else {
            return None;
        };
        Some(Self {
            inspection_id: *inspection_id,
            lot: lot.clone(),
            part: part.clone(),
            station: station.clone(),
            recipe: recipe.clone(),
            golden_sample_revision: *golden_sample_revision,
            created_at: entry.occurred_at,
        })
    }
}

/// Folds events as the inspection itself does: each counts or not by the state that it meets, and no
/// result counts before the inspection is created or after it ends.
#[derive(Default)]
pub(super) struct ReportFold {
    pub(super) created: Option<Created>,
    ended: bool,
    pub(super) judged: Option<(Judgement, Vec<FiredRule>, DateTime<Utc>)>,
    views: BTreeMap<ArtifactId, ViewName>,
    scales: BTreeMap<ArtifactId, PixelScale>,
    /// In the order in which they were announced.
    pub(super) artifacts: IndexMap<ArtifactId, ReportArtifact>,
    findings: BTreeMap<ArtifactId, Vec<Defect>>,
    differences: BTreeMap<ArtifactId, Vec<UnexplainedDifference>>,
}

impl ReportFold {
    pub(super) fn add_entry(&mut self, entry: &Entry) {
        use InspectionEvent as E;
        let takes_results = self.created.is_some() && !self.ended;
        match &entry.event {
            E::InspectionCreated { .. } if self.created.is_none() => {
                self.created = Created::from_entry(entry);
            }
            E::ArtifactReserved { artifact_id, view, pixels_per_millimetre, .. }
                if takes_results =>
            {
                self.views.extend(view.clone().map(|view| (*artifact_id, view)));
                self.scales.extend(pixels_per_millimetre.map(|scale| (*artifact_id, scale)));
                self.put_artifact(*artifact_id, None, None, Outcome::Missing);
            }
            E::ArtifactReservationCancelled { artifact_id } if takes_results => {
                self.forget_announced(artifact_id);
            }
            E::ArtifactUploaded { artifact_id, picture } if takes_results => {
                self.put_artifact(*artifact_id, Some(picture), None, Outcome::Missing);
            }
            E::InferenceCompleted {
                artifact_id,
                picture,
                golden,
                model,
                registration,
                defects,
                differences,
                coverage,
                timing,
                ..
            } if takes_results => {
                let outcome = Outcome::Compared {
                    model: model.clone(),
                    registration: *registration,
                    coverage: coverage.clone(),
                    detection_limit: self.detection_limit(*artifact_id, coverage.as_ref()),
                    timing: *timing,
                };
                self.put_artifact(*artifact_id, Some(picture), Some(golden), outcome);
                self.findings.insert(*artifact_id, defects.clone());
                self.differences.insert(*artifact_id, differences.clone());
            }
            E::InferenceFailed { artifact_id, picture, golden, reason, detail, .. }
                if takes_results =>
            {
                let outcome = Outcome::NotComparable { reason: *reason, detail: detail.clone() };
                self.put_artifact(*artifact_id, Some(picture), golden.as_ref(), outcome);
            }
            E::InspectionJudged { judgement, rules, .. } if takes_results => {
                self.judged = Some((*judgement, rules.clone(), entry.occurred_at));
                self.ended = true;
            }
            E::InspectionVoided { .. } if takes_results => self.ended = true,
            // Until when a picture may come is no matter of a report, nor for how long its file is kept: what it
            // says was seen stands. The others cannot follow the rules:
            // before the creation, after the end, a second beginning.
            E::ArtifactReservationRenewed { .. }
            | E::InspectionCreated { .. }
            | E::ArtifactReserved { .. }
            | E::ArtifactReservationCancelled { .. }
            | E::ArtifactUploaded { .. }
            | E::InferenceRequested { .. }
            | E::InferenceCompleted { .. }
            | E::InferenceFailed { .. }
            | E::InspectionJudged { .. }
            | E::InspectionVoided { .. }
            | E::PicturesRetired { .. } => {}
        }
    }

    /// Every finding with its picture: pictures as they were announced, most confident first.
    pub(super) fn findings(&self) -> impl Iterator<Item = (&ReportArtifact, &Defect)> {
        self.of_pictures(&self.findings)
    }

    /// Every unexplained difference with its picture: pictures as they were announced, strongest first.
    pub(super) fn differences(
        &self,
    ) -> impl Iterator<Item = (&ReportArtifact, &UnexplainedDifference)> {
        self.of_pictures(&self.differences)
    }

    fn of_pictures<'a, T>(
        &'a self,
        results: &'a BTreeMap<ArtifactId, Vec<T>>,
    ) -> impl Iterator<Item = (&'a ReportArtifact, &'a T)> {
        self.artifacts.iter().flat_map(move |(id, artifact)| {
            let result = results.get(id).map_or(&[][..], Vec::as_slice);
            result.iter().map(move |seen| (artifact, seen))
        })
    }

    fn detection_limit(
        &self,
        artifact_id: ArtifactId,
        coverage: Option<&Coverage>,
    ) -> Option<DetectionLimit> {
        let scale = self.scales.get(&artifact_id).copied();
        coverage.and_then(Coverage::method).map(|method| method.detection_limit(scale))
    }

    /// What has come is not cancelled.
    fn forget_announced(&mut self, artifact_id: &ArtifactId) {
        if self.artifacts.get(artifact_id).is_some_and(|artifact| artifact.picture.is_none()) {
            self.views.remove(artifact_id);
            self.scales.remove(artifact_id);
            self.artifacts.shift_remove(artifact_id);
        }
    }

    fn put_artifact(
        &mut self,
        artifact_id: ArtifactId,
        picture: Option<&Picture>,
        golden: Option<&GoldenReference>,
        outcome: Outcome,
    ) {
        let artifact = ReportArtifact {
            artifact_id,
            view: self.views.get(&artifact_id).cloned(),
            pixels_per_millimetre: self.scales.get(&artifact_id).copied(),
            picture: picture.cloned(),
            golden: golden.cloned(),
            identical_to_golden_sample: picture
                .zip(golden)
                .map(|(picture, golden)| picture.sha256 == golden.sha256),
            outcome,
        };
        self.findings.remove(&artifact_id);
        self.differences.remove(&artifact_id);
        self.artifacts.insert(artifact_id, artifact);
    }
}
