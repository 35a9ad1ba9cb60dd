//! One budget of memory for pictures, for all of a process: the files that are read, the pixels that are
//! decoded, what a comparison takes beside them, golden samples that are kept ready, pictures in reports.
//!
//! Invariants: whoever is going to allocate takes its share before, all of it at once, and holds no other while
//! it waits, so that nobody waits for somebody who waits. Shares never exceed the budget together: what is
//! larger is refused. Whoever came first goes first, but a part of the budget is only given to what is small, which
//! so need not wait for what is large and never holds it up. What is only kept gives way as soon as somebody
//! waits. Absent: how much a picture takes, which those know who decode it.

use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::Poll;

use futures::poll;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// What is counted at a time, so that any budget fits the semaphore.
const UNIT_BYTES: u64 = 1 << 10;
const UNITS_PER_MIB: u32 = 1 << 10;
/// Of so many parts of the budget one is for small shares alone.
const PARTS: u32 = 4;
/// So many small shares there is room for in that part, at least.
const SMALL_AT_ONCE: u32 = 4;

/// How much memory a process may use for pictures.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct PictureMemoryConfig {
    /// MiB for the pictures that are read, decoded, compared, kept ready and rendered at a time; the others
    /// wait. A quarter is for small ones alone; what needs more than the rest is refused. The default has room
    /// for a pair of the largest.
    #[arg(long, env = "CHIPQ_PICTURE_MEMORY_MIB", default_value_t = PictureMemory::DEFAULT_MIB,
          value_parser = clap::value_parser!(u32).range(64..=1_048_576))]
    pub picture_memory_mib: u32,
}

impl Default for PictureMemoryConfig {
    fn default() -> Self {
        Self { picture_memory_mib: PictureMemory::DEFAULT_MIB }
    }
}

impl PictureMemoryConfig {
    /// The budget of the process; make one, and share it.
    #[must_use]
    pub fn budget(&self) -> PictureMemory {
        PictureMemory::from_mib(self.picture_memory_mib)
    }
}

/// Memory for pictures. Clones share it.
#[derive(Debug, Clone)]
pub struct PictureMemory(Arc<Budget>);

#[derive(Debug)]
struct Budget {
    /// For everybody, in order.
    common: Arc<Semaphore>,
    common_units: u32,
    /// For small shares, in order.
    small: Arc<Semaphore>,
    small_units: u32,
    /// Told when a share was given back: what it was used with may be idle now.
    returned: Notify,
    keepers: Mutex<Vec<Weak<dyn IdleMemory>>>,
}

/// Somebody who keeps pictures that may be needed again, with their shares.
pub trait IdleMemory: std::fmt::Debug + Send + Sync {
    /// Lets go of one that nobody uses now, with its share; `false` when there is none.
    fn let_go(&self) -> bool;
}

/// A part of the memory for pictures, until it is dropped.
#[derive(Debug)]
pub struct MemoryShare {
    /// None once it is being dropped.
    permit: Option<OwnedSemaphorePermit>,
    budget: Arc<Budget>,
}

/// Pictures that would not fit if there were no others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "its pictures need {needed_mib} MiB of memory, and at most {largest_mib} are given at once; raise \
     CHIPQ_PICTURE_MEMORY_MIB, or send smaller pictures"
)]
pub struct ExceedsMemory {
    /// What they need.
    pub needed_mib: u64,
    /// Three quarters of what there is.
    pub largest_mib: u64,
}

impl PictureMemory {
    /// Room for a picture of 64 megapixels in colour and its golden sample, and for their files; and beside them
    /// for small ones.
    pub const DEFAULT_MIB: u32 = 2_048;

    /// So many MiB.
    #[must_use]
    pub fn from_mib(mib: u32) -> Self {
        let units = mib.saturating_mul(UNITS_PER_MIB);
        let small_units = units / PARTS;
        let common_units = units - small_units;
        Self(Arc::new(Budget {
            common: Arc::new(Semaphore::new(common_units as usize)),
            common_units,
            small: Arc::new(Semaphore::new(small_units as usize)),
            small_units,
            returned: Notify::new(),
            keepers: Mutex::default(),
        }))
    }

    /// Asks `keeper` to let go of what it keeps whenever somebody waits.
    pub fn add_keeper(&self, keeper: Weak<dyn IdleMemory>) {
        self.0.keepers.lock().unwrap_or_else(PoisonError::into_inner).push(keeper);
    }

    /// Waits for so many bytes, while holding no other share.
    ///
    /// # Errors
    /// When there are never so many.
    pub async fn reserve(&self, bytes: u64) -> Result<MemoryShare, ExceedsMemory> {
        let units = self.count_units(bytes)?;
        let mut acquired = pin!(self.0.acquire(units));
        loop {
            // Before looking for what is idle, so that nothing becomes idle in between.
            let mut returned = pin!(self.0.returned.notified());
            returned.as_mut().enable();
            if let Poll::Ready(permit) = poll!(&mut acquired) {
                return Ok(self.share(permit));
            }
            if self.0.let_go_of_one() {
                continue;
            }
            tokio::select! {
                permit = &mut acquired => return Ok(self.share(permit)),
                () = returned => {}
            }
        }
    }

