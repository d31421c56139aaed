//! `.mesh` in, the lines a person sees out.

mod conditions;
mod headers;

use crate::ast::*;
use crate::diagnostic::render::short;
use crate::source::{FileId, SourceSet};
use crate::{Diagnostic, parse};

fn diagnostics(text: &str) -> Vec<Diagnostic> {
    parse(FileId(0), text).diagnostics.sorted()
}

/// The mistakes of a file as `line:column CODE message`, one a line.
#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let sources = SourceSet::single("x", text);
    let found: Vec<String> = diagnostics(text)
        .iter()
        .map(|diagnostic| {
            let line = short(diagnostic, &sources);
            let line = line.strip_prefix("x:").unwrap_or(&line);
            line.replacen(": error[", " ", 1).replacen("]: ", " ", 1)
        })
        .collect();
    assert_eq!(found, expected, "{text}");
}

/// The only mistake of a file and its help.
#[track_caller]
fn check_help(text: &str, message: &str, help: &str) {
    let found = diagnostics(text);
    let [only] = &found[..] else { panic!("one diagnostic, not {found:#?}") };
    assert_eq!((only.message.as_str(), only.help.as_deref()), (message, Some(help)), "{text}");
}

/// One statement in a service, its only mistake and the help.
#[track_caller]
fn in_service(statement: &str, message: &str, help: &str) {
    check_help(&format!("service web {{\n  {statement}\n}}\n"), message, help);
}

/// One statement in a rule, its only mistake and the help.
#[track_caller]
fn in_rule(statement: &str, message: &str, help: &str) {
    check_help(&format!("route web {{\n  rule r {{\n    {statement}\n  }}\n}}\n"), message, help);
}

fn only_item(text: &str) -> Item {
    let parsed = parse(FileId(0), text);
    assert!(parsed.diagnostics.is_empty(), "{text}: {:#?}", parsed.diagnostics);
    parsed.file().items.into_iter().next().unwrap()
}

fn service(statement: &str) -> Service {
    match only_item(&format!("service web {{\n{statement}\n}}")) {
        Item::Service(service) => *service,
        other => panic!("{other:?}"),
    }
}

