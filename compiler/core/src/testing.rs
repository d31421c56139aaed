//! Tests in the user's language: `.mesh` in, what a person would read out.

use crate::{StandIns, compile};
use mesh_lang::SourceSet;

/// Compiles one file and compares what is said, one line each: `LINE CODE message`.
#[track_caller]
pub(crate) fn says(text: &str, expected: &[&str]) {
    let sources = SourceSet::single("test.mesh", text);
    let found = compile(&sources, &StandIns::new()).diagnostics;
    let found: Vec<String> = found
        .iter()
        .map(|diagnostic| {
            let line = diagnostic.span().map_or(0, |span| sources.position(span).0);
            format!("{line} {} {}", diagnostic.code.as_str(), diagnostic.message)
        })
        .collect();
    assert_eq!(found, expected, "\n{text}");
}

/// The notes of the only diagnostic: the witness.
#[track_caller]
pub(crate) fn shows(text: &str, expected: &str) {
    let found = compile(&SourceSet::single("test.mesh", text), &StandIns::new()).diagnostics;
    let notes: Vec<&String> = found.iter().flat_map(|diagnostic| &diagnostic.notes).collect();
    assert_eq!(notes, [expected], "\n{text}");
}

/// A service `s` with two subsets that anyone may call, and these rules as its route.
pub(crate) fn route(rules: &str) -> String {
    format!(
        "service s {{ port 80 http; subset v1 label v = \"1\"; subset v2 label v = \"2\" }}\nauthorize s {{ allow from anyone }}\nroute s {{\n{rules}\n}}\n"
    )
}
