//! The embedded engine: the ONNX file of `triton/`, compiled in and run by tract on the calling
//! machine's CPU.

use std::io::Cursor;
use std::sync::Arc;

use domain::Sha256;
use domain::inspection::ModelIdentity;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use tract_onnx::prelude::*;

use super::{Engine, EngineError};
use crate::vision::{CLASS_COUNT, CROP_LEN, CROP_PLANES, CROP_SIDE, CropBatch, CropOutput};

/// The same file that Triton serves.
static MODEL: &[u8] = include_bytes!("../../../triton/golden-compare/1/model.onnx");
const NAME: &str = "golden-compare";
const VERSION: &str = "1";

/// Batch sizes that the model is planned for, ascending; other numbers of crops are split and
/// padded.
pub const BATCH_SIZES: [usize; 6] = [1, 2, 4, 8, 16, 32];

type Plan = Arc<TypedRunnableModel>;

/// Runs the compiled-in network. Cheap to clone; clones share their plans.
#[derive(Clone)]
pub struct EmbeddedEngine {
    identity: ModelIdentity,
    plans: Arc<[Plan; BATCH_SIZES.len()]>,
}

impl EmbeddedEngine {
    /// Loads and plans the network, about a tenth of a second.
    ///
    /// # Errors
    /// [`EngineError::Model`] when the compiled-in file is not what this code expects.
    pub fn load() -> Result<Self, EngineError> {
        let model = |error: TractError| EngineError::Model { detail: format!("{error:#}") };
        let mut plans = Vec::with_capacity(BATCH_SIZES.len());
        for size in BATCH_SIZES {
            plans.push(plan(size).map_err(model)?);
        }
        let plans = <[Plan; BATCH_SIZES.len()]>::try_from(plans)
            .map_err(|_| EngineError::Model { detail: "a plan is missing".to_owned() })?;
        let identity = ModelIdentity {
            name: NAME.to_owned(),
            version: VERSION.to_owned(),
            sha256: Sha256::of(MODEL),
        };
        Ok(Self { identity, plans: Arc::new(plans) })
    }

    /// One answer per crop, computed on the calling thread: about a millisecond a crop.
    ///
    /// # Errors
    /// [`EngineError::Backend`] or [`EngineError::Output`].
    pub fn run(&self, crops: &CropBatch) -> Result<Vec<CropOutput>, EngineError> {
        let mut outputs = Vec::with_capacity(crops.len());
        let mut rest = crops.pixels();
        while !rest.is_empty() {
            let (index, size) = planned(rest.len() / CROP_LEN);
            let (now, later) = rest.split_at((size * CROP_LEN).min(rest.len()));
            let mut input = now.to_vec();
            input.resize(size * CROP_LEN, 1.0);
            let answers = answer(&self.plans[index], input, size)?;
            outputs.extend(answers.into_iter().take(now.len() / CROP_LEN));
            rest = later;
        }
        Ok(outputs)
    }
}

impl Engine for EmbeddedEngine {
    fn model(&self) -> &ModelIdentity {
        &self.identity
    }

    /// Computes on tokio's blocking threads, so it must be polled within a runtime.
    fn infer(&self, crops: CropBatch) -> BoxFuture<'_, Result<Vec<CropOutput>, EngineError>> {
        let engine = self.clone();
        let work = tokio::task::spawn_blocking(move || engine.run(&crops));
        async move {
            work.await
                .unwrap_or_else(|error| Err(EngineError::Backend { detail: error.to_string() }))
        }
        .boxed()
    }
}

/// Which plan takes the next of `crops` crops: the next larger one when it wastes little, else the
/// largest that is filled.
pub(super) fn planned(crops: usize) -> (usize, usize) {
    let fits = |&(_, size): &(usize, usize)| size >= crops && (size - crops) * 4 <= crops;
    let filled = |&(_, size): &(usize, usize)| size <= crops;
    let sizes = || (0..).zip(BATCH_SIZES);
    sizes().find(fits).or_else(|| sizes().filter(filled).last()).unwrap_or((0, BATCH_SIZES[0]))
}

fn plan(size: usize) -> TractResult<Plan> {
    tract_onnx::onnx()
        .model_for_read(&mut Cursor::new(MODEL))?
        .with_input_fact(0, f32::fact([size, CROP_PLANES, CROP_SIDE, CROP_SIDE]).into())?
        .into_optimized()?
        .into_runnable()
}

fn answer(plan: &Plan, input: Vec<f32>, size: usize) -> Result<Vec<CropOutput>, EngineError> {
    let backend = |detail: String| EngineError::Backend { detail };
    let shape = [size, CROP_PLANES, CROP_SIDE, CROP_SIDE];
    let input =
        Tensor::from_shape(&shape, &input).map_err(|error| backend(format!("{error:#}")))?;
    let outputs = plan.run(tvec!(input.into())).map_err(|error| backend(format!("{error:#}")))?;
    let [probabilities, sides] = outputs.as_slice() else {
        return Err(backend(format!("{} outputs instead of two", outputs.len())));
    };
    let probabilities = rows::<CLASS_COUNT>("probabilities", probabilities, size)?;
    let sides = rows::<4>("sides", sides, size)?;
    let pair = |(probabilities, sides)| CropOutput { probabilities, sides };
    Ok(probabilities.into_iter().zip(sides).map(pair).collect())
}

/// The rows of a `[size, WIDTH]` output of finite numbers.
fn rows<const WIDTH: usize>(
    output: &'static str,
    tensor: &Tensor,
    size: usize,
) -> Result<Vec<[f32; WIDTH]>, EngineError> {
    let invalid = |detail: String| EngineError::Output { output, detail };
    if tensor.shape() != [size, WIDTH] {
        return Err(invalid(format!("shape {:?} instead of [{size}, {WIDTH}]", tensor.shape())));
    }
    let view =
        tensor.to_plain_array_view::<f32>().map_err(|error| invalid(format!("{error:#}")))?;
    let numbers: Vec<f32> = view.iter().copied().collect();
    checked(output, &numbers)
}

/// Rows of numbers, all of them finite.
pub(super) fn checked<const WIDTH: usize>(
    output: &'static str,
    numbers: &[f32],
) -> Result<Vec<[f32; WIDTH]>, EngineError> {
    if numbers.iter().any(|number| !number.is_finite()) {
        let detail = "a value is not a finite number".to_owned();
        return Err(EngineError::Output { output, detail });
    }
    Ok(numbers.as_chunks().0.to_vec())
}
