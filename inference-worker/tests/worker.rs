//! The worker on a real log, a real store, the embedded network and generated boards.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "worker/causes.rs"]
mod causes;
#[path = "worker/comparing.rs"]
mod comparing;
#[path = "worker/engines.rs"]
mod engines;
#[path = "worker/golden_sets.rs"]
mod golden_sets;
#[path = "worker/large_pictures.rs"]
mod large_pictures;
#[path = "worker/line.rs"]
mod line;
#[path = "worker/resilience.rs"]
mod resilience;
#[path = "worker/routing.rs"]
mod routing;
#[path = "worker/scales.rs"]
mod scales;
#[path = "worker/sharing.rs"]
mod sharing;
#[path = "worker/views.rs"]
mod views;
