//! Issuing access tokens.

use chrono::{DateTime, Utc};
use jsonwebtoken::Header;
use uuid::Uuid;

use super::installation_keys::InstallationKeys;
use super::tokens::{ALGORITHM, AccessToken, TOKEN_TYPE, TokenClaims, TokenConfig};
use super::{Actor, AuthError, KeyRing, TokenVerifier};

/// Issues access tokens with the key that signs at the time.
pub struct TokenIssuer {
    pub(super) keys: InstallationKeys,
    config: TokenConfig,
}

impl TokenIssuer {
    /// An issuer that signs with the keys of a ring.
    #[must_use]
    pub fn new(keys: KeyRing, config: TokenConfig) -> Self {
        Self::on_keys(&InstallationKeys::new(&keys), config)
    }

    /// An issuer that signs with `keys`, as they are followed.
    #[must_use]
    pub fn on_keys(keys: &InstallationKeys, config: TokenConfig) -> Self {
        Self { keys: keys.clone(), config }
    }

    /// A token that proves `actor` from `now` on, and belongs to no session.
    ///
    /// # Errors
    /// [`AuthError::Sign`] when the key cannot sign.
    pub fn issue(&self, actor: &Actor, now: DateTime<Utc>) -> Result<AccessToken, AuthError> {
        self.issue_in_session(actor, None, now)
    }

    /// A token that proves `actor` from `now` on, as long as `session` goes on.
    ///
    /// # Errors
    /// [`AuthError::Sign`] when the key cannot sign.
    pub fn issue_in_session(
        &self,
        actor: &Actor,
        session: Option<Uuid>,
        now: DateTime<Utc>,
    ) -> Result<AccessToken, AuthError> {
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
            client_id: actor.client_id().to_owned(),
            sid: session,
            roles: actor.roles.clone(),
            revision: actor.revision,
            scope: scopes.join(" "),
        };
        let keys = self.keys.current();
        let no_key = || AuthError::Sign("there is no key to sign with".to_owned());
        let signing = keys.signing_at(now).ok_or_else(no_key)?;
        let header = Header {
            kid: Some(signing.id.clone()),
            typ: Some(TOKEN_TYPE.to_owned()),
            ..Header::new(ALGORITHM)
        };
        let token = jsonwebtoken::encode(&header, &claims, &signing.material)
            .map_err(|error| AuthError::Sign(error.to_string()))?;
        Ok(AccessToken { token, token_id: claims.jti, expires_in })
    }

    /// A verifier of the tokens issued here, which notices rotated keys.
    #[must_use]
    pub fn verifier(&self) -> TokenVerifier {
        TokenVerifier::of_keys(self.keys.clone(), self.config.clone())
    }

    /// Whose tokens these are, and how long they are good.
    #[must_use]
    pub const fn config(&self) -> &TokenConfig {
        &self.config
    }

    /// The key set (RFC 7517) for `/.well-known/jwks.json`.
    #[must_use]
    pub fn jwks(&self) -> serde_json::Value {
        self.keys.current().public.jwks()
    }
}

impl std::fmt::Debug for TokenIssuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenIssuer").field("config", &self.config).finish_non_exhaustive()
    }
}
