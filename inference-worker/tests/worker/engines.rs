//! The embedded network as a place that can go away, serve several versions, and fail on a picture.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use domain::Sha256;
use domain::inspection::ModelIdentity;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use inference::engine::{BatchSizes, EmbeddedEngine, Engine, EngineError, Models};
use vision::{CROP_LEN, CropBatch, CropOutput};

/// A place of networks; all versions compute with the same one.
pub(crate) struct Place {
    shipped: ModelIdentity,
    engine: EmbeddedEngine,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    away: AtomicBool,
    /// How often the place was asked, and how often it was in vain.
    asked: AtomicUsize,
    refused: AtomicUsize,
    /// How many crops were answered.
    crops: AtomicUsize,
    /// Pixels of a crop that the engine fails on.
    poison: Mutex<Option<Vec<f32>>>,
    /// Pixels of a crop that the engine never comes back from.
    stall: Mutex<Option<Vec<f32>>>,
    gone: Mutex<Vec<ModelIdentity>>,
}

impl Place {
    pub(crate) fn new() -> Arc<Self> {
        let engine = EmbeddedEngine::load().unwrap();
        let shipped = engine.model().clone();
        Arc::new(Self { shipped, engine, state: Arc::default() })
    }

    /// Version `n` of the network.
    pub(crate) fn version(&self, n: u8) -> ModelIdentity {
        if n == 1 {
            return self.shipped.clone();
        }
        ModelIdentity {
            version: n.to_string(),
            sha256: Sha256::digest_of(&[n]),
            ..self.shipped.clone()
        }
    }

    pub(crate) fn goes_away(&self) {
        self.state.away.store(true, Ordering::Relaxed);
    }

    pub(crate) fn comes_back(&self) {
        self.state.away.store(false, Ordering::Relaxed);
    }

    pub(crate) fn unloads(&self, model: ModelIdentity) {
        self.state.gone.lock().unwrap().push(model);
    }

    pub(crate) fn fails_on(&self, crop: &CropBatch) {
        *self.state.poison.lock().unwrap() = Some(crop.sub_batch(0..1).to_pixels());
    }

    pub(crate) fn stalls_on(&self, crop: &CropBatch) {
        *self.state.stall.lock().unwrap() = Some(crop.sub_batch(0..1).to_pixels());
    }

    pub(crate) fn refused(&self) -> usize {
        self.state.refused.load(Ordering::Relaxed)
    }

    pub(crate) fn crops(&self) -> usize {
        self.state.crops.load(Ordering::Relaxed)
    }

    pub(crate) fn asked(&self) -> usize {
        self.state.asked.load(Ordering::Relaxed)
    }
}

impl State {
    fn ask(&self, model: Option<&ModelIdentity>) -> Result<(), EngineError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let outcome = if self.away.load(Ordering::Relaxed) {
            Err(EngineError::Unavailable { detail: "connection refused".into() })
        } else if model.is_some_and(|model| self.gone.lock().unwrap().contains(model)) {
            Err(EngineError::Model { detail: "it was unloaded".into() })
        } else {
            Ok(())
        };
        outcome.inspect_err(|_| {
            self.refused.fetch_add(1, Ordering::Relaxed);
        })
    }
}

impl Models for Place {
    fn shipped_model(&self) -> &ModelIdentity {
        &self.shipped
    }

    fn engine_for(
        &self,
        model: &ModelIdentity,
    ) -> BoxFuture<'_, Result<Arc<dyn Engine>, EngineError>> {
        let version = Version {
            model: model.clone(),
            engine: self.engine.clone(),
            state: Arc::clone(&self.state),
        };
        let outcome = self.state.ask(Some(model));
        async move { outcome.map(|()| Arc::new(version) as Arc<dyn Engine>) }.boxed()
    }

    fn ready(&self) -> BoxFuture<'_, Result<(), EngineError>> {
        let outcome = if self.state.away.load(Ordering::Relaxed) {
            Err(EngineError::Unavailable { detail: "connection refused".into() })
        } else {
            Ok(())
        };
        async move { outcome }.boxed()
    }
}

struct Version {
    model: ModelIdentity,
    engine: EmbeddedEngine,
    state: Arc<State>,
}

impl Engine for Version {
    fn model(&self) -> &ModelIdentity {
        &self.model
    }

    fn batch_sizes(&self) -> &BatchSizes {
        static SIZES: BatchSizes = BatchSizes::UpTo(32);
        &SIZES
    }

    fn infer(&self, crops: CropBatch) -> BoxFuture<'_, Result<Vec<CropOutput>, EngineError>> {
        async move {
            self.state.ask(Some(&self.model))?;
            let is_among = |crop: Vec<f32>| crops.to_pixels().chunks(CROP_LEN).any(|c| c == crop);
            let stall = self.state.stall.lock().unwrap().clone();
            if stall.is_some_and(is_among) {
                std::future::pending::<()>().await;
            }
            let poison = self.state.poison.lock().unwrap().clone();
            if poison.is_some_and(is_among) {
                return Err(EngineError::Backend { detail: "illegal memory access".into() });
            }
            self.state.crops.fetch_add(crops.len(), Ordering::Relaxed);
            self.engine.infer(crops).await
        }
        .boxed()
    }
}
