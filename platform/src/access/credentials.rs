//! Digests of secrets in the database, and signing in against them.

use std::time::Instant;

use chrono::{DateTime, Utc};
use domain::{Principal, PrincipalKind, PrincipalName};
use secrecy::SecretString;
use sqlx::Row as _;
use uuid::Uuid;

use super::assertion::{AssertionFlaw, AssertionUse, read_assertion};
use super::password::normalise_password;
use super::proven_secrets::ProvenSecrets;
use super::{HasherBusy, SecretHasher};
use crate::auth::{AccessRegister, AccessUnknown, Actor};
use crate::event_log::EventLogError;
use crate::postgres::Pool;

/// The longest client secret that is looked at, in bytes.
const SECRET_MAX_BYTES: usize = 256;
/// How many assertions that have expired are forgotten for each new one.
const FORGET_BATCH: i64 = 10;

/// Why somebody is not signed in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// There is no such principal, it is disabled, or the secret is another: never said which.
    #[error("the name or the secret is wrong")]
    Refused,
    /// It is signed by its client, and wrong all the same.
    #[error(transparent)]
    Assertion(#[from] AssertionFlaw),
    /// Too many try at once.
    #[error(transparent)]
    Busy(#[from] HasherBusy),
    /// Nobody knows who may do what.
    #[error(transparent)]
    Unknown(#[from] AccessUnknown),
    /// The digests cannot be read.
    #[error(transparent)]
    Storage(#[from] EventLogError),
}

/// The digests of secrets. Clones share everything.
#[derive(Debug, Clone)]
pub struct CredentialStore {
    pool: Pool,
    hasher: SecretHasher,
    /// Of clients.
    proven: ProvenSecrets,
}

impl CredentialStore {
    /// The digests in this database.
    #[must_use]
    pub fn new(pool: Pool) -> Self {
        Self { pool, hasher: SecretHasher::default(), proven: ProvenSecrets::default() }
    }

    /// Who has this name and secret, as `register` says now. It takes as long whatever is wrong.
    ///
    /// # Errors
    /// When it is nobody, or nobody can tell.
    pub async fn sign_in(
        &self,
        register: &AccessRegister,
        (name, kind): (&str, PrincipalKind),
        secret: &SecretString,
    ) -> Result<Actor, SignInError> {
        let name = name.parse::<PrincipalName>().ok();
        let principal = match &name {
            Some(name) => register.find(name)?,
            None => None,
        };
        // Who has a key has no secret.
        let may = |found: &Principal| {
            found.is_enabled && found.kind == kind && found.public_key.is_none()
        };
        let principal = principal.filter(may);
        let credential = principal.as_ref().map(|principal| principal.credential);
        let fits = self.is_right(credential, secret, kind).await?;
        match (name, principal) {
            (Some(name), Some(principal)) if fits => {
                Ok(Actor::for_principal(&name, &principal, register.role_scopes()))
            }
            _ => Err(SignInError::Refused),
        }
    }

    /// Whether this is the secret of that credential. Without a credential it is not, and that takes as long.
    async fn is_right(
        &self,
        credential: Option<Uuid>,
        secret: &SecretString,
        kind: PrincipalKind,
    ) -> Result<bool, SignInError> {
        let secret = as_digested(secret, kind).ok_or(SignInError::Refused)?;
        // Read each time: where the database cannot be reached, nobody can tell what has been changed.
        let digest = match credential {
            Some(credential) => self.find_digest(credential).await?,
            None => None,
        };
        // The secrets of clients are made at random.
        let proven = digest.clone().filter(|_| kind == PrincipalKind::Client);
        if let Some(digest) = &proven
            && self.proven.is_proven(digest, &secret, Instant::now())
        {
            return Ok(true);
        }
        let fits = self.hasher.verify(secret.clone(), digest).await?;
        if let Some(digest) = proven
            && fits
        {
            self.proven.note_proven(digest, &secret, Instant::now());
        }
        Ok(fits)
    }

    /// The client that `assertion` proves at `now`, as `register` says now, to somebody who is known by one of
    /// `audiences`.
    ///
    /// # Errors
    /// When it proves nobody, or nobody can tell.
    pub async fn sign_in_by_assertion(
        &self,
        register: &AccessRegister,
        (assertion, audiences): (&str, &[String]),
        now: DateTime<Utc>,
    ) -> Result<Actor, SignInError> {
        let access = register.current()?;
        let client = |name: &PrincipalName| {
            let may = |found: &&Principal| found.is_enabled && found.kind == PrincipalKind::Client;
            access.principal(name).filter(may)
        };
        let key_of = |name: &PrincipalName| client(name)?.public_key.as_ref();
        let signed = read_assertion(assertion, key_of).ok_or(SignInError::Refused)?;
        let used = signed.check(audiences, now)?;
        if !self.use_assertion(&used, now).await? {
            return Err(AssertionFlaw::Used.into());
        }
        let principal = client(&signed.name).ok_or(SignInError::Refused)?;
        Ok(Actor::for_principal(&signed.name, principal, register.role_scopes()))
    }

    /// Keeps the digest of a secret, under an id that no event names yet.
    pub(super) async fn keep(&self, secret: SecretString) -> Result<Uuid, SignInError> {
        let credential = Uuid::new_v4();
        let digest = self.hasher.digest(secret).await?;
        let insert =
            sqlx::query("INSERT INTO access_credentials (credential_id, digest) VALUES ($1, $2)");
        insert.bind(credential).bind(digest).execute(&self.pool).await.map_err(storage_error)?;
        Ok(credential)
    }

    /// Forgets a digest that counts no more.
    pub(super) async fn forget(&self, credential: Uuid) {
        let delete = sqlx::query("DELETE FROM access_credentials WHERE credential_id = $1");
        if let Err(error) = delete.bind(credential).execute(&self.pool).await {
            // It counts for nothing: no event names it.
            tracing::warn!(%error, "a digest that counts no more is still there");
        }
    }

    /// Notes that an assertion was used; `false` when it was used before. Some of those that have expired are
    /// forgotten for it.
    async fn use_assertion(
        &self,
        AssertionUse { digest, expires_at }: &AssertionUse,
        now: DateTime<Utc>,
    ) -> Result<bool, SignInError> {
        let forget = sqlx::query(
            "DELETE FROM used_assertions WHERE digest IN \
             (SELECT digest FROM used_assertions WHERE expires_at < $1 LIMIT $2)",
        );
        forget.bind(now).bind(FORGET_BATCH).execute(&self.pool).await.map_err(storage_error)?;
        let insert = sqlx::query(
            "INSERT INTO used_assertions (digest, expires_at) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        );
        let insert = insert.bind(digest.as_bytes().as_slice()).bind(expires_at);
        let inserted = insert.execute(&self.pool).await.map_err(storage_error)?;
        Ok(inserted.rows_affected() == 1)
    }

    async fn find_digest(&self, credential: Uuid) -> Result<Option<String>, SignInError> {
        let find = sqlx::query("SELECT digest FROM access_credentials WHERE credential_id = $1");
        let row = find.bind(credential).fetch_optional(&self.pool).await.map_err(storage_error)?;
        Ok(row.map(|row| row.get(0)))
    }
}

/// The secret as its digest was made; `None` when it is longer than any.
fn as_digested(secret: &SecretString, kind: PrincipalKind) -> Option<SecretString> {
    use secrecy::ExposeSecret as _;
    match kind {
        PrincipalKind::Account => normalise_password(secret),
        PrincipalKind::Client => {
            (secret.expose_secret().len() <= SECRET_MAX_BYTES).then(|| secret.clone())
        }
    }
}

fn storage_error(error: sqlx::Error) -> EventLogError {
    EventLogError::Unavailable(Box::new(error))
}
