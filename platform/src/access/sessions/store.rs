//! Sessions and the digests of their refresh tokens in the database.
//!
//! Invariant: of all who use one refresh token at once, one transaction uses it, and every other sees that it was
//! used.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use domain::{AccessControl, PrincipalName, Sha256};
use sqlx::FromRow;
use uuid::Uuid;

use crate::auth::{Actor, RoleScopes, Scope};
use crate::event_log::EventLogError;
use crate::postgres::{Pool, Transaction};

/// How many sessions an account has at most; the oldest ones end for one more.
const SESSIONS_MAX: i64 = 100;
/// How many refresh tokens a session has at most.
const REFRESHES_MAX: i32 = 1_000;
/// How many rows are forgotten at a time.
const FORGET_BATCH: i64 = 1_000;
/// How long it is worth recording that a session has ended: its last access tokens have expired then.
const ENDED_MATTERS_FOR: TimeDelta = TimeDelta::minutes(20);

/// A refresh token as it is kept.
pub(super) struct NewRefreshToken {
    pub(super) digest: Sha256,
    pub(super) expires_at: DateTime<Utc>,
}

/// A session that begins.
pub(super) struct Started<'a> {
    pub(super) session: Uuid,
    pub(super) name: PrincipalName,
    pub(super) revision: u32,
    pub(super) scopes: &'a BTreeSet<Scope>,
    pub(super) expires_at: DateTime<Utc>,
}

/// What came of a refresh token.
pub(super) enum Rotation {
    /// It was good, and the next one is kept.
    Done { session: Uuid, actor: Actor },
    /// It is worth nothing; whose it was, where it was anybody's.
    Refused { name: Option<PrincipalName> },
    /// It is good, and was not used: what is asked for is more than was granted.
    ScopeNotGranted,
    /// It was used before; its session has ended.
    Reused { session: Uuid, name: PrincipalName },
}

/// A refresh token with its session, as both are kept.
#[derive(FromRow)]
struct KeptToken {
    session_id: Uuid,
    principal: String,
    revision: i64,
    scope: String,
    token_expires_at: DateTime<Utc>,
    session_expires_at: DateTime<Utc>,
    refreshes: i32,
    used_at: Option<DateTime<Utc>>,
    ended_at: Option<DateTime<Utc>>,
}

#[derive(Clone)]
pub(super) struct SessionStore(Pool);

impl SessionStore {
    pub(super) const fn new(pool: Pool) -> Self {
        Self(pool)
    }

    pub(super) async fn begin(
        &self,
        started: Started<'_>,
        first: NewRefreshToken,
        now: DateTime<Utc>,
    ) -> Result<(), EventLogError> {
        let Started { session, name, revision, scopes, expires_at } = started;
        let begun = async {
            let mut transaction = self.0.begin().await?;
            sqlx::query(
                "DELETE FROM sign_in_sessions WHERE session_id IN \
                 (SELECT session_id FROM sign_in_sessions WHERE principal = $1 \
                  ORDER BY started_at DESC OFFSET $2)",
            )
            .bind(name.as_str())
            .bind(SESSIONS_MAX - 1)
            .execute(&mut *transaction)
            .await?;
            sqlx::query(
                "INSERT INTO sign_in_sessions \
                 (session_id, principal, revision, scope, started_at, expires_at) \
                 VALUES ($1, $2, $3, $4, $5, $6)",
            )
            .bind(session)
            .bind(name.as_str())
            .bind(i64::from(revision))
            .bind(join(scopes))
            .bind(now)
            .bind(expires_at)
            .execute(&mut *transaction)
            .await?;
            insert_token(&mut transaction, session, &first).await?;
            transaction.commit().await
        };
        begun.await.map_err(storage_error)
    }

    /// Uses the token of this digest, once, and keeps `next` in its place, where `access` says that its account is as
    /// it was.
    pub(super) async fn rotate(
        &self,
        known: (&AccessControl, &RoleScopes),
        (digest, wanted): (&Sha256, Option<&BTreeSet<Scope>>),
        next: NewRefreshToken,
        now: DateTime<Utc>,
    ) -> Result<Rotation, EventLogError> {
        let rotated = async {
            let mut transaction = self.0.begin().await?;
            let Some(kept) = lock(&mut transaction, digest).await? else {
                transaction.rollback().await?;
                return Ok(Rotation::Refused { name: None });
            };
            let rotation = judge(&kept, known, wanted, now);
            match rotation {
                Rotation::Done { session, .. } => {
                    let refreshed = "UPDATE sign_in_sessions SET refreshes = refreshes + 1 \
                                     WHERE session_id = $1";
                    sqlx::query(refreshed).bind(session).execute(&mut *transaction).await?;
                    let used = "UPDATE refresh_tokens SET used_at = $2 WHERE digest = $1";
                    let used = sqlx::query(used).bind(digest.as_bytes().as_slice()).bind(now);
                    used.execute(&mut *transaction).await?;
                    insert_token(&mut transaction, session, &next).await?;
                    transaction.commit().await?;
                }
                Rotation::Reused { session, .. } => {
                    end_in(&mut transaction, session, now).await?;
                    transaction.commit().await?;
                }
                Rotation::Refused { .. } | Rotation::ScopeNotGranted => {
                    transaction.rollback().await?;
                }
            }
            Ok(rotation)
        };
        rotated.await.map_err(storage_error)
    }

