//! BoardPictures compared again as the worker does it, from the artifact store, by a network that is there.

use std::io::Cursor;
use std::sync::Arc;

use domain::inspection::{Artifact, ModelIdentity};
use domain::part::{GoldenSample, GoldenSet};
use domain::{
    ArtifactId, Defect, Grade, NotComparable, Part, Picture, PixelScale, Recipe, check_scale,
};
use image::ImageFormat;
use image::imageops::{FilterType, resize};
use inference::batcher::BatchingConfig;
use inference::comparison::{
    Comparer, ComparisonError, ComparisonFiles, GoldenFacts, LoggedPicture,
};
use inference::metrics::InferenceMetrics;
use platform::artifact_store::{ArtifactStore, ArtifactStoreError};
use platform::picture_memory::PictureMemory;
use query_api::PictureMarks;

use super::JudgedBoard;
use crate::cli::ModelServerArgs;
use crate::model::connect_models;
use crate::operator_session::OperatorSession;

/// The longest side of a picture on a page, pixels.
const SHOWN_SIDE_MAX: u32 = 900;

/// BoardPictures, and what compares them.
pub(super) struct BoardPictures {
    artifacts: ArtifactStore,
    comparer: Arc<Comparer>,
}

impl BoardPictures {
    /// Those of an installation, and the networks at the place that is named.
    pub(super) async fn open(
        session: &OperatorSession,
        server: &ModelServerArgs,
    ) -> anyhow::Result<Self> {
        let artifacts = session.open_artifacts_to_read()?;
        let (batching, memory) = (BatchingConfig::default(), PictureMemory::default());
        let metrics = InferenceMetrics::for_process();
        let comparer = Arc::new(Comparer::new(connect_models(server)?, batching, memory, metrics));
        Ok(Self { artifacts, comparer })
    }

    /// The artifacts of a board, every picture compared again under `recipe`, by `model` or else by the network that
    /// compared the board; or why not.
    pub(super) async fn compare_again(
        &self,
        board: &JudgedBoard,
        recipe: &Recipe,
        model: Option<&ModelIdentity>,
    ) -> Result<Vec<(ArtifactId, Artifact)>, String> {
        let facts = &board.facts;
        if facts.pictures_retired {
            return Err("its pictures were retired".to_owned());
        }
        let model = model.or(facts.model.as_ref()).unwrap_or_else(|| self.comparer.shipped_model());
        let mut again = Vec::with_capacity(facts.artifacts.len());
        for (id, artifact) in &facts.artifacts {
            let Some(picture) = artifact.picture() else {
                again.push((*id, artifact.clone()));
                continue;
            };
            let (view, scale) = (facts.views.get(id), facts.scales.get(id).copied());
            let golden = board.part_then.golden_set(view, facts.golden_sample_revision);
            let task = Task { id: *id, picture, scale, recipe, model, part_now: &board.part_now };
            again.push((*id, self.compare(&task, golden).await?));
        }
        Ok(again)
    }

    async fn compare(
        &self,
        task: &Task<'_>,
        golden: Option<GoldenSet<'_>>,
    ) -> Result<Artifact, String> {
        let not_comparable =
            |reason| Artifact::NotComparable { picture: task.picture.clone(), reason };
        let Some(golden) = golden else { return Ok(not_comparable(NotComparable::NoGoldenSample)) };
        if let Err(conflict) = check_scale(golden.golden.pixels_per_millimetre, task.scale) {
            return Ok(not_comparable(conflict.into()));
        }
        if !samples(&golden).any(|sample| is_as_large(&sample.picture, task.picture)) {
            return Ok(not_comparable(NotComparable::SizeMismatch));
        }
        let facts = |all: &[&GoldenSample]| -> Vec<LoggedPicture> {
            all.iter().map(|sample| LoggedPicture::from(&sample.picture)).collect()
        };
        let variants: Vec<&GoldenSample> = samples(&golden).collect();
        let golden_facts = GoldenFacts {
            variants: facts(&variants),
            accepted: facts(&golden.accepted_boards),
            area: task.recipe.area.clone(),
            bend_max_px: task.recipe.bend_max_px,
        };
        let test = LoggedPicture::from(task.picture);
        let room = self.comparer.reserve_room(&test, golden_facts).await;
        let room = room.map_err(|error| error.to_string())?;
        let fetch = async |id: ArtifactId, picture: &Picture| {
            let fetched = self.artifacts.get_verified(id, &picture.sha256).await;
            fetched.map_err(|error| why_not_fetched(&error, task, id))
        };
        let mut files = ComparisonFiles {
            test: fetch(task.id, task.picture).await?,
            variants: Vec::new(),
            accepted: Vec::new(),
        };
        if !room.is_golden_ready() {
            for sample in &variants {
                files.variants.push(fetch(sample.artifact_id, &sample.picture).await?);
            }
            for sample in &golden.accepted_boards {
                files.accepted.push(fetch(sample.artifact_id, &sample.picture).await?);
            }
        }
        match self.comparer.compare(task.model, room, files).await {
            Ok(compared) => Ok(Artifact::Compared {
                picture: task.picture.clone(),
                defects: compared.defects,
                differences: compared.differences,
                coverage: Some(compared.coverage),
            }),
            Err(ComparisonError::NotComparable { reason, .. }) => Ok(not_comparable(reason)),
            Err(ComparisonError::Model(detail)) => {
                let ModelIdentity { name, version, .. } = task.model;
                Err(format!("the network {name}@{version} is not there: {detail}"))
            }
            Err(error) => Err(error.to_string()),
        }
    }

