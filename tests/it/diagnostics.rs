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

/// Where the compiler judges: routing, authorization, resilience and the call graph.
const JUDGED: [&str; 3] = ["MESH3", "MESH4", "MESH5"];

/// A fixture, the picture beside it, and a page: the page stands in the table of codes, so that without it nothing compiles.
#[test]
#[expect(
    clippy::print_stdout,
    reason = "how many there are is worth a line for who runs it with --nocapture"
)]
fn every_code_that_text_can_raise_has_a_fixture_and_a_picture() {
    let (mut raised, mut pictures) = (BTreeSet::new(), BTreeSet::new());
    let (mut fixtures, mut judging) = (0, 0);
    for shelf in ["syntax", "check"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("suite").join(shelf);
        for entry in std::fs::read_dir(folder).expect("a shelf") {
            let path = entry.expect("an entry").path();
            if path.extension().is_some_and(|end| end == "mesh") {
                let codes: BTreeSet<&str> =
                    Project::read(&path).codes().into_iter().map(|code| code.as_str()).collect();
                let picture = std::fs::read_to_string(path.with_extension("snap")).unwrap_or_default();
                pictures.extend(codes.iter().filter(|code| picture.contains(&format!("[{code}]"))));
                fixtures += 1;
                judging += usize::from(codes.iter().any(|code| JUDGED.contains(&&code[..5])));
                raised.extend(codes);
            }
        }
    }
    let wanted = || Code::ALL.iter().filter(|code| !OUTSIDE.contains(code)).map(|code| code.as_str());
    let missing = |there: &BTreeSet<&str>| wanted().filter(|code| !there.contains(code)).collect::<Vec<_>>();
    assert_eq!((missing(&raised), missing(&pictures)), (vec![], vec![]), "no fixture or picture of these");
    let judged = wanted().filter(|code| JUDGED.contains(&&code[..5])).count();
    println!(
        "{judged} codes MESH3xxx to MESH5xxx: a page each, {judging} of {fixtures} fixtures, each with its picture"
    );
    assert!(judged >= 35 && judging >= judged, "{judged} codes, {judging} fixtures");
}

/// Whoever asks for one environment and nothing else gets the shapes of most files at once; whoever compiles gets them from
/// statements that are kept. Both must say the same of names.
#[test]
fn names_are_checked_alone_as_in_a_whole_compilation() {
    let mut wrong = 0;
    for shelf in ["syntax", "check", "plan"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("suite").join(shelf);
        for entry in std::fs::read_dir(folder).expect("a shelf") {
            let path = entry.expect("an entry").path();
            if path.extension().is_none_or(|end| end != "mesh") {
                continue;
            }
            let project = Project::read(&path);
            let alone = mesh_compiler::check_names(&project.sources, None);
            let whole = project.compile();
            for found in &alone {
                let allowed = whole.suppressed.iter().any(|one| one.diagnostic == *found);
                assert!(allowed || whole.diagnostics.contains(found), "{}: {found:?}", path.display());
            }
            // Where names are wrong nothing else is looked for; the day is not asked for here.
            if alone.iter().any(|found| found.severity == mesh_lang::Severity::Error) {
                let unsaid = whole.diagnostics.iter().filter(|found| found.code != Code::AuditExpired);
                assert!(unsaid.eq(&alone), "{}", path.display());
                wrong += 1;
            }
        }
    }
    assert!(wrong > 50, "{wrong}");
}

/// Each line that ends in a number has its finding, and no other line has one.
#[test]
fn ten_mistakes_in_one_file_are_ten_findings() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("suite/check/ten_mistakes.mesh");
    let text = std::fs::read_to_string(&path).expect("the fixture");
    let is_wrong = |line: &str| line.rsplit("# ").next().is_some_and(|last| last.parse::<u8>().is_ok());
    let wrong: Vec<usize> =
        (1..).zip(text.lines()).filter(|(_, line)| is_wrong(line)).map(|(at, _)| at).collect();
    assert_eq!((wrong.len(), Project::read(&path).lines()), (10, wrong));
}
