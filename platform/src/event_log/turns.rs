//! Turns on a stream: of the commands of this process on one aggregate, one at a time loads, decides and
//! appends; the others wait in the order in which they came.
//!
//! Without turns all of them decide on the same version, one appends, and the others have worked for nothing:
//! of many at once, those that lose too often would be refused. Other processes are not waited for; against
//! them the log's own check of the version stands.
//!
//! Invariants: who waits holds nothing that others need, no connection above all; a stream for which nobody
//! waits takes no memory; whoever is dropped while it waits leaves its place.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;

use super::StreamId;

/// The most commands of one process that wait for their turn on one stream.
const WAITING_MAX: usize = 1_000;
/// How long a command waits for its turn: longer only when the log takes seconds for each.
const WAIT_MAX: Duration = Duration::from_secs(15);

/// Whose turn it is on each stream. Clones share the same turns.
#[derive(Debug, Clone, Default)]
pub struct StreamTurns(Arc<Mutex<HashMap<StreamId, Queue>>>);

#[derive(Debug, Default)]
struct Queue {
    lock: Arc<tokio::sync::Mutex<()>>,
    /// How many have the turn or wait for it.
    places: usize,
}

/// The turn on a stream, until it is dropped.
#[derive(Debug)]
#[must_use]
pub struct StreamTurn {
    // The turn is given on before the place is left: fields are dropped in this order.
    _turn: OwnedMutexGuard<()>,
    _place: QueuePlace,
}

impl StreamTurns {
    /// Waits for the turn on `stream`; `None` when it does not come in time, or too many wait already.
    /// Cancel-safe.
    pub async fn wait_for_turn(&self, stream: &StreamId) -> Option<StreamTurn> {
        self.wait_at_most(WAIT_MAX, stream).await
    }

    async fn wait_at_most(&self, limit: Duration, stream: &StreamId) -> Option<StreamTurn> {
        let (place, lock) = self.take_place(stream)?;
        let turn = tokio::time::timeout(limit, lock.lock_owned()).await.ok()?;
        Some(StreamTurn { _turn: turn, _place: place })
    }

    fn take_place(&self, stream: &StreamId) -> Option<(QueuePlace, Arc<tokio::sync::Mutex<()>>)> {
        let mut queues = self.queues();
        let queue = queues.entry(stream.clone()).or_default();
        if queue.places > WAITING_MAX {
            return None;
        }
        queue.places += 1;
        let lock = Arc::clone(&queue.lock);
        drop(queues);
        Some((QueuePlace { turns: self.clone(), stream: stream.clone() }, lock))
    }

    fn queues(&self) -> MutexGuard<'_, HashMap<StreamId, Queue>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in the queue of a stream.
#[derive(Debug)]
struct QueuePlace {
    turns: StreamTurns,
    stream: StreamId,
}

impl Drop for QueuePlace {
    fn drop(&mut self) {
        let mut queues = self.turns.queues();
        if let Some(queue) = queues.get_mut(&self.stream) {
            queue.places -= 1;
            if queue.places == 0 {
                queues.remove(&self.stream);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::poll;

    use super::*;

    fn stream(id: &str) -> StreamId {
        StreamId { aggregate_type: "part".into(), aggregate_id: id.into() }
    }

    #[tokio::test]
    async fn turns_come_in_the_order_of_asking_and_other_streams_do_not_wait() {
        let turns = StreamTurns::default();
        let (one, other) = (stream("one"), stream("other"));
        let first = turns.wait_for_turn(&one).await.unwrap();
        let mut second = Box::pin(turns.wait_for_turn(&one));
        let mut third = Box::pin(turns.wait_for_turn(&one));
        assert!(poll!(&mut second).is_pending() && poll!(&mut third).is_pending());
        drop(turns.wait_for_turn(&other).await.unwrap());
        drop(first);
        assert!(poll!(&mut third).is_pending(), "it came last");
        let second = second.await.unwrap();
        drop(second);
        drop(third.await.unwrap());
        assert!(turns.queues().is_empty(), "nothing is kept for streams that nobody waits for");
    }

    #[tokio::test]
    async fn whoever_is_dropped_while_it_waits_leaves_its_place() {
        let turns = StreamTurns::default();
        let one = stream("one");
        let first = turns.wait_for_turn(&one).await.unwrap();
        {
            let mut left = Box::pin(turns.wait_for_turn(&one));
            assert!(poll!(&mut left).is_pending());
        }
        drop(first);
        drop(turns.wait_for_turn(&one).await.unwrap());
        assert!(turns.queues().is_empty());
    }

    #[tokio::test]
    async fn nobody_waits_for_ever_and_no_queue_grows_without_end() {
        let turns = StreamTurns::default();
        let one = stream("one");
        let _holder = turns.wait_for_turn(&one).await.unwrap();
        let limit = Duration::from_millis(10);
        assert!(turns.wait_at_most(limit, &one).await.is_none(), "it did not come in time");
        let waiting: Vec<_> = (0..WAITING_MAX).map(|_| turns.take_place(&one).unwrap().0).collect();
        assert!(turns.take_place(&one).is_none(), "the queue is full");
        drop(waiting);
        assert!(turns.take_place(&one).is_some());
    }
}
