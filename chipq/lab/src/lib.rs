//! What is measured about networks and pictures: acceptance of a new network, evaluation on labelled
//! pairs, speed, and the crops that a network is trained on.
//!
//! Absent: the command line, which is `chipq`'s, and everything that inspects a board in production.

pub mod acceptance;
pub mod evaluate;
pub mod outputs;
pub mod speed;
pub mod training;
