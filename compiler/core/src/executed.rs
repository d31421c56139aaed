//! What the compiler decides about and the proxy of this version does not do: a plan with it is not run (`MESH1010`).
//!
//! Whole statements are known by the status of their row; here stand the forms of arguments.

use crate::model::{Model, Port};
use crate::resolve::outside;
use mesh_lang::ast::{EndpointSource, HostPattern, Limits, Mtls, Protocol, RateKey};
use mesh_lang::{Code, Diagnostic, Name, Span, Spanned, ast};
use std::collections::{BTreeMap, BTreeSet};

/// What would be without effect at run time, in order of place.
pub(crate) fn refused(checked: &[(&'static str, Span)], files: &[ast::File]) -> Vec<Diagnostic> {
    let mut found: Vec<Diagnostic> =
        checked.iter().map(|(keyword, span)| unexecuted(&format!("`{keyword}`"), *span)).collect();
    let items = || files.iter().flat_map(|file| &file.items);
    let services: BTreeMap<&str, &ast::Service> = items()
        .filter_map(|item| match item {
            ast::Item::Service(service) => Some((service.name.value.as_str(), &**service)),
            _ => None,
        })
        .collect();
    let gateways: BTreeMap<&str, &ast::Gateway> = items()
        .filter_map(|item| match item {
            ast::Item::Gateway(gateway) => Some((gateway.name.value.as_str(), gateway)),
            _ => None,
        })
        .collect();
    for item in items() {
        found.extend(forms(item));
        found.extend(limits(item, &gateways));
        found.extend(tokens(item));
        found.extend(checks(item, &services));
        found.extend(unnamed(item, &services));
    }
    found.extend(twins(items()));
    found.sort_by_key(Diagnostic::span);
    found
}

/// Who is asked, and who counts, is asked by the proxy of the service that is called.
fn checks(item: &ast::Item, services: &BTreeMap<&str, &ast::Service>) -> Vec<Diagnostic> {
    if let ast::Item::Service(service) = item {
        let limits = service.limits.rate_limits.iter().filter(|limit| limit.global);
        let limits = limits.filter(|_| !service.external.is_empty());
        let what = "`rate-limit global` of a service outside of the mesh, which has no proxy to ask,";
        return limits.map(|limit| unexecuted(what, limit.span)).collect();
    }
    let ast::Item::Authorize(authorize) = item else { return vec![] };
    let own = authorize.targets.iter().filter_map(|target| services.get(target.name()));
    if own.clone().all(|service| service.external.is_empty()) {
        return vec![];
    }
    let what = "`check` of a service outside of the mesh, which has no proxy to ask,";
    authorize.checks.iter().map(|check| unexecuted(what, check.span)).collect()
}

/// Where who is outside is who is asked for, a copy and a question ask for nobody.
fn unnamed(item: &ast::Item, services: &BTreeMap<&str, &ast::Service>) -> Vec<Diagnostic> {
    let is_asked = |name: &ast::ServiceRef| {
        services.get(name.name()).is_some_and(|service| !outside::asked(service).is_empty())
    };
    match item {
        ast::Item::Route(route) => {
            let mirrors = route.rules.iter().flat_map(|rule| &rule.modifiers.mirrors);
            let mirrors = mirrors.filter(|mirror| is_asked(&mirror.backend.service));
            mirrors.map(|mirror| unexecuted("`mirror` to who callers name", mirror.span)).collect()
        }
        ast::Item::ExtAuthz(own) | ast::Item::RateLimiter(own) => {
            let service = own.service.iter().filter(|service| is_asked(service));
            service.map(|service| unexecuted("a question to who callers name", service.span)).collect()
        }
        _ => vec![],
    }
}

/// A proxy that decides for several modules knows an issuer by its name.
fn twins<'f>(items: impl Iterator<Item = &'f ast::Item>) -> Vec<Diagnostic> {
    let mut known: BTreeMap<&str, &ast::Jwt> = BTreeMap::new();
    let mut found = Vec::new();
    for item in items {
        let ast::Item::Jwt(jwt) = item else { continue };
        match known.get(jwt.name.value.as_str()) {
            Some(first) if !is_same(first, jwt) => found.push(
                unexecuted(&format!("`jwt {}` of a second meaning", jwt.name.value), jwt.name.span)
                    .at(first.name.span, "another module's is another one"),
            ),
            Some(_) => {}
            None => _ = known.insert(&jwt.name.value, jwt),
        }
    }
    found
}

/// Whether two declarations say the same.
fn is_same(one: &ast::Jwt, other: &ast::Jwt) -> bool {
    let said = |jwt: &ast::Jwt| {
        let texts = |names: &[Name]| names.iter().map(|name| name.value.clone()).collect::<BTreeSet<_>>();
        let from = jwt.from.iter().map(|source| match source {
            ast::TokenSource::Header(name) => ("header", name.value.clone()),
            ast::TokenSource::Cookie(name) => ("cookie", name.value.clone()),
            ast::TokenSource::Query(name) => ("query", name.value.clone()),
        });
        let one = |name: &Option<Name>| name.as_ref().map(|name| name.value.clone());
        let skew = (jwt.clock_skew.map(|skew| skew.value), one(&jwt.typ));
        let sets = [texts(&jwt.audiences), texts(&jwt.list_claims)];
        (one(&jwt.issuer), one(&jwt.jwks), sets, from.collect::<BTreeSet<_>>(), jwt.forward.is_some(), skew)
    };
    said(one) == said(other)
}

/// Connections have no tokens.
fn tokens(item: &ast::Item) -> Vec<Diagnostic> {
    let (uses, has_connections) = match item {
        ast::Item::Service(service) => {
            (&service.jwts, service.ports.iter().any(|port| sees_connections(port.protocol)))
        }
        ast::Item::Gateway(gateway) => {
            let mut listeners = gateway.listeners.iter();
            (&gateway.jwts, listeners.any(|listener| sees_connections(listener.protocol)))
        }
        _ => return vec![],
    };
    let of_connections = uses.iter().filter(|_| has_connections);
    of_connections.map(|one| unexecuted("`jwt` of connections", one.span)).collect()
}

fn sees_connections(protocol: Spanned<Protocol>) -> bool {
    matches!(protocol.value, Protocol::Tcp | Protocol::Tls)
}

/// The forms of arguments that have a meaning and no effect at run time yet.
fn forms(item: &ast::Item) -> Vec<Diagnostic> {
    let places = match item {
        ast::Item::Service(service) => places(service).into_iter().chain(outside(service)).collect(),
        ast::Item::Gateway(gateway) => gateway.listeners.iter().filter_map(of_other_clusters).collect(),
        ast::Item::Mesh(mesh) => allowed(mesh).into_iter().collect(),
        _ => vec![],
    };
    places.into_iter().chain(weights(item)).collect()
}

/// What nobody declared is refused.
fn allowed(mesh: &ast::Mesh) -> Option<Diagnostic> {
    let allowed = mesh.egress.filter(|egress| egress.value == ast::Egress::Allow)?;
    Some(unexecuted("`egress allow`", allowed.span))
}

/// The proxy passes TLS on by the hosts of routes. What callers in other clusters mean it does not know yet.
fn of_other_clusters(listener: &ast::Listener) -> Option<Diagnostic> {
    let tls = listener.tls.as_ref()?;
    let is_mesh = matches!(tls.value, ast::ListenerTls::Passthrough { mesh: true });
    is_mesh.then(|| unexecuted("`tls passthrough mesh`", tls.span))
}

/// The proxy limits what comes in at gateways, listeners, rules and services, and counts by itself.
fn limits(item: &ast::Item, gateways: &BTreeMap<&str, &ast::Gateway>) -> Vec<Diagnostic> {
    let places: Vec<&Limits> = match item {
        ast::Item::Service(service) => vec![&service.limits],
        ast::Item::Gateway(gateway) => {
            let listeners = gateway.listeners.iter().map(|listener| &listener.limits);
            std::iter::once(&gateway.limits).chain(listeners).collect()
        }
        ast::Item::Route(route) => route.rules.iter().map(|rule| &rule.limits).collect(),
        _ => return vec![],
    };
    let is_at_gateway = match item {
        ast::Item::Gateway(_) => true,
        ast::Item::Route(route) => gateways.contains_key(route.target.name()),
        _ => false,
    };
    let mut found = Vec::new();
    for limit in places.iter().flat_map(|limits| &limits.rate_limits) {
        if is_at_gateway && limit.per.contains(&RateKey::Source) {
            found.push(unexecuted("`per source` at a gateway, whose clients have no identity,", limit.span));
        }
    }
    found.extend(of_connections(item));
    found
}

/// Connections have no headers and no body.
fn of_connections(item: &ast::Item) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let mut add = |limits: &Limits| {
        if let Some(body) = &limits.max_request_body {
            found.push(unexecuted("`max-request-body` of connections", body.span));
        }
        if let Some(span) = limits.decodes_slashes.or(limits.strips_parameters) {
            found.push(unexecuted("the form of paths of connections", span));
        }
        let by_header =
            |limit: &&ast::RateLimit| limit.per.iter().any(|key| matches!(key, RateKey::Header(_)));
        let limits = limits.rate_limits.iter().filter(by_header);
        found.extend(limits.map(|limit| unexecuted("`per header` of connections", limit.span)));
    };
    match item {
        ast::Item::Service(service) if service.ports.iter().any(|port| sees_connections(port.protocol)) => {
            add(&service.limits);
        }
        ast::Item::Gateway(gateway) => {
            let listeners =
                || gateway.listeners.iter().filter(|listener| sees_connections(listener.protocol));
            if listeners().next().is_some() {
                add(&gateway.limits);
            }
            listeners().for_each(|listener| add(&listener.limits));
        }
        _ => {}
    }
    found
}

