//! A shop by hand, for this crate's tests.
//!
//! Gateway `edge` has three host patterns; what it sends to `reviews` is split once more there. `web` calls `reviews`
//! (`GET /reviews/{id}`) and the admin port of `ratings`; both `web` and `edge` have a route of their own to the latter.

use mesh_plan::layout::{MAX_ENTER_DEPTH, WHOLE};
use mesh_plan::{
    Action, Backend, Budget, Call, CallHost, ConsumerRoute, Endpoint, Field, Gateway, Grant, Host, HostKind,
    Listener, NONE, Nearness, Node, Outcome, Partition, Peers, Plan, PlanView, Port, Principal, Protocol,
    REFUSED, Retry, Service, Settings, State, Target, Verdict, encode, verify,
};

pub(crate) const EDGE: u32 = 0;
pub(crate) const RATINGS: u32 = 0;
pub(crate) const REVIEWS: u32 = 1;
pub(crate) const WEB: u32 = 2;

const REFUSE: Target = Target::Leaf(REFUSED);

/// The shop, verified.
pub(crate) fn shop() -> PlanView {
    verify(encode(&plan()).unwrap()).unwrap()
}

/// Layers of services, each with a route that splits to all services of the layer below by `weights`; the last layer
/// has the endpoints. In the first two layers entered, the route of service `n` writes the timeout `n + 1`.
pub(crate) fn tower(weights: &[u32]) -> PlanView {
    let width = weights.len() as u32;
    let mut outcomes = Vec::new();
    let mut services = Vec::new();
    let mut partitions = Vec::new();
    for (layer, number) in (0..=MAX_ENTER_DEPTH + 1).flat_map(|layer| (0..width).map(move |n| (layer, n))) {
        let ends = layer > MAX_ENTER_DEPTH;
        let below = weights.iter().zip((layer + 1) * width..).map(|(weight, service)| Backend {
            service,
            port: 0,
            subset: NONE,
            enter: layer < MAX_ENTER_DEPTH,
            weight: *weight,
        });
        let itself =
            Backend { service: layer * width + number, port: 0, subset: NONE, enter: false, weight: WHOLE };
        outcomes.push(Outcome {
            rule: format!("layer {layer}"),
            settings: if matches!(layer, 1 | 2) { number } else { NONE },
            action: Action::Forward(if ends { vec![itself] } else { below.collect() }),
            edits: vec![],
        });
        partitions.push(partition(Target::Leaf(0), vec![Target::Leaf(layer * width + number)]));
        services.push(Service {
            limits: vec![],
            name: format!("layer-{layer}-{number:02}.shop"),
            owner: String::new(),
            principal: 0,
            settings: NONE,
            panic_threshold: 0,
            logged: None,
            health_check: None,
            tls: None,
            nearness: Nearness::default(),
            verifiers: vec![],
            ports: vec![port(80, "", layer * width + number)],
            subsets: vec![],
            calls: vec![],
            hosts: vec![],
            consumer_routes: vec![],
        });
    }
    let settings =
        (1..=width).map(|timeout| Settings { timeout: Some(Some(timeout)), ..Settings::default() }).collect();
    let gateways = vec![Gateway { limits: vec![], listeners: vec![], consumer_routes: vec![], ..edge() }];
    let tower =
        Plan { services, gateways, partitions, nodes: vec![], outcomes, settings, grants: vec![], ..plan() };
    verify(encode(&Plan { default_settings: NONE, ..tower }).unwrap()).unwrap()
}

pub(crate) fn plan() -> Plan {
    let identities = [
        ("spiffe://other.test/partner", false),
        ("spiffe://shop.test/ns/ops/sa/robot", false),
        ("spiffe://shop.test/ns/shop/sa/edge", true),
        ("spiffe://shop.test/ns/shop/sa/ratings", false),
        ("spiffe://shop.test/ns/shop/sa/reviews", false),
        ("spiffe://shop.test/ns/shop/sa/side-door", true),
        ("spiffe://shop.test/ns/shop/sa/web", false),
    ];
    let principals =
        identities.map(|(identity, gateway)| Principal { identity: identity.to_owned(), gateway }).to_vec();
    let mut nodes = Vec::new();
    Plan {
        trust_domain: "shop.test".to_owned(),
        principals,
        prefixes: vec![
            "spiffe://partner.test".to_owned(),
            "spiffe://partner.test/ns/ops/sa".to_owned(),
            "spiffe://shop.test/ns/ops/sa".to_owned(),
        ],
        services: services(),
        gateways: vec![edge()],
        partitions: partitions(&mut nodes),
        automata: vec![],
        nodes,
        lists: vec![],
        outcomes: outcomes(),
        verdicts: verdicts(),
        authorities: vec![],
        grants: vec![Grant { op_settings: 0, settings: 1 }, Grant { op_settings: NONE, settings: NONE }],
        settings: settings(),
        default_settings: 3,
    }
}

fn port(number: u16, name: &str, partition: u32) -> Port {
    Port {
        number,
        protocol: Protocol::Http,
        mtls: mesh_plan::Mtls::None,
        probed: false,
        name: name.to_owned(),
        partition,
        endpoints: vec![],
        subset_endpoints: vec![],
    }
}

