//! One inspection of one board: its states and how events change them.
//!
//! Invariants: no judgement before every required picture is settled; a missing or unreadable picture
//! never passes; one network compares all pictures; what is judged or voided takes no more results.

mod artifact;
mod command;
mod event;
mod rejection;
#[cfg(test)]
mod tests;
mod within;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

pub use artifact::{Artifact, ArtifactState};
pub use command::{InferenceResult, InspectionCommand};
pub use event::{GoldenReference, InspectionEvent, ModelIdentity, Registration, Timing};
pub use rejection::InspectionRejection;

use crate::vocabulary::vocabulary;
use crate::{
    Aggregate, ArtifactId, EventLabels, FiredRule, InspectionId, Judgement, Lot, PartNumber,
    Picture, PictureOwner, PixelScale, Reach, Recipe, Renewal, Station, StoredEvent, UploadSlot,
    View, ViewName, judge,
};

/// The state of an inspection.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub enum Inspection {
    /// Nothing has happened yet.
    #[default]
    NotCreated,
    /// Pictures are announced and uploaded.
    Open(Facts),
    /// The set of pictures is closed; the judgement waits for the last result.
    Inferring(Facts),
    /// Judged by the machine.
    Judged {
        /// What was inspected.
        facts: Facts,
        /// The machine's judgement.
        judgement: Judgement,
        /// The rules that fired.
        rules: Vec<FiredRule>,
    },
    /// Withdrawn before it was judged.
    Voided(Facts),
}

/// What is known of an inspection once it was created.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// Its id.
    pub inspection_id: InspectionId,
    /// The lot the board belongs to.
    pub lot: Lot,
    /// The part the board is.
    pub part: PartNumber,
    /// The station that inspects it.
    pub station: Station,
    /// The recipe in force when the inspection was created.
    pub recipe: Recipe,
    /// The part's latest golden sample when the inspection was created. `None` when it had none, or when
    /// nobody wrote it down: then those in force when a picture is compared are meant.
    pub golden_sample_revision: Option<u32>,
    /// Every picture announced so far, in the order in which they were announced.
    pub artifacts: IndexMap<ArtifactId, Artifact>,
    /// The view that each of them was announced as; those without a name are not here.
    pub views: BTreeMap<ArtifactId, ViewName>,
    /// The scale that each of them was announced with; those without one are not here.
    pub scales: BTreeMap<ArtifactId, PixelScale>,
    /// The network that compared the first picture; it compares the others too.
    pub model: Option<ModelIdentity>,
    /// How often a picture was announced or its announcement renewed, those that were taken back among them.
    pub announcements: u32,
}

vocabulary! {
    /// Where an inspection is in its life, once it was created.
    pub enum InspectionState ("state") {
        /// Pictures are announced and uploaded.
        Open = "open",
        /// The set of pictures is closed; the judgement waits for the last result.
        Inferring = "inferring",
        /// Judged by the machine.
        Judged = "judged",
        /// Withdrawn before it was judged.
        Voided = "voided",
    }
}

impl InspectionState {
    /// Whether a result still counts. What is judged or voided takes none, but other events may follow.
    #[must_use]
    pub const fn takes_results(self) -> bool {
        match self {
            Self::Open | Self::Inferring => true,
            Self::Judged | Self::Voided => false,
        }
    }
}

impl Inspection {
    /// What is known of the inspection, in any state but [`Inspection::NotCreated`].
    #[must_use]
    pub const fn facts(&self) -> Option<&Facts> {
        match self {
            Self::NotCreated => None,
            Self::Open(facts)
            | Self::Inferring(facts)
            | Self::Judged { facts, .. }
            | Self::Voided(facts) => Some(facts),
        }
    }

    /// The state by name; `None` for an inspection that nobody created.
    #[must_use]
    pub const fn state(&self) -> Option<InspectionState> {
        match self {
            Self::NotCreated => None,
            Self::Open(_) => Some(InspectionState::Open),
            Self::Inferring(_) => Some(InspectionState::Inferring),
            Self::Judged { .. } => Some(InspectionState::Judged),
            Self::Voided(_) => Some(InspectionState::Voided),
        }
    }

