//! Each value of the plan as records. Nothing here checks anything: `verify` does.

use super::nodes::Nodes;
use super::{Draft, dictionary};
use crate::layout::{
    Section, balancer, edit, endpoint, health_check, listener as listener_row, outcome, outliers,
    outside_tls, retry, settings, state, verdict,
};
use crate::plan::{
    Action, Automaton, Balancer, ConsumerRoute, Counting, Edit, Field, Gateway, HashKey, LIST, List, NONE,
    Outcome, Outliers, Partition, Plan, Port, Probe, Retry, Service, Settings, State, Trust, Vector,
    Verifier,
};
use std::collections::HashMap;

pub(super) fn write<'p>(plan: &'p Plan, nodes: &Nodes, draft: &mut Draft<'p>) {
    let trust_domain = draft.string(&plan.trust_domain);
    let identities = plan.principals.iter().zip(0..plan.principals.len() as u32);
    let identities = identities.map(|(own, index)| (own.identity.as_bytes(), index));
    let identities = names(Section::Names, identities, draft);
    let prefixes = plan.prefixes.iter().zip(0..plan.prefixes.len() as u32);
    let prefixes = prefixes.map(|(own, index)| (own.as_bytes(), index));
    let prefixes = names(Section::Names, prefixes, draft);
    draft.row(
        Section::Mesh,
        &[trust_domain, plan.default_settings, identities.0, identities.1, prefixes.0, prefixes.1],
    );
    for principal in &plan.principals {
        let identity = draft.string(&principal.identity);
        draft.row(Section::Principals, &[identity, u32::from(principal.gateway)]);
    }
    for prefix in &plan.prefixes {
        let text = draft.string(prefix);
        draft.row(Section::Prefixes, &[text]);
    }
    plan.services.iter().for_each(|service| service_rows(service, draft));
    plan.gateways.iter().for_each(|gateway| gateway_rows(gateway, draft));
    plan.partitions.iter().for_each(|partition| partition_rows(partition, nodes, draft));
    plan.automata.iter().for_each(|automaton| automaton_rows(automaton, draft));
    nodes.write(plan, draft);
    list_tables(plan, draft);
    plan.outcomes.iter().for_each(|outcome| outcome_rows(outcome, draft));
    for verdict in &plan.verdicts {
        let (rule, audit) = (draft.string(&verdict.rule), draft.string(&verdict.audit));
        let asked = draft.count(Section::Asked);
        verdict.asks.iter().for_each(|authority| draft.row(Section::Asked, &[*authority]));
        let allow = match (verdict.allow, verdict.probe) {
            (false, _) => verdict::DENIES,
            (true, false) => verdict::ALLOWS,
            (true, true) => verdict::PROBES,
        };
        draft.row(Section::Verdicts, &[allow, rule, audit, asked, verdict.asks.len() as u32]);
    }
    for own in &plan.authorities {
        let name = draft.string(&own.name);
        let row = [name, own.service, own.port, own.timeout, u32::from(own.lets_in_on_failure)];
        draft.row(Section::Authorities, &row);
    }
    for grant in &plan.grants {
        draft.row(Section::Grants, &[grant.op_settings, grant.settings]);
    }
    plan.settings.iter().for_each(|settings| settings_rows(settings, draft));
    for (partition, index) in plan.partitions.iter().zip(0..) {
        partition.vectors.iter().for_each(|vector| vector_rows(index, vector, draft));
    }
}

/// A dictionary of its own in a stream, and the range of its words.
fn names<'t>(
    section: Section,
    texts: impl ExactSizeIterator<Item = (&'t [u8], u32)>,
    draft: &mut Draft<'_>,
) -> (u32, u32) {
    let start = draft.count(section);
    draft.dictionary(section, texts);
    (start, draft.count(section) - start)
}

