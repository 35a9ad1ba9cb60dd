//! Loading and unloading versions beside one another. (What Triton makes of it: `tests/triton.rs`.)

use domain::Sha256;

use super::*;

fn admin() -> (Fake, TritonAdmin) {
    let fake = Fake::new();
    let admin = TritonAdmin::from_connection(fake.connect(&quick()));
    (fake, admin)
}

fn versions(json: Option<&str>) -> serde_json::Value {
    let json: serde_json::Value = serde_json::from_str(json.expect("an override")).expect("JSON");
    json["version_policy"]["specific"]["versions"].clone()
}

/// What the server serves after a load.
fn serve(fake: &Fake, serving: &[(&str, Sha256)]) {
    let mut state = fake.state();
    state.index = Ok(serving.iter().map(|(version, _)| listed(version, "READY")).collect());
    state.configs = serving
        .iter()
        .map(|(version, sha256)| {
            let mut config = declaration();
            let digest = proto::inference::ModelParameter { string_value: sha256.to_string() };
            config.parameters = [(format!("sha256.{version}"), digest)].into();
            ((*version).to_owned(), config)
        })
        .collect();
}

#[tokio::test]
async fn versions_are_listed_in_their_order_with_what_they_declare() {
    let (fake, admin) = admin();
    let other = Sha256::digest_of(b"another network");
    serve(&fake, &[("10", other), ("2", shipped().sha256)]);
    let name = shipped().name;
    fake.state().index.as_mut().expect("an index").push(listed("3", "UNAVAILABLE"));
    let listed = admin.list_versions(&name).await.expect("a list");
    let told: Vec<_> = listed.iter().map(|v| (v.version.as_str(), v.sha256)).collect();
    assert_eq!(told, [("2", Some(shipped().sha256)), ("3", None), ("10", Some(other))]);
    assert_eq!(admin.list_versions("unknown").await, Ok(vec![]));
}

#[tokio::test]
async fn a_version_with_a_digest_is_asked_for_beside_those_that_serve() {
    let (fake, admin) = admin();
    let other = Sha256::digest_of(b"another network");
    let missing = admin.load(&shipped().name, "2", Some(other)).await;
    assert!(matches!(missing, Err(EngineError::Model { .. })), "the server passed over it");
    let state = fake.state();
    assert_eq!(state.loads.len(), 1);
    assert_eq!(versions(state.loads[0].as_deref()), serde_json::json!(["1", "2"]));
    let json = state.loads[0].as_deref().expect("an override");
    assert!(json.contains(&other.to_string()) && json.contains(&shipped().sha256.to_string()));
}

#[tokio::test]
async fn a_version_that_serves_already_is_not_loaded_again() {
    let (fake, admin) = admin();
    assert_eq!(admin.load(&shipped().name, "1", None).await, Ok(shipped()));
    let other = Sha256::digest_of(b"another network");
    let refused = admin.load(&shipped().name, "1", Some(other)).await;
    assert!(matches!(refused, Err(EngineError::Model { .. })), "{refused:?}");
    assert_eq!(fake.state().loads, []);
}

#[tokio::test]
async fn without_a_digest_the_file_is_read_again() {
    let (fake, admin) = admin();
    let answer = admin.load(&shipped().name, "2", None).await;
    assert!(matches!(answer, Err(EngineError::Model { .. })), "the server has no version 2");
    let state = fake.state();
    assert_eq!(state.loads[0], None);
    assert_eq!(versions(state.loads[1].as_deref()), serde_json::json!(["1", "2"]));
}

#[tokio::test]
async fn one_version_is_taken_out_of_service_and_the_others_are_asked_for() {
    let (fake, admin) = admin();
    serve(&fake, &[("1", shipped().sha256), ("2", shipped().sha256)]);
    admin.unload_version(&shipped().name, "7").await.expect("nothing to do");
    admin.unload_version(&shipped().name, "1").await.expect("unloaded");
    assert_eq!(fake.state().unloads, 0);
    assert_eq!(versions(fake.state().loads[0].as_deref()), serde_json::json!(["2"]));
    serve(&fake, &[("2", shipped().sha256)]);
    admin.unload_version(&shipped().name, "2").await.expect("unloaded");
    assert_eq!(fake.state().unloads, 1);
}

#[tokio::test]
async fn what_is_no_version_is_refused_before_anything_happens() {
    let (fake, admin) = admin();
    for version in ["", "0", "-1", "latest", "1.5"] {
        let answer = admin.load(&shipped().name, version, None).await;
        assert!(matches!(answer, Err(EngineError::Model { .. })), "{version}");
        assert!(admin.unload_version(&shipped().name, version).await.is_err(), "{version}");
    }
    assert_eq!(fake.state().loads, []);
}

#[tokio::test]
async fn a_version_is_warmed_up_before_it_is_routed_to() {
    let (fake, admin) = admin();
    assert_eq!(admin.is_ready(&shipped()).await, Ok(true));
    assert_eq!(admin.warm_up(&shipped()).await.expect("an engine").model(), &shipped());
    assert_eq!(fake.state().asked, [1, 2, 4]);
}
