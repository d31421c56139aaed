//! Walks over the statements of a block so that each of them gives at most one diagnostic.

use super::input::{Lexeme, Parsed, Problem, Tokens, Wanted, list};
use super::name::name;
use super::unknown;
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::lexer::{MAX_DIAGNOSTICS, SHOWN_CHARS};
use crate::signature::{Body, Place, Signature, Times};
use crate::source::FileId;
use crate::span::{Name, Span};
use crate::statement::{Args, Doc, Statement, Waiting};
use crate::token::{Token, TokenKind};
use crate::tree;

/// The file that is being read.
pub(super) struct Reader<'a> {
    pub(super) file: FileId,
    text: &'a str,
    tokens: &'a [Token],
    pub(super) diagnostics: Diagnostics,
    /// The arguments at hand: one buffer for all statements.
    lexemes: Vec<Lexeme<'a>>,
    /// What the open blocks have that each may have once, and where it stands.
    once: Vec<(&'static str, Span)>,
}

/// A statement whose keyword stands in the table, on its way to become one.
struct Line<'t> {
    signature: &'static Signature,
    /// Keyword and arguments.
    span: Span,
    keyword: Span,
    statement: &'t tree::Statement,
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        file: FileId,
        text: &'a str,
        tokens: &'a [Token],
        diagnostics: Diagnostics,
    ) -> Reader<'a> {
        Reader { file, text, tokens, diagnostics, lexemes: Vec::new(), once: Vec::new() }
    }

    fn report(&mut self, diagnostic: Diagnostic) {
        if self.diagnostics.len() < MAX_DIAGNOSTICS {
            self.diagnostics.push(diagnostic);
        }
    }

    /// The statements of a block that may stand there and could be read; the others are complained of.
    pub(super) fn block(&mut self, place: Place, statements: &[tree::Statement]) -> Vec<Statement> {
        let outer = self.once.len();
        let mut read = Vec::with_capacity(statements.len());
        for statement in statements {
            let Some(line) = self.line(place, statement) else { continue };
            let Some((args, block)) = self.parts(&line) else { continue };
            let Line { signature, span, .. } = line;
            match self.before(outer, signature, span) {
                // Made where it stays: to move each statement there takes longer than to read its keyword.
                None => read.push(Statement { signature, span, doc: self.doc(&line), args, block }),
                Some(before) => self.report(again(signature, span, before)),
            }
        }
        self.once.truncate(outer);
        read
    }

    /// Where the one before this stands, if the block may have only one; those of the blocks around it are `outer`.
    fn before(&mut self, outer: usize, signature: &Signature, span: Span) -> Option<Span> {
        let group = match signature.times {
            Times::Once => signature.keyword,
            Times::OneOf(group) => group,
            Times::Many | Times::ManyReplaced => return None,
        };
        let before = self.once[outer..].iter().find(|(known, _)| *known == group).map(|(_, span)| *span);
        if before.is_none() {
            self.once.push((group, span));
        }
        before
    }

    fn line<'t>(&mut self, place: Place, statement: &'t tree::Statement) -> Option<Line<'t>> {
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

    /// The arguments and the block of a statement.
    fn parts(&mut self, line: &Line<'_>) -> Option<(Args, Box<[Statement]>)> {
        let args = self.arguments(line);
        let read = args.is_some();
        if let (Some(Args::Retry(None)), Some(block)) = (&args, &line.statement.block) {
            let brace = self.tokens[block.open as usize].span(self.file);
            self.report(no_block(line, brace));
            return None;
        }
        let (block, names) = self.body(line, read);
        let args = match (args?, names) {
            (Args::Import(import), Some(names)) => Args::Import(Box::new((import.0, names))),
            (args, _) => args,
        };
        Some((args, block.into()))
    }

    /// Reads the arguments of a statement. Those that name a parameter wait for its value.
    fn arguments(&mut self, line: &Line<'_>) -> Option<Args> {
        if line.statement.broken {
            return None;
        }
        let (text, file) = (self.text, self.file);
        self.lexemes.clear();
        let arguments = self.tokens[line.statement.head()].iter().skip(1);
        let significant = arguments.filter(|token| token.kind.is_significant());
        let mut waits = false;
        for token in significant {
            waits |= token.kind == TokenKind::Param;
            let (text, span) = (token.text(text), token.span(file));
            self.lexemes.push(Lexeme { kind: token.kind, text, span, substituted: false });
        }
        if waits {
            let waiting = self.lexemes.iter().map(|lexeme| Waiting {
                kind: lexeme.kind,
                text: lexeme.text.into(),
                span: lexeme.span,
            });
            return Some(Args::Waiting(waiting.collect()));
        }
        match read(line.signature, &self.lexemes, line.keyword, line.span) {
            Ok(args) => Some(args),
            Err(diagnostic) => {
                self.report(*diagnostic);
                None
            }
        }
    }

    /// The statements or names of a statement's block, whether or not its head could be read; a block that is missing or too
    /// many is a mistake only if the head gave none.
    fn body(&mut self, line: &Line<'_>, head_read: bool) -> (Vec<Statement>, Option<Vec<Name>>) {
        match (line.signature.body, &line.statement.block) {
            (Body::None, Some(block)) => {
                if head_read {
                    let brace = self.tokens[block.open as usize].span(self.file);
                    self.report(no_block(line, brace));
                }
                (Vec::new(), None)
            }
            (Body::Required(_) | Body::Names, None) => {
                if head_read {
                    let end = Span::new(self.file, line.span.end(), line.span.end());
                    let message = "expected `{`, found the end of the statement".into();
                    self.report(misread(line.signature, end, message));
                }
                (Vec::new(), None)
            }
            (Body::Optional(place) | Body::Required(place), Some(block)) => {
                (self.block(place, &block.statements), None)
            }
            (Body::Names, Some(block)) => (Vec::new(), Some(self.names(line, &block.statements))),
            (Body::None | Body::Optional(_), None) => (Vec::new(), None),
        }
    }

    /// A block that holds names with commas between.
    fn names(&mut self, line: &Line<'_>, statements: &[tree::Statement]) -> Vec<Name> {
        let mut names = Vec::new();
        for statement in statements.iter().filter(|statement| !statement.broken) {
            let significant =
                self.tokens[statement.head()].iter().filter(|token| token.kind.is_significant());
            let lexemes: Vec<Lexeme<'_>> = significant
                .map(|token| Lexeme {
                    kind: token.kind,
                    text: token.text(self.text),
                    span: token.span(self.file),
                    substituted: false,
                })
                .collect();
            let end = lexemes.last().map_or(line.span, |last| last.span.after());
            match parsed(|input| list(name)(input), line.signature, &lexemes, end, end) {
                Ok(read) => names.extend(read),
                Err(diagnostic) => self.report(*diagnostic),
            }
        }
        names
    }

    /// The text of the `##` lines above a statement.
    fn doc(&self, line: &Line<'_>) -> Option<Box<Doc>> {
        if line.statement.doc == line.statement.first {
            return None;
        }
        let docs =
            self.tokens.get(line.statement.docs())?.iter().filter(|token| token.kind == TokenKind::Doc);
        let lines: Vec<&str> = docs
            .map(|token| {
                let text = token.text(self.text).trim_start_matches('#');
                text.strip_prefix(' ').unwrap_or(text).trim_end()
            })
            .collect();
        (!lines.is_empty()).then(|| Box::new(Doc { text: lines.join("\n").into() }))
    }
}

