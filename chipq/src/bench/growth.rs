//! What work costs when years of it are there already: the platform with an empty database and with a large one, in
//! turns within one run.

mod fill;

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use chrono::{TimeDelta, Utc};
use reqwest::Client;
use serde_json::{Value, json};

use super::child::PlatformProcess;
use super::figures::{Figure, Figures};
use super::print;
use super::wrk::{self, AskedService, WrkRequest, WrkRun};
use crate::cli::BenchGrowthArgs;
use crate::http_client::{HttpClient, Patience};
use crate::machine::{Machine, resident_mib};
use crate::statistics::{Durations, Spread};
use crate::temporary::TemporaryFolder;

const PATIENCE: Patience = Patience(Duration::from_secs(20));
/// Connections that commands and pages are asked on.
const CONNECTIONS: u32 = 32;
/// Seconds that each is asked before anything counts.
const WARM_UP_S: u64 = 2;
/// How much of the empty platform's rate is asked of the grown one.
const RATE_GOAL: f64 = 0.8;
/// How long a start may take on what has grown, in seconds.
const START_GOAL_S: f64 = 2.0;
/// How long a page or a metric may take on what has grown, in milliseconds.
const QUERY_GOAL_MS: f64 = 100.0;
/// By how much its memory may grow.
const FLAT: f64 = 1.2;
/// How often each query is asked.
const ASKED: usize = 20;
/// The most days that yield is read of at a time.
const YIELD_DAYS: i64 = 90;

