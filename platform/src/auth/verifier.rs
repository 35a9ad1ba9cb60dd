//! Which access tokens are believed, and what they prove.
//!
//! Invariant: a token is believed only when it is an access token, signed with the one accepted algorithm by a known
//! key, for this issuer and audience, in its time, and while what it was granted to is as it was.

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::{AccessControl, Reach, Sha256};
use jsonwebtoken::Validation;
use jsonwebtoken::errors::ErrorKind;

use super::installation_keys::InstallationKeys;
use super::key_set::KeySet;
use super::public_keys::PublicKeys;
use super::register::{AccessRegister, AccessUnknown};
use super::signed_tokens::{SignedToken, SignedTokens};
use super::tokens::{ALGORITHM, TOKEN_TYPE, TokenClaims, TokenConfig, VerifiedToken};
use super::users::DEMO_ACCOUNT;
use super::{Actor, AuthError, ExternalIssuer, KeyError};

/// How far clocks may differ, in seconds.
pub(super) const LEEWAY_S: i64 = 30;
/// The longest token that is looked at, in bytes.
const TOKEN_MAX_BYTES: usize = 8 << 10;
/// The longest subject or role, in bytes.
const NAME_MAX_BYTES: usize = 255;

/// Decides which tokens are believed.
pub struct TokenVerifier {
    keys: InstallationKeys,
    signed: SignedTokens,
    config: TokenConfig,
    register: Option<AccessRegister>,
    /// Whose tokens are believed, too.
    external: Option<ExternalIssuer>,
}

impl TokenVerifier {
    /// A verifier that believes these keys, as long as their place says so.
    pub(super) fn of_keys(keys: InstallationKeys, config: TokenConfig) -> Self {
        Self { keys, signed: SignedTokens::default(), config, register: None, external: None }
    }

    /// A verifier that believes the keys of a key set (RFC 7517), for processes without the folder.
    ///
    /// # Errors
    /// When the set holds no Ed25519 key.
    pub fn from_jwks(set: &serde_json::Value, config: TokenConfig) -> Result<Self, KeyError> {
        let keys = KeySet::of_public(PublicKeys::from_jwks(set)?);
        Ok(Self::of_keys(InstallationKeys::of_set(keys), config))
    }

    /// The actor that `token` proves at `now`.
    ///
    /// # Errors
    /// Why it is not believed; see [`AuthError`].
    pub fn verify(&self, token: &str, now: DateTime<Utc>) -> Result<Actor, AuthError> {
        if let Some(external) = self.external_issuer_of(token) {
            let actor = external.verify(token, now)?;
            return Ok(match &self.register {
                Some(register) => actor.with_scopes_of(register.role_scopes()),
                None => actor,
            });
        }
        self.inspect(token, now).map(|verified| verified.actor)
    }

    /// What `token` of ours says, where it is believed at `now`.
    ///
    /// # Errors
    /// Why it is not believed; see [`AuthError`].
    pub fn inspect(&self, token: &str, now: DateTime<Utc>) -> Result<VerifiedToken, AuthError> {
        if token.len() > TOKEN_MAX_BYTES {
            return Err(AuthError::Malformed);
        }
        let digest = Sha256::digest_of(token.as_bytes());
        let is_believed = |known: &Arc<SignedToken>| self.keys.current().find(&known.kid).is_some();
        let known = self.signed.find(&digest).filter(is_believed);
        let signed = match &known {
            Some(known) => Arc::clone(known),
            None => Arc::new(self.check_signature(token)?),
        };
        check_time(&signed, now)?;
        if known.is_none() {
            self.signed.keep(&digest, &signed);
        }
        let verified = signed.token.clone();
        match &self.register {
            Some(register) => confirm(verified, register),
            None => Ok(verified),
        }
    }

    /// Believes what a token says of its subject only while `register` says so, too.
    #[must_use]
    pub fn with_register(self, register: AccessRegister) -> Self {
        Self { register: Some(register), ..self }
    }

    /// Believes the tokens of this issuer, too.
    #[must_use]
    pub fn with_external_issuer(self, external: Option<ExternalIssuer>) -> Self {
        Self { external, ..self }
    }

    /// Waits for a moment where `token` names a key of an external issuer that is not known yet and may come. Call it
    /// before [`Self::verify`], where waiting is possible.
    pub async fn await_key_of(&self, token: &str) {
        if let Some(external) = self.external_issuer_of(token) {
            external.await_key_of(token).await;
        }
    }

    fn external_issuer_of(&self, token: &str) -> Option<&ExternalIssuer> {
        self.external.as_ref().filter(|external| external.is_named_by(token))
    }

    /// The key set (RFC 7517) that is believed here.
    #[must_use]
    pub fn jwks(&self) -> serde_json::Value {
        self.keys.current().public.jwks()
    }

