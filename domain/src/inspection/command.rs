//! What may be asked of an inspection, and what follows.

use chrono::{DateTime, Utc};

use super::{
    Artifact, Facts, InferenceResult, Inspection, InspectionEvent, InspectionRejection as Rejection,
};
use crate::{
    Aggregate as _, ArtifactId, InspectionId, Lot, MediaType, PartNumber, Picture,
    PictureOwner as _, PixelScale, Recipe, Renewal, RetentionClass, Station, UploadSlot, ViewName,
    value::replace_nul,
};

/// The most pictures one inspection may announce.
pub(super) const ARTIFACTS_MAX: usize = 64;
/// How often pictures of one inspection may be announced and their announcements renewed, what was taken back
/// counted: every picture four times. So its stream, which every command on it reads, ends somewhere.
pub(super) const ANNOUNCEMENTS_MAX: u32 = 256;

/// The commands of an inspection.
#[derive(Debug, Clone, PartialEq)]
pub enum InspectionCommand {
    /// Open an inspection.
    CreateInspection {
        /// The new inspection's id.
        inspection_id: InspectionId,
        /// The board's lot.
        lot: Lot,
        /// The board's part.
        part: PartNumber,
        /// The station.
        station: Station,
        /// The part's recipe in force; the factory recipe when the part is not registered.
        recipe: Recipe,
        /// The part's latest golden sample; `None` when it has none.
        golden_sample_revision: Option<u32>,
    },
    /// Announce a picture.
    ReserveArtifact {
        /// The new picture's id.
        artifact_id: ArtifactId,
        /// Its format.
        media_type: MediaType,
        /// The view of the board that it shows. One that the recipe does not name is taken, and judged.
        view: Option<ViewName>,
        /// Its scale; `None` when nobody states it. It is held against the golden sample's when the two
        /// are compared.
        pixels_per_millimetre: Option<PixelScale>,
        /// When the upload URL ends.
        expires_at: DateTime<Utc>,
    },
    /// Let a picture that was announced, and did not come yet, come later.
    RenewReservation {
        /// The picture.
        artifact_id: ArtifactId,
        /// Until when.
        renewal: Renewal,
    },
    /// Take the announcement of a picture back that has not come: nobody waits for it any more.
    CancelReservation {
        /// The picture.
        artifact_id: ArtifactId,
    },
    /// A picture is at rest.
    UploadArtifact {
        /// The picture.
        artifact_id: ArtifactId,
        /// What is known of it.
        picture: Picture,
    },
    /// Close the set of pictures and ask for the judgement.
    RequestInference {
        /// What is at rest of the announced pictures that nobody said so of: it counts as uploaded.
        at_rest: Vec<(ArtifactId, Picture)>,
        /// The present, by which reservations have ended or not.
        now: DateTime<Utc>,
    },
    /// Record what became of a picture.
    RecordInference(Box<InferenceResult>),
    /// Withdraw the inspection.
    Void {
        /// Why.
        reason: String,
    },
    /// Give the files of its pictures up, whose retention period is over.
    RetirePictures {
        /// What says how long they are kept.
        class: RetentionClass,
        /// The revision of the retention policy that says so.
        policy_revision: u32,
    },
}

type Decision = Result<Vec<InspectionEvent>, Rejection>;

