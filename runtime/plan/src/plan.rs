//! The plan as values: what the compiler fills in and `encode` writes down.
//!
//! Every reference is an index into another table of the same plan; `Vec`s that are said to be sorted are sorted by
//! bytes and hold no value twice. `encode` asserts what `verify` will ask.

use std::fmt;

/// No index: "there is none".
pub const NONE: u32 = u32::MAX;

/// A whole plan. Equal plans encode to equal bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The SPIFFE trust domain of the mesh.
    pub trust_domain: String,
    /// Identities that something in the plan knows, sorted by `identity`.
    pub principals: Vec<Principal>,
    /// Beginnings of SPIFFE IDs, without `/` at the end, that an authorization names, sorted: `spiffe://partner.example` is every
    /// identity of that trust domain, `spiffe://local.test/ns/shop/sa` every one with one segment more.
    pub prefixes: Vec<String>,
    /// Sorted by `name`.
    pub services: Vec<Service>,
    /// Sorted by `name`.
    pub gateways: Vec<Gateway>,
    /// Decision structures; one for each service port, gateway listener, call and consumer route.
    pub partitions: Vec<Partition>,
    /// Tables that read a value byte by byte, referred to by partitions and fields; each once.
    pub automata: Vec<Automaton>,
    /// Diagram nodes of all partitions. INVARIANT: a node's children that are nodes have a smaller index.
    pub nodes: Vec<Node>,
    /// Ordered candidates, where a diagram would be too large. INVARIANT: the nodes that are lists name them in their order, each once.
    pub lists: Vec<List>,
    /// What a route decides, referred to by leaves of route roots.
    pub outcomes: Vec<Outcome>,
    /// What an authorization decides, referred to by leaves of authorization roots.
    pub verdicts: Vec<Verdict>,
    /// Who is asked besides, referred to by verdicts.
    pub authorities: Vec<Authority>,
    /// What a `calls` decides, referred to by leaves of call roots.
    pub grants: Vec<Grant>,
    /// What blocks say of what is sent on, referred to by index.
    pub settings: Vec<Settings>,
    /// The `mesh default`: an index into `settings`, or [`NONE`].
    pub default_settings: u32,
}

/// An identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// `spiffe://…`
    pub identity: String,
    /// Whether it is a gateway of this mesh.
    pub gateway: bool,
}

/// A service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// `name.namespace`
    pub name: String,
    /// Who owns it; may be empty.
    pub owner: String,
    /// Index into `principals`.
    pub principal: u32,
    /// The service's own settings: index into `settings`, or [`NONE`].
    pub settings: u32,
    /// What it lets in: `MaxRequestBody`, `RateLimit`, `DecodeSlashes` and `StripParameters` only.
    pub limits: Vec<Edit>,
    /// Sorted by `number`; may be empty.
    pub ports: Vec<Port>,
    /// Basis points: with a smaller share of healthy endpoints all of them are used. 0: never.
    pub panic_threshold: u32,
    /// Basis points of the requests that come in at its own proxy that have a line in the access log; 0: none has. `None`: nothing is said.
    pub logged: Option<u32>,
    /// How proxies ask its endpoints whether they are well.
    pub health_check: Option<HealthCheck>,
    /// If its endpoints are outside of the mesh and spoken to inside TLS: how.
    pub tls: Option<OutsideTls>,
    /// Which of its endpoints are preferred, by where they are.
    pub nearness: Nearness,
    /// Whose tokens it verifies, sorted by `name`.
    pub verifiers: Vec<Verifier>,
    /// Names of its subsets, sorted.
    pub subsets: Vec<String>,
    /// The services it may call, sorted by (service, port).
    pub calls: Vec<Call>,
    /// The names by which it may say whom it calls, sorted by `host`: `name`, `name.namespace`. A host stands here
    /// once for each of the callee's ports that it has a call for.
    pub hosts: Vec<CallHost>,
    /// Routes of its own for what it calls, sorted by (service, port).
    pub consumer_routes: Vec<ConsumerRoute>,
}

/// `failover …` and `locality zone`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nearness {
    /// Clusters, each asked while no endpoint of those before it is healthy; [`LOCAL`] is the caller's own. Empty: all clusters are alike.
    pub failover: Vec<String>,
    /// Whether endpoints in the caller's zone are preferred.
    pub by_zone: bool,
}

