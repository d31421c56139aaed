//! The mesh, identities, services and gateways.

use super::verifiers::Verifiers;
use super::{PlanError, Tiles, all, ascending, count, dictionaries, ensure, is_settings, is_string, some};
use crate::layout::{
    MAX_TRUSTED_HOPS, Section, WHOLE, call, call_host, consumer_route, endpoint, gateway, host, listener,
    mesh, outside_tls, partition, port, principal, service, subset_endpoints,
};
use crate::plan::{HostKind, Mtls, NONE, Protocol};
use crate::view::{Endpoint, PlanView, Record, Row};

pub(super) fn check(plan: &PlanView) -> Result<(), PlanError> {
    ensure(count(plan, Section::Mesh) == 1, "it is not about one mesh")?;
    for mesh in all(plan, Section::Mesh) {
        is_string(plan, mesh.word(mesh::TRUST_DOMAIN))?;
        is_settings(plan, mesh.word(mesh::DEFAULT_SETTINGS))?;
    }
    for principal in all(plan, Section::Principals) {
        is_string(plan, principal.word(principal::IDENTITY))?;
        ensure(principal.word(principal::GATEWAY) <= 1, "an identity neither is a gateway nor is none")?;
    }
    // Strings are sorted, so their ids stand for them.
    ascending(names(plan, Section::Principals, principal::IDENTITY), "identities are not sorted")?;
    names(plan, Section::Prefixes, 0).try_for_each(|name| is_string(plan, name))?;
    ascending(names(plan, Section::Prefixes, 0), "prefixes are not sorted")?;
    ascending(names(plan, Section::Services, service::NAME), "services are not sorted")?;
    ascending(names(plan, Section::Gateways, gateway::NAME), "gateways are not sorted")?;
    let names = identities(plan)?;
    services(plan, names)?;
    ports(plan)?;
    gateways(plan)
}

fn names(plan: &PlanView, section: Section, field: u32) -> impl Iterator<Item = u32> {
    all(plan, section).map(move |record| record.word(field))
}

/// Each identity leads to its principal, and each prefix to its record: there are as many, and all are different.
fn identities(plan: &PlanView) -> Result<Tiles, PlanError> {
    let mut names = Tiles::of(plan, Section::Names);
    let tables = [
        (mesh::IDENTITIES, Section::Principals, principal::IDENTITY),
        (mesh::NAMES_OF_PREFIXES, Section::Prefixes, 0),
    ];
    for mesh in all(plan, Section::Mesh) {
        for (field, table, text) in tables {
            let is_name = |name: &[u8], index| {
                Record::at(plan, table, index).is_some_and(|own| own.string(text) == name)
            };
            dictionary(plan, names.take(mesh.range(field))?, count(plan, table), is_name)?;
        }
    }
    Ok(names)
}

/// A dictionary of so many texts that takes its whole range, and whether each is the name of its value.
fn dictionary(
    plan: &PlanView,
    range: (u32, u32),
    texts: u32,
    is_name: impl Fn(&[u8], u32) -> bool,
) -> Result<(), PlanError> {
    let words = plan.words(Section::Names, range);
    let end = dictionaries::check(words, |text, value| {
        ensure(is_name(text, value), "a name is that of something else")
    })?;
    ensure(end == range.1, "a range has words of no dictionary")?;
    ensure(words.get(0) == Some(texts), "a dictionary does not have all names")
}