fn service_rows<'p>(service: &'p Service, draft: &mut Draft<'p>) {
    let ports = draft.count(Section::Ports);
    service.ports.iter().for_each(|port| port_rows(port, draft));
    let subsets = draft.count(Section::Subsets);
    for subset in &service.subsets {
        let name = draft.string(subset);
        draft.row(Section::Subsets, &[name]);
    }
    let calls = draft.count(Section::Calls);
    for call in &service.calls {
        draft.row(Section::Calls, &[call.service, call.port, call.partition]);
    }
    let hosts = draft.count(Section::CallHosts);
    for host in &service.hosts {
        let name = draft.string(&host.host);
        draft.row(Section::CallHosts, &[name, host.call]);
    }
    let mut first: Vec<(&[u8], u32)> =
        service.hosts.iter().zip(0..).map(|(host, index)| (host.host.as_bytes(), index)).collect();
    first.dedup_by_key(|(host, _)| *host);
    let of_hosts = names(Section::Names, first.into_iter(), draft);
    let limits = edit_rows(&service.limits, draft);
    let routes = consumer_route_rows(&service.consumer_routes, draft);
    let name = draft.string(&service.name);
    let owner = draft.string(&service.owner);
    let health_check = service.health_check.as_ref().map_or(NONE, |own| {
        let (kind, path) = match &own.probe {
            Probe::Get(path) => (health_check::GET, path.as_str()),
            Probe::Tcp => (health_check::TCP, ""),
            Probe::Grpc => (health_check::GRPC, ""),
        };
        let path = draft.string(path);
        let row = [kind, path, own.interval, own.timeout, own.unhealthy, own.healthy];
        one_more(Section::HealthChecks, &row, draft)
    });
    let tls = service.tls.as_ref().map_or(NONE, |own| {
        let (trust, authority) = match &own.trust {
            Trust::System => (outside_tls::SYSTEM, ""),
            Trust::Authority(name) => (outside_tls::NAMED, name.as_str()),
            Trust::Anyone => (outside_tls::ANYONE, ""),
        };
        let [name, authority, certificate] =
            [&own.name, authority, &own.certificate].map(|text| draft.string(text));
        one_more(Section::OutsideTls, &[trust, name, authority, certificate], draft)
    });
    let failover = names_of(Section::Failover, &service.nearness.failover, draft);
    let verifiers = verifier_rows(&service.verifiers, draft);
    draft.row(
        Section::Services,
        &[
            name,
            owner,
            service.principal,
            service.settings,
            ports,
            service.ports.len() as u32,
            subsets,
            service.subsets.len() as u32,
            calls,
            service.calls.len() as u32,
            hosts,
            service.hosts.len() as u32,
            limits,
            service.limits.len() as u32,
            routes,
            service.consumer_routes.len() as u32,
            of_hosts.0,
            of_hosts.1,
            service.panic_threshold,
            health_check,
            failover.0,
            failover.1,
            u32::from(service.nearness.by_zone),
            verifiers,
            service.verifiers.len() as u32,
            tls,
            service.logged.unwrap_or(NONE),
        ],
    );
}

fn verifier_rows<'p>(verifiers: &'p [Verifier], draft: &mut Draft<'p>) -> u32 {
    let start = draft.count(Section::Verifiers);
    for own in verifiers {
        let audiences = names_of(Section::Audiences, &own.audiences, draft);
        let places = draft.count(Section::TokenPlaces);
        for place in &own.places {
            let name = draft.string(&place.name);
            draft.row(Section::TokenPlaces, &[place.kind as u32, name]);
        }
        let lists = names_of(Section::ListClaims, &own.list_claims, draft);
        let [name, issuer, jwks, typ] =
            [&own.name, &own.issuer, &own.jwks, &own.typ].map(|text| draft.string(text));
        let ranges = [audiences, (places, own.places.len() as u32), lists];
        let flags = [own.clock_skew, u32::from(own.required), u32::from(own.forward), typ];
        let words: Vec<u32> = [name, issuer, jwks]
            .into_iter()
            .chain(ranges.into_iter().flat_map(|(start, count)| [start, count]))
            .chain(flags)
            .collect();
        draft.row(Section::Verifiers, &words);
    }
    start
}

