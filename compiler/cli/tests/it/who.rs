//! `mesh who`.

use crate::harness::{Project, SHOP};
use serde_json::Value;

/// A caller with a call, one without, a namespace, an exception, a gateway.
const STORE: &str = r#"mesh store {
  trust-domain store.example
}

gateway edge {
  listener web port 8080 http {
    host "*"
  }
}

route edge {
  to web
}

authorize edge {
  allow from anyone
}

service web {
  port 80 http
  calls cart to GET /cart/{id}
}

service job {
  port 80 http
}

service cart {
  port 80 http
}

authorize web {
  allow from gateway edge
}

authorize job {
  deny
}

authorize cart {
  allow from web, job to GET /cart/{id}, POST /cart when header "x-csrf" present
  allow from namespace default except web, job to GET /health
  deny to /cart/secret
}
"#;

fn store() -> Project {
    Project::new(&[("store.mesh", STORE)])
}

#[track_caller]
fn says(args: &[&str], expected: &str) {
    let ran = store().mesh(&[&["who"], args, &["{}"]].concat());
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert_eq!(ran.out.trim_end(), expected.trim_end());
}

fn rows(args: &[&str]) -> Vec<Value> {
    let ran = store().mesh(&[&["who"], args, &["--format", "json", "{}"]].concat());
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    let json: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(json["schema"], "mesh.who/v1");
    json["rows"].as_array().unwrap().clone()
}

#[test]
fn everybody_who_may_call_is_named_with_the_line_that_says_so() {
    says(
        &["--can-call", "cart"],
        "\
cart.default port 80 may be called by

  ◐ job.default: partly, and declares no such call
      allow from job, web to GET /cart/{id}, POST /cart when header \"x-csrf\" present  (store.mesh:41)
      but not what deny to /cart/secret  (store.mesh:43)
      e.g. GET /cart/1  x-csrf: x  and not  GET /cart
  ◐ web.default: partly
      allow from job, web to GET /cart/{id}, POST /cart when header \"x-csrf\" present  (store.mesh:41)
      but not what deny to /cart/secret  (store.mesh:43)
      e.g. GET /cart/1  x-csrf: x  and not  GET /cart/1
  ◐ any other identity of namespace default (1 of the project): partly
      allow from namespace default except job, web to GET /health  (store.mesh:42)
      e.g. GET /health  and not  GET /cart/secret
",
    );
}

