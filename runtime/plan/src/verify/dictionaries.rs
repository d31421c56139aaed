//! Dictionaries: each text is once in its own bucket, and nothing is in between.

use super::{PlanError, ensure};
use crate::layout::dictionary;
use crate::view::{Dictionary, Words};

/// Proves a dictionary at the beginning of these words, and says how many it takes. `each` is shown the texts and their values.
pub(super) fn check<'p>(
    words: Words<'p>,
    mut each: impl FnMut(&'p [u8], u32) -> Result<(), PlanError>,
) -> Result<u32, PlanError> {
    let own = Dictionary::of(words);
    let entries = words.get(0).ok_or(CUT)?;
    let behind = u64::from(entries) * u64::from(dictionary::ENTRY_WORDS) + u64::from(own.first_entry());
    ensure(behind <= u64::from(words.len()), CUT_SHORT)?;
    let mut end = behind as u32;
    let buckets = own.buckets();
    let mut start = 0;
    for bucket in 0..buckets {
        let bucket_end = own.bucket_end(bucket).ok_or(CUT)?;
        ensure((start..=entries).contains(&bucket_end), "a bucket of a dictionary is out of it")?;
        let mut last: Option<&[u8]> = None;
        for index in start..bucket_end {
            let entry = own.entry(index).ok_or(CUT)?;
            if let Some(at) = entry.at {
                ensure(at == end && entry.text.len() > dictionary::SHORT, "a text is not where it belongs")?;
                let length = (entry.text.len() as u32).div_ceil(4);
                ensure(is_padded(words, at + length, entry.text.len()), "a text ends badly")?;
                end = at + 1 + length;
            }
            ensure(entry.key == dictionary::key(entry.text), "a text has the key of another")?;
            ensure(dictionary::bucket(entry.key, buckets) == bucket, "a text is in the bucket of others")?;
            ensure(last.is_none_or(|last| last < entry.text), "a dictionary is not sorted")?;
            last = Some(entry.text);
            each(entry.text, entry.value)?;
        }
        start = bucket_end;
    }
    ensure(start == entries, "a bucket of a dictionary is out of it")?;
    Ok(end)
}

const CUT_SHORT: &str = "a dictionary is cut short";
const CUT: PlanError = PlanError::Corrupt { what: CUT_SHORT };

/// Whether the last word of a text of so many bytes has zeros behind it.
fn is_padded(words: Words<'_>, last: u32, length: usize) -> bool {
    let used = 8 * (length as u32 % 4);
    words.get(last).is_some_and(|word| used == 0 || word >> used == 0)
}
