//! Who stands in an event: who it was, by what that was proved, and from where.
//!
//! Invariant: a name is kept as it was called then, beside what identifies for ever. What is unknown is absent, as
//! it is in events from before it was written.

use std::collections::HashMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

const SUBJECT: &str = "actor_subject";
const ROLES: &str = "actor_roles";
const CLIENT: &str = "actor_client";
const TOKEN_ID: &str = "actor_token_id";
const ADDRESS: &str = "actor_address";
const NAME: &str = "actor_name";

/// Who asked for a command, or which part of the platform decided an event by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActorRef {
    /// The token's subject.
    pub subject: String,
    /// The roles it had.
    pub roles: Vec<String>,
    /// The client that asked, when one did.
    pub client: Option<String>,
    /// The id of the token (`jti`) that it was asked with; never the token.
    pub token_id: Option<String>,
    /// Where it was asked from.
    pub address: Option<IpAddr>,
    /// What the person was called then.
    pub name: Option<String>,
}

impl ActorRef {
    /// Somebody of whom no more is known than what identifies.
    #[must_use]
    pub fn new(subject: impl Into<String>, roles: &[&str]) -> Self {
        Self {
            subject: subject.into(),
            roles: roles.iter().map(|&role| role.to_owned()).collect(),
            client: None,
            token_id: None,
            address: None,
            name: None,
        }
    }

    /// A part of the platform.
    #[must_use]
    pub fn for_service(name: &str) -> Self {
        Self::new(name, &["service"])
    }

    /// What is stored of it.
    pub(super) fn entries(&self) -> [(&'static str, Option<String>); 6] {
        [
            (SUBJECT, Some(self.subject.clone())),
            (ROLES, Some(self.roles.join(" "))),
            (CLIENT, self.client.clone()),
            (TOKEN_ID, self.token_id.clone()),
            (ADDRESS, self.address.map(|address| address.to_string())),
            (NAME, self.name.clone()),
        ]
    }

    /// Who a stored map names; nobody when another tool wrote it without saying so.
    pub(super) fn from_map(map: &HashMap<String, String>) -> Option<Self> {
        let text = |key: &str| map.get(key).cloned();
        let roles = map.get(ROLES).map(String::as_str).unwrap_or_default();
        Some(Self {
            subject: text(SUBJECT)?,
            roles: roles.split_whitespace().map(str::to_owned).collect(),
            client: text(CLIENT),
            token_id: text(TOKEN_ID),
            address: map.get(ADDRESS).and_then(|address| address.parse().ok()),
            name: text(NAME),
        })
    }
}
