//! What a file says, statement by statement: plain values with spans, in the order of `spec/language.md`.
//!
//! The module `view` builds these from statements and leaves out what could not be read (that has been complained of),
//! so everything here is well-formed text; whether it *means* something is asked in the compiler. Values are in their
//! natural unit: durations in milliseconds, percentages in basis points (1/100 of a percent), sizes in bytes.

mod operation;
mod project;
mod traffic;
mod written;

pub use operation::*;
pub use project::*;
pub use traffic::*;

use crate::span::{Name, Span, Spanned, Text};
use std::sync::Arc;

/// One file, in one environment: without `param` and `env`, which [`crate::expand`] has replaced by what they stand for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct File {
    /// The statements of the file level, in source order.
    pub items: Vec<Item>,
    /// The subsets that something is sent to in some environment, this one or another, or with a parameter beside them: `v2` of `reviews:v2`.
    pub sent_somewhere: Vec<Text>,
}

/// A statement of the file level.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    Mesh(Box<Mesh>),
    Module(Module),
    Import(Import),
    Group(Group),
    Jwt(Jwt),
    Profile(Profile),
    Split(Split),
    ExtAuthz(Authority),
    RateLimiter(Authority),
    Service(Box<Service>),
    Gateway(Gateway),
    Route(Route),
    Authorize(Authorize),
    Guardrail(Guardrail),
    Test(Test),
}

/// `timeout 1s` or `timeout none`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timeout {
    None,
    /// Milliseconds, at least 1.
    After(u32),
}

#[derive(Clone, Debug, PartialEq)]
pub struct RetryPolicy {
    /// Retries after the first try: 1 to 10.
    pub count: Spanned<u32>,
    /// Never empty.
    pub on: Vec<Spanned<RetryOn>>,
    /// Milliseconds.
    pub per_try_timeout: Option<Spanned<u32>>,
    /// Base and cap in milliseconds, as written.
    pub backoff: Option<Spanned<(u32, u32)>>,
    pub budget: Option<Spanned<Budget>>,
    /// Methods beyond the safe ones.
    pub methods: Vec<Spanned<Method>>,
    /// Bytes of a request body that are kept to be sent again.
    pub buffer: Option<Spanned<u32>>,
}

/// `budget 20% min 10/s over 10s`
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Budget {
    /// Basis points.
    pub share: u32,
    /// Retries a second.
    pub min_per_second: u32,
    /// Milliseconds.
    pub over: u32,
}

/// When a try is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RetryOn {
    ConnectFailure,
    Reset,
    /// The per-try timeout.
    Timeout,
    /// 502, 503, 504.
    GatewayError,
    /// 500–599.
    ServerError,
    /// One status, 400–599.
    Status(u16),
    /// A gRPC status (`grpc-status` of the response's head or trailers).
    Grpc(GrpcStatus),
}

/// The gRPC statuses after which another try may help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GrpcStatus {
    Cancelled = 1,
    DeadlineExceeded = 4,
    ResourceExhausted = 8,
    Internal = 13,
    Unavailable = 14,
}

/// `service NAME { … }`
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    pub span: Span,
    /// The text of the `##` comments above, without `##`, lines joined by newlines.
    pub doc: Option<String>,
    pub name: Name,
    pub service_account: Option<Name>,
    /// `identity "spiffe://…"`: instead of the one made of namespace and service account.
    pub identity: Option<Name>,
    pub ports: Vec<Port>,
    pub subsets: Vec<Subset>,
    pub endpoints: Vec<Endpoints>,
    /// Further hosts by which callers say the service.
    pub aliases: Vec<Spanned<HostPattern>>,
    /// `external STRING, …`: names and networks outside of the mesh.
    pub external: Vec<Name>,
    pub tls: Option<Spanned<Tls>>,
    pub mtls: Option<Spanned<Mtls>>,
    pub jwts: Vec<JwtUse>,
    pub calls: Vec<Calls>,
    pub settings: Settings,
    pub limits: Limits,
    pub clusters: Vec<Name>,
    /// `failover local -> us-east -> …`; `local` is a word, the others are clusters.
    pub failover: Vec<Name>,
    /// `locality zone`
    pub locality: Option<Span>,
    pub health_check: Option<HealthCheck>,
    /// Basis points: with fewer healthy endpoints than this, all are used.
    pub panic_threshold: Option<Spanned<u32>>,
    pub probes: Vec<Probe>,
    /// Headers that the service sends on with the calls it makes, lower-case.
    pub propagates: Vec<Name>,
    pub telemetry: Telemetry,
}

