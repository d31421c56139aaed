//! `test` statements become cases: one concrete request each, and what is to come of it.

use super::scope::{self, Place, Scope, Target, workload};
use super::{access, asking, backend, route};
use crate::case::{self, Entry, Expectation};
use crate::model::Model;
use crate::quantified::Asking;
use mesh_lang::ast::{
    self, Asked, Destination, ExpectedOutcome, Field, PrincipalKind, Protocol, Quantifier, Timeout, ValueTest,
};
use mesh_lang::{Code, Diagnostic, Diagnostics, Name, Span};
use std::net::IpAddr;

/// A test with the requests that could be resolved.
pub(super) fn resolve(
    test: &ast::Test,
    place: &Place<'_>,
    scope: &Scope,
    model: &Model,
    diagnostics: &mut Diagnostics,
) -> (case::Test, Vec<Asking>) {
    let (mut requests, mut askings) = (Vec::new(), Vec::new());
    for line in &test.lines {
        let problems = match line.quantifier {
            Quantifier::Request => match resolve_request(line, *place, scope, model) {
                Ok(resolved) => {
                    requests.push(resolved);
                    continue;
                }
                Err(problems) => problems,
            },
            Quantifier::Every | Quantifier::Some => match asking::resolve(line, *place, scope, model) {
                Ok(resolved) => {
                    askings.push(resolved);
                    continue;
                }
                Err(problems) => problems,
            },
        };
        problems.into_iter().for_each(|problem| diagnostics.push(problem));
    }
    (case::Test { name: test.name.value.to_string(), span: test.span, requests, proofs: vec![] }, askings)
}

/// What is expected, its names looked up.
pub(super) fn expectation(
    expect: &ast::Expect,
    place: Place<'_>,
    scope: &Scope,
    model: &Model,
) -> Result<Expectation, Vec<Diagnostic>> {
    Ok(match &expect.outcome {
        ExpectedOutcome::Allow => Expectation::Allow,
        ExpectedOutcome::Deny => Expectation::Deny,
        ExpectedOutcome::Status(status) => Expectation::Status(*status),
        ExpectedOutcome::Redirect(redirect) => {
            let location = match &redirect.to {
                ast::RedirectTo::Location(location) => location.value.to_string(),
                ast::RedirectTo::Prefix(to) => format!("prefix {}", to.value),
                ast::RedirectTo::Parts { scheme, host } => {
                    let scheme = scheme.as_ref().map(|scheme| format!("scheme {}", scheme.value));
                    let host = host.as_ref().map(|host| format!("host {}", host.value));
                    scheme.into_iter().chain(host).collect::<Vec<_>>().join(" ")
                }
            };
            Expectation::Redirect { location, status: redirect.status.value }
        }
        ExpectedOutcome::Backends(backends) => {
            let found = backend::resolve(backends, expect.span, place, scope, model)?;
            let expected = found.into_iter().map(|destination| case::Backend {
                service: destination.to.service.0,
                port: destination.to.port,
                subset: destination.subset.unwrap_or(mesh_plan::NONE),
                weight: destination.weight,
                text: destination.text,
            });
            Expectation::Backends(expected.collect())
        }
    })
}

/// Where a request comes in, as whom, and what it says as host.
struct Arrival {
    entry: Entry,
    peer: Option<String>,
    host: String,
    host_port: Option<u16>,
}