    /// The session of a refresh token, used or not, and whose it is.
    pub(super) async fn find(
        &self,
        digest: &Sha256,
    ) -> Result<Option<(Uuid, PrincipalName)>, EventLogError> {
        let find = sqlx::query_as(
            "SELECT session_id, principal FROM refresh_tokens JOIN sign_in_sessions \
             USING (session_id) WHERE digest = $1",
        );
        let found = find.bind(digest.as_bytes().as_slice()).fetch_optional(&self.0).await;
        let found: Option<(Uuid, String)> = found.map_err(storage_error)?;
        Ok(found.and_then(|(session, name)| Some((session, name.parse().ok()?))))
    }

    pub(super) async fn end(&self, session: Uuid, now: DateTime<Utc>) -> Result<(), EventLogError> {
        let ended = async {
            let mut transaction = self.0.begin().await?;
            end_in(&mut transaction, session, now).await?;
            transaction.commit().await
        };
        ended.await.map_err(storage_error)
    }

    pub(super) async fn forget_expired(&self, now: DateTime<Utc>) -> Result<u64, EventLogError> {
        let forget = sqlx::query(
            "DELETE FROM sign_in_sessions WHERE session_id IN \
             (SELECT session_id FROM sign_in_sessions WHERE expires_at < $1 LIMIT $2)",
        );
        let forgotten = forget.bind(now).bind(FORGET_BATCH).execute(&self.0).await;
        Ok(forgotten.map_err(storage_error)?.rows_affected())
    }
}

/// Finds the token, and waits for its turn on it and on its session.
async fn lock(
    transaction: &mut Transaction<'_>,
    digest: &Sha256,
) -> Result<Option<KeptToken>, sqlx::Error> {
    let lock = sqlx::query_as(
        "SELECT session_id, principal, revision, scope, t.expires_at AS token_expires_at, \
         s.expires_at AS session_expires_at, refreshes, used_at, ended_at \
         FROM refresh_tokens t JOIN sign_in_sessions s USING (session_id) \
         WHERE digest = $1 FOR UPDATE",
    );
    lock.bind(digest.as_bytes().as_slice()).fetch_optional(&mut **transaction).await
}

/// What a token is worth, whose turn it is.
fn judge(
    kept: &KeptToken,
    (access, roles): (&AccessControl, &RoleScopes),
    wanted: Option<&BTreeSet<Scope>>,
    now: DateTime<Utc>,
) -> Rotation {
    let (session, Ok(name)) = (kept.session_id, kept.principal.parse::<PrincipalName>()) else {
        return Rotation::Refused { name: None };
    };
    let refused = || Rotation::Refused { name: Some(name.clone()) };
    let principal = access
        .principal(&name)
        .filter(|principal| principal.is_enabled && kept.revision >= i64::from(principal.revision));
    // What was granted before it was changed is worth nothing already, in every process.
    let Some(principal) = principal else { return refused() };
    if let Some(ended_at) = kept.ended_at {
        let matters = kept.used_at.is_some() && now < ended_at + ENDED_MATTERS_FOR;
        return if matters { Rotation::Reused { session, name } } else { refused() };
    }
    if kept.used_at.is_some() {
        return Rotation::Reused { session, name };
    }
    let is_over = now >= kept.token_expires_at
        || now >= kept.session_expires_at
        || kept.refreshes >= REFRESHES_MAX
        || access.is_withdrawn(session);
    if is_over {
        return refused();
    }
    let granted: BTreeSet<Scope> =
        kept.scope.split(' ').filter_map(|scope| scope.parse().ok()).collect();
    let mut actor = Actor::for_principal(&name, principal, roles);
    actor.scopes.retain(|scope| granted.contains(scope));
    match wanted {
        Some(wanted) if !wanted.is_subset(&actor.scopes) => Rotation::ScopeNotGranted,
        Some(wanted) => {
            Rotation::Done { session, actor: Actor { scopes: wanted.clone(), ..actor } }
        }
        None => Rotation::Done { session, actor },
    }
}

async fn insert_token(
    transaction: &mut Transaction<'_>,
    session: Uuid,
    token: &NewRefreshToken,
) -> Result<(), sqlx::Error> {
    let insert = "INSERT INTO refresh_tokens (digest, session_id, expires_at) VALUES ($1, $2, $3)";
    let insert = sqlx::query(insert).bind(token.digest.as_bytes().as_slice());
    insert.bind(session).bind(token.expires_at).execute(&mut **transaction).await?;
    Ok(())
}

async fn end_in(
    transaction: &mut Transaction<'_>,
    session: Uuid,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let end = "UPDATE sign_in_sessions SET ended_at = coalesce(ended_at, $2) WHERE session_id = $1";
    sqlx::query(end).bind(session).bind(now).execute(&mut **transaction).await?;
    Ok(())
}

fn join(scopes: &BTreeSet<Scope>) -> String {
    scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(" ")
}

fn storage_error(error: sqlx::Error) -> EventLogError {
    EventLogError::Unavailable(Box::new(error))
}
