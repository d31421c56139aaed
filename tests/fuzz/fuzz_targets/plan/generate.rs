//! Plans with a little of everything, each of which keeps all promises.

use super::Draw;
use mesh_plan::*;

pub(super) const DOMAIN: &str = "shop.test";
pub(super) const IDENTITIES: [(&str, bool); 5] = [
    ("spiffe://other.test/a", false),
    ("spiffe://shop.test/ns/n/sa/a", false),
    ("spiffe://shop.test/ns/n/sa/b", false),
    ("spiffe://shop.test/ns/n/sa/g", true),
    ("spiffe://shop.test/ns/n/sa/h", true),
];
const PREFIXES: [&str; 4] =
    ["spiffe://other.test", "spiffe://other.test/a", "spiffe://shop.test", "spiffe://shop.test/ns/n/sa"];
pub(super) const SERVICES: [&str; 3] = ["a.n", "b.n", "c.n"];
pub(super) const SEGMENTS: [&str; 4] = ["", "a", "aa", "b"];
pub(super) const NAMES: [&str; 4] = ["h", "k", "user-agent", "x-a"];
pub(super) const POINTERS: [&str; 3] = ["/r", "/r/k", "/s"];
pub(super) const ISSUERS: [&str; 3] = ["", "one", "two"];
pub(super) const VALUES: [&[u8]; 5] = [b"", b"a", b"aa", b"b", b"\xff"];
pub(super) const HOSTS: [&str; 4] = ["a.test", "b.a.test", "test", "x"];

pub(super) fn plan(draw: &mut Draw<'_>) -> Plan {
    let settings: Vec<Settings> = (0..draw.below(4)).map(|_| settings(draw)).collect();
    let principals =
        IDENTITIES.map(|(identity, gateway)| Principal { identity: identity.to_owned(), gateway });
    let mut plan = Plan {
        trust_domain: DOMAIN.to_owned(),
        principals: principals.to_vec(),
        prefixes: PREFIXES.map(str::to_owned).to_vec(),
        automata: (0..draw.below(3)).map(|_| automaton(draw)).collect(),
        settings,
        verdicts: (0..draw.below(4)).map(|place| verdict(draw, place)).collect(),
        ..Plan::default()
    };
    plan.default_settings = some_settings(draw, &plan);
    plan.grants = (0..draw.below(3))
        .map(|_| Grant { op_settings: some_settings(draw, &plan), settings: some_settings(draw, &plan) })
        .collect();
    // Where things are comes first: routes lead to any port.
    // Mostly one or two: small plans are many plans.
    let services = 1 + draw.below(2) + usize::from(draw.one_in(8));
    for name in &SERVICES[..services] {
        let service = service(draw, &plan, name);
        plan.services.push(service);
    }
    if draw.one_in(2) {
        plan.gateways.push(gateway(draw, &plan));
    }
    plan.authorities = (0..draw.below(3)).filter_map(|number| authority(draw, &plan, number)).collect();
    let authorities = plan.authorities.len();
    let counting = (0..authorities as u32).filter(|own| {
        let own = &plan.authorities[*own as usize];
        plan.services[own.service as usize].ports[own.port as usize].protocol == Protocol::Grpc
    });
    let counting: Vec<u32> = counting.collect();
    if let Some(by) = counting.first().copied().filter(|_| draw.one_in(2)) {
        plan.services[0].limits.push(Edit::RateLimit(limit(draw, Counting::Global { by })));
    }
    for verdict in plan.verdicts.iter_mut().filter(|verdict| verdict.allow) {
        verdict.asks = (0..authorities as u32).filter(|_| draw.one_in(2)).collect();
    }
    for number in 0..plan.services.len() {
        for port in 0..plan.services[number].ports.len() {
            plan.services[number].ports[port].partition = route(draw, &mut plan, number, 1, true);
        }
        for call in 0..plan.services[number].calls.len() {
            let leaves: Vec<u32> = (0..plan.grants.len() as u32).collect();
            plan.services[number].calls[call].partition = partition(draw, &mut plan, &leaves, 1, false);
        }
        for own in 0..plan.services[number].consumer_routes.len() {
            plan.services[number].consumer_routes[own].partition = route(draw, &mut plan, 0, 1, false);
        }
    }
    for number in 0..plan.gateways.len() {
        for own in 0..plan.gateways[number].consumer_routes.len() {
            plan.gateways[number].consumer_routes[own].partition = route(draw, &mut plan, 0, 1, false);
        }
        for listener in 0..plan.gateways[number].listeners.len() {
            let hosts = plan.gateways[number].listeners[listener].hosts.len();
            plan.gateways[number].listeners[listener].partition = route(draw, &mut plan, 0, hosts, true);
        }
    }
    plan
}

