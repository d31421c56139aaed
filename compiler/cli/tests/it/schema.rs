//! The schema of what programs read is checked in, so that a change of it shows in review.

use std::fs;
use std::path::Path;

#[test]
fn the_checked_in_schema_is_that_of_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../spec/schema/diagnostics.json");
    let schema = schemars::schema_for!(mesh_cli::report::Document);
    let text = format!("{}\n", serde_json::to_string_pretty(&schema).unwrap());
    if fs::read_to_string(&path).unwrap_or_default() != text {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        panic!("spec/schema/diagnostics.json was not up to date; it is now: look at the difference");
    }
}
