//! What holds for every text, however broken: nothing is lost, nothing panics, formatting changes no meaning.

#[path = "laws/generate.rs"]
mod generate;
#[path = "laws/law.rs"]
mod law;

use mesh_lang::statement::{Args, Statement};
use mesh_lang::{Code, FileId, parse};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::LazyLock;
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

/// What a file says, wherever it stands; the names of an import are a set.
fn meaning(text: &str) -> String {
    let mut statements = parse(FileId(0), text).statements;
    for statement in &mut statements {
        if let Args::Import(import) = &mut statement.args {
            let names = &mut import.1;
            names.sort_by(|a, b| a.value.cmp(&b.value));
        }
    }
    let shown = format!("{statements:?}");
    let mut parts = shown.split("Span { file: ");
    let first = parts.next().unwrap_or_default().to_string();
    parts.fold(first, |whole, part| whole + part.split_once('}').map_or("", |(_, rest)| rest))
}

#[track_caller]
fn check_laws(text: &str) {
    law::check(text);
    let formatted = mesh_lang::format(text);
    assert_eq!(meaning(text), meaning(&formatted), "the meaning is the same: {text:?} -> {formatted:?}");
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

/// Sixteen times the text may take sixteen times the work, with room for caches that others use as well; a second look at
/// everything before would make it two hundred and fifty-six times.
#[test]
fn reading_and_formatting_take_linear_time() {
    // The least of several runs, with a floor: what is added to one of them is not about the text.
    let work = |text: &str| {
        let run = || {
            let start = time_on_a_core();
            assert!(parse(FileId(0), text).tokens.len() <= text.len());
            assert!(mesh_lang::format(text).len() <= 20 * text.len() + 1);
            time_on_a_core().saturating_sub(start)
        };
        let least = (0..3).map(|_| run()).min();
        least.unwrap_or_default().max(Duration::from_millis(5))
    };
    for piece in LONG {
        let text = piece.repeat((1 << 20) / piece.len());
        let short = text.floor_char_boundary(text.len() / 16);
        let (short, long) = (work(&text[..short]), work(&text));
        assert!(long < 64 * short, "{piece:?}: {short:?} for a sixteenth, {long:?} for the whole");
    }
}

/// How long this thread has been on a core, as Linux counts it: while other programs have the core, it stands still, so a
/// busy machine is not taken for a long text. Elsewhere it is the time of day that passes.
fn time_on_a_core() -> Duration {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    let counted = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = counted.and_then(|counted| counted.split(' ').next()?.parse().ok());
    nanoseconds.map_or_else(|| START.elapsed(), Duration::from_nanos)
}

/// `MESH_FORMATTER_FILES` says how many.
#[test]
fn files_generated_from_the_table_keep_the_laws() {
    let files = std::env::var("MESH_FORMATTER_FILES").ok().and_then(|files| files.parse().ok());
    let files = files.unwrap_or(2_000);
    let (mut read, mut unread, mut broken, mut rows) = (0, 0, 0, BTreeSet::new());
    for seed in 0..files {
        let file = generate::file(seed);
        check_laws(&file.text);
        let parsed = parse(FileId(0), &file.text);
        parsed.statements.iter().for_each(|statement| count(statement, &mut read, &mut rows));
        broken += u64::from(file.mistakes > 0);
        if file.mistakes == 0 {
            unread += parsed.diagnostics.iter().filter(|diagnostic| is_of_syntax(diagnostic.code)).count();
        }
    }
    // The laws would hold for noise as well: most of what is generated is what the language reads.
    assert!(unread * 10 < read, "{unread} statements are misread and {read} are read");
    assert!((files / 20..files / 2).contains(&broken), "{broken} files have mistakes");
    let never: Vec<_> = generate::rows().into_iter().filter(|row| !rows.contains(row)).collect();
    // Some rows are rare: they stand in a block of a block.
    assert!(never.is_empty() || files < 20_000, "never read in {files} files: {never:?}");
}

fn is_of_syntax(code: Code) -> bool {
    matches!(code, Code::UnexpectedCharacter | Code::UnexpectedToken | Code::UnknownStatement)
}

fn count(statement: &Statement, read: &mut usize, rows: &mut BTreeSet<&'static str>) {
    *read += 1;
    rows.insert(statement.signature.form);
    statement.block.iter().for_each(|inner| count(inner, read, rows));
}

/// What the fuzzer began with or found: `tests/fuzz`.
#[test]
fn the_corpus_of_the_fuzzer_keeps_the_laws() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/corpus");
    let mut count = 0;
    for entry in std::fs::read_dir(corpus).expect("the corpus") {
        let bytes = std::fs::read(entry.expect("a file").path()).expect("readable");
        check_laws(&String::from_utf8_lossy(&bytes));
        count += 1;
    }
    assert!(count > 50, "{count} files");
}
