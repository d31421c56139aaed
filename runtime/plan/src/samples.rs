//! A plan by hand, with one of everything, for this crate's tests.

use crate::plan::*;

/// Gateway `edge` sends to `reviews`, two thirds of it by subset, and `web` calls `reviews` and `ratings`; `ratings` has two ports. `web` and `edge` have
/// each a route of their own.
pub(crate) fn plan() -> Plan {
    Plan {
        trust_domain: "shop.test".to_owned(),
        principals: vec![
            principal("spiffe://other.test/partner", false),
            principal("spiffe://shop.test/ns/shop/sa/edge", true),
            principal("spiffe://shop.test/ns/shop/sa/ratings", false),
            principal("spiffe://shop.test/ns/shop/sa/reviews", false),
            principal("spiffe://shop.test/ns/shop/sa/web", false),
        ],
        prefixes: vec!["spiffe://partner.example".to_owned(), "spiffe://shop.test/ns/ops/sa".to_owned()],
        services: vec![ratings(), reviews(), web()],
        gateways: vec![edge()],
        partitions: vec![
            // 0: the listener.
            Partition {
                access: Target::Leaf(0),
                roots: vec![Target::Node(1), Target::Leaf(REFUSED), Target::Leaf(2), Target::Leaf(3)],
                vectors: vec![
                    Vector {
                        leaf: 1,
                        path: "/a/b".to_owned(),
                        facts: vec![
                            fact(FactKind::Header, "x-user", "", "test-1"),
                            fact(FactKind::Text, "sso", "/tier", "vip"),
                        ],
                        ..Vector::default()
                    },
                    Vector { leaf: 2, method: 6, path: "*".to_owned(), ..Vector::default() },
                    Vector {
                        root: NONE,
                        peer: "spiffe://other.test/partner".to_owned(),
                        path: "/".to_owned(),
                        facts: vec![fact(FactKind::SourceIp, "", "", "10.0.0.1")],
                        ..Vector::default()
                    },
                ],
                ..partition()
            },
            // 1: reviews, told apart by peer, path and header.
            Partition { access: Target::Node(4), roots: vec![Target::Node(2)], ..partition() },
            // 2 and 3: ratings.
            Partition {
                states: vec![],
                path_automaton: Some(0),
                fields: vec![role(), source_ip()],
                access: Target::Leaf(1),
                roots: vec![Target::Leaf(1)],
                ..partition()
            },
            Partition { access: Target::Node(6), roots: vec![Target::Leaf(1)], ..by_segments() },
            // 4 and 5: the calls.
            Partition { access: Target::Leaf(NONE), roots: vec![Target::Leaf(0)], ..partition() },
            Partition { access: Target::Leaf(NONE), roots: vec![Target::Node(3)], ..partition() },
            // 6 and 7: routes of `web` to ratings' second port, and of the gateway to reviews.
            Partition { access: Target::Leaf(NONE), roots: vec![Target::Node(5)], ..partition() },
            Partition { access: Target::Leaf(NONE), roots: vec![Target::Leaf(4)], ..partition() },
        ],
        automata: vec![automaton()],
        nodes: vec![
            Node {
                dim: 3,
                children: vec![
                    Target::Leaf(0),
                    Target::Leaf(1),
                    Target::Leaf(0),
                    Target::Leaf(1),
                    Target::Leaf(0),
                ],
            },
            Node { dim: 2, children: vec![Target::Leaf(REFUSED), Target::Node(0), Target::Leaf(2)] },
            Node { dim: 1, children: [vec![Target::Leaf(4)], vec![Target::Leaf(3); 7]].concat() },
            Node { dim: 1, children: [vec![Target::Leaf(REFUSED); 7], vec![Target::Leaf(1)]].concat() },
            Node { dim: 0, children: vec![Target::Leaf(0), Target::Leaf(1), Target::Leaf(REFUSED)] },
            Node { dim: 2, children: vec![Target::Leaf(1), Target::Leaf(REFUSED), Target::Leaf(4)] },
            Node { dim: LIST, children: vec![Target::Leaf(1), Target::Leaf(0), Target::Leaf(1)] },
        ],
        lists: vec![list()],
        outcomes: outcomes(),
        verdicts: vec![
            Verdict {
                allow: true,
                probe: false,
                rule: "authorize edge.shop: allow from anyone".to_owned(),
                audit: String::new(),
                asks: vec![1, 0],
            },
            Verdict {
                allow: false,
                probe: false,
                rule: "authorize ratings.shop: deny".to_owned(),
                audit: "authorize ratings.shop: audit".to_owned(),
                asks: vec![],
            },
        ],
        authorities: vec![authority("corp", 1, true), authority("abuse", 0, false)],
        grants: vec![Grant { op_settings: NONE, settings: 0 }, Grant { op_settings: 2, settings: NONE }],
        settings: vec![
            Settings { timeout: Some(Some(2_500)), retry: Some(None), ..Settings::default() },
            Settings { timeout: Some(None), retry: Some(Some(retry())), ..Settings::default() },
            Settings {
                retry: Some(Some(Retry { budget: None, on_status: vec![], ..retry() })),
                ..balanced()
            },
        ],
        default_settings: 1,
    }
}

