//! Line and column of an offset without reading the text up to it: thousands of mistakes in one file stay cheap to show.

/// Bytes between two places whose character number is kept: all that is ever counted for one column.
const STRIDE: usize = 1024;

/// Where the lines of one text begin. Offsets are 32 bits, as in spans.
#[derive(Clone, Debug)]
pub(super) struct Lines {
    /// Offset of the first byte of each line; the first is 0.
    starts: Vec<u32>,
    /// How many characters begin before each multiple of [`STRIDE`].
    characters: Vec<u32>,
}

impl Lines {
    pub(super) fn of(text: &str) -> Lines {
        let after_newlines = text.match_indices('\n').map(|(at, _)| at as u32 + 1);
        let mut characters = vec![0];
        let mut so_far = 0;
        for block in text.as_bytes().chunks_exact(STRIDE) {
            so_far += beginnings(block);
            characters.push(so_far);
        }
        Lines { starts: std::iter::once(0).chain(after_newlines).collect(), characters }
    }

    /// Line and column of an offset, both from 1. `text` is the one that `self` is of; what is not between two of its
    /// characters counts as its end.
    pub(super) fn place(&self, text: &str, offset: usize) -> (usize, usize) {
        let offset = if text.is_char_boundary(offset) { offset } else { text.len() };
        let line = self.starts.partition_point(|&start| start as usize <= offset);
        let start = self.starts.get(line.saturating_sub(1)).map_or(0, |&start| start as usize);
        (line, self.characters_before(text, offset) - self.characters_before(text, start) + 1)
    }

    fn characters_before(&self, text: &str, offset: usize) -> usize {
        let block = offset / STRIDE;
        let before = self.characters.get(block).copied().unwrap_or_default();
        let rest = text.as_bytes().get(block * STRIDE..offset).unwrap_or_default();
        (before + beginnings(rest)) as usize
    }
}

/// How many characters begin in a piece of UTF-8: all its bytes but continuations.
fn beginnings(bytes: &[u8]) -> u32 {
    bytes.iter().filter(|&&byte| byte & 0b1100_0000 != 0b1000_0000).count() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the words mean: the text up to the offset, read from its beginning.
    fn counted(text: &str, offset: usize) -> (usize, usize) {
        let before = text.get(..offset).unwrap_or(text);
        let last = before.rsplit('\n').next().unwrap_or_default();
        (before.matches('\n').count() + 1, last.chars().count() + 1)
    }

    #[track_caller]
    fn check(text: &str) {
        let lines = Lines::of(text);
        for offset in 0..text.len() + 3 {
            assert_eq!(lines.place(text, offset), counted(text, offset), "{offset} of {text:?}");
        }
    }

    #[test]
    fn every_offset_has_the_line_and_column_that_counting_gives() {
        for text in ["", "\n", "a", "a\n", "\n\na\nb", "a\r\nb\r\n", "\u{feff}é\n\u{1F600}x\r\n\r\né"] {
            check(text);
        }
    }

    #[test]
    fn long_lines_and_long_files_are_counted_alike() {
        check(&"é\u{1F600}x".repeat(STRIDE));
        check(&"x".repeat(3 * STRIDE));
        check(&"service é { }\r\n".repeat(STRIDE / 4));
    }

    #[test]
    fn the_last_place_of_a_text_is_one_past_its_last_character() {
        let place = |text: &str| Lines::of(text).place(text, text.len());
        assert_eq!(place(""), (1, 1));
        assert_eq!(place("é"), (1, 2));
        assert_eq!(place("a\r\nb"), (2, 2));
        assert_eq!(place("a\r\n"), (2, 1));
    }
}
