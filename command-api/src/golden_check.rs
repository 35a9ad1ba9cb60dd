//! Whether a golden sample can be compared with, found out before it is taken: all that its pictures are compared
//! with is made ready once, as a worker does it, in the memory that the process has for pictures.
//!
//! Absent: what comes later. A recipe that is revised, or two samples that come at once and do not go together,
//! can still leave boards without a comparison; they are *review* then, and the result says why.

use std::sync::Arc;

use axum::body::Bytes;
use domain::part::{GoldenSample, GoldenSampleUse, GoldenSet};
use domain::{ArtifactId, Inspection, Part, Picture, PictureOwner, Recipe};
use platform::artifact_store::{ArtifactStore, ArtifactStoreError, StagedPicture};
use platform::http::{Problem, ProblemType};
use platform::picture_memory::PictureMemory;
use tokio::sync::Semaphore;
use vision::{GoldenSetFiles, memory};

/// Golden samples that are looked at at a time, so that pictures of boards are received meanwhile.
const CHECKS_MAX: usize = 2;

/// Looks at golden samples. Clones share places and memory.
#[derive(Debug, Clone)]
pub(crate) struct GoldenCheck {
    memory: PictureMemory,
    places: Arc<Semaphore>,
}

/// Owners of pictures, some of which boards are compared with.
pub(crate) trait ComparedOwner: PictureOwner {
    /// What is announced to be compared with; none for a picture of a board.
    fn golden_slot(&self, artifact_id: ArtifactId) -> Option<GoldenSlot>;
}

/// A golden sample that is announced, and what it will stand beside.
#[derive(Debug, Clone)]
pub(crate) struct GoldenSlot {
    artifact_id: ArtifactId,
    usage: GoldenSampleUse,
    variants: Vec<SetPicture>,
    accepted: Vec<SetPicture>,
    recipe: Recipe,
}

/// A picture that boards are compared with.
#[derive(Debug, Clone)]
struct SetPicture {
    artifact_id: ArtifactId,
    picture: Picture,
}

impl ComparedOwner for Inspection {
    fn golden_slot(&self, _: ArtifactId) -> Option<GoldenSlot> {
        None
    }
}

impl ComparedOwner for Part {
    fn golden_slot(&self, artifact_id: ArtifactId) -> Option<GoldenSlot> {
        let Self::Registered(facts) = self else { return None };
        let purpose = &facts.reserved.get(&artifact_id)?.purpose;
        let in_force = self.golden_set(purpose.view.as_ref(), None);
        let (variants, accepted) = in_force.map(known_pictures).unwrap_or_default();
        let (usage, recipe) = (purpose.usage, facts.recipe.clone());
        Some(GoldenSlot { artifact_id, usage, variants, accepted, recipe })
    }
}

fn known_pictures(set: GoldenSet<'_>) -> (Vec<SetPicture>, Vec<SetPicture>) {
    let known = |sample: &GoldenSample| SetPicture {
        artifact_id: sample.artifact_id,
        picture: sample.picture.clone(),
    };
    let variants = std::iter::once(set.golden).chain(set.variants).map(known).collect();
    (variants, set.accepted_boards.into_iter().map(known).collect())
}

impl GoldenCheck {
    pub(crate) fn new(memory: PictureMemory) -> Self {
        Self { memory, places: Arc::new(Semaphore::new(CHECKS_MAX)) }
    }

    /// Makes all ready that boards will be compared with when `new` has come for its slot, and forgets it again.
    ///
    /// # Errors
    /// 422 with what is wrong with which picture.
    pub(crate) async fn check(
        &self,
        slot: GoldenSlot,
        store: &ArtifactStore,
        new: &StagedPicture,
    ) -> Result<(), Problem> {
        let set = slot.filled_by(new.picture());
        // The semaphore is never closed.
        let _place = self.places.acquire().await.ok();
        let share = self.memory.reserve(set.needed_bytes()).await;
        let share = share.map_err(|exceeds| unusable(&exceeds))?;
        let variants = fetch_files(&set.variants, store, new).await?;
        let accepted = fetch_files(&set.accepted, store, new).await?;
        let made_ready = tokio::task::spawn_blocking(move || {
            let Recipe { area, bend_max_px, .. } = &set.recipe;
            let (variants, accepted) = (&*variants, &*accepted);
            let files = GoldenSetFiles { variants, accepted, area, bend_max_px: *bend_max_px };
            let made_ready = files.prepare().map(drop);
            drop(share);
            made_ready
        });
        match made_ready.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(why)) => Err(unusable(&why)),
            Err(panicked) => Err(Problem::internal(panicked)),
        }
    }
}

impl GoldenSlot {
    /// What boards are compared with when the picture has come.
    fn filled_by(mut self, picture: &Picture) -> Self {
        let new = SetPicture { artifact_id: self.artifact_id, picture: picture.clone() };
        match self.usage {
            GoldenSampleUse::Replacement => {
                self.variants = vec![new];
                self.accepted.clear();
            }
            // What was learnt from accepted boards says nothing of whether this one can be used.
            GoldenSampleUse::Variant => {
                self.variants.push(new);
                self.accepted.clear();
            }
            GoldenSampleUse::AcceptedBoard => self.accepted.push(new),
        }
        self
    }

    /// As a worker reckons them: the files, what is kept of them, and the one that is looked at.
    fn needed_bytes(&self) -> u64 {
        let is_learnt = !self.accepted.is_empty();
        let pixels =
            |set: &SetPicture| u64::from(set.picture.width) * u64::from(set.picture.height);
        let all = || self.variants.iter().chain(&self.accepted);
        let files = all().map(|set| set.picture.bytes);
        let kept = self.variants.iter().map(|set| memory::kept_bytes(pixels(set), is_learnt));
        let work = all().map(|set| memory::work_bytes(pixels(set))).max();
        files.chain(kept).chain(work).fold(0, u64::saturating_add)
    }
}

async fn fetch_files(
    pictures: &[SetPicture],
    store: &ArtifactStore,
    new: &StagedPicture,
) -> Result<Vec<Bytes>, Problem> {
    let mut files = Vec::with_capacity(pictures.len());
    for SetPicture { artifact_id, picture } in pictures {
        let file = if picture == new.picture() {
            store.read_staged(new).await
        } else {
            store.get_verified(*artifact_id, &picture.sha256).await
        };
        files.push(file.map_err(|error| from_store_error(*artifact_id, error))?);
    }
    Ok(files)
}

fn from_store_error(id: ArtifactId, error: ArtifactStoreError) -> Problem {
    match error {
        ArtifactStoreError::NotFound(_)
        | ArtifactStoreError::DigestMismatch { .. }
        | ArtifactStoreError::Unreadable { .. } => {
            tracing::error!(artifact_id = %id, %error, "a golden sample is damaged at rest");
            unusable(&format_args!(
                "picture {id}, which it would stand beside, is damaged at rest: announce a replacement"
            ))
        }
        error => error.into(),
    }
}

fn unusable(why: &dyn std::fmt::Display) -> Problem {
    let detail = format!("{why}; nothing was stored, send another picture to the same URL");
    Problem::new(ProblemType::GoldenSampleUnusable, detail)
}
