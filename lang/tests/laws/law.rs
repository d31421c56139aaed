//! What holds for every text: nothing is lost, nothing panics, formatting changes no meaning. Shared with the fuzzer.

use mesh_lang::token::{Token, TokenKind};
use mesh_lang::tree::{Statement, Tree};
use mesh_lang::{FileId, SourceSet, lex, parse, tree};
use std::borrow::Cow;

/// Panics where a text breaks one of the laws.
#[track_caller]
pub(crate) fn check(text: &str) {
    let (tokens, _) = lex(FileId(0), text);
    check_tokens(text, &tokens);
    let parsed = parse(FileId(0), text);
    let sources = SourceSet::single("a.mesh", text);
    for diagnostic in parsed.diagnostics.iter() {
        for label in &diagnostic.labels {
            let (start, end) = (label.span.start() as usize, label.span.end() as usize);
            assert!(text.get(start..end).is_some(), "{diagnostic:?} of {text:?}");
        }
        assert!(diagnostic.help.is_some(), "every mistake says what to do: {diagnostic:?}");
        mesh_lang::diagnostic::render::short(diagnostic, &sources);
    }

    let once = mesh_lang::format(text);
    let twice = mesh_lang::format(&once);
    assert_eq!(once, twice, "formatting is done after one time: {text:?}");
    assert!(once.is_empty() || (once.ends_with('\n') && !once.ends_with("\n\n")), "{text:?} -> {once:?}");
    let (formatted, _) = lex(FileId(0), &once);
    assert_eq!(comments(text, &tokens), comments(&once, &formatted), "{text:?} -> {once:?}");
    let (tree, _) = tree::build(FileId(0), &once, &formatted);
    let before = shape(text, &tokens, &parsed.tree);
    assert_eq!(before, shape(&once, &formatted, &tree), "the statements are the same: {text:?} -> {once:?}");
}

/// Between two tokens stand spaces and tabs and nothing else: the tokens in their places are the text.
#[track_caller]
fn check_tokens(text: &str, tokens: &[Token]) {
    let mut end = 0;
    for token in tokens {
        check_gap(text, end, token.start());
        assert!(token.end() > token.start(), "a token is empty: {text:?}");
        assert!(text.get(token.range()).is_some(), "a token ends inside a character: {text:?}");
        end = token.end();
    }
    check_gap(text, end, text.len());
}

#[track_caller]
fn check_gap(text: &str, from: usize, to: usize) {
    let gap = text.get(from..to).unwrap_or_else(|| panic!("tokens follow each other: {text:?}"));
    assert!(gap.bytes().all(|byte| matches!(byte, b' ' | b'\t')), "{gap:?} is in no token of {text:?}");
}

fn comments<'a>(text: &'a str, tokens: &[Token]) -> Vec<&'a str> {
    tokens.iter().filter(|token| token.kind.is_comment()).map(|token| token.text(text).trim_end()).collect()
}

/// Everything a parser of statements can see: of each statement its doc comment, its words, and its block. The names of
/// an import are a set.
fn shape<'a>(text: &'a str, tokens: &[Token], tree: &Tree) -> Vec<Cow<'a, str>> {
    let mut shape = Vec::new();
    for statement in &tree.statements {
        let from = shape.len();
        write(text, tokens, statement, &mut shape);
        if tokens.get(statement.first as usize).is_some_and(|token| token.text(text) == "import") {
            shape[from..].sort();
        }
    }
    shape
}

fn write<'a>(text: &'a str, tokens: &[Token], statement: &Statement, shape: &mut Vec<Cow<'a, str>>) {
    let docs = tokens[statement.docs()].iter().filter(|token| token.kind == TokenKind::Doc);
    shape.extend(docs.map(|token| Cow::Borrowed(token.text(text).trim_end())));
    let head = &tokens[statement.head()];
    match head {
        [first, .., last] | [first @ last] if statement.broken => {
            shape.push(Cow::Owned(lines(&text[first.start()..last.end()])));
        }
        _ => {
            let significant = head.iter().filter(|token| token.kind.is_significant());
            shape.extend(significant.map(|token| Cow::Borrowed(token.text(text))));
        }
    }
    shape.push(Cow::Borrowed("end of the head"));
    if let Some(block) = &statement.block {
        if block.skipped {
            let range = block.open as usize..block.end as usize;
            let whole = tokens[range.start].start()..tokens[range.end - 1].end();
            shape.push(Cow::Owned(lines(&text[whole])));
        }
        for inner in &block.statements {
            write(text, tokens, inner, shape);
        }
        shape.push(Cow::Borrowed(if block.close.is_some() { "end of the block" } else { "no end" }));
    }
}

/// What is kept as it is, but for indentation and the kind of line ends.
fn lines(text: &str) -> String {
    let blank = [' ', '\t', '\r'];
    text.split('\n').map(|line| line.trim_matches(blank)).collect::<Vec<_>>().join("\n")
}
