//! Back from the bytes to values, for tools and tests; nothing on the way of a request needs it.

use crate::plan::{
    Action, Automaton, Balancer, Call, CallHost, ConsumerRoute, Cors, Edit, Endpoint, Field, Gateway,
    HashKey, List, ListTest, Listener, NONE, Nearness, Node, Outcome, Partition, Peers, Plan, Port,
    Principal, RateLimit, Retry, Service, Settings, State, Target, Verdict,
};
use crate::view::{self, PlanView, Written};

impl PlanView {
    /// The plan that these bytes were encoded from.
    pub fn to_plan(&self) -> Plan {
        let nodes: Vec<u32> = self.nodes().map(|(at, _)| at).collect();
        let mut partitions: Vec<Partition> =
            self.partitions().iter().map(|partition| to_partition(partition, &nodes)).collect();
        for vector in self.vectors().iter() {
            if let Some(partition) = partitions.get_mut(vector.partition() as usize) {
                partition.vectors.push(vector.to_value());
            }
        }
        Plan {
            trust_domain: self.trust_domain().to_owned(),
            principals: self
                .principals()
                .iter()
                .map(|principal| Principal {
                    identity: principal.identity().to_owned(),
                    gateway: principal.gateway(),
                })
                .collect(),
            prefixes: self.prefixes().iter().map(|prefix| prefix.text().to_owned()).collect(),
            services: self.services().iter().map(to_service).collect(),
            gateways: self.gateways().iter().map(to_gateway).collect(),
            partitions,
            automata: self.automata().iter().map(to_automaton).collect(),
            nodes: self.nodes().map(|(_, node)| to_node(node, &nodes)).collect(),
            lists: self.lists().iter().map(to_list).collect(),
            outcomes: self.outcomes().iter().map(to_outcome).collect(),
            verdicts: self
                .verdicts()
                .iter()
                .map(|verdict| Verdict {
                    allow: verdict.allow(),
                    probe: verdict.is_probe(),
                    rule: verdict.rule().to_owned(),
                    audit: verdict.audit().to_owned(),
                    asks: verdict.asks().iter().collect(),
                })
                .collect(),
            authorities: self.authorities().iter().map(view::Authority::to_value).collect(),
            grants: self.grants().iter().collect(),
            settings: self.all_settings().iter().map(to_settings).collect(),
            default_settings: self.default_settings_index(),
        }
    }
}

fn to_service(service: view::Service<'_>) -> Service {
    Service {
        name: service.name().to_owned(),
        owner: service.owner().to_owned(),
        principal: service.principal(),
        settings: service.settings_index(),
        limits: service.limits().iter().map(to_edit).collect(),
        panic_threshold: service.panic_threshold(),
        logged: service.logged(),
        health_check: service.health_check().map(view::HealthCheck::to_value),
        tls: service.tls().map(view::OutsideTls::to_value),
        nearness: Nearness {
            failover: service.failover().map(str::to_owned).collect(),
            by_zone: service.is_by_zone(),
        },
        verifiers: service.verifiers().iter().map(view::Verifier::to_value).collect(),
        ports: service.ports().iter().map(to_port).collect(),
        subsets: service.subsets().map(str::to_owned).collect(),
        calls: service
            .calls()
            .iter()
            .map(|call| Call { service: call.service(), port: call.port(), partition: call.partition() })
            .collect(),
        hosts: service
            .hosts()
            .iter()
            .map(|host| CallHost { host: host.host().to_owned(), call: host.call() })
            .collect(),
        consumer_routes: to_consumer_routes(service.consumer_routes()),
    }
}

fn to_port(port: view::Port<'_>) -> Port {
    let members = port.subset_endpoints().iter().map(|subset| subset.members());
    Port {
        number: port.number(),
        protocol: port.protocol(),
        mtls: port.mtls(),
        probed: port.is_probed(),
        name: port.name().to_owned(),
        partition: port.partition(),
        endpoints: port.endpoints().iter().map(to_endpoint).collect(),
        subset_endpoints: members.map(|members| members.iter().map(|member| member.0).collect()).collect(),
    }
}

fn to_endpoint(endpoint: view::Endpoint<'_>) -> Endpoint {
    let (ip, port) = endpoint.address();
    Endpoint {
        ip,
        port,
        name: endpoint.name().to_owned(),
        is_outside: endpoint.is_outside(),
        is_asked: endpoint.is_asked(),
        cluster: endpoint.cluster().to_owned(),
        zone: endpoint.zone().to_owned(),
    }
}

fn to_gateway(gateway: view::Gateway<'_>) -> Gateway {
    Gateway {
        name: gateway.name().to_owned(),
        owner: gateway.owner().to_owned(),
        principal: gateway.principal(),
        limits: gateway.limits().iter().map(to_edit).collect(),
        trusted_hops: gateway.trusted_hops(),
        logged: gateway.logged(),
        verifiers: gateway.verifiers().iter().map(view::Verifier::to_value).collect(),
        listeners: gateway.listeners().iter().map(to_listener).collect(),
        consumer_routes: to_consumer_routes(gateway.consumer_routes()),
    }
}