fn rule(statement: &str) -> Rule {
    match only_item(&format!("route web {{ rule r {{\n{statement}\n}} }}")) {
        Item::Route(route) => route.rules.into_iter().next().unwrap(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn three_mistakes_are_three_lines() {
    check(
        "service web {\n  port 80\n  timeout 15\n  prot 81 http\n  calls cart\n}\n",
        &[
            "2:10 MESH1006 expected a protocol, found the end of the statement",
            "3:11 MESH1012 `15` has no unit",
            "4:3 MESH1007 unknown statement `prot` in `service`",
        ],
    );
}

#[test]
fn a_bad_head_does_not_hide_the_mistakes_in_its_block() {
    check(
        "service Web {\n  timeout 15\n}\n",
        &["1:9 MESH1014 `Web` cannot be a name", "2:11 MESH1012 `15` has no unit"],
    );
    check(
        "sevice web {\n  timeout 15\n}\n",
        &["1:1 MESH1007 unknown statement `sevice` at the top of a file"],
    );
}

#[test]
fn what_the_lexer_refused_is_said_once() {
    check("service web {\n  owner? x\n}\n", &["2:8 MESH1003 unexpected character `?`"]);
    check("module a {\n  owner \"x\n}\n", &["2:9 MESH1004 this string does not end on its line"]);
    check(
        "service é {\n  timeout 15\n}\n",
        &["1:9 MESH1003 unexpected character `é`", "2:11 MESH1012 `15` has no unit"],
    );
}

#[test]
fn braces_that_do_not_balance_cost_one_line() {
    check(
        "service web {\n  calls cart {\n    timeout 1s\n\nservice cart {\n}\n",
        &["2:14 MESH1005 this `{` is never closed"],
    );
    check("service web {\n}\n}\nservice cart {\n}\n", &["3:1 MESH1005 this `}` closes nothing"]);
    check("service web {", &["1:13 MESH1005 this `{` is never closed"]);
    let file = parse(FileId(0), "service web {\n  port 80 http\nservice cart {\n}\n").file();
    assert_eq!(file.items.len(), 2);
}

#[test]
fn a_brace_on_its_own_line_still_opens_the_block() {
    let text = "service web\n{\n  port 80 http\n}\n";
    check(text, &["2:1 MESH1006 this block opens on a line of its own"]);
    assert_eq!(parse(FileId(0), text).file().items.len(), 1);
    check("{\n}\n", &["1:1 MESH1006 expected a statement, found `{`"]);
}

#[test]
fn blocks_end_somewhere() {
    let text = format!("service a {{\n{}{}", "calls b { ".repeat(20), "}".repeat(21));
    let deep: Vec<Diagnostic> =
        diagnostics(&text).into_iter().filter(|found| found.code.as_str() == "MESH1009").collect();
    assert_eq!(deep.len(), 1);
}

#[test]
fn blocks_are_asked_for_and_refused() {
    check_help(
        "service web",
        "expected `{`, found the end of the statement",
        "The statement is written `service NAME { … }`.",
    );
    check(
        "service web { port 80 http { x } }",
        &["1:28 MESH1006 expected the end of the statement, found `{`"],
    );
    check(
        "service web { retry none { buffer 1B } }",
        &["1:26 MESH1006 expected the end of the statement, found `{`"],
    );
}

#[test]
fn statements_continue_after_commas_in_parentheses_and_before_some_words() {
    let rule = rule(
        "match GET /a,\n POST /b\n when header \"a\" in (\"b\"\n, \"c\"\n)\n  and header \"d\" present\nto x",
    );
    assert_eq!((rule.matches[0].ops.len(), rule.matches[0].when.len()), (2, 2));
    check("service web {\n  calls a,\n  calls b\n}\n", &["2:10 MESH1006 trailing comma"]);
    check("service web {\n  calls a,\n}\n", &["2:10 MESH1006 trailing comma"]);
    check(
        "route web {\n  rule r {\n    match when header \"a\" in (\"b\"\n    to web\n  }\n}\n",
        &["3:34 MESH1006 expected `)`, found the end of the statement"],
    );
}

#[test]
fn unknown_statements_are_classified() {
    in_service("tiemout 1s", "unknown statement `tiemout` in `service`", "Did you mean `timeout`?");
    in_service(
        "rule x { }",
        "`rule` stands in `route`, not in `service`",
        "Move it there; `mesh explain service` lists what stands in `service`.",
    );
    check_help(
        "service web { subset a label b = \"c\" { timeout 1s } }",
        "`timeout` stands in `default`, `profile`, `ext-authz`, `rate-limiter`, `service`, `calls`, `health-check` and `rule`, not in `subset`",
        "In `subset`, write `endpoints` or `env`.",
    );
    check_help(
        "VirtualService x { }",
        "`VirtualService` is not a statement of this language",
        "What other meshes call `VirtualService` is `route` here.",
    );
    in_service(
        "timeoutSeconds 3",
        "`timeoutSeconds` is not a statement of this language",
        "What other meshes call `timeoutSeconds` is `timeout` here.",
    );
    check("xyz", &["1:1 MESH1007 unknown statement `xyz` at the top of a file"]);
    check_help("// a remark", "expected a statement, found `//`", "A comment begins with `#`.");
}

#[test]
fn once_is_once() {
    let text = "service web {\n  timeout 1s\n  timeout 2s\n}\n";
    check(text, &["3:3 MESH1008 `timeout` is written twice"]);
    let [twice] = &diagnostics(text)[..] else { panic!() };
    assert_eq!(twice.labels[1].text, "first written here");
    check(
        "service web { retry 1 on reset { buffer 1B; buffer 2B } }",
        &["1:45 MESH1008 `buffer` is written twice"],
    );
    check(
        "gateway g { listener l port 80 http { host \"a\"; host \"b\" } }",
        &["1:49 MESH1008 `host` is written twice"],
    );
    check(
        "route web { to a; to b; otherwise 404; otherwise 500 }",
        &["1:19 MESH1008 `to` is written twice", "1:40 MESH1008 `otherwise` is written twice"],
    );
    check(
        "route web { rule r { to a; respond 200 } }",
        &["1:28 MESH1008 a rule does one thing, and this one already has an action"],
    );
    check(
        "test \"t\" { request to a GET / when header x-a = \"1\" and header \"x-a\" = \"2\" expect allow }",
        &["1:64 MESH1008 the header `x-a` is written twice"],
    );
}

#[test]
fn values_say_what_to_write_instead() {
    in_service("timeout 15", "`15` has no unit", "Write `15s` or `15ms`.");
    in_service("timeout 0s", "`0s` is no time at all", "Write at least `1ms`; no limit is `none`.");
    in_service("timeout 25h", "`25h` is longer than a day", "Write at most `24h`.");
    in_service("port 0 http", "`0` is not a port number", "Write a whole number from 1 to 65535.");
    in_service("port 80 htpp", "`htpp` is not a protocol", "Did you mean `http`?");
    in_service("retry 0 on reset", "`0` is not a number of retries", "Write `retry none`.");
    in_service(
        "retry 1 on conect-failure",
        "`conect-failure` is not a condition for a retry",
        "Did you mean `connect-failure`?",
    );
    in_service(
        "retry 1 on reset { backoff 2s..1s }",
        "the first wait is longer than the longest",
        "The first duration is the wait before the first retry, the second the longest wait.",
    );
    in_rule("to a 90, b 10%", "`90` is not a percentage", "Write `90%`.");
    in_rule(
        "to a 101%",
        "`101%` is not a percentage",
        "A percentage is `0%` to `100%`, with at most two digits after the point.",
    );
    in_rule("match get /a", "`get` is not a method", "Write `GET`.");
    in_rule("redirect /a 200", "`200` is not a redirect status", "Write 301, 302, 303, 307 or 308.");
    in_rule("respond 100", "`100` is not a status to answer with", "Write a whole number from 200 to 599.");
    check_help("module a { edition 2025 }", "there is no edition `2025`", "Write `edition 2026`.");
}

#[test]
fn values_are_kept_in_their_natural_unit() {
    let timeout = |text: &str| service(&format!("timeout {text}")).settings.timeout.unwrap().value;
    assert_eq!(timeout("1m30s"), Timeout::After(90_000));
    assert_eq!(timeout("24h"), Timeout::After(86_400_000));
    assert_eq!(timeout("none"), Timeout::None);
    let retry =
        service("retry 2 on 5xx, 429 { budget 33.3% min 10/s over 1m; buffer 64KiB; backoff 5ms..1s }");
    let Some(Retry::Policy(policy)) = retry.settings.retry.map(|retry| retry.value) else { panic!() };
    assert_eq!(policy.budget.unwrap().value, Budget { share: 3330, min_per_second: 10, over: 60_000 });
    assert_eq!((policy.buffer.unwrap().value, policy.backoff.unwrap().value), (65_536, (5, 1_000)));
    let on: Vec<RetryOn> = policy.on.iter().map(|on| on.value).collect();
    assert_eq!(on, [RetryOn::ServerError, RetryOn::Status(429)]);
}

#[test]
fn names_are_dns_labels_and_no_words_of_the_language() {
    check_help("service Foo_Bar { }", "`Foo_Bar` cannot be a name", "Write `foo-bar`.");
    for word in ["from", "rest", "anyone", "get", "grpc"] {
        let message = format!("`{word}` is a word of the language and cannot be a name");
        let help = "Choose another name, for example one that says what the thing is for.";
        check_help(&format!("service {word} {{ }}"), &message, help);
    }
    check("service 1a { }", &["1:9 MESH1006 expected a name, which begins with a letter, found `1a`"]);
    check(&format!("service {} {{ }}", "a".repeat(63)), &[]);
    assert_eq!(diagnostics(&format!("service {} {{ }}", "a".repeat(64)))[0].code.as_str(), "MESH1014");
    check("route web { to cart.Shop, cart:V2 }", &["1:16 MESH1014 `cart.Shop` cannot be a name"]);
}

#[test]
fn paths_are_written_as_they_are_compared() {
    let canonical = |path: &str, better: &str| {
        let message = format!("`{path}` is not in its canonical form");
        let help = format!("Write `{better}`: this is how a request's path is compared.");
        in_rule(&format!("match \"{path}\""), &message, &help);
    };
    canonical("/a//b", "/a/b");
    canonical("/a/./b/../c", "/a/c");
    canonical("/a/..", "/");
    canonical("/%61%2d%c3%a9", "/a-%C3%A9");
    canonical("/a/%2E", "/a/");
    canonical("/a//**", "/a/**");
    canonical("//**", "/**");
    canonical("/{a}/../b", "/b");
    let wildcard = "Write `{name}` for one segment, or `/**` at the end for everything below.";
    in_rule("match /a*", "`*` cannot stand inside the path `/a*`", wildcard);
    in_rule("match /**/a", "`*` cannot stand inside the path `/**/a`", wildcard);
    in_rule("match /*", "`*` cannot stand inside the path `/*`", wildcard);
    let never = "Such a request is answered with 400 before any rule is asked.";
    in_rule("match /a%2fb", "`/a%2fb` is never a path: it contains `%2f`", never);
    in_rule("match /%252e", "`/%252e` is never a path: it contains `%252e`", never);
    let whole = "Write `{name}` as a whole segment, or `{name}.json` with a suffix behind it.";
    for path in ["/{9}", "/{a b}", "/{}", "/{a}b", "/{a}{b}"] {
        in_rule(&format!("match \"{path}\""), &format!("`{path}` is never a path: it contains `{{`"), whole);
    }
    in_rule(
        "match \"/a?b\"",
        "`/a?b` is never a path: it contains `?`",
        "Paths are matched without their query.",
    );
    in_rule("match \"a\"", "`a` is never a path: it does not begin with `/`", "Begin the path with `/`.");
}

#[test]
fn path_patterns_are_split_at_their_slashes() {
    let pattern = |path: &str| rule(&format!("match {path}")).matches[0].ops[0].path.clone().unwrap().value;
    let literal = |text: &str| Segment::Literal(text.into());
    assert_eq!(pattern("/"), PathPattern { segments: vec![literal("")], subtree: false }.into());
    assert_eq!(pattern("/**"), PathPattern { segments: vec![], subtree: true }.into());
    assert_eq!(
        pattern("/a/"),
        PathPattern { segments: vec![literal("a"), literal("")], subtree: false }.into()
    );
    let any = Segment::Any("b".into());
    assert_eq!(pattern("/a/{b}/**"), PathPattern { segments: vec![literal("a"), any], subtree: true }.into());
    assert_eq!(pattern("/%3B%23").to_string(), "/%3B%23");
}

#[test]
fn hosts_are_written_as_they_are_compared() {
    let host = |written: &str, help: &str| {
        let text = format!("route edge host \"{written}\" {{ to web }}");
        check_help(&text, &format!("`{written}` is not a host pattern"), help);
    };
    host("Shop.example", "Hosts do not tell case apart; write `\"shop.example\"`.");
    host("shop.example:80", "A host is written without its port: `\"shop.example\"`.");
    host("shop.example.", "Write `\"shop.example\"`, without the dot at the end.");
    let form = "A host is like `\"shop.example\"`; a pattern may begin with `*.` for one label or `**.` for one or \
                more, and `\"*\"` is any host.";
    for wrong in ["", "a..b", "*shop", "***.a", "*.*.a", "a/b", "1.2.3", "[::g]", "a.*"] {
        host(wrong, form);
    }
    let Item::Route(route) =
        only_item("route edge host \"a\", \"*.a\", \"**.a\", \"*\", \"[::1]\", \"1.2.3.4\" { to a }")
    else {
        panic!()
    };
    let shown: Vec<String> = route.hosts.iter().map(|host| host.value.to_string()).collect();
    assert_eq!(shown, ["a", "*.a", "**.a", "*", "[::1]", "1.2.3.4"]);
}

#[test]
fn redirects_lead_to_a_place() {
    for wrong in ["\"//evil\"", "\"ftp://a\"", "\"https://\"", "\"/a b\"", "\"/a\\u{d}\\u{a}x\""] {
        let found = diagnostics(&format!("route web {{ rule r {{ redirect {wrong} 301 }} }}"));
        assert_eq!(found.len(), 1, "{wrong}");
        assert_eq!(found[0].code.as_str(), "MESH1012", "{wrong}");
    }
    in_rule(
        "redirect /new/{id} 301",
        "a redirect cannot carry `{id}` over",
        "Write the path or the URL itself.",
    );
    assert!(matches!(
        rule("redirect \"https://shop.example/new?x=1\" 308").action.unwrap().value,
        Action::Redirect { .. }
    ));
}

#[test]
fn a_bare_to_is_a_rule_named_default() {
    let Item::Route(route) = only_item("route web { to web:v1 90%, other.shop port http rest }") else {
        panic!()
    };
    assert_eq!(route.rules[0].name.value, "default");
    let Some(Action::To(backends)) = route.rules[0].action.clone().map(|action| action.value) else {
        panic!()
    };
    assert_eq!(backends[0].subset.clone().unwrap().value, "v1");
    assert_eq!(backends[0].weight.unwrap().value, Weight::Percent(9000));
    assert_eq!(backends[1].service.namespace(), Some("shop"));
    assert_eq!(backends[1].weight.unwrap().value, Weight::Rest);
}

#[test]
fn authorize_lines_keep_who_and_what() {
    let Item::Authorize(authorize) = only_item(
        "authorize web, cart {\n  allow from gateway edge, identity \"spiffe://x/y\" except namespace old to port http GET|POST /a, /b\n  deny\n  allow to /x\n}",
    ) else {
        panic!()
    };
    let [allow, deny, no_from] = &authorize.lines[..] else { panic!() };
    let from = allow.from.as_ref().unwrap();
    assert_eq!((from.principals.len(), from.except.len(), allow.ops.len()), (2, 1, 2));
    assert_eq!(allow.ops[0].methods.len(), 2);
    assert!(deny.from.is_none() && deny.ops.is_empty() && no_from.from.is_none());
    check(
        "authorize web { allow to /a from b }",
        &["1:29 MESH1006 expected the end of the statement, found `from`"],
    );
}

#[test]
fn a_request_of_a_test_comes_from_one_client() {
    for many in ["anyone", "authenticated", "namespace shop"] {
        let found = diagnostics(&format!("test \"t\" {{ request from {many} to web GET / expect allow }}"));
        assert_eq!(found[0].code.as_str(), "MESH1006", "{many}");
    }
    let Item::Test(test) = only_item(
        "test \"t\" { request to edge \"a\" OPTIONS \"*\" expect a 50%, b rest retry none timeout 1s }",
    ) else {
        panic!()
    };
    let request = &test.lines[0];
    assert!(matches!(&request.expect.outcome, ExpectedOutcome::Backends(backends) if backends.len() == 2));
    assert_eq!(request.expect.retry.unwrap().value, 0);
    check(
        "test \"t\" { request to edge GET \"*\" expect allow }",
        &["1:32 MESH1012 only `OPTIONS` has the path `*`"],
    );
    check(
        "test \"t\" { request to edge GET /{id} expect allow }",
        &["1:32 MESH1013 a request has no segment `{id}`"],
    );
}

#[test]
fn a_doc_comment_belongs_to_the_statement_on_the_next_line() {
    let doc = |text: &str| match only_item(text) {
        Item::Service(service) => service.doc,
        other => panic!("{other:?}"),
    };
    assert_eq!(doc("## One\r\n##  two\nservice web { }").as_deref(), Some("One\n two"));
    assert_eq!(doc("## far\n\nservice web { }"), None);
    assert_eq!(doc("## above\n# between\nservice web { }"), None);
    assert_eq!(doc("# no\nservice web { }"), None);
}

#[test]
fn a_file_that_is_too_long_is_refused_whole() {
    let text = "#".repeat(crate::source::MAX_FILE_BYTES + 1);
    check(&text, &["1:1 MESH1002 this file is longer than 8 MiB"]);
}

#[test]
fn every_form_of_the_table_is_reachable() {
    use crate::signature::{Body, Place};
    for place in Place::ALL {
        for signature in place.statements() {
            assert!(signature.form.starts_with(signature.keyword), "{}", signature.form);
            assert!(signature.doc.ends_with('.'), "{}", signature.doc);
            match signature.body {
                Body::Optional(inner) | Body::Required(inner) if signature.keyword == "env" => {
                    assert!(inner == place || inner == Place::Env, "{place:?}");
                }
                Body::Optional(inner) | Body::Required(inner) => {
                    assert_eq!(inner.keyword(), Some(signature.keyword));
                }
                Body::None | Body::Names => {}
            }
        }
    }
}
