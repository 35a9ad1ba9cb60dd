//! A station's view of the platform: the public HTTP API and nothing else.
//!
//! Invariant: a mutation keeps its Idempotency-Key over every attempt, so that whatever happens to the
//! connection or the server, it is executed once.

mod retry;

use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use reqwest::header::{self, HeaderMap};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use uuid::Uuid;

pub(crate) use retry::Patience;

/// A picture on its way to the platform.
#[derive(Debug, Clone)]
pub(crate) struct PictureFile {
    /// `image/png` or `image/jpeg`.
    pub(crate) media_type: &'static str,
    /// The file's bytes.
    pub(crate) bytes: Vec<u8>,
}

/// An answer that was not an error; its body is `null` when it is empty.
struct Reply {
    body: Value,
}

/// An answer that was an error.
#[derive(Debug)]
struct Refused {
    status: StatusCode,
    detail: String,
    request: String,
    retry_after: Option<Duration>,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} was refused ({}): {}", self.request, self.status.as_u16(), self.detail)
    }
}

impl std::error::Error for Refused {}

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
pub(crate) struct HttpClient {
    http: reqwest::Client,
    base: String,
    patience: Patience,
    tokens: Mutex<Tokens>,
}

#[derive(Clone, Default)]
struct Tokens {
    access: String,
    refresh: Option<String>,
}

enum Body<'a> {
    Empty,
    Json(Value),
    Picture(&'a PictureFile),
}