/// `port [NAME] NUMBER PROTOCOL [target NUMBER] [mtls MODE]`
#[derive(Clone, Debug, PartialEq)]
pub struct Port {
    pub span: Span,
    pub name: Option<Name>,
    /// 1–65535.
    pub number: Spanned<u16>,
    pub protocol: Spanned<Protocol>,
    pub target: Option<Spanned<u16>>,
    pub mtls: Option<Spanned<Mtls>>,
}

/// What a port or a listener speaks; it is declared, never guessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// HTTP/1.1.
    Http,
    /// HTTP/2 with prior knowledge.
    Http2,
    /// gRPC over HTTP/2.
    Grpc,
    /// Bytes.
    Tcp,
    /// TLS that is passed on unopened; known by its SNI.
    Tls,
    /// HTTP over TLS, opened here: listeners only.
    Https,
}

impl Protocol {
    pub const ALL: [Protocol; 6] =
        [Protocol::Http, Protocol::Http2, Protocol::Grpc, Protocol::Tcp, Protocol::Tls, Protocol::Https];

    /// As written.
    pub fn as_str(self) -> &'static str {
        match self {
            Protocol::Http => "http",
            Protocol::Http2 => "http2",
            Protocol::Grpc => "grpc",
            Protocol::Tcp => "tcp",
            Protocol::Tls => "tls",
            Protocol::Https => "https",
        }
    }

    /// Whether requests are seen, not only connections.
    pub fn is_http(self) -> bool {
        matches!(self, Protocol::Http | Protocol::Http2 | Protocol::Grpc | Protocol::Https)
    }
}

/// `tls [host STRING] ca system|STRING [certificate STRING]`, `tls insecure`, `tls none`: how a service outside is spoken to.
#[derive(Clone, Debug, PartialEq)]
pub enum Tls {
    /// In the clear.
    None,
    /// Encrypted, whoever answers.
    Insecure,
    Verified {
        /// The name that is sent as SNI and must be in the certificate; absent: the endpoint's own name.
        host: Option<Name>,
        /// Absent: the certificate authorities of the system.
        ca: Option<Name>,
        /// The certificate that is shown, by name.
        certificate: Option<Name>,
    },
}

/// `jwt NAME required|optional`
#[derive(Clone, Debug, PartialEq)]
pub struct JwtUse {
    pub span: Span,
    pub name: Name,
    pub required: bool,
}

/// `probe GET PATH|grpc|tcp [port NAME]`: what the node may ask at the service's own proxy, without an identity.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    pub span: Span,
    pub kind: ProbeKind,
    pub port: Option<Name>,
}

/// `subset NAME [label KEY = STRING, …] [cluster NAME] [{ endpoints … }]`
#[derive(Clone, Debug, PartialEq)]
pub struct Subset {
    pub span: Span,
    pub name: Name,
    /// Empty only where `cluster` or endpoints of its own say what belongs to it.
    pub labels: Vec<Label>,
    pub cluster: Option<Name>,
    pub endpoints: Vec<Endpoints>,
}

/// `KEY = STRING`
#[derive(Clone, Debug, PartialEq)]
pub struct Label {
    pub key: Name,
    pub value: Name,
}

/// `endpoints SOURCE [label KEY = STRING, …] [cluster NAME] [mtls off]`
#[derive(Clone, Debug, PartialEq)]
pub struct Endpoints {
    pub span: Span,
    pub source: EndpointSource,
    pub labels: Vec<Label>,
    pub cluster: Option<Name>,
    pub mtls: Option<Spanned<Mtls>>,
}

/// Where addresses come from. They are checked by the compiler (`MESH1012`).
#[derive(Clone, Debug, PartialEq)]
pub enum EndpointSource {
    /// `address:port` or an address; never empty.
    Static(Vec<Name>),
    /// `name:port` or a name; never empty.
    Dns(Vec<Name>),
    /// `name` or `namespace/name` of a Kubernetes Service.
    Kubernetes(Name),
    /// The name of a container or a compose service.
    Docker(Name),
    /// The name of a Consul service.
    Consul(Name),
    /// The address the client connected to.
    Passthrough,
}

