//! Order carries no meaning: however a project's statements, lists and files are ordered, its plan has the same bytes.

use fastrand::Rng;
use mesh_lang::token::{Token, TokenKind};
use mesh_lang::tree::Statement;
use mesh_lang::{Source, SourceSet};
use mesh_tests::generate;
use mesh_tests::project::Project;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Each project is written anew so often.
const REWRITINGS: usize = 20;

/// Programs of the generator that are looked at; each costs a few compilations.
const PROGRAMS: usize = 100;

#[test]
fn compiling_twice_gives_the_same_bytes() {
    for (name, project) in projects() {
        assert_eq!(bytes(&project), bytes(&project), "{name}");
    }
}

#[test]
fn files_statements_and_lists_in_another_order_give_the_same_bytes() {
    let mut rng = Rng::with_seed(1);
    for (name, project) in projects() {
        let expected = bytes(&project);
        assert!(expected.is_some(), "{name} does not compile:\n{}", project.diagnostics());
        for _ in 0..REWRITINGS {
            same(&name, &project, &rewritten(&project, &mut rng), &expected);
        }
    }
}

#[test]
fn generated_programs_in_another_order_give_the_same_bytes_or_the_same_codes() {
    let mut compiled = 0;
    for seed in 0..PROGRAMS as u64 {
        let mut rng = Rng::with_seed(seed);
        let files = generate::program(&mut rng).files;
        let project = project(files.into_iter().map(|(module, text)| (module, "a.mesh".to_owned(), text)));
        let expected = bytes(&project);
        compiled += usize::from(expected.is_some());
        for _ in 0..3 {
            let other = rewritten(&project, &mut rng);
            same(&format!("the program of seed {seed}"), &project, &other, &expected);
            let (mut before, mut after) = (project.codes(), other.codes());
            before.sort();
            after.sort();
            assert_eq!(before, after, "seed {seed}\n{}", whole(&other));
        }
    }
    assert!(compiled * 4 > PROGRAMS, "only {compiled} of {PROGRAMS} programs compile");
}

#[test]
fn a_rewriting_changes_the_text_and_loses_nothing() {
    let project = Project::parse(
        "service web { calls cart, mail to GET /a, /b }\nservice cart { port 80 http; timeout 1s }\n\
         service mail { port 25 http }\n",
    );
    let mut rng = Rng::with_seed(7);
    let texts: Vec<String> = (0..REWRITINGS).map(|_| whole(&rewritten(&project, &mut rng))).collect();
    let sorted = |text: &str| {
        let mut words: Vec<String> = text.split_whitespace().map(|word| word.replace(',', "")).collect();
        words.retain(|word| !word.ends_with(".mesh") && word != "#-" && !word.is_empty());
        words.sort();
        words
    };
    for text in &texts {
        assert_eq!(sorted(text), sorted(&texts[0]), "{text}");
    }
    assert!(
        texts.iter().any(|text| text.contains("calls mail , cart to GET /a , /b")),
        "lists are reordered"
    );
    assert!(texts.iter().any(|text| text.contains("timeout 1s\nport 80 http")), "blocks are reordered");
    assert!(texts.iter().any(|text| text.matches("#- ").count() > 1), "files are split");
}

#[track_caller]
fn same(name: &str, project: &Project, other: &Project, expected: &Option<Vec<u8>>) {
    let same = bytes(other) == *expected;
    assert!(same, "{name}:\n{}\nis another plan than\n{}", whole(other), whole(project));
}

/// The plan's bytes, if there is one.
fn bytes(project: &Project) -> Option<Vec<u8>> {
    let plan = project.compile().plan?;
    Some(mesh_plan::encode(&plan).expect("a small plan"))
}

