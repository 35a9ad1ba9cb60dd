//! Sends a batch and hands out the answers; halves a batch that failed.

use std::sync::Arc;

use tokio::time::Instant;
use vision::{CropBatch, CropOutput};

use super::{Answer, Answers, InferError, Piece};
use crate::engine::{Engine, EngineError};
use crate::metrics::InferenceMetrics;

pub(super) struct Dispatch {
    engine: Arc<dyn Engine>,
    metrics: InferenceMetrics,
}

impl Dispatch {
    pub(super) fn new(engine: Arc<dyn Engine>, metrics: InferenceMetrics) -> Self {
        Self { engine, metrics }
    }

    /// Answers every piece: at most twice as many calls as there are pieces, less one.
    pub(super) async fn answer(&self, batch: Vec<Piece>) {
        let started = Instant::now();
        let mut to_send = vec![batch];
        while let Some(mut pieces) = to_send.pop() {
            match self.send(&pieces).await {
                Ok(outputs) => self.hand_out(pieces, outputs, started),
                Err(error @ (EngineError::Backend { .. } | EngineError::Output { .. })) => {
                    let requests = pieces.len();
                    if requests > 1 {
                        tracing::warn!(%error, requests, "batch failed; sending it in halves");
                        let second = pieces.split_off(requests / 2);
                        to_send.extend([second, pieces]);
                    } else {
                        refuse(pieces, &error.into());
                    }
                }
                // Whoever is away is not asked again: no piece of the batch is at fault.
                Err(error @ (EngineError::Unavailable { .. } | EngineError::Model { .. })) => {
                    let error = error.into();
                    refuse(pieces, &error);
                    to_send.drain(..).for_each(|pieces| refuse(pieces, &error));
                }
            }
        }
    }

    async fn send(&self, pieces: &[Piece]) -> Result<Vec<CropOutput>, EngineError> {
        let mut crops = CropBatch::default();
        pieces.iter().for_each(|piece| crops.extend(&piece.crops.part(piece.range.clone())));
        let wanted = crops.len();
        let size = self.engine.batch_sizes().fitting(wanted);
        crops.pad_to(size);
        let sent = self.metrics.batch_sent(self.engine.model(), wanted, size);
        let answered = self.engine.infer(crops).await.and_then(|mut outputs| {
            if outputs.len() != size {
                let detail = format!("{} answers to {size} crops", outputs.len());
                return Err(EngineError::Output { output: "probabilities", detail });
            }
            outputs.truncate(wanted);
            Ok(outputs)
        });
        sent.answered(answered.as_ref().err());
        answered
    }

    fn hand_out(&self, pieces: Vec<Piece>, outputs: Vec<CropOutput>, started: Instant) {
        let computed = started.elapsed();
        let mut outputs = outputs.into_iter();
        for piece in pieces {
            let queued = started.saturating_duration_since(piece.since);
            self.metrics.queued(self.engine.model(), queued);
            let outputs = outputs.by_ref().take(piece.range.len()).collect();
            piece.finish(Ok(Answers { outputs, queued, computed }));
        }
    }
}

fn refuse(pieces: Vec<Piece>, error: &InferError) {
    pieces.into_iter().for_each(|piece| piece.finish(Err(error.clone())));
}

impl Piece {
    fn finish(self, outcome: Result<Answers, InferError>) {
        // Whoever asked may be gone; then nobody waits for the answer.
        let _ = self.answer.try_send(Answer { range: self.range, outcome });
    }
}