/// `calls SERVICE, … [port NAME] [to OP, …] [{ … }]`
#[derive(Clone, Debug, PartialEq)]
pub struct Calls {
    pub span: Span,
    pub services: Vec<ServiceRef>,
    pub port: Option<Name>,
    /// Empty: everything.
    pub to: Vec<Op>,
    pub settings: Settings,
    pub limits: Limits,
    /// What the application itself does; a fact that checks use, nothing that is done: milliseconds.
    pub client_timeout: Option<Spanned<u32>>,
    /// How often the application itself tries again.
    pub client_retry: Option<Spanned<u32>>,
}

/// `name` or `name.namespace`.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceRef {
    pub span: Span,
    /// As written: nearly all fit into the place of one text.
    text: Text,
}

impl ServiceRef {
    /// What is written as `name` or `name.namespace`.
    pub fn new(span: Span, text: impl Into<Text>) -> ServiceRef {
        ServiceRef { span, text: text.into() }
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn name(&self) -> &str {
        &self.text[..self.dot().unwrap_or(self.text.len())]
    }

    pub fn namespace(&self) -> Option<&str> {
        self.dot().map(|dot| &self.text[dot + 1..])
    }

    /// Names are short: looking at each byte takes less than to begin a search that is made for long texts.
    fn dot(&self) -> Option<usize> {
        self.text.bytes().position(|byte| byte == b'.')
    }
}

/// `gateway NAME { … }`
#[derive(Clone, Debug, PartialEq)]
pub struct Gateway {
    pub span: Span,
    pub doc: Option<String>,
    pub name: Name,
    pub service_account: Option<Name>,
    pub listeners: Vec<Listener>,
    pub jwts: Vec<JwtUse>,
    pub limits: Limits,
    /// How many proxies before the gateway are believed in `x-forwarded-for`.
    pub trusted_hops: Option<Spanned<u32>>,
    pub telemetry: Telemetry,
}

/// `listener NAME port NUMBER PROTOCOL [{ … }]`
#[derive(Clone, Debug, PartialEq)]
pub struct Listener {
    pub span: Span,
    pub name: Name,
    pub number: Spanned<u16>,
    pub protocol: Spanned<Protocol>,
    /// May be empty where the file forgot it; the compiler complains (`MESH1011`). A `tcp` listener has none.
    pub hosts: Vec<Spanned<HostPattern>>,
    pub tls: Option<Spanned<ListenerTls>>,
    /// `redirect https STATUS`: everything is redirected to the same URL with `https`.
    pub redirect_https: Option<Spanned<u16>>,
    pub allow_routes: Vec<AllowRoutes>,
    /// `proxy-protocol`: the client's address is said by a PROXY protocol header.
    pub proxy_protocol: Option<Span>,
    pub limits: Limits,
}

#[derive(Clone, Debug, PartialEq)]
pub enum ListenerTls {
    /// `tls certificate STRING, … [client-ca STRING]`
    Terminate { certificates: Vec<Name>, client_ca: Option<Name> },
    /// `tls passthrough`, or `tls passthrough mesh` for connections of other clusters.
    Passthrough { mesh: bool },
}

/// `allow-routes MODULE [host STRING, …] [to PATH, …]`
#[derive(Clone, Debug, PartialEq)]
pub struct AllowRoutes {
    pub span: Span,
    pub module: Name,
    /// Empty: every host of the listener.
    pub hosts: Vec<Spanned<HostPattern>>,
    /// Empty: every path.
    pub paths: Vec<Spanned<Path>>,
}

/// A host pattern; names are lower-case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HostPattern {
    /// `"shop.example"`
    Exact(Text),
    /// `"*.shop.example"` holds `"shop.example"`: exactly one label before it.
    OneLabel(Text),
    /// `"**.shop.example"` holds `"shop.example"`: one or more labels before it.
    Labels(Text),
    /// `"*"`
    Any,
}

impl std::fmt::Display for HostPattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            HostPattern::Exact(name) => f.write_str(name),
            HostPattern::OneLabel(name) => write!(f, "*.{name}"),
            HostPattern::Labels(name) => write!(f, "**.{name}"),
            HostPattern::Any => f.write_str("*"),
        }
    }
}

/// `route TARGET [port NAME] [listener NAME] [host STRING, …] [from PRINCIPAL, …] { … }`
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    pub span: Span,
    pub target: ServiceRef,
    pub port: Option<Name>,
    pub listener: Option<Name>,
    /// Empty: every host of the listener.
    pub hosts: Vec<Spanned<HostPattern>>,
    /// A consumer's route: it holds for calls of these only. Empty: for all.
    pub from: Vec<Principal>,
    /// A bare `to` is a rule `default` whose span is that statement.
    pub rules: Vec<Rule>,
    pub otherwise: Option<Spanned<u16>>,
}