fn some_settings(draw: &mut Draw<'_>, plan: &Plan) -> u32 {
    let drawn = draw.below(plan.settings.len() + 1);
    if drawn == plan.settings.len() { NONE } else { drawn as u32 }
}

fn settings(draw: &mut Draw<'_>) -> Settings {
    let timeout = [None, Some(None), Some(Some(250))][draw.below(3)];
    let retry = match draw.below(3) {
        0 => None,
        1 => Some(None),
        _ => Some(Some(Retry {
            count: 1 + draw.below(10) as u32,
            on_connect_failure: draw.one_in(2),
            on_reset: draw.one_in(2),
            on_timeout: draw.one_in(2),
            on_status: draw.some(4).into_iter().map(|place| 500 + place as u16).collect(),
            methods: draw.byte(),
            per_try_timeout: draw.byte().into(),
            backoff_base: draw.byte().into(),
            backoff_cap: draw.byte().into(),
            buffer: draw.byte().into(),
            budget: draw.one_in(2).then_some(Budget { share: 2_000, min_per_second: 10, over: 1_000 }),
        })),
    };
    let milliseconds = |draw: &mut Draw<'_>| draw.one_in(2).then(|| u32::from(draw.byte()));
    let key = match draw.below(4) {
        0 => HashKey::Header("x-a".to_owned()),
        1 => HashKey::Cookie { name: "c".to_owned(), lifetime: milliseconds(draw) },
        2 => HashKey::Query("q".to_owned()),
        _ => HashKey::SourceIp,
    };
    let algorithm = Algorithm::ALL[draw.below(Algorithm::ALL.len())];
    let key = algorithm.hashes().then_some(key);
    let balancer = draw.one_in(2).then(|| Balancer { algorithm, key, slow_start: draw.byte().into() });
    let breaker = draw.one_in(4).then(|| Breaker {
        max_connections: milliseconds(draw),
        max_pending: milliseconds(draw),
        max_requests: Some(1),
        pending_timeout: milliseconds(draw),
    });
    let outliers = draw.one_in(4).then(|| Outliers {
        consecutive_5xx: 1 + u32::from(draw.byte()),
        consecutive_gateway_errors: draw.byte().into(),
        success_rate: draw.byte().into(),
        interval: 1_000,
        base_ejection: 1_000,
        max_ejection: 1_000 + u32::from(draw.byte()),
        max_share: draw.byte().into(),
        max_at_least: draw.byte().into(),
        min_hosts: draw.byte().into(),
    });
    let connect_timeout = milliseconds(draw);
    let idle_timeout = [None, Some(None), Some(Some(250))][draw.below(3)];
    Settings { timeout, retry, connect_timeout, idle_timeout, balancer, breaker, outliers }
}

/// Of at most four states with the atoms 0 and 1.
fn automaton(draw: &mut Draw<'_>) -> Automaton {
    let (classes, states) = (1 + draw.below(4), 1 + draw.below(4));
    Automaton {
        classes: (0..=255u8).map(|byte| byte % classes as u8).collect(),
        transitions: (0..classes * states).map(|_| draw.below(states) as u16).collect(),
        accepts: (0..states).map(|_| draw.below(2) as u32).collect(),
    }
}

