//! What may be asked of a part, and what follows.

use chrono::{DateTime, Utc};

use super::{
    GoldenPurpose, GoldenReservation, GoldenSample, GoldenSampleUse, GoldenSet, Part, PartEvent,
    PartFacts, PartRejection as Rejection,
};
use crate::{
    ArtifactId, MediaType, PartNumber, Picture, PictureOwner as _, PixelScale, Recipe, Renewal,
    UploadSlot, is_awaited, value::replace_nul,
};

/// The most golden samples that may be announced and not uploaded at a time.
pub(super) const RESERVATIONS_MAX: usize = 64;
/// How often golden samples of one part may be announced and their announcements renewed, what was taken back
/// counted. With the next bound a part's stream, which every inspection of it begins with, ends somewhere.
pub(super) const ANNOUNCEMENTS_MAX: u32 = 500;
/// The highest revision of a recipe: one a week for nearly ten years.
pub(super) const RECIPE_REVISIONS_MAX: u32 = 500;

/// The commands of a part.
#[derive(Debug, Clone, PartialEq)]
pub enum PartCommand {
    /// Register a part with the factory recipe.
    RegisterPart {
        /// The part number.
        part: PartNumber,
    },
    /// Put a new recipe in force; inspections that were created before keep theirs.
    ReviseRecipe {
        /// The whole new recipe. Whatever its number is, it gets the next one.
        recipe: Recipe,
        /// Why, in the words of whoever revises it.
        reason: String,
    },
    /// Announce a golden sample.
    ReserveGoldenSample {
        /// The new picture's id.
        artifact_id: ArtifactId,
        /// Its format.
        media_type: MediaType,
        /// What it is for.
        purpose: GoldenPurpose,
        /// Its scale; `None` when nobody states it.
        pixels_per_millimetre: Option<PixelScale>,
        /// The present, by which older reservations have ended or not.
        now: DateTime<Utc>,
        /// When the upload URL ends.
        expires_at: DateTime<Utc>,
    },
    /// Let a golden sample that was announced, and did not come yet, come later.
    RenewReservation {
        /// The picture.
        artifact_id: ArtifactId,
        /// When, and until when.
        renewal: Renewal,
    },
    /// Take the announcement of a golden sample back that has not come.
    CancelReservation {
        /// The picture.
        artifact_id: ArtifactId,
    },
    /// A golden sample is at rest.
    RegisterGoldenSample {
        /// The picture.
        artifact_id: ArtifactId,
        /// What is known of it.
        picture: Picture,
    },
    /// Give the files of the golden samples up whose place another took, and whose retention period is over.
    RetireGoldenSamples {
        /// The revision of the one that took their place.
        superseded_by: u32,
        /// The revision of the retention policy that says so.
        policy_revision: u32,
    },
}

pub(super) fn decide(state: &Part, command: PartCommand) -> Result<Vec<PartEvent>, Rejection> {
    match (state, command) {
        (Part::Unregistered, PartCommand::RegisterPart { part }) => {
            Ok(vec![PartEvent::PartRegistered { part, recipe: Recipe::factory(1) }])
        }
        (Part::Registered(_), PartCommand::RegisterPart { .. }) => {
            Err(Rejection::AlreadyRegistered)
        }
        (
            Part::Unregistered,
            PartCommand::ReviseRecipe { .. }
            | PartCommand::ReserveGoldenSample { .. }
            | PartCommand::RenewReservation { .. }
            | PartCommand::CancelReservation { .. }
            | PartCommand::RegisterGoldenSample { .. }
            | PartCommand::RetireGoldenSamples { .. },
        ) => Err(Rejection::NotFound),
        (Part::Registered(facts), PartCommand::ReviseRecipe { recipe, reason }) => {
            revise_recipe(&facts.recipe, recipe, reason)
        }
        (
            Part::Registered(facts),
            PartCommand::ReserveGoldenSample {
                artifact_id,
                media_type,
                purpose,
                pixels_per_millimetre,
                now,
                expires_at,
            },
        ) => {
            check_announcement(facts, artifact_id, now)?;
            check_purpose(facts, &purpose, pixels_per_millimetre, now)?;
            let reason = purpose.reason.map(replace_nul);
            let purpose = GoldenPurpose { reason, ..purpose };
            Ok(vec![PartEvent::GoldenSampleReserved {
                artifact_id,
                media_type,
                purpose,
                pixels_per_millimetre,
                expires_at,
            }])
        }
        (Part::Registered(facts), PartCommand::RenewReservation { artifact_id, renewal }) => {
            renew_reservation(facts, artifact_id, renewal)
        }
        (Part::Registered(facts), PartCommand::CancelReservation { artifact_id }) => {
            find_reservation(facts, artifact_id)?;
            Ok(vec![PartEvent::GoldenSampleReservationCancelled { artifact_id }])
        }
        (Part::Registered(facts), PartCommand::RegisterGoldenSample { artifact_id, picture }) => {
            register_golden_sample(state, facts, artifact_id, picture)
        }
        (
            Part::Registered(facts),
            PartCommand::RetireGoldenSamples { superseded_by, policy_revision },
        ) => retire_golden_samples(facts, superseded_by, policy_revision),
    }
}

