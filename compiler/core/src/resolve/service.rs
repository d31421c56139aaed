//! What a service declares: ports, subsets, endpoints, calls, settings.

use super::scope::{self, Place, Scope};
use super::settings::{self, Written};
use super::{declarations, duplicate, hosts, mutual, outliers, outside, probe, protocol, shape, verifiers};
use crate::model::{
    Call, CallLine, Client, Endpoint, Model, Naming, Port, PortId, Service, SettingsAt, Subset,
};
use mesh_lang::ast::{self, Endpoints, Mtls};
use mesh_lang::signature::Place as Block;
use mesh_lang::{Code, Diagnostic, Diagnostics, Name, Span, Spanned, Text};
use mesh_plan::{HealthCheck, Nearness, OutsideTls, Probe, Settings, Verifier};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

/// The label of an endpoint that says in which zone it is.
pub(super) const ZONE: &str = "zone";

/// What a service says of itself.
#[derive(Default)]
pub(super) struct Own {
    ports: Vec<Port>,
    subsets: Vec<Subset>,
    settings: Settings,
    settings_at: SettingsAt,
    panic_threshold: u32,
    logged: Option<u32>,
    health_check: Option<HealthCheck>,
    health_check_at: Option<Span>,
    is_outside: bool,
    tls: Option<OutsideTls>,
    nearness: Nearness,
    issuers: Vec<Text>,
    verifiers: Vec<Verifier>,
    propagates: Vec<Text>,
    hosts: Vec<Text>,
}

impl Own {
    pub(super) fn fill(self, service: &mut Service) {
        service.ports = self.ports;
        service.subsets = self.subsets;
        service.settings = self.settings;
        service.settings_at = self.settings_at;
        service.panic_threshold = self.panic_threshold;
        service.logged = self.logged;
        service.health_check = self.health_check;
        service.health_check_at = self.health_check_at;
        service.is_outside = self.is_outside;
        service.tls = self.tls;
        service.nearness = self.nearness;
        service.workload.issuers = self.issuers;
        service.workload.verifiers = self.verifiers;
        service.propagates = self.propagates;
        service.hosts = self.hosts;
    }
}

/// What a service says of itself; `mtls` is the mode of the mesh. Calls need the ports of other services, so all ports are read
/// before any call: see [`calls`].
pub(super) fn read(
    service: &ast::Service,
    place: Place<'_>,
    scope: &Scope,
    mtls: Option<Spanned<Mtls>>,
    diagnostics: &mut Diagnostics,
) -> Own {
    if service.ports.is_empty() {
        without_port(service, diagnostics);
    }
    let written = settings::with_profiles(
        &service.settings,
        &service.limits,
        Block::Service,
        place,
        scope,
        diagnostics,
    );
    let mut own = Own {
        ports: ports(service, mtls, diagnostics),
        subsets: subsets(service, diagnostics),
        settings: written.settings.clone(),
        settings_at: written.at,
        panic_threshold: service.panic_threshold.map_or(0, |share| share.value),
        logged: declarations::logged(&service.telemetry),
        health_check: service.health_check.as_ref().and_then(health_check),
        health_check_at: service.health_check.as_ref().map(|check| check.span),
        is_outside: !service.external.is_empty(),
        tls: outside::tls(service),
        nearness: Nearness {
            failover: service.failover.iter().map(|cluster| cluster.value.to_string()).collect(),
            by_zone: service.locality.is_some(),
        },
        issuers: declarations::issuers(&service.jwts, place, scope, diagnostics),
        verifiers: verifiers::of(&service.jwts, place, scope),
        propagates: service.propagates.iter().map(|name| name.value.clone()).collect(),
        hosts: hosts::of(service),
    };
    own.ports.iter().for_each(|port| written.fits(port, diagnostics));
    protocol::of_settings(&service.settings, &own.ports, &service.name.value, diagnostics);
    let found = endpoints(service, &own, diagnostics);
    for (port, endpoint) in found {
        own.ports[port].endpoints.push(endpoint);
    }
    subsets_have_endpoints(service, &own, diagnostics);
    subsets_are_disjoint(service, &own, diagnostics);
    own
}