/// One name is where it is, and is expected of who answers there. Of several, and below a pattern, callers say which one; of a network nobody
/// does yet.
fn outside(service: &ast::Service) -> Vec<Diagnostic> {
    let Some(first) = service.external.first() else { return vec![] };
    let mut found = Vec::new();
    let is_asked = !outside::asked(service).is_empty();
    if service.endpoints.is_empty() && outside::endpoint(service).is_none() && !is_asked {
        found.push(
            unexecuted("`external` with a name that ends in a number, without `endpoints`,", first.span)
                .help("Write where it is, `endpoints dns \"www.example.com\"` or `endpoints static \"192.0.2.1\"`, or a service for each address."),
        );
    }
    if is_asked {
        let check = service.health_check.as_ref().map(|check| check.span);
        found.extend(check.map(|span| unexecuted("`health-check` of who callers name", span)));
        // Bytes say no name, and TLS no address.
        let of_names = |port: &ast::Port| match port.protocol.value {
            Protocol::Tcp => !service.external.iter().any(outside::is_address),
            Protocol::Tls => service.external.iter().all(outside::is_address),
            _ => false,
        };
        let bytes = service.ports.iter().filter(|port| of_names(port));
        found.extend(bytes.map(|port| {
            let (own, none) =
                if port.protocol.value == Protocol::Tcp { ("tcp", "name") } else { ("tls", "address") };
            unexecuted(&format!("a `{own}` port of who callers name, which says no {none},"), port.span)
        }));
    }
    let names_nobody = matches!(
        service.tls.as_ref().map(|tls| &tls.value),
        Some(ast::Tls::Verified { host: None, .. }) if outside::only_name(service).is_none() && !is_asked
    );
    if let Some(tls) = service.tls.as_ref().filter(|_| names_nobody) {
        found.push(
            unexecuted("`tls` without a `host`, beside an `external` that is not one name,", tls.span)
                .help("Write whom the certificate must be of: `tls host \"www.example.com\" ca system`."),
        );
    }
    found
}