fn check_announcement(
    facts: &PartFacts,
    artifact_id: ArtifactId,
    now: DateTime<Utc>,
) -> Result<(), Rejection> {
    let in_use = facts.golden_samples.iter().any(|golden| golden.artifact_id == artifact_id);
    if in_use || facts.reserved.contains_key(&artifact_id) {
        return Err(Rejection::ArtifactAlreadyReserved { artifact_id });
    }
    check_announcements(facts)?;
    check_pending(facts, now)
}

const fn check_announcements(facts: &PartFacts) -> Result<(), Rejection> {
    if facts.announcements >= ANNOUNCEMENTS_MAX {
        return Err(Rejection::TooManyAnnouncements { max: ANNOUNCEMENTS_MAX });
    }
    Ok(())
}

fn check_pending(facts: &PartFacts, now: DateTime<Utc>) -> Result<(), Rejection> {
    let pending = facts.reserved.values().filter(|r| is_awaited(r.expires_at, now)).count();
    if pending >= RESERVATIONS_MAX {
        return Err(Rejection::TooManyReservations { max: RESERVATIONS_MAX });
    }
    Ok(())
}

fn find_reservation(
    facts: &PartFacts,
    artifact_id: ArtifactId,
) -> Result<&GoldenReservation, Rejection> {
    let in_use = facts.golden_samples.iter().any(|golden| golden.artifact_id == artifact_id);
    facts.reserved.get(&artifact_id).ok_or(match in_use {
        true => Rejection::ReservationUsed { artifact_id },
        false => Rejection::NoSuchArtifact { artifact_id },
    })
}

/// One that has ended no longer counts as on its way: to count again it needs a place as a new one does.
fn renew_reservation(
    facts: &PartFacts,
    artifact_id: ArtifactId,
    renewal: Renewal,
) -> Result<Vec<PartEvent>, Rejection> {
    let reserved = find_reservation(facts, artifact_id)?;
    if !renewal.is_needed(reserved.expires_at) {
        return Ok(Vec::new());
    }
    check_announcements(facts)?;
    let Renewal { now, expires_at } = renewal;
    if !is_awaited(reserved.expires_at, now) {
        check_pending(facts, now)?;
        check_purpose(facts, &reserved.purpose, reserved.pixels_per_millimetre, now)?;
    }
    Ok(vec![PartEvent::GoldenSampleReservationRenewed { artifact_id, expires_at }])
}

/// A variant and an accepted board stand beside a golden sample of their view and scale, and no more of
/// them than are compared with. Those on their way count: they will stand there.
fn check_purpose(
    facts: &PartFacts,
    purpose: &GoldenPurpose,
    scale: Option<PixelScale>,
    now: DateTime<Utc>,
) -> Result<(), Rejection> {
    let on_their_way = facts.reserved.values().filter(|reserved| {
        is_awaited(reserved.expires_at, now)
            && reserved.purpose.usage == purpose.usage
            && reserved.purpose.view == purpose.view
    });
    check_place(facts, purpose, scale, on_their_way.count())
}

