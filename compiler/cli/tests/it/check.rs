//! `mesh check`, and what becomes of input that cannot be read.

use crate::harness::{Project, SHOP, bookinfo, mesh};
use serde_json::Value;

/// No `authorize`: a warning.
const OPEN: &str = "service web {\n  port 80 http\n}\n";
const TYPO: &str = "service web {\n  prot 80 http\n}\n";

#[test]
fn a_project_without_mistakes_says_what_was_looked_at() {
    let project = Project::new(&[("shop.mesh", SHOP)]);
    let ran = project.mesh(&["check", "{}"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, ""), "{}", ran.err);
    assert_eq!(ran.err, "✓ 1 file, 5 rules, 0 errors, 0 warnings\n");
}

#[test]
fn an_error_is_exit_code_1_with_the_place_and_where_to_read_on() {
    let project = Project::new(&[("web.mesh", TYPO)]);
    let ran = project.mesh(&["check", "{}", "--format", "short"]);
    assert_eq!(ran.code, 1);
    assert!(ran.out.starts_with("web.mesh:2:3: error[MESH1007]: "), "{}", ran.out);
    let lines = [
        "1 file, 0 rules, 1 error",
        "More about the first one: mesh explain MESH1007",
        "1 mistake can be mended: mesh check --fix, or --diff to see how",
    ];
    assert_eq!(ran.err.lines().collect::<Vec<_>>(), lines);

    let human = project.mesh(&["check", "{}"]).out;
    for part in ["MESH1007", "web.mesh:2:3", "prot 80 http", "port"] {
        assert!(human.contains(part), "{part} is not in {human}");
    }
}

#[test]
fn warnings_fail_only_where_asked() {
    let project = Project::new(&[("web.mesh", OPEN)]);
    let ran = project.mesh(&["check", "{}"]);
    assert_eq!(ran.code, 0);
    assert!(ran.out.contains("MESH4001"), "{}", ran.out);
    assert!(ran.err.contains("0 errors, 1 warning\n"), "{}", ran.err);
    assert_eq!(project.mesh(&["check", "{}", "--fail-on", "warning"]).code, 1);

    project.write("web.mesh", TYPO);
    assert_eq!(project.mesh(&["check", "{}", "--fail-on", "never"]).code, 0);
}

#[test]
fn a_program_reads_one_document_and_nothing_else() {
    let project = Project::new(&[("web.mesh", TYPO)]);
    let ran = project.mesh(&["check", "{}", "--format", "json"]);
    assert_eq!((ran.code, ran.err.as_str()), (1, ""));
    let report: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(report["schema"], "mesh.diagnostics/v1");
    let finding = &report["diagnostics"][0];
    assert_eq!((&finding["code"], &finding["severity"]), (&"MESH1007".into(), &"error".into()));
    assert_eq!(finding["place"]["file"], "web.mesh");
    assert_eq!(finding["place"]["start"], serde_json::json!({ "line": 2, "column": 3 }));
    assert_eq!(finding["place"]["end"], serde_json::json!({ "line": 2, "column": 7 }));
    assert_eq!(report["summary"]["errors"], report["diagnostics"].as_array().unwrap().len());
}

#[test]
fn json_lines_are_findings_and_then_the_summary() {
    let project = Project::new(&[("web.mesh", TYPO)]);
    let ran = project.mesh(&["check", "{}", "--format", "jsonl"]);
    let lines: Vec<Value> = ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().all(|line| line["schema"] == "mesh.diagnostics/v1"));
    assert_eq!(lines[0]["diagnostic"]["code"], "MESH1007");
    assert_eq!(lines.last().unwrap()["summary"]["files"], 1);
}

#[test]
fn quiet_leaves_only_findings() {
    let project = Project::new(&[("shop.mesh", SHOP)]);
    let ran = project.mesh(&["check", "-q", "{}"]);
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, "", ""));
}

#[test]
fn colour_is_used_only_where_it_is_asked_for() {
    let project = Project::new(&[("web.mesh", TYPO)]);
    assert!(!project.mesh(&["check", "{}"]).out.contains('\u{1b}'));
    assert!(project.mesh(&["check", "{}", "--color", "always"]).out.contains('\u{1b}'));
    let plain = project.mesh(&["check", "{}", "--format", "plain"]).out;
    assert!(plain.is_ascii() && plain.contains("MESH1007"), "{plain}");
}

#[test]
fn a_path_that_is_not_there_is_named() {
    let ran = mesh(&["check", "/no/such/place"], b"");
    assert_eq!((ran.code, ran.out.as_str()), (2, ""));
    assert_eq!(
        ran.err,
        "error: cannot read `/no/such/place`: no such file or directory\n  help: Check the spelling of the path.\n"
    );
}