fn verdict(draw: &mut Draw<'_>, place: usize) -> Verdict {
    let audit = draw.of(&["", "told", "told\nand told"]).to_owned();
    Verdict { allow: draw.one_in(2), probe: false, rule: format!("line {place}"), audit, asks: vec![] }
}

/// Somebody who is asked, where there is a port to ask at.
fn authority(draw: &mut Draw<'_>, plan: &Plan, number: usize) -> Option<Authority> {
    let service = draw.below(plan.services.len());
    let ports = plan.services[service].ports.len();
    Some(Authority {
        name: format!("guard {number}"),
        service: service as u32,
        port: draw.below(Some(ports).filter(|ports| *ports > 0)?) as u32,
        timeout: 1 + draw.below(1_000) as u32,
        lets_in_on_failure: draw.one_in(2),
    })
}

fn service(draw: &mut Draw<'_>, plan: &Plan, name: &str) -> Service {
    let subsets: Vec<String> = ["v1", "v2"][..draw.below(3)].iter().map(|&name| name.to_owned()).collect();
    let ports = (0..1 + draw.below(2)).map(|place| {
        let ip = |place: usize| std::net::Ipv4Addr::new(10, 0, 0, place as u8).to_ipv6_mapped().octets();
        let endpoints: Vec<Endpoint> = (0..draw.below(4))
            .map(|place| Endpoint {
                ip: ip(place),
                port: 80,
                cluster: draw.of(&["", "east"]).to_owned(),
                zone: draw.of(&["", "a"]).to_owned(),
                name: String::new(),
                is_outside: false,
                is_asked: false,
            })
            .collect();
        let subset_endpoints = subsets.iter().map(|_| draw.some(endpoints.len())).collect();
        let protocol = Protocol::ALL[draw.below(Protocol::ALL.len())];
        let mtls = Mtls::ALL[draw.below(4)];
        Port {
            number: 80 + place as u16,
            protocol,
            mtls,
            probed: draw.one_in(4),
            name: String::new(),
            partition: 0,
            endpoints,
            subset_endpoints,
        }
    });
    let ports: Vec<Port> = ports.collect();
    // A service calls those before it, which are there already.
    let all_ports = all_ports(plan);
    let calls: Vec<Call> = draw
        .some(all_ports.len())
        .into_iter()
        .map(|place| all_ports[place as usize])
        .map(|(service, port)| Call { service, port, partition: 0 })
        .collect();
    let mut hosts: Vec<CallHost> = calls
        .iter()
        .zip(0..)
        .map(|(own, call)| CallHost { host: SERVICES[own.service as usize].to_owned(), call })
        .collect();
    if draw.one_in(4) {
        let call = if calls.is_empty() || draw.one_in(2) { NONE } else { 0 };
        hosts.push(CallHost { host: draw.of(&["*.test", "**.test", "a.test"]).to_owned(), call });
    }
    hosts.sort_by(|one, other| (&one.host, one.call).cmp(&(&other.host, other.call)));
    // In one service are not two kinds of TLS.
    let is_outside = ports.iter().all(|port: &Port| port.mtls == Mtls::None) && draw.one_in(4);
    Service {
        name: name.to_owned(),
        owner: draw.of(&["", "team"]).to_owned(),
        principal: draw.below(IDENTITIES.len()) as u32,
        settings: some_settings(draw, plan),
        panic_threshold: draw.byte().into(),
        logged: (draw.below(2) == 0).then(|| draw.below(10_001) as u32),
        health_check: draw.one_in(4).then(|| HealthCheck {
            probe: [Probe::Tcp, Probe::Grpc, Probe::Get("/a".to_owned())][draw.below(3)].clone(),
            interval: 1 + u32::from(draw.byte()),
            timeout: 1 + u32::from(draw.byte()),
            unhealthy: 1,
            healthy: 2,
        }),
        tls: is_outside.then(|| OutsideTls {
            name: "a.test".to_owned(),
            trust: [Trust::System, Trust::Authority("a".to_owned()), Trust::Anyone][draw.below(3)].clone(),
            certificate: draw.of(&["", "a"]).to_owned(),
        }),
        nearness: Nearness {
            failover: [vec![], vec![LOCAL.to_owned(), "east".to_owned()]][draw.below(2)].clone(),
            by_zone: draw.one_in(2),
        },
        verifiers: verifiers(draw),
        limits: limits(draw),
        ports,
        subsets,
        consumer_routes: consumer_routes(draw, &all_ports),
        calls,
        hosts,
    }
}

