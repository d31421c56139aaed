//! What holds for every text, however broken: nothing is lost, nothing panics, formatting changes no meaning.

use mesh_lang::ast::File;
use mesh_lang::token::{Token, TokenKind};
use mesh_lang::{FileId, SourceSet, lex, parse};
use std::time::{Duration, Instant};

const SAMPLE: &str = include_str!("bookinfo.mesh");

/// Pieces that mutations put between others: everything that has a meaning to the lexer or the tree.
const PIECES: &[&str] = &[
    "{",
    "}",
    "(",
    ")",
    ",",
    ";",
    "|",
    "=",
    "!=",
    "->",
    "..",
    "\n",
    "\r\n",
    "\r",
    " ",
    "\t",
    "#",
    "##",
    "# c\n",
    "## d\n",
    "\"",
    "\"a\"",
    "\\",
    "/",
    "/a",
    "/{id}",
    "/**",
    "service ",
    "route ",
    "to ",
    "when ",
    "and ",
    "expect ",
    "except ",
    "header ",
    "\nservice x {\n",
    "\u{feff}",
    "\u{200b}",
    "\0",
    "é",
    "?",
    "-",
    ".",
    "!",
    "5%",
    "re\"",
    "$a",
    "{id}.json",
    "10s",
    "not ",
    "in (",
    "timeout ",
    "retry ",
    "{ a; b }",
    ",\n",
    ";\n",
    "{{{{{{{{{{{{{{{{{",
    "\n\n\n",
    "}\n}",
];

#[track_caller]
fn check_laws(text: &str) {
    let (tokens, _) = lex(FileId(0), text);
    let mut end = 0;
    for token in &tokens {
        check_gap(text, end, token.start());
        assert!(token.end() > token.start(), "a token is empty: {text:?}");
        assert!(text.get(token.range()).is_some(), "a token ends inside a character: {text:?}");
        end = token.end();
    }
    check_gap(text, end, text.len());

    let parsed = parse(FileId(0), text);
    let sources = SourceSet::single("a.mesh", text);
    for diagnostic in parsed.diagnostics.iter() {
        for label in &diagnostic.labels {
            let (start, end) = (label.span.start as usize, label.span.end as usize);
            assert!(text.get(start..end).is_some(), "{diagnostic:?} of {text:?}");
        }
        assert!(diagnostic.help.is_some(), "every mistake says what to do: {diagnostic:?}");
        mesh_lang::diagnostic::render::short(diagnostic, &sources);
    }

    let once = mesh_lang::format(text);
    let twice = mesh_lang::format(&once);
    assert_eq!(once, twice, "formatting is done after one time: {text:?}");
    assert!(once.is_empty() || (once.ends_with('\n') && !once.ends_with("\n\n")), "{text:?} -> {once:?}");
    let again = parse(FileId(0), &once);
    assert_eq!(
        meaning(&parsed.file()),
        meaning(&again.file()),
        "the meaning is the same: {text:?} -> {once:?}"
    );
    let (formatted, _) = lex(FileId(0), &once);
    assert_eq!(comments(text, &tokens), comments(&once, &formatted), "{text:?} -> {once:?}");
    assert_eq!(significant(text, &tokens), significant(&once, &formatted), "{text:?} -> {once:?}");
}

/// Between two tokens stand spaces and tabs and nothing else: the tokens in their places are the text.
#[track_caller]
fn check_gap(text: &str, from: usize, to: usize) {
    let gap = text.get(from..to).unwrap_or_else(|| panic!("tokens follow each other: {text:?}"));
    assert!(gap.bytes().all(|byte| matches!(byte, b' ' | b'\t')), "{gap:?} is in no token of {text:?}");
}

/// What a file says, wherever it stands.
fn meaning(file: &File) -> String {
    let shown = format!("{file:?}");
    let mut parts = shown.split("Span { file: ");
    let first = parts.next().unwrap_or_default().to_string();
    parts.fold(first, |whole, part| whole + part.split_once('}').map_or("", |(_, rest)| rest))
}

fn comments<'a>(text: &'a str, tokens: &[Token]) -> Vec<&'a str> {
    tokens.iter().filter(|token| token.kind.is_comment()).map(|token| token.text(text).trim_end()).collect()
}

