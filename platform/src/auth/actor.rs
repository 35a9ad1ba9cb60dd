//! Who acts, with what, and where.

use std::collections::BTreeSet;

use domain::{Holdings, Principal, PrincipalName, Reach};

use super::{RoleScopes, Scope};

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
    /// An actor with what `roles` allow unless an installation says otherwise; unknown roles allow nothing.
    #[must_use]
    pub fn with_roles(subject: impl Into<String>, roles: &[&str]) -> Self {
        Self {
            subject: subject.into(),
            roles: roles.iter().map(|&role| role.to_owned()).collect(),
            scopes: RoleScopes::default().of_names(roles.iter().copied()),
            reach: Reach::everywhere(),
            revision: None,
        }
    }

    /// An account or a client, as it is now, with what its role allows.
    #[must_use]
    pub fn for_principal(name: &PrincipalName, principal: &Principal, roles: &RoleScopes) -> Self {
        Self {
            subject: name.to_string(),
            roles: vec![principal.role.to_string()],
            scopes: roles.of(principal.role),
            reach: principal.reach.clone(),
            revision: Some(principal.revision),
        }
    }

    /// What may be done according to the roles alone, as `roles` says.
    #[must_use]
    pub fn with_scopes_of(self, roles: &RoleScopes) -> Self {
        let scopes = roles.of_names(self.roles.iter().map(String::as_str));
        Self { scopes, ..self }
    }

    /// What it holds, and may give to others: what its roles allow, however few scopes its token has, where it may act.
    #[must_use]
    pub fn holdings(&self, roles: &RoleScopes) -> Holdings {
        let held = roles.of_names(self.roles.iter().map(String::as_str));
        Holdings { roles: roles.within(&held), reach: self.reach.clone() }
    }

    /// Whether `scope` was granted.
    #[must_use]
    pub fn allows(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }
}
