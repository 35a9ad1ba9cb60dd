//! Commands over REST: register parts, open inspections, upload pictures, ask for verdicts.
//!
//! Invariant: an answer is given only after its events are in the log, and a key is executed once.
//! Absent on purpose: reads (query-api), inference, and any table; the event log is the only truth.

mod api;
mod artifacts;
mod base_url;
mod command;
mod config;
mod inspections;
mod limits;
mod model;
mod mutation;
mod openapi;
mod parts;
mod problems;
mod routes;
mod run;
mod token;
mod uploads;

pub use api::{CommandApi, Dependencies};
pub use base_url::PublicUrl;
pub use config::{CommandApiConfig, RunConfig};
pub use openapi::openapi;
pub use routes::{router, router_described_by};
pub use run::{housekeeping, run};
