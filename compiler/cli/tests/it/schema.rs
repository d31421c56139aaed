//! The schemas of what programs read are checked in, so that a change of them shows in review.

use std::fs;
use std::path::Path;

#[track_caller]
fn is_checked_in(name: &str, schema: schemars::Schema) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../spec/schema").join(name);
    let text = format!("{}\n", serde_json::to_string_pretty(&schema).unwrap());
    if fs::read_to_string(&path).unwrap_or_default() != text {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        panic!("spec/schema/{name} was not up to date; it is now: look at the difference");
    }
}

#[test]
fn the_checked_in_schemas_are_those_of_the_code() {
    is_checked_in("diagnostics.json", schemars::schema_for!(mesh_cli::report::Document));
}

#[test]
fn why_has_a_schema() {
    is_checked_in("why.json", schemars::schema_for!(mesh_cli::report::why::Why));
}

#[test]
fn who_has_a_schema() {
    is_checked_in("who.json", schemars::schema_for!(mesh_cli::report::who::Who));
}

#[test]
fn graph_has_a_schema() {
    is_checked_in("graph.json", schemars::schema_for!(mesh_cli::report::graph::Graph));
}

#[test]
fn diff_has_a_schema() {
    is_checked_in("diff.json", schemars::schema_for!(mesh_cli::report::diff::Document));
}

#[test]
fn trim_has_a_schema() {
    is_checked_in("trim.json", schemars::schema_for!(mesh_cli::report::trim::Document));
}
