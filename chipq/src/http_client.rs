//! A station's view of the platform: the public HTTP API and nothing else.
//!
//! Invariant: a mutation keeps its Idempotency-Key over every attempt, so that whatever happens to the
//! connection or the server, it is executed once.

mod retry;
mod transport;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, ensure};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

pub(crate) use retry::Patience;
use transport::{Body, Call, Transport};

/// For so long an answer may wait until a board is judged.
const WAIT: &str = "wait=20";
/// For so long a report is looked for often, because it is expected; then seldom, because something
/// is slow.
const EXPECTED_WITHIN: Duration = Duration::from_secs(2);

/// A picture on its way to the platform.
#[derive(Debug, Clone)]
pub(crate) struct PictureFile {
    /// `image/png` or `image/jpeg`.
    pub(crate) media_type: &'static str,
    /// The file's bytes.
    pub(crate) bytes: Vec<u8>,
}

/// A board that was handed over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Submitted {
    /// Its inspection.
    pub(crate) inspection_id: Uuid,
    /// When the answer to the upload had arrived.
    pub(crate) uploaded_at: Instant,
}

/// What a board is submitted under.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Label<'a> {
    /// The lot.
    pub(crate) lot: &'a str,
    /// The part.
    pub(crate) part: &'a str,
    /// The station.
    pub(crate) station: &'a str,
    /// What the Idempotency-Keys of this board begin with.
    pub(crate) key: &'a str,
}

/// A client with a token.
pub(crate) struct HttpClient(Transport);

impl HttpClient {
    /// Signs in as the demo user at `base`, such as `http://127.0.0.1:8080`.
    pub(crate) async fn sign_in(base: &str, patience: Patience) -> anyhow::Result<Self> {
        Transport::sign_in(base, patience).await.map(Self)
    }

    /// Registers a part and its golden sample.
    pub(crate) async fn register_part(
        &self,
        part: &str,
        golden: &PictureFile,
        key: &str,
    ) -> anyhow::Result<()> {
        self.post("/v1/parts", &format!("{key}-part"), Body::Json(json!({ "part": part })))
            .await
            .with_context(|| format!("part {part} was not registered"))?;
        let samples = format!("/v1/parts/{}/golden-sample", escape(part));
        self.upload(&samples, golden, &format!("{key}-golden"))
            .await
            .with_context(|| format!("the golden sample of {part} was not uploaded"))
    }

    /// Creates an inspection and returns its id.
    pub(crate) async fn create_inspection(&self, label: Label<'_>) -> anyhow::Result<Uuid> {
        let Label { lot, part, station, key } = label;
        let body = Body::Json(json!({ "lot": lot, "part": part, "station": station }));
        let created = self.post("/v1/inspections", &format!("{key}-create"), body).await?;
        Ok(text(&created, "inspection_id")?.parse()?)
    }

    /// Creates an inspection, uploads its picture and asks for inference.
    pub(crate) async fn submit(
        &self,
        label: Label<'_>,
        picture: &PictureFile,
    ) -> anyhow::Result<Submitted> {
        let inspection_id = self.create_inspection(label).await?;
        let key = label.key;
        let artifacts = format!("/v1/inspections/{inspection_id}/artifacts");
        self.upload(&artifacts, picture, &format!("{key}-upload")).await?;
        let uploaded_at = Instant::now();
        let path = format!("/v1/inspections/{inspection_id}/infer");
        self.post(&path, &format!("{key}-infer"), Body::Empty).await?;
        Ok(Submitted { inspection_id, uploaded_at })
    }

