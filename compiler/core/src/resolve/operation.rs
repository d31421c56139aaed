//! What a service says of where it is, how it is reached and how much it bears: names looked up, parts that are needed, and
//! statements that could never act (`spec/semantics.md` 10 and 11).

use super::declarations::{missing, once_each, telemetry, unknown_among};
use super::scope::{Place, Scope};
use super::service::ZONE;
use super::settings::{has_limit, has_outlier_detection};
use super::{Mistakes, Module, declared, gateway, outliers, outside, route};
use mesh_lang::ast::{
    self, EndpointSource, Endpoints, Limits, ListenerTls, ProbeKind, Protocol, RateKey, Shared, Tls,
};
use mesh_lang::{Code, Diagnostic, Diagnostics, Name, Span, Text};
use std::collections::BTreeSet;

/// What is wrong with what a service says of itself; `clusters` are those of the mesh.
pub(super) fn of_service(
    service: &ast::Service,
    place: Place<'_>,
    scope: &Scope,
    clusters: &[Name],
    diagnostics: &mut Diagnostics,
) {
    let mut about = About { service, place, scope, clusters, diagnostics };
    about.places();
    about.sources();
    about.outside();
    about.health();
    about.limits(&service.limits);
    about.pending(&service.limits, &service.settings);
    let used =
        service.settings.uses.iter().chain(service.calls.iter().flat_map(|calls| &calls.settings.uses));
    for name in used {
        if let Some((super::shared::Named::Profile(profile), _)) = scope.shared.get(&name.value, place) {
            about.limits(&profile.limits);
        }
    }
    for calls in &service.calls {
        about.limits(&calls.limits);
        about.pending(&calls.limits, &calls.settings);
    }
    outliers::of_service(service, place, scope, about.diagnostics);
    telemetry(&service.telemetry, place, scope, diagnostics);
}

/// What is wrong with the limits of a route.
pub(super) fn of_route(route: &ast::Route, place: Place<'_>, scope: &Scope, diagnostics: &mut Diagnostics) {
    for rule in &route.rules {
        rate_limits(&rule.limits, false, place, scope, diagnostics);
    }
}

