//! HTTP as every service speaks it: problems, traces, limits, strict JSON bodies, graceful serving.
//!
//! Invariant: every error that leaves a wrapped router is `application/problem+json` with the trace
//! id, and nothing internal is in it. Absent: routes, and rate limits, which belong to services.

mod extract;
mod layers;
mod problem;
mod refusals;
mod serve;

#[cfg(test)]
mod tests;

pub use extract::{Authenticated, JSON_BODY_MAX_BYTES, JsonBody, NoBody, parse_json};
pub use layers::{HttpConfig, wrap};
pub use problem::{FieldError, Problem, TYPE_PREFIX};
pub use serve::{DRAIN_LIMIT, serve};
