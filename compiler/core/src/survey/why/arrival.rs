//! Where a request comes in, and as whom: what a person says of it on a command line, with its names looked up.

use super::super::find::{door, listed};
use super::super::{Survey, Unknown};
use crate::case::Entry;
use crate::model::{Caller, Listener, Model, PortId, ServiceId};
use mesh_lang::Text;
use mesh_lang::ast::{HostPattern, Protocol};

/// Who asks whom.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asking<'a> {
    /// `web`, `gateway edge`, `identity "spiffe://…"`, `unauthenticated`, or `anyone`: somebody of whom nothing is known.
    pub from: &'a str,
    /// `cart`, `gateway edge`
    pub to: &'a str,
    /// A port of a service, by name or number.
    pub port: Option<&'a str>,
    /// A listener of a gateway, by name or number.
    pub listener: Option<&'a str>,
    /// Canonical; of a gateway.
    pub host: Option<&'a str>,
}

/// Where a request comes in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Indices are those of the plan.
    pub entry: Entry,
    /// The peer's SPIFFE ID, where the entry itself is not the peer.
    pub peer: Option<String>,
    pub host: String,
    pub host_port: Option<u16>,
    /// Whether there are requests with methods and paths, and not connections alone.
    pub is_http: bool,
    /// The issuer whose tokens the target verifies, where it is one.
    pub issuer: Option<String>,
    /// `web.default`, `a peer without identity`
    pub from: String,
    /// `cart.default port http`, `gateway edge.default listener web`
    pub to: String,
}

/// Who asks.
enum From {
    Workload(Caller),
    /// Not one of a workload.
    Identity(String),
    Nobody,
}

/// Any host will do where all are the same: a name that nobody has (RFC 2606).
const SOME_HOST: &str = "any.example";

impl Survey<'_> {
    /// Where a request comes in. The error says which name means nothing, and which is near.
    pub fn arrival(&self, asking: &Asking<'_>) -> Result<Arrival, Unknown> {
        let from = self.peer(asking.from)?;
        match self.find(asking.to)? {
            Caller::Gateway(_) if asking.port.is_some() => {
                Err(unknown("a gateway has listeners, not ports", "Write `--listener NAME`."))
            }
            Caller::Gateway(id) => {
                let gateway = &self.model[id];
                let doors: Vec<(String, u16)> =
                    gateway.listeners.iter().map(|own| (own.name.clone(), own.number)).collect();
                let whose = format!("gateway `{}`", gateway.full_name());
                let index = door(asking.listener, &whose, "listener", &doors)?;
                let listener = &gateway.listeners[index];
                let name = match doors.len() {
                    1 => String::new(),
                    _ => format!(" listener {}", listener.name),
                };
                Ok(Arrival {
                    entry: Entry::Gateway { gateway: id.0, listener: index as u32 },
                    peer: from.identity(&self.model),
                    host: host(listener, asking.host)?,
                    host_port: None,
                    is_http: listener.protocol.is_http(),
                    issuer: only(&gateway.workload.issuers),
                    from: self.spoken(&from),
                    to: format!("gateway {}{name}", gateway.full_name()),
                })
            }
            Caller::Service(id) => self.at_service(id, &from, asking),
        }
    }

    fn at_service(&self, id: ServiceId, from: &From, asking: &Asking<'_>) -> Result<Arrival, Unknown> {
        if asking.listener.is_some() {
            return Err(unknown("a service has ports, not listeners", "Write `--port NAME`."));
        }
        if asking.host.is_some() {
            let help = "Leave out `--host`: callers say the service's own name.";
            return Err(unknown("only gateways are asked by host", help));
        }
        let service = &self.model[id];
        let doors: Vec<(String, u16)> =
            service.ports.iter().map(|port| (port.name.to_string(), port.number)).collect();
        let whose = format!("service `{}`", service.full_name());
        let port = door(asking.port, &whose, "port", &doors)? as u32;
        let to = PortId { service: id, port };
        let (entry, peer) = match from {
            From::Workload(Caller::Service(caller)) => (Entry::Sidecar { service: caller.0 }, None),
            From::Workload(Caller::Gateway(gateway)) => {
                (Entry::FromGateway { gateway: gateway.0, service: id.0, port }, None)
            }
            From::Identity(_) | From::Nobody => {
                (Entry::Inbound { service: id.0, port }, from.identity(&self.model))
            }
        };
        Ok(Arrival {
            entry,
            peer,
            host: service.full_name(),
            host_port: Some(self.model.port(to).number),
            is_http: self.model.port(to).protocol.is_http(),
            issuer: only(&service.workload.issuers),
            from: self.spoken(from),
            to: self.model.port_name(to),
        })
    }

    fn peer(&self, said: &str) -> Result<From, Unknown> {
        let identity = said.strip_prefix("identity ").unwrap_or(said).trim().trim_matches('"');
        match said {
            "unauthenticated" | "anyone" => Ok(From::Nobody),
            _ if identity.starts_with("spiffe://") => Ok(From::Identity(identity.to_owned())),
            _ => self.find(said).map(From::Workload).map_err(|none| Unknown {
                help: format!("{} Others are `unauthenticated` and `identity \"spiffe://…\"`.", none.help),
                ..none
            }),
        }
    }

    fn spoken(&self, from: &From) -> String {
        match from {
            From::Nobody => "a peer without identity".to_owned(),
            From::Identity(identity) => identity.clone(),
            From::Workload(caller) => self.said(*caller),
        }
    }
}

impl From {
    fn identity(&self, model: &Model) -> Option<String> {
        match self {
            From::Nobody => None,
            From::Identity(identity) => Some(identity.clone()),
            From::Workload(caller) => Some(model.workload(*caller).identity.to_string()),
        }
    }
}

fn unknown(message: impl Into<String>, help: impl Into<String>) -> Unknown {
    Unknown { message: message.into(), help: help.into() }
}

fn only(issuers: &[Text]) -> Option<String> {
    match issuers {
        [only] => Some(only.to_string()),
        _ => None,
    }
}

/// The host that is said, or one that all requests could say as well.
fn host(listener: &Listener, said: Option<&str>) -> Result<String, Unknown> {
    let patterns: Vec<&HostPattern> = listener.hosts.iter().map(|(host, _)| host).collect();
    match (said, patterns.as_slice()) {
        _ if listener.protocol == Protocol::Tcp => Ok(String::new()),
        (Some(said), _) => Ok(said.to_owned()),
        (None, [HostPattern::Exact(name)]) => Ok(name.to_string()),
        (None, [HostPattern::Any]) if listener.tables.len() < 2 => Ok(SOME_HOST.to_owned()),
        (None, [HostPattern::OneLabel(name) | HostPattern::Labels(name)]) if listener.tables.len() < 2 => {
            Ok(format!("www.{name}"))
        }
        _ => {
            let hosts = listener.tables.iter().map(|table| &table.host);
            let mut names: Vec<String> =
                hosts.chain(patterns.iter().copied()).map(|host| host.to_string()).collect();
            names.sort();
            names.dedup();
            Err(unknown(
                format!("the host matters here, and it is not said: {}", listed(&names)),
                "Write `--host shop.example`.",
            ))
        }
    }
}
