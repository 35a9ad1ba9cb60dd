//! Requests that Triton puts into one batch, sent without the engine, which would not send a bad one.

use futures::future::join_all;
use proto::inference::ModelInferRequest;
use proto::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use proto::inference::model_infer_request::InferInputTensor;
use tonic::Code;
use tonic::transport::Endpoint;
use vision::{CROP_LEN, CROP_PLANES, CROP_SIDE};

use super::client::until;
use super::repository::{MODEL, Repository};
use super::server::TritonServer;

/// One crop, every number of which is `value`.
fn request(value: f32) -> ModelInferRequest {
    let shape = [1, CROP_PLANES, CROP_SIDE, CROP_SIDE].map(|size| i64::try_from(size).unwrap());
    ModelInferRequest {
        model_name: MODEL.to_owned(),
        inputs: vec![InferInputTensor {
            name: "crops".to_owned(),
            datatype: "FP32".to_owned(),
            shape: shape.to_vec(),
            ..Default::default()
        }],
        raw_input_contents: vec![value.to_le_bytes().repeat(CROP_LEN).into()],
        ..Default::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_request_in_a_batch_is_refused_and_its_neighbours_are_answered() {
    let repository = Repository::new();
    repository.observe();
    let server = TritonServer::start(&repository);
    let address = format!("http://127.0.0.1:{}", server.ports().grpc);
    let channel = Endpoint::from_shared(address).unwrap().connect().await.unwrap();
    let client = GrpcInferenceServiceClient::new(channel);
    let ask = |value: f32| {
        let mut client = client.clone();
        async move { client.model_infer(request(value)).await }
    };

    // While the first is executed, the others gather behind it.
    repository.on_execute("import time; time.sleep(0.5)");
    let first = tokio::spawn(ask(1.0));
    until("the first is executed", || repository.executions() == 1).await;
    let answers = join_all([1.0, f32::NAN, 0.0, 1.0].map(ask)).await;
    first.await.unwrap().unwrap();

    assert_eq!(repository.executions(), 2, "the four were one batch");
    let codes =
        answers.iter().map(|answer| answer.as_ref().map_or_else(|e| e.code(), |_| Code::Ok));
    let refused = Code::InvalidArgument;
    assert_eq!(codes.collect::<Vec<_>>(), [Code::Ok, refused, Code::Ok, Code::Ok]);
}
