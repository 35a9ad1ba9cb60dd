//! Measures how fast read models are rebuilt: events per second, each projection by itself, beside
//! the same log applied one event at a time as a control.
//!
//! `cargo run -p projectors --example measure_rebuild -- [BOARDS]`, 20,000 by default, six events
//! each. Runs on the tests' cluster, which does not wait for the disk, or on
//! CHIPQ_TEST_DATABASE_URL.

use std::io::{Write as _, stdout};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use domain::inspection::{GoldenReference, InferenceResult, ModelIdentity, Registration, Timing};
use domain::{
    Aggregate as _, ArtifactId, Confidence, Coverage, Defect, DefectClass, Inspection,
    InspectionCommand, InspectionEvent, InspectionId, Lot, MediaType, PartNumber, Picture,
    PixelBox, Recipe, Sha256, Station,
};
use platform::event_log::postgres::PostgresEventLog;
use platform::event_log::{EventLog, EventMetadata, NewEvent};
use platform::postgres::Pool;
use platform::test_support::fresh_database;
use projectors::{Projection, RebuildOptions};
use sqlx::types::Json;
use uuid::Uuid;

/// Boards whose events are inserted by one statement.
const BOARDS_PER_INSERT: u32 = 500;
/// Boards of the control, which takes its time.
const CONTROL_BOARDS: u32 = 200;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let boards = std::env::args().nth(1).map_or(Ok(20_000), |n| n.parse())?;
    let control = measure(CONTROL_BOARDS, 1).await?;
    let measured = measure(boards, usize::MAX).await?;
    for ((name, rate), (_, one_by_one)) in measured.iter().zip(&control) {
        let ratio = rate / one_by_one;
        writeln!(stdout(), "{name:<20} {rate:>8.0} events/s  {ratio:>5.1} × one by one")?;
    }
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    writeln!(stdout(), "{} events; load average at the end {}", boards * 6, load.trim())?;
    Ok(())
}

/// Events per second of each projection: rebuilt, or followed in pages of `page_events`.
async fn measure(boards: u32, page_events: usize) -> anyhow::Result<Vec<(&'static str, f64)>> {
    let database = fresh_database().await;
    let pool = database.pool();
    let log: Arc<dyn EventLog> = Arc::new(PostgresEventLog::new(pool.clone()));
    projectors::ensure(&pool).await?;
    fill(&pool, boards).await?;
    let mut rates = Vec::new();
    for projection in projectors::ALL {
        let events = f64::from(boards) * 6.0;
        let took = if page_events == 1 {
            let started = Instant::now();
            projectors::catch_up(&pool, Arc::clone(&log), projection, page_events).await?;
            started.elapsed()
        } else {
            rebuilt(&pool, Arc::clone(&log), projection).await?
        };
        rates.push((projection.name(), events / took.as_secs_f64()));
    }
    Ok(rates)
}

async fn rebuilt(
    pool: &Pool,
    log: Arc<dyn EventLog>,
    projection: &'static dyn Projection,
) -> anyhow::Result<Duration> {
    projectors::catch_up(pool, Arc::clone(&log), projection, 5_000).await?;
    let options = RebuildOptions { expect_identical: true };
    let (started, cpu_before) = (Instant::now(), own_cpu_seconds());
    let report = projectors::rebuild(pool, log, projection, options, &mut |_| {}).await?;
    let whole = started.elapsed();
    let rest = whole.saturating_sub(report.filling);
    let cpu = own_cpu_seconds() - cpu_before;
    writeln!(
        stdout(),
        "{:<20} {} events filled in {:.2?} ({cpu:.2} s of CPU here), swapped in {rest:.2?}",
        report.projection,
        report.events,
        report.filling
    )?;
    ensure!(report.comparison.is_identical(), "{}", report.comparison);
    Ok(whole)
}

/// What this process has spent: unlike time on the wall it does not depend on the neighbours.
fn own_cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let ticks = stat.split_whitespace().skip(13).take(2).filter_map(|n| n.parse::<f64>().ok());
    ticks.sum::<f64>() / 100.0
}