/// The proxy knows endpoints by their addresses and names.
fn places(service: &ast::Service) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    // Nobody else could be called any more.
    let all = service.aliases.iter().filter(|alias| matches!(alias.value, HostPattern::Any));
    found.extend(all.map(|alias| unexecuted("an `alias` of every host", alias.span)));
    let of_subsets = service.subsets.iter().flat_map(|subset| &subset.endpoints);
    for endpoints in service.endpoints.iter().chain(of_subsets) {
        let kind = match &endpoints.source {
            EndpointSource::Static(_) | EndpointSource::Dns(_) => None,
            EndpointSource::Kubernetes(_) => Some("`endpoints kubernetes`"),
            EndpointSource::Docker(_) => Some("`endpoints docker`"),
            EndpointSource::Consul(_) => Some("`endpoints consul`"),
            EndpointSource::Passthrough => Some("`endpoints passthrough`"),
        };
        found.extend(kind.map(|kind| unexecuted(kind, endpoints.span)));
        found.extend(endpoints.mtls.map(|mode| unexecuted("`mtls`", mode.span)));
    }
    let connects = service.probes.iter().filter(|probe| probe.kind == ast::ProbeKind::Tcp);
    found.extend(connects.map(|probe| {
        unexecuted("`probe tcp`", probe.span)
            .help("The proxy accepts connections whether or not its service does: write `probe GET /…` or `probe grpc`, which the service answers.")
    }));
    if let Some(check) = &service.health_check {
        let is_tcp = |port: &ast::Port| sees_connections(port.protocol);
        let is_no_grpc = |port: &ast::Port| !matches!(port.protocol.value, Protocol::Grpc | Protocol::Http2);
        match check.probe {
            ast::ProbeKind::Grpc if service.ports.iter().any(is_no_grpc) => {
                found.push(unexecuted("`health-check grpc` beside a port of another protocol", check.span));
            }
            ast::ProbeKind::Get(_) if service.ports.iter().any(is_tcp) => {
                found.push(unexecuted("`health-check GET` beside a port of connections", check.span));
            }
            ast::ProbeKind::Get(_) | ast::ProbeKind::Grpc | ast::ProbeKind::Tcp => {}
        }
    }
    found
}

