//! What rows add up to: by part and station, by the hour and by the day, on whatever database the tests run.

use chrono::TimeDelta;
use projectors::{RebuildOptions, find, rebuild};
use std::sync::Arc;

use crate::world::World;

/// How many sums are not those of their rows, each with how it is reckoned from these.
pub(crate) const WRONG: [(&str, &str); 4] = [
    (
        "station_yield_hourly",
        "SELECT hour, part, station, sum(judged)::bigint, sum(passed)::bigint, sum(review)::bigint,
                sum(failed)::bigint, sum(defects)::bigint
         FROM read.yield_hourly GROUP BY 1, 2, 3",
    ),
    (
        "station_yield_daily",
        "SELECT date_trunc('day', hour, 'UTC'), part, station, sum(judged)::bigint, sum(passed)::bigint,
                sum(review)::bigint, sum(failed)::bigint, sum(defects)::bigint
         FROM read.yield_hourly GROUP BY 1, 2, 3",
    ),
    (
        "station_defects_hourly",
        "SELECT date_trunc('hour', found_at, 'UTC'), part, station, class, grade, count(*)
         FROM read.defects GROUP BY 1, 2, 3, 4, 5",
    ),
    (
        "station_defects_daily",
        "SELECT date_trunc('day', found_at, 'UTC'), part, station, class, grade, count(*)
         FROM read.defects GROUP BY 1, 2, 3, 4, 5",
    ),
];

/// A statement that counts what differs between sums and their rows, in one snapshot.
pub(crate) fn count_wrong((sums, reckoned): (&str, &str)) -> String {
    format!(
        "WITH sums AS (SELECT * FROM read.{sums}), reckoned AS ({reckoned})
         SELECT count(*) FROM ((TABLE sums EXCEPT ALL TABLE reckoned)
             UNION ALL (TABLE reckoned EXCEPT ALL TABLE sums)) AS differing"
    )
}

pub(crate) async fn assert_sums_are_right(world: &World) {
    for of in WRONG {
        assert_eq!(world.count(&count_wrong(of)).await, 0, "{}", of.0);
    }
}

/// Boards over three days, out of order, and some of them twice in an hour.
pub(crate) async fn inspect_for_days(world: &World) {
    let golden = world.register_part("board-a").await;
    for hours in [0, 1, 1, 30, 2, 50, 49, 51, 52] {
        world.go_to(TimeDelta::hours(hours) + TimeDelta::minutes(hours));
        world.inspect(&golden, &[0.95, 0.9, 0.4]).await;
        world.inspect(&golden, &[]).await;
    }
}

#[tokio::test]
async fn sums_are_those_of_their_rows_however_they_came() {
    let world = World::new().await;
    inspect_for_days(&world).await;
    world.project_in_pages(7).await;
    assert_sums_are_right(&world).await;
    let hours = world.rows("station_yield_hourly").await;
    let days = world.rows("station_yield_daily").await;
    let judged = |rows: &[serde_json::Value]| {
        rows.iter().map(|row| row["judged"].as_i64().unwrap()).sum::<i64>()
    };
    assert_eq!((judged(&hours), judged(&days)), (18, 18));
    assert!(days.len() == 3 && hours.len() > days.len(), "{days:?}");
    let found = world.count("SELECT sum(findings)::bigint FROM read.station_defects_daily").await;
    assert_eq!(found, world.count("SELECT count(*) FROM read.defects").await);
    assert!(found > 0);
    world.assert_equals_a_rebuild().await;
}

#[tokio::test]
async fn sums_are_right_behind_a_rebuild_and_go_on() {
    let world = World::new().await;
    inspect_for_days(&world).await;
    world.project().await;
    for name in ["yield", "defects"] {
        let projection = find(name).unwrap();
        let options = RebuildOptions { expect_identical: true };
        let log = Arc::clone(&world.log);
        rebuild(&world.pool, log, projection, options, &mut |_| {}).await.unwrap();
    }
    assert_sums_are_right(&world).await;
    world.go_to(TimeDelta::hours(1));
    let golden = world.register_part("board-b").await;
    world.inspect(&golden, &[0.9]).await;
    world.project().await;
    assert_sums_are_right(&world).await;
    assert_eq!(world.count("SELECT sum(judged)::bigint FROM read.station_yield_daily").await, 19);
}
