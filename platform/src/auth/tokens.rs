//! Access tokens, and the actor that each proves: JWT (RFC 7519, claims of RFC 9068) signed with Ed25519
//! (RFC 8037).

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use domain::{Principal, PrincipalName, Reach};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::keys::PublicKeys;
use super::register::{AccessRegister, AccessUnknown};
use super::{AuthError, KeyError, KeyRing, Scope, scopes_of};

/// The name of the demonstration's account, which is not in the log; no other account can have it.
pub(super) const DEMO_ACCOUNT: &str = "demo";
/// The only algorithm that is signed with and accepted.
const ALGORITHM: Algorithm = Algorithm::EdDSA;
/// How far clocks may differ, in seconds.
const LEEWAY_S: i64 = 30;
/// The longest token that is looked at, in bytes.
const TOKEN_MAX_BYTES: usize = 8 << 10;
/// The longest subject or role, in bytes.
const NAME_MAX_BYTES: usize = 255;
/// An unknown key id makes the verifier read its folder again, at most this often.
const RELOAD_EVERY: Duration = Duration::from_secs(5);

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
}

impl Actor {
    /// An actor with what `roles` allow; unknown roles allow nothing.
    #[must_use]
    pub fn with_roles(subject: impl Into<String>, roles: &[&str]) -> Self {
        Self {
            subject: subject.into(),
            roles: roles.iter().map(|&role| role.to_owned()).collect(),
            scopes: roles.iter().flat_map(|role| scopes_of(role)).copied().collect(),
            reach: Reach::everywhere(),
            revision: None,
        }
    }

    /// An account or a client, as it is now.
    #[must_use]
    pub fn for_principal(name: &PrincipalName, principal: &Principal) -> Self {
        Self {
            reach: principal.reach.clone(),
            revision: Some(principal.revision),
            ..Self::with_roles(name.as_str(), &[principal.role.as_str()])
        }
    }

    /// Whether `scope` was granted.
    #[must_use]
    pub fn allows(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }
}

/// Who issues tokens, for whom, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenConfig {
    /// `iss`. Default `chipq`.
    pub issuer: String,
    /// `aud`. Default `chipq`.
    pub audience: String,
    /// How long an access token is good. Default 15 min.
    pub lifetime: Duration,
}

impl Default for TokenConfig {
    fn default() -> Self {
        Self {
            issuer: "chipq".to_owned(),
            audience: "chipq".to_owned(),
            lifetime: Duration::from_secs(15 * 60),
        }
    }
}

/// A token for a client. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessToken {
    /// The JWT.
    pub token: String,
    /// Seconds until it expires.
    pub expires_in: u64,
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessToken").field("expires_in", &self.expires_in).finish_non_exhaustive()
    }
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
    #[serde(default)]
    pub(super) roles: Vec<String>,
    /// The revision of the account or client that it was issued to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) revision: Option<u32>,
    /// Scopes with a space between them.
    pub(super) scope: String,
}

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
        Ok(AccessToken { token, expires_in })
    }

    /// A verifier of the tokens issued here, which notices rotated keys.
    #[must_use]
    pub fn verifier(&self) -> TokenVerifier {
        TokenVerifier {
            keys: RwLock::new(KnownKeys { keys: self.keys.public.clone(), reloaded: None }),
            folder: Some(self.keys.key_folder().to_owned()),
            config: self.config.clone(),
            register: None,
        }
    }

    /// The key set (RFC 7517) for `/.well-known/jwks.json`.
    #[must_use]
    pub fn jwks(&self) -> serde_json::Value {
        self.keys.jwks()
    }
}

/// Decides which tokens are believed.
pub struct TokenVerifier {
    keys: RwLock<KnownKeys>,
    folder: Option<PathBuf>,
    config: TokenConfig,
    register: Option<AccessRegister>,
}

struct KnownKeys {
    keys: PublicKeys,
    /// When the folder was last read again.
    reloaded: Option<Instant>,
}

impl TokenVerifier {
    /// A verifier that believes the keys of a key set (RFC 7517), for processes without the folder.
    ///
    /// # Errors
    /// When the set holds no Ed25519 key.
    pub fn from_jwks(set: &serde_json::Value, config: TokenConfig) -> Result<Self, KeyError> {
        let keys = PublicKeys::from_jwks(set)?;
        let keys = RwLock::new(KnownKeys { keys, reloaded: None });
        Ok(Self { keys, folder: None, config, register: None })
    }

    /// The actor that `token` proves at `now`.
    ///
    /// # Errors
    /// Why it is not believed; see [`AuthError`].
    pub fn verify(&self, token: &str, now: DateTime<Utc>) -> Result<Actor, AuthError> {
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
