//! Who the peer is, as far as one decision tells (`spec/semantics.md` 2).

use crate::request::Peer;
use mesh_plan::PlanView;
use mesh_plan::view::Partition;

/// The peer of a hop: who connected, or the workload whose proxy is deciding.
#[derive(Clone, Copy)]
pub(crate) enum Caller<'r> {
    /// At the other end of the connection.
    Connected(Peer<'r>),
    /// A principal of the plan, by index.
    Workload(u32),
}

/// The peer's atom: of exactly its identity, else of what it begins with, else of its kind.
pub(crate) fn atom(plan: &PlanView, partition: Partition<'_>, caller: Caller<'_>) -> Option<u32> {
    match caller {
        Caller::Connected(Peer::Unauthenticated) => Some(partition.unauthenticated()),
        Caller::Connected(Peer::Identity(identity)) => match plan.principal_by_identity(identity) {
            Some(principal) => atom_of_principal(plan, partition, principal),
            None => Some(atom_of_stranger(plan, partition, identity)),
        },
        Caller::Workload(principal) | Caller::Connected(Peer::Known(principal)) => {
            atom_of_principal(plan, partition, principal)
        }
    }
}

fn atom_of_principal(plan: &PlanView, partition: Partition<'_>, index: u32) -> Option<u32> {
    if let Some(atom) = partition.atom_of_principal(index) {
        return Some(atom);
    }
    let principal = plan.principals().get(index)?;
    match principal.gateway() {
        true => Some(partition.gateway()),
        false => Some(atom_of_stranger(plan, partition, principal.identity())),
    }
}

fn atom_of_stranger(plan: &PlanView, partition: Partition<'_>, identity: &str) -> u32 {
    let Some(id) = SpiffeId::read(identity) else { return partition.foreign() };
    let known = |prefix: &str| partition.atom_of_prefix(plan.prefix_by_text(prefix)?);
    let kind = match id.trust_domain == plan.trust_domain() {
        true => partition.own(),
        false => partition.foreign(),
    };
    // The longer prefix counts.
    known(id.parent).or_else(|| known(id.domain)).unwrap_or(kind)
}

/// What an identity is part of.
#[derive(Debug, PartialEq, Eq)]
struct SpiffeId<'i> {
    trust_domain: &'i str,
    /// Up to the end of the trust domain: `spiffe://local.test`.
    domain: &'i str,
    /// Up to the last segment of the path: `spiffe://local.test/ns/shop/sa`.
    parent: &'i str,
}

/// The SPIFFE specification's limit on the length of an ID.
const MAX_ID_BYTES: usize = 2_048;

impl<'i> SpiffeId<'i> {
    /// [SPIFFE-ID 2](https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE-ID.md): lower-case scheme, trust domain, and a
    /// path of segments that are not empty, `.` or `..`. No query, fragment, port, user or encoding. What cannot be read is not
    /// trusted as anybody's: `None`.
    fn read(identity: &'i str) -> Option<SpiffeId<'i>> {
        let rest = identity.strip_prefix("spiffe://").filter(|_| identity.len() <= MAX_ID_BYTES)?;
        let (trust_domain, path) =
            rest.split_once('/').map_or((rest, None), |(name, path)| (name, Some(path)));
        if !is_trust_domain(trust_domain) || !path.is_none_or(|path| path.split('/').all(is_segment)) {
            return None;
        }
        let domain = identity.get(.."spiffe://".len() + trust_domain.len())?;
        let parent = path.and_then(|_| identity.rsplit_once('/')).map_or(domain, |(parent, _)| parent);
        Some(SpiffeId { trust_domain, domain, parent })
    }
}

fn is_trust_domain(name: &str) -> bool {
    let allowed =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.' | b'_');
    !name.is_empty() && name.bytes().all(allowed)
}

fn is_segment(segment: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    !matches!(segment, "" | "." | "..") && segment.bytes().all(allowed)
}