/// `jwt NAME { … }`, with the `jwt NAME required|optional` of a service or gateway: whose tokens it verifies, and how (RFC 7519).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verifier {
    /// Its name, by which conditions ask for its claims.
    pub name: String,
    /// The `iss` that its tokens have.
    pub issuer: String,
    /// One of them is in `aud`; sorted, not empty.
    pub audiences: Vec<String>,
    /// `https://…`, or the path of a file.
    pub jwks: String,
    /// Where tokens stand; sorted, not empty.
    pub places: Vec<TokenPlace>,
    /// Claims that are lists in one string, with spaces between; sorted.
    pub list_claims: Vec<String>,
    /// Milliseconds that the issuer's clock may be off.
    pub clock_skew: u32,
    /// The `typ` that its tokens have, in lower case and without `application/`; empty: none, `jwt` or `at+jwt`.
    pub typ: String,
    /// Whether a request without a token is refused.
    pub required: bool,
    /// Whether the token is sent on.
    pub forward: bool,
}

/// Where a token stands in a request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TokenPlace {
    /// What kind of place.
    pub kind: TokenPlaceKind,
    /// The name; empty for [`TokenPlaceKind::Bearer`]. Of headers lower-case.
    pub name: String,
}

/// What kind of place a token stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TokenPlaceKind {
    /// `authorization: Bearer …` (RFC 6750 2.1).
    Bearer = 0,
    /// A header that is nothing else.
    Header = 1,
    /// A cookie.
    Cookie = 2,
    /// A query parameter.
    Query = 3,
}

impl TokenPlaceKind {
    /// All of them, each at its number.
    pub const ALL: [TokenPlaceKind; 4] =
        [TokenPlaceKind::Bearer, TokenPlaceKind::Header, TokenPlaceKind::Cookie, TokenPlaceKind::Query];

    /// The kind of a number; a number that is none is [`TokenPlaceKind::Bearer`].
    pub(crate) fn of_number(number: u32) -> TokenPlaceKind {
        let at = |kind: &TokenPlaceKind| *kind as u32 == number;
        TokenPlaceKind::ALL.into_iter().find(at).unwrap_or(TokenPlaceKind::Bearer)
    }
}

/// In [`Nearness::failover`]: the cluster of whoever calls.
pub const LOCAL: &str = "local";

/// `tls …` of a service outside of the mesh: who must answer at its endpoints, and who asks there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OutsideTls {
    /// Whom connections ask for, and whom the certificate that is shown must be of. Empty where that is who is asked for
    /// ([`Endpoint::is_asked`]), or where nobody verifies it: then nobody is asked for.
    pub name: String,
    /// Who must have signed that certificate.
    pub trust: Trust,
    /// The name of the certificate that is shown there; empty for none.
    pub certificate: String,
}

impl fmt::Display for OutsideTls {
    /// In the words of the language.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tls")?;
        if !self.name.is_empty() {
            write!(f, " host {}", self.name)?;
        }
        match &self.trust {
            Trust::System => f.write_str(" ca system")?,
            Trust::Authority(name) => write!(f, " ca {name}")?,
            Trust::Anyone => f.write_str(" insecure")?,
        }
        if self.certificate.is_empty() { Ok(()) } else { write!(f, " certificate {}", self.certificate) }
    }
}

/// Whose signatures under certificates are believed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Trust {
    /// Those of the authorities that the machine believes.
    System,
    /// Those of the authority of this name.
    Authority(String),
    /// None is asked for: whoever answers is spoken to.
    Anyone,
}

/// `health-check … { … }`
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HealthCheck {
    /// What is asked.
    pub probe: Probe,
    /// Milliseconds between two questions; not 0.
    pub interval: u32,
    /// Milliseconds that an answer is waited for; not 0.
    pub timeout: u32,
    /// Failures in a row after which an endpoint is out; not 0.
    pub unhealthy: u32,
    /// Successes in a row after which it is in again; not 0.
    pub healthy: u32,
}

/// How an endpoint is asked whether it is well.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Probe {
    /// By `GET` of this path: with a status of 2xx it is.
    Get(String),
    /// By a connection: if it can be made, it is.
    Tcp,
    /// By `grpc.health.v1.Health/Check` of everything that it serves: if it says `SERVING`, it is.
    Grpc,
}

/// What a port or a listener speaks: it is declared, never guessed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// HTTP/1.1 (RFC 9112).
    #[default]
    Http = 0,
    /// HTTP/2 (RFC 9113), with prior knowledge.
    Http2 = 1,
    /// gRPC, over HTTP/2.
    Grpc = 2,
    /// Bytes: only connections are seen, and no requests in them.
    Connections = 3,
    /// TLS that ends elsewhere: connections, each known by the name that its client asks for.
    Tls = 4,
}

