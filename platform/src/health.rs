//! Whether a process is alive and ready, as its parts tell it: the same two routes for every role.
//!
//! Invariant: nothing here takes a token or shows data; a part that does not answer in time is not
//! ready. Absent: what ready means, which each part knows.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Extension, Json, Router};
use futures::future::{BoxFuture, join_all};
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio::time::Instant;
use utoipa::ToSchema;

use crate::access_attempts::AttemptRecorder;
use crate::http::{
    self, AnsweredHosts, HttpConfig, ProxyConfig, ServerEntry, check_host, entry_page,
    problem_pages,
};
use crate::metrics;
use crate::shutdown::Shutdown;

/// How long each part may take to say whether it is ready.
pub const READY_TIMEOUT: Duration = Duration::from_secs(2);

/// Where a role that serves nothing else answers for its health.
#[derive(Debug, Clone, clap::Args)]
pub struct HealthConfig {
    /// Answers /healthz, /readyz and /metrics here, such as 0.0.0.0:9464 for probes of Kubernetes;
    /// nowhere when it is not set. No token is asked for, no data shown.
    #[arg(long, env = "CHIPQ_HEALTH_LISTEN", value_name = "ADDR")]
    #[arg(value_parser = crate::config::listen_address)]
    pub health_listen: Option<SocketAddr>,
    /// Whose word about addresses is logged.
    #[command(flatten)]
    pub proxies: ProxyConfig,
}

/// One thing that has to be ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Check {
    /// What.
    pub name: String,
    /// Whether it is.
    pub ready: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Whether the rest is of use without it: it does not keep the process from being ready.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
}

impl Check {
    /// Ready, or why not.
    #[must_use]
    pub fn new(name: impl Into<String>, outcome: Result<(), String>) -> Self {
        Self { name: name.into(), ready: outcome.is_ok(), detail: outcome.err(), optional: false }
    }

    /// The same of something without which the rest is of use.
    #[must_use]
    pub fn degrading(name: impl Into<String>, outcome: Result<(), String>) -> Self {
        Self { optional: true, ..Self::new(name, outcome) }
    }
}

/// Whether reads can be served.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Readiness {
    /// Whether everything is that has to be.
    ready: bool,
    /// Everything that was looked at.
    checks: Vec<Check>,
}

/// A part of a process that knows whether it is ready.
pub trait Probe: Send + Sync {
    /// What stands for the whole part when it does not answer in time.
    fn name(&self) -> &'static str;

    /// Everything of it that has to be ready.
    fn checks(&self) -> BoxFuture<'_, Vec<Check>>;
}

/// For so long all parts are as they were found: whoever may ask without a token could keep the database
/// busy with it.
const READY_FOR: Duration = Duration::from_secs(1);
/// The same while something is not ready, so that whoever waits for the start does not wait for this.
const NOT_READY_FOR: Duration = Duration::from_millis(100);

/// The parts of one process, and how they were found last.
pub struct ProbedParts {
    probes: Vec<Arc<dyn Probe>>,
    /// Whoever asks meanwhile waits for the look under way.
    found: Mutex<Option<(Instant, Readiness)>>,
}

impl ProbedParts {
    async fn readiness(&self) -> Readiness {
        let mut found = self.found.lock().await;
        if let Some((at, readiness)) = &*found {
            let lasts = if readiness.ready { READY_FOR } else { NOT_READY_FOR };
            if at.elapsed() < lasts {
                return readiness.clone();
            }
        }
        let asked = self.probes.iter().map(|probe| ask_in_time(&**probe));
        let checks = merge_checks(join_all(asked).await.into_iter().flatten());
        let ready = checks.iter().all(|check| check.ready || check.optional);
        let readiness = Readiness { ready, checks };
        *found = Some((Instant::now(), readiness.clone()));
        readiness
    }
}

/// `GET /healthz`, which only says that the process answers, and `GET /readyz`, which names what is
/// not ready of `probes`.
pub fn router(probes: Vec<Arc<dyn Probe>>) -> Router {
    let parts = Arc::new(ProbedParts { probes, found: Mutex::default() });
    let ready = Router::new().route("/readyz", get(get_readiness)).with_state(parts);
    ready.route("/healthz", get(get_liveness))
}

/// What a process serves.
pub struct ServerSurface {
    /// What it says of itself.
    pub entry: ServerEntry,
    /// What its services answer.
    pub router: Router,
    /// What has to be ready.
    pub probes: Vec<Arc<dyn Probe>>,
    /// Who hears of those that are let in and refused.
    pub attempts: AttemptRecorder,
}

/// Serves `surface` until `shutdown`, with health, metrics and the pages about problems beside it, and one that
/// leads to all of them.
///
/// # Errors
/// When the listener does not know its own address.
pub fn serve_with_health(
    listener: TcpListener,
    surface: ServerSurface,
    config: &HttpConfig,
    shutdown: Shutdown,
) -> impl Future<Output = io::Result<()>> + Send + use<> {
    let ServerSurface { entry, router, probes, attempts } = surface;
    let router_with_health = router.merge(self::router(probes)).merge(metrics::router());
    let router_with_pages = router_with_health.merge(problem_pages()).merge(entry_page(entry));
    let config = config.clone();
    async move {
        let hosts = AnsweredHosts::behind(listener.local_addr()?, config.public_host.as_deref());
        let checked = router_with_pages.layer(from_fn_with_state(hosts, check_host));
        let router = http::wrap(checked, &config).layer(Extension(attempts));
        http::serve(listener, router, config.connections, shutdown).await;
        Ok(())
    }
}