/// Service and port, of all that there are so far.
fn all_ports(plan: &Plan) -> Vec<(u32, u32)> {
    let ports = plan
        .services
        .iter()
        .zip(0..)
        .map(|(own, service)| (0..own.ports.len() as u32).map(move |port| (service, port)));
    ports.flatten().collect()
}

fn consumer_routes(draw: &mut Draw<'_>, ports: &[(u32, u32)]) -> Vec<ConsumerRoute> {
    let chosen = draw.some(ports.len()).into_iter().map(|place| ports[place as usize]);
    chosen.map(|(service, port)| ConsumerRoute { service, port, partition: 0 }).collect()
}

fn gateway(draw: &mut Draw<'_>, plan: &Plan) -> Gateway {
    let all = [
        Host { kind: HostKind::Exact, name: "a.test".to_owned() },
        Host { kind: HostKind::OneLabel, name: "test".to_owned() },
        Host { kind: HostKind::Labels, name: "a.test".to_owned() },
        Host { kind: HostKind::Labels, name: "test".to_owned() },
        Host { kind: HostKind::Any, name: String::new() },
    ];
    let listener = |draw: &mut Draw<'_>, place: u16| {
        let protocol = Protocol::ALL[draw.below(Protocol::ALL.len())];
        let shows = !protocol.sees_connections() && draw.one_in(2);
        Listener {
            protocol,
            proxy_protocol: draw.one_in(4),
            name: format!("l{place}"),
            number: 8_080 + place,
            partition: 0,
            limits: limits(draw),
            hosts: draw.some(all.len()).into_iter().map(|place| all[place as usize].clone()).collect(),
            certificates: if shows { vec!["a".to_owned(), "b".to_owned()] } else { vec![] },
            client_ca: if shows { draw.of(&["", "partners"]).to_owned() } else { String::new() },
        }
    };
    Gateway {
        name: "g.n".to_owned(),
        owner: "team".to_owned(),
        principal: 3,
        limits: limits(draw),
        trusted_hops: draw.below(3) as u32,
        logged: (draw.below(2) == 0).then(|| draw.below(10_001) as u32),
        verifiers: verifiers(draw),
        listeners: (0..1 + usize::from(draw.one_in(4))).map(|place| listener(draw, place as u16)).collect(),
        consumer_routes: consumer_routes(draw, &all_ports(plan)),
    }
}

fn verifiers(draw: &mut Draw<'_>) -> Vec<Verifier> {
    let places = [
        TokenPlace { kind: TokenPlaceKind::Bearer, name: String::new() },
        TokenPlace { kind: TokenPlaceKind::Header, name: "x-a".to_owned() },
        TokenPlace { kind: TokenPlaceKind::Cookie, name: "c".to_owned() },
        TokenPlace { kind: TokenPlaceKind::Query, name: "q".to_owned() },
    ];
    let names: Vec<u32> = draw.some(2);
    let verifier = |place: u32| Verifier {
        name: ["partner", "sso"][place as usize].to_owned(),
        issuer: draw.of(&["", "https://sso.test"]).to_owned(),
        audiences: vec!["a".to_owned(), "b".to_owned()][draw.below(2)..].to_vec(),
        jwks: draw.of(&["/keys.json", "https://sso.test/keys"]).to_owned(),
        places: places[draw.below(places.len())..].to_vec(),
        list_claims: vec!["scope".to_owned(); draw.below(2)],
        clock_skew: draw.byte().into(),
        typ: draw.of(&["", "at+jwt"]).to_owned(),
        required: draw.one_in(2),
        forward: draw.one_in(2),
    };
    names.into_iter().map(verifier).collect()
}