/// What is wrong with what gateways say of themselves.
pub(super) fn of_gateways(modules: &[Module<'_>], scope: &Scope, mistakes: &mut Mistakes) {
    for (place, gateway) in declared(modules, gateway) {
        let diagnostics = mistakes.of(place.file);
        telemetry(&gateway.telemetry, place, scope, diagnostics);
        rate_limits(&gateway.limits, gateway.trusted_hops.is_some(), place, scope, diagnostics);
        for listener in &gateway.listeners {
            answers_at_once(gateway, listener, place, modules, scope, diagnostics);
            rate_limits(&listener.limits, gateway.trusted_hops.is_some(), place, scope, diagnostics);
            listener_tls(listener, diagnostics);
        }
    }
}

/// A listener that redirects everything has no use for routes.
fn answers_at_once(
    gateway: &ast::Gateway,
    listener: &ast::Listener,
    place: Place<'_>,
    modules: &[Module<'_>],
    scope: &Scope,
    diagnostics: &mut Diagnostics,
) {
    let Some(redirect) = listener.redirect_https else { return };
    let own = ast::ServiceRef::new(gateway.name.span, gateway.name.value.clone());
    let Some(target) = scope.known(&own, place) else { return };
    for (place, route) in declared(modules, route) {
        let here = match &route.listener {
            Some(name) => name.value == listener.name.value,
            None => gateway.listeners.len() == 1,
        };
        if here && scope.known(&route.target, place) == Some(target) {
            diagnostics.push(
                Diagnostic::new(
                    Code::VainStatement,
                    format!("listener `{}` redirects every request", listener.name.value),
                )
                .at(route.span, "no request gets here")
                .at(redirect.span, "answers before any route")
                .help("Delete the route, or write it for the listener that speaks `https`."),
            );
        }
    }
}

/// Gateways that believe no proxy, with the directory that each stands in: they do not know the client's address.
pub(super) type Unbelieving<'a> = Vec<(Place<'a>, &'a ast::Gateway)>;

pub(super) fn unbelieving<'a>(gateways: &[(Place<'a>, &'a ast::Gateway)]) -> Unbelieving<'a> {
    gateways.iter().filter(|(_, gateway)| gateway.trusted_hops.is_none()).copied().collect()
}

/// `client-ip` in a condition about a target rests on proxies that somebody believes.
pub(super) fn client_address(
    target: &ast::ServiceRef,
    when: &[ast::Condition],
    place: Place<'_>,
    scope: &Scope,
    unbelieving: &Unbelieving<'_>,
    diagnostics: &mut Diagnostics,
) {
    let Some(condition) = when.iter().find(|condition| condition.field == ast::Field::ClientIp) else {
        return;
    };
    let Some(target) = scope.known(target, place) else { return };
    let own = |(home, gateway): &&(Place<'_>, &ast::Gateway)| {
        let own = ast::ServiceRef::new(gateway.name.span, gateway.name.value.clone());
        scope.known(&own, *home) == Some(target)
    };
    if let Some((_, gateway)) = unbelieving.iter().find(own) {
        diagnostics.push(
            Diagnostic::new(
                Code::MissingStatement,
                format!("gateway `{}` does not say which proxies before it are believed", gateway.name.value),
            )
            .at(condition.span, "nobody knows the client's address")
            .at(gateway.name.span, "no `trusted-hops`")
            .help("Add `trusted-hops 1` to the gateway, or write `source-ip` for the other end of the connection."),
        );
    }
}

struct About<'a> {
    service: &'a ast::Service,
    place: Place<'a>,
    scope: &'a Scope,
    clusters: &'a [Name],
    diagnostics: &'a mut Diagnostics,
}

impl About<'_> {
    fn say(&mut self, code: Code, message: String, span: Span, label: &str, help: &str) {
        self.diagnostics.push(Diagnostic::new(code, message).at(span, label).help(help));
    }

    /// Of zones one is preferred where there are two.
    fn zones(&mut self) {
        let service = self.service;
        let Some(locality) = service.locality.filter(|_| !service.endpoints.is_empty()) else { return };
        let zone = |one: &Endpoints| {
            let label = one.labels.iter().find(|label| label.key.value == ZONE);
            label.map(|label| label.value.value.clone())
        };
        let zones: BTreeSet<Option<Text>> = service.endpoints.iter().map(zone).collect();
        let name = &service.name.value;
        let message = match zones.first() {
            _ if zones.len() > 1 => return,
            Some(Some(zone)) => format!("all endpoints of `{name}` are in zone `{zone}`"),
            _ => format!("no endpoint of `{name}` says its zone"),
        };
        let help = "Write where each is: `endpoints static \"…\" label zone = \"a\"`, or delete it.";
        self.say(Code::VainStatement, message, locality, "prefers some to others", help);
    }

    /// Clusters, failover and endpoints.
    fn places(&mut self) {
        let service = self.service;
        once_each("cluster", &service.clusters, self.diagnostics);
        let in_endpoints = service.endpoints.iter().filter_map(|one| one.cluster.as_ref());
        let in_subsets = service.subsets.iter().filter_map(|one| one.cluster.as_ref());
        for name in service.clusters.iter().chain(in_endpoints).chain(in_subsets) {
            unknown_among("cluster", name, self.clusters, "clusters", self.diagnostics);
        }
        if let Some(name) = service.failover.iter().skip(1).find(|name| name.value == "local") {
            let help = "Write `local` first: the caller's own cluster is where a request is.";
            self.say(Code::InvalidValue, "`local` is not the first".into(), name.span, "", help);
        }
        for subset in &service.subsets {
            if subset.labels.is_empty() && subset.cluster.is_none() && subset.endpoints.is_empty() {
                let message = format!("subset `{}` does not say what belongs to it", subset.name.value);
                let help = format!("Add labels: `subset {0} label version = \"{0}\"`.", subset.name.value);
                self.say(
                    Code::MissingStatement,
                    message,
                    subset.span,
                    "no label, cluster or endpoint",
                    &help,
                );
            }
        }
        self.zones();
        let kind = |source: &EndpointSource| std::mem::discriminant(source);
        if let [first, rest @ ..] = service.endpoints.as_slice()
            && let Some(other) = rest.iter().find(|other| kind(&other.source) != kind(&first.source))
        {
            self.diagnostics.push(
                Diagnostic::new(Code::DuplicateStatement, "endpoints come from two kinds of source")
                    .at(other.span, "another kind here")
                    .at(first.span, "one kind here")
                    .help("Keep one of the two kinds; an `env` block may have another than the rest."),
            );
        }
    }

    /// External services, TLS and identity.
    fn outside(&mut self) {
        let service = self.service;
        let external = service.external.first();
        for name in &service.external {
            if !is_outside_name(&name.value) {
                let message = format!("`{}` is neither a name nor a network", name.value);
                let help = "Write a name like `\"www.example.com\"`, a pattern like `\"*.example.com\"`, or a network like `\"192.0.2.0/24\"`.";
                self.say(Code::InvalidValue, message, name.span, "", help);
            }
        }
        if let Some(name) = external {
            let inside: [(Option<Span>, &str); 6] = [
                (service.mtls.map(|one| one.span), "mtls"),
                (service.subsets.first().map(|one| one.span), "subset"),
                (service.jwts.first().map(|one| one.span), "jwt"),
                (
                    service.identity.as_ref().or(service.service_account.as_ref()).map(|one| one.span),
                    "identity",
                ),
                (service.calls.first().map(|one| one.span), "calls"),
                (service.probes.first().map(|one| one.span), "probe"),
            ];
            for (span, word) in inside.into_iter().filter_map(|(span, word)| Some((span?, word))) {
                self.diagnostics.push(
                    Diagnostic::new(
                        Code::UnexpectedToken,
                        format!("`{}` is outside of the mesh and has no `{word}`", service.name.value),
                    )
                    .at(span, "is about services inside")
                    .at(name.span, "outside")
                    .help("Delete it."),
                );
            }
            let spoken = service.ports.iter().find(|port| port.protocol.value.is_http());
            if let (Some(port), None) = (spoken, &service.tls) {
                self.diagnostics.push(
                    Diagnostic::new(
                        Code::MissingStatement,
                        format!("external service `{}` does not say how it is spoken to", service.name.value),
                    )
                    .at(port.span, "in the clear, or over TLS?")
                    .help("Write `tls ca system` for TLS that is verified, or `tls none` for plain text."),
                );
            }
        } else if let Some(tls) = &service.tls {
            let message = format!("`{}` is inside the mesh and has a `tls`", service.name.value);
            let help = "Inside, mutual TLS is the mesh's own (`mtls`); `tls` is for `external` services.";
            self.say(Code::UnexpectedToken, message, tls.span, "is about services outside", help);
        }
        if let Some(tls) = service.tls.as_ref().filter(|tls| tls.value == Tls::Insecure) {
            self.diagnostics.push(
                Diagnostic::new(
                    Code::UnverifiedTls,
                    format!("nobody verifies who answers for `{}`", service.name.value),
                )
                .at(tls.span, "encrypted, whoever answers")
                .help("Write `tls ca system`, or `tls ca \"…\"` with the authority that signed the certificate."),
            );
        }
        if let Some(Tls::Verified { host: Some(host), .. }) = service.tls.as_ref().map(|tls| &tls.value) {
            let is_address = host.value.parse::<std::net::IpAddr>().is_ok();
            if !is_address && (host.value.contains(['*', '/']) || !is_outside_name(&host.value)) {
                let message = format!("`{}` is neither a name nor an address", host.value);
                let help =
                    "Write the name that the certificate is of: `tls host \"www.example.com\" ca system`.";
                self.say(Code::InvalidValue, message, host.span, "nobody can have it", help);
            }
        }
        if let Some(identity) = &service.identity
            && let Some(why) = super::access::not_an_identity(&identity.value)
        {
            let message = format!("`{}` is not a SPIFFE ID", identity.value);
            self.say(
                Code::InvalidValue,
                message,
                identity.span,
                why,
                "Write it whole: `identity \"spiffe://shop.example/vm/mysql-1\"`.",
            );
        }
        if let (Some(identity), Some(account)) = (&service.identity, &service.service_account) {
            self.diagnostics.push(
                Diagnostic::new(Code::DuplicateStatement, "the identity is said twice")
                    .at(identity.span, "whole here")
                    .at(account.span, "by its account here")
                    .help("Keep one of the two."),
            );
        }
    }

    /// Health checks and probes.
    fn health(&mut self) {
        let service = self.service;
        if let Some(check) = &service.health_check {
            let what = format!("the `health-check` of `{}`", service.name.value);
            if check.interval.is_none() {
                self.diagnostics.push(missing(&what, "interval", check.span, "interval 5s"));
            }
            if check.timeout.is_none() {
                self.diagnostics.push(missing(&what, "timeout", check.span, "timeout 1s"));
            }
            if let (Some(interval), Some(timeout)) = (check.interval, check.timeout)
                && timeout.value > interval.value
            {
                let help = "Make the timeout shorter than the interval.";
                self.say(
                    Code::InvalidValue,
                    "an endpoint is asked again before its answer is given up".into(),
                    timeout.span,
                    "longer than the interval",
                    help,
                );
            }
            let asks_http = matches!(check.probe, ProbeKind::Get(_));
            if asks_http
                && service.ports.iter().all(|port| !port.protocol.value.is_http())
                && !service.ports.is_empty()
            {
                let message = format!("`{}` speaks no HTTP", service.name.value);
                self.say(
                    Code::ProtocolMismatch,
                    message,
                    check.span,
                    "asks over HTTP",
                    "Write `health-check tcp`.",
                );
            }
        }
        if let Some(threshold) = service.panic_threshold
            && service.health_check.is_none()
            && !has_limit(&service.settings, &service.limits, self.place, self.scope, has_outlier_detection)
        {
            self.say(
                Code::VainStatement,
                "no endpoint is ever found unhealthy".into(),
                threshold.span,
                "a share of the healthy ones",
                "Add a `health-check` or an `outlier-detection`, or delete it.",
            );
        }
        if let Some(threshold) = service.panic_threshold.filter(|threshold| threshold.value == 0) {
            self.say(
                Code::VainStatement,
                "no share of endpoints is less than none".into(),
                threshold.span,
                "never reached",
                "Raise it, or delete it.",
            );
        }
        for (probe, index) in service.probes.iter().zip(0..) {
            self.probe(probe);
            let same = |first: &&ast::Probe| {
                first.kind == probe.kind
                    && first.port.as_ref().map(|port| &port.value)
                        == probe.port.as_ref().map(|port| &port.value)
            };
            if let Some(first) = service.probes[..index].iter().find(same) {
                self.diagnostics.push(
                    Diagnostic::new(Code::DuplicateStatement, "this probe is declared already")
                        .at(probe.span, "declared again here")
                        .at(first.span, "first declared here")
                        .help("Delete one of the two."),
                );
            }
        }
        for probe in &service.probes {
            if let Some(name) = &probe.port
                && !service
                    .ports
                    .iter()
                    .any(|port| port.name.as_ref().is_some_and(|own| own.value == name.value))
            {
                let message = format!("service `{}` has no port `{}`", service.name.value, name.value);
                self.say(
                    Code::PortNeeded,
                    message,
                    name.span,
                    "not a port of this service",
                    "Name one of its ports.",
                );
            } else if probe.port.is_none() && service.ports.len() > 1 {
                let message = format!("service `{}` has several ports", service.name.value);
                self.say(Code::PortNeeded, message, probe.span, "which one is not said", "Add `port NAME`.");
            }
        }
    }

    /// What a probe speaks is what its port speaks.
    fn probe(&mut self, probe: &ast::Probe) {
        let named = |port: &&ast::Port| match &probe.port {
            Some(name) => port.name.as_ref().is_some_and(|own| own.value == name.value),
            None => self.service.ports.len() == 1,
        };
        let Some(port) = self.service.ports.iter().find(named) else { return };
        let protocol = port.protocol.value;
        let fits = match probe.kind {
            ProbeKind::Get(_) => protocol.is_http() && protocol != Protocol::Grpc,
            ProbeKind::Grpc => matches!(protocol, Protocol::Grpc | Protocol::Http2),
            ProbeKind::Tcp => true,
        };
        if !fits {
            self.diagnostics.push(
                Diagnostic::new(
                    Code::ProtocolMismatch,
                    format!(
                        "port {} of `{}` speaks {}",
                        port.number.value,
                        self.service.name.value,
                        protocol.as_str()
                    ),
                )
                .at(probe.span, "asks in another protocol")
                .at(port.span, "declared here")
                .help("Write `probe GET /…` for HTTP, `probe grpc` for gRPC, `probe tcp` for whatever else."),
            );
        }
    }

    /// Names that are looked up are names.
    fn sources(&mut self) {
        let of_subsets = self.service.subsets.iter().flat_map(|subset| &subset.endpoints);
        let all: Vec<&EndpointSource> =
            self.service.endpoints.iter().chain(of_subsets).map(|endpoints| &endpoints.source).collect();
        let is_label = |text: &str| is_outside_name(text) && !text.contains(['/', '*', '.']);
        for source in all {
            let (names, fits, form): (&[Name], Fits<'_>, &str) = match source {
                EndpointSource::Dns(names) => (
                    names,
                    &outside::is_dns_endpoint,
                    "a name like `\"db.example\"`, or with a port, `\"db.example:5432\"`",
                ),
                EndpointSource::Kubernetes(name) => (
                    std::slice::from_ref(name),
                    &|text| {
                        let (namespace, name) = text.split_once('/').unwrap_or(("default", text));
                        is_label(namespace) && is_label(name)
                    },
                    "a Service like `\"web\"`, or `\"shop/web\"` with its namespace",
                ),
                EndpointSource::Docker(_) | EndpointSource::Consul(_) => continue,
                EndpointSource::Static(_) | EndpointSource::Passthrough => continue,
            };
            for name in names.iter().filter(|name| !fits(&name.value)) {
                self.say(
                    Code::InvalidValue,
                    format!("`{}` cannot be looked up", name.value),
                    name.span,
                    "not a name of this source",
                    &format!("Write {form}."),
                );
            }
        }
    }

    /// A request that is given up waits for no connection any more.
    fn pending(&mut self, limits: &Limits, settings: &ast::Settings) {
        let breaker = limits.circuit_breaker.as_ref();
        let pending = breaker.and_then(|breaker| breaker.value.pending_timeout);
        if let (Some(pending), Some(total)) = (pending, settings.timeout)
            && let ast::Timeout::After(total_is) = total.value
            && pending.value >= total_is
        {
            self.diagnostics.push(
                Diagnostic::new(Code::VainStatement, "the `pending-timeout` never passes")
                    .at(pending.span, "as long as the whole call, or longer")
                    .at(total.span, "the whole call")
                    .help("Make it shorter than the `timeout`."),
            );
        }
    }

    fn limits(&mut self, limits: &Limits) {
        if let Some(breaker) = &limits.circuit_breaker {
            let breaker_is = &breaker.value;
            let empty = breaker_is.max_connections.is_none()
                && breaker_is.max_pending_requests.is_none()
                && breaker_is.max_requests.is_none();
            if empty {
                let help = "Add a limit: `max-requests 1024`.";
                self.say(
                    Code::MissingStatement,
                    "the `circuit-breaker` limits nothing".into(),
                    breaker.span,
                    "",
                    help,
                );
            }
        }
        rate_limits(limits, false, self.place, self.scope, self.diagnostics);
    }
}

