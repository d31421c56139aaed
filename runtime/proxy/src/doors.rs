//! Doors: where traffic comes in, as the operator says it, and what that means under a plan.

pub(crate) mod called;

use crate::identity::Identity;
use mesh_engine::Entry;
use mesh_plan::view::{Gateway, Port, Service};
use mesh_plan::{Mtls, NONE, PlanView};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

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
    /// Where a service makes one of its calls of a `tcp` port: bytes do not say whom they are for. Its address is named `web.default->redis:6379`:
    /// the service's full name, and whom it calls as it was asked for.
    Call {
        /// `name`, where only one namespace has such a service, or `name.namespace`.
        service: String,
        /// Whom it calls, as it would say in `Host`, with the port's number or name where it calls several of them.
        callee: String,
        /// Where the service connects to.
        listen: SocketAddr,
    },
    /// The inbound side of a service's sidecar: a port of the service. Its address is named `web.default:80`: the service's full name and
    /// the port that callers say.
    Inbound {
        /// `name`, where only one namespace has such a service, or `name.namespace`.
        service: String,
        /// The port's name or number; `None` where the service has one.
        port: Option<String>,
        /// Where callers connect to: an endpoint of the service.
        listen: SocketAddr,
        /// Where the service itself listens.
        application: SocketAddr,
    },
}

