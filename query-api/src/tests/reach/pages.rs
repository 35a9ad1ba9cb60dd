//! The pages of who is limited to several stations or parts: all that is within reach, in the list's order, once.

use std::time::Duration;

use futures::future::join_all;
use serde_json::{Value, json};
use sqlx::Executor as _;

use super::{Line, Reader, reach_of};

const PAGE: &str = "query($filter: InspectionFilter, $first: Int, $after: String, $last: Int,
    $before: String) { inspections(filter: $filter, first: $first, after: $after, last: $last,
    before: $before) { totalCount nodes { position } pageInfo { startCursor endCursor } } }";

/// 40 boards at four stations of three parts, two of them each second.
async fn insert_boards(line: &Line) {
    line.world
        .execute(
            "DELETE FROM read.inspections;
             INSERT INTO read.inspections
             SELECT gen_random_uuid(), 'L' || n / 20, 'P' || n % 3, 'S' || n % 4, 'open', NULL, NULL,
                '{}', NULL, 0, 0, 0, to_timestamp(1.7e9 + n / 2), NULL, NULL, NULL, 1, n, n
             FROM generate_series(1, 40) AS n",
        )
        .await;
    let recipe = super::recipe_json(1);
    line.world.execute(&format!("UPDATE read.inspections SET recipe = '{recipe}'")).await;
}

/// The positions on each page, one after the other.
async fn walk(line: &Line, reader: &Reader, filter: &Value, backward: bool) -> Vec<i64> {
    let mut found = Vec::new();
    let mut beside = Value::Null;
    loop {
        let variables = match backward {
            false => json!({"filter": filter, "first": 3, "after": beside}),
            true => json!({"filter": filter, "last": 3, "before": beside}),
        };
        let page = line.query(reader, PAGE, variables).await["inspections"].clone();
        let nodes = page["nodes"].as_array().unwrap();
        if nodes.is_empty() {
            return found;
        }
        let positions = nodes.iter().map(|node| node["position"].as_str().unwrap());
        let positions: Vec<i64> = positions.map(|text| text.parse().unwrap()).collect();
        beside = page["pageInfo"][if backward { "startCursor" } else { "endCursor" }].clone();
        match backward {
            false => found.extend(positions),
            true => found.extend(positions.into_iter().rev()),
        }
        assert!(found.len() <= 40, "{}: {filter}: {found:?}", reader.name);
    }
}

#[tokio::test]
async fn pages_of_several_stations_and_parts_are_one_list() {
    let mut line = Line::start().await;
    insert_boards(&line).await;
    let readers = [
        ("s0", reach_of(&["S0"], &[])),
        ("s0-s2", reach_of(&["S0", "S2"], &[])),
        ("s1-s3-s9", reach_of(&["S1", "S3", "S9"], &[])),
        ("p0-p1", reach_of(&[], &["P0", "P1"])),
        ("s0-s1-p0-p2", reach_of(&["S0", "S1"], &["P0", "P2"])),
        ("nowhere", reach_of(&["S7", "S8"], &["P7"])),
    ];
    let at = |second: i64| chrono::DateTime::from_timestamp(1_700_000_000 + second, 0).unwrap();
    let (from, to) = (at(4), at(15));
    let filters = [
        (json!({}), Box::new(|_| true) as Box<dyn Fn(i64) -> bool>),
        (json!({"station": "S0"}), Box::new(|n| n % 4 == 0)),
        (json!({"lot": "L1"}), Box::new(|n| n / 20 == 1)),
        (json!({"lot": "L1", "part": "P1"}), Box::new(|n| n / 20 == 1 && n % 3 == 1)),
        (json!({"from": from, "to": to}), Box::new(|n| (4..15).contains(&(n / 2)))),
        (json!({"part": "P0", "state": "OPEN", "to": to}), Box::new(|n| n % 3 == 0 && n / 2 < 15)),
    ];
    for (name, reach) in readers {
        line.admit(name, reach.clone());
        let reader = Reader { name, reach };
        for (filter, passes) in &filters {
            let is_seen = |n: &i64| {
                let (part, station) = (format!("P{}", n % 3), format!("S{}", n % 4));
                passes(*n) && reader.sees_board((*n, &part, &station))
            };
            let wanted: Vec<i64> = (1..=40).rev().filter(is_seen).collect();
            assert_eq!(walk(&line, &reader, filter, false).await, wanted, "{name} {filter}");
            let backward: Vec<i64> = wanted.iter().copied().rev().collect();
            assert_eq!(walk(&line, &reader, filter, true).await, backward, "{name} {filter}");
            let counted = line.query(&reader, PAGE, json!({"filter": filter, "first": 1})).await;
            assert_eq!(counted["inspections"]["totalCount"], wanted.len(), "{name} {filter}");
        }
    }
}