    /// The report of an inspection as soon as it can be read; an error when that takes longer than
    /// `limit`.
    pub(crate) async fn report(
        &self,
        inspection_id: Uuid,
        limit: Duration,
    ) -> anyhow::Result<Value> {
        let (inspection, path) =
            (format!("/v1/inspections/{inspection_id}"), report_path(inspection_id));
        let begun = Instant::now();
        loop {
            // Answered once it is judged and its report can be read. It may not be there itself yet.
            let judged = Call { prefer: Some(WAIT), ..Call::get(&inspection) };
            unless_missing(self.0.send(judged).await)?;
            if let Some(report) = unless_missing(self.0.send(Call::get(&path)).await)? {
                return Ok(serde_json::from_slice(&report)?);
            }
            let seconds = limit.as_secs();
            ensure!(
                begun.elapsed() < limit,
                "inspection {inspection_id}: no report after {seconds} s"
            );
            let pause = if begun.elapsed() < EXPECTED_WITHIN { 20 } else { 200 };
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
    }

    /// The `data` of a GraphQL answer.
    pub(crate) async fn graphql(&self, query: &str, variables: Value) -> anyhow::Result<Value> {
        let body = Body::Json(json!({ "query": query, "variables": variables }));
        let answer = self.0.send(Call { body, ..Call::new(Method::POST, "/graphql") }).await?;
        let mut answer: Value = serde_json::from_slice(&answer)?;
        if let Some(first) = answer["errors"].get(0) {
            let message = first["message"].as_str().unwrap_or("no message");
            return Err(anyhow!("GraphQL answered with an error: {message}"));
        }
        Ok(answer["data"].take())
    }

    /// Saves the PDF of a report and returns its length in bytes.
    pub(crate) async fn save_pdf(&self, inspection_id: Uuid, to: &Path) -> anyhow::Result<usize> {
        let path = report_path(inspection_id);
        let call = Call { accept: "application/pdf", ..Call::get(&path) };
        let pdf = self.0.send(call).await?;
        if !pdf.starts_with(b"%PDF-") {
            return Err(anyhow!("{path} did not come as a PDF"));
        }
        let (place, length) = (to.to_owned(), pdf.len());
        let saved = tokio::task::spawn_blocking(move || boards::write_whole_file(&place, &pdf));
        saved.await?.with_context(|| format!("cannot write {}", to.display()))?;
        Ok(length)
    }

    async fn post(&self, path: &str, key: &str, body: Body<'_>) -> anyhow::Result<Value> {
        let call = Call { key: Some(key), body, ..Call::new(Method::POST, path) };
        let answer = self.0.send(call).await?;
        Ok(serde_json::from_slice(&answer).unwrap_or(Value::Null))
    }

    /// Announces a picture below `path` with its digest, sends it to where the answer says, and says so unless that
    /// was the platform itself. The same bytes again change nothing, so that the `PUT` needs no key.
    async fn upload(&self, path: &str, picture: &PictureFile, key: &str) -> anyhow::Result<()> {
        let PictureFile { media_type, bytes } = picture;
        let (length, sha256) = (bytes.len(), domain::Sha256::digest_of(bytes));
        let announced = format!("{path}?type={media_type}&bytes={length}&sha256={sha256}");
        let reserved = self.post(&announced, key, Body::Empty).await?;
        let url = text(&reserved, "upload_url")?;
        let headers = upload_headers(&reserved)?;
        let call = Call { body: Body::Picture(picture), headers, ..Call::new(Method::PUT, url) };
        self.0.send(call).await?;
        if self.0.is_own_url(url) {
            return Ok(());
        }
        let complete = format!("{path}/{}/complete", text(&reserved, "artifact_id")?);
        self.post(&complete, &format!("{key}-complete"), Body::Empty).await.map(drop)
    }
}

/// The headers that an upload is sent with, as the announcement was answered.
fn upload_headers(reserved: &Value) -> anyhow::Result<Vec<(String, String)>> {
    let headers = reserved["headers"].as_object();
    let headers = headers.ok_or_else(|| anyhow!("the answer has no headers"))?;
    let text = |(name, value): (&String, &Value)| {
        let value = value.as_str().ok_or_else(|| anyhow!("the header {name} is no text"))?;
        Ok((name.clone(), value.to_owned()))
    };
    headers.iter().map(text).collect()
}

/// The answer; `None` when what was asked for is not there.
fn unless_missing(answer: anyhow::Result<Vec<u8>>) -> anyhow::Result<Option<Vec<u8>>> {
    match answer {
        Err(error) if retry::status(&error) == Some(StatusCode::NOT_FOUND) => Ok(None),
        answer => answer.map(Some),
    }
}

fn report_path(inspection_id: Uuid) -> String {
    format!("/v1/reports/{}", domain::ReportId::for_inspection(domain::InspectionId(inspection_id)))
}

fn text<'a>(body: &'a Value, field: &str) -> anyhow::Result<&'a str> {
    body[field].as_str().ok_or_else(|| anyhow!("the answer has no field {field}"))
}

/// Percent-encodes what may not stand in a path segment (RFC 3986).
fn escape(segment: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    segment
        .bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
