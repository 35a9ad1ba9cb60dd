//! One inspection of one board: its states and how events change them.
//!
//! Invariants: no judgement before every required picture is settled; a missing or unreadable picture
//! never passes; one network compares all pictures; what is judged or voided takes no more results.

mod artifact;
mod command;
mod event;
mod evolution;
mod inference_result;
mod rejection;
#[cfg(test)]
mod tests;
mod within;

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

pub use artifact::{Artifact, ArtifactState};
pub use command::InspectionCommand;
pub use event::{GoldenReference, InspectionEvent, ModelIdentity, Registration, Timing};
pub use inference_result::InferenceResult;
pub use rejection::InspectionRejection;

use crate::vocabulary::vocabulary;
use crate::{
    Aggregate, ArtifactId, EventLabels, FiredRule, InspectionId, Judgement, Lot, PartNumber,
    Picture, PictureOwner, PixelScale, Reach, Recipe, Renewal, RetentionClass, Station,
    StoredEvent, UploadSlot, View, ViewName, judge,
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
    /// Whether the files of its pictures were given up: their retention period is over.
    pub pictures_retired: bool,
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

    /// Why its pictures are kept for as long as they are; `None` while they may still be compared.
    #[must_use]
    pub fn retention_class(&self) -> Option<RetentionClass> {
        match self {
            Self::NotCreated | Self::Open(_) | Self::Inferring(_) => None,
            Self::Judged { judgement, .. } => Some((*judgement).into()),
            Self::Voided(_) => Some(RetentionClass::Void),
        }
    }
}

impl Facts {
    /// What a recipe makes of the results, be it the inspection's own or another, once every announced picture is
    /// settled; `None` while one waits for its result.
    ///
    /// A picture that was announced and never uploaded counts as missing: ask only after the set of
    /// pictures is closed. Another area or another bend would have given other results.
    #[must_use]
    pub fn judge_by(&self, recipe: &Recipe) -> Option<(Judgement, Vec<FiredRule>)> {
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
        Some(judge(views, recipe))
    }

    /// True when two of the pictures are the same, byte for byte: a camera gives no two such pictures, so
    /// one side of the board was sent twice and another was never seen.
    fn has_duplicate_picture(&self) -> bool {
        let mut pictures = self.artifacts.values().filter_map(Artifact::picture);
        let mut seen = BTreeSet::new();
        !pictures.all(|picture| seen.insert(picture.sha256))
    }

    fn judgement_event(&self) -> Option<InspectionEvent> {
        let (judgement, rules) = self.judge_by(&self.recipe)?;
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
        let artifact = facts.artifacts.get(&artifact_id).ok_or(missing)?;
        if facts.pictures_retired {
            return Err(InspectionRejection::PicturesRetired);
        }
        match artifact {
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
