//! The subscription: replay, then live, in order, without loss or doubles, whatever ends it.

use std::time::Duration;

use domain::Reach;
use futures::StreamExt as _;
use platform::event_log::{EventLog as _, StreamId};
use serde_json::{Value, json};
use uuid::Uuid;

use super::websocket::Client;
use super::world::World;
use crate::QueryApiConfig;
use crate::read_model::inspections::{SharedInspections, by_ids_shared};

pub(super) const CHANGES: &str =
    "subscription($from: LogPlace, $after: String, $filter: InspectionFilter) {
    inspectionChanged(from: $from, after: $after, filter: $filter) {
        position cursor change { eventType inspectionId inspection { id lot version } } } }";

/// An item's position and event type.
pub(super) fn seen(message: &Value) -> (i64, String) {
    let item = feed_item(message);
    let position = item["position"].as_str().unwrap().parse().unwrap();
    let event_type = item["change"]["eventType"].as_str();
    (position, event_type.unwrap_or_else(|| panic!("nothing happened: {item:#}")).to_owned())
}

/// Takes the first item, which says where the feed begins, and gives its cursor.
pub(super) async fn begun(client: &mut Client, position: i64) -> String {
    let message = client.receive().await;
    let item = feed_item(&message);
    assert_eq!((&item["position"], &item["change"]), (&json!(position.to_string()), &json!(null)));
    cursor(&message)
}

pub(super) fn feed_item(message: &Value) -> &Value {
    assert_eq!(message["type"], "next", "{message:#}");
    &message["payload"]["data"]["inspectionChanged"]
}

pub(super) fn cursor(item: &Value) -> String {
    item["payload"]["data"]["inspectionChanged"]["cursor"].as_str().unwrap().to_owned()
}

pub(super) fn error(item: &Value) -> &Value {
    assert_eq!(item["type"], "error", "{item:#}");
    &item["payload"][0]["extensions"]
}

#[tokio::test]
async fn replay_then_live_then_resume_without_loss_or_doubles() {
    let world = World::new().await;
    let base = world.serve().await;
    let id = world.insert_inspection(1, 1).await;
    let mut expected = Vec::new();
    for n in 0..300 {
        let name = format!("Happened{n}");
        expected.push((world.append(id, n, &name).await.0, name));
        if n % 3 == 0 {
            let other = StreamId { aggregate_type: "part".into(), aggregate_id: format!("p{n}") };
            world.append_to(other, 0, "PartRegistered").await;
        }
    }
    world.reach(expected[299].0).await;

    let mut client = Client::open(&base, &world.token()).await;
    client.subscribe("a", CHANGES, json!({"from": 0})).await;
    begun(&mut client, 0).await;
    let mut got = Vec::new();
    let mut last = String::new();
    for _ in 0..300 {
        let item = client.receive().await;
        got.push(seen(&item));
        last = cursor(&item);
    }
    assert_eq!(got, expected);

    // Live: an event is shown once the read model has it, not before.
    let held = world.append(id, 300, "Live").await;
    let waiting = tokio::time::timeout(Duration::from_millis(200), client.receive()).await;
    assert!(waiting.is_err(), "shown before the read model had it");
    world.reach(held.0).await;
    let item = client.receive().await;
    assert_eq!(seen(&item), (held.0, "Live".to_owned()));
    assert_eq!(feed_item(&item)["change"]["inspection"]["id"], id.to_string());
    drop(client);

    // Away: what happened meanwhile comes first, then what happens.
    let away = world.append(id, 301, "Away").await;
    world.reach(away.0).await;
    let mut again = Client::open(&base, &world.token()).await;
    again.subscribe("b", CHANGES, json!({"after": last})).await;
    assert_eq!(begun(&mut again, expected[299].0).await, last);
    assert_eq!(seen(&again.receive().await), (held.0, "Live".to_owned()));
    assert_eq!(seen(&again.receive().await), (away.0, "Away".to_owned()));
    let back = world.append(id, 302, "Back").await;
    world.reach(back.0).await;
    assert_eq!(seen(&again.receive().await), (back.0, "Back".to_owned()));
}

