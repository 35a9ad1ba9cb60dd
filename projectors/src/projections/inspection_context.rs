//! What a projection of findings has to remember of each inspection: whose board it is, by which
//! recipe it is judged, and how far its stream is applied.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use domain::{InspectionEvent, Lot, PartNumber, Recipe, Station};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use super::event_record::{InspectionRecord, distinct_inspections};
use super::rows::{self, TableRow};
use crate::projection::ApplyError;

/// What is remembered of one inspection.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct InspectionContext {
    inspection_id: Uuid,
    created_at: DateTime<Utc>,
    pub(super) lot: Lot,
    pub(super) part: PartNumber,
    pub(super) station: Station,
    pub(super) recipe: Recipe,
    /// Findings graded `defect` so far.
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
            defects: 0,
            closed: false,
            version: 0,
        })
    }
}

impl TableRow for InspectionContext {
    const TABLE: &'static str = "inspection_contexts";
    const LOOKUP: &'static str = "inspection_id";
    const KEY: &'static str = "inspection_id, created_at";
    const CHANGING: &'static [&'static str] = &["defects", "closed", "version"];
}

/// A context after one more event.
pub(super) struct Advanced<'a> {
    pub(super) context: &'a mut InspectionContext,
    /// The inspection was neither judged nor voided before the event, so that a result counts.
    pub(super) takes_results: bool,
}

/// The contexts of the inspections that a stretch of events is about.
pub(super) struct InspectionContexts(HashMap<Uuid, InspectionContext>);

impl InspectionContexts {
    pub(super) async fn load(
        tx: &mut PgConnection,
        records: &[InspectionRecord<'_>],
    ) -> Result<Self, ApplyError> {
        let known: Vec<InspectionContext> =
            rows::load_rows(tx, distinct_inspections(records)).await?;
        Ok(Self(known.into_iter().map(|context| (context.inspection_id, context)).collect()))
    }

    /// Counts the event as applied. The context, unless the event is applied already.
    pub(super) fn advance_to(
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
            context.version = record.recorded.sequence;
            context.closed |=
                matches!(&record.event, E::InspectionJudged { .. } | E::InspectionVoided { .. });
            Advanced { context, takes_results }
        }))
    }

    pub(super) async fn store(self, tx: &mut PgConnection) -> Result<(), ApplyError> {
        let contexts: Vec<InspectionContext> = self.0.into_values().collect();
        rows::store_rows(tx, &contexts).await
    }
}