/// Records of one string each.
fn names_of<'p>(section: Section, texts: &'p [String], draft: &mut Draft<'p>) -> (u32, u32) {
    let start = draft.count(section);
    for text in texts {
        let text = draft.string(text);
        draft.row(section, &[text]);
    }
    (start, texts.len() as u32)
}

fn consumer_route_rows(routes: &[ConsumerRoute], draft: &mut Draft<'_>) -> u32 {
    let start = draft.count(Section::ConsumerRoutes);
    for route in routes {
        draft.row(Section::ConsumerRoutes, &[route.service, route.port, route.partition]);
    }
    start
}

fn port_rows<'p>(port: &'p Port, draft: &mut Draft<'p>) {
    let endpoints = draft.count(Section::Endpoints);
    for endpoint in &port.endpoints {
        draft.raw(Section::Endpoints, &endpoint.ip);
        let (cluster, zone) = (draft.string(&endpoint.cluster), draft.string(&endpoint.zone));
        let name = draft.string(&endpoint.name);
        let naming = if endpoint.is_asked { endpoint::ASKED } else { u32::from(endpoint.is_outside) };
        draft.row(Section::Endpoints, &[endpoint.port.into(), cluster, zone, name, naming]);
    }
    let subsets = draft.count(Section::SubsetEndpoints);
    for members in &port.subset_endpoints {
        let start = draft.count(Section::Members);
        members.iter().for_each(|member| draft.row(Section::Members, &[*member]));
        draft.row(Section::SubsetEndpoints, &[start, members.len() as u32]);
    }
    let name = draft.string(&port.name);
    draft.row(
        Section::Ports,
        &[
            u32::from(port.number),
            name,
            port.partition,
            endpoints,
            port.endpoints.len() as u32,
            subsets,
            port.subset_endpoints.len() as u32,
            port.protocol as u32,
            port.mtls as u32,
            u32::from(port.probed),
        ],
    );
}

fn gateway_rows<'p>(gateway: &'p Gateway, draft: &mut Draft<'p>) {
    let limits = edit_rows(&gateway.limits, draft);
    let listeners = draft.count(Section::Listeners);
    for listener in &gateway.listeners {
        let hosts = draft.count(Section::Hosts);
        for host in &listener.hosts {
            let name = draft.string(&host.name);
            draft.row(Section::Hosts, &[host.kind as u32, name]);
        }
        let certificates = draft.count(Section::Certificates);
        for certificate in &listener.certificates {
            let name = draft.string(certificate);
            draft.row(Section::Certificates, &[name]);
        }
        let own = edit_rows(&listener.limits, draft);
        let name = draft.string(&listener.name);
        let client_ca = draft.string(&listener.client_ca);
        let number = u32::from(listener.number);
        let (hosts_len, limits_len) = (listener.hosts.len() as u32, listener.limits.len() as u32);
        let protocol = listener.protocol as u32;
        let flags = if listener.proxy_protocol { listener_row::PROXY_PROTOCOL } else { 0 };
        draft.row(
            Section::Listeners,
            &[
                name,
                number,
                listener.partition,
                hosts,
                hosts_len,
                own,
                limits_len,
                protocol,
                flags,
                certificates,
                listener.certificates.len() as u32,
                client_ca,
            ],
        );
    }
    let routes = consumer_route_rows(&gateway.consumer_routes, draft);
    let verifiers = verifier_rows(&gateway.verifiers, draft);
    let name = draft.string(&gateway.name);
    let owner = draft.string(&gateway.owner);
    draft.row(
        Section::Gateways,
        &[
            name,
            owner,
            gateway.principal,
            listeners,
            gateway.listeners.len() as u32,
            limits,
            gateway.limits.len() as u32,
            routes,
            gateway.consumer_routes.len() as u32,
            gateway.trusted_hops,
            verifiers,
            gateway.verifiers.len() as u32,
            gateway.logged.unwrap_or(NONE),
        ],
    );
}

