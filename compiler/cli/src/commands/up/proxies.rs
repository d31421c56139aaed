//! The proxies of `mesh up`, in this process: every gateway, and the sidecar of every service that calls.

use super::Standing;
use super::mutual::Fronts;
use crate::failure::Failure;
use mesh_plan::{PlanView, Protocol};
use mesh_proxy::{AccessLog, BindError, Config, Door, Handle, Identity, StartError, SwapError};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

/// Nobody but this machine: a mesh that somebody tries out is not for the network.
pub(super) const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The proxies that run.
pub(super) struct Proxies {
    handle: Handle,
    standing: Standing,
}

/// A listener of a gateway and where it really is.
pub(super) struct Listener {
    /// `name.namespace` of the gateway.
    pub(super) gateway: String,
    pub(super) name: String,
    pub(super) address: SocketAddr,
    protocol: Protocol,
    pub(super) over_tls: bool,
}

impl Listener {
    /// Where to call it.
    pub(super) fn url(&self) -> String {
        let scheme = match self.protocol {
            // Nobody vouches for its certificate: `curl -k`.
            _ if self.over_tls => "https",
            Protocol::Connections => "tcp",
            // It is unopened: its certificate is the service's.
            Protocol::Tls => "tls",
            // A client of HTTP/2 without TLS has to know it beforehand: `curl --http2-prior-knowledge`.
            Protocol::Http2 => "http2",
            Protocol::Grpc => "grpc",
            Protocol::Http => "http",
        };
        format!("{scheme}://{}", self.address)
    }
}

impl Proxies {
    /// Starts them with a plan whose ports can be had.
    pub(super) fn start(
        plan: PlanView,
        standing: Standing,
        identities: Vec<Arc<Identity>>,
        access_log: bool,
    ) -> Result<Proxies, NotRun> {
        let access_log = if access_log { AccessLog::Stdout } else { AccessLog::None };
        let config = Config {
            doors: doors(&plan, &standing),
            workers: 0,
            admin: None,
            access_log,
            plan_header: false,
            jwks: mesh_proxy::Fetching::default(),
            names: mesh_proxy::Looking::default(),
            health: mesh_proxy::Checking::default(),
            here: mesh_proxy::Here::default(),
            identities,
            certificates: Some(super::certificates::made()),
            drain: super::DRAIN,
        };
        let handle = mesh_proxy::start(plan, config)?;
        Ok(Proxies { handle, standing })
    }

    /// Takes a plan over, with the doors that it needs; on failure the one before it stays in service, and its listeners
    /// are where they were.
    pub(super) fn swap(
        &mut self,
        plan: PlanView,
        standing: Standing,
        identities: Vec<Arc<Identity>>,
    ) -> Result<(), NotRun> {
        let doors = doors(&plan, &standing);
        self.handle.swap_as(plan, doors, identities)?;
        self.standing = standing;
        Ok(())
    }

    /// The plan stays, but not every listener is still where it is against its wish.
    pub(super) fn remember(&mut self, standing: Standing) {
        self.standing = standing;
    }

    /// The same plan, of which some lines stand elsewhere now: only logs tell of it.
    pub(super) fn relocate(&self, plan: &PlanView) -> Result<(), NotRun> {
        if *plan == self.handle.plan() { Ok(()) } else { Ok(self.handle.swap(plan.clone())?) }
    }

    /// The digest of the plan in service.
    pub(super) fn digest(&self) -> String {
        self.handle.plan().digest_hex()
    }

    /// Where everything is now.
    pub(super) fn standing(&self) -> Standing {
        let ours: BTreeSet<u16> =
            self.listeners().into_iter().map(|listener| listener.address.port()).collect();
        Standing { ours, ..self.standing.clone() }
    }

    /// Where requests come in from outside.
    pub(super) fn listeners(&self) -> Vec<Listener> {
        let (addresses, plan) = (self.handle.addresses().into_iter(), self.handle.plan());
        let protocol = |gateway: &str, name: &str| {
            let own = plan.gateways().iter().find(|own| own.name() == gateway)?;
            let own = own.listeners().iter().find(|own| own.name() == name)?;
            Some((own.protocol(), own.certificates().next().is_some()))
        };
        addresses
            .filter_map(|(door, address)| {
                let (gateway, name) = door.split_once('/')?;
                let (protocol, over_tls) = protocol(gateway, name)?;
                let (gateway, name) = (gateway.to_owned(), name.to_owned());
                Some(Listener { gateway, name, address, protocol, over_tls })
            })
            .collect()
    }

