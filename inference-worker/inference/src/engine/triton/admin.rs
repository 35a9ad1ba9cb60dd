//! The administration of a Triton server's models: which versions serve, one more beside them, one
//! less. Nothing here interrupts the versions that stay.

use std::sync::Arc;

use domain::Sha256;
use domain::inspection::ModelIdentity;
use proto::inference::ModelParameter;

use super::address::TritonUrl;
use super::config::TritonConfig;
use super::declared;
use super::engine::TritonEngine;
use super::fault::Fault;
use super::repository::Repository;
use super::restart::ModelRestarter;
use super::server::TritonConnection;
use crate::engine::{Engine, EngineError};

/// Lists, loads and unloads the versions of one Triton server's models. Loading and unloading need a server
/// in explicit mode (`--model-control-mode=explicit`).
pub struct TritonAdmin {
    server: TritonConnection,
    repository: Repository,
}

/// A version that the server knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServedVersion {
    /// The version; empty when the server has never loaded any of the model.
    pub version: String,
    /// In Triton's words: `READY`, `LOADING`, `UNLOADING`, `UNAVAILABLE`, or empty.
    pub state: String,
    /// Why it is not ready, if the server says.
    pub reason: String,
    /// The digest that its configuration declares; `None` too for a version that does not serve.
    pub sha256: Option<Sha256>,
}

impl TritonAdmin {
    /// Prepares the conversation; connects when first asked. Within a tokio runtime only.
    ///
    /// # Errors
    /// [`EngineError::Model`] when the address cannot be used at all.
    pub fn connect(url: &TritonUrl, config: &TritonConfig) -> Result<Self, EngineError> {
        Ok(Self::from_connection(TritonConnection::new(url, config)?))
    }

    pub(super) fn from_connection(server: TritonConnection) -> Self {
        Self { repository: Repository::new(server.clone()), server }
    }

    /// The versions of a model that the server knows, ascending; none for an unknown model.
    ///
    /// # Errors
    /// [`EngineError::Unavailable`] when the server does not answer.
    pub async fn list_versions(&self, name: &str) -> Result<Vec<ServedVersion>, EngineError> {
        let mut versions = Vec::new();
        for listed in self.server.repository_index().await.map_err(Fault::into_error)? {
            if listed.name == name {
                let sha256 = self.declared_digest(name, &listed.version, &listed.state).await?;
                let (version, state, reason) = (listed.version, listed.state, listed.reason);
                versions.push(ServedVersion { version, state, reason, sha256 });
            }
        }
        versions.sort_by_key(|listed| listed.version.parse::<i64>().unwrap_or(0));
        Ok(versions)
    }

    /// The digest a version declares; `None` when it declares none, or something else, or does not
    /// serve.
    async fn declared_digest(
        &self,
        name: &str,
        version: &str,
        state: &str,
    ) -> Result<Option<Sha256>, EngineError> {
        if state != "READY" {
            return Ok(None);
        }
        match self.server.model_config(name, version).await {
            Ok(config) => Ok(declared::declared_digest(&config, version).ok().flatten()),
            // It was retired between the two questions.
            Err(Fault::Missing(_)) => Ok(None),
            Err(fault) => Err(fault.into_error()),
        }
    }

    /// Loads a version beside all versions that serve now; those answer all the while. When it
    /// serves already, this only tells who it is.
    ///
    /// With `sha256` the version is declared to have this digest, whatever the repository's
    /// config.pbtxt says (`serve_onnx.py` still compares it with the file). Without, config.pbtxt
    /// is read again and has to declare one. Either way it lasts until the server restarts, which
    /// goes by config.pbtxt.
    ///
    /// # Errors
    /// [`EngineError::Model`] when the version is not in the repository, fails to load, has no
    /// digest or another one, or the server is not in explicit mode; [`EngineError::Unavailable`].
    pub async fn load(
        &self,
        name: &str,
        version: &str,
        sha256: Option<Sha256>,
    ) -> Result<ModelIdentity, EngineError> {
        let number = version_number(version)?;
        let before = self.repository.serving_versions(name).await.map_err(Fault::into_error)?;
        if !before.contains(&number) {
            let loaded = match sha256 {
                Some(sha256) if !before.is_empty() => {
                    self.load_declared(name, number, sha256, &before).await
                }
                _ => self.load_by_file(name, number, &before).await,
            };
            loaded.map_err(Fault::into_error)?;
        }
        let served = self.loaded_identity(name, version).await?;
        match sha256 {
            Some(sha256) if served.sha256 != sha256 => {
                let found = served.sha256;
                let detail = format!("{name} version {version} serves as {found}, not as {sha256}");
                Err(EngineError::Model { detail })
            }
            _ => Ok(served),
        }
    }

