//! Triton's names and numbers in the configuration's JSON form. (The descriptors: `tests/published.rs`.)

use super::inference::model_version_policy::{PolicyChoice, Specific};
use super::inference::{DataType, ModelConfig, ModelInput, ModelParameter, ModelVersionPolicy};

#[test]
fn a_configuration_has_the_json_form_that_triton_reads() {
    let config = ModelConfig {
        name: "net".to_owned(),
        max_batch_size: 32,
        version_policy: Some(ModelVersionPolicy {
            policy_choice: Some(PolicyChoice::Specific(Specific { versions: vec![1, 3] })),
        }),
        input: vec![ModelInput {
            name: "crops".to_owned(),
            data_type: DataType::TypeFp32.into(),
            dims: vec![2, 96, 96],
            ..ModelInput::default()
        }],
        parameters: [("sha256.1".to_owned(), ModelParameter { string_value: "ab".to_owned() })]
            .into(),
        ..ModelConfig::default()
    };
    let json: serde_json::Value = serde_json::from_str(&config.to_json().unwrap()).unwrap();
    let expected = serde_json::json!({
        "name": "net",
        "max_batch_size": 32,
        "version_policy": {"specific": {"versions": ["1", "3"]}},
        "input": [{"name": "crops", "data_type": "TYPE_FP32", "dims": ["2", "96", "96"]}],
        "parameters": {"sha256.1": {"string_value": "ab"}},
    });
    assert_eq!(json, expected);
}
