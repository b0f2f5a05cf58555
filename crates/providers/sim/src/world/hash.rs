//! Chance without randomness: numbers that follow from a seed and a position.

/// FNV-1a over bytes: the checksum of a line, and the way from names to numbers.
pub(crate) fn of_bytes(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// Mixes a seed, a purpose and a position into an even 64-bit number (SplitMix64's finalizer).
pub(crate) fn of(seed: u64, purpose: &str, position: u64) -> u64 {
    let mut z = seed
        .wrapping_add(of_bytes(purpose.as_bytes()))
        .wrapping_add(position.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Whether this position is among the `per_mille` chosen ones of 1000.
pub(crate) fn chosen(seed: u64, purpose: &str, position: u64, per_mille: u16) -> bool {
    of(seed, purpose, position) % 1000 < u64::from(per_mille)
}
