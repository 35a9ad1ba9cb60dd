//! What each role allows in this installation: the defaults, or what a file says of some of them.
//!
//! Roles become scopes where a token is issued, and stand in it; whoever verifies the token believes these. So a file
//! counts for tokens that are issued after the process that issues them has read it.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::{fmt, fs, io};

use domain::Role;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};

use super::Scope;
use super::scope::default_scopes;

/// The largest file that is read, in bytes.
const FILE_MAX_BYTES: u64 = 64 << 10;

/// What whoever keeps accounts must be able to do: without it nobody could undo what a file says.
const KEEPS_ACCOUNTS: [Scope; 2] = [Scope::AccessRead, Scope::AccessWrite];

/// Why a file does not say what roles allow.
#[derive(Debug, thiserror::Error)]
pub enum RoleScopesError {
    /// It cannot be read.
    #[error("{path} cannot be read: {source}")]
    Unreadable {
        /// Which file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// It is larger than anything sensible.
    #[error("{0} is larger than 64 KiB: it is no file of roles")]
    TooLarge(String),
    /// It is no JSON object of lists of texts.
    #[error(
        "it must be a JSON object of roles with lists of scopes, such as {{\"operator\": [\"reports:read\"]}}: {0}"
    )]
    Malformed(String),
    /// There is no such role.
    #[error("{0} is not a role; the roles are {roles}", roles = Role::ALL.map(Role::as_str).join(", "))]
    UnknownRole(String),
    /// There is no such scope.
    #[error("{role}: {scope} is not a scope; the scopes are {scopes}", scopes = Scope::ALL.map(Scope::as_str).join(", "))]
    UnknownScope {
        /// In the list of which role.
        role: Role,
        /// What stands there.
        scope: String,
    },
    /// Nobody could keep accounts any more.
    #[error("admin: {0} must be among its scopes, or nobody could keep accounts and clients")]
    AdminWithout(Scope),
}

/// What each role allows. Clones share it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleScopes(Arc<BTreeMap<Role, BTreeSet<Scope>>>);

impl Default for RoleScopes {
    fn default() -> Self {
        let scopes = |role| default_scopes(role).iter().copied().collect();
        Self(Arc::new(Role::ALL.into_iter().map(|role| (role, scopes(role))).collect()))
    }
}

impl RoleScopes {
    /// What the JSON file at `path` says, `{"operator": ["inspections:read"]}`, and of the roles that it does not
    /// name the defaults.
    ///
    /// # Errors
    /// When it cannot be read, names a role or a scope that there is not, or takes from `admin` what nobody could
    /// give back.
    pub fn read(path: &Path) -> Result<Self, RoleScopesError> {
        let shown = path.display().to_string();
        let unreadable = |source| RoleScopesError::Unreadable { path: shown.clone(), source };
        if fs::metadata(path).map_err(unreadable)?.len() > FILE_MAX_BYTES {
            return Err(RoleScopesError::TooLarge(shown));
        }
        Self::parse(&fs::read(path).map_err(unreadable)?)
    }

    fn parse(json: &[u8]) -> Result<Self, RoleScopesError> {
        let NamedRoles(named) = serde_json::from_slice(json)
            .map_err(|error| RoleScopesError::Malformed(error.to_string()))?;
        let mut all = BTreeMap::clone(&Self::default().0);
        for (name, listed) in named {
            let role: Role = name.parse().map_err(|_| RoleScopesError::UnknownRole(name))?;
            let scopes = listed.into_iter().map(|scope| {
                let unknown = |_| RoleScopesError::UnknownScope { role, scope: scope.clone() };
                scope.parse().map_err(unknown)
            });
            all.insert(role, scopes.collect::<Result<_, _>>()?);
        }
        let read = Self(Arc::new(all));
        match KEEPS_ACCOUNTS.into_iter().find(|scope| !read.allowed_to(Role::Admin).contains(scope))
        {
            Some(missing) => Err(RoleScopesError::AdminWithout(missing)),
            None => Ok(read),
        }
    }

    /// What `role` allows.
    #[must_use]
    pub fn allowed_to(&self, role: Role) -> BTreeSet<Scope> {
        self.0.get(&role).cloned().unwrap_or_default()
    }

    /// What roles of these names allow together; a name that is no role allows nothing.
    #[must_use]
    pub fn of_names<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> BTreeSet<Scope> {
        let roles = names.into_iter().filter_map(|name| name.parse().ok());
        roles.flat_map(|role| self.allowed_to(role)).collect()
    }

    /// The roles that allow nothing beyond `scopes`: what whoever holds these may give to others.
    #[must_use]
    pub fn within(&self, scopes: &BTreeSet<Scope>) -> BTreeSet<Role> {
        let is_within = |role: &Role| self.allowed_to(*role).is_subset(scopes);
        Role::ALL.into_iter().filter(is_within).collect()
    }
}

/// Roles with their scopes, as a file names them: each once, since of two lists nobody meant one.
struct NamedRoles(BTreeMap<String, Vec<String>>);

impl<'de> Deserialize<'de> for NamedRoles {
    fn deserialize<D: Deserializer<'de>>(file: D) -> Result<Self, D::Error> {
        file.deserialize_map(NamedRolesVisitor)
    }
}

struct NamedRolesVisitor;

impl<'de> Visitor<'de> for NamedRolesVisitor {
    type Value = NamedRoles;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of roles with lists of scopes")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut file: A) -> Result<NamedRoles, A::Error> {
        let mut named = BTreeMap::new();
        while let Some((role, scopes)) = file.next_entry::<String, Vec<String>>()? {
            let twice = A::Error::custom(format!("{role} stands there twice"));
            if named.insert(role, scopes).is_some() {
                return Err(twice);
            }
        }
        Ok(NamedRoles(named))
    }
}

/// What roles allow, as it is configured.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct RolesConfig {
    /// JSON file of what roles allow, such as {"operator": ["inspections:read", "reports:read"]}; a role that it does not
    /// name keeps its default.
    #[arg(long = "roles", env = "CHIPQ_ROLES", value_name = "FILE", value_parser = read_file)]
    file: Option<RoleScopes>,
}

impl RolesConfig {
    /// What each role allows.
    #[must_use]
    pub fn role_scopes(&self) -> RoleScopes {
        self.file.clone().unwrap_or_default()
    }
}

fn read_file(path: &str) -> Result<RoleScopes, RoleScopesError> {
    RoleScopes::read(Path::new(path))
}
