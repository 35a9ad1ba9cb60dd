//! What is read from sums by the hour and day says what the rows say.

use std::num::NonZeroU32;

use serde_json::{Value, json};

use super::world::World;
use crate::QueryApiConfig;

#[tokio::test]
async fn a_stretch_of_findings_is_counted_once_wherever_it_begins_and_ends() {
    // It asks more than anybody may within a second.
    let read_rate_burst = NonZeroU32::MAX;
    let world = World::with(QueryApiConfig { read_rate_burst, ..Default::default() }).await;
    // Every 17 minutes for four days, at two stations.
    world
        .execute(
            "INSERT INTO read.defects
             SELECT gen_random_uuid(), gen_random_uuid(), 1, (ARRAY['open', 'short', 'spur'])[1 + n % 3], 0.9, 'defect',
                    1, 2, 3, 4, NULL, 'L', 'P', 'S' || n % 2, 1,
                    timestamptz '2026-03-01 00:00Z' + n * interval '17 minutes', n
             FROM generate_series(0, 338) AS n",
        )
        .await;
    let query =
        "query($f: DefectFilter) { defectPareto(filter: $f) { total classes { class count } } }";
    let times = [
        None,
        Some("2026-03-01T00:00:00Z"),
        Some("2026-03-01T03:00:00Z"),
        Some("2026-03-01T03:17:11Z"),
        Some("2026-03-02T00:00:00Z"),
        Some("2026-03-02T00:34:00.5Z"),
        Some("2026-03-03T23:59:59Z"),
        Some("2026-03-05T12:00:00Z"),
    ];
    for (n, from) in times.iter().enumerate() {
        for to in times[n + 1..].iter().chain([&None]) {
            for station in [None, Some("S1")] {
                let by_sums = json!({"from": from, "to": to, "station": station});
                // Naming the lot, all of them are counted one by one.
                let by_rows = json!({"from": from, "to": to, "station": station, "lot": "L"});
                let by_sums = world.query(query, json!({"f": by_sums})).await;
                let by_rows = world.query(query, json!({"f": by_rows})).await;
                assert_eq!(by_sums, by_rows, "{from:?} {to:?} {station:?}");
            }
        }
    }
    let all = world.query(query, json!({})).await;
    assert_eq!(all["defectPareto"]["total"], 339);
}

#[tokio::test]
async fn yield_by_the_day_adds_up_whole_days() {
    let world = World::new().await;
    world
        .execute(
            "INSERT INTO read.yield_hourly
             SELECT timestamptz '2026-03-01 00:00Z' + n * interval '1 hour', 'L' || n % 5, 'P', 'S', 2, 1, 1, 0, n
             FROM generate_series(0, 99) AS n",
        )
        .await;
    let query = "query($from: DateTime, $to: DateTime, $by: YieldInterval!, $lot: String) {
        yieldSeries(from: $from, to: $to, by: $by, filter: {lot: $lot}) {
            denominator value buckets { hour judged passed defects } } }";
    let ask = async |from: &str, to: &str, by: &str, lot: Value| {
        let variables = json!({"from": from, "to": to, "by": by, "lot": lot});
        world.query(query, variables).await["yieldSeries"].clone()
    };
    let (from, to) = ("2026-03-01T00:00:00Z", "2026-03-05T00:00:00Z");
    let days = ask(from, to, "DAY", Value::Null).await;
    let buckets = days["buckets"].as_array().unwrap();
    assert_eq!(
        (buckets.len(), &days["denominator"], &days["value"]),
        (4, &json!(192), &json!(0.5))
    );
    assert_eq!(buckets[1]["hour"], "2026-03-02T00:00:00+00:00");
    assert_eq!((&buckets[1]["judged"], &buckets[1]["defects"]), (&json!(48), &json!(852)));
    let hours = ask(from, to, "HOUR", Value::Null).await;
    assert_eq!(hours["denominator"], days["denominator"]);
    // A day that began before the stretch is not in it, and one that began in it is whole; of a lot, too.
    let cut = ask("2026-03-01T05:00:00Z", "2026-03-05T01:00:00Z", "DAY", Value::Null).await;
    assert_eq!((cut["buckets"].as_array().unwrap().len(), &cut["denominator"]), (4, &json!(152)));
    let of_lot = ask("2026-03-01T05:00:00Z", "2026-03-05T01:00:00Z", "DAY", json!("L1")).await;
    assert_eq!(of_lot["denominator"], 30);

    let years = json!({"from": "2024-03-01T00:00:00Z", "to": "2027-03-01T00:00:00Z", "by": "DAY"});
    assert_eq!(world.query(query, years).await["yieldSeries"]["denominator"], 200);
    for (from, by) in [("2024-02-01T00:00:00Z", "DAY"), ("2026-11-01T00:00:00Z", "HOUR")] {
        let too_long = json!({"from": from, "to": "2027-03-01T00:00:00Z", "by": by});
        assert_eq!(world.graphql_code(query, too_long).await, "BAD_USER_INPUT");
    }
}