fn authority(name: &str, port: u32, lets_in_on_failure: bool) -> Authority {
    Authority { name: name.to_owned(), service: 0, port, timeout: 200, lets_in_on_failure }
}

fn principal(identity: &str, gateway: bool) -> Principal {
    Principal { identity: identity.to_owned(), gateway }
}

fn ratings() -> Service {
    let port = |number, name: &str, partition| Port {
        protocol: if number == 80 { Protocol::Http } else { Protocol::Grpc },
        mtls: if number == 80 { Mtls::None } else { Mtls::Permissive },
        probed: false,
        number,
        name: name.to_owned(),
        partition,
        endpoints: vec![],
        subset_endpoints: vec![],
    };
    Service {
        limits: vec![],
        name: "ratings.shop".to_owned(),
        owner: String::new(),
        principal: 2,
        settings: 0,
        panic_threshold: 0,
        logged: None,
        health_check: None,
        tls: None,
        nearness: Nearness::default(),
        verifiers: vec![],
        ports: vec![
            port(80, "http", 2),
            Port {
                endpoints: vec![named("one.test", false), named("two.test", true)],
                ..port(9_000, "admin", 3)
            },
        ],
        subsets: vec![],
        calls: vec![],
        hosts: vec![],
        consumer_routes: vec![],
    }
}

fn named(name: &str, is_outside: bool) -> Endpoint {
    Endpoint { port: 9_001, name: name.to_owned(), is_outside, ..Endpoint::default() }
}

fn reviews() -> Service {
    let v4 = |last| Endpoint {
        ip: std::net::Ipv4Addr::new(10, 0, 0, last).to_ipv6_mapped().octets(),
        port: 8_080,
        zone: "a".to_owned(),
        ..Endpoint::default()
    };
    let v6 = Endpoint {
        ip: "fd00::1".parse::<std::net::Ipv6Addr>().unwrap().octets(),
        port: 9_090,
        cluster: "west".to_owned(),
        zone: "b".to_owned(),
        ..Endpoint::default()
    };
    Service {
        limits: vec![],
        name: "reviews.shop".to_owned(),
        owner: "team-reviews".to_owned(),
        principal: 3,
        settings: NONE,
        panic_threshold: 0,
        logged: None,
        health_check: Some(HealthCheck {
            probe: Probe::Get("/health".to_owned()),
            interval: 5_000,
            timeout: 1_000,
            unhealthy: 3,
            healthy: 2,
        }),
        tls: None,
        nearness: Nearness { failover: vec![LOCAL.to_owned(), "west".to_owned()], by_zone: true },
        verifiers: vec![verifier("sso", false)],
        ports: vec![Port {
            number: 80,
            protocol: Protocol::Http,
            mtls: Mtls::Strict,
            probed: true,
            name: String::new(),
            partition: 1,
            endpoints: vec![v4(1), v4(2), v6],
            subset_endpoints: vec![vec![0, 2], vec![]],
        }],
        subsets: vec!["v1".to_owned(), "v2".to_owned()],
        calls: vec![],
        hosts: vec![],
        consumer_routes: vec![],
    }
}

