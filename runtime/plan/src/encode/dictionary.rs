//! A dictionary as words.

use crate::layout::dictionary::{self, ENTRY_WORDS, LONG, MOST_IN_ONE_BUCKET, SHORT};

/// How many words texts take as a dictionary.
pub(super) fn length<'t>(texts: impl ExactSizeIterator<Item = &'t [u8]>) -> u32 {
    let entries = texts.len() as u32;
    first_entry(entries) + entries * ENTRY_WORDS + texts.map(words_of_long).sum::<u32>()
}

fn first_entry(entries: u32) -> u32 {
    1 + if entries > MOST_IN_ONE_BUCKET { dictionary::buckets(entries) } else { 0 }
}

/// The words behind the entries: a long text's length, and its bytes.
fn words_of_long(text: &[u8]) -> u32 {
    if text.len() > SHORT { 1 + (text.len() as u32).div_ceil(4) } else { 0 }
}

/// The words of a dictionary.
pub(super) fn words<'t>(texts: impl ExactSizeIterator<Item = (&'t [u8], u32)>) -> Vec<u32> {
    let count = texts.len() as u32;
    let buckets = dictionary::buckets(count);
    let mut entries: Vec<(u32, &[u8], u64, u32)> = texts
        .map(|(text, value)| {
            let key = dictionary::key(text);
            (dictionary::bucket(key, buckets), text, key, value)
        })
        .collect();
    entries.sort_unstable();
    let mut words = Vec::with_capacity(length(entries.iter().map(|(_, text, ..)| *text)) as usize);
    words.push(count);
    if count > MOST_IN_ONE_BUCKET {
        let ends = (0..buckets).map(|bucket| entries.partition_point(|(own, ..)| *own <= bucket) as u32);
        words.extend(ends);
    }
    let mut long = first_entry(count) + count * ENTRY_WORDS;
    for (_, text, key, value) in &entries {
        let place = if text.len() > SHORT { LONG | long } else { text.len() as u32 };
        words.extend([*key as u32, (key >> 32) as u32, place, *value]);
        long += words_of_long(text);
    }
    for (_, text, ..) in entries.iter().filter(|(_, text, ..)| text.len() > SHORT) {
        words.push(text.len() as u32);
        let (whole, rest) = text.as_chunks::<4>();
        words.extend(whole.iter().map(|word| u32::from_le_bytes(*word)));
        if !rest.is_empty() {
            words.push(rest.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte)));
        }
    }
    words
}
