//! A set of small integers.

/// A set of atoms of one dimension. All sets of a dimension have the same number of words.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Bits {
    words: Vec<u64>,
    /// All words together: most pairs of sets are told apart by this one.
    folded: u64,
}

impl Bits {
    /// No atom of `count`.
    pub(crate) fn none(count: u32) -> Bits {
        Bits { words: vec![0; count.div_ceil(64) as usize], folded: 0 }
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
        self.folded |= 1 << (atom % 64);
    }

    pub(crate) fn contains(&self, atom: u32) -> bool {
        self.words[atom as usize / 64] & (1 << (atom % 64)) != 0
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.folded == 0
    }

    /// Whether the two share an atom.
    pub(crate) fn meets(&self, other: &Bits) -> bool {
        self.folded & other.folded != 0 && self.words.iter().zip(&other.words).any(|(a, b)| a & b != 0)
    }

    /// Whether every atom of this one is in the other.
    pub(crate) fn is_subset(&self, other: &Bits) -> bool {
        self.folded & !other.folded == 0 && self.words.iter().zip(&other.words).all(|(a, b)| a & !b == 0)
    }

    pub(crate) fn unite(&mut self, other: &Bits) {
        for (a, b) in self.words.iter_mut().zip(&other.words) {
            *a |= b;
        }
        self.folded |= other.folded;
    }

    pub(crate) fn subtract(&mut self, other: &Bits) {
        for (a, b) in self.words.iter_mut().zip(&other.words) {
            *a &= !b;
        }
        self.folded = self.words.iter().fold(0, |all, word| all | word);
    }

    pub(crate) fn intersect(&mut self, other: &Bits) {
        for (a, b) in self.words.iter_mut().zip(&other.words) {
            *a &= b;
        }
        self.folded = self.words.iter().fold(0, |all, word| all | word);
    }

    /// The atoms in it, ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.words.iter().zip(0u32..).flat_map(|(word, index)| {
            (0..64).filter(move |bit| word & (1 << bit) != 0).map(move |bit| index * 64 + bit)
        })
    }
}
