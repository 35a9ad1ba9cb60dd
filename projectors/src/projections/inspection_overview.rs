//! `read.inspections`, `read.artifacts` and `read.timeline`: every inspection, its pictures, its
//! events. What is judged or voided takes no more results, as in the domain.

mod evolve;
mod row;

use std::collections::HashMap;

use domain::{Aggregate as _, ArtifactId, Inspection, InspectionEvent};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use platform::event_log::Recorded;
use sqlx::PgConnection;
use uuid::Uuid;

use super::inspection_stream::{Fact, facts, inspections, is_next};
use super::rows::{self, Row as _};
use crate::projection::{ApplyError, Projection};
use row::{ArtifactRow, InspectionRow, TimelineRow};

/// The projection `inspection_overview`.
pub(super) struct InspectionOverview;

impl Projection for InspectionOverview {
    fn name(&self) -> &'static str {
        "inspection_overview"
    }

    fn schema_sql(&self) -> &'static str {
        include_str!("inspection_overview.sql")
    }

    fn views(&self) -> &'static [&'static str] {
        &["inspections", "artifacts", "timeline"]
    }

    fn aggregate_types(&self) -> &'static [&'static str] {
        &[Inspection::TYPE]
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
    let facts = facts(events)?;
    let mut overview = Overview::load(tx, &facts).await?;
    for fact in &facts {
        overview.add(fact)?;
    }
    overview.store(tx).await
}

/// The rows that a stretch of events changes.
#[derive(Default)]
struct Overview {
    inspections: HashMap<Uuid, InspectionRow>,
    artifacts: HashMap<ArtifactId, ArtifactRow>,
    timeline: Vec<TimelineRow>,
}

impl Overview {
    async fn load(tx: &mut PgConnection, facts: &[Fact<'_>]) -> Result<Self, ApplyError> {
        let ids = inspections(facts);
        let inspections: Vec<InspectionRow> = rows::load(&mut *tx, InspectionRow::KEY, ids).await?;
        let ids: Vec<Uuid> = facts.iter().filter_map(|f| artifact_of(&f.event)).collect();
        let artifacts: Vec<ArtifactRow> =
            if ids.is_empty() { Vec::new() } else { rows::load(tx, ArtifactRow::KEY, ids).await? };
        Ok(Self {
            inspections: inspections.into_iter().map(|row| (row.inspection_id, row)).collect(),
            artifacts: artifacts.into_iter().map(|row| (row.artifact_id, row)).collect(),
            timeline: Vec::with_capacity(facts.len()),
        })
    }

    fn add(&mut self, fact: &Fact<'_>) -> Result<(), ApplyError> {
        let known = self.inspections.get(&fact.inspection_id).map_or(0, |row| row.version);
        if !is_next(known, fact.recorded)? {
            return Ok(());
        }
        self.timeline.push(TimelineRow::of(fact));
        if let Some(row) = self.inspections.get_mut(&fact.inspection_id) {
            evolve::evolve(row, &mut self.artifacts, fact)?;
            row.version = fact.recorded.sequence;
            row.position = fact.recorded.position;
        } else if let Some(row) = InspectionRow::created(fact) {
            self.inspections.insert(fact.inspection_id, row);
        }
        Ok(())
    }

    async fn store(self, tx: &mut PgConnection) -> Result<(), ApplyError> {
        rows::store(tx, &self.inspections.into_values().collect::<Vec<_>>()).await?;
        rows::store(tx, &self.artifacts.into_values().collect::<Vec<_>>()).await?;
        rows::store(tx, &self.timeline).await
    }
}

/// The picture whose row the event changes.
fn artifact_of(event: &InspectionEvent) -> Option<Uuid> {
    use InspectionEvent as E;
    match event {
        E::ArtifactReserved { artifact_id, .. }
        | E::ArtifactUploaded { artifact_id, .. }
        | E::InferenceCompleted { artifact_id, .. }
        | E::InferenceFailed { artifact_id, .. } => Some(artifact_id.0),
        E::InspectionCreated { .. }
        | E::InferenceRequested { .. }
        | E::InspectionJudged { .. }
        | E::InspectionVoided { .. } => None,
    }
}
