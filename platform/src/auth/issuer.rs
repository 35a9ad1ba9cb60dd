//! Issuing access tokens.

use chrono::{DateTime, Utc};
use jsonwebtoken::Header;
use uuid::Uuid;

use super::tokens::{ALGORITHM, AccessToken, TokenClaims, TokenConfig};
use super::{Actor, AuthError, KeyRing, TokenVerifier};

/// Issues access tokens with the newest key of a ring.
#[derive(Debug)]
pub struct TokenIssuer {
    pub(super) keys: KeyRing,
    config: TokenConfig,
}

impl TokenIssuer {
    /// An issuer that signs with the newest of `keys`.
    #[must_use]
    pub fn new(keys: KeyRing, config: TokenConfig) -> Self {
        Self { keys, config }
    }

    /// A token that proves `actor` from `now` on.
    ///
    /// # Errors
    /// [`AuthError::Sign`] when the key cannot sign.
    pub fn issue(&self, actor: &Actor, now: DateTime<Utc>) -> Result<AccessToken, AuthError> {
        let expires_in = self.config.lifetime.as_secs();
        let scopes: Vec<_> = actor.scopes.iter().map(|scope| scope.as_str()).collect();
        let claims = TokenClaims {
            iss: self.config.issuer.clone(),
            aud: self.config.audience.clone(),
            sub: actor.subject.clone(),
            iat: now.timestamp(),
            nbf: now.timestamp(),
            exp: now.timestamp().saturating_add_unsigned(expires_in),
            jti: Uuid::new_v4().to_string(),
            roles: actor.roles.clone(),
            revision: actor.revision,
            scope: scopes.join(" "),
        };
        let signing = &self.keys.signing;
        let header = Header {
            kid: Some(signing.kid.clone()),
            typ: Some("at+jwt".to_owned()),
            ..Header::new(ALGORITHM)
        };
        let token = jsonwebtoken::encode(&header, &claims, &signing.key)
            .map_err(|error| AuthError::Sign(error.to_string()))?;
        Ok(AccessToken { token, token_id: claims.jti, expires_in })
    }

    /// A verifier of the tokens issued here, which notices rotated keys.
    #[must_use]
    pub fn verifier(&self) -> TokenVerifier {
        TokenVerifier::of_ring(&self.keys, self.config.clone())
    }

    /// The key set (RFC 7517) for `/.well-known/jwks.json`.
    #[must_use]
    pub fn jwks(&self) -> serde_json::Value {
        self.keys.jwks()
    }
}
