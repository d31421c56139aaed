//! `mesh explain`.

use crate::harness::mesh;
use mesh_lang::diagnostic::Code;

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
    assert!(ran.err.contains("no such code: `ambigous-rules`"), "{}", ran.err);
    assert!(ran.err.contains("Did you mean `ambiguous-rules`?"), "{}", ran.err);
    let ran = mesh(&["explain", "ambiguous"], b"");
    assert!(ran.code == 2 && ran.err.contains("Did you mean `ambiguous-rules`?"), "{}", ran.err);
}

#[test]
fn the_list_has_every_code_once() {
    let list = mesh(&["explain", "--list"], b"");
    assert_eq!(list.out.lines().count(), Code::ALL.len());
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