fn resolve_request(
    request: &ast::TestLine,
    place: Place<'_>,
    scope: &Scope,
    model: &Model,
) -> Result<case::Request, Vec<Diagnostic>> {
    let (target, name) = match &request.to {
        Destination::Target(name) => (scope.target(name, place), name),
        Destination::Gateway(name) => (scope.gateway(name, place).map(Target::Gateway), name),
        Destination::Namespace(name) => return Err(vec![many_targets(name)]),
    };
    let (method, path) = match &request.asked {
        Asked::One(Some((method, path))) => (method.value.as_str(), path.value.as_str()),
        // A connection says neither.
        _ => ("", ""),
    };
    let asked = Question { request, name, method, path };
    let target = target.map_err(|problem| vec![problem])?;
    let arrival = match target {
        Target::Gateway(gateway) => at_gateway(&asked, gateway, place, scope, model),
        Target::Service(service) => at_service(&asked, service, place, scope, model),
    };
    let Arrival { entry, peer, host, host_port } = arrival.map_err(|problem| vec![problem])?;
    let expect = expectation(&request.expect, place, scope, model)?;
    let mut carried = Carried::of(&request.when);
    if let Some(problem) = preflight(request.span, method, &carried, model) {
        return Err(vec![problem]);
    }
    if let [only] = workload(model, target).issuers.as_slice() {
        let unsaid = carried.tokens.iter_mut().filter(|token| token.issuer.is_empty());
        unsaid.for_each(|token| token.issuer = only.to_string());
    }
    Ok(case::Request {
        span: request.span,
        expect_span: request.expect.span,
        entry,
        peer,
        method: method.to_owned(),
        host,
        host_port,
        path: path.to_owned(),
        query: carried.query.join("&"),
        headers: carried.headers(),
        source_ip: carried.source_ip,
        client_ip: carried.client_ip,
        tokens: carried.tokens,
        expect,
        timeout: request.expect.timeout.map(|timeout| match timeout.value {
            Timeout::None => None,
            Timeout::After(milliseconds) => Some(milliseconds),
        }),
        retry: request.expect.retry.map(|retry| retry.value),
        besides: besides(&request.expect, place, scope, model)?,
    })
}

/// Where some rule has `cors`, a proxy answers a preflight (Fetch 3.2.2) before it decides anything.
fn preflight(span: Span, method: &str, carried: &Carried, model: &Model) -> Option<Diagnostic> {
    let carries = |name: &str| carried.headers.iter().any(|(own, _)| own == name);
    let is_preflight = method == "OPTIONS" && carries("origin") && carries("access-control-request-method");
    (is_preflight && model.rules().any(|rule| rule.answers_preflights)).then(|| {
        Diagnostic::new(Code::UnexpectedToken, "a preflight is answered before anything is decided")
            .at(span, "asks what a browser may ask")
            .help("Test the request that comes after it.")
    })
}

/// What is expected besides an end, its names looked up.
pub(super) fn besides(
    expect: &ast::Expect,
    place: Place<'_>,
    scope: &Scope,
    model: &Model,
) -> Result<case::Besides, Vec<Diagnostic>> {
    let mirror = match &expect.mirror {
        None => None,
        Some(None) => Some(None),
        Some(Some(mirror)) => {
            let backend = std::slice::from_ref(&mirror.backend);
            let found = backend::resolve(backend, mirror.span, place, scope, model)?;
            let edit = found.first().map(|to| mesh_plan::Edit::Mirror {
                service: to.to.service.0,
                port: to.to.port,
                subset: to.subset.unwrap_or(mesh_plan::NONE),
                share: mirror.share.value,
            });
            Some(edit)
        }
    };
    let fault = expect.fault.flatten().map(|fault| match fault.kind {
        ast::FaultKind::Delay(delay) => {
            mesh_plan::Edit::Delay { delay: delay.value, share: fault.share.value }
        }
        ast::FaultKind::Abort(status) => {
            mesh_plan::Edit::Abort { status: status.value, share: fault.share.value }
        }
    });
    Ok(case::Besides { mirror, fault })
}

/// What a request carries besides method and path.
#[derive(Default)]
struct Carried {
    query: Vec<String>,
    headers: Vec<(String, String)>,
    cookies: Vec<String>,
    source_ip: Option<IpAddr>,
    client_ip: Option<IpAddr>,
    tokens: Vec<case::Token>,
}

impl Carried {
    fn of(facts: &[ast::Condition]) -> Carried {
        let mut carried = Carried::default();
        for fact in facts {
            carried.add(fact);
        }
        carried
    }

