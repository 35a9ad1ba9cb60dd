//! What every service stands on: the event log, artifacts at rest, tokens, HTTP, configuration.
//!
//! Nothing here names a service, and `domain` is imported only for the aggregate trait and the
//! values that every service shares. See `docs/architecture.md` for who may touch what.

pub mod access;
pub mod access_attempts;
pub mod artifact_store;
pub mod auth;
pub mod backoff;
pub mod config;
pub mod descriptors;
pub mod disk;
pub mod embedded_postgres;
pub mod event_log;
pub mod execute;
pub mod follower;
pub mod foundation;
pub mod health;
pub mod http;
pub mod idempotency;
pub mod identity_provider;
pub mod key_holders;
pub mod metrics;
pub mod ownership;
pub mod picture_memory;
pub mod postgres;
pub mod projection_repair;
pub mod shared_reads;
pub mod shutdown;
pub mod telemetry;
#[doc(hidden)]
pub mod test_support;
