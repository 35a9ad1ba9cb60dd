//! `read.reports`: the report of every judged inspection, folded by [`Report::of`] from the events
//! up to the judgement. The document is stored as text, so the same events give the same bytes.
//!
//! Events are kept while an inspection waits for its judgement and no longer: what was judged takes
//! no more results, and its report stands.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use domain::report::Entry;
use domain::{Aggregate as _, Inspection, InspectionEvent, Report};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use platform::event_log::{Position, Recorded};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use super::inspection_stream::{Fact, facts, inspections, is_next};
use super::rows::{self, Row};
use crate::projection::{ApplyError, Projection};

/// The projection `reports`.
pub(super) struct Reports;

impl Projection for Reports {
    fn name(&self) -> &'static str {
        "reports"
    }

    fn schema_sql(&self) -> &'static str {
        include_str!("reports.sql")
    }

    fn views(&self) -> &'static [&'static str] {
        &["reports"]
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
    let mut drafts = drafts(tx, inspections(&facts)).await?;
    for fact in facts {
        let Some(draft) = drafts.get_mut(&fact.inspection_id).filter(|d| !d.judged) else {
            continue;
        };
        if !is_next(draft.version, fact.recorded)? {
            continue;
        }
        draft.version = fact.recorded.sequence;
        draft.judged = matches!(fact.event, InspectionEvent::InspectionJudged { .. });
        draft.entries.push(EntryRow::of(fact));
    }
    let (judged, open): (Vec<Draft>, Vec<Draft>) = drafts.into_values().partition(|d| d.judged);
    let entries: Vec<EntryRow> = open.into_iter().flat_map(|draft| draft.entries).collect();
    rows::store(tx, &entries).await?;
    let reports = reports(tx, judged).await?;
    store(tx, &reports).await
}

/// An inspection without a report yet.
#[derive(Default)]
struct Draft {
    /// How many of its events are kept, in `entries` and here.
    version: u64,
    /// Those of its events that are not in the table.
    entries: Vec<EntryRow>,
    /// Whether the judgement is among them.
    judged: bool,
}

/// Those of the inspections that have no report yet: what has a report takes no more events.
async fn drafts(tx: &mut PgConnection, ids: Vec<Uuid>) -> Result<HashMap<Uuid, Draft>, ApplyError> {
    let rows: Vec<(Uuid, i64)> = sqlx::query_as(
        "SELECT id, (SELECT coalesce(max(sequence), 0) FROM entries WHERE inspection_id = id)
         FROM unnest($1::uuid[]) AS id
         WHERE NOT EXISTS (SELECT FROM reports WHERE inspection_id = id)",
    )
    .bind(ids)
    .fetch_all(tx)
    .await?;
    let draft = |version: i64| Draft { version: version.unsigned_abs(), ..Draft::default() };
    Ok(rows.into_iter().map(|(id, version)| (id, draft(version))).collect())
}

/// A report and the position of its judgement.
type Judged = (Position, Report);

/// The reports of these drafts, whose earlier entries have then served their purpose.
async fn reports(tx: &mut PgConnection, judged: Vec<Draft>) -> Result<Vec<Judged>, ApplyError> {
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
        let earlier: Vec<EntryRow> = rows::load(tx, "inspection_id", begun.clone()).await?;
        for entry in earlier {
            streams.entry(entry.inspection_id).or_default().push(entry);
        }
        sqlx::query("DELETE FROM entries WHERE inspection_id = ANY($1)")
            .bind(begun)
            .execute(tx)
            .await?;
    }
    streams.into_values().map(report).collect()
}

fn report(mut rows: Vec<EntryRow>) -> Result<Judged, ApplyError> {
    rows.sort_unstable_by_key(|row| row.sequence);
    let entries: Vec<Entry> = rows.into_iter().map(Entry::from).collect();
    let position = entries.last().map_or(0, |entry| entry.position);
    let report = Report::of(&entries);
    let report = report.ok_or_else(|| ApplyError::permanent("the judgement gives no report"))?;
    Ok((Position(position), report))
}

async fn store(tx: &mut PgConnection, reports: &[Judged]) -> Result<(), ApplyError> {
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
    event: InspectionEvent,
}

impl EntryRow {
    fn of(fact: Fact<'_>) -> Self {
        Self {
            inspection_id: fact.inspection_id,
            sequence: fact.recorded.sequence,
            position: fact.recorded.position.0,
            occurred_at: fact.recorded.occurred_at(),
            actor: fact.actor(),
            event: fact.event,
        }
    }
}

impl Row for EntryRow {
    const TABLE: &'static str = "entries";
    const KEY: &'static str = "inspection_id, sequence";
    const CHANGING: &'static [&'static str] = &[];
}

impl From<EntryRow> for Entry {
    fn from(row: EntryRow) -> Self {
        Self {
            sequence: row.sequence,
            position: row.position,
            occurred_at: row.occurred_at,
            actor: row.actor,
            event: row.event,
        }
    }
}
