//! Each numbered rule of `spec/semantics.md` with an example: program and request in, what becomes of it out.

use crate::{Answer, Entry, Finding, HeaderValue, Outcome, Question, Reference};
use crate::{canonical_host, canonical_path, header_value};
use mesh_lang::{FileId, ast};

/// Services and a gateway that most examples use; `{` of a block is on the line of its statement.
const SHOP: &str = r#"
service web {
  port 80 http
  calls cart
}
service cart {
  port 80 http
  subset v1 label version = "v1"
  subset v2 label version = "v2"
}
service pay {
  port 80 http
}
gateway edge {
  listener plain port 8080 http {
    host "*", "**.shop.example"
  }
}
authorize edge, web, cart, pay {
  allow from anyone
}
"#;

#[track_caller]
fn parsed(text: &str) -> ast::File {
    let parse = mesh_lang::parse(FileId(0), text);
    let messages: Vec<&str> =
        parse.diagnostics.iter().map(|diagnostic| diagnostic.message.as_str()).collect();
    assert!(messages.is_empty(), "{messages:?}");
    parse.file
}

#[track_caller]
fn reference(text: &str) -> Reference {
    Reference::new(&[(String::new(), parsed(text))]).expect("every name resolves")
}

/// `WHO calls HOST METHOD PATH`, `WHO enters SERVICE …`, `WHO at HOST …` (the gateway), `WHO reaches SERVICE …`, then
/// header lines after `|`. `WHO` is a name in the namespace `default`, `nobody`, or a whole identity.
fn question(text: &str) -> Question {
    let mut parts = text.split('|').map(str::trim);
    let words: Vec<&str> = parts.next().unwrap_or_default().split(' ').collect();
    let [who, verb, target, method, path] = words.as_slice() else { panic!("not a request: {text}") };
    let (host, port) = canonical_host(target).expect("a host");
    let full = |name: &str| if name.contains('.') { name.to_owned() } else { format!("{name}.default") };
    let entry = match *verb {
        "calls" => Entry::Sidecar { service: full(who) },
        "enters" => Entry::FromGateway { gateway: full(who), service: full(&host), port: port.unwrap_or(80) },
        "at" => Entry::Gateway { gateway: full("edge"), listener: "plain".to_owned() },
        "reaches" => Entry::Inbound { service: full(&host), port: port.unwrap_or(80) },
        other => panic!("not a verb: {other}"),
    };
    let peer = match *who {
        "nobody" => None,
        id if id.starts_with("spiffe:") => Some(id.to_owned()),
        name => Some(format!("spiffe://local.test/ns/default/sa/{name}")),
    };
    let headers = parts.filter_map(|line| line.split_once(": ")).map(|(n, v)| (n.to_owned(), v.to_owned()));
    Question {
        entry,
        peer,
        method: (*method).to_owned(),
        host,
        host_port: port,
        path: (*path).to_owned(),
        headers: headers.collect(),
    }
}

/// One line for each ending.
fn told(answer: &Answer) -> String {
    let line = |(ending, chance): (&crate::Ending, &crate::Chance)| {
        let outcome = match &ending.outcome {
            Outcome::Forward { service, port, subset, timeout, retry } => {
                let subset = subset.as_ref().map(|subset| format!(":{subset}")).unwrap_or_default();
                let port = if *port == 80 { String::new() } else { format!(" port {port}") };
                let timeout =
                    timeout.map(|milliseconds| format!(" timeout {milliseconds}")).unwrap_or_default();
                let retry = retry.as_ref().map(|retry| format!(" retry {}", retry.count)).unwrap_or_default();
                format!("{service}{subset}{port}{timeout}{retry}")
            }
            Outcome::Redirect { status, location } => format!("redirect {location} {status}"),
            Outcome::Respond { status, body } => format!("respond {status} {body}").trim().to_owned(),
            Outcome::Denied { by } => format!("denied by {by}"),
            Outcome::UndeclaredCall => "undeclared call".to_owned(),
            Outcome::NoRoute => "no route".to_owned(),
        };
        let chance = chance.to_string();
        let chance = if chance == "1/1" { String::new() } else { format!("{chance} ") };
        let rule = ending.rules.first().map(|rule| format!(" ({rule})")).unwrap_or_default();
        format!("{chance}{outcome}{rule}")
    };
    let ambiguous = if answer.ambiguous { "ambiguous, " } else { "" };
    format!("{ambiguous}{}", answer.endings.iter().map(line).collect::<Vec<_>>().join(", "))
}

