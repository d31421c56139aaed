//! Small plans, made from values: gateway `edge.default` sends each `/SEGMENT/**` somewhere.

use mesh_plan::{
    Action, Backend, Call, CallHost, Edit, Endpoint, Gateway, Grant, Host, HostKind, Listener, Mtls, NONE,
    Nearness, Node, Outcome, Partition, Peers, Plan, PlanView, Port, Principal, Protocol, REFUSED, Retry,
    Service, Settings, State, Target, Verdict, encode, verify,
};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

const ALLOW: u32 = 0;
const DENY: u32 = 1;

/// What a rule does; services by name.
#[derive(Clone)]
enum Does {
    Send(Vec<(&'static str, u32)>),
    Answer(Action),
}

/// A mesh in the making.
#[derive(Clone)]
pub(crate) struct Mesh {
    gateway: &'static str,
    listener_port: u16,
    services: BTreeMap<&'static str, (Vec<SocketAddr>, u32)>,
    rules: BTreeMap<&'static str, (Does, Settings)>,
    /// Those whose requests may become WebSockets.
    websockets: Vec<&'static str>,
    last: &'static str,
    calls: Vec<(&'static str, &'static str)>,
    owner: &'static str,
    settings: Settings,
    clients: Protocol,
    endpoints: Protocol,
}

pub(crate) fn mesh() -> Mesh {
    Mesh {
        gateway: "edge",
        listener_port: 8_080,
        services: BTreeMap::new(),
        rules: BTreeMap::new(),
        websockets: vec![],
        last: "",
        calls: vec![],
        owner: "",
        settings: Settings::default(),
        clients: Protocol::Http,
        endpoints: Protocol::Http,
    }
}

/// A retry policy that lists nothing yet.
pub(crate) fn retries(count: u32) -> Retry {
    Retry {
        count,
        on_connect_failure: false,
        on_reset: false,
        on_timeout: false,
        on_status: vec![],
        methods: 0b100_0011,
        per_try_timeout: 0,
        backoff_base: 0,
        backoff_cap: 0,
        buffer: 0,
        budget: None,
    }
}

impl Mesh {
    pub(crate) fn gateway(mut self, name: &'static str) -> Mesh {
        self.gateway = name;
        self
    }

    pub(crate) fn listener_port(mut self, port: u16) -> Mesh {
        self.listener_port = port;
        self
    }

    /// A service on port 80 that lets everybody in.
    pub(crate) fn service(mut self, name: &'static str, endpoints: &[SocketAddr]) -> Mesh {
        self.services.insert(name, (endpoints.to_vec(), ALLOW));
        self
    }

    /// A service that lets nobody in.
    pub(crate) fn closed(mut self, name: &'static str, endpoints: &[SocketAddr]) -> Mesh {
        self.services.insert(name, (endpoints.to_vec(), DENY));
        self
    }

    /// `rule SEGMENT { match /SEGMENT/**; to SERVICE }`, and the service with it.
    pub(crate) fn to(self, segment: &'static str, endpoint: SocketAddr) -> Mesh {
        self.service(segment, &[endpoint]).split(segment, &[(segment, 10_000)])
    }

    pub(crate) fn split(self, segment: &'static str, shares: &[(&'static str, u32)]) -> Mesh {
        self.rule(segment, Does::Send(shares.to_vec()))
    }

    pub(crate) fn respond(self, segment: &'static str, status: u16, body: &str) -> Mesh {
        self.rule(segment, Does::Answer(Action::Respond { status, body: body.to_owned() }))
    }

    pub(crate) fn redirect(self, segment: &'static str, status: u16, location: &str) -> Mesh {
        self.rule(segment, Does::Answer(Action::Redirect { status, location: location.to_owned() }))
    }

    fn rule(mut self, segment: &'static str, does: Does) -> Mesh {
        self.rules.insert(segment, (does, Settings::default()));
        self.last = segment;
        self
    }

    /// Of the last rule.
    pub(crate) fn timeout(mut self, millis: u32) -> Mesh {
        self.rules.get_mut(self.last).unwrap().1.timeout = Some(Some(millis));
        self
    }

