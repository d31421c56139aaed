//! How ordered candidates become a leaf.

use super::rows::{Record, Row, Rows};
use crate::layout::{Section, list, list_beaten, list_test};

/// Candidates in order, see [`plan::List`](crate::plan::List).
#[derive(Clone, Copy)]
pub struct List<'p>(Record<'p>);

impl<'p> Row<'p> for List<'p> {
    const SECTION: Section = Section::Lists;

    fn of(record: Record<'p>) -> Self {
        List(record)
    }
}

impl<'p> List<'p> {
    /// Its place among the plan's lists.
    pub fn index(self) -> u32 {
        self.0.index()
    }

    /// How many there are.
    pub fn candidates(self) -> u32 {
        self.0.word(list::CANDIDATES)
    }

    /// What each dimension says of them, sorted by dimension.
    pub fn tests(self) -> Rows<'p, ListTest<'p>> {
        self.0.rows(list::TESTS)
    }

    /// What beats each of them; empty where nothing beats any.
    pub fn beaten_by(self) -> Rows<'p, ListBeaten<'p>> {
        self.0.rows(list::BEATEN)
    }

    /// Which candidates an atom of a test leaves: words of bits, little-endian.
    pub fn row(self, test: ListTest<'p>, atom: u32) -> &'p [[u8; 8]] {
        let words = self.candidates().div_ceil(u64::BITS);
        let row = test.rows().get(atom);
        let bytes = row.and_then(|row| self.0.plan().slice(Section::ListBits, row.0, words));
        bytes.unwrap_or_default().as_chunks().0
    }

    /// The first candidate that fits and that no other one that fits beats. `fitting` has a bit for each candidate.
    pub fn first(self, fitting: &[u64]) -> Option<u32> {
        let fits = |candidate: u32| {
            let word = fitting.get((candidate / u64::BITS) as usize).copied().unwrap_or_default();
            word >> (candidate % u64::BITS) & 1 == 1
        };
        let beaten_by = self.beaten_by();
        for (word, first) in fitting.iter().zip((0u32..).step_by(u64::BITS as usize)) {
            let mut left = *word;
            while left != 0 {
                let candidate = first + left.trailing_zeros();
                let beaters = beaten_by.get(candidate).map(ListBeaten::beaters);
                if !beaters.is_some_and(|beaters| beaters.iter().any(|beater| fits(beater.0))) {
                    return Some(candidate);
                }
                left &= left - 1;
            }
        }
        None
    }
}

/// What a dimension says of the candidates of a list.
#[derive(Clone, Copy)]
pub struct ListTest<'p>(Record<'p>);

impl<'p> Row<'p> for ListTest<'p> {
    const SECTION: Section = Section::ListTests;

    fn of(record: Record<'p>) -> Self {
        ListTest(record)
    }
}

impl<'p> ListTest<'p> {
    /// The dimension.
    pub fn dim(self) -> u32 {
        self.0.word(list_test::DIM)
    }

    /// One for each of its atoms.
    pub fn rows(self) -> Rows<'p, ListRow> {
        self.0.rows(list_test::ROWS)
    }
}

/// Where the bits of a row begin.
#[derive(Clone, Copy)]
pub struct ListRow(pub u32);

impl<'p> Row<'p> for ListRow {
    const SECTION: Section = Section::ListRows;

    fn of(record: Record<'p>) -> Self {
        ListRow(record.word(0))
    }
}

/// What beats a candidate.
#[derive(Clone, Copy)]
pub struct ListBeaten<'p>(Record<'p>);

impl<'p> Row<'p> for ListBeaten<'p> {
    const SECTION: Section = Section::ListBeaten;

    fn of(record: Record<'p>) -> Self {
        ListBeaten(record)
    }
}

impl<'p> ListBeaten<'p> {
    /// Other candidates of the list, sorted.
    pub fn beaters(self) -> Rows<'p, ListBeater> {
        self.0.rows(list_beaten::BEATERS)
    }
}

/// A candidate that beats another one.
#[derive(Clone, Copy)]
pub struct ListBeater(pub u32);

impl<'p> Row<'p> for ListBeater {
    const SECTION: Section = Section::ListBeaters;

    fn of(record: Record<'p>) -> Self {
        ListBeater(record.word(0))
    }
}