fn rate_limits(
    limits: &Limits,
    knows_client: bool,
    place: Place<'_>,
    scope: &Scope,
    diagnostics: &mut Diagnostics,
) {
    let mut seen: Vec<&ast::RateLimit> = Vec::new();
    for limit in &limits.rate_limits {
        if let Some(name) = &limit.by
            && !matches!(
                scope.shared.get(&name.value, place),
                Some((super::shared::Named::RateLimiter(_), _))
            )
        {
            diagnostics.push(scope.shared.unknown(Shared::RateLimiter, name, place));
        }
        if limit.per.contains(&RateKey::ClientIp) && !knows_client {
            diagnostics.push(
                Diagnostic::new(Code::MissingStatement, "nobody says which proxies before this one are believed")
                    .at(limit.span, "counts by `client-ip`")
                    .help("`client-ip` is for gateways with `trusted-hops`; write `source-ip` for the other end of the connection."),
            );
        }
        if let Some(first) = seen.iter().find(|first| first.per == limit.per && first.global == limit.global)
        {
            diagnostics.push(
                Diagnostic::new(Code::DuplicateStatement, "two limits count the same")
                    .at(limit.span, "again here")
                    .at(first.span, "first here")
                    .help("Keep the lower one."),
            );
        }
        seen.push(limit);
    }
}