    /// Of the last rule.
    pub(crate) fn retry(mut self, retry: Retry) -> Mesh {
        self.rules.get_mut(self.last).unwrap().1.retry = Some(Some(retry));
        self
    }

    /// Of the last rule.
    pub(crate) fn websocket(mut self) -> Mesh {
        self.websockets.push(self.last);
        self
    }

    /// One service calls another.
    pub(crate) fn calls(mut self, caller: &'static str, callee: &'static str) -> Mesh {
        self.calls.push((caller, callee));
        self
    }

    /// Of everything.
    pub(crate) fn owner(mut self, owner: &'static str) -> Mesh {
        self.owner = owner;
        self
    }

    /// Of every service.
    pub(crate) fn settings(mut self, settings: Settings) -> Mesh {
        self.settings = settings;
        self
    }

    /// What clients and what endpoints speak.
    pub(crate) fn speaks(mut self, clients: Protocol, endpoints: Protocol) -> Mesh {
        (self.clients, self.endpoints) = (clients, endpoints);
        self
    }

    /// The bytes of the plan.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        encode(&self.plan()).unwrap()
    }

    pub(crate) fn view(&self) -> PlanView {
        verify(self.bytes()).unwrap()
    }

    pub(crate) fn plan(&self) -> Plan {
        let identity = |name: &str| format!("spiffe://local.test/ns/default/sa/{name}");
        let mut principals: Vec<_> = self.services.keys().map(|name| (identity(name), false)).collect();
        principals.push((identity(self.gateway), true));
        principals.sort();
        let principal =
            |name: &str| principals.iter().position(|(known, _)| *known == identity(name)).unwrap() as u32;
        let index = |name: &str| self.services.keys().position(|known| *known == name).unwrap() as u32;

        let mut outcomes: Vec<Outcome> = Vec::new();
        let mut settings = Vec::new();
        let own_settings = if self.settings == Settings::default() { NONE } else { 0 };
        if own_settings != NONE {
            settings.push(self.settings.clone());
        }
        let backend = |(service, weight): &(&str, u32)| Backend { weight: *weight, ..whole(index(service)) };
        for (segment, (does, own)) in &self.rules {
            let place = if *own == Settings::default() { NONE } else { settings.len() as u32 };
            if place != NONE {
                settings.push(own.clone());
            }
            let rule = format!("route {}.default rule {segment}", self.gateway);
            let action = match does {
                Does::Send(shares) => Action::Forward(shares.iter().map(backend).collect()),
                Does::Answer(action) => action.clone(),
            };
            let edits = self.websockets.iter().filter(|own| *own == segment).map(|_| Edit::WebSocket);
            outcomes.push(Outcome { rule, settings: place, action, edits: edits.collect() });
        }
        let mut partitions = vec![self.listener()];
        let mut services = Vec::new();
        for (name, (endpoints, verdict)) in &self.services {
            outcomes.push(Outcome {
                rule: format!("route {name}.default default"),
                settings: NONE,
                action: Action::Forward(vec![whole(index(name))]),
                edits: vec![],
            });
            partitions.push(flat(Target::Leaf(*verdict), Target::Leaf(outcomes.len() as u32 - 1)));
            services.push(Service {
                limits: vec![],
                name: format!("{name}.default"),
                owner: self.owner.to_owned(),
                principal: principal(name),
                settings: own_settings,
                panic_threshold: 0,
                logged: None,
                health_check: None,
                tls: None,
                nearness: Nearness::default(),
                verifiers: vec![],
                ports: vec![port(endpoints, self.endpoints, partitions.len() as u32 - 1)],
                subsets: vec![],
                calls: vec![],
                hosts: vec![],
                consumer_routes: vec![],
            });
        }
        for (caller, callee) in &self.calls {
            partitions.push(flat(Target::Leaf(NONE), Target::Leaf(0)));
            let service = &mut services[index(caller) as usize];
            let partition = partitions.len() as u32 - 1;
            service.calls.push(Call { service: index(callee), port: 0, partition });
            let call = service.calls.len() as u32 - 1;
            service.hosts.push(CallHost { host: (*callee).to_owned(), call });
        }
        let mut leaves = vec![Target::Leaf(REFUSED)];
        leaves.extend((0..self.rules.len() as u32).map(Target::Leaf));
        leaves.push(Target::Leaf(REFUSED));
        let verdict = |allow, rule: &str| Verdict {
            allow,
            probe: false,
            rule: rule.to_owned(),
            audit: String::new(),
            asks: vec![],
        };
        let listener = Listener {
            protocol: self.clients,
            proxy_protocol: false,
            limits: vec![],
            name: "http".to_owned(),
            number: self.listener_port,
            partition: 0,
            hosts: vec![Host { kind: HostKind::Any, name: String::new() }],
            certificates: vec![],
            client_ca: String::new(),
        };
        Plan {
            trust_domain: "local.test".to_owned(),
            principals: principals
                .iter()
                .map(|(identity, gateway)| Principal { identity: identity.clone(), gateway: *gateway })
                .collect(),
            prefixes: vec![],
            services,
            gateways: vec![Gateway {
                limits: vec![],
                trusted_hops: 0,
                logged: None,
                verifiers: vec![],
                name: format!("{}.default", self.gateway),
                owner: self.owner.to_owned(),
                principal: principal(self.gateway),
                listeners: vec![listener],
                consumer_routes: vec![],
            }],
            partitions,
            automata: vec![],
            nodes: vec![Node { dim: 2, children: leaves }],
            lists: vec![],
            outcomes,
            authorities: vec![],
            verdicts: vec![
                verdict(true, "authorize all: allow from anyone"),
                verdict(false, "authorize closed.default: deny"),
            ],
            grants: if self.calls.is_empty() {
                vec![]
            } else {
                vec![Grant { op_settings: NONE, settings: NONE }]
            },
            settings,
            default_settings: NONE,
        }
    }

    /// Path atom k is `/SEGMENT/**` of rule k (from 1), the last one is `*`.
    fn listener(&self) -> Partition {
        let count = self.rules.len() as u32;
        let edges =
            self.rules.keys().zip(1..).map(|(segment, state)| ((*segment).to_owned(), state)).collect();
        let below = |atom, next| State { atom, edges: vec![], other: next, empty: next };
        let mut states = vec![State { atom: 0, edges, other: NONE, empty: NONE }];
        states.extend((1..=count).map(|atom| below(atom, atom)));
        let path_atoms = count + 2;
        let root = Target::Node(0);
        Partition { states, path_atoms, star: count + 1, ..flat(Target::Leaf(ALLOW), root) }
    }
}

/// All requests, to all endpoints of a service.
fn whole(service: u32) -> Backend {
    Backend { service, port: 0, subset: NONE, enter: false, weight: 10_000 }
}

/// A partition that tells nothing apart.
fn flat(access: Target, root: Target) -> Partition {
    Partition {
        peers: Peers { atoms: 1, ..Peers::default() },
        states: vec![State { atom: 0, edges: vec![], other: 0, empty: 0 }],
        path_atoms: 1,
        star: 0,
        path_automaton: None,
        fields: vec![],
        access,
        roots: vec![root],
        vectors: vec![],
    }
}

fn port(endpoints: &[SocketAddr], protocol: Protocol, partition: u32) -> Port {
    let endpoint = |address: &SocketAddr| {
        let IpAddr::V4(ip) = address.ip() else { panic!("endpoints are IPv4 here") };
        Endpoint { ip: ip.to_ipv6_mapped().octets(), port: address.port(), ..Endpoint::default() }
    };
    let mut endpoints: Vec<_> = endpoints.iter().map(endpoint).collect();
    endpoints.sort();
    let (mtls, name) = (Mtls::None, String::new());
    Port { number: 80, protocol, mtls, probed: false, name, partition, endpoints, subset_endpoints: vec![] }
}
