//! What can have happened to the principals of an installation, and under which names it is stored.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    AccessControl, ClaimCode, ClientKey, DisplayName, Principal, PrincipalKind, PrincipalName,
    Role, SessionEndCause,
};
use crate::aggregate::stored_events;
use crate::{Reach, Sha256};

/// The events of access control.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum AccessControlEvent {
    /// Whoever has this code may become the first administrator.
    #[serde(rename = "ClaimCodeIssued")]
    ClaimCodeIssued {
        /// SHA-256 of the code, which has 160 random bits.
        code_sha256: Sha256,
        /// From when on it is worth nothing.
        expires_at: DateTime<Utc>,
        /// Why, in the words of whoever issues it.
        reason: String,
    },
    /// The code was used; the account that it made comes next.
    #[serde(rename = "InstallationClaimed")]
    InstallationClaimed {
        /// The administrator.
        name: PrincipalName,
    },
    /// There is a new account or client.
    #[serde(rename = "PrincipalCreated")]
    PrincipalCreated {
        /// Its name, which nobody else has had or will have.
        name: PrincipalName,
        /// Person or machine.
        kind: PrincipalKind,
        /// The name as it is printed.
        display_name: Option<DisplayName>,
        /// What it may do.
        role: Role,
        /// Where.
        reach: Reach,
        /// Under which id its secret is kept.
        credential: Uuid,
        /// Why, in the words of whoever created it.
        reason: String,
    },
    /// It may do nothing any more.
    #[serde(rename = "PrincipalDisabled")]
    PrincipalDisabled {
        /// Who.
        name: PrincipalName,
        /// Why, in the words of whoever disabled it.
        reason: String,
    },
    /// It may do again what its role allows.
    #[serde(rename = "PrincipalEnabled")]
    PrincipalEnabled {
        /// Who.
        name: PrincipalName,
        /// Why, in the words of whoever enabled it.
        reason: String,
    },
    /// It may do something else.
    #[serde(rename = "RoleChanged")]
    RoleChanged {
        /// Who.
        name: PrincipalName,
        /// What it may do from now on.
        role: Role,
        /// Why, in the words of whoever changed it.
        reason: String,
    },
    /// It may do so elsewhere.
    #[serde(rename = "ReachChanged")]
    ReachChanged {
        /// Who.
        name: PrincipalName,
        /// Where it may act from now on.
        reach: Reach,
        /// Why, in the words of whoever changed it.
        reason: String,
    },
    /// It has another password or secret; what it had before is worth nothing.
    #[serde(rename = "CredentialReplaced")]
    CredentialReplaced {
        /// Whose.
        name: PrincipalName,
        /// Under which id the new one is kept.
        credential: Uuid,
        /// Why, in the words of whoever replaced it.
        reason: String,
    },
    /// A client proves who it is by this key from now on; what it had before is worth nothing.
    #[serde(rename = "PublicKeyRegistered")]
    PublicKeyRegistered {
        /// Whose.
        name: PrincipalName,
        /// The key.
        key: ClientKey,
        /// Why, in the words of whoever registered it.
        reason: String,
    },
    /// What was granted in one session of an account is worth nothing any more.
    #[serde(rename = "SessionEnded")]
    SessionEnded {
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
    /// One access token of a client is worth nothing any more.
    #[serde(rename = "TokenRevoked")]
    TokenRevoked {
        /// Whose.
        name: PrincipalName,
        /// Its `jti`.
        token: Uuid,
        /// When.
        at: DateTime<Utc>,
        /// From when on it would not be believed anyway.
        until: DateTime<Utc>,
    },
    /// Everything that was granted to a principal is worth nothing: more of it was taken back than is kept
    /// one by one.
    #[serde(rename = "AllTokensRevoked")]
    AllTokensRevoked {
        /// Whose.
        name: PrincipalName,
        /// When.
        at: DateTime<Utc>,
    },
    /// There is a new key that tokens are signed with.
    #[serde(rename = "SigningKeyAdded")]
    SigningKeyAdded {
        /// Its id.
        kid: String,
        /// Why, in the words of whoever added it.
        reason: String,
    },
    /// A key that tokens were signed with is believed no more.
    #[serde(rename = "SigningKeyRetired")]
    SigningKeyRetired {
        /// Its id.
        kid: String,
        /// Why, in the words of whoever retired it.
        reason: String,
    },
}

