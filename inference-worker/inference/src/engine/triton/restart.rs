//! Brings a model back whose process has died: Triton's python backend does not, and goes on
//! calling the model ready. Unload and load does it, where the server allows them.

use std::time::{Duration, Instant};

use tokio::sync::{Mutex, RwLock};

use super::fault::Fault;
use super::repository::Repository;

/// Most restarts of one model within [`WINDOW`]: enough to find one deadly crop in a batch of 32 by
/// halving, too few to keep a broken model alive.
const RESTARTS_MAX: usize = 16;
const WINDOW: Duration = Duration::from_secs(600);

/// Restarts one model; shared by the engines of all its versions.
pub(super) struct ModelRestarter {
    repository: Repository,
    model: String,
    restarts: Mutex<Vec<Instant>>,
    /// Requests share it; one that a model has died on takes it whole, to be sent again alone.
    pub(super) requests: RwLock<()>,
}

impl ModelRestarter {
    pub(super) fn new(repository: Repository, model: &str) -> Self {
        let restarts = Mutex::new(Vec::new());
        Self { repository, model: model.to_owned(), restarts, requests: RwLock::new(()) }
    }

    /// Restarts the model, unless that has been done since the request was `sent`.
    ///
    /// # Errors
    /// Why the model is still dead.
    pub(super) async fn restart_since(&self, sent: Instant, died: &str) -> Result<(), String> {
        let mut restarts = self.restarts.lock().await;
        if restarts.last().is_some_and(|&last| last >= sent) {
            return Ok(());
        }
        let model = &self.model;
        restarts.retain(|restart| restart.elapsed() < WINDOW);
        if restarts.len() >= RESTARTS_MAX {
            return Err(format!(
                "{died}; {model} was restarted {RESTARTS_MAX} times in {} minutes and is left \
                 dead: see Triton's log, then unload and load it",
                WINDOW.as_secs() / 60
            ));
        }
        tracing::warn!(model, died, "the model's process has died; unloading and loading it");
        let outcome = self.repository.restart_model(model).await;
        // When it ends, not when it begins: what was sent meanwhile has met the dead process too.
        restarts.push(Instant::now());
        match outcome {
            Ok(()) => {
                tracing::info!(model, "restarted");
                Ok(())
            }
            Err(fault) => {
                let advice = if matches!(fault, Fault::Forbidden(_)) {
                    "unload and load is not allowed there; restart the server, or start it with \
                     --model-control-mode=explicit"
                } else {
                    "unload and load has failed"
                };
                tracing::error!(model, reason = fault.detail(), advice, "not restarted");
                Err(format!("{died}; {advice}: {}", fault.detail()))
            }
        }
    }
}