fn to_consumer_routes<'p>(routes: view::Rows<'p, view::ConsumerRoute<'p>>) -> Vec<ConsumerRoute> {
    let value = |route: view::ConsumerRoute<'_>| ConsumerRoute {
        service: route.service(),
        port: route.port(),
        partition: route.partition(),
    };
    routes.iter().map(value).collect()
}

fn to_listener(listener: view::Listener<'_>) -> Listener {
    Listener {
        name: listener.name().to_owned(),
        number: listener.number(),
        protocol: listener.protocol(),
        proxy_protocol: listener.has_proxy_protocol(),
        partition: listener.partition(),
        limits: listener.limits().iter().map(to_edit).collect(),
        hosts: listener.hosts().iter().map(|host| host.to_host()).collect(),
        certificates: listener.certificates().map(str::to_owned).collect(),
        client_ca: listener.client_ca().to_owned(),
    }
}

/// A node by its number, where nodes begin at these words.
pub(crate) fn to_target(target: Target, nodes: &[u32]) -> Target {
    match target {
        Target::Node(at) => Target::Node(nodes.partition_point(|own| *own < at) as u32),
        leaf => leaf,
    }
}

fn to_node(node: view::Node<'_>, nodes: &[u32]) -> Node {
    Node { dim: node.dim(), children: node.children().map(|child| to_target(child, nodes)).collect() }
}

/// The states of a partition with their numbers.
pub fn to_states(partition: view::Partition<'_>) -> Vec<State> {
    let starts: Vec<u32> = partition.states().iter().map(|(at, _)| at).collect();
    let number = |at: u32| match at {
        NONE => NONE,
        at => starts.partition_point(|own| *own < at) as u32,
    };
    let states = partition.states().iter().map(|(_, state)| {
        let edges = state.edges().iter();
        let mut edges: Vec<(String, u32)> =
            edges.map(|(text, next)| (String::from_utf8_lossy(text).into_owned(), number(next))).collect();
        edges.sort_unstable();
        State { atom: state.atom(), edges, other: number(state.other()), empty: number(state.empty()) }
    });
    states.collect()
}

/// Without its vectors, which stand together.
fn to_partition(partition: view::Partition<'_>, nodes: &[u32]) -> Partition {
    Partition {
        peers: Peers {
            atoms: partition.peer_atoms(),
            principals: partition.peer_principals().iter().map(|pair| pair.0).collect(),
            prefixes: partition.peer_prefixes().iter().map(|pair| pair.0).collect(),
            own: partition.own(),
            gateway: partition.gateway(),
            foreign: partition.foreign(),
            none: partition.unauthenticated(),
        },
        states: to_states(partition),
        path_atoms: partition.path_atoms(),
        star: partition.star(),
        path_automaton: some(partition.path_automaton_index()),
        fields: partition.fields().iter().map(to_field).collect(),
        access: to_target(partition.access(), nodes),
        roots: partition.roots().iter().map(|root| to_target(root, nodes)).collect(),
        vectors: vec![],
    }
}

/// An index that may be none.
fn some(index: u32) -> Option<u32> {
    (index != NONE).then_some(index)
}

fn to_list(list: view::List<'_>) -> List {
    let tests = list.tests().iter().map(|test| ListTest {
        dim: test.dim(),
        rows: (0..test.rows().len())
            .map(|atom| list.row(test, atom).iter().copied().map(u64::from_le_bytes).collect())
            .collect(),
    });
    let beaten_by = list.beaten_by().iter();
    List {
        tests: tests.collect(),
        beaten_by: beaten_by.map(|own| own.beaters().iter().map(|beater| beater.0).collect()).collect(),
    }
}

/// A field as a value.
pub fn to_field(field: view::Field<'_>) -> Field {
    let mut exact: Vec<(Vec<u8>, u32)> =
        field.exact().iter().map(|(value, atom)| (value.to_owned(), atom)).collect();
    exact.sort_unstable();
    Field {
        kind: field.kind(),
        name: field.name().to_owned(),
        issuer: field.issuer().to_owned(),
        atoms: field.atoms(),
        absent: field.absent(),
        many: field.many(),
        odd: field.odd(),
        other: field.other(),
        exact,
        prefixes: field.prefixes().iter().map(|row| (row.prefix().to_owned(), row.atom())).collect(),
        automaton: some(field.automaton_index()),
        addresses: field.addresses().iter().map(|row| (row.first(), row.atom())).collect(),
        masks: field.masks().iter().map(|mask| mask.0).collect(),
        unions: field.unions().iter().map(|union| union.0).collect(),
    }
}

/// An automaton as a value.
pub fn to_automaton(automaton: view::Automaton<'_>) -> Automaton {
    let (transitions, _) = automaton.transitions().as_chunks::<2>();
    Automaton {
        classes: automaton.classes().to_owned(),
        transitions: transitions.iter().map(|next| u16::from_le_bytes(*next)).collect(),
        accepts: automaton.accepts().iter().map(|accept| accept.0).collect(),
    }
}

