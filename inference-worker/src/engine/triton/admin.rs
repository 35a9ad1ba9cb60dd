//! The model repository of a Triton server, changed through its gRPC interface.

use std::collections::HashMap;

use proto::inference::model_repository_parameter::ParameterChoice;
use proto::inference::{
    ModelConfig, ModelRepositoryParameter, RepositoryModelLoadRequest, RepositoryModelUnloadRequest,
};

use super::fault::Fault;
use super::server::{Client, QUESTION_DEADLINE, Server};

/// Load and unload, as Triton knows them.
#[derive(Clone)]
pub(super) struct Repository {
    server: Server,
}

impl Repository {
    pub(super) fn new(server: Server) -> Self {
        Self { server }
    }

    /// Loads a model: as its config.pbtxt says, or as `config` says in its place. Versions that are
    /// loaded already and stay answer all the while.
    pub(super) async fn load(&self, name: &str, config: Option<&ModelConfig>) -> Result<(), Fault> {
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
        let send = |mut client: Client, request| async move {
            client.repository_model_load(request).await
        };
        self.server.call(self.server.config.load_deadline(), question, send).await?;
        Ok(())
    }

    /// Unloads all versions of a model. Requests in flight are answered first.
    pub(super) async fn unload(&self, name: &str) -> Result<(), Fault> {
        let question =
            RepositoryModelUnloadRequest { model_name: name.to_owned(), ..Default::default() };
        let send = |mut client: Client, request| async move {
            client.repository_model_unload(request).await
        };
        self.server.call(QUESTION_DEADLINE, question, send).await?;
        Ok(())
    }

    /// Unloads a model and loads it as it was.
    pub(super) async fn restart(&self, name: &str) -> Result<(), Fault> {
        let config = self.server.model_config(name, "").await?;
        self.unload(name).await?;
        self.load(name, Some(&config)).await
    }
}
