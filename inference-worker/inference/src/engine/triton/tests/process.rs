//! A model whose process has died, and what brings it back.

use super::*;

const DEAD: Turn = Turn::Fail(Code::Internal, "Stub process 'golden-compare_0_0' is not healthy.");

#[tokio::test]
async fn a_model_whose_process_has_died_is_restarted_with_the_versions_it_served() {
    let rig = rig().await;
    let mut second = declaration();
    second.parameters =
        [("sha256.2".to_owned(), declaration().parameters["sha256.1"].clone())].into();
    rig.fake.state().configs.push(("2".to_owned(), second));
    rig.fake.state().index =
        Ok(vec![listed("2", "READY"), listed("1", "READY"), listed("3", "UNAVAILABLE")]);
    rig.fake.then([DEAD]);
    assert_eq!(rig.infer().await, Ok(2));
    let state = rig.fake.state();
    assert_eq!((state.unloads, state.loads.len()), (1, 1));
    let json: serde_json::Value =
        serde_json::from_str(state.loads[0].as_deref().expect("a configuration")).expect("JSON");
    assert_eq!(json["version_policy"]["specific"]["versions"], serde_json::json!(["1", "2"]));
    for key in ["sha256.1", "sha256.2"] {
        let digest = &json["parameters"][key]["string_value"];
        assert_eq!(*digest, shipped().sha256.to_string(), "{key}");
    }
}

#[tokio::test]
async fn crops_that_a_fresh_process_dies_of_as_well_are_to_blame() {
    let rig = rig().await;
    rig.fake.then([DEAD, DEAD]);
    let answer = rig.infer().await;
    let told =
        matches!(&answer, Err(EngineError::Backend { detail }) if detail.contains("died twice"));
    assert!(told, "{answer:?}");
    assert_eq!(rig.infer().await.err(), None, "others are answered");
}

#[tokio::test]
async fn one_restart_serves_all_requests_that_met_the_dead_process() {
    let rig = rig().await;
    rig.fake.then([DEAD, DEAD, DEAD]);
    let answers = tokio::join!(rig.infer(), rig.infer(), rig.infer());
    assert_eq!(answers, (Ok(2), Ok(2), Ok(2)));
    assert_eq!(rig.fake.state().unloads, 1);
}

#[tokio::test]
async fn a_server_that_forbids_restarts_is_waited_for_with_advice() {
    let rig = rig().await;
    rig.fake.state().explicit = false;
    rig.fake.then([DEAD]);
    let answer = rig.infer().await;
    assert!(unavailable(&answer, "--model-control-mode=explicit"), "{answer:?}");
    assert!(rig.fake.state().loads.is_empty());
}

#[tokio::test]
async fn a_model_that_keeps_dying_is_left_dead() {
    let config = TritonConfig { triton_breaker_failures: 1_000, ..quick() };
    let rig = rig_with(config).await;
    rig.fake.then(vec![DEAD; 100]);
    let mut answers = Vec::new();
    for _ in 0..20 {
        answers.push(rig.infer().await);
    }
    assert_eq!(rig.fake.state().unloads, 16);
    assert!(unavailable(&answers[19], "left dead"), "{:?}", answers[19]);
}
