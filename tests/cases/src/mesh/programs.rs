//! Programs that show what a case says in words.

/// What has to become of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Must {
    /// The compiler refuses it, and says why.
    Refused,
    /// It compiles, and its tests pass.
    Hold,
    /// One of both.
    Either,
}

pub(super) struct Program {
    pub(super) about: &'static str,
    pub(super) files: Vec<(String, String)>,
    pub(super) must: Must,
}

fn program(about: &'static str, must: Must, text: impl Into<String>) -> Program {
    Program { about, files: vec![("main.mesh".to_owned(), text.into())], must }
}

fn refused(about: &'static str, text: impl Into<String>) -> Program {
    program(about, Must::Refused, text)
}

fn holds(about: &'static str, text: impl Into<String>) -> Program {
    program(about, Must::Hold, text)
}

/// Why a case is not played here, where something else shows it or there is nothing to play it against.
pub(super) fn elsewhere(words: &str) -> Option<&'static str> {
    let about = |words_of: &str| words.contains(words_of);
    if about("Kubernetes") {
        Some("nothing is imported from Kubernetes yet")
    } else if about("monotonicity") {
        Some("10^7 pairs are asked in the compiler's own process: MESH_LAWS=10000000 cargo it laws")
    } else if about("cargo-mutants") {
        Some("mutants of the compiler are built for hours, and by another program")
    } else {
        None
    }
}

/// A service that everything is about.
const SERVICE: &str = "service s { port 80 http }\n";

fn authorized(lines: &str, tests: &str) -> String {
    format!("{SERVICE}authorize s {{ {lines} }}\n{tests}\n")
}

