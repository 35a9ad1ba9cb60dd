//! Who acts, with what, and where.

use std::collections::BTreeSet;

use domain::{Principal, PrincipalName, Reach};

use super::{Scope, scopes_of};

/// Somebody or something that acts, as proved by a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// Who: a user name or a client id.
    pub subject: String,
    /// The roles held when the token was issued.
    pub roles: Vec<String>,
    /// What may be done.
    pub scopes: BTreeSet<Scope>,
    /// Where it may be done.
    pub reach: Reach,
    /// The revision of the principal that this was granted to; absent for the demonstration's account.
    pub revision: Option<u32>,
}

impl Actor {
    /// An actor with what `roles` allow; unknown roles allow nothing.
    #[must_use]
    pub fn with_roles(subject: impl Into<String>, roles: &[&str]) -> Self {
        Self {
            subject: subject.into(),
            roles: roles.iter().map(|&role| role.to_owned()).collect(),
            scopes: roles.iter().flat_map(|role| scopes_of(role)).copied().collect(),
            reach: Reach::everywhere(),
            revision: None,
        }
    }

    /// An account or a client, as it is now.
    #[must_use]
    pub fn for_principal(name: &PrincipalName, principal: &Principal) -> Self {
        Self {
            reach: principal.reach.clone(),
            revision: Some(principal.revision),
            ..Self::with_roles(name.as_str(), &[principal.role.as_str()])
        }
    }

    /// Whether `scope` was granted.
    #[must_use]
    pub fn allows(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }
}
