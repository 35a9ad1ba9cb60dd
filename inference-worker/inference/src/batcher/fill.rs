//! Which crops share a batch: in the order of their requests, a request over several batches when
//! that fills them.
//!
//! The first crop of a batch sets its closing time; what comes later never moves it, so that nobody
//! waits longer than the configured delay for company. While every place in flight is taken the batch
//! goes on filling: under load the delay costs nothing and batches become full by themselves.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc};

use super::dispatch::Dispatch;
use super::{BatchingConfig, RequestPiece};
use crate::engine::{BatchSizes, Engine};
use crate::metrics::InferenceMetrics;

/// Batches until nobody can ask any more.
pub(super) async fn fill_batches(
    engine: Arc<dyn Engine>,
    mut queue: mpsc::Receiver<RequestPiece>,
    config: BatchingConfig,
    metrics: InferenceMetrics,
) {
    let limit = batch_limit(engine.batch_sizes(), config.size);
    let dispatch = Arc::new(Dispatch::new(engine, metrics));
    let in_flight = Arc::new(Semaphore::new(config.in_flight.max(1)));
    let mut waiting = WaitingPieces::default();
    loop {
        // Room first: while the engine is busy, the batch goes on filling.
        let Ok(permit) = Arc::clone(&in_flight).acquire_owned().await else { return };
        if !waiting.fill_batch(&mut queue, limit, config).await {
            return;
        }
        let batch = waiting.take_batch(limit);
        let dispatch = Arc::clone(&dispatch);
        tokio::spawn(async move {
            dispatch.answer_batch(batch).await;
            drop(permit);
        });
    }
}

/// The most crops in a batch: the largest size of the model within what is configured.
fn batch_limit(sizes: &BatchSizes, configured: usize) -> usize {
    match sizes {
        BatchSizes::UpTo(most) => configured.min(*most).max(1),
        BatchSizes::Only(sizes) => {
            let within = sizes.iter().rev().find(|&&size| size <= configured);
            within.or(sizes.first()).copied().unwrap_or(1)
        }
    }
}

/// What has been taken from the queue and not been sent: less than a batch, and one request more.
#[derive(Default)]
struct WaitingPieces(VecDeque<RequestPiece>);

impl WaitingPieces {
    /// Waits until a batch is full or its time has come; `false` when there is nothing and nobody
    /// will ask any more.
    async fn fill_batch(
        &mut self,
        queue: &mut mpsc::Receiver<RequestPiece>,
        limit: usize,
        config: BatchingConfig,
    ) -> bool {
        loop {
            self.forget_withdrawn();
            let next = match self.0.front() {
                None => match queue.recv().await {
                    Some(next) => next,
                    None => return false,
                },
                Some(_) if self.crop_count() >= limit => return true,
                Some(oldest) => {
                    let closes = oldest.since + config.delay;
                    // What is there comes along, however late it is.
                    match queue.try_recv() {
                        Ok(next) => next,
                        Err(_) => match tokio::time::timeout_at(closes, queue.recv()).await {
                            Ok(Some(next)) => next,
                            Ok(None) | Err(_) => return true,
                        },
                    }
                }
            };
            self.0.push_back(next);
        }
    }

    /// Nobody waits for the answer any more.
    fn forget_withdrawn(&mut self) {
        self.0.retain(|piece| !piece.answer.is_closed());
    }

    fn crop_count(&self) -> usize {
        self.0.iter().map(|piece| piece.range.len()).sum()
    }

    /// The oldest crops, at most `limit`.
    fn take_batch(&mut self, limit: usize) -> Vec<RequestPiece> {
        let mut room = limit;
        let mut batch = Vec::new();
        while room > 0
            && let Some(mut piece) = self.0.pop_front()
        {
            if piece.range.len() > room {
                let cut = piece.range.start + room;
                self.0.push_front(RequestPiece {
                    crops: Arc::clone(&piece.crops),
                    range: cut..piece.range.end,
                    since: piece.since,
                    asked_by: piece.asked_by.clone(),
                    answer: piece.answer.clone(),
                });
                piece.range.end = cut;
            }
            room -= piece.range.len();
            batch.push(piece);
        }
        batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_no_larger_than_configured_and_has_a_size_of_the_model() {
        let only = BatchSizes::Only(vec![4, 8, 32]);
        assert_eq!([1, 4, 7, 8, 64].map(|most| batch_limit(&only, most)), [4, 4, 4, 8, 32]);
        let any = BatchSizes::UpTo(32);
        assert_eq!([0, 1, 7, 32, 64].map(|most| batch_limit(&any, most)), [1, 1, 7, 32, 32]);
    }
}
