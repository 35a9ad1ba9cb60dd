//! Pictures that clients sent to the store itself: looked at, and put to rest, by whoever hears of them first.
//!
//! Invariant: whoever appends that a picture is at rest has looked at the bytes in the store. Any number may do so at
//! once: one puts the picture to rest, and the log takes one event.

use domain::{ArtifactId, Picture, Reach, UploadSlot};
use platform::artifact_store::{Arrival, ArtifactStoreError};
use platform::execute::{ExecuteError, load};
use platform::http::{Problem, ProblemType};

use super::{BY, store_checked};
use crate::golden_check::{ComparedOwner, GoldenSlot};
use crate::{CommandApi, problems};

/// The picture of a slot that is free in the log: what has arrived in the store is put to rest, if it is in order;
/// else what is at rest, because the event after an upload is missing. `None` when there is neither.
///
/// # Errors
/// What is wrong with the file, or when the store fails.
pub(crate) async fn settle_picture(
    api: &CommandApi,
    artifact_id: ArtifactId,
    golden: Option<GoldenSlot>,
) -> Result<Option<Picture>, Problem> {
    if let Some(arrival) = api.artifacts().find_arrival(artifact_id).await?
        && let Some(picture) = settle_arrival(api, &arrival, golden).await?
    {
        return Ok(Some(picture));
    }
    let picture = match api.artifacts().describe_stored(artifact_id).await {
        Ok(None) => return Ok(None),
        Ok(Some(picture)) => picture,
        // Nothing in the log counts on it: an upload takes its place.
        Err(error @ ArtifactStoreError::Unreadable { .. }) => {
            let detail = format!("{error}; send it again");
            return Err(Problem::new(ProblemType::UnreadablePicture, detail));
        }
        Err(error) => return Err(error.into()),
    };
    match api.file_check().find_flaw_at_rest(api.artifacts(), (artifact_id, &picture)).await? {
        None => Ok(Some(picture)),
        Some(why) => {
            let detail = format!("{why}; cancel its announcement and announce it again");
            Err(Problem::new(ProblemType::UnreadablePicture, detail))
        }
    }
}

/// Looks at what has arrived, in memory that there is room for, and puts it to rest.
async fn settle_arrival(
    api: &CommandApi,
    arrival: &Arrival,
    golden: Option<GoldenSlot>,
) -> Result<Option<Picture>, Problem> {
    let by = arrival.permit.notes.get(BY).map_or("", String::as_str);
    let _place = api.arrivals_in_memory().take_place(by, arrival.bytes).await?;
    let staged = api.artifacts().stage_arrival(arrival, api.upload_limits()).await;
    let Some(staged) = staged.map_err(problems::from_upload_error)? else { return Ok(None) };
    let artifact_id = arrival.permit.artifact_id;
    let picture = store_checked(api, artifact_id, staged, golden).await?;
    // What is at rest is all that counts from here on.
    api.artifacts().forget_arrival(artifact_id).await;
    Ok(Some(picture))
}

/// The picture of a slot, from the log or, when the log does not know it yet, from the store. Whoever its owner is out
/// of `reach` of hears that and no more, and no picture is read for them.
pub(crate) async fn find_uploaded_picture<A: ComparedOwner>(
    api: &CommandApi,
    reach: &Reach,
    (aggregate_id, artifact_id): (&str, ArtifactId),
) -> Result<Picture, Problem> {
    let loaded = load::<A>(api.log(), aggregate_id).await;
    let state = loaded.map_err(problems::from_execute_error)?.state;
    // The command that is to be given needs the picture; any other on it is within the same reach.
    if !state.is_within(reach, &A::cancellation_command(artifact_id)) {
        return Err(problems::from_execute_error(ExecuteError::<A::Rejection>::OutOfReach));
    }
    match state.upload_slot(artifact_id).map_err(|refused| problems::from_rejection(&refused))? {
        UploadSlot::Taken(picture) => Ok(picture.clone()),
        UploadSlot::Free { .. } => {
            let golden = state.golden_slot(artifact_id);
            settle_picture(api, artifact_id, golden).await?.ok_or_else(|| {
                let detail = format!(
                    "artifact {artifact_id} is not uploaded yet; PUT it to its upload_url first"
                );
                Problem::new(ProblemType::ArtifactNotUploaded, detail)
            })
        }
    }
}