fn limit(draw: &mut Draw<'_>, counting: Counting) -> RateLimit {
    RateLimit {
        count: 1,
        per: 1_000,
        counting,
        by_source: draw.one_in(4),
        by_source_ip: draw.one_in(2),
        by_client_ip: draw.one_in(4),
        by_headers: draw.of(&["", "x-a"]).to_owned(),
        audit: draw.one_in(2),
    }
}

fn limits(draw: &mut Draw<'_>) -> Vec<Edit> {
    let limit = limit(draw, Counting::Local { burst: 1 });
    let all = [Edit::MaxRequestBody(1 << 33), Edit::RateLimit(limit)];
    draw.some(all.len()).into_iter().map(|place| all[place as usize].clone()).collect()
}

/// Routes with outcomes of their own, which enter services from one on only: so they go in no circle.
fn route(draw: &mut Draw<'_>, plan: &mut Plan, own: usize, roots: usize, has_access: bool) -> u32 {
    let first = plan.outcomes.len() as u32;
    for place in 0..1 + draw.below(3) {
        let action = match draw.below(5) {
            0 => Action::Redirect { status: 308, location: draw.of(&["", "/a"]).to_owned() },
            1 => Action::Respond { status: 200, body: draw.of(&["", "hello"]).to_owned() },
            2 => Action::Forward(vec![backend(draw, plan, own, 10_000)]),
            _ => Action::Forward([7_000, 0, 3_000].map(|weight| backend(draw, plan, own, weight)).to_vec()),
        };
        let outcome = Outcome {
            rule: format!("rule {place} of {own}"),
            settings: some_settings(draw, plan),
            action,
            edits: edits(draw, plan),
        };
        plan.outcomes.push(outcome);
    }
    let leaves: Vec<u32> = (first..plan.outcomes.len() as u32).collect();
    partition(draw, plan, &leaves, roots, has_access)
}

fn backend(draw: &mut Draw<'_>, plan: &Plan, own: usize, weight: u32) -> Backend {
    let service = draw.below(plan.services.len());
    let to = &plan.services[service];
    let (port, enter) = (draw.below(to.ports.len()) as u32, service > own && draw.one_in(2));
    let subset = draw.below(to.subsets.len() + 1);
    let subset = if enter || subset == to.subsets.len() { NONE } else { subset as u32 };
    Backend { service: service as u32, port, subset, enter, weight }
}

fn edits(draw: &mut Draw<'_>, plan: &Plan) -> Vec<Edit> {
    let text = str::to_owned;
    let count = if draw.one_in(3) { 1 + draw.below(4) } else { 0 };
    let mut edit = || match draw.below(17) {
        0 => Edit::Path(text("/b/a")),
        1 => Edit::Prefix { from: text("/a"), to: draw.of(&["", "/b"]).to_owned() },
        2 => Edit::Prefix { from: String::new(), to: text("/aa") },
        3 => Edit::Host(text("b.a.test")),
        4 => Edit::Scheme(text("https")),
        5 => Edit::SetRequestHeader(draw.of(&NAMES).to_owned(), text("a")),
        6 => Edit::AddRequestHeader(draw.of(&NAMES).to_owned(), text("b, a")),
        7 => Edit::RemoveRequestHeader(draw.of(&NAMES).to_owned()),
        8 => Edit::SetResponseHeader(text("x-a"), text("1")),
        9 => Edit::RemoveResponseHeader(text("x-a")),
        10 => Edit::Delay { delay: 5, share: 10_000 },
        11 => Edit::Abort { status: 503, share: 1 },
        12 => Edit::MaxRequestBody(draw.byte().into()),
        13 => Edit::Cors(Cors {
            origins: draw.of(&["*", "https://a.test"]).to_owned(),
            methods: text("GET"),
            headers: draw.of(&["", "x-a"]).to_owned(),
            exposed: String::new(),
            credentials: draw.one_in(2),
        }),
        14 => Edit::PreflightAge(draw.byte().into()),
        15 => Edit::WebSocket,
        _ => {
            let service = draw.below(plan.services.len());
            Edit::Mirror { service: service as u32, port: 0, subset: NONE, share: 500 }
        }
    };
    (0..count).map(|_| edit()).collect()
}

