//! Tests in the user's language: `.mesh` in, what a person would read out.

use crate::{StandIns, compile};
use mesh_lang::{Source, SourceSet};

/// Compiles one file and compares what is said, one line each: `LINE CODE message`.
#[track_caller]
pub(crate) fn says(text: &str, expected: &[&str]) {
    says_in(&SourceSet::single("test.mesh", text), expected);
}

/// The same of several modules, each of one file: (directory, text).
#[track_caller]
pub(crate) fn says_of(files: &[(&str, String)], expected: &[&str]) {
    let files = files.iter().map(|(module, text)| Source {
        path: format!("{module}/x.mesh"),
        module: (*module).into(),
        text: text.clone(),
    });
    says_in(&SourceSet::new(files.collect()), expected);
}

/// What is said of one file.
pub(crate) fn found(text: &str) -> Vec<String> {
    found_in(&SourceSet::single("test.mesh", text))
}

#[track_caller]
fn says_in(sources: &SourceSet, expected: &[&str]) {
    let texts: Vec<&str> = sources.iter().map(|(_, source)| source.text.as_str()).collect();
    assert_eq!(found_in(sources), expected, "\n{}", texts.join("\n"));
}

fn found_in(sources: &SourceSet) -> Vec<String> {
    let found = compile(sources, &StandIns::new()).diagnostics;
    found
        .iter()
        .map(|diagnostic| {
            let line = diagnostic.span().map_or(0, |span| sources.position(span).0);
            format!("{line} {} {}", diagnostic.code.as_str(), diagnostic.message)
        })
        .collect()
}

/// The witness of the only diagnostic, line by line.
#[track_caller]
pub(crate) fn shows(text: &str, expected: &[&str]) {
    let found = compile(&SourceSet::single("test.mesh", text), &StandIns::new()).diagnostics;
    let [only] = found.as_slice() else { panic!("{found:?}\n{text}") };
    let lines = only.witness.as_ref().map(|witness| witness.lines()).unwrap_or_default();
    assert_eq!(lines, expected, "\n{text}");
}

/// A service `s` with two subsets that anyone may call, and these rules as its route. Its subsets are for others, too, so that none need
/// be used.
pub(crate) fn route(rules: &str) -> String {
    format!(
        "service s {{ port 80 http; subset v1 label v = \"1\"; subset v2 label v = \"2\" }}\nauthorize s {{ allow from anyone }}\nroute s {{\n{rules}\n}}\n\
         module tests {{ export split both }}\nsplit both = s:v1 50%, s:v2 50%\n"
    )
}
