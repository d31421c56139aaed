//! `mesh check --fix` and `--diff`: what can only have been meant one way is mended, nothing else.

use crate::harness::{Project, SHOP};
use serde_json::Value;

/// Slips of the pen, one of each kind, in a project that is right without them.
fn slips() -> String {
    SHOP.replace("port 80 http\n", "prot 80 HTTP\n")
        .replace("match when header \"end-user\"", "match get //x/../y when header \"End-User\"")
        .replace("  to web\n", "  to wbe\n")
}

/// What they are meant to be.
fn mended() -> String {
    SHOP.replace("match when header", "match GET /y when header")
}

#[test]
fn slips_of_the_pen_are_mended_and_listed() {
    let project = Project::new(&[("shop.mesh", &slips())]);
    let ran = project.mesh(&["check", "{}", "--fix"]);
    assert_eq!(String::from_utf8(project.read("shop.mesh")).unwrap(), mended(), "{}", ran.err);
    assert_eq!((ran.code, ran.out.as_str()), (0, ""), "{}", ran.err);
    for line in [
        "shop.mesh:8:3: fixed[MESH1007]: write `port` for `prot`",
        "shop.mesh:8:11: fixed[MESH1012]: write `http` for `HTTP`",
        "shop.mesh:19:11: fixed[MESH1012]: write `GET` for `get`",
        "shop.mesh:19:15: fixed[MESH1013]: write `/y` for `//x/../y`",
        "shop.mesh:19:31: fixed[MESH1012]: write `end-user` for `End-User`",
        "fixed[MESH2001]: write `web` for `wbe`",
        "✓ 1 file, 5 rules, 0 errors, 0 warnings",
    ] {
        assert!(ran.err.contains(line), "{line} is not in {}", ran.err);
    }
    assert_eq!(project.names(), ["shop.mesh"], "no other file stays behind");
}

#[test]
fn a_difference_changes_nothing() {
    let project = Project::new(&[("shop.mesh", &slips())]);
    let ran = project.mesh(&["check", "{}", "--diff", "--format", "short"]);
    assert_eq!(String::from_utf8(project.read("shop.mesh")).unwrap(), slips());
    assert_eq!(ran.code, 1, "the mistakes are still there");
    for line in ["-  prot 80 HTTP", "+  port 80 http", "-  to wbe", "+  to web"] {
        assert!(ran.out.lines().any(|own| own == line), "{line} is not in {}", ran.out);
    }
    assert!(!ran.out.contains("error["), "a difference can be given to patch: {}", ran.out);
}

#[test]
fn what_could_mean_something_else_is_left_alone() {
    for (right, wrong) in [
        ("to web:v2", "to web:v3"),
        ("to web\n", "to wxyeb\n"),
        ("port 80 http", "port 80 websocket"),
        ("service web", "service my_web"),
        ("allow from anyone", "allow"),
        // Whom a line lets in is never guessed.
        ("allow from gateway edge", "allow from gateway edgee"),
        ("authorize web {", "authorize wbe {"),
    ] {
        let text = SHOP.replacen(right, wrong, 1);
        assert_ne!(text, SHOP, "{right}");
        let project = Project::new(&[("shop.mesh", &text)]);
        let ran = project.mesh(&["check", "{}", "--fix"]);
        assert_eq!(ran.code, 1, "{wrong}");
        assert_eq!(String::from_utf8(project.read("shop.mesh")).unwrap(), text, "{wrong}: {}", ran.err);
    }
}

#[test]
fn the_name_of_a_parameter_is_mended() {
    let text = SHOP.replace("  subset v1", "  timeout $patience\n  subset v1");
    let text = format!("param patience duration = 3s\n{}", text.replace("$patience", "$patienc"));
    let project = Project::new(&[("shop.mesh", &text)]);
    assert_eq!(project.mesh(&["check", "{}", "--fix"]).code, 0);
    let now = String::from_utf8(project.read("shop.mesh")).unwrap();
    assert!(now.contains("timeout $patience\n"), "the name of a parameter is: {now}");
}

#[test]
fn a_program_reads_what_was_mended_and_what_could_be() {
    let project = Project::new(&[("shop.mesh", &SHOP.replace("port 80 http\n", "prot 80 websocket\n"))]);
    let ran = project.mesh(&["check", "{}", "--format", "json"]);
    let report: Value = serde_json::from_str(&ran.out).unwrap();
    let fix = &report["diagnostics"][0]["fixes"][0];
    assert_eq!((&fix["certain"], &fix["edits"][0]["text"]), (&true.into(), &"port".into()), "{report}");
    let ran = project.mesh(&["check", "{}", "--fix", "--format", "json"]);
    let report: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(report["fixed"][0]["code"], "MESH1007", "{report}");
    assert_eq!(report["diagnostics"][0]["fixes"][0]["certain"], false, "{report}");
    assert_eq!(ran.err, "");
}
