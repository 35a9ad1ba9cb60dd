//! Changing who may use the installation: a secret is made or checked, kept as a digest, and then an event says that
//! it counts. It works beside a platform that serves.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use domain::{
    AccessControl, AccessControlCommand, AccessControlRejection, Aggregate as _, ClientKey,
    DisplayName, NewPrincipal, PrincipalKind, PrincipalName, Reach, Role, Sha256,
};
use secrecy::{ExposeSecret as _, SecretString};
use uuid::Uuid;

use super::{CredentialStore, PasswordFlaw, SignInError, check_password};
use crate::auth::AccessRegister;
use crate::config::random_bytes;
use crate::event_log::{ActorRef, EventLog, EventLogError, EventMetadata};
use crate::execute::{ExecuteError, Executed, Request, execute, load};
use crate::postgres::Pool;
use crate::telemetry::TraceContext;

/// Random bytes of a client secret.
const SECRET_BYTES: usize = 32;
/// What client secrets begin with, so that scanners for secrets find one that was published.
const SECRET_PREFIX: &str = "chipq_secret_";
/// Random bytes of a claim code.
const CLAIM_CODE_BYTES: usize = 20;
/// How long a claim code is worth something.
const CLAIM_CODE_LIFETIME: Duration = Duration::from_secs(60 * 60);

