//! placeholder

pub mod event_log;
pub mod execute;
pub mod idempotency;