impl Protocol {
    /// All of them, each at its number.
    pub const ALL: [Protocol; 5] =
        [Protocol::Http, Protocol::Http2, Protocol::Grpc, Protocol::Connections, Protocol::Tls];

    /// Whether requests come as streams of HTTP/2.
    pub fn is_http2(self) -> bool {
        matches!(self, Protocol::Http2 | Protocol::Grpc)
    }

    /// Whether nothing in its connections is a request.
    pub fn sees_connections(self) -> bool {
        matches!(self, Protocol::Connections | Protocol::Tls)
    }

    /// The protocol of a number; a number that is none is [`Protocol::Connections`], in which nothing is looked for.
    pub(crate) fn of_number(number: u32) -> Protocol {
        let at = |protocol: &Protocol| *protocol as u32 == number;
        Protocol::ALL.into_iter().find(at).unwrap_or(Protocol::Connections)
    }
}

/// Whether connections to a port are of mutual TLS, each side with its identity (`spec/semantics.md` 10.12).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mtls {
    /// Nothing is said: callers send plain bytes, and the service takes both.
    #[default]
    None = 0,
    /// Callers with an identity use it; the service takes plain bytes too.
    Permissive = 1,
    /// Nothing else.
    Strict = 2,
    /// Plain bytes alone.
    Off = 3,
}

impl Mtls {
    /// All of them, each at its number.
    pub const ALL: [Mtls; 4] = [Mtls::None, Mtls::Permissive, Mtls::Strict, Mtls::Off];

    /// The mode of a number; a number that is none is [`Mtls::Strict`], which lets in the fewest.
    pub(crate) fn of_number(number: u32) -> Mtls {
        let at = |mode: &Mtls| *mode as u32 == number;
        Mtls::ALL.into_iter().find(at).unwrap_or(Mtls::Strict)
    }
}

/// A port of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// What callers say.
    pub number: u16,
    /// What its endpoints speak.
    pub protocol: Protocol,
    /// Whether that is inside mutual TLS.
    pub mtls: Mtls,
    /// Whether the node may ask something there without an identity, in the clear: what, its authorization says.
    pub probed: bool,
    /// Its name; empty where the service has one unnamed port.
    pub name: String,
    /// Index into `partitions`: `roots[0]` is the route (leaves are outcomes), `access` the authorization.
    pub partition: u32,
    /// All endpoints of the port, sorted.
    pub endpoints: Vec<Endpoint>,
    /// For each subset of the service, in its order: indices into `endpoints`, sorted.
    pub subset_endpoints: Vec<Vec<u32>>,
}

/// An instance, and where it listens; or a name in DNS, each of whose addresses is an instance.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint {
    /// An IPv4 address is stored as v4-mapped IPv6 (`::ffff:a.b.c.d`). All zero where there is a name.
    pub ip: [u8; 16],
    /// TCP port.
    pub port: u16,
    /// What is looked up; empty where the address is known.
    pub name: String,
    /// Whether the name is one outside of the mesh: then no address of loopback is taken for it.
    pub is_outside: bool,
    /// Whether it is looked up only for who names it: a name for requests of that host, a pattern as in [`CallHost`] for the host of each request
    /// that is inside it. Then it is outside, and so is every endpoint of its port.
    pub is_asked: bool,
    /// The cluster it is in; empty where none is said.
    pub cluster: String,
    /// The zone it is in; empty where none is said.
    pub zone: String,
}

/// That a service may call another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Index into `services`.
    pub service: u32,
    /// Index into that service's `ports`.
    pub port: u32,
    /// Index into `partitions`: `roots[0]`'s leaves are indices into `grants`, or [`REFUSED`].
    pub partition: u32,
}

/// A name by which a service says whom it calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallHost {
    /// Lower-case, without a port. One that begins with `*.` stands for every host of one more label, one that begins with `**.` for every one of
    /// more labels.
    pub host: String,
    /// Index into the service's `calls`, or [`NONE`]: whom it means is not called.
    pub call: u32,
}

/// A caller's own route: its proxy uses it instead of the route of the port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConsumerRoute {
    /// Index into `services`: whom it is for.
    pub service: u32,
    /// Index into that service's `ports`.
    pub port: u32,
    /// Index into `partitions`: `roots[0]` is the route (leaves are outcomes).
    pub partition: u32,
}

