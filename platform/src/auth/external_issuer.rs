//! Tokens of an issuer beside the installation's own: a company's identity provider (OpenID Connect Core 1.0,
//! RFC 9068), and what they prove here.
//!
//! Invariants: the issuer that a token names decides by whose rules it is judged, and a key, an audience or a
//! subject of one issuer is never taken for one of the other; a token is believed only with the algorithm of
//! the key that it names; who is given no role that counts here is let in for nothing. Absent: how keys come
//! here (`identity_provider`).

mod claim_mapping;
mod claim_path;
mod claims;
mod error;
mod issuer_keys;
mod key_set;
#[cfg(test)]
pub(crate) mod test_keys;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use jsonwebtoken::Validation;
use jsonwebtoken::errors::ErrorKind;
use serde::Deserialize;

use super::{Actor, AuthError};
pub use claim_mapping::{ClaimMapping, InvalidClaimMapping};
use claims::{Claims, check_claims};
pub use error::ExternalTokenError;
pub use issuer_keys::{IssuerKeys, KeyTrust};
pub use key_set::{InvalidKeySet, KeySet};

/// The longest token that is looked at, in bytes: those of large companies name many groups.
const EXTERNAL_TOKEN_MAX_BYTES: usize = 16 << 10;
/// What the header of an access token may call its type, in small letters (RFC 9068, RFC 7519).
const ACCESS_TOKEN_TYPES: [&str; 3] = ["jwt", "at+jwt", "application/at+jwt"];

/// An issuer beside the installation's own, and what its tokens prove. Clones share what is known of its keys.
#[derive(Clone)]
pub struct ExternalIssuer(Arc<IssuerRules>);

struct IssuerRules {
    issuer: String,
    audience: String,
    mapping: ClaimMapping,
    keys: IssuerKeys,
}

impl ExternalIssuer {
    /// The issuer of this URL, whose tokens count when they are meant for `audience`.
    #[must_use]
    pub fn new(issuer: String, audience: String, mapping: ClaimMapping, trust: KeyTrust) -> Self {
        let keys = IssuerKeys::new(trust);
        Self(Arc::new(IssuerRules { issuer, audience, mapping, keys }))
    }

    /// Its URL, as `iss` names it.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.0.issuer
    }

    /// What is known of its keys.
    #[must_use]
    pub fn keys(&self) -> &IssuerKeys {
        &self.0.keys
    }

    /// Whether `token` says that it is of this issuer. Nothing of it is believed for that.
    pub(super) fn is_named_by(&self, token: &str) -> bool {
        #[derive(Deserialize)]
        struct NamedIssuer {
            iss: String,
        }
        if token.len() > EXTERNAL_TOKEN_MAX_BYTES {
            return false;
        }
        let Some(payload) = token.split('.').nth(1) else { return false };
        let Ok(payload) = URL_SAFE_NO_PAD.decode(payload) else { return false };
        serde_json::from_slice::<NamedIssuer>(&payload)
            .is_ok_and(|named| named.iss == self.0.issuer)
    }

    /// Waits for a moment, when the key that `token` names is not known and may come.
    pub(super) async fn await_key_of(&self, token: &str) {
        if let Ok(header) = jsonwebtoken::decode_header(token)
            && let Some(kid) = header.kid
        {
            self.0.keys.await_key(&kid).await;
        }
    }

    /// The actor that `token` proves at `now`.
    ///
    /// # Errors
    /// Why it is not believed.
    pub(super) fn verify(&self, token: &str, now: DateTime<Utc>) -> Result<Actor, AuthError> {
        let claims = self.signed_claims(token)?;
        check_claims(&claims, &self.0.issuer, &self.0.audience, now)?;
        Ok(self.0.mapping.actor_from(&claims)?)
    }

    /// The claims of `token`, when it is signed by a key of this issuer.
    fn signed_claims(&self, token: &str) -> Result<Claims, AuthError> {
        let header = jsonwebtoken::decode_header(token).map_err(explain_failure)?;
        if header.crit.is_some() {
            return Err(AuthError::CriticalExtension);
        }
        let kind = header.typ.unwrap_or_default().to_ascii_lowercase();
        if !kind.is_empty() && !ACCESS_TOKEN_TYPES.contains(&kind.as_str()) {
            return Err(ExternalTokenError::NoAccessToken.into());
        }
        let kid = header.kid.ok_or(AuthError::UnknownKey)?;
        let keys = self.0.keys.trusted()?;
        let Some(key) = keys.find(&kid) else { return Err(self.0.keys.explain_unknown()) };
        if header.alg != key.algorithm {
            return Err(AuthError::WrongAlgorithm);
        }
        // What else is checked of the claims is checked by us: against the `now` that is handed in.
        let mut validation = Validation::new(key.algorithm);
        validation.required_spec_claims.clear();
        (validation.validate_exp, validation.validate_aud) = (false, false);
        let decoded = jsonwebtoken::decode::<Claims>(token, &key.key, &validation);
        decoded.map(|decoded| decoded.claims).map_err(explain_failure)
    }
}

impl fmt::Debug for ExternalIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExternalIssuer").field("issuer", &self.0.issuer).finish_non_exhaustive()
    }
}

fn explain_failure(error: jsonwebtoken::errors::Error) -> AuthError {
    match error.kind() {
        ErrorKind::InvalidSignature => AuthError::BadSignature,
        ErrorKind::InvalidAlgorithm | ErrorKind::UnsupportedAlgorithm => AuthError::WrongAlgorithm,
        _ => AuthError::Malformed,
    }
}