fn to_outcome(outcome: view::Outcome<'_>) -> Outcome {
    let action = match outcome.action() {
        view::Action::Forward(backends) => Action::Forward(backends.iter().collect()),
        view::Action::Redirect { status, location } => {
            Action::Redirect { status, location: location.to_owned() }
        }
        view::Action::Respond { status, body } => Action::Respond { status, body: body.to_owned() },
    };
    let edits = outcome.edits().iter().map(to_edit).collect();
    Outcome { rule: outcome.rule().to_owned(), settings: outcome.settings_index(), action, edits }
}

/// An edit as a value.
pub fn to_edit(edit: view::Edit<'_>) -> Edit {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    match edit {
        view::Edit::Path(path) => Edit::Path(path.to_owned()),
        view::Edit::Prefix { from, to } => Edit::Prefix { from: from.to_owned(), to: to.to_owned() },
        view::Edit::Host(host) => Edit::Host(host.to_owned()),
        view::Edit::Scheme(scheme) => Edit::Scheme(scheme.to_owned()),
        view::Edit::SetRequestHeader(name, value) => {
            let (name, value) = pair(name, value);
            Edit::SetRequestHeader(name, value)
        }
        view::Edit::AddRequestHeader(name, value) => {
            let (name, value) = pair(name, value);
            Edit::AddRequestHeader(name, value)
        }
        view::Edit::RemoveRequestHeader(name) => Edit::RemoveRequestHeader(name.to_owned()),
        view::Edit::SetResponseHeader(name, value) => {
            let (name, value) = pair(name, value);
            Edit::SetResponseHeader(name, value)
        }
        view::Edit::AddResponseHeader(name, value) => {
            let (name, value) = pair(name, value);
            Edit::AddResponseHeader(name, value)
        }
        view::Edit::RemoveResponseHeader(name) => Edit::RemoveResponseHeader(name.to_owned()),
        view::Edit::Delay { delay, share } => Edit::Delay { delay, share },
        view::Edit::Abort { status, share } => Edit::Abort { status, share },
        view::Edit::Mirror { service, port, subset, share } => Edit::Mirror { service, port, subset, share },
        view::Edit::MaxRequestBody(bytes) => Edit::MaxRequestBody(bytes),
        view::Edit::RateLimit(limit) => Edit::RateLimit(RateLimit {
            count: limit.count,
            per: limit.per,
            counting: limit.counting,
            by_source: limit.by_source,
            by_source_ip: limit.by_source_ip,
            by_client_ip: limit.by_client_ip,
            by_headers: limit.by_headers.to_owned(),
            audit: limit.audit,
        }),
        view::Edit::Cors(cors) => Edit::Cors(Cors {
            origins: cors.origins.to_owned(),
            methods: cors.methods.to_owned(),
            headers: cors.headers.to_owned(),
            exposed: cors.exposed.to_owned(),
            credentials: cors.credentials,
        }),
        view::Edit::PreflightAge(seconds) => Edit::PreflightAge(seconds),
        view::Edit::WebSocket => Edit::WebSocket,
        view::Edit::DecodeSlashes => Edit::DecodeSlashes,
        view::Edit::StripParameters => Edit::StripParameters,
    }
}

fn to_settings(settings: view::Settings<'_>) -> Settings {
    Settings {
        timeout: written(settings.timeout(), |milliseconds| milliseconds),
        retry: written(settings.retry(), to_retry),
        connect_timeout: settings.connect_timeout(),
        idle_timeout: written(settings.idle_timeout(), |milliseconds| milliseconds),
        balancer: settings.balancer().map(to_balancer),
        breaker: settings.breaker(),
        outliers: settings.outliers(),
    }
}

/// A balancer as a value.
pub fn to_balancer(balancer: view::Balancer<'_>) -> Balancer {
    let key = balancer.key().map(|key| match key {
        view::HashKey::Header(name) => HashKey::Header(name.to_owned()),
        view::HashKey::Cookie(name, lifetime) => HashKey::Cookie { name: name.to_owned(), lifetime },
        view::HashKey::Query(name) => HashKey::Query(name.to_owned()),
        view::HashKey::SourceIp => HashKey::SourceIp,
    });
    Balancer { algorithm: balancer.algorithm(), key, slow_start: balancer.slow_start() }
}

fn written<T, V>(written: Written<T>, value: impl FnOnce(T) -> V) -> Option<Option<V>> {
    match written {
        Written::No => None,
        Written::Off => Some(None),
        Written::Value(inner) => Some(Some(value(inner))),
    }
}

fn to_retry(retry: view::Retry<'_>) -> Retry {
    let (statuses, _) = retry.statuses().as_chunks::<2>();
    Retry {
        count: retry.count(),
        on_connect_failure: retry.on_connect_failure(),
        on_reset: retry.on_reset(),
        on_timeout: retry.on_timeout(),
        on_status: statuses.iter().map(|status| u16::from_le_bytes(*status)).collect(),
        methods: retry.methods(),
        per_try_timeout: retry.per_try_timeout(),
        backoff_base: retry.backoff_base(),
        backoff_cap: retry.backoff_cap(),
        buffer: retry.buffer(),
        budget: retry.budget(),
    }
}
