//! `kill -9` at random moments under load: nothing accepted is lost or doubled, every board is judged
//! once, as `chipq inspect` judges its picture, and the read models equal a rebuild.
//!
//! `CHIPQ_KILLS=10` kills ten times instead of three. Every third victim is PostgreSQL itself.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

#[path = "support/boards.rs"]
#[allow(dead_code, reason = "shared with tests that use the rest")]
mod boards;
#[path = "kill_nine/ledger.rs"]
mod ledger;
#[path = "kill_nine/line.rs"]
mod line;
#[path = "support/platform.rs"]
#[allow(dead_code, reason = "shared with tests that use the rest")]
mod platform;
#[path = "support/station.rs"]
#[allow(dead_code, reason = "shared with tests that use the rest")]
mod station;
#[path = "kill_nine/verdict.rs"]
mod verdict;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ::platform::test_support::free_port;
use rand::Rng as _;
use serde_json::json;

use ledger::Ledger;
use line::Line;
use platform::{Platform, chipq, finished, folder};
use station::Station;
use verdict::Verdict;

/// Lines that push boards at the same time.
const LINES: usize = 3;
/// How long the platform may take to come back and accept something again, on a machine that may be busy.
const COMES_BACK_WITHIN: Duration = Duration::from_secs(180);

fn kills() -> usize {
    std::env::var("CHIPQ_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(3)
}

/// Waits until so many more answers were accepted.
async fn progress(ledger: &Ledger, answers: usize) {
    let (target, deadline) = (ledger.accepted() + answers, Instant::now() + COMES_BACK_WITHIN);
    while ledger.accepted() < target {
        assert!(Instant::now() < deadline, "nothing is accepted any more");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Kills the platform, or its PostgreSQL, and sees to it that the platform runs again.
fn kill(platform: Platform, data: &Path, round: usize) -> Platform {
    if round % 3 == 2
        && let Some(postmaster) = platform::postmaster(data)
    {
        eprintln!("round {round}: kill -9 of PostgreSQL");
        platform::send("-KILL", postmaster);
        return platform;
    }
    eprintln!("round {round}: kill -9 of chipq");
    let port = platform.port();
    platform.kill();
    Platform::start_on(data, port)
}

/// Without this, any results of flawed boards could be those of any other.
fn results_of_two_boards_that_are_exchanged_are_noticed(verdicts: &[Verdict]) {
    let flawed: Vec<_> = verdicts.iter().filter(|verdict| !verdict.is_of_a_clean_board()).collect();
    assert!(flawed.len() >= 2 && flawed.len() < verdicts.len(), "{verdicts:#?}");
    for (at, one) in flawed.iter().enumerate() {
        assert!(one.agrees_with(one));
        assert!(!flawed[..at].iter().any(|other| one.agrees_with(other)), "{one:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_accepted_is_lost_or_doubled_by_kill_nine() {
    let folder = folder();
    let data = folder.path().join("data");
    let pairs = Arc::new(boards::boards(&folder.path().join("boards"), 6, 50));
    let verdicts: Vec<Verdict> =
        pairs.iter().map(|pair| Verdict::inspect(&pairs[0].golden, &pair.test)).collect();
    results_of_two_boards_that_are_exchanged_are_noticed(&verdicts);
    let mut platform = Platform::start_on(&data, free_port());
    let ledger = Arc::new(Ledger::default());
    line::register_part(&platform.url, &pairs[0]).await;
    let lines: Vec<_> = (0..LINES)
        .map(|number| {
            let line = Line::new(number, &platform.url, Arc::clone(&pairs), Arc::clone(&ledger));
            tokio::spawn(line.run())
        })
        .collect();
    for round in 0..kills() {
        let answers = rand::rng().random_range(3..40);
        progress(&ledger, answers).await;
        let jitter = Duration::from_micros(rand::rng().random_range(0..30_000));
        tokio::time::sleep(jitter).await;
        platform = kill(platform, &data, round);
    }
    progress(&ledger, 2 * LINES).await;
    ledger.finish();
    for line in lines {
        line.await.unwrap();
    }
    eprintln!("{} boards, {} answers accepted", ledger.boards().len(), ledger.accepted());
    ledger.check_verdicts(&platform.url, &verdicts).await;
    ledger.check_log(&data).await;
    platform.stop();
    let (code, said, errors) = finished(chipq(&["verify", "--data"]).arg(&data));
    assert_eq!(code, 0, "{said}{errors}");
}

/// Stations that open inspections at the same time, so that many of them share a transaction.
const STATIONS: usize = 48;
/// Inspections that each opens.
const INSPECTIONS: usize = 12;

/// Opens inspections, each with one key until it is answered, and says which they are.
async fn open_inspections(
    station: Station,
    number: usize,
    opened: Arc<AtomicUsize>,
) -> Vec<String> {
    let body = json!({ "lot": "L-1", "part": "PCB-1", "station": format!("AOI-{number}") });
    let mut ids = Vec::new();
    for n in 0..INSPECTIONS {
        let key = format!("{number}-{n}");
        let id = loop {
            match station.post("/v1/inspections", &key, Some(&body)).await {
                Ok((status, created)) if status == 201 => break created["inspection_id"].clone(),
                Ok((status, said)) => assert!(status.is_server_error(), "{status} {said}"),
                Err(_) => {}
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        opened.fetch_add(1, Ordering::SeqCst);
        ids.push(id.as_str().unwrap().to_owned());
    }
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn of_commands_that_share_a_transaction_each_is_executed_once_by_kill_nine() {
    let folder = folder();
    let data = folder.path().join("data");
    let rate = [("CHIPQ_RATE_PER_SECOND", "100000"), ("CHIPQ_RATE_BURST", "100000")];
    let port = free_port();
    let mut platform = Platform::start_with(&data, port, &rate);
    let station = Station::sign_in(&platform.url).await;
    let opened = Arc::new(AtomicUsize::new(0));
    let stations: Vec<_> = (0..STATIONS)
        .map(|number| tokio::spawn(open_inspections(station.clone(), number, Arc::clone(&opened))))
        .collect();
    for round in 1..=kills() {
        let (target, deadline) =
            (round * STATIONS * INSPECTIONS / (kills() + 1), Instant::now() + COMES_BACK_WITHIN);
        while opened.load(Ordering::SeqCst) < target {
            assert!(Instant::now() < deadline, "nothing is accepted any more");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        platform.kill();
        platform = Platform::start_with(&data, port, &rate);
    }
    let mut ids = Vec::new();
    for station in stations {
        ids.extend(station.await.unwrap());
    }
    ids.sort();
    let answered = ids.len();
    ids.dedup();
    assert_eq!((answered, ids.len()), (STATIONS * INSPECTIONS, STATIONS * INSPECTIONS));
    let list = "query { inspections(first: 1) { totalCount } }";
    let mut counted = station.graphql(list, json!({})).await;
    let deadline = Instant::now() + COMES_BACK_WITHIN;
    while counted["inspections"]["totalCount"] != answered {
        assert!(Instant::now() < deadline, "{counted}");
        tokio::time::sleep(Duration::from_millis(50)).await;
        counted = station.graphql(list, json!({})).await;
    }
    platform.stop();
    let (code, said, errors) = finished(chipq(&["verify", "--data"]).arg(&data));
    assert_eq!(code, 0, "{said}{errors}");
}
