//! Which history of the log a position belongs to.
//!
//! Positions are given out again when the database is restored, or when another server takes over without all
//! that the one before had acknowledged. So whoever keeps a position outside the log's own database keeps
//! the incarnation with it; what is in the database was restored with the log.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Position;

/// One history of the log. Another one begins with every restore and every other primary.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Incarnation(pub Uuid);

/// A place in one history of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPlace {
    /// Which history.
    pub incarnation: Incarnation,
    /// Where in it.
    pub position: Position,
}
