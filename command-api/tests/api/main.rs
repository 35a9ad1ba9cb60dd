//! The command API as a client sees it: its router, on a real PostgreSQL, a fresh database each.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

mod access;
mod assertions;
mod attacks;
mod attempts;
mod bad_input;
mod conditional;
mod golden_samples;
mod happy_path;
mod idempotency;
mod metadata;
mod openapi;
mod outage;
mod picture_retention;
mod pictures;
mod principals;
mod recipes;
mod reservations;
mod revocation;
mod sessions;
mod support;
mod tokens;
mod uploads;