/// Inserts the events of whole boards, as an append would have left them.
async fn fill(pool: &Pool, boards: u32) -> anyhow::Result<()> {
    for first in (0..boards).step_by(BOARDS_PER_INSERT as usize) {
        let last = boards.min(first + BOARDS_PER_INSERT);
        let (mut streams, mut sequences) = (Vec::new(), Vec::new());
        let (mut types, mut payloads, mut metadata) = (Vec::new(), Vec::new(), Vec::new());
        for board in first..last {
            let id = InspectionId(Uuid::now_v7());
            for (event, sequence) in events(id, board)?.iter().zip(1_i64..) {
                let event = NewEvent::from_domain::<Inspection>(event)?;
                streams.push(id.to_string());
                sequences.push(sequence);
                types.push(event.event_type);
                payloads.push(Json(event.payload));
                metadata.push(Json(circumstances(board, sequence)));
            }
        }
        sqlx::query(
            "INSERT INTO events (position, aggregate_type, aggregate_id, sequence, event_type,
                                 event_version, payload, metadata)
             SELECT nextval('event_position_seq'), 'inspection', id, sequence, type, '1', payload,
                    metadata
             FROM unnest($1::text[], $2::bigint[], $3::text[], $4::jsonb[], $5::jsonb[])
                  AS e (id, sequence, type, payload, metadata)",
        )
        .bind(streams)
        .bind(sequences)
        .bind(types)
        .bind(payloads)
        .bind(metadata)
        .execute(pool)
        .await
        .context("cannot insert events")?;
    }
    sqlx::query("ANALYZE events").execute(pool).await?;
    Ok(())
}

fn circumstances(board: u32, sequence: i64) -> std::collections::HashMap<String, String> {
    let at = start() + TimeDelta::seconds(i64::from(board)) + TimeDelta::milliseconds(sequence);
    EventMetadata::by_service("station-7").with_occurred_at(at).to_map()
}

fn start() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000)
}

/// The six events of a board with one picture and three findings.
fn events(inspection_id: InspectionId, board: u32) -> anyhow::Result<Vec<InspectionEvent>> {
    let artifact_id = ArtifactId(Uuid::now_v7());
    let sha256 = Sha256::digest_of(&board.to_be_bytes());
    let media_type = MediaType::Png;
    let picture = Picture { sha256, bytes: 123_456, media_type, width: 640, height: 640 };
    let mut inspection = Inspection::default();
    let mut events = Vec::new();
    for command in [
        InspectionCommand::CreateInspection {
            inspection_id,
            lot: Lot::new(&format!("L{}", board / 500))?,
            part: PartNumber::new("board-a")?,
            station: Station::new(&format!("S{}", board % 4))?,
            recipe: Recipe::factory(1),
            golden_sample_revision: None,
        },
        InspectionCommand::ReserveArtifact {
            artifact_id,
            media_type,
            view: None,
            pixels_per_millimetre: None,
            expires_at: start(),
        },
        InspectionCommand::UploadArtifact { artifact_id, picture },
        InspectionCommand::RequestInference { at_rest: vec![], now: start() },
        InspectionCommand::RecordInference(Box::new(result(artifact_id, sha256, board)?)),
    ] {
        let decided = inspection.decide(command)?;
        decided.iter().for_each(|event| inspection.evolve(event));
        events.extend(decided);
    }
    Ok(events)
}

fn result(
    artifact_id: ArtifactId,
    artifact_sha256: Sha256,
    board: u32,
) -> anyhow::Result<InferenceResult> {
    let defect = |n: u32| -> anyhow::Result<Defect> {
        let confidence = Confidence::new(((board + n) % 10) as f32 / 10.0)?;
        let bounds = PixelBox { x: n, y: board % 600, width: 12, height: 9 };
        Ok(Defect { class: DefectClass::Spur, confidence, bounds })
    };
    let sha256 = Sha256::digest_of(b"golden");
    Ok(InferenceResult::Completed {
        result_id: Uuid::new_v4(),
        artifact_id,
        artifact_sha256,
        golden: GoldenReference { artifact_id: ArtifactId(Uuid::nil()), revision: 1, sha256 },
        model: ModelIdentity { name: "copper".into(), version: "1".into(), sha256 },
        registration: Registration { dx: 0.5, dy: -0.5, score: 0.99, bend: None },
        defects: (0..3).map(defect).collect::<Result<_, _>>()?,
        differences: Vec::new(),
        coverage: Coverage::complete(640 * 640),
        timing: Timing { queue_ms: 1, compute_ms: 20, total_ms: 30 },
    })
}
