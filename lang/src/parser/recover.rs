//! Walks over the statements of a block so that each of them gives at most one diagnostic.

use super::input::{Lexeme, Parsed, Problem, Tokens};
use super::unknown;
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::lexer::{MAX_DIAGNOSTICS, SHOWN_CHARS};
use crate::signature::{Body, Place, Signature};
use crate::source::FileId;
use crate::span::{Span, Spanned};
use crate::token::{Token, TokenKind};
use crate::tree::Statement;

/// The file that is being read.
pub(super) struct Reader<'a> {
    pub(super) file: FileId,
    text: &'a str,
    tokens: &'a [Token],
    pub(super) diagnostics: Diagnostics,
}

/// A statement whose keyword stands in the table.
pub(super) struct Line<'t> {
    pub(super) signature: &'static Signature,
    /// Keyword and arguments.
    pub(super) span: Span,
    keyword: Span,
    statement: &'t Statement,
}

impl Line<'_> {
    pub(super) fn keyword(&self) -> &'static str {
        self.signature.keyword
    }
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        file: FileId,
        text: &'a str,
        tokens: &'a [Token],
        diagnostics: Diagnostics,
    ) -> Reader<'a> {
        Reader { file, text, tokens, diagnostics }
    }

    pub(super) fn report(&mut self, diagnostic: Diagnostic) {
        if self.diagnostics.len() < MAX_DIAGNOSTICS {
            self.diagnostics.push(diagnostic);
        }
    }

    /// The statements of a block that may stand there; the others are complained of.
    pub(super) fn lines<'t>(&mut self, place: Place, statements: &'t [Statement]) -> Vec<Line<'t>> {
        statements.iter().filter_map(|statement| self.line(place, statement)).collect()
    }

    fn line<'t>(&mut self, place: Place, statement: &'t Statement) -> Option<Line<'t>> {
        let keyword = self.tokens.get(statement.head()).and_then(<[Token]>::first).copied()?;
        let word = keyword.text(self.text);
        let span = keyword.span(self.file);
        let signature = place.statement(word).filter(|_| keyword.kind == TokenKind::Word);
        let Some(signature) = signature else {
            // A head that is broken has been complained of, whatever its first word is.
            if !statement.broken && self.diagnostics.len() < MAX_DIAGNOSTICS {
                self.report(unknown::statement(place, keyword.kind, word, span));
            }
            return None;
        };
        let last = self.tokens.get(statement.end as usize - 1).map_or(span, |token| token.span(self.file));
        Some(Line { signature, span: span.to(last), keyword: span, statement })
    }

    /// Reads the arguments of a statement that has a block.
    pub(super) fn head<T>(
        &mut self,
        line: &Line<'_>,
        parser: impl for<'p> Fn(Tokens<'p>) -> Parsed<'p, T>,
    ) -> Option<T> {
        if line.statement.broken {
            return None;
        }
        let text = self.text;
        let lexemes: Vec<Lexeme<'_>> = self.tokens[line.statement.head()]
            .iter()
            .skip(1)
            .filter(|token| token.kind.is_significant())
            .map(|token| Lexeme { kind: token.kind, text: token.text(text), span: token.span(self.file) })
            .collect();
        let end = Span::new(self.file, line.span.end, line.span.end);
        let problem = match parser(Tokens::new(&lexemes, end)) {
            Ok((rest, value)) => match rest.first() {
                None => return Some(value),
                Some(lexeme) => {
                    Problem::Expected { at: lexeme.span, wanted: vec!["the end of the statement".into()] }
                }
            },
            Err(nom::Err::Error(problem) | nom::Err::Failure(problem)) => problem,
            Err(nom::Err::Incomplete(_)) => Problem::Expected { at: end, wanted: Vec::new() },
        };
        self.report(diagnosis(problem, line, &lexemes));
        None
    }

    /// Reads the arguments of a statement that has no block.
    pub(super) fn leaf<T>(
        &mut self,
        line: &Line<'_>,
        parser: impl for<'p> Fn(Tokens<'p>) -> Parsed<'p, T>,
    ) -> Option<T> {
        let value = self.head(line, parser);
        self.body(line, value.is_some());
        value
    }

    /// The statements of a statement's block, whether or not its head could be read; a block that is missing or too
    /// many is a mistake only if the head gave none.
    pub(super) fn body<'t>(&mut self, line: &Line<'t>, head_read: bool) -> Vec<Line<'t>> {
        match (line.signature.body, &line.statement.block) {
            (Body::None, Some(block)) => {
                if head_read {
                    let brace = self.tokens[block.open as usize].span(self.file);
                    self.report(no_block(line, brace));
                }
                Vec::new()
            }
            (Body::Required(_), None) => {
                if head_read {
                    let end = Span::new(self.file, line.span.end, line.span.end);
                    self.report(misread(line, end, "expected `{`, found the end of the statement".into()));
                }
                Vec::new()
            }
            (Body::Optional(place) | Body::Required(place), Some(block)) => {
                self.lines(place, &block.statements)
            }
            (Body::None | Body::Optional(_), None) => Vec::new(),
        }
    }

    /// Refuses the block of a statement that may have one, but not with these arguments.
    pub(super) fn no_body(&mut self, line: &Line<'_>) {
        if let Some(block) = &line.statement.block {
            let brace = self.tokens[block.open as usize].span(self.file);
            self.report(no_block(line, brace));
        }
    }

    /// Fills what a block may say once.
    pub(super) fn once<T>(
        &mut self,
        slot: &mut Option<Spanned<T>>,
        line: &Line<'_>,
        value: Option<Spanned<T>>,
    ) {
        match (&slot, value) {
            (Some(first), Some(_)) => self.report(written_twice(line, first.span)),
            (None, value @ Some(_)) => *slot = value,
            (_, None) => {}
        }
    }

    /// The text of the `##` lines above a statement.
    pub(super) fn doc(&self, line: &Line<'_>) -> Option<String> {
        let docs =
            self.tokens.get(line.statement.docs())?.iter().filter(|token| token.kind == TokenKind::Doc);
        let lines: Vec<&str> = docs
            .map(|token| {
                let text = token.text(self.text).trim_start_matches('#');
                text.strip_prefix(' ').unwrap_or(text).trim_end()
            })
            .collect();
        (!lines.is_empty()).then(|| lines.join("\n"))
    }
}

