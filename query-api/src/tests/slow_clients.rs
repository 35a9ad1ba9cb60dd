//! Subscribers that are slow, or take nothing: told where to go on, and cut.

use std::time::Duration;

use futures::StreamExt as _;
use platform::http::ConnectionLimits;
use serde_json::json;
use sqlx::Executor as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use uuid::Uuid;

use super::websocket::Client;
use super::world::World;
use crate::QueryApiConfig;

#[tokio::test]
async fn a_slow_client_is_told_where_to_go_on() {
    let config = QueryApiConfig { slow_after_ms: 100, ..QueryApiConfig::default() };
    let world = World::with(config).await;
    let id = Uuid::now_v7();
    for n in 0..3 {
        world.append(id, n, "Happened").await;
    }
    world.reach(3).await;
    let mut changes = world.changes(json!({"from": 0}));
    changes.next().await.unwrap();
    let first = changes.next().await.unwrap();
    tokio::time::sleep(Duration::from_millis(150)).await;
    let end = changes.next().await.unwrap();
    let resume = end["errors"][0]["extensions"].clone();
    assert_eq!(resume["code"], "SLOW_CLIENT");
    assert_eq!(resume["cursor"], first["data"]["inspectionChanged"]["cursor"]);
    assert!(changes.next().await.is_none());

    let mut again = world.changes(json!({"after": resume["cursor"]}));
    let begins = again.next().await.unwrap();
    assert_eq!(begins["data"]["inspectionChanged"]["cursor"], resume["cursor"]);
    let second = again.next().await.unwrap();
    assert_eq!(second["data"]["inspectionChanged"]["position"], "2");
}

/// A subscription whose items exceed what sockets hold: 300 of some 50 kB each.
async fn more_than_sockets_hold(world: &World) -> String {
    let id = Uuid::now_v7();
    for n in 0..300 {
        world.append(id, n, "Happened").await;
    }
    world.reach(300).await;
    let wide: String = (0..900).map(|n| format!("a{n}: inspectionId ")).collect();
    format!("subscription {{ inspectionChanged(from: 0) {{ position change {{ {wide} }} }} }}")
}

/// Waits until the only subscription that there may be is free again.
async fn until_it_is_cut(world: &World) {
    let freed = async {
        while world.changes(json!({"from": 0})).next().await.unwrap().get("errors").is_some() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), freed).await.expect("the connection is not cut");
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_cut() {
    let config =
        QueryApiConfig { send_timeout_ms: 300, subscriptions_max: 1, ..QueryApiConfig::default() };
    let world = World::with(config).await;
    let base = world.serve().await;
    let query = more_than_sockets_hold(&world).await;
    let mut idle = Client::open(&base, &world.token()).await;
    idle.subscribe("a", &query, json!({})).await;
    idle.receive().await;

    let refused = world.changes(json!({})).next().await.unwrap();
    assert_eq!(refused["errors"][0]["extensions"]["code"], "TOO_MANY_REQUESTS");
    until_it_is_cut(&world).await;
}

/// Whatever is sent and not taken, the connection's own limit ends it.
#[tokio::test]
async fn a_client_of_server_sent_events_that_takes_nothing_is_cut() {
    let config = QueryApiConfig { subscriptions_max: 1, ..QueryApiConfig::default() };
    let world = World::with(config).await;
    let stalled = Duration::from_millis(300);
    let base = world.serve_within(ConnectionLimits { stalled, ..Default::default() }).await;
    let query = more_than_sockets_hold(&world).await;
    let body = json!({ "query": query }).to_string();
    let address = base.strip_prefix("ws://").unwrap();
    let request = format!(
        "POST /graphql HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nAccept: text/event-stream\r\n\
         Content-Length: {}\r\n\r\n{body}",
        world.token(),
        body.len()
    );
    let mut idle = tokio::net::TcpStream::connect(address).await.unwrap();
    idle.write_all(request.as_bytes()).await.unwrap();
    let mut begun = [0; 12];
    idle.read_exact(&mut begun).await.unwrap();
    assert_eq!(&begun, b"HTTP/1.1 200");
    until_it_is_cut(&world).await;
}

#[tokio::test]
async fn a_live_client_that_falls_far_behind_is_told_where_to_go_on() {
    let config = QueryApiConfig { slow_behind: 5, ..QueryApiConfig::default() };
    let world = World::with(config).await;
    let id = Uuid::now_v7();
    for n in 0..10 {
        world.append(id, n, "Happened").await;
    }
    world.reach(10).await;
    // Behind while replaying is no fault.
    let mut changes = world.changes(json!({"from": 0}));
    for _ in 0..11 {
        assert!(changes.next().await.unwrap().get("errors").is_none());
    }
    let idle = tokio::time::timeout(Duration::from_millis(200), changes.next()).await;
    assert!(idle.is_err());
    for n in 10..20 {
        world.append(id, n, "Happened").await;
    }
    world.reach(20).await;
    let end = changes.next().await.unwrap();
    assert_eq!(end["errors"][0]["extensions"]["code"], "SLOW_CLIENT");
}

/// Waits until the client's socket is full, so that the server cannot send either.
async fn until_nothing_more_fits(client: &mut Client) {
    let mut before = 0;
    loop {
        let lying = client.bytes_to_read().await;
        if lying == before && lying > 0 {
            return;
        }
        before = lying;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test]
async fn operations_of_a_client_that_takes_nothing_hold_no_connection_to_the_database() {
    let config = QueryApiConfig { send_timeout_ms: 600_000, ..QueryApiConfig::default() };
    let world = World::with(config).await;
    let id = world.insert_inspection(1, 0).await;
    let mut idle = Client::open(&world.serve().await, &world.token()).await;
    // Beside the pool: its statements wait for this.
    let mut beside = world.pool.open_connection().await.unwrap();
    // Within a transaction, who waits is looked at only once.
    let mut watcher = world.pool.open_connection().await.unwrap();
    let lock = "BEGIN; LOCK TABLE read.inspections IN ACCESS EXCLUSIVE MODE";
    beside.execute(lock).await.unwrap();
    let query = format!("{{ inspection(id: \"{id}\") {{ id }} }}");
    for n in 0..20 {
        idle.subscribe(&format!("waits-{n}"), &query, json!({})).await;
    }
    let waiting = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut watcher).await.unwrap() < 10 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let types = "__schema { types { fields { name args { name type { name } } } } }";
    let large: String = (0..40).map(|n| format!("a{n}: {types} ")).collect();
    for n in 0..8 {
        idle.subscribe(&format!("large-{n}"), &format!("{{ {large} }}"), json!({})).await;
    }
    until_nothing_more_fits(&mut idle).await;
    beside.execute("COMMIT").await.unwrap();
    for _ in 0..20 {
        world.query(&query, json!({})).await;
    }
}