/// TLS ends at `https`, `http2` and `grpc` listeners; it passes through `tls` ones.
fn listener_tls(listener: &ast::Listener, diagnostics: &mut Diagnostics) {
    let name = &listener.name.value;
    let protocol = listener.protocol.value;
    match (&listener.tls, protocol) {
        (None, Protocol::Https) => diagnostics.push(missing(
            &format!("listener `{name}`"),
            "tls",
            listener.span,
            "tls certificate \"shop-example\"",
        )),
        (None, Protocol::Tls) => {
            diagnostics.push(missing(&format!("listener `{name}`"), "tls", listener.span, "tls passthrough"))
        }
        (Some(tls), _) => {
            let passes = matches!(tls.value, ListenerTls::Passthrough { .. });
            let fits = match protocol {
                Protocol::Tls => passes,
                Protocol::Https | Protocol::Http2 | Protocol::Grpc => !passes,
                Protocol::Http | Protocol::Tcp => false,
            };
            if !fits {
                let help = "`tls certificate` is for `https`, `http2` and `grpc` listeners, `tls passthrough` for `tls` ones.";
                diagnostics.push(
                    Diagnostic::new(
                        Code::ProtocolMismatch,
                        format!("listener `{name}` speaks {}", protocol.as_str()),
                    )
                    .at(tls.span, "does not go with it")
                    .help(help),
                );
            }
        }
        (None, _) => {}
    }
    if let Some(status) = listener.redirect_https.filter(|_| protocol != Protocol::Http) {
        diagnostics.push(
            Diagnostic::new(
                Code::ProtocolMismatch,
                format!("listener `{name}` speaks {}", protocol.as_str()),
            )
            .at(status.span, "only requests in the clear are redirected to `https`")
            .help("Delete it."),
        );
    }
}

