//! The connection: one HTTP/2 channel that connects when it is first used and again whenever it is
//! lost. Every call has a deadline, which the server is told as well.

use std::future::Future;
use std::time::Duration;

use domain::inspection::ModelIdentity;
use proto::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use proto::inference::{
    ModelConfig, ModelConfigRequest, ModelInferRequest, ModelInferResponse, ModelReadyRequest,
    RepositoryIndexRequest, ServerLiveRequest,
};
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use tonic::{Request, Response, Status};

use super::address::TritonUrl;
use super::config::TritonConfig;
use super::fault::Fault;
use crate::engine::EngineError;

pub(super) type TritonClient = GrpcInferenceServiceClient<Channel>;

/// Longest that a question about the server or a model may take: these are answered from memory.
pub(super) const QUESTION_DEADLINE: Duration = Duration::from_secs(3);
/// How much sooner than this side gives up the server is to have given up.
const MARGIN: Duration = Duration::from_millis(5);

/// A Triton server. Cheap to clone; clones share the connection.
#[derive(Clone)]
pub(super) struct TritonConnection {
    client: TritonClient,
    url: TritonUrl,
    pub(super) config: TritonConfig,
}

/// A version in the repository, as the server lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ListedVersion {
    /// The model's name.
    pub(super) name: String,
    /// Empty for a model none of whose versions was ever loaded.
    pub(super) version: String,
    /// `READY`, `LOADING`, `UNLOADING`, `UNAVAILABLE`, or empty.
    pub(super) state: String,
    /// Why it is not ready, if the server knows.
    pub(super) reason: String,
}

impl TritonConnection {
    /// Must be called within a tokio runtime. Connects later.
    pub(super) fn new(url: &TritonUrl, config: &TritonConfig) -> Result<Self, EngineError> {
        let unusable = |error: tonic::transport::Error| EngineError::Model {
            detail: format!("{url}: {error}"),
        };
        let mut endpoint = build_endpoint(url, config).map_err(unusable)?;
        if url.has_tls() {
            let tls = ClientTlsConfig::new().with_native_roots();
            endpoint = endpoint.tls_config(tls).map_err(unusable)?;
        }
        Ok(Self::from_channel(endpoint.connect_lazy(), url, config))
    }

    pub(super) fn from_channel(channel: Channel, url: &TritonUrl, config: &TritonConfig) -> Self {
        let client = GrpcInferenceServiceClient::new(channel);
        Self { client, url: url.clone(), config: config.clone() }
    }

    pub(super) fn url(&self) -> &TritonUrl {
        &self.url
    }

    /// One call, given up after `deadline`.
    pub(super) async fn call<Q, A, F>(
        &self,
        deadline: Duration,
        question: Q,
        send: impl FnOnce(TritonClient, Request<Q>) -> F,
    ) -> Result<A, Fault>
    where
        F: Future<Output = Result<Response<A>, Status>>,
    {
        let mut request = Request::new(question);
        request.set_timeout(deadline.saturating_sub(MARGIN));
        match tokio::time::timeout(deadline, send(self.client.clone(), request)).await {
            Ok(answer) => {
                answer.map(Response::into_inner).map_err(|status| Fault::from_status(&status))
            }
            Err(_) => Err(Fault::Late(format!("no answer within {deadline:?}"))),
        }
    }

    pub(super) async fn infer(
        &self,
        request: ModelInferRequest,
    ) -> Result<ModelInferResponse, Fault> {
        let send =
            |mut client: TritonClient, request| async move { client.model_infer(request).await };
        self.call(self.config.infer_deadline(), request, send).await
    }

    /// The configuration that a version is served with.
    pub(super) async fn model_config(
        &self,
        name: &str,
        version: &str,
    ) -> Result<ModelConfig, Fault> {
        let question = ModelConfigRequest { name: name.to_owned(), version: version.to_owned() };
        let send =
            |mut client: TritonClient, request| async move { client.model_config(request).await };
        let answer = self.call(QUESTION_DEADLINE, question, send).await?;
        answer.config.ok_or_else(|| Fault::Refused(format!("{name} has no configuration")))
    }

    pub(super) async fn is_live(&self) -> Result<bool, Fault> {
        let send =
            |mut client: TritonClient, request| async move { client.server_live(request).await };
        Ok(self.call(QUESTION_DEADLINE, ServerLiveRequest {}, send).await?.live)
    }

    /// An empty version: any.
    pub(super) async fn is_model_ready(&self, name: &str, version: &str) -> Result<bool, Fault> {
        let question = ModelReadyRequest { name: name.to_owned(), version: version.to_owned() };
        let send =
            |mut client: TritonClient, request| async move { client.model_ready(request).await };
        Ok(self.call(QUESTION_DEADLINE, question, send).await?.ready)
    }

    pub(super) async fn repository_index(&self) -> Result<Vec<ListedVersion>, Fault> {
        let send = |mut client: TritonClient, request| async move {
            client.repository_index(request).await
        };
        let answer = self.call(QUESTION_DEADLINE, RepositoryIndexRequest::default(), send).await?;
        let listed = answer.models.into_iter().map(|model| ListedVersion {
            name: model.name,
            version: model.version,
            state: model.state,
            reason: model.reason,
        });
        Ok(listed.collect())
    }

    /// Where a version is that was not found. Triton says so of what is not in its repository, of
    /// what it has retired, and of everything while it shuts down; only in the last case it does
    /// not answer this question.
    pub(super) async fn explain_missing(&self, model: &ModelIdentity) -> EngineError {
        let listed = match self.repository_index().await {
            Ok(listed) => listed,
            Err(fault) => {
                let detail = format!("{} is not shown: {}", model.name, fault.detail());
                return EngineError::Unavailable { detail };
            }
        };
        let ModelIdentity { name, version, .. } = model;
        let found = listed.iter().find(|listed| listed.name == *name && listed.version == *version);
        match found.map(|found| (found.state.as_str(), found.reason.as_str())) {
            Some((state @ ("READY" | "LOADING" | "UNLOADING"), _)) => {
                let detail = format!("{name} version {version} is {state} at this moment");
                EngineError::Unavailable { detail }
            }
            Some((state, reason)) => EngineError::Model {
                detail: format!("{name} version {version} is {state} on {} {reason}", self.url),
            },
            None => EngineError::Model {
                detail: format!("{name} version {version} is not loaded on {}", self.url),
            },
        }
    }
}

pub(super) fn build_endpoint(
    url: &TritonUrl,
    config: &TritonConfig,
) -> Result<Endpoint, tonic::transport::Error> {
    Ok(Endpoint::from_shared(url.http_origin())?
        .connect_timeout(config.connect_timeout())
        .tcp_nodelay(true)
        .http2_keep_alive_interval(config.keep_alive())
        .keep_alive_timeout(config.keep_alive())
        .keep_alive_while_idle(true))
}