fn partition_rows<'p>(partition: &'p Partition, nodes: &Nodes, draft: &mut Draft<'p>) {
    let peers = &partition.peers;
    let principals = draft.count(Section::PeerPrincipals);
    peers.principals.iter().for_each(|(key, atom)| draft.row(Section::PeerPrincipals, &[*key, *atom]));
    let prefixes = draft.count(Section::PeerPrefixes);
    peers.prefixes.iter().for_each(|(key, atom)| draft.row(Section::PeerPrefixes, &[*key, *atom]));
    let states = draft.count(Section::States);
    state_words(&partition.states, draft);
    let states_len = draft.count(Section::States) - states;
    let fields = draft.count(Section::Fields);
    partition.fields.iter().for_each(|field| field_rows(field, draft));
    let roots = draft.count(Section::Roots);
    draft.words(Section::Roots, partition.roots.iter().map(|root| nodes.target(*root)));
    draft.row(
        Section::Partitions,
        &[
            peers.atoms,
            principals,
            peers.principals.len() as u32,
            prefixes,
            peers.prefixes.len() as u32,
            peers.own,
            peers.gateway,
            peers.foreign,
            peers.none,
            states,
            states_len,
            partition.path_atoms,
            partition.star,
            fields,
            partition.fields.len() as u32,
            nodes.target(partition.access),
            roots,
            partition.roots.len() as u32,
            partition.path_automaton.unwrap_or(NONE),
        ],
    );
}

/// States are known by where they begin.
fn state_words(states: &[State], draft: &mut Draft<'_>) {
    let mut end = 0;
    let starts: Vec<u32> = states
        .iter()
        .map(|own| {
            let start = end;
            let texts = own.edges.iter().map(|(segment, _)| segment.as_bytes());
            end += state::WORDS + dictionary::length(texts);
            start
        })
        .collect();
    if draft.is_measuring() {
        draft.skip(Section::States, end as usize * 4);
        return;
    }
    // What is no state leads to where none begins.
    let place = |index: u32| match index {
        NONE => NONE,
        index => starts.get(index as usize).copied().unwrap_or(end),
    };
    for own in states {
        let edges = own.edges.iter().map(|(segment, next)| (segment.as_bytes(), place(*next)));
        draft.row(Section::States, &[own.atom, place(own.other), place(own.empty)]);
        draft.dictionary(Section::States, edges);
    }
}

fn field_rows<'p>(field: &'p Field, draft: &mut Draft<'p>) {
    let exact = match field.exact.as_slice() {
        [] => (draft.count(Section::FieldValues), 0),
        exact => {
            let exact = exact.iter().map(|(value, atom)| (value.as_slice(), *atom));
            names(Section::FieldValues, exact, draft)
        }
    };
    let prefixes = draft.count(Section::FieldPrefixes);
    for (prefix, atom) in &field.prefixes {
        let prefix = draft.values.id(prefix);
        draft.row(Section::FieldPrefixes, &[prefix, *atom]);
    }
    let addresses = draft.count(Section::FieldAddresses);
    for (first, atom) in &field.addresses {
        draft.raw(Section::FieldAddresses, first);
        draft.raw(Section::FieldAddresses, &atom.to_le_bytes());
    }
    let masks = draft.count(Section::FieldMasks);
    field.masks.iter().for_each(|mask| draft.row(Section::FieldMasks, &[*mask]));
    let unions = draft.count(Section::FieldUnions);
    field.unions.iter().for_each(|(mask, atom)| draft.row(Section::FieldUnions, &[*mask, *atom]));
    let name = draft.string(&field.name);
    let issuer = draft.string(&field.issuer);
    draft.row(
        Section::Fields,
        &[
            field.kind as u32,
            name,
            issuer,
            field.atoms,
            field.absent,
            field.many,
            field.odd,
            field.other,
            exact.0,
            exact.1,
            prefixes,
            field.prefixes.len() as u32,
            field.automaton.unwrap_or(NONE),
            addresses,
            field.addresses.len() as u32,
            masks,
            field.masks.len() as u32,
            unions,
            field.unions.len() as u32,
        ],
    );
}

