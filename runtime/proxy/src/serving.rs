//! What is served: the plan in service, and for each open door the plan and the entry that answer what comes in there.

use crate::breaker::Gauges;
use crate::client::Client;
use crate::health::Unwell;
use crate::identity::Identity;
use crate::jwt::Guard;
use crate::mutual::Port;
use crate::names::Names;
use crate::outliers::Detectors;
use crate::outside::Outside;
use crate::terminate::Termination;
use arc_swap::{ArcSwap, ArcSwapOption};
use mesh_engine::balance::nearness::Here;
use mesh_engine::{Address, Entry, Resolved};
use mesh_plan::{Mtls, PlanView, Protocol};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::SystemTime;
use tokio::sync::Notify;

/// Names a listening address for as long as it is open, across plans.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SocketId(pub(crate) u32);

/// What is shared by all threads.
pub(crate) struct Shared {
    pub(crate) serving: ArcSwap<Serving>,
    /// Where this proxy is.
    pub(crate) here: Here,
    /// The last plan that was not taken over, until one is.
    pub(crate) rejected: ArcSwapOption<Rejected>,
    /// Whether new work is no longer wanted.
    pub(crate) draining: AtomicBool,
    /// What has been let in by limits that count requests.
    pub(crate) counts: crate::limits::Counts,
    /// What is under way to destinations with circuit breakers.
    pub(crate) gauges: Gauges,
    /// A request waits for a connection: idle ones are to make room.
    pub(crate) room: Notify,
    /// What endpoints did that are judged.
    pub(crate) detectors: Detectors,
    /// Endpoints that are asked whether they are well, and are not.
    pub(crate) unwell: Arc<Unwell>,
}

/// A plan in service.
pub(crate) struct Serving {
    pub(crate) view: PlanView,
    /// How its services are spoken to that are outside of the mesh, each in its place; empty where nobody here calls any.
    pub(crate) outside: Vec<Option<Arc<Outside>>>,
    /// Where those of its endpoints are that are known by name; empty where nobody here calls any.
    pub(crate) names: Names,
    /// The beginning of the plan's digest, for logs.
    pub(crate) digest: String,
    pub(crate) since: SystemTime,
}

/// A plan that was not taken over.
pub(crate) struct Rejected {
    pub(crate) since: SystemTime,
    pub(crate) why: String,
}

/// What a door's connections ask for each request. A swap replaces it as long as the plan has the door; when a plan no
/// longer has it, what is already on its connections is answered under the last one that had.
pub(crate) type Entrance = Arc<ArcSwap<Opened>>;

/// An open door, as one plan sees it. Swapped as a whole: a request that loads it sees a plan and an entry of that plan.
pub(crate) struct Opened {
    pub(crate) serving: Arc<Serving>,
    /// Its indices are those of this plan.
    pub(crate) entry: Entry,
    /// The entry as that plan knows it, for a peer that is nobody: who somebody is is verified by the transport, for each connection.
    pub(crate) resolved: Resolved,
    pub(crate) name: String,
    /// Whose tokens are verified here.
    pub(crate) tokens: Guard,
    /// Who this proxy is here, if it is anybody.
    pub(crate) identity: Option<Arc<Identity>>,
    /// If TLS of clients ends here: how.
    pub(crate) termination: Option<Arc<Termination>>,
    /// Basis points of the requests that come in here that are logged; `None`: nobody says.
    pub(crate) logged: Option<u32>,
    /// At a port of a service: where the service itself listens.
    pub(crate) application: Option<Address>,
}

impl Opened {
    /// What is spoken here; `None` where several protocols may be.
    pub(crate) fn protocol(&self) -> Option<Protocol> {
        let view = &self.serving.view;
        match self.entry {
            Entry::Gateway { gateway, listener } => {
                Some(view.gateway(gateway)?.listener(listener)?.protocol())
            }
            Entry::Inbound { service, port } => Some(view.service(service)?.port(port)?.protocol()),
            Entry::Sidecar { .. } | Entry::Call { .. } | Entry::FromGateway { .. } => None,
        }
    }

    /// Whether connections begin with a header of the PROXY protocol.
    pub(crate) fn has_proxy_protocol(&self) -> bool {
        let Entry::Gateway { gateway, listener } = self.entry else { return false };
        let listener = self.serving.view.gateway(gateway).and_then(|gateway| gateway.listener(listener));
        listener.is_some_and(|listener| listener.has_proxy_protocol())
    }

    /// The address of who calls the service, where this is the service's own proxy: nobody else knows it.
    pub(crate) fn caller_ip(&self, client: &Client) -> Option<IpAddr> {
        matches!(self.entry, Entry::Inbound { .. }).then(|| client.address.ip())
    }

    /// Whether the node may ask something here.
    pub(crate) fn is_probed(&self) -> bool {
        let Entry::Inbound { service, port } = self.entry else { return false };
        let port = self.serving.view.service(service).and_then(|service| service.port(port));
        port.is_some_and(|port| port.is_probed())
    }

    /// If mutual TLS may come in here: how, and as whom this proxy takes it.
    pub(crate) fn takes_tls(&self) -> Option<(Port, Arc<Identity>)> {
        let Entry::Inbound { service, port } = self.entry else { return None };
        let port = self.serving.view.service(service)?.port(port)?;
        let port = Port { mode: port.mtls(), protocol: port.protocol(), is_probed: port.is_probed() };
        Some((port, self.identity.clone()?)).filter(|(port, _)| port.mode != Mtls::Off)
    }
}

/// Hex digits of a digest in a log line: enough to tell all plans of a mesh apart.
const DIGEST_DIGITS: usize = 12;

impl Serving {
    pub(crate) fn new(view: PlanView, outside: Vec<Option<Arc<Outside>>>, names: Names) -> Serving {
        let digest = view.digest_hex().chars().take(DIGEST_DIGITS).collect();
        Serving { view, outside, names, digest, since: SystemTime::now() }
    }
}
