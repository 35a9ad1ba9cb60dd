//! A log that was restored: whoever gives a place that is lost is told so, whatever it is given to.

use platform::test_support::DatabaseBackup;
use serde_json::{Value, json};

use super::changes::{CHANGES, begun, cursor, error, feed_item, seen};
use super::websocket::Client;
use super::world::{World, inspection_id};

const PARTS: &str = "query($p: LogPlace) { parts(minPosition: $p) { position } }";

/// A log with one event, which a restore keeps, and one after it, which takes the place of one that is lost.
struct Restored {
    world: World,
    kept: i64,
    reissued: i64,
    place_kept: String,
    place_lost: String,
    /// The cursors of a feed behind the first event and behind the one that is lost.
    cursor_kept: String,
    cursor_lost: String,
}

impl Restored {
    async fn new() -> Self {
        let world = World::new().await;
        let id = world.insert_inspection(1, 1).await;
        let kept = world.append(id, 0, "Kept").await.0;
        world.reach(kept).await;
        let backup = DatabaseBackup::take(&world.database).await;
        world.reconnect().await;
        let lost = world.append(id, 1, "Lost").await.0;
        world.reach(lost).await;
        let (place_kept, place_lost) = (world.place(kept).await, world.place(lost).await);
        let base = world.serve().await;
        let mut client = Client::open(&base, &world.token()).await;
        client.subscribe("a", CHANGES, json!({"from": 0})).await;
        begun(&mut client, 0).await;
        let (cursor_kept, cursor_lost) =
            (cursor(&client.receive().await), cursor(&client.receive().await));

        backup.restore().await;
        world.reconnect().await;
        let reissued = world.append(id, 1, "GivenOutAgain").await.0;
        assert_eq!(reissued, lost, "the control: the position was given out again");
        world.reach(reissued).await;
        Self { world, kept, reissued, place_kept, place_lost, cursor_kept, cursor_lost }
    }
}

#[tokio::test]
async fn a_read_is_not_answered_by_another_event_at_the_position_that_it_waits_for() {
    let Restored { world, reissued, place_kept, place_lost, .. } = Restored::new().await;
    let id = inspection_id(1);
    for path in ["/v1/inspections", "/v1/parts", "/v1/reports", &format!("/v1/inspections/{id}")] {
        let told = world.get(&format!("{path}?min_position={place_lost}")).await;
        assert_eq!(told.problem(), (409, "positions-reissued".into()), "{path}");
    }
    assert_eq!(world.graphql_code(PARTS, json!({"p": place_lost})).await, "POSITIONS_REISSUED");
    let now = world.place(reissued).await;
    for place in [&place_kept, &now] {
        let answer = world.get(&format!("/v1/inspections?min_position={place}")).await;
        assert_eq!((answer.status.as_u16(), answer.header("x-log-position")), (200, &*now));
        assert_eq!(world.query(PARTS, json!({"p": place})).await["parts"]["position"], now);
    }
}

#[tokio::test]
async fn a_feed_goes_on_only_where_nothing_was_given_out_again() {
    let restored = Restored::new().await;
    let base = restored.world.serve().await;
    let mut client = Client::open(&base, &restored.world.token()).await;
    let lost: [Value; 2] =
        [json!({"after": restored.cursor_lost}), json!({"from": restored.place_lost})];
    for (name, after) in ["a", "b"].into_iter().zip(lost) {
        client.subscribe(name, CHANGES, after).await;
        let told = client.receive().await;
        assert_eq!(error(&told)["code"], "POSITIONS_REISSUED", "{told}");
        assert_eq!(error(&told)["position"], restored.kept.to_string());
    }
    let kept: [Value; 2] =
        [json!({"after": restored.cursor_kept}), json!({"from": restored.place_kept})];
    for (name, after) in ["c", "d"].into_iter().zip(kept) {
        client.subscribe(name, CHANGES, after).await;
        let begins = client.receive().await;
        assert_eq!(feed_item(&begins)["position"], restored.kept.to_string());
        let reissued = (restored.reissued, "GivenOutAgain".to_owned());
        assert_eq!(seen(&client.receive().await), reissued);
        client.send(json!({"id": name, "type": "complete"})).await;
    }
}
