//! Reads that hold all of their connections hold up no command and no lease: `chipq up` has a pool for each.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

#[path = "support/platform.rs"]
#[allow(dead_code, reason = "shared with tests that use the rest")]
mod platform;
#[path = "support/station.rs"]
#[allow(dead_code, reason = "shared with tests that use the rest")]
mod station;

use futures::future::join_all;
use serde_json::json;
use sqlx::{Connection as _, Executor as _, PgConnection};

use platform::{Platform, folder};
use station::Station;

/// Twice as many as a pool has connections.
const READS: usize = 32;

#[tokio::test(flavor = "multi_thread")]
async fn commands_are_answered_while_every_connection_for_reads_waits() {
    let folder = folder();
    let platform = Platform::start(&folder.path().join("data"));
    let url = std::fs::read_to_string(folder.path().join("data/private-postgres-url")).unwrap();
    let station = Station::sign_in(&platform.url).await;

    let mut connection = PgConnection::connect(&url).await.unwrap();
    let mut lock = connection.begin().await.unwrap();
    lock.execute("LOCK TABLE inspection_overview_g1.inspections").await.unwrap();
    let reads: Vec<_> = (0..READS)
        .map(|_| {
            let station = station.clone();
            tokio::spawn(async move { station.get("/v1/inspections").await })
        })
        .collect();
    let waiting = "SELECT count(*) FROM pg_stat_activity
                   WHERE wait_event_type = 'Lock' AND query LIKE '%read.inspections%'";
    let mut observer = PgConnection::connect(&url).await.unwrap();
    // A pool is used up when its connections wait and nothing more comes.
    let mut seen = (0_i64, 0);
    while seen.1 < 5 {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        let now = sqlx::query_scalar(waiting).fetch_one(&mut observer).await.unwrap();
        seen = if now == seen.0 && now > 0 { (now, seen.1 + 1) } else { (now, 0) };
    }
    for n in 0..4 {
        let body = json!({ "part": format!("PCB-{n}") });
        let (status, said) =
            station.post("/v1/parts", &format!("k{n}"), Some(&body)).await.unwrap();
        assert_eq!(status, 201, "{said}");
    }
    lock.rollback().await.unwrap();
    drop(connection);
    let answers = join_all(reads).await;
    assert!(answers.into_iter().any(|read| matches!(read, Ok(Ok((status, _))) if status == 200)));
    platform.stop();
}
