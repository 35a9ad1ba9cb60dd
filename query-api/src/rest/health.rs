//! `GET /healthz`, which only says that the process answers, and `GET /readyz`, which names what is
//! not ready. Neither takes a token or shows data.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use domain::ProjectionName;
use platform::event_log::Position;
use platform::health::{Probe, READY_TIMEOUT};
use serde::Serialize;
use utoipa::ToSchema;

use crate::QueryApi;
use crate::error::QueryError;
use crate::query_context::QueryContext;
use crate::read_model::projections;
use crate::read_model::words::GenerationStatusWord;

/// One thing that has to be ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Check)]
pub(super) struct ReadinessCheck {
    /// What.
    name: String,
    /// Whether it is.
    ready: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

/// Whether reads can be served.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Readiness)]
pub(super) struct ReadinessBody {
    /// Whether everything is.
    ready: bool,
    /// Everything that has to be.
    checks: Vec<ReadinessCheck>,
}

/// The process answers.
#[utoipa::path(get, path = "/healthz", operation_id = "getLiveness",
    tag = "health", responses((status = 200)))]
pub(super) async fn get_liveness() -> &'static str {
    "ok\n"
}

/// Whether reads can be served, and what is missing.
#[utoipa::path(get, path = "/readyz", operation_id = "getReadiness",
    tag = "health",
    responses((status = 200, body = ReadinessBody), (status = 503, body = ReadinessBody)))]
pub(super) async fn get_readiness(State(api): State<QueryApi>) -> Response {
    let asked = tokio::time::timeout(READY_TIMEOUT, check_read_models(api.context()));
    let others = tokio::time::timeout(READY_TIMEOUT, check_probes(api.health_probes()));
    let (asked, others) = tokio::join!(asked, others);
    let late = |name| move |_| vec![not_ready(name, "no answer in time".into())];
    let mut checks = asked.unwrap_or_else(late("database"));
    checks.extend(others.unwrap_or_else(late("other-parts")));
    let ready = checks.iter().all(|check| check.ready);
    let readiness = Json(ReadinessBody { ready, checks });
    if ready {
        return readiness.into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")], readiness).into_response()
}

/// What other parts of the process say.
async fn check_probes(probes: &[Arc<dyn Probe>]) -> Vec<ReadinessCheck> {
    let asked = probes.iter().map(|probe| probe.checks());
    let checks = futures::future::join_all(asked).await.into_iter().flatten();
    checks
        .map(|part| ReadinessCheck { name: part.name, ready: part.ready, detail: part.detail })
        .collect()
}

async fn check_read_models(context: &QueryContext) -> Vec<ReadinessCheck> {
    let found = match projections::read_generations(&context.pool).await {
        Ok(found) => found,
        Err(error) => return vec![not_ready("database", error.to_string())],
    };
    let mut checks = vec![is_ready("database".into())];
    let serving = |projection: ProjectionName| {
        found.iter().find(|row| {
            row.projection == projection.as_str() && row.status == GenerationStatusWord::Serving
        })
    };
    let positions =
        ProjectionName::ALL.map(|projection| serving(projection).map(|row| row.position));
    let known: Vec<Position> = positions.iter().flatten().map(|at| (*at).into()).collect();
    let lags = match context.read_lags(&known).await {
        Ok((_, lags)) => {
            checks.push(is_ready("event-log".into()));
            lags
        }
        Err(error) => {
            checks.push(not_ready("event-log", error.to_string()));
            vec![0.0; known.len()]
        }
    };
    let mut lags = lags.into_iter();
    for (projection, position) in ProjectionName::ALL.into_iter().zip(positions) {
        let lag = position.and_then(|_| lags.next());
        checks.push(projection_check(projection, lag, context.config.ready_lag()));
    }
    checks
}

fn projection_check(
    projection: ProjectionName,
    lag_s: Option<f64>,
    limit: Duration,
) -> ReadinessCheck {
    let name = format!("projection:{}", projection.as_str());
    match lag_s {
        None => not_ready(&name, QueryError::NotBuilt.to_string()),
        Some(lag) if lag > limit.as_secs_f64() => {
            let most = limit.as_secs_f64();
            not_ready(&name, format!("it is {lag:.1} s behind the log, the most is {most} s"))
        }
        Some(_) => is_ready(name),
    }
}

fn is_ready(name: String) -> ReadinessCheck {
    ReadinessCheck { name, ready: true, detail: None }
}

fn not_ready(name: &str, detail: String) -> ReadinessCheck {
    ReadinessCheck { name: name.to_owned(), ready: false, detail: Some(detail) }
}
