//! One version of a model on a Triton server. Whatever goes wrong ends as one of the port's errors,
//! and no answer leaves before the version that gave it is known to have the digest that was asked
//! for.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use domain::inspection::ModelIdentity;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use proto::inference::{ModelInferRequest, ModelInferResponse};
use vision::{CropBatch, CropOutput};

use super::fault::Fault;
use super::resilience::{Breaker, BreakerState};
use super::restart::ModelRestarter;
use super::server::TritonConnection;
use super::{declared, tensors};
use crate::engine::{BatchSizes, Engine, EngineError};

pub(super) struct TritonEngine {
    server: TritonConnection,
    restarter: Arc<ModelRestarter>,
    model: ModelIdentity,
    batch_sizes: BatchSizes,
    breaker: Breaker,
    verified: Mutex<Instant>,
}

impl TritonEngine {
    /// Checks what the server declares about the version, and runs a batch of every size (of sizes
    /// that double, when all up to a largest are allowed): the first run of a size may be slow, and
    /// a version that cannot compute is refused here.
    ///
    /// # Errors
    /// [`EngineError::Model`] or [`EngineError::Unavailable`].
    pub(super) async fn start(
        server: TritonConnection,
        restarter: Arc<ModelRestarter>,
        model: &ModelIdentity,
    ) -> Result<Self, EngineError> {
        let batch_sizes = declared_by(&server, model).await?;
        let breaker =
            Breaker::new(server.config.triton_breaker_failures, server.config.breaker_pause());
        let verified = Mutex::new(Instant::now());
        let model = model.clone();
        let engine = Self { server, restarter, model, batch_sizes, breaker, verified };
        engine.warm_up().await?;
        let ModelIdentity { name, version, sha256 } = &engine.model;
        let url = engine.server.url();
        tracing::info!(model = name, version, %sha256, %url, "model warmed up");
        Ok(engine)
    }

    pub(super) fn breaker_state(&self) -> BreakerState {
        self.breaker.state()
    }

    async fn warm_up(&self) -> Result<(), EngineError> {
        for size in warm_up_sizes(&self.batch_sizes) {
            let mut blank = CropBatch::default();
            blank.pad_to(size);
            self.infer_verified(blank).await.map_err(|error| match error {
                EngineError::Backend { .. } | EngineError::Output { .. } => {
                    let ModelIdentity { name, version, .. } = &self.model;
                    let detail = format!("{name} version {version} on {size} blank crops: {error}");
                    EngineError::Model { detail }
                }
                EngineError::Model { .. } | EngineError::Unavailable { .. } => error,
            })?;
        }
        Ok(())
    }

    async fn infer_verified(&self, crops: CropBatch) -> Result<Vec<CropOutput>, EngineError> {
        let response = self.ask_until_answered(tensors::infer_request(&self.model, &crops)).await?;
        let answers = tensors::read_answers(&self.model, crops.len(), &response)?;
        self.verify_digest().await?;
        Ok(answers)
    }

    /// Asks until there is an answer, or a reason to stop asking.
    async fn ask_until_answered(
        &self,
        request: ModelInferRequest,
    ) -> Result<ModelInferResponse, EngineError> {
        let mut attempts = self.server.config.retry_attempts();
        let mut has_died = false;
        loop {
            let sent = Instant::now();
            let fault = match self.attempt_once(request.clone(), has_died).await? {
                Ok(response) => return Ok(response),
                Err(fault) => fault,
            };
            match fault {
                Fault::Refused(detail) => return Err(EngineError::Backend { detail }),
                Fault::Late(detail) => return Err(EngineError::Unavailable { detail }),
                Fault::Forbidden(detail) => return Err(EngineError::Model { detail }),
                // Alone on a fresh process, and it died again: it is these crops.
                Fault::Dead(detail) if has_died => {
                    let detail = format!("the model died twice on these crops: {detail}");
                    return Err(EngineError::Backend { detail });
                }
                Fault::Dead(detail) => {
                    self.restart_dead(sent, &detail).await?;
                    has_died = true;
                }
                // It did answer before this engine was handed out, so it may be draining.
                Fault::Away(_) | Fault::Missing(_) => match attempts.next() {
                    Some(pause) => tokio::time::sleep(pause).await,
                    None if matches!(fault, Fault::Missing(_)) => {
                        return Err(self.server.explain_missing(&self.model).await);
                    }
                    None => return Err(fault.into_error()),
                },
            }
        }
    }

