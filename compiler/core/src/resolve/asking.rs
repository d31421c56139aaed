//! `every` and `some` lines of tests: which requests they are about, and where those come in.

use super::scope::{self, Place, Scope, Target, workload};
use super::{access, declarations, route, shape, test};
use crate::model::{GatewayId, Model, PeerSet, Polarity, PortId, Principal, ServiceId};
use crate::quantified::{Asking, Entry};
use crate::space::peer::Candidate;
use mesh_lang::ast::{self, Asked, Destination, Effect, PrincipalKind, Protocol, Quantifier, Timeout};
use mesh_lang::{Code, Diagnostic};

/// What a line asks.
pub(super) fn resolve(
    line: &ast::TestLine,
    place: Place<'_>,
    scope: &Scope,
    model: &Model,
) -> Result<Asking, Vec<Diagnostic>> {
    let targets = targets(line, place, scope, model)?;
    // `every` is about all that could be meant, `some` about what is certainly meant.
    let polarity = match line.quantifier {
        Quantifier::Every => Polarity::Refusal,
        Quantifier::Some | Quantifier::Request => Polarity::Grant,
    };
    let ops = match &line.asked {
        Asked::All(Some(op)) => std::slice::from_ref(op),
        _ => &[],
    };
    let owner = targets.first().map(|(target, _)| *target);
    let when = match owner {
        Some(target) => declarations::with_issuers(&line.when, workload(model, target))?,
        None => line.when.as_slice().into(),
    };
    let shapes = shape::of_access(ops, &when, polarity)?;
    let of_requests = !ops.is_empty() || line.when.iter().any(|one| one.field != ast::Field::SourceIp);
    let mut entries = Vec::new();
    for (target, port) in targets {
        match (target, port) {
            (Target::Gateway(gateway), _) => entries.extend(at_gateway(line, gateway, place, scope, model)?),
            (Target::Service(_), Some(port)) if of_requests && !model.port(port).protocol.is_http() => {
                if !matches!(line.to, Destination::Namespace(_)) {
                    return Err(vec![no_requests(line, model.port(port).protocol)]);
                }
            }
            (Target::Service(_), Some(port)) => entries.extend(at_port(line, port, place, scope, model)?),
            (Target::Service(_), None) => {}
        }
    }
    Ok(Asking {
        span: line.span,
        expect_span: line.expect.span,
        quantifier: line.quantifier,
        entries,
        shapes,
        expect: test::expectation(&line.expect, place, scope, model)?,
        timeout: line.expect.timeout.map(|timeout| match timeout.value {
            Timeout::None => None,
            Timeout::After(milliseconds) => Some(milliseconds),
        }),
        retry: line.expect.retry.map(|retry| retry.value),
        besides: test::besides(&line.expect, place, scope, model)?,
    })
}

fn no_requests(line: &ast::TestLine, protocol: Protocol) -> Diagnostic {
    Diagnostic::new(
        Code::ProtocolMismatch,
        format!("a connection has neither method nor path, and the target speaks {}", protocol.as_str()),
    )
    .at(line.span, "asks for requests")
    .help("Leave out methods, paths and conditions on requests.")
}

/// Services with their ports, and gateways.
fn targets(
    line: &ast::TestLine,
    place: Place<'_>,
    scope: &Scope,
    model: &Model,
) -> Result<Vec<(Target, Option<PortId>)>, Vec<Diagnostic>> {
    let one = |problem| vec![problem];
    let target = match &line.to {
        Destination::Namespace(name) if !scope.has_namespace(&name.value) => {
            return Err(one(scope.unknown_namespace(&name.value, name.span)));
        }
        Destination::Namespace(name) => {
            let services =
                model.services.iter().zip(0..).filter(|(own, _)| own.workload.namespace == name.value);
            let ports =
                services.flat_map(|(own, id)| (0..own.ports.len() as u32).map(move |port| (id, port)));
            let found: Vec<_> = ports
                .map(|(id, port)| {
                    (Target::Service(ServiceId(id)), Some(PortId { service: ServiceId(id), port }))
                })
                .collect();
            if found.is_empty() {
                return Err(one(Diagnostic::new(
                    Code::EmptyPrincipals,
                    format!("namespace `{}` has no service with a port", name.value),
                )
                .at(name.span, "nothing to ask")
                .help("Name a service, a gateway, or another namespace.")));
            }
            return Ok(found);
        }
        Destination::Target(name) => scope.target(name, place).map_err(one)?,
        Destination::Gateway(name) => Target::Gateway(scope.gateway(name, place).map_err(one)?),
    };
    let span = match &line.to {
        Destination::Target(name) | Destination::Gateway(name) => name.span,
        Destination::Namespace(name) => name.span,
    };
    match target {
        Target::Gateway(_) => Ok(vec![(target, None)]),
        Target::Service(service) => {
            let port = scope::port(model, service, line.port.as_ref(), span).map_err(one)?;
            Ok(vec![(target, Some(port))])
        }
    }
}