fn services() -> Vec<Service> {
    let host = |host: &str, call| CallHost { host: host.to_owned(), call };
    let endpoint = |last| Endpoint {
        ip: std::net::Ipv4Addr::new(10, 0, 0, last).to_ipv6_mapped().octets(),
        port: 8_080,
        ..Endpoint::default()
    };
    let v6 = Endpoint { ip: std::net::Ipv6Addr::LOCALHOST.octets(), port: 9_090, ..Endpoint::default() };
    let ratings = Service {
        limits: vec![],
        name: "ratings.shop".to_owned(),
        owner: String::new(),
        principal: 3,
        settings: 2,
        panic_threshold: 0,
        logged: None,
        health_check: None,
        tls: None,
        nearness: Nearness::default(),
        verifiers: vec![],
        ports: vec![port(80, "http", 2), port(9_000, "admin", 3)],
        subsets: vec![],
        calls: vec![],
        hosts: vec![],
        consumer_routes: vec![],
    };
    let reviews = Service {
        limits: vec![],
        name: "reviews.shop".to_owned(),
        owner: "team-reviews".to_owned(),
        principal: 4,
        settings: NONE,
        panic_threshold: 0,
        logged: None,
        health_check: None,
        tls: None,
        nearness: Nearness::default(),
        verifiers: vec![],
        ports: vec![Port {
            endpoints: vec![v6, endpoint(1), endpoint(2)],
            subset_endpoints: vec![vec![0, 2], vec![1], vec![]],
            ..port(80, "", 1)
        }],
        subsets: ["v1", "v2", "v3"].map(str::to_owned).to_vec(),
        calls: vec![],
        hosts: vec![],
        consumer_routes: vec![],
    };
    let web = Service {
        limits: vec![],
        name: "web.shop".to_owned(),
        owner: "team-web".to_owned(),
        principal: 6,
        settings: NONE,
        panic_threshold: 0,
        logged: None,
        health_check: None,
        tls: None,
        nearness: Nearness::default(),
        verifiers: vec![],
        ports: vec![],
        subsets: vec![],
        calls: vec![Call { service: 0, port: 1, partition: 5 }, Call { service: 1, port: 0, partition: 4 }],
        hosts: vec![host("ratings", 0), host("ratings.shop", 0), host("reviews", 1), host("reviews.shop", 1)],
        consumer_routes: vec![ConsumerRoute { service: RATINGS, port: 1, partition: 6 }],
    };
    vec![ratings, reviews, web]
}

fn edge() -> Gateway {
    let host = |kind, name: &str| Host { kind, name: name.to_owned() };
    let hosts = vec![
        host(HostKind::Exact, "api.shop.test"),
        host(HostKind::OneLabel, "shop.test"),
        host(HostKind::Labels, "shop.test"),
        host(HostKind::Labels, "x.shop.test"),
    ];
    Gateway {
        limits: vec![],
        trusted_hops: 0,
        logged: None,
        verifiers: vec![],
        name: "edge.shop".to_owned(),
        owner: "platform".to_owned(),
        principal: 2,
        listeners: vec![Listener {
            protocol: Protocol::Http,
            proxy_protocol: false,
            limits: vec![],
            name: "web".to_owned(),
            number: 8_080,
            partition: 0,
            hosts,
            certificates: vec![],
            client_ca: String::new(),
        }],
        consumer_routes: vec![ConsumerRoute { service: RATINGS, port: 1, partition: 7 }],
    }
}

/// Paths: 0 none, 1 `/reviews/{id}`, 2 `/old` and below, 3 `*`. Header `end-user`: 0 absent, 1 many, 2 other, 3 `jason`, 4 `j…`.
fn partition(access: Target, roots: Vec<Target>) -> Partition {
    let state = |atom, edges: &[(&str, u32)], other, empty| State {
        atom,
        edges: edges.iter().map(|(segment, next)| ((*segment).to_owned(), *next)).collect(),
        other,
        empty,
    };
    let user = Field {
        name: "end-user".to_owned(),
        atoms: 5,
        absent: 0,
        many: 1,
        other: 2,
        exact: vec![(b"jason".to_vec(), 3)],
        prefixes: vec![(b"j".to_vec(), 4), (b"jo".to_vec(), 2), (b"joe".to_vec(), 4), (b"zz".to_vec(), 4)],
        ..Field::default()
    };
    Partition {
        peers: Peers { atoms: 1, ..Peers::default() },
        states: vec![
            state(0, &[("old", 3), ("reviews", 1)], NONE, NONE),
            state(0, &[], 2, NONE),
            state(1, &[], NONE, NONE),
            state(2, &[], 3, 3),
        ],
        path_automaton: None,
        path_atoms: 4,
        star: 3,
        fields: vec![user],
        access,
        roots,
        vectors: vec![],
    }
}

