//! Where the protocol means: lines and columns, counted in the units that client and server agreed on.

use gen_lsp_types::{Position, PositionEncodingKind, Range};

/// What a column counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Utf8,
    Utf16,
}

impl Encoding {
    /// UTF-8 where the client can count so: then nothing is to be counted here.
    pub(crate) fn negotiated(offered: Option<&[PositionEncodingKind]>) -> Encoding {
        match offered.is_some_and(|offered| offered.contains(&PositionEncodingKind::UTF8)) {
            true => Encoding::Utf8,
            false => Encoding::Utf16,
        }
    }

    pub(crate) fn kind(self) -> PositionEncodingKind {
        match self {
            Encoding::Utf8 => PositionEncodingKind::UTF8,
            Encoding::Utf16 => PositionEncodingKind::UTF16,
        }
    }

    fn width(self, text: &str) -> usize {
        match self {
            Encoding::Utf8 => text.len(),
            // Most lines are ASCII, which is as wide in either unit.
            Encoding::Utf16 if text.is_ascii() => text.len(),
            Encoding::Utf16 => text.chars().map(char::len_utf16).sum(),
        }
    }
}

/// Where the lines of a text begin.
#[derive(Clone, Debug)]
pub(crate) struct Lines {
    starts: Vec<u32>,
}

impl Lines {
    /// Time: linear in the text.
    pub(crate) fn of(text: &str) -> Lines {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at as u32 + 1);
        Lines { starts: std::iter::once(0).chain(ends).collect() }
    }

    /// The position of a byte of `text`, from which these lines were made.
    pub(crate) fn position(&self, text: &str, offset: u32, encoding: Encoding) -> Position {
        let offset = floor(text, offset as usize);
        let line = self.starts.partition_point(|start| *start as usize <= offset).saturating_sub(1);
        let start = self.starts.get(line).map_or(0, |start| *start as usize);
        let column = encoding.width(text.get(start..offset).unwrap_or_default());
        Position { line: line as u32, character: column as u32 }
    }

    pub(crate) fn range(&self, text: &str, range: std::ops::Range<u32>, encoding: Encoding) -> Range {
        Range {
            start: self.position(text, range.start, encoding),
            end: self.position(text, range.end, encoding),
        }
    }

    /// The byte at a position; behind the end of its line that end, behind the last line the end of the text.
    pub(crate) fn offset(&self, text: &str, position: Position, encoding: Encoding) -> u32 {
        let Some(start) = self.starts.get(position.line as usize).map(|start| *start as usize) else {
            return text.len() as u32;
        };
        let end = self.starts.get(position.line as usize + 1).map_or(text.len(), |end| *end as usize);
        let line = text.get(start..end).unwrap_or_default();
        let line = line.trim_end_matches('\n').trim_end_matches('\r');
        let wanted = position.character as usize;
        let inside = match encoding {
            Encoding::Utf8 => floor(line, wanted),
            Encoding::Utf16 => {
                let mut column = 0;
                let behind = line.char_indices().find(|(_, c)| {
                    let here = column;
                    column += c.len_utf16();
                    // A position in the middle of a pair is the character's.
                    here >= wanted || column > wanted
                });
                behind.map_or(line.len(), |(at, _)| at)
            }
        };
        (start + inside) as u32
    }
}

/// The nearest boundary of a `char` at or before a byte.
fn floor(text: &str, offset: usize) -> usize {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "a\nüb𝄞c\r\n\nlast";

    #[test]
    fn positions_and_bytes_are_the_same_places() {
        let lines = Lines::of(TEXT);
        for encoding in [Encoding::Utf8, Encoding::Utf16] {
            for (offset, c) in TEXT.char_indices().filter(|(_, c)| *c != '\n') {
                let position = lines.position(TEXT, offset as u32, encoding);
                assert_eq!(lines.offset(TEXT, position, encoding), offset as u32, "{c:?} in {encoding:?}");
            }
        }
    }

    #[test]
    fn columns_count_what_was_agreed_on() {
        let lines = Lines::of(TEXT);
        let c = TEXT.find('c').unwrap() as u32;
        assert_eq!(lines.position(TEXT, c, Encoding::Utf16), Position { line: 1, character: 4 });
        assert_eq!(lines.position(TEXT, c, Encoding::Utf8), Position { line: 1, character: 7 });
    }

    #[test]
    fn positions_that_are_not_there_are_the_nearest_ones() {
        let lines = Lines::of(TEXT);
        let at = |line, character| Position { line, character };
        assert_eq!(lines.offset(TEXT, at(0, 99), Encoding::Utf16), 1, "behind a line");
        assert_eq!(lines.offset(TEXT, at(99, 0), Encoding::Utf16), TEXT.len() as u32, "behind the text");
        let clef = TEXT.find('𝄞').unwrap() as u32;
        assert_eq!(lines.offset(TEXT, at(1, 3), Encoding::Utf16), clef, "inside of a pair");
        assert_eq!(lines.offset(TEXT, at(1, 1), Encoding::Utf8), 2, "inside of a character");
        assert_eq!(lines.offset(TEXT, at(1, 99), Encoding::Utf8), 2 + "üb𝄞c".len() as u32, "before CRLF");
    }
}