/// Callers that have a proxy of their own come from it; everybody else reaches the port.
fn at_port(
    line: &ast::TestLine,
    to: PortId,
    place: Place<'_>,
    scope: &Scope,
    model: &Model,
) -> Result<Vec<Entry>, Vec<Diagnostic>> {
    if let Some(wrong) =
        line.host.as_ref().map(|host| host.span).or(line.listener.as_ref().map(|name| name.span))
    {
        return Err(vec![
            Diagnostic::new(Code::UnexpectedToken, "a service has neither hosts nor listeners")
                .at(wrong, "has no meaning here")
                .help("Delete it: callers say the service's own name as host."),
        ]);
    }
    let Some(from) = &line.from else {
        let everybody = PeerSet { of: vec![Principal::Anyone], except: vec![] };
        return Ok(vec![Entry::Inbound { from: everybody, to }]);
    };
    let set = access::peers(from, Effect::Allow, place, scope, model)?;
    let (mut entries, mut rest) = (Vec::new(), Vec::new());
    for principal in members(&from.principals, place, scope) {
        let (principal, home) = principal;
        match &principal.kind {
            PrincipalKind::Service(name) => {
                let caller = scope.service(name, home).map_err(|problem| vec![problem])?;
                entries.push(Entry::Sidecar { caller, to });
            }
            PrincipalKind::Gateway(name) => {
                let gateway = scope.gateway(name, home).map_err(|problem| vec![problem])?;
                entries.push(Entry::FromGateway { gateway, to });
            }
            _ => access::add_principals(principal, home, scope, model, &mut rest)
                .map_err(|problem| vec![problem])?,
        }
    }
    if !rest.is_empty() {
        entries.push(Entry::Inbound { from: PeerSet { of: rest, except: set.except.clone() }, to });
    }
    // An exception takes a caller away as a whole.
    let meant = |identity: &str| Candidate::of_identity(model, identity).is_in(&set, model);
    entries.retain(|entry| match entry {
        Entry::Sidecar { caller, .. } => meant(&model[*caller].workload.identity),
        Entry::FromGateway { gateway, .. } => meant(&model[*gateway].workload.identity),
        _ => true,
    });
    Ok(entries)
}

/// The principals of a list, groups written out, each with where its names are looked up.
fn members<'a>(
    principals: &'a [ast::Principal],
    place: Place<'a>,
    scope: &'a Scope,
) -> Vec<(&'a ast::Principal, Place<'a>)> {
    let mut found = Vec::new();
    for principal in principals {
        let group = match &principal.kind {
            PrincipalKind::Service(name) if name.namespace().is_none() => {
                scope.shared.get(name.name(), place)
            }
            _ => None,
        };
        match group {
            Some((super::shared::Named::Group(group), home)) => {
                found.extend(group.principals.iter().map(|member| (member, home)));
            }
            _ => found.push((principal, place)),
        }
    }
    found
}

fn at_gateway(
    line: &ast::TestLine,
    gateway: GatewayId,
    place: Place<'_>,
    scope: &Scope,
    model: &Model,
) -> Result<Vec<Entry>, Vec<Diagnostic>> {
    let one = |problem| vec![problem];
    let name = match &line.to {
        Destination::Target(name) | Destination::Gateway(name) => name,
        Destination::Namespace(_) => return Ok(vec![]),
    };
    if let Some(port) = &line.port {
        return Err(one(Diagnostic::new(Code::UnexpectedToken, "a gateway has listeners, not ports")
            .at(port.span, "has no meaning here")
            .help("Write `listener NAME` where the gateway has several.")));
    }
    let listener = route::listener_of(model, gateway, line.listener.as_ref(), name.span).map_err(one)?;
    let protocol = model[gateway].listeners[listener].protocol;
    let host = match (&line.host, protocol) {
        (_, Protocol::Tcp) => String::new(),
        (Some(host), _) => host.value.to_string(),
        (None, _) => {
            return Err(one(Diagnostic::new(Code::MissingStatement, "a request to a gateway says a host")
                .at(name.span, "no host after it")
                .help(format!("Write `to {name} \"shop.example\" …`."))));
        }
    };
    let from = match &line.from {
        Some(from) => access::peers(from, Effect::Allow, place, scope, model)?,
        None => PeerSet { of: vec![Principal::Anyone], except: vec![] },
    };
    Ok(vec![Entry::Gateway { from, gateway, listener: listener as u32, host }])
}
