//! One read for all who ask for the same at once.
//!
//! Invariant: what somebody is given was read after they asked. Who comes while a read is under way waits for the next
//! one, which all who came meanwhile share; who is alone waits for nobody. Nothing is kept once it is given.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use tracing::Instrument as _;

/// A read that several wait for; `None` when it panicked.
type Reading<V> = Shared<BoxFuture<'static, Option<V>>>;

/// Reads under way, by what they read.
#[derive(Debug)]
pub struct SharedReads<K, V>(Arc<Mutex<HashMap<K, UnderWay<V>>>>);

#[derive(Debug)]
struct UnderWay<V> {
    /// It may have looked already: nobody joins it.
    now: Reading<V>,
    /// It begins after that.
    next: Option<Reading<V>>,
}

impl<K, V> Default for SharedReads<K, V> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K, V> SharedReads<K, V>
where
    K: Eq + Hash + Clone + Send + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// What `read` gives, or the read of another who asked for `key` as well; `None` when it panicked. It is read to
    /// its end whoever stops waiting. Call it inside a tokio runtime.
    pub async fn read(&self, key: K, read: impl Future<Output = V> + Send + 'static) -> Option<V> {
        let reading = self.join(key, read);
        reading.await
    }

    fn join(&self, key: K, read: impl Future<Output = V> + Send + 'static) -> Reading<V> {
        match self.under_way().entry(key.clone()) {
            Entry::Vacant(free) => {
                let now = self.begin(key, None, read);
                free.insert(UnderWay { now: now.clone(), next: None });
                now
            }
            Entry::Occupied(mut taken) => {
                let UnderWay { now, next } = taken.get_mut();
                let begin = || self.begin(key, Some(now.clone()), read);
                next.get_or_insert_with(begin).clone()
            }
        }
    }

    /// Reads after `before`.
    fn begin(
        &self,
        key: K,
        before: Option<Reading<V>>,
        read: impl Future<Output = V> + Send + 'static,
    ) -> Reading<V> {
        let reads = Self(Arc::clone(&self.0));
        let task = tokio::spawn(
            async move {
                let turn = Turn { reads, key };
                if let Some(before) = before {
                    before.await;
                    turn.begin();
                }
                read.await
            }
            .in_current_span(),
        );
        task.map(Result::ok).boxed().shared()
    }

    fn under_way(&self) -> MutexGuard<'_, HashMap<K, UnderWay<V>>> {
        // Every change under this lock is whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A read's turn, which ends with this.
struct Turn<K: Eq + Hash, V> {
    reads: SharedReads<K, V>,
    key: K,
}

impl<K: Eq + Hash, V> Turn<K, V> {
    /// It is the one that is under way now.
    fn begin(&self) {
        let mut under_way = self.reads.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = under_way.get_mut(&self.key)
            && let Some(this) = at.next.take()
        {
            at.now = this;
        }
    }
}

impl<K: Eq + Hash, V> Drop for Turn<K, V> {
    fn drop(&mut self) {
        let mut under_way = self.reads.0.lock().unwrap_or_else(PoisonError::into_inner);
        if under_way.get(&self.key).is_some_and(|at| at.next.is_none()) {
            under_way.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use futures::future::join_all;
    use tokio::sync::Semaphore;

    use super::*;

    /// A source that is read when it may be, and counts how often.
    #[derive(Default)]
    struct Source {
        value: AtomicUsize,
        reads: AtomicUsize,
    }

    async fn read(source: Arc<Source>, gate: Arc<Semaphore>) -> usize {
        source.reads.fetch_add(1, Ordering::SeqCst);
        let value = source.value.load(Ordering::SeqCst);
        gate.acquire().await.unwrap().forget();
        value
    }

    #[tokio::test]
    async fn who_comes_while_a_read_is_under_way_shares_the_next_one() {
        let (reads, source) = (SharedReads::default(), Arc::new(Source::default()));
        let gate = Arc::new(Semaphore::new(0));
        let ask = || reads.read("k", read(Arc::clone(&source), Arc::clone(&gate)));
        let mut first = Box::pin(ask());
        assert!(futures::poll!(&mut first).is_pending());
        while source.reads.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        source.value.store(1, Ordering::SeqCst);
        let later: Vec<_> = (0..20).map(|_| ask()).collect();
        let later = join_all(later);
        gate.add_permits(2);
        let (first, later) = tokio::join!(first, later);
        assert_eq!(first, Some(0));
        assert_eq!(later, vec![Some(1); 20], "what was written before they asked");
        assert_eq!(source.reads.load(Ordering::SeqCst), 2);
        assert!(reads.under_way().is_empty(), "nothing is kept");
    }

    #[tokio::test]
    async fn a_read_that_panics_is_told_and_the_next_one_reads() {
        let reads: SharedReads<&str, usize> = SharedReads::default();
        let panics = reads.read("k", async { panic!("it cannot be read") });
        let mut panics = Box::pin(panics);
        assert!(futures::poll!(&mut panics).is_pending());
        let (first, second) = tokio::join!(panics, reads.read("k", async { 7 }));
        assert_eq!((first, second), (None, Some(7)));
        assert_eq!(reads.read("k", async { 8 }).await, Some(8));
        assert!(reads.under_way().is_empty());
    }

    #[tokio::test]
    async fn who_stops_waiting_stops_nobodys_read() {
        let (reads, source) = (SharedReads::default(), Arc::new(Source::default()));
        let gate = Arc::new(Semaphore::new(0));
        let ask = || reads.read("k", read(Arc::clone(&source), Arc::clone(&gate)));
        assert!(tokio::time::timeout(Duration::ZERO, ask()).await.is_err());
        let second = ask();
        gate.add_permits(2);
        assert_eq!(second.await, Some(0));
    }
}
