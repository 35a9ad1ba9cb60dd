//! How the stream space of a reactor is divided among the processes that run it.

use std::fmt;

use uuid::Uuid;

use crate::event_log::StreamId;

/// A part of the stream space, below the reactor's number of partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Partition(pub(super) u16);

impl Partition {
    /// The partition of a stream among so many: FNV-1a (64 bit; Fowler, Noll, Vo, 1991) of its
    /// aggregate's id, folded; the same for ever, because stored checkpoints depend on it. An id that
    /// is a UUID counts by its 16 bytes, however it is written, any other by its UTF-8.
    pub(super) fn for_stream(stream: &StreamId, partitions: u16) -> Self {
        let id = &stream.aggregate_id;
        let hash =
            id.parse::<Uuid>().map_or_else(|_| fnv_1a(id.as_bytes()), |id| fnv_1a(id.as_bytes()));
        let folded = (hash >> 32) ^ (hash & 0xffff_ffff);
        Self(u16::try_from(folded % u64::from(partitions.max(1))).unwrap_or_default())
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn fnv_1a(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(aggregate_id: impl ToString, partitions: u16) -> u16 {
        let (aggregate_type, aggregate_id) = ("inspection".into(), aggregate_id.to_string());
        Partition::for_stream(&StreamId { aggregate_type, aggregate_id }, partitions).0
    }

    #[test]
    fn the_partition_of_a_stream_never_changes() {
        let known = [0, 1, 2, 3, u128::MAX].map(|n| partition(Uuid::from_u128(n), 16));
        assert_eq!(known, [12, 11, 6, 5, 13], "stored checkpoints depend on it");
        assert_eq!(["golden-compare", "P-1", ""].map(|id| partition(id, 16)), [5, 12, 1]);
        assert_eq!(partition("anything", 1), 0);
    }

    #[test]
    fn streams_spread_evenly() {
        let mut counts = [0_usize; 16];
        for n in 0..16_000_u128 {
            let id = Uuid::from_u128(n << 80 | 7 << 76 | 2 << 62 | (n * n + 1));
            counts[usize::from(partition(id, 16))] += 1;
        }
        assert!(counts.iter().all(|count| (800..1200).contains(count)), "{counts:?}");
    }
}