    /// Has the model restarted; only when that fails, it is a reason to leave the server alone.
    async fn restart_dead(&self, sent: Instant, died: &str) -> Result<(), EngineError> {
        let restarted = self.restarter.restart_since(sent, died).await;
        restarted.map_err(|detail| {
            let now = Instant::now();
            if let Ok(permit) = self.breaker.admit(now) {
                permit.failed(&detail, now);
            }
            EngineError::Unavailable { detail }
        })
    }

    /// One attempt, if the breaker lets it through.
    async fn attempt_once(
        &self,
        request: ModelInferRequest,
        alone: bool,
    ) -> Result<Result<ModelInferResponse, Fault>, EngineError> {
        let closed = |open: super::resilience::Open| EngineError::Unavailable {
            detail: format!("{} is {open}", self.server.url()),
        };
        let permit = self.breaker.admit(Instant::now()).map_err(closed)?;
        let outcome = if alone {
            let _alone = self.restarter.requests.write().await;
            self.server.infer(request).await
        } else {
            let _among_others = self.restarter.requests.read().await;
            self.server.infer(request).await
        };
        match &outcome {
            Err(fault) if fault.is_silence() => permit.failed(fault.detail(), Instant::now()),
            _ => permit.succeeded(),
        }
        Ok(outcome)
    }

    /// Makes sure that the version still has its digest, unless that is known from a moment ago.
    ///
    /// # Errors
    /// [`EngineError::Model`] when it is another network now.
    pub(super) async fn verify_digest(&self) -> Result<(), EngineError> {
        let last = *self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        if last.elapsed() < self.server.config.recheck_interval() {
            return Ok(());
        }
        let asked = Instant::now();
        declared_by(&self.server, &self.model).await?;
        *self.verified.lock().unwrap_or_else(PoisonError::into_inner) = asked;
        Ok(())
    }
}

impl Engine for TritonEngine {
    fn model(&self) -> &ModelIdentity {
        &self.model
    }

    fn batch_sizes(&self) -> &BatchSizes {
        &self.batch_sizes
    }

    fn infer(&self, crops: CropBatch) -> BoxFuture<'_, Result<Vec<CropOutput>, EngineError>> {
        self.infer_verified(crops).boxed()
    }
}

/// The batch sizes of a version that the server declares to be this network.
async fn declared_by(
    server: &TritonConnection,
    model: &ModelIdentity,
) -> Result<BatchSizes, EngineError> {
    let mut attempts = server.config.retry_attempts();
    loop {
        match server.model_config(&model.name, &model.version).await {
            Ok(config) => return declared::check_model(&config, model),
            Err(fault @ (Fault::Away(_) | Fault::Missing(_))) => match attempts.next() {
                Some(pause) => tokio::time::sleep(pause).await,
                None if matches!(fault, Fault::Missing(_)) => {
                    return Err(server.explain_missing(model).await);
                }
                None => return Err(fault.into_error()),
            },
            Err(fault) => return Err(fault.into_error()),
        }
    }
}

fn warm_up_sizes(sizes: &BatchSizes) -> Vec<usize> {
    match sizes {
        BatchSizes::Only(sizes) => sizes.clone(),
        BatchSizes::UpTo(most) => {
            let doubling = std::iter::successors(Some(1), |size| Some(size * 2));
            doubling.take_while(|size| size < most).chain([*most]).collect()
        }
    }
}
