//! `read.reports`: the report of every judged inspection, folded by [`Report::from_entries`] from the events
//! up to the judgement. The document is stored as text, so the same events give the same bytes.
//!
//! Events are kept while an inspection waits for its judgement and no longer: what was judged takes
//! no more results, and its report stands. They are kept as the log stores them and decoded when the report
//! is folded, so that an event's new version leaves what is kept readable.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use domain::report::Entry;
use domain::{Aggregate as _, Inspection, InspectionEvent, ProjectionName, Report};
use platform::event_log::{Position, decode_stored};
use platform::postgres::DatabaseConnection;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::read_model::{
    InspectionRecord, ReadModel, TableRow, distinct_inspections, load_rows, store_rows,
};
use crate::projection::{ApplyError, ProjectionDefinition};

/// The read model `reports`: the inspections that have no report yet.
pub(super) struct Reports {
    drafts: HashMap<Uuid, ReportDraft>,
}

impl ReadModel for Reports {
    const DEFINITION: ProjectionDefinition = ProjectionDefinition {
        name: ProjectionName::Reports.as_str(),
        schema_version: 15,
        schema_sql: |_| include_str!("reports.sql"),
        views: &["reports"],
        aggregate_types: &[Inspection::TYPE],
    };

    type Event = InspectionEvent;