fn services(plan: &PlanView, mut names: Tiles) -> Result<(), PlanError> {
    let mut ports = Tiles::of(plan, Section::Ports);
    let mut subsets = Tiles::of(plan, Section::Subsets);
    let mut calls = Tiles::of(plan, Section::Calls);
    let mut hosts = Tiles::of(plan, Section::CallHosts);
    let mut routes = Tiles::of(plan, Section::ConsumerRoutes);
    let mut health_checks = Tiles::of(plan, Section::HealthChecks);
    let mut outside = Tiles::of(plan, Section::OutsideTls);
    let mut failover = Tiles::of(plan, Section::Failover);
    let mut verifiers = Verifiers::of(plan);
    for service in all(plan, Section::Services) {
        is_string(plan, service.word(service::NAME))?;
        is_string(plan, service.word(service::OWNER))?;
        is_principal(plan, service.word(service::PRINCIPAL))?;
        is_settings(plan, service.word(service::SETTINGS))?;
        ensure(service.word(service::PANIC_THRESHOLD) <= WHOLE, "a threshold is more than everything")?;
        is_logged(service.word(service::LOGGED))?;
        let health_check = service.word(service::HEALTH_CHECK);
        if health_check != NONE {
            health_checks.take((health_check, 1))?;
        }
        let tls = service.word(service::TLS);
        if tls != NONE {
            outside.take((tls, 1))?;
            let ports = service.range(service::PORTS);
            let is_inside = |port: Record<'_>| port.word(port::MTLS) != Mtls::None as u32;
            ensure(!some(plan, Section::Ports, ports).any(is_inside), "a port has two kinds of TLS")?;
            let is_named = some(plan, Section::OutsideTls, (tls, 1)).all(|own| {
                let is_anyone = own.word(outside_tls::TRUST) == outside_tls::ANYONE;
                is_anyone || !own.string(outside_tls::NAME).is_empty()
            });
            ensure(
                is_named || some(plan, Section::Ports, ports).all(|port| says_whom(plan, port)),
                "who must answer is not said",
            )?;
        }
        let clusters = failover.take(service.range(service::FAILOVER))?;
        some(plan, Section::Failover, clusters).try_for_each(|own| is_string(plan, own.word(0)))?;
        verifiers.take(service.range(service::VERIFIERS))?;
        ensure(service.word(service::BY_ZONE) <= 1, "zones neither are asked nor are not")?;
        let subset_range = subsets.take(service.range(service::SUBSETS))?;
        let subset_names = || some(plan, Section::Subsets, subset_range).map(|subset| subset.word(0));
        subset_names().try_for_each(|name| is_string(plan, name))?;
        ascending(subset_names(), "subsets are not sorted")?;
        let port_range = ports.take(service.range(service::PORTS))?;
        let own_ports = || some(plan, Section::Ports, port_range);
        ascending(own_ports().map(|port| port.word(port::NUMBER)), "ports are not sorted")?;
        let fits = |port: Record<'_>| port.range(port::SUBSET_ENDPOINTS).1 == subset_range.1;
        ensure(own_ports().all(fits), "a port does not have the subsets of its service")?;
        let call_range = calls.take(service.range(service::CALLS))?;
        calls_of(plan, call_range)?;
        let host_range = hosts.take(service.range(service::HOSTS))?;
        call_hosts(plan, host_range, call_range.1)?;
        names_of_hosts(plan, host_range, names.take(service.range(service::NAMES_OF_HOSTS))?)?;
        consumer_routes(plan, routes.take(service.range(service::CONSUMER_ROUTES))?)?;
    }
    for gateway in all(plan, Section::Gateways) {
        consumer_routes(plan, routes.take(gateway.range(gateway::CONSUMER_ROUTES))?)?;
        verifiers.take(gateway.range(gateway::VERIFIERS))?;
    }
    verifiers.end()?;
    routes.end()?;
    health_checks.end()?;
    outside.end()?;
    all(plan, Section::OutsideTls).try_for_each(|own| tls_outside(plan, own))?;
    failover.end()?;
    ports.end()?;
    subsets.end()?;
    calls.end()?;
    hosts.end()?;
    names.end()
}

/// Who must answer outside of the mesh is said, or that anyone may.
fn tls_outside(plan: &PlanView, own: Record<'_>) -> Result<(), PlanError> {
    let [name, authority, certificate] =
        [outside_tls::NAME, outside_tls::AUTHORITY, outside_tls::CERTIFICATE].map(|word| own.word(word));
    [name, authority, certificate].into_iter().try_for_each(|text| is_string(plan, text))?;
    let is_said = |text| plan.heap(Section::Strings, text).is_some_and(|text| !text.is_empty());
    let trust = own.word(outside_tls::TRUST);
    ensure(trust <= outside_tls::ANYONE, "nobody is believed in a way that is none")?;
    ensure(is_said(authority) == (trust == outside_tls::NAMED), "an authority is believed that has no name")
}

/// Whether who must answer at a port's endpoints is said by who asks for them, or by nobody, as TLS is of the two ends.
fn says_whom(plan: &PlanView, port: Record<'_>) -> bool {
    let mut endpoints = some(plan, Section::Endpoints, port.range(port::ENDPOINTS));
    port.word(port::PROTOCOL) == Protocol::Tls as u32
        || endpoints.all(|endpoint| endpoint.word(endpoint::NAMING) == endpoint::ASKED)
}

/// Each host leads to the first record with it.
fn names_of_hosts(plan: &PlanView, hosts: (u32, u32), names: (u32, u32)) -> Result<(), PlanError> {
    let host = |index: u32| {
        let record = (index < hosts.1).then(|| Record::at(plan, Section::CallHosts, hosts.0 + index));
        record.flatten()
    };
    let text = |index: u32| host(index).map(|host| host.word(call_host::HOST));
    let is_first = |index: u32| index == 0 || text(index) != text(index - 1);
    let different = (0..hosts.1).filter(|index| is_first(*index)).count();
    dictionary(plan, names, different as u32, |name, index| {
        host(index).is_some_and(|host| host.string(call_host::HOST) == name) && is_first(index)
    })
}

