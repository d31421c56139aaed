//! A set of small integers.

/// A set of atoms of one dimension. All sets of a dimension have the same number of words.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Bits {
    words: Vec<u64>,
}

impl Bits {
    /// No atom of `count`.
    pub(crate) fn none(count: u32) -> Bits {
        Bits { words: vec![0; count.div_ceil(64) as usize] }
    }

    /// The atoms below `count` for which `holds`.
    pub(crate) fn such_that(count: u32, holds: impl Fn(u32) -> bool) -> Bits {
        let mut bits = Bits::none(count);
        for atom in (0..count).filter(|atom| holds(*atom)) {
            bits.insert(atom);
        }
        bits
    }

    pub(crate) fn insert(&mut self, atom: u32) {
        self.words[atom as usize / 64] |= 1 << (atom % 64);
    }

    pub(crate) fn contains(&self, atom: u32) -> bool {
        self.words[atom as usize / 64] & (1 << (atom % 64)) != 0
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// Whether the two share an atom.
    pub(crate) fn meets(&self, other: &Bits) -> bool {
        self.words.iter().zip(&other.words).any(|(a, b)| a & b != 0)
    }

    /// Whether every atom of this one is in the other.
    pub(crate) fn is_subset(&self, other: &Bits) -> bool {
        self.words.iter().zip(&other.words).all(|(a, b)| a & !b == 0)
    }

    pub(crate) fn intersect(&mut self, other: &Bits) {
        for (a, b) in self.words.iter_mut().zip(&other.words) {
            *a &= b;
        }
    }
}