/// Reads the arguments of a row.
pub(crate) fn read(
    signature: &'static Signature,
    lexemes: &[Lexeme<'_>],
    keyword: Span,
    span: Span,
) -> Result<Args, Box<Diagnostic>> {
    parsed(signature.read, signature, lexemes, keyword, span)
}

fn parsed<T>(
    parser: impl for<'p> Fn(Tokens<'p>) -> Parsed<'p, T>,
    signature: &'static Signature,
    lexemes: &[Lexeme<'_>],
    keyword: Span,
    statement: Span,
) -> Result<T, Box<Diagnostic>> {
    let problem = match parser(Tokens::new(lexemes, statement)) {
        Ok((rest, value)) => match rest.first() {
            None => return Ok(value),
            Some(lexeme) => {
                Problem::Expected { at: lexeme.span, wanted: Wanted::Text("the end of the statement") }
            }
        },
        Err(nom::Err::Error(problem) | nom::Err::Failure(problem)) => problem,
        Err(nom::Err::Incomplete(_)) => Problem::Expected { at: statement.after(), wanted: Wanted::Nothing },
    };
    Err(Box::new(diagnosis(problem, signature, keyword, lexemes)))
}

/// The second of two statements of which a block has one.
fn again(signature: &Signature, span: Span, first: Span) -> Diagnostic {
    let (message, label, help) = match signature.times {
        Times::OneOf("action") => (
            "a rule does one thing, and this one already has an action".into(),
            "a second action",
            "Keep one of the two; several backends stand in one `to`, with their shares.",
        ),
        _ => (
            format!("`{}` is written twice", signature.keyword),
            "written again here",
            "Keep one of the two.",
        ),
    };
    Diagnostic::new(Code::DuplicateStatement, message)
        .at(span, label)
        .at(first, "first written here")
        .help(help)
}

fn no_block(line: &Line<'_>, brace: Span) -> Diagnostic {
    misread(line.signature, brace, "expected the end of the statement, found `{`".into())
}

fn misread(signature: &'static Signature, at: Span, message: String) -> Diagnostic {
    Diagnostic::new(Code::UnexpectedToken, message)
        .at(at, "")
        .help(format!("The statement is written `{}`.", signature.form))
}

fn diagnosis(
    problem: Problem,
    signature: &'static Signature,
    keyword: Span,
    lexemes: &[Lexeme<'_>],
) -> Diagnostic {
    let (at, wanted) = match problem {
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
    let mut seen = Vec::new();
    let mut wanted = wanted.in_words();
    wanted.retain(|what| {
        !seen.contains(what) && {
            seen.push(what.clone());
            true
        }
    });
    let wanted = listed(&wanted, "or");
    let found = found.map_or("the end of the statement".into(), |lexeme| format!("`{}`", shown(lexeme.text)));
    // At the end of a statement there is nothing to point at but the keyword's line; the empty span stands after it.
    let at = if lexemes.is_empty() { keyword } else { at };
    misread(signature, at, format!("expected {wanted}, found {found}"))
}

/// `a`, `a or b`, `a, b or c`.
pub(crate) fn listed(what: &[String], conjunction: &str) -> String {
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