/// What is absent is written out (`spec/semantics.md` 11). Where a part is missing that is needed, that is complained of
/// elsewhere.
fn health_check(check: &ast::HealthCheck) -> Option<HealthCheck> {
    let probe = match &check.probe {
        ast::ProbeKind::Get(path) => Probe::Get(path.value.to_string()),
        ast::ProbeKind::Tcp => Probe::Tcp,
        ast::ProbeKind::Grpc => Probe::Grpc,
    };
    let count = |count: Option<Spanned<u32>>| count.map_or(1, |count| count.value);
    Some(HealthCheck {
        probe,
        interval: check.interval?.value,
        timeout: check.timeout?.value,
        unhealthy: count(check.unhealthy),
        healthy: count(check.healthy),
    })
}

/// What is said of calls to a service that nobody can call has no effect. (Endpoints are complained of where they are read.)
fn without_port(service: &ast::Service, diagnostics: &mut Diagnostics) {
    let timeout = service.settings.timeout.as_ref().map(|timeout| (timeout.span, "timeout"));
    let retry = service.settings.retry.as_ref().map(|retry| (retry.span, "retry"));
    let settings = &service.settings;
    let connect = settings.connect_timeout.map(|timeout| (timeout.span, "connect-timeout"));
    let idle = settings.idle_timeout.map(|timeout| (timeout.span, "idle-timeout"));
    let balancer = settings.load_balancer.as_ref().map(|balancer| (balancer.span, "load-balancer"));
    let subset = service.subsets.first().map(|subset| (subset.span, "subset"));
    for (span, word) in [timeout, retry, connect, idle, balancer, subset].into_iter().flatten() {
        diagnostics.push(
            Diagnostic::new(
                Code::MissingStatement,
                format!("service `{}` has a `{word}` and no port", service.name.value),
            )
            .at(span, "it is about calls to this service, and there are none")
            .help("Add a port, `port 8080 http`, or delete it; for the calls it makes, write it in `calls`."),
        );
    }
}

fn ports(service: &ast::Service, mtls: Option<Spanned<Mtls>>, diagnostics: &mut Diagnostics) -> Vec<Port> {
    let mut ports: Vec<Port> = Vec::with_capacity(service.ports.len());
    let unnamed = service.ports.iter().filter(|port| port.name.is_none());
    if service.ports.len() > 1 && unnamed.clone().next().is_some() {
        let mut problem =
            Diagnostic::new(Code::PortNeeded, "a service with several ports names each of them");
        for port in unnamed {
            problem = problem.at(port.span, "has no name");
        }
        let number = service.ports.last().map_or(0, |port| port.number.value);
        diagnostics
            .push(problem.help(format!("Name them by what they are for, e.g. `port admin {number} http`.")));
    }
    for port in &service.ports {
        let number = port.number.value;
        if let Some(first) = ports.iter().find(|first| first.number == number) {
            diagnostics.push(duplicate("port", &number.to_string(), port.number.span, first.span));
            continue;
        }
        if let Some((name, first)) = port
            .name
            .as_ref()
            .and_then(|name| Some((name, ports.iter().find(|first| first.name == name.value)?)))
        {
            diagnostics.push(duplicate("port", &name.value, name.span, first.span));
            continue;
        }
        ports.push(Port {
            name: port.name.as_ref().map(|name| name.value.clone()).unwrap_or_default(),
            number,
            protocol: port.protocol.value,
            target: port.target.map_or(number, |target| target.value),
            mtls: mutual::mode(port, service, mtls),
            span: port.span,
            endpoints: vec![],
            route: None,
            access: vec![],
            checks: vec![],
            probes: probe::of_port(port, service),
        });
    }
    ports.sort_by_key(|port| port.number);
    ports
}

fn subsets(service: &ast::Service, diagnostics: &mut Diagnostics) -> Vec<Subset> {
    let mut subsets: BTreeMap<&str, (&ast::Subset, Subset)> = BTreeMap::new();
    for subset in &service.subsets {
        match subsets.get(subset.name.value.as_str()) {
            Some((first, _)) => {
                diagnostics.push(duplicate("subset", &subset.name.value, subset.name.span, first.name.span))
            }
            None => {
                let labels = labels(&subset.labels, diagnostics);
                let labels = labels.into_iter().map(|(key, value)| (key.clone(), value.clone())).collect();
                let cluster = subset.cluster.as_ref().map(|cluster| cluster.value.clone());
                let (name, span) = (subset.name.value.clone(), subset.name.span);
                let own = Subset { name, labels, cluster, span };
                subsets.insert(&subset.name.value, (subset, own));
            }
        }
    }
    subsets.into_values().map(|(_, subset)| subset).collect()
}