    /// A picture of a board with what is seen on it, as JPEG; nothing when its file is not to be had.
    pub(super) async fn draw(
        &self,
        id: ArtifactId,
        artifact: &Artifact,
        recipe: &Recipe,
    ) -> Option<Vec<u8>> {
        let Artifact::Compared { picture, defects, differences, coverage } = artifact else {
            return None;
        };
        let file = self.artifacts.get_verified(id, &picture.sha256).await.ok()?;
        let defects = graded(defects, recipe);
        let (differences, coverage) = (differences.clone(), coverage.clone());
        let drawn = tokio::task::spawn_blocking(move || {
            let picture = vision::decode(&file).ok()?.into_grey();
            let (width, height) = picture.dimensions();
            let (uncovered, excluded, border) = coverage.as_ref().map_or_else(
                || (&[][..], &[][..], 0),
                |seen| (seen.uncovered(), seen.excluded(), seen.border_px(width, height)),
            );
            let (defects, differences) = (&*defects, &*differences);
            let marks = PictureMarks { defects, differences, uncovered, excluded, border };
            let drawn = query_api::annotate(&picture, marks);
            let longest = drawn.width().max(drawn.height());
            let drawn = if longest > SHOWN_SIDE_MAX {
                let scaled = |side: u32| {
                    (u64::from(side) * u64::from(SHOWN_SIDE_MAX) / u64::from(longest)).max(1) as u32
                };
                resize(&drawn, scaled(drawn.width()), scaled(drawn.height()), FilterType::Triangle)
            } else {
                drawn
            };
            let mut jpeg = Cursor::new(Vec::new());
            drawn.write_to(&mut jpeg, ImageFormat::Jpeg).ok()?;
            Some(jpeg.into_inner())
        });
        drawn.await.ok().flatten()
    }
}

/// A picture to compare again.
struct Task<'a> {
    id: ArtifactId,
    picture: &'a Picture,
    scale: Option<PixelScale>,
    recipe: &'a Recipe,
    model: &'a ModelIdentity,
    part_now: &'a Part,
}

/// The golden sample in force, then its variants.
fn samples<'a>(golden: &'a GoldenSet<'a>) -> impl Iterator<Item = &'a GoldenSample> {
    std::iter::once(golden.golden).chain(golden.variants.iter().copied())
}

fn why_not_fetched(error: &ArtifactStoreError, task: &Task<'_>, id: ArtifactId) -> String {
    match error {
        ArtifactStoreError::NotFound(_) if is_retired(task.part_now, id) => {
            format!("the golden sample {id} was retired")
        }
        ArtifactStoreError::NotFound(_) => format!("the picture {id} is not at rest any more"),
        error => error.to_string(),
    }
}

fn is_as_large(sample: &Picture, picture: &Picture) -> bool {
    (sample.width, sample.height) == (picture.width, picture.height)
}

fn is_retired(part: &Part, id: ArtifactId) -> bool {
    let Part::Registered(facts) = part else { return false };
    facts.golden_samples.iter().any(|sample| sample.artifact_id == id && sample.is_retired)
}

/// What matters under a recipe, most confident first as they came.
fn graded(defects: &[Defect], recipe: &Recipe) -> Vec<(Defect, Grade)> {
    let graded = defects.iter().map(|defect| (defect.clone(), recipe.grade(defect.confidence)));
    graded.filter(|(_, grade)| *grade > Grade::Negligible).collect()
}