#[test]
fn a_directory_without_sources_is_named() {
    let project = Project::new(&[("notes.txt", "")]);
    let ran = project.mesh(&["check", "{}"]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.starts_with("error: no `.mesh` file in `PROJECT`\n  help: "), "{}", ran.err);
}

#[test]
fn something_that_is_neither_file_nor_directory_is_not_read() {
    let ran = mesh(&["check", "/dev/zero"], b"");
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("neither a file nor a directory"), "{}", ran.err);
}

#[test]
fn bytes_that_are_not_utf_8_are_shown_with_their_line() {
    let project = Project::new(&[("shop.mesh", SHOP)]);
    project.write("bad.mesh", b"# one\n# two \xe4\n");
    let ran = project.mesh(&["check", "{}", "--format", "short"]);
    assert_eq!(ran.code, 1);
    assert_eq!(ran.out, "bad.mesh:2:7: error[MESH1001]: byte `0xE4` is not UTF-8\n");
    assert!(project.mesh(&["check", "{}"]).out.contains("MESH1001"));
}

#[test]
fn a_huge_file_is_refused_by_its_size() {
    let project = Project::new(&[]);
    let file = std::fs::File::create(project.at("huge.mesh")).unwrap();
    // Sparse: it has no blocks on disk, and reading it would be noticed.
    file.set_len(100 << 40).or_else(|_| file.set_len(100 << 20)).unwrap();
    for format in ["human", "short", "json", "plain"] {
        let ran = project.mesh(&["check", "{}", "--format", format]);
        assert_eq!(ran.code, 1);
        assert!(ran.out.contains("MESH1002") && ran.out.contains("huge.mesh"), "{}", ran.out);
    }
}