/// Whether a text is of a form.
type Fits<'a> = &'a dyn Fn(&str) -> bool;

/// A DNS name, with `*.` or `**.` perhaps, or a network.
fn is_outside_name(text: &str) -> bool {
    if text.contains('/') || text.parse::<std::net::IpAddr>().is_ok() {
        let name = Name { value: text.into(), span: Span::new(mesh_lang::FileId(0), 0, 0) };
        return super::address::block(&name).is_ok();
    }
    outside::is_name(text)
}

#[cfg(test)]
mod tests {
    use crate::testing::says;

    fn service(statements: &str) -> String {
        format!("service s {{\n{statements}\n}}\nauthorize s {{ allow from anyone }}\n")
    }

    #[test]
    fn what_is_outside_says_how_it_is_spoken_to() {
        let text = service("external \"www.example.com\"; port 443 http");
        says(&text, &["2 MESH1011 external service `s` does not say how it is spoken to"]);
        says(&text.replace("443 http", "443 http; tls ca system"), &[]);
        says(
            &text.replace("443 http", "443 http; tls insecure"),
            &["2 MESH5041 nobody verifies who answers for `s`"],
        );
        let host = |host: &str| text.replace("443 http", &format!("443 http; tls host \"{host}\" ca system"));
        says(&host("www.example.com"), &[]);
        says(&host("192.0.2.1"), &[]);
        for wrong in ["*.example.com", "www.example.com:443", "192.0.2.0/24"] {
            says(&host(wrong), &[&format!("2 MESH1012 `{wrong}` is neither a name nor an address")]);
        }
        says(&service("external \"192.0.2.0/24\"; port 22 tcp"), &[]);
        says(
            &service("external \"192.0.2.1/24\"; port 22 tcp"),
            &["2 MESH1012 `192.0.2.1/24` is neither a name nor a network"],
        );
        says(&service("port 80 http; tls none"), &["2 MESH1006 `s` is inside the mesh and has a `tls`"]);
    }

