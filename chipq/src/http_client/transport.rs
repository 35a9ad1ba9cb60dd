//! Sends one call until it is answered: tokens, attempts, problems.

use std::time::Duration;

use anyhow::anyhow;
use reqwest::header::{self, HeaderMap};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::Value;
use tokio::sync::Mutex;

use super::retry::{Patience, Refused, status};
use super::{PictureFile, text};

/// How long one attempt may take.
const ATTEMPT_LIMIT: Duration = Duration::from_secs(30);
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// A call of the API.
pub(super) struct Call<'a> {
    pub(super) method: Method,
    /// A path with its query, or a whole URL that carries its own permission.
    pub(super) path: &'a str,
    /// The Idempotency-Key of a mutation.
    pub(super) key: Option<&'a str>,
    pub(super) body: Body<'a>,
    /// What else is sent, as an announcement said it.
    pub(super) headers: Vec<(String, String)>,
    /// The media type that is wanted.
    pub(super) accept: &'static str,
    /// What is preferred of the answer (RFC 7240).
    pub(super) prefer: Option<&'static str>,
}

/// What a call carries.
pub(super) enum Body<'a> {
    Empty,
    Json(Value),
    Picture(&'a PictureFile),
}

impl<'a> Call<'a> {
    pub(super) fn new(method: Method, path: &'a str) -> Self {
        Self {
            method,
            path,
            key: None,
            body: Body::Empty,
            headers: Vec::new(),
            accept: "application/json",
            prefer: None,
        }
    }

    pub(super) fn get(path: &'a str) -> Self {
        Self::new(Method::GET, path)
    }
}

/// A connection to the platform, with a token.
pub(super) struct Transport {
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

impl Transport {
    /// Signs in as the demo user.
    pub(super) async fn sign_in(base: &str, patience: Patience) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .connect_timeout(CONNECT_LIMIT)
            .timeout(ATTEMPT_LIMIT)
            .build()?;
        let base = base.trim_end_matches('/').to_owned();
        let mut transport = Self { http, base, patience, tokens: Mutex::default() };
        transport.tokens = Mutex::new(transport.fetch_tokens(None).await?);
        Ok(transport)
    }

    /// Whether a URL is one of the platform.
    pub(super) fn is_own_url(&self, url: &str) -> bool {
        url.strip_prefix(&self.base).is_some_and(|path| path.starts_with('/'))
    }

    /// Sends until it is answered, refused for good, or patience ends; returns the answer's body.
    pub(super) async fn send(&self, call: Call<'_>) -> anyhow::Result<Vec<u8>> {
        let mut trying = self.patience.begin();
        loop {
            match self.authorised(&call).await {
                Ok(body) => return Ok(body),
                Err(error) => trying.after(error).await?,
            }
        }
    }

    /// One attempt; a token that has expired is renewed.
    async fn authorised(&self, call: &Call<'_>) -> anyhow::Result<Vec<u8>> {
        let token = self.tokens.lock().await.access.clone();
        match self.attempt(call, &token).await {
            Err(error) if status(&error) == Some(StatusCode::UNAUTHORIZED) => {
                self.renew(&token).await?;
                let token = self.tokens.lock().await.access.clone();
                self.attempt(call, &token).await
            }
            outcome => outcome,
        }
    }

    async fn attempt(&self, call: &Call<'_>, token: &str) -> anyhow::Result<Vec<u8>> {
        let signed = call.path.starts_with("http");
        let mut request = if signed {
            self.http.request(call.method.clone(), call.path)
        } else {
            let url = format!("{}{}", self.base, call.path);
            self.http.request(call.method.clone(), url).bearer_auth(token)
        };
        request = request.header(header::ACCEPT, call.accept);
        if let Some(key) = call.key {
            request = request.header("Idempotency-Key", key);
        }
        if let Some(preference) = call.prefer {
            request = request.header("Prefer", preference);
        }
        request = match &call.body {
            Body::Empty => request,
            Body::Json(value) => request.json(value),
            Body::Picture(PictureFile { bytes, .. }) => request.body(bytes.clone()),
        };
        for (name, value) in &call.headers {
            request = request.header(name, value);
        }
        // Neither the query nor the rest of a signed URL belongs in a message.
        let named = if signed { "the upload URL" } else { call.path };
        read(format!("{} {named}", call.method), request).await
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
                Ok(body) => break body,
                Err(error) => trying.after(error).await?,
            }
        };
        let body: Value = serde_json::from_slice(&body)?;
        Ok(Tokens {
            access: text(&body, "access_token")?.to_owned(),
            refresh: body["refresh_token"].as_str().map(str::to_owned),
        })
    }
}

async fn read(named: String, request: RequestBuilder) -> anyhow::Result<Vec<u8>> {
    let answer = request.send().await.map_err(|error| anyhow!(error.without_url()))?;
    let (status, retry_after) = (answer.status(), retry_after(answer.headers()));
    let body = answer.bytes().await.map_err(|error| anyhow!(error.without_url()))?;
    if status.is_success() {
        return Ok(body.into());
    }
    let problem: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let detail = problem["detail"].as_str().unwrap_or("no explanation").to_owned();
    Err(anyhow!(Refused { status, detail, request: named, retry_after }))
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(header::RETRY_AFTER)?.to_str().ok()?.parse().ok().map(Duration::from_secs)
}
