//! A production line by one address: pushes board after board, each step of a board on another machine.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::json;

use crate::boards::Pair;
use crate::caller::Caller;

/// The part that every board is of.
const PART: &str = "PCB-MACHINES";

/// A board that was pushed to the end.
pub(crate) struct Board {
    pub(crate) lot: String,
    pub(crate) inspection_id: String,
    /// Which of the pairs its picture is of.
    pub(crate) pair: usize,
    /// The positions that answers promised.
    pub(crate) positions: Vec<i64>,
}

/// What the lines have in common.
pub(crate) struct Work {
    pub(crate) url: String,
    pub(crate) pairs: Vec<Pair>,
    /// Boards that were pushed.
    pub(crate) pushed: AtomicUsize,
    pub(crate) is_over: AtomicBool,
}

/// Registers the part and its golden sample.
pub(crate) async fn register_part(caller: &Caller, pair: &Pair) {
    caller.post("/v1/parts", "part", Some(&json!({ "part": PART }))).await;
    let path = format!("/v1/parts/{PART}/golden-sample?type=image/png");
    let announced = caller.post(&path, "golden", None).await;
    caller.put(&announced.body, &std::fs::read(&pair.golden).unwrap()).await;
    // A folder has looked at it by then, and a bucket waits for the word; it is the same call.
    let id = announced.body["artifact_id"].as_str().unwrap();
    caller.post(&format!("/v1/parts/{PART}/golden-sample/{id}/complete"), "complete", None).await;
}

/// Pushes boards until it is over; a board that was begun is always finished.
pub(crate) async fn push_boards(number: usize, work: Arc<Work>, mut caller: Caller) -> Vec<Board> {
    let mut boards = Vec::new();
    for n in 0.. {
        if work.is_over.load(Ordering::SeqCst) {
            break;
        }
        caller.renew().await;
        boards.push(push(&caller, &work, format!("LOT-{number}-{n}"), n).await);
        work.pushed.fetch_add(1, Ordering::SeqCst);
    }
    boards
}

async fn push(caller: &Caller, work: &Work, lot: String, n: usize) -> Board {
    let pair = n % work.pairs.len();
    let body = json!({ "lot": lot, "part": PART, "station": "AOI-1" });
    let created = caller.post("/v1/inspections", &format!("{lot}-create"), Some(&body)).await;
    let id = created.body["inspection_id"].as_str().unwrap().to_owned();
    // Another machine knows the key, and reads what this one has written.
    let again = caller.post("/v1/inspections", &format!("{lot}-create"), Some(&body)).await;
    assert_eq!(again.body["inspection_id"], id.as_str(), "one key, one result");
    assert_eq!(again.place, created.place, "one key, one result");
    let place = created.place.clone().unwrap();
    let read = caller.get(&format!("/v1/inspections/{id}?min_position={place}")).await;
    assert_eq!(read.body["lot"], lot.as_str(), "{}", read.body);

    let path = format!("/v1/inspections/{id}/artifacts?type=image/png");
    let announced = caller.post(&path, &format!("{lot}-announce"), None).await;
    let picture = std::fs::read(&work.pairs[pair].test).unwrap();
    let uploaded = caller.put(&announced.body, &picture).await;
    let inferred =
        caller.post(&format!("/v1/inspections/{id}/infer"), &format!("{lot}-infer"), None).await;
    let places = [created.place, announced.place, uploaded.place, inferred.place];
    let position = |place: String| place.split('.').next().unwrap().parse().unwrap();
    let positions = places.into_iter().flatten().map(position).collect();
    Board { lot, inspection_id: id, pair, positions }
}
