//! Room in the memory for one comparison, its files among it.
//!
//! Invariant: whoever waits for room holds none, not even golden samples that are kept ready.

use std::sync::Arc;

use platform::picture_memory::{ExceedsMemory, MemoryShare};

use super::Comparer;
use super::facts::{GoldenFacts, LoggedPicture, bytes_beside_ready, bytes_with_golden};
use super::golden_sets::ReadyGolden;

/// Room for one comparison: whoever has it fetches the files, and compares.
#[derive(Debug)]
pub struct ComparisonRoom {
    pub(super) golden: GoldenFacts,
    // Before the share: when that comes back, whoever waits looks for sets that nobody uses.
    pub(super) ready: Option<Arc<ReadyGolden>>,
    pub(super) share: MemoryShare,
}

impl ComparisonRoom {
    /// Whether what the picture is compared with is ready: its files are not needed then.
    #[must_use]
    pub const fn is_golden_ready(&self) -> bool {
        self.ready.is_some()
    }
}

impl Comparer {
    /// Whether a comparison of `test` with `golden` may have to wait for large ones: it takes more than what
    /// small ones have for themselves.
    #[must_use]
    pub fn is_large(&self, test: &LoggedPicture, golden: &GoldenFacts) -> bool {
        self.memory.is_large(bytes_with_golden(test, golden))
    }

    /// Waits for room for the comparison of `test` with `golden`, their files among it.
    ///
    /// # Errors
    /// When there is never so much.
    pub async fn reserve_room(
        &self,
        test: &LoggedPicture,
        golden: GoldenFacts,
    ) -> Result<ComparisonRoom, ExceedsMemory> {
        let beside_ready = bytes_beside_ready(test);
        if let Some(ready) = self.golden_sets.find_ready(&golden)
            && let Some(share) = self.memory.try_reserve(beside_ready)
        {
            return Ok(ComparisonRoom { golden, ready: Some(ready), share });
        }
        // Who waits makes others let go of what is ready, this set perhaps: so it needs room for that, too.
        let with_golden = bytes_with_golden(test, &golden);
        let mut share = self.memory.reserve(with_golden).await?;
        let ready = self.golden_sets.find_ready(&golden);
        if ready.is_some() {
            drop(share.split_off(with_golden.saturating_sub(beside_ready)));
        }
        Ok(ComparisonRoom { golden, ready, share })
    }
}