    /// So many bytes if they are free and nobody waits for them.
    #[must_use]
    pub fn try_reserve(&self, bytes: u64) -> Option<MemoryShare> {
        let units = self.count_units(bytes).ok()?;
        let acquire = |of: &Arc<Semaphore>| Arc::clone(of).try_acquire_many_owned(units).ok();
        let small = || self.0.is_small(units).then(|| acquire(&self.0.small)).flatten();
        let permit = acquire(&self.0.common).or_else(small)?;
        Some(self.share(Some(permit)))
    }

    /// Whether so many bytes wait for their turn among all others, and are not let past what is larger.
    #[must_use]
    pub fn is_large(&self, bytes: u64) -> bool {
        !u32::try_from(bytes.div_ceil(UNIT_BYTES)).is_ok_and(|units| self.0.is_small(units))
    }

    fn count_units(&self, bytes: u64) -> Result<u32, ExceedsMemory> {
        let units = u32::try_from(bytes.div_ceil(UNIT_BYTES)).ok();
        units.filter(|units| *units <= self.0.common_units).ok_or(ExceedsMemory {
            needed_mib: bytes.div_ceil(1 << 20),
            largest_mib: u64::from(self.0.common_units / UNITS_PER_MIB),
        })
    }

    /// The semaphore is never closed, so there always is a permit.
    fn share(&self, permit: Option<OwnedSemaphorePermit>) -> MemoryShare {
        MemoryShare { permit, budget: Arc::clone(&self.0) }
    }
}

impl Default for PictureMemory {
    fn default() -> Self {
        Self::from_mib(Self::DEFAULT_MIB)
    }
}

impl Budget {
    const fn is_small(&self, units: u32) -> bool {
        units <= self.small_units / SMALL_AT_ONCE
    }

    /// In its turn among all others; what is small also in its turn among what is small, whichever comes first.
    async fn acquire(&self, units: u32) -> Option<OwnedSemaphorePermit> {
        let common = Arc::clone(&self.common).acquire_many_owned(units);
        if !self.is_small(units) {
            return common.await.ok();
        }
        let small = Arc::clone(&self.small).acquire_many_owned(units);
        tokio::select! {
            biased;
            permit = common => permit.ok(),
            permit = small => permit.ok(),
        }
    }

    fn let_go_of_one(&self) -> bool {
        let mut keepers = self.keepers.lock().unwrap_or_else(PoisonError::into_inner);
        keepers.retain(|keeper| keeper.strong_count() > 0);
        let keepers: Vec<_> = keepers.iter().filter_map(Weak::upgrade).collect();
        keepers.iter().any(|keeper| keeper.let_go())
    }
}

impl MemoryShare {
    /// Takes so many bytes out of it, as a share of their own; all of it when it has fewer.
    #[must_use]
    pub fn split_off(&mut self, bytes: u64) -> Self {
        let units = usize::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(usize::MAX);
        let permit = self.permit.as_mut();
        let permit = permit.and_then(|permit| permit.split(units.min(permit.num_permits())));
        Self { permit, budget: Arc::clone(&self.budget) }
    }
}