    #[test]
    fn probes_speak_what_their_ports_speak() {
        says(&service("port 80 tcp; probe GET /x"), &["2 MESH5006 port 80 of `s` speaks tcp"]);
        says(&service("port 80 http; probe grpc"), &["2 MESH5006 port 80 of `s` speaks http"]);
        says(&service("port 80 tcp; probe tcp\nprobe tcp"), &["3 MESH1008 this probe is declared already"]);
        says(&service("port 80 grpc; probe tcp; probe grpc"), &[]);
    }

    #[test]
    fn what_is_looked_up_is_a_name() {
        says(&service("port 80 http; endpoints dns \"db.example\", \"db-2.example:80\""), &[]);
        says(
            &service(
                "port 80 http; endpoints dns \"not a name\", \"x.example:0\", \"*.x\", \"10.0.0.1\", \"0x7f\"",
            ),
            &[
                "2 MESH1012 `not a name` cannot be looked up",
                "2 MESH1012 `x.example:0` cannot be looked up",
                "2 MESH1012 `*.x` cannot be looked up",
                "2 MESH1012 `10.0.0.1` cannot be looked up",
                "2 MESH1012 `0x7f` cannot be looked up",
            ],
        );
        says(&service("port 80 http; endpoints kubernetes \"shop/web\""), &[]);
        says(
            &service("port 80 http; endpoints kubernetes \"a/b/c\""),
            &["2 MESH1012 `a/b/c` cannot be looked up"],
        );
    }

