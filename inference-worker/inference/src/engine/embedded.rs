//! The embedded engine: the ONNX file of `triton/`, compiled in and run by rten on the calling
//! machine's CPU.

use std::sync::{Arc, LazyLock};

use domain::Sha256;
use domain::inspection::ModelIdentity;
use futures::FutureExt as _;
use futures::future::{self, BoxFuture};
use rten::{Model, ModelOptions, NodeId, RunOptions, ThreadPool, Value};
use rten_tensor::prelude::*;
use rten_tensor::{NdTensor, NdTensorView};
use vision::{CLASS_COUNT, CROP_LEN, CROP_PLANES, CROP_SIDE, CropBatch, CropOutput};

use super::answers::{PROBABILITIES, SIDES, finite_rows, pair_outputs};
use super::{BatchSizes, Engine, EngineError, Models};

/// The same file that Triton serves.
static MODEL: &[u8] = include_bytes!("../../../../triton/golden-compare/1/model.onnx");
const NAME: &str = "golden-compare";
const VERSION: &str = "1";

/// The most crops computed at once; more are computed one batch after the other.
const BATCH_MAX: usize = 32;

static BATCH_SIZES: BatchSizes = BatchSizes::UpTo(BATCH_MAX);

static SHIPPED: LazyLock<ModelIdentity> = LazyLock::new(|| ModelIdentity {
    name: NAME.to_owned(),
    version: VERSION.to_owned(),
    sha256: Sha256::digest_of(MODEL),
});

/// The network that is compiled in; `triton/` serves the same file.
pub(super) fn shipped_model() -> &'static ModelIdentity {
    &SHIPPED
}

/// Runs the compiled-in network, or another one from a file. Cheap to clone; clones share the network
/// and its threads.
#[derive(Clone)]
pub struct EmbeddedEngine {
    network: Arc<Network>,
}

struct Network {
    identity: ModelIdentity,
    model: Model,
    crops: NodeId,
    probabilities: NodeId,
    sides: NodeId,
    threads: Arc<ThreadPool>,
}

impl EmbeddedEngine {
    /// Loads the network, a few milliseconds, to compute on all cores.
    ///
    /// # Errors
    /// [`EngineError::Model`] when the compiled-in file is not what this code expects.
    pub fn load() -> Result<Self, EngineError> {
        Self::load_on(std::thread::available_parallelism().map_or(1, usize::from))
    }

    /// Loads the network to compute on so many threads.
    ///
    /// # Errors
    /// [`EngineError::Model`] when the compiled-in file is not what this code expects.
    pub fn load_on(threads: usize) -> Result<Self, EngineError> {
        let model = ModelOptions::with_all_ops().prepack_weights(true).load_static_slice(MODEL);
        Self::from_loaded(model.map_err(|error| error.to_string()), SHIPPED.clone(), threads)
    }

    /// Loads another network of the same inputs and outputs, the bytes of an ONNX file, to try it.
    ///
    /// # Errors
    /// [`EngineError::Model`] when it is not such a network.
    pub fn load_file(onnx: Vec<u8>, threads: usize) -> Result<Self, EngineError> {
        let identity = ModelIdentity {
            name: NAME.to_owned(),
            version: "file".to_owned(),
            sha256: Sha256::digest_of(&onnx),
        };
        let model = ModelOptions::with_all_ops().prepack_weights(true).load(onnx);
        Self::from_loaded(model.map_err(|error| error.to_string()), identity, threads)
    }

    fn from_loaded(
        model: Result<Model, String>,
        identity: ModelIdentity,
        threads: usize,
    ) -> Result<Self, EngineError> {
        let unusable = |detail: String| EngineError::Model { detail };
        let model = model.map_err(unusable)?;
        let node = |name: &str| model.node_id(name).map_err(|error| unusable(error.to_string()));
        let (crops, probabilities, sides) =
            (node("crops")?, node("probabilities")?, node("sides")?);
        let threads = Arc::new(ThreadPool::with_num_threads(threads.max(1)));
        let network = Network { identity, model, crops, probabilities, sides, threads };
        Ok(Self { network: Arc::new(network) })
    }