    /// What is known of it, as long as its set of pictures may grow.
    fn open_facts(&self) -> Result<&Facts, InspectionRejection> {
        match self {
            Self::NotCreated => Err(InspectionRejection::NotFound),
            Self::Open(facts) => Ok(facts),
            Self::Inferring(_) => Err(InspectionRejection::InferenceAlreadyRequested),
            Self::Judged { .. } => Err(InspectionRejection::AlreadyJudged),
            Self::Voided(_) => Err(InspectionRejection::Voided),
        }
    }

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
        })
    }

    fn after_event(self, event: &InspectionEvent) -> Self {
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
        }
    }
}

impl Facts {
    /// The judgement, once every announced picture is settled; `None` while one waits for its result.
    ///
    /// A picture that was announced and never uploaded counts as missing: ask only after the set of
    /// pictures is closed.
    fn judge_artifacts(&self) -> Option<(Judgement, Vec<FiredRule>)> {
        let mut views = Vec::with_capacity(self.artifacts.len());
        for (id, artifact) in &self.artifacts {
            let seen = match artifact {
                Artifact::Uploaded(_) => return None,
                Artifact::Reserved { .. } => View::Missing,
                Artifact::Compared { defects, differences, coverage, .. } => {
                    View::Compared { findings: defects, differences, coverage: coverage.as_ref() }
                }
                Artifact::NotComparable { reason, .. } => View::NotComparable(*reason),
            };
            views.push((self.views.get(id), seen));
        }
        views.extend(self.has_duplicate_picture().then_some((None, View::Duplicate)));
        Some(judge(views, &self.recipe))
    }

    /// True when two of the pictures are the same, byte for byte: a camera gives no two such pictures, so
    /// one side of the board was sent twice and another was never seen.
    fn has_duplicate_picture(&self) -> bool {
        let mut pictures = self.artifacts.values().filter_map(Artifact::picture);
        let mut seen = BTreeSet::new();
        !pictures.all(|picture| seen.insert(picture.sha256))
    }

    fn judgement_event(&self) -> Option<InspectionEvent> {
        let (judgement, rules) = self.judge_artifacts()?;
        let recipe_revision = self.recipe.revision;
        Some(InspectionEvent::InspectionJudged { judgement, rules, recipe_revision })
    }
}

/// What the log calls the judge: the recipe's rules, applied by the platform itself.
const JUDGE: &str = "judge";

impl Aggregate for Inspection {
    const TYPE: &'static str = "inspection";
    const EVENTS: &'static [StoredEvent] = InspectionEvent::STORED;
    type Command = InspectionCommand;
    type Event = InspectionEvent;
    type Rejection = InspectionRejection;

    fn decide(
        &self,
        command: InspectionCommand,
    ) -> Result<Vec<InspectionEvent>, InspectionRejection> {
        command::decide(self, command)
    }

    fn is_within(&self, reach: &Reach, command: &InspectionCommand) -> bool {
        within::is_within(self, reach, command)
    }

    fn evolve(&mut self, event: &InspectionEvent) {
        *self = std::mem::take(self).after_event(event);
    }

    /// The recipe judges, whoever's command came last: the worker's result, or a station's request.
    fn labels(event: &InspectionEvent) -> EventLabels {
        let InspectionEvent::InspectionJudged { judgement, .. } = event else {
            return EventLabels::default();
        };
        EventLabels { decided_by: Some(JUDGE), outcome: Some(judgement.as_str()) }
    }
}

impl PictureOwner for Inspection {
    fn upload_slot(&self, artifact_id: ArtifactId) -> Result<UploadSlot<'_>, InspectionRejection> {
        let facts = self.facts().ok_or(InspectionRejection::NotFound)?;
        let missing = InspectionRejection::NoSuchArtifact { artifact_id };
        match facts.artifacts.get(&artifact_id).ok_or(missing)? {
            Artifact::Reserved { media_type, .. } => {
                self.open_facts()?;
                Ok(UploadSlot::Free { announced: *media_type })
            }
            // In whatever state the inspection is: an upload may be repeated long after.
            Artifact::Uploaded(picture)
            | Artifact::Compared { picture, .. }
            | Artifact::NotComparable { picture, .. } => Ok(UploadSlot::Taken(picture)),
        }
    }

    fn upload_command(artifact_id: ArtifactId, picture: Picture) -> InspectionCommand {
        InspectionCommand::UploadArtifact { artifact_id, picture }
    }

    fn renewal_command(artifact_id: ArtifactId, renewal: Renewal) -> InspectionCommand {
        InspectionCommand::RenewReservation { artifact_id, renewal }
    }

    fn cancellation_command(artifact_id: ArtifactId) -> InspectionCommand {
        InspectionCommand::CancelReservation { artifact_id }
    }
}
