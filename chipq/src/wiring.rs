//! Which service gets what: the one place that hands the foundation to services, for `up`, where all share
//! a process, and for each role in a process of its own.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use command_api::{CommandApi, CommandApiConfig};
use platform::access::{CredentialStore, Sessions};
use platform::artifact_store::ArtifactStore;
use platform::auth::{
    AccessRegister, InstallationKeys, KeyPlace, RolesConfig, SigningKey, TokenIssuerConfig, Users,
};
use platform::event_log::Recorded;
use platform::foundation::{DataConfig, Foundation, FoundationError, TokenKeys};
use platform::health::Probe;
use platform::http::{PageLink, ServerEntry};
use platform::identity_provider::{IdentityProvider, IdentityProviderConfig};
use platform::key_holders::SharedKeys;
use platform::picture_memory::PictureMemory;
use platform::shutdown::Shutdown;
use projectors::FoldedInspection;
use query_api::{PastRows, QueryApi, QueryApiConfig};
use tokio::net::TcpListener;

use crate::failure::{Failure, exit};
use crate::key_failure::explain_holder;

/// What the two APIs need besides the foundation: pictures and keys.
pub(crate) struct ApiStores {
    pub(crate) artifacts: ArtifactStore,
    signing_key: SigningKey,
    token_keys: TokenKeys,
    /// Who may use the installation; see [`platform::access::follow_access`].
    pub(crate) register: AccessRegister,
    identity_provider: Option<IdentityProvider>,
}

impl ApiStores {
    /// Opens the pictures, in their folder or bucket; makes what is missing. Whoever starts has tried the bucket.
    pub(crate) fn open(
        (data, keys): (&DataConfig, &InstallationKeys),
        roles: &RolesConfig,
        (issuer, identity_provider): (&TokenIssuerConfig, &IdentityProviderConfig),
    ) -> Result<Self, FoundationError> {
        let register = AccessRegister::new().with_roles(roles.role_scopes());
        let identity_provider = identity_provider.open()?;
        let external = identity_provider.as_ref().map(|provider| provider.issuer().clone());
        let signing_key = SigningKey::new(keys);
        Ok(Self {
            artifacts: data.open_artifacts(&signing_key)?,
            signing_key,
            token_keys: TokenKeys::new(keys, issuer, register.clone(), external),
            register,
            identity_provider,
        })
    }

    /// Follows the identity provider, where there is one, until `shutdown`; what tells whether it answers.
    pub(crate) fn follow_identity_provider(&self, shutdown: Shutdown) -> Option<Arc<dyn Probe>> {
        let provider = self.identity_provider.clone()?;
        let probe = provider.probe();
        tokio::spawn(provider.follow(shutdown));
        Some(probe)
    }
}

/// The keys in `place`, of which the installation's other processes know from now on.
pub(crate) async fn open_keys(
    place: KeyPlace,
    foundation: &Foundation,
) -> Result<SharedKeys, Failure> {
    let opened = SharedKeys::open(place, foundation.pool()).await;
    opened.map_err(|error| explain_holder(&error))
}

/// The command API on what it needs. Golden samples share `memory` with other pictures of the process.
pub(crate) fn build_command_api(
    foundation: &Foundation,
    stores: &ApiStores,
    memory: PictureMemory,
    users: Users,
    config: &CommandApiConfig,
) -> CommandApi {
    let on = command_api::Dependencies {
        log: foundation.log(),
        idempotency: foundation.idempotency(),
        artifacts: stores.artifacts.clone(),
        memory,
        issuer: Arc::clone(&stores.token_keys.issuer),
        verifier: Arc::clone(&stores.token_keys.verifier),
        users,
        register: stores.register.clone(),
        credentials: CredentialStore::new(foundation.pool().clone()),
        signing_key: stores.signing_key.clone(),
        sessions: sessions(foundation),
    };
    CommandApi::new(on, config)
}

/// Who is signed in.
pub(crate) fn sessions(foundation: &Foundation) -> Sessions {
    Sessions::new(foundation.log(), foundation.pool().clone())
}

/// The query API on what it needs. Its pictures share `memory` with others of the process; `shutdown` ends
/// its subscriptions.
pub(crate) fn build_query_api(
    foundation: &Foundation,
    stores: &ApiStores,
    memory: PictureMemory,
    config: &QueryApiConfig,
    shutdown: Shutdown,
) -> QueryApi {
    let on = query_api::QueryApiDependencies {
        pool: foundation.read_pool().clone(),
        tail: foundation.tail().clone(),
        artifacts: stores.artifacts.clone(),
        memory,
        signing_key: stores.signing_key.clone(),
        verifier: Arc::clone(&stores.token_keys.verifier),
        fold_inspection,
        shutdown,
    };
    QueryApi::new(on, config)
}

/// What an inspection was, by the projectors that say what it is.
fn fold_inspection(events: &[Recorded]) -> Result<PastRows, String> {
    let folded = projectors::fold_inspection(events).map_err(|error| error.to_string())?;
    let FoldedInspection { inspections, artifacts, timeline, defects } = folded;
    Ok(PastRows { inspections, artifacts, timeline, defects })
}

/// What a server says of itself: which part of the platform it is, and what its services have to show.
pub(crate) fn describe_server(role: &'static str, pages: &[PageLink]) -> ServerEntry {
    ServerEntry { role, version: env!("CHIPQ_VERSION"), links: pages.to_vec() }
}

/// Listens on `address`, which `option` of the command line names.
pub(crate) async fn bind(address: SocketAddr, option: &str) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => Failure::new(
            format_args!("port {} is taken by another program", address.port()),
            format_args!(
                "choose another port, such as {option} {}, or any free one with port 0",
                SocketAddr::new(address.ip(), address.port().checked_add(1).unwrap_or(0)),
            ),
            exit::UNAVAILABLE,
        ),
        _ => Failure::new(
            format_args!("cannot listen on {address}: {error}"),
            format_args!(
                "choose an address of this machine and a port from 1024, such as {option} \
                 127.0.0.1:8080"
            ),
            exit::UNAVAILABLE,
        ),
    })
}