#[test]
fn of_some_requests_all_or_none_may_be_let_in() {
    let verdicts = |operation: &str| -> Vec<String> {
        let found = rows(&["--can-call", "cart", operation]);
        found.iter().map(|row| format!("{} {} {}", row["caller"], row["verdict"], row["declared"])).collect()
    };
    assert_eq!(verdicts("GET /health"), [r#""any other identity of namespace default" "allowed" "unasked""#]);
    assert_eq!(
        verdicts("POST /cart"),
        [r#""job.default" "partly" "no""#, r#""web.default" "partly" "no""#],
        "web declares another call"
    );
    assert_eq!(verdicts("GET /cart/secret"), [r#""web.default" "denied" "yes""#]);
    assert_eq!(verdicts("PUT"), Vec::<String>::new());
}

#[test]
fn what_a_service_or_gateway_may_call_is_listed() {
    says(
        &["--callable-from", "gateway edge"],
        "\
gateway edge.default may call

  ✓ web.default port 80: allowed
      allow from gateway edge  (store.mesh:33)
",
    );
    let ran = store().mesh(&["who", "--callable-from", "cart", "PUT /", "{}"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, "Nothing.\n"));
}

#[test]
fn an_example_is_a_line_of_a_test() {
    let found = rows(&["--can-call", "cart", "GET /cart/{id}"]);
    let web = found.iter().find(|row| row["caller"] == "web.default").unwrap();
    let (allowed, denied) = (&web["allowed"]["test"], &web["denied"]["test"]);
    let lines = format!(
        "test \"asked\" {{\n  {} expect allow\n  {} expect deny\n}}\n",
        allowed.as_str().unwrap(),
        denied.as_str().unwrap()
    );
    let project = Project::new(&[("store.mesh", &format!("{STORE}{lines}"))]);
    let ran = project.mesh(&["test", "{}"]);
    assert!(ran.code == 0 && ran.out.contains("ok   asked (2 requests)"), "{lines}{}{}", ran.out, ran.err);
}

#[test]
fn the_matrix_is_for_spreadsheets_too() {
    let ran = store().mesh(&["who", "--matrix", "-o", "csv", "{}"]);
    let lines: Vec<&str> = ran.out.split("\r\n").collect();
    assert_eq!(
        lines[..3],
        [
            "caller,callee,port,verdict,declared,operations,conditions,line,allowed,denied",
            "job.default,cart.default,80,partly,no,\"GET /cart/{id}, POST /cart\",\"header \"\"x-csrf\"\" present\",\
             store.mesh:41,GET /cart/1  x-csrf: x,GET /cart",
            "web.default,cart.default,80,partly,yes,\"GET /cart/{id}, POST /cart\",\"header \"\"x-csrf\"\" present\",\
             store.mesh:41,GET /cart/1  x-csrf: x,GET /cart/1",
        ]
    );
    assert_eq!(lines.len(), 6, "{}", ran.out);
    assert_eq!(rows(&["--matrix"]).len(), 4);
    assert_eq!(
        store().mesh(&["who", "--matrix", "-o", "json", "{}"]).out,
        store().mesh(&["who", "--matrix", "--format", "json", "{}"]).out
    );
}

#[test]
fn everybody_may_be_everybody() {
    let text = "service web {\n  port 80 http\n}\nauthorize web {\n  allow from anyone\n}\n";
    let project = Project::new(&[("web.mesh", text)]);
    let ran = project.mesh(&["who", "--can-call", "web", "{}", "--format", "plain"]);
    let expected = "\
web.default port 80 may be called by

  any other identity of the mesh (1 of the project): allowed
      allow from anyone  (web.mesh:5)
  any identity of another trust domain: allowed
      allow from anyone  (web.mesh:5)
  peers without identity: allowed
      allow from anyone  (web.mesh:5)
";
    assert_eq!(ran.out, expected);
    assert_eq!(ran.err, "\nNobody else.\n");
}

#[test]
fn what_means_nothing_is_exit_code_2_and_names_what_is_near() {
    let fails = |args: &[&str]| {
        let ran = store().mesh(&[&["who"], args, &["{}"]].concat());
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{args:?}");
        ran.err
    };
    assert!(fails(&["--can-call", "carts"]).contains("Did you mean `cart`?"));
    assert!(fails(&["--can-call", "edge"]).contains("`edge` is a gateway"));
    assert!(
        fails(&["--can-call", "cart", "GTE /x"]).contains("`GTE /x` is no operation: `GTE` is not a method")
    );
    assert!(fails(&["--can-call", "cart", "GET /x } deny {"]).contains("is no operation"));
    assert!(
        fails(&["--can-call", "cart", "GET /x when header \"a\" present"])
            .contains("more than methods and paths")
    );
    assert!(fails(&["--can-call", "cart", "--port", "81"]).contains("has no port `81`"));
    assert!(fails(&["--matrix", "GET /x"]).contains("the matrix is about all requests"));
    assert!(fails(&["--matrix", "--can-call", "cart"]).contains("cannot be used with"));
    let ran = store().mesh(&["who", "{}"]);
    assert!(ran.code == 2 && ran.err.contains("--can-call"), "{}", ran.err);
}

#[test]
fn a_project_with_errors_has_no_answer() {
    let project = Project::new(&[("shop.mesh", &SHOP.replace("to web:v2", "to web:v9"))]);
    let ran = project.mesh(&["who", "--matrix", "{}"]);
    assert!(ran.code == 1 && ran.out.contains("MESH2003"), "{}", ran.out);
}
