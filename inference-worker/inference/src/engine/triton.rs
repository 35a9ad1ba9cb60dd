//! The Triton engine: the versions of a network that a Triton server serves over gRPC (KServe v2),
//! each an engine of its own. A server that is away, restarts or drains costs time, never an
//! answer; an answer by another network than the one asked for never leaves here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::inspection::ModelIdentity;
use futures::FutureExt as _;
use futures::future::BoxFuture;

use super::embedded;
use super::{Engine, EngineError, Models};

mod address;
mod admin;
mod config;
mod declared;
mod engine;
mod fault;
mod repository;
mod resilience;
mod restart;
mod server;
mod tensors;
#[cfg(test)]
mod tests;

pub use address::{InvalidEngineUrl, TritonUrl};
pub use admin::{ServedVersion, TritonAdmin};
pub use config::TritonConfig;
pub use resilience::BreakerState;

use engine::TritonEngine;
use repository::Repository;
use restart::ModelRestarter;
use server::TritonConnection;

/// The networks on one Triton server.
pub struct TritonModels {
    server: TritonConnection,
    slots: Mutex<HashMap<ModelIdentity, EngineSlot>>,
    restarters: Mutex<HashMap<String, Arc<ModelRestarter>>>,
}

/// Room for one engine; whoever holds the lock is making it.
type EngineSlot = Arc<tokio::sync::Mutex<Option<Arc<TritonEngine>>>>;

impl TritonModels {
    /// Prepares the conversation; connects when first asked. Within a tokio runtime only.
    ///
    /// # Errors
    /// [`EngineError::Model`] when the address cannot be used at all.
    pub fn connect(url: &TritonUrl, config: &TritonConfig) -> Result<Self, EngineError> {
        Ok(Self::from_server(TritonConnection::new(url, config)?))
    }

    fn from_server(server: TritonConnection) -> Self {
        Self { server, slots: Mutex::default(), restarters: Mutex::default() }
    }

    async fn find_engine(&self, model: &ModelIdentity) -> Result<Arc<dyn Engine>, EngineError> {
        let slot = Arc::clone(lock_whole(&self.slots).entry(model.clone()).or_default());
        let mut engine = slot.lock().await;
        if let Some(engine) = &*engine {
            let verified = engine.verify_digest().await;
            if !matches!(verified, Err(EngineError::Model { .. })) {
                return verified.map(|()| Arc::clone(engine) as Arc<dyn Engine>);
            }
        }
        *engine = None;
        let restarter = self.restarter_of(&model.name);
        let started = TritonEngine::start(self.server.clone(), restarter, model).await;
        match started {
            Ok(started) => Ok(Arc::clone(engine.insert(Arc::new(started))) as Arc<dyn Engine>),
            Err(error) => {
                // Identities come from the log: what is not there is not remembered.
                lock_whole(&self.slots).remove(model);
                Err(error)
            }
        }
    }

    fn restarter_of(&self, name: &str) -> Arc<ModelRestarter> {
        let mut restarters = lock_whole(&self.restarters);
        let made = || Arc::new(ModelRestarter::new(Repository::new(self.server.clone()), name));
        Arc::clone(restarters.entry(name.to_owned()).or_insert_with(made))
    }

    fn started_engines(&self) -> Vec<Arc<TritonEngine>> {
        // One that is being made has nothing to say yet.
        let made = |slot: &EngineSlot| slot.try_lock().ok().and_then(|engine| engine.clone());
        lock_whole(&self.slots).values().filter_map(made).collect()
    }

    async fn check_server(&self) -> Result<(), EngineError> {
        let url = self.server.url();
        let unavailable = |detail: String| EngineError::Unavailable { detail };
        let live = self.server.is_live().await;
        let live = live.map_err(|fault| unavailable(format!("{url}: {}", fault.detail())))?;
        if !live {
            return Err(unavailable(format!("{url} says that it is not live")));
        }
        let engines = self.started_engines();
        for engine in &engines {
            if engine.breaker_state() == BreakerState::Open {
                let ModelIdentity { name, version, .. } = engine.model();
                let detail = format!("{name} version {version} on {url} is left alone for a while");
                return Err(unavailable(detail));
            }
        }
        let shipped = &self.shipped_model().name;
        let ready = self.server.is_model_ready(shipped, "").await;
        if engines.is_empty() && !ready.map_err(fault::Fault::into_error)? {
            return Err(EngineError::Model { detail: format!("{url} serves no {shipped}") });
        }
        Ok(())
    }
}

impl Models for TritonModels {
    fn shipped_model(&self) -> &ModelIdentity {
        embedded::shipped_model()
    }

    fn engine_for(
        &self,
        model: &ModelIdentity,
    ) -> BoxFuture<'_, Result<Arc<dyn Engine>, EngineError>> {
        let model = model.clone();
        async move { self.find_engine(&model).await }.boxed()
    }

    fn ready(&self) -> BoxFuture<'_, Result<(), EngineError>> {
        self.check_server().boxed()
    }

    fn breakers(&self) -> Vec<(ModelIdentity, BreakerState)> {
        let state = |engine: Arc<TritonEngine>| (engine.model().clone(), engine.breaker_state());
        self.started_engines().into_iter().map(state).collect()
    }
}

fn lock_whole<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change under these locks is whole.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