/// Each request of the list gets what stands beside it.
#[track_caller]
fn check(program: &str, expected: &[(&str, &str)]) {
    let reference = reference(program);
    for (request, outcome) in expected {
        assert_eq!(told(&reference.ask(&question(request))), *outcome, "of `{request}`");
    }
}

/// Like [`check`], beside the services and the gateway that most examples use.
#[track_caller]
fn check_shop(program: &str, expected: &[(&str, &str)]) {
    check(&format!("{SHOP}{program}"), expected);
}

#[track_caller]
fn check_findings(program: &str, expected: &[&str]) {
    let findings = reference(&format!("{SHOP}{program}\nroute edge {{\n  otherwise 404\n}}")).findings();
    assert_eq!(findings.iter().map(Finding::code).collect::<Vec<_>>(), expected, "{findings:?}");
}

#[test]
fn rule_1_1_a_path_has_one_form() {
    let same = ["/", "*", "/a/b", "/a/", "/%20", "/%3B", "/a:@!$&'()+,=*"];
    same.iter().for_each(|path| assert_eq!(canonical_path(path).as_deref(), Some(*path)));
    let forms = [
        ("/%61%7e", "/a~"),
        ("/%c3", "/%C3"),
        ("//a///b", "/a/b"),
        ("/a/./b/../c", "/a/c"),
        ("/a/..", "/"),
        ("/a/b/.", "/a/b/"),
        ("/a/%2E%2e/b", "/b"),
        ("/a?b=//..", "/a"),
        ("/a//../b", "/b"),
    ];
    forms.iter().for_each(|(raw, path)| assert_eq!(canonical_path(raw).as_deref(), Some(*path), "{raw}"));
    let refused = [
        "", "a", "/..", "/a/../..", "/%2f", "/%5C", "/%00", "/%7f", "/%", "/%4", "/%gg", "/%252e", "/%2500",
        "/a;b", "/a#b", "/a b", "/{a}", "/é", "/%25%32e", "/a\\b",
    ];
    refused.iter().for_each(|raw| assert_eq!(canonical_path(raw), None, "{raw}"));
}

#[test]
fn rule_1_2_a_host_has_one_form() {
    let form = |raw: &str| canonical_host(raw).map(|(host, port)| format!("{host} {port:?}"));
    assert_eq!(form("Shop.Example.:8080").as_deref(), Some("shop.example Some(8080)"));
    assert_eq!(form("10.0.0.1").as_deref(), Some("10.0.0.1 None"));
    assert_eq!(form("[FD00::1]:80").as_deref(), Some("[fd00::1] Some(80)"));
    let refused = ["", ".", "a..b", "a b", "[::g]", "::1", "a:b", "a:99999", "é", "a/b", "[::1]x", "u@a"];
    refused.iter().for_each(|raw| assert_eq!(form(raw), None, "{raw}"));
}

#[test]
fn rule_1_3_lines_are_absent_single_or_many() {
    let single = |value: &str| HeaderValue::Single(value.to_owned());
    assert_eq!(header_value("x-a", &[]), HeaderValue::Absent);
    assert_eq!(header_value("x-a", &[" a\t"]), single("a"));
    assert_eq!(header_value("x-a", &["a,, "]), single("a"));
    assert_eq!(header_value("x-a", &["", "a"]), single("a"));
    assert_eq!(header_value("x-a", &[",", ""]), single(""));
    assert_eq!(header_value("x-a", &["a, a"]), HeaderValue::Many);
    assert_eq!(header_value("x-a", &["a", "a"]), HeaderValue::Many);
    assert_eq!(header_value("x-a", &["\"a, b\""]), single("\"a, b\""));
    assert_eq!(header_value("Cookie", &["a, b"]), single("a, b"));
    assert_eq!(header_value("cookie", &["a", "b"]), HeaderValue::Many);
}

#[test]
fn rules_1_4_and_3_2_other_methods_and_the_star_are_in_lines_that_do_not_name_them() {
    check_shop(
        "route cart {\n rule gets {\n match GET /**\n respond 201\n }\n rule every {\n match /**\n respond 202\n }\n otherwise 404\n}",
        &[
            ("web calls cart GET /", "respond 201 (route cart.default rule gets)"),
            ("web calls cart HEAD /", "respond 202 (route cart.default rule every)"),
            ("web calls cart PURGE /a", "respond 202 (route cart.default rule every)"),
            ("web calls cart OPTIONS *", "respond 404 (route cart.default otherwise)"),
        ],
    );
    check_shop(
        "route cart {\n rule all {\n match OPTIONS\n respond 204\n }\n otherwise 404\n}",
        &[("web calls cart OPTIONS *", "respond 204 (route cart.default rule all)")],
    );
}

