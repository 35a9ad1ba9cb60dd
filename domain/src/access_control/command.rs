//! What may be asked about the principals of an installation, and what follows.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    AccessControl, AccessControlEvent, AccessControlRejection as Rejection, DisplayName,
    PRINCIPALS_MAX, Principal, PrincipalKind, PrincipalName, Role,
};
use crate::value::{self, ReasonFlaw};
use crate::{Reach, Sha256};

/// A principal that is to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPrincipal {
    /// Its name.
    pub name: PrincipalName,
    /// Person or machine.
    pub kind: PrincipalKind,
    /// The name as it is printed; for an account.
    pub display_name: Option<DisplayName>,
    /// What it may do.
    pub role: Role,
    /// Where.
    pub reach: Reach,
    /// Under which id its secret is kept.
    pub credential: Uuid,
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

/// The commands of access control. Every reason is in the words of whoever asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessControlCommand {
    /// Let whoever has a code become the first administrator, unless there is one.
    IssueClaimCode {
        /// SHA-256 of the code.
        code_sha256: Sha256,
        /// From when on it is worth nothing.
        expires_at: DateTime<Utc>,
        /// Why.
        reason: String,
    },
    /// Become the first administrator.
    ClaimInstallation {
        /// SHA-256 of the code that was given.
        code_sha256: Sha256,
        /// When it was given.
        at: DateTime<Utc>,
        /// The account's name.
        name: PrincipalName,
        /// The name as it is printed.
        display_name: Option<DisplayName>,
        /// Under which id its secret is kept.
        credential: Uuid,
    },
    /// Create an account or a client.
    CreatePrincipal {
        /// Which.
        principal: NewPrincipal,
        /// Why.
        reason: String,
    },
    /// Take all rights from a principal.
    DisablePrincipal {
        /// Whose.
        name: PrincipalName,
        /// Why.
        reason: String,
    },
    /// Give them back.
    EnablePrincipal {
        /// To whom.
        name: PrincipalName,
        /// Why.
        reason: String,
    },
    /// Let a principal do something else.
    ChangeRole {
        /// Who.
        name: PrincipalName,
        /// What.
        role: Role,
        /// Why.
        reason: String,
    },
    /// Let a principal do so elsewhere.
    ChangeReach {
        /// Who.
        name: PrincipalName,
        /// Where.
        reach: Reach,
        /// Why.
        reason: String,
    },
    /// Give a principal another password or secret.
    ReplaceCredential {
        /// Whose.
        name: PrincipalName,
        /// Under which id it is kept.
        credential: Uuid,
        /// Why.
        reason: String,
    },
    /// Any of these, by somebody who holds only so much. Whoever can write into the log holds everything, and needs
    /// no such leave.
    Delegated {
        /// What whoever asks holds.
        holdings: Holdings,
        /// What is asked for.
        command: Box<AccessControlCommand>,
    },
}

pub(super) fn decide(
    state: &AccessControl,
    command: AccessControlCommand,
) -> Result<Vec<AccessControlEvent>, Rejection> {
    use AccessControlCommand as Command;
    use AccessControlEvent as Event;
    match command {
        Command::IssueClaimCode { code_sha256, expires_at, reason } => {
            if state.is_claimed() {
                return Err(Rejection::AlreadyClaimed);
            }
            let reason = check_reason(reason)?;
            Ok(vec![Event::ClaimCodeIssued { code_sha256, expires_at, reason }])
        }
        Command::ClaimInstallation { code_sha256, at, name, display_name, credential } => {
            check_claim(state, code_sha256, at)?;
            let kind = PrincipalKind::Account;
            let (role, reach) = (Role::Admin, Reach::everywhere());
            let claimed = Event::InstallationClaimed { name: name.clone() };
            let principal = NewPrincipal { name, kind, display_name, role, reach, credential };
            let reason = "claimed the installation".to_owned();
            Ok(vec![claimed, create_principal(state, principal, reason)?])
        }
        Command::CreatePrincipal { principal, reason } => {
            Ok(vec![create_principal(state, principal, reason)?])
        }
        Command::DisablePrincipal { name, reason } => {
            let is_done = !find(state, &name)?.is_enabled;
            if state.is_last_administrator(&name) {
                return Err(Rejection::LastAdministrator { name });
            }
            let reason = check_reason(reason)?;
            Ok(unless(is_done, Event::PrincipalDisabled { name, reason }))
        }
        Command::EnablePrincipal { name, reason } => {
            let is_done = find(state, &name)?.is_enabled;
            let reason = check_reason(reason)?;
            Ok(unless(is_done, Event::PrincipalEnabled { name, reason }))
        }
        Command::ChangeRole { name, role, reason } => {
            let principal = find(state, &name)?;
            check_grant(principal.kind, role, &principal.reach)?;
            let is_done = principal.role == role;
            if !is_done && state.is_last_administrator(&name) {
                return Err(Rejection::LastAdministrator { name });
            }
            let reason = check_reason(reason)?;
            Ok(unless(is_done, Event::RoleChanged { name, role, reason }))
        }
        Command::ChangeReach { name, reach, reason } => {
            let principal = find(state, &name)?;
            check_grant(principal.kind, principal.role, &reach)?;
            let is_done = principal.reach == reach;
            let reason = check_reason(reason)?;
            Ok(unless(is_done, Event::ReachChanged { name, reach, reason }))
        }
        Command::ReplaceCredential { name, credential, reason } => {
            let is_done = find(state, &name)?.credential == credential;
            let reason = check_reason(reason)?;
            Ok(unless(is_done, Event::CredentialReplaced { name, credential, reason }))
        }
        Command::Delegated { holdings, command } => {
            check_holdings(state, &holdings, &command)?;
            decide(state, *command)
        }
    }
}

