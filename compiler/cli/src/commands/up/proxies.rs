//! The proxies of `mesh up`, in this process: every gateway, and the sidecar of every service that calls.

use crate::failure::{Failure, reason};
use mesh_plan::PlanView;
use mesh_plan::view::Gateway;
use mesh_proxy::{AccessLog, Config, Door, Handle};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

/// Nobody but this machine: a mesh that somebody tries out is not for the network.
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The proxies that run.
pub(super) struct Proxies {
    handle: Handle,
    /// Gateways whose own port could not be had. They stay where they are, so that a person's command line stays right.
    moved: BTreeSet<String>,
}

/// A listener of a gateway and where it really is.
pub(super) struct Listener {
    /// `name.namespace` of the gateway.
    pub(super) gateway: String,
    pub(super) name: String,
    pub(super) address: SocketAddr,
}

impl Proxies {
    /// Starts them. Beside them: what is otherwise than the plan says.
    pub(super) fn start(plan: PlanView, access_log: bool) -> Result<(Proxies, Vec<String>), Failure> {
        let mut moved = BTreeSet::new();
        let (doors, notes) = doors(&plan, &mut moved, &BTreeSet::new());
        let access_log = if access_log { AccessLog::Stdout } else { AccessLog::None };
        let config = Config { doors, workers: 0, admin: None, access_log, drain: super::DRAIN };
        let handle = mesh_proxy::start(plan, config).map_err(|error| refused(&error.to_string()))?;
        Ok((Proxies { handle, moved }, notes))
    }

    /// Takes a plan over, with the doors that it needs; on failure the one before it stays in service.
    pub(super) fn swap(&mut self, plan: PlanView) -> Result<Vec<String>, Failure> {
        let ours = self.handle.addresses().values().map(SocketAddr::port).collect();
        let (doors, notes) = doors(&plan, &mut self.moved, &ours);
        self.handle.swap_doors(plan, doors).map_err(|error| refused(&error.to_string()))?;
        Ok(notes)
    }

    /// The digest of the plan in service.
    pub(super) fn digest(&self) -> String {
        self.handle.plan().digest_hex()
    }

    /// Where requests come in from outside.
    pub(super) fn listeners(&self) -> Vec<Listener> {
        let addresses = self.handle.addresses().into_iter();
        addresses
            .filter_map(|(door, address)| {
                let (gateway, name) = door.split_once('/')?;
                Some(Listener { gateway: gateway.to_owned(), name: name.to_owned(), address })
            })
            .collect()
    }

    /// Where services send their calls, by `name.namespace`.
    pub(super) fn sidecars(&self) -> BTreeMap<String, SocketAddr> {
        self.handle.addresses().into_iter().filter(|(door, _)| !door.contains('/')).collect()
    }

    /// Ends them after the requests in flight; says how many were cut off because they took longer.
    pub(super) fn drain(self, limit: Duration) -> usize {
        self.handle.drain(limit).cut
    }
}

fn refused(error: &str) -> Failure {
    Failure::new(
        error,
        "End the program that uses the address, or write another port in the gateway's listener.",
    )
}

/// A door for every gateway, on its own ports where they can be had (or are `ours` already), and for every service that
/// calls.
fn doors(plan: &PlanView, moved: &mut BTreeSet<String>, ours: &BTreeSet<u16>) -> (Vec<Door>, Vec<String>) {
    let mut notes = Vec::new();
    let mut given = BTreeSet::new();
    let mut doors = Vec::new();
    for gateway in plan.gateways().iter() {
        let name = gateway.name().to_owned();
        if !moved.contains(&name)
            && let Some(why) = obstacle(gateway, &given, ours)
        {
            notes.push(format!("{why}, so `{name}` listens on a free port"));
            moved.insert(name.clone());
        }
        let port_override = moved.contains(&name).then_some(0);
        if port_override.is_none() {
            given.extend(gateway.listeners().iter().map(|listener| listener.number()));
        }
        doors.push(Door::Gateway { name, bind: LOOPBACK, port_override });
    }
    let callers = plan.services().iter().filter(|service| !service.calls().is_empty());
    doors.extend(callers.map(|service| Door::Sidecar {
        service: service.name().to_owned(),
        listen: SocketAddr::new(LOOPBACK, 0),
    }));
    (doors, notes)
}

/// Why a gateway cannot have the ports that it asks for.
fn obstacle(gateway: Gateway<'_>, given: &BTreeSet<u16>, ours: &BTreeSet<u16>) -> Option<String> {
    gateway.listeners().iter().map(|listener| listener.number()).find_map(|port| {
        if given.contains(&port) {
            return Some(format!("port {port} is another gateway's"));
        }
        if ours.contains(&port) {
            return None;
        }
        let error = TcpListener::bind((LOOPBACK, port)).err()?;
        Some(match error.kind() {
            io::ErrorKind::AddrInUse => format!("port {port} is taken"),
            io::ErrorKind::PermissionDenied => format!("port {port} needs privileges"),
            _ => format!("port {port} cannot be had: {}", reason(&error)),
        })
    })
}
