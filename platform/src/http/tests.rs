//! A wrapped router, asked in every wrong way.

mod bodies;
mod connections;
mod content_headers;
mod cors;
mod half_closed;
mod hosts;
mod problem_pages;
mod refusals;
mod unread_bodies;

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{FromRef, Path, Query};
use axum::http::header::{self, HeaderMap};
use axum::http::{Request, StatusCode};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use chrono::Utc;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::*;
use crate::auth::{Actor, KeyRing, Scope, TokenConfig, TokenIssuer, TokenVerifier};
use crate::telemetry::TraceContext;

#[derive(Clone)]
struct App {
    verifier: Arc<TokenVerifier>,
}

impl FromRef<App> for Arc<TokenVerifier> {
    fn from_ref(app: &App) -> Self {
        Arc::clone(&app.verifier)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Command {
    lot: domain::Lot,
    #[serde(default)]
    views: Vec<View>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct View {
    count: u32,
}

#[derive(Deserialize)]
struct Page {
    limit: u32,
}

fn issuer() -> (tempfile::TempDir, TokenIssuer) {
    let folder = tempfile::tempdir().unwrap();
    let keys = KeyRing::open(folder.path(), Utc::now()).unwrap();
    (folder, TokenIssuer::new(keys, TokenConfig::default()))
}

fn router(issuer: &TokenIssuer) -> Router {
    let config = HttpConfig {
        request_timeout: Duration::from_millis(100),
        upload_timeout: Duration::from_millis(100),
        max_body_bytes: 100_000,
        ..HttpConfig::default()
    };
    let routes = Router::new()
        .route("/echo", post(async |JsonBody(command): JsonBody<Command>| Json(command)))
        .route("/who", get(async |Authenticated(actor): Authenticated| actor.subject))
        .route("/void", post(void))
        .route("/trace", get(async |trace: TraceContext| trace.traceparent))
        .route("/page", get(async |Query(page): Query<Page>| page.limit.to_string()))
        .route("/number/{n}", get(async |Path(n): Path<u32>| n.to_string()))
        .route("/panic", get(panics))
        .route("/slow", get(slow).put(slow))
        .route("/text/{length}", get(async |Path(length): Path<usize>| "text".repeat(length / 4)))
        .route("/picture", get(async || ([(header::CONTENT_TYPE, "image/png")], vec![0; 4096])))
        .route("/bytes", put(async |body: axum::body::Bytes| body.len().to_string()))
        .with_state(App { verifier: Arc::new(issuer.verifier()) });
    wrap(routes.merge(problem_pages()), &config)
}

async fn void(Authenticated(actor): Authenticated) -> Result<&'static str, Problem> {
    actor.require(Scope::InspectionsVoid)?;
    Ok("voided")
}

async fn panics() -> &'static str {
    panic!("the secret cause")
}

async fn slow() {
    std::future::pending().await
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The body as a problem, after checking what all problems have in common.
    fn problem(&self, status: u16, name: &str) -> Value {
        let body: Value = serde_json::from_str(&self.text).unwrap();
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(body["type"], format!("urn:chipq:problem:{name}"));
        assert_eq!(body["status"], status);
        assert!(body["title"].as_str().is_some_and(|title| !title.is_empty()));
        assert_eq!(body["trace_id"].as_str().unwrap().len(), 32);
        assert!(body["instance"].as_str().unwrap().starts_with('/'));
        body
    }
}

async fn ask(router: &Router, request: Request<Body>) -> Answer {
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, 1 << 20).await.unwrap();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Answer { status: parts.status, headers: parts.headers, text }
}

async fn get_path(router: &Router, path: &str) -> Answer {
    ask(router, Request::get(path).body(Body::empty()).unwrap()).await
}
