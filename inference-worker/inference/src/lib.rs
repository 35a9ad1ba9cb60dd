//! Crops to answers: the engines, the batcher that fills their batches with crops of several boards,
//! and the comparison of a picture with its golden sample that stands on both.
//!
//! Absent: the log and the store, which are the worker's; and how pictures become crops, which is
//! `vision`'s.

pub mod availability;
pub mod batcher;
pub mod comparison;
pub mod engine;
pub mod metrics;
#[cfg(test)]
mod test_support;
