//! Who acts, with what, and where.

use std::collections::BTreeSet;
use std::net::IpAddr;

use domain::{DisplayName, Holdings, Principal, PrincipalKind, PrincipalName, Reach};

use super::{RoleScopes, Scope};
use crate::event_log::ActorRef;

/// The `client_id` of whoever asks through no client: none can have this name.
const FIRST_PARTY_CLIENT: &str = "chipq:first-party";

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
    /// An actor with what `roles` allow unless an installation says otherwise; unknown roles allow nothing.
    #[must_use]
    pub fn with_roles(subject: impl Into<String>, roles: &[&str]) -> Self {
        Self {
            subject: subject.into(),
            roles: roles.iter().map(|&role| role.to_owned()).collect(),
            scopes: RoleScopes::default().of_names(roles.iter().copied()),
            reach: Reach::everywhere(),
            revision: None,
            client: None,
            token_id: None,
            display_name: None,
        }
    }

    /// An account or a client, as it is now, with what its role allows.
    #[must_use]
    pub fn for_principal(name: &PrincipalName, principal: &Principal, roles: &RoleScopes) -> Self {
        let actor = Self {
            scopes: roles.allowed_to(principal.role),
            revision: Some(principal.revision),
            ..Self::with_roles(name.as_str(), &[principal.role.as_str()])
        };
        actor.known_as(principal)
    }

    /// The client that asks for it; for whoever asks through none, a name that no client can have.
    #[must_use]
    pub fn client_id(&self) -> &str {
        self.client.as_deref().unwrap_or(FIRST_PARTY_CLIENT)
    }

    /// The same, with what is known of the account or client now.
    pub(super) fn known_as(self, principal: &Principal) -> Self {
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