fn automaton_rows(automaton: &Automaton, draft: &mut Draft<'_>) {
    let transitions = draft.count(Section::Transitions);
    for next in &automaton.transitions {
        draft.raw(Section::Transitions, &next.to_le_bytes());
    }
    let accepts = draft.count(Section::Accepts);
    automaton.accepts.iter().for_each(|atom| draft.row(Section::Accepts, &[*atom]));
    let classes = automaton.transitions.len().checked_div(automaton.accepts.len()).unwrap_or_default();
    draft.raw(Section::Automata, &automaton.classes);
    let [states, steps] = [automaton.accepts.len() as u32, automaton.transitions.len() as u32];
    draft.row(Section::Automata, &[classes as u32, transitions, steps, accepts, states]);
}

/// Each list, with the number of candidates that its node has.
fn list_tables(plan: &Plan, draft: &mut Draft<'_>) {
    let nodes = plan.nodes.iter().filter(|node| node.dim & LIST != 0);
    let candidates = nodes.map(|node| node.children.len() as u32).chain(std::iter::repeat(0));
    plan.lists.iter().zip(candidates).for_each(|(list, candidates)| list_rows(list, candidates, draft));
}

/// Rows with the same bits share them.
fn list_rows(list: &List, candidates: u32, draft: &mut Draft<'_>) {
    let mut known: HashMap<&[u64], u32> = HashMap::new();
    let tests = draft.count(Section::ListTests);
    for test in &list.tests {
        let rows = draft.count(Section::ListRows);
        for row in &test.rows {
            let fresh = draft.count(Section::ListBits);
            let start = *known.entry(row).or_insert(fresh);
            if start == fresh {
                row.iter().for_each(|word| draft.raw(Section::ListBits, &word.to_le_bytes()));
            }
            draft.row(Section::ListRows, &[start]);
        }
        draft.row(Section::ListTests, &[test.dim, rows, test.rows.len() as u32]);
    }
    let beaten = draft.count(Section::ListBeaten);
    for beaters in &list.beaten_by {
        let start = draft.count(Section::ListBeaters);
        beaters.iter().for_each(|beater| draft.row(Section::ListBeaters, &[*beater]));
        draft.row(Section::ListBeaten, &[start, beaters.len() as u32]);
    }
    let (tests_len, beaten_len) = (list.tests.len() as u32, list.beaten_by.len() as u32);
    draft.row(Section::Lists, &[candidates, tests, tests_len, beaten, beaten_len]);
}

fn outcome_rows<'p>(outcome: &'p Outcome, draft: &mut Draft<'p>) {
    let rule = draft.string(&outcome.rule);
    let [kind, first, second] = match &outcome.action {
        Action::Forward(backends) => {
            let start = draft.count(Section::Backends);
            for backend in backends {
                let enter = u32::from(backend.enter);
                draft.row(
                    Section::Backends,
                    &[backend.service, backend.port, backend.subset, enter, backend.weight],
                );
            }
            [outcome::FORWARD, start, backends.len() as u32]
        }
        Action::Redirect { status, location } => {
            [outcome::REDIRECT, u32::from(*status), draft.string(location)]
        }
        Action::Respond { status, body } => [outcome::RESPOND, u32::from(*status), draft.string(body)],
    };
    let edits = edit_rows(&outcome.edits, draft);
    let count = outcome.edits.len() as u32;
    draft.row(Section::Outcomes, &[rule, outcome.settings, kind, first, second, edits, count]);
}

/// Returns where they begin.
fn edit_rows<'p>(edits: &'p [Edit], draft: &mut Draft<'p>) -> u32 {
    let start = draft.count(Section::Edits);
    for edit in edits {
        let row = edit_row(edit, draft);
        draft.row(Section::Edits, &row);
    }
    start
}

