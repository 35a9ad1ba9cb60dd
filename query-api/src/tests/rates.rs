//! What one principal may have: reads over time, what they cost, subscriptions, connections.

use std::num::NonZeroU32;
use std::time::Duration;

use chrono::Utc;
use futures::StreamExt as _;
use serde_json::{Value, json};
use sqlx::Executor as _;

use super::limits::statements;
use super::websocket::Client;
use super::world::World;
use crate::QueryApiConfig;

fn reads_at_once(burst: u32) -> QueryApiConfig {
    QueryApiConfig {
        read_rate_per_second: NonZeroU32::MIN,
        read_rate_burst: NonZeroU32::new(burst).unwrap(),
        ..QueryApiConfig::default()
    }
}

/// How many requests are left, as an answer's header says.
fn left(header: &str) -> u32 {
    header.strip_prefix("\"query\";r=").unwrap().split(';').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn every_answer_says_what_is_left_and_who_has_nothing_left_waits() {
    let world = World::with(reads_at_once(6)).await;
    let token = world.token();
    let nothing = uuid::Uuid::now_v7();
    let answers = [
        world.get("/v1/parts").await,
        world.get("/v1/parts?limit=0").await,
        world.get(&format!("/v1/inspections/{nothing}")).await,
        world.get_with("/v1/reports/x", &[("accept", "text/html")]).await,
        world.post_graphql(&token, &json!({"query": "{ __typename }"})).await,
        world.post_graphql(&token, &json!({"query": 5})).await,
    ];
    let statuses = answers.each_ref().map(|answer| answer.status.as_u16());
    assert_eq!(statuses, [200, 400, 404, 404, 200, 422]);
    for answer in &answers {
        assert_eq!(answer.header("ratelimit-policy"), "\"query\";q=6;w=6");
        assert!(left(answer.header("ratelimit")) < 6);
    }
    let refused = loop {
        let answer = world.get("/v1/parts").await;
        if answer.status == 429 {
            break answer;
        }
    };
    assert_eq!(refused.problem(), (429, "too-many-requests".into()));
    assert_eq!(refused.header("ratelimit"), "\"query\";r=0;t=1");
    assert_eq!(refused.header("retry-after"), "1");

    let other = platform_token(&world, "other");
    let answer = world.get_with("/v1/parts", &[("authorization", &other)]).await;
    assert_eq!((answer.status.as_u16(), left(answer.header("ratelimit"))), (200, 5));
    let unknown = world.get_with("/v1/parts", &[("authorization", "Bearer x")]).await;
    assert_eq!((unknown.status.as_u16(), unknown.header("ratelimit")), (401, ""));
}

fn platform_token(world: &World, subject: &str) -> String {
    format!("Bearer {}", world.token_for_subject(subject, Utc::now()))
}

#[tokio::test]
async fn a_costly_query_counts_as_several_requests() {
    let world = World::with(reads_at_once(14)).await;
    let pareto = json!({"query": "{ defectPareto { total } }"});
    let ask = async || world.post_graphql(&world.token(), &pareto).await;
    let first = ask().await;
    assert_eq!(first.json()["data"]["defectPareto"]["total"], 0);
    // Thirteen are gone, and some may have come back.
    assert!(left(first.header("ratelimit")) < 13);
    let (count, second) = statements(ask()).await;
    assert_eq!(second.json()["errors"][0]["extensions"]["code"], "TOO_MANY_REQUESTS");
    assert!(second.json()["errors"][0]["extensions"]["retryAfterSeconds"].as_u64() > Some(0));
    assert_eq!(count, 0);
}

#[tokio::test]
async fn a_page_for_which_many_rows_may_be_passed_over_counts_as_several_requests() {
    let world = World::with(reads_at_once(100)).await;
    let graphql = async |filter: &str| {
        let query = format!("{{ inspections(filter: {{{filter}}}) {{ nodes {{ id }} }} }}");
        let answer = world.post_graphql(&world.token(), &json!({"query": query})).await;
        assert!(answer.json().get("errors").is_none(), "{filter}");
        left(answer.header("ratelimit"))
    };
    let rest = async |filter: &str| {
        let answer = world.get(&format!("/v1/reports?{filter}")).await;
        assert_eq!(answer.status, 200);
        left(answer.header("ratelimit"))
    };
    // Whatever has come back meanwhile, it is not fifteen.
    assert!(graphql("part: \"P\"").await > 85);
    assert!(graphql("part: \"P\", judgement: FAIL, lot: \"L\"").await > 85);
    assert!(graphql("part: \"P\", judgement: FAIL").await < 85);
    let before = rest("part=P").await;
    assert!(rest("part=P&judgement=fail").await + 10 < before);
}

/// `field` under so many aliases.
fn repeat(field: &str, times: usize) -> String {
    format!("{{ {} }}", (0..times).map(|n| format!("a{n}: {field} ")).collect::<String>())
}

#[tokio::test]
async fn aliases_cost_what_they_read_and_what_they_return() {
    let world = World::new().await;
    let series = "yieldSeries(from: \"2026-01-01T00:00:00Z\", to: \"2026-04-01T00:00:00Z\")";
    let whole = format!(
        "{series} {{ formula numerator denominator value from to buckets {{ hour formula numerator
         denominator value judged passed review failed defects }} }}"
    );
    for (field, fits, too_many) in [
        ("defectPareto { total }", 3, 4),
        ("defectPareto(filter: {lot: \"L\"}) { total classes { class count } }", 3, 4),
        (&whole, 1, 2),
        (&format!("{series} {{ value }}"), 9, 14),
        ("part(part: \"P\") { part }", 300, 500),
        ("projections { name parkedStreams { error } }", 20, 50),
        ("reports(first: 1) { nodes { document } }", 60, 90),
    ] {
        world.query(&repeat(field, fits), json!({})).await;
        let (count, code) =
            statements(world.graphql_code(&repeat(field, too_many), json!({}))).await;
        assert_eq!((count, code.as_str()), (0, "QUERY_TOO_COMPLEX"), "{field}");
    }
    let long = json!({"to": "2026-04-01T00:00:00Z", "from": "2026-01-01T00:00:00Z"});
    let by_variables =
        "query($from: DateTime, $to: DateTime) { a: yieldSeries(from: $from, to: $to)
        { buckets { hour value judged passed review failed defects formula numerator } }
        b: yieldSeries(from: $from, to: $to)
        { buckets { hour value judged passed review failed defects formula numerator } } }";
    assert_eq!(world.graphql_code(by_variables, long).await, "QUERY_TOO_COMPLEX");
}