pub(super) fn decide(state: &Inspection, command: InspectionCommand) -> Decision {
    use InspectionCommand as C;
    match command {
        C::CreateInspection {
            inspection_id,
            lot,
            part,
            station,
            recipe,
            golden_sample_revision,
        } => match state {
            Inspection::NotCreated => Ok(vec![InspectionEvent::InspectionCreated {
                inspection_id,
                lot,
                part,
                station,
                recipe,
                golden_sample_revision,
            }]),
            Inspection::Open(_)
            | Inspection::Inferring(_)
            | Inspection::Judged { .. }
            | Inspection::Voided(_) => Err(Rejection::AlreadyExists),
        },
        C::ReserveArtifact { artifact_id, media_type, view, pixels_per_millimetre, expires_at } => {
            check_announcement(state.open_facts()?, artifact_id)?;
            Ok(vec![InspectionEvent::ArtifactReserved {
                artifact_id,
                media_type,
                view,
                pixels_per_millimetre,
                expires_at,
            }])
        }
        C::UploadArtifact { artifact_id, picture } => record_upload(state, artifact_id, picture),
        C::RenewReservation { artifact_id, renewal } => {
            renew_reservation(state.open_facts()?, artifact_id, renewal)
        }
        C::CancelReservation { artifact_id } => {
            reserved_until(state.open_facts()?, artifact_id)?;
            Ok(vec![InspectionEvent::ArtifactReservationCancelled { artifact_id }])
        }
        C::RequestInference { at_rest, now } => request_inference(state, at_rest, now),
        C::RecordInference(result) => record_inference(state, *result),
        C::Void { reason } => match state {
            Inspection::NotCreated => Err(Rejection::NotFound),
            Inspection::Open(_) | Inspection::Inferring(_) => {
                Ok(vec![InspectionEvent::InspectionVoided { reason: replace_nul(reason) }])
            }
            Inspection::Judged { .. } => Err(Rejection::AlreadyJudged),
            Inspection::Voided(_) => Err(Rejection::Voided),
        },
        C::RetirePictures { class, policy_revision } => {
            retire_pictures(state, class, policy_revision)
        }
    }
}

/// What is retired already is not retired again, and where nothing came there is nothing to retire.
fn retire_pictures(state: &Inspection, class: RetentionClass, policy_revision: u32) -> Decision {
    let facts = state.facts().ok_or(Rejection::NotFound)?;
    if state.retention_class() != Some(class) {
        return Err(Rejection::NotOfRetentionClass { class });
    }
    let has_come = |(_, artifact): &(&ArtifactId, &Artifact)| artifact.picture().is_some();
    let artifacts: Vec<_> = facts.artifacts.iter().filter(has_come).map(|(id, _)| *id).collect();
    if facts.pictures_retired || artifacts.is_empty() {
        return Ok(Vec::new());
    }
    Ok(vec![InspectionEvent::PicturesRetired { artifacts, class, policy_revision }])
}

fn check_announcement(facts: &Facts, artifact_id: ArtifactId) -> Result<(), Rejection> {
    if facts.artifacts.contains_key(&artifact_id) {
        return Err(Rejection::ArtifactAlreadyReserved { artifact_id });
    }
    if facts.artifacts.len() >= ARTIFACTS_MAX {
        return Err(Rejection::TooManyArtifacts { max: ARTIFACTS_MAX });
    }
    check_announcements(facts)
}

const fn check_announcements(facts: &Facts) -> Result<(), Rejection> {
    if facts.announcements >= ANNOUNCEMENTS_MAX {
        return Err(Rejection::TooManyAnnouncements { max: ANNOUNCEMENTS_MAX });
    }
    Ok(())
}

fn renew_reservation(facts: &Facts, artifact_id: ArtifactId, renewal: Renewal) -> Decision {
    if !renewal.is_needed(reserved_until(facts, artifact_id)?) {
        return Ok(Vec::new());
    }
    check_announcements(facts)?;
    let expires_at = renewal.expires_at;
    Ok(vec![InspectionEvent::ArtifactReservationRenewed { artifact_id, expires_at }])
}

/// When the upload URL of a picture that has not come ends.
fn reserved_until(facts: &Facts, artifact_id: ArtifactId) -> Result<DateTime<Utc>, Rejection> {
    match facts.artifacts.get(&artifact_id) {
        None => Err(Rejection::NoSuchArtifact { artifact_id }),
        Some(Artifact::Reserved { expires_at, .. }) => Ok(*expires_at),
        Some(
            Artifact::Uploaded(_) | Artifact::Compared { .. } | Artifact::NotComparable { .. },
        ) => Err(Rejection::ReservationUsed { artifact_id }),
    }
}