fn partition(draw: &mut Draw<'_>, plan: &mut Plan, leaves: &[u32], roots: usize, has_access: bool) -> u32 {
    let peers = 1 + draw.below(4);
    let atom = |draw: &mut Draw<'_>, atoms: usize| draw.below(atoms) as u32;
    let pairs = |draw: &mut Draw<'_>, count| -> Vec<(u32, u32)> {
        draw.some(count).into_iter().map(|key| (key, draw.below(peers) as u32)).collect()
    };
    let peers = Peers {
        atoms: peers as u32,
        principals: pairs(draw, IDENTITIES.len()),
        prefixes: pairs(draw, PREFIXES.len()),
        own: atom(draw, peers),
        gateway: atom(draw, peers),
        foreign: atom(draw, peers),
        none: atom(draw, peers),
    };
    let paths = 2 + draw.below(3);
    let path_automaton = some_automaton(draw, plan);
    let count = if path_automaton.is_some() { 0 } else { 1 + draw.below(4) };
    let states = (0..count).map(|_| State {
        atom: atom(draw, paths),
        edges: draw
            .some(SEGMENTS.len())
            .into_iter()
            .map(|segment| (SEGMENTS[segment as usize].to_owned(), atom(draw, count)))
            .collect(),
        other: [NONE, atom(draw, count)][draw.below(2)],
        empty: [NONE, atom(draw, count)][draw.below(2)],
    });
    let states: Vec<State> = states.collect();
    let star = atom(draw, paths);
    let fields: Vec<Field> = (0..draw.below(3)).map(|_| field(draw, plan)).collect();
    let mut own = Partition {
        peers,
        states,
        path_automaton,
        path_atoms: paths as u32,
        star,
        fields,
        ..Partition::default()
    };
    own.access = match has_access {
        true => {
            let verdicts: Vec<u32> = (0..plan.verdicts.len() as u32).collect();
            diagram(draw, plan, &own, &verdicts)
        }
        false => Target::Leaf(NONE),
    };
    own.roots = (0..roots).map(|_| diagram(draw, plan, &own, leaves)).collect();
    plan.partitions.push(own);
    plan.partitions.len() as u32 - 1
}

fn some_automaton(draw: &mut Draw<'_>, plan: &Plan) -> Option<u32> {
    (draw.one_in(3) && !plan.automata.is_empty()).then(|| draw.below(plan.automata.len()) as u32)
}