    /// One answer per crop, computed before this returns: less than half a millisecond a crop.
    ///
    /// # Errors
    /// [`EngineError::Backend`] or [`EngineError::Output`].
    pub fn run(&self, crops: &CropBatch) -> Result<Vec<CropOutput>, EngineError> {
        let mut outputs = Vec::with_capacity(crops.len());
        for start in (0..crops.len()).step_by(BATCH_MAX) {
            let pixels = crops.sub_batch(start..start + BATCH_MAX).to_pixels();
            outputs.extend(self.network.run_batch(&pixels)?);
        }
        Ok(outputs)
    }
}

impl Engine for EmbeddedEngine {
    fn model(&self) -> &ModelIdentity {
        &self.network.identity
    }

    fn batch_sizes(&self) -> &BatchSizes {
        &BATCH_SIZES
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

impl Network {
    fn run_batch(&self, pixels: &[f32]) -> Result<Vec<CropOutput>, EngineError> {
        let backend = |detail: String| EngineError::Backend { detail };
        let shape = [pixels.len() / CROP_LEN, CROP_PLANES, CROP_SIDE, CROP_SIDE];
        let crops = NdTensorView::try_from_data(shape, pixels)
            .map_err(|error| backend(error.to_string()))?;
        let options = RunOptions::default().with_thread_pool(Some(Arc::clone(&self.threads)));
        let [probabilities, sides] = self
            .model
            .run_n(
                vec![(self.crops, crops.into())],
                [self.probabilities, self.sides],
                Some(options),
            )
            .map_err(|error| backend(error.to_string()))?;
        let probabilities = output_rows::<CLASS_COUNT>(PROBABILITIES, probabilities, shape[0])?;
        pair_outputs(probabilities, output_rows(SIDES, sides, shape[0])?)
    }
}

/// The rows of a `[size, WIDTH]` output of finite numbers.
fn output_rows<const WIDTH: usize>(
    output: &'static str,
    value: Value,
    size: usize,
) -> Result<Vec<[f32; WIDTH]>, EngineError> {
    let invalid = |detail: String| EngineError::Output { output, detail };
    let tensor: NdTensor<f32, 2> =
        value.try_into().map_err(|_| invalid("not a matrix of 32-bit floats".to_owned()))?;
    if tensor.shape() != [size, WIDTH] {
        return Err(invalid(format!("shape {:?} instead of [{size}, {WIDTH}]", tensor.shape())));
    }
    finite_rows(output, &tensor.to_vec())
}

/// The one network that is compiled in.
pub struct EmbeddedModels {
    engine: Arc<EmbeddedEngine>,
}

impl EmbeddedModels {
    /// Loads the network.
    ///
    /// # Errors
    /// [`EngineError::Model`] when the compiled-in file is not what this code expects.
    pub fn load() -> Result<Self, EngineError> {
        Ok(Self { engine: Arc::new(EmbeddedEngine::load()?) })
    }
}

impl Models for EmbeddedModels {
    fn shipped_model(&self) -> &ModelIdentity {
        &SHIPPED
    }

    fn engine_for(
        &self,
        model: &ModelIdentity,
    ) -> BoxFuture<'_, Result<Arc<dyn Engine>, EngineError>> {
        let found = if *model == *SHIPPED {
            Ok(Arc::clone(&self.engine) as Arc<dyn Engine>)
        } else {
            let ModelIdentity { name, version, sha256 } = model;
            let shipped = &*SHIPPED;
            let detail = format!(
                "{name} version {version} ({sha256}) is not compiled in, only version {} ({}) is; \
                 serve it with Triton and start with --engine grpc://HOST:8001",
                shipped.version, shipped.sha256
            );
            Err(EngineError::Model { detail })
        };
        future::ready(found).boxed()
    }

    fn ready(&self) -> BoxFuture<'_, Result<(), EngineError>> {
        future::ready(Ok(())).boxed()
    }
}