    fn add(&mut self, fact: &ast::Condition) {
        let value = match &fact.test {
            ValueTest::Equals(value) | ValueTest::Has(value) => value.value.as_str(),
            _ => "",
        };
        match &fact.field {
            Field::Header(name) => self.headers.push((name.value.to_string(), value.to_owned())),
            Field::Query(name) => self.query.push(format!("{}={}", encoded(&name.value), encoded(value))),
            Field::Cookie(name) => self.cookies.push(format!("{}={value}", name.value)),
            Field::SourceIp => self.source_ip = value.parse().ok(),
            Field::ClientIp => self.client_ip = value.parse().ok(),
            Field::Jwt(name) => {
                self.token(&name.value);
            }
            Field::Claim { issuer, path } => {
                let pointer: String =
                    path.iter().map(|step| format!("/{}", pointer_step(&step.value))).collect();
                let claims = &mut self.token(issuer.as_ref().map_or("", |name| &name.value)).claims;
                let known = claims.iter_mut().find(|(known, _)| *known == pointer);
                match (known, &fact.test) {
                    (Some((_, case::Claim::List(list))), ValueTest::Has(_)) => list.push(value.to_owned()),
                    (_, ValueTest::Has(_)) => {
                        claims.push((pointer, case::Claim::List(vec![value.to_owned()])))
                    }
                    _ => claims.push((pointer, case::Claim::Text(value.to_owned()))),
                }
            }
            Field::Path | Field::Host => {}
        }
    }

    fn token(&mut self, issuer: &str) -> &mut case::Token {
        let index = self.tokens.iter().position(|token| token.issuer == issuer).unwrap_or_else(|| {
            self.tokens.push(case::Token { issuer: issuer.to_owned(), claims: vec![] });
            self.tokens.len() - 1
        });
        &mut self.tokens[index]
    }

    fn headers(&self) -> Vec<(String, String)> {
        let cookies = (!self.cookies.is_empty()).then(|| ("cookie".to_owned(), self.cookies.join("; ")));
        self.headers.iter().cloned().chain(cookies).collect()
    }
}

/// A step of a JSON pointer (RFC 6901 3).
fn pointer_step(step: &str) -> String {
    step.replace('~', "~0").replace('/', "~1")
}

/// As it stands in a query: everything that could be read as something else is percent-encoded (RFC 3986 2.1).
fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let write = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(write).collect()
}

fn many_targets(namespace: &Name) -> Diagnostic {
    Diagnostic::new(Code::UnexpectedToken, "a namespace is many targets; a `request` has one")
        .at(namespace.span, "not one target")
        .help("Name a service or a gateway, or write `every` or `some`.")
}

/// A request has a method and a path; a connection has neither.
fn fits_protocol(asked: &Question<'_>, protocol: Protocol) -> Result<(), Diagnostic> {
    let span = asked.request.span;
    match (protocol.is_http(), asked.method.is_empty()) {
        (true, true) => {
            Err(Diagnostic::new(Code::MissingStatement, "the request says neither method nor path")
                .at(span, "what is asked is not said")
                .help(format!("Write e.g. `to {} GET / …`.", asked.name)))
        }
        (false, false) => Err(Diagnostic::new(
            Code::ProtocolMismatch,
            format!(
                "a connection has neither method nor path, and `{}` speaks {}",
                asked.name,
                protocol.as_str()
            ),
        )
        .at(span, "asks for a request")
        .help(format!("Write `to {} expect …`.", asked.name))),
        _ => Ok(()),
    }
}

/// A request and what it says, taken apart.
struct Question<'a> {
    request: &'a ast::TestLine,
    name: &'a ast::ServiceRef,
    /// Empty, as the path, where the test asks about a connection.
    method: &'a str,
    path: &'a str,
}

