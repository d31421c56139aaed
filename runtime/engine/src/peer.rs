//! Who the peer is, as far as one decision tells (`spec/semantics.md` 2).

use crate::request::Peer;
use crate::spiffe::SpiffeId;
use mesh_plan::view::Partition;
use mesh_plan::{NONE, PlanView};

/// The peer of a hop, looked up as far as the plan goes: once for a connection, and not for each request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Caller {
    /// No identity.
    Nobody,
    /// A principal of the plan, by index; and, where that is looked up already, what it is to partitions that do not name it.
    Principal(u32, Option<Stranger>),
    /// An identity that the plan does not know.
    Stranger(Stranger),
}

/// What the plan knows of an identity that is none of its principals.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stranger {
    /// The prefix that ends before the last segment of its path, or [`NONE`].
    parent: u32,
    /// The prefix that is its trust domain, or [`NONE`].
    domain: u32,
    /// Whether the trust domain is that of the mesh.
    own: bool,
}

impl Caller {
    pub(crate) fn of(plan: &PlanView, peer: Peer<'_>) -> Caller {
        match peer {
            Peer::Unauthenticated => Caller::Nobody,
            Peer::Known(principal) => Caller::Principal(principal, None),
            Peer::Identity(identity) => match plan.principal_by_identity(identity) {
                Some(principal) => Caller::Principal(principal, None),
                None => Caller::Stranger(Stranger::of(plan, identity)),
            },
        }
    }

    /// A principal that many partitions will be asked about.
    pub(crate) fn principal(plan: &PlanView, index: u32) -> Caller {
        let principal = plan.principals().get(index).filter(|principal| !principal.gateway());
        Caller::Principal(index, principal.map(|principal| Stranger::of(plan, principal.identity())))
    }

    /// The peer's atom: of exactly its identity, else of what it begins with, else of its kind. `None` where the plan has no such
    /// principal.
    pub(crate) fn atom(self, plan: &PlanView, partition: Partition<'_>) -> Option<u32> {
        if partition.peer_atoms() == 1 {
            // Nobody is told apart.
            return Some(0);
        }
        let (index, otherwise) = match self {
            Caller::Nobody => return Some(partition.unauthenticated()),
            Caller::Stranger(stranger) => return Some(stranger.atom(partition)),
            Caller::Principal(index, otherwise) => (index, otherwise),
        };
        if let Some(atom) = partition.atom_of_principal(index) {
            return Some(atom);
        }
        if let Some(stranger) = otherwise {
            return Some(stranger.atom(partition));
        }
        let principal = plan.principals().get(index)?;
        match principal.gateway() {
            true => Some(partition.gateway()),
            false => Some(Stranger::of(plan, principal.identity()).atom(partition)),
        }
    }
}

impl Stranger {
    fn of(plan: &PlanView, identity: &str) -> Stranger {
        let Some(id) = SpiffeId::read(identity) else {
            return Stranger { parent: NONE, domain: NONE, own: false };
        };
        let known = |prefix: &str| plan.prefix_by_text(prefix).unwrap_or(NONE);
        Stranger {
            parent: known(id.parent),
            domain: known(id.domain),
            own: id.trust_domain == plan.trust_domain(),
        }
    }

    /// The longer prefix counts.
    fn atom(self, partition: Partition<'_>) -> u32 {
        let known = |prefix| partition.atom_of_prefix(prefix);
        let kind = if self.own { partition.own() } else { partition.foreign() };
        known(self.parent).or_else(|| known(self.domain)).unwrap_or(kind)
    }
}
