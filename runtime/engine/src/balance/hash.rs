//! The hash by which proxies agree: the same bytes are the same number in every proxy and every version.

/// FNV-1a ([RFC 9923](https://www.rfc-editor.org/rfc/rfc9923)) of 64 bits, mixed at the end: FNV alone leaves the upper bits of short
/// texts much alike, and rings are looked up by them. Different seeds are different hashes.
pub fn hash(seed: u64, bytes: impl IntoIterator<Item = u8>) -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let fnv =
        bytes.into_iter().fold(OFFSET ^ seed, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME));
    mixed(fnv)
}

/// The finalizer of [splitmix64](https://prng.di.unimi.it/splitmix64.c): each bit of the number changes half of the bits of the result.
pub fn mixed(number: u64) -> u64 {
    let mut bits = number;
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_fixed() {
        // Two versions of a proxy that stand beside each other send a key to the same endpoint.
        assert_eq!(mixed(1), 0x5692_161d_100b_05e5);
        assert_eq!(hash(0, *b""), mixed(0xcbf2_9ce4_8422_2325));
        assert_eq!(hash(0, *b"a"), mixed(0xaf63_dc4c_8601_ec8c), "the vector of RFC 9923");
        assert_ne!(hash(0, *b"a"), hash(1, *b"a"));
    }
}
