//! Scopes and the roles that expand to them: the whole table of permissions, in one place.

use std::fmt;
use std::str::FromStr;

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
    /// `tokens:introspect`: ask whether a token is believed, and what it proves.
    TokensIntrospect,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 9] = [
        Self::InspectionsRead,
        Self::InspectionsWrite,
        Self::InspectionsVoid,
        Self::PartsRead,
        Self::PartsWrite,
        Self::ReportsRead,
        Self::ProjectionsRead,
        Self::ProjectionsWrite,
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
            Self::TokensIntrospect => "tokens:introspect",
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

/// Every role with what it allows.
pub const ROLES: [(&str, &[Scope]); 6] = [
    ("station", &[Scope::InspectionsRead, Scope::InspectionsWrite, Scope::PartsRead]),
    (
        "operator",
        &[Scope::InspectionsRead, Scope::InspectionsWrite, Scope::PartsRead, Scope::ReportsRead],
    ),
    (
        "engineer",
        &[
            Scope::InspectionsRead,
            Scope::InspectionsWrite,
            Scope::InspectionsVoid,
            Scope::PartsRead,
            Scope::PartsWrite,
            Scope::ReportsRead,
            Scope::ProjectionsRead,
        ],
    ),
    (
        "quality",
        &[
            Scope::InspectionsRead,
            Scope::InspectionsVoid,
            Scope::PartsRead,
            Scope::ReportsRead,
            Scope::ProjectionsRead,
        ],
    ),
    (
        "auditor",
        &[
            Scope::InspectionsRead,
            Scope::PartsRead,
            Scope::ReportsRead,
            Scope::ProjectionsRead,
            Scope::TokensIntrospect,
        ],
    ),
    ("admin", &Scope::ALL),
];

/// What `role` allows; nothing when it is unknown.
#[must_use]
pub fn scopes_of(role: &str) -> &'static [Scope] {
    ROLES.iter().find(|(name, _)| *name == role).map_or(&[], |(_, scopes)| scopes)
}