    async fn load_declared(
        &self,
        name: &str,
        version: i64,
        sha256: Sha256,
        before: &[i64],
    ) -> Result<(), Fault> {
        let mut config = self.repository.merged_config(name, before).await?;
        let digest = ModelParameter { string_value: sha256.to_string() };
        config.parameters.insert(declared::digest_key(&version.to_string()), digest);
        self.repository.serve_versions(config, &[before, &[version]].concat()).await
    }

    /// By config.pbtxt first, which alone declares the digest; its version policy may leave out
    /// some of the versions, so they are then asked for by number.
    async fn load_by_file(&self, name: &str, version: i64, before: &[i64]) -> Result<(), Fault> {
        self.repository.load_model(name, None).await?;
        let now = self.repository.serving_versions(name).await?;
        let wanted = [before, &[version]].concat();
        if now.is_empty() || wanted.iter().all(|version| now.contains(version)) {
            return Ok(());
        }
        let config = self.repository.merged_config(name, &now).await?;
        self.repository.serve_versions(config, &[now, wanted].concat()).await
    }

    /// Who a version that has just been loaded is.
    async fn loaded_identity(
        &self,
        name: &str,
        version: &str,
    ) -> Result<ModelIdentity, EngineError> {
        let unusable = |detail: String| EngineError::Model { detail };
        let listed = self.list_versions(name).await?;
        let Some(found) = listed.iter().find(|listed| listed.version == version) else {
            let url = self.server.url();
            let detail = format!("{name} has no version {version} in the repository of {url}");
            return Err(unusable(detail));
        };
        if found.state != "READY" {
            let ServedVersion { state, reason, .. } = found;
            return Err(unusable(format!("{name} version {version} is {state}: {reason}")));
        }
        let sha256 = found.sha256.ok_or_else(|| {
            unusable(format!(
                "{name} version {version} is loaded and declares no digest: run \
                 triton/declare-digest, unload it and load it again"
            ))
        })?;
        Ok(ModelIdentity { name: name.to_owned(), version: version.to_owned(), sha256 })
    }

    /// Takes one version out of service; the others answer all the while, and what it was asked
    /// before is still answered. Nothing happens when it does not serve.
    ///
    /// # Errors
    /// [`EngineError::Model`] when the server is not in explicit mode;
    /// [`EngineError::Unavailable`].
    pub async fn unload_version(&self, name: &str, version: &str) -> Result<(), EngineError> {
        let number = version_number(version)?;
        self.retire_version(name, number).await.map_err(Fault::into_error)
    }

    async fn retire_version(&self, name: &str, version: i64) -> Result<(), Fault> {
        let mut serving = self.repository.serving_versions(name).await?;
        if !serving.contains(&version) {
            return Ok(());
        }
        serving.retain(|&other| other != version);
        if serving.is_empty() {
            return self.repository.unload_model(name).await;
        }
        let config = self.repository.merged_config(name, &serving).await?;
        self.repository.serve_versions(config, &serving).await
    }

    /// Whether the server calls a version ready. (It does so too when the version's process has
    /// died; [`warm_up`](Self::warm_up) knows better.)
    ///
    /// # Errors
    /// [`EngineError::Unavailable`] when the server does not answer.
    pub async fn is_ready(&self, model: &ModelIdentity) -> Result<bool, EngineError> {
        let ready = self.server.is_model_ready(&model.name, &model.version).await;
        ready.map_err(Fault::into_error)
    }

    /// Runs batches of every size, and gives the engine that ran them.
    ///
    /// # Errors
    /// [`EngineError::Model`] when the version is not this network or cannot compute;
    /// [`EngineError::Unavailable`].
    pub async fn warm_up(&self, model: &ModelIdentity) -> Result<Arc<dyn Engine>, EngineError> {
        let restarter = Arc::new(ModelRestarter::new(self.repository.clone(), &model.name));
        Ok(Arc::new(TritonEngine::start(self.server.clone(), restarter, model).await?))
    }
}

fn version_number(version: &str) -> Result<i64, EngineError> {
    version.parse().ok().filter(|&number| number > 0).ok_or_else(|| EngineError::Model {
        detail: format!("{version:?} is no version: Triton's versions are numbers from 1 on"),
    })
}