impl Drop for MemoryShare {
    fn drop(&mut self) {
        drop(self.permit.take());
        self.budget.returned.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use futures::FutureExt as _;

    use super::*;

    const MIB: u64 = 1 << 20;

    /// Of 64 MiB: what is small has 16 of its own, the others 48.
    fn memory() -> PictureMemory {
        PictureMemory::from_mib(64)
    }

    const LARGEST: u64 = 48 * MIB;
    const LARGE: u64 = 5 * MIB;
    const SMALL: u64 = 4 * MIB;

    /// All that is free of what the large ones share.
    fn free_mib(memory: &PictureMemory) -> u64 {
        memory.0.common.available_permits() as u64 * UNIT_BYTES / MIB
    }

    #[tokio::test]
    async fn as_many_as_fit_go_at_once_and_a_large_one_is_not_passed_over() {
        let memory = memory();
        assert!(memory.is_large(LARGE) && memory.is_large(u64::MAX) && !memory.is_large(SMALL));
        let first = memory.reserve(LARGE).await.unwrap();
        let mut largest = Box::pin(memory.reserve(LARGEST));
        assert!((&mut largest).now_or_never().is_none());
        let mut next = Box::pin(memory.reserve(LARGE));
        assert!((&mut next).now_or_never().is_none(), "whoever came first goes first");
        assert!(memory.try_reserve(LARGE).is_none());
        drop(first);
        let all = (&mut largest).now_or_never().expect("room for it").unwrap();
        assert!((&mut next).now_or_never().is_none());
        drop(all);
        let both = (next.await.unwrap(), memory.reserve(LARGE).await.unwrap());
        drop(both);
        assert!(memory.try_reserve(LARGEST).is_some(), "all of it was given back");
    }

    #[tokio::test]
    async fn a_small_one_does_not_wait_for_large_ones() {
        let memory = memory();
        let at_work = memory.reserve(LARGEST).await.unwrap();
        let mut waiting: Vec<_> = (0..8).map(|_| Box::pin(memory.reserve(LARGEST))).collect();
        assert!(waiting.iter_mut().all(|waiting| waiting.now_or_never().is_none()));
        // In their own part, four at a time, in their order.
        let mut small = Vec::new();
        for _ in 0..SMALL_AT_ONCE {
            small.push(memory.reserve(SMALL).now_or_never().expect("its turn").unwrap());
        }
        assert!(memory.try_reserve(SMALL).is_none());
        let mut fifth = Box::pin(memory.reserve(SMALL));
        assert!((&mut fifth).now_or_never().is_none());
        small.pop();
        let fifth = (&mut fifth).now_or_never().expect("its turn").unwrap();
        assert!(waiting.iter_mut().all(|waiting| waiting.now_or_never().is_none()));
        drop((at_work, fifth));
    }

    #[tokio::test]
    async fn a_large_one_has_its_turn_however_many_small_ones_come() {
        let memory = memory();
        // They have all that is free when it comes, and every one that goes is followed by another.
        let mut small: VecDeque<_> =
            (0..16).map(|_| memory.try_reserve(SMALL).expect("room")).collect();
        let mut largest = Box::pin(memory.reserve(LARGEST));
        assert!((&mut largest).now_or_never().is_none());
        let mut gone = 0;
        let largest = loop {
            let mut next = Box::pin(memory.reserve(SMALL));
            if (&mut next).now_or_never().is_none() {
                small.pop_front();
                gone += 1;
                small.extend(next.now_or_never().map(Result::unwrap));
            }
            if let Some(largest) = (&mut largest).now_or_never() {
                break largest.unwrap();
            }
            assert!(gone <= 16, "those that came before it have gone");
        };
        assert!(memory.try_reserve(LARGE).is_none());
        drop(largest);
        drop(small);
        assert_eq!(free_mib(&memory), 48);
    }

    #[tokio::test]
    async fn what_never_fits_is_refused_at_once_with_what_to_do() {
        let memory = memory();
        let _others = memory.reserve(MIB).await.unwrap();
        for bytes in [LARGEST + 1, u64::MAX] {
            let refused = memory.reserve(bytes).now_or_never().expect("at once").unwrap_err();
            assert_eq!(refused.largest_mib, 48);
            assert!(refused.to_string().contains("CHIPQ_PICTURE_MEMORY_MIB"), "{refused}");
        }
    }

    /// What is kept, and how often each is used.
    #[derive(Debug, Default)]
    struct Shelf(Mutex<Vec<Arc<MemoryShare>>>);

    impl IdleMemory for Shelf {
        fn let_go(&self) -> bool {
            let mut kept = self.0.lock().unwrap();
            let idle = kept.iter().position(|share| Arc::strong_count(share) == 1);
            idle.map(|at| kept.remove(at)).is_some()
        }
    }

    #[tokio::test]
    async fn what_is_only_kept_gives_way_and_what_is_in_use_as_soon_as_it_is_not() {
        let memory = memory();
        let shelf = Arc::new(Shelf::default());
        let keeper: Arc<dyn IdleMemory> = shelf.clone();
        memory.add_keeper(Arc::downgrade(&keeper));
        let kept = async || Arc::new(memory.reserve(16 * MIB).await.unwrap());
        let (idle, used) = (kept().await, kept().await);
        *shelf.0.lock().unwrap() = vec![idle, Arc::clone(&used)];
        let job = memory.reserve(LARGE).await.unwrap();
        assert_eq!(shelf.0.lock().unwrap().len(), 2, "nobody waits");
        let mut waiting = Box::pin(memory.reserve(LARGEST));
        assert!((&mut waiting).now_or_never().is_none());
        assert_eq!(shelf.0.lock().unwrap().len(), 1, "one is in use");
        // In this order a comparison ends: what it used is idle when its share comes back.
        drop(used);
        drop(job);
        assert!(waiting.await.is_ok());
        assert!(shelf.0.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_share_is_divided_and_each_part_given_back_by_itself() {
        let memory = memory();
        let mut share = memory.reserve(LARGEST).await.unwrap();
        let part = share.split_off(32 * MIB);
        drop(share);
        assert_eq!(free_mib(&memory), 16);
        drop(part);
        assert!(memory.try_reserve(LARGEST).is_some());
    }
}
