//! A line of the access log says where the rule stands that decided.

use mesh_tests::harness::{Mesh, Upstream};

/// The text of a field of a line, or nothing.
fn field<'a>(line: &'a str, name: &str) -> &'a str {
    let (_, rest) = line.split_once(&format!("\"{name}\":")).unwrap_or_default();
    let end = if rest.starts_with('[') { rest.find(']').map(|end| end + 1) } else { rest.find(",\"") };
    rest.get(..end.unwrap_or(0)).unwrap_or_default().trim_matches('"')
}

#[test]
fn the_log_says_where_the_rule_stands_that_decided() {
    let upstream = Upstream::named("shop");
    let text = format!(
        r#"
#- edge.mesh
gateway edge {{ listener web port 80 http {{ host "*" }} }}
authorize edge {{
  allow from anyone
  audit from anyone to /told
}}
#- routes.mesh
route edge {{
  rule gone {{
    match /gone
    respond 410
  }}
  rule all {{ to shop }}
}}
service shop {{
  port 80 http
  endpoints static "{}"
}}
#- policy.mesh
# Who may do what.
authorize shop {{
  allow from gateway edge to GET
  deny from anyone to /secret/**
}}
"#,
        upstream.address
    );
    let mesh = Mesh::start(&text, &[]);
    let mut client = mesh.connect("edge.default/web");
    for (target, status) in [("/gone", 410), ("/secret/1", 403), ("/told", 200)] {
        assert_eq!(client.get("shop.example", target, &[]).unwrap().0, status, "{target}");
    }
    assert_eq!(client.ask("POST", "shop.example", "/", &[]).unwrap().0, 403);
    drop(client);
    let lines = mesh.log();
    let told: Vec<[&str; 3]> =
        lines.iter().map(|line| ["rule", "source", "audit_sources"].map(|name| field(line, name))).collect();
    assert_eq!(
        told,
        [
            ["route edge.default listener web host \\\"*\\\" rule gone", "routes.mesh:2", ""],
            ["authorize shop.default: deny from anyone to /secret/**", "policy.mesh:4", ""],
            // Of a service without a route.
            ["route shop.default rule default", "routes.mesh:8", "[\"edge.mesh:4\"]"],
            // No line says no: there is none that lets it in.
            ["", "", ""],
        ],
        "{lines:#?}"
    );
}
