//! Who acts, with what, and where.

use std::collections::BTreeSet;
use std::net::IpAddr;

use domain::{DisplayName, Principal, PrincipalKind, PrincipalName, Reach};

use super::{Scope, scopes_of};
use crate::event_log::ActorRef;

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
    /// The client that asks, when one does.
    pub client: Option<String>,
    /// The id of the token that proves it; absent where none does.
    pub token_id: Option<String>,
    /// What the person is called now.
    pub display_name: Option<DisplayName>,
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
            client: None,
            token_id: None,
            display_name: None,
        }
    }

    /// An account or a client, as it is now.
    #[must_use]
    pub fn for_principal(name: &PrincipalName, principal: &Principal) -> Self {
        let actor = Self {
            revision: Some(principal.revision),
            ..Self::with_roles(name.as_str(), &[principal.role.as_str()])
        };
        actor.as_known(principal)
    }

    /// The same, with what is known of the account or client now.
    pub(super) fn as_known(self, principal: &Principal) -> Self {
        let is_client = principal.kind == PrincipalKind::Client;
        Self {
            reach: principal.reach.clone(),
            client: self.client.or_else(|| is_client.then(|| self.subject.clone())),
            display_name: principal.display_name.clone(),
            ..self
        }
    }

    /// Who it is in an event of what it asks for from `address`.
    #[must_use]
    pub fn acting_from(&self, address: Option<IpAddr>) -> ActorRef {
        ActorRef {
            subject: self.subject.clone(),
            roles: self.roles.clone(),
            client: self.client.clone(),
            token_id: self.token_id.clone(),
            address,
            name: self.display_name.as_ref().map(|name| name.as_str().to_owned()),
        }
    }

    /// Whether `scope` was granted.
    #[must_use]
    pub fn allows(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }
}
