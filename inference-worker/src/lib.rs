//! The worker that follows the log and compares every uploaded picture with its golden sample.
//!
//! How pictures become crops is `vision`'s, how crops become answers `inference`'s; `boards` generates
//! what tests inspect. All three lie in this folder and know nothing of the worker.

mod metrics;
mod service;
pub mod worker;

pub use service::{Service, WorkerConfig};