/// The sample, and the fixtures whose plans are kept.
fn projects() -> Vec<(String, Project)> {
    let base = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sample = sources(&base.join("../examples/bookinfo")).into_iter().map(|path| {
        let name = path.file_name().expect("a file").to_string_lossy().into_owned();
        (String::new(), name, std::fs::read_to_string(&path).expect("a source"))
    });
    let mut found = vec![("bookinfo".to_owned(), project(sample))];
    for path in sources(&base.join("suite/plan")) {
        found.push((path.display().to_string(), Project::read(&path)));
    }
    found
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "mesh"));
    paths.sort();
    paths
}

/// Files as module, name and text.
pub(crate) fn project(files: impl Iterator<Item = (String, String, String)>) -> Project {
    let sources = files.map(|(module, name, text)| {
        let path = if module.is_empty() { name } else { format!("{module}/{name}") };
        Source { path, module, text }
    });
    Project { sources: SourceSet::new(sources.collect()) }
}

/// The project as fixture text.
fn whole(project: &Project) -> String {
    let files = project.sources.iter().map(|(_, source)| format!("#- {}\n{}", source.path, source.text));
    files.collect()
}

/// The same statements in another order, dealt out to other files of the same directories.
pub(crate) fn rewritten(original: &Project, rng: &mut Rng) -> Project {
    let mut modules: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (file, source) in original.sources.iter() {
        let parse = mesh_lang::parse(file, &source.text);
        let text = Text { text: &source.text, tokens: &parse.tokens };
        modules.entry(&source.module).or_default().extend(text.shuffled(&parse.tree.statements, rng));
    }
    let mut files = Vec::new();
    for (module, mut statements) in modules {
        rng.shuffle(&mut statements);
        let mut texts = vec![String::new(); rng.usize(1..=3)];
        for statement in statements {
            let file = rng.usize(..texts.len());
            texts[file].push_str(&statement);
        }
        for (text, number) in texts.into_iter().zip(0..) {
            files.push((module.to_owned(), format!("{:04x}-{number}.mesh", rng.u16(..)), text));
        }
    }
    project(files.into_iter())
}

/// A file and its tokens.
struct Text<'a> {
    text: &'a str,
    tokens: &'a [Token],
}

impl Text<'_> {
    /// Each statement as text, in another order, at every depth. Comments are left out.
    fn shuffled(&self, statements: &[Statement], rng: &mut Rng) -> Vec<String> {
        let mut texts: Vec<String> =
            statements.iter().map(|statement| self.statement(statement, rng)).collect();
        rng.shuffle(&mut texts);
        texts
    }

    fn statement(&self, statement: &Statement, rng: &mut Rng) -> String {
        let significant = self.tokens[statement.head()].iter().filter(|token| token.kind.is_significant());
        let mut words: Vec<&str> = significant.clone().map(|token| token.text(self.text)).collect();
        let kinds: Vec<TokenKind> = significant.map(|token| token.kind).collect();
        if let Some(start) = list_start(&words) {
            let places = list(&kinds, start);
            let mut items: Vec<&str> = places.iter().map(|place| words[*place]).collect();
            rng.shuffle(&mut items);
            for (place, item) in places.into_iter().zip(items) {
                words[place] = item;
            }
        }
        let head = words.join(" ");
        match &statement.block {
            None => format!("{head}\n"),
            Some(block) => format!("{head} {{\n{}}}\n", self.shuffled(&block.statements, rng).concat()),
        }
    }
}

/// Where a list of names or hosts begins in these words of a statement.
fn list_start(words: &[&str]) -> Option<usize> {
    match words.first().copied()? {
        "calls" | "host" => Some(1),
        "route" => words.iter().position(|word| *word == "host").map(|host| host + 1),
        _ => None,
    }
}

/// The places of a list's items: every second token, as long as commas follow.
fn list(kinds: &[TokenKind], start: usize) -> Vec<usize> {
    let commas = kinds.iter().skip(start + 1).step_by(2).take_while(|kind| **kind == TokenKind::Comma);
    (0..=commas.count()).map(|item| start + 2 * item).collect()
}
