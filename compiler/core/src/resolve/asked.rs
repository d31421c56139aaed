//! `check ext-authz`: who has to agree besides, to what, and how they are asked (`spec/semantics.md` 12.4).

use super::scope::{self, Place, Scope, Target};
use super::shared::Named;
use super::{access, shape};
use crate::model::{Authority, Check, Model, PortId, ServiceId};
use mesh_lang::ast::{self, OnFailure, Protocol};
use mesh_lang::{Code, Diagnostic, Diagnostics, Span};

/// What the `check` lines of an `authorize` say of a target, for each of its ports or listeners.
pub(super) fn read(
    authorize: &ast::Authorize,
    target: Target,
    place: Place<'_>,
    scope: &Scope,
    model: &Model,
    diagnostics: &mut Diagnostics,
) -> Vec<Vec<Check>> {
    let count = match target {
        Target::Service(service) => model[service].ports.len(),
        Target::Gateway(gateway) => model[gateway].listeners.len(),
    };
    let mut doors: Vec<Vec<Check>> = vec![Vec::new(); count];
    for check in &authorize.checks {
        match resolve(check, target, place, scope, model) {
            // Half of it is missing, which is told where it is declared.
            Ok(None) => {}
            Ok(Some((found, only))) => {
                let about =
                    doors.iter_mut().zip(0..).filter(|(_, door)| only.is_none_or(|only| only == *door));
                about.for_each(|(door, _)| door.push(found.clone()));
            }
            Err(problem) => diagnostics.push(problem),
        }
    }
    doors
}

/// A line, and the only port that it is about, if it names one.
fn resolve(
    check: &ast::Check,
    target: Target,
    place: Place<'_>,
    scope: &Scope,
    model: &Model,
) -> Result<Option<(Check, Option<u32>)>, Diagnostic> {
    let Some((Named::ExtAuthz(declared), home)) = scope.shared.get(&check.ext_authz.value, place) else {
        return Err(scope.shared.unknown(ast::Shared::ExtAuthz, &check.ext_authz, place));
    };
    let only = match (target, &check.port) {
        (Target::Service(service), Some(port)) => {
            Some(scope::port(model, service, Some(port), check.span)?.port)
        }
        (Target::Gateway(_), Some(port)) => return Err(access::no_ports(port)),
        (_, None) => None,
    };
    let Some(authority) = authority(declared, home, scope, model) else { return Ok(None) };
    let connections = connections(target, only, model);
    let speaks = model.port(authority.to).protocol;
    if connections && speaks != Protocol::Grpc {
        return Err(Diagnostic::new(
            Code::ProtocolMismatch,
            format!("ext-authz `{}` cannot be asked about connections", authority.name),
        )
        .at(check.span, "nothing in these connections is a request")
        .at(model.port(authority.to).span, "asked by sending the request's head here")
        .help("Ask one that speaks gRPC, or say which port the `check` is about: `to port NAME`."));
    }
    Ok(Some((Check { authority, shapes: shape::of_ops(&check.ops), span: check.span }, only)))
}

/// Whether some of what a line is about are connections.
fn connections(target: Target, only: Option<u32>, model: &Model) -> bool {
    let about = |port: u32| only.is_none_or(|only| only == port);
    match target {
        Target::Service(id) => model[id]
            .ports
            .iter()
            .zip(0..)
            .any(|(port, number)| about(number) && sees_connections(port.protocol)),
        Target::Gateway(id) => model[id].listeners.iter().any(|listener| sees_connections(listener.protocol)),
    }
}

fn sees_connections(protocol: Protocol) -> bool {
    matches!(protocol, Protocol::Tcp | Protocol::Tls)
}

/// `None` where something that it needs is missing.
fn authority(declared: &ast::Authority, home: Place<'_>, scope: &Scope, model: &Model) -> Option<Authority> {
    let Target::Service(service) = scope.known(declared.service.as_ref()?, home)? else { return None };
    Some(Authority {
        name: declared.name.value.clone(),
        to: port(service, model).ok()?,
        timeout: declared.timeout?.value,
        lets_in_on_failure: declared.on_failure?.value == OnFailure::Allow,
    })
}

