//! What the documents show compiles, or raises the code they say it raises.

use mesh_compiler::StandIns;
use mesh_lang::{Code, Severity, Source, SourceSet};
use mesh_tests::project::Project;
use std::path::{Path, PathBuf};

/// A fenced block of `.mesh` text.
struct Block {
    /// Where to find it: `README.md:34`.
    place: String,
    /// What follows `mesh` in its info string: the code it raises.
    raises: Option<String>,
    text: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The README, the specification, and the READMEs of the examples.
fn documents() -> Vec<PathBuf> {
    let mut found = vec![root().join("README.md")];
    found.extend(markdown(&root().join("spec")));
    let mut folders = vec![root().join("examples")];
    while let Some(folder) = folders.pop() {
        found.extend(markdown(&folder).into_iter().filter(|path| path.ends_with("README.md")));
        folders.extend(entries(&folder).into_iter().filter(|path| path.is_dir()));
    }
    found.into_iter().filter(|path| path.is_file()).collect()
}

fn markdown(folder: &Path) -> Vec<PathBuf> {
    entries(folder).into_iter().filter(|path| path.extension().is_some_and(|end| end == "md")).collect()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    found.sort();
    found
}

fn blocks(name: &str, document: &str) -> Vec<Block> {
    let mut found: Vec<Block> = Vec::new();
    let mut open = false;
    for (line, number) in document.lines().zip(1..) {
        let info = line.strip_prefix("```");
        match (open, info, found.last_mut()) {
            (true, Some(_), _) => open = false,
            (true, None, Some(block)) => block.text.extend([line, "\n"]),
            (false, Some(info), _) => {
                let mut words = info.split_whitespace();
                open = words.next() == Some("mesh");
                if open {
                    let raises = words.next().map(str::to_owned);
                    found.push(Block { place: format!("{name}:{number}"), raises, text: String::new() });
                }
            }
            _ => {}
        }
    }
    assert!(!open, "{name}: a block does not end");
    found
}

/// What is wrong with a block, as a message.
fn complaint(block: &Block) -> Option<String> {
    let project = Project::parse(&block.text);
    let diagnostics = project.compile().diagnostics;
    let errors = diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error);
    let as_said = match &block.raises {
        None => errors.count() == 0,
        Some(code) => {
            assert!(Code::ALL.iter().any(|known| known.as_str() == code), "{}: no code {code}", block.place);
            !diagnostics.is_empty() && diagnostics.iter().all(|diagnostic| diagnostic.code.as_str() == code)
        }
    };
    (!as_said).then(|| format!("{}:\n{}", block.place, project.diagnostics()))
}

#[test]
#[expect(
    clippy::print_stdout,
    reason = "how many there are is worth a line for who runs it with --nocapture"
)]
fn every_mesh_block_of_the_documents_compiles_or_raises_what_it_names() {
    let (mut complaints, mut compiled, mut raising) = (Vec::new(), 0, 0);
    let documents = documents();
    for path in &documents {
        let text = std::fs::read_to_string(path).expect("a document");
        let name = path.strip_prefix(root()).unwrap_or(path).display().to_string();
        let blocks = blocks(&name, &text);
        raising += blocks.iter().filter(|block| block.raises.is_some()).count();
        compiled += blocks.len();
        complaints.extend(blocks.iter().filter_map(complaint));
    }
    println!(
        "{compiled} examples in {} documents compiled, {raising} of them to the code they name",
        documents.len()
    );
    assert!(raising > 0 && compiled > raising, "examples of both kinds");
    assert!(complaints.is_empty(), "{}", complaints.join("\n\n"));
}

#[test]
fn a_block_is_held_to_the_code_in_its_info_string() {
    let document = "```mesh MESH4001\nservice cart { port 8080 http }\n```\n\n```text\nnot looked at\n```\n\n\
                    ```mesh\nservice cart { prot 8080 http }\n```\n";
    let found = blocks("page.md", document);
    let places: Vec<&str> = found.iter().map(|block| block.place.as_str()).collect();
    assert_eq!(places, ["page.md:1", "page.md:9"]);
    assert_eq!(complaint(&found[0]), None);
    let said = complaint(&found[1]).expect("a misspelt statement");
    assert!(said.starts_with("page.md:9:") && said.contains("MESH1007"), "{said}");
}

/// The digest that `mesh build` would say of `examples/bookinfo`, with another text of its routes.
fn digest(routes: impl Fn(String) -> String) -> String {
    let folder = root().join("examples/bookinfo");
    let mut files: Vec<PathBuf> = entries(&folder);
    files.retain(|path| path.extension().is_some_and(|ending| ending == "mesh"));
    let sources = files.iter().map(|path| {
        let text = std::fs::read_to_string(path).expect("a file");
        let is_routes = path.ends_with("routes.mesh");
        let text = if is_routes { routes(text) } else { text };
        Source { path: path.display().to_string(), module: String::new(), text }
    });
    let compilation = mesh_compiler::compile(&SourceSet::new(sources.collect()), &StandIns::new());
    let bytes = mesh_plan::encode(&compilation.plan.expect("a plan")).expect("within the limits");
    mesh_plan::verify(bytes).expect("a plan").digest_hex()
}

#[test]
fn the_digests_that_the_readme_shows_are_those_of_the_sample() {
    let readme = std::fs::read_to_string(root().join("README.md")).expect("a README");
    let shown = readme.lines().filter_map(|line| line.split_once("digest ")?.1.split_once('…'));
    let shown: Vec<&str> = shown.map(|(digest, _)| digest).collect();
    let beta = "  rule beta overrides testers {\n    match GET /reviews/{id} when header \"x-beta\" present\n    \
                to reviews:v3\n  }\n  rule everybody";
    let edited = digest(|routes| routes.replacen("  rule everybody", beta, 1));
    let digests = [digest(|routes| routes), edited].map(|digest| digest.chars().take(12).collect::<String>());
    assert_eq!(shown, digests, "the README shows others");
}
