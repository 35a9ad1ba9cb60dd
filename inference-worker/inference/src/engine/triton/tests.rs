//! The Triton engine against a server that fails on demand.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::*;
use crate::test_support::numbered_crops;
use fake::{Fake, Turn, declaration, listed, shipped};
use tonic::Code;

mod admin;
mod breaker;
mod declared;
mod fake;
mod process;

/// One batch, an engine that has warmed up, and the server behind it.
struct Rig {
    fake: Fake,
    models: TritonModels,
    engine: Arc<dyn Engine>,
}

/// Short pauses between attempts; a pause of the breaker, and trust in a digest, that no test
/// outlives.
fn quick() -> TritonConfig {
    TritonConfig {
        triton_retry_ms: 1,
        triton_breaker_pause_ms: 600_000,
        triton_recheck_ms: 600_000,
        ..TritonConfig::default()
    }
}

async fn rig() -> Rig {
    rig_with(quick()).await
}

async fn rig_with(config: TritonConfig) -> Rig {
    let fake = Fake::new();
    let models = TritonModels::from_server(fake.connect(&config));
    let engine = models.engine_for(&shipped()).await.expect("an engine");
    fake.state().asked.clear();
    Rig { fake, models, engine }
}

impl Rig {
    async fn infer(&self) -> Result<usize, EngineError> {
        self.engine.infer(numbered_crops(&[1, 2])).await.map(|answers| answers.len())
    }

    fn asked(&self) -> usize {
        self.fake.state().asked.len()
    }
}

fn unavailable(answer: &Result<usize, EngineError>, part: &str) -> bool {
    matches!(answer, Err(EngineError::Unavailable { detail }) if detail.contains(part))
}

/// What is wrong with an answer.
type Damage = fn(&mut proto::inference::ModelInferResponse);

#[tokio::test]
async fn every_crop_gets_its_own_answer() {
    let rig = rig().await;
    let first_of = |number: &i8| numbered_crops(&[*number]).to_pixels()[0];
    let copper = (1..=64).find(|number| first_of(number) == 0.0).expect("copper in a corner");
    let substrate = (1..=64).find(|number| first_of(number) == 1.0).expect("substrate in a corner");
    let crops = numbered_crops(&[copper, substrate, copper]);
    let first: Vec<f32> = (0..3).map(|i| crops.sub_batch(i..i + 1).to_pixels()[0]).collect();
    assert_eq!(first, [0.0, 1.0, 0.0]);
    let answers = rig.engine.infer(crops).await.expect("answers");
    let told: Vec<f32> = answers.iter().map(|answer| answer.sides[3]).collect();
    assert_eq!(told, first);
    assert_eq!(rig.fake.state().asked, [3]);
}

#[tokio::test]
async fn a_server_that_cannot_answer_now_is_asked_again() {
    for (code, message) in [
        (Code::Unavailable, "Server is shutting down"),
        (Code::Unavailable, "Request for unknown model: 'x' version 1 is not at ready state"),
        (Code::ResourceExhausted, "Exceeds maximum queue size"),
        (Code::NotFound, "Request for unknown model: 'x' has no available versions"),
    ] {
        let rig = rig().await;
        rig.fake.then([Turn::Fail(code, message), Turn::Fail(code, message)]);
        assert_eq!(rig.infer().await, Ok(2), "{message}");
        assert_eq!(rig.asked(), 3, "{message}");
    }
}

#[tokio::test]
async fn a_server_that_stays_away_is_not_asked_for_ever() {
    let rig = rig_with(TritonConfig { triton_attempts: 3, ..quick() }).await;
    rig.fake.then(vec![Turn::Fail(Code::Unavailable, "shutting down"); 9]);
    let answer = rig.infer().await;
    assert!(unavailable(&answer, "shutting down"), "{answer:?}");
    assert_eq!(rig.asked(), 3);
}

#[tokio::test]
async fn a_version_that_is_not_found_is_gone_only_when_the_index_agrees() {
    let not_found = Turn::Fail(Code::NotFound, "Request for unknown model");
    for state in ["READY", "LOADING", "UNLOADING"] {
        let rig = rig().await;
        rig.fake.then(vec![not_found.clone(); 9]);
        rig.fake.state().index = Ok(vec![listed("1", state)]);
        let answer = rig.infer().await;
        assert!(unavailable(&answer, state), "{state}: {answer:?}");
    }
    let draining = rig().await;
    draining.fake.then(vec![not_found.clone(); 9]);
    draining.fake.state().index = Err(tonic::Status::unavailable("Server not ready"));
    assert!(unavailable(&draining.infer().await, "Server not ready"));
    for index in [vec![], vec![listed("1", "UNAVAILABLE")], vec![listed("2", "READY")]] {
        let rig = rig().await;
        rig.fake.then(vec![not_found.clone(); 9]);
        rig.fake.state().index = Ok(index);
        assert!(matches!(rig.infer().await, Err(EngineError::Model { .. })));
    }
}

