//! What belongs together in a file: what can be folded, and what is selected next.

use crate::{Analysis, At};
use mesh_lang::parser::Parse;
use mesh_lang::token::TokenKind;
use mesh_lang::tree::Statement;
use mesh_lang::{FileId, Span};

/// Lines that can be shown as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fold {
    /// Its first and last line are shown, or its first alone where `whole`.
    pub span: Span,
    pub kind: FoldKind,
}

/// What is folded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FoldKind {
    Block,
    Comment,
    Imports,
}

impl Analysis {
    /// The blocks, comments and imports of a file that go over several lines.
    pub fn folds(&self, file: FileId) -> Vec<Fold> {
        let parse = self.parse(file);
        let mut folds = Vec::new();
        blocks(&parse, file, &parse.tree.statements, &mut folds);
        comments(&parse, file, &mut folds);
        imports(self, file, &mut folds);
        let over_lines = |fold: &Fold| self.sources().text(fold.span).contains('\n');
        folds.retain(over_lines);
        folds.sort_by_key(|fold| fold.span);
        folds
    }

    /// What stands around a place, from the word to the whole file, each inside of the next.
    pub fn selections(&self, at: At) -> Vec<Span> {
        let parse = self.parse(at.file);
        let text = self.text(at.file);
        let mut found = vec![Span::new(at.file, 0, text.len() as u32)];
        let contains = |span: Span| span.start() <= at.offset && at.offset <= span.end();
        let mut statements = &*parse.tree.statements;
        while let Some((statement, whole)) = statements
            .iter()
            .filter_map(|one| Some((one, whole(&parse, at.file, one)?)))
            .find(|(_, span)| contains(*span))
        {
            found.push(whole);
            let token = |index: usize| parse.tokens.get(index).map(|token| token.span(at.file));
            if let (Some(first), Some(last)) =
                (token(statement.first as usize), token((statement.end as usize).saturating_sub(1)))
                && statement.end > statement.first
                && contains(first.to(last))
            {
                found.push(first.to(last));
            }
            let Some(block) = &statement.block else { break };
            let inside = token(block.open as usize).zip(token((block.end as usize).saturating_sub(1)));
            match inside.map(|(open, close)| open.to(close)).filter(|span| contains(*span)) {
                Some(braces) => found.push(braces),
                None => break,
            }
            statements = &block.statements;
        }
        if let Some(token) = crate::cursor::token_at(&parse.tokens, at.offset as usize) {
            found.push(token.span(at.file));
            found.extend(self.name_at(at).map(|name| name.span));
        }
        found.reverse();
        // Each is inside of the next, and another.
        let mut nested: Vec<Span> = Vec::new();
        for span in found {
            let wider = nested
                .last()
                .is_none_or(|last| *last != span && span.start() <= last.start() && last.end() <= span.end());
            if wider {
                nested.push(span);
            }
        }
        nested
    }
}

/// A statement with its doc comment and its block.
fn whole(parse: &Parse, file: FileId, statement: &Statement) -> Option<Span> {
    let first = parse.tokens.get(statement.doc as usize)?;
    let last = parse.tokens.get(statement.last().checked_sub(1)?)?;
    Some(first.span(file).to(last.span(file)))
}

fn blocks(parse: &Parse, file: FileId, statements: &[Statement], folds: &mut Vec<Fold>) {
    for statement in statements {
        let Some(block) = &statement.block else { continue };
        if let (Some(open), Some(close)) =
            (parse.tokens.get(block.open as usize), block.close.and_then(|at| parse.tokens.get(at as usize)))
        {
            folds.push(Fold { span: open.span(file).to(close.span(file)), kind: FoldKind::Block });
        }
        blocks(parse, file, &block.statements, folds);
    }
}

/// Comments on lines of their own, without a line between.
fn comments(parse: &Parse, file: FileId, folds: &mut Vec<Fold>) {
    let mut run: Option<Span> = None;
    let (mut newlines, mut begins_line) = (0, true);
    for token in &parse.tokens {
        match token.kind {
            TokenKind::Newline => {
                newlines += 1;
                begins_line = true;
                continue;
            }
            kind if kind.is_comment() && begins_line => {
                run = match run {
                    Some(run) if newlines <= 1 => Some(run.to(token.span(file))),
                    before => {
                        folds.extend(before.map(|span| Fold { span, kind: FoldKind::Comment }));
                        Some(token.span(file))
                    }
                };
            }
            _ => {
                folds.extend(run.take().map(|span| Fold { span, kind: FoldKind::Comment }));
            }
        }
        (newlines, begins_line) = (0, false);
    }
    folds.extend(run.map(|span| Fold { span, kind: FoldKind::Comment }));
}

/// Imports that stand one below the other.
fn imports(analysis: &Analysis, file: FileId, folds: &mut Vec<Fold>) {
    let parse = analysis.parse(file);
    let text = analysis.text(file);
    let mut run: Option<(Span, usize)> = None;
    for statement in &parse.tree.statements {
        let is_import = crate::cursor::keyword(&parse, text, statement) == Some("import");
        let place = whole(&parse, file, statement).filter(|_| is_import);
        match (place, run) {
            (Some(span), Some((before, count))) => run = Some((before.to(span), count + 1)),
            (Some(span), None) => run = Some((span, 1)),
            (None, Some((span, count))) => {
                folds.extend((count > 1).then_some(Fold { span, kind: FoldKind::Imports }));
                run = None;
            }
            (None, None) => {}
        }
    }
    folds.extend(run.filter(|(_, count)| *count > 1).map(|(span, _)| Fold { span, kind: FoldKind::Imports }));
}