/// Weights that are set while the mesh runs.
fn weights(item: &ast::Item) -> Vec<Diagnostic> {
    let backends: Vec<&ast::Backend> = match item {
        ast::Item::Split(split) => split.backends.iter().collect(),
        ast::Item::Route(route) => {
            let actions = route.rules.iter().filter_map(|rule| rule.action.as_ref());
            let backends = actions.filter_map(|action| match &action.value {
                ast::Action::To(backends) => Some(backends),
                _ => None,
            });
            backends.flatten().collect()
        }
        _ => vec![],
    };
    let weights = backends.into_iter().filter_map(|backend| backend.weight);
    let controlled = weights.filter(|weight| matches!(weight.value, ast::Weight::Controlled { .. }));
    controlled.map(|weight| unexecuted("a weight that is set while the mesh runs", weight.span)).collect()
}

/// Of who calls a service only its own proxy sees the address: there has to be one, and mutual TLS is what says so.
pub(crate) fn addresses(model: &Model) -> Vec<Diagnostic> {
    let mut found = BTreeMap::new();
    for id in model.ports() {
        let port = model.port(id);
        let what = if routes_by_source(port) {
            "`source-ip` in the authorization of a service whose route asks for that of another connection"
        } else if model[id.service].is_outside {
            "`source-ip` in the authorization of a service outside of the mesh, which has no proxy to see it,"
        } else if !matches!(port.mtls.map(|mode| mode.value), Some(Mtls::Strict | Mtls::Permissive)) {
            "`source-ip` in the authorization of a port without mutual TLS, before which no proxy need stand,"
        } else {
            continue;
        };
        for span in port.asks_of_callers() {
            found.entry((span, what)).or_insert_with(|| unexecuted(what, span));
        }
    }
    found.into_values().collect()
}

/// Whether the port's route looks at an address, which is that of the calling proxy's own client.
fn routes_by_source(port: &Port) -> bool {
    let rules = port.route.iter().flat_map(|table| &table.rules);
    rules.flat_map(|rule| &rule.lines).any(|line| line.shape.asks_source())
}

fn unexecuted(what: &str, span: Span) -> Diagnostic {
    Diagnostic::new(Code::NotYetExecuted, format!("{what} is not executed by this version's proxy"))
        .at(span, "would be without effect at run time")
        .help("`mesh check` and `mesh test` know it; remove it to build a plan, or wait for a version that executes it.")
}

#[cfg(test)]
mod tests {
    use crate::{StandIns, compile};
    use mesh_lang::SourceSet;