    async fn load(
        tx: &mut DatabaseConnection,
        records: &[InspectionRecord<'_>],
    ) -> Result<Self, ApplyError> {
        Ok(Self { drafts: load_drafts(tx, distinct_inspections(records)).await? })
    }

    fn apply_record(&mut self, record: InspectionRecord<'_>) -> Result<(), ApplyError> {
        use InspectionEvent as E;
        let Some(draft) = self.drafts.get_mut(&record.aggregate_id) else { return Ok(()) };
        match &record.event {
            E::InspectionCreated { .. }
            | E::ArtifactReserved { .. }
            | E::ArtifactReservationRenewed { .. }
            | E::ArtifactReservationCancelled { .. }
            | E::ArtifactUploaded { .. }
            | E::InferenceRequested { .. }
            | E::InferenceCompleted { .. }
            | E::InferenceFailed { .. }
            | E::InspectionVoided { .. }
            | E::InspectionJudged { .. }
            | E::PicturesRetired { .. } => draft.keep_until_judged(record),
        }
    }

    async fn store(self, tx: &mut DatabaseConnection) -> Result<(), ApplyError> {
        let (judged, open): (Vec<ReportDraft>, Vec<ReportDraft>) =
            self.drafts.into_values().partition(|draft| draft.judged);
        let entries: Vec<EntryRow> = open.into_iter().flat_map(|draft| draft.entries).collect();
        store_rows(tx, &entries).await?;
        let reports = finish_drafts(tx, judged).await?;
        insert_reports(tx, &reports).await
    }
}

/// What will be an inspection's report.
#[derive(Default)]
struct ReportDraft {
    /// How many of its events are kept, in `entries` and here.
    version: u64,
    /// Those of its events that are not in the table.
    entries: Vec<EntryRow>,
    /// The judgement is among them, or the report is there already.
    judged: bool,
}

impl ReportDraft {
    /// Keeps the event for the report; one that comes after the judgement changes nothing in it.
    fn keep_until_judged(&mut self, record: InspectionRecord<'_>) -> Result<(), ApplyError> {
        if !self.judged && record.follows_on(self.version)? {
            self.version = record.recorded.sequence;
            self.judged = matches!(record.event, InspectionEvent::InspectionJudged { .. });
            self.entries.push(EntryRow::new(&record));
        }
        Ok(())
    }
}

/// How many events of each inspection are kept, and whether it has a report. By `EXISTS` the server may read all reports
/// into a table of its own, which it does where it knows nothing of them yet.
const FIND_DRAFTS: &str = "SELECT id,
        (SELECT coalesce(max(sequence), 0) FROM entries WHERE inspection_id = id),
        (SELECT true FROM reports WHERE inspection_id = id LIMIT 1) IS NOT NULL
    FROM unnest($1::uuid[]) AS id";

/// The drafts of these inspections; of what has a report already no event is kept any more.
async fn load_drafts(
    tx: &mut DatabaseConnection,
    ids: Vec<Uuid>,
) -> Result<HashMap<Uuid, ReportDraft>, ApplyError> {
    let rows: Vec<(Uuid, i64, bool)> = sqlx::query_as(FIND_DRAFTS).bind(ids).fetch_all(tx).await?;
    let draft = |version: i64, judged| {
        let version = version.unsigned_abs();
        ReportDraft { version, judged, ..ReportDraft::default() }
    };
    Ok(rows.into_iter().map(|(id, version, judged)| (id, draft(version, judged))).collect())
}

/// A report and the position of its judgement.
type JudgedReport = (Position, Report);

/// The reports of these drafts, whose earlier entries have then served their purpose.
async fn finish_drafts(
    tx: &mut DatabaseConnection,
    judged: Vec<ReportDraft>,
) -> Result<Vec<JudgedReport>, ApplyError> {
    let mut streams: HashMap<Uuid, Vec<EntryRow>> = judged
        .into_iter()
        .filter_map(|draft| Some((draft.entries.first()?.inspection_id, draft.entries)))
        .collect();
    let begun: Vec<Uuid> = streams
        .iter()
        .filter(|(_, entries)| entries.first().is_some_and(|entry| entry.sequence > 1))
        .map(|(id, _)| *id)
        .collect();
    if !begun.is_empty() {
        let earlier: Vec<EntryRow> = load_rows(tx, begun.clone()).await?;
        for entry in earlier {
            streams.entry(entry.inspection_id).or_default().push(entry);
        }
        sqlx::query("DELETE FROM entries WHERE inspection_id = ANY($1)")
            .bind(begun)
            .execute(tx)
            .await?;
    }
    streams.into_values().map(fold_report).collect()
}

fn fold_report(mut rows: Vec<EntryRow>) -> Result<JudgedReport, ApplyError> {
    rows.sort_unstable_by_key(|row| row.sequence);
    let entries = rows.into_iter().map(EntryRow::decode).collect::<Result<Vec<_>, _>>()?;
    let position = entries.last().map_or(0, |entry| entry.position);
    let report = Report::from_entries(&entries);
    let report = report.ok_or_else(|| ApplyError::permanent("the judgement gives no report"))?;
    Ok((Position(position), report))
}

async fn insert_reports(
    tx: &mut DatabaseConnection,
    reports: &[JudgedReport],
) -> Result<(), ApplyError> {
    if reports.is_empty() {
        return Ok(());
    }
    let documents = reports.iter().map(|(_, report)| serde_json::to_string(report));
    let documents = documents.collect::<Result<Vec<_>, _>>().map_err(ApplyError::permanent)?;
    let text =
        |of: fn(&Report) -> String| reports.iter().map(|(_, r)| of(r)).collect::<Vec<String>>();
    sqlx::query(
        "INSERT INTO reports (report_id, inspection_id, lot, part, station, judgement,
                              defect_count, judged_at, position, document)
         SELECT r.report_id, r.inspection_id, r.lot, r.part, r.station, r.judgement,
                r.defect_count, r.judged_at, r.position, r.document::json
         FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[],
                     $7::bigint[], $8::timestamptz[], $9::bigint[], $10::text[])
              AS r (report_id, inspection_id, lot, part, station, judgement, defect_count,
                    judged_at, position, document)
         ON CONFLICT DO NOTHING",
    )
    .bind(reports.iter().map(|(_, report)| report.report_id.0).collect::<Vec<_>>())
    .bind(reports.iter().map(|(_, report)| report.inspection_id.0).collect::<Vec<_>>())
    .bind(text(|report| report.lot.to_string()))
    .bind(text(|report| report.part.to_string()))
    .bind(text(|report| report.station.to_string()))
    .bind(text(|report| report.judgement.to_string()))
    .bind(reports.iter().map(|(_, report)| report.defects.len() as i64).collect::<Vec<_>>())
    .bind(reports.iter().map(|(_, report)| report.judged_at).collect::<Vec<_>>())
    .bind(reports.iter().map(|(position, _)| position.0).collect::<Vec<_>>())
    .bind(documents)
    .execute(tx)
    .await?;
    Ok(())
}