fn edit_row<'p>(edit: &'p Edit, draft: &mut Draft<'p>) -> [u32; edit::WORDS as usize] {
    let mut texts =
        |kind, first: &'p str, second: &'p str| [kind, draft.string(first), draft.string(second), 0, 0, 0];
    match edit {
        Edit::Path(path) => texts(edit::PATH, path, ""),
        Edit::Prefix { from, to } => texts(edit::PREFIX, from, to),
        Edit::Host(host) => texts(edit::HOST, host, ""),
        Edit::Scheme(scheme) => texts(edit::SCHEME, scheme, ""),
        Edit::SetRequestHeader(name, value) => texts(edit::SET_REQUEST_HEADER, name, value),
        Edit::AddRequestHeader(name, value) => texts(edit::ADD_REQUEST_HEADER, name, value),
        Edit::RemoveRequestHeader(name) => texts(edit::REMOVE_REQUEST_HEADER, name, ""),
        Edit::SetResponseHeader(name, value) => texts(edit::SET_RESPONSE_HEADER, name, value),
        Edit::AddResponseHeader(name, value) => texts(edit::ADD_RESPONSE_HEADER, name, value),
        Edit::RemoveResponseHeader(name) => texts(edit::REMOVE_RESPONSE_HEADER, name, ""),
        Edit::Delay { delay, share } => [edit::DELAY, *delay, 0, 0, *share, 0],
        Edit::Abort { status, share } => [edit::ABORT, u32::from(*status), 0, 0, *share, 0],
        Edit::Mirror { service, port, subset, share } => [edit::MIRROR, *service, *port, *subset, *share, 0],
        Edit::MaxRequestBody(bytes) => {
            [edit::MAX_REQUEST_BODY, *bytes as u32, (*bytes >> 32) as u32, 0, 0, 0]
        }
        Edit::RateLimit(limit) => {
            let flag = |on: bool, bit: u32| if on { bit } else { 0 };
            let flags = flag(limit.by_source, edit::BY_SOURCE)
                | flag(limit.by_source_ip, edit::BY_SOURCE_IP)
                | flag(limit.by_client_ip, edit::BY_CLIENT_IP)
                | flag(limit.audit, edit::AUDIT);
            let headers = draft.string(&limit.by_headers);
            let (kind, third) = match limit.counting {
                Counting::Local { burst } => (edit::RATE_LIMIT, burst),
                Counting::Global { by } => (edit::GLOBAL_RATE_LIMIT, by),
            };
            [kind, limit.count, limit.per, third, headers, flags]
        }
        Edit::Cors(cors) => {
            let texts = [&cors.origins, &cors.methods, &cors.headers, &cors.exposed];
            let [origins, methods, headers, exposed] = texts.map(|text| draft.string(text));
            let flags = if cors.credentials { edit::CREDENTIALS } else { 0 };
            [edit::CORS, origins, methods, headers, exposed, flags]
        }
        Edit::PreflightAge(seconds) => [edit::PREFLIGHT_AGE, *seconds, 0, 0, 0, 0],
        Edit::WebSocket => [edit::WEB_SOCKET, 0, 0, 0, 0, 0],
        Edit::DecodeSlashes => [edit::DECODE_SLASHES, 0, 0, 0, 0, 0],
        Edit::StripParameters => [edit::STRIP_PARAMETERS, 0, 0, 0, 0, 0],
    }
}

fn vector_rows<'p>(partition: u32, vector: &'p Vector, draft: &mut Draft<'p>) {
    let facts = draft.count(Section::Facts);
    for fact in &vector.facts {
        let [name, pointer, value] = [&fact.name, &fact.pointer, &fact.value].map(|text| draft.string(text));
        draft.row(Section::Facts, &[fact.kind as u32, name, pointer, value]);
    }
    let (peer, path) = (draft.string(&vector.peer), draft.string(&vector.path));
    let (method, count) = (vector.method, vector.facts.len() as u32);
    draft.row(Section::Vectors, &[partition, vector.root, vector.leaf, peer, method, path, facts, count]);
}