impl HttpClient {
    /// Signs in as the demo user at `base`, such as `http://127.0.0.1:8080`.
    pub(crate) async fn sign_in(base: &str, patience: Patience) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .connect_timeout(Duration::from_secs(5))
            .timeout(Duration::from_secs(30))
            .build()?;
        let base = base.trim_end_matches('/').to_owned();
        let client = Self { http, base, patience, tokens: Mutex::default() };
        let tokens = client.fetch_tokens(None).await?;
        *client.tokens.lock().await = tokens;
        Ok(client)
    }

    /// Registers a part and its golden sample.
    pub(crate) async fn register_part(
        &self,
        part: &str,
        golden: &PictureFile,
        key: &str,
    ) -> anyhow::Result<()> {
        let body = Body::Json(json!({ "part": part }));
        self.send(Method::POST, "/v1/parts", Some(&format!("{key}-part")), &body)
            .await
            .with_context(|| format!("part {part} was not registered"))?;
        let path = format!("/v1/parts/{}/golden-sample?type={}", escape(part), golden.media_type);
        let reserved = self.post(&path, &format!("{key}-golden")).await?;
        self.put(text(&reserved.body, "upload_url")?, golden)
            .await
            .with_context(|| format!("the golden sample of {part} was not uploaded"))
    }

    /// Creates an inspection and returns its id.
    pub(crate) async fn create_inspection(&self, label: Label<'_>) -> anyhow::Result<Uuid> {
        let Label { lot, part, station, key } = label;
        let body = Body::Json(json!({ "lot": lot, "part": part, "station": station }));
        let key = format!("{key}-create");
        let created = self.send(Method::POST, "/v1/inspections", Some(&key), &body).await?;
        Ok(text(&created.body, "inspection_id")?.parse()?)
    }

    /// Creates an inspection, uploads its picture and asks for inference.
    pub(crate) async fn submit(
        &self,
        label: Label<'_>,
        picture: &PictureFile,
    ) -> anyhow::Result<Submitted> {
        let inspection_id = self.create_inspection(label).await?;
        let path = format!("/v1/inspections/{inspection_id}/artifacts?type={}", picture.media_type);
        let reserved = self.post(&path, &format!("{}-upload", label.key)).await?;
        self.put(text(&reserved.body, "upload_url")?, picture).await?;
        let uploaded_at = Instant::now();
        let path = format!("/v1/inspections/{inspection_id}/infer");
        self.post(&path, &format!("{}-infer", label.key)).await?;
        Ok(Submitted { inspection_id, uploaded_at })
    }

    /// The report of an inspection as soon as it can be read; an error when that takes longer than
    /// `limit`.
    pub(crate) async fn report(
        &self,
        inspection_id: Uuid,
        limit: Duration,
    ) -> anyhow::Result<Value> {
        let report_id = domain::ReportId::of(domain::InspectionId(inspection_id));
        let path = format!("/v1/reports/{report_id}");
        let begun = Instant::now();
        loop {
            match self.send(Method::GET, &path, None, &Body::Empty).await {
                Ok(reply) => return Ok(reply.body),
                Err(error) if !is_not_found(&error) => return Err(error),
                Err(_) if begun.elapsed() >= limit => {
                    let seconds = limit.as_secs();
                    return Err(anyhow!("inspection {inspection_id}: no report after {seconds} s"));
                }
                // Often at first, when it is expected; then seldom, when something is slow.
                Err(_) if begun.elapsed() < Duration::from_secs(2) => pause_ms(20).await,
                Err(_) => pause_ms(200).await,
            }
        }
    }

    /// The `data` of a GraphQL answer.
    pub(crate) async fn graphql(&self, query: &str, variables: Value) -> anyhow::Result<Value> {
        let body = Body::Json(json!({ "query": query, "variables": variables }));
        let mut reply = self.send(Method::POST, "/graphql", None, &body).await?;
        if let Some(errors) = reply.body.get("errors").and_then(Value::as_array)
            && let Some(first) = errors.first()
        {
            let message = first["message"].as_str().unwrap_or("no message");
            return Err(anyhow!("GraphQL answered with an error: {message}"));
        }
        Ok(reply.body["data"].take())
    }

    /// Saves the PDF of a report and returns its length in bytes.
    pub(crate) async fn save_pdf(
        &self,
        inspection_id: Uuid,
        to: &std::path::Path,
    ) -> anyhow::Result<usize> {
        let report_id = domain::ReportId::of(domain::InspectionId(inspection_id));
        let token = self.tokens.lock().await.access.clone();
        let request = self
            .http
            .get(format!("{}/v1/reports/{report_id}", self.base))
            .bearer_auth(token)
            .header(header::ACCEPT, "application/pdf");
        let answer = request.send().await?;
        let status = answer.status();
        let pdf = answer.bytes().await?;
        if !status.is_success() || !pdf.starts_with(b"%PDF-") {
            return Err(anyhow!("the report {report_id} did not come as a PDF (status {status})"));
        }
        tokio::fs::write(to, &pdf)
            .await
            .with_context(|| format!("cannot write {}", to.display()))?;
        Ok(pdf.len())
    }

    async fn post(&self, path: &str, key: &str) -> anyhow::Result<Reply> {
        self.send(Method::POST, path, Some(key), &Body::Empty).await
    }

    /// Puts a picture to a signed URL. The same bytes again change nothing, so that it needs no key.
    async fn put(&self, url: &str, picture: &PictureFile) -> anyhow::Result<()> {
        self.send(Method::PUT, url, None, &Body::Picture(picture)).await.map(drop)
    }

    /// Sends until it is answered, refused for good, or patience ends. A token that has expired is
    /// renewed once per attempt.
    async fn send(
        &self,
        method: Method,
        path: &str,
        key: Option<&str>,
        body: &Body<'_>,
    ) -> anyhow::Result<Reply> {
        let mut trying = self.patience.begin();
        loop {
            match self.authorised(&method, path, key, body).await {
                Ok(reply) => return Ok(reply),
                Err(error) => trying.after(error).await?,
            }
        }
    }

    async fn authorised(
        &self,
        method: &Method,
        path: &str,
        key: Option<&str>,
        body: &Body<'_>,
    ) -> anyhow::Result<Reply> {
        let token = self.tokens.lock().await.access.clone();
        match self.attempt(method, path, key, (body, &token)).await {
            Err(error) if is_unauthorized(&error) => {
                self.renew(&token).await?;
                let token = self.tokens.lock().await.access.clone();
                self.attempt(method, path, key, (body, &token)).await
            }
            outcome => outcome,
        }
    }

    async fn attempt(
        &self,
        method: &Method,
        path: &str,
        key: Option<&str>,
        (body, token): (&Body<'_>, &str),
    ) -> anyhow::Result<Reply> {
        let signed = path.starts_with("http");
        let url = if signed { path.to_owned() } else { format!("{}{path}", self.base) };
        let mut request = self.http.request(method.clone(), url);
        if !signed {
            request = request.bearer_auth(token);
        }
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        request = match body {
            Body::Empty => request,
            Body::Json(value) => request.json(value),
            Body::Picture(picture) => {
                request.header(header::CONTENT_TYPE, picture.media_type).body(picture.bytes.clone())
            }
        };
        // Neither the query nor the rest of a signed URL belongs in a message.
        let named = if signed { "the upload URL" } else { path };
        read(format!("{method} {named}"), request).await
    }

    /// Gets new tokens, unless another task has done so since `stale` was read.
    async fn renew(&self, stale: &str) -> anyhow::Result<()> {
        let mut tokens = self.tokens.lock().await;
        if tokens.access == stale {
            *tokens = match self.fetch_tokens(tokens.refresh.clone()).await {
                Ok(renewed) => renewed,
                // The refresh token has ended too: sign in again.
                Err(_) => self.fetch_tokens(None).await?,
            };
        }
        Ok(())
    }

    async fn fetch_tokens(&self, refresh: Option<String>) -> anyhow::Result<Tokens> {
        let form: Vec<(&str, String)> = match refresh {
            Some(token) => {
                vec![("grant_type", "refresh_token".to_owned()), ("refresh_token", token)]
            }
            None => vec![
                ("grant_type", "password".to_owned()),
                ("username", "demo".to_owned()),
                ("password", "demo".to_owned()),
            ],
        };
        let url = format!("{}/v1/token", self.base);
        let mut trying = self.patience.begin();
        let body = loop {
            match read("POST /v1/token".to_owned(), self.http.post(&url).form(&form)).await {
                Ok(reply) => break reply.body,
                Err(error) => trying.after(error).await?,
            }
        };
        Ok(Tokens {
            access: text(&body, "access_token")?.to_owned(),
            refresh: body["refresh_token"].as_str().map(str::to_owned),
        })
    }
}

async fn read(named: String, request: reqwest::RequestBuilder) -> anyhow::Result<Reply> {
    let answer = request.send().await.map_err(|error| anyhow!(error.without_url()))?;
    let (status, retry_after) = (answer.status(), retry_after(answer.headers()));
    let body = answer.bytes().await.map_err(|error| anyhow!(error.without_url()))?;
    let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    if status.is_success() {
        return Ok(Reply { body });
    }
    let detail = body["detail"].as_str().unwrap_or("no explanation");
    Err(anyhow!(Refused { status, detail: detail.to_owned(), request: named, retry_after }))
}

async fn pause_ms(milliseconds: u64) {
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(header::RETRY_AFTER)?.to_str().ok()?.parse().ok().map(Duration::from_secs)
}

fn status(error: &anyhow::Error) -> Option<StatusCode> {
    error.downcast_ref::<Refused>().map(|refused| refused.status)
}

fn is_unauthorized(error: &anyhow::Error) -> bool {
    status(error) == Some(StatusCode::UNAUTHORIZED)
}

fn is_not_found(error: &anyhow::Error) -> bool {
    status(error) == Some(StatusCode::NOT_FOUND)
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
