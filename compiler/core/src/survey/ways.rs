//! Who comes to which port: by a declared call or a gateway's rule, or over the routes behind them.

use crate::model::{Action, Caller, GatewayId, Model, PortId, ServiceId};
use mesh_lang::Span;
use std::collections::{BTreeMap, BTreeSet};

/// How somebody comes to a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Way {
    /// The `calls`, or the rule of a gateway.
    pub(super) span: Span,
    /// Whether it names the port itself, and not one whose route leads there.
    pub(super) direct: bool,
}

/// For each service and gateway the ports that its requests can come to. Time: callers times what is behind their calls.
pub(super) fn ways(model: &Model) -> BTreeMap<Caller, BTreeMap<PortId, Way>> {
    let mut all: BTreeMap<Caller, BTreeMap<PortId, Way>> = BTreeMap::new();
    for (caller, to, span) in sent(model) {
        let own = all.entry(caller).or_default();
        match own.get_mut(&to) {
            Some(way) if way.direct => {}
            _ => drop(own.insert(to, Way { span, direct: true })),
        }
        let behind = match model.consumer_route(caller, to) {
            Some(index) => {
                let ports = crate::check::backends(&model.consumer_routes[index].table);
                ports
                    .flat_map(|port| if port == to { BTreeSet::from([to]) } else { behind(model, port) })
                    .collect()
            }
            None => behind(model, to),
        };
        for port in behind {
            own.entry(port).or_insert(Way { span, direct: false });
        }
    }
    all
}

/// What is sent by a call or a rule of a gateway, and where that is written.
pub(super) fn sent(model: &Model) -> Vec<(Caller, PortId, Span)> {
    let mut found = Vec::new();
    for (service, id) in model.services.iter().zip(0..) {
        found.extend(service.calls.iter().map(|call| (Caller::Service(ServiceId(id)), call.to, call.span)));
    }
    for (gateway, id) in model.gateways.iter().zip(0..) {
        let hosts = gateway.listeners.iter().flat_map(|listener| &listener.tables);
        for rule in hosts.flat_map(|host| &host.table.rules) {
            let Action::Forward(backends) = &rule.action else { continue };
            found.extend(backends.iter().map(|to| (Caller::Gateway(GatewayId(id)), to.to, rule.span)));
        }
    }
    found
}

/// The ports that a port's route leads to, with itself.
fn behind(model: &Model, port: PortId) -> BTreeSet<PortId> {
    let (mut found, mut left) = (BTreeSet::new(), vec![port]);
    while let Some(port) = left.pop() {
        if found.insert(port) {
            left.extend(model.port(port).route.iter().flat_map(crate::check::backends));
        }
    }
    found
}
