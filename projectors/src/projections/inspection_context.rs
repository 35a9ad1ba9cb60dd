//! Read models of findings, and what they have to remember of each inspection: whose board it is, by which
//! recipe it is judged, and how far its stream is applied.
//!
//! Each has a table of contexts of its own (`inspection_context.sql`), because each is at a position of its
//! own in the log.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use domain::{ArtifactId, InspectionEvent, Lot, PartNumber, PixelScale, Recipe, Station};
use platform::postgres::DatabaseConnection;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::read_model::{
    InspectionRecord, ReadModel, TableRow, distinct_inspections, load_rows, store_rows,
};
use crate::projection::{ApplyError, ProjectionDefinition};

/// What is found on the boards that a stretch of events is about.
pub(super) trait FindingRows: Default + Send + 'static {
    /// What the projection says of itself.
    const DEFINITION: ProjectionDefinition;

    /// Changes the rows as an event says that is not applied yet.
    fn apply_record(
        &mut self,
        advanced: Advanced<'_>,
        record: &InspectionRecord<'_>,
    ) -> Result<(), ApplyError>;

    /// Writes back what has changed.
    fn store(
        self,
        tx: &mut DatabaseConnection,
    ) -> impl Future<Output = Result<(), ApplyError>> + Send;
}

/// The read model that findings are, with the contexts of the inspections that they are from.
pub(super) struct FindingsInContext<F> {
    contexts: InspectionContexts,
    findings: F,
}

impl<F: FindingRows> FindingsInContext<F> {
    /// Before any event.
    pub(super) fn empty() -> Self {
        Self { contexts: InspectionContexts(HashMap::new()), findings: F::default() }
    }

    /// What was found.
    pub(super) fn into_findings(self) -> F {
        self.findings
    }
}

impl<F: FindingRows> ReadModel for FindingsInContext<F> {
    const DEFINITION: ProjectionDefinition = F::DEFINITION;

    type Event = InspectionEvent;

    async fn load(
        tx: &mut DatabaseConnection,
        records: &[InspectionRecord<'_>],
    ) -> Result<Self, ApplyError> {
        let contexts = InspectionContexts::load(tx, records).await?;
        Ok(Self { contexts, findings: F::default() })
    }

    fn apply_record(&mut self, record: InspectionRecord<'_>) -> Result<(), ApplyError> {
        match self.contexts.advance_to(&record)? {
            Some(advanced) => self.findings.apply_record(advanced, &record),
            None => Ok(()),
        }
    }

    async fn store(self, tx: &mut DatabaseConnection) -> Result<(), ApplyError> {
        self.findings.store(tx).await?;
        self.contexts.store(tx).await
    }
}

/// What is remembered of one inspection.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct InspectionContext {
    inspection_id: Uuid,
    created_at: DateTime<Utc>,
    pub(super) lot: Lot,
    pub(super) part: PartNumber,
    pub(super) station: Station,
    pub(super) recipe: Recipe,
    /// The pictures that were announced so far: few, since they are bounded by the domain.
    pictures: Vec<ContextPicture>,
    /// FindingRows graded `defect` so far.
    pub(super) defects: u64,
    /// Judged or voided: no more results count.
    closed: bool,
    version: u64,
}

impl InspectionContext {
    /// The context that `InspectionCreated` begins; `None` for another event.
    fn created(record: &InspectionRecord<'_>) -> Option<Self> {
        let InspectionEvent::InspectionCreated { lot, part, station, recipe, .. } = &record.event
        else {
            return None;
        };
        Some(Self {
            inspection_id: record.aggregate_id,
            created_at: record.recorded.occurred_at(),
            lot: lot.clone(),
            part: part.clone(),
            station: station.clone(),
            recipe: recipe.clone(),
            pictures: Vec::new(),
            defects: 0,
            closed: false,
            version: 0,
        })
    }

    /// What was said of a picture when it was announced.
    ///
    /// # Errors
    /// When it never was.
    pub(super) fn announced(&self, artifact_id: ArtifactId) -> Result<ContextPicture, ApplyError> {
        let mut pictures = self.pictures.iter();
        let announced = pictures.find(|picture| picture.artifact_id == artifact_id).copied();
        announced.ok_or_else(|| ApplyError::permanent("the picture was never announced here"))
    }

    fn remember_announced(&mut self, record: &InspectionRecord<'_>) {
        if let InspectionEvent::ArtifactReserved { artifact_id, pixels_per_millimetre, .. } =
            &record.event
        {
            self.pictures.push(ContextPicture {
                artifact_id: *artifact_id,
                sequence: record.recorded.sequence,
                pixels_per_millimetre: *pixels_per_millimetre,
            });
        }
    }
}

/// A picture as it was announced.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct ContextPicture {
    artifact_id: ArtifactId,
    /// The place of its announcement in the inspection's stream.
    pub(super) sequence: u64,
    /// The scale that it was announced with.
    pub(super) pixels_per_millimetre: Option<PixelScale>,
}

impl TableRow for InspectionContext {
    const TABLE: &'static str = "inspection_contexts";
    const LOOKUP: &'static str = "inspection_id";
    const KEY: &'static str = "inspection_id, created_at";
    const CHANGING: &'static [&'static str] = &["pictures", "defects", "closed", "version"];
}

/// A context after one more event.
pub(super) struct Advanced<'a> {
    pub(super) context: &'a mut InspectionContext,
    /// The inspection was neither judged nor voided before the event, so that a result counts.
    pub(super) takes_results: bool,
}

/// The contexts of the inspections that a stretch of events is about.
struct InspectionContexts(HashMap<Uuid, InspectionContext>);

impl InspectionContexts {
    async fn load(
        tx: &mut DatabaseConnection,
        records: &[InspectionRecord<'_>],
    ) -> Result<Self, ApplyError> {
        let known: Vec<InspectionContext> = load_rows(tx, distinct_inspections(records)).await?;
        Ok(Self(known.into_iter().map(|context| (context.inspection_id, context)).collect()))
    }

    /// Counts the event as applied. The context, unless the event is applied already.
    fn advance_to(
        &mut self,
        record: &InspectionRecord<'_>,
    ) -> Result<Option<Advanced<'_>>, ApplyError> {
        use InspectionEvent as E;
        let known = self.0.get(&record.aggregate_id).map_or(0, |context| context.version);
        if !record.follows_on(known)? {
            return Ok(None);
        }
        if let Some(context) = InspectionContext::created(record) {
            self.0.insert(record.aggregate_id, context);
        }
        Ok(self.0.get_mut(&record.aggregate_id).map(|context| {
            let takes_results = !context.closed;
            context.remember_announced(record);
            context.version = record.recorded.sequence;
            context.closed |=
                matches!(&record.event, E::InspectionJudged { .. } | E::InspectionVoided { .. });
            Advanced { context, takes_results }
        }))
    }

    async fn store(self, tx: &mut DatabaseConnection) -> Result<(), ApplyError> {
        let contexts: Vec<InspectionContext> = self.0.into_values().collect();
        store_rows(tx, &contexts).await
    }
}
