//! Readiness as parts of a process tell it, and the listener of roles that serve nothing else.
//!
//! Invariant: nothing here takes a token or shows data; a part that does not answer in time is not
//! ready. Absent: what ready means, which each part knows.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use futures::future::BoxFuture;
use serde::Serialize;

/// How long all checks together may take.
pub const READY_TIMEOUT: Duration = Duration::from_secs(2);

/// One thing that has to be ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What.
    pub name: String,
    /// Whether it is.
    pub ready: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Check {
    /// Ready, or why not.
    #[must_use]
    pub fn new(name: impl Into<String>, outcome: Result<(), String>) -> Self {
        Self { name: name.into(), ready: outcome.is_ok(), detail: outcome.err() }
    }
}

/// A part of a process that knows whether it is ready.
pub trait Probe: Send + Sync {
    /// Everything of it that has to be ready.
    fn checks(&self) -> BoxFuture<'_, Vec<Check>>;
}

#[derive(Serialize)]
struct Readiness {
    ready: bool,
    checks: Vec<Check>,
}

/// `GET /healthz`, which only says that the process answers, and `GET /readyz`, which names what is
/// not ready.
pub fn router(probe: Arc<dyn Probe>) -> Router {
    let router = Router::new().route("/readyz", get(ready)).with_state(probe);
    router.route("/healthz", get(async || "ok\n"))
}

async fn ready(State(probe): State<Arc<dyn Probe>>) -> Response {
    let asked = tokio::time::timeout(READY_TIMEOUT, probe.checks()).await;
    let late = |_| vec![Check::new("probe", Err("no answer in time".to_owned()))];
    let checks = asked.unwrap_or_else(late);
    let ready = checks.iter().all(|check| check.ready);
    let readiness = Json(Readiness { ready, checks });
    if ready {
        return readiness.into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")], readiness).into_response()
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use futures::FutureExt as _;
    use tower::ServiceExt as _;

    use super::*;

    struct Says(Vec<Check>);

    impl Probe for Says {
        fn checks(&self) -> BoxFuture<'_, Vec<Check>> {
            std::future::ready(self.0.clone()).boxed()
        }
    }

    async fn get(checks: Vec<Check>, path: &str) -> (StatusCode, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let answer = router(Arc::new(Says(checks))).oneshot(request).await.unwrap();
        let status = answer.status();
        let body = to_bytes(answer.into_body(), 1 << 16).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn what_is_not_ready_is_named_with_the_reason_and_the_process_is_alive_all_the_same() {
        let away = Check::new("engine", Err("it is away".to_owned()));
        let checks = vec![Check::new("leases", Ok(())), away];
        let (status, body) = get(checks.clone(), "/readyz").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(
            body.contains(r#"{"name":"engine","ready":false,"detail":"it is away"}"#),
            "{body}"
        );
        assert_eq!(get(checks.clone(), "/healthz").await.0, StatusCode::OK);
        assert_eq!(get(checks[..1].to_vec(), "/readyz").await.0, StatusCode::OK);
    }
}
