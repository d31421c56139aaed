//! The one way to write a file: tokens and statements are enough, so broken files are formatted too.
//!
//! INVARIANT: only spaces, newlines, `;` and the order of imported names differ between a text and its formatted text,
//! and every newline that is written stands where [`tree`] reads on or where the statement ended anyway.

mod table;

use std::ops::Range;

use crate::lexer;
use crate::source::{FileId, MAX_FILE_BYTES};
use crate::token::{Token, TokenKind};
use crate::tree::{self, Block, Statement, Tree};

/// Longer lines are broken where the language allows it.
const MAX_WIDTH: usize = 100;

/// Spaces for each block around a statement.
const INDENT: usize = 2;

/// Spaces before the further lines of a statement.
const CONTINUATION: usize = 4;

/// A block with more statements is not written on one line.
const MAX_INLINE_STATEMENTS: usize = 2;

/// The canonical text of a file. Formatting it again changes nothing, and it means the same.
pub fn format(text: &str) -> String {
    if text.len() > MAX_FILE_BYTES {
        return text.into();
    }
    let (mut tokens, _) = lexer::lex(FileId(0), text);
    let (tree, _) = tree::build(FileId(0), text, &tokens);
    sort_imports(text, &tree, &mut tokens);
    let mut printer = Printer { text, tokens: &tokens, out: String::with_capacity(text.len()), depth: 0 };
    printer.statements(0..tokens.len(), &tree.statements);
    printer.end_line();
    printer.out
}

/// Puts the names that a module imports into order, where they are a plain list without comments.
fn sort_imports(text: &str, tree: &Tree, tokens: &mut [Token]) {
    for import in &tree.statements {
        let is_import = tokens.get(import.first as usize).is_some_and(|token| token.text(text) == "import");
        let Some([names]) = import.block.as_deref().map(|block| &*block.statements) else {
            continue;
        };
        if !is_import || names.broken || names.block.is_some() {
            continue;
        }
        let mut places: Vec<usize> =
            names.head().filter(|&at| tokens[at].kind != TokenKind::Newline).collect();
        let is_list = places.iter().enumerate().all(|(index, &at)| {
            tokens[at].kind == if index % 2 == 0 { TokenKind::Word } else { TokenKind::Comma }
        });
        // What would continue the statement or end it must not come to stand at the beginning of a line.
        let plain = places.iter().all(|&at| !tree::continues(tokens[at].text(text)));
        if is_list && plain {
            places.retain(|&at| tokens[at].kind == TokenKind::Word);
            let mut sorted: Vec<Token> = places.iter().map(|&at| tokens[at]).collect();
            sorted.sort_by_key(|token| token.text(text));
            places.iter().zip(sorted).for_each(|(&at, token)| tokens[at] = token);
        }
    }
}

struct Printer<'a> {
    text: &'a str,
    tokens: &'a [Token],
    out: String,
    depth: usize,
}

