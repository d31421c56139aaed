//! Each numbered rule of `spec/semantics.md` with an example: program and request in, what becomes of it out.

mod hops;
mod routes;

use crate::{Answer, Entry, Finding, Outcome, Question, Reference, Value};
use crate::{canonical_host, canonical_path, cookie_value, header_value, query_value};
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
    parse.file()
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
        path: path.split('?').next().unwrap_or_default().to_owned(),
        query: path.split_once('?').map(|(_, query)| query.to_owned()).unwrap_or_default(),
        headers: headers.collect(),
        tokens: Vec::new(),
        source_ip: std::net::Ipv4Addr::new(192, 0, 2, 7).into(),
        client_ip: None,
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
            Outcome::Redirect { status, location } => {
                let parts = ending.changes.as_ref().map(|changes| (&changes.location, &changes.path));
                let location = location.clone().unwrap_or_else(|| format!("{parts:?}"));
                format!("redirect {location} {status}")
            }
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
        "",
        "a",
        "/..",
        "/a/../..",
        "/%2f",
        "/%5C",
        "/%00",
        "/%7f",
        "/%",
        "/%4",
        "/%gg",
        "/%252e",
        "/%2500",
        "/a;b",
        "/a#b",
        "/a b",
        "/{a}",
        "/é",
        "/%25%32e",
        "/a\\b",
        "/%c0%af",
        "/%E0%9f%80",
        "/%f0%8f",
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
    let single = |value: &str| Value::Single(value.as_bytes().to_vec());
    let many = |values: &[&str]| Value::Many(values.iter().map(|value| value.as_bytes().to_vec()).collect());
    assert_eq!(header_value("x-a", &[]), Value::Absent);
    assert_eq!(header_value("x-a", &[" a\t"]), single("a"));
    assert_eq!(header_value("x-a", &["a,, "]), single("a"));
    assert_eq!(header_value("x-a", &["", "a"]), single("a"));
    assert_eq!(header_value("x-a", &[",", ""]), single(""));
    assert_eq!(header_value("x-a", &["a, b"]), many(&["a", "b"]));
    assert_eq!(header_value("x-a", &["a", "a"]), many(&["a", "a"]));
    assert_eq!(header_value("x-a", &["\"a, b\""]), single("\"a, b\""));
    assert_eq!(header_value("Cookie", &["a, b"]), single("a, b"));
    assert_eq!(header_value("cookie", &["a", "b"]), many(&["a", "b"]));
}

#[test]
fn rules_1_5_and_1_6_keys_and_cookies_are_pairs() {
    let single = |value: &str| Value::Single(value.as_bytes().to_vec());
    for (query, value) in [
        ("", Value::Absent),
        ("K=a", Value::Absent),
        ("k", single("")),
        ("a=b&%6B=%61+%2", single("a+%2")),
        ("k=a;k=b", single("a;k=b")),
        ("k=a&&k", Value::Many(vec![b"a".to_vec(), vec![]])),
    ] {
        assert_eq!(query_value("k", query), value, "{query}");
    }
    assert_eq!(cookie_value("k", &["j=1; k = a ;l"]), single("a"));
    assert_eq!(cookie_value("k", &["k", "kk=a"]), Value::Absent);
    assert_eq!(cookie_value("k", &["k=\"a\"", "k=b="]), Value::Many(vec![b"\"a\"".to_vec(), b"b=".to_vec()]));
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
        ("m", "spiffe://local.test/ns/default//sa/a"),
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
    check_peers("allow from anyone", "abgovfmn");
    check_peers("allow from identity \"spiffe://local.test.evil/ns/default/sa/a\"", "f");
}

#[test]
fn rule_2_4_exceptions_are_taken_from_the_whole_list() {
    check_peers("allow from authenticated, unauthenticated except b, namespace other", "avn");
    check_peers("allow from anyone except authenticated", "gfmn");
}

#[test]
fn rules_4_1_and_4_3_a_deny_wins_and_in_doubt_denies() {
    check_peers("allow from anyone\ndeny from b except unauthenticated", "agovfmn");
    check_peers("allow from anyone\ndeny from b", "agovfm");
    check_peers("allow from anyone\ndeny from anyone except b", "b");
    check_peers("allow from anyone\ndeny to /elsewhere", "abgovfmn");
    check_peers("allow from anyone\ndeny to GET", "");
}
