//! What a served version has to declare before it is used, and while it is used.

use proto::inference::{DataType, ModelConfig, ModelParameter};

use super::*;
use crate::engine::BatchSizes;

/// What comes of a server that declares something else.
async fn engine_of(
    change: impl FnOnce(&mut ModelConfig),
) -> (Fake, Result<Arc<dyn Engine>, String>) {
    let fake = Fake::new();
    let mut config = declaration();
    change(&mut config);
    fake.state().configs = vec![("1".to_owned(), config)];
    let models = TritonModels::from_server(fake.connect(&quick()));
    let engine = models.engine_for(&shipped()).await.map_err(|error| match error {
        EngineError::Model { detail } => detail,
        other => panic!("{other}"),
    });
    (fake, engine)
}

fn parameter(config: &mut ModelConfig, key: &str, value: &str) {
    let value = ModelParameter { string_value: value.to_owned() };
    config.parameters.insert(key.to_owned(), value);
}

/// What a server declares otherwise.
type Change = fn(&mut ModelConfig);

#[tokio::test]
async fn a_version_that_is_not_exactly_the_wanted_network_is_refused() {
    let cases: [(&str, Change); 10] = [
        ("run triton/declare-digest", |config| config.parameters.clear()),
        ("is abab", |config| parameter(config, "sha256.1", &"ab".repeat(32))),
        ("64 hexadecimal digits", |config| parameter(config, "sha256.1", "latest")),
        ("its inputs are", |config| config.input[0].dims = vec![2, 64, 64]),
        ("its inputs are", |config| config.input[0].name = "image".to_owned()),
        ("its outputs are", |config| config.output[1].data_type = DataType::TypeFp16.into()),
        ("its outputs are", |config| config.output.truncate(1)),
        ("max_batch_size 0", |config| config.max_batch_size = 0),
        ("1,2,4,8", |config| parameter(config, "batch_sizes", "4,2")),
        ("1,2,4,8", |config| parameter(config, "batch_sizes", "1,8")),
    ];
    for (part, change) in cases {
        let (fake, engine) = engine_of(change).await;
        let detail = engine.err().unwrap_or_default();
        assert!(detail.contains(part), "{part}: {detail}");
        assert!(fake.state().asked.is_empty(), "{part}: it was used");
    }
}

#[tokio::test]
async fn a_network_is_warmed_up_with_every_size_it_is_built_for() {
    let (fake, engine) = engine_of(|config| parameter(config, "batch_sizes", "1, 3,4")).await;
    assert_eq!(engine.unwrap().batch_sizes(), &BatchSizes::Only(vec![1, 3, 4]));
    assert_eq!(fake.state().asked, [1, 3, 4]);
    let (fake, engine) = engine_of(|config| config.max_batch_size = 12).await;
    assert_eq!(engine.unwrap().batch_sizes(), &BatchSizes::UpTo(12));
    assert_eq!(fake.state().asked, [1, 2, 4, 8, 12]);
}

#[tokio::test]
async fn a_network_that_cannot_compute_is_not_handed_out() {
    let fake = Fake::new();
    fake.then([Turn::Good, Turn::Bad(|answer| answer.raw_output_contents[0].clear())]);
    let models = TritonModels::from_server(fake.connect(&quick()));
    let error = models.engine_for(&shipped()).await.err().unwrap();
    assert!(
        matches!(&error, EngineError::Model { detail } if detail.contains("0 bytes")),
        "{error}"
    );
}

#[tokio::test]
async fn an_engine_is_made_once_and_kept() {
    let rig = rig().await;
    let again = rig.models.engine_for(&shipped()).await.unwrap();
    assert!(Arc::ptr_eq(&rig.engine, &again));
    assert_eq!(rig.asked(), 0);
}

#[tokio::test]
async fn answers_of_a_version_that_has_become_another_network_are_withheld() {
    let rig = rig_with(TritonConfig { triton_recheck_ms: 0, ..quick() }).await;
    assert_eq!(rig.infer().await, Ok(2));
    parameter(&mut rig.fake.state().configs[0].1, "sha256.1", &"ab".repeat(32));
    let answer = rig.infer().await;
    assert!(matches!(answer, Err(EngineError::Model { .. })), "{answer:?}");
    assert!(rig.models.engine_for(&shipped()).await.is_err());
    parameter(&mut rig.fake.state().configs[0].1, "sha256.1", &shipped().sha256.to_string());
    assert_eq!(rig.infer().await, Ok(2), "it is the wanted network again");
}

#[tokio::test]
async fn the_digest_is_not_asked_for_with_every_batch() {
    for (recheck, questions) in [(600_000, 0), (0, 20)] {
        let rig = rig_with(TritonConfig { triton_recheck_ms: recheck, ..quick() }).await;
        let before = rig.fake.state().configs_asked;
        for _ in 0..20 {
            assert_eq!(rig.infer().await, Ok(2));
        }
        assert_eq!(rig.fake.state().configs_asked, before + questions, "{recheck} ms");
    }
}

#[test]
fn the_defaults_are_those_of_the_command_line() {
    use clap::{Args as _, FromArgMatches as _};
    let command = TritonConfig::augment_args(clap::Command::new("test"));
    let parsed = TritonConfig::from_arg_matches(&command.get_matches_from(["test"])).unwrap();
    assert_eq!(parsed, TritonConfig::default());
}