fn partitions(nodes: &mut Vec<Node>) -> Vec<Partition> {
    let mut node = |dim, children: &[Target]| {
        nodes.push(Node { dim, children: children.to_vec() });
        Target::Node(nodes.len() as u32 - 1)
    };
    let leaf = Target::Leaf;
    // The listener: the partner is denied, everybody else is not. Paths decide at `api.shop.test` alone.
    let edge_access = node(0, &[leaf(0), leaf(1)]);
    let edge_route = node(2, &[REFUSE, leaf(0), leaf(1), leaf(2)]);
    let mut edge = partition(edge_access, vec![edge_route, leaf(2), leaf(3), leaf(4)]);
    edge.peers = Peers { atoms: 2, principals: vec![(0, 1)], ..Peers::default() };
    // Reviews: each kind of peer has a line of its own; `web` and `edge` may do all but delete.
    let method = node(1, &[leaf(0), leaf(0), leaf(0), leaf(0), leaf(0), leaf(2), leaf(0), leaf(0)]);
    let peers = [method, leaf(3), leaf(4), leaf(5), leaf(6), leaf(7), leaf(8), REFUSE, leaf(9), leaf(10)];
    let reviews_access = node(0, &peers);
    let reviews_route = node(3, &[leaf(6), leaf(6), leaf(6), leaf(5), leaf(7)]);
    let mut reviews = partition(reviews_access, vec![reviews_route]);
    reviews.peers = Peers {
        atoms: 10,
        principals: vec![(1, 6), (2, 0), (3, 7), (6, 0)],
        prefixes: vec![(0, 8), (1, 9), (2, 1)],
        own: 2,
        gateway: 3,
        foreign: 4,
        none: 5,
    };
    let call = node(2, &[REFUSE, leaf(0), REFUSE, REFUSE]);
    vec![
        edge,
        reviews,
        partition(leaf(0), vec![leaf(8)]),
        partition(REFUSE, vec![leaf(9)]),
        partition(leaf(NONE), vec![call]),
        partition(leaf(NONE), vec![leaf(1)]),
        partition(leaf(NONE), vec![leaf(10)]),
        partition(leaf(NONE), vec![leaf(11)]),
    ]
}

fn outcomes() -> Vec<Outcome> {
    let backend = |service, weight| Backend { service, port: 0, subset: NONE, enter: false, weight };
    let subset = |subset, weight| Backend { subset, ..backend(REVIEWS, weight) };
    let forward = |rule: &str, settings, backends| Outcome {
        rule: rule.to_owned(),
        settings,
        action: Action::Forward(backends),
        edits: vec![],
    };
    let respond = |rule: &str, status, body: &str| Outcome {
        rule: rule.to_owned(),
        settings: NONE,
        action: Action::Respond { status, body: body.to_owned() },
        edits: vec![],
    };
    vec![
        forward("half", 5, vec![Backend { enter: true, ..backend(REVIEWS, 5_000) }, backend(RATINGS, 5_000)]),
        Outcome {
            rule: "moved".to_owned(),
            settings: NONE,
            action: Action::Redirect { status: 308, location: "/reviews".to_owned() },
            edits: vec![],
        },
        respond("one label", 200, "one"),
        respond("labels", 200, "many"),
        respond("longer labels", 200, "longer"),
        forward("testers", 4, vec![subset(1, 10_000)]),
        forward("split", NONE, vec![subset(0, 9_000), subset(1, 0), subset(2, 1_000)]),
        respond("otherwise", 404, ""),
        forward("ratings", NONE, vec![backend(RATINGS, 10_000)]),
        forward("admin", NONE, vec![Backend { port: 1, ..backend(RATINGS, 10_000) }]),
        forward("admin from web", NONE, vec![Backend { port: 1, ..backend(RATINGS, 10_000) }]),
        forward("admin from edge", 0, vec![Backend { enter: true, ..backend(RATINGS, 10_000) }]),
    ]
}

fn verdicts() -> Vec<Verdict> {
    let deny =
        ["partner", "delete", "ops", "own", "gateway", "foreign", "nobody", "robot", "domain", "below"];
    let allow =
        Verdict { allow: true, probe: false, rule: "allow".to_owned(), audit: String::new(), asks: vec![] };
    let deny = deny.map(|rule| Verdict {
        allow: false,
        probe: false,
        rule: format!("deny {rule}"),
        audit: String::new(),
        asks: vec![],
    });
    std::iter::once(allow).chain(deny).collect()
}

fn settings() -> Vec<Settings> {
    let timeout = |milliseconds| Settings { timeout: Some(Some(milliseconds)), ..Settings::default() };
    let retry = |count, budget| Retry {
        count,
        on_connect_failure: true,
        on_reset: false,
        on_timeout: false,
        on_status: vec![502, 503],
        methods: 0b0100_0011,
        per_try_timeout: 0,
        backoff_base: 25,
        backoff_cap: 250,
        buffer: 0,
        budget,
    };
    let budget = Budget { share: 2_000, min_per_second: 10, over: 10_000 };
    vec![
        timeout(300),
        Settings { retry: Some(Some(retry(1, None))), ..timeout(900) },
        timeout(800),
        Settings { retry: Some(Some(retry(3, Some(budget)))), ..timeout(5_000) },
        Settings { timeout: Some(None), ..Settings::default() },
        Settings { retry: Some(None), ..Settings::default() },
    ]
}
