//! `mesh trim`: what an access log shows, and what the lines let in beyond it.

use crate::harness::{Project, SHOP};

fn line(entry: &str, method: &str, path: &str, service: &str) -> String {
    format!(
        "{{\"time\":\"x\",\"entry\":\"{entry}\",\"method\":\"{method}\",\"path\":\"{path}\",\"status\":200,\"service\":\"{service}\"}}\n"
    )
}

fn project() -> Project {
    let more = "\nservice batch {\n  calls web\n}\n";
    let access = "  allow from gateway edge\n  allow from namespace default to /reports/**\n";
    let project =
        Project::new(&[("shop.mesh", &(SHOP.replace("  allow from gateway edge\n", access) + more))]);
    let log = [
        line("edge.default/http", "GET", "/", "web.default"),
        line("edge.default/http", "GET", "/missing", ""),
        line("batch.default", "GET", "/reports/2026/17", "web.default"),
        line("batch.default", "GET", "/reports/2026/18", "web.default"),
        line("elsewhere.default", "GET", "/", "web.default"),
        "{\"dropped_lines\":3}\n".to_owned(),
        format!(
            "{{\"sent_path\":\"/reports/1\",{}",
            &line("batch.default", "POST", "/old", "web.default")[1..]
        ),
    ];
    project.write("access.jsonl", log.concat());
    project
}

#[test]
fn narrower_lines_are_proposed_for_what_was_seen() {
    let ran = project().mesh(&["trim", "--log", "{}/access.jsonl", "{}"]);
    let expected = "\
shop.mesh:32  authorize web.default
  - allow from gateway edge
  + allow from gateway edge to GET /
    lets in all that was seen: 1 request

shop.mesh:33  authorize web.default
  - allow from namespace default to /reports/**
  + allow from batch to GET /reports/{id}/{id}, POST /reports/{id}
    lets in all that was seen: 3 requests

";
    assert_eq!((ran.code, ran.out.as_str()), (0, expected), "{}", ran.err);
    for said in
        ["3 lines were dropped", "not in this project: elsewhere.default", "6 requests seen, 2 lines to trim"]
    {
        assert!(ran.err.contains(said), "no {said} in {}", ran.err);
    }
}

#[test]
fn what_is_proposed_compiles_and_then_nothing_is_left() {
    let project = project();
    let text = String::from_utf8(project.read("shop.mesh")).unwrap();
    let text = text.replace("  allow from gateway edge\n", "  allow from gateway edge to GET /\n").replace(
        "  allow from namespace default to /reports/**\n",
        "  allow from batch to GET /reports/{id}/{id}, POST /reports/{id}\n",
    );
    project.write("shop.mesh", text);
    let ran = project.mesh(&["trim", "--log", "{}/access.jsonl", "{}"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, ""), "{}", ran.err);
}

#[test]
fn a_line_that_is_none_is_named() {
    let project = project();
    project.write("access.jsonl", line("batch.default", "GET", "/", "web.default") + "GET / 200\n");
    let ran = project.mesh(&["trim", "--log", "{}/access.jsonl", "{}"]);
    assert_eq!((ran.code, ran.out.as_str()), (2, ""));
    assert!(
        ran.err.contains("line 2 of") && ran.err.contains("is not a line of an access log"),
        "{}",
        ran.err
    );
    let ran = project.mesh(&["trim", "--log", "{}/none.jsonl", "{}"]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("cannot read") && ran.err.contains("none.jsonl"), "{}", ran.err);
}

#[test]
fn programs_get_a_document() {
    let ran = project().mesh(&["trim", "--log", "{}/access.jsonl", "{}", "--format", "json"]);
    let document: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(document["schema"], "mesh.trim/v1");
    assert_eq!(document["lines"][0]["proposed"], "allow from gateway edge to GET /");
    assert_eq!(document["unknown"], serde_json::json!(["elsewhere.default"]));
}