/// A process hears of a change in 0.2 s at most, unless it is very busy.
const HEARD_WITHIN: Duration = Duration::from_secs(2);

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// The rules refuse it.
    #[error(transparent)]
    Refused(#[from] AccessControlRejection),
    /// The password is not one to have.
    #[error(transparent)]
    Password(#[from] PasswordFlaw),
    /// A secret could not be made.
    #[error("no secret could be made: {0}")]
    Random(String),
    /// The digest could not be computed or kept.
    #[error(transparent)]
    Credential(#[from] SignInError),
    /// Too many change accounts and clients at once.
    #[error("accounts and clients are being changed by others; try again")]
    Contended,
    /// The log cannot be reached, or cannot be read.
    #[error(transparent)]
    Log(#[from] EventLogError),
}

/// A client that is to be created.
#[derive(Debug, Clone)]
pub struct NewClient {
    /// Its name, which is its `client_id`.
    pub name: PrincipalName,
    /// What it may do.
    pub role: Role,
    /// Where.
    pub reach: Reach,
}

/// An account that is to be created.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// Its name.
    pub name: PrincipalName,
    /// The person's name as it is printed.
    pub display_name: Option<DisplayName>,
    /// What it may do.
    pub role: Role,
    /// Where.
    pub reach: Reach,
}

/// A secret that was made for a client, and is shown once. `Debug` does not show it.
#[derive(Debug)]
pub struct ClientSecret {
    /// Whose.
    pub client_id: PrincipalName,
    /// The secret.
    pub client_secret: SecretString,
}

/// A code that lets whoever has it become the first administrator. `Debug` does not show it.
#[derive(Debug)]
pub struct IssuedClaimCode {
    /// The code.
    pub code: SecretString,
    /// From when on it is worth nothing.
    pub expires_at: DateTime<Utc>,
}

/// What is done to accounts and clients, and by whom.
#[derive(Clone)]
pub struct AccessAdministration {
    log: Arc<dyn EventLog>,
    credentials: CredentialStore,
}

impl AccessAdministration {
    /// On this log, with digests in this database.
    #[must_use]
    pub fn new(log: Arc<dyn EventLog>, pool: Pool) -> Self {
        Self::with_credentials(log, CredentialStore::new(pool))
    }

    /// On this log, with digests that others in this process keep and check, too.
    #[must_use]
    pub const fn with_credentials(log: Arc<dyn EventLog>, credentials: CredentialStore) -> Self {
        Self { log, credentials }
    }

    /// Accounts and clients as the log says now.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn read(&self) -> Result<AccessControl, AccessError> {
        let loaded = load::<AccessControl>(&*self.log, AccessControl::ID).await;
        Ok(loaded.map_err(explain)?.state)
    }

    /// Whether the log says more of `name` than `register` knew when that was of the revision `before`; it is then waited for
    /// until the register knows it, for two seconds at most. Where the log cannot be read, nothing is.
    pub async fn hear_more(
        &self,
        register: &AccessRegister,
        name: &str,
        before: Option<u32>,
    ) -> bool {
        let (Ok(name), Ok(access)) = (name.parse::<PrincipalName>(), self.read().await) else {
            return false;
        };
        let Some(revision) = access.principal(&name).map(|now| now.revision) else { return false };
        if before.is_some_and(|before| before >= revision) {
            return false;
        }
        let is_heard_of = |known: &Option<Arc<AccessControl>>| {
            let heard_of = known.as_ref().and_then(|known| known.principal(&name));
            heard_of.is_some_and(|heard_of| heard_of.revision >= revision)
        };
        let mut changes = register.changes();
        tokio::time::timeout(HEARD_WITHIN, changes.wait_for(is_heard_of)).await.is_ok()
    }

    /// Creates a client; returns its secret.
    ///
    /// # Errors
    /// When the rules refuse it, or it cannot be recorded.
    pub async fn create_client(
        &self,
        by: ActorRef,
        client: NewClient,
        reason: String,
    ) -> Result<ClientSecret, AccessError> {
        let NewClient { name, role, reach } = client;
        let (credential, client_secret) = self.keep_new_secret().await?;
        let client_id = name.clone();
        let principal = new_client(NewClient { name, role, reach }, credential, None);
        let create = AccessControlCommand::CreatePrincipal { principal, reason };
        self.execute_with(by, credential, create).await?;
        Ok(ClientSecret { client_id, client_secret })
    }

    /// Creates a client that signs with a key of its own, and has no secret.
    ///
    /// # Errors
    /// When the rules refuse it, or it cannot be recorded.
    pub async fn create_client_with_key(
        &self,
        by: ActorRef,
        client: NewClient,
        key: ClientKey,
        reason: String,
    ) -> Result<(), AccessError> {
        // Nothing is kept under this id.
        let principal = new_client(client, Uuid::new_v4(), Some(key));
        let create = AccessControlCommand::CreatePrincipal { principal, reason };
        self.execute(by, create).await.map(drop)
    }

    /// Gives a client another secret, which is returned; the one before is worth nothing.
    ///
    /// # Errors
    /// When there is no such client, or it cannot be recorded.
    pub async fn rotate_secret(
        &self,
        by: ActorRef,
        name: PrincipalName,
        reason: String,
    ) -> Result<ClientSecret, AccessError> {
        self.require(&name, PrincipalKind::Client).await?;
        let (credential, client_secret) = self.keep_new_secret().await?;
        let client_id = name.clone();
        let replace = AccessControlCommand::ReplaceCredential { name, credential, reason };
        self.execute_with(by, credential, replace).await?;
        Ok(ClientSecret { client_id, client_secret })
    }

    /// Creates an account.
    ///
    /// # Errors
    /// When the password is not one to have, the rules refuse the account, or it cannot be recorded.
    pub async fn create_account(
        &self,
        by: ActorRef,
        account: NewAccount,
        password: &SecretString,
        reason: String,
    ) -> Result<(), AccessError> {
        let NewAccount { name, display_name, role, reach } = account;
        let credential = self.keep_password(&name, display_name.as_ref(), password).await?;
        let (kind, public_key) = (PrincipalKind::Account, None);
        let principal =
            NewPrincipal { name, kind, display_name, role, reach, credential, public_key };
        let create = AccessControlCommand::CreatePrincipal { principal, reason };
        self.execute_with(by, credential, create).await.map(drop)
    }

    /// Gives an account another password; the one before is worth nothing.
    ///
    /// # Errors
    /// When there is no such account, the password is not one to have, or it cannot be recorded.
    pub async fn replace_password(
        &self,
        by: ActorRef,
        name: PrincipalName,
        password: &SecretString,
        reason: String,
    ) -> Result<(), AccessError> {
        self.require(&name, PrincipalKind::Account).await?;
        let credential = self.keep_password(&name, None, password).await?;
        let replace = AccessControlCommand::ReplaceCredential { name, credential, reason };
        self.execute_with(by, credential, replace).await.map(drop)
    }

    /// Makes a code that lets whoever has it become the first administrator.
    ///
    /// # Errors
    /// When there is an administrator, or it cannot be recorded.
    pub async fn issue_claim_code(
        &self,
        by: ActorRef,
        reason: String,
    ) -> Result<IssuedClaimCode, AccessError> {
        let code = hex::encode(random_bytes::<CLAIM_CODE_BYTES>().map_err(AccessError::Random)?);
        let expires_at = Utc::now() + CLAIM_CODE_LIFETIME;
        let code_sha256 = Sha256::digest_of(code.as_bytes());
        let command = AccessControlCommand::IssueClaimCode { code_sha256, expires_at, reason };
        self.execute(by, command).await?;
        Ok(IssuedClaimCode { code: SecretString::from(code), expires_at })
    }

    /// Makes the first administrator of whoever has the code.
    ///
    /// # Errors
    /// When the code is not the one that is out, the password is not one to have, or it cannot be recorded.
    pub async fn claim(
        &self,
        code: &SecretString,
        (name, display_name): (PrincipalName, Option<DisplayName>),
        password: &SecretString,
    ) -> Result<(), AccessError> {
        let code_sha256 = Sha256::digest_of(code.expose_secret().trim().as_bytes());
        let at = Utc::now();
        let is_worth_a_try = |credential| {
            let (name, display_name) = (name.clone(), display_name.clone());
            AccessControlCommand::ClaimInstallation {
                code_sha256,
                at,
                name,
                display_name,
                credential,
            }
        };
        // Whoever has no code costs no digest: it is asked first without one.
        self.read().await?.decide(is_worth_a_try(Uuid::nil()))?;
        let credential = self.keep_password(&name, display_name.as_ref(), password).await?;
        let called = display_name.as_ref().map(|name| name.as_str().to_owned());
        let by = ActorRef { name: called, ..ActorRef::new(name.as_str(), &[]) };
        self.execute_with(by, credential, is_worth_a_try(credential)).await.map(drop)
    }

    /// Does what takes no secret.
    ///
    /// # Errors
    /// When the rules refuse it, or it cannot be recorded.
    pub async fn execute(
        &self,
        by: ActorRef,
        command: AccessControlCommand,
    ) -> Result<Executed<AccessControl>, AccessError> {
        let request = Request::<AccessControl> {
            aggregate_id: AccessControl::ID.to_owned(),
            command,
            is_new: false,
            if_match: None,
            metadata: EventMetadata::by_actor(by, &TraceContext::new(None))
                .with_command_id(Uuid::new_v4()),
        };
        execute(&*self.log, request).await.map_err(explain)
    }

    /// Keeps the digest of a password, under an id that counts for nothing until an event names it.
    ///
    /// # Errors
    /// When nobody should have that password, or it cannot be kept.
    pub async fn keep_password(
        &self,
        name: &PrincipalName,
        display_name: Option<&DisplayName>,
        password: &SecretString,
    ) -> Result<Uuid, AccessError> {
        let password = check_password(password, &words_of(name, display_name))?;
        Ok(self.credentials.keep(password).await?)
    }

    /// Makes a secret for a client, and keeps its digest in the same way.
    ///
    /// # Errors
    /// When it cannot be made or kept.
    pub async fn keep_new_secret(&self) -> Result<(Uuid, SecretString), AccessError> {
        let secret = make_secret()?;
        Ok((self.credentials.keep(secret.clone()).await?, secret))
    }

    /// Forgets a digest that no event came to name.
    pub async fn forget_credential(&self, credential: Uuid) {
        self.credentials.forget(credential).await;
    }

    /// Does what takes a secret, whose digest is kept before the event that makes it count.
    async fn execute_with(
        &self,
        by: ActorRef,
        credential: Uuid,
        command: AccessControlCommand,
    ) -> Result<Executed<AccessControl>, AccessError> {
        let executed = self.execute(by, command).await;
        // Where nobody knows whether it was recorded, the digest stays.
        if let Err(AccessError::Refused(_)) = executed {
            self.forget_credential(credential).await;
        }
        executed
    }

    async fn require(&self, name: &PrincipalName, kind: PrincipalKind) -> Result<(), AccessError> {
        let access = self.read().await?;
        match access.principal(name) {
            Some(principal) if principal.kind == kind => Ok(()),
            _ => Err(AccessControlRejection::PrincipalNotFound { name: name.clone() }.into()),
        }
    }
}

fn new_client(client: NewClient, credential: Uuid, public_key: Option<ClientKey>) -> NewPrincipal {
    let NewClient { name, role, reach } = client;
    let (kind, display_name) = (PrincipalKind::Client, None);
    NewPrincipal { name, kind, display_name, role, reach, credential, public_key }
}

fn make_secret() -> Result<SecretString, AccessError> {
    let random = random_bytes::<SECRET_BYTES>().map_err(AccessError::Random)?;
    Ok(SecretString::from(format!("{SECRET_PREFIX}{}", URL_SAFE_NO_PAD.encode(random))))
}

/// What is guessed first of somebody of this name.
fn words_of<'a>(name: &'a PrincipalName, display_name: Option<&'a DisplayName>) -> Vec<&'a str> {
    let mut words = vec!["chipq", name.as_str()];
    words.extend(display_name.map(DisplayName::as_str));
    words
}

fn explain(error: ExecuteError<AccessControlRejection>) -> AccessError {
    match error {
        ExecuteError::Rejected(rejection) => AccessError::Refused(rejection),
        ExecuteError::Log(error) => AccessError::Log(error),
        ExecuteError::Unreadable(error) => AccessError::Log(EventLogError::Failed(Box::new(error))),
        // No version, no key and no reach are given, so that only the first of these can be.
        ExecuteError::Contended
        | ExecuteError::VersionMismatch { .. }
        | ExecuteError::OutOfReach
        | ExecuteError::ClaimLost => AccessError::Contended,
    }
}
