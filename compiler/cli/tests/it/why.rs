//! `mesh why`.

use crate::harness::{Project, SHOP};
use serde_json::Value;

/// Callers with and without a call, an authorization with conditions and an exception, settings at every level.
const STORE: &str = r#"mesh store {
  mtls strict
  default {
    timeout 10s
  }
}

profile patient {
  retry 2 on connect-failure
}

service web {
  port 80 http
  calls cart to GET /cart/{id} {
    timeout 2s
  }
  calls cart to POST /cart {
    use patient
  }
}

service job {
  port 80 http
}

service cart {
  port 80 http
  subset old label version = "1"
  subset new label version = "2"
}

route cart {
  rule testers {
    match GET when header "x-tester" present
    to cart:new
    timeout 500ms
  }
  rule others {
    to cart:old 75%, cart:new 25%
  }
}

authorize web {
  allow from anyone
  deny from unauthenticated
}

authorize cart {
  allow from web to GET /cart/{id}
  allow from web to POST /cart when header "x-csrf" present
  deny to /cart/secret
}
"#;

fn store() -> Project {
    Project::new(&[("store.mesh", STORE)])
}

#[track_caller]
fn says(args: &[&str], expected: &str) {
    let ran = store().mesh(&[&["why"], args, &["{}"]].concat());
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{}", ran.out);
    assert_eq!(ran.out.trim_end(), expected.trim_end());
}

fn json(project: &Project, args: &[&str]) -> Value {
    let ran = project.mesh(&[&["why"], args, &["--format", "json", "{}"]].concat());
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    serde_json::from_str(&ran.out).unwrap()
}

#[test]
fn the_call_the_rule_the_authorization_and_the_settings_have_their_lines() {
    says(
        &["--from", "web", "--to", "cart", "GET /cart/7", "-H", "X-Tester: yes"],
        "\
GET /cart/7  from web.default  to cart.default

call       ✓ calls cart to GET /cart/{id}  (store.mesh:14)
             not calls cart to POST /cart  (store.mesh:17): needs POST and /cart
route      ✓ rule testers of cart.default  (store.mesh:33)
             match GET when header \"x-tester\" present  (store.mesh:34)
             to cart:new
             timeout 500ms
             beats rule others  (store.mesh:38)
authorize  ✓ allow from web to GET /cart/{id} at cart.default  (store.mesh:49)

→ cart:new
  timeout  500ms  rule testers of route cart  (store.mesh:36)
  retry    none  written nowhere
  mtls     strict  (store.mesh:2)
",
    );
}

#[test]
fn a_split_has_its_ways() {
    let answer = json(&store(), &["--from", "web", "--to", "cart", "GET /cart/7"]);
    let ends: Vec<(f64, &str)> = answer["ends"]
        .as_array()
        .unwrap()
        .iter()
        .map(|end| (end["percent"].as_f64().unwrap(), end["end"].as_str().unwrap()))
        .collect();
    assert_eq!(ends, [(75.0, "cart:old"), (25.0, "cart:new")]);
    assert_eq!(answer["ways"].as_array().unwrap().len(), 2);
    assert_eq!(answer["complete"], true);
}

#[test]
fn what_is_refused_names_the_line_or_those_that_are_near() {
    let by_default = json(&store(), &["--from", "web", "--to", "cart", "POST /cart"]);
    let step = &by_default["ways"][0]["steps"][2];
    assert_eq!(
        (&step["kind"], &step["holds"], &step["by"]),
        (&"authorize".into(), &false.into(), &Value::Null)
    );
    assert_eq!(
        step["others"][0]["line"]["text"],
        "allow from web to POST /cart when header \"x-csrf\" present"
    );
    assert_eq!(step["others"][0]["fails"], serde_json::json!(["header \"x-csrf\" present"]));
    assert_eq!(step["others"][1]["fails"], serde_json::json!(["GET", "/cart/{id}"]));
    assert_eq!(by_default["ways"][0]["status"], 403);
    let by_a_deny = json(&store(), &["--from", "web", "--to", "cart", "GET /cart/secret"]);
    let step = &by_a_deny["ways"][0]["steps"][2];
    assert_eq!(step["by"]["text"], "deny to /cart/secret");
    assert_eq!(step["others"][0]["fails"], serde_json::json!([]), "an allow fits, and does not count");
}

#[test]
fn who_declares_no_call_is_refused_before_any_route() {
    let nobody = json(&store(), &["--from", "job", "--to", "cart", "GET /cart/7"]);
    let steps = nobody["ways"][0]["steps"].as_array().unwrap();
    assert_eq!((steps.len(), &steps[0]["kind"], &steps[0]["holds"]), (1, &"call".into(), &false.into()));
    assert_eq!(steps[0]["of"], "job.default to cart.default");
}

#[test]
fn settings_come_from_the_nearest_level_and_from_profiles() {
    let answer = json(&store(), &["--from", "web", "--to", "cart", "POST /cart", "-H", "x-csrf: 1"]);
    let settings = answer["ways"][0]["settings"].as_array().unwrap();
    let shown: Vec<String> = settings
        .iter()
        .map(|own| {
            format!("{} {} {} {}", own["name"], own["value"], own["place"], own["line"]["start"]["line"])
        })
        .collect();
    assert_eq!(
        shown,
        [
            r#""timeout" "10s" "mesh default" 4"#,
            r#""retry" "2" "profile patient, used by `calls cart to POST /cart`" 9"#,
            r#""mtls" "strict" "" 2"#,
        ]
    );
}

