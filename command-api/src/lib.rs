//! Commands over REST: register parts, open inspections, upload pictures, ask for verdicts.
//!
//! Invariant: an answer is given only after its events are in the log, and a key is executed once.
//! Absent on purpose: reads (query-api), inference, and any table; the event log is the only truth.
//!
//! There is a folder for each resource and a file for each command, with its body, its handler and
//! its description together. To add a command:
//!
//! 1. `<resource>/<command>.rs`: the body that parses into values of the domain, and the handler
//!    that dispatches a `command::Plan`. A resource that is new (a verification, a recipe, a route)
//!    is a new folder beside the others.
//! 2. `<resource>.rs`: its line in `routes`; for a new resource, `routes.rs`, and a permission in
//!    `mutation.rs`.
//! 3. `tests/api`: what it does, and its bad input.
//! 4. `UPDATE_SCHEMAS=1 cargo test -p chipq --test openapi` rewrites the OpenAPI file.

mod api;
mod artifacts;
mod base_url;
mod command;
mod config;
mod health;
mod housekeeping;
mod inspections;
mod limits;
mod mutation;
mod openapi;
mod parts;
mod problems;
mod routes;
mod token;
mod uploads;

pub use api::{CommandApi, Dependencies};
pub use base_url::PublicUrl;
pub use config::CommandApiConfig;
pub use housekeeping::housekeeping;
pub use openapi::openapi;
pub use routes::{router, router_described_by};
