//! Section 3: lines, precedence and routes.

use super::{SHOP, check, check_findings, check_shop, parsed, question, reference, told};
use crate::Reference;

#[test]
fn rules_3_1_and_3_4_the_narrower_line_wins_whatever_the_order() {
    check_shop(
        r#"route cart {
  rule wide {
    match /a/**
    respond 201
  }
  rule narrow {
    match /a/{x}, GET|POST /b when header "x-kind" in ("a", "b")
    respond 202
  }
  rule one {
    match /a/c when header "x-kind" = "a"
    respond 203
  }
  otherwise 404
}"#,
        &[
            ("web calls cart GET /a", "respond 201 (route cart.default rule wide)"),
            ("web calls cart GET /a/c", "respond 201 (route cart.default rule wide)"),
            ("web calls cart GET /a/c | x-kind: b", "respond 202 (route cart.default rule narrow)"),
            ("web calls cart GET /a/c | x-kind: a", "respond 203 (route cart.default rule one)"),
            ("web calls cart POST /b | x-kind: a", "respond 202 (route cart.default rule narrow)"),
            ("web calls cart PUT /b | x-kind: a", "respond 404 (route cart.default otherwise)"),
        ],
    );
}

#[test]
fn rule_3_2_patterns_are_sets_of_segments() {
    let answers = |pattern: &str, fits: &[&str], fits_not: &[&str]| {
        let program = format!(
            "{SHOP}route cart {{\n rule r {{\n match {pattern}\n respond 200\n }}\n otherwise 404\n}}"
        );
        let reference = reference(&program);
        let status = |path: &str| told(&reference.ask(&question(&format!("web calls cart OPTIONS {path}"))));
        fits.iter().for_each(|path| assert!(status(path).starts_with("respond 200"), "{pattern} and {path}"));
        fits_not
            .iter()
            .for_each(|path| assert!(status(path).starts_with("respond 404"), "{pattern} and {path}"));
    };
    answers("/", &["/"], &["/a", "*"]);
    answers("/a", &["/a"], &["/a/", "/", "/A", "/a/b"]);
    answers("/a/", &["/a/"], &["/a", "/a/b"]);
    answers("/{x}", &["/a"], &["/", "/a/", "/a/b"]);
    answers("/a/**", &["/a", "/a/", "/a/b/c"], &["/", "/ab", "*"]);
    answers("/a/{x}/**", &["/a/b", "/a/b/"], &["/a", "/a/"]);
    answers("/**", &["/", "/a/b/"], &["*"]);
}

#[test]
fn rule_3_3_a_condition_grants_only_where_it_is_certain() {
    let answers = |condition: &str, holds: &[&str]| {
        let program = format!(
            "{SHOP}route cart {{\n rule r {{\n match when {condition}\n respond 200\n }}\n otherwise 404\n}}"
        );
        let reference = reference(&program);
        let requests =
            [("absent", ""), ("a", "| x-k: a"), ("ab", "| x-k: ab"), ("many", "| x-k: a | x-k: a")];
        let met: Vec<&str> = requests
            .iter()
            .filter(|(_, headers)| {
                let answer = reference.ask(&question(&format!("web calls cart GET / {headers}")));
                told(&answer).starts_with("respond 200")
            })
            .map(|(name, _)| *name)
            .collect();
        assert_eq!(met, holds, "{condition}");
    };
    answers("header \"x-k\" = \"a\"", &["a"]);
    answers("header \"x-k\" != \"a\"", &["ab"]);
    answers("not header \"x-k\" = \"a\"", &["ab"]);
    answers("not header \"x-k\" != \"a\"", &["a"]);
    answers("header \"x-k\" in (\"a\", \"b\")", &["a"]);
    answers("not header \"x-k\" in (\"a\", \"b\")", &["ab"]);
    answers("header \"x-k\" prefix \"a\"", &["a", "ab"]);
    answers("not header \"x-k\" prefix \"ab\"", &["a"]);
    answers("header \"x-k\" present", &["a", "ab", "many"]);
    answers("not header \"x-k\" absent", &["a", "ab", "many"]);
    answers("header \"x-k\" absent", &["absent"]);
    answers("not header \"x-k\" present", &["absent"]);
    answers("header \"x-k\" prefix \"a\" and header \"x-k\" != \"a\"", &["ab"]);
}

/// Two rules that overlap without one containing the other; `head` is what follows the first one's name.
fn crossing(head: &str, first: &str, second: &str) -> String {
    format!(
        "route cart {{\n rule a{head} {{\n match GET\n {first}\n }}\n rule b {{\n match /b\n {second}\n }}\n otherwise 404\n}}"
    )
}

#[test]
fn rule_3_4_overrides_decides_what_inclusion_leaves_open() {
    let program = crossing(" overrides b", "respond 201", "respond 202");
    check_shop(&program, &[("web calls cart GET /b", "respond 201 (route cart.default rule a)")]);
    check_findings(&program, &[]);
    let nothing = "route cart {\n rule a overrides b {\n match /a\n respond 201\n }\n rule b {\n match /b\n respond 202\n }\n otherwise 404\n}";
    check_findings(nothing, &["MESH3003"]);
    let narrower = "route cart {\n rule a overrides b {\n match /a/**\n respond 201\n }\n rule b {\n match /a\n respond 202\n }\n otherwise 404\n}";
    assert!(
        reference(&format!("{SHOP}{narrower}")).findings().iter().any(|finding| finding.code() == "MESH3004")
    );
}

#[test]
fn rule_3_5_equal_outcomes_are_no_ambiguity_and_the_least_name_is_reported() {
    let answer = "ambiguous, respond 201 (route cart.default rule a)";
    let ambiguous = crossing("", "respond 201", "respond 202");
    check_shop(&ambiguous, &[("web calls cart GET /b", answer)]);
    check_findings(&ambiguous, &["MESH3001"]);
    let equal = crossing("", "to cart:v1 30%, cart:v2 rest", "to cart:v2 70%, cart:v1 30%");
    let answer =
        "3/10 cart.default:v1 (route cart.default rule a), 7/10 cart.default:v2 (route cart.default rule a)";
    check_shop(&equal, &[("web calls cart GET /b", answer)]);
    check_findings(&equal, &[]);
    check_findings(&crossing("", "to cart\n timeout 1s", "to cart"), &["MESH3001"]);
}

#[test]
fn rules_3_6_and_3_8_a_rule_is_for_something_and_a_route_for_everything() {
    let shadowed = "route cart {\n rule all {\n respond 200\n }\n rule some {\n match /a/**\n respond 201\n }\n rule a {\n match GET /a/**\n respond 202\n }\n}";
    check_findings(shadowed, &[]);
    check_findings("route cart {\n rule gets {\n match GET\n respond 200\n }\n}", &["MESH3007"]);
    let never = "route cart {\n rule never {\n match when header \"x-k\" = \"a\" and header \"x-k\" = \"b\"\n respond 200\n }\n otherwise 404\n}";
    check_findings(never, &["MESH3002"]);
    check_findings(&never.replace("match when", "match /a\n match when"), &["MESH3002"]);
    check_findings("route cart {\n rule paths {\n match /**\n respond 200\n }\n}", &[]);
}

#[test]
fn rule_3_7_the_most_specific_host_is_asked_first_and_the_next_wider_one_after_it() {
    let edge =
        |rule: &str, host: &str| format!("route edge.default listener plain host \"{host}\" rule {rule}");
    let answer = |rule: &str, host: &str| format!("respond 200 ({})", edge(rule, host));
    check_shop(
        r#"
route edge {
  rule wide {
    respond 200
  }
}
route edge host "a.shop.example" {
  rule exact {
    match /e
    respond 200
  }
}
route edge host "*.shop.example" {
  rule label {
    match /l
    respond 200
  }
}
route edge host "**.b.shop.example" {
  rule labels {
    match /l
    respond 200
  }
  otherwise 410
}"#,
        &[
            ("nobody at a.shop.example GET /e", &answer("exact", "a.shop.example")),
            ("nobody at a.shop.example GET /l", &answer("label", "*.shop.example")),
            ("nobody at a.shop.example GET /w", &answer("wide", "**.shop.example")),
            ("nobody at c.shop.example GET /e", &answer("wide", "**.shop.example")),
            ("nobody at c.b.shop.example GET /l", &answer("labels", "**.b.shop.example")),
            ("nobody at elsewhere GET /", &answer("wide", "*")),
            (
                "nobody at c.b.shop.example GET /w",
                "respond 410 (route edge.default listener plain host \"**.b.shop.example\" otherwise)",
            ),
        ],
    );
}

#[test]
fn rules_3_9_and_3_10_each_bare_service_draws_again_in_its_own_route() {
    let program = "route edge {\n to cart 50%, pay:blue rest, cart:v2 0%\n}\nroute cart {\n to cart:v1 10%, cart 90%\n}";
    let program = format!("{SHOP}{program}")
        .replace("service pay {\n", "service pay {\n  subset blue label colour = \"blue\"\n");
    check(
        &program,
        &[(
            "nobody at shop GET /",
            "9/20 cart.default (route cart.default rule default), 1/20 cart.default:v1 (route cart.default rule default), \
         1/2 pay.default:blue (route edge.default listener plain host \"*\" rule default)",
        )],
    );
    let circle = parsed(&format!("{SHOP}route cart {{\n to pay\n}}\nroute pay {{\n to cart\n}}"));
    assert!(Reference::new(&[(String::new(), circle)]).is_err());
}
