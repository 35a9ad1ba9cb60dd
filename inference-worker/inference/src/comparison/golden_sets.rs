//! Golden sets that are kept ready: what pictures are compared with, decoded and made ready once for many of
//! them.
//!
//! Invariant: a set that is kept is exactly what was asked for: the same pictures in the same order, the same
//! area and the same tolerated bend.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use domain::{InspectedArea, Sha256};
use vision::{PreparedGolden, PreparedGoldenSet};

use super::{
    ComparablePicture, ComparisonError, StoredPicture, not_comparable, unreadable_picture,
};

/// How many golden sets are kept ready; a line inspects few parts at a time.
const GOLDEN_SETS_KEPT: usize = 16;
/// The most pixels of all golden samples that are kept ready; the last set is kept whatever its size.
const GOLDEN_PIXELS_KEPT: u64 = 48_000_000;

/// What a picture is compared with, from rest.
#[derive(Debug, Clone)]
pub struct GoldenPictures {
    /// The golden sample in force, then the variants that stand beside it; at least one.
    pub variants: Vec<StoredPicture>,
    /// Good boards, which show how good boards differ.
    pub accepted: Vec<StoredPicture>,
    /// What is inspected, in pixels of the golden sample in force.
    pub area: InspectedArea,
    /// How far a picture may be bent, pixels.
    pub bend_max_px: f32,
}

impl GoldenPictures {
    /// Pixels that are in memory while a picture is compared with these; `is_ready` says that the accepted
    /// boards have been looked at.
    pub(super) fn pixels(&self, is_ready: bool) -> impl Iterator<Item = u64> {
        let accepted = if is_ready { &[] } else { self.accepted.as_slice() };
        self.variants.iter().chain(accepted).map(|picture| picture.pixels)
    }

    fn key(&self) -> SetKey {
        let digests = |pictures: &[StoredPicture]| pictures.iter().map(|p| p.sha256).collect();
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
    set: Arc<PreparedGoldenSet>,
}

impl KeptSets {
    /// The set of these pictures, when it is ready.
    pub(super) fn find_ready(&self, golden: &GoldenPictures) -> Option<Arc<PreparedGoldenSet>> {
        let key = golden.key();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let at = kept.iter().position(|known| known.key == key)?;
        let found = kept.remove(at)?;
        let set = Arc::clone(&found.set);
        kept.push_front(found);
        Some(set)
    }

    /// Makes the set of these pictures ready, and keeps it.
    pub(super) fn make_ready(
        &self,
        golden: &GoldenPictures,
    ) -> Result<Arc<PreparedGoldenSet>, ComparisonError> {
        let mut variants = Vec::with_capacity(golden.variants.len());
        let mut has_panel = false;
        for stored in &golden.variants {
            let (variant, is_panel) = prepare_variant(stored)?;
            variants.push(Arc::new(variant));
            has_panel |= is_panel;
        }
        let mut variants = variants.into_iter();
        let first = variants.next().ok_or_else(|| {
            ComparisonError::Failed("there is no golden sample to compare with".to_owned())
        })?;
        let others = variants.collect();
        let mut set = PreparedGoldenSet::new(first, others, &golden.area, golden.bend_max_px)
            .map_err(not_comparable)?;
        for stored in &golden.accepted {
            let board = ComparablePicture::decode_bytes(&stored.bytes);
            match board.map_err(unreadable_picture("accepted board"))? {
                ComparablePicture::Whole(board) => set.add_accepted(&board),
                ComparablePicture::Panel(board) => set.add_accepted_panel(board),
            }
            .map_err(not_comparable)?;
        }
        let set = Arc::new(set);
        // Too large to keep: it is read again in a tenth of the time that it is compared in. What accepted
        // boards say of it is not.
        if !has_panel || !golden.accepted.is_empty() {
            self.keep(golden, &set);
        }
        Ok(set)
    }

    fn keep(&self, golden: &GoldenPictures, set: &Arc<PreparedGoldenSet>) {
        let pixels = golden.pixels(true).fold(0, u64::saturating_add);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push_front(KeptSet { key: golden.key(), pixels, set: Arc::clone(set) });
        let fitting = count_fitting(kept.iter().map(|kept| kept.pixels));
        kept.truncate(fitting);
    }
}

/// The golden sample made ready, and whether it is a panel that is too large to be decoded as a whole.
fn prepare_variant(stored: &StoredPicture) -> Result<(PreparedGolden, bool), ComparisonError> {
    let picture = ComparablePicture::decode_bytes(&stored.bytes);
    match picture.map_err(unreadable_picture("golden sample"))? {
        ComparablePicture::Whole(picture) => {
            Ok((PreparedGolden::new(&picture).map_err(not_comparable)?, false))
        }
        ComparablePicture::Panel(panel) => {
            Ok((PreparedGolden::from_panel(panel).map_err(not_comparable)?, true))
        }
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
