//! Where something stands: a file and a byte range in it.

use crate::source::FileId;

/// A byte range of one file. `start <= end`; both are on `char` boundaries of the file's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// The file.
    pub file: FileId,
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// The span from `start` to `end` of `file`.
    pub fn new(file: FileId, start: u32, end: u32) -> Span {
        Span { file, start, end: end.max(start) }
    }

    /// The empty span behind it.
    pub fn after(self) -> Span {
        Span { start: self.end, ..self }
    }

    /// The smallest span that covers both; `self` where the files differ.
    pub fn to(self, other: Span) -> Span {
        if self.file != other.file {
            return self;
        }
        Span { file: self.file, start: self.start.min(other.start), end: self.end.max(other.end) }
    }
}

/// A value and where it was written.
#[derive(Clone, Copy, Debug)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it was written.
    pub span: Span,
}

/// A name as written.
pub type Name = Spanned<Text>;

/// A text of a program: a name, a value. Nearly all have at most 23 bytes and stand inside it, without a block of memory of their
/// own, and a copy of a longer one shares its bytes. Names are most of what a statement holds.
pub type Text = smol_str::SmolStr;

/// Two values are the same wherever they stand.
impl<T: PartialEq> PartialEq for Spanned<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}
impl<T: Eq> Eq for Spanned<T> {}
