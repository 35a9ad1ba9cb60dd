//! Who may do what: actors, roles, scopes, signed access tokens, what is known of accounts and clients, and the
//! demonstration's account.
//!
//! Invariant: a token is believed only when it is signed with Ed25519 by a known key for this
//! issuer and audience, and is in its time. Absent: refresh tokens (`access::Sessions`) and HTTP (see
//! `http::Authenticated`).

mod actor;
mod external_issuer;
mod installation_keys;
mod issuer;
mod issuer_config;
mod key_error;
mod key_material;
mod key_place;
mod key_set;
mod keys;
mod keys_config;
mod public_keys;
mod register;
mod role_scopes;
mod scope;
mod secret_key;
mod signed_tokens;
mod signing_key;
mod tokens;
mod tree_head_key;
mod users;
mod verifier;

#[cfg(test)]
mod tests;

pub use actor::Actor;
#[cfg(test)]
pub(crate) use external_issuer::test_keys;
pub use external_issuer::{
    ClaimMapping, ExternalIssuer, ExternalTokenError, InvalidClaimMapping, InvalidKeySet,
    IssuerKeys, KeySet, KeyTrust,
};
pub use installation_keys::InstallationKeys;
pub use issuer::TokenIssuer;
pub use issuer_config::TokenIssuerConfig;
pub use key_error::KeyError;
pub use key_place::KeyPlace;
pub(crate) use key_set::SIGNS_AFTER;
pub use key_set::{AgreedKey, KeyAgreement, KeyPurpose, NamedKey};
pub use keys::{KeyRing, KeySummary, KeyUse};
pub use keys_config::KeysConfig;
pub use register::{AccessRegister, AccessUnknown};
pub use role_scopes::{RoleScopes, RoleScopesError, RolesConfig};
pub use scope::Scope;
pub(crate) use secret_key::hmac_sha256;
pub use signing_key::SigningKey;
pub use tokens::{AccessToken, TokenConfig, VerifiedToken};
pub use tree_head_key::{TreeHeadKey, parse_public_pem, verify_ed25519, write_public_pem};
pub use users::Users;
pub use verifier::TokenVerifier;

/// Why somebody is not let in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// No `Authorization` header.
    #[error("send a token: Authorization: Bearer <access token from POST /v1/token>")]
    MissingToken,
    /// Another scheme than `Bearer`.
    #[error("the request does not have one Authorization header of the form Bearer <token>")]
    NotBearer,
    /// Not a JWT, or claims missing or of the wrong type.
    #[error("the token is malformed; get a new one")]
    Malformed,
    /// `none`, HS256, or anything else than the configured algorithm.
    #[error("the token is signed with an algorithm that is not accepted here")]
    WrongAlgorithm,
    /// No `kid`, or one that nobody here knows.
    #[error("the token is signed with a key that is not known here; get a new one")]
    UnknownKey,
    /// Altered, or signed by somebody else.
    #[error("the signature of the token is wrong; get a new one")]
    BadSignature,
    /// Something else that was signed here, or an ID token.
    #[error("the token is no access token: its typ is not at+jwt")]
    NotAnAccessToken,
    /// It must be understood by rules that are not known here (RFC 7515, section 4.1.11).
    #[error("the token relies on extensions that are not known here")]
    CriticalExtension,
    /// Issued by somebody else.
    #[error("the token comes from another issuer")]
    WrongIssuer,
    /// Issued for somebody else.
    #[error("the token is meant for another audience")]
    WrongAudience,
    /// Its time is over.
    #[error("the token has expired; get a new one")]
    Expired,
    /// Its time has not come.
    #[error("the token is not valid yet; check the clock")]
    NotYetValid,
    /// There is no account and no client of this name.
    #[error("the account or client that the token was issued to is not known here")]
    NoPrincipal,
    /// The account or client was disabled, or what it may do was changed, after it was issued.
    #[error("the token was taken back, or what it was granted to was changed since; get a new one")]
    Revoked,
    /// This process cannot tell who may do what.
    #[error("accounts and clients could not be read yet; try again in a moment")]
    AccessUnknown,
    /// A token of an identity provider, for a reason that our own have not.
    #[error(transparent)]
    External(#[from] ExternalTokenError),
    /// The token is good but does not allow this.
    #[error("the token lacks the scope {0}")]
    MissingScope(Scope),
    /// A token could not be made.
    #[error("the token could not be signed: {0}")]
    Sign(String),
}

impl AuthError {
    /// The kind of failure in a word that stays.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::MissingToken => "missing-token",
            Self::NotBearer => "not-bearer",
            Self::Malformed => "malformed-token",
            Self::WrongAlgorithm => "wrong-algorithm",
            Self::UnknownKey => "unknown-key",
            Self::BadSignature => "bad-signature",
            Self::CriticalExtension => "critical-extension",
            Self::NotAnAccessToken => "not-an-access-token",
            Self::WrongIssuer => "wrong-issuer",
            Self::WrongAudience => "wrong-audience",
            Self::Expired => "expired-token",
            Self::NotYetValid => "token-not-yet-valid",
            Self::NoPrincipal => "no-principal",
            Self::Revoked => "revoked-token",
            Self::AccessUnknown => "access-unknown",
            Self::MissingScope(_) => "missing-scope",
            Self::External(_) => "external-token",
            Self::Sign(_) => "not-signed",
        }
    }

    /// Whether somebody is refused, and not only our own trouble told.
    #[must_use]
    pub const fn is_refusal(&self) -> bool {
        !matches!(
            self,
            Self::AccessUnknown | Self::Sign(_) | Self::External(ExternalTokenError::ProviderAway)
        )
    }
}
