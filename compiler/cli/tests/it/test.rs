//! `mesh test`.

use crate::harness::{Project, SHOP, bookinfo, mesh};

fn tested(tests: &str, args: &[&str]) -> crate::harness::Ran {
    let project = Project::new(&[("shop.mesh", SHOP), ("tests.mesh", tests)]);
    project.mesh(&[&["test", "{}"], args].concat())
}

#[test]
fn passing_tests_are_listed() {
    let ran = tested(
        r#"test "testers see v2" {
  request from gateway edge to web GET / when header "end-user" = "jason" expect web:v2
  request to edge "shop.example" GET / when header "end-user" = "jason" expect web:v2
}

test "closed by default" {
  request to web GET / expect deny
}
"#,
        &[],
    );
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert_eq!(ran.out, "ok   testers see v2 (2 requests)\nok   closed by default (1 request)\n");
    assert_eq!(ran.err, "2 tests, 3 requests, 0 failed\n");
}

#[test]
fn a_failing_test_points_at_what_was_expected_and_says_what_came() {
    let ran = tested(
        "test \"wrong\" {\n  request from gateway edge to web GET / expect web:v2\n}\n",
        &["--format", "short"],
    );
    assert_eq!(ran.code, 1);
    assert!(ran.out.starts_with("FAIL wrong (1 request)\n"), "{}", ran.out);
    assert!(
        ran.out.contains("tests.mesh:2:42: error[MESH3050]: expected `web:v2`, got `web:v1`\n"),
        "{}",
        ran.out
    );
    assert_eq!(ran.err, "1 test, 1 request, 1 failed\n");
}

#[test]
fn a_split_must_be_exactly_as_expected() {
    let shop = SHOP.replace("to web:v1\n", "to web:v1 90%, web:v2 rest\n");
    let project = Project::new(&[("shop.mesh", &shop)]);
    let run = |expect: &str| {
        let test =
            format!("test \"split\" {{\n  request from gateway edge to web GET / expect {expect}\n}}\n");
        project.write("tests.mesh", test);
        project.mesh(&["test", "{}", "--format", "short"])
    };
    assert_eq!(run("web:v2 10%, web:v1 90%").code, 0);
    assert_eq!(run("allow").code, 0);
    let ran = run("web:v1 89.99%, web:v2 10.01%");
    assert_eq!(ran.code, 1);
    let message = "expected `web:v1` 89.99%, `web:v2` 10.01%, got `web:v1` 90%, `web:v2` 10%";
    assert!(ran.out.contains(message), "{}", ran.out);
    assert!(run("web:v1").out.contains("expected `web:v1`, got `web:v1` 90%, `web:v2` 10%"));
}

#[test]
fn refusals_answers_and_settings_can_be_expected() {
    let shop = SHOP.replace(
        "  to web\n",
        "  rule all {\n    to web\n    timeout 1500ms\n  }\n  rule old {\n    match /old\n    redirect /new 308\n  }\n  rule gone {\n    match /gone\n    respond 410\n  }\n",
    );
    let project = Project::new(&[("shop.mesh", &shop)]);
    let run = |path: &str, expect: &str| {
        let test = format!("test \"t\" {{\n  request to edge \"a.example\" GET {path} expect {expect}\n}}\n");
        project.write("tests.mesh", test);
        let ran = project.mesh(&["test", "{}", "--format", "short"]);
        (ran.code, ran.out)
    };
    assert_eq!(run("/", "allow timeout 1500ms retry none").0, 0);
    assert_eq!(run("/old", "redirect /new 308").0, 0);
    assert_eq!(run("/gone", "410").0, 0);

    let (code, out) = run("/", "allow timeout 2s");
    assert!(code == 1 && out.contains("expected timeout 2s, got 1500ms"), "{out}");
    let (code, out) = run("/", "allow retry 2");
    assert!(code == 1 && out.contains("expected retry 2, got none"), "{out}");
    let (code, out) = run("/old", "redirect /newer 308");
    assert!(code == 1 && out.contains("got a redirect to `/new` with 308"), "{out}");
    let (code, out) = run("/gone", "deny");
    assert!(code == 1 && out.contains("expected `deny`, got 410"), "{out}");
    let (code, out) = run("/", "404");
    assert!(code == 1 && out.contains("expected 404, got `web:v1`"), "{out}");
}