/// `rule NAME [overrides NAME, …] { … }`
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    pub span: Span,
    pub name: Name,
    pub overrides: Vec<Name>,
    /// Empty: every request.
    pub matches: Vec<Match>,
    /// `None` where the file forgot it; the compiler complains (`MESH1011`).
    pub action: Option<Spanned<Action>>,
    pub settings: Settings,
    pub limits: Limits,
    pub modifiers: Modifiers,
}

/// `match [OP, …] [when COND and …]`; not both are empty.
#[derive(Clone, Debug, PartialEq)]
pub struct Match {
    pub span: Span,
    pub ops: Vec<Op>,
    pub when: Vec<Condition>,
}

/// `[not] FIELD TEST`
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    pub span: Span,
    pub negated: bool,
    pub field: Field,
    pub test: ValueTest,
}

/// What of a request a condition looks at.
#[derive(Clone, Debug, PartialEq)]
pub enum Field {
    /// `header "x"`, lower-case.
    Header(Name),
    /// `query "k"`
    Query(Name),
    /// `cookie "k"`
    Cookie(Name),
    /// `claim [JWT] "a" "b"`: the claim `b` inside the claim `a`. The path is never empty.
    Claim { issuer: Option<Name>, path: Vec<Name> },
    /// `jwt NAME`
    Jwt(Name),
    /// `source-ip`: the other end of the connection.
    SourceIp,
    /// `client-ip`: who asked the first trusted proxy.
    ClientIp,
    /// `path`
    Path,
    /// `host`
    Host,
}

/// What is asked of a value. Addresses are checked by the compiler, and so is what a regex says (`MESH1012`).
#[derive(Clone, Debug, PartialEq)]
pub enum ValueTest {
    Present,
    Absent,
    Equals(Name),
    NotEquals(Name),
    /// Never empty.
    In(Vec<Name>),
    Prefix(Name),
    Suffix(Name),
    Contains(Name),
    /// One item of a list.
    Has(Name),
    /// The regex between the quotes of `re"…"`.
    Matches(Name),
}

/// What a rule does.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Never empty. A single bare name without a weight may also be a `split`.
    To(Vec<Backend>),
    Redirect(Redirect),
    Respond {
        status: Spanned<u16>,
        body: Option<Name>,
    },
}

