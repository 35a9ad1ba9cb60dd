//! A station that sends its pictures as it is told, wherever that is.

use std::time::Duration;

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::station::{Station, answer};

/// Longer than the platform takes to say that the store does not answer.
const ANSWERED_WITHIN: Duration = Duration::from_secs(40);

/// A picture that is announced.
pub(crate) struct Announced {
    /// Below which path it is.
    pub(crate) path: String,
    pub(crate) ticket: Value,
}

/// A PNG of one colour; another one for each shade.
pub(crate) fn png(shade: u8) -> Vec<u8> {
    let image = image::RgbImage::from_fn(200, 160, |x, y| {
        image::Rgb([shade, (x * 3) as u8 ^ shade, (y * 5) as u8])
    });
    let mut file = std::io::Cursor::new(Vec::new());
    image.write_to(&mut file, image::ImageFormat::Png).unwrap();
    file.into_inner()
}

pub(crate) fn sha256(file: &[u8]) -> String {
    domain::Sha256::digest_of(file).to_string()
}

/// Announces a picture below `path` with what is said of it; `key` begins all keys.
pub(crate) async fn announce(station: &Station, path: &str, terms: &str, key: &str) -> Announced {
    let announced = format!("{path}?type=image/png{terms}");
    let (status, ticket) = station.post(&announced, key, None).await.unwrap();
    assert_eq!(status, StatusCode::CREATED, "{ticket}");
    let id = ticket["artifact_id"].as_str().unwrap();
    Announced { path: format!("{path}/{id}"), ticket }
}

/// A new part with a golden sample that is announced.
pub(crate) async fn announce_golden(station: &Station, part: &str) -> Announced {
    let body = json!({ "part": part });
    station.post("/v1/parts", &format!("{part}-part"), Some(&body)).await.unwrap();
    announce(station, &format!("/v1/parts/{part}/golden-sample"), "", &format!("{part}-golden"))
        .await
}

/// A new inspection.
pub(crate) async fn create_inspection(station: &Station, part: &str, key: &str) -> String {
    let body = json!({ "lot": "L-1", "part": part, "station": "AOI-1" });
    let (status, created) = station.post("/v1/inspections", key, Some(&body)).await.unwrap();
    assert_eq!(status, StatusCode::CREATED, "{created}");
    format!("/v1/inspections/{}", created["inspection_id"].as_str().unwrap())
}

/// A new inspection with a picture that is announced.
pub(crate) async fn announce_board(
    station: &Station,
    part: &str,
    terms: &str,
    key: &str,
) -> Announced {
    let inspection = create_inspection(station, part, key).await;
    announce(station, &format!("{inspection}/artifacts"), terms, &format!("{key}-picture")).await
}

impl Announced {
    pub(crate) fn id(&self) -> &str {
        self.ticket["artifact_id"].as_str().unwrap()
    }

    pub(crate) fn url(&self) -> &str {
        self.ticket["upload_url"].as_str().unwrap()
    }

    /// The `PUT` that the announcement asks for, with `file`.
    pub(crate) fn request(&self, station: &Station, file: &[u8]) -> RequestBuilder {
        self.request_with(station, file, ("", ""))
    }

    /// The same with another value of one header.
    pub(crate) fn request_with(
        &self,
        station: &Station,
        file: &[u8],
        (changed, other): (&str, &str),
    ) -> RequestBuilder {
        let mut request = station.anonymous(Method::PUT, self.url()).body(file.to_vec());
        for (name, value) in self.ticket["headers"].as_object().unwrap() {
            let value = if name == changed { other } else { value.as_str().unwrap() };
            request = request.header(name, value);
        }
        request
    }

    pub(crate) async fn put(&self, station: &Station, file: &[u8]) -> StatusCode {
        self.request(station, file).send().await.unwrap().status()
    }

    /// Says that it is uploaded.
    pub(crate) async fn complete(&self, station: &Station, key: &str) -> (StatusCode, Value) {
        let path = format!("{}/complete", self.path);
        let request = station.request(Method::POST, &path).header("Idempotency-Key", key);
        answer(request.timeout(ANSWERED_WITHIN)).await.unwrap()
    }

    /// The version of what it belongs to, after it was completed, and the digest that counts.
    pub(crate) async fn completed(&self, station: &Station, key: &str) -> (String, String) {
        let path = format!("{}/complete", self.path);
        let request = station.request(Method::POST, &path).header("Idempotency-Key", key);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{:?}", answer.text().await);
        let version = answer.headers()["etag"].to_str().unwrap().trim_matches('"').to_owned();
        let body: Value = answer.json().await.unwrap();
        let number = version.split('.').next().unwrap().to_owned();
        (number, body["sha256"].as_str().unwrap().to_owned())
    }

    /// Its file as browsers get it.
    pub(crate) fn read(&self, station: &Station) -> RequestBuilder {
        station.request(Method::GET, &format!("/v1/artifacts/{}", self.id()))
    }

    /// The same as soon as the read model has it.
    pub(crate) async fn file(&self, station: &Station) -> Vec<u8> {
        let mut file = Vec::new();
        crate::until("the picture can be read", async || {
            let answer = self.read(station).send().await.unwrap();
            let is_there = answer.status().is_success();
            file = answer.bytes().await.unwrap().to_vec();
            is_there
        })
        .await;
        file
    }
}

/// What `/readyz` says of the store, and whether the platform is ready.
pub(crate) async fn readiness(station: &Station) -> (StatusCode, Value) {
    let (status, said) =
        answer(station.anonymous(Method::GET, &format!("{}/readyz", station.url))).await.unwrap();
    let checks = said["checks"].as_array().cloned().unwrap_or_default();
    let store = checks.into_iter().find(|check| check["name"] == "artifact-store");
    (status, store.unwrap_or_default())
}
