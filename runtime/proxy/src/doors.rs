//! Doors: where traffic comes in, as the operator says it, and what that means under a plan.

use mesh_engine::Entry;
use mesh_plan::PlanView;
use mesh_plan::view::Gateway;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// Where traffic comes in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Door {
    /// All listeners of a gateway. Its addresses are named `edge.default/http`: the gateway's full name and the listener's.
    Gateway {
        /// `name`, where only one namespace has such a gateway, or `name.namespace`.
        name: String,
        /// The interface.
        bind: IpAddr,
        /// Instead of the port that the plan says; 0 is any free port. Another number needs a gateway of one listener.
        port_override: Option<u16>,
    },
    /// All listeners of every gateway of the plan, on their ports.
    Gateways {
        /// The interface.
        bind: IpAddr,
    },
    /// The outbound side of a service's sidecar. Its address is named `web.default`: the service's full name.
    Sidecar {
        /// `name`, where only one namespace has such a service, or `name.namespace`.
        service: String,
        /// Where the service sends its calls.
        listen: SocketAddr,
    },
}

/// A listening address that the doors ask for under a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) name: String,
    pub(crate) entry: Entry,
    pub(crate) address: SocketAddr,
}

/// Why doors do not fit a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DoorError {
    /// The plan has no such gateway or service.
    Unknown {
        /// `gateway` or `service`.
        kind: &'static str,
        /// What was asked for.
        name: String,
        /// What the plan has.
        known: Vec<String>,
    },
    /// Several namespaces have a gateway or service of this name.
    Ambiguous {
        /// `gateway` or `service`.
        kind: &'static str,
        /// What was asked for.
        name: String,
        /// What it could be.
        candidates: Vec<String>,
    },
    /// One port was given for a gateway of several listeners.
    OnePortForMany {
        /// The gateway.
        gateway: String,
    },
    /// Two doors want the same address.
    SameAddress {
        /// One.
        first: String,
        /// The other.
        second: String,
        /// What both want.
        address: SocketAddr,
    },
}

impl fmt::Display for DoorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DoorError::Unknown { kind, name, known } if known.is_empty() => {
                write!(f, "the plan has no {kind} `{name}`: it has no {kind} at all")
            }
            DoorError::Unknown { kind, name, known } => {
                write!(f, "the plan has no {kind} `{name}`: it has {}", known.join(", "))
            }
            DoorError::Ambiguous { kind, name, candidates } => {
                write!(f, "the {kind} `{name}` could be {}: say which", candidates.join(" or "))
            }
            DoorError::OnePortForMany { gateway } => {
                write!(f, "the gateway `{gateway}` has several listeners and was given one port")
            }
            DoorError::SameAddress { first, second, address } => {
                write!(f, "`{first}` and `{second}` both want {address}")
            }
        }
    }
}

impl std::error::Error for DoorError {}

/// The listening addresses that the doors ask for, in their order; what is asked for twice is there once.
pub(crate) fn wanted(view: &PlanView, doors: &[Door]) -> Result<Vec<Wanted>, DoorError> {
    let mut wanted = Vec::new();
    for door in doors {
        match door {
            Door::Gateway { name, bind, port_override } => {
                let names = view.gateways().iter().map(|gateway| gateway.name()).collect::<Vec<_>>();
                let index = index_of("gateway", name, &names)?;
                let Some(gateway) = view.gateway(index) else { continue };
                let one_port = port_override.is_some_and(|port| port != 0);
                if one_port && gateway.listeners().len() > 1 {
                    return Err(DoorError::OnePortForMany { gateway: gateway.name().to_owned() });
                }
                wanted.extend(listeners(gateway, *bind, *port_override));
            }
            Door::Gateways { bind } => {
                wanted.extend(view.gateways().iter().flat_map(|gateway| listeners(gateway, *bind, None)));
            }
            Door::Sidecar { service, listen } => {
                let names = view.services().iter().map(|service| service.name()).collect::<Vec<_>>();
                let index = index_of("service", service, &names)?;
                let Some(service) = view.service(index) else { continue };
                let entry = Entry::Sidecar { service: index };
                wanted.push(Wanted { name: service.name().to_owned(), entry, address: *listen });
            }
        }
    }
    let mut once: Vec<Wanted> = Vec::with_capacity(wanted.len());
    for wanted in wanted {
        if !once.contains(&wanted) {
            once.push(wanted);
        }
    }
    no_address_twice(&once)?;
    Ok(once)
}

/// The place among `names` of what was asked for: in full, or without the namespace where there is only one such.
fn index_of(kind: &'static str, asked: &str, names: &[&str]) -> Result<u32, DoorError> {
    if let Some((index, _)) = (0..).zip(names).find(|(_, name)| **name == asked) {
        return Ok(index);
    }
    let without_namespace = |name: &str| name.split_once('.').is_some_and(|(first, _)| first == asked);
    let candidates: Vec<_> = (0..).zip(names).filter(|(_, name)| without_namespace(name)).collect();
    let quoted = |name: &&str| format!("`{name}`");
    match candidates.as_slice() {
        [(index, _)] => Ok(*index),
        [] => {
            let known = names.iter().map(quoted).collect();
            Err(DoorError::Unknown { kind, name: asked.to_owned(), known })
        }
        several => {
            let candidates = several.iter().map(|(_, name)| quoted(name)).collect();
            Err(DoorError::Ambiguous { kind, name: asked.to_owned(), candidates })
        }
    }
}

fn listeners(gateway: Gateway<'_>, bind: IpAddr, port: Option<u16>) -> impl Iterator<Item = Wanted> {
    gateway.listeners().iter().zip(0..).map(move |(listener, index)| Wanted {
        name: format!("{}/{}", gateway.name(), listener.name()),
        entry: Entry::Gateway { gateway: gateway.index(), listener: index },
        address: SocketAddr::new(bind, port.unwrap_or(listener.number())),
    })
}

fn no_address_twice(wanted: &[Wanted]) -> Result<(), DoorError> {
    for (place, second) in wanted.iter().enumerate() {
        let same = |first: &&Wanted| first.address == second.address && second.address.port() != 0;
        if let Some(first) = wanted.iter().take(place).find(same) {
            let (first, second, address) = (first.name.clone(), second.name.clone(), second.address);
            return Err(DoorError::SameAddress { first, second, address });
        }
    }
    Ok(())
}