fn verifier(name: &str, required: bool) -> Verifier {
    let place = |kind, name: &str| TokenPlace { kind, name: name.to_owned() };
    Verifier {
        name: name.to_owned(),
        issuer: format!("https://{name}.test"),
        audiences: vec!["admin".to_owned(), "shop".to_owned()],
        jwks: format!("/etc/mesh/{name}.json"),
        places: vec![
            place(TokenPlaceKind::Bearer, ""),
            place(TokenPlaceKind::Header, "x-token"),
            place(TokenPlaceKind::Cookie, "session"),
            place(TokenPlaceKind::Query, "access_token"),
        ],
        list_claims: if required { vec!["scope".to_owned()] } else { vec![] },
        clock_skew: 5_000,
        typ: if required { "at+jwt".to_owned() } else { String::new() },
        required,
        forward: !required,
    }
}

fn web() -> Service {
    let host = |host: &str, call| CallHost { host: host.to_owned(), call };
    Service {
        limits: vec![],
        name: "web.shop".to_owned(),
        owner: String::new(),
        principal: 4,
        settings: 2,
        panic_threshold: 0,
        logged: None,
        health_check: None,
        tls: Some(OutsideTls {
            name: "web.example".to_owned(),
            trust: Trust::Authority("partners".to_owned()),
            certificate: "shop".to_owned(),
        }),
        nearness: Nearness::default(),
        verifiers: vec![],
        ports: vec![],
        subsets: vec![],
        calls: vec![Call { service: 0, port: 1, partition: 5 }, Call { service: 1, port: 0, partition: 4 }],
        hosts: vec![host("ratings", 0), host("ratings.shop", 0), host("reviews", 1), host("reviews.shop", 1)],
        consumer_routes: vec![ConsumerRoute { service: 0, port: 1, partition: 6 }],
    }
}

fn edge() -> Gateway {
    let host = |kind, name: &str| Host { kind, name: name.to_owned() };
    let hosts = vec![
        host(HostKind::Exact, "shop.test"),
        host(HostKind::OneLabel, "shop.test"),
        host(HostKind::Labels, "shop.test"),
        host(HostKind::Any, ""),
    ];
    Gateway {
        limits: vec![],
        trusted_hops: 1,
        logged: None,
        verifiers: vec![verifier("partner", false), verifier("sso", true)],
        name: "edge.shop".to_owned(),
        owner: "platform".to_owned(),
        principal: 1,
        listeners: vec![Listener {
            protocol: Protocol::Http,
            proxy_protocol: true,
            limits: vec![],
            name: "web".to_owned(),
            number: 8_080,
            partition: 0,
            hosts,
            certificates: vec!["shop-test".to_owned(), "shop-wild".to_owned()],
            client_ca: "partners".to_owned(),
        }],
        consumer_routes: vec![ConsumerRoute { service: 1, port: 0, partition: 7 }],
    }
}

fn fact(kind: FactKind, name: &str, pointer: &str, value: &str) -> Fact {
    let [name, pointer, value] = [name, pointer, value].map(str::to_owned);
    Fact { kind, name, pointer, value }
}

