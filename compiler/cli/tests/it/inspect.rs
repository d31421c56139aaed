//! `mesh plan inspect`, of plans and of what is none.

use crate::harness::{Project, Ran, SHOP};

fn built() -> Project {
    let project = Project::new(&[("shop.mesh", SHOP)]);
    let ran = project.mesh(&["build", "{}", "-o", "{}/plan.mplan"]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    project
}

#[track_caller]
fn refused(ran: &Ran, code: &str) {
    assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{}", ran.err);
    assert!(ran.err.contains(code) && ran.err.contains("plan.mplan"), "{}", ran.err);
}

#[test]
fn a_plan_is_shown_for_reading_and_for_programs() {
    let project = built();
    let ran = project.mesh(&["plan", "inspect", "{}/plan.mplan"]);
    assert_eq!(ran.code, 0);
    assert!(ran.out.contains("web.default") && ran.out.contains("edge.default"), "{}", ran.out);

    let ran = project.mesh(&["plan", "inspect", "{}/plan.mplan", "--format", "json"]);
    let document: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(document["schema"], "mesh.plan/v1");
    assert_eq!(document["services"][0]["subsets"], serde_json::json!(["v1", "v2"]));
    assert_eq!(document["gateways"][0]["listeners"][0]["port"], 8080);
}

#[test]
fn what_is_no_plan_is_told_apart() {
    let project = built();
    let plan = project.read("plan.mplan");
    let inspect = || project.mesh(&["plan", "inspect", "{}/plan.mplan"]);

    project.write("plan.mplan", &plan[..plan.len() - 7]);
    refused(&inspect(), "MESH8002");

    project.write("plan.mplan", SHOP);
    refused(&inspect(), "MESH8001");

    project.write("plan.mplan", "");
    refused(&inspect(), "MESH8001");

    let mut newer = plan.clone();
    newer[mesh_plan::layout::AT_MAJOR] = 0xee;
    project.write("plan.mplan", newer);
    refused(&inspect(), "MESH8003");

    let mut corrupt = plan;
    *corrupt.last_mut().unwrap() ^= 1;
    project.write("plan.mplan", corrupt);
    refused(&inspect(), "MESH8004");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let project = Project::new(&[]);
    let ran = project.mesh(&["plan", "inspect", "{}/plan.mplan"]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.starts_with("error: cannot read `plan.mplan`: no such file"), "{}", ran.err);
    assert_eq!(project.mesh(&["plan", "inspect", "{}"]).code, 2, "a directory");
}

#[test]
fn a_program_learns_why_too() {
    let project = Project::new(&[("plan.mplan", "x")]);
    let ran = project.mesh(&["plan", "inspect", "{}/plan.mplan", "--format", "json"]);
    assert_eq!(ran.code, 2);
    let report: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(report["diagnostics"][0]["code"], "MESH8001");
}

#[test]
fn standard_input_is_not_taken_for_a_plan() {
    let ran = crate::harness::mesh(&["plan", "inspect", "-"], b"");
    assert_eq!((ran.code, ran.out.as_str()), (2, ""));
    assert!(ran.err.starts_with("error: `-` is no plan"), "{}", ran.err);
}
