//! The partition of a key: Java's murmur2, as `murmur2_random` and Kafka's default partitioner take
//! it, so that every client in every language puts a unit into one partition.

/// How many partitions a topic has.
pub(crate) fn count(topic: &rdkafka::metadata::MetadataTopic) -> i32 {
    i32::try_from(topic.partitions().len()).unwrap_or(i32::MAX)
}

/// The partition of `key` among `partitions`.
#[must_use]
pub fn of_key(key: &str, partitions: i32) -> i32 {
    // Java masks the sign away instead of taking the absolute value; so must we.
    (murmur2(key.as_bytes()) & 0x7fff_ffff).cast_signed() % partitions.max(1)
}

/// `MurmurHash2` of 32 bits with the seed and the tail order of Kafka's `Utils.murmur2`.
#[must_use]
pub fn murmur2(data: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    const R: u32 = 24;
    #[expect(clippy::cast_possible_truncation, reason = "as Java's `int` length")]
    let mut hash = SEED ^ data.len() as u32;
    let (words, tail) = data.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> R;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    for (index, byte) in tail.iter().enumerate() {
        hash ^= u32::from(*byte) << (8 * index);
    }
    if !tail.is_empty() {
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of Kafka's own `UtilsTest.testMurmur2`.
    #[test]
    fn hashes_as_kafkas_java_client_does() {
        for (key, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()) as i32, hash, "{key}");
        }
    }

    #[test]
    fn every_key_has_a_partition() {
        for partitions in [1, 2, 3, 64] {
            for unit in 0..200 {
                let partition = of_key(&format!("hcu-{unit:04}"), partitions);
                assert!((0..partitions).contains(&partition));
            }
        }
    }
}