#[tokio::test]
async fn a_batch_that_takes_too_long_is_given_up_and_blamed_on_nobody() {
    let rig = rig_with(TritonConfig { triton_deadline_ms: 500, ..quick() }).await;
    rig.fake.then([Turn::Hang]);
    let before = Instant::now();
    let answer = rig.infer().await;
    assert!(matches!(answer, Err(EngineError::Unavailable { .. })), "{answer:?}");
    assert!(before.elapsed() >= Duration::from_millis(400), "{:?}", before.elapsed());
    let state = rig.fake.state();
    assert!(
        state.timeouts.iter().all(Option::is_some),
        "the server was not told: {:?}",
        state.timeouts
    );
    assert_eq!(state.asked, [2], "asked again");
}

#[tokio::test]
async fn a_refusal_is_about_the_crops_and_is_not_asked_again() {
    for code in [Code::InvalidArgument, Code::Internal, Code::Unknown] {
        let rig = rig().await;
        rig.fake.then([Turn::Fail(code, "onnxruntime: no")]);
        let answer = rig.infer().await;
        let told = matches!(&answer, Err(EngineError::Backend { detail }) if detail.contains("no"));
        assert!(told, "{code:?}: {answer:?}");
        assert_eq!(rig.asked(), 1, "{code:?}");
        assert_eq!(rig.models.breakers(), [(shipped(), BreakerState::Closed)]);
    }
}

#[tokio::test]
async fn an_answer_that_is_not_what_the_model_promises_is_refused() {
    let bad: [(&str, Damage); 8] = [
        ("0 bytes", |answer| answer.raw_output_contents[0].clear()),
        ("0 bytes", |answer| answer.raw_output_contents.clear()),
        ("60 bytes", |answer| answer.raw_output_contents[0] = vec![0; 60].into()),
        ("shape [3, 8]", |answer| answer.outputs[0].shape[0] = 3),
        ("shape [2, 14]", |answer| answer.outputs[0].shape[1] = 14),
        ("type FP16", |answer| answer.outputs[1].datatype = "FP16".to_owned()),
        ("lacks", |answer| answer.outputs[1].name = "corners".to_owned()),
        ("version 2", |answer| answer.model_version = "2".to_owned()),
    ];
    let rig = rig().await;
    for (part, change) in bad {
        rig.fake.then([Turn::Bad(change)]);
        let answer = rig.infer().await;
        let told =
            matches!(&answer, Err(EngineError::Output { detail, .. }) if detail.contains(part));
        assert!(told, "{part}: {answer:?}");
    }
    rig.fake.then([Turn::Bad(|answer| {
        answer.raw_output_contents[1] = [f32::NAN; 8].map(f32::to_le_bytes).concat().into();
    })]);
    assert!(matches!(rig.infer().await, Err(EngineError::Output { output: "sides", .. })));
    rig.fake.then([Turn::Bad(|answer| {
        answer.raw_output_contents[0] = [-1.9_f32; 16].map(f32::to_le_bytes).concat().into();
    })]);
    let logarithms = rig.infer().await;
    let told = matches!(&logarithms, Err(EngineError::Output { detail, .. })
        if detail.contains("not a probability"));
    assert!(told, "{logarithms:?}");
}

#[tokio::test]
async fn a_connection_that_is_cut_in_the_middle_of_a_batch_is_made_again() {
    let rig = rig().await;
    rig.fake.then([Turn::Cut]);
    assert_eq!(rig.infer().await, Ok(2));
    assert_eq!(rig.asked(), 2);
}

#[tokio::test]
async fn a_server_that_is_away_at_the_start_is_waited_for() {
    let fake = Fake::new();
    fake.state().away = true;
    let models = TritonModels::from_server(fake.connect(&quick()));
    let unavailable = |error: EngineError| matches!(error, EngineError::Unavailable { .. });
    assert!(models.ready().await.is_err_and(unavailable));
    assert!(models.engine_for(&shipped()).await.is_err_and(unavailable));
    fake.state().away = false;
    assert_eq!(models.ready().await, Ok(()));
    assert_eq!(models.engine_for(&shipped()).await.expect("the engine").model(), &shipped());
}

#[tokio::test]
async fn a_port_that_nobody_listens_on_is_a_server_that_is_away() {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("grpc://{}", socket.local_addr().expect("its address"));
    drop(socket);
    let config = TritonConfig { triton_attempts: 1, ..quick() };
    let models = TritonModels::connect(&url.parse().expect("an address"), &config).expect("models");
    let answer = models.engine_for(&shipped()).await.err();
    assert!(matches!(answer, Some(EngineError::Unavailable { .. })), "{answer:?}");
}

#[tokio::test]
async fn a_server_without_the_model_is_not_ready() {
    let fake = Fake::new();
    fake.state().ready = false;
    let models = TritonModels::from_server(fake.connect(&quick()));
    assert!(matches!(models.ready().await, Err(EngineError::Model { .. })));
}
