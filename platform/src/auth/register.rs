//! What is known in this process of the accounts and clients of an installation.
//!
//! Invariant: a process that cannot read who may do what lets nobody in. Absent: how it comes to know (`access`).

use std::sync::Arc;

use domain::{AccessControl, Principal, PrincipalName};
use tokio::sync::watch;

/// Nobody knows who may do what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("accounts and clients could not be read from the event log yet")]
pub struct AccessUnknown;

/// Who may use the installation, as the log said last. Clones share it.
#[derive(Debug, Clone)]
pub struct AccessRegister(Arc<watch::Sender<Option<Arc<AccessControl>>>>);

impl Default for AccessRegister {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(None)))
    }
}

impl AccessRegister {
    /// A register that knows nothing yet; see [`follow_access`](crate::access::follow_access).
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The principal of this name.
    ///
    /// # Errors
    /// When nobody knows who may do what.
    pub fn find(&self, name: &PrincipalName) -> Result<Option<Principal>, AccessUnknown> {
        let known = self.0.borrow();
        Ok(known.as_ref().ok_or(AccessUnknown)?.principal(name).cloned())
    }

    /// Everything that is known.
    ///
    /// # Errors
    /// When nobody knows who may do what.
    pub fn current(&self) -> Result<Arc<AccessControl>, AccessUnknown> {
        self.0.borrow().clone().ok_or(AccessUnknown)
    }

    /// Changes whenever anything about an account or a client does.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<Option<Arc<AccessControl>>> {
        self.0.subscribe()
    }

    /// Believes `access` from now on.
    pub fn publish(&self, access: AccessControl) {
        self.0.send_replace(Some(Arc::new(access)));
    }

    /// Knows nothing any more, and lets nobody in.
    pub fn forget(&self) {
        self.0.send_replace(None);
    }
}
