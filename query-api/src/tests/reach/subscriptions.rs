//! The subscription, and operations on a connection that is open while a reach changes.

use std::time::Duration;

use domain::{AccessControlEvent, Principal};
use futures::stream::BoxStream;
use futures::{FutureExt as _, StreamExt as _};
use platform::auth::{Actor, RoleScopes};
use serde_json::{Value, json};

use super::{BOARDS, Line, Reader, reach_of};
use crate::tests::websocket::Client;
use crate::tests::world::inspection_id;

const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn every_subscription_is_known_here() {
    let line = Line::start().await;
    let everywhere = Reader::all().pop().unwrap();
    let query = "{ __schema { subscriptionType { fields { name } } } }";
    let schema = line.query(&everywhere, query, json!({})).await;
    let fields = &schema["__schema"]["subscriptionType"]["fields"];
    assert_eq!(fields, &json!([{"name": "inspectionChanged"}]), "decide what of it is seen");
}

async fn next_item(feed: &mut BoxStream<'static, Value>) -> Value {
    let item = tokio::time::timeout(PATIENCE, feed.next()).await.expect("in time").unwrap();
    assert!(item.get("errors").is_none_or(Value::is_null), "{item}");
    item["data"]["inspectionChanged"].clone()
}

fn board_of(item: &Value) -> String {
    item["change"]["inspectionId"].as_str().unwrap_or_else(|| panic!("{item}")).to_owned()
}

/// Something happens to every board, and to one that no read model knows; the position of the last.
async fn happen_to_all(line: &Line, version: u64) -> i64 {
    let mut last = 0;
    for n in BOARDS.map(|(n, ..)| n).into_iter().chain([99]) {
        last = line.world.append(inspection_id(n), version, "Happened").await.0;
    }
    line.world.reach(last).await;
    last
}

#[tokio::test]
async fn a_feed_passes_on_what_is_within_reach_and_nothing_of_the_rest() {
    let line = Line::start().await;
    happen_to_all(&line, 0).await;
    for reader in Reader::all() {
        let token = line.token(reader.name);
        let mut feed = line.world.changes_with(&token, json!({"from": 0}));
        assert_eq!(next_item(&mut feed).await["change"], Value::Null);
        for n in reader.boards() {
            let item = next_item(&mut feed).await;
            assert_eq!(board_of(&item), inspection_id(n).to_string(), "{}", reader.name);
            assert!(item["change"]["inspection"].is_object(), "{item}");
        }
        if reader.reach.is_everywhere() {
            assert_eq!(next_item(&mut feed).await["change"]["inspection"], Value::Null);
        }
        assert!(feed.next().now_or_never().is_none(), "{}", reader.name);
    }
}

/// Which principal it is once more was changed about it than is known here.
fn changed_elsewhere(principal: &Principal) -> Principal {
    Principal { revision: principal.revision + 1, ..principal.clone() }
}

#[tokio::test]
async fn an_open_feed_and_an_open_connection_follow_the_reach() {
    let mut line = Line::start().await;
    let name = "station".parse().unwrap();
    // A token of a process that has heard of the change already.
    let newer = changed_elsewhere(line.access.principal(&name).unwrap());
    let token =
        line.world.token_of_actor(&Actor::for_principal(&name, &newer, &RoleScopes::default()));
    let mut feed = line.world.changes_with(&token, json!({"from": 0}));
    assert_eq!(next_item(&mut feed).await["change"], Value::Null);
    let base = line.world.serve().await;
    let mut client = Client::open(&base, &token).await;
    let lots = async |client: &mut Client, id: &str| {
        client.subscribe(id, "{ inspections { nodes { id } } }", json!({})).await;
        let answer = client.receive().await;
        assert_eq!(client.receive().await["type"], "complete");
        answer["payload"]["data"]["inspections"]["nodes"].clone()
    };
    let ids = |boards: [i64; 2]| json!(boards.map(|n| json!({"id": inspection_id(n)})));
    assert_eq!(lots(&mut client, "before").await, ids([2, 1]));

    let reach = reach_of(&["AOI-2"], &[]);
    let reason = "moved to line 2".to_owned();
    line.happen(AccessControlEvent::ReachChanged { name: name.clone(), reach, reason });
    happen_to_all(&line, 0).await;
    for n in [3, 4] {
        assert_eq!(board_of(&next_item(&mut feed).await), inspection_id(n).to_string());
    }
    assert_eq!(lots(&mut client, "after").await, ids([4, 3]));

    // With the next change the token is worth nothing, and the feed ends.
    let reason = "gone".to_owned();
    line.happen(AccessControlEvent::PrincipalDisabled { name, reason });
    happen_to_all(&line, 1).await;
    let ended = tokio::time::timeout(PATIENCE, feed.next()).await.expect("in time").unwrap();
    assert_eq!(ended["errors"][0]["extensions"]["code"], "UNAUTHENTICATED", "{ended}");
}
