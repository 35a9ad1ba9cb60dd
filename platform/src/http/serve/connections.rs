//! The open connections of a listener, and who gives way when there are too many.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::activity::Activity;
use super::limits::ConnectionLimits;

/// Connections beyond them in which probes are answered.
const RESERVE: usize = 16;
/// How long a connection in the reserve has to ask for a probe before it gives way.
const RESERVE_GRACE: Duration = Duration::from_secs(1);

/// The connections that are open.
#[derive(Debug)]
pub(super) struct Connections {
    limits: ConnectionLimits,
    open: Mutex<OpenConnections>,
}

#[derive(Debug, Default)]
struct OpenConnections {
    last_id: u64,
    by_id: HashMap<u64, OpenConnection>,
    /// Those that are not in the reserve.
    regular: usize,
}

#[derive(Debug)]
struct OpenConnection {
    activity: Arc<Activity>,
    is_reserve: bool,
}

impl Connections {
    pub(super) fn new(limits: ConnectionLimits) -> Self {
        Self { limits, open: Mutex::default() }
    }

    pub(super) fn limits(&self) -> ConnectionLimits {
        self.limits.clone()
    }

    fn open(&self) -> MutexGuard<'_, OpenConnections> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a connection; when all are taken, that of the one that has waited longest for its
    /// client; when none waits, one in the reserve. `None` when there is none either.
    pub(super) fn admit(self: &Arc<Self>) -> Option<ConnectionPlace> {
        let ConnectionLimits { most, .. } = self.limits;
        let mut open = self.open();
        let is_reserve = if open.regular < most {
            false
        } else if let Some(gone) = open.close_longest_waiting() {
            gone.is_reserve
        } else if open.by_id.len() < most + RESERVE {
            true
        } else {
            return None;
        };
        let activity = Activity::new();
        let id = open.add(OpenConnection { activity: Arc::clone(&activity), is_reserve });
        Some(ConnectionPlace { connections: Arc::clone(self), id, activity, is_reserve })
    }

    /// Closes the connection that has waited longest for its client, if any waits.
    pub(super) fn close_longest_waiting(&self) {
        self.open().close_longest_waiting();
    }
}

impl OpenConnections {
    fn add(&mut self, connection: OpenConnection) -> u64 {
        self.last_id += 1;
        self.regular += usize::from(!connection.is_reserve);
        self.by_id.insert(self.last_id, connection);
        self.last_id
    }

    fn remove(&mut self, id: u64) -> Option<OpenConnection> {
        let gone = self.by_id.remove(&id)?;
        self.regular -= usize::from(!gone.is_reserve);
        Some(gone)
    }

    /// Asks the connection that has waited longest for its client to end, and gives its place up.
    fn close_longest_waiting(&mut self) -> Option<OpenConnection> {
        let since = |open: &OpenConnection| {
            let since = open.activity.waiting_since()?;
            (!open.is_reserve || since.elapsed() >= RESERVE_GRACE).then_some(since)
        };
        let waiting = self.by_id.iter().filter_map(|(&id, open)| Some((since(open)?, id)));
        let (_, id) = waiting.min()?;
        let gone = self.remove(id)?;
        // It frees its descriptor as soon as its task is next run.
        gone.activity.evict();
        Some(gone)
    }
}

/// The place of one connection, free again when it is dropped.
#[derive(Debug)]
pub(super) struct ConnectionPlace {
    connections: Arc<Connections>,
    id: u64,
    activity: Arc<Activity>,
    is_reserve: bool,
}

impl ConnectionPlace {
    pub(super) fn activity(&self) -> &Arc<Activity> {
        &self.activity
    }

    /// Whether all places were taken, so that only probes are answered in this one.
    pub(super) fn is_reserve(&self) -> bool {
        self.is_reserve
    }
}

impl Drop for ConnectionPlace {
    fn drop(&mut self) {
        self.connections.open().remove(self.id);
    }
}