/// Nobody gives what they do not hold, nor takes it from somebody who does: whoever may set the secret of somebody
/// else may be them.
fn check_holdings(
    state: &AccessControl,
    holdings: &Holdings,
    command: &AccessControlCommand,
) -> Result<(), Rejection> {
    use AccessControlCommand as Command;
    let covers = |role: Role, reach: &Reach| {
        if holdings.cover(role, reach) { Ok(()) } else { Err(Rejection::NotHeld) }
    };
    let covers_all_of =
        |name| find(state, name).and_then(|found| covers(found.role, &found.reach).map(|()| found));
    match command {
        Command::IssueClaimCode { .. } => covers(Role::Admin, &Reach::everywhere()),
        // What it gives is held by the code.
        Command::ClaimInstallation { .. } => Ok(()),
        Command::Delegated { command, .. } => check_holdings(state, holdings, command),
        Command::CreatePrincipal { principal, .. } => covers(principal.role, &principal.reach),
        Command::DisablePrincipal { name, .. }
        | Command::EnablePrincipal { name, .. }
        | Command::ReplaceCredential { name, .. } => covers_all_of(name).map(drop),
        Command::ChangeRole { name, role, .. } => covers(*role, &covers_all_of(name)?.reach),
        Command::ChangeReach { name, reach, .. } => covers(covers_all_of(name)?.role, reach),
    }
}

fn unless(is_done: bool, event: AccessControlEvent) -> Vec<AccessControlEvent> {
    if is_done { Vec::new() } else { vec![event] }
}

fn find<'a>(state: &'a AccessControl, name: &PrincipalName) -> Result<&'a Principal, Rejection> {
    let not_found = || Rejection::PrincipalNotFound { name: name.clone() };
    state.principal(name).ok_or_else(not_found)
}

/// Whoever asks is told the same whether a code is wrong, used or too old.
fn check_claim(
    state: &AccessControl,
    code_sha256: Sha256,
    at: DateTime<Utc>,
) -> Result<(), Rejection> {
    if state.is_claimed() {
        return Err(Rejection::AlreadyClaimed);
    }
    match &state.claim_code {
        Some(code) if code.digest == code_sha256 && at < code.expires_at => Ok(()),
        _ => Err(Rejection::WrongClaimCode),
    }
}

fn create_principal(
    state: &AccessControl,
    principal: NewPrincipal,
    reason: String,
) -> Result<AccessControlEvent, Rejection> {
    let NewPrincipal { name, kind, display_name, role, reach, credential } = principal;
    if name.is_reserved() {
        return Err(Rejection::ReservedName { name });
    }
    if state.principal(&name).is_some() {
        return Err(Rejection::NameTaken { name });
    }
    if state.principals.len() >= PRINCIPALS_MAX {
        return Err(Rejection::TooManyPrincipals);
    }
    check_grant(kind, role, &reach)?;
    let reason = check_reason(reason)?;
    Ok(AccessControlEvent::PrincipalCreated {
        name,
        kind,
        display_name,
        role,
        reach,
        credential,
        reason,
    })
}

/// A station is somewhere, and a machine; an administrator is so everywhere.
fn check_grant(kind: PrincipalKind, role: Role, reach: &Reach) -> Result<(), Rejection> {
    match (role, kind) {
        (Role::Station, PrincipalKind::Account) => Err(Rejection::StationIsNoPerson),
        (Role::Station, PrincipalKind::Client) if reach.stations().is_empty() => {
            Err(Rejection::StationWithoutStation)
        }
        (Role::Admin, _) if !reach.is_everywhere() => Err(Rejection::LimitedAdministrator),
        _ => Ok(()),
    }
}

fn check_reason(reason: String) -> Result<String, Rejection> {
    value::check_reason(reason).map_err(|flaw| match flaw {
        ReasonFlaw::Empty => Rejection::EmptyReason,
        ReasonFlaw::Long => Rejection::LongReason,
    })
}
