//! `spec/language.md` shows every row of the signature table: its tables are written from the table, by this test.

use mesh_lang::signature::{Body, Place, Signature, Status, Times};
use std::path::{Path, PathBuf};

const BEGIN: &str = "<!-- rows: ";
const END: &str = "<!-- end of rows -->";

fn document() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../spec/language.md")
}

#[test]
fn the_document_shows_the_rows_of_every_block() {
    let text = std::fs::read_to_string(document()).expect("spec/language.md");
    let written = with_rows(&text);
    if written != text {
        std::fs::write(document(), &written).expect("spec/language.md is written anew");
        panic!(
            "spec/language.md was stale and has been written anew: read the change and run the test again"
        );
    }
}

#[test]
fn every_block_has_a_table_in_the_document() {
    let text = std::fs::read_to_string(document()).expect("spec/language.md");
    for place in Place::ALL {
        let marker = format!("{BEGIN}{} -->", name(place));
        let shown = text.matches(&marker).count();
        assert_eq!(shown, 1, "{marker}");
    }
}

/// What the document calls a block.
fn name(place: Place) -> &'static str {
    match place {
        Place::File => "file",
        Place::Env => "env",
        other => other.keyword().unwrap_or_default(),
    }
}

/// The document with each table written from the signatures.
fn with_rows(text: &str) -> String {
    let mut result = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        result.push_str(line);
        result.push('\n');
        let Some(wanted) = line.strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(" -->")) else {
            continue;
        };
        let place = Place::ALL.into_iter().find(|place| name(*place) == wanted);
        let place = place.unwrap_or_else(|| panic!("no block is called {wanted}"));
        result.push_str("| statement | how often | |\n|---|---|---|\n");
        place.statements().iter().for_each(|row| result.push_str(&table_row(row)));
        result.push_str(END);
        result.push('\n');
        lines.by_ref().find(|line| *line == END).unwrap_or_else(|| panic!("the rows of {wanted} do not end"));
    }
    result
}

fn table_row(row: &Signature) -> String {
    let times = match row.times {
        Times::Once => "once",
        Times::OneOf(_) => "one of its kind",
        Times::Many | Times::ManyReplaced => "any number",
    };
    let form = row.form.replace('|', "\\|");
    let block = match row.body {
        Body::Optional(_) | Body::Required(_) if !form.contains('{') => " { … }",
        _ => "",
    };
    let status = match row.status {
        Status::Executed => "",
        Status::Checked => " *Checked; not executed yet.*",
    };
    format!("| `{form}{block}` | {times} | {}{status} |\n", row.doc.replace('|', "\\|"))
}
