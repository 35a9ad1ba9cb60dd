//! Digests of secrets in the database, and signing in against them.

use domain::{PrincipalKind, PrincipalName};
use secrecy::SecretString;
use sqlx::Row as _;
use uuid::Uuid;

use super::password::normalise_password;
use super::{HasherBusy, SecretHasher};
use crate::auth::{AccessRegister, AccessUnknown, Actor};
use crate::event_log::EventLogError;
use crate::postgres::Pool;

/// The longest client secret that is looked at, in bytes.
const SECRET_MAX_BYTES: usize = 256;

/// Why somebody is not signed in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// There is no such principal, it is disabled, or the secret is another: never said which.
    #[error("the name or the secret is wrong")]
    Refused,
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
}

impl CredentialStore {
    /// The digests in this database.
    #[must_use]
    pub fn new(pool: Pool) -> Self {
        Self { pool, hasher: SecretHasher::default() }
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
        let principal = principal.filter(|found| found.is_enabled && found.kind == kind);
        let digest = match &principal {
            Some(principal) => self.find_digest(principal.credential).await?,
            None => None,
        };
        let secret = as_digested(secret, kind).ok_or(SignInError::Refused)?;
        let fits = self.hasher.verify(secret, digest).await?;
        match (name, principal) {
            (Some(name), Some(principal)) if fits => {
                Ok(Actor::for_principal(&name, &principal, register.role_scopes()))
            }
            _ => Err(SignInError::Refused),
        }
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