/// Who of these reaches a service that allows them: the letters of those that do.
#[track_caller]
fn check_peers(lines: &str, expected: &str) {
    let program = format!(
        "service a {{\n port 80 http\n}}\nservice b {{\n}}\ngateway edge {{\n listener plain port 8080 http {{\n host \"*\"\n }}\n}}\nauthorize a {{\n{lines}\n}}"
    );
    let reference = reference(&program);
    let peers = [
        ("a", "a"),
        ("b", "b"),
        ("g", "edge"),
        ("o", "spiffe://local.test/ns/other/sa/x"),
        ("v", "spiffe://local.test/vm/1"),
        ("f", "spiffe://local.test.evil/ns/default/sa/a"),
        ("n", "nobody"),
    ];
    let allowed: String = peers
        .iter()
        .filter(|(_, who)| {
            let answer = reference.ask(&question(&format!("{who} reaches a GET /")));
            answer.endings.keys().all(|ending| matches!(ending.outcome, Outcome::Forward { .. }))
        })
        .map(|(letter, _)| *letter)
        .collect();
    assert_eq!(allowed, expected, "of {lines}");
}

#[test]
fn rules_2_2_and_2_3_principals_are_sets_of_peers() {
    check_peers("allow from b", "b");
    check_peers("allow from gateway edge", "g");
    check_peers("allow from namespace default", "ab");
    check_peers("allow from authenticated", "abov");
    check_peers("allow from unauthenticated", "n");
    check_peers("allow from anyone", "abgovfn");
    check_peers("allow from identity \"spiffe://local.test.evil/ns/default/sa/a\"", "f");
}

#[test]
fn rule_2_4_exceptions_are_taken_from_the_whole_list() {
    check_peers("allow from authenticated, unauthenticated except b, namespace other", "avn");
    check_peers("allow from anyone except authenticated", "gfn");
}

#[test]
fn rules_4_1_and_4_3_a_deny_wins_and_in_doubt_denies() {
    check_peers("allow from anyone\ndeny from b except unauthenticated", "agovfn");
    check_peers("allow from anyone\ndeny from b", "agovf");
    check_peers("allow from anyone\ndeny from anyone except b", "b");
    check_peers("allow from anyone\ndeny to /elsewhere", "abgovfn");
    check_peers("allow from anyone\ndeny to GET", "");
}

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

