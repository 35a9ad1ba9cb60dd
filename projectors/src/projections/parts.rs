//! `read.parts`, `read.recipe_revisions` and `read.golden_samples`: every part with its recipes and golden
//! samples.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::{
    Aggregate as _, ArtifactId, GoldenPurpose, MediaType, Part, PartEvent, PartNumber, PixelScale,
    ProjectionName, Recipe, Sha256,
};
use platform::event_log::{Position, Recorded};
use platform::postgres::DatabaseConnection;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::read_model::{EventRecord, ProjectedEvent, ReadModel, TableRow, load_rows, store_rows};
use crate::projection::{ApplyError, ProjectionDefinition};

/// The read model `parts`.
pub(super) struct Parts {
    parts: BTreeMap<String, PartRow>,
    recipe_revisions: Vec<RecipeRevisionRow>,
    golden_samples: Vec<GoldenSampleRow>,
    retired: Vec<RetiredSample>,
}

/// A golden sample of a part whose file was given up, and when.
type RetiredSample = (String, Uuid, DateTime<Utc>);

impl ReadModel for Parts {
    const DEFINITION: ProjectionDefinition = ProjectionDefinition {
        name: ProjectionName::Parts.as_str(),
        schema_version: 6,
        schema_sql: |_| include_str!("parts.sql"),
        views: &["parts", "recipe_revisions", "golden_samples"],
        aggregate_types: &[Part::TYPE],
    };

    type Event = PartEvent;

    async fn load(
        tx: &mut DatabaseConnection,
        records: &[EventRecord<'_, PartEvent>],
    ) -> Result<Self, ApplyError> {
        let names = records.iter().map(|record| record.aggregate_id.clone()).collect();
        let known: Vec<PartRow> = load_rows(tx, names).await?;
        let parts = known.into_iter().map(|row| (row.part.to_string(), row)).collect();
        let (recipe_revisions, golden_samples) = (Vec::new(), Vec::new());
        Ok(Self { parts, recipe_revisions, golden_samples, retired: Vec::new() })
    }

    fn apply_record(&mut self, record: EventRecord<'_, PartEvent>) -> Result<(), ApplyError> {
        let known = self.parts.get(&record.aggregate_id).map_or(0, |part| part.version);
        if !record.follows_on(known)? {
            return Ok(());
        }
        self.recipe_revisions.extend(RecipeRevisionRow::revised(&record));
        self.golden_samples.extend(GoldenSampleRow::registered(&record));
        let EventRecord { aggregate_id: name, event, recorded } = record;
        let part = match (self.parts.get_mut(&name), &event) {
            (None, PartEvent::PartRegistered { part, recipe }) if part.as_str() == name => {
                let row = PartRow::registered(part, recipe, recorded);
                self.parts.insert(name, row);
                return Ok(());
            }
            (Some(part), PartEvent::RecipeRevised { recipe, .. }) => {
                part.recipe = recipe.clone();
                part
            }
            (
                Some(part),
                PartEvent::GoldenSampleReserved { .. }
                | PartEvent::GoldenSampleReservationRenewed { .. }
                | PartEvent::GoldenSampleReservationCancelled { .. },
            ) => part,
            (Some(part), PartEvent::GoldenSamplesRetired { artifacts, .. }) => {
                let at = recorded.occurred_at();
                let retired = artifacts.iter().map(|id| (part.part.to_string(), id.0, at));
                self.retired.extend(retired);
                part
            }
            (Some(part), PartEvent::GoldenSampleRegistered { revision, .. }) => {
                part.golden_revision = Some(*revision);
                part
            }
            (None | Some(_), _) => {
                let message = "PartRegistered of its own part is the first event of a stream, once";
                return Err(ApplyError::permanent(message));
            }
        };
        part.version = recorded.sequence;
        part.position = recorded.position;
        Ok(())
    }

    async fn store(self, tx: &mut DatabaseConnection) -> Result<(), ApplyError> {
        store_rows(tx, &self.recipe_revisions).await?;
        store_rows(tx, &self.golden_samples).await?;
        retire_golden_samples(tx, &self.retired).await?;
        store_rows(tx, &self.parts.into_values().collect::<Vec<_>>()).await
    }
}

impl ProjectedEvent for PartEvent {
    type Aggregate = Part;
    type Id = String;

