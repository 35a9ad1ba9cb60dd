//! Load on the public HTTP API.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::bail;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use uuid::Uuid;

use super::figures::{Figure, Figures};
use crate::demo::lot::Lot;
use crate::http_client::{HttpClient, Label, Patience};
use crate::statistics::Durations;

const PATIENCE: Patience = Patience(Duration::from_secs(20));
/// How long a board may take to be judged.
const JUDGED_WITHIN: Duration = Duration::from_secs(60);
/// Commands that are sent before any is timed.
const WARM_UP: usize = 20;
/// Different pictures that are offered over and over.
const PICTURES: usize = 16;

/// Times create commands one after the other; `peer` is the same number of bare commits.
pub(super) async fn measure_commands(
    url: &str,
    count: usize,
    peer: &Durations,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let client = HttpClient::sign_in(url, PATIENCE).await?;
    let run = Uuid::new_v4().simple().to_string();
    let mut measured = Vec::with_capacity(count);
    for n in 0..count + WARM_UP {
        let key = format!("{run}-{n}");
        let label = Label { lot: "BENCH", part: "BENCH", station: "BENCH-1", key: &key };
        let started = Instant::now();
        client.create_inspection(label).await?;
        if n >= WARM_UP {
            measured.push(started.elapsed());
        }
    }
    let measured = Durations::new(measured);
    for (per_cent, goal_ms) in [(50, 1.0), (99, 50.0)] {
        let figure = Figure::for_percentile("create command", &measured, per_cent, goal_ms);
        let (this, bare) = (measured.percentile_ms(per_cent), peer.percentile_ms(per_cent));
        figures.add(figure.measured_by(format!(
            "{count} POST /v1/inspections one after the other on one connection, after {WARM_UP} to \
             warm up; {:.1} times a bare one-row commit on the same database just before \
             ({bare:.1} ms; a command commits once: events, key and answer)",
            this / bare,
        )));
    }
    Ok(())
}

/// Offers boards at a fixed rate, whether or not the platform keeps up, and times upload to report.
pub(super) async fn measure_boards(
    url: &str,
    per_second: f64,
    seconds: u64,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let client = Arc::new(HttpClient::sign_in(url, PATIENCE).await?);
    let run = format!("BENCH-{}", &Uuid::new_v4().simple().to_string()[..8]);
    let lot = Lot::generated(PICTURES, 7);
    client.register_part(&run, &lot.parts[0].1.load().await?.0, &run).await?;
    let mut pictures = Vec::new();
    for board in &lot.boards {
        pictures.push(Arc::new(board.load().await?.0));
    }
    let count = (per_second * seconds as f64).round() as usize;
    let mut tick = tokio::time::interval(Duration::from_secs_f64(1.0 / per_second));
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut under_way = JoinSet::new();
    for n in 0..count {
        tick.tick().await;
        let (client, part) = (Arc::clone(&client), run.clone());
        let picture = Arc::clone(&pictures[n % PICTURES]);
        under_way.spawn(async move {
            let key = format!("{part}-{n}");
            let label = Label { lot: "BENCH", part: &part, station: "BENCH-1", key: &key };
            let submitted = client.submit(label, &picture).await?;
            client.report(submitted.inspection_id, JUDGED_WITHIN).await?;
            anyhow::Ok(submitted.uploaded_at.elapsed())
        });
    }
    let mut measured = Vec::with_capacity(count);
    while let Some(outcome) = under_way.join_next().await {
        measured.push(outcome??);
    }
    if measured.is_empty() {
        bail!("no board was offered");
    }
    let measured = Durations::new(measured);
    let method = format!(
        "{} generated boards of 640 x 640 pixels offered at {per_second}/s (open loop), embedded \
         engine; from the answer to the upload until the report is there, by a GET of \
         the inspection that prefers to wait",
        measured.len(),
    );
    for (per_cent, goal_ms) in [(50, 25.0), (99, 60.0)] {
        let figure = Figure::for_percentile("upload to report", &measured, per_cent, goal_ms);
        figures.add(figure.measured_by(method.clone()));
    }
    Ok(())
}
