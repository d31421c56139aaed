//! `# mesh: allow CODE "reason"`: what it silences is counted and told to programs.

use crate::harness::Project;
use serde_json::Value;

const CART: &str = "# mesh: allow no-authorize \"later, INC-42\"\nservice cart {\n  port 80 http\n}\n";

#[test]
fn what_is_allowed_is_counted_and_does_not_fail() {
    let project = Project::new(&[("cart.mesh", CART)]);
    let ran = project.mesh(&["check", "{}", "--fail-on", "warning"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, ""), "{}", ran.err);
    assert_eq!(ran.err, "✓ 1 file, 0 rules, 0 errors, 0 warnings, 1 allowed\n");
    project.write("cart.mesh", format!("mesh shop {{\n  environments staging, live\n}}\n{CART}"));
    assert!(project.mesh(&["check", "{}"]).err.contains("1 allowed"), "what is so in both is one");
}

#[test]
fn a_program_reads_what_is_allowed_and_why() {
    let project = Project::new(&[("cart.mesh", CART)]);
    let ran = project.mesh(&["check", "{}", "--format", "json"]);
    let report: Value = serde_json::from_str(&ran.out).unwrap();
    let allowed = &report["allowed"][0];
    assert_eq!(
        (&allowed["finding"]["code"], &allowed["reason"]),
        (&"MESH4001".into(), &"later, INC-42".into())
    );
    assert_eq!(allowed["remark"]["start"]["line"], 1);
    assert_eq!(report["summary"]["allowed"], 1);
    let ran = project.mesh(&["check", "{}", "--format", "jsonl"]);
    let lines: Vec<Value> = ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["allowed"]["reason"], "later, INC-42");
}

/// Staging's page gives up before the reviews do; live is patient.
const SHOP: &str = r#"mesh shop {
  environments staging, live
}

# mesh: allow impatient-caller "staging is slow, INC-43"
service page {
  calls reviews {
    client-timeout 3s
    env live {
      client-timeout 20s
    }
  }
}

service reviews {
  port 80 http
  calls ratings {
    client-timeout 10s
  }
}

service ratings {
  port 80 http
}

authorize reviews {
  allow from page
}

authorize ratings {
  allow from reviews
}
"#;

#[test]
fn a_remark_that_is_needed_in_one_environment_is_used() {
    let project = Project::new(&[("shop.mesh", SHOP)]);
    for args in
        [&["check", "{}"][..], &["check", "{}", "--env", "live"], &["check", "{}", "--env", "staging"]]
    {
        let ran = project.mesh(args);
        assert_eq!((ran.code, ran.out.as_str()), (0, ""), "{args:?} {}", ran.err);
    }
    assert!(project.mesh(&["check", "{}"]).err.contains("1 allowed"));
    project.write("shop.mesh", SHOP.replace("client-timeout 3s", "client-timeout 12s"));
    let ran = project.mesh(&["check", "{}", "--format", "short"]);
    assert!(ran.out.contains("warning[MESH6002]"), "{}", ran.out);
    let ran = project.mesh(&["check", "{}", "--env", "live", "--env", "staging", "--format", "short"]);
    assert!(ran.out.contains("warning[MESH6002]"), "both are all of them: {}", ran.out);
    assert_eq!(project.mesh(&["check", "{}", "--env", "live"]).out, "", "one of two is not all");
}
