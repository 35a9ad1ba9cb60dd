//! Pictures to findings: golden comparison on a batching engine, the worker that follows the log, the
//! generator of boards, and the evaluation of the shipped network.

pub mod acceptance;
pub mod batcher;
pub mod boards;
pub mod comparison;
pub mod engine;
pub mod evaluate;
pub mod metrics;
mod service;
pub mod speed;
pub mod training;
pub mod vision;
pub mod worker;

pub use service::{Service, WorkerConfig};
