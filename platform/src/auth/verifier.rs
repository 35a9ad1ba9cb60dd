//! Which access tokens are believed, and what they prove.
//!
//! Invariant: a token is believed only when it is signed with the one accepted algorithm by a known key, for this
//! issuer and audience, in its time, and while what it was granted to is as it was.

use std::fmt;
use std::path::PathBuf;
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use domain::Reach;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{DecodingKey, Validation};

use super::keys::PublicKeys;
use super::register::{AccessRegister, AccessUnknown};
use super::tokens::{ALGORITHM, TokenClaims, TokenConfig};
use super::users::DEMO_ACCOUNT;
use super::{Actor, AuthError, ExternalIssuer, KeyError, KeyRing};

/// How far clocks may differ, in seconds.
const LEEWAY_S: i64 = 30;
/// The longest token that is looked at, in bytes.
const TOKEN_MAX_BYTES: usize = 8 << 10;
/// The longest subject or role, in bytes.
const NAME_MAX_BYTES: usize = 255;
/// An unknown key id makes the verifier read its folder again, at most this often.
const RELOAD_EVERY: Duration = Duration::from_secs(5);

/// Decides which tokens are believed.
pub struct TokenVerifier {
    keys: RwLock<KnownKeys>,
    folder: Option<PathBuf>,
    config: TokenConfig,
    register: Option<AccessRegister>,
    /// Whose tokens are believed, too.
    external: Option<ExternalIssuer>,
}

struct KnownKeys {
    keys: PublicKeys,
    /// When the folder was last read again.
    reloaded: Option<Instant>,
}

impl TokenVerifier {
    /// A verifier that believes the keys of `ring`, and notices when they are rotated.
    pub(super) fn of_ring(ring: &KeyRing, config: TokenConfig) -> Self {
        let keys = RwLock::new(KnownKeys { keys: ring.public.clone(), reloaded: None });
        Self {
            keys,
            folder: Some(ring.key_folder().to_owned()),
            config,
            register: None,
            external: None,
        }
    }

    /// A verifier that believes the keys of a key set (RFC 7517), for processes without the folder.
    ///
    /// # Errors
    /// When the set holds no Ed25519 key.
    pub fn from_jwks(set: &serde_json::Value, config: TokenConfig) -> Result<Self, KeyError> {
        let keys = PublicKeys::from_jwks(set)?;
        let keys = RwLock::new(KnownKeys { keys, reloaded: None });
        Ok(Self { keys, folder: None, config, register: None, external: None })
    }

    /// The actor that `token` proves at `now`.
    ///
    /// # Errors
    /// Why it is not believed; see [`AuthError`].
    pub fn verify(&self, token: &str, now: DateTime<Utc>) -> Result<Actor, AuthError> {
        if let Some(external) = self.external_issuer_of(token) {
            return external.verify(token, now);
        }
        if token.len() > TOKEN_MAX_BYTES {
            return Err(AuthError::Malformed);
        }
        let header =
            jsonwebtoken::decode_header(token).map_err(|error| explain_failure(error.kind()))?;
        if header.alg != ALGORITHM {
            return Err(AuthError::WrongAlgorithm);
        }
        if header.crit.is_some() {
            return Err(AuthError::CriticalExtension);
        }
        let kid = header.kid.ok_or(AuthError::UnknownKey)?;
        let key = self.find_key(&kid).ok_or(AuthError::UnknownKey)?;
        let decoded = jsonwebtoken::decode::<TokenClaims>(token, &key, &self.claim_rules())
            .map_err(|error| explain_failure(error.kind()))?;
        check_time(&decoded.claims, now)?;
        check_names(&decoded.claims)?;
        let actor = actor_from_claims(decoded.claims);
        match &self.register {
            Some(register) => confirm(actor, register),
            None => Ok(actor),
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
        self.keys.read().unwrap_or_else(PoisonError::into_inner).keys.jwks()
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

    fn find_key(&self, kid: &str) -> Option<DecodingKey> {
        let known = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = known.keys.get(kid) {
            return Some(key.clone());
        }
        let stale = known.reloaded.is_none_or(|at| at.elapsed() >= RELOAD_EVERY);
        drop(known);
        if stale { self.reload_keys(kid) } else { None }
    }

    fn reload_keys(&self, kid: &str) -> Option<DecodingKey> {
        let folder = self.folder.as_ref()?;
        let mut known = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        known.reloaded = Some(Instant::now());
        match PublicKeys::read(folder) {
            Ok(keys) => known.keys = keys,
            Err(error) => tracing::warn!(%error, "the token keys cannot be read again"),
        }
        known.keys.get(kid).cloned()
    }
}

impl fmt::Debug for TokenVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenVerifier").field("config", &self.config).finish_non_exhaustive()
    }
}

fn check_time(claims: &TokenClaims, now: DateTime<Utc>) -> Result<(), AuthError> {
    let now = now.timestamp();
    if claims.exp.saturating_add(LEEWAY_S) <= now {
        return Err(AuthError::Expired);
    }
    if claims.nbf.saturating_sub(LEEWAY_S) > now {
        return Err(AuthError::NotYetValid);
    }
    Ok(())
}

/// The subject and the roles stand in every event that is caused: as texts that can be stored and shown.
fn check_names(claims: &TokenClaims) -> Result<(), AuthError> {
    let is_name = |text: &str| {
        (1..=NAME_MAX_BYTES).contains(&text.len()) && !text.chars().any(char::is_control)
    };
    let names = claims.roles.iter().chain([&claims.sub]);
    if names.map(String::as_str).all(is_name) { Ok(()) } else { Err(AuthError::Malformed) }
}

/// Scopes that this version does not know are left out: they allow nothing here.
fn actor_from_claims(claims: TokenClaims) -> Actor {
    let scopes = claims.scope.split_whitespace().filter_map(|scope| scope.parse().ok()).collect();
    let (reach, revision) = (Reach::everywhere(), claims.revision);
    Actor { subject: claims.sub, roles: claims.roles, scopes, reach, revision }
}

/// The actor, as the account or client is now, where it is the one that the token was issued to. What is changed
/// about it takes its tokens away, whichever process issued them; one that this process has not heard of yet is
/// newer than what it knows.
fn confirm(actor: Actor, register: &AccessRegister) -> Result<Actor, AuthError> {
    let Some(revision) = actor.revision else {
        return if actor.subject == DEMO_ACCOUNT { Ok(actor) } else { Err(AuthError::NoPrincipal) };
    };
    let name = actor.subject.parse().map_err(|_| AuthError::Malformed)?;
    let access = register.current().map_err(|AccessUnknown| AuthError::AccessUnknown)?;
    let principal = access.principal(&name).ok_or(AuthError::NoPrincipal)?;
    if revision < principal.revision || !principal.is_enabled {
        return Err(AuthError::Revoked);
    }
    Ok(Actor { reach: principal.reach.clone(), ..actor })
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