impl<'a> Printer<'a> {
    fn raw(&self, token: Token) -> &'a str {
        token.text(self.text)
    }

    fn at_line_start(&self) -> bool {
        self.out.is_empty() || self.out.ends_with('\n')
    }

    fn end_line(&mut self) {
        if !self.at_line_start() {
            self.out.push('\n');
        }
    }

    fn indentation(&self) -> usize {
        self.depth * INDENT
    }

    fn indent(&mut self, columns: usize) {
        self.out.extend(std::iter::repeat_n(' ', columns));
    }

    /// The statements of a block and everything between them.
    fn statements(&mut self, range: Range<usize>, statements: &[Statement]) {
        let mut at = range.start;
        let mut first = true;
        let rows = self.tables(statements);
        for (index, statement) in statements.iter().enumerate() {
            let blank = self.gap(at..statement.first as usize, &mut first);
            self.start_line(blank);
            self.indent(self.indentation());
            match rows.get(index).and_then(Option::as_ref) {
                Some(row) => self.out.push_str(row),
                None => self.statement(statement),
            }
            if self.needs_semicolon(statement, statements.get(index + 1)) {
                if self.swallows(statement) {
                    self.end_line();
                    self.indent(self.indentation());
                }
                self.out.push(';');
            }
            at = statement.last();
            first = false;
        }
        self.gap(at..range.end, &mut first);
    }

    fn start_line(&mut self, blank: bool) {
        self.end_line();
        if blank {
            self.out.push('\n');
        }
    }

    /// The comments between statements. Says whether a blank line stands before what follows.
    fn gap(&mut self, range: Range<usize>, first: &mut bool) -> bool {
        // What has been seen since something was written: newlines in a row, two of them, any.
        let (mut newlines, mut blank, mut own_line) = (0, false, self.at_line_start());
        for token in &self.tokens[range] {
            match token.kind {
                TokenKind::Newline => {
                    newlines += 1;
                    blank |= newlines > 1;
                    own_line = true;
                }
                TokenKind::Semicolon => newlines = 0,
                kind if kind.is_comment() => {
                    if own_line {
                        self.start_line(blank && !*first);
                        self.indent(self.indentation());
                        *first = false;
                    } else {
                        self.out.push_str("  ");
                    }
                    self.out.push_str(self.raw(*token).trim_end());
                    (newlines, blank, own_line) = (0, false, false);
                }
                _ => {}
            }
        }
        blank && !*first
    }

    fn statement(&mut self, statement: &Statement) {
        let Some(block) = &statement.block else {
            self.head(statement, "");
            return;
        };
        if block.skipped {
            self.head(statement, " {");
            let open = block.open as usize;
            self.verbatim(self.tokens[open].end(), open + 1..block.end as usize, None);
            return;
        }
        if self.inline(statement, block) {
            return;
        }
        self.head(statement, " {");
        self.depth += 1;
        let inside = block.open as usize + 1..block.close.unwrap_or(block.end) as usize;
        let empty = block.statements.is_empty()
            && !self.tokens[inside.clone()].iter().any(|token| token.kind.is_comment());
        self.statements(inside, &block.statements);
        self.depth -= 1;
        if block.close.is_some() {
            if !empty {
                self.end_line();
                self.indent(self.indentation());
            }
            self.out.push('}');
        }
    }

    /// Writes a short block that already stands on one line as one line, if it fits.
    fn inline(&mut self, statement: &Statement, block: &Block) -> bool {
        let whole = &self.tokens[statement.first as usize..block.end as usize];
        let one_line = !whole.iter().any(|token| token.kind == TokenKind::Newline || token.kind.is_comment());
        let flat = block.statements.iter().all(|inner| inner.block.is_none());
        if !one_line
            || !flat
            || block.close.is_none()
            || block.statements.is_empty()
            || block.statements.len() > MAX_INLINE_STATEMENTS
        {
            return false;
        }
        let inside: Vec<String> =
            block.statements.iter().map(|inner| self.one_line(inner.head(), inner)).collect();
        let head = self.one_line(statement.head(), statement);
        let line = format!("{head}{}{{ {} }}", if head.is_empty() { "" } else { " " }, inside.join("; "));
        let fits = self.indentation() + line.chars().count() <= MAX_WIDTH;
        if fits {
            self.out.push_str(&line);
        }
        fits
    }

    /// Keyword and arguments on one line; they contain no comment and no newline.
    fn one_line(&self, head: Range<usize>, statement: &Statement) -> String {
        if statement.broken {
            let whole = self.tokens[head].first().zip(self.tokens[..statement.end as usize].last());
            return whole.map_or("", |(first, last)| &self.text[first.start()..last.end()]).into();
        }
        let mut line = String::new();
        let mut before = None;
        for token in self.tokens[head].iter().filter(|token| token.kind.is_significant()) {
            if before.is_some_and(|before| self.spaced(before, *token)) {
                line.push(' ');
            }
            line.push_str(self.raw(*token));
            before = Some(*token);
        }
        line
    }

    /// Keyword and arguments, then `tail`: as one line or, where that is too long, as several.
    fn head(&mut self, statement: &Statement, tail: &str) {
        // Comments may stand between the arguments and a brace below them.
        let open = statement.block.as_ref().map_or(statement.end, |block| block.open) as usize;
        let head = statement.head();
        if statement.broken {
            let start = self.tokens.get(head.start).map_or(self.text.len(), |token| token.start());
            self.verbatim(start, head.clone(), Some(self.indentation() + CONTINUATION));
        } else {
            self.arguments(head.clone(), tail.len());
        }
        let mut first = false;
        self.gap(head.end..open, &mut first);
        let commented = self.tokens[head.end..open].iter().any(|token| token.kind.is_comment());
        let own_line = !tail.is_empty() && (commented || self.swallows(statement));
        if own_line {
            self.end_line();
            self.indent(self.indentation());
        }
        self.out.push_str(if own_line || head.is_empty() { tail.trim_start() } else { tail });
    }

    /// Whether keyword and arguments end in a string or regex without end, to which whatever follows on the line would belong.
    fn swallows(&self, statement: &Statement) -> bool {
        let head = statement.head();
        let ends_line = self.tokens.get(head.end).is_none_or(|token| token.kind == TokenKind::Newline);
        let last = self.tokens[head].last();
        let quoted = |text: &str| text.strip_prefix("re").unwrap_or(text).starts_with('"');
        ends_line && last.is_some_and(|token| token.kind == TokenKind::Error && quoted(self.raw(*token)))
    }

    /// Arguments with canonical spaces; `reserved` columns must stay free after them.
    fn arguments(&mut self, head: Range<usize>, reserved: usize) {
        let mut line = Line { column: self.indentation(), segment: String::new(), begins_line: true };
        let mut before: Option<Token> = None;
        let mut newline = false;
        for at in head {
            let token = self.tokens[at];
            if token.kind == TokenKind::Newline {
                newline = true;
            } else if token.kind.is_comment() {
                self.flush(&mut line, 0);
                match newline || before.is_none() {
                    true => self.continue_line(&mut line),
                    false => self.out.push_str("  "),
                }
                self.out.push_str(self.raw(token).trim_end());
                before = None;
            } else if token.kind.is_significant() {
                let after_comma = before.is_some_and(|before| before.kind == TokenKind::Comma);
                let breakable = after_comma || self.continues(token);
                match before {
                    // A comment ended the line.
                    None if newline => self.continue_line(&mut line),
                    Some(_) if breakable => self.flush(&mut line, 0),
                    _ => {}
                }
                if before.is_some_and(|before| self.spaced(before, token)) {
                    line.segment.push(' ');
                }
                line.segment.push_str(self.raw(token));
                (before, newline) = (Some(token), false);
            }
        }
        self.flush(&mut line, reserved);
    }

    /// Writes what cannot be broken: on this line if it fits, else on the next.
    fn flush(&mut self, line: &mut Line, reserved: usize) {
        let segment = std::mem::take(&mut line.segment);
        if segment.is_empty() {
            return;
        }
        let width = segment.chars().count();
        if line.begins_line || line.column + width + reserved <= MAX_WIDTH {
            self.out.push_str(&segment);
            line.column += width;
        } else {
            self.continue_line(line);
            self.out.push_str(segment.trim_start());
            line.column += segment.trim_start().chars().count();
        }
        line.begins_line = false;
    }

    fn continue_line(&mut self, line: &mut Line) {
        let column = self.indentation() + CONTINUATION;
        self.end_line();
        self.indent(column);
        (line.column, line.begins_line) = (column, true);
    }

    fn continues(&self, token: Token) -> bool {
        token.kind == TokenKind::Word && tree::continues(self.raw(token))
    }

    /// Whether a space stands between two tokens.
    fn spaced(&self, before: Token, after: Token) -> bool {
        match (before.kind, after.kind) {
            (_, TokenKind::Comma | TokenKind::CloseParen | TokenKind::Pipe) => false,
            (TokenKind::OpenParen | TokenKind::Pipe, _) => false,
            // A path would take the points as its own, and so would a word that ends in one.
            (TokenKind::Path, TokenKind::DotDot) => true,
            (_, TokenKind::DotDot) => self.raw(before).ends_with('.') && before.kind != TokenKind::DotDot,
            (TokenKind::DotDot, _) => false,
            _ => true,
        }
    }

    /// Tokens as they are and the spaces between them, from this byte on; after a newline this indentation, if one is
    /// given.
    fn verbatim(&mut self, from: usize, range: Range<usize>, indentation: Option<usize>) {
        let mut end = from;
        let mut line_start = false;
        for token in &self.tokens[range] {
            let newline = token.kind == TokenKind::Newline;
            match indentation.filter(|_| line_start) {
                Some(columns) => self.indent(if newline { 0 } else { columns }),
                None => self.out.push_str(&self.text[end..token.start()]),
            }
            self.out.push_str(if newline { "\n" } else { self.raw(*token) });
            (end, line_start) = (token.end(), newline);
        }
    }

    /// Whether the `;` after a statement is more than a newline: it also ends what a newline would not end.
    fn needs_semicolon(&self, statement: &Statement, next: Option<&Statement>) -> bool {
        let Some(next) = next.filter(|_| statement.block.is_none()) else { return false };
        let between = &self.tokens[statement.last()..next.first as usize];
        if !between.iter().any(|token| token.kind == TokenKind::Semicolon) {
            return false;
        }
        let head = &self.tokens[statement.head()];
        let first = self.tokens[next.first as usize];
        head.last().is_some_and(|token| token.kind == TokenKind::Comma)
            || head.iter().any(|token| token.kind == TokenKind::OpenParen)
            || first.kind != TokenKind::Word
            || self.continues(first)
    }
}

/// The line that is being written.
struct Line {
    column: usize,
    /// What has been put together since the last place where the line may be broken.
    segment: String,
    /// Nothing but the indentation has been written.
    begins_line: bool,
}

#[cfg(test)]
mod tests;
