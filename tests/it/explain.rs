//! Every code has a page, and what a page shows is what the compiler says.

use mesh_lang::{Code, Severity};
use mesh_tests::project::Project;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const HEADINGS: [&str; 5] = ["What it means", "Why it matters", "Example", "Instead", "When to allow it"];

/// Codes that no `.mesh` text raises, or none raises alone: their pages show a command and what it prints.
const SHOWN_BY_A_COMMAND: &[(Code, &str)] = &[
    (Code::InvalidUtf8, "found while a file is read: what the compiler gets is text already"),
    (Code::TooLarge, "found while a file is read, and a page with more than 8 MiB is none"),
    (Code::TooDeep, "no statement nests so deep, so the outer blocks are unknown or misplaced as well"),
    (Code::NotYetExecuted, "found by `mesh build`: `mesh check` decides about it"),
    (Code::FailedTest, "found by the engine, which the compiler does not know"),
    (Code::NotAPlan, "about plan files"),
    (Code::TruncatedPlan, "about plan files"),
    (Code::NewerPlan, "about plan files"),
    (Code::CorruptPlan, "about plan files"),
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../spec/diagnostics")
}

fn is_shown_by_a_command(code: Code) -> bool {
    SHOWN_BY_A_COMMAND.iter().any(|(shown, _)| *shown == code)
}

/// The text below a heading.
#[track_caller]
fn section(code: Code, heading: &str) -> &'static str {
    let after = code.page().split_once(&format!("\n## {heading}\n\n"));
    let (_, text) = after.unwrap_or_else(|| panic!("{}: no section `{heading}`", code.as_str()));
    text.split_once("\n## ").map_or(text, |(text, _)| text).trim()
}

/// The one code block of a section, which is nothing else.
#[track_caller]
fn block(code: Code, heading: &str, language: &str) -> &'static str {
    let section = section(code, heading);
    let inside = section.strip_prefix(&format!("```{language}\n")).and_then(|text| text.strip_suffix("```"));
    inside
        .filter(|text| !text.contains("```"))
        .unwrap_or_else(|| panic!("{}: `{heading}` is not one block of {language}", code.as_str()))
}

#[test]
fn every_page_has_its_title_and_headings_in_order() {
    for code in Code::ALL {
        let title = format!("# {}: {}", code.as_str(), code.name());
        assert_eq!(code.page().lines().next(), Some(title.as_str()));
        let headings: Vec<&str> = code.page().lines().filter_map(|line| line.strip_prefix("## ")).collect();
        assert_eq!(headings, HEADINGS, "{}", code.as_str());
        for heading in HEADINGS {
            assert!(!section(*code, heading).is_empty(), "{}: `{heading}` says nothing", code.as_str());
        }
    }
}

#[test]
fn every_page_belongs_to_a_code() {
    let expected: BTreeSet<String> = Code::ALL.iter().map(|code| format!("{}.md", code.as_str())).collect();
    let entries = std::fs::read_dir(folder()).expect("the pages");
    let found: BTreeSet<String> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    assert_eq!(found, expected);
}

#[test]
#[expect(
    clippy::print_stdout,
    reason = "how many there are is worth a line for who runs it with --nocapture"
)]
fn every_example_raises_its_own_code_and_no_other() {
    let shown = Code::ALL.iter().filter(|code| is_shown_by_a_command(**code)).count();
    println!("{} pages, {shown} of them with a command in place of mesh text", Code::ALL.len());
    for code in Code::ALL.iter().filter(|code| !is_shown_by_a_command(**code)) {
        let project = Project::parse(block(*code, "Example", "mesh"));
        // What only a plan that is to run is refused for counts where the page is about that.
        let codes = match code {
            Code::NotYetExecuted => project.codes_to_run(),
            _ => project.codes(),
        };
        let alone = !codes.is_empty() && codes.iter().all(|found| found == code);
        assert!(alone, "the example of {} raises:\n{}", code.as_str(), project.diagnostics());
    }
}

#[test]
fn what_is_to_be_written_instead_compiles_without_a_word() {
    for code in Code::ALL.iter().filter(|code| !is_shown_by_a_command(**code)) {
        let project = Project::parse(block(*code, "Instead", "mesh"));
        let said = project.diagnostics();
        assert!(said.is_empty(), "`Instead` of {} raises:\n{said}", code.as_str());
        assert!(project.compile().plan.is_some(), "`Instead` of {} makes no plan", code.as_str());
    }
}

#[test]
fn pages_without_mesh_text_show_a_command_that_prints_the_code() {
    for (code, why) in SHOWN_BY_A_COMMAND {
        let (example, instead) = (block(*code, "Example", "text"), block(*code, "Instead", "text"));
        let raised = format!("error[{}]", code.as_str());
        assert!(example.starts_with("$ ") && example.contains(&raised), "{}, {why}", code.as_str());
        assert!(instead.starts_with("$ ") && !instead.contains("error["), "{}, {why}", code.as_str());
    }
}

#[test]
fn an_error_says_that_it_cannot_be_allowed_and_a_warning_says_when_it_may_stay() {
    for code in Code::ALL {
        let forbidden = section(*code, "When to allow it").starts_with("It cannot be allowed: ");
        assert_eq!(forbidden, code.severity() == Severity::Error, "{}", code.as_str());
    }
}
