//! How the stream space is divided among workers.

use domain::InspectionId;

/// How many partitions there are: the most workers that can share the work. It is stored in
/// `worker_leases`; another number needs a migration.
pub const PARTITIONS: u16 = 16;

/// A part of the stream space, below [`PARTITIONS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition(pub u16);

impl Partition {
    /// The partition of an inspection: FNV-1a (64 bit) of its id's bytes, folded; the same for ever.
    #[must_use]
    pub fn for_inspection(inspection_id: InspectionId) -> Self {
        let fnv = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        let hash = inspection_id.0.as_bytes().iter().fold(0xcbf2_9ce4_8422_2325, fnv);
        let folded = (hash >> 32) ^ (hash & 0xffff_ffff);
        Self(u16::try_from(folded % u64::from(PARTITIONS)).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn the_partition_of_an_inspection_never_changes() {
        let partition = |n: u128| Partition::for_inspection(InspectionId(Uuid::from_u128(n))).0;
        let known = [0, 1, 2, 3, u128::MAX].map(partition);
        assert_eq!(known, [12, 11, 6, 5, 13], "stored checkpoints depend on it");
    }

    #[test]
    fn inspections_spread_evenly() {
        let mut counts = [0_usize; PARTITIONS as usize];
        for n in 0..16_000_u128 {
            let id = Uuid::from_u128(n << 80 | 7 << 76 | 2 << 62 | (n * n + 1));
            counts[usize::from(Partition::for_inspection(InspectionId(id)).0)] += 1;
        }
        assert!(counts.iter().all(|count| (800..1200).contains(count)), "{counts:?}");
    }
}
