//! Section 2: who is at the other end.

/// A peer (2.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    Unauthenticated,
    /// A gateway of the mesh.
    Gateway(String),
    /// Another identity of the mesh's trust domain, and its namespace if it has the form of 2.1.
    Own(String, Option<String>),
    /// Any other identity, also what is no well-formed SPIFFE ID.
    Foreign(String),
}

/// A principal whose names are looked up (2.3). A service and `gateway g` are exactly their identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Principal {
    Identity(String),
    Namespace(String),
    /// Every identity of another trust domain.
    TrustDomain(String),
    /// Every identity of another trust domain that has one more segment than this.
    Below(String),
    Authenticated,
    Unauthenticated,
    Anyone,
}

/// 2.1
pub(crate) fn identity(trust_domain: &str, namespace: &str, account: &str) -> String {
    format!("spiffe://{trust_domain}/ns/{namespace}/sa/{account}")
}

/// 2.2: what a SPIFFE ID says of its bearer; `gateways` are the identities of the mesh's gateways.
pub(crate) fn peer(id: Option<&str>, trust_domain: &str, gateways: &[String]) -> Peer {
    let Some(id) = id else { return Peer::Unauthenticated };
    if gateways.iter().any(|gateway| gateway == id) {
        return Peer::Gateway(id.to_owned());
    }
    match well_formed(id).as_deref() {
        Some([domain, "ns", namespace, "sa", _]) if *domain == trust_domain => {
            Peer::Own(id.to_owned(), Some((*namespace).to_owned()))
        }
        Some([domain, ..]) if *domain == trust_domain => Peer::Own(id.to_owned(), None),
        _ => Peer::Foreign(id.to_owned()),
    }
}

/// The trust domain and the segments behind it, of what is a SPIFFE ID.
fn well_formed(id: &str) -> Option<Vec<&str>> {
    let rest = id.strip_prefix("spiffe://").filter(|_| id.len() <= LONGEST_ID)?;
    let segments: Vec<&str> = rest.split('/').collect();
    let is_well_formed =
        segments[0].len() <= LONGEST_DOMAIN && segments[1..].iter().all(|segment| is_segment(segment));
    is_well_formed.then_some(segments)
}

/// In bytes, as the SPIFFE ID standard says.
const LONGEST_ID: usize = 2048;
/// The trust domain in it.
const LONGEST_DOMAIN: usize = 255;

/// A segment of a SPIFFE ID's path, as the standard says (<https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE-ID.md>).
fn is_segment(segment: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    !["", ".", ".."].contains(&segment) && segment.chars().all(plain)
}

impl Principal {
    /// 2.3
    pub(crate) fn contains(&self, peer: &Peer) -> bool {
        match (self, peer) {
            (Principal::Anyone, _) => true,
            (Principal::Unauthenticated, peer) => *peer == Peer::Unauthenticated,
            (Principal::Authenticated, peer) => matches!(peer, Peer::Own(..)),
            (Principal::Namespace(name), Peer::Own(_, Some(namespace))) => name == namespace,
            (Principal::Identity(name), Peer::Gateway(id) | Peer::Own(id, _) | Peer::Foreign(id)) => {
                name == id
            }
            (Principal::TrustDomain(name), Peer::Foreign(id)) => {
                well_formed(id).is_some_and(|segments| segments[0] == name)
            }
            (Principal::Below(beginning), Peer::Foreign(id)) => {
                let last = id.strip_prefix(beginning).and_then(|rest| rest.strip_prefix('/'));
                well_formed(id).is_some() && last.is_some_and(|last| !last.contains('/'))
            }
            (
                Principal::Namespace(_)
                | Principal::TrustDomain(_)
                | Principal::Below(_)
                | Principal::Identity(_),
                _,
            ) => false,
        }
    }

    /// Whether this names somebody by identity (4.3).
    pub(crate) fn names_identities(&self) -> bool {
        !matches!(self, Principal::Unauthenticated | Principal::Anyone)
    }
}
