//! A production line: pushes board after board, and repeats every request with its key until it is
//! accepted.

use std::sync::Arc;
use std::time::{Duration, Instant};

use platform::event_log::LogPlace;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::boards::Pair;
use crate::ledger::{Accepted, Board, Ledger};
use crate::station::Station;

/// The part that every board is of.
const PART: &str = "PCB-KILL";
/// How long one request is repeated: the platform has to start again, on a machine that may be busy.
const REPEATED_FOR: Duration = Duration::from_secs(180);

pub(crate) struct Line {
    number: usize,
    url: String,
    pairs: Arc<Vec<Pair>>,
    ledger: Arc<Ledger>,
}

/// Registers the part and its golden sample, before anything is killed.
pub(crate) async fn register_part(url: &str, pair: &Pair) {
    let station = Station::sign_in(url).await;
    let body = json!({ "part": PART });
    let (status, said) = station.post("/v1/parts", "part", Some(&body)).await.unwrap();
    assert!(status.is_success(), "{said}");
    let path = format!("/v1/parts/{PART}/golden-sample?type=image/png");
    let (_, reserved) = station.post(&path, "golden", None).await.unwrap();
    let golden = std::fs::read(&pair.golden).unwrap();
    let url = reserved["upload_url"].as_str().unwrap();
    assert!(station.put(url, &golden).await.unwrap().0.is_success());
}

impl Line {
    pub(crate) fn new(
        number: usize,
        url: &str,
        pairs: Arc<Vec<Pair>>,
        ledger: Arc<Ledger>,
    ) -> Self {
        Self { number, url: url.to_owned(), pairs, ledger }
    }

    /// Pushes boards until the ledger is finished; a board that was begun is always finished.
    pub(crate) async fn run(self) {
        let mut station = Station::sign_in(&self.url).await;
        for n in 0.. {
            if self.ledger.is_finished() {
                return;
            }
            let lot = format!("LOT-{}-{n}", self.number);
            let board = self.push(&mut station, lot, n).await;
            self.ledger.add(board);
        }
    }

    async fn push(&self, station: &mut Station, lot: String, n: usize) -> Board {
        let pair = n % self.pairs.len();
        let picture = std::fs::read(&self.pairs[pair].test).unwrap();
        let mut answers = Vec::new();
        let body = json!({ "lot": lot, "part": PART, "station": "AOI-1" });
        let create = |station: &Station| {
            post(station, "/v1/inspections", &format!("{lot}-create")).json(&body)
        };
        let created = self.repeat(station, create, &mut answers).await;
        let id = created["inspection_id"].as_str().unwrap().to_owned();
        let path = format!("/v1/inspections/{id}/artifacts?type=image/png");
        let reserve = |station: &Station| post(station, &path, &format!("{lot}-reserve"));
        let reserved = self.repeat(station, reserve, &mut answers).await;
        let url = reserved["upload_url"].as_str().unwrap().to_owned();
        let upload = |station: &Station| {
            let put = station.anonymous(Method::PUT, &url).header("Content-Type", "image/png");
            put.body(picture.clone())
        };
        self.repeat(station, upload, &mut answers).await;
        let path = format!("/v1/inspections/{id}/infer");
        let infer = |station: &Station| post(station, &path, &format!("{lot}-infer"));
        self.repeat(station, infer, &mut answers).await;
        Board { lot, inspection_id: id, pair, answers }
    }

    /// Sends until it is accepted; notes what the answer promises.
    async fn repeat(
        &self,
        station: &mut Station,
        request: impl Fn(&Station) -> RequestBuilder,
        answers: &mut Vec<Accepted>,
    ) -> Value {
        let deadline = Instant::now() + REPEATED_FOR;
        loop {
            let said = match request(station).send().await {
                Ok(answer) if answer.status().is_success() => {
                    let position = answer.headers().get("x-log-position");
                    let place: Option<LogPlace> =
                        position.and_then(|place| place.to_str().ok()?.parse().ok());
                    let position = place.map(|place| place.position.0);
                    // An answer that is cut off was given all the same, but nobody can rely on it.
                    if let Ok(body) = answer.json::<Value>().await {
                        self.ledger.accept();
                        answers.push(Accepted { position });
                        return body;
                    }
                    "an answer that was cut off".to_owned()
                }
                Ok(answer) => self.refused(station, answer).await,
                Err(error) => error.to_string(),
            };
            assert!(Instant::now() < deadline, "never accepted; last: {said}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Only what may pass is repeated; anything else would be a lost or a doubled command.
    async fn refused(&self, station: &mut Station, answer: reqwest::Response) -> String {
        let status = answer.status();
        let put_off = answer.headers().contains_key("retry-after") || status.is_server_error();
        let said = answer.text().await.unwrap_or_default();
        if status == StatusCode::UNAUTHORIZED {
            if let Some(fresh) = Station::try_sign_in(&self.url).await {
                *station = fresh;
            }
        } else {
            assert!(put_off, "refused for good: {status} {said}");
        }
        said
    }
}

fn post(station: &Station, path: &str, key: &str) -> RequestBuilder {
    station.request(Method::POST, path).header("Idempotency-Key", key)
}
