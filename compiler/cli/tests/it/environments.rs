//! Projects with environments: `check` and `test` look at each, a plan is for one.

use crate::harness::Project;

/// In staging all goes to the new version.
const SHOP: &str = r#"mesh shop {
  environments staging, live
}

service web {
  port 80 http
  subset v1 label version = "1"
  subset v2 label version = "2"
}

authorize web {
  allow from anyone
}

route web {
  rule all {
    to web:v1
    env staging {
      to web:v2
    }
  }
}

test "what is served" {
  request to web GET / expect allow
}

test "staging is new" in staging {
  every from anyone to web expect allow
}
"#;

fn project(text: &str) -> Project {
    Project::new(&[("shop.mesh", text)])
}

#[test]
fn tests_are_asked_in_each_environment() {
    let ran = project(SHOP).mesh(&["test", "{}"]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    let lines = [
        "ok   what is served in staging (1 request)",
        "ok   staging is new in staging (1 request)",
        "ok   what is served in live (1 request)",
    ];
    assert_eq!(ran.out.lines().collect::<Vec<_>>(), lines);
    let ran = project(SHOP).mesh(&["test", "{}", "--env", "live"]);
    assert_eq!(ran.out, "ok   what is served in live (1 request)\n");
}

#[test]
fn what_is_wrong_in_one_environment_says_in_which() {
    let wrong = SHOP.replace("to web:v2", "to web:v3");
    let ran = project(&wrong).mesh(&["check", "{}"]);
    assert_eq!(ran.code, 1);
    assert_eq!(ran.out.matches("MESH2003").count(), 1, "{}", ran.out);
    assert!(ran.out.contains("in `staging`"), "{}", ran.out);
    assert_eq!(project(&wrong).mesh(&["check", "{}", "--env", "live"]).code, 0);
    let everywhere = SHOP.replace("to web:v1", "to web:v4").replace("to web:v2", "to web:v4");
    let ran = project(&everywhere.replace("    env staging {\n      to web:v4\n    }\n", ""))
        .mesh(&["check", "{}"]);
    assert_eq!((ran.out.matches("MESH2003").count(), ran.out.contains("in `")), (1, false), "{}", ran.out);
}

#[test]
fn a_plan_is_for_one_environment() {
    let project = project(SHOP);
    let ran = project.mesh(&["build", "{}", "-o", "{}/plan.mplan"]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("several environments, `staging`, `live`"), "{}", ran.err);
    let ran = project.mesh(&["build", "{}", "-o", "{}/plan.mplan", "--env", "stagin"]);
    assert!(ran.code == 2 && ran.err.contains("Did you mean `staging`?"), "{}", ran.err);
    let ran = project.mesh(&["build", "{}", "-o", "{}/plan.mplan", "--env", "staging"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
}
