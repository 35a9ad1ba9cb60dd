//! Scopes, and what each role allows unless an installation says otherwise: the whole table of permissions, in one
//! place.

use std::fmt;
use std::str::FromStr;

use domain::Role;
use serde::{Deserialize, Serialize};

/// One permission. Its name on the wire is stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "&'static str", try_from = "String")]
pub enum Scope {
    /// `inspections:read`: inspections, their pictures and their defects.
    InspectionsRead,
    /// `inspections:write`: create inspections, upload pictures, ask for inference.
    InspectionsWrite,
    /// `inspections:void`: take an inspection out of the count.
    InspectionsVoid,
    /// `parts:read`: parts, golden samples, recipes.
    PartsRead,
    /// `parts:write`: register parts, replace golden samples, revise recipes.
    PartsWrite,
    /// `reports:read`: reports and yield.
    ReportsRead,
    /// `projections:read`: the state of the read models.
    ProjectionsRead,
    /// `projections:write`: retry or discard parked streams, rebuild.
    ProjectionsWrite,
    /// `retention:read`: for how long pictures are kept.
    RetentionRead,
    /// `retention:write`: say for how long pictures are kept.
    RetentionWrite,
    /// `access:read`: accounts and clients.
    AccessRead,
    /// `access:write`: create and change accounts and clients.
    AccessWrite,
    /// `audit:read`: who did what, of every event.
    AuditRead,
    /// `tokens:introspect`: ask whether a token is believed, and what it proves.
    TokensIntrospect,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 14] = [
        Self::InspectionsRead,
        Self::InspectionsWrite,
        Self::InspectionsVoid,
        Self::PartsRead,
        Self::PartsWrite,
        Self::ReportsRead,
        Self::ProjectionsRead,
        Self::ProjectionsWrite,
        Self::RetentionRead,
        Self::RetentionWrite,
        Self::AccessRead,
        Self::AccessWrite,
        Self::AuditRead,
        Self::TokensIntrospect,
    ];

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InspectionsRead => "inspections:read",
            Self::InspectionsWrite => "inspections:write",
            Self::InspectionsVoid => "inspections:void",
            Self::PartsRead => "parts:read",
            Self::PartsWrite => "parts:write",
            Self::ReportsRead => "reports:read",
            Self::ProjectionsRead => "projections:read",
            Self::ProjectionsWrite => "projections:write",
            Self::RetentionRead => "retention:read",
            Self::RetentionWrite => "retention:write",
            Self::AccessRead => "access:read",
            Self::AccessWrite => "access:write",
            Self::AuditRead => "audit:read",
            Self::TokensIntrospect => "tokens:introspect",
        }
    }

    /// What it allows, in words.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::InspectionsRead => "read inspections, their pictures and their findings",
            Self::InspectionsWrite => "create inspections, upload their pictures, ask for verdicts",
            Self::InspectionsVoid => "withdraw inspections",
            Self::PartsRead => "read parts, golden samples and recipes",
            Self::PartsWrite => "register parts, announce golden samples, revise recipes",
            Self::ReportsRead => "read reports and yields",
            Self::ProjectionsRead => "read the state of the read models",
            Self::ProjectionsWrite => "retry and discard what a read model could not take",
            Self::RetentionRead => "read for how long pictures are kept",
            Self::RetentionWrite => "say for how long pictures are kept",
            Self::AccessRead => "read accounts and clients",
            Self::AccessWrite => "create and change accounts and clients",
            Self::AuditRead => "read the audit trail",
            Self::TokensIntrospect => "ask whether a token is believed",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Scope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|scope| scope.as_str() == text);
        found.ok_or_else(|| format!("{text} is not a scope"))
    }
}

impl TryFrom<String> for Scope {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Scope> for &'static str {
    fn from(scope: Scope) -> Self {
        scope.as_str()
    }
}

/// What a role allows unless an installation says otherwise.
pub(super) const fn default_scopes(role: Role) -> &'static [Scope] {
    use Scope as S;
    match role {
        Role::Station => &[S::InspectionsRead, S::InspectionsWrite, S::PartsRead],
        Role::Operator => &[S::InspectionsRead, S::InspectionsWrite, S::PartsRead, S::ReportsRead],
        Role::Engineer => &[
            S::InspectionsRead,
            S::InspectionsWrite,
            S::InspectionsVoid,
            S::PartsRead,
            S::PartsWrite,
            S::ReportsRead,
            S::ProjectionsRead,
            S::RetentionRead,
        ],
        Role::Quality => &[
            S::InspectionsRead,
            S::InspectionsVoid,
            S::PartsRead,
            S::ReportsRead,
            S::ProjectionsRead,
            S::RetentionRead,
        ],
        Role::Auditor => &[
            S::InspectionsRead,
            S::PartsRead,
            S::ReportsRead,
            S::ProjectionsRead,
            S::RetentionRead,
            S::AccessRead,
            S::AuditRead,
            S::TokensIntrospect,
        ],
        Role::Admin => &Scope::ALL,
    }
}