    /// What is refused of these limits of a service.
    fn refused(statements: &str) -> Vec<String> {
        let text = format!("service s {{ port 80 http\n{statements} }}\nauthorize s {{ allow from anyone }}");
        let compilation = compile(&SourceSet::single("test.mesh", &text), &StandIns::new());
        assert!(compilation.diagnostics.is_empty(), "{text}");
        compilation.unexecuted.into_iter().map(|diagnostic| diagnostic.message).collect()
    }

    #[test]
    fn a_probe_is_answered_by_the_service_and_not_by_its_proxy() {
        let nothing: [&str; 0] = [];
        assert_eq!(refused("probe GET /ping"), nothing);
        assert_eq!(refused("probe tcp"), ["`probe tcp` is not executed by this version's proxy"]);
    }

    #[test]
    fn limits_are_counted_by_what_the_proxy_knows() {
        let nothing: [&str; 0] = [];
        assert_eq!(refused("rate-limit local 1/s per source-ip, header \"x-a\""), nothing);
        assert_eq!(refused("max-request-body 64KiB"), nothing);
        assert_eq!(refused("rate-limit local 1/s per source"), nothing);
    }

    #[test]
    fn clients_of_gateways_have_no_identity_to_be_counted_by() {
        let limit = "rate-limit local 1/s per source";
        let text = |gateway: &str, rule: &str| {
            format!(
                "gateway edge {{ listener web port 80 http {{ host \"*\" }}\n{gateway} }}\nauthorize edge {{ allow from anyone }}\n\
                 route edge {{ rule all {{ match /**\nto s\n{rule} }} }}\nservice s {{ port 80 http }}\n\
                 authorize s {{ allow from gateway edge }}\n"
            )
        };
        let refused = |text: &str| {
            let compilation = compile(&SourceSet::single("test.mesh", text), &StandIns::new());
            assert!(compilation.diagnostics.is_empty(), "{text}");
            compilation.unexecuted.len()
        };
        assert_eq!([refused(&text("", "")), refused(&text(limit, "")), refused(&text("", limit))], [0, 1, 1]);
    }

    #[test]
    fn what_is_outside_is_known_by_one_name_or_by_endpoints_and_expected_to_be_somebody() {
        let refused = |statements: &str| {
            let text = format!(
                "service web {{ port 80 http; calls s }}\nauthorize web {{ allow from anyone }}\n\
                 service s {{ port 443 http; {statements} }}\nauthorize s {{ allow from web }}"
            );
            let compilation = compile(&SourceSet::single("test.mesh", &text), &StandIns::new());
            assert!(compilation.diagnostics.is_empty(), "{text}: {:?}", compilation.diagnostics);
            compilation.unexecuted.into_iter().map(|diagnostic| diagnostic.message).collect::<Vec<_>>()
        };
        let nothing: [&str; 0] = [];
        let at = "endpoints static \"192.0.2.1\"";
        assert_eq!(refused(&format!("external \"x.test\"; tls ca system; {at}")), nothing);
        assert_eq!(
            refused(&format!("external \"*.x.test\"; tls host \"a.x.test\" ca system; {at}")),
            nothing
        );
        assert_eq!(refused(&format!("external \"192.0.2.0/24\"; tls none; {at}")), nothing);
        let looked_up = "endpoints dns \"a.x.test\"";
        assert_eq!(refused("external \"x.test\"; tls ca system"), nothing);
        assert_eq!(refused("external \"192.0.2.1\"; tls ca system"), nothing);
        assert_eq!(refused(&format!("external \"*.x.test\"; tls none; {looked_up}")), nothing);
        for external in ["\"*.x.test\"", "\"**.x.test\"", "\"x.test\", \"y.test\""] {
            for tls in ["none", "ca system"] {
                assert_eq!(refused(&format!("external {external}; tls {tls}")), nothing, "{external}");
            }
            assert_eq!(
                refused(&format!(
                    "external {external}; tls none; health-check tcp {{ interval 5s; timeout 1s }}"
                )),
                ["`health-check` of who callers name is not executed by this version's proxy"]
            );
        }
        let asked = "external \"*.x.test\"; tls none }\nservice c { port 81 http }\nauthorize c { allow from anyone }\n\
                     route c { rule all { match GET /**; to c; mirror s 1% }\notherwise 404 }\n\
                     authorize d { allow from anyone }\nservice d { port 82 grpc";
        assert_eq!(refused(asked), ["`mirror` to who callers name is not executed by this version's proxy"]);
        for external in ["\"192.0.2.0/24\"", "\"192.0.2.1\", \"x.test\"", "\"192.0.2.1\", \"2001:db8::1\""] {
            assert_eq!(refused(&format!("external {external}; tls ca system")), nothing, "{external}");
        }
        let of = |external: &str, protocol: &str| {
            let text = format!(
                "service s {{ port 443 {protocol}; external {external} }}\nauthorize s {{ allow from anyone }}"
            );
            let compilation = compile(&SourceSet::single("test.mesh", &text), &StandIns::new());
            assert!(compilation.diagnostics.is_empty(), "{text}: {:?}", compilation.diagnostics);
            compilation.unexecuted.into_iter().map(|diagnostic| diagnostic.message).collect::<Vec<_>>()
        };
        let without = |protocol: &str, none: &str| {
            format!(
                "a `{protocol}` port of who callers name, which says no {none}, is not executed by this version's proxy"
            )
        };
        assert_eq!(of("\"192.0.2.0/24\"", "tcp"), nothing);
        assert_eq!(of("\"192.0.2.0/24\"", "tls"), [without("tls", "address")]);
        assert_eq!(of("\"*.x.test\"", "tcp"), [without("tcp", "name")]);
        assert_eq!(of("\"*.x.test\"", "tls"), nothing);
        let message = "`external` with a name that ends in a number, without `endpoints`, is not executed by this version's proxy";
        assert_eq!(refused("external \"*.1\"; tls none"), [message]);
        let unnamed = "`tls` without a `host`, beside an `external` that is not one name, is not executed by this version's proxy";
        for external in ["\"*.x.test\"", "\"192.0.2.0/24\"", "\"x.test\", \"y.test\""] {
            assert_eq!(refused(&format!("external {external}; tls ca system; {at}")), [unnamed]);
        }
    }