fn record_upload(state: &Inspection, artifact_id: ArtifactId, picture: Picture) -> Decision {
    match state.upload_slot(artifact_id)? {
        UploadSlot::Taken(stored) if stored.sha256 == picture.sha256 => Ok(Vec::new()),
        UploadSlot::Taken(_) => Err(Rejection::ArtifactAlreadyUploaded { artifact_id }),
        UploadSlot::Free { announced } if announced != picture.media_type => {
            Err(Rejection::MediaTypeMismatch { announced, found: picture.media_type })
        }
        UploadSlot::Free { .. } => {
            Ok(vec![InspectionEvent::ArtifactUploaded { artifact_id, picture }])
        }
    }
}

fn request_inference(
    state: &Inspection,
    at_rest: Vec<(ArtifactId, Picture)>,
    now: DateTime<Utc>,
) -> Decision {
    if let Inspection::Inferring(_) = state {
        return Ok(Vec::new());
    }
    let (mut state, mut events) = (state.clone(), Vec::new());
    for (artifact_id, picture) in at_rest {
        // What the log says by now of a picture stands: it was uploaded, or its reservation cancelled.
        let uploaded = record_upload(&state, artifact_id, picture).unwrap_or_default();
        uploaded.iter().for_each(|event| state.evolve(event));
        events.extend(uploaded);
    }
    let facts = state.open_facts()?;
    if facts.artifacts.is_empty() {
        return Err(Rejection::NoArtifact);
    }
    let pending: Vec<_> = facts
        .artifacts
        .iter()
        .filter(|(_, artifact)| artifact.is_awaited(now))
        .map(|(id, _)| *id)
        .collect();
    if !pending.is_empty() {
        return Err(Rejection::ArtifactsPending { pending });
    }
    let artifacts = facts.artifacts.keys().copied().collect();
    events.push(InspectionEvent::InferenceRequested { artifacts });
    events.extend(facts.judgement_event());
    Ok(events)
}

fn record_inference(state: &Inspection, result: InferenceResult) -> Decision {
    let facts = match state {
        Inspection::NotCreated => return Err(Rejection::NotFound),
        Inspection::Open(facts) | Inspection::Inferring(facts) => facts,
        // A late result never changes a judgement.
        Inspection::Judged { .. } | Inspection::Voided(_) => return Ok(Vec::new()),
    };
    let (artifact_id, sha256) = result.artifact_and_digest();
    let picture = match facts.artifacts.get(&artifact_id) {
        None => return Err(Rejection::NoSuchArtifact { artifact_id }),
        Some(Artifact::Reserved { .. }) => {
            return Err(Rejection::ArtifactNotUploaded { artifact_id });
        }
        Some(Artifact::Uploaded(picture)) if picture.sha256 == sha256 => picture.clone(),
        Some(Artifact::Uploaded(_)) => return Err(Rejection::ArtifactMismatch { artifact_id }),
        // Delivered again, or by another worker: the first result stands.
        Some(Artifact::Compared { .. } | Artifact::NotComparable { .. }) => return Ok(Vec::new()),
    };
    if let (Some(pinned), Some(model)) = (&facts.model, result.compared_by())
        && pinned != model
    {
        let (pinned, found) = (Box::new(pinned.clone()), Box::new(model.clone()));
        return Err(Rejection::MixedModels { pinned, found });
    }
    let recorded = result.into_event(picture, facts.recipe.revision);
    let mut after = state.clone();
    after.evolve(&recorded);
    let judged = match &after {
        Inspection::Inferring(facts) => facts.judgement_event(),
        Inspection::NotCreated
        | Inspection::Open(_)
        | Inspection::Judged { .. }
        | Inspection::Voided(_) => None,
    };
    Ok(std::iter::once(recorded).chain(judged).collect())
}
