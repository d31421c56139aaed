//! Every condition, from its text to the decision: both polarities of every rule of `spec/semantics.md` 3.3.

mod by_definition;

use mesh_compiler::{StandIns, compile};
use mesh_engine::{Action, Claim, ClaimValue, Entry, Method, Moment, Peer, Request, Token, decide};
use mesh_lang::SourceSet;
use mesh_plan::PlanView;
use std::net::IpAddr;

/// A service with a route and an authorization, compiled.
struct Subject(PlanView);

/// What a request of a test has, beside `GET`.
#[derive(Clone, Copy)]
struct Asked<'a> {
    path: &'a str,
    query: &'a str,
    headers: &'a [(&'a str, &'a str)],
    source_ip: &'a str,
    client_ip: Option<&'a str>,
    tokens: &'a [Token<'a>],
}

const PLAIN: Asked<'static> =
    Asked { path: "/", query: "", headers: &[], source_ip: "192.0.2.7", client_ip: None, tokens: &[] };

impl Subject {
    #[track_caller]
    fn new(rules: &str, access: &str) -> Subject {
        Subject::try_new(rules, access).unwrap_or_else(|| {
            let found = compile(&SourceSet::single("test.mesh", &text(rules, access)), &StandIns::new());
            let messages: Vec<_> = found.diagnostics.iter().map(|found| found.message.clone()).collect();
            panic!("{messages:?}\n{}", text(rules, access))
        })
    }

    fn try_new(rules: &str, access: &str) -> Option<Subject> {
        let sources = SourceSet::single("test.mesh", &text(rules, access));
        let plan = compile(&sources, &StandIns::new()).plan?;
        let view = mesh_plan::verify(mesh_plan::encode(&plan).unwrap()).unwrap();
        assert_eq!(view.to_plan(), plan);
        Some(Subject(view))
    }

    /// A `match` with this condition answers 200.
    #[track_caller]
    fn route(condition: &str) -> Subject {
        Subject::new(&format!("rule r {{ match when {condition}\nrespond 200 }}"), "allow from anyone")
    }

    /// Every GET is answered 200 that a `deny` with this condition does not refuse.
    #[track_caller]
    fn deny(condition: &str) -> Subject {
        Subject::new(
            "rule r { match GET\nrespond 200 }",
            &format!("allow from anyone\ndeny when {condition}"),
        )
    }

    fn status(&self, asked: Asked<'_>) -> u16 {
        match self.end(asked) {
            Action::Respond { status, .. } => status,
            Action::Refuse(refusal) => refusal.status(),
            other => panic!("{other:?}"),
        }
    }

    fn end(&self, asked: Asked<'_>) -> Action<'_> {
        let request = Request {
            method: Method::Get,
            host: "shop.example",
            host_port: None,
            path: asked.path,
            query: asked.query,
            headers: &asked.headers,
            source_ip: asked.source_ip.parse::<IpAddr>().unwrap(),
            caller_ip: None,
            client_ip: asked.client_ip.map(|ip| ip.parse().unwrap()),
            tokens: asked.tokens,
        };
        let entry = Entry::Gateway { gateway: 0, listener: 0 };
        decide(&self.0, entry, Peer::Unauthenticated, &request, Moment { dice: 1 }).action
    }
}

fn text(rules: &str, access: &str) -> String {
    let hops =
        if rules.contains("client-ip") || access.contains("client-ip") { "; trusted-hops 1" } else { "" };
    format!(
        "gateway g {{ listener web port 80 http {{ host \"*\" }}{hops}; jwt sso optional; jwt other optional }}\n\
         route g {{\n{rules}\notherwise 404\n}}\n\
         authorize g {{\n{access}\n}}\n\
         jwt sso {{ issuer \"s\"; audience \"a\"; jwks \"/keys\" }}\n\
         jwt other {{ issuer \"o\"; audience \"a\"; jwks \"/keys\" }}\n"
    )
}

/// Which requests are in the narrow set, that of a grant, and which in the wide one, that of a refusal.
#[track_caller]
fn sets(condition: &str, requests: &[(Asked<'_>, bool, bool)]) {
    let (grant, refusal) = (Subject::route(condition), Subject::deny(condition));
    for (index, (asked, narrow, wide)) in requests.iter().enumerate() {
        let found = (grant.status(*asked) == 200, refusal.status(*asked) == 403);
        assert_eq!(found, (*narrow, *wide), "{condition}: request {index}");
    }
}

fn header<'a>(lines: &'a [(&'a str, &'a str)]) -> Asked<'a> {
    Asked { headers: lines, ..PLAIN }
}

fn query(text: &str) -> Asked<'_> {
    Asked { query: text, ..PLAIN }
}