fn calls_of(plan: &PlanView, range: (u32, u32)) -> Result<(), PlanError> {
    let order =
        some(plan, Section::Calls, range).map(|call| (call.word(call::SERVICE), call.word(call::PORT)));
    ascending(order, "calls are not sorted")?;
    for call in some(plan, Section::Calls, range) {
        is_port(plan, call.word(call::SERVICE), call.word(call::PORT))?;
        has_roots(plan, call.word(call::PARTITION), 1)?;
    }
    Ok(())
}

fn consumer_routes(plan: &PlanView, range: (u32, u32)) -> Result<(), PlanError> {
    let routes = || some(plan, Section::ConsumerRoutes, range);
    let order = routes().map(|route| (route.word(consumer_route::SERVICE), route.word(consumer_route::PORT)));
    ascending(order, "consumer routes are not sorted")?;
    routes().try_for_each(|route| {
        is_port(plan, route.word(consumer_route::SERVICE), route.word(consumer_route::PORT))?;
        has_roots(plan, route.word(consumer_route::PARTITION), 1)
    })
}

fn call_hosts(plan: &PlanView, range: (u32, u32), calls: u32) -> Result<(), PlanError> {
    let order = || {
        let hosts = some(plan, Section::CallHosts, range);
        hosts.map(|host| (host.word(call_host::HOST), host.word(call_host::CALL)))
    };
    ascending(order(), "names of callees are not sorted")?;
    order().try_for_each(|(host, call)| {
        is_string(plan, host)?;
        ensure(call < calls || call == NONE, "a name of a callee is of no call")
    })
}

fn is_logged(share: u32) -> Result<(), PlanError> {
    ensure(share == NONE || share <= WHOLE, "more is logged than there is")
}

fn is_protocol(number: u32) -> Result<(), PlanError> {
    ensure((number as usize) < Protocol::ALL.len(), "a protocol is unknown")
}

fn ports(plan: &PlanView) -> Result<(), PlanError> {
    let mut endpoints = Tiles::of(plan, Section::Endpoints);
    let mut subsets = Tiles::of(plan, Section::SubsetEndpoints);
    let mut members = Tiles::of(plan, Section::Members);
    for port in all(plan, Section::Ports) {
        is_port_number(port.word(port::NUMBER))?;
        is_protocol(port.word(port::PROTOCOL))?;
        ensure((port.word(port::MTLS) as usize) < Mtls::ALL.len(), "a mode of mutual TLS is unknown")?;
        ensure(port.word(port::PROBED) <= 1, "a port neither is probed nor is not")?;
        is_string(plan, port.word(port::NAME))?;
        has_roots(plan, port.word(port::PARTITION), 1)?;
        let range = endpoints.take(port.range(port::ENDPOINTS))?;
        for endpoint in some(plan, Section::Endpoints, range) {
            is_port_number(endpoint.word(endpoint::PORT))?;
            is_string(plan, endpoint.word(endpoint::CLUSTER))?;
            is_string(plan, endpoint.word(endpoint::ZONE))?;
            is_string(plan, endpoint.word(endpoint::NAME))?;
            let own = Endpoint::of(endpoint);
            let is_named = !own.name().is_empty();
            ensure(own.address().0 == [0; 16] || !is_named, "an endpoint has an address and a name")?;
            let naming = endpoint.word(endpoint::NAMING);
            let most = if is_named { endpoint::ASKED } else { 0 };
            ensure(naming <= most, "whether a name is outside is not said")?;
            ensure(own.is_asked() || !own.name().starts_with('*'), "a pattern is looked up")?;
        }
        let is_asked = |endpoint: Record<'_>| endpoint.word(endpoint::NAMING) == endpoint::ASKED;
        let asked = some(plan, Section::Endpoints, range).filter(|own| is_asked(*own)).count();
        ensure(asked == 0 || asked as u32 == range.1, "endpoints are asked for and are not")?;
        let places = some(plan, Section::Endpoints, range).map(|record| {
            let own = Endpoint::of(record);
            (own.address(), own.name())
        });
        ascending(places, "endpoints are not sorted")?;
        for subset in some(plan, Section::SubsetEndpoints, subsets.take(port.range(port::SUBSET_ENDPOINTS))?)
        {
            let own = members.take(subset.range(subset_endpoints::MEMBERS))?;
            let indices = || some(plan, Section::Members, own).map(|member| member.word(0));
            ascending(indices(), "endpoints of a subset are not sorted")?;
            ensure(indices().all(|member| member < range.1), "an endpoint of a subset is none of its port")?;
        }
    }
    endpoints.end()?;
    subsets.end()?;
    members.end()
}