#[tokio::test]
async fn the_values_of_an_answer_are_counted_while_it_is_made() {
    let world = World::with(reads_at_once(500)).await;
    // Ten findings are reckoned for each board.
    world.insert_inspection(1, 15_000).await;
    let findings =
        "{ inspections { nodes { defects { number class grade lot part station position } } } }";
    let answer = world.post_graphql(&world.token(), &json!({"query": findings})).await;
    assert_eq!(answer.json()["errors"][0]["extensions"]["code"], "QUERY_TOO_COMPLEX");
    let now_left = left(answer.header("ratelimit"));
    assert!(now_left < 480, "a hundred thousand values count as many requests: {now_left} left");
}

#[tokio::test]
async fn what_is_added_up_does_not_grow_with_the_table() {
    let world = World::new().await;
    let pareto = "{ defectPareto { total } }";
    let series = "{ yieldSeries(from: \"2026-01-01T00:00:00Z\", to: \"2026-01-02T00:00:00Z\") {
        denominator } }";
    world.execute("DROP TABLE read.defects, read.yield_hourly CASCADE").await;
    for (rows, is_refused) in [(250_000, false), (250_001, true)] {
        let views = format!(
            "CREATE OR REPLACE VIEW read.station_defects_daily AS
             SELECT timestamptz '2026-01-01 00:00Z' AS day, 'open' AS class, 'defect' AS grade, 1::bigint AS findings
             FROM generate_series(1, {rows});
             CREATE OR REPLACE VIEW read.station_yield_hourly AS
             SELECT timestamptz '2026-01-01 00:00Z' AS hour, 1 AS judged, 1 AS passed, 0 AS review, 0 AS failed,
                 0 AS defects
             FROM generate_series(1, {rows})"
        );
        world.execute(&views).await;
        if is_refused {
            assert_eq!(world.graphql_code(pareto, json!({})).await, "QUERY_TOO_BROAD");
            assert_eq!(world.graphql_code(series, json!({})).await, "QUERY_TOO_BROAD");
        } else {
            assert_eq!(world.query(pareto, json!({})).await["defectPareto"]["total"], rows);
            assert_eq!(world.query(series, json!({})).await["yieldSeries"]["denominator"], rows);
        }
    }
}