/// A listening address that the doors ask for under a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) name: String,
    pub(crate) entry: Entry,
    pub(crate) address: SocketAddr,
    /// The principal that is served.
    pub(crate) principal: u32,
    /// At a port of a service: where the service itself listens.
    pub(crate) application: Option<SocketAddr>,
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
    /// Which port of a service is meant is not clear, or it has no such port.
    Port {
        /// The service.
        service: String,
        /// What was asked for.
        asked: Option<String>,
        /// What it has.
        known: Vec<String>,
    },
    /// A service makes no such call of a `tcp` port, or several.
    Call {
        /// The service.
        service: String,
        /// What was asked for.
        asked: String,
        /// Those that it makes, or those that it could be.
        known: Vec<String>,
        /// Whether it could be several.
        is_ambiguous: bool,
    },
    /// An address for calls of networks: whom one is for, only its own address says.
    Redirected {
        /// `name.namespace:port` of whom it is to call.
        asked: String,
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
            DoorError::Port { service, known, .. } if known.is_empty() => {
                write!(f, "the service `{service}` has no port")
            }
            DoorError::Port { service, asked: Some(asked), known } => {
                write!(f, "the service `{service}` has no port `{asked}`: it has {}", known.join(", "))
            }
            DoorError::Port { service, asked: None, known } => {
                write!(f, "the service `{service}` has the ports {}: say which", known.join(", "))
            }
            DoorError::Call { service, asked, known, is_ambiguous: true } => {
                write!(
                    f,
                    "the call of `{asked}` by `{service}` could be that of {}: say which",
                    known.join(" or ")
                )
            }
            DoorError::Call { service, asked, known, .. } if known.is_empty() => {
                write!(
                    f,
                    "`{service}` calls no `tcp` port, so none of `{asked}`: declare it, `calls …`, or ask for no address of this call"
                )
            }
            DoorError::Call { service, asked, known, .. } => {
                write!(f, "`{service}` calls no `tcp` port of `{asked}`: it calls {}", known.join(", "))
            }
            DoorError::Redirected { asked } => {
                write!(
                    f,
                    "`{asked}` is networks, and who connects to an address of this proxy says none of theirs: redirect the service's connections \
                     to its --outbound (iptables, nftables)"
                )
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
                let index = service_of(view, service)?;
                let Some(service) = view.service(index) else { continue };
                let (name, principal) = (service.name().to_owned(), service.principal());
                let entry = Entry::Sidecar { service: index };
                wanted.push(Wanted { name, entry, address: *listen, principal, application: None });
            }
            Door::Call { service, callee, listen } => {
                let index = service_of(view, service)?;
                let Some(service) = view.service(index) else { continue };
                let (name, principal) = (format!("{}->{callee}", service.name()), service.principal());
                // A plan that does not declare it refuses what comes here, as it refuses undeclared calls elsewhere.
                let call = called::by(view, index, callee).unwrap_or(NONE);
                let entry = Entry::Call { service: index, call };
                wanted.push(Wanted { name, entry, address: *listen, principal, application: None });
            }
            Door::Inbound { service, port, listen, application } => {
                let index = service_of(view, service)?;
                let Some(service) = view.service(index) else { continue };
                let (port, number) = port_of(service, port.as_deref())?;
                let (name, principal) = (format!("{}:{number}", service.name()), service.principal());
                let entry = Entry::Inbound { service: index, port };
                let application = Some(*application);
                wanted.push(Wanted { name, entry, address: *listen, principal, application });
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

fn service_of(view: &PlanView, asked: &str) -> Result<u32, DoorError> {
    let names = view.services().iter().map(|service| service.name()).collect::<Vec<_>>();
    index_of("service", asked, &names)
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

/// A port of a service, by its name or its number.
fn port_of(service: Service<'_>, asked: Option<&str>) -> Result<(u32, u16), DoorError> {
    let is_asked = |port: &Port<'_>| {
        asked.is_none_or(|asked| port.name() == asked || port.number().to_string() == asked)
    };
    let mut fits = (0..).zip(service.ports().iter()).filter(|(_, port)| is_asked(port));
    match (fits.next(), fits.next()) {
        (Some((index, port)), None) => Ok((index, port.number())),
        _ => {
            let known = service.ports().iter().map(|port| port.number().to_string()).collect();
            let asked = asked.map(str::to_owned);
            Err(DoorError::Port { service: service.name().to_owned(), asked, known })
        }
    }
}

fn listeners(gateway: Gateway<'_>, bind: IpAddr, port: Option<u16>) -> impl Iterator<Item = Wanted> {
    gateway.listeners().iter().zip(0..).map(move |(listener, index)| Wanted {
        name: format!("{}/{}", gateway.name(), listener.name()),
        entry: Entry::Gateway { gateway: gateway.index(), listener: index },
        address: SocketAddr::new(bind, port.unwrap_or(listener.number())),
        principal: gateway.principal(),
        application: None,
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

/// Why a proxy cannot serve a plan as who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WrongIdentity {
    /// A port is strict, and the proxy is nobody.
    Nobody {
        /// The service.
        service: String,
        /// Its port.
        port: u16,
    },
    /// A door is of another identity.
    Other {
        /// The door.
        door: String,
        /// The identity of whom it serves.
        wanted: String,
        /// Who the proxy is.
        own: Vec<String>,
    },
}

impl fmt::Display for WrongIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WrongIdentity::Nobody { service, port } => write!(
                f,
                "port {port} of `{service}` is `mtls strict`, and this proxy has no certificate: give it one with --svid, \
                 --svid-key and --trust-bundle"
            ),
            WrongIdentity::Other { door, wanted, own } => {
                write!(f, "`{door}` is {wanted} in the plan, and the certificate is of {}", own.join(", "))
            }
        }
    }
}

impl std::error::Error for WrongIdentity {}

/// Who the proxy is at each door.
pub(crate) fn identities(
    view: &PlanView,
    wanted: &[Wanted],
    own: &[Arc<Identity>],
) -> Result<Vec<Option<Arc<Identity>>>, WrongIdentity> {
    if own.is_empty() {
        let ports = view
            .services()
            .iter()
            .flat_map(|service| service.ports().iter().map(move |port| (service, port)));
        return match ports.into_iter().find(|(_, port)| port.mtls() == Mtls::Strict) {
            Some((service, port)) => {
                Err(WrongIdentity::Nobody { service: service.name().to_owned(), port: port.number() })
            }
            None => Ok(vec![None; wanted.len()]),
        };
    }
    let identity = |door: &Wanted| {
        let id = view.principals().get(door.principal).map_or("", |principal| principal.identity());
        own.iter().find(|own| own.id() == id).cloned().map(Some).ok_or_else(|| WrongIdentity::Other {
            door: door.name.clone(),
            wanted: id.to_owned(),
            own: own.iter().map(|own| own.id().to_owned()).collect(),
        })
    };
    wanted.iter().map(identity).collect()
}
