//! Why a command on access control is refused.

use super::PrincipalName;
use crate::Rejection;
use crate::value::REASON_MAX_CHARS;

/// A refusal; its message tells a person what is in the way.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccessControlRejection {
    /// Somebody administers the installation.
    #[error("the installation has an administrator; ask one for an account")]
    AlreadyClaimed,
    /// The code is not the one that is out, or too old.
    #[error(
        "the code is wrong, was used or has expired; get a new one: chipq accounts claim-code --reason …"
    )]
    WrongClaimCode,
    /// There is no account and no client of this name.
    #[error("there is no account or client {name}")]
    PrincipalNotFound {
        /// The name.
        name: PrincipalName,
    },
    /// An account or client has, or had, this name.
    #[error("the name {name} is taken by an account or a client; choose another")]
    NameTaken {
        /// The name.
        name: PrincipalName,
    },
    /// The platform itself acts under this name.
    #[error("the name {name} is the platform's own; choose another")]
    ReservedName {
        /// The name.
        name: PrincipalName,
    },
    /// Nobody could undo it.
    #[error("{name} is the last administrator; make another one first")]
    LastAdministrator {
        /// Who.
        name: PrincipalName,
    },
    /// An administrator keeps the accounts of all stations and parts.
    #[error("an administrator cannot be limited to stations or parts; choose another role")]
    LimitedAdministrator,
    /// The role of machines.
    #[error("station is the role of a client; an account at a line has the role operator")]
    StationIsNoPerson,
    /// A station that could be every station.
    #[error("name the station that the client is, such as --station AOI-1")]
    StationWithoutStation,
    /// Somebody would give, take or change what they do not hold.
    #[error(
        "you give, take and change only what you hold yourself: a role that allows no more, within your reach"
    )]
    NotHeld,
    /// People have passwords.
    #[error("a public key is for a client; an account has a password")]
    KeyOfPerson,
    /// A change without a reason cannot be understood later.
    #[error("the reason is empty; say why")]
    EmptyReason,
    /// A reason is read by people.
    #[error("the reason is longer than {REASON_MAX_CHARS} characters")]
    LongReason,
    /// More than one installation can sensibly have.
    #[error(
        "the installation has as many accounts and clients as it may have; names are never given free"
    )]
    TooManyPrincipals,
}

impl Rejection for AccessControlRejection {
    fn name(&self) -> &'static str {
        match self {
            Self::AlreadyClaimed => "already-claimed",
            Self::WrongClaimCode => "wrong-claim-code",
            Self::PrincipalNotFound { .. } => "principal-not-found",
            Self::NameTaken { .. } => "name-taken",
            Self::ReservedName { .. } => "reserved-name",
            Self::LastAdministrator { .. } => "last-administrator",
            Self::LimitedAdministrator => "limited-administrator",
            Self::StationIsNoPerson => "station-is-no-person",
            Self::StationWithoutStation => "station-without-station",
            Self::NotHeld => "not-held",
            Self::KeyOfPerson => "key-of-person",
            Self::EmptyReason => "empty-reason",
            Self::LongReason => "long-reason",
            Self::TooManyPrincipals => "too-many-principals",
        }
    }

    fn is_not_found(&self) -> bool {
        matches!(self, Self::PrincipalNotFound { .. })
    }
}
