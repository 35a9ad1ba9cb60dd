//! One inspection as some of its events make it, by the code that serves and without a database: for whoever asks what
//! was.
//!
//! Invariant: from all events of its stream the same rows come out that serve.

use domain::Inspection;
use platform::event_log::Recorded;

use super::defects::Defects;
use super::inspection_context::FindingsInContext;
use super::inspection_overview::InspectionOverview;
use super::read_model::{EventRecord, InspectionRecord, ReadModel as _};
use crate::projection::ApplyError;

/// The rows of one inspection, by table, each as a JSON array of objects whose keys are the columns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FoldedInspection {
    /// Its row in `inspections`.
    pub inspections: String,
    /// Its pictures in `artifacts`.
    pub artifacts: String,
    /// Its events in `timeline`.
    pub timeline: String,
    /// Its findings in `defects`.
    pub defects: String,
}

/// What the first events of an inspection's stream make of it. One that can never be applied parks the stream where it
/// serves; here, too, the rows are as they were before it.
///
/// # Errors
/// [`ApplyError::Unknown`] when this software is too old for an event.
pub fn fold_inspection(events: &[Recorded]) -> Result<FoldedInspection, ApplyError> {
    let (mut overview, mut findings) =
        (InspectionOverview::empty(), FindingsInContext::<Defects>::empty());
    for event in events {
        let applied = decode(event).and_then(|record| {
            overview.apply_record(record)?;
            findings.apply_record(decode(event)?)
        });
        match applied {
            Ok(()) => {}
            Err(ApplyError::Permanent(_)) => break,
            Err(error) => return Err(error),
        }
    }
    let [inspections, artifacts, timeline] = overview.into_json()?;
    let defects = findings.into_findings().into_json()?;
    Ok(FoldedInspection { inspections, artifacts, timeline, defects })
}

fn decode(event: &Recorded) -> Result<InspectionRecord<'_>, ApplyError> {
    debug_assert_eq!(event.stream.aggregate_type, <Inspection as domain::Aggregate>::TYPE);
    EventRecord::decode(event)
}
