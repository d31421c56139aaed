//! What a person sees of each mistake: the picture is kept beside the fixture.

use mesh_lang::Code;
use mesh_tests::beside::beside;
use mesh_tests::project::Project;
use std::collections::BTreeSet;
use std::path::Path;

/// Codes that no fixture raises: they are found outside of the compiler.
const OUTSIDE: [Code; 8] = [
    Code::InvalidUtf8,
    Code::TooLarge,
    Code::NotYetExecuted,
    Code::FailedTest,
    Code::NotAPlan,
    Code::TruncatedPlan,
    Code::NewerPlan,
    Code::CorruptPlan,
];

#[test]
fn mistakes_in_the_text_look_as_they_did() {
    beside("syntax", Project::diagnostics);
}

#[test]
fn mistakes_in_the_meaning_look_as_they_did() {
    beside("check", Project::diagnostics);
}

#[test]
fn every_code_that_text_can_raise_has_a_fixture() {
    let mut missing: BTreeSet<&str> =
        Code::ALL.iter().filter(|code| !OUTSIDE.contains(code)).map(|code| code.as_str()).collect();
    for shelf in ["syntax", "check"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("suite").join(shelf);
        for entry in std::fs::read_dir(folder).expect("a shelf") {
            let path = entry.expect("an entry").path();
            if path.extension().is_some_and(|end| end == "mesh") {
                for code in Project::read(&path).codes() {
                    missing.remove(code.as_str());
                }
            }
        }
    }
    assert!(missing.is_empty(), "no fixture raises {missing:?}");
}