/// Three peers, three paths (none, `/a/{x}`, `*`) and five values of `x-user`.
fn partition() -> Partition {
    let state = |atom, edges: &[(&str, u32)], other| State {
        atom,
        edges: edges.iter().map(|(segment, next)| ((*segment).to_owned(), *next)).collect(),
        other,
        empty: NONE,
    };
    Partition {
        peers: Peers {
            atoms: 3,
            principals: vec![(0, 1), (3, 0)],
            prefixes: vec![(1, 2)],
            own: 0,
            gateway: 1,
            foreign: 2,
            none: 2,
        },
        states: vec![state(0, &[("a", 1)], NONE), state(0, &[], 2), state(1, &[], NONE)],
        path_automaton: None,
        path_atoms: 3,
        star: 2,
        fields: vec![Field {
            name: "x-user".to_owned(),
            atoms: 5,
            absent: 0,
            many: 1,
            other: 2,
            exact: vec![(b"jason".to_vec(), 3), (vec![0xff, 0x00], 3)],
            prefixes: vec![(b"j".to_vec(), 4), (b"test-".to_vec(), 4)],
            ..Field::default()
        }],
        access: Target::Leaf(REFUSED),
        roots: vec![],
        vectors: vec![],
    }
}

/// The path by its first segment: absent, empty, any other, `a`.
fn by_segments() -> Partition {
    let [field] = <[Field; 1]>::try_from(partition().fields).unwrap();
    let segment = Field {
        kind: FieldKind::Segment,
        name: "0".to_owned(),
        atoms: 4,
        absent: 0,
        many: 2,
        odd: 2,
        other: 2,
        exact: vec![(vec![], 1), (b"a".to_vec(), 3)],
        ..Field::default()
    };
    let any = State { atom: 0, edges: vec![], other: 0, empty: 0 };
    Partition { states: vec![any], path_atoms: 2, star: 1, fields: vec![field, segment], ..partition() }
}

/// Three candidates of which two beat each other.
fn list() -> List {
    let of_peer = ListTest { dim: 0, rows: vec![vec![0b001], vec![0b111], vec![0b110]] };
    let of_segment = ListTest { dim: 4, rows: vec![vec![0b100], vec![0b000], vec![0b111], vec![0b101]] };
    List { tests: vec![of_peer, of_segment], beaten_by: vec![vec![], vec![2], vec![0, 1]] }
}

/// A query parameter whose value ends in `x` or not, alone or among several.
fn role() -> Field {
    Field {
        kind: FieldKind::Query,
        name: "role".to_owned(),
        atoms: 6,
        absent: 2,
        many: 3,
        odd: 3,
        automaton: Some(0),
        masks: vec![1, 2, 0, 0, 0, 0],
        unions: vec![(1, 3), (2, 4), (3, 5)],
        ..Field::default()
    }
}

/// Addresses of 10.0.0.0/8 and the others.
fn source_ip() -> Field {
    let at = |first| std::net::Ipv4Addr::new(first, 0, 0, 0).to_ipv6_mapped().octets();
    Field {
        kind: FieldKind::SourceIp,
        atoms: 2,
        addresses: vec![([0; 16], 0), (at(10), 1), (at(11), 0)],
        ..Field::default()
    }
}

/// Whether a value ends in `x`.
fn automaton() -> Automaton {
    let classes = (0..=255u8).map(|byte| u8::from(byte == b'x')).collect();
    Automaton { classes, transitions: vec![0, 1, 0, 1], accepts: vec![0, 1] }
}

