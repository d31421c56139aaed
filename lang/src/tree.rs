//! Tokens become statements and blocks, by newlines and braces alone. It cannot fail and knows no meaning.
//!
//! The tree refers to tokens by index, so tree and tokens together are the text. Braces that do not balance are
//! recovered here: a keyword of the file level at the start of a line then ends everything that is open.

use std::ops::Range;

use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::lexer::MAX_DIAGNOSTICS;
use crate::signature::Place;
use crate::source::FileId;
use crate::token::{Token, TokenKind};

/// Deeper blocks are not read (`MESH1009`): the language needs four, and what walks the tree may recurse.
pub const MAX_DEPTH: usize = 16;

/// The statements of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    /// Those of the file level, in source order.
    pub statements: Vec<Statement>,
}

/// A keyword, its arguments and perhaps a block, as token indices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The first token of its doc comment; `first` without one.
    pub doc: u32,
    /// The keyword.
    pub first: u32,
    /// One past the last token of keyword and arguments; equals `first` for a block that nothing precedes.
    pub end: u32,
    /// What stands in braces.
    pub block: Option<Box<Block>>,
    /// It contains what no statement can contain, and that has been said: nothing more is to be said of its head.
    pub broken: bool,
}

/// What stands between braces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The opening brace.
    pub open: u32,
    /// The closing brace; `None` where it is missing.
    pub close: Option<u32>,
    /// One past the last token of the block.
    pub end: u32,
    /// What it contains.
    pub statements: Box<[Statement]>,
    /// It is too deep, and nobody looked inside.
    pub skipped: bool,
}

impl Statement {
    /// Keyword and arguments, comments between them included.
    pub fn head(&self) -> Range<usize> {
        self.first as usize..self.end as usize
    }

    /// The tokens from the first to the last of its doc comment.
    pub fn docs(&self) -> Range<usize> {
        self.doc as usize..self.first as usize
    }

    /// One past its last token, block included.
    pub fn last(&self) -> usize {
        self.block.as_ref().map_or(self.end, |block| block.end) as usize
    }
}

/// Where a line begins with one of these words, it continues the statement above.
pub fn continues(word: &str) -> bool {
    matches!(word, "when" | "and" | "except" | "expect")
}

/// Finds the statements of a token sequence that [`crate::lex`] made of `text`.
pub fn build(file: FileId, text: &str, tokens: &[Token]) -> (Tree, Diagnostics) {
    let mut builder = Builder {
        file,
        text,
        tokens,
        balanced: balanced(tokens),
        open: Vec::new(),
        statements: Vec::new(),
        diagnostics: Diagnostics::new(),
    };
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        at = match token.kind {
            TokenKind::CloseBrace => builder.close(at),
            TokenKind::OpenBrace => builder.headless(at),
            kind if kind.is_significant() && kind != TokenKind::Semicolon => builder.statement(at),
            _ => at + 1,
        };
    }
    builder.close_unclosed();
    builder.statements.shrink_to_fit();
    (Tree { statements: builder.statements }, builder.diagnostics)
}

fn balanced(tokens: &[Token]) -> bool {
    let mut depth = 0usize;
    for token in tokens {
        match token.kind {
            TokenKind::OpenBrace => depth += 1,
            TokenKind::CloseBrace if depth == 0 => return false,
            TokenKind::CloseBrace => depth -= 1,
            _ => {}
        }
    }
    depth == 0
}

struct Builder<'a> {
    file: FileId,
    text: &'a str,
    tokens: &'a [Token],
    balanced: bool,
    open: Vec<OpenBlock>,
    /// Of all open blocks, the innermost last: a block's own list is made when it ends, as long as it has to be.
    statements: Vec<Statement>,
    diagnostics: Diagnostics,
}

/// A block whose end has not been seen.
struct OpenBlock {
    statement: Statement,
    brace: usize,
    /// How many statements of the blocks around it stand before its own.
    outer: usize,
    /// `None` below a statement that nobody knows.
    place: Option<Place>,
}

/// What follows a newline.
enum Newline {
    Ends,
    /// The statement goes on at this token.
    Continues(usize),
    /// The statement's block opens at this token, a line too late.
    BlockBelow(usize),
}

impl<'a> Builder<'a> {
    fn kind(&self, at: usize) -> Option<TokenKind> {
        self.tokens.get(at).map(|token| token.kind)
    }

