//! `mesh explain`.

use crate::harness::{Project, mesh};
use mesh_lang::diagnostic::Code;
use mesh_lang::signature::Place;
use std::collections::BTreeSet;

#[test]
fn a_code_is_found_by_number_and_by_name_in_any_case() {
    let page = mesh(&["explain", "MESH3001"], b"");
    assert_eq!(page.code, 0);
    assert_eq!(page.out.trim_end(), Code::AmbiguousRules.page().trim_end());
    for spelling in ["mesh3001", "3001", "ambiguous-rules", "Ambiguous-Rules"] {
        assert_eq!(mesh(&["explain", spelling], b""), page, "{spelling}");
    }
}

#[test]
fn an_unknown_code_is_exit_code_2_and_names_the_nearest() {
    let ran = mesh(&["explain", "ambigous-rules"], b"");
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("neither a code nor a statement: `ambigous-rules`"), "{}", ran.err);
    assert!(ran.err.contains("Did you mean `ambiguous-rules`?"), "{}", ran.err);
    let ran = mesh(&["explain", "ambiguous"], b"");
    assert!(ran.code == 2 && ran.err.contains("Did you mean `ambiguous-rules`?"), "{}", ran.err);
}

#[test]
fn the_list_has_every_code_and_every_keyword_once() {
    let list = mesh(&["explain", "--list"], b"");
    let (codes, keywords) = list.out.split_once("\n\n").unwrap();
    assert_eq!(codes.lines().count(), Code::ALL.len());
    let first = |line: &str| line.split(' ').next().unwrap().to_owned();
    let found: Vec<String> = keywords.lines().map(first).collect();
    let all: BTreeSet<&str> =
        Place::ALL.into_iter().flat_map(Place::statements).map(|row| row.keyword).collect();
    assert_eq!(found.iter().map(String::as_str).collect::<BTreeSet<_>>(), all);
    assert_eq!(found.len(), all.len());
    assert_eq!(mesh(&["explain"], b""), list, "nothing asked, everything told");
    assert!(list.out.contains("MESH4001  warning  no-authorize\n"), "{}", list.out);
    let json: serde_json::Value =
        serde_json::from_str(&mesh(&["explain", "--list", "--format", "json"], b"").out).unwrap();
    assert_eq!(json["codes"].as_array().unwrap().len(), Code::ALL.len());
}

#[test]
fn a_statement_is_explained_with_its_forms_its_places_and_what_stands_in_it() {
    let ran = mesh(&["explain", "service"], b"");
    assert_eq!(ran.code, 0);
    assert!(ran.out.starts_with("service NAME"), "{}", ran.out);
    assert!(ran.out.contains("What stands in `service`:") && ran.out.contains("\n    calls "), "{}", ran.out);
    let json: serde_json::Value =
        serde_json::from_str(&mesh(&["explain", "retry", "--format", "json"], b"").out).unwrap();
    let forms = json["forms"].as_array().unwrap();
    assert!(
        forms.iter().any(|form| form["in"].as_array().unwrap().iter().any(|place| place == "rule")),
        "{json}"
    );
}

#[test]
fn every_keyword_of_the_language_is_explained() {
    for place in mesh_lang::signature::Place::ALL {
        for row in place.statements() {
            let ran = mesh(&["explain", row.keyword], b"");
            assert!(ran.code == 0 && ran.out.contains(row.form), "{}: {}", row.keyword, ran.out);
        }
    }
}

#[test]
fn a_misspelt_keyword_names_the_nearest() {
    let ran = mesh(&["explain", "retyr"], b"");
    assert!(ran.code == 2 && ran.err.contains("Did you mean `retry`?"), "{}", ran.err);
    let ran = mesh(&["explain", "retry", "shop/"], b"");
    assert!(ran.code == 2 && ran.err.contains("the same in every project"), "{}", ran.err);
}

const SHOP: &str = "mesh shop {
  environments staging, live
  default {
    timeout 10s
  }
}

param patience duration = 3s

env live {
  set patience = 5s
}

service reviews {
  port 80 http
  timeout $patience
}

service page {
  calls reviews {
    timeout 2s
  }
}
";

#[test]
fn a_value_is_explained_with_the_lines_that_set_it() {
    let project = Project::new(&[("shop.mesh", SHOP)]);
    let ran = project.mesh(&["explain", "reviews.timeout", "{}", "--env", "live"]);
    let expected = "\
timeout of service reviews.default: 5s

  timeout 5s
    service reviews, shop.mesh:16
    $patience is 5s, shop.mesh:11
  timeout 10s
    mesh default, shop.mesh:4, behind the lines above

These count instead, for the requests that pass them:

  timeout 2s
    `calls reviews` in service page, shop.mesh:21
";
    assert_eq!((ran.code, ran.out.as_str()), (0, expected), "{}", ran.err);
    let both = project.mesh(&["explain", "reviews.timeout", "{}"]).out;
    assert!(
        both.contains("reviews.default in staging: 3s") && both.contains("reviews.default in live: 5s"),
        "{both}"
    );
    let json: serde_json::Value =
        serde_json::from_str(&project.mesh(&["explain", "page.retry", "{}", "--format", "json"]).out)
            .unwrap();
    assert_eq!(
        (&json["lines"], &json["environments"]),
        (&serde_json::json!([]), &serde_json::json!(["staging", "live"]))
    );
}

#[test]
fn a_value_that_is_not_there_is_exit_code_2_and_names_the_nearest() {
    let project = Project::new(&[("shop.mesh", SHOP)]);
    let ran = project.mesh(&["explain", "reviws.timeout", "{}"]);
    assert!(ran.code == 2 && ran.err.contains("Did you mean `reviews`?"), "{}", ran.err);
    project.write("shop.mesh", SHOP.replace("timeout $patience", "tiemout $patience"));
    let ran = project.mesh(&["explain", "reviews.timeout", "{}", "--env", "live"]);
    assert!(
        ran.code == 1 && ran.out.contains(": 10s") && ran.err.contains("MESH1007"),
        "{}{}",
        ran.out,
        ran.err
    );
}
