//! The files of what the log says is retired.

use domain::{Aggregate as _, ArtifactId, Inspection, InspectionEvent, Part, PartEvent};
use futures::TryStreamExt as _;
use futures::stream;
use platform::artifact_store::{ArtifactStore, ArtifactStoreError};
use platform::event_log::{Recorded, UndecodableEvent};

/// How many files are deleted at a time.
const DELETIONS_AT_ONCE: usize = 16;

/// The pictures that `event` retires; none for another event.
///
/// # Errors
/// When it is of newer software, or damaged.
pub(crate) fn retired_by(event: &Recorded) -> Result<Vec<ArtifactId>, UndecodableEvent> {
    let name = (event.stream.aggregate_type.as_str(), event.event_type.as_str());
    Ok(match name {
        (Inspection::TYPE, InspectionEvent::PICTURES_RETIRED) => {
            match event.decode::<Inspection>()? {
                InspectionEvent::PicturesRetired { artifacts, .. } => artifacts,
                _ => Vec::new(),
            }
        }
        (Part::TYPE, PartEvent::GOLDEN_SAMPLES_RETIRED) => match event.decode::<Part>()? {
            PartEvent::GoldenSamplesRetired { artifacts, .. } => artifacts,
            _ => Vec::new(),
        },
        _ => Vec::new(),
    })
}

/// Deletes their files. One that is not there any more is no error.
pub(crate) async fn delete_files(
    store: &ArtifactStore,
    pictures: Vec<ArtifactId>,
) -> Result<(), ArtifactStoreError> {
    let each = stream::iter(pictures.into_iter().map(Ok));
    each.try_for_each_concurrent(DELETIONS_AT_ONCE, |id| store.delete(id)).await
}
