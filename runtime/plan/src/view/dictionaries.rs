//! Streams of words, and the dictionaries in them.

use super::rows::Record;
use crate::layout::{NONE, Section, dictionary, state};

/// Words of a stream.
#[derive(Clone, Copy, Default)]
pub struct Words<'p>(&'p [[u8; 4]]);

impl<'p> Words<'p> {
    /// Of a section those of a range.
    pub(super) fn of(record: Record<'p>, section: Section, field: u32) -> Words<'p> {
        record.plan().words(section, record.range(field))
    }

    pub(super) fn new(words: &'p [[u8; 4]]) -> Words<'p> {
        Words(words)
    }

    pub(super) fn of_bytes(bytes: &'p [u8]) -> Words<'p> {
        Words(bytes.as_chunks().0)
    }

    pub(crate) fn len(self) -> u32 {
        self.0.len() as u32
    }

    #[inline]
    pub(crate) fn get(self, at: u32) -> Option<u32> {
        self.0.get(at as usize).map(|word| u32::from_le_bytes(*word))
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = u32> + use<'p> {
        self.0.iter().map(|word| u32::from_le_bytes(*word))
    }

    /// Those from here on.
    #[inline]
    pub(crate) fn from(self, at: u32) -> Words<'p> {
        Words(self.0.get(at as usize..).unwrap_or_default())
    }

    /// Those from here on, if there are any.
    #[inline]
    pub(super) fn at_least(self, at: u32) -> Option<Words<'p>> {
        self.0.get(at as usize..).filter(|words| !words.is_empty()).map(Words)
    }

    /// Where the state that begins here leads with a segment, whose key is given where it is short: the same as [`State::next`](super::State::next), for the way of each
    /// request.
    #[inline]
    pub(super) fn step(self, key: u64, segment: &[u8]) -> Option<u32> {
        let (&[_, other, empty, entries], behind) =
            self.0.split_first_chunk::<{ state::WORDS as usize + 1 }>()?;
        let next = if segment.len() <= dictionary::SHORT {
            let entries = entries_of(u32::from_le_bytes(entries), behind, key)?.iter();
            // Key, length and value. A short text is its key and its length.
            let parts = entries.map(|entry| {
                let entry = u128::from_le_bytes(*entry);
                (entry as u64, (entry >> 64) as u32, (entry >> 96) as u32)
            });
            let wanted = (key, segment.len() as u32);
            parts.into_iter().find(|(key, length, _)| (*key, *length) == wanted).map(|(.., value)| value)
        } else {
            self.long_step(segment)
        };
        let otherwise = || u32::from_le_bytes(if segment.is_empty() { empty } else { other });
        Some(next.unwrap_or_else(otherwise)).filter(|next| *next != NONE)
    }

    /// Where the state that begins here leads with a segment that is not its own key.
    #[inline(never)]
    fn long_step(self, segment: &[u8]) -> Option<u32> {
        Dictionary::of(self.from(state::WORDS)).find(Key::of(segment))
    }

    /// Words two by two, from here on.
    pub(super) fn pairs(self, at: u32) -> &'p [[[u8; 4]; 2]] {
        self.0.get(at as usize..).unwrap_or_default().as_chunks().0
    }

    /// The bytes from here on.
    fn bytes(self, at: u32, count: u32) -> Option<&'p [u8]> {
        let words = self.0.get(at as usize..)?;
        words.as_flattened().get(..count as usize)
    }
}

/// Byte strings and what each of them stands for. It may be followed by other things: it begins where it is said to, and ends by itself.
#[derive(Clone, Copy, Default)]
pub struct Dictionary<'p>(Words<'p>);

/// What a dictionary looks a text up by.
#[derive(Clone, Copy)]
pub struct Key<'t> {
    key: u64,
    text: &'t [u8],
}

