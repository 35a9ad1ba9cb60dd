//! Retires pictures: says so in the log once their retention period is over, and deletes the files of what the log
//! says is retired.
//!
//! Invariants: no file is deleted that the log does not say was retired; nothing is retired before its period is over
//! by the database's clock, nor without a policy. Whatever fails is tried again, and done twice it changes nothing.
//! Absent: which pictures may be retired, which their aggregates decide ([`domain::InspectionCommand::RetirePictures`],
//! [`domain::PartCommand::RetireGoldenSamples`]).

mod cursors;
mod due;
mod files;
mod reactor;
mod service;
#[cfg(test)]
mod tests;
mod work;

pub use service::Service;

/// The follower's name, under which its checkpoint is kept, and the actor of what it retires.
const PICTURE_RETENTION: &str = "picture-retention";
