//! What the claims of an external issuer stand for here: who it is, in which roles, and where.
//!
//! Invariants: a subject of an external issuer never has the name of an account or a client, because it has a colon
//! in it; what is limited by a claim is limited to nothing while that claim is missing; a station is somewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use domain::{Reach, Role};
use serde::Deserialize;

use super::ExternalTokenError;
use super::claim_path::ClaimPath;
use super::claims::Claims;
use crate::auth::Actor;

/// The most values that stand for roles.
const ROLE_VALUES_MAX: usize = 1_000;
/// The longest text of another claim that is noted, in bytes.
const NOTED_MAX_BYTES: usize = 255;
/// The longest subject, in bytes.
const SUBJECT_MAX_BYTES: usize = 128;
/// The longest namespace, in bytes.
const NAMESPACE_MAX_BYTES: usize = 32;
/// What a claim says of stations or parts when it does not limit to any.
const EVERYWHERE: &str = "*";

/// Why a mapping is not one.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidClaimMapping {
    /// Not JSON of its shape.
    #[error("{0}")]
    Malformed(String),
    /// Nothing stands for a role, or too much does.
    #[error("roles.values must name 1 to {ROLE_VALUES_MAX} values of the claim, each with a role")]
    Roles,
    /// What subjects begin with.
    #[error("namespace must be 1 to {NAMESPACE_MAX_BYTES} letters a to z, digits and -")]
    Namespace,
    /// Stations could be every station.
    #[error("the role station is given, so stations must name the claim that holds the stations")]
    StationWithoutStations,
}

/// What the claims of a token stand for.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimMapping {
    /// What stands before the subject and a colon.
    #[serde(default = "default_namespace")]
    namespace: String,
    /// The claim that names the subject.
    #[serde(default = "default_subject")]
    subject: ClaimPath,
    roles: RoleMapping,
    /// The claim that lists stations; without it nobody is limited to any.
    stations: Option<ClaimPath>,
    /// The same for parts.
    parts: Option<ClaimPath>,
    /// The clients whose tokens count, by `azp` or `client_id`; without it, all.
    clients: Option<BTreeSet<String>>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RoleMapping {
    claim: ClaimPath,
    values: BTreeMap<String, Role>,
}

impl ClaimMapping {
    /// Reads a mapping.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(json: &[u8]) -> Result<Self, InvalidClaimMapping> {
        let malformed =
            |error: serde_json::Error| InvalidClaimMapping::Malformed(error.to_string());
        let mapping: Self = serde_json::from_slice(json).map_err(malformed)?;
        let is_inner =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let namespace = mapping.namespace.as_bytes();
        if !(1..=NAMESPACE_MAX_BYTES).contains(&namespace.len())
            || !namespace.iter().copied().all(is_inner)
        {
            return Err(InvalidClaimMapping::Namespace);
        }
        let roles = &mapping.roles.values;
        if !(1..=ROLE_VALUES_MAX).contains(&roles.len()) {
            return Err(InvalidClaimMapping::Roles);
        }
        if mapping.stations.is_none() && roles.values().any(|role| *role == Role::Station) {
            return Err(InvalidClaimMapping::StationWithoutStations);
        }
        Ok(mapping)
    }

    /// The actor that `claims` prove.
    pub(super) fn actor_from(&self, claims: &Claims) -> Result<Actor, ExternalTokenError> {
        self.check_client(claims)?;
        let subject = self.subject_from(claims)?;
        let roles = self.roles_from(claims);
        if roles.is_empty() {
            return Err(ExternalTokenError::NoRole);
        }
        let reach = self.reach_from(claims, &roles)?;
        let names: Vec<_> = roles.iter().map(|role| role.as_str()).collect();
        let client = text_of(claims, "azp").or_else(|| text_of(claims, "client_id"));
        Ok(Actor {
            reach,
            client: client.map(|client| format!("{}:{client}", self.namespace)),
            token_id: text_of(claims, "jti"),
            display_name: text_of(claims, "name").and_then(|name| name.parse().ok()),
            ..Actor::with_roles(subject, &names)
        })
    }

    fn check_client(&self, claims: &Claims) -> Result<(), ExternalTokenError> {
        let Some(clients) = &self.clients else { return Ok(()) };
        let named = claims.get("azp").or_else(|| claims.get("client_id"));
        let is_let_in = named.and_then(|named| named.as_str()).is_some_and(|n| clients.contains(n));
        if is_let_in { Ok(()) } else { Err(ExternalTokenError::ForeignClient) }
    }

    fn subject_from(&self, claims: &Claims) -> Result<String, ExternalTokenError> {
        let subject = self.subject.find_text(claims).unwrap_or_default();
        let is_shown = subject.bytes().all(|byte| byte.is_ascii_graphic());
        if is_shown && (1..=SUBJECT_MAX_BYTES).contains(&subject.len()) {
            Ok(format!("{}:{subject}", self.namespace))
        } else {
            Err(ExternalTokenError::UnusableSubject)
        }
    }

    fn roles_from(&self, claims: &Claims) -> BTreeSet<Role> {
        let given = self.roles.claim.find_texts(claims);
        given.into_iter().filter_map(|value| self.roles.values.get(value)).copied().collect()
    }

    /// Where an administrator is so is everywhere.
    fn reach_from(
        &self,
        claims: &Claims,
        roles: &BTreeSet<Role>,
    ) -> Result<Reach, ExternalTokenError> {
        if roles.contains(&Role::Admin) {
            return Ok(Reach::everywhere());
        }
        let stations = limit_from(self.stations.as_ref(), claims)?;
        let parts = limit_from(self.parts.as_ref(), claims)?;
        if roles.contains(&Role::Station) && stations.is_empty() {
            return Err(ExternalTokenError::NoReach);
        }
        Reach::new(stations, parts).map_err(|_| ExternalTokenError::NoReach)
    }
}

/// A claim that is noted in events, where it is a text that can be stored and shown.
fn text_of(claims: &Claims, name: &str) -> Option<String> {
    let text = claims.get(name)?.as_str()?;
    let is_shown =
        (1..=NOTED_MAX_BYTES).contains(&text.len()) && !text.chars().any(char::is_control);
    is_shown.then(|| text.to_owned())
}

/// What a claim limits to; nothing where it does not limit.
fn limit_from<T: FromStr + Ord>(
    claim: Option<&ClaimPath>,
    claims: &Claims,
) -> Result<BTreeSet<T>, ExternalTokenError> {
    let Some(claim) = claim else { return Ok(BTreeSet::new()) };
    let named = claim.find_texts(claims);
    if named.contains(&EVERYWHERE) {
        return Ok(BTreeSet::new());
    }
    let parsed = named.into_iter().map(str::parse).collect::<Result<BTreeSet<T>, _>>();
    parsed.ok().filter(|limit| !limit.is_empty()).ok_or(ExternalTokenError::NoReach)
}

fn default_namespace() -> String {
    "oidc".to_owned()
}

fn default_subject() -> ClaimPath {
    ClaimPath::for_claim("sub")
}