impl<'t> Key<'t> {
    /// Of a text.
    pub fn of(text: &'t [u8]) -> Key<'t> {
        Key { key: dictionary::key(text), text }
    }

    /// Whether it is the empty text.
    pub(crate) fn is_empty(self) -> bool {
        self.text.is_empty()
    }
}

/// Those of so many entries among which that of a key stands, if there is one; `words` begin behind the number of entries. Sums that are
/// too large, whatever they wrap to, are outside or of another entry, which is compared as any other.
#[inline]
fn entries_of(
    entries: u32,
    words: &[[u8; 4]],
    key: u64,
) -> Option<&[[u8; 4 * dictionary::ENTRY_WORDS as usize]]> {
    const WORDS: usize = dictionary::ENTRY_WORDS as usize;
    let own = if entries <= dictionary::MOST_IN_ONE_BUCKET {
        words.get(..entries as usize * WORDS)?
    } else {
        let buckets = dictionary::buckets(entries);
        let bucket = dictionary::bucket(key, buckets) as usize;
        let (ends, words) = words.split_at_checked(buckets as usize)?;
        let end = |bucket: usize| ends.get(bucket).map(|end| u32::from_le_bytes(*end) as usize);
        let start = bucket.checked_sub(1).map_or(Some(0), end)?;
        words.get(start.wrapping_mul(WORDS)..end(bucket)?.wrapping_mul(WORDS))?
    };
    Some(own.as_flattened().as_chunks().0)
}

/// A text and its value.
#[derive(Clone, Copy)]
pub(crate) struct Entry<'p> {
    pub(crate) key: u64,
    pub(crate) text: &'p [u8],
    /// Where a long text begins, in words; of a short one `None`.
    pub(crate) at: Option<u32>,
    pub(crate) value: u32,
}

impl<'p> Dictionary<'p> {
    pub(crate) fn of(words: Words<'p>) -> Dictionary<'p> {
        Dictionary(words)
    }

    /// How many texts it has.
    pub fn len(self) -> u32 {
        self.0.get(0).unwrap_or_default()
    }

    /// Whether it has none.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The value of a text.
    pub fn get(self, text: &[u8]) -> Option<u32> {
        self.find(Key::of(text))
    }

    /// The value of a text.
    #[inline]
    pub fn find(self, wanted: Key<'_>) -> Option<u32> {
        let (first, words) = self.0.0.split_first()?;
        for entry in entries_of(u32::from_le_bytes(*first), words, wanted.key)? {
            let entry = u128::from_le_bytes(*entry);
            if entry as u64 == wanted.key && self.is((entry >> 64) as u32, wanted.text) {
                return Some((entry >> 96) as u32);
            }
        }
        None
    }

    /// Whether the text of an entry whose key fits is this.
    #[inline]
    fn is(self, word: u32, wanted: &[u8]) -> bool {
        match word & dictionary::LONG {
            0 => word as usize == wanted.len(),
            _ => self.long(word & !dictionary::LONG) == Some(wanted),
        }
    }

    fn long(self, at: u32) -> Option<&'p [u8]> {
        self.0.bytes(at + 1, self.0.get(at)?)
    }

    pub(crate) fn buckets(self) -> u32 {
        dictionary::buckets(self.len())
    }

    /// Where a bucket ends, counted in entries.
    pub(crate) fn bucket_end(self, bucket: u32) -> Option<u32> {
        if self.len() > dictionary::MOST_IN_ONE_BUCKET { self.0.get(1 + bucket) } else { Some(self.len()) }
    }

    /// Where the entries begin, in words.
    pub(crate) fn first_entry(self) -> u32 {
        if self.len() > dictionary::MOST_IN_ONE_BUCKET { 1 + self.buckets() } else { 1 }
    }

    /// How many words it takes: entries, and behind them long texts one after the other.
    pub(crate) fn words(self) -> Option<u32> {
        let mut end = self.len().checked_mul(dictionary::ENTRY_WORDS)?.checked_add(self.first_entry())?;
        for index in 0..self.len() {
            let entry = self.entry(index)?;
            if entry.at.is_some() {
                end = end.checked_add(1 + (entry.text.len() as u32).div_ceil(4))?;
            }
        }
        Some(end)
    }

    /// An entry by its place.
    pub(crate) fn entry(self, index: u32) -> Option<Entry<'p>> {
        let at = self.first_entry().checked_add(index.checked_mul(dictionary::ENTRY_WORDS)?)?;
        let words = self.0.from(at);
        let key = u64::from(words.get(0)?) | u64::from(words.get(1)?) << 32;
        let (word, value) = (words.get(dictionary::TEXT)?, words.get(dictionary::VALUE)?);
        if word & dictionary::LONG != 0 {
            let at = word & !dictionary::LONG;
            return Some(Entry { key, text: self.long(at)?, at: Some(at), value });
        }
        let text = self.0.bytes(at, word).filter(|_| word as usize <= dictionary::SHORT)?;
        Some(Entry { key, text, at: None, value })
    }

    /// All texts and their values, in the order of the entries.
    pub fn iter(self) -> impl Iterator<Item = (&'p [u8], u32)> + use<'p> {
        (0..self.len()).map_while(move |index| self.entry(index)).map(|entry| (entry.text, entry.value))
    }
}
