//! Sessions of accounts: who signed in once has other access tokens for refresh tokens (RFC 6749, section 6;
//! OAuth 2.1, section 4.3.1).
//!
//! Invariants: a refresh token is worth one access token and the next refresh token; one that is used again ends its
//! session, since two have it and nobody can tell which of them is the one. A session that has ended is ended by an
//! event, so that every process hears of it. What is kept is a digest, and bounded for each account.

mod store;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use domain::{AccessControlCommand, PrincipalName, SessionEndCause, Sha256};
use secrecy::{ExposeSecret as _, SecretString};
use uuid::Uuid;

use super::{AccessAdministration, AccessError};
use crate::auth::{AccessRegister, AccessUnknown, Actor, Scope, TokenConfig, VerifiedToken};
use crate::config::random_bytes;
use crate::event_log::{ActorRef, EventLog, EventLogError};
use crate::postgres::Pool;
use store::{NewRefreshToken, Rotation, SessionStore};

/// Random bytes of a refresh token.
const TOKEN_BYTES: usize = 32;
/// What refresh tokens begin with, so that scanners for secrets find one that was published.
const TOKEN_PREFIX: &str = "chipq_refresh_";
/// How much longer than its lifetime an access token may be believed by a clock that is behind.
const CLOCKS_DIFFER_BY: Duration = Duration::from_secs(120);

