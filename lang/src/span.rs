//! Where something stands: a file and a byte range in it.

use crate::source::{FileId, MAX_FILE_BYTES, MAX_FILES};

/// A byte range of one file: both ends are on `char` boundaries of the file's text.
///
/// Eight bytes, because every name and every number of a program has one: the file, the first byte and the length share a
/// word, in the order in which places are compared. [`MAX_FILES`] and [`MAX_FILE_BYTES`] keep them inside their bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    packed: u64,
}

const OFFSET_BITS: u32 = 24;
const FILE_BITS: u32 = 64 - 2 * OFFSET_BITS;
const _: () = assert!(MAX_FILE_BYTES < 1 << OFFSET_BITS && MAX_FILES < 1 << FILE_BITS);

impl Span {
    /// The span from `start` to `end` of `file`.
    pub fn new(file: FileId, start: u32, end: u32) -> Span {
        let inside = |value: u32, bits: u32| u64::from(value).min((1 << bits) - 1);
        let (file, start, len) = (
            inside(file.0, FILE_BITS),
            inside(start, OFFSET_BITS),
            inside(end.saturating_sub(start), OFFSET_BITS),
        );
        Span { packed: (file << OFFSET_BITS | start) << OFFSET_BITS | len }
    }

    /// The file.
    pub fn file(self) -> FileId {
        FileId((self.packed >> (2 * OFFSET_BITS)) as u32)
    }

    /// First byte.
    pub fn start(self) -> u32 {
        (self.packed >> OFFSET_BITS) as u32 & ((1 << OFFSET_BITS) - 1)
    }

    /// One past the last byte.
    pub fn end(self) -> u32 {
        self.start() + (self.packed as u32 & ((1 << OFFSET_BITS) - 1))
    }

    /// The empty span behind it.
    pub fn after(self) -> Span {
        Span::new(self.file(), self.end(), self.end())
    }

    /// The smallest span that covers both; `self` where the files differ.
    pub fn to(self, other: Span) -> Span {
        if self.file() != other.file() {
            return self;
        }
        Span::new(self.file(), self.start().min(other.start()), self.end().max(other.end()))
    }
}

impl std::fmt::Debug for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut span = f.debug_struct("Span");
        span.field("file", &self.file()).field("start", &self.start()).field("end", &self.end()).finish()
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
