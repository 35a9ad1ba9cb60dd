//! The state behind every handler.

use std::sync::Arc;

use axum::extract::FromRef;
use domain::{Part, PartNumber, PartRejection, Recipe};
use platform::access::{AccessAdministration, CredentialStore, Sessions, SignInGuard};
use platform::artifact_store::{ArtifactStore, UploadLimits};
use platform::auth::{AccessRegister, SigningKey, TokenIssuer, TokenVerifier, Users};
use platform::event_log::EventLog;
use platform::execute::{ExecuteError, load};
use platform::http::{PrincipalRate, RateLimit, WaitPlaces};
use platform::idempotency::IdempotencyStore;
use platform::picture_memory::PictureMemory;
use platform::shared_reads::SharedReads;
use secrecy::{ExposeSecret as _, SecretString};

use crate::file_check::FileCheck;
use crate::golden_check::GoldenCheck;
use crate::in_flight::UploadsInFlight;
use crate::notification_secret::NotificationSecret;
use crate::{CommandApiConfig, PublicUrl};

/// Pictures that arrived in a bucket and are in memory at a time, all and of one principal, and MiB of them together.
const ARRIVALS_MAX: u16 = 8;
const ARRIVALS_PER_PRINCIPAL: u16 = 4;
const ARRIVALS_MAX_MIB: u32 = 256;
/// The largest picture that a bucket's is read of: it has to fit that memory.
const ARRIVAL_MAX_BYTES: u64 = (ARRIVALS_MAX_MIB as u64) << 19;

/// What the command API stands on.
#[derive(Clone)]
pub struct Dependencies {
    /// Where events go.
    pub log: Arc<dyn EventLog>,
    /// Idempotency keys; in the same database as the log, so that both commit together.
    pub idempotency: IdempotencyStore,
    /// Where pictures go, and how.
    pub artifacts: ArtifactStore,
    /// For the golden samples that are looked at.
    pub memory: PictureMemory,
    /// Makes tokens.
    pub issuer: Arc<TokenIssuer>,
    /// Believes tokens.
    pub verifier: Arc<TokenVerifier>,
    /// The demonstration's account; nobody in production.
    pub users: Users,
    /// Who may use the installation.
    pub register: AccessRegister,
    /// What they prove that with.
    pub credentials: CredentialStore,
    /// What is told apart by a secret, and is one, is told apart by a key that is derived from it.
    pub signing_key: SigningKey,
    /// Who is signed in.
    pub sessions: Sessions,
}

/// The command API. Clones share everything.
#[derive(Clone)]
pub struct CommandApi(Arc<ApiState>);

struct ApiState {
    dependencies: Dependencies,
    upload_limits: UploadLimits,
    uploads_in_flight: UploadsInFlight,
    arrivals_in_memory: UploadsInFlight,
    notification_secret: Option<NotificationSecret>,
    golden_check: GoldenCheck,
    file_check: FileCheck,
    public_url: Option<PublicUrl>,
    command_rate: PrincipalRate,
    upload_rate: PrincipalRate,
    token_rate: RateLimit,
    sign_in_guard: SignInGuard,
    wait_places: WaitPlaces,
    inspected_parts: SharedReads<PartNumber, Option<InspectedPart>>,
}

/// What an inspection takes over from its part.
#[derive(Clone)]
pub(crate) struct InspectedPart {
    pub(crate) recipe: Recipe,
    pub(crate) golden_sample_revision: Option<u32>,
}

impl From<&Part> for InspectedPart {
    fn from(part: &Part) -> Self {
        Self { recipe: part.recipe(), golden_sample_revision: part.golden_sample_revision() }
    }
}

impl CommandApi {
    /// The command API on its dependencies, as configured.
    #[must_use]
    pub fn new(dependencies: Dependencies, config: &CommandApiConfig) -> Self {
        let golden_check = GoldenCheck::new(dependencies.memory.clone());
        let mut upload_limits = config.upload_limits();
        if dependencies.artifacts.is_remote() {
            upload_limits.max_bytes = upload_limits.max_bytes.min(ARRIVAL_MAX_BYTES);
        }
        Self(Arc::new(ApiState {
            dependencies,
            golden_check,
            file_check: FileCheck::default(),
            upload_limits,
            arrivals_in_memory: UploadsInFlight::new(
                ARRIVALS_MAX,
                ARRIVALS_MAX_MIB,
                ARRIVALS_PER_PRINCIPAL,
            ),
            notification_secret: config.notifications.secret(),
            uploads_in_flight: UploadsInFlight::new(
                config.uploads_max,
                config.uploads_max_mib,
                config.uploads_per_principal,
            ),
            public_url: config.public_url.clone(),
            command_rate: PrincipalRate::new(
                "command",
                (config.rate_per_second, config.rate_burst),
                config.rate_by_role.as_ref(),
            ),
            upload_rate: PrincipalRate::new(
                "upload",
                (config.upload_rate_per_second, config.upload_rate_burst),
                config.upload_rate_by_role.as_ref(),
            ),
            token_rate: RateLimit::new(
                "token",
                config.token_rate_per_second,
                config.token_rate_burst,
            ),
            sign_in_guard: SignInGuard::default(),
            wait_places: WaitPlaces::default(),
            inspected_parts: SharedReads::default(),
        }))
    }