fn labels<'a>(labels: &'a [ast::Label], diagnostics: &mut Diagnostics) -> BTreeMap<&'a Text, &'a Text> {
    let mut found: BTreeMap<&Text, &ast::Label> = BTreeMap::new();
    for label in labels {
        match found.get(&label.key.value) {
            Some(first) => {
                diagnostics.push(duplicate("label", &label.key.value, label.key.span, first.key.span))
            }
            None => {
                found.insert(&label.key.value, label);
            }
        }
    }
    found.into_iter().map(|(key, label)| (key, &label.value.value)).collect()
}

/// (index of the port, endpoint)
fn endpoints(service: &ast::Service, own: &Own, diagnostics: &mut Diagnostics) -> Vec<(usize, Endpoint)> {
    if written(service).next().is_none() {
        let (outside, asked) = (outside::endpoint(service), outside::asked(service));
        let of_port = |(index, port): (usize, &Port)| {
            let only = outside.as_ref().map(|own| own.at(port.target));
            let asked =
                asked.iter().map(|name| Endpoint::at_name(name.clone(), port.target, Naming::Asked, vec![]));
            only.into_iter().chain(asked).map(|own| (index, own)).collect::<Vec<_>>()
        };
        return own.ports.iter().enumerate().flat_map(of_port).collect();
    }
    let mut found: Vec<(usize, Endpoint)> = Vec::new();
    let mut seen: BTreeMap<(usize, Spot, u16), (Option<&str>, Span)> = BTreeMap::new();
    for (inside, statement) in written(service) {
        let carried = labels(&statement.labels, diagnostics);
        let cluster = cluster_of(service, statement);
        let zone = carried
            .iter()
            .find(|(key, _)| key.as_str() == ZONE)
            .map_or(Text::default(), |(_, zone)| Text::clone(zone));
        let is_in = |subset: &Subset| {
            let says = !subset.labels.is_empty() || subset.cluster.is_some();
            let fits = subset.cluster.as_ref().is_none_or(|of| cluster == *of)
                && subset.labels.iter().all(|(key, value)| carried.get(key) == Some(&value));
            inside == Some(subset.name.as_str()) || says && fits
        };
        let subsets = own.subsets.iter().zip(0..).filter(|(subset, _)| is_in(subset));
        let subsets: Vec<u32> = subsets.map(|(_, index)| index).collect();
        let (texts, is_named) = match &statement.source {
            ast::EndpointSource::Static(addresses) => (addresses, false),
            ast::EndpointSource::Dns(names) => (names, true),
            _ => continue,
        };
        for text in texts {
            let places = match is_named {
                false => places(text, statement, service, own, diagnostics),
                true => names(text, statement, service, own, diagnostics),
            };
            for (port, spot, number) in places {
                let naming = if service.external.is_empty() { Naming::Inside } else { Naming::Outside };
                let endpoint = match spot.clone() {
                    Spot::Ip(ip) => Endpoint::new(ip, number, subsets.clone()),
                    Spot::Name(name) => Endpoint::at_name(name, number, naming, subsets.clone()),
                };
                let (cluster, zone) = (cluster.clone(), zone.clone());
                let endpoint = Endpoint { cluster, zone, ..endpoint };
                let Some((first_inside, first)) = seen.insert((port, spot, number), (inside, text.span))
                else {
                    found.push((port, endpoint));
                    continue;
                };
                // One that is in two subsets is written in each of them.
                let is_shared = inside.is_some() && first_inside.is_some() && inside != first_inside;
                let known =
                    found.iter_mut().find(|(at, known)| *at == port && is_same_place(known, &endpoint));
                match known.filter(|_| is_shared) {
                    Some((_, known)) => {
                        known.subsets.extend(endpoint.subsets);
                        known.subsets.sort_unstable();
                        known.subsets.dedup();
                    }
                    None => diagnostics.push(duplicate("endpoint", &text.value, text.span, first)),
                }
            }
        }
    }
    found
}