/// Pages and metrics of the query API, each with its name.
const QUERIES: [(&str, &str); 7] = [
    ("inspections", "{ inspections(first: 20) { nodes { id lot defects { number class } } } }"),
    (
        "inspections of a station",
        "{ inspections(first: 20, filter: { station: \"AOI-0\", judgement: FAIL }) { nodes { id } } }",
    ),
    ("inspections of a lot", "{ inspections(first: 20, filter: { lot: \"LOT-1\" }) { totalCount nodes { id } } }"),
    ("defects of a class", "{ defects(first: 20, filter: { class: OPEN }) { nodes { number class } } }"),
    ("reports", "{ reports(first: 20, filter: { judgement: FAIL }) { totalCount nodes { id } } }"),
    ("defect pareto of a lot", "{ defectPareto(filter: { lot: \"LOT-1\" }) { total } }"),
    (
        "yield of a station over 90 days",
        "query ($from: DateTime, $to: DateTime) {
             yieldSeries(filter: { station: \"AOI-0\" }, from: $from, to: $to) { value buckets { judged } }
         }",
    ),
];

/// Measures on two private platforms in temporary folders.
pub(super) async fn run(args: BenchGrowthArgs) -> anyhow::Result<ExitCode> {
    wrk::check_wrk()?;
    let (empty, grown) =
        (TemporaryFolder::new("bench-empty")?, TemporaryFolder::new("bench-grown")?);
    let mut figures = Figures::new(Machine::this());
    // Whoever works here has a place in the log from now on, and need not read what is filled in.
    PlatformProcess::start(grown.path()).await?.stop().await?;
    let filled = fill::fill(grown.path(), args.events).await?;
    let (empty, grown) = (start_timed(empty.path()).await?, start_timed(grown.path()).await?);
    let how = format!("over {} events of {} inspections", filled.events, filled.inspections);
    let figure = Figure::at_most("up ready, grown", grown.1.as_secs_f64(), "s", START_GOAL_S);
    figures.add(
        figure.measured_by(format!(
            "{how}; {:.1} s when empty, initdb included",
            empty.1.as_secs_f64()
        )),
    );
    let (empty, grown) = (empty.0, grown.0);
    let outcome = measure(&args, (&empty, &grown), &how, &mut figures).await;
    empty.stop().await?;
    grown.stop().await?;
    outcome?;
    print(args.json, &figures)?;
    Ok(ExitCode::SUCCESS)
}

async fn start_timed(data: &Path) -> anyhow::Result<(PlatformProcess, Duration)> {
    let begun = Instant::now();
    let platform = PlatformProcess::start(data).await?;
    Ok((platform, begun.elapsed()))
}

async fn measure(
    args: &BenchGrowthArgs,
    (empty, grown): (&PlatformProcess, &PlatformProcess),
    how: &str,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let http = Client::builder().no_proxy().build()?;
    let memory_before = resident_mib(grown.pid()).context("the platform has ended")?;
    for platform in [empty, grown] {
        for request in WrkRequest::ALL {
            ask(args, (platform, &http), request, WARM_UP_S).await?;
        }
    }
    for request in WrkRequest::ALL {
        let mut rounds = Vec::new();
        for round in 1..=args.rounds {
            errln!("{}, round {round} of {} ...", request.method(), args.rounds);
            let before = ask(args, (empty, &http), request, args.seconds).await?;
            let after = ask(args, (grown, &http), request, args.seconds).await?;
            rounds.push((before, after));
        }
        figures.add(rate_figure(request, &rounds, how));
    }
    for (name, query) in QUERIES {
        figures.add(query_figure((name, query), (empty, grown), how).await?);
    }
    let memory = resident_mib(grown.pid()).context("the platform has ended")?;
    let figure = Figure::at_most("memory after the load", memory / memory_before, "times", FLAT);
    figures.add(figure.measured_by(format!(
        "VmRSS of the grown platform's chipq process, {memory:.0} MiB against {memory_before:.0} before; {how}"
    )));
    Ok(())
}

/// The read models have caught up before anybody else is asked.
async fn ask(
    args: &BenchGrowthArgs,
    (platform, http): (&PlatformProcess, &Client),
    request: WrkRequest,
    seconds: u64,
) -> anyhow::Result<WrkRun> {
    // A token lasts for minutes only.
    let asked = AskedService::sign_in(platform.url(), http).await?;
    let run = asked.load(&args.peers, request, CONNECTIONS, seconds).await?;
    if request == WrkRequest::Create {
        asked.wait_until_read(http).await?;
    }
    Ok(run)
}

fn rate_figure(request: WrkRequest, rounds: &[(WrkRun, WrkRun)], how: &str) -> Figure {
    let spread =
        |value: &dyn Fn(&(WrkRun, WrkRun)) -> f64| Spread::from_values(rounds.iter().map(value));
    let ratio = spread(&|(before, after)| after.per_second() / before.per_second());
    let name = format!("{} when grown, rate against empty", request.method());
    Figure::at_least(&name, ratio.median, "times", RATE_GOAL).measured_by(format!(
        "{} times: {} requests a second against {}, p99 {} ms against {}; {CONNECTIONS} connections, {} rounds in \
         turns, {how}",
        ratio.show(2),
        spread(&|(_, after)| after.per_second()).show(0),
        spread(&|(before, _)| before.per_second()).show(0),
        spread(&|(_, after)| after.p99_ms()).show(0),
        spread(&|(before, _)| before.p99_ms()).show(0),
        rounds.len(),
    ))
}

async fn query_figure(
    (name, query): (&str, &str),
    (empty, grown): (&PlatformProcess, &PlatformProcess),
    how: &str,
) -> anyhow::Result<Figure> {
    let clients = (
        HttpClient::sign_in(empty.url(), PATIENCE).await?,
        HttpClient::sign_in(grown.url(), PATIENCE).await?,
    );
    let (mut before, mut after) = (Vec::new(), Vec::new());
    for _ in 0..ASKED {
        let (took, _) = time_query(&clients.0, query).await.context(name.to_owned())?;
        before.push(took);
        let (took, answer) = time_query(&clients.1, query).await.context(name.to_owned())?;
        after.push(took);
        ensure!(has_rows(&answer), "{name}: nothing of what was filled in is found: {answer}");
    }
    let (before, after) = (Durations::new(before), Durations::new(after));
    let figure =
        Figure::at_most(&format!("{name}, p50"), after.percentile_ms(50), "ms", QUERY_GOAL_MS);
    Ok(figure.measured_by(format!(
        "{ASKED} GraphQL queries, one after the other, p99 {:.1} ms; p50 {:.1} ms when empty; {how}",
        after.percentile_ms(99),
        before.percentile_ms(50),
    )))
}

async fn time_query(client: &HttpClient, query: &str) -> anyhow::Result<(Duration, Value)> {
    let now = Utc::now();
    let variables = if query.contains('$') {
        json!({ "from": now - TimeDelta::days(YIELD_DAYS), "to": now })
    } else {
        json!({})
    };
    let begun = Instant::now();
    let answer = client.graphql(query, variables).await?;
    Ok((begun.elapsed(), answer))
}

/// Whether there was anything to read: what finds nothing is soon done.
fn has_rows(answer: &Value) -> bool {
    let lists = ["nodes", "buckets"];
    let is_found = |field: &Value| {
        let is_filled = |list: &&str| field[*list].as_array().is_some_and(|rows| !rows.is_empty());
        lists.iter().any(is_filled) || field["total"].as_u64() > Some(0)
    };
    answer.as_object().is_some_and(|fields| fields.values().all(is_found))
}