#[tokio::test]
async fn a_cursor_of_another_reach_is_no_cursor() {
    let line = Line::start().await;
    let readers = Reader::all();
    let mut cursors = Vec::new();
    for reader in &readers {
        let page = line.query(reader, PAGE, json!({"first": 1})).await;
        cursors.push(page["inspections"]["pageInfo"]["endCursor"].clone());
    }
    for (reader, own) in readers.iter().zip(&cursors) {
        for cursor in cursors.iter().filter(|cursor| !cursor.is_null()) {
            let answer = line.ask(reader, PAGE, json!({"first": 1, "after": cursor})).await;
            let code = &answer["errors"][0]["extensions"]["code"];
            let wanted = if cursor == own { Value::Null } else { "INVALID_CURSOR".into() };
            assert_eq!(code, &wanted, "{}", reader.name);
        }
    }
}

#[tokio::test]
async fn a_page_that_many_ask_for_at_once_is_read_once_for_each_reach() {
    let line = Line::start().await;
    // Who is limited to stations and parts reads what may take long, which counts against each.
    let is_quick = |reader: &Reader| ["station", "part", "everywhere"].contains(&reader.name);
    let readers: Vec<_> = Reader::all().into_iter().filter(is_quick).collect();
    let ask = async |reader: &Reader, path: &str| {
        let answer = line.get(reader, path, "application/json").await;
        assert_eq!(answer.status, 200);
        let items = answer.json()["items"].as_array().unwrap().clone();
        items.iter().map(|item| item["station"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let path = "/v1/inspections?limit=20";
    let alone: Vec<_> = join_all(readers.iter().map(|reader| ask(reader, path))).await;
    let at_once = (0..20).flat_map(|_| readers.iter()).map(|reader| ask(reader, path));
    // Beside the pool: its statements wait for this.
    let mut beside = line.world.pool.open_connection().await.unwrap();
    // Within a transaction, who waits is looked at only once.
    let mut watcher = line.world.pool.open_connection().await.unwrap();
    let lock = "BEGIN; LOCK TABLE read.inspections IN ACCESS EXCLUSIVE MODE";
    beside.execute(lock).await.unwrap();
    let sql = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let mut count_waiting = async || {
        let waiting: i64 = sqlx::query_scalar(sql).fetch_one(&mut watcher).await.unwrap();
        usize::try_from(waiting).unwrap()
    };
    let release = async {
        while count_waiting().await < readers.len() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        let waiting = count_waiting().await;
        beside.execute("COMMIT").await.unwrap();
        waiting
    };
    let (at_once, waiting) = tokio::join!(join_all(at_once), release);
    assert_eq!(waiting, readers.len(), "reads at work for 60 who ask");
    for (asked, stations) in at_once.into_iter().enumerate() {
        let who = asked % readers.len();
        assert_eq!(stations, alone[who], "{}", readers[who].name);
        assert_eq!(stations.len(), readers[who].boards().len(), "{}", readers[who].name);
    }
}