/// A gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gateway {
    /// `name.namespace`
    pub name: String,
    /// Who owns it; may be empty.
    pub owner: String,
    /// Index into `principals`.
    pub principal: u32,
    /// What it lets in, all listeners together.
    pub limits: Vec<Edit>,
    /// How many proxies before it are believed in `x-forwarded-for`.
    pub trusted_hops: u32,
    /// Basis points of the requests that come in here that have a line in the access log; 0: none has. `None`: nothing is said.
    pub logged: Option<u32>,
    /// Whose tokens it verifies, sorted by `name`.
    pub verifiers: Vec<Verifier>,
    /// Sorted by `name`.
    pub listeners: Vec<Listener>,
    /// Routes of its own for where its rules send, sorted by (service, port).
    pub consumer_routes: Vec<ConsumerRoute>,
}

/// A listener of a gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Its name.
    pub name: String,
    /// TCP port.
    pub number: u16,
    /// What its clients speak. Where only connections are seen, its one host is `Any`.
    pub protocol: Protocol,
    /// Whether its connections begin with a header of the PROXY protocol.
    pub proxy_protocol: bool,
    /// Index into `partitions`: `access` is the authorization, `roots[i]` the route of `hosts[i]`.
    pub partition: u32,
    /// What it lets in.
    pub limits: Vec<Edit>,
    /// Host patterns with a table of their own. Sorted by (kind, name).
    pub hosts: Vec<Host>,
    /// Names of the certificates that are shown: what its clients speak is inside TLS, which ends here. Sorted; empty where it is not.
    pub certificates: Vec<String>,
    /// The name of the authority whose certificate a client must show; empty where none is asked for.
    pub client_ca: String,
}

/// A host pattern; its table is the partition's root of the same index.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Host {
    /// What kind of pattern.
    pub kind: HostKind,
    /// The name after `*.` or `**.`; empty for `Any`.
    pub name: String,
}

/// Kinds of host pattern, the most specific first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HostKind {
    Exact = 0,
    OneLabel = 1,
    Labels = 2,
    Any = 3,
}

/// The dimensions of one decision and how a value becomes a small number (an *atom*) in each.
///
/// A node's `dim` is 0 for the peer, 1 for the method, 2 for the path, and 3 + i for `fields[i]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Partition {
    /// The peer: see [`Peers`].
    pub peers: Peers,
    /// The path: a deterministic automaton over segments. State 0 is the start. Empty where `path_automaton` is there.
    pub states: Vec<State>,
    /// The path read byte by byte instead: index into [`Plan::automata`].
    pub path_automaton: Option<u32>,
    /// Number of path atoms. Atom 0 is "no pattern fits"; the path `*` is atom `star`.
    pub path_atoms: u32,
    /// The atom of the path `*`.
    pub star: u32,
    /// What else of a request something asks.
    pub fields: Vec<Field>,
    /// Authorization: a leaf of [`Plan::verdicts`] or a node; [`NONE`] where the partition has none.
    pub access: Target,
    /// Routes or calls; see who refers to the partition.
    pub roots: Vec<Target>,
    /// Requests with what is decided about them; sorted by decision and leaf, one for each at most.
    pub vectors: Vec<Vector>,
}

/// A request, and what was proved to be decided about it when the plan was made. Whoever takes the plan in asks again, and does not use
/// a plan that says otherwise: a known-answer test of the tables, of whoever reads them, and of the two together.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Vector {
    /// Which decision is asked: index into [`Partition::roots`], or [`NONE`] for [`Partition::access`].
    pub root: u32,
    /// The leaf that it ends in, or [`REFUSED`].
    pub leaf: u32,
    /// The identity of the peer; empty where it has none.
    pub peer: String,
    /// The atom of the method.
    pub method: u32,
    /// Canonical, without query; or `*`.
    pub path: String,
    /// What else is to be known of it.
    pub facts: Vec<Fact>,
}

/// Something of a request, in up to three texts; those that its kind does not have are empty.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fact {
    /// What it is about.
    pub kind: FactKind,
    /// Of a header, lower-case; of a claim or token the issuer, which may be empty.
    pub name: String,
    /// Of a claim its JSON pointer.
    pub pointer: String,
    /// What is said.
    pub value: String,
}

/// What a [`Fact`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FactKind {
    /// The host.
    Host = 0,
    /// The query, as it is sent.
    Query = 1,
    /// A line of a header.
    Header = 2,
    /// There is a token of an issuer.
    Token = 3,
    /// A claim is a text.
    Text = 4,
    /// A claim is a list; its items follow.
    List = 5,
    /// The next text of the list before it.
    Item = 6,
    /// A claim is neither text nor a list of texts.
    Odd = 7,
    /// The address at the other end.
    SourceIp = 8,
    /// The address of who asked the first trusted proxy.
    ClientIp = 9,
}