fn outcomes() -> Vec<Outcome> {
    let backend = Backend { service: 1, port: 0, subset: NONE, enter: false, weight: 0 };
    let outcome =
        |rule: &str, settings, action| Outcome { rule: rule.to_owned(), settings, action, edits: vec![] };
    let mut outcomes = vec![
        outcome(
            "route edge.shop rule split",
            0,
            Action::Forward(vec![
                Backend { enter: true, weight: 3_334, ..backend },
                Backend { subset: 0, weight: 3_333, ..backend },
                Backend { subset: 1, weight: 3_333, ..backend },
            ]),
        ),
        outcome(
            "route ratings.shop rule default",
            NONE,
            Action::Forward(vec![Backend { service: 0, weight: 10_000, ..backend }]),
        ),
        outcome(
            "route edge.shop rule moved",
            NONE,
            Action::Redirect { status: 308, location: "/a/1".to_owned() },
        ),
        outcome(
            "route edge.shop rule hello",
            NONE,
            Action::Respond { status: 200, body: "hello".to_owned() },
        ),
        outcome("route reviews.shop otherwise", NONE, Action::Respond { status: 404, body: String::new() }),
    ];
    outcomes[1].edits = edits();
    outcomes
}

/// One of each kind.
fn edits() -> Vec<Edit> {
    let text = str::to_owned;
    vec![
        Edit::Path(text("/b")),
        Edit::Prefix { from: text("/a"), to: String::new() },
        Edit::Host(text("elsewhere.example")),
        Edit::Scheme(text("https")),
        Edit::SetRequestHeader(text("x-a"), text("1")),
        Edit::AddRequestHeader(text("x-a"), text("2")),
        Edit::RemoveRequestHeader(text("x-b")),
        Edit::SetResponseHeader(text("x-a"), text("1")),
        Edit::AddResponseHeader(text("x-a"), text("2")),
        Edit::RemoveResponseHeader(text("x-b")),
        Edit::Delay { delay: 2_000, share: 10_000 },
        Edit::Abort { status: 503, share: 1_000 },
        Edit::Mirror { service: 0, port: 0, subset: NONE, share: 500 },
        Edit::MaxRequestBody(1 << 33),
        Edit::RateLimit(RateLimit {
            count: 100,
            per: 60_000,
            counting: Counting::Local { burst: 10 },
            by_source: true,
            by_source_ip: true,
            by_client_ip: true,
            by_headers: text("x-api-key"),
            audit: true,
        }),
        Edit::Cors(Cors {
            origins: text("https://a.example https://*.b.example"),
            methods: text("GET, POST"),
            headers: text("x-a"),
            exposed: text("x-b"),
            credentials: true,
        }),
        Edit::PreflightAge(3_600),
        Edit::WebSocket,
        Edit::DecodeSlashes,
        Edit::StripParameters,
        Edit::RateLimit(RateLimit {
            count: 10,
            per: 1_000,
            counting: Counting::Global { by: 0 },
            by_source: false,
            by_source_ip: false,
            by_client_ip: false,
            by_headers: text("x-api-key"),
            audit: false,
        }),
    ]
}

fn retry() -> Retry {
    Retry {
        count: 2,
        on_connect_failure: true,
        on_reset: false,
        on_timeout: true,
        on_status: vec![14, 429, 502, 503, 504],
        methods: 0b0100_0011,
        per_try_timeout: 250,
        backoff_base: 25,
        backoff_cap: 1_000,
        buffer: 65_536,
        budget: Some(Budget { share: 2_000, min_per_second: 10, over: 10_000 }),
    }
}

/// Settings about endpoints: one of each kind.
fn balanced() -> Settings {
    let key = HashKey::Cookie { name: "session".to_owned(), lifetime: Some(60_000) };
    Settings {
        connect_timeout: Some(250),
        idle_timeout: Some(Some(60_000)),
        balancer: Some(Balancer { algorithm: Algorithm::Maglev, key: Some(key), slow_start: 0 }),
        breaker: Some(Breaker {
            max_connections: Some(100),
            max_pending: None,
            max_requests: Some(1_000),
            pending_timeout: None,
        }),
        outliers: Some(Outliers {
            consecutive_5xx: 5,
            consecutive_gateway_errors: 0,
            success_rate: 9_000,
            interval: 10_000,
            base_ejection: 30_000,
            max_ejection: 300_000,
            max_share: 5_000,
            max_at_least: 1,
            min_hosts: 1,
        }),
        ..Settings::default()
    }
}
