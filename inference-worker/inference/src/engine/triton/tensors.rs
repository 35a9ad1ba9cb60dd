//! Crops to requests and responses to answers. Tensors travel as raw little-endian bytes, and
//! nothing in a response is believed before shape, type and length agree: a Triton whose python
//! backend runs with numpy 2 answers OK, right shape, no bytes.

use bytes::Bytes;
use domain::inspection::ModelIdentity;
use proto::inference::model_infer_request::{InferInputTensor, InferRequestedOutputTensor};
use proto::inference::{ModelInferRequest, ModelInferResponse};
use vision::{CLASS_COUNT, CROP_PLANES, CROP_SIDE, CropBatch, CropOutput};

use super::declared::CROPS;
use crate::engine::EngineError;
use crate::engine::answers::{PROBABILITIES, SIDES, finite_rows, pair_outputs};

const FP32: &str = "FP32";
const FP32_BYTES: usize = size_of::<f32>();

/// The request for the answers to these crops by this version. Clones share the tensor.
pub(super) fn infer_request(model: &ModelIdentity, crops: &CropBatch) -> ModelInferRequest {
    let shape = [crops.len(), CROP_PLANES, CROP_SIDE, CROP_SIDE];
    let wanted =
        |name: &str| InferRequestedOutputTensor { name: name.to_owned(), ..Default::default() };
    ModelInferRequest {
        model_name: model.name.clone(),
        model_version: model.version.clone(),
        inputs: vec![InferInputTensor {
            name: CROPS.to_owned(),
            datatype: FP32.to_owned(),
            shape: shape.map(|size| i64::try_from(size).unwrap_or(i64::MAX)).to_vec(),
            ..Default::default()
        }],
        outputs: vec![wanted(PROBABILITIES), wanted(SIDES)],
        raw_input_contents: vec![little_endian(crops)],
        ..Default::default()
    }
}

fn little_endian(crops: &CropBatch) -> Bytes {
    crops.to_values(f32::to_le_bytes).into_flattened().into()
}

/// One answer per crop of the request.
///
/// # Errors
/// [`EngineError::Output`] when the response is not what was asked for.
pub(super) fn read_answers(
    model: &ModelIdentity,
    crops: usize,
    response: &ModelInferResponse,
) -> Result<Vec<CropOutput>, EngineError> {
    let said = (response.model_name.as_str(), response.model_version.as_str());
    if said != (model.name.as_str(), model.version.as_str()) {
        let detail = format!("it comes from {} version {}", said.0, said.1);
        return Err(EngineError::Output { output: PROBABILITIES, detail });
    }
    let probabilities = tensor_rows::<CLASS_COUNT>(PROBABILITIES, crops, response)?;
    pair_outputs(probabilities, tensor_rows(SIDES, crops, response)?)
}

fn tensor_rows<const WIDTH: usize>(
    output: &'static str,
    crops: usize,
    response: &ModelInferResponse,
) -> Result<Vec<[f32; WIDTH]>, EngineError> {
    let invalid = |detail: String| EngineError::Output { output, detail };
    let index = response
        .outputs
        .iter()
        .position(|tensor| tensor.name == output)
        .ok_or_else(|| invalid("the response lacks it".to_owned()))?;
    let tensor = &response.outputs[index];
    if tensor.datatype != FP32 {
        return Err(invalid(format!("type {} instead of {FP32}", tensor.datatype)));
    }
    let shape = [crops, WIDTH];
    if !tensor.shape.iter().copied().eq(shape.map(|size| i64::try_from(size).unwrap_or(-1))) {
        return Err(invalid(format!("shape {:?} instead of {shape:?}", tensor.shape)));
    }
    let raw = response.raw_output_contents.get(index).map_or(&[][..], |raw| raw);
    let expected = crops * WIDTH * FP32_BYTES;
    if raw.len() != expected {
        let sent = raw.len();
        return Err(invalid(format!("{sent} bytes instead of {expected} for shape {shape:?}")));
    }
    let numbers: Vec<f32> =
        raw.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
    finite_rows(output, &numbers)
}
