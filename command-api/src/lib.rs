//! Commands over REST: register parts, open inspections, upload pictures, ask for verdicts.
//!
//! Invariant: an answer is given only after its events are in the log, and a key is executed once.
//! Absent on purpose: reads (query-api), inference, and any table; the event log is the only truth.
//!
//! There is a file for each resource, with the body, the handler and the description of each command
//! together; what grows beyond it has a file in the folder beside it. To add a command:
//!
//! 1. `<resource>.rs`: the body that parses into values of the domain, the handler that dispatches a
//!    `command::Plan`, and its line in `routes`. A resource that is new (a verification, a recipe, a
//!    route) is a new file, its line in `routes.rs`, and a permission in `command.rs`.
//! 2. `tests/api`: what it does, and its bad input.
//! 3. `UPDATE_SCHEMAS=1 cargo test -p chipq --test openapi` rewrites the OpenAPI file.

mod access;
mod announcer;
mod api;
mod base_url;
mod command;
mod config;
mod descriptions;
mod docs_page;
mod file_check;
mod golden_check;
mod health;
mod housekeeping;
mod in_flight;
mod inspections;
mod notification_secret;
mod parts;
mod picture_retention;
mod problems;
mod reason;
mod routes;
mod token;
mod uploads;

pub use api::{CommandApi, Dependencies};
pub use config::{CommandApiConfig, PublicUrl};
pub use housekeeping::housekeeping;
pub use notification_secret::NotificationConfig;
pub use routes::{PAGES, openapi, router, router_described_by};
