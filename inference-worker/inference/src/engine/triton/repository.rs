//! Load and unload, as Triton knows them.
//!
//! What Triton 2.51 does, found by trying: a load names a set of versions (the configuration's
//! version policy). Versions of the set that serve already and whose files have not changed are not
//! touched, and keep the configuration that they were loaded with, so each version has its own;
//! versions out of the set are retired; unknown ones are passed over in silence. When one version
//! fails, those that served go on.

use std::collections::HashMap;

use proto::inference::model_repository_parameter::ParameterChoice;
use proto::inference::model_version_policy::{PolicyChoice, Specific};
use proto::inference::{
    ModelConfig, ModelRepositoryParameter, ModelVersionPolicy, RepositoryModelLoadRequest,
    RepositoryModelUnloadRequest,
};

use super::declared::digest_key;
use super::fault::Fault;
use super::server::{QUESTION_DEADLINE, TritonClient, TritonConnection};

const READY: &str = "READY";

/// The repository of a Triton server in explicit mode.
#[derive(Clone)]
pub(super) struct Repository {
    pub(super) server: TritonConnection,
}

impl Repository {
    pub(super) fn new(server: TritonConnection) -> Self {
        Self { server }
    }

    /// The versions of a model that answer now, ascending.
    pub(super) async fn serving_versions(&self, name: &str) -> Result<Vec<i64>, Fault> {
        let listed = self.server.repository_index().await?;
        let serving = listed.iter().filter(|listed| listed.name == name && listed.state == READY);
        let mut versions: Vec<i64> =
            serving.filter_map(|listed| listed.version.parse().ok()).collect();
        versions.sort_unstable();
        Ok(versions)
    }

    /// One configuration for all of these versions, which serve now: the latest one's, with the
    /// digest that each of them declares for itself.
    pub(super) async fn merged_config(
        &self,
        name: &str,
        serving: &[i64],
    ) -> Result<ModelConfig, Fault> {
        let mut merged = ModelConfig::default();
        let mut digests = HashMap::new();
        for version in serving {
            let version = version.to_string();
            merged = self.server.model_config(name, &version).await?;
            let key = digest_key(&version);
            if let Some(digest) = merged.parameters.get(&key) {
                digests.insert(key, digest.clone());
            }
        }
        merged.parameters.extend(digests);
        Ok(merged)
    }

    /// Has exactly these versions served, by this configuration in place of config.pbtxt.
    pub(super) async fn serve_versions(
        &self,
        mut config: ModelConfig,
        versions: &[i64],
    ) -> Result<(), Fault> {
        let mut versions = versions.to_vec();
        versions.sort_unstable();
        versions.dedup();
        let specific = Specific { versions };
        let policy_choice = Some(PolicyChoice::Specific(specific));
        config.version_policy = Some(ModelVersionPolicy { policy_choice });
        self.load_model(&config.name, Some(&config)).await
    }

    /// Loads a model: as its config.pbtxt says, or as `config` says in its place.
    pub(super) async fn load_model(
        &self,
        name: &str,
        config: Option<&ModelConfig>,
    ) -> Result<(), Fault> {
        let mut parameters = HashMap::new();
        if let Some(config) = config {
            let json = config.to_json().map_err(|error| Fault::Refused(error.to_string()))?;
            let parameter_choice = Some(ParameterChoice::StringParam(json));
            parameters.insert("config".to_owned(), ModelRepositoryParameter { parameter_choice });
        }
        let question = RepositoryModelLoadRequest {
            model_name: name.to_owned(),
            parameters,
            ..Default::default()
        };
        let send = |mut client: TritonClient, request| async move {
            client.repository_model_load(request).await
        };
        self.server.call(self.server.config.load_deadline(), question, send).await?;
        Ok(())
    }

    /// Unloads all versions of a model. Requests in flight are answered first.
    pub(super) async fn unload_model(&self, name: &str) -> Result<(), Fault> {
        let question =
            RepositoryModelUnloadRequest { model_name: name.to_owned(), ..Default::default() };
        let send = |mut client: TritonClient, request| async move {
            client.repository_model_unload(request).await
        };
        self.server.call(QUESTION_DEADLINE, question, send).await?;
        Ok(())
    }

    /// Unloads a model and loads the versions that it served again.
    pub(super) async fn restart_model(&self, name: &str) -> Result<(), Fault> {
        let serving = self.serving_versions(name).await?;
        if serving.is_empty() {
            return Err(Fault::Missing(format!(
                "{name} serves no version that could be restarted"
            )));
        }
        let config = self.merged_config(name, &serving).await?;
        self.unload_model(name).await?;
        // From here on nothing answers until this succeeds.
        let mut attempts = self.server.config.retry_attempts();
        loop {
            match (self.serve_versions(config.clone(), &serving).await, attempts.next()) {
                (Err(Fault::Away(_) | Fault::Late(_)), Some(pause)) => {
                    tokio::time::sleep(pause).await;
                }
                (outcome, _) => return outcome,
            }
        }
    }
}