#[test]
fn each_kind_of_peer_can_ask() {
    let allowed =
        |from: &str| json(&store(), &["--from", from, "--to", "web", "GET /"])["ends"][0]["end"].clone();
    assert_eq!(allowed("unauthenticated"), "403 (denied by web)");
    assert_eq!(allowed("anyone"), "403 (denied by web)");
    assert_eq!(allowed("identity \"spiffe://other.example/x\""), "web");
    let edge = Project::new(&[("shop.mesh", SHOP)]);
    let end = |args: &[&str]| json(&edge, args)["ends"][0]["end"].clone();
    assert_eq!(end(&["--from", "gateway edge", "--to", "web", "GET /"]), "web:v1");
    assert_eq!(end(&["--from", "edge", "--to", "web.default", "GET /"]), "web:v1");
    assert_eq!(end(&["--to", "edge", "GET /", "-H", "end-user: jason"]), "web:v2");
    assert_eq!(
        end(&["--to", "gateway edge", "--listener", "8080", "--host", "shop.example", "GET /"]),
        "web:v1"
    );
}

#[test]
fn claims_and_addresses_are_looked_at() {
    let text = r#"jwt sso {
  issuer "https://sso.example"
  audience "api"
  jwks "https://sso.example/keys"
}

service api {
  port 80 http
  jwt sso optional
}

authorize api {
  allow from anyone to GET /vip when claim "tier" = "vip"
  allow from anyone to GET /ops when claim "realm" "roles" has "ops" and claim "realm" "roles" has "dev"
  allow from anyone to GET /in when source-ip = "10.0.0.0/8"
  allow from anyone to GET /any when jwt sso present
}
"#;
    let project = Project::new(&[("api.mesh", text)]);
    let is_allowed =
        |args: &[&str]| json(&project, &[&["--to", "api"], args].concat())["ends"][0]["end"] == "api";
    assert!(is_allowed(&["GET /vip", "--claim", "tier=vip"]) && !is_allowed(&["GET /vip"]));
    assert!(is_allowed(&["GET /vip", "--claim", "sso:tier=vip"]));
    let roles = ["--claim", "/realm/roles=ops", "--claim", "/realm/roles=dev"];
    assert!(
        is_allowed(&[&["GET /ops"][..], &roles].concat())
            && !is_allowed(&[&["GET /ops"][..], &roles[..2]].concat())
    );
    assert!(is_allowed(&["GET /in", "--source-ip", "10.1.2.3"]) && !is_allowed(&["GET /in"]));
    assert!(is_allowed(&["GET /any", "--jwt", "sso"]) && !is_allowed(&["GET /any"]));
}

#[test]
fn what_means_nothing_is_exit_code_2_and_names_what_is_near() {
    let fails = |args: &[&str]| {
        let ran = store().mesh(&[&["why"], args, &["{}"]].concat());
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{args:?}");
        ran.err
    };
    let said = fails(&["--from", "wbe", "--to", "cart", "GET /"]);
    assert!(said.contains("no service or gateway `wbe`") && said.contains("Did you mean `web`?"), "{said}");
    let said = fails(&["--to", "carts", "GET /"]);
    assert!(said.contains("Did you mean `cart`?"), "{said}");
    assert!(fails(&["--to", "cart", "GET"]).contains("`GET` is no request"));
    assert!(fails(&["--to", "cart"]).contains("the request is not said"));
    assert!(fails(&["--to", "cart", "GET /", "-H", "jason"]).contains("`jason` is no header"));
    assert!(fails(&["--to", "cart", "GET /", "--port", "81"]).contains("has no port `81`"));
    assert!(
        fails(&["--to", "cart", "GET /", "--host", "a.example"]).contains("only gateways are asked by host")
    );
    assert!(fails(&["--to", "cart", "GET /", "--claim", "a=b"]).contains("Say whose claim it is"));
    assert!(fails(&["--to", "cart", "GET /", "--env", "live"]).contains("no environment `live`"));
}

#[test]
fn a_project_with_errors_has_no_answer() {
    let project = Project::new(&[("shop.mesh", &SHOP.replace("to web:v2", "to web:v9"))]);
    let ran = project.mesh(&["why", "--to", "web", "GET /", "{}"]);
    assert!(ran.code == 1 && ran.out.contains("MESH2003"), "{}", ran.out);
    assert!(ran.err.contains("What a project with errors decides is not known."), "{}", ran.err);
}

#[test]
fn one_line_for_each_decision_is_for_other_tools() {
    let ran = store().mesh(&[
        "why",
        "--from",
        "web",
        "--to",
        "cart",
        "GET /cart/secret",
        "{}",
        "--format",
        "short",
    ]);
    let expected = "\
store.mesh:14:3: call: yes: calls cart to GET /cart/{id}
store.mesh:38:3: route: yes: rule others of cart.default
store.mesh:51:3: authorize: no: deny to /cart/secret at cart.default
100% 403 (denied by cart)
";
    assert_eq!(ran.out, expected);
}

#[test]
fn the_request_may_be_left_out_where_there_are_only_connections() {
    let text = "service db {\n  port 5432 tcp\n}\nauthorize db {\n  allow from anyone\n}\n";
    let project = Project::new(&[("db.mesh", text)]);
    let answer = json(&project, &["--to", "db"]);
    assert_eq!((&answer["request"], &answer["ends"][0]["end"]), (&"".into(), &"db".into()));
    let ran = project.mesh(&["why", "--to", "db", "GET /", "{}"]);
    assert!(ran.code == 2 && ran.err.contains("`db.default` knows connections, not requests"), "{}", ran.err);
}
