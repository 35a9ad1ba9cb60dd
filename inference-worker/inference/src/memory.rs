//! How many pixels are decoded and compared at a time: as many as a budget of memory allows.
//!
//! Invariant: what is under way takes at most the budget by estimate, or is one pair of pictures alone.
//! Whoever came first goes first, so that a large picture is not passed over by small ones for ever.
//! Absent: what the process takes beside pixels, crops above all, which the batcher's queue bounds.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use vision::MAX_PIXELS;

/// Bytes that are counted for a pixel of a picture or of its golden sample. A colour photograph was
/// measured to take 12 (24 for the pair, `docs/measurements.md`); the estimate errs upwards, for smaller
/// pieces of memory come and go.
const BYTES_PER_PIXEL: u64 = 16;
/// Of a panel that is too large to be decoded as a whole only bits are kept: so many pixels take a byte.
const PANEL_PIXELS_PER_BYTE: u64 = 4;
/// What is counted at a time: a KiB, so that a picture of 360 × 360 is more than nothing.
const UNIT_BYTES: u64 = 1024;

/// Memory for pixels. Clones share it.
#[derive(Debug, Clone)]
pub struct MemoryBudget {
    units: u32,
    free: Arc<Semaphore>,
}

impl MemoryBudget {
    /// The budget of a worker unless it is told otherwise: room for six pairs of 2.5 megapixels, or for
    /// two of six.
    pub const DEFAULT_MIB: u32 = 512;

    /// So many MiB, at least one.
    #[must_use]
    pub fn from_mib(mib: u32) -> Self {
        let units = mib.max(1).saturating_mul(1024);
        Self { units, free: Arc::new(Semaphore::new(units as usize)) }
    }

    /// Waits for room for a picture and all that it is compared with, of so many pixels each. It is taken until
    /// what is returned is dropped. Pictures that are larger than the budget wait for all of it, and are alone.
    pub async fn reserve(
        &self,
        pixels: impl IntoIterator<Item = u64>,
    ) -> Option<OwnedSemaphorePermit> {
        self.reserve_bytes(pixels.into_iter().map(estimate_bytes).fold(0, u64::saturating_add))
            .await
    }

    /// Waits for room for so many bytes, as [`Self::reserve`] does.
    pub async fn reserve_bytes(&self, bytes: u64) -> Option<OwnedSemaphorePermit> {
        let units = u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX).min(self.units);
        // It is never closed.
        Arc::clone(&self.free).acquire_many_owned(units).await.ok()
    }
}

impl Default for MemoryBudget {
    fn default() -> Self {
        Self::from_mib(Self::DEFAULT_MIB)
    }
}

const fn estimate_bytes(pixels: u64) -> u64 {
    if pixels > MAX_PIXELS {
        pixels / PANEL_PIXELS_PER_BYTE
    } else {
        pixels.saturating_mul(BYTES_PER_PIXEL)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn sixteen_of_the_largest_pictures_at_once_are_decoded_one_after_the_other() {
        let budget = MemoryBudget::default();
        let (under_way, most) = (AtomicU64::new(0), AtomicU64::new(0));
        let compare = || async {
            let reserved = budget.reserve([MAX_PIXELS; 2]).await;
            most.fetch_max(under_way.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            for _ in 0..8 {
                tokio::task::yield_now().await;
            }
            under_way.fetch_sub(1, Ordering::SeqCst);
            drop(reserved);
        };
        futures::future::join_all((0..16).map(|_| compare())).await;
        assert_eq!(most.into_inner(), 1);
        assert_eq!(budget.free.available_permits(), budget.units as usize);
    }

    #[tokio::test]
    async fn as_many_as_fit_go_at_once_and_a_large_one_is_not_passed_over() {
        let budget = MemoryBudget::from_mib(192);
        let six_megapixels = [6 << 20; 2];
        let small = budget.reserve([400_000; 2]).await;
        // 192 MiB: all of it, and so not beside the small one.
        let mut large = Box::pin(budget.reserve(six_megapixels));
        assert!((&mut large).now_or_never().is_none());
        let mut next = Box::pin(budget.reserve([400_000; 2]));
        assert!((&mut next).now_or_never().is_none(), "whoever came first goes first");
        drop(small);
        let reserved = (&mut large).now_or_never().expect("room for it");
        assert!((&mut next).now_or_never().is_none());
        drop(reserved);
        let more = (next.await, budget.reserve([400_000; 2]).now_or_never().expect("both fit"));
        drop(more);
    }

    #[tokio::test]
    async fn a_panel_of_bits_takes_no_more_than_its_bits() {
        let budget = MemoryBudget::default();
        let panel = 16_384 * 16_384;
        let reserved = budget.reserve([panel; 2]).await;
        assert!(
            budget.reserve([6 << 20; 2]).now_or_never().is_some(),
            "photographs go on beside it"
        );
        drop(reserved);
    }
}