impl FactKind {
    /// All of them, in the order of their numbers.
    pub const ALL: [FactKind; 10] = [
        FactKind::Host,
        FactKind::Query,
        FactKind::Header,
        FactKind::Token,
        FactKind::Text,
        FactKind::List,
        FactKind::Item,
        FactKind::Odd,
        FactKind::SourceIp,
        FactKind::ClientIp,
    ];

    /// Whether its value is an IP address as text.
    pub fn is_address(self) -> bool {
        matches!(self, FactKind::SourceIp | FactKind::ClientIp)
    }
}

/// Number of method atoms: GET HEAD POST PUT PATCH DELETE OPTIONS in this order, then "other".
pub const METHOD_ATOMS: u32 = 8;

/// How a peer becomes an atom: by principal, else (not a gateway) by prefix, else by kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peers {
    /// Number of atoms.
    pub atoms: u32,
    /// (index into [`Plan::principals`], atom), sorted.
    pub principals: Vec<(u32, u32)>,
    /// (index into [`Plan::prefixes`], atom), sorted. Of two that fit, the longer counts. Not for gateways.
    pub prefixes: Vec<(u32, u32)>,
    /// Any other own identity that is not a gateway.
    pub own: u32,
    /// Any other gateway.
    pub gateway: u32,
    /// Any other foreign identity.
    pub foreign: u32,
    /// A peer without identity.
    pub none: u32,
}

/// A state of the path automaton.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// The atom of a path that ends here.
    pub atom: u32,
    /// Next state by literal segment (may be the empty segment), sorted by segment.
    pub edges: Vec<(String, u32)>,
    /// Next state for any other segment that is not empty, or [`NONE`]: then the path's atom is 0.
    pub other: u32,
    /// Next state for the empty segment where no edge has it, or [`NONE`].
    pub empty: u32,
}

/// What of a request a field is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FieldKind {
    /// The header of this name; its items.
    #[default]
    Header = 0,
    /// The query parameter of this name, decoded.
    Query = 1,
    /// The cookie of this name.
    Cookie = 2,
    /// The claim at this JSON pointer of the issuer's token.
    Claim = 3,
    /// Whether there is a token of this issuer.
    Jwt = 4,
    /// The address at the other end of the connection.
    SourceIp = 5,
    /// The address of who asked the first trusted proxy.
    ClientIp = 6,
    /// The host.
    Host = 7,
    /// A segment of the path; the name is its number in decimal, the first behind `/` is 0. It is absent behind the last one,
    /// and everywhere in the path `*`.
    Segment = 8,
    /// The address of who calls a service, as the service's own proxy sees it. A calling proxy does not know it: there it is absent.
    CallerIp = 9,
}

impl FieldKind {
    /// All of them, in the order of their numbers.
    pub const ALL: [FieldKind; 10] = [
        FieldKind::Header,
        FieldKind::Query,
        FieldKind::Cookie,
        FieldKind::Claim,
        FieldKind::Jwt,
        FieldKind::SourceIp,
        FieldKind::ClientIp,
        FieldKind::Host,
        FieldKind::Segment,
        FieldKind::CallerIp,
    ];

    /// Whether its values are addresses.
    pub fn is_address(self) -> bool {
        matches!(self, FieldKind::SourceIp | FieldKind::ClientIp | FieldKind::CallerIp)
    }
}

/// How the value of a field becomes an atom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Field {
    /// What it is.
    pub kind: FieldKind,
    /// Of a header (lower-case), a query parameter or a cookie the name; of a claim its JSON pointer (RFC 6901); of a token its
    /// issuer; of a segment its number; otherwise empty.
    pub name: String,
    /// Of a claim the issuer of its token; otherwise empty.
    pub issuer: String,
    /// Number of atoms.
    pub atoms: u32,
    /// Of no value.
    pub absent: u32,
    /// Of several values of which `unions` does not list what their items pass together.
    pub many: u32,
    /// Of a claim that is neither text nor a list of texts.
    pub odd: u32,
    /// Of a single value that fits nothing below; of a token that is there.
    pub other: u32,
    /// Of exactly this value; sorted.
    pub exact: Vec<(Vec<u8>, u32)>,
    /// Of a value with this prefix and none longer; sorted.
    pub prefixes: Vec<(Vec<u8>, u32)>,
    /// The value read byte by byte instead: index into [`Plan::automata`].
    pub automaton: Option<u32>,
    /// Of an address from this one up to the next one; sorted, the first is `::`. Only and always where the values are addresses.
    pub addresses: Vec<([u8; 16], u32)>,
    /// For each atom, which tests of single items a value of it passes, a bit each. Empty where no test asks items.
    pub masks: Vec<u32>,
    /// Of several values: the bits that their items have together, and the atom; sorted.
    pub unions: Vec<(u32, u32)>,
}

