//! As whom an endpoint is asked. Where it takes mutual TLS that is somebody who this proxy is at one of its doors, as with requests.
//!
//! A proxy may be several services and gateways. One answer counts for all of them, because an endpoint is well or not, whoever asks; so
//! one of them asks: the first, in the order of the doors, whom the service's authorization lets ask. It is the plan that says so, and
//! `mesh check` that everybody who sends there is among them (`MESH4013`). Where nobody of this proxy is, it sends nothing there either,
//! and is not asked: each question would be a refusal in somebody's log. One whose certificate has ended or was taken back does not ask
//! while there is another: a stranger's certificate says nothing about an endpoint.

use super::question::{Asked, asked};
use crate::identity::{Identity, Inside};
use crate::mutual::Mutual;
use crate::outside::Secured;
use crate::serving::Serving;
use mesh_engine::{Action, Entry, Moment, Peer, Refusal, Request, decide};
use mesh_plan::view::{Port, Service};
use mesh_plan::{Mtls, PlanView, Probe};
use std::net::Ipv6Addr;
use std::sync::Arc;

/// In which TLS a port is asked, and as whom.
#[derive(Clone)]
pub(super) enum Asker {
    /// In the clear, as nobody.
    Nobody,
    /// One outside of the mesh, in the TLS that it is spoken to in, if that is one.
    Outsider(u64, Option<Secured>),
    /// One of these, of somebody who shows this SPIFFE ID. There is at least one.
    Workload { own: Vec<Arc<Identity>>, callee: Arc<str>, inside: Inside },
}

/// What tells askers apart: what is known of an endpoint was found out by one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Nobody,
    Outsider(u64),
    Workload(Vec<u64>, Arc<str>),
}

impl Asker {
    /// Who of a proxy that is these asks a port inside of the mesh. `None`: nobody of them may.
    pub(super) fn inside(
        serving: &Serving,
        own: &[Arc<Identity>],
        service: Service<'_>,
        (port, number): (Port<'_>, u32),
        probe: &Probe,
    ) -> Option<Asker> {
        let plan = &serving.view;
        let is_mutual = match port.mtls() {
            Mtls::Strict => true,
            // As requests are sent there.
            Mtls::Permissive => !own.is_empty(),
            Mtls::None | Mtls::Off => false,
        };
        // Where a connection is all that is asked for, nothing is said on it.
        let Some(asked) = asked(probe).filter(|_| is_mutual) else { return Some(Asker::Nobody) };
        let entry = Entry::Inbound { service: service.index(), port: number };
        let may = own.iter().filter(|own| may_ask(plan, entry, own.id(), &asked));
        let own: Vec<Arc<Identity>> = may.cloned().collect();
        let callee = Arc::from(plan.principals().get(service.principal())?.identity());
        let asker = Asker::Workload { own, callee, inside: Inside::of(port.protocol()) };
        asker.now().is_some().then_some(asker)
    }

    pub(super) fn key(&self) -> Key {
        match self {
            Asker::Nobody => Key::Nobody,
            Asker::Outsider(number, _) => Key::Outsider(*number),
            Asker::Workload { own, callee, .. } => {
                Key::Workload(own.iter().map(|own| own.number()).collect(), callee.clone())
            }
        }
    }

    /// The TLS of the next question, with what certificates are now.
    pub(super) fn now(&self) -> Option<Secured> {
        match self {
            Asker::Nobody => None,
            Asker::Outsider(_, tls) => tls.clone(),
            Asker::Workload { own, callee, inside } => {
                let own = own.iter().find(|own| own.is_good()).or_else(|| own.first())?.clone();
                let changes = own.changes();
                Some(Secured::Mutual(Mutual { own, callee: callee.clone(), inside: *inside, changes }))
            }
        }
    }
}

/// Whether the service's own proxy lets somebody ask, or may do so: from which address it is asked nobody here knows.
fn may_ask(plan: &PlanView, entry: Entry, id: &str, asked: &Asked<'_>) -> bool {
    let request = Request {
        method: asked.method,
        host: "",
        host_port: None,
        path: asked.path,
        query: "",
        headers: &asked.headers,
        source_ip: Ipv6Addr::UNSPECIFIED.into(),
        caller_ip: None,
        client_ip: None,
        tokens: &[],
    };
    let decision = decide(plan, entry, Peer::Identity(id), &request, Moment { dice: 0 });
    !matches!(decision.action, Action::Refuse(Refusal::Denied { .. } | Refusal::Broken))
}