/// `redirect PATH-OR-URL STATUS`, `redirect prefix PATH STATUS`, `redirect [scheme WORD] [host STRING] STATUS`
#[derive(Clone, Debug, PartialEq)]
pub struct Redirect {
    pub to: RedirectTo,
    /// 301, 302, 303, 307 or 308.
    pub status: Spanned<u16>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum RedirectTo {
    /// An absolute path or URL.
    Location(Name),
    /// In place of the prefix of the line that matched.
    Prefix(Name),
    /// The same path elsewhere; not both are absent.
    Parts { scheme: Option<Name>, host: Option<Name> },
}

/// `SERVICE[:SUBSET] [port NAME] [PERCENT|rest]`
#[derive(Clone, Debug, PartialEq)]
pub struct Backend {
    pub span: Span,
    pub service: ServiceRef,
    pub subset: Option<Name>,
    pub port: Option<Name>,
    pub weight: Option<Spanned<Weight>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Weight {
    /// Basis points, 0–10,000.
    Percent(u32),
    Rest,
    /// A `param … range A..B` that is set while the mesh runs: the value it begins with and its bounds, in basis points.
    Controlled {
        value: u32,
        low: u32,
        high: u32,
    },
}

/// `authorize TARGET, … { … }`
#[derive(Clone, Debug, PartialEq)]
pub struct Authorize {
    pub span: Span,
    pub targets: Vec<ServiceRef>,
    pub lines: Vec<Arc<AuthorizeLine>>,
    pub checks: Vec<Check>,
    pub mode: Option<Spanned<Mode>>,
}

/// `mode audit until STRING`: `deny` lines and guardrails hold, the want of an `allow` is only logged. The string is the last
/// day, `YYYY-MM-DD`.
#[derive(Clone, Debug, PartialEq)]
pub struct Mode {
    pub until: Name,
}

/// `check ext-authz NAME [to [port NAME] [OP, …]]`: asked in addition, it can only refuse.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    pub span: Span,
    pub ext_authz: Name,
    pub port: Option<Name>,
    /// Empty: everything.
    pub ops: Vec<Op>,
}

/// `guardrail NAME { … }`: refusals that no team can lift; modules with `role platform` only.
#[derive(Clone, Debug, PartialEq)]
pub struct Guardrail {
    pub span: Span,
    pub doc: Option<String>,
    pub name: Name,
    pub lines: Vec<GuardrailLine>,
    pub mode: Option<Spanned<Mode>>,
}

/// `deny [FROM] [to DESTINATION, … [OP, …]] [when COND and …]`
#[derive(Clone, Debug, PartialEq)]
pub struct GuardrailLine {
    pub span: Span,
    /// `None`: everyone.
    pub from: Option<From>,
    /// Empty: everything in the mesh.
    pub to: Vec<Destination>,
    /// Empty: everything.
    pub ops: Vec<Op>,
    pub when: Vec<Condition>,
}

/// Where a guardrail or a test looks.
#[derive(Clone, Debug, PartialEq)]
pub enum Destination {
    Target(ServiceRef),
    Gateway(ServiceRef),
    Namespace(Name),
}

/// `allow|deny|audit [from …] [to [port NAME] [OP, …]] [when COND and …]`
#[derive(Clone, Debug, PartialEq)]
pub struct AuthorizeLine {
    pub span: Span,
    pub effect: Effect,
    /// `None` in an `allow` is an error of the compiler (`MESH4002`).
    pub from: Option<From>,
    /// Boxed, for few lines name one.
    pub port: Option<Box<Name>>,
    /// Empty: everything.
    pub ops: Box<[Op]>,
    /// Each must hold.
    pub when: Box<[Condition]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effect {
    Allow,
    Deny,
    /// Logged and counted; it decides nothing.
    Audit,
}

/// `from PRINCIPAL, … [except PRINCIPAL, …]`
#[derive(Clone, Debug, PartialEq)]
pub struct From {
    pub span: Span,
    /// Never empty.
    pub principals: Box<[Principal]>,
    pub except: Box<[Principal]>,
}

/// Who.
#[derive(Clone, Debug, PartialEq)]
pub struct Principal {
    pub span: Span,
    pub kind: PrincipalKind,
}

#[derive(Clone, Debug, PartialEq)]
pub enum PrincipalKind {
    /// A service, or a `group`.
    Service(ServiceRef),
    Gateway(ServiceRef),
    Namespace(Text),
    /// The whole `spiffe://…` string, perhaps with `/*` as its end; checked by the compiler (`MESH1012`).
    Identity(Text),
    /// Every identity of this SPIFFE trust domain.
    TrustDomain(Text),
    Authenticated,
    Unauthenticated,
    Anyone,
}

/// `test STRING [in ENVIRONMENT, …] { … }`
#[derive(Clone, Debug, PartialEq)]
pub struct Test {
    pub span: Span,
    pub name: Name,
    /// Empty: in every environment.
    pub environments: Vec<Name>,
    pub lines: Vec<TestLine>,
}

/// `request|every|some [FROM] to TARGET [port NAME] [listener NAME] [STRING] [OP] [when COND and …] expect …`
#[derive(Clone, Debug, PartialEq)]
pub struct TestLine {
    pub span: Span,
    pub quantifier: Quantifier,
    pub from: Option<From>,
    pub to: Destination,
    pub port: Option<Name>,
    pub listener: Option<Name>,
    /// Lower-case.
    pub host: Option<Name>,
    pub asked: Asked,
    pub when: Vec<Condition>,
    pub expect: Expect,
}

/// What a test asks.
#[derive(Clone, Debug, PartialEq)]
pub enum Asked {
    /// Of a `request`: a method and a concrete, canonical path (or `*`); `None` is a connection.
    One(Option<(Spanned<Method>, Name)>),
    /// Of `every` and `some`; `None` is everything.
    All(Option<Op>),
}

/// For how many of the requests described the expectation is to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Quantifier {
    /// One, and it is described whole.
    Request,
    /// All.
    Every,
    /// At least one.
    Some,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Expect {
    pub span: Span,
    pub outcome: ExpectedOutcome,
    pub timeout: Option<Spanned<Timeout>>,
    /// `Some(0)` is `retry none`.
    pub retry: Option<Spanned<u32>>,
    /// `Some(None)` is `mirror none`.
    pub mirror: Option<Option<Mirror>>,
    /// `Some(None)` is `fault none`.
    pub fault: Option<Option<Fault>>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum ExpectedOutcome {
    Allow,
    Deny,
    Status(u16),
    Redirect(Redirect),
    Backends(Vec<Backend>),
}
