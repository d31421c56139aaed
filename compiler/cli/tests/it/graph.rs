//! `mesh graph`.

use crate::harness::{Project, SHOP, bookinfo};
use serde_json::Value;
use std::process::{Command, Stdio};

/// Two namespaces, a split, a denied call, retries on a way, mutual TLS.
const SHOPS: [(&str, &str); 2] = [
    (
        "shop/shop.mesh",
        r#"mesh store {
  mtls strict
}

module shop {
  namespace shop
}

gateway edge {
  listener web port 8080 http {
    host "*"
  }
}

route edge {
  rule pages {
    match /pages/**
    to web 80%, old 20%
  }
  otherwise 404
}

authorize edge {
  allow from anyone
}

service web {
  port 80 http
  calls pay.pay to GET /charges/{id} {
    retry 9 on reset
  }
  calls old
}

service old {
  port 80 http
}

authorize web {
  allow from gateway edge
}

authorize old {
  deny
}
"#,
    ),
    (
        "pay/pay.mesh",
        r#"module pay {
  namespace pay
}

service pay {
  port 80 http
  subset v1 label version = "1"
  subset v2 label version = "2"
}

route pay {
  to pay:v1 90%, pay:v2 10%
}

authorize pay {
  allow from web.shop
}
"#,
    ),
];

fn shops() -> Project {
    Project::new(&SHOPS)
}

fn drawn(args: &[&str]) -> String {
    let ran = shops().mesh(&[&["graph", "{}"], args].concat());
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    ran.out
}

#[test]
fn mermaid_has_boxes_with_what_is_below_them_and_lines_with_what_is_on_them() {
    let expected = "\
graph LR
  n0([\"edge<br>shop\"])
  n1[\"\u{1f512} old<br>shop\"]
  n2[\"\u{1f512} pay<br>pay<br>v1 90%, v2 10%<br>! up to 10 tries of one request\"]
  n3[\"\u{1f512} web<br>shop\"]
  n0 -.->|\"✗ pages 20%\"| n1
  n0 -->|\"pages 80%\"| n3
  n3 -.->|\"✗\"| n1
  n3 -->|\"×10\"| n2
";
    assert_eq!(drawn(&["-o", "mermaid"]), expected);
}

#[test]
fn a_picture_is_the_same_every_time_and_needs_nothing_beside_it() {
    for form in ["svg", "html", "dot", "mermaid", "json"] {
        let text = drawn(&["-o", form]);
        assert_eq!(text, drawn(&["-o", form]), "{form}");
        for forbidden in ["src=", "url(", "@import", "http://", "https://"] {
            let plain = text.replace("http://www.w3.org/2000/svg", "");
            assert!(!plain.contains(forbidden), "{forbidden} in {form}");
        }
    }
    assert_eq!(drawn(&[]), drawn(&["-o", "svg"]), "SVG is the default");
    assert_eq!(drawn(&["--format", "json"]), drawn(&["-o", "json"]));
}

#[test]
fn what_is_drawn_is_there_for_programs_too() {
    let json: Value = serde_json::from_str(&drawn(&["-o", "json"])).unwrap();
    assert_eq!((&json["schema"], &json["mesh"]), (&"mesh.graph/v1".into(), &"store".into()));
    let edges: Vec<String> = json["edges"]
        .as_array()
        .unwrap()
        .iter()
        .map(|edge| {
            format!("{} {} {} {} {}", edge["from"], edge["to"], edge["call"], edge["verdict"], edge["tries"])
        })
        .collect();
    assert_eq!(
        edges,
        [
            r#""edge.shop" "old.shop" false "denied" 1"#,
            r#""edge.shop" "web.shop" false "allowed" 1"#,
            r#""web.shop" "old.shop" true "denied" 1"#,
            r#""web.shop" "pay.pay" true "allowed" 10"#,
        ]
    );
}

#[test]
fn namespaces_are_boxes_where_that_is_asked_for_or_there_are_very_many_services() {
    let text = drawn(&["-o", "mermaid", "--by", "namespace"]);
    let expected = "\
graph LR
  n0[[\"\u{1f512} pay<br>1 service\"]]
  n1[[\"\u{1f512} shop<br>1 gateway<br>2 services<br>3 calls inside\"]]
  n1 -->|\"1\"| n0
";
    assert_eq!(text, expected);
    let many: String = (0..90).map(|number| format!("service s{number} {{\n  port 80 http\n}}\n")).collect();
    let project = Project::new(&[("many.mesh", &many)]);
    let ran = project.mesh(&["graph", "{}", "-o", "mermaid"]);
    assert!(
        ran.out.contains("[[\"default<br>90 services\"]]") && ran.err.contains("--by service"),
        "{}",
        ran.err
    );
    let all = project.mesh(&["graph", "{}", "-o", "mermaid", "--by", "service"]);
    assert_eq!((all.out.lines().count(), all.err.as_str()), (91, ""));
}

#[test]
fn one_namespace_is_drawn_with_those_it_has_to_do_with() {
    let expected = "\
graph LR
  n0[\"\u{1f512} pay<br>v1 90%, v2 10%<br>! up to 10 tries of one request\"]
  n1[[\"shop<br>namespace\"]]
  n1 --> n0
";
    assert_eq!(drawn(&["-o", "mermaid", "--namespace", "pay"]), expected);
    let ran = shops().mesh(&["graph", "{}", "--namespace", "shp"]);
    assert!(ran.code == 2 && ran.err.contains("Did you mean `shop`?"), "{}", ran.err);
}

#[test]
fn a_page_of_namespaces_leads_to_a_picture_of_each() {
    let page = drawn(&["-o", "html", "--by", "namespace"]);
    let ids: Vec<&str> =
        page.split("<section id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert_eq!(ids, ["all", "in-pay", "in-shop"]);
    for link in page.split("href=\"#").skip(1).filter_map(|rest| rest.split('"').next()) {
        assert!(ids.contains(&link), "{link}");
    }
    assert!(page.contains("href=\"#in-pay\""));
    let one = drawn(&["-o", "html"]);
    assert!(one.matches("<section").count() == 1 && !one.contains("href"), "one picture leads nowhere");
}

#[test]
fn a_file_is_written_whole_and_said() {
    let project = shops();
    let ran = project.mesh(&["graph", "{}", "--output", "{}/mesh.svg"]);
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, "", "mesh.svg  4 boxes, 4 lines\n"));
    assert!(String::from_utf8(project.read("mesh.svg")).unwrap().ends_with("</svg>\n"));
    let ran = project.mesh(&["graph", "{}", "--output", "{}/no/mesh.svg"]);
    assert!(ran.code == 2 && ran.err.contains("no/mesh.svg"), "{}", ran.err);
}

#[test]
fn a_project_with_errors_is_not_drawn() {
    let project = Project::new(&[("shop.mesh", &SHOP.replace("to web:v2", "to web:v9"))]);
    let ran = project.mesh(&["graph", "{}", "--output", "{}/mesh.svg"]);
    assert!(
        ran.code == 1 && ran.out.contains("MESH2003") && ran.err.contains("Nothing is drawn"),
        "{}",
        ran.err
    );
    assert_eq!(project.names(), ["shop.mesh"]);
}

/// Graphviz itself reads it, where it is installed; elsewhere the form is compared as text.
#[test]
fn graphviz_reads_what_is_written_for_it() {
    let sample = bookinfo();
    let ran = crate::harness::mesh(&["graph", sample.to_str().unwrap(), "-o", "dot"], b"");
    let text = ran.out;
    assert!(
        text.starts_with("digraph \"The mesh bookinfo\" {\n  rankdir=LR\n") && text.ends_with("}\n"),
        "{text}"
    );
    assert!(text.contains("  n4 [label=\"reviews\\neverybody: v1 90%, v3 10%\"]\n"), "{text}");
    assert!(text.contains("  n0 -> n2 [label=\"pages\", tooltip=\"bookinfo.default → productpage.default: routes by pages\"]"), "{text}");
    let Ok(mut dot) = Command::new("dot").arg("-Tplain").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()
    else {
        return;
    };
    std::io::Write::write_all(&mut dot.stdin.take().unwrap(), text.as_bytes()).unwrap();
    let drawn = dot.wait_with_output().unwrap();
    let plain = String::from_utf8(drawn.stdout).unwrap();
    assert!(
        drawn.status.success() && plain.lines().filter(|line| line.starts_with("node ")).count() == 5,
        "{plain}"
    );
}
