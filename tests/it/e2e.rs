//! What a file declares, the proxy does: one promise of the language each, from text to bytes on a socket.

use mesh_tests::harness::{Mesh, Upstream};
use std::time::Duration;

/// A gateway `edge` that anyone may use, a service `s` behind it with this endpoint, and these statements.
fn edge(endpoint: &Upstream, statements: &str) -> String {
    format!(
        r#"gateway edge {{ listener web port 80 http {{ host "*" }} }}
authorize edge {{ allow from anyone }}
service s {{ port 80 http; endpoints static "{}" }}
authorize s {{ allow from gateway edge }}
{statements}"#,
        endpoint.address
    )
}

#[test]
fn a_rule_answers_redirects_or_sends_on() {
    let s = Upstream::named("s");
    let mesh = Mesh::start(
        &edge(
            &s,
            r#"route edge {
  rule teapot { match GET /teapot
    respond 418 "short and stout" }
  rule old { match /old/**
    redirect /new 308 }
  rule rest-of-it { match /s/**
    to s }
  otherwise 451
}"#,
        ),
        &[],
    );
    let mut client = mesh.connect("edge.default/web");
    assert_eq!(client.get("a", "/teapot", &[]).unwrap(), (418, "short and stout".into()));
    assert_eq!(client.get("a", "/old/x?q=1", &[]).unwrap().0, 308);
    assert_eq!(client.get("a", "/s/1", &[]).unwrap(), (200, "s".into()));
    assert_eq!(client.get("a", "/elsewhere", &[]).unwrap().0, 451);
    assert_eq!(s.heads().len(), 1, "only what is sent on arrives");
}

#[test]
fn a_refused_request_reaches_no_upstream() {
    let s = Upstream::named("s");
    let mesh = Mesh::start(&edge(&s, "route edge { to s }\nauthorize s { deny to /admin/** }"), &[]);
    let mut client = mesh.connect("edge.default/web");
    assert_eq!(client.get("a", "/x/../admin", &[]).unwrap(), (403, "denied by s.default".into()));
    assert_eq!(client.get("a", "/%61dmin/users", &[]).unwrap().0, 403);
    assert_eq!(client.get("a", "/public", &[]).unwrap().0, 200);
    assert_eq!(s.heads().len(), 1);
}

#[test]
fn what_is_audited_is_told_and_a_mode_lets_through_what_nobody_allowed() {
    let s = Upstream::named("s");
    let mesh = Mesh::start(
        &format!(
            "module m {{ role platform }}\n{}",
            edge(
                &s,
                r#"route edge { to s }
authorize s {
  mode audit until "2026-12-31"
  deny to /admin/**
  audit from gateway edge to GET /old/**
  audit to /old/books/**
}
authorize edge { audit to POST }
guardrail no-put {
  mode audit until "2026-12-31"
  deny to s PUT
}"#
            )
            .replace(
                "authorize s { allow from gateway edge }",
                "authorize s { allow from gateway edge to /old/**, /admin/** }"
            )
        ),
        &[],
    );
    let mut client = mesh.connect("edge.default/web");
    let mut ask = |method: &str, path: &str| client.ask(method, "a", path, &[]).unwrap().0;
    assert_eq!(ask("GET", "/old/1"), 200);
    assert_eq!(ask("POST", "/old/books/1"), 200);
    assert_eq!(ask("GET", "/new"), 200, "the want of an allow is let through");
    assert_eq!(ask("GET", "/admin/1"), 403, "a deny holds");
    assert_eq!(ask("PUT", "/old/1"), 200, "a guardrail that is only tried out refuses nothing");
    let audit = |line: &String| match line.split_once("\"audit\":[") {
        Some((_, rest)) => rest.split_once(']').expect("a list").0.replace("\\\"", "'"),
        None => String::new(),
    };
    let told: Vec<String> = mesh.log().iter().map(audit).collect();
    assert_eq!(
        told,
        [
            r#""authorize s.default: audit from gateway edge to GET /old/**""#,
            r#""authorize edge.default: audit to POST","authorize s.default: audit to /old/books/**""#,
            r#""authorize s.default: mode audit until '2026-12-31'""#,
            "",
            r#""guardrail no-put: deny to s PUT""#,
        ]
    );
}

#[test]
fn what_a_rule_changes_arrives_changed_and_is_authorized_so() {
    let s = Upstream::named("s");
    let mesh = Mesh::start(
        &edge(
            &s,
            r#"route edge {
  rule spice { match GET /cardamom/**
    to s
    rewrite prefix /fennel
    rewrite host "elsewhere.example"
    request-header set "x-set" "1"
    request-header add "x-add" "2"
    request-header remove "x-gone"
    response-header set "x-served-by" "mesh" }
  rule secret { match GET /innocent/**
    to s
    rewrite prefix /admin }
  rule old { match /old/**
    redirect prefix /new 308 }
  rule moved { match /moved
    redirect scheme https host "b.example" 301 }
  otherwise 404
}
authorize s { deny to /admin/** }"#,
        ),
        &[],
    );
    let mut client = mesh.connect("edge.default/web");
    let mut head = |path: &str| client.head("a", path, &["x-set: 0", "x-add: 0", "x-gone: 0"]).unwrap();
    assert!(head("/cardamom/tea?q=1").contains("x-served-by: mesh"));
    assert!(head("/innocent/x").starts_with("http/1.1 403"), "what is authorized is what is sent on");
    assert!(head("/old/x?q=1").contains("location: /new/x?q=1"), "{}", head("/old/x?q=1"));
    assert!(head("/moved?q=1").contains("location: https://b.example/moved?q=1"), "{}", head("/moved?q=1"));
    let heard = s.heads();
    assert_eq!(heard.len(), 1, "{heard:?}");
    assert!(heard[0].starts_with("get /fennel/tea?q=1 http"), "{heard:?}");
    let has = |line: &str| heard[0].lines().filter(|heard| heard.trim() == line).count();
    assert_eq!(
        (has("host: elsewhere.example"), has("x-set: 1"), has("x-set: 0"), has("x-add: 0"), has("x-add: 2")),
        (1, 1, 0, 1, 1),
        "{heard:?}"
    );
    assert!(!heard[0].contains("x-gone"), "{heard:?}");
}

#[test]
fn a_path_is_replaced_whole_and_response_headers_are_added_and_removed() {
    let s = Upstream::named("s");
    let mesh = Mesh::start(
        &edge(
            &s,
            r#"route edge {
  rule whole { match GET /any/{thing}
    to s
    rewrite path /one
    response-header add "x-more" "1"
    response-header add "x-more" "2" }
  rule told { match /told
    respond 200 "told"
    response-header set "x-told" "yes"
    response-header remove "content-type" }
  rule root { match /up/**
    redirect prefix / 308 }
  otherwise 404
}"#,
        ),
        &[],
    );
    let mut client = mesh.connect("edge.default/web");
    let mut head = |path: &str| client.head("a", path, &[]).unwrap();
    let whole = head("/any/thing?q=1&r=%20");
    let more = whole.lines().filter(|line| line.starts_with("x-more: ")).map(str::trim);
    assert_eq!(more.collect::<Vec<_>>(), ["x-more: 1", "x-more: 2"], "{whole}");
    let told = head("/told");
    assert!(told.contains("x-told: yes") && !told.contains("content-type"), "{told}");
    assert!(head("/up/x").contains("location: /x"), "{}", head("/up/x"));
    assert!(head("/up").contains("location: /"), "{}", head("/up"));
    let other = head("/up//evil.example/x");
    assert!(!other.contains("location: //"), "a path is never another host: {other}");
    let heard = s.heads();
    assert_eq!(heard.len(), 1, "{heard:?}");
    assert!(heard[0].starts_with("get /one?q=1&r=%20 http"), "the query stays: {heard:?}");
    let log = mesh.log();
    let sent: Vec<&String> = log.iter().filter(|line| line.contains("\"sent_path\"")).collect();
    assert_eq!(sent.len(), 1, "only what was sent elsewhere says where: {log:?}");
    assert!(sent[0].contains("\"path\":\"/any/thing\",\"sent_path\":\"/one\""), "{log:?}");
}

#[test]
fn a_listener_redirects_everything_to_https() {
    let s = Upstream::named("s");
    let text = edge(&s, "route edge listener web { to s }").replace(
        "gateway edge {",
        "gateway edge { listener plain port 81 http { host \"*.example\"; redirect https 308 };",
    );
    let mesh = Mesh::start(&text, &[]);
    let mut client = mesh.connect("edge.default/plain");
    let mut head = |host: &str, path: &str| client.head(host, path, &[]).unwrap();
    let redirected = head("a.example:81", "/x?q=1");
    assert!(redirected.starts_with("http/1.1 308"), "{redirected}");
    assert!(redirected.contains("location: https://a.example/x?q=1\n"), "{redirected}");
    assert!(head("elsewhere", "/x").starts_with("http/1.1 404"), "not a host of the listener");
    assert!(s.heads().is_empty(), "nothing is sent on");
}

#[test]
fn a_fault_delays_or_ends_requests_and_says_so() {
    let s = Upstream::named("s");
    let mesh = Mesh::start(
        &edge(
            &s,
            r#"route edge {
  rule slow { match /slow
    to s
    fault delay 1ms 100% }
  rule broken { match /broken
    to s
    response-header add "x-by" "edge"
    fault abort 555 100% }
  to s
}"#,
        ),
        &[],
    );
    let mut client = mesh.connect("edge.default/web");
    assert_eq!(client.get("a", "/slow", &[]).unwrap().0, 200);
    let aborted = client.head("a", "/broken", &[]).unwrap();
    assert!(aborted.starts_with("http/1.1 555") && aborted.contains("x-by: edge"), "{aborted}");
    assert_eq!(client.get("a", "/whole", &[]).unwrap().0, 200);
    assert_eq!(s.heads().len(), 2, "what is aborted meets no endpoint");
    let log = mesh.log();
    let flags =
        log.iter().map(|line| ["DI", "FI"].map(|flag| line.contains(&format!("\"flags\":\"{flag}\""))));
    assert_eq!(flags.collect::<Vec<_>>(), [[true, false], [false, true], [false, false]], "{log:?}");
}

#[test]
fn queries_cookies_paths_and_addresses_decide() {
    let s = Upstream::named("s");
    let mesh = Mesh::start(
        &edge(
            &s,
            r#"route edge {
  rule export { match GET /books/{id}.csv
    respond 202 }
  rule preview overrides export { match when query "preview" = "a b"
    respond 203 }
  rule insiders overrides preview, export { match when cookie "type" matches re"insider-[0-9]+"
    respond 204 }
  to s
}
authorize s {
  deny when query "role" has "admin"
  deny when path suffix ".bak"
}
authorize edge {
  deny when not source-ip in ("127.0.0.0/8", "::1")
  deny when source-ip = "127.0.0.1" and query "local" present
}"#,
        ),
        &[],
    );
    let mut client = mesh.connect("edge.default/web");
    let mut status = |path: &str, headers: &[&str]| client.get("a", path, headers).unwrap().0;
    assert_eq!(status("/books/1", &[]), 200);
    assert_eq!(status("/books/1.csv", &[]), 202);
    assert_eq!(status("/books/.csv", &[]), 200);
    assert_eq!(status("/x?pre%76iew=a%20b", &[]), 203);
    assert_eq!(status("/x?preview=a+b", &[]), 200);
    assert_eq!(status("/x?preview=a%20b", &["cookie: a=1; type=insider-7"]), 204);
    assert_eq!(status("/x", &["cookie: type=insider-x"]), 200);
    assert_eq!(status("/x?role=user&role=%61dmin", &[]), 403);
    assert_eq!(status("/x/../y.%62ak", &[]), 403);
    assert_eq!(status("/x?local", &[]), 403);
    let forwarded = s.heads();
    assert_eq!(forwarded.len(), 4);
    assert!(
        forwarded[2].starts_with("get /x?preview=a+b http"),
        "the query is sent on as it came: {forwarded:?}"
    );
}

#[test]
fn a_header_decides_even_if_the_client_calls_it_hop_by_hop() {
    let (v1, v2) = (Upstream::named("v1"), Upstream::named("v2"));
    let text = format!(
        r#"gateway edge {{ listener web port 80 http {{ host "*" }} }}
authorize edge {{ allow from anyone }}
service s {{
  port 80 http
  subset v1 label v = "1"
  subset v2 label v = "2"
  endpoints static "{}" label v = "1"
  endpoints static "{}" label v = "2"
}}
authorize s {{ allow from gateway edge }}
route edge {{ to s }}
route s {{
  rule staff {{ match when header "x-staff" present
    to s:v2 }}
  to s:v1
}}"#,
        v1.address, v2.address
    );
    let mesh = Mesh::start(&text, &[]);
    let mut client = mesh.connect("edge.default/web");
    assert_eq!(client.get("a", "/", &[]).unwrap().1, "v1");
    assert_eq!(client.get("a", "/", &["x-staff: 1"]).unwrap().1, "v2");
    assert_eq!(client.get("a", "/", &["X-Staff: 1", "connection: x-staff, x-request-id"]).unwrap().1, "v2");
    let head = v2.heads().pop().unwrap();
    assert!(!head.contains("x-staff"), "it is not passed on: {head}");
    assert!(head.contains("x-request-id: "), "what this hop writes is: {head}");
}

#[test]
fn the_host_chooses_the_table_and_no_host_is_nobodys() {
    let s = Upstream::named("s");
    let statements = r#"gateway inner { listener web port 81 http { host "shop.test", "*.shop.test" } }
authorize inner { allow from anyone }
authorize s { allow from gateway inner }
route edge { otherwise 404 }
route inner host "shop.test" { to s }
route inner host "*.shop.test" { otherwise 410 }"#;
    let mesh = Mesh::start(&edge(&s, statements), &[]);
    let mut client = mesh.connect("inner.default/web");
    assert_eq!(client.get("Shop.Test:8080", "/", &[]).unwrap(), (200, "s".into()));
    assert_eq!(client.get("a.shop.test", "/", &[]).unwrap().0, 410);
    assert_eq!(client.get("b.a.shop.test", "/", &[]).unwrap().0, 404);
    assert_eq!(client.get("else.test", "/", &[]).unwrap().0, 404);
}

#[test]
fn a_timeout_ends_what_takes_too_long() {
    let slow = Upstream::start(|_| (200, "late".into(), Duration::from_secs(5)));
    let mesh = Mesh::start(&edge(&slow, "route edge { rule r { to s\ntimeout 100ms } }"), &[]);
    assert_eq!(mesh.connect("edge.default/web").get("a", "/", &[]).unwrap().0, 504);
}

#[test]
fn a_retry_tries_again_and_no_more_than_declared() {
    let flaky = Upstream::start(|n| (if n < 2 { 503 } else { 200 }, "answer".into(), Duration::ZERO));
    let statements = "route edge { rule r { to s\nretry 2 on 503 } }";
    let mesh = Mesh::start(&edge(&flaky, statements), &[]);
    assert_eq!(mesh.connect("edge.default/web").get("a", "/", &[]).unwrap().0, 200);
    assert_eq!(flaky.heads().len(), 3, "two retries are three tries");

    let broken = Upstream::start(|_| (503, "no".into(), Duration::ZERO));
    let mesh = Mesh::start(&edge(&broken, statements), &[]);
    assert_eq!(mesh.connect("edge.default/web").get("a", "/", &[]).unwrap().0, 503);
    assert_eq!(broken.heads().len(), 3);
}

#[test]
fn a_try_that_takes_too_long_is_tried_again() {
    let pause = |n| Duration::from_millis(if n == 0 { 3_000 } else { 0 });
    let slow_once = Upstream::start(move |n| (200, "answer".into(), pause(n)));
    let statements = "route edge { rule r { to s\nretry 1 on timeout { per-try-timeout 150ms } } }";
    let mesh = Mesh::start(&edge(&slow_once, statements), &[]);
    assert_eq!(mesh.connect("edge.default/web").get("a", "/", &[]).unwrap(), (200, "answer".into()));
    assert_eq!(slow_once.heads().len(), 2);
}

#[test]
fn a_budget_bounds_the_retries() {
    let broken = Upstream::start(|_| (503, "no".into(), Duration::ZERO));
    let statements = "route edge { rule r { to s\nretry 3 on 503 { budget 20% min 0/s over 10s } } }";
    let mesh = Mesh::start(&edge(&broken, statements), &[]);
    let mut client = mesh.connect("edge.default/web");
    for _ in 0..100 {
        assert_eq!(client.get("a", "/", &[]).unwrap().0, 503);
    }
    let tries = broken.heads().len();
    assert!((115..=120).contains(&tries), "100 first tries earn 20 retries, and {} were made", tries - 100);
}

#[test]
fn a_sidecar_lets_its_service_make_the_calls_it_declares() {
    let s = Upstream::named("s");
    let statements = "service web { calls s to GET /items/** }\nauthorize s { allow from web }\nroute edge { otherwise 404 }";
    let text = format!("mesh local {{ egress deny }}\n{}", edge(&s, statements));
    let mesh = Mesh::start(&text, &["web"]);
    let mut client = mesh.connect("web.default");
    assert_eq!(client.get("s", "/items/1", &[]).unwrap(), (200, "s".into()));
    assert_eq!(client.get("www.example.com", "/items/1", &[]).unwrap().0, 403);
    assert_eq!(client.get("s.default:80", "/items/1", &[]).unwrap(), (200, "s".into()));
    let refused = "web.default declares no call to `s` that covers this request";
    assert_eq!(client.get("s", "/other", &[]).unwrap(), (403, refused.into()));
    assert_eq!(client.get("edge", "/items/1", &[]).unwrap().0, 403);
    assert_eq!(client.get("s:81", "/items/1", &[]).unwrap().0, 403);
}

#[test]
fn endpoints_are_written_in_subsets_too() {
    let [one, two] = ["one", "two"].map(Upstream::named);
    let text = format!(
        "gateway edge {{ listener web port 80 http {{ host \"*\" }} }}\nauthorize edge {{ allow from anyone }}\n\
         route edge {{ rule new {{ match /new; to s:v2 }}\nrule old {{ match /old; to s:v1 }}\nrule all {{ match /all; to s }}\notherwise 404 }}\n\
         service s {{ port 80 http; subset v1 {{ endpoints static \"{}\" }}\nsubset v2 {{ endpoints static \"{}\" }} }}\n\
         authorize s {{ allow from gateway edge }}",
        one.address, two.address
    );
    let mesh = Mesh::start(&text, &[]);
    let mut client = mesh.connect("edge.default/web");
    for _ in 0..4 {
        assert_eq!(client.get("a", "/new", &[]).unwrap(), (200, "two".into()));
        assert_eq!(client.get("a", "/old", &[]).unwrap(), (200, "one".into()));
    }
    let all: std::collections::BTreeSet<_> =
        (0..4).map(|_| client.get("a", "/all", &[]).unwrap().1).collect();
    assert_eq!(all.len(), 2, "they are the service's endpoints, all of them");
}

#[test]
fn a_service_is_called_by_its_aliases_by_who_calls_it() {
    let s = Upstream::named("s");
    let statements = "service web { calls s to GET /items/** }\nservice other { calls web }\nauthorize s { allow from web }\n\
                      authorize web { allow from other }\nroute edge { otherwise 404 }";
    let text = edge(&s, statements).replace("service web {", "service web { port 80 http;").replace(
        "port 80 http; endpoints",
        "port 80 http; alias \"s.example\", \"s-1\", \"10.9.9.9\"; endpoints",
    );
    let mesh = Mesh::start(&text, &["web", "other"]);
    let mut client = mesh.connect("web.default");
    for host in ["s.example", "s-1", "S.Example:80", "10.9.9.9", "s.default"] {
        assert_eq!(client.get(host, "/items/1", &[]).unwrap(), (200, "s".into()), "{host}");
    }
    for host in ["s.example:81", "x.s.example", "s-1.default", "s-2"] {
        assert_eq!(client.get(host, "/items/1", &[]).unwrap().0, 403, "{host}");
    }
    assert_eq!(client.get("s.example", "/other", &[]).unwrap().0, 403, "no more is called than is declared");
    assert_eq!(mesh.connect("other.default").get("s.example", "/items/1", &[]).unwrap().0, 403);
    assert!(s.heads()[0].contains("\r\nhost: s.example\r\n"), "the host stays: {}", s.heads()[0]);
}

#[test]
fn what_is_outside_is_called_by_its_names_by_who_calls_it() {
    let [api, files, other] = ["api", "files", "other"].map(Upstream::named);
    let text = format!(
        "service web {{ port 80 http; calls api, files, ops }}\nservice other {{ calls web }}\nauthorize web {{ allow from other }}\n\
         service api {{ external \"www.api.test\", \"*.api.test\"; port 80 http; tls none; endpoints static \"{}\" }}\n\
         service files {{ external \"**.files.test\", \"192.0.2.9\"; port 8080 http; tls none; endpoints static \"{}\" }}\n\
         service ops {{ external \"www.api.test\", \"ops.files.test\"; port 81 http; tls none; endpoints static \"{}\" }}\n\
         service hidden {{ external \"hidden.api.test\"; port 80 http; tls none }}\n\
         authorize api, files, ops, hidden {{ allow from web }}\n",
        api.address, files.address, other.address
    );
    let mesh = Mesh::start(&text, &["web", "other"]);
    let mut client = mesh.connect("web.default");
    for (host, answers) in [
        ("www.api.test", "api"),
        ("WWW.api.test.:80", "api"),
        ("www.api.test:81", "other"),
        ("eu.api.test", "api"),
        ("files.eu.files.test:8080", "files"),
        ("a.files.test", "files"),
        ("192.0.2.9", "files"),
        ("ops.files.test", "other"),
        ("api", "api"),
    ] {
        assert_eq!(client.get(host, "/a", &[]).unwrap(), (200, answers.into()), "{host}");
    }
    for host in [
        "api.test",
        "a.b.api.test",
        "eu.api.test:81",
        "files.test",
        "hidden.api.test",
        "ops.files.test:8080",
        "192.0.2.8",
    ] {
        assert_eq!(client.get(host, "/a", &[]).unwrap().0, 403, "{host}");
    }
    assert_eq!(mesh.connect("other.default").get("www.api.test", "/a", &[]).unwrap().0, 403);
    assert!(api.heads()[0].contains("\r\nhost: www.api.test\r\n"), "the host stays: {}", api.heads()[0]);
}

#[test]
fn nobody_listens_is_said_and_does_not_hang() {
    let gone = Upstream::named("gone");
    let text = edge(&gone, "route edge { to s }").replace(&gone.address, "127.0.0.1:1");
    let mesh = Mesh::start(&text, &[]);
    assert_eq!(mesh.connect("edge.default/web").get("a", "/", &[]).unwrap().0, 503);
    let text =
        edge(&gone, "route edge { to s }").replace(&format!("endpoints static \"{}\"", gone.address), "");
    let mesh = Mesh::start(&text, &[]);
    assert_eq!(mesh.connect("edge.default/web").get("a", "/", &[]).unwrap(), (503, "no endpoint".into()));
}

#[test]
fn a_rate_limit_lets_in_what_it_says_for_each_key() {
    let s = Upstream::named("s");
    let routes = r#"route edge {
  rule counted { match /counted
    to s
    rate-limit local 2/h per header "x-api-key" }
  rule at-once { match /at-once
    respond 200
    rate-limit local 1/h }
  rule tried { match /tried
    to s
    rate-limit local 1/h audit }
  otherwise 404
}"#;
    let mesh = Mesh::start(&edge(&s, routes), &[]);
    let mut client = mesh.connect("edge.default/web");
    let mut ask = |path: &str, key: &str| {
        let key = format!("x-api-key: {key}");
        client.get("a", path, &[&key]).unwrap().0
    };
    assert_eq!([ask("/counted", "1"), ask("/counted", "1"), ask("/counted", "1")], [200, 200, 429]);
    assert_eq!([ask("/counted", "2"), ask("/counted", "1")], [200, 429]);
    assert_eq!([ask("/at-once", "1"), ask("/at-once", "2")], [200, 429]);
    assert_eq!([ask("/tried", "1"), ask("/tried", "1")], [200, 200]);
    assert_eq!(s.heads().len(), 5, "what is too much is not sent on");
}

#[test]
fn limits_of_gateway_listener_and_service_hold_together() {
    let s = Upstream::named("s");
    let limited = |gateway: &str, listener: &str, service: &str| {
        edge(&s, "route edge { to s }")
            .replace("host \"*\" }", &format!("host \"*\"\n{listener} }}\n{gateway}"))
            .replace("service s { port 80 http;", &format!("service s {{ port 80 http; {service};"))
    };
    let narrow = "rate-limit local 1/h per source-ip";
    // What is further inside lets less in: a limit that refuses nothing more is an error.
    let [first, then, last] = [4, 3, 2].map(|burst| format!("rate-limit local 5/h burst {burst}"));
    let wide: [&str; 3] = [&first, &then, &last];
    for place in 0..=wide.len() {
        let mut limits = wide;
        limits.iter_mut().skip(place).take(1).for_each(|limit| *limit = narrow);
        let [gateway, listener, service] = limits;
        let mesh = Mesh::start(&limited(gateway, listener, service), &[]);
        let mut client = mesh.connect("edge.default/web");
        let mut ask = || client.get("a", "/", &[]).unwrap().0;
        let second = if [gateway, listener, service].contains(&narrow) { 429 } else { 200 };
        assert_eq!([ask(), ask(), ask()], [200, second, 429], "{gateway} | {listener} | {service}");
    }
}

#[test]
fn a_body_is_as_long_as_the_least_limit_allows() {
    let s = Upstream::named("s");
    let text = edge(
        &s,
        "route edge { rule r { to s\nresponse-header add \"x-by\" \"edge\"\nmax-request-body 8B } }",
    )
    .replace("service s { port 80 http;", "service s { port 80 http; max-request-body 4B;");
    let mesh = Mesh::start(&text, &[]);
    let ask = |head: &str, body: &str| {
        let mut client = mesh.connect("edge.default/web");
        client.send(&format!("POST / HTTP/1.1\r\nhost: a\r\n{head}\r\n\r\n{body}")).unwrap().0
    };
    assert_eq!(ask("content-length: 4", "1234"), 200);
    assert_eq!(ask("content-length: 5", "12345"), 413);
    let refused = mesh.connect("edge.default/web").head("a", "/", &["content-length: 5"]).unwrap();
    assert!(refused.starts_with("http/1.1 413") && refused.contains("x-by: edge"), "{refused}");
    assert_eq!(ask("transfer-encoding: chunked", "2\r\n12\r\n2\r\n34\r\n0\r\n\r\n"), 200);
    assert_eq!(ask("transfer-encoding: chunked", "2\r\n12\r\n3\r\n345\r\n0\r\n\r\n"), 413);
}

#[test]
fn a_callers_own_route_is_for_its_proxy_alone() {
    let [old, new, other] = ["old", "new", "other"].map(Upstream::named);
    let mesh = Mesh::start(
        &format!(
            r#"gateway edge {{ listener web port 80 http {{ host "*" }} }}
route edge {{ to ratings }}
authorize edge {{ allow from anyone }}
service ratings {{
  port 80 http
  subset old label v = "1"
  subset new label v = "2"
  endpoints static "{}" label v = "1"
  endpoints static "{}" label v = "2"
}}
service other {{ port 80 http; endpoints static "{}" }}
authorize ratings, other {{ allow from reviews, details, gateway edge }}
service reviews {{ calls ratings to GET, POST }}
service details {{ calls ratings }}
route ratings {{ to ratings:new }}
route ratings from reviews {{
  rule elsewhere {{ match /other/**
    to other }}
  rule rest-of-it {{ to ratings:old }}
}}
route ratings from gateway edge {{
  rule hello {{ match /hello
    respond 200 "hello" }}
  rule rest-of-it {{ to ratings:new 0%, ratings:old 100% }}
}}"#,
            old.address, new.address, other.address
        ),
        &["reviews.default", "details.default"],
    );
    let ask =
        |door: &str, method: &str, path: &str| mesh.connect(door).ask(method, "ratings", path, &[]).unwrap();
    assert_eq!(ask("reviews.default", "GET", "/"), (200, "old".into()));
    assert_eq!(ask("reviews.default", "GET", "/other/1"), (200, "other".into()));
    assert_eq!(ask("reviews.default", "DELETE", "/").0, 403, "what it does not declare is refused before");
    assert_eq!(ask("details.default", "GET", "/"), (200, "new".into()));
    assert_eq!(ask("details.default", "GET", "/other/1"), (200, "new".into()));
    assert_eq!(ask("edge.default/web", "GET", "/"), (200, "old".into()));
    assert_eq!(ask("edge.default/web", "GET", "/hello"), (200, "hello".into()));
    let log = mesh.log();
    let rule = "route ratings.default from reviews.default rule elsewhere";
    assert!(!log.iter().any(|line| line.contains(rule)), "the rule of `other` decided last");
    let said = |rule: &str| log.iter().filter(|line| line.contains(rule)).count();
    assert_eq!(said("route ratings.default from reviews.default rule rest-of-it"), 1);
    assert_eq!(said("route ratings.default from gateway edge.default rule hello"), 1);
    assert_eq!(said("route ratings.default rule default"), 2);
}
