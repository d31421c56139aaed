//! What a decision may look at.

use mesh_plan::view::Endpoint;
use std::net::{IpAddr, Ipv6Addr};

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
    /// The same where it is known already whom the host means: see [`callee`](crate::decide::callee()).
    Call {
        /// Index of the calling service.
        service: u32,
        /// Index among its calls; where it has none of this index, it does not declare the call.
        call: u32,
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
    /// A verified SPIFFE ID that the plan knows, by index ([`principal_by_identity`](mesh_plan::PlanView::principal_by_identity)): looked up
    /// once for all requests of a connection.
    Known(u32),
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
    /// All of them, each at its number.
    pub const ALL: [Method; 8] = [
        Method::Get,
        Method::Head,
        Method::Post,
        Method::Put,
        Method::Patch,
        Method::Delete,
        Method::Options,
        Method::Other,
    ];

    /// Its token; of those without a name here one of them.
    pub fn token(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Head => "HEAD",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
            Method::Options => "OPTIONS",
            Method::Other => "PROPFIND",
        }
    }

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
    /// Shows every line of a header, in order; `name` is lower-case ASCII.
    fn each_line(&self, name: &[u8], show: &mut dyn FnMut(&[u8]));
}

/// A list of (lower-case name, line) pairs, for tests and tools.
impl Headers for &[(&str, &str)] {
    fn each_line(&self, name: &[u8], show: &mut dyn FnMut(&[u8])) {
        self.iter().filter(|(key, _)| key.as_bytes() == name).for_each(|(_, line)| show(line.as_bytes()));
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
    /// What stands behind the first `?`, as it was sent; empty where nothing does.
    pub query: &'a str,
    /// The headers; cookies are in them.
    pub headers: &'a dyn Headers,
    /// The other end of the connection.
    pub source_ip: IpAddr,
    /// The address at which the service that is called sees its caller, where whoever decides knows it: the service's own proxy does, and for
    /// it that is `source_ip`. One that calls leaves to it what hangs on that address.
    pub caller_ip: Option<IpAddr>,
    /// Who asked the first trusted proxy, where the door has one.
    pub client_ip: Option<IpAddr>,
    /// The verified tokens that came along, one for each issuer.
    pub tokens: &'a [Token<'a>],
}

/// A verified token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token<'a> {
    /// The name of the `jwt` that it was verified by.
    pub issuer: &'a str,
    /// What it claims.
    pub claims: &'a [Claim<'a>],
}

/// What a token says at one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim<'a> {
    /// The place, as a JSON pointer (RFC 6901): `/realm/roles`.
    pub pointer: &'a str,
    /// What stands there.
    pub value: ClaimValue<'a>,
}

/// A claim as a decision sees it (`spec/semantics.md` 1.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimValue<'a> {
    /// A string.
    Text(&'a str),
    /// A list of strings.
    List(&'a [&'a str]),
    /// A number, an object, a list of something else.
    Other,
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

impl Address {
    /// Where an instance listens. `None`: it has a name, and that is looked up elsewhere.
    pub fn of(endpoint: Endpoint<'_>) -> Option<Address> {
        let (ip, port) = endpoint.address();
        let is_known = endpoint.name().is_empty();
        is_known.then(|| Address { ip: IpAddr::V6(Ipv6Addr::from(ip)).to_canonical(), port })
    }
}
