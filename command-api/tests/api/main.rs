//! The command API as a client sees it: its router, on a real PostgreSQL, a fresh database each.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

mod access;
mod bad_input;
mod conditional;
mod golden_samples;
mod happy_path;
mod idempotency;
mod openapi;
mod outage;
mod pictures;
mod recipes;
mod reservations;
mod support;
mod tokens;
mod uploads;
