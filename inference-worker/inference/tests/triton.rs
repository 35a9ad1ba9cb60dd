//! The model repository and the Triton engine on a real Triton server, which `deploy/ensure-triton`
//! installs where there is none.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "triton/answers.rs"]
mod answers;
#[path = "triton/client.rs"]
mod client;
#[path = "triton/http.rs"]
mod http;
#[path = "triton/neighbours.rs"]
mod neighbours;
#[path = "triton/outages.rs"]
mod outages;
#[path = "triton/repository.rs"]
mod repository;
#[path = "triton/server.rs"]
mod server;
#[path = "triton/serving.rs"]
mod serving;
#[path = "triton/versions.rs"]
mod versions;
