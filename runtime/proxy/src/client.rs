//! Who is at the other end of a client's connection.

use crate::serving::Opened;
use crate::terminate::OverTls;
use hyper::header::HeaderValue;
use mesh_engine::{Entry, Peer, Resolved};
use std::cell::{Cell, OnceCell};
use std::net::SocketAddr;
use std::sync::Arc;

/// A client, for as long as its connection lasts.
pub(crate) struct Client {
    pub(crate) address: SocketAddr,
    /// Its SPIFFE ID, if the transport has verified one. No header can change that.
    identity: Option<Arc<str>>,
    /// If TLS ends here: what was shown to it.
    tls: Option<OverTls>,
    /// Its address as it is said on.
    said: OnceCell<HeaderValue>,
    /// The entry and the identity as the plan knows them that decided last.
    known: Cell<Option<Resolved>>,
}

impl Client {
    pub(crate) fn at(address: SocketAddr) -> Client {
        Client { address, identity: None, tls: None, said: OnceCell::new(), known: Cell::new(None) }
    }

    pub(crate) fn verified(address: SocketAddr, identity: Option<Arc<str>>) -> Client {
        Client { identity, ..Client::at(address) }
    }

    /// One of a gateway, over TLS. Who shows a certificate that the gateway asks for is nobody of the mesh by that.
    pub(crate) fn over_tls(address: SocketAddr, tls: OverTls) -> Client {
        Client { tls: Some(tls), ..Client::at(address) }
    }

    /// Its address, as a header says it: written down once for all of its requests.
    pub(crate) fn said(&self) -> HeaderValue {
        let said = || HeaderValue::try_from(self.address.ip().to_canonical().to_string());
        // An address is digits, letters, dots and colons.
        self.said.get_or_init(|| said().unwrap_or(HeaderValue::from_static("unknown"))).clone()
    }

    /// How it was called.
    pub(crate) fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// Whether it asks for somebody else than the certificate that it was shown is of.
    pub(crate) fn is_misdirected(&self, host: &str) -> bool {
        self.tls.as_ref().is_some_and(|tls| !tls.is_of(host))
    }

    pub(crate) fn identity(&self) -> Option<&str> {
        self.identity.as_deref()
    }

    /// Whom it asks as: its SPIFFE ID, or, at the proxy of a service that calls, that of the service; empty where nobody knows.
    pub(crate) fn source<'a>(&'a self, opened: &'a Opened) -> &'a str {
        if let (None, Entry::Sidecar { service } | Entry::Call { service, .. }) =
            (&self.identity, opened.entry)
        {
            let view = &opened.serving.view;
            let own = view.service(service).and_then(|service| view.principals().get(service.principal()));
            return own.map_or("", |own| own.identity());
        }
        self.identity().unwrap_or_default()
    }

    /// The entry that it came in at, and who it is there: looked up once for each plan.
    pub(crate) fn resolved(&self, opened: &Opened) -> Resolved {
        let Some(identity) = &self.identity else { return opened.resolved };
        let view = &opened.serving.view;
        if let Some(known) = self.known.get().filter(|known| known.is_of(view)) {
            return known;
        }
        let known = Resolved::of(view, opened.entry, Peer::Identity(identity));
        self.known.set(Some(known));
        known
    }
}