/// Who counts for global limits, by their numbers.
pub(super) fn limiters(scope: &Scope, model: &Model) -> Vec<Option<(Authority, Span)>> {
    let all = scope.shared.limiters();
    all.map(|(declared, home)| {
        let own = authority(declared, home, scope, model)?;
        (model.port(own.to).protocol == Protocol::Grpc).then_some((own, declared.name.span))
    })
    .collect()
}

/// Says of a `rate-limiter` whose service cannot be asked that it is so.
pub(super) fn counts_nowhere(
    declared: &ast::Authority,
    home: Place<'_>,
    scope: &Scope,
    model: &Model,
    diagnostics: &mut Diagnostics,
) {
    place_of(declared, home, scope, model, diagnostics);
    let Some(own) = authority(declared, home, scope, model) else { return };
    let port = model.port(own.to);
    if port.protocol != Protocol::Grpc {
        let name = &declared.name;
        diagnostics.push(
            Diagnostic::new(
                Code::ProtocolMismatch,
                format!("rate-limiter `{}` does not speak gRPC", name.value),
            )
            .at(name.span, "asked by `envoy.service.ratelimit.v3.RateLimitService`")
            .at(port.span, "its only port")
            .help("Give its service a port of `grpc`."),
        );
    }
}

/// Says of an `ext-authz` whose service can be asked nowhere, or in several places, that it is so.
pub(super) fn place_of(
    declared: &ast::Authority,
    home: Place<'_>,
    scope: &Scope,
    model: &Model,
    diagnostics: &mut Diagnostics,
) {
    let Some(name) = &declared.service else { return };
    let Some(Target::Service(service)) = scope.known(name, home) else { return };
    let own = &model[service];
    let (message, label, help) = match port(service, model) {
        // Of a service without a port it is told where somebody calls it.
        Err(Ports::None) if own.ports.is_empty() => return,
        Ok(_) => return,
        Err(Ports::None) => (
            format!("`{name}` has no port at which it could be asked"),
            "speaks neither gRPC nor HTTP",
            "Give it a port of `grpc`, `http` or `http2`.",
        ),
        Err(Ports::Several) => (
            format!("`{name}` has several ports at which it could be asked"),
            "which one is not said",
            "Ask a service with one port of `grpc`, or with none and one of `http` or `http2`.",
        ),
    };
    diagnostics.push(
        Diagnostic::new(Code::ProtocolMismatch, message)
            .at(name.span, label)
            .at(own.workload.span, "declared here")
            .help(help),
    );
}

/// Where a service is asked: at its one port of gRPC, or where it has none, at its one port of HTTP.
fn port(service: ServiceId, model: &Model) -> Result<PortId, Ports> {
    let of = |kinds: &[Protocol]| -> Vec<u32> {
        let ports = model[service].ports.iter().zip(0..);
        ports.filter(|(port, _)| kinds.contains(&port.protocol)).map(|(_, number)| number).collect()
    };
    let grpc = of(&[Protocol::Grpc]);
    let ports = if grpc.is_empty() { of(&[Protocol::Http, Protocol::Http2]) } else { grpc };
    match ports.as_slice() {
        [] => Err(Ports::None),
        [port] => Ok(PortId { service, port: *port }),
        _ => Err(Ports::Several),
    }
}

/// How many ports there are to ask at, where it is not one.
enum Ports {
    None,
    Several,
}

/// A target's lines in the order in which they are asked, whatever files they are from.
pub(super) fn in_order(checks: &mut [Check]) {
    checks.sort_by(|one, other| {
        (&one.authority.name, &one.shapes, one.span).cmp(&(&other.authority.name, &other.shapes, other.span))
    });
}