    #[test]
    fn a_threshold_needs_somebody_who_judges() {
        says(
            &service("port 80 http; panic-threshold 50%"),
            &["2 MESH5040 no endpoint is ever found unhealthy"],
        );
        says(
            &service("port 80 http; panic-threshold 0%; health-check tcp { interval 5s; timeout 1s }"),
            &["2 MESH5040 no share of endpoints is less than none"],
        );
        says(
            &service("port 80 http; panic-threshold 50%; health-check tcp { interval 5s; timeout 1s }"),
            &[],
        );
    }

    fn gateway(listener: &str, route: &str, line: &str) -> String {
        format!("gateway g {{ {listener} }}\n{route}\nauthorize g {{\n{line}\n}}\n")
    }

    #[test]
    fn nothing_gets_past_a_redirect_of_everything() {
        let listener = "listener l port 80 http { host \"*\"; redirect https 301 }";
        says(&gateway(listener, "", "allow from anyone"), &[]);
        says(
            &gateway(listener, "route g { rule r { respond 200 } }", "allow from anyone"),
            &["2 MESH5040 listener `l` redirects every request"],
        );
    }

    #[test]
    fn the_client_is_known_behind_proxies_that_are_believed() {
        let listener = "listener l port 80 http { host \"*\" }";
        let (route, line) =
            ("route g { rule r { respond 200 } }", "allow from anyone when client-ip = \"10.0.0.1\"");
        says(
            &gateway(listener, route, line),
            &["4 MESH1011 gateway `g` does not say which proxies before it are believed"],
        );
        says(&gateway(&format!("{listener}\ntrusted-hops 1\n"), route, line), &[]);
    }

    #[test]
    fn a_request_that_is_given_up_waits_no_more() {
        let text = |pending: &str| {
            service(&format!(
                "port 80 http; timeout 1s\ncircuit-breaker {{\nmax-requests 8\npending-timeout {pending}\n}}"
            ))
        };
        says(&text("1s"), &["5 MESH5040 the `pending-timeout` never passes"]);
        says(&text("900ms"), &[]);
    }

    #[test]
    fn zones_are_preferred_where_there_are_two() {
        let text = |first: &str, second: &str| {
            service(&format!(
                "port 80 http; locality zone\nendpoints static \"10.0.0.1\" {first}\nendpoints static \"10.0.0.2\" {second}"
            ))
        };
        let (a, b) = ("label zone = \"a\"", "label zone = \"b\"");
        says(&text(a, b), &[]);
        says(&text(a, ""), &[]);
        says(&text(a, a), &["2 MESH5040 all endpoints of `s` are in zone `a`"]);
        says(&text("", ""), &["2 MESH5040 no endpoint of `s` says its zone"]);
        says(&service("port 80 http; locality zone"), &[]);
    }

    #[test]
    fn clusters_are_declared() {
        let text = service("port 80 http; clusters east; endpoints dns \"s.example\" cluster west");
        says(&text, &["2 MESH2001 unknown cluster `east`", "2 MESH2001 unknown cluster `west`"]);
        says(&format!("mesh m {{ clusters east, west }}\n{text}"), &[]);
    }
}
