//! Access tokens: JWT (RFC 7519, claims of RFC 9068) signed with Ed25519 (RFC 8037).

use std::fmt;
use std::time::Duration;

use jsonwebtoken::Algorithm;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Actor;

/// The only algorithm that is signed with and accepted.
pub(super) const ALGORITHM: Algorithm = Algorithm::EdDSA;
/// `typ` of the header (RFC 9068, section 2.1).
pub(super) const TOKEN_TYPE: &str = "at+jwt";
/// Who issues tokens, for whom, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenConfig {
    /// `iss`. Default `chipq`.
    pub issuer: String,
    /// `aud`. Default `chipq`.
    pub audience: String,
    /// How long an access token is good. Default 15 min.
    pub lifetime: Duration,
    /// How long somebody stays signed in at most, by refresh tokens. Default 12 h: a shift and its overtime.
    pub session_lifetime: Duration,
    /// How long a refresh token is good. Default 2 h.
    pub session_idle: Duration,
}

impl Default for TokenConfig {
    fn default() -> Self {
        Self {
            issuer: "chipq".to_owned(),
            audience: "chipq".to_owned(),
            lifetime: Duration::from_secs(15 * 60),
            session_lifetime: Duration::from_secs(12 * 60 * 60),
            session_idle: Duration::from_secs(2 * 60 * 60),
        }
    }
}

/// A token for a client. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessToken {
    /// The JWT.
    pub token: String,
    /// Its `jti`, which is no secret.
    pub token_id: String,
    /// Seconds until it expires.
    pub expires_in: u64,
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessToken").field("expires_in", &self.expires_in).finish_non_exhaustive()
    }
}

/// A token that is believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedToken {
    /// Whom it proves.
    pub actor: Actor,
    /// Its `jti`.
    pub token_id: String,
    /// The session that it belongs to, if any.
    pub session: Option<Uuid>,
    /// When it was issued, in seconds since 1970.
    pub issued_at: i64,
    /// When it expires, in seconds since 1970.
    pub expires_at: i64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct TokenClaims {
    pub(super) iss: String,
    pub(super) aud: String,
    pub(super) sub: String,
    pub(super) iat: i64,
    pub(super) nbf: i64,
    pub(super) exp: i64,
    pub(super) jti: String,
    /// The client that asked for it; see [`Actor::client_id`].
    #[serde(default)]
    pub(super) client_id: String,
    /// The session that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) sid: Option<Uuid>,
    #[serde(default)]
    pub(super) roles: Vec<String>,
    /// The revision of the account or client that it was issued to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) revision: Option<u32>,
    /// Scopes with a space between them.
    pub(super) scope: String,
}
