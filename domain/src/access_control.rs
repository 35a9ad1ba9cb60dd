//! Who may use the platform: the accounts of people and the clients of machines, what each may do, and where.
//!
//! Invariants: a name belongs to one principal for ever, whichever kind it is, so that what the log says about
//! it never comes to mean somebody else; once an installation is claimed, somebody who may administer it is
//! left; nothing changes without a reason. One stream holds all of it, because all of that spans principals.
//! Absent on purpose: secrets, which are kept beside the log as digests that only the current
//! [`Principal::credential`] finds, and what a role allows, which whoever lets somebody in knows.

mod client_key;
mod command;
mod delegation;
mod event;
mod name;
mod rejection;
#[cfg(test)]
mod tests;
mod withdrawal;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use client_key::{ClientKey, KeyAlgorithm};
pub use command::{AccessControlCommand, NewPrincipal};
pub use event::AccessControlEvent;
pub use name::{DisplayName, PrincipalName};
pub use rejection::AccessControlRejection;
use withdrawal::Withdrawal;

use crate::vocabulary::vocabulary;
use crate::{Aggregate, Reach, Sha256, StoredEvent};

/// The most principals of an installation.
const PRINCIPALS_MAX: usize = 10_000;

vocabulary! {
    /// What somebody is to the platform. What each role allows is said where tokens are believed.
    pub enum Role("role") {
        /// A machine that takes pictures of boards.
        Station = "station",
        /// Works at a line.
        Operator = "operator",
        /// Keeps parts, golden samples and recipes.
        Engineer = "engineer",
        /// Answers for verdicts.
        Quality = "quality",
        /// Reads everything and changes nothing.
        Auditor = "auditor",
        /// Keeps accounts and clients, and looks after the platform.
        Admin = "admin",
    }
}

/// What somebody holds, and so may give to others, take from them, and change about them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holdings {
    /// The roles that allow nothing beyond what is held.
    pub roles: BTreeSet<Role>,
    /// Where it is held.
    pub reach: Reach,
}

impl Holdings {
    fn cover(&self, role: Role, reach: &Reach) -> bool {
        self.roles.contains(&role) && self.reach.covers_reach(reach)
    }
}

vocabulary! {
    /// Whether a principal is a person or a machine.
    pub enum PrincipalKind("kind") {
        /// A person, who signs in with a password.
        Account = "account",
        /// A machine, which asks for tokens with a secret.
        Client = "client",
    }
}

vocabulary! {
    /// Why a session ended before its time.
    pub enum SessionEndCause("cause") {
        /// One of its refresh tokens was used a second time: somebody else has, or had, a copy of it.
        RefreshTokenReused = "refresh-token-reused",
        /// Whoever had a token of it took it back, as when signing out.
        Revoked = "revoked",
    }
}

/// Somebody or something that may use the platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Principal {
    /// Person or machine.
    pub kind: PrincipalKind,
    /// The name as it is printed; absent where the principal's name is.
    pub display_name: Option<DisplayName>,
    /// What it may do.
    pub role: Role,
    /// Where it may do that.
    pub reach: Reach,
    /// Whether it may do anything at present.
    pub is_enabled: bool,
    /// Under which id its secret is kept; every other one is of the past.
    pub credential: Uuid,
    /// The key that it signs with, of a client that has no secret.
    pub public_key: Option<ClientKey>,
    /// How often anything about it was changed. What was granted at a lower number holds no more.
    pub revision: u32,
}

impl Principal {
    /// Whether it keeps the accounts of the whole installation, as a person who can be asked.
    fn administers(&self) -> bool {
        self.is_enabled && self.role == Role::Admin && self.kind == PrincipalKind::Account
    }
}

/// A code that lets whoever has it become the first administrator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct ClaimCode {
    digest: Sha256,
    expires_at: DateTime<Utc>,
}

/// The principals of an installation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessControl {
    principals: BTreeMap<PrincipalName, Principal>,
    claim_code: Option<ClaimCode>,
    /// By the id of the session, or of the token that belongs to none.
    withdrawals: BTreeMap<Uuid, Withdrawal>,
}

impl AccessControl {
    /// The id of the one stream.
    pub const ID: &'static str = "installation";

    /// The principal of this name.
    #[must_use]
    pub fn principal(&self, name: &PrincipalName) -> Option<&Principal> {
        self.principals.get(name)
    }

    /// Every principal, by name.
    pub fn principals(&self) -> impl Iterator<Item = (&PrincipalName, &Principal)> {
        self.principals.iter()
    }

    /// Every principal from a name on, by name.
    pub fn principals_from(
        &self,
        from: Bound<PrincipalName>,
    ) -> impl Iterator<Item = (&PrincipalName, &Principal)> {
        self.principals.range((from, Bound::Unbounded))
    }

    /// The principal of this name, which has to be there.
    fn require(&self, name: &PrincipalName) -> Result<&Principal, AccessControlRejection> {
        let not_found = || AccessControlRejection::PrincipalNotFound { name: name.clone() };
        self.principal(name).ok_or_else(not_found)
    }

    /// Whether somebody may administer the installation; until then it can be claimed.
    #[must_use]
    pub fn is_claimed(&self) -> bool {
        self.principals.values().any(Principal::administers)
    }

    /// Whether `name` is the only one who administers the installation.
    fn is_last_administrator(&self, name: &PrincipalName) -> bool {
        let mut administrators =
            self.principals.iter().filter(|(_, principal)| principal.administers());
        administrators.next().is_some_and(|(first, _)| first == name)
            && administrators.next().is_none()
    }

    fn change(&mut self, name: &PrincipalName, change: impl FnOnce(&mut Principal)) {
        if let Some(principal) = self.principals.get_mut(name) {
            change(principal);
            principal.revision = principal.revision.saturating_add(1);
        }
    }
}

impl Aggregate for AccessControl {
    const TYPE: &'static str = "access-control";
    const EVENTS: &'static [StoredEvent] = AccessControlEvent::STORED;
    type Command = AccessControlCommand;
    type Event = AccessControlEvent;
    type Rejection = AccessControlRejection;

    fn decide(
        &self,
        command: AccessControlCommand,
    ) -> Result<Vec<AccessControlEvent>, AccessControlRejection> {
        delegation::check(self, &command)?;
        command::decide(self, command)
    }

    fn evolve(&mut self, event: &AccessControlEvent) {
        event::evolve(self, event);
    }
}