#[test]
fn the_reason_is_the_rule_that_decided() {
    let ran = tested(
        "test \"wrong\" {\n  request from gateway edge to web GET / expect web:v2\n  request to web GET / expect allow\n}\n",
        &[],
    );
    assert!(ran.out.contains("because of"), "{}", ran.out);
    assert!(ran.out.contains("others"), "{}", ran.out);
    assert!(ran.out.contains("got 403 (no `allow` of `web` covers it)"), "{}", ran.out);
}

#[test]
fn a_filter_chooses_by_name() {
    let tests = "test \"one\" {\n  request to web GET / expect deny\n}\n\ntest \"two\" {\n  request to web GET / expect allow\n}\n";
    let ran = tested(tests, &["--filter", "one"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, "ok   one (1 request)\n"));
    let refused = |filter: &str, help: &str| {
        let ran = tested(tests, &["--filter", filter]);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""));
        assert_eq!(ran.err, format!("error: no test has `{filter}` in its name\n  help: {help}\n"));
    };
    refused("three", "There are: `one`, `two`.");
    refused("TWO", "Did you mean `two`?");
    refused("oen", "Did you mean `one`?");
}

#[test]
fn without_tests_there_is_nothing_to_fail() {
    let project = Project::new(&[("shop.mesh", SHOP)]);
    let ran = project.mesh(&["test", "{}"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, ""));
    assert!(ran.err.contains("There are no tests"), "{}", ran.err);
    assert_eq!(project.mesh(&["test", "{}", "--filter", "one"]).code, 0);
}

#[test]
fn a_project_with_errors_is_not_tested() {
    let project = Project::new(&[("shop.mesh", &SHOP.replace("to web:v2", "to web:v3"))]);
    let ran = project.mesh(&["test", "{}", "--format", "short"]);
    assert_eq!(ran.code, 1);
    assert!(ran.out.contains("MESH2003"), "{}", ran.out);
}

#[test]
fn a_program_reads_the_results() {
    let project = Project::new(&[
        ("shop.mesh", SHOP),
        ("tests.mesh", "test \"one\" {\n  request to web GET / expect allow\n}\n"),
    ]);
    let ran = project.mesh(&["test", "{}", "--format", "json"]);
    assert_eq!((ran.code, ran.err.as_str()), (1, ""));
    let report: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(report["tests"], serde_json::json!([{ "name": "one", "requests": 1, "failed": 1 }]));
    assert_eq!(report["diagnostics"][0]["code"], "MESH3050");
}

#[test]
fn the_tests_of_the_shipped_example_pass() {
    let ran = mesh(&["test", bookinfo().to_str().unwrap()], b"");
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert!(ran.out.lines().all(|line| line.starts_with("ok   ")), "{}", ran.out);
}

#[test]
fn a_request_can_carry_a_query_cookies_and_an_address() {
    let policy = r#"service web { port 80 http; subset v1 label version = "v1"; subset v2 label version = "v2" }
route web {
  rule beta { match GET when query "beta" = "1 2"; to web:v2 }
  rule all { to web:v1 }
}
authorize web {
  allow from anyone to GET when source-ip in ("10.0.0.0/8")
  allow from anyone to POST when cookie "type" = "insider"
}
"#;
    let tests = r#"test "facts" {
  request to web GET / when query "beta" = "1 2" and source-ip = "10.1.1.1" expect allow
  request to web GET / when source-ip = "192.0.2.1" expect deny
  request to web POST / when cookie "type" = "insider" expect allow
  request to web POST / when cookie "type" = "x" expect deny
}
"#;
    let project = Project::new(&[("shop.mesh", policy), ("tests.mesh", tests)]);
    let ran = project.mesh(&["test", "{}"]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
}

#[test]
fn an_outcome_that_hangs_on_an_address_needs_the_address() {
    let policy = "service web { port 80 http }\nauthorize web { allow from anyone when source-ip in (\"10.0.0.0/8\") }\n";
    let tests = "test \"t\" { request to web GET / expect deny }\n";
    let project = Project::new(&[("shop.mesh", policy), ("tests.mesh", tests)]);
    let ran = project.mesh(&["test", "{}", "--format", "plain"]);
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("the request does not say its `source-ip`"), "{}", ran.out);
}
