//! How events change an inspection.
//!
//! Invariant: total. An event that cannot follow the rules changes nothing.

use chrono::{DateTime, Utc};
use indexmap::IndexMap;
use std::collections::BTreeMap;

use super::{Artifact, Facts, Inspection, InspectionEvent, ModelIdentity};
use crate::{ArtifactId, PixelScale, ViewName};

impl Inspection {
    /// One that was announced before keeps its place.
    fn with_artifact(mut self, id: ArtifactId, artifact: Artifact) -> Self {
        if let Self::Open(facts) | Self::Inferring(facts) = &mut self {
            facts.artifacts.insert(id, artifact);
        }
        self
    }

    fn with_announced(
        mut self,
        id: ArtifactId,
        view: Option<ViewName>,
        scale: Option<PixelScale>,
    ) -> Self {
        if let Self::Open(facts) | Self::Inferring(facts) = &mut self {
            facts.announcements = facts.announcements.saturating_add(1);
            facts.views.extend(view.map(|view| (id, view)));
            facts.scales.extend(scale.map(|scale| (id, scale)));
        }
        self
    }

    fn with_reservation_until(mut self, id: ArtifactId, until: DateTime<Utc>) -> Self {
        if let Self::Open(facts) | Self::Inferring(facts) = &mut self
            && let Some(Artifact::Reserved { expires_at, .. }) = facts.artifacts.get_mut(&id)
        {
            *expires_at = until;
            facts.announcements = facts.announcements.saturating_add(1);
        }
        self
    }

    /// As if the picture had never been announced; what is at rest stays.
    fn without_reservation(mut self, id: ArtifactId) -> Self {
        if let Self::Open(facts) | Self::Inferring(facts) = &mut self
            && let Some(Artifact::Reserved { .. }) = facts.artifacts.get(&id)
        {
            facts.artifacts.shift_remove(&id);
            facts.views.remove(&id);
            facts.scales.remove(&id);
        }
        self
    }

    /// What was judged or withdrawn keeps its pictures for a while, and their facts for ever.
    fn without_files(mut self) -> Self {
        if let Self::Judged { facts, .. } | Self::Voided(facts) = &mut self {
            facts.pictures_retired = true;
        }
        self
    }

    fn pinned_to(mut self, model: &ModelIdentity) -> Self {
        if let Self::Open(facts) | Self::Inferring(facts) = &mut self {
            facts.model.get_or_insert_with(|| model.clone());
        }
        self
    }

    /// What was created once is not created again.
    fn opened_by(self, event: &InspectionEvent) -> Self {
        let (
            Self::NotCreated,
            InspectionEvent::InspectionCreated {
                inspection_id,
                lot,
                part,
                station,
                recipe,
                golden_sample_revision,
            },
        ) = (&self, event)
        else {
            return self;
        };
        Self::Open(Facts {
            inspection_id: *inspection_id,
            lot: lot.clone(),
            part: part.clone(),
            station: station.clone(),
            recipe: recipe.clone(),
            golden_sample_revision: *golden_sample_revision,
            artifacts: IndexMap::new(),
            views: BTreeMap::new(),
            scales: BTreeMap::new(),
            model: None,
            announcements: 0,
            pictures_retired: false,
        })
    }

    pub(super) fn after_event(self, event: &InspectionEvent) -> Self {
        use InspectionEvent as E;
        match event {
            E::InspectionCreated { .. } => self.opened_by(event),
            E::ArtifactReserved {
                artifact_id,
                media_type,
                view,
                pixels_per_millimetre,
                expires_at,
            } => {
                let reserved =
                    Artifact::Reserved { media_type: *media_type, expires_at: *expires_at };
                self.with_artifact(*artifact_id, reserved).with_announced(
                    *artifact_id,
                    view.clone(),
                    *pixels_per_millimetre,
                )
            }
            E::ArtifactReservationRenewed { artifact_id, expires_at } => {
                self.with_reservation_until(*artifact_id, *expires_at)
            }
            E::ArtifactReservationCancelled { artifact_id } => {
                self.without_reservation(*artifact_id)
            }
            E::ArtifactUploaded { artifact_id, picture } => {
                self.with_artifact(*artifact_id, Artifact::Uploaded(picture.clone()))
            }
            E::InferenceRequested { .. } => match self {
                Self::Open(facts) => Self::Inferring(facts),
                Self::NotCreated | Self::Inferring(_) | Self::Judged { .. } | Self::Voided(_) => {
                    self
                }
            },
            E::InferenceCompleted {
                artifact_id,
                picture,
                model,
                defects,
                differences,
                coverage,
                ..
            } => {
                let compared = Artifact::Compared {
                    picture: picture.clone(),
                    defects: defects.clone(),
                    differences: differences.clone(),
                    coverage: coverage.clone(),
                };
                self.pinned_to(model).with_artifact(*artifact_id, compared)
            }
            E::InferenceFailed { artifact_id, reason, picture, .. } => {
                let failed = Artifact::NotComparable { picture: picture.clone(), reason: *reason };
                self.with_artifact(*artifact_id, failed)
            }
            E::InspectionJudged { judgement, rules, .. } => match self {
                Self::Open(facts) | Self::Inferring(facts) => {
                    Self::Judged { facts, judgement: *judgement, rules: rules.clone() }
                }
                Self::NotCreated | Self::Judged { .. } | Self::Voided(_) => self,
            },
            E::InspectionVoided { .. } => match self {
                Self::Open(facts) | Self::Inferring(facts) => Self::Voided(facts),
                Self::NotCreated | Self::Judged { .. } | Self::Voided(_) => self,
            },
            E::PicturesRetired { .. } => self.without_files(),
        }
    }
}