    /// What a token says that was signed for this issuer and audience, at any time.
    fn check_signature(&self, token: &str) -> Result<SignedToken, AuthError> {
        let header =
            jsonwebtoken::decode_header(token).map_err(|error| explain_failure(error.kind()))?;
        if header.alg != ALGORITHM {
            return Err(AuthError::WrongAlgorithm);
        }
        if header.crit.is_some() {
            return Err(AuthError::CriticalExtension);
        }
        let kid = header.kid.ok_or(AuthError::UnknownKey)?;
        let keys = self.keys.current_with(&kid);
        let key = keys.find(&kid).ok_or(AuthError::UnknownKey)?;
        let decoded = jsonwebtoken::decode::<TokenClaims>(token, key, &self.claim_rules())
            .map_err(|error| explain_failure(error.kind()))?;
        check_type(header.typ.as_deref())?;
        check_names(&decoded.claims)?;
        Ok(signed_token(kid, decoded.claims))
    }

    /// Time is checked by us, against the `now` that is handed in.
    fn claim_rules(&self) -> Validation {
        let mut validation = Validation::new(ALGORITHM);
        validation.set_issuer(&[&self.config.issuer]);
        validation.set_audience(&[&self.config.audience]);
        validation.set_required_spec_claims(&["iss", "aud", "sub", "exp", "nbf"]);
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation
    }
}

impl fmt::Debug for TokenVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenVerifier").field("config", &self.config).finish_non_exhaustive()
    }
}

/// What else is signed with the same keys, or says of itself that it is something else, is no access token
/// (RFC 9068, section 4).
fn check_type(typ: Option<&str>) -> Result<(), AuthError> {
    let typ = typ.unwrap_or_default();
    let typ = typ.strip_prefix("application/").unwrap_or(typ);
    if typ.eq_ignore_ascii_case(TOKEN_TYPE) { Ok(()) } else { Err(AuthError::NotAnAccessToken) }
}

fn check_time(signed: &SignedToken, now: DateTime<Utc>) -> Result<(), AuthError> {
    let now = now.timestamp();
    if signed.token.expires_at.saturating_add(LEEWAY_S) <= now {
        return Err(AuthError::Expired);
    }
    if signed.not_before.saturating_sub(LEEWAY_S) > now {
        return Err(AuthError::NotYetValid);
    }
    Ok(())
}

/// The subject, the roles and the id of the token stand in every event that is caused: as texts that can be
/// stored and shown.
fn check_names(claims: &TokenClaims) -> Result<(), AuthError> {
    let is_name = |text: &str| {
        (1..=NAME_MAX_BYTES).contains(&text.len()) && !text.chars().any(char::is_control)
    };
    let names = claims.roles.iter().chain([&claims.sub, &claims.jti]);
    if names.map(String::as_str).all(is_name) { Ok(()) } else { Err(AuthError::Malformed) }
}

/// Scopes that this version does not know are left out: they allow nothing here.
fn signed_token(kid: String, claims: TokenClaims) -> SignedToken {
    let scopes = claims.scope.split_whitespace().filter_map(|scope| scope.parse().ok()).collect();
    let actor = Actor {
        subject: claims.sub,
        roles: claims.roles,
        scopes,
        reach: Reach::everywhere(),
        revision: claims.revision,
        client: None,
        token_id: Some(claims.jti.clone()),
        display_name: None,
    };
    let token = VerifiedToken {
        actor,
        token_id: claims.jti,
        session: claims.sid,
        issued_at: claims.iat,
        expires_at: claims.exp,
    };
    SignedToken { kid, not_before: claims.nbf, token }
}

/// The token, with the account or client as it is now, where it is the one that it was issued to. What is changed
/// about it takes its tokens away, whichever process issued them; one that this process has not heard of yet is
/// newer than what it knows.
fn confirm(token: VerifiedToken, register: &AccessRegister) -> Result<VerifiedToken, AuthError> {
    let Some(revision) = token.actor.revision else {
        let is_demo = token.actor.subject == DEMO_ACCOUNT;
        return if is_demo { Ok(token) } else { Err(AuthError::NoPrincipal) };
    };
    let name = token.actor.subject.parse().map_err(|_| AuthError::Malformed)?;
    let access = register.current().map_err(|AccessUnknown| AuthError::AccessUnknown)?;
    let principal = access.principal(&name).ok_or(AuthError::NoPrincipal)?;
    if revision < principal.revision || !principal.is_enabled || is_withdrawn(&token, &access) {
        return Err(AuthError::Revoked);
    }
    Ok(VerifiedToken { actor: token.actor.known_as(principal), ..token })
}

/// Whether the token, or the session that it belongs to, was taken back before its time.
fn is_withdrawn(token: &VerifiedToken, access: &AccessControl) -> bool {
    let ids = [token.session, token.token_id.parse().ok()];
    ids.into_iter().flatten().any(|id| access.is_withdrawn(id))
}

fn explain_failure(kind: &ErrorKind) -> AuthError {
    match kind {
        ErrorKind::InvalidSignature => AuthError::BadSignature,
        ErrorKind::InvalidAlgorithm | ErrorKind::UnsupportedAlgorithm => AuthError::WrongAlgorithm,
        ErrorKind::InvalidIssuer => AuthError::WrongIssuer,
        ErrorKind::InvalidAudience => AuthError::WrongAudience,
        _ => AuthError::Malformed,
    }
}