fn field(draw: &mut Draw<'_>, plan: &Plan) -> Field {
    let atoms = 2 + draw.below(4);
    let kind = FieldKind::ALL[draw.below(FieldKind::ALL.len())];
    let atom = |draw: &mut Draw<'_>| draw.below(atoms) as u32;
    let text = |draw: &mut Draw<'_>, all: &[&str]| draw.of(all).to_owned();
    let (name, issuer) = match kind {
        FieldKind::Header | FieldKind::Query | FieldKind::Cookie => (text(draw, &NAMES), String::new()),
        FieldKind::Claim => (text(draw, &POINTERS), text(draw, &ISSUERS)),
        FieldKind::Jwt => (text(draw, &ISSUERS), String::new()),
        FieldKind::Segment => (draw.below(4).to_string(), String::new()),
        FieldKind::SourceIp | FieldKind::ClientIp | FieldKind::CallerIp | FieldKind::Host => {
            (String::new(), String::new())
        }
    };
    let values = |draw: &mut Draw<'_>| -> Vec<(Vec<u8>, u32)> {
        draw.some(VALUES.len())
            .into_iter()
            .map(|value| (VALUES[value as usize].to_vec(), atom(draw)))
            .collect()
    };
    let (exact, prefixes) = (values(draw), values(draw));
    let ip = |first: u8| std::net::Ipv4Addr::new(first, 0, 0, 0).to_ipv6_mapped().octets();
    let addresses = match kind.is_address() {
        true => vec![([0; 16], atom(draw)), (ip(10), atom(draw)), (ip(11), atom(draw))],
        false => vec![],
    };
    let masks: Vec<u32> =
        if draw.one_in(2) { (0..atoms).map(|_| u32::from(draw.byte() & 3)).collect() } else { vec![] };
    let unions = draw.some(4).into_iter().map(|mask| (mask, atom(draw))).collect();
    Field {
        kind,
        name,
        issuer,
        atoms: atoms as u32,
        absent: atom(draw),
        many: atom(draw),
        odd: atom(draw),
        other: atom(draw),
        exact,
        prefixes,
        automaton: some_automaton(draw, plan),
        addresses,
        masks,
        unions,
    }
}

/// A few nodes with leaves of one table, or a leaf.
fn diagram(draw: &mut Draw<'_>, plan: &mut Plan, own: &Partition, leaves: &[u32]) -> Target {
    let leaf = |draw: &mut Draw<'_>| {
        Target::Leaf(leaves.get(draw.below(leaves.len() + 1)).copied().unwrap_or(REFUSED))
    };
    let mut root = leaf(draw);
    let atoms = |dim: usize| match dim {
        0 => own.peers.atoms,
        1 => METHOD_ATOMS,
        2 => own.path_atoms,
        field => own.fields[field - 3].atoms,
    };
    let mut nodes = Vec::new();
    for _ in 0..draw.below(4) {
        let node = if draw.one_in(4) {
            let candidates = [1, 2, 3, 64, 65][draw.below(5)];
            plan.lists.push(list(draw, candidates, own.fields.len() + 3, atoms));
            let children = (0..candidates).map(|_| leaf(draw)).collect();
            Node { dim: LIST | (plan.lists.len() as u32 - 1), children }
        } else {
            let dim = draw.below(own.fields.len() + 3);
            let child = |_| match nodes.as_slice() {
                [_, ..] if draw.one_in(2) => nodes[draw.below(nodes.len())],
                _ => leaf(draw),
            };
            Node { dim: dim as u32, children: (0..atoms(dim)).map(child).collect() }
        };
        plan.nodes.push(node);
        root = Target::Node(plan.nodes.len() as u32 - 1);
        nodes.push(root);
    }
    root
}

fn list(draw: &mut Draw<'_>, candidates: usize, dims: usize, atoms: impl Fn(usize) -> u32) -> List {
    let words = candidates.div_ceil(64);
    let row = |draw: &mut Draw<'_>| -> Vec<u64> {
        let mut row: Vec<u64> = (0..words).map(|_| 0x0101_0101_0101_0101 * u64::from(draw.byte())).collect();
        if let (Some(last), used @ 1..) = (row.last_mut(), candidates % 64) {
            *last &= (1 << used) - 1;
        }
        row
    };
    let tests = draw
        .some(dims.min(8))
        .into_iter()
        .map(|dim| ListTest { dim, rows: (0..atoms(dim as usize)).map(|_| row(draw)).collect() });
    let tests = tests.collect();
    let beaters = |draw: &mut Draw<'_>, own: usize| {
        draw.some(candidates.min(8)).into_iter().filter(|beater| *beater as usize != own).collect()
    };
    let beaten_by =
        if draw.one_in(2) { (0..candidates).map(|own| beaters(draw, own)).collect() } else { vec![] };
    List { tests, beaten_by }
}
