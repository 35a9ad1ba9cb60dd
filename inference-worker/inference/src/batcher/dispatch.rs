//! Sends a batch and hands out the answers; halves a batch that failed.

use std::sync::Arc;

use tokio::time::Instant;
use tracing::Span;
use vision::{CropBatch, CropOutput};

use super::{Answers, InferError, PieceAnswer, RequestPiece};
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
    ///
    /// Halving is a binary search for the pieces that the engine fails on. It needs no guess about which
    /// crop is bad, and one bad piece among n costs some 2 log2(n) calls; when all are bad, every node of
    /// the binary tree over them is asked, 2n - 1. The first half is sent first, so that answers come in
    /// the order of the requests.
    pub(super) async fn answer_batch(&self, batch: Vec<RequestPiece>) {
        let started = Instant::now();
        let mut to_send = vec![batch];
        while let Some(mut pieces) = to_send.pop() {
            match self.send_batch(&pieces).await {
                Ok(outputs) => self.hand_out(pieces, outputs, started),
                Err(error @ (EngineError::Backend { .. } | EngineError::Output { .. })) => {
                    let requests = pieces.len();
                    if requests > 1 {
                        tracing::warn!(%error, requests, "batch failed; sending it in halves");
                        let second = pieces.split_off(requests / 2);
                        to_send.extend([second, pieces]);
                    } else {
                        refuse_pieces(pieces, &error.into());
                    }
                }
                // Whoever is away is not asked again: no piece of the batch is at fault.
                Err(error @ (EngineError::Unavailable { .. } | EngineError::Model { .. })) => {
                    let error = error.into();
                    refuse_pieces(pieces, &error);
                    to_send.drain(..).for_each(|pieces| refuse_pieces(pieces, &error));
                }
            }
        }
    }

    /// One call of the engine. The batch is filled up with blank crops to a size that the model is built
    /// for, and their answers are dropped.
    #[tracing::instrument(name = "infer", parent = None, skip_all, fields(
        model = %self.engine.model().name,
        version = %self.engine.model().version,
        requests = pieces.len(),
        crops = pieces.iter().map(|piece| piece.range.len()).sum::<usize>(),
    ))]
    async fn send_batch(&self, pieces: &[RequestPiece]) -> Result<Vec<CropOutput>, EngineError> {
        let span = Span::current();
        for piece in pieces {
            span.follows_from(&piece.asked_by);
        }
        let mut crops = CropBatch::default();
        pieces.iter().for_each(|piece| crops.extend(&piece.crops.sub_batch(piece.range.clone())));
        let wanted = crops.len();
        let size = self.engine.batch_sizes().smallest_fitting(wanted);
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
        sent.record_answer(answered.as_ref().err());
        answered
    }

    fn hand_out(&self, pieces: Vec<RequestPiece>, outputs: Vec<CropOutput>, started: Instant) {
        let computed = started.elapsed();
        let mut outputs = outputs.into_iter();
        for piece in pieces {
            let queued = started.saturating_duration_since(piece.since);
            self.metrics.record_queue_time(self.engine.model(), queued);
            let outputs = outputs.by_ref().take(piece.range.len()).collect();
            piece.send_answer(Ok(Answers { outputs, queued, computed }));
        }
    }
}

fn refuse_pieces(pieces: Vec<RequestPiece>, error: &InferError) {
    pieces.into_iter().for_each(|piece| piece.send_answer(Err(error.clone())));
}

impl RequestPiece {
    fn send_answer(self, outcome: Result<Answers, InferError>) {
        // Whoever asked may be gone; then nobody waits for the answer.
        let _ = self.answer.try_send(PieceAnswer { range: self.range, outcome });
    }
}