#[tokio::test]
async fn concurrent_appends_are_all_seen_once_and_in_order() {
    let world = World::new().await;
    let base = world.serve().await;
    let mut client = Client::open(&base, &world.token()).await;
    client.subscribe("a", CHANGES, json!({"from": "0"})).await;
    begun(&mut client, 0).await;
    let writers = (0..8).map(|_| async {
        let id = Uuid::now_v7();
        for n in 0..25 {
            world.append(id, n, "Happened").await;
        }
    });
    let follow = async {
        loop {
            let head = world.log.head().await.unwrap();
            world.reach(head.0).await;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let mut got = Vec::new();
    let read = async {
        while got.len() < 200 {
            got.push(seen(&client.receive().await).0);
        }
    };
    tokio::select! {
        () = async { futures::join!(futures::future::join_all(writers), read); } => {}
        () = follow => {}
    }
    let page = world.log.read_all(platform::event_log::Position(0), 1_000).await.unwrap();
    let all: Vec<_> = page.events.iter().map(|event| event.position.0).collect();
    assert_eq!(got, all);
}

#[tokio::test]
async fn a_filter_admits_what_the_row_says() {
    let world = World::new().await;
    let base = world.serve().await;
    let (one, two) = (world.insert_inspection(1, 0).await, world.insert_inspection(2, 0).await);
    world.append(one, 0, "Created").await;
    world.append(Uuid::now_v7(), 0, "Parked").await;
    let last = world.append(two, 0, "Created").await;
    world.reach(last.0).await;
    let mut client = Client::open(&base, &world.token()).await;
    client.subscribe("a", CHANGES, json!({"from": 0, "filter": {"lot": "L2"}})).await;
    begun(&mut client, 0).await;
    let item = client.receive().await;
    assert_eq!(seen(&item).0, last.0);
    let cursor = cursor(&item);

    for variables in [
        json!({"after": cursor}),
        json!({"after": "x"}),
        json!({"after": cursor, "filter": {"lot": "L1"}}),
    ] {
        client.subscribe("bad", CHANGES, variables).await;
        assert_eq!(error(&client.receive().await)["code"], "INVALID_CURSOR");
    }
    client.subscribe("both", CHANGES, json!({"after": cursor, "from": 0})).await;
    assert_eq!(error(&client.receive().await)["code"], "BAD_USER_INPUT");
    client.subscribe("name", CHANGES, json!({"filter": {"lot": ""}})).await;
    assert_eq!(error(&client.receive().await)["code"], "BAD_USER_INPUT");
}

#[tokio::test]
async fn an_expired_token_ends_every_subscription_with_the_cursor_to_go_on_from() {
    let world = World::new().await;
    let base = world.serve().await;
    let token = world.token_for(chrono::Duration::seconds(2));
    let mut client = Client::open(&base, &token).await;
    client.subscribe("a", CHANGES, json!({})).await;
    let first = begun(&mut client, 0).await;
    let end = client.receive().await;
    assert_eq!(error(&end)["code"], "UNAUTHENTICATED");
    assert_eq!(error(&end)["cursor"], first);
    client.subscribe("b", CHANGES, json!({})).await;
    assert_eq!(client.closed().await, 4403);
}

#[tokio::test]
async fn whatever_a_connection_is_closed_for_its_subscriptions_end_with_their_cursors_first() {
    let world = World::new().await;
    let base = world.serve().await;
    let mut client = Client::open(&base, &world.token()).await;
    client.subscribe("a", CHANGES, json!({})).await;
    let first = begun(&mut client, 0).await;
    client.send(json!({"type": "nonsense"})).await;
    let end = client.receive().await;
    assert_eq!(error(&end)["code"], "GOING_AWAY");
    assert_eq!(error(&end)["cursor"], first);
    assert_eq!(client.closed().await, 4400);
}

#[tokio::test]
async fn a_finishing_server_says_where_to_go_on() {
    let world = World::new().await;
    let base = world.serve().await;
    let position = world.append(Uuid::now_v7(), 0, "Happened").await;
    world.reach(position.0).await;
    let mut client = Client::open(&base, &world.token()).await;
    client.subscribe("a", CHANGES, json!({"from": 0})).await;
    begun(&mut client, 0).await;
    let item = client.receive().await;
    world.shutdown.request();
    let end = client.receive().await;
    let extensions = error(&end);
    assert_eq!(extensions["code"], "GOING_AWAY");
    assert_eq!(extensions["cursor"], cursor(&item));
    assert_eq!(client.closed().await, 1001);
}

#[tokio::test]
async fn what_passes_by_itself_ends_no_subscription() {
    let world = World::new().await;
    let base = world.serve().await;
    let id = Uuid::now_v7();
    let mut client = Client::open(&base, &world.token()).await;
    client.subscribe("a", CHANGES, json!({"from": 0})).await;
    begun(&mut client, 0).await;
    // Neither the checkpoints nor the rows can be read for a while.
    world.execute("ALTER TABLE projection_checkpoints RENAME TO away").await;
    world.append(id, 0, "Happened").await;
    let waiting = tokio::time::timeout(Duration::from_millis(700), client.receive()).await;
    assert!(waiting.is_err(), "{waiting:?}");
    world.execute("ALTER TABLE away RENAME TO projection_checkpoints").await;
    world.reach(1).await;
    assert_eq!(seen(&client.receive().await), (1, "Happened".to_owned()));
}

#[tokio::test]
async fn a_feed_that_is_opened_while_the_database_is_away_begins_when_it_is_back() {
    let world = World::new().await;
    world.reach(0).await;
    world.execute("ALTER TABLE projection_checkpoints RENAME TO away").await;
    let mut client = Client::open(&world.serve().await, &world.token()).await;
    client.subscribe("a", CHANGES, json!({})).await;
    let waiting = tokio::time::timeout(Duration::from_millis(700), client.receive()).await;
    assert!(waiting.is_err(), "{waiting:?}");
    world.execute("ALTER TABLE away RENAME TO projection_checkpoints").await;
    begun(&mut client, 0).await;
    world.append(Uuid::now_v7(), 0, "Happened").await;
    world.reach(1).await;
    assert_eq!(seen(&client.receive().await), (1, "Happened".to_owned()));

    // A server that stops meanwhile says so.
    world.execute("ALTER TABLE projection_checkpoints RENAME TO away").await;
    let mut other = loop {
        // What was seen of the table is believed for a moment.
        let mut opened = world.changes(json!({}));
        if tokio::time::timeout(Duration::from_millis(300), opened.next()).await.is_err() {
            break opened;
        }
    };
    world.shutdown.request();
    let refused = other.next().await.unwrap();
    assert_eq!(refused["errors"][0]["extensions"]["code"], "GOING_AWAY");
}

#[tokio::test]
async fn what_does_not_pass_by_itself_ends_a_subscription_with_the_cursor_to_go_on_from() {
    let world = World::new().await;
    let id = Uuid::now_v7();
    let mut changes = world.changes(json!({"from": 0}));
    world.append(id, 0, "Happened").await;
    world.reach(1).await;
    let mut last = Value::Null;
    for _ in 0..2 {
        last = changes.next().await.unwrap()["data"]["inspectionChanged"]["cursor"].clone();
    }
    world.append(id, 1, "Happened").await;
    // No statement of ours fits any more.
    world.execute("ALTER TABLE projection_checkpoints ALTER position TYPE text").await;
    let end = changes.next().await.unwrap();
    let extensions = &end["errors"][0]["extensions"];
    assert_eq!((&extensions["code"], &extensions["cursor"]), (&json!("INTERNAL"), &last));
    assert!(changes.next().await.is_none());
}

#[tokio::test]
async fn subscriptions_are_bounded() {
    let config = QueryApiConfig { subscriptions_max: 1, ..QueryApiConfig::default() };
    let world = World::with(config).await;
    let mut first = world.changes(json!({}));
    assert!(first.next().await.unwrap().get("errors").is_none());
    let refused = world.changes(json!({})).next().await.unwrap();
    assert_eq!(refused["errors"][0]["extensions"]["code"], "TOO_MANY_REQUESTS");
    drop(first);
    let mut second = world.changes(json!({}));
    assert!(second.next().await.unwrap().get("errors").is_none());
}

#[tokio::test]
async fn server_sent_events_carry_the_same_items() {
    let world = World::new().await;
    let position = world.append(Uuid::now_v7(), 0, "Happened").await;
    world.reach(position.0).await;
    let mut events = world.events(json!({"from": 0})).await;
    let begins = events.next().await.unwrap();
    assert!(begins.contains("\"change\":null"), "{begins}");
    let event = events.next().await.unwrap();
    assert!(event.starts_with("event: next\ndata: {"), "{event}");
    assert!(event.contains("Happened"), "{event}");
    world.shutdown.request();
    let mut rest = String::new();
    while let Some(event) = events.next().await {
        rest.push_str(&event);
    }
    assert!(rest.contains("GOING_AWAY") && rest.contains("event: complete"), "{rest}");
}

/// How often the log is read while 20 events happen one by one and so many subscribers are shown each.
async fn reads_with(subscribers: usize) -> usize {
    let world = World::new().await;
    let id = Uuid::now_v7();
    let mut streams: Vec<_> = (0..subscribers).map(|_| world.changes(json!({"from": 0}))).collect();
    futures::future::join_all(streams.iter_mut().map(|changes| changes.next())).await;
    for n in 0..20 {
        let position = world.append(id, n, "Happened").await;
        world.reach(position.0).await;
        let shown = streams.iter_mut().map(|changes| changes.next());
        let shown = futures::future::join_all(shown);
        for item in tokio::time::timeout(Duration::from_secs(30), shown).await.expect("all shown") {
            let item = item.unwrap();
            let shown = &item["data"]["inspectionChanged"]["position"];
            assert_eq!(shown, &json!(position.0.to_string()), "{item:#}");
        }
    }
    world.log.pages_read()
}

#[tokio::test]
async fn more_subscribers_do_not_read_the_log_more_often() {
    let (one, many) = (reads_with(1).await, reads_with(25).await);
    // An append is heard of twice, here and from the database, and the clock may make one look.
    assert!(one >= 20 && many <= 3 * 20 + 20, "{one} for one, {many} for 25");
}

#[tokio::test]
async fn inspections_that_many_ask_for_at_once_are_read_for_all_of_them() {
    let world = World::new().await;
    let id = world.insert_inspection(1, 0).await;
    let (shared, everywhere) = (SharedInspections::default(), Reach::everywhere());
    let mut holder = world.pool.begin().await.unwrap();
    let lock = "LOCK TABLE read.inspections IN ACCESS EXCLUSIVE MODE";
    sqlx::query(lock).execute(&mut *holder).await.unwrap();
    let ask = |_| Box::pin(by_ids_shared(&shared, &world.pool, vec![id], &everywhere));
    let mut asked: Vec<_> = (0..10).map(ask).collect();
    for one in &mut asked {
        assert!(futures::poll!(one).is_pending());
    }
    let readers = async || -> i64 {
        let waiting = "SELECT count(*) FROM pg_stat_activity
                       WHERE datname = current_database() AND wait_event_type = 'Lock'";
        sqlx::query_scalar(waiting).fetch_one(&world.pool).await.unwrap()
    };
    let first = async {
        while readers().await == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), first).await.expect("one reads");
    // Time enough for whoever would read by itself.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(readers().await, 1, "the others wait for the next read, which is of them all");
    holder.rollback().await.unwrap();
    for rows in futures::future::join_all(asked).await {
        assert_eq!(rows.unwrap().len(), 1);
    }
}