/// A deterministic automaton over bytes. State 0 is the start.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Automaton {
    /// For each byte the class that it is of: 256 of them.
    pub classes: Vec<u8>,
    /// For each state, for each class, the next state.
    pub transitions: Vec<u16>,
    /// For each state the atom of a value that ends there. Never empty.
    pub accepts: Vec<u32>,
}

/// Where a step of a decision leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// Index into [`Plan::nodes`].
    Node(u32),
    /// An index into the table that this decision is about, or [`REFUSED`].
    Leaf(u32),
}

impl Default for Target {
    fn default() -> Target {
        Target::Leaf(REFUSED)
    }
}

/// The leaf that says: nothing here (no route, denied by default, not a declared call).
pub const REFUSED: u32 = 0x7fff_ffff;

/// A node of a decision diagram.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node {
    /// Which dimension decides; or with the bit [`LIST`] an index into [`Plan::lists`].
    pub dim: u32,
    /// One for each atom of the dimension; of a list the leaf of each candidate, at most [`MAX_CANDIDATES`](crate::layout::MAX_CANDIDATES).
    pub children: Vec<Target>,
}

/// The bit of a node's `dim` that says: the rest is an index into [`Plan::lists`].
pub const LIST: u32 = 1 << 31;

/// Candidates in order: the first that fits decides, unless another one that fits beats it. Where none decides, the leaf is [`REFUSED`].
///
/// This is the bit vector scheme of Lakshman and Stiliadis (SIGCOMM 1998): each dimension says in a row of bits which candidates
/// an atom of it leaves, and a candidate fits where all say so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct List {
    /// Sorted by `dim`, at most [`MAX_LIST_TESTS`](crate::layout::MAX_LIST_TESTS).
    pub tests: Vec<ListTest>,
    /// For each candidate the candidates that beat it, sorted. Empty where none is beaten.
    pub beaten_by: Vec<Vec<u32>>,
}

/// What a dimension says of the candidates of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListTest {
    /// The dimension.
    pub dim: u32,
    /// For each of its atoms a bit for each candidate: candidate 0 is the lowest bit of the first word.
    pub rows: Vec<Vec<u64>>,
}

/// What a route decides.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Outcome {
    /// `route TARGET rule NAME` (or `otherwise`, or `default`), for logs.
    pub rule: String,
    /// The rule's own settings: index into [`Plan::settings`], or [`NONE`].
    pub settings: u32,
    /// What to do.
    pub action: Action,
    /// What changes on the way, in the order in which it does.
    pub edits: Vec<Edit>,
}

/// What a rule changes, or does besides.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Edit {
    /// The path becomes this; canonical.
    Path(String),
    /// Where the path is `from` or below it, that part becomes `to`. Of several the first that fits counts.
    Prefix {
        /// Canonical, without a `/` at its end; empty is every path.
        from: String,
        /// Canonical, without a `/` at its end; may be empty.
        to: String,
    },
    /// The host becomes this.
    Host(String),
    /// Of a redirect: `http` or `https`.
    Scheme(String),
    /// The request's header of this name (lower-case) has this value and no other.
    SetRequestHeader(String, String),
    /// The request's header of this name has this value, too.
    AddRequestHeader(String, String),
    /// The request has no header of this name.
    RemoveRequestHeader(String),
    /// As of a request.
    SetResponseHeader(String, String),
    /// As of a request.
    AddResponseHeader(String, String),
    /// As of a request.
    RemoveResponseHeader(String),
    /// A share of the requests (basis points) waits so long (milliseconds) before it is sent.
    Delay {
        /// Milliseconds.
        delay: u32,
        /// Basis points.
        share: u32,
    },
    /// A share of the requests (basis points) is answered with this status.
    Abort {
        /// 200–599.
        status: u16,
        /// Basis points.
        share: u32,
    },
    /// A share of the requests is sent there, too; its answer is thrown away.
    Mirror {
        /// Index into [`Plan::services`].
        service: u32,
        /// Index into that service's `ports`.
        port: u32,
        /// Index into the service's `subsets`, or [`NONE`].
        subset: u32,
        /// Basis points.
        share: u32,
    },
    /// A request body is not longer than so many bytes.
    MaxRequestBody(u64),
    /// So many requests are let in.
    RateLimit(RateLimit),
    /// Which pages of other origins may send requests.
    Cors(Cors),
    /// What a preflight is told may be kept for so many seconds.
    PreflightAge(u32),
    /// Requests may become WebSocket connections.
    WebSocket,
    /// `%2F` and `%5C` in the path of what comes in are `/`, and not refused.
    DecodeSlashes,
    /// What is behind a `;` in a segment of the path of what comes in is taken off with it, and not refused.
    StripParameters,
}