/// Serves health and metrics alone, for a role that serves nothing else.
///
/// # Errors
/// As [`serve_with_health`].
pub fn serve_health(
    listener: TcpListener,
    (entry, proxies): (ServerEntry, ProxyConfig),
    probes: Vec<Arc<dyn Probe>>,
    shutdown: Shutdown,
) -> impl Future<Output = io::Result<()>> + Send {
    let attempts = AttemptRecorder::default();
    let surface = ServerSurface { entry, router: Router::new(), probes, attempts };
    let config = HttpConfig { proxies, ..HttpConfig::default() };
    serve_with_health(listener, surface, &config, shutdown)
}

/// The process answers.
#[utoipa::path(get, path = "/healthz", operation_id = "getLiveness",
    tag = "health", security(()), responses((status = 200, description = "It lives")))]
pub async fn get_liveness() -> &'static str {
    "ok\n"
}

/// Whether reads can be served, and what is missing. Looked at once a second at most.
#[utoipa::path(get, path = "/readyz", operation_id = "getReadiness",
    tag = "health", security(()), responses(
    (status = 200, description = "Ready", body = Readiness),
    (status = 503, description = "What is missing", body = Readiness)))]
pub async fn get_readiness(State(parts): State<Arc<ProbedParts>>) -> Response {
    let readiness = parts.readiness().await;
    if readiness.ready {
        return Json(readiness).into_response();
    }
    let retry = [(header::RETRY_AFTER, "1")];
    (StatusCode::SERVICE_UNAVAILABLE, retry, Json(readiness)).into_response()
}

async fn ask_in_time(probe: &dyn Probe) -> Vec<Check> {
    let late = |_| vec![Check::new(probe.name(), Err("no answer in time".to_owned()))];
    tokio::time::timeout(READY_TIMEOUT, probe.checks()).await.unwrap_or_else(late)
}

/// Two parts of a process may look at the same thing: it is told once, and the worse answer counts.
fn merge_checks(checks: impl Iterator<Item = Check>) -> Vec<Check> {
    let mut merged = Vec::<Check>::new();
    for check in checks {
        match merged.iter_mut().find(|known| known.name == check.name) {
            None => merged.push(check),
            Some(known) if known.ready => *known = check,
            Some(_) => {}
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use futures::FutureExt as _;
    use tower::ServiceExt as _;

    use super::*;

    struct FixedProbe(Vec<Check>);

    impl Probe for FixedProbe {
        fn name(&self) -> &'static str {
            "fixed"
        }

        fn checks(&self) -> BoxFuture<'_, Vec<Check>> {
            std::future::ready(self.0.clone()).boxed()
        }
    }

    struct StuckProbe;

    impl Probe for StuckProbe {
        fn name(&self) -> &'static str {
            "stuck"
        }

        fn checks(&self) -> BoxFuture<'_, Vec<Check>> {
            std::future::pending().boxed()
        }
    }

    async fn get(probes: Vec<Arc<dyn Probe>>, path: &str) -> (StatusCode, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let answer = router(probes).oneshot(request).await.unwrap();
        let status = answer.status();
        let body = to_bytes(answer.into_body(), 1 << 16).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    fn fixed(checks: &[Check]) -> Arc<dyn Probe> {
        Arc::new(FixedProbe(checks.to_vec()))
    }

    #[tokio::test]
    async fn what_is_not_ready_is_named_with_the_reason_and_the_process_is_alive_all_the_same() {
        let away = Check::new("engine", Err("it is away".to_owned()));
        let checks = vec![Check::new("leases", Ok(())), away];
        let (status, body) = get(vec![fixed(&checks)], "/readyz").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(
            body.contains(r#"{"name":"engine","ready":false,"detail":"it is away"}"#),
            "{body}"
        );
        assert_eq!(get(vec![fixed(&checks)], "/healthz").await.0, StatusCode::OK);
        assert_eq!(get(vec![fixed(&checks[..1])], "/readyz").await.0, StatusCode::OK);
    }

    #[tokio::test]
    async fn what_only_degrades_is_named_and_the_process_is_ready_all_the_same() {
        let provider = Check::degrading("provider", Err("it is away".to_owned()));
        let (status, body) = get(vec![fixed(std::slice::from_ref(&provider))], "/readyz").await;
        assert_eq!(status, StatusCode::OK);
        let named = r#"{"name":"provider","ready":false,"detail":"it is away","optional":true}"#;
        assert!(body.starts_with(r#"{"ready":true"#) && body.contains(named), "{body}");
        let away = Check::new("engine", Err("it is away".to_owned()));
        let (status, _) = get(vec![fixed(&[provider, away])], "/readyz").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "the control");
    }

    #[tokio::test]
    async fn what_two_parts_look_at_is_told_once_and_the_worse_answer_counts() {
        let well = Check::new("event-log", Ok(()));
        let away = Check::new("event-log", Err("it is away".to_owned()));
        for order in [[&well, &away], [&away, &well]] {
            let probes = order.map(|check| fixed(std::slice::from_ref(check)));
            let (status, body) = get(probes.to_vec(), "/readyz").await;
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(body.matches("event-log").count(), 1, "{body}");
        }
    }

    #[tokio::test]
    async fn a_part_that_does_not_answer_in_time_is_not_ready_and_holds_nobody_up() {
        let well = Check::new("event-log", Ok(()));
        let (status, body) = get(vec![Arc::new(StuckProbe), fixed(&[well])], "/readyz").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(body.contains(r#""name":"stuck","ready":false"#), "{body}");
        assert!(body.contains(r#""name":"event-log","ready":true"#), "{body}");
    }
}