/// All `endpoints` of a service, each with the name of the subset that it stands in.
fn written(service: &ast::Service) -> impl Iterator<Item = (Option<&str>, &Endpoints)> {
    let of_subsets = service.subsets.iter().flat_map(|subset| {
        subset.endpoints.iter().map(|statement| (Some(subset.name.value.as_str()), statement))
    });
    service.endpoints.iter().map(|statement| (None, statement)).chain(of_subsets)
}

/// Whether all that is said of two endpoints but their subsets is the same.
fn is_same_place(one: &Endpoint, other: &Endpoint) -> bool {
    let place = |own: &Endpoint| (own.ip, own.port, own.name.clone(), own.cluster.clone(), own.zone.clone());
    place(one) == place(other)
}

/// What is known of where an endpoint is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Spot {
    Ip(IpAddr),
    /// Proxies look it up.
    Name(Text),
}

/// Where these endpoints are: where they say, else in the only cluster of their service. Empty where that is not said.
fn cluster_of(service: &ast::Service, statement: &Endpoints) -> Text {
    let only = match service.clusters.as_slice() {
        [only] => Some(only),
        _ => None,
    };
    statement.cluster.as_ref().or(only).map_or(Text::default(), |cluster| cluster.value.clone())
}

/// Somebody speaks at the endpoints.
fn has_port(statement: &Endpoints, service: &ast::Service, own: &Own, diagnostics: &mut Diagnostics) -> bool {
    if own.ports.is_empty() {
        diagnostics.push(
            Diagnostic::new(
                Code::MissingStatement,
                format!("service `{}` has endpoints and no port", service.name.value),
            )
            .at(statement.span, "what they speak is not said")
            .help("Add a port: `port 8080 http`."),
        );
    }
    !own.ports.is_empty()
}

/// What is written of one port of an endpoint is of the service's only one.
fn needs_one_port(text: &Name, host: &str, diagnostics: &mut Diagnostics) {
    diagnostics.push(
        Diagnostic::new(Code::PortNeeded, "an endpoint with a port needs a service with one port")
            .at(text.span, "for which of the service's ports this is, is not said")
            .help(format!("Write `\"{host}\"`: each port's `target` is used.")),
    );
}

/// What a name means: (index of the port, the name, TCP port). One that is none is complained of elsewhere.
fn names(
    text: &Name,
    statement: &Endpoints,
    service: &ast::Service,
    own: &Own,
    diagnostics: &mut Diagnostics,
) -> Vec<(usize, Spot, u16)> {
    if !has_port(statement, service, own, diagnostics) || !outside::is_dns_endpoint(&text.value) {
        return vec![];
    }
    let Some((name, port)) = text.value.split_once(':') else {
        let ports = own.ports.iter().enumerate();
        return ports.map(|(index, port)| (index, Spot::Name(text.value.clone()), port.target)).collect();
    };
    match (own.ports.len(), port.parse()) {
        (1, Ok(number)) => vec![(0, Spot::Name(name.into()), number)],
        _ => {
            needs_one_port(text, name, diagnostics);
            vec![]
        }
    }
}

/// What an address means: (index of the port, IP, TCP port).
fn places(
    address: &Name,
    statement: &Endpoints,
    service: &ast::Service,
    own: &Own,
    diagnostics: &mut Diagnostics,
) -> Vec<(usize, Spot, u16)> {
    if !has_port(statement, service, own, diagnostics) {
        return vec![];
    }
    if let Ok(ip) = address.value.parse::<IpAddr>().map(|ip| ip.to_canonical()) {
        let ports = own.ports.iter().enumerate();
        return ports.map(|(index, port)| (index, Spot::Ip(ip), port.target)).collect();
    }
    let Some(socket) = address.value.parse::<SocketAddr>().ok().filter(has_no_zone) else {
        diagnostics.push(
            Diagnostic::new(Code::InvalidValue, format!("`{}` is not an IP address", address.value))
                .at(address.span, "a static endpoint is an address, with or without a port")
                .help(address_help(&address.value)),
        );
        return vec![];
    };
    match own.ports.len() {
        _ if socket.port() == 0 => {
            diagnostics.push(
                Diagnostic::new(Code::InvalidValue, "an endpoint cannot listen on port 0")
                    .at(address.span, "port 0")
                    .help("Write the port the service listens on, or leave it out."),
            );
            vec![]
        }
        1 => vec![(0, Spot::Ip(socket.ip().to_canonical()), socket.port())],
        _ => {
            needs_one_port(address, &socket.ip().to_string(), diagnostics);
            vec![]
        }
    }
}

