//! A Triton server of the tests' own: the real gRPC service over a connection in memory, so that
//! time can be paused, with the faults that the real one has (or had) on demand.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use domain::inspection::ModelIdentity;
use proto::inference::grpc_inference_service_server::{
    GrpcInferenceService, GrpcInferenceServiceServer,
};
use proto::inference::model_infer_response::InferOutputTensor;
use proto::inference::repository_index_response::ModelIndex;
use proto::inference::*;
use tonic::{Code, Request, Response, Status};

use super::super::address::TritonUrl;
use super::super::server::{TritonConnection, build_endpoint};
use super::super::{TritonConfig, embedded};

/// What happens to one inference request.
#[derive(Debug, Clone)]
pub(super) enum Turn {
    Good,
    Fail(Code, &'static str),
    Hang,
    /// The connection is cut.
    Cut,
    /// An answer that something is done to.
    Bad(fn(&mut ModelInferResponse)),
}

pub(super) struct State {
    /// The next turns; then good ones.
    pub(super) turns: VecDeque<Turn>,
    pub(super) configs: Vec<(String, ModelConfig)>,
    pub(super) index: Result<Vec<ModelIndex>, Status>,
    /// Nobody gets a connection.
    pub(super) away: bool,
    pub(super) ready: bool,
    /// Rows of each request.
    pub(super) asked: Vec<i64>,
    pub(super) timeouts: Vec<Option<String>>,
    pub(super) configs_asked: usize,
    pub(super) loads: Vec<Option<String>>,
    pub(super) unloads: usize,
    pub(super) explicit: bool,
    cut: Arc<tokio::sync::Notify>,
}

#[derive(Clone)]
pub(super) struct Fake(Arc<Mutex<State>>);

pub(super) fn shipped() -> ModelIdentity {
    embedded::shipped_model().clone()
}

pub(super) fn listed(version: &str, state: &str) -> ModelIndex {
    let name = shipped().name;
    ModelIndex { name, version: version.to_owned(), state: state.to_owned(), ..Default::default() }
}

/// What the repository of this project declares.
pub(super) fn declaration() -> ModelConfig {
    let shipped = shipped();
    let fp32 = DataType::TypeFp32.into();
    let output = |name: &str, width| ModelOutput {
        name: name.to_owned(),
        data_type: fp32,
        dims: vec![width],
        ..Default::default()
    };
    let digest = ModelParameter { string_value: shipped.sha256.to_string() };
    ModelConfig {
        name: shipped.name,
        max_batch_size: 4,
        input: vec![ModelInput {
            name: "crops".to_owned(),
            data_type: fp32,
            dims: vec![2, 96, 96],
            ..Default::default()
        }],
        output: vec![output("probabilities", 8), output("sides", 4)],
        parameters: [("sha256.1".to_owned(), digest)].into(),
        ..Default::default()
    }
}

impl Fake {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(State {
            turns: VecDeque::new(),
            configs: vec![("1".to_owned(), declaration())],
            index: Ok(vec![listed("1", "READY")]),
            away: false,
            ready: true,
            asked: Vec::new(),
            timeouts: Vec::new(),
            configs_asked: 0,
            loads: Vec::new(),
            unloads: 0,
            explicit: true,
            cut: Arc::default(),
        })))
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub(super) fn then(&self, turns: impl IntoIterator<Item = Turn>) {
        self.state().turns.extend(turns);
    }

    /// A connection to it, made when first used and as often as it is lost.
    pub(super) fn connect(&self, config: &TritonConfig) -> TritonConnection {
        let url: TritonUrl = "grpc://fake:8001".parse().unwrap();
        let fake = self.clone();
        let connector = tower::service_fn(move |_| {
            let fake = fake.clone();
            async move { fake.accept().map(hyper_util::rt::TokioIo::new) }
        });
        let channel = build_endpoint(&url, config).unwrap().connect_with_connector_lazy(connector);
        TritonConnection::from_channel(channel, &url, config)
    }

    fn accept(&self) -> std::io::Result<tokio::io::DuplexStream> {
        if self.state().away {
            return Err(std::io::ErrorKind::ConnectionRefused.into());
        }
        let (near, mut inner) = tokio::io::duplex(1 << 20);
        let (mut outer, far) = tokio::io::duplex(1 << 20);
        let incoming = futures::stream::iter([Ok::<_, std::io::Error>(far)]);
        let serve = tonic::transport::Server::builder()
            .add_service(GrpcInferenceServiceServer::new(self.clone()))
            .serve_with_incoming(futures::StreamExt::chain(incoming, futures::stream::pending()));
        tokio::spawn(serve);
        let cut = Arc::clone(&self.state().cut);
        tokio::spawn(async move {
            tokio::select! {
                _ = tokio::io::copy_bidirectional(&mut inner, &mut outer) => {}
                () = cut.notified() => {}
            }
        });
        Ok(near)
    }

    /// Cuts all connections.
    pub(super) fn cut(&self) {
        self.state().cut.notify_waiters();
    }
}

