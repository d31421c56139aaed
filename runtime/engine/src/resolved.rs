//! An entry and a peer, looked up: all of a decision that is the same for every request of a connection.

use crate::callee::callee;
use crate::peer::Caller;
use crate::request::{Entry, Peer};
use mesh_plan::PlanView;
use mesh_plan::view::Dimensions;

/// An [`Entry`] and a [`Peer`], looked up in a plan. It borrows nothing, so it can be kept beside a connection for as long as the
/// plan that it was looked up in decides there: of another plan [`decide_at`](crate::decide_at()) refuses every request.
///
/// ```text
/// let resolved = Resolved::of(&plan, entry, peer);      // for each connection, and when another plan is taken over
/// let decision = decide_at(&plan, &resolved, &request, moment);   // for each request
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Resolved {
    /// Of which plan it is.
    stamp: u64,
    pub(crate) way: Way,
}

/// Where the walk begins, by what is known beforehand.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Way {
    Listener {
        gateway: u32,
        listener: u32,
        place: Place,
    },
    /// Whom a service calls depends on the request's host.
    Host {
        service: u32,
        sender: Caller,
    },
    Call(Call),
    /// A service does not call whoever is meant.
    Undeclared {
        service: u32,
    },
    Straight {
        gateway: u32,
        sender: Caller,
        hop: Hop,
    },
    Arrival {
        hop: Arrival,
    },
    /// The plan has no such entry, or contradicts itself.
    Nowhere,
}

/// A call of a service.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    pub(crate) service: u32,
    pub(crate) sender: Caller,
    pub(crate) place: Place,
    pub(crate) hop: Hop,
}

/// A partition, and the atom in it of who asks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) dimensions: Dimensions,
    pub(crate) peer: u32,
}

/// From who sends to a port.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hop {
    /// The route that decides.
    pub(crate) route: Place,
    /// Whether it is the sender's own.
    pub(crate) own: bool,
    pub(crate) arrival: Arrival,
}

/// A port, and the place of its authorization.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    pub(crate) service: u32,
    pub(crate) port: u32,
    pub(crate) place: Place,
}

impl Resolved {
    /// Looks an entry and a peer up.
    pub fn of(plan: &PlanView, entry: Entry, peer: Peer<'_>) -> Resolved {
        Resolved { stamp: plan.stamp(), way: way(plan, entry, peer).unwrap_or(Way::Nowhere) }
    }

    /// Whether it was looked up in this plan.
    pub fn is_of(&self, plan: &PlanView) -> bool {
        self.stamp == plan.stamp()
    }
}

fn way(plan: &PlanView, entry: Entry, peer: Peer<'_>) -> Option<Way> {
    Some(match entry {
        Entry::Gateway { gateway, listener } => {
            let partition = plan.gateway(gateway)?.listener(listener)?.partition();
            Way::Listener { gateway, listener, place: Place::of(plan, partition, Caller::of(plan, peer))? }
        }
        Entry::Sidecar { service } => {
            let sender = Caller::principal(plan, plan.service(service)?.principal());
            Way::Host { service, sender }
        }
        Entry::Call { service, call } => {
            let caller = plan.service(service)?;
            let sender = Caller::Principal(caller.principal(), None);
            match caller.calls().get(call) {
                Some(_) => Way::Call(Call::of(plan, service, sender, call)?),
                None => Way::Undeclared { service },
            }
        }
        Entry::FromGateway { gateway, service, port } => {
            let sender = plan.gateway(gateway)?;
            let own = sender.consumer_routes().of_port(service, port).map(|route| route.partition());
            let principal = Caller::Principal(sender.principal(), None);
            Way::Straight { gateway, sender: principal, hop: Hop::of(plan, service, port, own, principal)? }
        }
        Entry::Inbound { service, port } => {
            Way::Arrival { hop: Arrival::of(plan, service, port, Caller::of(plan, peer))? }
        }
    })
}

impl Call {
    /// `None` where the plan has no such call or contradicts itself.
    pub(crate) fn of(plan: &PlanView, service: u32, sender: Caller, call: u32) -> Option<Call> {
        let caller = plan.service(service)?;
        let call = caller.calls().get(call)?;
        let own =
            caller.consumer_routes().of_port(call.service(), call.port()).map(|route| route.partition());
        Some(Call {
            service,
            sender,
            place: Place::of(plan, call.partition(), sender)?,
            hop: Hop::of(plan, call.service(), call.port(), own, sender)?,
        })
    }

    /// The call that a host means: `Some(None)` where the service declares none.
    pub(crate) fn of_host(
        plan: &PlanView,
        service: u32,
        sender: Caller,
        host: &str,
        host_port: Option<u16>,
    ) -> Option<Option<Call>> {
        let Some(call) = callee(plan, plan.service(service)?, host, host_port)? else { return Some(None) };
        Call::of(plan, service, sender, call).map(Some)
    }
}

impl Place {
    pub(crate) fn of(plan: &PlanView, partition: u32, caller: Caller) -> Option<Place> {
        let partition = plan.partition(partition)?;
        Some(Place { dimensions: partition.dimensions(), peer: caller.atom(plan, partition)? })
    }
}

impl Hop {
    /// With the sender's own route, where it has one.
    pub(crate) fn of(
        plan: &PlanView,
        service: u32,
        port: u32,
        own: Option<u32>,
        caller: Caller,
    ) -> Option<Hop> {
        let arrival = Arrival::of(plan, service, port, caller)?;
        let route = match own {
            Some(partition) => Place::of(plan, partition, caller)?,
            None => arrival.place,
        };
        Some(Hop { route, own: own.is_some(), arrival })
    }
}

impl Arrival {
    pub(crate) fn of(plan: &PlanView, service: u32, port: u32, caller: Caller) -> Option<Arrival> {
        let partition = plan.service(service)?.port(port)?.partition();
        Some(Arrival { service, port, place: Place::of(plan, partition, caller)? })
    }
}
