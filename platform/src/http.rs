//! HTTP as every service speaks it: problems, traces, limits, strict JSON bodies, graceful serving.
//!
//! Invariant: every error that leaves a wrapped router is `application/problem+json` with the trace
//! id, and nothing internal is in it. Absent: routes, which belong to services.

mod accept;
mod access_log;
mod attempt_notes;
mod client_address;
mod content_headers;
mod cors;
pub mod describe;
mod entry_page;
mod extract;
mod host;
mod json;
mod layers;
mod page;
mod preferred_wait;
mod principal_rate;
mod problem;
pub mod problem_pages;
mod problem_type;
mod quote;
mod rate_limit;
mod refusals;
mod request_caller;
mod serve;
mod trusted_proxies;
mod unread_body;

#[cfg(test)]
mod tests;

pub use accept::choose_offer;
pub use attempt_notes::AttemptNotes;
pub use client_address::ClientAddress;
pub use cors::{CorsConfig, Origin};
pub use entry_page::{PageLink, ServerEntry};
pub use extract::{Authenticated, JSON_BODY_MAX_BYTES, JsonBody, NoBody};
pub use json::{parse_json, read_json};
pub use layers::{HttpConfig, wrap};
pub use preferred_wait::{PreferredWait, WaitPlaces, Waiting};
pub use principal_rate::{PrincipalRate, RoleRates};
pub use problem::{FieldError, Problem};
pub use problem_type::ProblemType;
pub use quote::abbreviate;
pub use rate_limit::{RateExceeded, RateLimit, ShownRateLimit};
pub use request_caller::RequestCaller;
pub use serve::{ConnectionLimits, DRAIN_LIMIT, serve};
pub use trusted_proxies::{ProxyConfig, TrustedNetwork};

pub(crate) use entry_page::entry_page;
pub(crate) use host::{AnsweredHosts, check_host};
pub(crate) use problem_pages::problem_pages;
