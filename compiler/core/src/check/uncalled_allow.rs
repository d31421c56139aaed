//! `MESH4011`: an `allow` for a service that declares no call there.

use super::{backends, counted, entered};
use crate::model::{AccessLine, Caller, Model, PortId, ServiceId};
use mesh_lang::{Code, Diagnostic, Span};
use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

/// What services reach, as far as it was asked for.
pub(crate) struct Uncalled<'m> {
    model: &'m Model,
    sharers: OnceCell<BTreeMap<&'m str, Vec<ServiceId>>>,
    /// Whose proxies have something counted where.
    counted: OnceCell<BTreeSet<(Caller, PortId)>>,
    reached: BTreeMap<ServiceId, BTreeSet<PortId>>,
}

impl<'m> Uncalled<'m> {
    pub(crate) fn new(model: &'m Model) -> Uncalled<'m> {
        Uncalled { model, sharers: OnceCell::new(), counted: OnceCell::new(), reached: BTreeMap::new() }
    }

    /// Services that one lets in by name and that never come: their own proxies refuse what they do not declare.
    pub(super) fn of_service(&mut self, id: ServiceId) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        for (port, number) in self.model[id].ports.iter().zip(0..) {
            let to = PortId { service: id, port: number };
            for (caller, span) in port.access.iter().flat_map(AccessLine::callers) {
                if !self.comes(caller, to) {
                    found.push(say(self.model, caller, to, span));
                }
            }
        }
        found
    }

    fn comes(&mut self, caller: ServiceId, to: PortId) -> bool {
        let model = self.model;
        caller == to.service
            || calls_directly(model, caller, to)
            || asks(model, caller, to)
            || self.counted.get_or_init(|| counted::asked(model)).contains(&(Caller::Service(caller), to))
            || {
                let sharers = self.sharers.get_or_init(|| sharers(model));
                self.reached.entry(caller).or_insert_with(|| reach(model, sharers, caller)).contains(&to)
            }
    }
}

fn say(model: &Model, caller: ServiceId, to: PortId, span: Span) -> Diagnostic {
    let (who, callee) = (&model[caller].workload, &model[to.service].workload);
    let message = format!("`{}` is allowed and does not call `{}`", who.name, callee.name);
    Diagnostic::new(Code::UncalledAllow, message)
        .at(span, "its proxy refuses what it does not declare")
        .at(who.span, "declares no such call")
        .help(format!(
            "Write `calls {}` in `service {}`, or take it out of the `allow`.",
            named(model, caller, to),
            who.name
        ))
}

/// A port as the caller would name it.
fn named(model: &Model, caller: ServiceId, port: PortId) -> String {
    let (caller, callee) = (&model[caller].workload, &model[port.service].workload);
    let name =
        if caller.namespace == callee.namespace { callee.name.to_string() } else { callee.full_name() };
    match model[port.service].ports.len() {
        1 => name,
        _ => format!("{name} port {}", model.port(port).name),
    }
}

/// Whether a service calls a port past no route of its own: this spares most the question what else they reach.
fn calls_directly(model: &Model, service: ServiceId, port: PortId) -> bool {
    let calls = &model[service].calls;
    calls.binary_search_by_key(&port, |call| call.to).is_ok()
        && model.consumer_route(Caller::Service(service), port).is_none()
}

/// Whether a service's proxy asks there what may pass.
fn asks(model: &Model, service: ServiceId, port: PortId) -> bool {
    model.checks(Caller::Service(service)).any(|check| check.authority.to == port)
}

/// The services that have an identity.
fn sharers(model: &Model) -> BTreeMap<&str, Vec<ServiceId>> {
    let mut sharers: BTreeMap<&str, Vec<ServiceId>> = BTreeMap::new();
    for (service, id) in model.services.iter().zip(0..) {
        sharers.entry(&service.workload.identity).or_default().push(ServiceId(id));
    }
    sharers
}

/// The ports that a service's requests can come to: those that it calls, and those behind their routes. Who shares its
/// identity comes as the same.
fn reach(model: &Model, sharers: &BTreeMap<&str, Vec<ServiceId>>, service: ServiceId) -> BTreeSet<PortId> {
    let (mut left, mut found, mut ends) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
    for id in sharers.get(model[service].workload.identity.as_str()).into_iter().flatten() {
        for call in &model[*id].calls {
            match model.consumer_route(Caller::Service(*id), call.to) {
                // The callee's own route is not on the way.
                Some(own) => {
                    let table = &model.consumer_routes[own].table;
                    left.extend(entered(table));
                    ends.extend(backends(table));
                }
                None => left.push(call.to),
            }
        }
    }
    while let Some(port) = left.pop() {
        if found.insert(port) {
            left.extend(model.port(port).route.iter().flat_map(backends));
        }
    }
    found.extend(ends);
    found
}

#[cfg(test)]
mod tests {
    use crate::testing::says;

    fn mesh(web: &str, access: &str) -> String {
        format!(
            "service web {{ {web} }}\nservice job {{ calls cart }}\nservice cart {{ port 80 http }}\nauthorize cart {{\nallow from job\n{access}\n}}\n"
        )
    }

    #[test]
    fn who_is_let_in_by_name_and_never_comes_is_said() {
        says(
            &mesh("", "allow from web, job to GET"),
            &["6 MESH4011 `web` is allowed and does not call `cart`"],
        );
        says(&mesh("calls cart", "allow from web, job to GET"), &[]);
        says(&mesh("", "allow from namespace default to GET"), &[]);
        says(&mesh("", "deny from web, unauthenticated"), &[]);
    }

    #[test]
    fn who_comes_by_a_route_of_another_service_comes() {
        let other =
            "service shop { port 80 http }\nauthorize shop { allow from anyone }\nroute shop { to cart }\n";
        says(&format!("{}{other}", mesh("calls shop", "allow from web")), &[]);
    }
}
