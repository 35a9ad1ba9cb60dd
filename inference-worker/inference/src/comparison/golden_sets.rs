//! Golden sets that are kept ready: what pictures are compared with, decoded and made ready once for many of
//! them.
//!
//! Invariant: a set that is kept is exactly what was asked for: the same pictures in the same order, the same
//! area and the same tolerated bend.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use domain::{InspectedArea, Sha256};
use platform::picture_memory::{IdleMemory, MemoryShare};
use vision::{GoldenSetFiles, PreparedGoldenSet};

use super::ComparisonError;
use super::facts::{GoldenFacts, LoggedPicture};

/// How many golden sets are kept ready; a line inspects few parts at a time.
const GOLDEN_SETS_KEPT: usize = 16;
/// The most pixels of all golden samples that are kept ready; the last set is kept whatever its size.
const GOLDEN_PIXELS_KEPT: u64 = 48_000_000;

impl GoldenFacts {
    fn key(&self) -> SetKey {
        let digests = |pictures: &[LoggedPicture]| pictures.iter().map(|p| p.sha256).collect();
        SetKey {
            variants: digests(&self.variants),
            accepted: digests(&self.accepted),
            area: self.area.clone(),
            bend_bits: self.bend_max_px.to_bits(),
        }
    }
}

/// All that a set depends on.
#[derive(Debug, PartialEq, Eq)]
struct SetKey {
    variants: Vec<Sha256>,
    accepted: Vec<Sha256>,
    area: InspectedArea,
    bend_bits: u32,
}

/// The sets that are ready; the last one used is in front, the one at the back is the first to go.
#[derive(Debug, Default)]
pub(super) struct KeptSets {
    kept: Mutex<VecDeque<KeptSet>>,
}

#[derive(Debug)]
struct KeptSet {
    key: SetKey,
    pixels: u64,
    ready: Arc<ReadyGolden>,
}

/// A set that pictures can be compared with, and the memory that it takes.
#[derive(Debug)]
pub(super) struct ReadyGolden {
    pub(super) set: PreparedGoldenSet,
    _share: MemoryShare,
}

impl KeptSets {
    /// The set of these pictures, when it is ready.
    pub(super) fn find_ready(&self, golden: &GoldenFacts) -> Option<Arc<ReadyGolden>> {
        let key = golden.key();
        let mut kept = self.lock_kept();
        let at = kept.iter().position(|known| known.key == key)?;
        let found = kept.remove(at)?;
        let ready = Arc::clone(&found.ready);
        kept.push_front(found);
        Some(ready)
    }

    /// Makes the set of these pictures ready from the files of its variants and of its accepted boards, and
    /// keeps it in its share of the memory.
    pub(super) fn make_ready(
        &self,
        golden: &GoldenFacts,
        (variants, accepted): (&[Bytes], &[Bytes]),
        share: MemoryShare,
    ) -> Result<Arc<ReadyGolden>, ComparisonError> {
        let GoldenFacts { area, bend_max_px, .. } = golden;
        let files = GoldenSetFiles { variants, accepted, area, bend_max_px: *bend_max_px };
        let set = files.prepare()?;
        let ready = Arc::new(ReadyGolden { set, _share: share });
        // A panel is too large to keep: it is read again in a tenth of the time that it is compared in. What
        // accepted boards say of it is not.
        let has_panel = golden.variants.iter().any(LoggedPicture::is_panel);
        if !has_panel || !accepted.is_empty() {
            self.keep(golden, &ready);
        }
        Ok(ready)
    }

    fn keep(&self, golden: &GoldenFacts, ready: &Arc<ReadyGolden>) {
        let (key, pixels, ready) = (golden.key(), golden.pixels(), Arc::clone(ready));
        let mut kept = self.lock_kept();
        // Two may have made it ready at once.
        kept.retain(|known| known.key != key);
        kept.push_front(KeptSet { key, pixels, ready });
        let fitting = count_fitting(kept.iter().map(|kept| kept.pixels));
        kept.truncate(fitting);
    }

    fn lock_kept(&self) -> MutexGuard<'_, VecDeque<KeptSet>> {
        // Every change under this lock is whole.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl IdleMemory for KeptSets {
    /// The one of them that was used longest ago.
    fn let_go(&self) -> bool {
        let mut kept = self.lock_kept();
        let idle = kept.iter().rposition(|kept| Arc::strong_count(&kept.ready) == 1);
        idle.and_then(|at| kept.remove(at)).is_some()
    }
}

/// How many sets of these sizes in pixels are kept, from the first on.
fn count_fitting(sizes: impl Iterator<Item = u64>) -> usize {
    let mut sum = 0_u64;
    let fits = |pixels: &u64| {
        sum = sum.saturating_add(*pixels);
        sum <= GOLDEN_PIXELS_KEPT
    };
    sizes.take(GOLDEN_SETS_KEPT).take_while(fits).count().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_sets_are_kept_by_number_and_by_pixels() {
        let many = |pixels| count_fitting(std::iter::repeat_n(pixels, 100));
        let kept = [400_000, 6_000_000, 64_000_000, u64::MAX].map(many);
        assert_eq!(kept, [16, 8, 1, 1]);
        assert_eq!(many(20_000_000), 2);
    }
}