fn gateways(plan: &PlanView) -> Result<(), PlanError> {
    let mut listeners = Tiles::of(plan, Section::Listeners);
    let mut hosts = Tiles::of(plan, Section::Hosts);
    let mut certificates = Tiles::of(plan, Section::Certificates);
    for gateway in all(plan, Section::Gateways) {
        is_string(plan, gateway.word(gateway::NAME))?;
        is_string(plan, gateway.word(gateway::OWNER))?;
        is_principal(plan, gateway.word(gateway::PRINCIPAL))?;
        ensure(gateway.word(gateway::TRUSTED_HOPS) <= MAX_TRUSTED_HOPS, "a gateway trusts too many")?;
        is_logged(gateway.word(gateway::LOGGED))?;
        let range = listeners.take(gateway.range(gateway::LISTENERS))?;
        let names = some(plan, Section::Listeners, range).map(|listener| listener.word(listener::NAME));
        ascending(names, "listeners are not sorted")?;
        for listener in some(plan, Section::Listeners, range) {
            is_string(plan, listener.word(listener::NAME))?;
            is_port_number(listener.word(listener::NUMBER))?;
            is_protocol(listener.word(listener::PROTOCOL))?;
            let flags = listener.word(listener::FLAGS);
            ensure(flags & !listener::PROXY_PROTOCOL == 0, "a listener has a flag without a meaning")?;
            let patterns = hosts.take(listener.range(listener::HOSTS))?;
            has_roots(plan, listener.word(listener::PARTITION), patterns.1)?;
            host_patterns(plan, patterns)?;
            let own = certificates.take(listener.range(listener::CERTIFICATES))?;
            shown(plan, listener, own)?;
        }
    }
    listeners.end()?;
    hosts.end()?;
    certificates.end()
}

/// What a listener shows to clients of TLS, and asks of them.
fn shown(plan: &PlanView, listener: Record<'_>, range: (u32, u32)) -> Result<(), PlanError> {
    let names = || some(plan, Section::Certificates, range).map(|own| own.word(0));
    let text = |name| plan.heap(Section::Strings, name).unwrap_or_default();
    names().try_for_each(|name| {
        is_string(plan, name)?;
        ensure(!text(name).is_empty(), "a certificate has no name")
    })?;
    ascending(names(), "certificates are not sorted")?;
    let client_ca = listener.word(listener::CLIENT_CA);
    is_string(plan, client_ca)?;
    let is_shown = range.1 > 0;
    ensure(is_shown || text(client_ca).is_empty(), "clients of no TLS must show a certificate")?;
    let sees_connections = Protocol::of_number(listener.word(listener::PROTOCOL)).sees_connections();
    ensure(!(is_shown && sees_connections), "TLS ends at a listener that only sees connections")
}

fn host_patterns(plan: &PlanView, range: (u32, u32)) -> Result<(), PlanError> {
    let order =
        || some(plan, Section::Hosts, range).map(|host| (host.word(host::KIND), host.word(host::NAME)));
    ascending(order(), "host patterns are not sorted")?;
    order().try_for_each(|(kind, name)| {
        is_string(plan, name)?;
        let any = HostKind::Any as u32;
        let empty = plan.heap(Section::Strings, name).is_none_or(<[u8]>::is_empty);
        ensure(kind <= any && (kind == any) == empty, "a host pattern is of no kind")
    })
}

fn is_principal(plan: &PlanView, index: u32) -> Result<(), PlanError> {
    ensure(index < count(plan, Section::Principals), "a workload has no identity")
}

fn is_port_number(number: u32) -> Result<(), PlanError> {
    ensure((1..=u32::from(u16::MAX)).contains(&number), "a port number is none")
}

/// Whether a service has a port of this index.
pub(super) fn is_port(plan: &PlanView, service: u32, port: u32) -> Result<(), PlanError> {
    let callee = Record::at(plan, Section::Services, service);
    ensure(
        callee.is_some_and(|callee| port < callee.range(service::PORTS).1),
        "a destination is no port of a service",
    )
}

/// Whether a partition is one, and for as many tables as its owner asks.
fn has_roots(plan: &PlanView, index: u32, roots: u32) -> Result<(), PlanError> {
    let partition = Record::at(plan, Section::Partitions, index);
    let fits = partition.is_some_and(|partition| partition.range(partition::ROOTS).1 == roots);
    ensure(fits, "a partition does not have the tables of its owner")
}
