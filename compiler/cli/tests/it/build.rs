//! `mesh build`.

use crate::harness::{Project, SHOP, bookinfo, mesh};
use std::fs;

#[test]
fn the_same_sources_are_the_same_plan_whatever_the_files_are_called() {
    let split = SHOP.find("route edge").unwrap();
    let (first, second) = SHOP.split_at(split);
    let project = Project::new(&[
        ("one/shop.mesh", SHOP),
        ("elsewhere/a/shop.mesh", SHOP),
        ("two/z.mesh", first),
        ("two/a.mesh", second),
    ]);
    for (name, output) in
        [("one", "1.mplan"), ("one", "2.mplan"), ("elsewhere/a", "3.mplan"), ("two", "4.mplan")]
    {
        let ran = project.mesh(&["build", &format!("{{}}/{name}"), "-o", &format!("{{}}/{output}")]);
        assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    }
    let [built, again, elsewhere, split] =
        ["1.mplan", "2.mplan", "3.mplan", "4.mplan"].map(|name| project.read(name));
    assert_eq!(built, again);
    assert_eq!(built, elsewhere, "where the project is says nothing");
    // Where its rules stand is behind the plan, and all that differs.
    assert_ne!(built, split);
    let [built, split] = [built, split].map(|bytes| mesh_plan::verify(bytes).unwrap());
    assert_eq!(built.plan_bytes(), split.plan_bytes());
    assert_eq!(built.without_sources(), split.without_sources());
}

#[test]
fn the_plan_and_its_parts_are_described_in_a_line_each() {
    let project = Project::new(&[("shop.mesh", SHOP)]);
    let ran = project.mesh(&["build", "{}", "-o", "{}/plan.mplan"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, ""));
    let lines: Vec<&str> = ran.err.lines().collect();
    let [.., line, parts] = lines.as_slice() else { panic!("{}", ran.err) };
    assert!(line.starts_with("plan.mplan  "), "{line}");
    assert!(parts.starts_with("3 parts of ") && parts.contains(", the largest: "), "{parts}");
    let report = project.mesh(&["build", "{}", "-o", "{}/plan.mplan", "--format", "json"]).out;
    assert!(report.contains("\"unit\": \"gateway edge.default\""), "{report}");
    assert!(line.contains(" KiB  digest ") && line.ends_with("…  1 service, 1 gateway, 5 rules"), "{line}");
    assert_eq!(project.names(), ["plan.mplan", "shop.mesh"]);
}

#[test]
fn an_error_leaves_the_old_plan_as_it_was() {
    let project = Project::new(&[("shop.mesh", SHOP)]);
    project.mesh(&["build", "{}", "-o", "{}/plan.mplan"]);
    let before = project.read("plan.mplan");
    project.write("shop.mesh", SHOP.replace("to web:v2", "to wbe:v2"));
    let ran = project.mesh(&["build", "{}", "-o", "{}/plan.mplan"]);
    assert_eq!(ran.code, 1);
    assert!(ran.out.contains("MESH2001"), "{}", ran.out);
    assert!(ran.err.ends_with("`plan.mplan` is not written and stays as it was\n"), "{}", ran.err);
    assert_eq!(project.read("plan.mplan"), before);
}

#[test]
fn a_place_that_cannot_be_written_is_named_with_the_remedy() {
    let project = Project::new(&[("shop.mesh", SHOP)]);
    let ran = project.mesh(&["build", "{}", "-o", "{}/out/plan.mplan"]);
    assert_eq!(ran.code, 2);
    assert_eq!(
        ran.err,
        "error: cannot write `out/plan.mplan`: directory `out`: no such file or directory\n  help: Create it first: mkdir -p out\n"
    );
    let ran = project.mesh(&["build", "{}", "-o", "{}"]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("it is a directory"), "{}", ran.err);
    let ran = project.mesh(&["build", "{}", "-o", "/dev/full"]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("it is not a regular file"), "{}", ran.err);
    assert_eq!(project.names(), ["shop.mesh"]);
}

#[test]
fn a_program_reads_where_the_plan_is_and_its_digest() {
    let project = Project::new(&[("shop.mesh", SHOP)]);
    let ran = project.mesh(&["build", "{}", "-o", "{}/plan.mplan", "--format", "json"]);
    let report: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(report["plan"]["bytes"], project.read("plan.mplan").len());
    assert_eq!(report["plan"]["digest"].as_str().unwrap().len(), 64);
}

#[test]
fn the_shipped_example_builds() {
    let project = Project::new(&[]);
    let example = bookinfo();
    let ran = project.mesh(&["build", example.to_str().unwrap(), "-o", "{}/plan.mplan"]);
    assert_eq!(ran.code, 0, "{}", ran.out);
    assert!(fs::metadata(project.at("plan.mplan")).unwrap().len() > 0);
}

/// Runs `mesh build -o -` on the project as a shell would in a pipe, or at a terminal.
fn build_to_output(project: &Project, is_terminal: bool) -> (u8, Vec<u8>, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let streams = mesh_cli::Streams {
        input: &mut std::io::empty(),
        output: &mut out,
        errors: &mut err,
        terminal: mesh_cli::Terminal { output: is_terminal, ..mesh_cli::Terminal::default() },
    };
    let args = ["mesh".into(), "build".into(), project.at("").into(), "-o".into(), "-".into()];
    let code = mesh_cli::run(args, streams);
    (code, out, String::from_utf8(err).unwrap())
}

#[test]
fn a_dash_is_standard_output_and_holds_the_plan_alone() {
    let project = Project::new(&[("shop.mesh", SHOP), ("open.mesh", "service open {\n  port 80 http\n}\n")]);
    project.mesh(&["build", "{}", "-o", "{}/plan.mplan"]);
    let (code, out, err) = build_to_output(&project, false);
    assert_eq!((code, &out), (0, &project.read("plan.mplan")));
    assert!(err.contains("MESH4001") && err.contains("standard output  "), "{err}");

    let (code, out, err) = build_to_output(&project, true);
    assert_eq!((code, out), (2, vec![]));
    assert!(err.contains("not written to a terminal\n  help: Name a file"), "{err}");

    let ran = project.mesh(&["build", "{}", "-o", "-", "--format", "json"]);
    assert!(ran.code == 2 && ran.err.contains("cannot hold both"), "{}", ran.err);

    project.write("shop.mesh", "prot");
    let (code, out, err) = build_to_output(&project, false);
    assert_eq!((code, out), (1, vec![]));
    assert!(err.ends_with("`standard output` is not written\n"), "{err}");
}

#[test]
fn a_plan_among_the_sources_is_a_forgotten_flag() {
    let ran = mesh(&["build", "orig", "out.mplan"], b"");
    assert_eq!((ran.code, ran.out.as_str()), (2, ""));
    assert!(ran.err.ends_with("help: Write the plan with `-o out.mplan`.\n"), "{}", ran.err);
}