/// A zone (`%eth0`) has a meaning on one machine only.
fn has_no_zone(address: &SocketAddr) -> bool {
    !matches!(address, SocketAddr::V6(address) if address.scope_id() != 0)
}

fn address_help(text: &str) -> String {
    match text.rsplit_once(':') {
        Some(("localhost", port)) => format!("Write `\"127.0.0.1:{port}\"`."),
        _ if text == "localhost" => "Write `\"127.0.0.1\"`.".to_owned(),
        _ => "Write e.g. `\"10.0.0.1:8080\"` or `\"[fd00::1]:8080\"`; a name that is looked up is `endpoints dns \"db.example\"`."
            .to_owned(),
    }
}

/// A subset that selects none of the endpoints that are written would fail every request.
fn subsets_have_endpoints(service: &ast::Service, own: &Own, diagnostics: &mut Diagnostics) {
    let is_elsewhere = |statement: &Endpoints| {
        !matches!(statement.source, ast::EndpointSource::Static(_) | ast::EndpointSource::Dns(_))
    };
    // Others know who is there.
    if written(service).any(|(_, statement)| is_elsewhere(statement)) {
        return;
    }
    let endpoints: Vec<&Endpoint> = own.ports.iter().flat_map(|port| &port.endpoints).collect();
    let used: BTreeSet<u32> =
        endpoints.iter().flat_map(|endpoint| endpoint.subsets.iter().copied()).collect();
    for (subset, index) in own.subsets.iter().zip(0u32..) {
        if endpoints.is_empty() || used.contains(&index) {
            continue;
        }
        let Some(written) = service.subsets.iter().find(|written| written.name.value == subset.name) else {
            continue;
        };
        let labels: Vec<String> =
            subset.labels.iter().map(|(key, value)| format!("{key} = \"{value}\"")).collect();
        let labels = if labels.is_empty() { String::new() } else { format!(" label {}", labels.join(", ")) };
        let cluster = subset.cluster.as_ref().map_or(String::new(), |own| format!(" cluster {own}"));
        diagnostics.push(
            Diagnostic::new(Code::UnknownSubset, format!("no endpoint is in subset `{}`", subset.name))
                .at(written.span, "every request to it would fail with 503")
                .help(format!("Write where one is: `endpoints static \"…\"{labels}{cluster}`.")),
        );
    }
}

/// A split between subsets that share endpoints is not the split that is written.
fn subsets_are_disjoint(service: &ast::Service, own: &Own, diagnostics: &mut Diagnostics) {
    let endpoints: Vec<&Endpoint> = own.ports.iter().flat_map(|port| &port.endpoints).collect();
    let index = |subset: &ast::Subset| own.subsets.iter().position(|known| known.name == subset.name.value);
    let mut share = |first: &ast::Subset, second: &ast::Subset| {
        let both = |endpoint: &&Endpoint| {
            let has = |subset| index(subset).is_some_and(|index| endpoint.subsets.contains(&(index as u32)));
            has(first) && has(second)
        };
        let may =
            if endpoints.is_empty() { !are_disjoint(first, second) } else { endpoints.iter().any(both) };
        if may {
            let (one, other) = (&first.name.value, &second.name.value);
            diagnostics.push(
                Diagnostic::new(
                    Code::OverlappingSubsets,
                    format!("an endpoint may be in both subsets `{one}` and `{other}`"),
                )
                .at(second.span, "does not exclude the other")
                .at(first.span, "the other")
                .help(format!(
                    "Let one label have different values in the two: `subset {one} label version = \"…\"`."
                )),
            );
        }
    };
    for (number, second) in service.subsets.iter().enumerate() {
        service.subsets[..number].iter().for_each(|first| share(first, second));
    }
}