/// The second of two statements of which a block has one.
pub(super) fn written_twice(line: &Line<'_>, first: Span) -> Diagnostic {
    Diagnostic::new(Code::DuplicateStatement, format!("`{}` is written twice", line.keyword()))
        .at(line.span, "written again here")
        .at(first, "first written here")
        .help("Keep one of the two.")
}

fn no_block(line: &Line<'_>, brace: Span) -> Diagnostic {
    misread(line, brace, "expected the end of the statement, found `{`".into())
}

fn misread(line: &Line<'_>, at: Span, message: String) -> Diagnostic {
    Diagnostic::new(Code::UnexpectedToken, message)
        .at(at, "")
        .help(format!("The statement is written `{}`.", line.signature.form))
}

fn diagnosis(problem: Problem, line: &Line<'_>, lexemes: &[Lexeme<'_>]) -> Diagnostic {
    let (at, mut wanted) = match problem {
        Problem::Known(diagnostic) => return *diagnostic,
        Problem::Expected { at, wanted } => (at, wanted),
    };
    let found = lexemes.iter().find(|lexeme| lexeme.span == at);
    if let (None, Some(last)) = (found, lexemes.last())
        && last.kind == TokenKind::Comma
    {
        return Diagnostic::new(Code::UnexpectedToken, "trailing comma")
            .at(last.span, "nothing of this list follows")
            .help("Remove the comma, or write what comes after it.");
    }
    if let Some(lexeme) = found.filter(|lexeme| lexeme.kind == TokenKind::Word)
        && unknown::is_not_executed(lexeme.text)
    {
        return unknown::not_executed(lexeme.text, lexeme.span);
    }
    let mut seen = Vec::new();
    wanted.retain(|what| {
        !seen.contains(what) && {
            seen.push(what.clone());
            true
        }
    });
    let wanted = listed(&wanted, "or");
    let found = found.map_or("the end of the statement".into(), |lexeme| format!("`{}`", shown(lexeme.text)));
    // At the end of a statement there is nothing to point at but the keyword's line; the empty span stands after it.
    let at = if lexemes.is_empty() { line.keyword } else { at };
    misread(line, at, format!("expected {wanted}, found {found}"))
}

/// `a`, `a or b`, `a, b or c`.
pub(super) fn listed(what: &[String], conjunction: &str) -> String {
    match what {
        [] => "something else".into(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} {conjunction} {last}", first.join(", ")),
    }
}

/// A user's text as a message quotes it.
pub(super) fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into(),
    }
}
