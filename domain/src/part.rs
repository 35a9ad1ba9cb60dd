//! A part: what a board is, the golden sample it is compared with, the recipe it is judged by.
//!
//! Invariant: golden samples and recipes are numbered from 1 without gaps; the latest recipe is in
//! force. Which golden samples are is said by `golden`.

mod command;
mod event;
mod golden;
mod rejection;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use command::PartCommand;
pub use event::PartEvent;
pub use golden::{GoldenPurpose, GoldenReservation, GoldenSample, GoldenSampleUse, GoldenSet};
pub use rejection::PartRejection;

use crate::{
    Aggregate, ArtifactId, PartNumber, Picture, PictureOwner, Reach, Recipe, Renewal, StoredEvent,
    UploadSlot, ViewName,
};

/// The state of a part.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub enum Part {
    /// Nobody registered it.
    #[default]
    Unregistered,
    /// Registered.
    Registered(PartFacts),
}

/// What is known of a registered part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PartFacts {
    /// The part number.
    pub part: PartNumber,
    /// The recipe in force.
    pub recipe: Recipe,
    /// Golden samples announced and not uploaded.
    pub reserved: BTreeMap<ArtifactId, GoldenReservation>,
    /// Golden samples by revision.
    pub golden_samples: Vec<GoldenSample>,
    /// How often a golden sample was announced or its announcement renewed, those that were taken back among them.
    pub announcements: u32,
}

impl Part {
    /// The golden samples that pictures of `view` are compared with; of those that there were when
    /// `revision` was the latest, or of all. `None` when none of them takes the place of a golden sample.
    #[must_use]
    pub fn golden_set(
        &self,
        view: Option<&ViewName>,
        revision: Option<u32>,
    ) -> Option<GoldenSet<'_>> {
        match self {
            Self::Unregistered => None,
            Self::Registered(facts) => {
                GoldenSet::in_force(&facts.golden_samples, view, revision.unwrap_or(u32::MAX))
            }
        }
    }

    /// The revision of the latest golden sample, of whatever use and view.
    #[must_use]
    pub fn golden_sample_revision(&self) -> Option<u32> {
        match self {
            Self::Unregistered => None,
            Self::Registered(facts) => facts.golden_samples.last().map(|golden| golden.revision),
        }
    }

    /// The recipe in force: the factory recipe, revision 0, while the part is not registered.
    #[must_use]
    pub fn recipe(&self) -> Recipe {
        match self {
            Self::Unregistered => Recipe::factory(0),
            Self::Registered(facts) => facts.recipe.clone(),
        }
    }
}

impl Aggregate for Part {
    const TYPE: &'static str = "part";
    const EVENTS: &'static [StoredEvent] = PartEvent::STORED;
    type Command = PartCommand;
    type Event = PartEvent;
    type Rejection = PartRejection;

    fn decide(&self, command: PartCommand) -> Result<Vec<PartEvent>, PartRejection> {
        command::decide(self, command)
    }

    /// What is written of a part counts at every station: whoever is limited to some of them writes nothing of it.
    fn is_within(&self, reach: &Reach, command: &PartCommand) -> bool {
        let is_of_covered_part = match (self, command) {
            (Self::Registered(facts), _) => reach.covers_part(&facts.part),
            (Self::Unregistered, PartCommand::RegisterPart { part }) => reach.covers_part(part),
            // There is nothing to keep anybody from.
            (Self::Unregistered, _) => true,
        };
        reach.stations().is_empty() && is_of_covered_part
    }

    fn evolve(&mut self, event: &PartEvent) {
        use PartEvent as E;
        match (&mut *self, event) {
            (Self::Registered(facts), event) => facts.evolve(event),
            (Self::Unregistered, E::PartRegistered { part, recipe }) => {
                *self = Self::Registered(PartFacts {
                    part: part.clone(),
                    recipe: recipe.clone(),
                    reserved: BTreeMap::new(),
                    golden_samples: Vec::new(),
                    announcements: 0,
                });
            }
            // Events that cannot follow the rules.
            (
                Self::Unregistered,
                E::RecipeRevised { .. }
                | E::GoldenSampleReserved { .. }
                | E::GoldenSampleReservationRenewed { .. }
                | E::GoldenSampleReservationCancelled { .. }
                | E::GoldenSampleRegistered { .. }
                | E::GoldenSamplesRetired { .. },
            ) => {}
        }
    }
}

impl PartFacts {
    fn evolve(&mut self, event: &PartEvent) {
        use PartEvent as E;
        match event {
            // The first registration stands.
            E::PartRegistered { .. } => {}
            E::RecipeRevised { recipe, .. } => self.recipe = recipe.clone(),
            E::GoldenSampleReserved {
                artifact_id,
                media_type,
                purpose,
                pixels_per_millimetre,
                expires_at,
            } => {
                let reservation = GoldenReservation {
                    media_type: *media_type,
                    purpose: purpose.clone(),
                    pixels_per_millimetre: *pixels_per_millimetre,
                    expires_at: *expires_at,
                };
                self.announcements = self.announcements.saturating_add(1);
                self.reserved.insert(*artifact_id, reservation);
            }
            E::GoldenSampleReservationRenewed { artifact_id, expires_at } => {
                if let Some(reserved) = self.reserved.get_mut(artifact_id) {
                    self.announcements = self.announcements.saturating_add(1);
                    reserved.expires_at = *expires_at;
                }
            }
            E::GoldenSampleReservationCancelled { artifact_id } => {
                self.reserved.remove(artifact_id);
            }
            E::GoldenSampleRegistered {
                artifact_id,
                revision,
                purpose,
                pixels_per_millimetre,
                picture,
            } => {
                self.reserved.remove(artifact_id);
                self.golden_samples.push(GoldenSample {
                    artifact_id: *artifact_id,
                    revision: *revision,
                    purpose: purpose.clone(),
                    pixels_per_millimetre: *pixels_per_millimetre,
                    picture: picture.clone(),
                    is_retired: false,
                });
            }
            E::GoldenSamplesRetired { artifacts, .. } => {
                for golden in &mut self.golden_samples {
                    golden.is_retired |= artifacts.contains(&golden.artifact_id);
                }
            }
        }
    }
}

impl PictureOwner for Part {
    fn upload_slot(&self, artifact_id: ArtifactId) -> Result<UploadSlot<'_>, PartRejection> {
        let Self::Registered(facts) = self else { return Err(PartRejection::NotFound) };
        let golden = facts.golden_samples.iter().find(|golden| golden.artifact_id == artifact_id);
        match (golden, facts.reserved.get(&artifact_id)) {
            (Some(golden), _) if golden.is_retired => {
                Err(PartRejection::GoldenSampleRetired { artifact_id })
            }
            (Some(golden), _) => Ok(UploadSlot::Taken(&golden.picture)),
            (None, Some(reserved)) => Ok(UploadSlot::Free { announced: reserved.media_type }),
            (None, None) => Err(PartRejection::NoSuchArtifact { artifact_id }),
        }
    }

    fn upload_command(artifact_id: ArtifactId, picture: Picture) -> PartCommand {
        PartCommand::RegisterGoldenSample { artifact_id, picture }
    }

    fn renewal_command(artifact_id: ArtifactId, renewal: Renewal) -> PartCommand {
        PartCommand::RenewReservation { artifact_id, renewal }
    }

    fn cancellation_command(artifact_id: ArtifactId) -> PartCommand {
        PartCommand::CancelReservation { artifact_id }
    }
}
