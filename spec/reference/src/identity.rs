//! Section 2: who is at the other end.

/// A peer (2.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    Unauthenticated,
    /// A gateway of the mesh.
    Gateway(String),
    /// Another identity of the mesh's trust domain, and its namespace if it has the form of 2.1.
    Own(String, Option<String>),
    /// An identity of another trust domain.
    Foreign(String),
}

/// A principal whose names are looked up (2.3). A service and `gateway g` are exactly their identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Principal {
    Identity(String),
    Namespace(String),
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
    let Some(path) = id.strip_prefix("spiffe://").and_then(|rest| rest.strip_prefix(trust_domain)) else {
        return Peer::Foreign(id.to_owned());
    };
    match path.split('/').collect::<Vec<_>>().as_slice() {
        ["", "ns", namespace, "sa", account] if !namespace.is_empty() && !account.is_empty() => {
            Peer::Own(id.to_owned(), Some((*namespace).to_owned()))
        }
        // The trust domain goes on: `local.test.example` is not `local.test`.
        [first, ..] if !first.is_empty() => Peer::Foreign(id.to_owned()),
        _ => Peer::Own(id.to_owned(), None),
    }
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
            (Principal::Namespace(_) | Principal::Identity(_), _) => false,
        }
    }

    /// Whether this names somebody by identity (4.3).
    pub(crate) fn names_identities(&self) -> bool {
        !matches!(self, Principal::Unauthenticated | Principal::Anyone)
    }
}