    #[test]
    fn tls_is_passed_on_by_name_and_not_for_other_clusters() {
        let text = |passthrough: &str| {
            format!(
                "gateway edge {{ listener web port 443 tls {{ host \"a.test\"; tls {passthrough} }} }}\n\
                 authorize edge {{ allow from anyone }}\nroute edge {{ to s }}\n\
                 service web {{ port 80 http; calls s }}\nauthorize web {{ allow from anyone }}\n\
                 service s {{ port 443 tls }}\nauthorize s {{ allow from gateway edge, web }}\n"
            )
        };
        let refused = |passthrough: &str| {
            let compilation = compile(&SourceSet::single("test.mesh", &text(passthrough)), &StandIns::new());
            assert!(compilation.diagnostics.is_empty(), "{:?}", compilation.diagnostics);
            compilation.unexecuted.into_iter().map(|diagnostic| diagnostic.message).collect::<Vec<_>>()
        };
        assert!(refused("passthrough").is_empty());
        let message = "`tls passthrough mesh` is not executed by this version's proxy";
        assert_eq!(refused("passthrough mesh"), [message]);
    }

    #[test]
    fn websockets_are_executed_in_both_versions_of_http() {
        for (listener, protocol) in
            ["http", "http2"].map(|listener| ["http", "http2", "grpc"].map(|port| (listener, port))).concat()
        {
            let text = format!(
                "gateway edge {{ listener web port 80 {listener} {{ host \"*\" }} }}\nauthorize edge {{ allow from anyone }}\n\
                 route edge {{ rule live {{ match GET /live; to s; upgrade websocket; timeout none }}; otherwise 404 }}\n\
                 service s {{ port 80 {protocol} }}\nauthorize s {{ allow from gateway edge }}\n"
            );
            let compilation = compile(&SourceSet::single("test.mesh", &text), &StandIns::new());
            assert!(compilation.diagnostics.is_empty(), "{:?}", compilation.diagnostics);
            assert!(
                compilation.unexecuted.is_empty(),
                "{listener} to {protocol}: {:?}",
                compilation.unexecuted
            );
        }
    }
}