fn settings_rows<'p>(settings: &'p Settings, draft: &mut Draft<'p>) {
    let [timeout_kind, timeout] = match settings.timeout {
        None => [settings::UNWRITTEN, 0],
        Some(None) => [settings::OFF, 0],
        Some(Some(milliseconds)) => [settings::VALUE, milliseconds],
    };
    let [retry_kind, retry] = match &settings.retry {
        None => [settings::UNWRITTEN, 0],
        Some(None) => [settings::OFF, 0],
        Some(Some(retry)) => {
            let index = draft.count(Section::Retries);
            retry_row(retry, draft);
            [settings::VALUE, index]
        }
    };
    let [idle_kind, idle] = match settings.idle_timeout {
        None => [settings::UNWRITTEN, 0],
        Some(None) => [settings::OFF, 0],
        Some(Some(milliseconds)) => [settings::VALUE, milliseconds],
    };
    let balancer = settings.balancer.as_ref().map_or(NONE, |own| {
        let row = balancer_row(own, draft);
        one_more(Section::Balancers, &row, draft)
    });
    let breaker = settings.breaker.map_or(NONE, |own| {
        let limits = [own.max_connections, own.max_pending, own.max_requests, own.pending_timeout];
        one_more(Section::Breakers, &limits.map(|limit| limit.unwrap_or(NONE)), draft)
    });
    let outliers =
        settings.outliers.map_or(NONE, |own| one_more(Section::Outliers, &outliers_row(own), draft));
    let connect = settings.connect_timeout.unwrap_or(NONE);
    draft.row(
        Section::Settings,
        &[timeout_kind, timeout, retry_kind, retry, idle_kind, idle, connect, balancer, breaker, outliers],
    );
}

/// Appends a record and returns its index.
fn one_more(section: Section, words: &[u32], draft: &mut Draft<'_>) -> u32 {
    let index = draft.count(section);
    draft.row(section, words);
    index
}

fn balancer_row<'p>(own: &'p Balancer, draft: &mut Draft<'p>) -> [u32; balancer::WORDS as usize] {
    let (kind, name, lifetime) = match &own.key {
        None => (balancer::NO_KEY, "", None),
        Some(HashKey::Header(name)) => (balancer::HEADER, name.as_str(), None),
        Some(HashKey::Cookie { name, lifetime }) => (balancer::COOKIE, name.as_str(), *lifetime),
        Some(HashKey::Query(name)) => (balancer::QUERY, name.as_str(), None),
        Some(HashKey::SourceIp) => (balancer::SOURCE_IP, "", None),
    };
    [own.algorithm as u32, kind, draft.string(name), lifetime.unwrap_or(NONE), own.slow_start]
}

fn outliers_row(own: Outliers) -> [u32; outliers::WORDS as usize] {
    [
        own.consecutive_5xx,
        own.consecutive_gateway_errors,
        own.success_rate,
        own.interval,
        own.base_ejection,
        own.max_ejection,
        own.max_share,
        own.max_at_least,
        own.min_hosts,
    ]
}

fn retry_row(retry: &Retry, draft: &mut Draft<'_>) {
    let statuses = draft.count(Section::Statuses);
    retry.on_status.iter().for_each(|status| draft.raw(Section::Statuses, &status.to_le_bytes()));
    let flag = |on: bool, bit: u32| if on { bit } else { 0 };
    let flags = flag(retry.on_connect_failure, retry::ON_CONNECT_FAILURE)
        | flag(retry.on_reset, retry::ON_RESET)
        | flag(retry.on_timeout, retry::ON_TIMEOUT)
        | flag(retry.budget.is_some(), retry::HAS_BUDGET);
    let budget = retry.budget.map_or([0; 3], |budget| [budget.share, budget.min_per_second, budget.over]);
    draft.row(
        Section::Retries,
        &[
            retry.count,
            flags,
            u32::from(retry.methods),
            retry.per_try_timeout,
            retry.backoff_base,
            retry.backoff_cap,
            retry.buffer,
            statuses,
            retry.on_status.len() as u32,
            budget[0],
            budget[1],
            budget[2],
        ],
    );
}