#[test]
fn a_project_of_too_many_files_is_refused_as_a_whole() {
    let project = Project::new(&[("shop.mesh", SHOP)]);
    for number in 1..mesh_lang::source::MAX_FILES {
        project.write(&format!("{number}.mesh"), "");
    }
    let ran = project.mesh(&["check", "{}"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    project.write("0.mesh", "");
    let ran = project.mesh(&["check", "{}", "--format", "short"]);
    assert_eq!(ran.code, 1);
    let said = "error[MESH1002]: the project has 10001 files, 10000 are the most it may have";
    assert!(ran.out.contains(said), "{}", ran.out);
}

#[test]
fn the_shipped_example_has_no_finding() {
    let ran = mesh(&["check", bookinfo().to_str().unwrap(), "--fail-on", "warning"], b"");
    assert_eq!((ran.code, ran.out.as_str()), (0, ""));
    assert!(ran.err.starts_with("✓ 4 files, "), "{}", ran.err);
}

#[test]
fn of_very_many_findings_the_first_are_drawn_and_errors_before_warnings() {
    let services: String = (0..1_300).map(|n| format!("service s{n} {{\n  port 80 http\n}}\n")).collect();
    let project = Project::new(&[("a.mesh", &services)]);
    let ran = project.mesh(&["check", "{}"]);
    assert_eq!(ran.out.matches("MESH4001").count(), 20, "{}", ran.out);
    assert!(ran.out.ends_with("… and 1,280 more; --format short lists all\n\n"), "{}", ran.out);
    assert!(project.mesh(&["check", "{}", "--format", "plain"]).out.contains("... and 1,280 more"));
    assert_eq!(project.mesh(&["check", "{}", "--format", "short"]).out.lines().count(), 1_300);
    project.write("b.mesh", "route s1 {\n  rule a {\n    match /a\n    to s1\n  }\n}\n");
    assert!(
        project.mesh(&["check", "{}"]).out.starts_with("error[MESH3007]"),
        "the warnings come first by place"
    );
}

#[test]
fn a_file_that_is_no_source_is_named_with_what_to_name_instead() {
    let project = Project::new(&[("notes.txt", ""), ("plan.mplan", "")]);
    let ran = project.mesh(&["check", "{}/notes.txt"]);
    assert_eq!((ran.code, ran.out.as_str()), (2, ""));
    assert_eq!(
        ran.err,
        "error: `notes.txt` is not a `.mesh` file\n  help: Name a `.mesh` file or a directory.\n"
    );
    assert!(project.mesh(&["check", "{}/plan.mplan"]).err.contains("mesh plan inspect"));
}

#[test]
fn standard_input_is_not_read_where_files_are_compiled() {
    for command in ["check", "build", "test", "up"] {
        let ran = mesh(&[command, "-"], b"");
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{command}");
        assert!(ran.err.starts_with("error: `-` is no file or directory"), "{}", ran.err);
    }
}

#[test]
fn a_broken_link_is_called_one() {
    let project = Project::new(&[("shop.mesh", SHOP)]);
    std::os::unix::fs::symlink("nowhere.mesh", project.at("x.mesh")).unwrap();
    for path in ["{}", "{}/x.mesh"] {
        let ran = project.mesh(&["check", path]);
        assert_eq!(ran.code, 2);
        assert_eq!(
            ran.err,
            "error: cannot read `x.mesh`: it is a broken link to `nowhere.mesh`\n  help: Remove the link, or put a file where it leads.\n"
        );
    }
}

#[test]
fn an_unknown_name_in_a_single_file_says_which_files_were_not_read() {
    let caller = "service cart {\n  calls web, wbe\n}\n";
    let project = Project::new(&[("cart.mesh", caller), ("shop.mesh", SHOP), ("notes.txt", "")]);
    let note = "beside it was not read: name the directory";
    let out = project.mesh(&["check", "{}/cart.mesh", "--format", "json"]).out;
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(report["diagnostics"][0]["notes"], serde_json::json!([format!("`shop.mesh` {note}")]));
    assert_eq!(out.matches(note).count(), 1, "once is enough: {out}");
    assert!(!project.mesh(&["check", "{}"]).out.contains(note), "all were read");

    for name in ["a", "b", "c"] {
        project.write(&format!("{name}.mesh"), "");
    }
    let out = project.mesh(&["check", "{}/cart.mesh"]).out;
    assert!(out.contains("`a.mesh`, `b.mesh`, `c.mesh` and 1 more beside it were not read"), "{out}");
}

#[test]
fn a_program_learns_what_could_not_be_read() {
    for format in ["json", "jsonl"] {
        let ran = mesh(&["check", "/no/such/place", "--format", format], b"");
        assert_eq!(ran.code, 2);
        let document: Value = serde_json::from_str(&ran.out).unwrap();
        let expected = serde_json::json!({
            "schema": "mesh.diagnostics/v1",
            "error": {
                "message": "cannot read `/no/such/place`: no such file or directory",
                "help": "Check the spelling of the path.",
            },
        });
        assert_eq!(document, expected);
        assert!(ran.err.starts_with("error: cannot read"), "a person learns it too: {}", ran.err);
    }
}

#[test]
fn a_change_that_breaks_a_promise_of_the_platform_fails_its_check_with_the_counterexample() {
    let project = Project::new(&[]);
    for folder in ["catalog", "edge", "orders", "payments", "platform"] {
        let from = bookinfo().join("../online-shop").join(folder);
        for entry in std::fs::read_dir(from).unwrap() {
            let path = entry.unwrap().path();
            let name = format!("{folder}/{}", path.file_name().unwrap().to_str().unwrap());
            project.write(&name, std::fs::read(&path).unwrap());
        }
    }
    let check = || project.mesh(&["check", "{}", "--format", "short"]);
    assert_eq!(check().code, 0, "{}", check().out);
    let honest = String::from_utf8(project.read("payments/payments.mesh")).unwrap();
    let open = |line: &str| {
        let text = honest.replace("authorize payments {\n", &format!("authorize payments {{\n  {line}\n"));
        project.write("payments/payments.mesh", text);
    };
    open("allow from anyone to GET /v1/status");
    let ran = check();
    assert_eq!(ran.code, 1, "{}", ran.out);
    let said =
        "platform/tests.mesh:6:52: error[MESH3050]: not every request is `deny`: one is `payments.payments`";
    assert!(ran.out.contains(said), "{}", ran.out);
    let human = project.mesh(&["check", "{}"]).out;
    let counterexample = "request from unauthenticated to payments.payments GET /v1/status";
    assert!(human.contains(counterexample), "{human}");
    assert_eq!(human.matches("MESH3050").count(), 1, "in both environments it is one finding: {human}");
    // Whom the guardrail refuses it goes on refusing.
    let human = human.replace("\n", " ");
    assert!(!human.contains("from catalog.catalog") && !human.contains("from frontend.edge"), "{human}");
    assert_eq!(project.mesh(&["check", "{}", "--fail-on", "never"]).code, 0);

    open("allow from catalog.catalog to GET /v1/status");
    let ran = check();
    assert!(ran.code == 1 && ran.out.contains("MESH4012") && !ran.out.contains("MESH3050"), "{}", ran.out);
}