/// `cors { … }` as header values (Fetch 3.2.3). Those that are not said are empty.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cors {
    /// `*`, or origins separated by spaces; the first label of a host may be `*`.
    pub origins: String,
    /// `GET, POST`
    pub methods: String,
    /// `x-a, x-b`, or `*`.
    pub headers: String,
    /// Of responses, as `headers`.
    pub exposed: String,
    /// Whether cookies are sent along.
    pub credentials: bool,
}

/// How many requests are let in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RateLimit {
    /// Requests in each `per`; not 0.
    pub count: u32,
    /// Milliseconds; not 0.
    pub per: u32,
    /// Who counts.
    pub counting: Counting,
    /// Whether each identity that asks is counted for itself; all without one are one.
    pub by_source: bool,
    /// Whether each address at the other end is counted for itself.
    pub by_source_ip: bool,
    /// Whether each client that the first trusted proxy saw is counted for itself; all of which that is not known are one.
    pub by_client_ip: bool,
    /// Names of headers whose values are counted each for itself: lower-case, sorted, separated by commas; may be empty.
    pub by_headers: String,
    /// Whether what is too much is only told.
    pub audit: bool,
}

/// Who counts what a [`RateLimit`] lets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Counting {
    /// Each proxy for itself, by the generic cell rate algorithm (ITU-T I.371).
    Local {
        /// How many may come at once; not 0.
        burst: u32,
    },
    /// A service for all of them, in windows of a second, a minute or an hour.
    Global {
        /// Who that is: index into [`Plan::authorities`]. Only one that speaks gRPC can be asked.
        by: u32,
    },
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Forward to one of these; the weights sum to 10,000.
    Forward(Vec<Backend>),
    /// Answer with a redirect; the request's query is appended to `location`.
    Redirect {
        /// 301, 302, 303, 307 or 308.
        status: u16,
        /// Absolute path or URL; empty: the URL that was asked for, with the edits.
        location: String,
    },
    /// Answer at once.
    Respond {
        /// 200–599.
        status: u16,
        /// `text/plain; charset=utf-8`; may be empty.
        body: String,
    },
}

/// One destination of a split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Backend {
    /// Index into [`Plan::services`].
    pub service: u32,
    /// Index into that service's `ports`.
    pub port: u32,
    /// Endpoints of this subset (index into the service's `subsets`), or [`NONE`]: all of them.
    pub subset: u32,
    /// Whether that service's own route decides further. Then `subset` is [`NONE`].
    pub enter: bool,
    /// Basis points.
    pub weight: u32,
}

/// What an authorization decides.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Verdict {
    /// Allow or deny.
    pub allow: bool,
    /// Of what is allowed: whether it is what the node asks (`probe`), who has no tokens and is not counted by rate limits.
    pub probe: bool,
    /// `authorize TARGET` and the line's canonical text, for logs. Empty where no line decides: then it is a deny.
    pub rule: String,
    /// What has to be told of the request besides, for logs: one line of text for each; empty where there is nothing.
    pub audit: String,
    /// Who has to agree besides, in this order: indices into [`Plan::authorities`], each once and at most [`MAX_ASKED`](crate::layout::MAX_ASKED).
    /// Empty where it is a deny.
    pub asks: Vec<u32>,
}

/// `ext-authz NAME { … }` or `rate-limiter NAME { … }`: a service that is asked whether a request may pass.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Authority {
    /// Its name, for logs.
    pub name: String,
    /// Index into [`Plan::services`].
    pub service: u32,
    /// Index into that service's `ports`; what it speaks says how it is asked.
    pub port: u32,
    /// Milliseconds that its answer is waited for; not 0.
    pub timeout: u32,
    /// Whether a request passes that it does not answer.
    pub lets_in_on_failure: bool,
}

/// That a call is declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Grant {
    /// Settings of the most specific `calls … to`: index, or [`NONE`].
    pub op_settings: u32,
    /// Settings of the plain `calls`: index, or [`NONE`].
    pub settings: u32,
}