/// By a label with two values, by their clusters, or because one has endpoints of its own.
fn are_disjoint(a: &ast::Subset, b: &ast::Subset) -> bool {
    let differ =
        |a: &ast::Label, b: &ast::Label| a.key.value == b.key.value && a.value.value != b.value.value;
    let labels = a.labels.iter().any(|one| b.labels.iter().any(|other| differ(one, other)));
    let clusters = matches!((&a.cluster, &b.cluster), (Some(a), Some(b)) if a.value != b.value);
    labels || clusters || !a.endpoints.is_empty() || !b.endpoints.is_empty() || a.name.value == b.name.value
}

/// What a service calls, once the ports of all services are known.
pub(super) fn calls(
    service: &ast::Service,
    place: Place<'_>,
    scope: &Scope,
    model: &Model,
    diagnostics: &mut Diagnostics,
) -> Vec<Call> {
    let mut calls = Vec::with_capacity(service.calls.len());
    for statement in &service.calls {
        let (settings, limits) = (&statement.settings, &statement.limits);
        let written = settings::with_profiles(settings, limits, Block::Calls, place, scope, diagnostics);
        settings::never_repeated(settings, statement.to.iter(), diagnostics);
        for name in &statement.services {
            let callee = scope.service(name, place);
            let to = callee.and_then(|callee| scope::port(model, callee, statement.port.as_ref(), name.span));
            match to {
                Ok(to) => {
                    written.fits(model.port(to), diagnostics);
                    let callee = &model[to.service].workload.name;
                    let port = std::slice::from_ref(model.port(to));
                    protocol::of_settings(&statement.settings, port, callee, diagnostics);
                    outliers::of_call(statement, to, place, scope, model, diagnostics);
                    add_call(&mut calls, to, (statement, &written), name.span, diagnostics);
                }
                Err(diagnostic) => diagnostics.push(diagnostic),
            }
        }
    }
    calls
}

fn add_call(
    calls: &mut Vec<Call>,
    to: PortId,
    (statement, written): (&ast::Calls, &Written),
    span: Span,
    diagnostics: &mut Diagnostics,
) {
    let narrowed = !statement.to.is_empty();
    let lines = shape::of_ops(&statement.to).into_iter().map(|shape| CallLine {
        shape,
        narrowed,
        settings: written.settings.clone(),
        settings_at: written.at,
        client: Client { timeout: statement.client_timeout, retry: statement.client_retry },
        span,
    });
    let Some(known) = calls.iter_mut().find(|call| call.to == to) else {
        calls.push(Call { to, lines: lines.collect(), span });
        return;
    };
    if let Some(first) = known.lines.iter().find(|line| !line.narrowed && !narrowed) {
        diagnostics.push(
            Diagnostic::new(Code::DuplicateStatement, "this call is declared already")
                .at(span, "declared again here")
                .at(first.span, "first declared here")
                .help("Delete one; to set something for some requests only, write `calls … to METHOD /path { … }`."),
        );
        return;
    }
    known.lines.extend(lines);
}

#[cfg(test)]
mod tests {
    use crate::testing::says;

    #[test]
    fn subsets_exclude_each_other() {
        let service = |statements: &str| {
            format!(
                "mesh m {{ clusters c, d }}\nservice s {{\nport 80 http\n{statements}\n}}\nauthorize s {{ allow from anyone }}\nroute s {{ to s:a 50%, s:b 50% }}\n"
            )
        };
        let said = "5 MESH5042 an endpoint may be in both subsets `a` and `b`";
        says(&service("subset a label track = \"beta\"\nsubset b label version = \"v1\""), &[said]);
        says(&service("subset a label v = \"1\", track = \"beta\"\nsubset b label v = \"2\""), &[]);
        says(&service("subset a cluster c\nsubset b cluster d"), &[]);
        says(&service("subset a cluster c\nsubset b label v = \"1\" cluster c"), &[said]);
        let with = |labels: &str| {
            format!(
                "subset a label track = \"beta\"\nsubset b label version = \"v1\"\nendpoints static \"10.0.0.1\" label {labels}\nendpoints static \"10.0.0.2\" label version = \"v1\""
            )
        };
        says(&service(&with("track = \"beta\"")), &[]);
        says(&service(&with("track = \"beta\", version = \"v1\"")), &[said]);
    }
}