fn good(request: &ModelInferRequest) -> ModelInferResponse {
    let rows = request.inputs[0].shape[0];
    let output = |name: &str, width| InferOutputTensor {
        name: name.to_owned(),
        datatype: "FP32".to_owned(),
        shape: vec![rows, width],
        ..Default::default()
    };
    // The first number of each crop comes back, so that answers can be told apart.
    let raw = &request.raw_input_contents[0];
    let crops = raw.chunks(raw.len() / usize::try_from(rows).unwrap());
    let repeat = |width: usize| crops.clone().flat_map(|crop| crop[..4].repeat(width)).collect();
    let number = |crop: &[u8]| f32::from_le_bytes([crop[0], crop[1], crop[2], crop[3]]);
    let shares = |crop| [number(crop), 1.0 - number(crop), 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
    let shares = crops.clone().flat_map(|crop| shares(crop).map(f32::to_le_bytes).concat());
    ModelInferResponse {
        model_name: request.model_name.clone(),
        model_version: request.model_version.clone(),
        outputs: vec![output("probabilities", 8), output("sides", 4)],
        raw_output_contents: vec![shares.collect(), repeat(4)],
        ..Default::default()
    }
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl GrpcInferenceService for Fake {
    async fn model_infer(&self, request: Request<ModelInferRequest>) -> Answer<ModelInferResponse> {
        let timeout = request.metadata().get("grpc-timeout");
        let timeout = timeout.map(|timeout| timeout.to_str().unwrap().to_owned());
        let request = request.into_inner();
        let turn = {
            let mut state = self.state();
            state.timeouts.push(timeout);
            state.asked.push(request.inputs[0].shape[0]);
            state.turns.pop_front().unwrap_or(Turn::Good)
        };
        let mut answer = good(&request);
        match turn {
            Turn::Good => {}
            Turn::Fail(code, message) => return Err(Status::new(code, message)),
            Turn::Hang => std::future::pending().await,
            Turn::Cut => {
                self.cut();
                std::future::pending().await
            }
            Turn::Bad(change) => change(&mut answer),
        }
        Ok(Response::new(answer))
    }

    async fn model_config(
        &self,
        request: Request<ModelConfigRequest>,
    ) -> Answer<ModelConfigResponse> {
        let mut state = self.state();
        state.configs_asked += 1;
        let version = request.into_inner().version;
        let found = state.configs.iter().find(|(known, _)| *known == version);
        let config = found.map(|(_, config)| config.clone());
        let unknown = || Status::not_found(format!("Request for unknown model: version {version}"));
        let config = config.ok_or_else(unknown)?;
        Ok(Response::new(ModelConfigResponse { config: Some(config) }))
    }

    async fn repository_index(
        &self,
        _: Request<RepositoryIndexRequest>,
    ) -> Answer<RepositoryIndexResponse> {
        let models = self.state().index.clone()?;
        Ok(Response::new(RepositoryIndexResponse { models }))
    }

    async fn repository_model_load(
        &self,
        request: Request<RepositoryModelLoadRequest>,
    ) -> Answer<RepositoryModelLoadResponse> {
        use model_repository_parameter::ParameterChoice::StringParam;
        let mut request = request.into_inner();
        let config = request.parameters.remove("config").and_then(|config| {
            config.parameter_choice.and_then(|choice| match choice {
                StringParam(json) => Some(json),
                _ => None,
            })
        });
        self.state().loads.push(config);
        Ok(Response::new(RepositoryModelLoadResponse {}))
    }

    async fn repository_model_unload(
        &self,
        _: Request<RepositoryModelUnloadRequest>,
    ) -> Answer<RepositoryModelUnloadResponse> {
        let mut state = self.state();
        if !state.explicit {
            let message = "explicit model load / unload is not allowed if polling is enabled";
            return Err(Status::unavailable(message));
        }
        state.unloads += 1;
        Ok(Response::new(RepositoryModelUnloadResponse {}))
    }

    async fn server_live(&self, _: Request<ServerLiveRequest>) -> Answer<ServerLiveResponse> {
        Ok(Response::new(ServerLiveResponse { live: true }))
    }

    async fn model_ready(&self, _: Request<ModelReadyRequest>) -> Answer<ModelReadyResponse> {
        Ok(Response::new(ModelReadyResponse { ready: self.state().ready }))
    }

    async fn server_ready(&self, _: Request<ServerReadyRequest>) -> Answer<ServerReadyResponse> {
        Err(Status::unimplemented("not asked by this project"))
    }

    async fn server_metadata(
        &self,
        _: Request<ServerMetadataRequest>,
    ) -> Answer<ServerMetadataResponse> {
        Err(Status::unimplemented("not asked by this project"))
    }

    async fn model_metadata(
        &self,
        _: Request<ModelMetadataRequest>,
    ) -> Answer<ModelMetadataResponse> {
        Err(Status::unimplemented("not asked by this project"))
    }

    async fn model_statistics(
        &self,
        _: Request<ModelStatisticsRequest>,
    ) -> Answer<ModelStatisticsResponse> {
        Err(Status::unimplemented("not asked by this project"))
    }
}
