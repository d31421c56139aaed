//! A decision asks the allocator for nothing, whatever it looks at.

use mesh_bench::measure::{Counting, allocations};
use mesh_compiler::{Budget, Project};
use mesh_engine::{
    Action, Claim, ClaimValue, Decision, Entry, Method, Moment, Peer, Request, Token, callee, decide,
};
use mesh_lang::{Source, SourceSet};
use mesh_plan::{PlanView, encode, verify};
use std::collections::BTreeMap;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Something of each kind that a decision can look at.
const PROGRAM: &str = r#"
module shop { namespace shop; edition 2026 }
mesh shop { trust-domain shop.test; default { timeout 15s } }
jwt sso { issuer "https://sso.test"; audience "shop"; jwks "https://sso.test/keys" }
jwt partner { issuer "https://partner.test"; audience "shop"; jwks "https://partner.test/keys" }
service web { port 80 http; calls cart; calls dense; retry 2 on reset, 503 { backoff 25ms..100ms } }
service cart {
  port 80 http
  subset v1 label version = "v1"
  subset v2 label version = "v2"
  jwt sso optional
  jwt partner optional
  timeout 2s
}
route cart {
  rule search { match GET /search/** when query "q" in ("a", "b c"); to cart:v1 }
  rule files { match GET /files/{name}.json; to cart:v2 }
  rule split { match /split/**; to cart:v1 90%, cart:v2 10% }
  rule others { to cart }
}
authorize cart {
  allow from web to /search/**, /files/**, /split/**
  allow from namespace shop to GET /items/{id} when header "x-tenant" = "a" and cookie "session" present
  allow from anyone to GET /regex/** when header "x-version" matches re"v[0-9]+(-rc)?"
  allow from anyone to /tokens/** when claim sso "groups" has "admins" and claim partner "tier" = "gold"
  allow from anyone to /address/** when source-ip in ("10.0.0.0/8", "fd00::/8")
  deny from anyone to /items/** when header "x-blocked" present
}
service dense { port 80 http }
authorize dense {
  allow from anyone to GET /{a}/w1/{c}/w2
  allow from web to GET /w1/{b}/w3/{d}
  allow from anyone to GET /{a}/{b}/w2/w4
  allow from web to POST /w2/{b}/{c}/w1
  deny from anyone to GET /w9/{b}/{c}/w9
}
"#;

/// So that the wildcards of `dense` are candidates of a list.
const SMALL: Budget = Budget { path_states: 6 };

fn plan() -> PlanView {
    let source =
        Source { path: "shop/shop.mesh".to_owned(), module: "shop".to_owned(), text: PROGRAM.to_owned() };
    let sources = SourceSet::new(vec![source]);
    let compiled = Project::parse(&sources).within(SMALL).compile(None, None, &BTreeMap::new());
    let plan = compiled.plan.unwrap_or_else(|| panic!("{:?}", compiled.diagnostics));
    verify(encode(&plan).expect("within the limits")).expect("a plan")
}

#[test]
fn a_decision_allocates_nothing() {
    let plan = plan();
    assert!(!plan.lists().is_empty() && !plan.automata().is_empty(), "the program has lists and automata");
    let index = |name: &str| plan.service_by_name(name).expect("a service").index();
    let (web, cart, dense) = (index("web.shop"), index("cart.shop"), index("dense.shop"));
    let call = callee(&plan, web, "cart", None).expect("a call");
    let known = plan.principal_by_identity("spiffe://shop.test/ns/shop/sa/web").expect("a principal");
    let entries = [
        Entry::Sidecar { service: web },
        Entry::Call { service: web, call },
        Entry::Inbound { service: cart, port: 0 },
        Entry::Inbound { service: dense, port: 0 },
    ];
    let peers = [
        Peer::Unauthenticated,
        Peer::Known(known),
        Peer::Identity("spiffe://shop.test/ns/shop/sa/web"),
        Peer::Identity("spiffe://shop.test/ns/shop/sa/stranger"),
        Peer::Identity("spiffe://else.test/x"),
    ];
    let paths = [
        "/",
        "*",
        "/search/a",
        "/files/a.json",
        "/files/a-rather-long-name.json",
        "/split/x",
        "/items/1",
        "/regex/x",
        "/tokens/x",
        "/address/x",
        "/w1/w1/w3/w2",
        "/w1/b/w3/d",
        "/w9/b/c/w9",
        "/nothing",
    ];
    let long = format!("q={}", "%41".repeat(2_000));
    let queries = ["", "q=a", "q=b%20c", "x=1&q=%62+c", "q=a&q=b", &long];
    let few: &[(&str, &str)] = &[];
    let many: &[(&str, &str)] = &[
        ("x-tenant", "a"),
        ("x-version", "v12-rc, v13"),
        ("cookie", "a=b; session=1"),
        ("x-blocked", ""),
        ("x-version", "v1"),
    ];
    let some: &[(&str, &str)] = &[("x-tenant", "a"), ("x-version", "v12"), ("cookie", "a=b; session=1")];
    let groups = ["users", "admins"];
    let claims = [Claim { pointer: "/groups", value: ClaimValue::List(&groups) }];
    let tier = [Claim { pointer: "/tier", value: ClaimValue::Text("gold") }];
    let tokens = [Token { issuer: "sso", claims: &claims }, Token { issuer: "partner", claims: &tier }];
    let (mut forwarded, mut refused, mut asked) = (0, 0, 0);
    let mut ask = |entry, peer, request: &Request<'_>| {
        let (decision, allocated): (Decision<'_>, usize) =
            allocations(|| decide(&plan, entry, peer, request, Moment { dice: asked }));
        assert_eq!(allocated, 0, "{entry:?} {peer:?} {} {}", request.path, request.query);
        asked += 1;
        match decision.action {
            Action::Forward(_) => forwarded += 1,
            _ => refused += 1,
        }
    };
    for (entry, peer) in entries.into_iter().flat_map(|entry| peers.map(|peer| (entry, peer))) {
        for (path, query) in paths.into_iter().flat_map(|path| queries.map(|query| (path, query))) {
            for headers in [&few, &many, &some] {
                for tokens in [&tokens[..0], &tokens[..1], &tokens] {
                    for method in [Method::Get, Method::Post] {
                        let source_ip = std::net::Ipv4Addr::new(10, 0, 0, 1).into();
                        let host = if path.starts_with("/w") { "dense" } else { "cart.shop" };
                        let request = Request {
                            method,
                            host,
                            host_port: None,
                            path,
                            query,
                            headers,
                            source_ip,
                            caller_ip: Some(source_ip),
                            client_ip: None,
                            tokens,
                        };
                        ask(entry, peer, &request);
                    }
                }
            }
        }
    }
    assert!(forwarded > 1_000 && refused > 1_000, "{forwarded} forwarded, {refused} refused");
}

/// What is counted is counted.
#[test]
fn an_allocation_is_seen() {
    assert_eq!(allocations(|| vec![1, 2, 3]).1, 1);
}
