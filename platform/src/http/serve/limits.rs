//! How long a connection may take for what, and how many there may be.

use std::time::Duration;

use crate::descriptors;

/// The most connections of a listener, where the system allows so many descriptors.
const CONNECTIONS_MAX: usize = 4_096;

/// How long a connection may take, and how many there may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// For the head of a request, from its first byte on, and of the first one from the beginning.
    /// Default 15 s.
    pub head: Duration,
    /// Between two requests. Default 2 min: longer than most clients keep one, so that they
    /// close first.
    pub idle: Duration,
    /// For an answer of which the client takes nothing. Default 60 s.
    pub stalled: Duration,
    /// How many. Default 4,096, or fewer where the limit of descriptors is low: some are kept for the
    /// database and for files.
    pub most: usize,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(15),
            idle: Duration::from_secs(120),
            stalled: Duration::from_secs(60),
            most: CONNECTIONS_MAX.min(descriptors::for_connections()),
        }
    }
}

impl ConnectionLimits {
    pub(super) fn shortest(&self) -> Duration {
        self.head.min(self.idle).min(self.stalled)
    }
}
