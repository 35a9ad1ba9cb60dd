//! What is known in this process of the accounts and clients of an installation, and of what roles allow there.
//!
//! Invariant: a process that cannot read who may do what lets nobody in. Absent: how it comes to know (`access`).

use std::sync::Arc;

use domain::{AccessControl, Principal, PrincipalName};
use tokio::sync::watch;

use super::RoleScopes;

/// Nobody knows who may do what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("accounts and clients could not be read from the event log yet")]
pub struct AccessUnknown;

/// Who may use the installation, as the log said last. Clones share it.
#[derive(Debug, Clone)]
pub struct AccessRegister {
    known: Arc<watch::Sender<Option<Arc<AccessControl>>>>,
    roles: RoleScopes,
}

impl Default for AccessRegister {
    fn default() -> Self {
        Self { known: Arc::new(watch::Sender::new(None)), roles: RoleScopes::default() }
    }
}

impl AccessRegister {
    /// A register that knows nothing yet; see [`follow_access`](crate::access::follow_access).
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// In an installation where roles allow this.
    #[must_use]
    pub fn with_roles(self, roles: RoleScopes) -> Self {
        Self { roles, ..self }
    }

    /// What each role allows here.
    #[must_use]
    pub const fn role_scopes(&self) -> &RoleScopes {
        &self.roles
    }

    /// The principal of this name.
    ///
    /// # Errors
    /// When nobody knows who may do what.
    pub fn find(&self, name: &PrincipalName) -> Result<Option<Principal>, AccessUnknown> {
        let known = self.known.borrow();
        Ok(known.as_ref().ok_or(AccessUnknown)?.principal(name).cloned())
    }

    /// The revision of the principal of this name; `None` when nobody is known by it.
    #[must_use]
    pub fn revision_of(&self, name: &str) -> Option<u32> {
        let principal = self.find(&name.parse().ok()?).ok()??;
        Some(principal.revision)
    }

    /// Everything that is known.
    ///
    /// # Errors
    /// When nobody knows who may do what.
    pub fn current(&self) -> Result<Arc<AccessControl>, AccessUnknown> {
        self.known.borrow().clone().ok_or(AccessUnknown)
    }

    /// Changes whenever anything about an account or a client does.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<Option<Arc<AccessControl>>> {
        self.known.subscribe()
    }

    /// Believes `access` from now on.
    pub fn publish(&self, access: AccessControl) {
        self.known.send_replace(Some(Arc::new(access)));
    }

    /// Knows nothing any more, and lets nobody in.
    pub fn forget(&self) {
        self.known.send_replace(None);
    }
}
