//! What may be asked about the principals of an installation, and what follows.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    AccessControl, AccessControlEvent, AccessControlRejection as Rejection, ClientKey, DisplayName,
    Holdings, PRINCIPALS_MAX, PrincipalKind, PrincipalName, Role, SessionEndCause,
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
    /// The key that it signs with instead; for a client.
    pub public_key: Option<ClientKey>,
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
    /// Let a client prove who it is by a key.
    RegisterPublicKey {
        /// Which.
        name: PrincipalName,
        /// The key.
        key: ClientKey,
        /// Why.
        reason: String,
    },
    /// Take back what was granted in one session of an account.
    EndSession {
        /// Whose.
        name: PrincipalName,
        /// Which.
        session: Uuid,
        /// Why.
        cause: SessionEndCause,
        /// When.
        at: DateTime<Utc>,
        /// From when on none of its access tokens would be believed anyway.
        until: DateTime<Utc>,
    },
    /// Take back one access token of a client.
    RevokeToken {
        /// Whose.
        name: PrincipalName,
        /// Its `jti`.
        token: Uuid,
        /// When.
        at: DateTime<Utc>,
        /// From when on it would not be believed anyway.
        until: DateTime<Utc>,
    },
    /// Note that there is another key that tokens are signed with.
    AddSigningKey {
        /// Its id.
        kid: String,
        /// Why.
        reason: String,
    },
    /// Note that a key is believed no more.
    RetireSigningKey {
        /// Its id.
        kid: String,
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
            claim_installation(state, (name, display_name), credential)
        }
        Command::CreatePrincipal { principal, reason } => {
            create_principal(state, principal, reason)
        }
        Command::DisablePrincipal { name, reason } => {
            let is_done = !state.require(&name)?.is_enabled;
            if state.is_last_administrator(&name) {
                return Err(Rejection::LastAdministrator { name });
            }
            let reason = check_reason(reason)?;
            Ok(unless(is_done, Event::PrincipalDisabled { name, reason }))
        }
        Command::EnablePrincipal { name, reason } => {
            let is_done = state.require(&name)?.is_enabled;
            let reason = check_reason(reason)?;
            Ok(unless(is_done, Event::PrincipalEnabled { name, reason }))
        }
        Command::ChangeRole { name, role, reason } => change_role(state, name, role, reason),
        Command::ChangeReach { name, reach, reason } => {
            let principal = state.require(&name)?;
            check_grant(principal.kind, principal.role, &reach)?;
            let is_done = principal.reach == reach;
            let reason = check_reason(reason)?;
            Ok(unless(is_done, Event::ReachChanged { name, reach, reason }))
        }
        Command::ReplaceCredential { name, credential, reason } => {
            let is_done = state.require(&name)?.credential == credential;
            let reason = check_reason(reason)?;
            Ok(unless(is_done, Event::CredentialReplaced { name, credential, reason }))
        }
        Command::RegisterPublicKey { name, key, reason } => {
            register_public_key(state, name, key, reason)
        }
        Command::EndSession { name, session, cause, at, until } => {
            let event = Event::SessionEnded { name: name.clone(), session, cause, at, until };
            state.withdraw((&name, session), at, event)
        }
        Command::RevokeToken { name, token, at, until } => {
            let event = Event::TokenRevoked { name: name.clone(), token, at, until };
            state.withdraw((&name, token), at, event)
        }
        Command::AddSigningKey { kid, reason } => {
            Ok(vec![Event::SigningKeyAdded { kid, reason: check_reason(reason)? }])
        }
        Command::RetireSigningKey { kid, reason } => {
            Ok(vec![Event::SigningKeyRetired { kid, reason: check_reason(reason)? }])
        }
        Command::Delegated { command, .. } => decide(state, *command),
    }
}

fn claim_installation(
    state: &AccessControl,
    (name, display_name): (PrincipalName, Option<DisplayName>),
    credential: Uuid,
) -> Result<Vec<AccessControlEvent>, Rejection> {
    let claimed = AccessControlEvent::InstallationClaimed { name: name.clone() };
    let administrator = NewPrincipal {
        name,
        kind: PrincipalKind::Account,
        display_name,
        role: Role::Admin,
        reach: Reach::everywhere(),
        credential,
        public_key: None,
    };
    let reason = "claimed the installation".to_owned();
    let created = create_principal(state, administrator, reason)?;
    Ok([vec![claimed], created].concat())
}

fn change_role(
    state: &AccessControl,
    name: PrincipalName,
    role: Role,
    reason: String,
) -> Result<Vec<AccessControlEvent>, Rejection> {
    let principal = state.require(&name)?;
    check_grant(principal.kind, role, &principal.reach)?;
    let is_done = principal.role == role;
    if !is_done && state.is_last_administrator(&name) {
        return Err(Rejection::LastAdministrator { name });
    }
    let reason = check_reason(reason)?;
    Ok(unless(is_done, AccessControlEvent::RoleChanged { name, role, reason }))
}

fn register_public_key(
    state: &AccessControl,
    name: PrincipalName,
    key: ClientKey,
    reason: String,
) -> Result<Vec<AccessControlEvent>, Rejection> {
    let principal = state.require(&name)?;
    if principal.kind != PrincipalKind::Client {
        return Err(Rejection::KeyOfPerson);
    }
    let is_done = principal.public_key.as_ref() == Some(&key);
    let reason = check_reason(reason)?;
    Ok(unless(is_done, AccessControlEvent::PublicKeyRegistered { name, key, reason }))
}

fn unless(is_done: bool, event: AccessControlEvent) -> Vec<AccessControlEvent> {
    if is_done { Vec::new() } else { vec![event] }
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
) -> Result<Vec<AccessControlEvent>, Rejection> {
    let NewPrincipal { name, kind, display_name, role, reach, credential, public_key } = principal;
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
    if public_key.is_some() && kind != PrincipalKind::Client {
        return Err(Rejection::KeyOfPerson);
    }
    let reason = check_reason(reason)?;
    let registered = public_key.map(|key| {
        let (name, reason) = (name.clone(), reason.clone());
        AccessControlEvent::PublicKeyRegistered { name, key, reason }
    });
    let created = AccessControlEvent::PrincipalCreated {
        name,
        kind,
        display_name,
        role,
        reach,
        credential,
        reason,
    };
    Ok([created].into_iter().chain(registered).collect())
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
