//! A subscriber by one address: whatever ends its feed, it goes on from its cursor, on whichever machine answers.

use futures::StreamExt as _;
use reqwest::Method;
use serde_json::{Value, json};

use crate::caller::Caller;

const CHANGES: &str = "subscription($from: LogPlace, $after: String) {
    inspectionChanged(from: $from, after: $after) {
        position cursor change { eventType inspectionId } } }";

/// After so many changes the subscriber goes elsewhere, whatever becomes of the machine.
const CHANGES_OF_A_FEED: usize = 60;

/// A change, by its place in the log.
pub(crate) type Change = (i64, String, String);

/// What a subscriber has seen.
#[derive(Default)]
pub(crate) struct Feed {
    pub(crate) changes: Vec<Change>,
    cursor: Option<String>,
    /// How often it had to be opened.
    pub(crate) openings: usize,
}

impl Feed {
    /// Follows from the beginning until it has seen the change at `last`, which may be told later.
    pub(crate) async fn follow(caller: Caller, last: tokio::sync::watch::Receiver<i64>) -> Self {
        let mut feed = Self::default();
        while !feed.has_seen(*last.borrow()) {
            feed.openings += 1;
            let mut caller = caller.clone();
            caller.renew().await;
            feed.follow_once(&caller, last.clone()).await;
        }
        feed
    }

    fn has_seen(&self, last: i64) -> bool {
        last > 0 && self.changes.last().is_some_and(|(position, ..)| *position >= last)
    }

    /// Until it ends, however it does.
    async fn follow_once(&mut self, caller: &Caller, mut last: tokio::sync::watch::Receiver<i64>) {
        let variables = match &self.cursor {
            Some(cursor) => json!({ "after": cursor }),
            None => json!({ "from": "0" }),
        };
        let body = json!({ "query": CHANGES, "variables": variables });
        let request = caller.request(Method::POST, "/graphql").json(&body);
        let request = request.header("Accept", "text/event-stream");
        // For as long as the feed may last.
        let request = request.timeout(std::time::Duration::from_secs(600));
        let Ok(answer) = request.send().await else { return };
        let status = answer.status();
        assert!(status.is_success() || status.is_server_error(), "a cursor is refused: {status}");
        let enough = self.changes.len() + CHANGES_OF_A_FEED;
        let (mut pieces, mut text) = (answer.bytes_stream(), String::new());
        loop {
            let piece = tokio::select! {
                piece = pieces.next() => piece,
                _ = last.changed() => {
                    if self.has_seen(*last.borrow()) { return }
                    continue;
                }
            };
            let Some(Ok(piece)) = piece else { return };
            text.push_str(&String::from_utf8_lossy(&piece));
            while let Some(end) = text.find('\n') {
                let line: String = text.drain(..=end).collect();
                let Some(data) = line.strip_prefix("data:") else { continue };
                let Ok(item) = serde_json::from_str::<Value>(data.trim()) else { continue };
                self.take(&item);
            }
            if self.changes.len() >= enough || self.has_seen(*last.borrow()) {
                return;
            }
        }
    }

    fn take(&mut self, item: &Value) {
        let item = &item["data"]["inspectionChanged"];
        // The last message of a feed is why it ended.
        let Some(cursor) = item["cursor"].as_str() else { return };
        self.cursor = Some(cursor.to_owned());
        let change = &item["change"];
        if change.is_null() {
            return;
        }
        let position: i64 = item["position"].as_str().unwrap().parse().unwrap();
        let text = |field: &str| change[field].as_str().unwrap().to_owned();
        self.changes.push((position, text("eventType"), text("inspectionId")));
    }
}