fn check_place(
    facts: &PartFacts,
    purpose: &GoldenPurpose,
    scale: Option<PixelScale>,
    on_their_way: usize,
) -> Result<(), Rejection> {
    let (usage, view) = (purpose.usage, purpose.view.as_ref());
    match usage {
        GoldenSampleUse::Replacement => return Ok(()),
        GoldenSampleUse::Variant | GoldenSampleUse::AcceptedBoard => {}
    }
    let in_force = GoldenSet::in_force(&facts.golden_samples, view, u32::MAX);
    let in_force = in_force.ok_or(Rejection::NoGoldenSample { usage })?;
    let golden = in_force.golden.pixels_per_millimetre;
    if !are_of_one_scale(golden, scale) {
        return Err(Rejection::ScaleMismatch { usage, golden, sample: scale });
    }
    let max = usage.max_in_force();
    if in_force.count(usage) + on_their_way >= max {
        return Err(Rejection::TooManyGoldenSamples { usage, max });
    }
    Ok(())
}

/// Both state the same scale, or neither states one: what is beside a golden sample stands for it, and a
/// picture is held to the golden sample's scale alone.
fn are_of_one_scale(golden: Option<PixelScale>, sample: Option<PixelScale>) -> bool {
    match (golden, sample) {
        (None, None) => true,
        (Some(golden), Some(sample)) => sample.agrees_with(golden),
        (Some(_), None) | (None, Some(_)) => false,
    }
}

/// The same recipe again is no new revision.
fn revise_recipe(
    in_force: &Recipe,
    recipe: Recipe,
    reason: String,
) -> Result<Vec<PartEvent>, Rejection> {
    if recipe.clone().with_revision(in_force.revision) == *in_force {
        return Ok(Vec::new());
    }
    if in_force.revision >= RECIPE_REVISIONS_MAX {
        return Err(Rejection::TooManyRevisions { max: RECIPE_REVISIONS_MAX });
    }
    let recipe = recipe.with_revision(in_force.revision.saturating_add(1));
    Ok(vec![PartEvent::RecipeRevised { recipe, reason: replace_nul(reason) }])
}

/// Whatever was in force of a view before the one that took its place: no inspection that is created now is compared
/// with it. What is retired already is not retired again.
fn retire_golden_samples(
    facts: &PartFacts,
    superseded_by: u32,
    policy_revision: u32,
) -> Result<Vec<PartEvent>, Rejection> {
    let took_their_place = |golden: &&GoldenSample| {
        golden.revision == superseded_by && golden.purpose.usage == GoldenSampleUse::Replacement
    };
    let replacement = facts.golden_samples.iter().find(took_their_place);
    let replacement = replacement.ok_or(Rejection::NotAReplacement { revision: superseded_by })?;
    let is_superseded = |golden: &&GoldenSample| {
        golden.revision < superseded_by
            && golden.purpose.view == replacement.purpose.view
            && !golden.is_retired
    };
    let superseded = facts.golden_samples.iter().filter(is_superseded);
    let artifacts: Vec<_> = superseded.map(|golden| golden.artifact_id).collect();
    if artifacts.is_empty() {
        return Ok(Vec::new());
    }
    Ok(vec![PartEvent::GoldenSamplesRetired { artifacts, superseded_by, policy_revision }])
}

fn register_golden_sample(
    state: &Part,
    facts: &PartFacts,
    artifact_id: ArtifactId,
    picture: Picture,
) -> Result<Vec<PartEvent>, Rejection> {
    match state.upload_slot(artifact_id)? {
        UploadSlot::Taken(stored) if stored.sha256 == picture.sha256 => Ok(Vec::new()),
        UploadSlot::Taken(_) => Err(Rejection::ArtifactAlreadyUploaded { artifact_id }),
        UploadSlot::Free { announced } if announced != picture.media_type => {
            Err(Rejection::MediaTypeMismatch { announced, found: picture.media_type })
        }
        UploadSlot::Free { .. } => {
            let latest = facts.golden_samples.last();
            let revision = latest.map_or(1, |golden| golden.revision.saturating_add(1));
            let reserved = facts.reserved.get(&artifact_id);
            let reserved = reserved.ok_or(Rejection::NoSuchArtifact { artifact_id })?;
            let purpose = reserved.purpose.clone();
            let pixels_per_millimetre = reserved.pixels_per_millimetre;
            check_place(facts, &purpose, pixels_per_millimetre, 0)?;
            Ok(vec![PartEvent::GoldenSampleRegistered {
                artifact_id,
                revision,
                purpose,
                pixels_per_millimetre,
                picture,
            }])
        }
    }
}