    /// The part as it is now. Stations that open inspections of it at once share what is read.
    pub(crate) async fn read_inspected_part(
        &self,
        part: PartNumber,
    ) -> Result<InspectedPart, ExecuteError<PartRejection>> {
        let (log, number) = (Arc::clone(&self.0.dependencies.log), part.clone());
        let read = async move {
            let loaded = load::<Part>(&*log, number.as_str()).await;
            loaded.ok().map(|loaded| InspectedPart::from(&loaded.state))
        };
        if let Some(Some(known)) = self.0.inspected_parts.read(part.clone(), read).await {
            return Ok(known);
        }
        // What is in the way is told to each, who asks by itself.
        load::<Part>(self.log(), part.as_str()).await.map(|loaded| (&loaded.state).into())
    }

    pub(crate) fn log(&self) -> &dyn EventLog {
        self.0.dependencies.log.as_ref()
    }

    pub(crate) fn idempotency(&self) -> &IdempotencyStore {
        &self.0.dependencies.idempotency
    }

    pub(crate) fn artifacts(&self) -> &ArtifactStore {
        &self.0.dependencies.artifacts
    }

    pub(crate) fn issuer(&self) -> &TokenIssuer {
        &self.0.dependencies.issuer
    }

    pub(crate) fn users(&self) -> &Users {
        &self.0.dependencies.users
    }

    pub(crate) fn register(&self) -> &AccessRegister {
        &self.0.dependencies.register
    }

    pub(crate) fn credentials(&self) -> &CredentialStore {
        &self.0.dependencies.credentials
    }

    /// Who has guessed passwords and secrets too often.
    pub(crate) fn sign_in_guard(&self) -> &SignInGuard {
        &self.0.sign_in_guard
    }

    /// Accounts and clients, to be changed.
    pub(crate) fn administration(&self) -> AccessAdministration {
        let Dependencies { log, credentials, .. } = &self.0.dependencies;
        AccessAdministration::with_credentials(Arc::clone(log), credentials.clone())
    }

    /// Stands for a secret where two have to be told apart, and tells nothing of it to whoever lacks the key.
    pub(crate) fn mark_of(&self, secret: &SecretString) -> [u8; 32] {
        let purpose = format!("mark of a secret\n{}", secret.expose_secret());
        self.0.dependencies.signing_key.derive_lasting_key(&purpose)
    }

    pub(crate) fn sessions(&self) -> &Sessions {
        &self.0.dependencies.sessions
    }

    /// Believes tokens.
    pub(crate) fn verifier(&self) -> &TokenVerifier {
        &self.0.dependencies.verifier
    }

    pub(crate) fn upload_limits(&self) -> &UploadLimits {
        &self.0.upload_limits
    }

    pub(crate) fn uploads_in_flight(&self) -> &UploadsInFlight {
        &self.0.uploads_in_flight
    }

    /// Pictures that are read into memory to be looked at, before they are put to rest.
    pub(crate) fn arrivals_in_memory(&self) -> &UploadsInFlight {
        &self.0.arrivals_in_memory
    }

    /// By which the bucket of pictures is known, when it tells of what arrives.
    pub(crate) fn notification_secret(&self) -> Option<&NotificationSecret> {
        self.0.notification_secret.as_ref()
    }

    pub(crate) fn file_check(&self) -> &FileCheck {
        &self.0.file_check
    }

    pub(crate) fn golden_check(&self) -> &GoldenCheck {
        &self.0.golden_check
    }

    pub(crate) fn public_url(&self) -> Option<&PublicUrl> {
        self.0.public_url.as_ref()
    }

    /// Commands, by principal.
    pub(crate) fn command_rate(&self) -> &PrincipalRate {
        &self.0.command_rate
    }

    /// Uploads, by who announced them.
    pub(crate) fn upload_rate(&self) -> &PrincipalRate {
        &self.0.upload_rate
    }

    /// Of those who wait for a judgement.
    pub(crate) fn wait_places(&self) -> &WaitPlaces {
        &self.0.wait_places
    }

    /// Requests for tokens, by network address.
    pub(crate) fn token_rate(&self) -> &RateLimit {
        &self.0.token_rate
    }
}

impl FromRef<CommandApi> for Arc<TokenVerifier> {
    fn from_ref(api: &CommandApi) -> Self {
        api.0.dependencies.verifier.clone()
    }
}
