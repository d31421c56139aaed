//! A set of small integers.

use std::hash::{Hash, Hasher};

/// A set of atoms of one dimension. All sets of a dimension have the same number of words.
#[derive(Clone, Debug, Eq, PartialOrd, Ord)]
pub(crate) struct Bits {
    /// The atoms below 64: most dimensions have no others, and then nothing is allocated.
    first: u64,
    more: Vec<u64>,
    /// All words together: most pairs of sets are told apart by this one.
    folded: u64,
}

impl PartialEq for Bits {
    fn eq(&self, other: &Bits) -> bool {
        self.first == other.first && self.folded == other.folded && self.more.iter().eq(&other.more)
    }
}

impl Hash for Bits {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.words().for_each(|word| state.write_u64(word));
    }
}

impl Bits {
    /// No atom of `count`.
    pub(crate) fn none(count: u32) -> Bits {
        Bits { first: 0, more: vec![0; (count.div_ceil(64) as usize).saturating_sub(1)], folded: 0 }
    }

    /// The atoms below `count` for which `holds`.
    pub(crate) fn such_that(count: u32, holds: impl Fn(u32) -> bool) -> Bits {
        Bits::of(count, (0..count).filter(|atom| holds(*atom)))
    }

    /// These atoms of `count`.
    pub(crate) fn of(count: u32, atoms: impl IntoIterator<Item = u32>) -> Bits {
        let mut bits = Bits::none(count);
        atoms.into_iter().for_each(|atom| bits.insert(atom));
        bits
    }

    pub(crate) fn insert(&mut self, atom: u32) {
        let bit = 1 << (atom % 64);
        match atom as usize / 64 {
            0 => self.first |= bit,
            word => self.more[word - 1] |= bit,
        }
        self.folded |= bit;
    }

    pub(crate) fn contains(&self, atom: u32) -> bool {
        let word = match atom as usize / 64 {
            0 => self.first,
            word => self.more[word - 1],
        };
        word & (1 << (atom % 64)) != 0
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.folded == 0
    }

    /// Whether the two share an atom.
    pub(crate) fn meets(&self, other: &Bits) -> bool {
        self.folded & other.folded != 0
            && (self.first & other.first != 0 || self.more.iter().zip(&other.more).any(|(a, b)| a & b != 0))
    }

    /// Whether every atom of this one is in the other.
    pub(crate) fn is_subset(&self, other: &Bits) -> bool {
        self.folded & !other.folded == 0
            && self.first & !other.first == 0
            && self.more.iter().zip(&other.more).all(|(a, b)| a & !b == 0)
    }

    pub(crate) fn unite(&mut self, other: &Bits) {
        self.with(other, |a, b| a | b);
    }

    pub(crate) fn subtract(&mut self, other: &Bits) {
        self.with(other, |a, b| a & !b);
    }

    pub(crate) fn intersect(&mut self, other: &Bits) {
        self.with(other, |a, b| a & b);
    }

    fn with(&mut self, other: &Bits, both: impl Fn(u64, u64) -> u64) {
        self.first = both(self.first, other.first);
        self.folded = self.first;
        for (a, b) in self.more.iter_mut().zip(&other.more) {
            *a = both(*a, *b);
            self.folded |= *a;
        }
    }

    fn words(&self) -> impl Iterator<Item = u64> + '_ {
        std::iter::once(self.first).chain(self.more.iter().copied())
    }

    /// The atoms in it, ascending.
    pub(crate) fn iter(&self) -> Iter<'_> {
        Iter { left: self.first, before: 0, more: self.more.iter() }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.words().map(|word| word.count_ones() as usize).sum()
    }
}

/// See [`Bits::iter`].
#[derive(Clone)]
pub(crate) struct Iter<'b> {
    /// What is left of a word.
    left: u64,
    /// The atom of its lowest bit.
    before: u32,
    /// The words behind it.
    more: std::slice::Iter<'b, u64>,
}

impl Iterator for Iter<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        while self.left == 0 {
            self.left = *self.more.next()?;
            self.before += 64;
        }
        let atom = self.before + self.left.trailing_zeros();
        self.left &= self.left - 1;
        Some(atom)
    }
}