/// The programs of a case, if its words are known.
pub(super) fn of(words: &str) -> Option<Vec<Program>> {
    let about = |words_of: &str| words.contains(words_of);
    Some(if about("host rule ") {
        hosts(words)?
    } else if about("allow if header x-tenant") {
        let tests = "test \"t\" { request to s GET /x expect deny; request to s GET /x when header \"x-tenant\" = \"good\" expect allow }";
        vec![holds("absent", authorized("allow from anyone when header \"x-tenant\" != \"evil\"", tests))]
    } else if about("deny if header x-tenant") {
        let tests = "test \"t\" { request to s GET /x expect deny; request to s GET /x when header \"x-tenant\" = \"good\" expect allow }";
        vec![holds(
            "absent",
            authorized("allow from anyone; deny when header \"x-tenant\" != \"good\"", tests),
        )]
    } else if about("allow if peer.ns") {
        let text = authorized(
            "allow from authenticated except namespace foo",
            "test \"t\" { request to s GET / expect deny }",
        );
        vec![holds(
            "no identity",
            format!("mesh m {{ trust-domain td.test }}\nmodule foo {{ namespace foo }}\n{text}"),
        )]
    } else if about("deny if peer.ns") {
        let text = authorized(
            "allow from anyone; deny from namespace foo",
            "test \"t\" { request to s GET / expect deny }",
        );
        let text = format!("mesh m {{ trust-domain td.test }}\nmodule foo {{ namespace foo }}\n{text}");
        let said = text.replace("deny from namespace foo", "deny from namespace foo, unauthenticated");
        vec![program("no identity", Must::Either, text), holds("no identity, which is said", said)]
    } else if about("resolves to the empty set") {
        vec![
            refused("a namespace of nobody, allowed", authorized("allow from namespace nowhere", "")),
            refused(
                "a namespace of nobody, denied",
                authorized("allow from anyone; deny from namespace nowhere", ""),
            ),
            refused("a group of nobody", format!("group g =\n{}", authorized("allow from g", ""))),
            refused("nobody is left", authorized("allow from s except s", "")),
        ]
    } else if about("unknown key") {
        vec![
            refused("unknown", "service s { port 80 http; colour \"red\" }\n"),
            refused("misspelt", "service s { port 80 http; timout 1s }\n"),
            refused("twice", "service s { port 80 http; timeout 1s; timeout 2s }\n"),
        ]
    } else if about("errors at run time") {
        let tests = "test \"t\" { request to s GET / expect deny; request to s GET / when jwt j, claim \"role\" = \"user\" expect allow }";
        let text = authorized("allow from anyone; deny when claim \"role\" != \"user\"", tests);
        let jwt = "jwt j { issuer \"https://a.test\"; audience \"b\"; jwks \"https://a.test/keys\" }\n";
        let text = text.replace("port 80 http", "port 80 http; jwt j optional");
        let simple = "test \"t\" { request to s GET / expect deny; request to s GET / when header \"x\" = \"user\" expect allow }";
        vec![
            program("a claim without a token", Must::Either, format!("{jwt}{text}")),
            holds(
                "a header that is not there",
                authorized("allow from anyone; deny when header \"x\" != \"user\"", simple),
            ),
        ]
    } else if about("type error") {
        vec![
            refused("a text for a duration", "service s { port 80 http; timeout \"5s\" }\n"),
            refused("a text for a port", "service s { port \"eighty\" http }\n"),
            refused("a text for a principal", authorized("allow from \"web\"", "")),
            refused("a number for a text", authorized("allow from anyone when header \"x\" = 5", "")),
        ]
    } else if about("deny and allow both match") {
        let tests = "test \"t\" { request to s GET /a expect deny; request to s GET /b expect allow }";
        vec![holds("both", authorized("allow from anyone; deny to /a", tests))]
    } else if about("suffix wildcard on identity") {
        let id = "identity \"spiffe://other.test/p/*\"";
        let mut text = format!(
            "service h {{ port 80 http }}\nservice t {{ port 81 tcp }}\nauthorize h {{ allow from {id} }}\nauthorize t {{ allow from {id} }}\n"
        );
        for (peer, expected) in [("p/a", "allow"), ("p/a/b", "deny"), ("px/a", "deny"), ("q/a", "deny")] {
            let from = format!("request from identity \"spiffe://other.test/{peer}\" to");
            text += &format!(
                "test \"{peer}\" {{ {from} h GET / expect {expected}; {from} t expect {expected} }}\n"
            );
        }
        vec![holds("the same of both", text)]
    } else if about("HTTP-only predicate on a TCP port") {
        let text = |deny: &str| {
            format!("service s {{ port 80 tcp }}\nauthorize s {{ allow from anyone; deny {deny} }}\n")
        };
        vec![refused("a path", text("to GET /x")), refused("a header", text("when header \"x\" = \"y\""))]
    } else if about("shadowed or unreachable") {
        vec![
            refused(
                "a rule without requests",
                format!(
                    "{SERVICE}route s {{ rule a {{ match GET /x; to s }} rule b {{ match GET /x; to s; timeout 1s }} otherwise 404 }}\nauthorize s {{ allow from anyone }}\n"
                ),
            ),
            refused("an allow that is denied", authorized("allow from anyone to GET /y; deny to /y", "")),
        ]
    } else if about("claims host of namespace") {
        let mut claim = refused(
            "another's gateway",
            "module a { namespace a; owner \"a\" }\nservice s { port 80 http }\nauthorize s { allow from gateway edge.b }\nroute edge.b host \"b.test\" { to s }\n",
        );
        let edge = "module b { namespace b; owner \"b\" }\ngateway edge { listener web port 80 http { host \"b.test\" } }\nauthorize edge { allow from anyone }\n";
        claim.files =
            vec![("a/a.mesh".to_owned(), claim.files.remove(0).1), ("b/b.mesh".to_owned(), edge.to_owned())];
        vec![claim]
    } else if about("timeout 9999999999999h") {
        vec![
            refused("timeout", "service s { port 80 http; timeout 9999999999999h }\n"),
            refused("weight", format!("{SERVICE}route s {{ to s 18446744073709551616% }}\n")),
            refused("port", "service s { port 70000 http }\n"),
            refused("ttl", "service s { port 80 http; load-balancer ring-hash cookie \"a\" ttl -1s }\n"),
        ]
    } else if about("bidi controls") {
        vec![
            refused("bidi", "service s\u{202e} { port 80 http }\n"),
            refused("zero width", "service s\u{200b}t { port 80 http }\n"),
            refused("homoglyph", "service \u{441}art { port 80 http }\n"),
        ]
    } else if about("nested parentheses") {
        let nested = format!("service s {}", "(".repeat(100_000));
        let blocks = format!("service s {}", "{ env a ".repeat(100_000));
        let token = format!("service {} {{ port 80 http }}\n", "a".repeat(10 << 20));
        let lines: String =
            (0..100_000).map(|number| format!("  allow from anyone to GET /{number}\n")).collect();
        vec![
            refused("parentheses", nested),
            refused("blocks", blocks),
            program("a long token", Must::Either, token),
            program("many rules", Must::Either, authorized(&format!("\n{lines}"), "")),
        ]
    } else if about("include ") {
        vec![
            refused("a path out of the project", "include \"../../etc/shadow\"\n"),
            refused("itself", "include \"main.mesh\"\n"),
        ]
    } else if about("no policy for a workload") {
        vec![holds("nobody is let in", format!("{SERVICE}test \"t\" {{ request to s GET / expect deny }}\n"))]
    } else if about("regex ") {
        let asks = |regex: &str| {
            authorized(&format!("allow from anyone when header \"x\" matches re\"{regex}\""), "")
        };
        vec![
            program("nested repetition", Must::Either, asks("(a+)+")),
            program("with an anchor", Must::Either, asks("(a+)+$")),
            refused("a million states", asks("(x{1000}){1000}")),
            refused("10 KiB", asks(&"x".repeat(10 << 10))),
        ]
    } else if about("jwks_uri") {
        let jwt = |place: &str| {
            format!(
                "jwt j {{ issuer \"https://a.test\"; audience \"b\"; jwks \"{place}\" }}\nservice s {{ port 80 http; jwt j required }}\nauthorize s {{ allow from anyone }}\n"
            )
        };
        vec![
            refused("metadata", jwt("http://169.254.169.254/keys")),
            refused("loopback", jwt("http://127.0.0.1/keys")),
            refused("metadata over TLS", jwt("https://169.254.169.254/keys")),
            refused("loopback over TLS", jwt("https://localhost:8443/keys")),
            refused("loopback as a number", jwt("https://2130706433/keys")),
            holds("a server", jwt("https://sso.a.test/keys")),
        ]
    } else {
        return None;
    })
}

/// `host rule PATTERN ; hosts: A, B`, of which the expectation says that only hosts with one more label match. A host that none can have is none
/// that a test can ask.
fn hosts(words: &str) -> Option<Vec<Program>> {
    let pattern = words.strip_prefix("host rule ")?.split([' ', ';']).next()?;
    let (_, hosts) = words.split_once("hosts: ")?;
    let parent = pattern.strip_prefix("*.")?;
    let mesh = format!(
        "gateway edge {{ listener web port 80 http {{ host \"{pattern}\" }} }}\nauthorize edge {{ allow from anyone }}\nroute edge {{ to s }}\n{SERVICE}authorize s {{ allow from gateway edge }}\n"
    );
    let each = hosts.split(", ").map(|host| {
        let label = host.strip_suffix(parent).and_then(|label| label.strip_suffix('.'));
        let is_covered = label.is_some_and(|label| !label.is_empty() && !label.contains('.'));
        let expected = if is_covered { "allow" } else { "404" };
        let test = format!("test \"t\" {{ request to edge \"{host}\" GET / expect {expected} }}\n");
        program("a host", if is_covered { Must::Hold } else { Must::Either }, format!("{mesh}{test}"))
    });
    Some(each.collect())
}
