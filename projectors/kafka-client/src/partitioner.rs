//! Which partition a key belongs to: the rule of Kafka's own Java client.
//!
//! Invariant: a key lies where Java's producer would put it, so that whoever writes or joins by key finds it there.
//! Records without a key are absent: every record of ours has one.

/// The seed of Kafka's murmur2 (`org.apache.kafka.common.utils.Utils`).
const SEED: u32 = 0x9747_b28c;
/// The multiplier of murmur2.
const MULTIPLIER: u32 = 0x5bd1_e995;
/// The shift of murmur2.
const SHIFT: u32 = 24;

/// The partition of `key` in a topic of `partitions`, counted from 0; 0 where there is none.
///
/// Source: `BuiltInPartitioner.partitionForKey` of Apache Kafka 4.3.1.
#[must_use]
pub fn partition_of(key: &[u8], partitions: i32) -> i32 {
    let positive = (murmur2(key) & 0x7fff_ffff).cast_signed();
    positive.checked_rem(partitions).unwrap_or(0)
}

/// The 32-bit hash of `bytes`, as Kafka computes it: words are little-endian, whatever the machine is.
///
/// Source: Austin Appleby, MurmurHash2; Kafka's `Utils.murmur2`.
fn murmur2(bytes: &[u8]) -> u32 {
    // Java's length is 32 bits wide as well.
    let mut hash = SEED ^ bytes.len() as u32;
    let (words, rest) = bytes.as_chunks::<4>();
    for word in words {
        let mut mixed = u32::from_le_bytes(*word).wrapping_mul(MULTIPLIER);
        mixed ^= mixed >> SHIFT;
        hash = hash.wrapping_mul(MULTIPLIER) ^ mixed.wrapping_mul(MULTIPLIER);
    }
    if !rest.is_empty() {
        for (index, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * index);
        }
        hash = hash.wrapping_mul(MULTIPLIER);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(MULTIPLIER);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Key, murmur2, and the partition of 3, 6 and 12, all computed by kafka-clients 4.3.1.
    const VECTORS: [(&str, i32, [i32; 3]); 10] = [
        ("", 275_646_681, [0, 3, 9]),
        ("a", -1_563_381_124, [1, 4, 4]),
        ("PCB-4711", 406_584_137, [2, 5, 5]),
        ("abcdefg", -346_467_175, [1, 1, 1]),
        ("Leiterplatte-Ä7", -1_603_853_248, [1, 4, 4]),
        ("基板-100", -1_241_540_723, [0, 3, 9]),
        ("😀", 131_881_617, [0, 3, 9]),
        ("01992f6e-2a00-7c3e-9a54-3d1f0b7e5a10", -1_424_392_988, [0, 0, 0]),
        ("7f2b6c1e-0d55-4c8e-9a0f-1b2c3d4e5f60", -968_513_511, [2, 5, 5]),
        ("read-models/inspection_overview", 746_503_004, [2, 2, 8]),
    ];

    #[test]
    fn keys_lie_where_java_puts_them() {
        for (key, hash, partitions) in VECTORS {
            assert_eq!(murmur2(key.as_bytes()).cast_signed(), hash, "{key}");
            let found = [3, 6, 12].map(|count| partition_of(key.as_bytes(), count));
            assert_eq!(found, partitions, "{key}");
        }
    }

    #[test]
    fn a_topic_without_partitions_divides_by_nothing() {
        assert_eq!(partition_of(b"a", 0), 0);
    }
}
