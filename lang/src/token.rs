//! What the lexer cuts a text into: every byte belongs to exactly one token, so the tokens together are the text.

use std::ops::Range;

use crate::source::FileId;
use crate::span::Span;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TokenKind {
    /// Spaces and tabs.
    Space,
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
    /// `/reviews/{id}`
    Path,
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
            TokenKind::Space
                | TokenKind::Newline
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// The first byte.
    pub start: u32,
    /// How many bytes.
    pub len: u32,
}

impl Token {
    /// The bytes it covers.
    pub fn range(self) -> Range<usize> {
        self.start as usize..(self.start + self.len) as usize
    }

    /// Its part of the text it was cut from.
    pub fn text(self, text: &str) -> &str {
        text.get(self.range()).unwrap_or_default()
    }

    /// Where it stands.
    pub fn span(self, file: FileId) -> Span {
        Span::new(file, self.start, self.start + self.len)
    }
}