fn significant<'a>(text: &'a str, tokens: &[Token]) -> Vec<&'a str> {
    tokens
        .iter()
        .filter(|token| token.kind.is_significant() && token.kind != TokenKind::Semicolon)
        .map(|token| token.text(text))
        .collect()
}

#[test]
fn the_bookinfo_example_is_read_without_complaint() {
    let parsed = parse(FileId(0), SAMPLE);
    let complaints: Vec<_> = parsed.diagnostics.iter().collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
    assert_eq!(parsed.file().items.len(), 13);
    check_laws(SAMPLE);
}

#[test]
fn every_beginning_of_a_file_keeps_the_laws() {
    for (end, _) in SAMPLE.char_indices() {
        check_laws(&SAMPLE[..end]);
    }
}

#[test]
fn every_end_of_a_file_keeps_the_laws() {
    for (start, _) in SAMPLE.char_indices() {
        check_laws(&SAMPLE[start..]);
    }
}

#[test]
fn mutated_files_keep_the_laws() {
    let statements: Vec<&str> = SAMPLE.split_inclusive('\n').collect();
    for seed in 0..10_000 {
        let mut random = fastrand::Rng::with_seed(seed);
        let from = random.usize(..statements.len());
        let count = random.usize(1..12);
        let mut text: String = statements.iter().skip(from).take(count).copied().collect();
        for _ in 0..random.usize(1..6) {
            mutate(&mut text, &mut random);
        }
        check_laws(&text);
    }
}

#[test]
fn soups_of_pieces_keep_the_laws() {
    for seed in 0..20_000 {
        let mut random = fastrand::Rng::with_seed(seed);
        let count = random.usize(1..30);
        let text: String = (0..count).filter_map(|_| random.choice(PIECES)).copied().collect();
        check_laws(&text);
    }
}

/// Removes, doubles or puts in something, always between two characters.
fn mutate(text: &mut String, random: &mut fastrand::Rng) {
    let places: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
    if places.is_empty() {
        return;
    }
    let at = places[random.usize(..places.len())];
    let to = places[random.usize(..places.len())].max(at);
    let near =
        text[at..].char_indices().map(|(next, _)| at + next).nth(random.usize(1..8)).unwrap_or(text.len());
    match random.u8(..6) {
        0 => drop(text.drain(at..near)),
        1 if random.u8(..4) == 0 => drop(text.drain(at..to)),
        2 => {
            let copy = text[at..near].to_string();
            text.insert_str(near, &copy);
        }
        3 => text.insert(at, random.char(' '..='~')),
        _ => text.insert_str(at, PIECES[random.usize(..PIECES.len())]),
    }
}

/// What could make a lexer or a tree look at the same text again and again.
const LONG: &[&str] = &[
    "{",
    "}",
    "(",
    ",\n",
    "a {\n",
    "\"",
    "/{a",
    "# ",
    "to a,\nto ",
    "; ",
    "-",
    "\r",
    "## d\n",
    "re\"a\\",
    "$",
    "/{a}.",
    ";\0",
    "(\na",
    "(,\n",
    "a {}\n",
    "service {\n",
    "\u{200b};",
    "é",
    "a,\n\n",
    "when a\n",
    "\n",
    " ",
    "a(b)\n(",
];

#[test]
fn long_files_of_one_piece_keep_the_laws() {
    for piece in LONG {
        check_laws(&piece.repeat(20_000));
    }
}

/// Sixteen times the text may take sixteen times as long, with room for a busy machine; a second look at everything
/// before would make it two hundred and fifty-six times.
#[test]
fn reading_and_formatting_take_linear_time() {
    // The best of several runs, with a floor: what a busy machine adds to one of them is not about the text.
    let time = |text: &str| {
        let run = || {
            let start = Instant::now();
            assert!(parse(FileId(0), text).tokens.len() <= text.len());
            assert!(mesh_lang::format(text).len() <= 20 * text.len() + 1);
            start.elapsed()
        };
        let best = (0..3).map(|_| run()).min();
        best.unwrap_or_default().max(Duration::from_millis(5))
    };
    for piece in LONG {
        let text = piece.repeat((1 << 20) / piece.len());
        let short = text.floor_char_boundary(text.len() / 16);
        let (short, long) = (time(&text[..short]), time(&text));
        assert!(long < 64 * short, "{piece:?}: {short:?} for a sixteenth, {long:?} for the whole");
    }
}