    fn word(&self, at: usize) -> Option<&'a str> {
        self.tokens.get(at).filter(|token| token.kind == TokenKind::Word).map(|token| token.text(self.text))
    }

    fn place(&self) -> Option<Place> {
        self.open.last().map_or(Some(Place::File), |open| open.place)
    }

    fn report(&mut self, code: Code, message: &str, at: usize, label: &str, help: &str) {
        if let Some(token) = self.tokens.get(at).filter(|_| self.diagnostics.len() < MAX_DIAGNOSTICS) {
            let span = token.span(self.file);
            self.diagnostics.push(Diagnostic::new(code, message).at(span, label).help(help));
        }
    }

    fn new_statement(&self, first: usize, end: usize) -> Statement {
        let broken = self.tokens[first..end]
            .iter()
            .any(|token| matches!(token.kind, TokenKind::Error | TokenKind::Invisible));
        Statement {
            doc: self.doc_start(first) as u32,
            first: first as u32,
            end: end as u32,
            block: None,
            broken,
        }
    }

    /// Goes back over the `##` lines directly above a statement.
    fn doc_start(&self, first: usize) -> usize {
        let mut start = first;
        let mut newlines = 0;
        for at in (0..first).rev() {
            match self.tokens[at].kind {
                TokenKind::Newline if newlines == 0 => newlines = 1,
                TokenKind::Doc if newlines == 1 => (start, newlines) = (at, 0),
                // A `;` is no line of its own.
                TokenKind::Semicolon => newlines = 0,
                TokenKind::Invisible => {}
                _ => break,
            }
        }
        start
    }

    /// Reads the statement that begins here and says where to go on.
    fn statement(&mut self, first: usize) -> usize {
        if !self.open.is_empty() && self.restarts(first) {
            self.close_unclosed();
        }
        let (end, brace, next) = self.head(first);
        let statement = self.new_statement(first, end);
        match brace {
            Some(brace) => self.open(statement, brace),
            None => {
                self.statements.push(statement);
                next
            }
        }
    }

    /// Finds the end of keyword and arguments, the brace that opens the block, and where to go on.
    fn head(&mut self, first: usize) -> (usize, Option<usize>, usize) {
        let mut last = first;
        let mut group_end = 0;
        let mut at = first;
        while let Some(kind) = self.kind(at) {
            match kind {
                TokenKind::Semicolon | TokenKind::CloseBrace => break,
                TokenKind::OpenBrace => return (last + 1, Some(at), at),
                TokenKind::Newline if at >= group_end => match self.after_newline(first, last, at) {
                    Newline::Ends => break,
                    Newline::Continues(next) => {
                        at = next;
                        continue;
                    }
                    Newline::BlockBelow(brace) => {
                        self.report(
                            Code::UnexpectedToken,
                            "this block opens on a line of its own",
                            brace,
                            "belongs to the statement above",
                            "Write `{` at the end of the statement's own line.",
                        );
                        return (last + 1, Some(brace), brace);
                    }
                },
                TokenKind::OpenParen if at >= group_end => {
                    group_end = self.group_end(first, at).unwrap_or(group_end);
                }
                _ => {}
            }
            if kind.is_significant() {
                last = at;
            }
            at += 1;
        }
        (last + 1, None, at)
    }

    fn after_newline(&self, first: usize, last: usize, newline: usize) -> Newline {
        let Some(next) = self.next_significant(newline) else { return Newline::Ends };
        if self.kind(next) == Some(TokenKind::OpenBrace) {
            return Newline::BlockBelow(next);
        }
        if self.word(next).is_some_and(continues) {
            return Newline::Continues(next);
        }
        if self.kind(last) != Some(TokenKind::Comma)
            || self.restarts(next)
            || self.is_next_statement(first, next)
        {
            return Newline::Ends;
        }
        match self.kind(next) {
            Some(TokenKind::Semicolon | TokenKind::CloseBrace) => Newline::Ends,
            _ => Newline::Continues(next),
        }
    }

    fn next_significant(&self, from: usize) -> Option<usize> {
        (from..self.tokens.len()).find(|&at| self.tokens[at].kind.is_significant())
    }

    /// Whether the comma before was one too many: a statement of this block follows, as far to the left.
    fn is_next_statement(&self, first: usize, next: usize) -> bool {
        let known =
            self.word(next).zip(self.place()).is_some_and(|(word, place)| place.statement(word).is_some());
        let line = |at: usize| self.text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        let next = self.tokens[next].start();
        known && self.stands_at_column(first, next - line(next))
    }

    /// Looks back no further than the column, so that long lines do not cost more than their length.
    fn stands_at_column(&self, at: usize, column: usize) -> bool {
        let start = self.tokens[at].start();
        let before = &self.text.as_bytes()[..start];
        let (above, line) = before.split_at(start.saturating_sub(column));
        line.len() == column && !line.contains(&b'\n') && above.last().is_none_or(|&byte| byte == b'\n')
    }

    /// Where braces do not balance, the file level begins again at its keywords at the start of a line.
    fn restarts(&self, at: usize) -> bool {
        !self.balanced
            && self.starts_line(at)
            && self.word(at).is_some_and(|word| Place::File.statement(word).is_some())
    }

    /// Whether nothing, not even a space, stands between the start of the line and a token.
    fn starts_line(&self, at: usize) -> bool {
        let start = self.tokens[at].start();
        match at.checked_sub(1).and_then(|before| self.tokens.get(before)) {
            None => start == 0,
            Some(before) => {
                let line = matches!(before.kind, TokenKind::Newline | TokenKind::ByteOrderMark);
                line && before.end() == start
            }
        }
    }

    /// The parenthesis that closes the one at `open`. What only an unfinished statement has between them ends the
    /// search, so that a forgotten one does not swallow the lines below.
    fn group_end(&self, first: usize, open: usize) -> Option<usize> {
        let mut last = open;
        let mut at = open + 1;
        while let Some(kind) = self.kind(at) {
            match kind {
                TokenKind::CloseParen => return Some(at),
                TokenKind::OpenParen
                | TokenKind::OpenBrace
                | TokenKind::CloseBrace
                | TokenKind::Semicolon
                | TokenKind::Error => return None,
                TokenKind::Newline => {
                    let next = self.next_significant(at)?;
                    let ends = matches!(self.after_newline(first, last, at), Newline::Ends);
                    if ends && self.word(next).is_some() {
                        return None;
                    }
                    at = next;
                    continue;
                }
                _ => {}
            }
            if kind.is_significant() {
                last = at;
            }
            at += 1;
        }
        None
    }

    /// A block without a statement in front of it.
    fn headless(&mut self, brace: usize) -> usize {
        self.report(
            Code::UnexpectedToken,
            "expected a statement, found `{`",
            brace,
            "",
            "Write `{` after the keyword and the arguments it belongs to.",
        );
        let statement = Statement { broken: true, ..self.new_statement(brace, brace) };
        self.open(statement, brace)
    }

    fn open(&mut self, mut statement: Statement, brace: usize) -> usize {
        if self.open.len() >= MAX_DEPTH {
            self.report(
                Code::TooDeep,
                &format!("blocks are nested more than {MAX_DEPTH} deep"),
                brace,
                "",
                "No statement needs so many blocks; this one is not read.",
            );
            let (end, close) = self.skip(brace);
            statement.block = Some(Box::new(Block {
                open: brace as u32,
                close: close.map(|close| close as u32),
                end: end as u32,
                statements: Box::default(),
                skipped: true,
            }));
            self.statements.push(statement);
            return end;
        }
        let place = self.word(statement.first as usize).zip(self.place());
        let place =
            place.and_then(|(word, place)| place.statement(word)).and_then(|known| known.body.place());
        self.open.push(OpenBlock { statement, brace, outer: self.statements.len(), place });
        brace + 1
    }

    /// The end of a block that is not read, and its closing brace.
    fn skip(&self, brace: usize) -> (usize, Option<usize>) {
        let mut depth = 0usize;
        let mut end = brace;
        for at in brace..self.tokens.len() {
            match self.tokens[at].kind {
                TokenKind::OpenBrace => depth += 1,
                TokenKind::CloseBrace if depth == 1 => return (at + 1, Some(at)),
                TokenKind::CloseBrace => depth -= 1,
                _ if self.restarts(at) => break,
                _ => {}
            }
            if self.tokens[at].kind.is_significant() || self.tokens[at].kind.is_comment() {
                end = at + 1;
            }
        }
        (end, None)
    }

    fn close(&mut self, brace: usize) -> usize {
        match self.open.pop() {
            Some(open) => self.finish(open, Some(brace)),
            None => {
                self.report(
                    Code::UnbalancedBrace,
                    "this `}` closes nothing",
                    brace,
                    "no block is open here",
                    "Remove it, or write the `{` that it belongs to.",
                );
                let mut statement = self.new_statement(brace, brace + 1);
                statement.broken = true;
                self.statements.push(statement);
            }
        }
        brace + 1
    }

    fn finish(&mut self, open: OpenBlock, close: Option<usize>) {
        let statements: Box<[Statement]> = self.statements.drain(open.outer..).collect();
        // Comments after the last statement of a block without end belong to what follows.
        let unclosed_end = || statements.last().map_or(open.brace + 1, Statement::last);
        let end = close.map_or_else(unclosed_end, |close| close + 1);
        let mut statement = open.statement;
        statement.block = Some(Box::new(Block {
            open: open.brace as u32,
            close: close.map(|close| close as u32),
            end: end as u32,
            statements,
            skipped: false,
        }));
        self.statements.push(statement);
    }

    /// Ends all open blocks, with one complaint: about the innermost, the others are related.
    fn close_unclosed(&mut self) {
        let mut complaint = Diagnostic::new(Code::UnbalancedBrace, "this `{` is never closed");
        if self.open.is_empty() {
            return;
        }
        while let Some(open) = self.open.pop() {
            let label = if complaint.labels.is_empty() { "opens a block" } else { "still open as well" };
            complaint = complaint.at(self.tokens[open.brace].span(self.file), label);
            self.finish(open, None);
        }
        if self.diagnostics.len() < MAX_DIAGNOSTICS {
            self.diagnostics.push(complaint.help("Write `}` where the block ends."));
        }
    }
}
