//! `mesh fmt`.

use crate::harness::{Project, SHOP, bookinfo, mesh};

const UNTIDY: &str = "service   web {\nport 80   http\n}\n";
const TIDY: &str = "service web {\n  port 80 http\n}\n";

#[test]
fn only_files_that_change_are_written_and_named() {
    let project = Project::new(&[("untidy.mesh", UNTIDY), ("tidy.mesh", SHOP)]);
    let before = std::fs::metadata(project.at("tidy.mesh")).unwrap().modified().unwrap();
    let ran = project.mesh(&["fmt", "{}"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, "untidy.mesh\n"), "{}", ran.err);
    assert_eq!(ran.err, "2 files, 1 changed\n");
    assert_eq!(project.read("untidy.mesh"), TIDY.as_bytes());
    assert_eq!(std::fs::metadata(project.at("tidy.mesh")).unwrap().modified().unwrap(), before);
    assert_eq!(project.names(), ["tidy.mesh", "untidy.mesh"]);
    assert_eq!(project.mesh(&["fmt", "{}"]).out, "", "the second time there is nothing to do");
}

#[test]
fn check_changes_nothing_and_fails() {
    let project = Project::new(&[("a.mesh", UNTIDY)]);
    let ran = project.mesh(&["fmt", "--check", "{}"]);
    assert_eq!((ran.code, ran.out.as_str()), (1, "a.mesh\n"));
    assert_eq!(project.read("a.mesh"), UNTIDY.as_bytes());
    project.mesh(&["fmt", "{}"]);
    assert_eq!(project.mesh(&["fmt", "--check", "{}"]).code, 0);
}

#[test]
fn a_diff_shows_what_would_change() {
    let project = Project::new(&[("a.mesh", UNTIDY)]);
    let ran = project.mesh(&["fmt", "--diff", "{}"]);
    assert_eq!(ran.code, 0);
    assert_eq!(
        ran.out,
        "--- a.mesh\n+++ a.mesh\n@@ -1,3 +1,3 @@\n-service   web {\n-port 80   http\n+service web {\n+  port 80 http\n }\n"
    );
    assert_eq!(project.read("a.mesh"), UNTIDY.as_bytes());
    assert_eq!(project.mesh(&["fmt", "--diff", "--check", "{}"]).code, 1);
}

#[test]
fn standard_input_goes_to_standard_output() {
    let ran = mesh(&["fmt", "-"], UNTIDY.as_bytes());
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, TIDY, ""));
    assert_eq!(mesh(&["fmt", "--check", "-"], UNTIDY.as_bytes()).code, 1);
    assert_eq!(mesh(&["fmt", "--check", "-"], TIDY.as_bytes()).code, 0);
    assert_eq!(mesh(&["fmt", "-", "a.mesh"], b"").code, 2);
}

#[test]
fn input_that_is_no_text_is_refused_and_not_printed() {
    let ran = mesh(&["fmt", "-"], b"service web {\n  \xff\n}\n");
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    assert!(ran.err.contains("MESH1001"), "{}", ran.err);
}

#[test]
fn a_file_that_is_no_text_stops_the_others_from_being_written() {
    let project = Project::new(&[("a.mesh", UNTIDY)]);
    project.write("b.mesh", b"\xff");
    let ran = project.mesh(&["fmt", "{}"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("MESH1001"), "{}", ran.err);
    assert_eq!(project.read("a.mesh"), UNTIDY.as_bytes());
}

#[test]
fn the_shipped_example_has_the_canonical_layout() {
    let ran = mesh(&["fmt", "--check", bookinfo().to_str().unwrap()], b"");
    assert_eq!((ran.code, ran.out.as_str()), (0, ""));
}

#[test]
fn a_file_with_errors_is_not_touched_and_the_others_are() {
    let broken = "service   web {\nprot 80   http\n}\n";
    let project = Project::new(&[("untidy.mesh", UNTIDY), ("broken.mesh", broken)]);
    let ran = project.mesh(&["fmt", "{}"]);
    assert_eq!((ran.code, ran.out.as_str()), (1, "untidy.mesh\n"));
    assert!(ran.err.contains("broken.mesh:2:1") && ran.err.contains("MESH1007"), "{}", ran.err);
    assert!(ran.err.ends_with("2 files, 1 changed, 1 not touched: it has errors\n"), "{}", ran.err);
    assert_eq!(project.read("broken.mesh"), broken.as_bytes());
    assert_eq!(project.read("untidy.mesh"), TIDY.as_bytes());
    assert_eq!(project.mesh(&["fmt", "--diff", "{}"]).out, "");

    project.write("worse.mesh", "{");
    let ran = project.mesh(&["fmt", "--check", "{}"]);
    assert!(
        ran.code == 1 && ran.err.ends_with("0 would change, 2 not touched: they have errors\n"),
        "{}",
        ran.err
    );

    let ran = project.mesh(&["fmt", "{}", "--format", "json"]);
    assert_eq!((ran.code, ran.err.as_str()), (1, ""));
    let document: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(document["not_touched"].as_array().unwrap().len(), 2);
    assert_eq!(document["diagnostics"][0]["code"], "MESH1007");
}

#[test]
fn input_with_errors_comes_back_as_it_is() {
    let broken = "service   web {\nprot 80   http\n}\n";
    let ran = mesh(&["fmt", "-"], broken.as_bytes());
    assert_eq!((ran.code, ran.out.as_str()), (1, broken));
    assert!(ran.err.contains("<stdin>:2:1") && ran.err.contains("MESH1007"), "{}", ran.err);
    let ran = mesh(&["fmt", "--check", "-"], broken.as_bytes());
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
}

#[test]
fn a_sentence_that_is_wrong_but_can_be_read_is_laid_out() {
    let ran = mesh(&["fmt", "-"], b"route   nobody {\nto nothing\n}\n");
    assert_eq!((ran.code, ran.out.as_str()), (0, "route nobody {\n  to nothing\n}\n"));
}