#[tokio::test]
async fn one_principal_has_two_broad_reads_at_work_and_others_pass() {
    let world = World::new().await;
    let mut beside = world.pool.open_connection().await.unwrap();
    // Within a transaction, who waits is looked at only once.
    let mut watcher = world.pool.open_connection().await.unwrap();
    beside.execute("BEGIN; LOCK TABLE read.defects IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let pareto = json!({"query": "{ defectPareto { total } }"});
    let (token, other) = (world.token(), world.token_for_subject("other", Utc::now()));
    let of_one = (0..5).map(|_| world.post_graphql(&token, &pareto));
    let answered = futures::future::join(
        futures::future::join_all(of_one),
        world.post_graphql(&other, &pareto),
    );
    let waiting = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let watched = async {
        let (mut seen, mut looks_left) = (0, 30);
        // As many as there will be, and a while for one too many. Whoever waits for longer than a statement may
        // is gone.
        for _ in 0..900 {
            seen = sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut watcher).await.unwrap();
            looks_left -= i32::from(seen >= 3);
            if looks_left == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        beside.execute("COMMIT").await.unwrap();
        seen
    };
    let ((of_one, of_other), at_work) = futures::future::join(answered, watched).await;
    assert_eq!(at_work, 3, "two of one, and the other's");
    for answer in of_one.iter().chain([&of_other]) {
        assert_eq!(answer.json()["data"]["defectPareto"]["total"], 0);
    }
}

const CHANGES: &str = "subscription { inspectionChanged { cursor } }";

/// The code of the next error, among whatever the operations that were let in are sent.
async fn refusal(client: &mut Client) -> Value {
    loop {
        let answer = client.receive().await;
        if answer["type"] == "error" {
            return answer["payload"][0]["extensions"]["code"].clone();
        }
    }
}

#[tokio::test]
async fn one_principal_does_not_take_all_subscriptions_or_connections() {
    let config = QueryApiConfig {
        subscriptions_per_principal: 2,
        sockets_per_principal: 2,
        ..QueryApiConfig::default()
    };
    let world = World::with(config).await;
    let base = world.serve().await;
    let token = world.token();
    let mut first = Client::open(&base, &token).await;
    let mut second = Client::open(&base, &token).await;
    for id in ["a", "b", "c"] {
        first.subscribe(id, CHANGES, json!({})).await;
    }
    assert_eq!(refusal(&mut first).await, "TOO_MANY_REQUESTS");
    second.subscribe("d", CHANGES, json!({})).await;
    assert_eq!(refusal(&mut second).await, "TOO_MANY_REQUESTS");
    let refused = world.changes(json!({})).next().await.unwrap();
    assert_eq!(refused["errors"][0]["extensions"]["code"], "TOO_MANY_REQUESTS");

    let mut third = Client::connect(&base, &[super::websocket::PROTOCOL]).await.unwrap();
    third.send(json!({"type": "connection_init", "payload": {"token": token}})).await;
    assert_eq!(third.closed().await, 4429);
    let other = world.token_for_subject("other", Utc::now());
    let mut other = Client::open(&base, &other).await;
    other.subscribe("e", CHANGES, json!({})).await;

    // What ends gives its places back, as soon as the server notices.
    drop(first);
    loop {
        let again = world.changes(json!({})).next().await.unwrap();
        if again.get("errors").is_none() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn operations_of_a_connection_are_counted_too() {
    let world = World::with(reads_at_once(3)).await;
    let mut client = Client::open(&world.serve().await, &world.token()).await;
    let mut refused = None;
    for n in 0..1_000 {
        client.subscribe(&n.to_string(), "{ __typename }", json!({})).await;
        let answer = client.receive().await;
        if answer["type"] == "error" {
            refused = Some(answer["payload"][0]["extensions"].clone());
            break;
        }
        assert_eq!(client.receive().await["type"], "complete");
    }
    let refused = refused.expect("a thousand operations are let through at once");
    assert_eq!(
        (&refused["code"], &refused["retryAfterSeconds"]),
        (&json!("TOO_MANY_REQUESTS"), &json!(1))
    );
}

#[tokio::test]
async fn counting_a_list_counts_as_a_read_more_and_is_done_only_when_it_is_asked_for() {
    let world = World::with(reads_at_once(100)).await;
    let paid = async |path: &str| {
        let before = left(world.get("/v1/parts?limit=0").await.header("ratelimit"));
        before - left(world.get(path).await.header("ratelimit"))
    };
    assert_eq!(paid("/v1/parts?count=true").await, paid("/v1/parts").await + 1);
    let uncounted = "{ parts { nodes { part } } }";
    let (few, _) = statements(world.query(uncounted, json!({}))).await;
    let counted = "{ parts { nodes { part } totalCount } }";
    let (more, _) = statements(world.query(counted, json!({}))).await;
    assert_eq!(more, few + 1);
}