#[derive(Serialize, Deserialize)]
struct EntryRow {
    inspection_id: Uuid,
    sequence: u64,
    position: i64,
    occurred_at: DateTime<Utc>,
    actor: String,
    actor_name: Option<String>,
    event_type: String,
    event_version: String,
    payload: Value,
}

impl EntryRow {
    fn new(record: &InspectionRecord<'_>) -> Self {
        let recorded = record.recorded;
        Self {
            inspection_id: record.aggregate_id,
            sequence: recorded.sequence,
            position: recorded.position.0,
            occurred_at: recorded.occurred_at(),
            actor: record.actor_subject(),
            actor_name: record.actor_name(),
            event_type: recorded.event_type.clone(),
            event_version: recorded.event_version.clone(),
            // What could not be parsed was not decoded either, and does not come here.
            payload: recorded.payload.value().cloned().unwrap_or_default(),
        }
    }

    fn decode(self) -> Result<Entry, ApplyError> {
        let (position, stored) =
            (Position(self.position), (&*self.event_type, &*self.event_version));
        Ok(Entry {
            event: decode_stored::<Inspection>(position, stored, &self.payload)?,
            sequence: self.sequence,
            position: self.position,
            occurred_at: self.occurred_at,
            actor: self.actor,
            actor_name: self.actor_name,
        })
    }
}

impl TableRow for EntryRow {
    const TABLE: &'static str = "entries";
    const LOOKUP: &'static str = "inspection_id";
    const KEY: &'static str = "inspection_id, sequence";
    const CHANGING: &'static [&'static str] = &[];
}

#[cfg(test)]
mod tests {
    use platform::follower::OwnerConnection;
    use platform::test_support::fresh_database;
    use sqlx::Executor as _;

    use super::*;
    use crate::checkpoint::begin_on_tables;
    use crate::serving_projector::take_over_serving;
    use crate::{ensure_each, find};

    #[tokio::test]
    async fn drafts_are_found_by_keys_also_where_nothing_is_known_of_the_reports() {
        let database = fresh_database().await;
        let pool = database.pool();
        let projection = find("reports").unwrap();
        ensure_each(&pool, &[projection]).await.unwrap();
        let mut connection = OwnerConnection::open(&pool).await.unwrap();
        let generation = take_over_serving(&mut connection, projection).await.unwrap().unwrap();
        let mut tx = begin_on_tables(&mut connection, &generation).await.unwrap();
        let plan = async |tx: &mut DatabaseConnection, name: &str, sql: &str| {
            tx.execute(&*format!("PREPARE {name} (uuid[]) AS {sql}")).await.unwrap();
            let sql = format!("EXPLAIN EXECUTE {name} ('{{}}')");
            let lines: Vec<String> = sqlx::query_scalar(&sql).fetch_all(tx).await.unwrap();
            lines.join("\n")
        };
        let found = plan(&mut tx, "found", FIND_DRAFTS).await;
        assert_eq!(found.matches("Index Cond").count(), 2, "{found}");
        let exists = "SELECT id, EXISTS (SELECT FROM reports WHERE inspection_id = id)
                      FROM unnest($1::uuid[]) AS id";
        let all_read = plan(&mut tx, "all_read", exists).await;
        assert!(!all_read.contains("Index Cond"), "the control: {all_read}");
    }
}
