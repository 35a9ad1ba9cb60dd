//! What those who watch cost: the processor time of the platform, with and without subscribers, while the same happens.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use futures::StreamExt as _;
use reqwest::Client;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use uuid::Uuid;

use crate::bench::child::PlatformProcess;
use crate::bench::figures::{Figure, Figures};
use crate::bench::wrk::AskedService;
use crate::http_client::{HttpClient, Label, Patience};
use crate::machine::processor_time;

const PATIENCE: Patience = Patience(Duration::from_secs(20));
/// Who watches, and what happens meanwhile.
const SUBSCRIBERS: usize = 50;
const EVENTS_PER_SECOND: u32 = 100;
/// The share of a core that they may cost.
const CORE_GOAL: f64 = 0.2;
/// How often both are measured, in turns.
const ROUNDS: u64 = 3;
/// How long a subscriber waits for the rest of what happened.
const LAST_WITHIN: Duration = Duration::from_secs(10);
const SUBSCRIPTION: &str = "subscription {
    inspectionChanged { cursor change { eventType inspectionId inspection { lot state judgement } } }
}";

/// Measures on a platform that serves.
pub(super) async fn measure(
    child: &PlatformProcess,
    seconds: u64,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let http = Client::builder().no_proxy().build()?;
    let service = AskedService::sign_in(child.url(), &http).await?;
    let client = HttpClient::sign_in(child.url(), PATIENCE).await?;
    let (mut alone, mut watched, mut received) = (Duration::ZERO, Duration::ZERO, 0);
    for round in 1..=ROUNDS {
        errln!("subscribers, round {round} of {ROUNDS} ...");
        alone += cost_of_events(child, &client, seconds).await?;
        let mut subscribers = JoinSet::new();
        for _ in 0..SUBSCRIBERS {
            let feed = subscribe(&http, &service).await?;
            subscribers.spawn(count_items(feed, seconds * u64::from(EVENTS_PER_SECOND)));
        }
        watched += cost_of_events(child, &client, seconds).await?;
        while let Some(counted) = subscribers.join_next().await {
            received += counted??;
        }
    }
    let length = (ROUNDS * seconds) as f64;
    let expected = ROUNDS * seconds * u64::from(EVENTS_PER_SECOND) * SUBSCRIBERS as u64;
    ensure!(received == expected, "{received} of {expected} items were received");
    let [alone, watched] = [alone, watched].map(|time| time.as_secs_f64() / length);
    let name = format!("{SUBSCRIBERS} subscribers at {EVENTS_PER_SECOND} events/s");
    let figure = Figure::at_most(&name, watched - alone, "cores", CORE_GOAL);
    figures.add(figure.measured_by(format!(
        "processor time of the chipq process for each second: {watched:.2} with {SUBSCRIBERS} GraphQL subscriptions to all \
         inspections (text/event-stream) and {alone:.2} without, while {EVENTS_PER_SECOND} inspections a second are \
         created, {ROUNDS} rounds of {seconds} s each in turns; every subscriber received every event",
    )));
    Ok(())
}

/// The processor time of the platform while inspections are created at the rate.
async fn cost_of_events(
    child: &PlatformProcess,
    client: &HttpClient,
    seconds: u64,
) -> anyhow::Result<Duration> {
    let spent = || processor_time(child.pid()).context("the platform has ended");
    let (run, before) = (Uuid::new_v4().simple().to_string(), spent()?);
    let mut tick = tokio::time::interval(Duration::from_secs(1) / EVENTS_PER_SECOND);
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for n in 0..seconds * u64::from(EVENTS_PER_SECOND) {
        tick.tick().await;
        let key = format!("{run}-{n}");
        let label = Label { lot: "BENCH", part: "BENCH", station: "BENCH-1", key: &key };
        client.create_inspection(label).await?;
    }
    Ok(spent()?.saturating_sub(before))
}

async fn subscribe(http: &Client, service: &AskedService) -> anyhow::Result<reqwest::Response> {
    let asked = http
        .post(format!("{}/graphql", service.base))
        .bearer_auth(&service.token)
        .header("Accept", "text/event-stream")
        .json(&json!({ "query": SUBSCRIPTION }));
    let mut feed = asked.send().await?.error_for_status()?;
    // From here on it is told everything: the first item says where the feed begins.
    feed.chunk().await?.context("the feed ended at once")?;
    Ok(feed)
}

/// How many changes came, of so many.
async fn count_items(feed: reqwest::Response, expected: u64) -> anyhow::Result<u64> {
    let (mut received, mut rest) = (0, String::new());
    let mut pieces = feed.bytes_stream();
    let mut last = Instant::now();
    while received < expected && last.elapsed() < LAST_WITHIN {
        let Ok(piece) = tokio::time::timeout(LAST_WITHIN, pieces.next()).await else { break };
        let piece = piece.context("the feed ended")??;
        rest.push_str(&String::from_utf8_lossy(&piece));
        while let Some((line, after)) = rest.split_once('\n') {
            received += u64::from(line.starts_with("data:") && line.contains("\"eventType\""));
            rest = after.to_owned();
            last = Instant::now();
        }
    }
    Ok(received)
}
