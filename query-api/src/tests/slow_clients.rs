//! Subscribers that are slow, or take nothing: told where to go on, and cut.

use std::time::Duration;

use futures::StreamExt as _;
use platform::http::ConnectionLimits;
use serde_json::json;
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