    fn stream_of(&self, recorded: &Recorded) -> Result<String, ApplyError> {
        Ok(recorded.stream.aggregate_id.clone())
    }
}

#[derive(Serialize, Deserialize)]
struct PartRow {
    part: PartNumber,
    recipe: Recipe,
    registered_at: DateTime<Utc>,
    golden_revision: Option<u32>,
    version: u64,
    position: Position,
}

impl PartRow {
    fn registered(part: &PartNumber, recipe: &Recipe, recorded: &Recorded) -> Self {
        Self {
            part: part.clone(),
            recipe: recipe.clone(),
            registered_at: recorded.occurred_at(),
            golden_revision: None,
            version: recorded.sequence,
            position: recorded.position,
        }
    }
}

impl TableRow for PartRow {
    const TABLE: &'static str = "parts";
    const LOOKUP: &'static str = "part";
    const KEY: &'static str = "part";
    const CHANGING: &'static [&'static str] = &["recipe", "golden_revision", "version", "position"];
}

#[derive(Serialize, Deserialize)]
struct RecipeRevisionRow {
    part: String,
    revision: u32,
    recipe: Recipe,
    revised_at: DateTime<Utc>,
    actor: String,
    /// None of the recipe that a part is registered with.
    reason: Option<String>,
}

impl RecipeRevisionRow {
    /// The row that an event with a recipe adds; `None` for another event.
    fn revised(record: &EventRecord<'_, PartEvent>) -> Option<Self> {
        let (recipe, reason) = match &record.event {
            PartEvent::PartRegistered { recipe, .. } => (recipe, None),
            PartEvent::RecipeRevised { recipe, reason } => (recipe, Some(reason.clone())),
            PartEvent::GoldenSampleReserved { .. }
            | PartEvent::GoldenSampleReservationRenewed { .. }
            | PartEvent::GoldenSampleReservationCancelled { .. }
            | PartEvent::GoldenSampleRegistered { .. }
            | PartEvent::GoldenSamplesRetired { .. } => return None,
        };
        Some(Self {
            part: record.aggregate_id.clone(),
            revision: recipe.revision,
            recipe: recipe.clone(),
            revised_at: record.recorded.occurred_at(),
            actor: record.actor_subject(),
            reason,
        })
    }
}

impl TableRow for RecipeRevisionRow {
    const TABLE: &'static str = "recipe_revisions";
    const LOOKUP: &'static str = "part";
    const KEY: &'static str = "part, revision";
    const CHANGING: &'static [&'static str] = &[];
}

#[derive(Serialize, Deserialize)]
struct GoldenSampleRow {
    part: String,
    revision: u32,
    artifact_id: ArtifactId,
    sha256: Sha256,
    media_type: MediaType,
    bytes: u64,
    width: u32,
    height: u32,
    #[serde(flatten)]
    purpose: GoldenPurpose,
    pixels_per_millimetre: Option<PixelScale>,
    actor: String,
    registered_at: DateTime<Utc>,
    /// When its file was given up.
    retired_at: Option<DateTime<Utc>>,
}

impl GoldenSampleRow {
    /// The row that `GoldenSampleRegistered` adds; `None` for another event.
    fn registered(record: &EventRecord<'_, PartEvent>) -> Option<Self> {
        let PartEvent::GoldenSampleRegistered {
            artifact_id,
            revision,
            purpose,
            pixels_per_millimetre,
            picture,
        } = &record.event
        else {
            return None;
        };
        Some(Self {
            part: record.aggregate_id.clone(),
            revision: *revision,
            artifact_id: *artifact_id,
            sha256: picture.sha256,
            media_type: picture.media_type,
            bytes: picture.bytes,
            width: picture.width,
            height: picture.height,
            purpose: purpose.clone(),
            pixels_per_millimetre: *pixels_per_millimetre,
            actor: record.actor_subject(),
            registered_at: record.recorded.occurred_at(),
            retired_at: None,
        })
    }
}

/// Golden samples whose files were given up; they may have been registered in the same stretch of events.
async fn retire_golden_samples(
    tx: &mut DatabaseConnection,
    retired: &[RetiredSample],
) -> Result<(), ApplyError> {
    if retired.is_empty() {
        return Ok(());
    }
    let parts: Vec<_> = retired.iter().map(|(part, ..)| part.as_str()).collect();
    let ids: Vec<_> = retired.iter().map(|(_, id, _)| *id).collect();
    let times: Vec<_> = retired.iter().map(|(.., at)| *at).collect();
    sqlx::query(
        "UPDATE golden_samples AS g SET retired_at = r.retired_at
         FROM unnest($1::text[], $2::uuid[], $3::timestamptz[]) AS r (part, artifact_id, retired_at)
         WHERE g.part = r.part AND g.artifact_id = r.artifact_id",
    )
    .bind(parts)
    .bind(ids)
    .bind(times)
    .execute(tx)
    .await?;
    Ok(())
}

impl TableRow for GoldenSampleRow {
    const TABLE: &'static str = "golden_samples";
    const LOOKUP: &'static str = "part";
    const KEY: &'static str = "part, revision";
    const CHANGING: &'static [&'static str] = &[];
}