/// Why a session does not begin, or does not go on.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// There is no such token, its time is over, or its account was changed: never said which.
    #[error("the refresh token is unknown, was used, has expired or was revoked; sign in again")]
    Refused {
        /// Whose it was, where it was anybody's.
        name: Option<PrincipalName>,
    },
    /// A scope is asked for that the session was not granted.
    #[error("a scope is not granted in this session")]
    ScopeNotGranted,
    /// A token could not be made.
    #[error("no token could be made: {0}")]
    Random(String),
    /// Nobody knows who may do what.
    #[error(transparent)]
    Unknown(#[from] AccessUnknown),
    /// Sessions cannot be read or kept.
    #[error(transparent)]
    Storage(#[from] EventLogError),
    /// That the session has ended cannot be recorded.
    #[error(transparent)]
    Unrecorded(#[from] AccessError),
}

/// What signing in, or a refresh token, is worth. `Debug` does not show the token.
#[derive(Debug)]
pub struct SessionGrant {
    /// Whom the next access token proves.
    pub actor: Actor,
    /// The session that it belongs to.
    pub session: Uuid,
    /// What the access token after that is had for.
    pub refresh_token: SecretString,
}

/// The sessions of an installation. Clones share everything.
#[derive(Clone)]
pub struct Sessions {
    store: SessionStore,
    administration: AccessAdministration,
}

impl Sessions {
    /// The sessions in this database; that they end stands in this log.
    #[must_use]
    pub fn new(log: Arc<dyn EventLog>, pool: Pool) -> Self {
        let administration = AccessAdministration::new(log, pool.clone());
        Self { store: SessionStore::new(pool), administration }
    }

    /// Begins a session of an account that has signed in; none for who is no account in the log.
    ///
    /// # Errors
    /// When it cannot be kept.
    pub async fn begin(
        &self,
        actor: &Actor,
        config: &TokenConfig,
        now: DateTime<Utc>,
    ) -> Result<Option<SessionGrant>, SessionError> {
        let (Some(revision), Ok(name)) = (actor.revision, actor.subject.parse()) else {
            return Ok(None);
        };
        let (refresh_token, next) = make_token(config, now)?;
        let session = Uuid::new_v4();
        let expires_at = now + config.session_lifetime;
        let started = store::Started { session, name, revision, scopes: &actor.scopes, expires_at };
        self.store.begin(started, next, now).await?;
        Ok(Some(SessionGrant { actor: actor.clone(), session, refresh_token }))
    }

    /// What a refresh token is worth at `now`, with no more than the scopes `wanted`. It is worth nothing afterwards.
    ///
    /// # Errors
    /// When it is worth nothing, which ends its session when it was used before; or when nobody can tell.
    pub async fn refresh(
        &self,
        register: &AccessRegister,
        (token, wanted): (&SecretString, Option<&BTreeSet<Scope>>),
        config: &TokenConfig,
        now: DateTime<Utc>,
    ) -> Result<SessionGrant, SessionError> {
        let digest = digest_of(token).ok_or(SessionError::Refused { name: None })?;
        let (refresh_token, next) = make_token(config, now)?;
        let access = register.current()?;
        let known = (&*access, register.role_scopes());
        match self.store.rotate(known, (&digest, wanted), next, now).await? {
            Rotation::Done { session, actor } => Ok(SessionGrant { actor, session, refresh_token }),
            Rotation::Refused { name } => Err(SessionError::Refused { name }),
            Rotation::ScopeNotGranted => Err(SessionError::ScopeNotGranted),
            Rotation::Reused { session, name } => {
                let cause = SessionEndCause::RefreshTokenReused;
                tracing::warn!(%name, %session, "a refresh token was used again; its session ends");
                self.record_end((name.clone(), session), cause, config, now).await?;
                Err(SessionError::Refused { name: Some(name) })
            }
        }
    }

    /// Ends the session of a refresh token, whether or not it was used. Nothing is done for an unknown one.
    ///
    /// # Errors
    /// When that cannot be recorded.
    pub async fn revoke_refresh_token(
        &self,
        token: &SecretString,
        config: &TokenConfig,
        now: DateTime<Utc>,
    ) -> Result<(), SessionError> {
        let Some(digest) = digest_of(token) else { return Ok(()) };
        let Some((session, name)) = self.store.find(&digest).await? else { return Ok(()) };
        self.end(name, session, config, now).await
    }

    /// Takes back an access token that is believed: with the session that it belongs to, or alone.
    ///
    /// # Errors
    /// When that cannot be recorded.
    pub async fn revoke_access_token(
        &self,
        token: &VerifiedToken,
        config: &TokenConfig,
        now: DateTime<Utc>,
    ) -> Result<(), SessionError> {
        let Ok(name) = token.actor.subject.parse::<PrincipalName>() else { return Ok(()) };
        if let Some(session) = token.session {
            return self.end(name, session, config, now).await;
        }
        let Ok(token_id) = token.token_id.parse() else { return Ok(()) };
        let until = DateTime::from_timestamp(token.expires_at, 0).unwrap_or(now) + CLOCKS_DIFFER_BY;
        let by = token.actor.acting_from(None);
        let revoke = AccessControlCommand::RevokeToken { name, token: token_id, at: now, until };
        self.administration.execute(by, revoke).await?;
        Ok(())
    }

    /// Forgets a batch of what has expired; returns how much it was.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forget_expired(&self, now: DateTime<Utc>) -> Result<u64, EventLogError> {
        self.store.forget_expired(now).await
    }

    async fn end(
        &self,
        name: PrincipalName,
        session: Uuid,
        config: &TokenConfig,
        now: DateTime<Utc>,
    ) -> Result<(), SessionError> {
        self.store.end(session, now).await?;
        self.record_end((name, session), SessionEndCause::Revoked, config, now).await
    }

    async fn record_end(
        &self,
        (name, session): (PrincipalName, Uuid),
        cause: SessionEndCause,
        config: &TokenConfig,
        at: DateTime<Utc>,
    ) -> Result<(), SessionError> {
        let by = match cause {
            SessionEndCause::RefreshTokenReused => ActorRef::for_service("command-api"),
            SessionEndCause::Revoked => ActorRef::new(name.as_str(), &[]),
        };
        let until = at + config.lifetime + CLOCKS_DIFFER_BY;
        let end = AccessControlCommand::EndSession { name, session, cause, at, until };
        self.administration.execute(by, end).await?;
        Ok(())
    }
}

/// A new refresh token, and what is kept of it.
fn make_token(
    config: &TokenConfig,
    now: DateTime<Utc>,
) -> Result<(SecretString, NewRefreshToken), SessionError> {
    let random = random_bytes::<TOKEN_BYTES>().map_err(SessionError::Random)?;
    let token = format!("{TOKEN_PREFIX}{}", URL_SAFE_NO_PAD.encode(random));
    let digest = Sha256::digest_of(token.as_bytes());
    let expires_at = now + config.session_idle;
    Ok((SecretString::from(token), NewRefreshToken { digest, expires_at }))
}

/// Under which digest a token is kept; `None` for what is no refresh token at all.
fn digest_of(token: &SecretString) -> Option<Sha256> {
    let random = token.expose_secret().strip_prefix(TOKEN_PREFIX)?;
    (random.len() == (TOKEN_BYTES * 8).div_ceil(6))
        .then(|| Sha256::digest_of(token.expose_secret().as_bytes()))
}