#[test]
fn rules_4_4_and_4_5_lines_are_of_a_port_and_reported_by_their_text() {
    check(
        r#"
service a {
  port http 80 http
  port admin 81 http
}
service b {
}
authorize a {
  allow from anyone to port http
  allow from b to port admin GET /x
  deny from b, unauthenticated to /secret/**
  deny to /secret/**
}"#,
        &[
            ("b reaches a:80 GET /", "a.default"),
            ("b reaches a:81 GET /", "denied by a.default"),
            ("b reaches a:81 GET /x", "a.default port 81"),
            (
                "b reaches a:80 GET /secret",
                "denied by a.default (authorize a.default: deny from b, unauthenticated to /secret/**)",
            ),
            (
                "edge reaches a:80 GET /secret",
                "denied by a.default (authorize a.default: deny to /secret/**)",
            ),
        ],
    );
}

#[test]
fn rule_5_1_a_gateway_authorizes_first_and_is_the_peer_of_what_follows() {
    let program = r#"
gateway edge {
  listener plain port 8080 http {
    host "*"
  }
}
service cart {
  port 80 http
}
service pay {
  port 80 http
}
route edge {
  rule pay {
    match /pay
    to pay
  }
  rule cart {
    to cart
  }
}
authorize edge {
  allow from anyone
  deny to /x
}
authorize cart {
  allow from gateway edge
}"#;
    check(
        program,
        &[
            ("nobody at shop GET /", "cart.default (route cart.default rule default)"),
            ("nobody at shop GET /x", "denied by edge.default (authorize edge.default: deny to /x)"),
            ("nobody at shop GET /pay", "denied by pay.default"),
            ("nobody reaches cart GET /", "denied by cart.default"),
            ("edge enters cart GET /", "cart.default (route cart.default rule default)"),
        ],
    );
}

#[test]
fn rule_5_2_a_service_calls_what_it_declares_by_name_and_port() {
    let own = parsed(
        r#"
service a {
  calls b to GET /x/**
  calls c port http
  calls d.shop
}
service b {
  port 80 http
}
service c {
  port http 80 http
  port admin 81 http
}
authorize b {
  allow from a
}
authorize c {
  allow from a to port http
}"#,
    );
    let shop = parsed(
        "module shop {\n namespace shop\n}\nservice d {\n port 80 http\n}\nauthorize d {\n allow from a.default\n}",
    );
    let reference = Reference::new(&[(String::new(), own), ("shop".to_owned(), shop)]).expect("resolves");
    for (request, outcome) in [
        ("a calls b GET /x/1", "b.default (route b.default rule default)"),
        ("a calls b.default:80 GET /x", "b.default (route b.default rule default)"),
        ("a calls b POST /x", "undeclared call"),
        ("a calls b:81 GET /x", "undeclared call"),
        ("a calls c:80 GET /", "c.default (route c.default port http rule default)"),
        ("a calls c GET /", "undeclared call"),
        ("a calls c:81 GET /", "undeclared call"),
        ("a calls d.shop GET /", "d.shop (route d.shop rule default)"),
        ("a calls d GET /", "undeclared call"),
        ("b calls c:80 GET /", "undeclared call"),
    ] {
        assert_eq!(told(&reference.ask(&question(request))), outcome, "of `{request}`");
    }
}

#[test]
fn rules_5_4_and_6_1_each_setting_comes_from_the_nearest_level_that_writes_it() {
    let program = r#"
mesh m {
  default {
    timeout 9s
    retry 9 on reset
  }
}
service a {
  calls b {
    timeout 5s
    retry 5 on reset
  }
  calls b to /x/** {
    timeout 4s
  }
  calls b to /x/y, GET {
    timeout none
  }
  calls c
}
service b {
  port 80 http
  retry 7 on reset
}
service c {
  port 80 http
  retry 7 on reset
}
route b {
  rule slow {
    match /slow, /x/y/slow
    to c
    timeout 1s
  }
  otherwise 404
}
route c {
  rule all {
    to c
    timeout 2s
    retry none
  }
  rule plain {
    match /plain
    to c
  }
}
authorize b, c {
  allow from anyone
}"#;
    check(
        program,
        &[
            ("a calls b POST /slow", "c.default timeout 1000 (route c.default rule all)"),
            ("a calls c POST /plain", "c.default timeout 9000 retry 7 (route c.default rule plain)"),
            ("a calls c POST /", "c.default timeout 2000 (route c.default rule all)"),
            ("a calls b POST /x", "respond 404 (route b.default otherwise)"),
            ("nobody reaches c GET /", "c.default timeout 9000 retry 7"),
        ],
    );
    let direct = program.replace("to c\n    timeout 1s", "to b");
    check(
        &direct,
        &[
            ("a calls b POST /slow", "b.default timeout 5000 retry 5 (route b.default rule slow)"),
            ("a calls b POST /x/y/slow", "b.default timeout 4000 retry 5 (route b.default rule slow)"),
            ("a calls b GET /slow", "b.default retry 5 (route b.default rule slow)"),
        ],
    );
    let undecided = "ambiguous, b.default timeout 4000 retry 5 (route b.default rule slow)";
    check(&direct, &[("a calls b GET /x/y/slow", undecided)]);
    let codes: Vec<&str> = reference(&direct).findings().iter().map(Finding::code).collect();
    assert_eq!(codes, ["MESH3001"]);
}

#[test]
fn rule_6_3_what_a_retry_leaves_out_is_none() {
    let program = "service a {\n port 80 http\n retry 2 on gateway-error, 500 {\n methods POST\n }\n}\nauthorize a {\n allow from anyone\n}";
    let answer = reference(program).ask(&question("nobody reaches a GET /"));
    let Some(Outcome::Forward { retry: Some(retry), .. }) =
        answer.endings.keys().next().map(|ending| ending.outcome.clone())
    else {
        panic!("no retry: {answer:?}")
    };
    assert_eq!(retry.on_status.iter().copied().collect::<Vec<_>>(), [500, 502, 503, 504]);
    assert_eq!(
        retry.methods.iter().map(|method| method.as_str()).collect::<Vec<_>>(),
        ["GET", "HEAD", "POST", "OPTIONS"]
    );
    assert_eq!((retry.per_try_timeout, retry.backoff, retry.budget, retry.buffer), (None, None, None, 0));
}
