//! `mesh diff`: directories, plans and revisions, in any mix.

use crate::harness::{Project, Ran, SHOP};
use std::process::Command;

/// The shop as it is next week: testers are gone, `web` may be asked by others, and it waits less.
fn next_week() -> String {
    SHOP.replace("  rule testers {\n    match when header \"end-user\" = \"jason\"\n    to web:v2\n  }\n", "")
        .replace(
            "  allow from gateway edge\n",
            "  allow from gateway edge\n  allow from batch to GET /reports/**\n",
        )
        .replace("  port 80 http\n", "  port 80 http\n  timeout 2s\n")
        + "\nservice batch {\n  calls web\n}\n"
}

fn both() -> Project {
    let project = Project::new(&[("old/shop.mesh", SHOP)]);
    project.write("new/shop.mesh", next_week());
    project
}

const EXPECTED: &str = "\
+ service batch.default

Newly allowed
  + calls of batch.default to web.default
      every request
        was   no such call (403)
        is    declared
  + web.default
      from batch.default  GET /reports/**
        was   deny
        is    allow  (authorize web.default: allow from batch to GET /reports/**)
        e.g.  GET /reports  from batch.default

Routed elsewhere
  > web.default
      when header \"end-user\" = \"jason\"
        was   web.default:v2  (route web.default rule testers)
        is    web.default:v1  (route web.default rule others)
        e.g.  GET /  end-user: jason

Settings changed
  ~ web.default
      when header \"end-user\" absent or != \"jason\"
        was   nothing  (route web.default rule others)
        is    timeout 2s  (route web.default rule others)
        e.g.  GET /

4 changes: 2 newly allowed, 1 routed elsewhere, 1 settings changed. 3 of 3 proxies get another slice: batch.default, gateway edge.default, web.default.
";

#[track_caller]
fn says(ran: &Ran, expected: &str) {
    assert_eq!((ran.code, ran.out.as_str()), (0, expected), "{}", ran.err);
}

#[test]
fn what_is_newly_allowed_routed_and_set_is_told_with_a_request_of_each() {
    says(&both().mesh(&["diff", "{}/old", "{}/new"]), EXPECTED);
}

#[test]
fn a_plan_stands_for_its_sources() {
    let project = both();
    for name in ["old", "new"] {
        let (sources, plan) = (format!("{{}}/{name}"), format!("{{}}/{name}.mplan"));
        assert_eq!(project.mesh(&["build", &sources, "-o", &plan]).code, 0);
    }
    for (old, new) in [("old.mplan", "new"), ("old", "new.mplan"), ("old.mplan", "new.mplan")] {
        says(&project.mesh(&["diff", &format!("{{}}/{old}"), &format!("{{}}/{new}")]), EXPECTED);
    }
}

#[test]
fn where_a_line_stands_is_no_difference() {
    let project = Project::new(&[("old/shop.mesh", SHOP)]);
    project.write("new/moved.mesh", format!("# A comment.\n\n{SHOP}"));
    for name in ["old", "new"] {
        let plan = format!("{{}}/{name}.mplan");
        assert_eq!(project.mesh(&["build", &format!("{{}}/{name}"), "-o", &plan]).code, 0);
    }
    assert_ne!(project.read("old.mplan"), project.read("new.mplan"));
    for (old, new) in [("old", "new"), ("old.mplan", "new.mplan"), ("old", "new.mplan")] {
        let ran = project.mesh(&["diff", &format!("{{}}/{old}"), &format!("{{}}/{new}")]);
        says(&ran, "No request is decided otherwise.\n");
    }
}

#[test]
fn a_revision_stands_for_the_directory_as_it_was() {
    let project =
        Project::new(&[("policy/shop.mesh", SHOP), ("policy/.hidden/x.mesh", "no"), ("notes.txt", "")]);
    let git = |arguments: &[&str]| {
        let identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"];
        let status =
            Command::new("git").arg("-C").arg(project.at("")).args(identity).args(arguments).status();
        assert!(status.unwrap().success(), "git {arguments:?}");
    };
    git(&["init", "--quiet"]);
    git(&["add", "."]);
    git(&["commit", "--quiet", "-m", "first"]);
    project.write("policy/shop.mesh", next_week());
    let in_policy = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mesh"));
        let output =
            command.current_dir(project.at("policy")).env("NO_COLOR", "1").args(arguments).output().unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let (code, out, err) = in_policy(&["diff", "HEAD"]);
    assert_eq!((code, out.as_str()), (Some(0), EXPECTED), "{err}");
    git(&["commit", "--quiet", "-a", "-m", "second"]);
    for arguments in [&["diff", "HEAD~1..HEAD"][..], &["diff", "HEAD~1:policy", "HEAD:policy"]] {
        let (code, out, err) = in_policy(arguments);
        assert_eq!((code, out.as_str()), (Some(0), EXPECTED), "{err}");
    }
    let (code, _, err) = in_policy(&["diff", "HEAD~7"]);
    assert_eq!(code, Some(2));
    assert!(err.contains("`HEAD~7` is no path and no revision of git"), "{err}");
    let (code, _, err) = in_policy(&["diff", "HEAD:elsewhere"]);
    assert_eq!(code, Some(2));
    assert!(err.contains("`HEAD` has no `.mesh` file below `elsewhere`"), "{err}");
}

#[test]
fn the_exit_code_says_whether_anything_differs_where_it_is_asked_to() {
    let project = both();
    assert_eq!(project.mesh(&["diff", "{}/old", "{}/new", "--exit-code"]).code, 1);
    let same = project.mesh(&["diff", "{}/old", "{}/old", "--exit-code"]);
    says(&same, "No request is decided otherwise.\n");
}

/// A gateway is none of those who are `authenticated`: that it is let in now is told of it, though nobody names it.
#[test]
fn a_gateway_that_nobody_names_is_told_apart() {
    let text = "gateway edge { listener web port 8080 http { host \"*\" } }\nroute edge { to cart }\n\
                authorize edge { allow from anyone }\nservice web { calls cart }\nservice cart { port 80 http }\n\
                authorize cart { allow from authenticated }\n";
    let project = Project::new(&[("old/x.mesh", text)]);
    project.write("new/x.mesh", text.replace("cart { allow from authenticated", "cart { allow from anyone"));
    let ran = project.mesh(&["diff", "{}/old", "{}/new"]);
    let told = "      from anyone except others of the mesh\n        was   deny\n        is    allow  (authorize cart.default: allow from anyone)\n        e.g.  GET /  from gateway edge.default\n";
    assert!(ran.out.contains(told), "{}{}", ran.out, ran.err);
}

/// Who calls a service whose route sends to another one has that one in its slice.
#[test]
fn what_is_behind_a_route_is_in_the_slice_of_who_calls() {
    let text = "service a { calls b }\nservice b { port 80 http }\nservice c { port 80 http; timeout 1s }\nservice d { }\n\
                route b { to c }\nauthorize b { allow from a }\nauthorize c { allow from a }\n";
    let project = Project::new(&[("old/x.mesh", text)]);
    project.write("new/x.mesh", text.replace("timeout 1s", "timeout 2s"));
    let ran = project.mesh(&["diff", "{}/old", "{}/new"]);
    let last = "2 of 4 proxies get another slice: a.default, c.default.";
    assert!(ran.out.trim_end().ends_with(last), "{}{}", ran.out, ran.err);
}

#[test]
fn sources_with_errors_are_not_compared() {
    let project = both();
    project.write("new/shop.mesh", SHOP.replace("to web:v2", "to web:v3"));
    let ran = project.mesh(&["diff", "{}/old", "{}/new"]);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    assert!(ran.err.contains("MESH2003") && ran.err.contains("does not compile"), "{}", ran.err);
}

#[test]
fn a_damaged_plan_is_refused() {
    let project = both();
    assert_eq!(project.mesh(&["build", "{}/old", "-o", "{}/old.mplan"]).code, 0);
    let plan = project.read("old.mplan");
    project.write("old.mplan", &plan[..plan.len() - 9]);
    let ran = project.mesh(&["diff", "{}/old.mplan", "{}/new"]);
    assert_eq!((ran.code, ran.out.as_str()), (2, ""));
    assert!(ran.err.contains("cannot use") && ran.err.contains("old.mplan"), "{}", ran.err);
}

#[test]
fn environments_in_which_the_same_differs_are_told_together() {
    let mesh = "mesh shop {\n  environments staging, prod\n}\n";
    let project = Project::new(&[("old/mesh.mesh", mesh), ("old/shop.mesh", SHOP), ("new/mesh.mesh", mesh)]);
    project
        .write("new/shop.mesh", SHOP.replace("rule others {\n    to web:v1", "rule others {\n    to web:v2"));
    let ran = project.mesh(&["diff", "{}/old", "{}/new"]);
    assert!(ran.out.starts_with("In staging and prod\n") && !ran.out.contains("\nIn prod"), "{}", ran.out);
    let ran = project.mesh(&["diff", "{}/old", "{}/new", "--env", "prod"]);
    assert!(ran.out.starts_with("In prod\n"), "{}", ran.out);
    let ran = project.mesh(&["diff", "{}/old", "{}/new", "--env", "dev"]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("neither of the two has an environment `dev`"), "{}", ran.err);
}

#[test]
fn markdown_has_a_table_and_a_graph() {
    let ran = both().mesh(&["diff", "{}/old", "{}/new", "--format", "markdown"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    for line in [
        "**added** `service batch.default`",
        "| | where | requests | was | is |",
        "| `+` | `web.default` | `from batch.default  GET /reports/**`<br>e.g. `GET /reports  from batch.default` | `deny` | \
         `allow`<br>authorize web.default: allow from batch to GET /reports/\\*\\* |",
        "```mermaid",
        "  n0 == \"+\" ==> n2",
        "  n1 -- \"~\" --> n2",
    ] {
        assert!(ran.out.lines().any(|own| own == line), "no line {line}\nin {}", ran.out);
    }
    let check = both().mesh(&["check", "{}/old", "--format", "markdown"]);
    assert_eq!(check.code, 2);
    assert!(check.err.contains("only `mesh diff` writes Markdown"), "{}", check.err);
}

#[test]
fn programs_get_a_document() {
    let ran = both().mesh(&["diff", "{}/old", "{}/new", "--format", "json"]);
    let document: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(document["schema"], "mesh.diff/v1");
    let difference = &document["differences"][0];
    assert_eq!(difference["added"], serde_json::json!(["service batch.default"]));
    let kinds: Vec<&str> = difference["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| change["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["newly-allowed", "newly-allowed", "routed-elsewhere", "settings-changed"]);
    assert_eq!(difference["changes"][1]["example"]["path"], "/reports");
    assert_eq!(difference["edges"][0]["change"], "added");
}
