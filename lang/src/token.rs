//! What the lexer cuts a text into. Every byte but spaces and tabs belongs to exactly one token, and nothing but spaces
//! and tabs stands between two: the tokens in their places are the text.

use std::ops::Range;

use crate::source::FileId;
use crate::span::Span;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TokenKind {
    /// `\n`, also with carriage returns before it.
    Newline,
    /// The byte order mark at the very beginning.
    ByteOrderMark,
    /// Control, bidirectional and zero-width characters outside strings and comments: refused with `MESH1003`.
    Invisible,
    /// `# …` to the end of the line.
    Comment,
    /// `## …` on a line of its own.
    Doc,
    /// `reviews.shop:v2`
    Word,
    /// `250ms`, `33.33%`, `8080`
    Quantity,
    /// `"…"`
    String,
    /// `re"v[12]"`
    Regex,
    /// `/reviews/{id}`, `/books/{id}.json`
    Path,
    /// `$canary`
    Param,
    OpenBrace,
    CloseBrace,
    Comma,
    Semicolon,
    Pipe,
    OpenParen,
    CloseParen,
    Equals,
    NotEquals,
    Arrow,
    DotDot,
    /// What no statement can contain: a stray character, a string without end. The lexer has complained.
    Error,
}

impl TokenKind {
    /// Whether a statement is made of it; the others stand between and beside.
    pub fn is_significant(self) -> bool {
        !matches!(
            self,
            TokenKind::Newline
                | TokenKind::ByteOrderMark
                | TokenKind::Invisible
                | TokenKind::Comment
                | TokenKind::Doc
        )
    }

    /// Whether it is a remark for the reader.
    pub fn is_comment(self) -> bool {
        matches!(self, TokenKind::Comment | TokenKind::Doc)
    }
}

/// A piece of text and its kind.
///
/// Eight bytes: spaces are the gaps between tokens and the length has 24 bits, because tokens are most of what a parsed
/// file weighs. [`MAX_FILE_BYTES`](crate::source::MAX_FILE_BYTES) keeps every length below that.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// How many bytes, little end first.
    len: [u8; 3],
    start: u32,
}

const _: () = assert!(size_of::<Token>() == 8 && crate::source::MAX_FILE_BYTES < 1 << 24);

impl Token {
    /// What covers these bytes of a file that is not too large.
    pub(crate) fn new(kind: TokenKind, start: usize, end: usize) -> Token {
        let [a, b, c, _] = (end.saturating_sub(start) as u32).to_le_bytes();
        Token { kind, len: [a, b, c], start: start as u32 }
    }

    /// The first byte.
    pub fn start(self) -> usize {
        self.start as usize
    }

    /// One past the last byte.
    pub fn end(self) -> usize {
        let [a, b, c] = self.len;
        self.start as usize + u32::from_le_bytes([a, b, c, 0]) as usize
    }

    /// The bytes it covers.
    pub fn range(self) -> Range<usize> {
        self.start()..self.end()
    }

    /// Its part of the text it was cut from.
    pub fn text(self, text: &str) -> &str {
        text.get(self.range()).unwrap_or_default()
    }

    /// Where it stands.
    pub fn span(self, file: FileId) -> Span {
        Span::new(file, self.start, self.end() as u32)
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} {:?}", self.kind, self.range())
    }
}