    /// Where services send their calls, by `name.namespace`.
    pub(super) fn sidecars(&self) -> BTreeMap<String, SocketAddr> {
        self.handle.addresses().into_iter().filter(|(door, _)| !door.contains(['/', ':'])).collect()
    }

    /// Where they make those of `tcp` ports, by `name.namespace->name.namespace:port`.
    pub(super) fn calls(&self) -> BTreeMap<String, SocketAddr> {
        self.handle.addresses().into_iter().filter(|(door, _)| door.contains("->")).collect()
    }

    /// Both.
    pub(super) fn ways(&self) -> BTreeMap<String, SocketAddr> {
        self.sidecars().into_iter().chain(self.calls()).collect()
    }

    /// Proxies that stand before services.
    pub(super) fn fronts(&self) -> &Fronts {
        &self.standing.fronts
    }

    /// Ends them after the requests in flight; says how many were cut off because they took longer.
    pub(super) fn drain(self, limit: Duration) -> usize {
        self.handle.drain(limit).cut
    }
}

/// Why a plan is not run.
pub(super) enum NotRun {
    /// Somebody took an address between the moment it was found free and the one it was to be listened on.
    Taken(Failure),
    /// Something that another address would not change.
    Failed(Failure),
}

impl NotRun {
    fn at_an_address(error: &BindError) -> NotRun {
        let failure = Failure::new(
            error.to_string(),
            "End the program that uses the address, or write another port in the gateway's listener.",
        );
        match error.error.kind() {
            io::ErrorKind::AddrInUse => NotRun::Taken(failure),
            _ => NotRun::Failed(failure),
        }
    }

    fn otherwise(error: &dyn fmt::Display) -> NotRun {
        NotRun::Failed(Failure::new(error.to_string(), "The plan before it, if there is one, keeps serving."))
    }
}

impl From<StartError> for NotRun {
    fn from(error: StartError) -> NotRun {
        match &error {
            StartError::Bind(error) => NotRun::at_an_address(error),
            _ => NotRun::otherwise(&error),
        }
    }
}

impl From<SwapError> for NotRun {
    fn from(error: SwapError) -> NotRun {
        match &error {
            SwapError::Bind(error) => NotRun::at_an_address(error),
            _ => NotRun::otherwise(&error),
        }
    }
}

impl From<NotRun> for Failure {
    fn from(why: NotRun) -> Failure {
        let (NotRun::Taken(failure) | NotRun::Failed(failure)) = why;
        failure
    }
}

/// A door for every gateway, one for every service that calls, one for each of its calls of `tcp` ports, and one before each endpoint of a port with mutual TLS.
fn doors(plan: &PlanView, standing: &Standing) -> Vec<Door> {
    let gateways = plan.gateways().iter();
    let gateways = gateways.map(|gateway| Door::Gateway {
        name: gateway.name().to_owned(),
        bind: LOOPBACK,
        port_override: None,
    });
    let callers = plan.services().iter().filter(|service| !service.calls().is_empty());
    let sidecars = callers.map(|service| Door::Sidecar {
        service: service.name().to_owned(),
        listen: SocketAddr::new(LOOPBACK, 0),
    });
    let calls = plan.services().iter().flat_map(|caller| {
        let calls = caller
            .calls()
            .iter()
            .filter_map(|call| plan.service(call.service())?.port(call.port()).map(|port| (call, port)));
        // To networks nobody is redirected here.
        let silent = calls.filter(|(_, port)| {
            let is_redirected = port.endpoints().iter().any(|endpoint| endpoint.is_asked());
            port.protocol() == Protocol::Connections && !is_redirected
        });
        silent.filter_map(move |(call, port)| {
            let callee = plan.service(call.service())?;
            Some(Door::Call {
                service: caller.name().to_owned(),
                callee: format!("{}:{}", callee.name(), port.number()),
                listen: SocketAddr::new(LOOPBACK, 0),
            })
        })
    });
    gateways.chain(sidecars).chain(calls).chain(standing.fronts.doors()).collect()
}
