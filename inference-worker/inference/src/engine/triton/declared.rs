//! What a served model's configuration declares, checked against what this worker can use: tensors,
//! batch sizes, and the digest that Triton itself does not know. `docs/` says how to declare them.

use domain::Sha256;
use domain::inspection::ModelIdentity;
use proto::inference::model_config::SchedulingChoice;
use proto::inference::{DataType, ModelConfig};
use vision::{CLASS_COUNT, CROP_PLANES, CROP_SIDE};

use crate::engine::answers::{PROBABILITIES, SIDES};
use crate::engine::{BatchSizes, EngineError};

pub(super) const CROPS: &str = "crops";

/// Parameter with the batch sizes that a model is built for, in ascending order.
const BATCH_SIZES: &str = "batch_sizes";
/// The most batch sizes that are accepted: each is tried before the model is used.
const BATCH_SIZES_MAX: usize = 64;
/// The largest batch that is accepted: 4096 crops are 300 MB.
const BATCH_MAX: usize = 4_096;

/// Parameter with the SHA-256 of this version's `model.onnx`.
pub(super) fn digest_key(version: &str) -> String {
    format!("sha256.{version}")
}

/// The digest that is declared for a version, if any.
///
/// # Errors
/// [`EngineError::Model`] when what is declared is no digest.
pub(super) fn declared_digest(
    config: &ModelConfig,
    version: &str,
) -> Result<Option<Sha256>, EngineError> {
    let key = digest_key(version);
    let Some(declared) = config.parameters.get(&key) else { return Ok(None) };
    let parsed = declared.string_value.trim().parse();
    parsed
        .map(Some)
        .map_err(|error| unusable_model(&config.name, &format!("parameter {key}: {error}")))
}

/// Checks that the server serves exactly this network, in the shape this worker knows; gives its
/// batch sizes.
///
/// # Errors
/// [`EngineError::Model`] saying what to change.
pub(super) fn check_model(
    config: &ModelConfig,
    model: &ModelIdentity,
) -> Result<BatchSizes, EngineError> {
    let ModelIdentity { name, version, sha256 } = model;
    match declared_digest(config, version)? {
        Some(declared) if declared == *sha256 => {}
        Some(declared) => {
            let detail = format!("version {version} is {declared} on the server, not {sha256}");
            return Err(unusable_model(name, &detail));
        }
        None => {
            let detail = format!(
                "version {version} declares no digest; run triton/declare-digest, or write into \
                 its config.pbtxt: parameters {{ key: \"{}\" value {{ string_value: \"<SHA-256 of \
                 {version}/model.onnx>\" }} }}, and load it again",
                digest_key(version)
            );
            return Err(unusable_model(name, &detail));
        }
    }
    check_tensors(config)?;
    check_scheduling(config)?;
    batch_sizes(config)
}

fn check_tensors(config: &ModelConfig) -> Result<(), EngineError> {
    let tensors = |all: Vec<(&str, DataType, &[i64])>| {
        let mut all: Vec<String> =
            all.iter().map(|(name, kind, dims)| format!("{name} {kind:?} {dims:?}")).collect();
        all.sort();
        all.join(", ")
    };
    let size = |size: usize| i64::try_from(size).unwrap_or(i64::MAX);
    let inputs =
        config.input.iter().map(|tensor| (&*tensor.name, tensor.data_type(), &*tensor.dims));
    let outputs =
        config.output.iter().map(|tensor| (&*tensor.name, tensor.data_type(), &*tensor.dims));
    let crop = [size(CROP_PLANES), size(CROP_SIDE), size(CROP_SIDE)];
    let classes = [size(CLASS_COUNT)];
    let wanted_inputs = vec![(CROPS, DataType::TypeFp32, &crop[..])];
    let wanted_outputs = vec![
        (PROBABILITIES, DataType::TypeFp32, &classes[..]),
        (SIDES, DataType::TypeFp32, &[4][..]),
    ];
    for (what, found, wanted) in [
        ("inputs", tensors(inputs.collect()), tensors(wanted_inputs)),
        ("outputs", tensors(outputs.collect()), tensors(wanted_outputs)),
    ] {
        if found != wanted {
            return Err(unusable_model(
                &config.name,
                &format!("its {what} are {found}, not {wanted}"),
            ));
        }
    }
    Ok(())
}

/// Batches of several requests, or each request alone; nothing that remembers earlier requests.
fn check_scheduling(config: &ModelConfig) -> Result<(), EngineError> {
    let decoupled = config.model_transaction_policy.as_ref().is_some_and(|policy| policy.decoupled);
    match config.scheduling_choice {
        None | Some(SchedulingChoice::DynamicBatching(_)) if !decoupled => Ok(()),
        Some(SchedulingChoice::EnsembleScheduling(_)) if !decoupled => Ok(()),
        _ => Err(unusable_model(
            &config.name,
            "it is a sequence or decoupled model: one answer per crop",
        )),
    }
}

fn batch_sizes(config: &ModelConfig) -> Result<BatchSizes, EngineError> {
    let largest = usize::try_from(config.max_batch_size).unwrap_or(0);
    if !(1..=BATCH_MAX).contains(&largest) {
        let detail = format!("max_batch_size {largest} is not within 1 to {BATCH_MAX}");
        return Err(unusable_model(&config.name, &detail));
    }
    let Some(declared) = config.parameters.get(BATCH_SIZES) else {
        return Ok(BatchSizes::UpTo(largest));
    };
    let parsed: Result<Vec<usize>, _> =
        declared.string_value.split(',').map(|size| size.trim().parse()).collect();
    parsed
        .ok()
        .filter(|sizes| {
            let rising = sizes.is_sorted_by(|a, b| a < b);
            let within = sizes.iter().all(|size| (1..=largest).contains(size));
            rising && within && sizes.len() <= BATCH_SIZES_MAX
        })
        .map(BatchSizes::Only)
        .ok_or_else(|| {
            let detail = format!(
                "parameter {BATCH_SIZES} {:?} is not a rising list like 1,2,4,8 within \
                 max_batch_size {largest}",
                declared.string_value
            );
            unusable_model(&config.name, &detail)
        })
}

fn unusable_model(name: &str, detail: &str) -> EngineError {
    EngineError::Model { detail: format!("{name}: {detail}") }
}