#[test]
fn a_repeated_value_and_a_negation_are_doubt() {
    let none = PLAIN;
    let user = header(&[("x-role", "user")]);
    let admin = header(&[("x-role", "admin")]);
    let both = header(&[("x-role", "user, admin")]);
    let twice = header(&[("x-role", "admin"), ("x-role", "admin")]);
    sets(
        r#"header "x-role" = "admin""#,
        &[
            (none, false, false),
            (user, false, false),
            (admin, true, true),
            (both, false, true),
            (twice, false, true),
        ],
    );
    let others = [
        (none, false, true),
        (user, true, true),
        (admin, false, false),
        (both, false, true),
        (twice, false, false),
    ];
    sets(r#"header "x-role" != "admin""#, &others);
    sets(r#"not header "x-role" = "admin""#, &others);
    sets(r#"not header "x-role" in ("admin", "root")"#, &others);
    sets(
        r#"header "x-role" has "admin""#,
        &[
            (none, false, false),
            (user, false, false),
            (admin, true, true),
            (both, true, true),
            (twice, true, true),
        ],
    );
    sets(
        r#"not header "x-role" has "admin""#,
        &[
            (none, false, true),
            (user, true, true),
            (admin, false, false),
            (both, false, false),
            (twice, false, false),
        ],
    );
    for (condition, absent) in [("present", false), ("absent", true)] {
        for (not, flip) in [("", false), ("not ", true)] {
            let all = [none, user, both].map(|asked| {
                let is_absent = asked.headers.is_empty();
                let inside = (is_absent == absent) != flip;
                (asked, inside, inside)
            });
            sets(&format!("{not}header \"x-role\" {condition}"), &all);
        }
    }
}

#[test]
fn every_test_of_text_is_of_the_whole_value() {
    let value = |text: &'static str| match text {
        "a.json" => header(&[("x-kind", "a.json")]),
        "json" => header(&[("x-kind", "json")]),
        "v12" => header(&[("x-kind", "v12")]),
        "v1x" => header(&[("x-kind", "v1x")]),
        _ => panic!(),
    };
    let of = |condition: &str, inside: [bool; 4]| {
        let texts = ["a.json", "json", "v12", "v1x"];
        let all: Vec<_> = texts.into_iter().zip(inside).map(|(text, is)| (value(text), is, is)).collect();
        sets(&format!("header \"x-kind\" {condition}"), &all);
        let not: Vec<_> = all.iter().map(|(asked, is, _)| (*asked, !is, !is)).collect();
        sets(&format!("not header \"x-kind\" {condition}"), &not);
    };
    of(r#"suffix ".json""#, [true, false, false, false]);
    of(r#"contains "json""#, [true, true, false, false]);
    of(r#"prefix "v1""#, [false, false, true, true]);
    of(r#"matches re"v[0-9]+""#, [false, false, true, false]);
    of(r#"matches re"(a\.)?json|v1.""#, [true, true, true, true]);
}

#[test]
fn a_query_parameter_is_decoded_once_and_split_at_ampersands_only() {
    sets(
        r#"query "role" = "a b""#,
        &[
            (query("role=a%20b"), true, true),
            (query("ro%6ce=a%20b"), true, true),
            (query("role=a+b"), false, false),
            (query("role=a%2520b"), false, false),
            (query("role=a%20b&role=c"), false, true),
            (query("x=1;role=a%20b"), false, false),
            (query("ROLE=a%20b"), false, false),
        ],
    );
    sets(
        r#"query "k" = """#,
        &[
            (query(""), false, false),
            (query("k"), true, true),
            (query("k="), true, true),
            (query("&&k&"), true, true),
            (query("k=&k=1"), false, true),
            (query("k=a,b"), false, false),
        ],
    );
    sets(
        r#"query "k" has "a""#,
        &[(query("k=a&k=b"), true, true), (query("k=a,b"), false, false), (query("k=b&k=b"), false, false)],
    );
    sets(
        r#"query "k" suffix "é""#,
        &[
            (query("k=caf%C3%A9"), true, true),
            (query("k=caf%C3"), false, false),
            (query("k=%zz%C3%A9"), true, true),
        ],
    );
}

#[test]
fn a_cookie_is_a_pair_of_its_header() {
    let cookie = |line: &'static str| match line {
        "" => header(&[]),
        "type=insider" => header(&[("cookie", "type=insider")]),
        "a=1; type=insider ;b=2" => header(&[("cookie", "a=1; type=insider ;b=2")]),
        "type=x, type=insider" => header(&[("cookie", "type=x, type=insider")]),
        "type=x; type=insider" => header(&[("cookie", "type=x; type=insider")]),
        "xtype=insider" => header(&[("cookie", "xtype=insider")]),
        "type=a=b" => header(&[("cookie", "type=a=b")]),
        _ => header(&[("cookie", "type=insider"), ("cookie", "type=insider")]),
    };
    sets(
        r#"cookie "type" = "insider""#,
        &[
            (cookie(""), false, false),
            (cookie("type=insider"), true, true),
            (cookie("a=1; type=insider ;b=2"), true, true),
            (cookie("type=x, type=insider"), false, false),
            (cookie("type=x; type=insider"), false, true),
            (cookie("xtype=insider"), false, false),
            (cookie("two lines"), false, true),
        ],
    );
    sets(r#"cookie "type" = "a=b""#, &[(cookie("type=a=b"), true, true)]);
}

#[test]
fn addresses_are_of_the_connection_or_of_the_client() {
    let from = |ip: &'static str| Asked { source_ip: ip, ..PLAIN };
    let inside = [
        (from("10.0.0.0"), true, true),
        (from("10.255.255.255"), true, true),
        (from("11.0.0.0"), false, false),
        (from("::ffff:10.1.2.3"), true, true),
        (from("fd00::1"), true, true),
        (from("fe00::1"), false, false),
    ];
    sets(r#"source-ip in ("10.0.0.0/8", "fd00::/8")"#, &inside);
    let outside = inside.map(|(asked, narrow, wide)| (asked, !narrow, !wide));
    sets(r#"not source-ip in ("10.0.0.0/8", "fd00::/8")"#, &outside);
    sets(r#"source-ip = "10.0.0.1""#, &[(from("10.0.0.1"), true, true), (from("10.0.0.2"), false, false)]);
    let client = |ip| Asked { client_ip: ip, ..PLAIN };
    sets(
        r#"client-ip != "192.0.2.1""#,
        &[
            (client(None), false, true),
            (client(Some("192.0.2.1")), false, false),
            (client(Some("192.0.2.2")), true, true),
        ],
    );
    sets("client-ip present", &[(client(None), false, false), (client(Some("::1")), true, true)]);
}

#[test]
fn claims_are_text_lists_or_something_else() {
    fn token<'a>(claims: &'a [Claim<'a>]) -> [Token<'a>; 1] {
        [Token { issuer: "sso", claims }]
    }
    let text = [Claim { pointer: "/roles", value: ClaimValue::Text("dev sre") }];
    let exact = [Claim { pointer: "/roles", value: ClaimValue::Text("sre") }];
    let list = [Claim { pointer: "/roles", value: ClaimValue::List(&["sre", "dev"]) }];
    let alone = [Claim { pointer: "/roles", value: ClaimValue::List(&["sre"]) }];
    let empty = [Claim { pointer: "/roles", value: ClaimValue::List(&[]) }];
    let odd = [Claim { pointer: "/roles", value: ClaimValue::Other }];
    let [text, exact, list, alone, empty, odd] =
        [&text, &exact, &list, &alone, &empty, &odd].map(|claims| token(claims));
    let with = |tokens| Asked { tokens, ..PLAIN };
    let [none, silent] = [with(&[]), with(&[Token { issuer: "sso", claims: &[] }])];
    let [text, exact, list, alone, empty, odd] =
        [&text, &exact, &list, &alone, &empty, &odd].map(|tokens| with(tokens));
    sets(
        r#"claim sso "roles" has "sre""#,
        &[
            (none, false, false),
            (silent, false, false),
            (text, true, true),
            (exact, true, true),
            (list, true, true),
            (alone, true, true),
            (empty, false, false),
            (odd, false, true),
        ],
    );
    sets(
        r#"claim sso "roles" = "sre""#,
        &[
            (none, false, false),
            (text, false, false),
            (exact, true, true),
            (list, false, true),
            (alone, false, true),
            (empty, false, false),
            (odd, false, true),
        ],
    );
    sets(
        r#"claim sso "roles" != "sre""#,
        &[
            (none, false, true),
            (text, true, true),
            (exact, false, false),
            (list, false, true),
            (alone, false, false),
            (odd, false, true),
        ],
    );
    sets("jwt sso present", &[(none, false, false), (silent, true, true)]);
    sets("jwt other absent", &[(none, true, true), (silent, true, true)]);
    let nested = [Claim { pointer: "/a~1b/c", value: ClaimValue::Text("x") }];
    let nested = token(&nested);
    sets(r#"claim sso "a/b" "c" = "x""#, &[(with(&nested), true, true), (exact, false, false)]);
}

#[test]
fn a_path_is_looked_at_as_a_whole() {
    let path = |text: &'static str| Asked { path: text, ..PLAIN };
    let of = |condition: &str, inside: &[(&'static str, bool)]| {
        let all: Vec<_> = inside.iter().map(|(text, is)| (path(text), *is, *is)).collect();
        sets(condition, &all);
    };
    of(
        r#"path suffix ".json""#,
        &[("/a.json", true), ("/.json", true), ("/a.jsonx", false), ("/a.json/", false)],
    );
    of(r#"not path suffix ".json""#, &[("/a.json", false), ("/", true)]);
    of(
        r#"path matches re"/v[0-9]+(/.*)?""#,
        &[("/v1", true), ("/v12/x", true), ("/v", false), ("/x/v1", false)],
    );
    of(r#"path in ("/a", "/b/")"#, &[("/a", true), ("/b/", true), ("/b", false), ("/a/", false)]);
    of(r#"path prefix "/a/""#, &[("/a/b", true), ("/a/", true), ("/a", false)]);
    of(r#"path contains "%3B""#, &[("/x%3By", true), ("/x3By", false)]);
    let suffixed = Subject::new(
        "rule r { match /books/{id}.json\nrespond 200 }\nrule s { match /books/{id}\nrespond 201 }\nrule t { match /books/**\nrespond 202 }",
        "allow from anyone",
    );
    for (text, status) in [
        ("/books/1.json", 200),
        ("/books/.json", 201),
        ("/books/1.jso", 201),
        ("/books/1.json/x", 202),
        ("/books/", 202),
        ("/books", 202),
        ("/book", 404),
    ] {
        assert_eq!(suffixed.status(path(text)), status, "{text}");
    }
}

#[test]
fn a_gateway_may_look_at_the_host() {
    let only = Subject::new(
        "rule r { match GET\nrespond 200 }",
        "allow from anyone when host suffix \".example\"\ndeny when host = \"shop.example\" and query \"k\" present",
    );
    assert_eq!(only.status(PLAIN), 200);
    assert_eq!(only.status(query("k")), 403);
    let other = Subject::new("rule r { match GET\nrespond 200 }", "allow from anyone when host = \"a.test\"");
    assert_eq!(other.status(PLAIN), 403);
}

#[test]
fn conditions_are_independent_dimensions() {
    let subject = Subject::new(
        r#"rule both overrides cookie { match GET when query "v" = "2" and cookie "beta" present
respond 202 }
rule query { match GET when query "v" = "2"
respond 201 }
rule cookie overrides query { match GET when cookie "beta" matches re"[0-9]+"
respond 203 }
rule others { match GET
respond 200 }"#,
        "allow from anyone when source-ip in (\"192.0.2.0/24\")",
    );
    let beta = Asked { headers: &[("cookie", "beta=1")], ..PLAIN };
    let words = Asked { headers: &[("cookie", "beta=x")], ..PLAIN };
    assert_eq!(subject.status(PLAIN), 200);
    assert_eq!(subject.status(query("v=2")), 201);
    assert_eq!(subject.status(beta), 203);
    assert_eq!(subject.status(words), 200);
    assert_eq!(subject.status(Asked { query: "v=2", ..words }), 202);
    assert_eq!(subject.status(Asked { source_ip: "192.0.3.1", ..beta }), 403);
}

#[test]
fn what_the_proxy_cannot_know_is_not_built() {
    let refused = |access: &str| {
        let statements = "service s { port 80 http }\nauthorize s { allow from anyone }\n";
        let text = format!("{statements}{}", text("rule r { match GET\nrespond 200 }", access));
        let compilation = compile(&SourceSet::single("test.mesh", &text), &StandIns::new());
        assert!(compilation.plan.is_some(), "{access}");
        compilation.unexecuted.into_iter().map(|found| found.message).collect::<Vec<String>>()
    };
    let known = "client-ip present and claim sso \"a\" present and jwt sso present and query \"a\" present and source-ip = \"::1\" and cookie \"b\" present";
    assert!(refused(&format!("allow from anyone when {known}")).is_empty());
}

/// Of who calls a service only its own proxy knows the address.
#[test]
fn the_address_of_a_caller_is_asked_where_a_proxy_sees_it_and_nothing_else_does() {
    let refused = |mode: &str, service: &str, more: &str| {
        let text = format!(
            "mesh m {{ {mode} }}\nservice s {{ port 80 http\n{service} }}\nservice c {{ calls s }}\n\
             authorize s {{ allow from anyone; deny when source-ip = \"::1\" }}\n{more}"
        );
        let compilation = compile(&SourceSet::single("test.mesh", &text), &StandIns::new());
        assert!(compilation.plan.is_some(), "{text}: {:?}", compilation.diagnostics);
        compilation.unexecuted.into_iter().map(|found| found.message).collect::<Vec<String>>()
    };
    let said = |why: &str| {
        vec![format!("`source-ip` in the authorization of {why} is not executed by this version's proxy")]
    };
    assert!(refused("mtls strict", "", "").is_empty());
    assert!(refused("", "mtls permissive", "").is_empty());
    let in_the_clear = said("a port without mutual TLS, before which no proxy need stand,");
    assert_eq!(refused("", "", ""), in_the_clear);
    assert_eq!(refused("mtls strict", "mtls off", ""), in_the_clear);
    let outside = "external \"x.test\"; tls none";
    assert_eq!(
        refused("mtls strict", outside, ""),
        said("a service outside of the mesh, which has no proxy to see it,")
    );
    let route = "route s { rule near { match when source-ip = \"127.0.0.1\"; to s }; otherwise 404 }";
    assert_eq!(
        refused("mtls strict", "", route),
        said("a service whose route asks for that of another connection")
    );
    // A guardrail is about all services, of which one has no proxy of its own.
    let guardrail = "module m { role platform }\nservice t { port 80 http; mtls off }\nauthorize t { allow from anyone }\n\
                     guardrail nobody { deny from anyone when source-ip = \"::2\" }";
    assert_eq!(refused("mtls strict", "", guardrail), in_the_clear);
}

#[test]
fn in_doubt_the_path_of_a_question_about_the_server_is_no_path() {
    let star = Asked { path: "*", ..PLAIN };
    sets(r#"path suffix ".json""#, &[(star, false, false)]);
    sets(r#"not path suffix ".json""#, &[(star, false, true)]);
    sets(r#"path != "/a""#, &[(star, false, true)]);
}

#[test]
fn fifty_values_of_a_list_are_fifty_questions() {
    let allow =
        |number: usize| format!("allow from anyone when claim sso \"groups\" has \"team-{number}\"\n");
    let deny = |number: usize| format!("deny when query \"tag\" = \"t{number}\"\n");
    let lines: String = (0..50).map(|number| allow(number) + &deny(number)).collect();
    let subject = Subject::new("rule r { match GET\nrespond 200 }", &lines);
    let nodes = subject.0.nodes().count();
    assert!(nodes < 300, "{nodes} nodes");
    let claims = [Claim { pointer: "/groups", value: ClaimValue::List(&["x", "team-7", "team-9"]) }];
    let tokens = [Token { issuer: "sso", claims: &claims }];
    let status = |query| subject.status(Asked { query, tokens: &tokens, ..PLAIN });
    assert_eq!(status("tag=a&tag=b"), 200);
    assert_eq!(status("tag=a&tag=t49"), 403);
    assert_eq!(subject.status(query("tag=a")), 403);
}

/// Damage that is sealed again: what is not refused decides something, whatever it is.
#[test]
fn no_bytes_of_a_plan_make_a_decision_panic() {
    let subject = Subject::new(
        "rule r { match /a/{id}.json\nrespond 200 }\nrule s overrides r { match when query \"k\" matches re\"[ab]+c\"\nrespond 201 }\n\
         rule t overrides r, s { match when header \"h\" suffix \"x\"\nrespond 202 }",
        "allow from anyone when claim sso \"g\" has \"x\"\nallow from anyone when source-ip in (\"10.0.0.0/8\")\n\
         deny when cookie \"c\" contains \"y\" and client-ip != \"::1\"\ndeny when cookie \"c\" prefix \"z\"",
    );
    let claims = [Claim { pointer: "/g", value: ClaimValue::List(&["x", "y"]) }];
    let asked = Asked {
        path: "/a/1.json",
        query: "k=%61bc&k=x",
        headers: &[("h", "a, bx"), ("cookie", "c=xyz; c=z")],
        source_ip: "10.1.2.3",
        client_ip: Some("::2"),
        tokens: &[Token { issuer: "sso", claims: &claims }],
    };
    let mut rng = fastrand::Rng::with_seed(5);
    let mut read = 0;
    for _ in 0..20_000 {
        let mut bytes = subject.0.bytes().to_vec();
        for _ in 0..1 + rng.usize(..3) {
            let at = rng.usize(64..bytes.len());
            bytes[at] = if rng.bool() { rng.u8(..) } else { bytes[at] ^ (1 << rng.u8(..8)) };
        }
        mesh_plan::layout::seal(&mut bytes);
        if let Ok(view) = mesh_plan::verify(bytes) {
            read += 1;
            let damaged = Subject(view);
            damaged.end(asked);
            damaged.end(PLAIN);
        }
    }
    assert!(read > 1_000, "{read}: atoms and transitions may be others");
}

#[test]
fn the_same_conditions_in_another_order_are_the_same_plan() {
    let plan = |access: &str| {
        let subject = Subject::new("rule r { match GET\nrespond 200 }", access);
        subject.0.digest_hex()
    };
    let lines = [
        r#"allow from anyone when header "h" suffix "a" and query "k" in ("1", "2") and path matches re"/a+""#,
        r#"deny when cookie "c" contains "x" and source-ip in ("10.0.0.0/8", "fd00::/8")"#,
        r#"deny when header "h" has "b" and header "h" matches re"[a-c]*""#,
    ];
    let other = [
        r#"deny when header "h" matches re"[a-c]*" and header "h" has "b""#,
        r#"allow from anyone when path matches re"/a+" and query "k" in ("2", "1") and header "h" suffix "a""#,
        r#"deny when source-ip in ("fd00::/8", "10.0.0.0/8") and cookie "c" contains "x""#,
    ];
    assert_eq!(plan(&lines.join("\n")), plan(&other.join("\n")));
}

#[test]
fn grpc_methods_are_paths_of_any_method() {
    let subject = Subject::new(
        "rule r { match grpc shop.Cart/Add|Remove\nrespond 200 }\nrule s { match grpc shop.Cart\nrespond 201 }",
        "allow from anyone",
    );
    for (path, status) in [
        ("/shop.Cart/Add", 200),
        ("/shop.Cart/Remove", 200),
        ("/shop.Cart/Get", 201),
        ("/shop.Cart/Add/", 201),
    ] {
        assert_eq!(subject.status(Asked { path, ..PLAIN }), status, "{path}");
    }
}
