//! The place that serves models, as the commands see it: the network compiled in, or a Triton server.

use std::sync::Arc;

use domain::Sha256;
use domain::inspection::ModelIdentity;
use inference::engine::{
    BatchSizes, EmbeddedModels, Engine, EngineError, EngineUrl, Models, TritonAdmin, TritonModels,
};
use serde::Serialize;

use super::explain_engine;
use crate::cli::ModelServerArgs;
use crate::failure::{Failure, exit};

const READY: &str = "READY";

/// A version that the place knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Version {
    pub(super) version: String,
    /// As Triton says it: READY, LOADING, UNLOADING, UNAVAILABLE.
    pub(super) state: String,
    /// Why it is not ready.
    pub(super) reason: String,
    /// The digest that the model's configuration declares.
    pub(super) sha256: Option<Sha256>,
}

impl Version {
    pub(super) fn is_ready(&self) -> bool {
        self.state == READY
    }

    /// Its identity; none without a digest.
    pub(super) fn identity(&self, name: &str) -> Option<ModelIdentity> {
        let (name, version) = (name.to_owned(), self.version.clone());
        self.sha256.map(|sha256| ModelIdentity { name, version, sha256 })
    }
}

/// The place.
pub(super) struct Serving {
    models: Arc<dyn Models>,
    /// Absent when the network is compiled in.
    admin: Option<TritonAdmin>,
}

impl Serving {
    pub(super) fn connect(args: &ModelServerArgs) -> Result<Self, Failure> {
        let explain = |error| explain_engine(&error);
        Ok(match &args.engine {
            EngineUrl::Embedded => {
                let models = EmbeddedModels::load().map_err(explain)?;
                Self { models: Arc::new(models), admin: None }
            }
            EngineUrl::Triton(url) => {
                let models = TritonModels::connect(url, &args.triton).map_err(explain)?;
                let admin = TritonAdmin::connect(url, &args.triton).map_err(explain)?;
                Self { models: Arc::new(models), admin: Some(admin) }
            }
        })
    }

    pub(super) fn shipped_model(&self) -> &ModelIdentity {
        self.models.shipped_model()
    }

    /// Whether the place answers; which models it has is another question.
    pub(super) async fn ready(&self) -> Result<(), Failure> {
        match self.models.ready().await {
            Ok(()) | Err(EngineError::Model { .. }) => Ok(()),
            Err(error) => Err(explain_engine(&error)),
        }
    }

    /// Every version that the place knows, ascending.
    pub(super) async fn versions(&self) -> Result<Vec<Version>, Failure> {
        let Some(admin) = &self.admin else {
            let ModelIdentity { version, sha256, .. } = self.shipped_model().clone();
            let (state, reason) = (READY.to_owned(), String::new());
            return Ok(vec![Version { version, state, reason, sha256: Some(sha256) }]);
        };
        let listed = admin
            .list_versions(&self.shipped_model().name)
            .await
            .map_err(|e| explain_engine(&e))?;
        let versions = listed
            .into_iter()
            // Without one, it is the model as a whole, none of whose versions was ever loaded.
            .filter(|listed| !listed.version.is_empty())
            .map(|listed| Version {
                version: listed.version,
                state: listed.state,
                reason: listed.reason,
                sha256: listed.sha256,
            });
        Ok(versions.collect())
    }

    /// The engine of exactly this network, warmed up.
    pub(super) async fn engine_for(
        &self,
        model: &ModelIdentity,
    ) -> Result<Arc<dyn Engine>, EngineError> {
        self.models.engine_for(model).await
    }

    /// The engine of a version that serves, with the digest that it declares, warmed up.
    pub(super) async fn engine_of(&self, version: &str) -> Result<Arc<dyn Engine>, Failure> {
        let name = &self.shipped_model().name;
        let versions = self.versions().await?;
        let Some(found) = versions.iter().find(|found| found.version == version) else {
            let known: Vec<_> = versions.iter().map(|known| known.version.as_str()).collect();
            return Err(Failure::new(
                format_args!("{name} version {version} is not loaded"),
                format_args!(
                    "load it: chipq model load {version}; there are: {}",
                    known.join(", ")
                ),
                exit::DATA,
            ));
        };
        if !found.is_ready() {
            return Err(Failure::new(
                format_args!("{name} version {version} is {}: {}", found.state, found.reason),
                format_args!("load it: chipq model load {version}"),
                exit::DATA,
            ));
        }
        let Some(model) = found.identity(name) else {
            return Err(Failure::new(
                format_args!("{name} version {version} declares no digest"),
                "declare it with triton/declare-digest, then load it again: docs/models.md",
                exit::DATA,
            ));
        };
        self.engine_for(&model).await.map_err(|error| explain_engine(&error))
    }

    /// Loads a version beside those that serve, and tries it.
    ///
    /// With `sha256` the version is to be this network, whatever the server's config.pbtxt declares.
    pub(super) async fn load(
        &self,
        version: &str,
        sha256: Option<Sha256>,
    ) -> Result<Arc<dyn Engine>, Failure> {
        let admin = self.connect_admin()?;
        let loaded = admin.load(&self.shipped_model().name, version, sha256).await;
        let model = loaded.map_err(|error| explain_engine(&error))?;
        self.engine_for(&model).await.map_err(|error| explain_engine(&error))
    }

    /// Takes a version out of service; the others go on.
    pub(super) async fn unload(&self, version: &str) -> Result<(), Failure> {
        let admin = self.connect_admin()?;
        admin
            .unload_version(&self.shipped_model().name, version)
            .await
            .map_err(|e| explain_engine(&e))
    }

    fn connect_admin(&self) -> Result<&TritonAdmin, Failure> {
        self.admin.as_ref().ok_or_else(|| {
            Failure::new(
                "the embedded model is always loaded, and is the only one",
                "name a Triton server to load others: --engine grpc://HOST:8001",
                exit::USAGE,
            )
        })
    }
}

/// Batch sizes in words.
pub(super) fn sizes(sizes: &BatchSizes) -> String {
    match sizes {
        BatchSizes::UpTo(most) => format!("batch sizes up to {most}"),
        BatchSizes::Only(sizes) => {
            let sizes: Vec<_> = sizes.iter().map(ToString::to_string).collect();
            format!("the batch sizes {}", sizes.join(", "))
        }
    }
}
