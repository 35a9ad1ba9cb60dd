//! `read.parts` and `read.golden_samples`: every part with its recipe and golden samples.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::{Aggregate as _, ArtifactId, MediaType, Part, PartEvent, PartNumber, Recipe, Sha256};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use platform::event_log::{Position, Recorded};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

use super::inspection_stream::is_next;
use super::rows::{self, Row};
use crate::projection::{ApplyError, Projection};

/// The projection `parts`.
pub(super) struct Parts;

impl Projection for Parts {
    fn name(&self) -> &'static str {
        "parts"
    }

    fn schema_sql(&self) -> &'static str {
        include_str!("parts.sql")
    }

    fn views(&self) -> &'static [&'static str] {
        &["parts", "golden_samples"]
    }

    fn aggregate_types(&self) -> &'static [&'static str] {
        &[Part::TYPE]
    }

    fn apply<'a>(
        &'a self,
        tx: &'a mut PgConnection,
        events: &'a [&'a Recorded],
    ) -> BoxFuture<'a, Result<(), ApplyError>> {
        apply(tx, events).boxed()
    }
}

async fn apply(tx: &mut PgConnection, events: &[&Recorded]) -> Result<(), ApplyError> {
    let names = events.iter().map(|event| event.stream.aggregate_id.clone()).collect();
    let rows: Vec<PartRow> = rows::load(tx, PartRow::KEY, names).await?;
    let mut parts: BTreeMap<String, PartRow> =
        rows.into_iter().map(|row| (row.part.to_string(), row)).collect();
    let mut golden_samples = Vec::new();
    for event in events {
        golden_samples.extend(evolve(&mut parts, event)?);
    }
    rows::store(tx, &golden_samples).await?;
    rows::store(tx, &parts.into_values().collect::<Vec<_>>()).await
}

/// Changes the part, and gives the golden sample that the event adds to it.
fn evolve(
    parts: &mut BTreeMap<String, PartRow>,
    recorded: &Recorded,
) -> Result<Option<GoldenSampleRow>, ApplyError> {
    let event: PartEvent = recorded.decode().map_err(ApplyError::permanent)?;
    let name = &recorded.stream.aggregate_id;
    let known = parts.get(name).map_or(0, |part| part.version);
    if !is_next(known, recorded)? {
        return Ok(None);
    }
    let (part, revision) = match (parts.get_mut(name), &event) {
        (None, PartEvent::PartRegistered { part, recipe }) if part.as_str() == name => {
            let row = PartRow::registered(part, recipe, recorded);
            parts.insert(name.clone(), row);
            return Ok(None);
        }
        (Some(part), PartEvent::GoldenSampleReserved { .. }) => (part, None),
        (Some(part), PartEvent::GoldenSampleRegistered { revision, .. }) => (part, Some(*revision)),
        (None | Some(_), _) => {
            let message = "PartRegistered of its own part is the first event of a stream, once";
            return Err(ApplyError::permanent(message));
        }
    };
    part.version = recorded.sequence;
    part.position = recorded.position;
    part.golden_revision = revision.or(part.golden_revision);
    Ok(GoldenSampleRow::of(&part.part, event, recorded.occurred_at()))
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

impl Row for PartRow {
    const TABLE: &'static str = "parts";
    const KEY: &'static str = "part";
    const CHANGING: &'static [&'static str] = &["recipe", "golden_revision", "version", "position"];
}

#[derive(Serialize, Deserialize)]
struct GoldenSampleRow {
    part: PartNumber,
    revision: u32,
    artifact_id: ArtifactId,
    sha256: Sha256,
    media_type: MediaType,
    bytes: u64,
    width: u32,
    height: u32,
    registered_at: DateTime<Utc>,
}

impl GoldenSampleRow {
    fn of(part: &PartNumber, event: PartEvent, registered_at: DateTime<Utc>) -> Option<Self> {
        let PartEvent::GoldenSampleRegistered { artifact_id, revision, picture } = event else {
            return None;
        };
        Some(Self {
            part: part.clone(),
            revision,
            artifact_id,
            sha256: picture.sha256,
            media_type: picture.media_type,
            bytes: picture.bytes,
            width: picture.width,
            height: picture.height,
            registered_at,
        })
    }
}

impl Row for GoldenSampleRow {
    const TABLE: &'static str = "golden_samples";
    const KEY: &'static str = "part, revision";
    const CHANGING: &'static [&'static str] = &[];
}
