//! What a decision may look at.

use std::net::IpAddr;

/// Where a request came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// At a listener of a gateway: indices into the plan's gateways and that gateway's listeners.
    Gateway {
        /// Index of the gateway.
        gateway: u32,
        /// Index of the listener.
        listener: u32,
    },
    /// At the proxy of a service that calls: the host says whom (`spec/semantics.md` 5.2).
    Sidecar {
        /// Index of the calling service.
        service: u32,
    },
    /// From a gateway straight into a service's route (5.6).
    FromGateway {
        /// Index of the gateway that calls.
        gateway: u32,
        /// Index of the service called.
        service: u32,
        /// Index of its port.
        port: u32,
    },
    /// At a service's port, with no calling proxy of ours (5.3).
    Inbound {
        /// Index of the service.
        service: u32,
        /// Index of its port.
        port: u32,
    },
}

/// Who is at the other end of the connection: verified by the transport, never taken from a header.
/// For [`Entry::Sidecar`] and [`Entry::FromGateway`] the peer of the hop is the caller itself and this is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer<'a> {
    /// No identity.
    Unauthenticated,
    /// A verified SPIFFE ID, `spiffe://…`.
    Identity(&'a str),
}

/// Method atoms, in the plan's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Get = 0,
    Head = 1,
    Post = 2,
    Put = 3,
    Patch = 4,
    Delete = 5,
    Options = 6,
    Other = 7,
}

impl Method {
    /// The atom of a method token (case-sensitive, RFC 9110 9.1).
    pub fn from_token(token: &str) -> Method {
        match token {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            "POST" => Method::Post,
            "PUT" => Method::Put,
            "PATCH" => Method::Patch,
            "DELETE" => Method::Delete,
            "OPTIONS" => Method::Options,
            _ => Method::Other,
        }
    }
}

/// A header's value as a decision sees it (`spec/semantics.md` 1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderValue<'a> {
    /// No line.
    Absent,
    /// One value.
    Single(&'a [u8]),
    /// More than one.
    Many,
}

/// Where header values come from: the proxy's header map, a test's list.
pub trait Headers {
    /// The value of a header; `name` is lower-case.
    fn value<'a>(&'a self, name: &str) -> HeaderValue<'a>;
}

/// A list of (lower-case name, line) pairs, for tests and tools.
impl Headers for &[(&str, &str)] {
    fn value<'a>(&'a self, name: &str) -> HeaderValue<'a> {
        let lines = self.iter().filter(|(key, _)| *key == name).map(|(_, line)| line.as_bytes());
        crate::header::value_of_lines(name, lines)
    }
}

/// A request in canonical form: see [`crate::canonical`].
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The method.
    pub method: Method,
    /// Lower-case, without port.
    pub host: &'a str,
    /// The port of the authority, where one was written.
    pub host_port: Option<u16>,
    /// Canonical, without query.
    pub path: &'a str,
    /// The headers.
    pub headers: &'a dyn Headers,
}

/// What the world adds to a decision: nothing else is random and nothing reads a clock.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// 64 uniformly random bits: the draws of a decision are derived from them.
    pub dice: u64,
}

/// An address to forward to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// IPv4 addresses come back as IPv4.
    pub ip: IpAddr,
    /// TCP port.
    pub port: u16,
}