stored_events!(AccessControlEvent {
    CLAIM_CODE_ISSUED: ClaimCodeIssued = "ClaimCodeIssued",
    INSTALLATION_CLAIMED: InstallationClaimed = "InstallationClaimed",
    PRINCIPAL_CREATED: PrincipalCreated = "PrincipalCreated",
    PRINCIPAL_DISABLED: PrincipalDisabled = "PrincipalDisabled",
    PRINCIPAL_ENABLED: PrincipalEnabled = "PrincipalEnabled",
    ROLE_CHANGED: RoleChanged = "RoleChanged",
    REACH_CHANGED: ReachChanged = "ReachChanged",
    CREDENTIAL_REPLACED: CredentialReplaced = "CredentialReplaced",
    PUBLIC_KEY_REGISTERED: PublicKeyRegistered = "PublicKeyRegistered",
    SESSION_ENDED: SessionEnded = "SessionEnded",
    TOKEN_REVOKED: TokenRevoked = "TokenRevoked",
    ALL_TOKENS_REVOKED: AllTokensRevoked = "AllTokensRevoked",
    SIGNING_KEY_ADDED: SigningKeyAdded = "SigningKeyAdded",
    SIGNING_KEY_RETIRED: SigningKeyRetired = "SigningKeyRetired",
});

pub(super) fn evolve(state: &mut AccessControl, event: &AccessControlEvent) {
    match event {
        AccessControlEvent::ClaimCodeIssued { code_sha256, expires_at, .. } => {
            state.claim_code = Some(ClaimCode { digest: *code_sha256, expires_at: *expires_at });
        }
        AccessControlEvent::InstallationClaimed { .. } => state.claim_code = None,
        AccessControlEvent::PrincipalCreated {
            name,
            kind,
            display_name,
            role,
            reach,
            credential,
            ..
        } => {
            let principal = Principal {
                kind: *kind,
                display_name: display_name.clone(),
                role: *role,
                reach: reach.clone(),
                is_enabled: true,
                credential: *credential,
                public_key: None,
                revision: 1,
            };
            state.principals.entry(name.clone()).or_insert(principal);
        }
        AccessControlEvent::PrincipalDisabled { name, .. } => {
            state.change(name, |principal| principal.is_enabled = false);
        }
        AccessControlEvent::PrincipalEnabled { name, .. } => {
            state.change(name, |principal| principal.is_enabled = true);
        }
        AccessControlEvent::RoleChanged { name, role, .. } => {
            state.change(name, |principal| principal.role = *role);
        }
        AccessControlEvent::ReachChanged { name, reach, .. } => {
            state.change(name, |principal| principal.reach = reach.clone());
        }
        AccessControlEvent::CredentialReplaced { name, credential, .. } => {
            state.change(name, |principal| {
                principal.credential = *credential;
                principal.public_key = None;
            });
        }
        AccessControlEvent::PublicKeyRegistered { name, key, .. } => {
            state.change(name, |principal| principal.public_key = Some(key.clone()));
        }
        AccessControlEvent::SessionEnded { name, session, at, until, .. } => {
            state.note_withdrawal((name, *session), (*at, *until));
        }
        AccessControlEvent::TokenRevoked { name, token, at, until } => {
            state.note_withdrawal((name, *token), (*at, *until));
        }
        AccessControlEvent::AllTokensRevoked { name, .. } => state.note_all_withdrawn(name),
        // Which keys there are is said by the folder that they are in.
        AccessControlEvent::SigningKeyAdded { .. }
        | AccessControlEvent::SigningKeyRetired { .. } => {}
    }
}
