//! Records of the tables and ranges of them.

use super::PlanView;
use crate::layout::Section;
use crate::plan::NONE;
use crate::sources::Place;
use std::cmp::Ordering;
use std::marker::PhantomData;

/// One record of a table.
#[derive(Clone, Copy)]
pub struct Record<'p> {
    plan: &'p PlanView,
    index: u32,
    /// The record's first word, counted from the beginning of the file.
    at: u32,
    /// As many as a record of its kind has.
    words: &'p [[u8; 4]],
}

impl<'p> Record<'p> {
    #[inline]
    pub(crate) fn at(plan: &'p PlanView, section: Section, index: u32) -> Option<Record<'p>> {
        let span = plan.span(section);
        let words = section.record_bytes() / 4;
        if index >= span.count {
            return None;
        }
        // A record of a verified plan is inside the file; a sum that is too large is not, whatever it wraps to.
        let at = (span.start / 4).wrapping_add(index.wrapping_mul(words as u32));
        let words = plan.file().get(at as usize..)?.get(..words)?;
        Some(Record { plan, index, at, words })
    }

    pub(super) fn plan(self) -> &'p PlanView {
        self.plan
    }

    /// The record's place in its table.
    pub(super) fn index(self) -> u32 {
        self.index
    }

    #[inline]
    pub(crate) fn word(self, field: u32) -> u32 {
        self.words.get(field as usize).map_or(NONE, |word| u32::from_le_bytes(*word))
    }

    /// The record's first bytes.
    pub(super) fn bytes(self, count: usize) -> &'p [u8] {
        self.words.as_flattened().get(..count).unwrap_or_default()
    }

    pub(crate) fn string(self, field: u32) -> &'p [u8] {
        self.plan.heap(Section::Strings, self.word(field)).unwrap_or_default()
    }

    pub(super) fn later(self, field: u32) -> Text<'p> {
        Text(Some((self.plan, self.at + field)))
    }

    pub(super) fn text(self, field: u32) -> &'p str {
        std::str::from_utf8(self.string(field)).unwrap_or_default()
    }

    pub(super) fn value(self, field: u32) -> &'p [u8] {
        self.plan.heap(Section::Values, self.word(field)).unwrap_or_default()
    }

    /// The two words, start and count, of a range.
    #[inline]
    pub(crate) fn range(self, field: u32) -> (u32, u32) {
        (self.word(field), self.word(field + 1))
    }

    /// The range that two words, start and count, describe.
    #[inline]
    pub(super) fn rows<T: Row<'p>>(self, field: u32) -> Rows<'p, T> {
        let (start, count) = self.range(field);
        Rows { plan: self.plan, start, count, kind: PhantomData }
    }
}

/// A string of the plan that is looked up when it is read: most decisions carry texts for logs that nobody reads.
///
/// It is known by the word, counted from the beginning of the file, in which the string's number stands: not even the record that
/// names it has to be looked at before.
#[derive(Clone, Copy, Default)]
pub struct Text<'p>(Option<(&'p PlanView, u32)>);

impl<'p> Text<'p> {
    /// The empty one.
    pub const EMPTY: Text<'static> = Text(None);

    /// What it says.
    pub fn as_str(self) -> &'p str {
        self.0.map_or("", |(plan, _)| plan.string(self.string().unwrap_or(NONE)))
    }

    /// The string's number.
    pub(crate) fn string(self) -> Option<u32> {
        self.0.and_then(|(plan, at)| plan.word(at))
    }

    /// Where the rule or the line stands in the sources that is called so, if the plan knows.
    pub fn place(self) -> Option<Place<'p>> {
        self.places().next()
    }

    /// Where each line of the text stands, in their order; none where the plan does not know.
    pub fn places(self) -> impl Iterator<Item = Place<'p>> {
        let placed = self.0.and_then(|(plan, _)| plan.placed());
        placed.zip(self.string()).into_iter().flat_map(|(placed, string)| placed.of(string))
    }
}

impl std::ops::Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl std::fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

impl std::fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl PartialEq for Text<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Text<'_> {}

impl PartialOrd for Text<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl PartialEq<str> for Text<'_> {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Text<'_> {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

/// A kind of record.
pub trait Row<'p>: Sized {
    /// Where it stands.
    const SECTION: Section;

    /// Looks at a record as one of this kind.
    fn of(record: Record<'p>) -> Self;
}

/// A range of a table.
pub struct Rows<'p, T> {
    plan: &'p PlanView,
    start: u32,
    count: u32,
    kind: PhantomData<T>,
}

impl<T> Clone for Rows<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Rows<'_, T> {}

impl<'p, T: Row<'p>> Rows<'p, T> {
    pub(super) fn all(plan: &'p PlanView) -> Rows<'p, T> {
        Rows { plan, start: 0, count: plan.span(T::SECTION).count, kind: PhantomData }
    }

    /// How many there are.
    pub fn len(self) -> u32 {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.count == 0
    }

    /// The one at this place of the range.
    #[inline]
    pub fn get(self, index: u32) -> Option<T> {
        if index >= self.count {
            return None;
        }
        Record::at(self.plan, T::SECTION, self.start.checked_add(index)?).map(T::of)
    }

    /// All in order.
    pub fn iter(self) -> impl Iterator<Item = T> + use<'p, T> {
        (0..self.count).map_while(move |index| self.get(index))
    }

    /// Binary search in a range that is sorted by what `order` compares.
    pub fn find(self, order: impl Fn(&T) -> Ordering) -> Option<(u32, T)> {
        let index = self.partition_point(|row| order(row) == Ordering::Less);
        self.get(index).filter(|row| order(row) == Ordering::Equal).map(|row| (index, row))
    }

    /// The place of the first record for which `before` does not hold; the range is sorted so that it holds first.
    pub fn partition_point(self, before: impl Fn(&T) -> bool) -> u32 {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.get(middle).is_some_and(|row| before(&row)) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }
}
