//! Calls of `tcp` ports: bytes do not say whom they are for, so each call has an address of its own.

use super::{Door, DoorError, service_of};
use mesh_engine::{callee, canonical};
use mesh_plan::view::Port;
use mesh_plan::{PlanView, Protocol};
use std::net::SocketAddr;

/// What goes astray of the calls of `tcp` ports, under a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Astray {
    /// The plan does not declare the call of an address: connections to it are refused.
    Undeclared {
        /// `name.namespace` of the caller.
        caller: String,
        /// Whom it was to call, as the operator said it.
        callee: String,
        /// Where it connects to.
        listen: SocketAddr,
    },
    /// A call that the plan declares has no address here: nobody can make it.
    Homeless {
        /// `name.namespace` of the caller.
        caller: String,
        /// `name.namespace:port` of whom it calls.
        callee: String,
    },
}

/// Refuses an address of a call that its service does not make. Once the proxy runs, that is its plan's to say.
pub(crate) fn check(view: &PlanView, doors: &[Door]) -> Result<(), DoorError> {
    doors.iter().try_for_each(|door| match door {
        Door::Call { service, callee, .. } => by(view, service_of(view, service)?, callee).map(|_| ()),
        _ => Ok(()),
    })
}

/// Which of a caller's calls is meant by what was asked for.
pub(super) fn by(view: &PlanView, caller: u32, asked: &str) -> Result<u32, DoorError> {
    let (name, port) = match asked.rsplit_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (asked, None),
    };
    let host = canonical::host(name).map(|(host, _)| host).unwrap_or_default();
    let is_asked =
        |own: &Port<'_>| port.is_none_or(|asked| own.name() == asked || own.number().to_string() == asked);
    let all: Vec<_> = of_connections(view, caller).collect();
    let fits = all.iter().filter(|(index, own, _)| {
        is_asked(own) && callee(view, caller, &host, Some(own.number())) == Some(*index)
    });
    let fits: Vec<_> = fits.collect();
    let (known, is_ambiguous) = match fits.as_slice() {
        [(_, own, name)] if is_redirected(*own) => {
            return Err(DoorError::Redirected { asked: name.clone() });
        }
        [(index, ..)] => return Ok(*index),
        [] => (all.iter().map(|(.., name)| format!("`{name}`")).collect(), false),
        several => (several.iter().map(|(.., name)| format!("`{name}`")).collect(), true),
    };
    let service = view.service(caller).map(|caller| caller.name().to_owned()).unwrap_or_default();
    Err(DoorError::Call { service, asked: asked.to_owned(), known, is_ambiguous })
}

/// The calls of a service that are connections and say nothing: each with its index, its port, and the name of both.
fn of_connections(view: &PlanView, caller: u32) -> impl Iterator<Item = (u32, Port<'_>, String)> {
    let calls = view.service(caller).into_iter().flat_map(|caller| caller.calls().iter()).zip(0..);
    calls.filter_map(|(call, index)| {
        let service = view.service(call.service())?;
        let port = service.port(call.port())?;
        let is_silent = port.protocol() == Protocol::Connections;
        is_silent.then(|| (index, port, format!("{}:{}", service.name(), port.number())))
    })
}

/// Whether whom a connection is for is the address that it was meant for, and no other place says it.
fn is_redirected(port: Port<'_>) -> bool {
    port.endpoints().iter().any(|endpoint| endpoint.is_asked())
}

/// What goes astray of the calls of the services that these doors are of.
pub(crate) fn astray(view: &PlanView, doors: &[Door]) -> Vec<Astray> {
    let mut found = Vec::new();
    let mut known = Vec::new();
    let mut callers = Vec::new();
    for door in doors {
        let (Door::Sidecar { service, .. } | Door::Inbound { service, .. } | Door::Call { service, .. }) =
            door
        else {
            continue;
        };
        let Ok(caller) = service_of(view, service) else { continue };
        if !callers.contains(&caller) {
            callers.push(caller);
        }
        let Door::Call { callee, listen, .. } = door else { continue };
        match by(view, caller, callee) {
            Ok(call) => known.push((caller, call)),
            Err(_) => {
                let (caller, callee) = (name(view, caller), callee.clone());
                found.push(Astray::Undeclared { caller, callee, listen: *listen });
            }
        }
    }
    for caller in callers {
        let silent = of_connections(view, caller).filter(|(_, port, _)| !is_redirected(*port));
        let homeless = silent.filter(|(call, ..)| !known.contains(&(caller, *call)));
        found.extend(homeless.map(|(.., callee)| Astray::Homeless { caller: name(view, caller), callee }));
    }
    found
}

fn name(view: &PlanView, service: u32) -> String {
    view.service(service).map(|service| service.name().to_owned()).unwrap_or_default()
}
