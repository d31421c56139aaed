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

/// The peer's atom: of exactly its identity, else of its namespace, else of its kind.
pub(crate) fn atom(plan: &PlanView, partition: Partition<'_>, caller: Caller<'_>) -> Option<u32> {
    match caller {
        Caller::Connected(Peer::Unauthenticated) => Some(partition.unauthenticated()),
        Caller::Connected(Peer::Identity(identity)) => match plan.principal_by_identity(identity) {
            Some(principal) => atom_of_principal(plan, partition, principal),
            None => Some(atom_of_stranger(plan, partition, identity)),
        },
        Caller::Workload(principal) => atom_of_principal(plan, partition, principal),
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
    match standing(plan.trust_domain(), identity) {
        Standing::Foreign => partition.foreign(),
        Standing::Own { namespace } => {
            let namespace = namespace.and_then(|name| plan.namespace_by_name(name));
            namespace.and_then(|index| partition.atom_of_namespace(index)).unwrap_or_else(|| partition.own())
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Standing<'i> {
    /// Of another trust domain, or no SPIFFE ID at all: what cannot be read is not trusted as one of us.
    Foreign,
    /// Of the mesh's trust domain; with the `ns` segment of `/ns/…/sa/…`, and nothing else has one.
    Own { namespace: Option<&'i str> },
}

/// The SPIFFE specification's limit on the length of an ID.
const MAX_ID_BYTES: usize = 2_048;

/// [SPIFFE-ID 2](https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE-ID.md): lower-case scheme, trust domain, and a
/// path of segments that are not empty, `.` or `..`. No query, fragment, port, user or encoding.
fn standing<'i>(trust_domain: &str, identity: &'i str) -> Standing<'i> {
    let own = identity.strip_prefix("spiffe://").and_then(|rest| rest.strip_prefix(trust_domain));
    let Some(path) = own.filter(|_| identity.len() <= MAX_ID_BYTES) else { return Standing::Foreign };
    if path.is_empty() {
        return Standing::Own { namespace: None };
    }
    // Without the slash the trust domain goes on: `local.test.example` is not `local.test`.
    let Some(segments) = path.strip_prefix('/') else { return Standing::Foreign };
    if !segments.split('/').all(is_segment) {
        return Standing::Foreign;
    }
    let mut segments = segments.split('/');
    let form = [segments.next(), segments.next(), segments.next(), segments.next(), segments.next()];
    match form {
        [Some("ns"), namespace, Some("sa"), Some(_), None] => Standing::Own { namespace },
        _ => Standing::Own { namespace: None },
    }
}

fn is_segment(segment: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    !matches!(segment, "" | "." | "..") && segment.bytes().all(allowed)
}
