//! HTTP as every service speaks it: problems, traces, limits, strict JSON bodies, graceful serving.
//!
//! Invariant: every error that leaves a wrapped router is `application/problem+json` with the trace
//! id, and nothing internal is in it. Absent: routes, and rate limits, which belong to services.

mod authenticated;
mod json;
mod layers;
mod problem;
mod refusals;
mod serve;
mod trace;

#[cfg(test)]
mod tests;

use std::time::Duration;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::limit::RequestBodyLimitLayer;

pub use authenticated::Authenticated;
pub use json::{JSON_BODY_MAX_BYTES, JsonBody, parse_json};
pub use problem::{FieldError, Problem, TYPE_PREFIX};
pub use serve::{DRAIN_LIMIT, serve};

/// The limits of [`wrap`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpConfig {
    /// How long a handler may take to begin its answer; 504 afterwards. Default 30 s.
    pub request_timeout: Duration,
    /// The same for `PUT`, which carries uploads. Default 5 min.
    pub upload_timeout: Duration,
    /// Largest request body in bytes; 413 beyond. Default 33 MiB: one picture and a little more.
    pub max_body_bytes: usize,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            request_timeout: Duration::from_secs(30),
            upload_timeout: Duration::from_secs(300),
            max_body_bytes: 33 << 20,
        }
    }
}

/// Gives `router` everything that is common: trace context and request log, security headers,
/// panics, time and body limits as problems, 404 and 405 as problems.
///
/// It sets the router's fallback: serve a single-page application from a wildcard route, not from a
/// fallback. Call it once, on the outermost router.
pub fn wrap(router: Router, config: &HttpConfig) -> Router {
    router
        .fallback(layers::not_found)
        .method_not_allowed_fallback(layers::method_not_allowed)
        .layer(RequestBodyLimitLayer::new(config.max_body_bytes))
        .layer(from_fn_with_state(config.clone(), layers::time_limit))
        .layer(CatchPanicLayer::custom(layers::answer_panic))
        .layer(from_fn(layers::errors_are_problems))
        .layer(from_fn(layers::security_headers))
        .layer(from_fn(trace::trace_request))
}