fn at_gateway(
    asked: &Question<'_>,
    gateway: crate::model::GatewayId,
    place: Place<'_>,
    scope: &Scope,
    model: &Model,
) -> Result<Arrival, Diagnostic> {
    let request = asked.request;
    if let Some(port) = &request.port {
        return Err(Diagnostic::new(Code::UnexpectedToken, "a gateway has listeners, not ports")
            .at(port.span, "has no meaning here")
            .help("Write `listener NAME` where the gateway has several."));
    }
    let listener = route::listener_of(model, gateway, request.listener.as_ref(), asked.name.span)?;
    let protocol = model[gateway].listeners[listener].protocol;
    fits_protocol(asked, protocol)?;
    let entry = Entry::Gateway { gateway: gateway.0, listener: listener as u32 };
    let peer = peer(request, place, scope, model)?;
    if protocol == Protocol::Tcp {
        return Ok(Arrival { entry, peer, host: String::new(), host_port: None });
    }
    let Some(host) = &request.host else {
        let Question { name, method, path, .. } = asked;
        return Err(Diagnostic::new(Code::MissingStatement, "a request to a gateway says a host")
            .at(name.span, "no host after it")
            .help(format!("Write `to {name} \"shop.example\" {method} {path} …`.")));
    };
    Ok(Arrival { entry, peer, host: host.value.to_string(), host_port: None })
}

fn at_service(
    asked: &Question<'_>,
    service: crate::model::ServiceId,
    place: Place<'_>,
    scope: &Scope,
    model: &Model,
) -> Result<Arrival, Diagnostic> {
    let request = asked.request;
    let extra = request
        .host
        .as_ref()
        .map(|host| (host.span, "a host"))
        .or(request.listener.as_ref().map(|name| (name.span, "a listener")));
    if let Some((span, what)) = extra {
        return Err(Diagnostic::new(
            Code::UnexpectedToken,
            format!("a request to a service says no more than its name, not {what}"),
        )
        .at(span, "has no meaning here")
        .help("Delete it: callers say the service's own name as host."));
    }
    let to = scope::port(model, service, request.port.as_ref(), asked.name.span)?;
    fits_protocol(asked, model.port(to).protocol)?;
    let (host, host_port) = (model[service].full_name(), Some(model.port(to).number));
    let arrival = |entry, peer| Ok(Arrival { entry, peer, host: host.clone(), host_port });
    let from = one_peer(request)?;
    match from.map(|from| &from.kind) {
        Some(PrincipalKind::Service(caller)) => {
            let caller = scope.service(caller, place)?;
            arrival(Entry::Sidecar { service: caller.0 }, None)
        }
        Some(PrincipalKind::Gateway(caller)) => {
            let caller = scope.gateway(caller, place)?;
            arrival(Entry::FromGateway { gateway: caller.0, service: service.0, port: to.port }, None)
        }
        _ => {
            arrival(Entry::Inbound { service: service.0, port: to.port }, peer(request, place, scope, model)?)
        }
    }
}

/// The identity of the one who asks; `None` is somebody without.
fn peer(
    request: &ast::TestLine,
    place: Place<'_>,
    scope: &Scope,
    model: &Model,
) -> Result<Option<String>, Diagnostic> {
    let Some(from) = one_peer(request)? else { return Ok(None) };
    let principal = access::principal(from, place, scope, model)?;
    match (&from.kind, model.identity(&principal)) {
        (_, Some(identity)) => Ok(Some(identity.to_string())),
        (PrincipalKind::Unauthenticated, None) => Ok(None),
        _ => Err(many_peers(&from.to_string(), from.span)),
    }
}

/// Who asks, if the request says it.
fn one_peer(request: &ast::TestLine) -> Result<Option<&ast::Principal>, Diagnostic> {
    match &request.from {
        None => Ok(None),
        Some(from) => match (&*from.principals, from.except.is_empty()) {
            ([one], true) => Ok(Some(one)),
            _ => Err(many_peers(&from.to_string(), from.span)),
        },
    }
}

fn many_peers(who: &str, span: Span) -> Diagnostic {
    Diagnostic::new(Code::UnexpectedToken, format!("`{who}` is many peers; a `request` is one"))
        .at(span, "not one peer")
        .help("Name a service, a `gateway`, an `identity \"spiffe://…\"`, or `unauthenticated`.")
}