/// What a block says of what is sent on: of the first five the nearest level that writes one counts, of the last two all hold together.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Settings {
    /// `None`: not written here. `Some(None)`: `timeout none`. `Some(Some(ms))`: milliseconds.
    pub timeout: Option<Option<u32>>,
    /// `None`: not written here. `Some(None)`: `retry none`.
    pub retry: Option<Option<Retry>>,
    /// Milliseconds. `None`: not written here.
    pub connect_timeout: Option<u32>,
    /// As `timeout`.
    pub idle_timeout: Option<Option<u32>>,
    /// `None`: not written here.
    pub balancer: Option<Balancer>,
    /// What may be under way at once.
    pub breaker: Option<Breaker>,
    /// When an endpoint is left out.
    pub outliers: Option<Outliers>,
}

/// `load-balancer …`: which endpoint a request goes to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Balancer {
    /// How it is chosen.
    pub algorithm: Algorithm,
    /// What is hashed: there is one exactly where the algorithm is a hash.
    pub key: Option<HashKey>,
    /// Milliseconds in which a new endpoint comes to its full share; 0: at once.
    pub slow_start: u32,
}

/// How an endpoint is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    RoundRobin = 0,
    Random = 1,
    LeastRequest = 2,
    PeakEwma = 3,
    RingHash = 4,
    Maglev = 5,
}

impl Algorithm {
    /// All of them, in the order of their numbers.
    pub const ALL: [Algorithm; 6] = [
        Algorithm::RoundRobin,
        Algorithm::Random,
        Algorithm::LeastRequest,
        Algorithm::PeakEwma,
        Algorithm::RingHash,
        Algorithm::Maglev,
    ];

    /// Whether it needs a key.
    pub fn hashes(self) -> bool {
        matches!(self, Algorithm::RingHash | Algorithm::Maglev)
    }
}

/// What of a request is hashed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HashKey {
    /// The lines of the header of this name (lower-case).
    Header(String),
    /// The cookie of this name.
    Cookie {
        /// Its name.
        name: String,
        /// Milliseconds: where the cookie is absent, one that lasts so long is issued.
        lifetime: Option<u32>,
    },
    /// The query parameter of this name, decoded.
    Query(String),
    /// The address at the other end of the connection.
    SourceIp,
}

/// `circuit-breaker { … }`: what may be under way at once, counted by each proxy. `None`: not limited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Breaker {
    /// Connections.
    pub max_connections: Option<u32>,
    /// Requests that wait for a connection.
    pub max_pending: Option<u32>,
    /// Requests.
    pub max_requests: Option<u32>,
    /// Milliseconds that a request may wait for a connection.
    pub pending_timeout: Option<u32>,
}

/// `outlier-detection { … }`
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Outliers {
    /// Ejected after so many 5xx or lost connections in a row; 0: not by them.
    pub consecutive_5xx: u32,
    /// Ejected after so many 502, 503, 504 or lost connections in a row; 0: not by them.
    pub consecutive_gateway_errors: u32,
    /// Ejected below this share of successes in an interval, in basis points; 0: not by it.
    pub success_rate: u32,
    /// Milliseconds.
    pub interval: u32,
    /// Milliseconds that an endpoint is out the first time.
    pub base_ejection: u32,
    /// Milliseconds that it is out at most.
    pub max_ejection: u32,
    /// Basis points of the endpoints that may be out at once, rounded up to a whole endpoint.
    pub max_share: u32,
    /// How many may be out whatever the share says.
    pub max_at_least: u32,
    /// With fewer endpoints none is ejected.
    pub min_hosts: u32,
}

/// `retry COUNT on …`
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Retry {
    /// 1–10.
    pub count: u32,
    /// No connection was made.
    pub on_connect_failure: bool,
    /// The connection broke before a response head.
    pub on_reset: bool,
    /// The per-try timeout passed.
    pub on_timeout: bool,
    /// Statuses of HTTP, 400–599, and of gRPC, 1–16, sorted; `5xx` and `gateway-error` are written out.
    pub on_status: Vec<u16>,
    /// Bit i is method atom i: `GET`, `HEAD` and `OPTIONS` and those that `methods` adds.
    pub methods: u8,
    /// Milliseconds, or 0: none.
    pub per_try_timeout: u32,
    /// Milliseconds; 0 and 0: none.
    pub backoff_base: u32,
    /// Milliseconds.
    pub backoff_cap: u32,
    /// Body bytes kept to be sent again.
    pub buffer: u32,
    /// The budget, if one is declared.
    pub budget: Option<Budget>,
}

/// `budget P min R/s over D`
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Budget {
    /// Basis points of a retry earned by each first try.
    pub share: u32,
    /// Retries earned a second.
    pub min_per_second: u32,
    /// Time constant of the balance's decay in milliseconds.
    pub over: u32,
}
