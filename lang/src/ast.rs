//! What a file says, statement by statement: plain values with spans, in the order of `spec/language.md`.
//!
//! The parser builds these from the tree and leaves out what it could not read (it has complained already),
//! so everything here is well-formed text; whether it *means* something is asked in the compiler. Values are in their
//! natural unit: durations in milliseconds, percentages in basis points (1/100 of a percent), sizes in bytes.

use crate::span::{Name, Span, Spanned};

/// One parsed file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct File {
    /// The statements of the file level, in source order.
    pub items: Vec<Item>,
}

/// A statement of the file level.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    Mesh(Mesh),
    Module(Module),
    Service(Service),
    Gateway(Gateway),
    Route(Route),
    Authorize(Authorize),
    Test(Test),
}

/// `mesh NAME { trust-domain …; default { … } }`
#[derive(Clone, Debug, PartialEq)]
pub struct Mesh {
    /// The statement's head (keyword and arguments).
    pub span: Span,
    pub name: Name,
    pub trust_domain: Option<Name>,
    /// What stands in `default { }`.
    pub default: Settings,
}

/// `module NAME { edition …; owner …; namespace … }`. The name may contain `/`.
#[derive(Clone, Debug, PartialEq)]
pub struct Module {
    pub span: Span,
    pub name: Name,
    pub edition: Option<Spanned<u32>>,
    pub owner: Option<Name>,
    pub namespace: Option<Name>,
}

/// `timeout …` and `retry …` of one block.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    pub timeout: Option<Spanned<Timeout>>,
    pub retry: Option<Spanned<Retry>>,
}

/// `timeout 1s` or `timeout none`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timeout {
    None,
    /// Milliseconds, at least 1.
    After(u32),
}

/// `retry none` or `retry 2 on … { … }`.
#[derive(Clone, Debug, PartialEq)]
pub enum Retry {
    None,
    Policy(RetryPolicy),
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
}

/// `service NAME { … }`
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    pub span: Span,
    /// The text of the `##` comments above, without `##`, lines joined by newlines.
    pub doc: Option<String>,
    pub name: Name,
    pub service_account: Option<Name>,
    pub ports: Vec<Port>,
    pub subsets: Vec<Subset>,
    pub endpoints: Vec<Endpoints>,
    pub calls: Vec<Calls>,
    pub settings: Settings,
}

/// `port [NAME] NUMBER PROTOCOL [target NUMBER]`
#[derive(Clone, Debug, PartialEq)]
pub struct Port {
    pub span: Span,
    pub name: Option<Name>,
    /// 1–65535.
    pub number: Spanned<u16>,
    pub protocol: Spanned<Protocol>,
    pub target: Option<Spanned<u16>>,
}

/// What a port speaks. Other protocols are refused by the parser with `MESH1010`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// HTTP/1.1.
    Http,
}

/// `subset NAME label KEY = STRING, …`
#[derive(Clone, Debug, PartialEq)]
pub struct Subset {
    pub span: Span,
    pub name: Name,
    /// Never empty.
    pub labels: Vec<Label>,
}

/// `KEY = STRING`
#[derive(Clone, Debug, PartialEq)]
pub struct Label {
    pub key: Name,
    pub value: Name,
}

/// `endpoints static STRING, … [label …]`. Addresses are checked by the compiler (`MESH1012`).
#[derive(Clone, Debug, PartialEq)]
pub struct Endpoints {
    pub span: Span,
    pub addresses: Vec<Name>,
    pub labels: Vec<Label>,
}

/// `calls SERVICE, … [port NAME] [to OP, …] [{ timeout …; retry … }]`
#[derive(Clone, Debug, PartialEq)]
pub struct Calls {
    pub span: Span,
    pub services: Vec<ServiceRef>,
    pub port: Option<Name>,
    /// Empty: everything.
    pub to: Vec<Op>,
    pub settings: Settings,
}

/// `name` or `name.namespace`.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceRef {
    pub span: Span,
    pub name: String,
    pub namespace: Option<String>,
}

/// `METHOD|METHOD PATH`: no methods is every method, no path is every path (and `*`); not both are missing.
#[derive(Clone, Debug, PartialEq)]
pub struct Op {
    pub span: Span,
    pub methods: Vec<Spanned<Method>>,
    pub path: Option<Spanned<PathPattern>>,
}

/// The methods a program can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
    Options,
}

impl Method {
    /// All of them, in the order of the specification.
    pub const ALL: [Method; 7] = [
        Method::Get,
        Method::Head,
        Method::Post,
        Method::Put,
        Method::Patch,
        Method::Delete,
        Method::Options,
    ];

    /// As on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Head => "HEAD",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
            Method::Options => "OPTIONS",
        }
    }

    /// The method of this exact (case-sensitive) spelling.
    pub fn parse(text: &str) -> Option<Method> {
        Method::ALL.into_iter().find(|method| method.as_str() == text)
    }
}

/// A path pattern, split at `/`. `/a/{b}/**` is `[Literal("a"), Any("b")]` with `subtree`; `/` is `[Literal("")]`;
/// `/a/` is `[Literal("a"), Literal("")]`; `/**` is `[]` with `subtree`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PathPattern {
    pub segments: Vec<Segment>,
    /// Ends in `/**`: this path and everything below it.
    pub subtree: bool,
}

/// One segment of a pattern.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Segment {
    /// Exactly this text, canonical; empty only as the last segment.
    Literal(String),
    /// `{name}`: exactly one segment that is not empty.
    Any(String),
}

impl std::fmt::Display for PathPattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for segment in &self.segments {
            match segment {
                Segment::Literal(text) => write!(f, "/{text}")?,
                Segment::Any(name) => write!(f, "/{{{name}}}")?,
            }
        }
        if self.subtree { f.write_str("/**") } else { Ok(()) }
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
}

/// `listener NAME port NUMBER PROTOCOL { host STRING, … }`
#[derive(Clone, Debug, PartialEq)]
pub struct Listener {
    pub span: Span,
    pub name: Name,
    pub number: Spanned<u16>,
    pub protocol: Spanned<Protocol>,
    /// May be empty where the file forgot it; the compiler complains (`MESH1011`).
    pub hosts: Vec<Spanned<HostPattern>>,
}

/// A host pattern; names are lower-case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HostPattern {
    /// `"shop.example"`
    Exact(String),
    /// `"*.shop.example"` holds `"shop.example"`: exactly one label before it.
    OneLabel(String),
    /// `"**.shop.example"` holds `"shop.example"`: one or more labels before it.
    Labels(String),
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

/// `route TARGET [port NAME] [listener NAME] [host STRING, …] { … }`
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    pub span: Span,
    pub target: ServiceRef,
    pub port: Option<Name>,
    pub listener: Option<Name>,
    /// Empty: every host of the listener.
    pub hosts: Vec<Spanned<HostPattern>>,
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
}

/// `match [OP, …] [when COND and …]`; not both are empty.
#[derive(Clone, Debug, PartialEq)]
pub struct Match {
    pub span: Span,
    pub ops: Vec<Op>,
    pub when: Vec<Condition>,
}

/// `[not] header STRING test`
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    pub span: Span,
    pub negated: bool,
    /// Lower-case.
    pub header: Name,
    pub test: ValueTest,
}

/// What is asked of a value.
#[derive(Clone, Debug, PartialEq)]
pub enum ValueTest {
    Present,
    Absent,
    Equals(Name),
    NotEquals(Name),
    /// Never empty.
    In(Vec<Name>),
    Prefix(Name),
}

/// What a rule does.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Never empty.
    To(Vec<Backend>),
    Redirect {
        location: Name,
        status: Spanned<u16>,
    },
    Respond {
        status: Spanned<u16>,
        body: Option<Name>,
    },
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
}

/// `authorize TARGET, … { … }`
#[derive(Clone, Debug, PartialEq)]
pub struct Authorize {
    pub span: Span,
    pub targets: Vec<ServiceRef>,
    pub lines: Vec<AuthorizeLine>,
}

/// `allow|deny [from …] [to [port NAME] [OP, …]]`
#[derive(Clone, Debug, PartialEq)]
pub struct AuthorizeLine {
    pub span: Span,
    pub effect: Effect,
    /// `None` in an `allow` is an error of the compiler (`MESH4002`).
    pub from: Option<From>,
    pub port: Option<Name>,
    /// Empty: everything.
    pub ops: Vec<Op>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effect {
    Allow,
    Deny,
}

/// `from PRINCIPAL, … [except PRINCIPAL, …]`
#[derive(Clone, Debug, PartialEq)]
pub struct From {
    pub span: Span,
    /// Never empty.
    pub principals: Vec<Principal>,
    pub except: Vec<Principal>,
}

/// Who.
#[derive(Clone, Debug, PartialEq)]
pub struct Principal {
    pub span: Span,
    pub kind: PrincipalKind,
}

#[derive(Clone, Debug, PartialEq)]
pub enum PrincipalKind {
    Service(ServiceRef),
    Gateway(ServiceRef),
    Namespace(String),
    /// The whole `spiffe://…` string, checked by the compiler (`MESH1012`).
    Identity(String),
    Authenticated,
    Unauthenticated,
    Anyone,
}

/// `test STRING { request …; … }`
#[derive(Clone, Debug, PartialEq)]
pub struct Test {
    pub span: Span,
    pub name: Name,
    pub requests: Vec<TestRequest>,
}

/// `request [from …] to … METHOD PATH [when …] expect …`
#[derive(Clone, Debug, PartialEq)]
pub struct TestRequest {
    pub span: Span,
    pub from: Option<Principal>,
    pub to: ServiceRef,
    pub port: Option<Name>,
    pub listener: Option<Name>,
    /// Lower-case.
    pub host: Option<Name>,
    pub method: Spanned<Method>,
    /// A concrete, canonical path (or `*`).
    pub path: Name,
    /// Header name (lower-case) and value; a name may stand once.
    pub headers: Vec<(Name, Name)>,
    pub expect: Expect,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Expect {
    pub span: Span,
    pub outcome: ExpectedOutcome,
    pub timeout: Option<Spanned<Timeout>>,
    /// `Some(0)` is `retry none`.
    pub retry: Option<Spanned<u32>>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum ExpectedOutcome {
    Allow,
    Deny,
    Status(u16),
    Redirect { location: String, status: u16 },
    Backends(Vec<Backend>),
}

// Canonical spelling, for logs and messages: on one line, lists sorted.

impl std::fmt::Display for ServiceRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)?;
        match &self.namespace {
            Some(namespace) => write!(f, ".{namespace}"),
            None => Ok(()),
        }
    }
}

impl std::fmt::Display for Backend {
    /// Without the weight: `reviews:v2 port http`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.service)?;
        if let Some(subset) = &self.subset {
            write!(f, ":{}", subset.value)?;
        }
        match &self.port {
            Some(port) => write!(f, " port {}", port.value),
            None => Ok(()),
        }
    }
}

impl std::fmt::Display for Op {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut methods: Vec<Method> = self.methods.iter().map(|method| method.value).collect();
        methods.sort_unstable();
        let methods: Vec<&str> = methods.into_iter().map(Method::as_str).collect();
        f.write_str(&methods.join("|"))?;
        match &self.path {
            Some(path) if self.methods.is_empty() => write!(f, "{}", path.value),
            Some(path) => write!(f, " {}", path.value),
            None => Ok(()),
        }
    }
}

impl std::fmt::Display for Principal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.kind {
            PrincipalKind::Service(service) => write!(f, "{service}"),
            PrincipalKind::Gateway(gateway) => write!(f, "gateway {gateway}"),
            PrincipalKind::Namespace(namespace) => write!(f, "namespace {namespace}"),
            PrincipalKind::Identity(identity) => write!(f, "identity \"{identity}\""),
            PrincipalKind::Authenticated => f.write_str("authenticated"),
            PrincipalKind::Unauthenticated => f.write_str("unauthenticated"),
            PrincipalKind::Anyone => f.write_str("anyone"),
        }
    }
}

impl std::fmt::Display for From {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "from {}", listed(&self.principals))?;
        if self.except.is_empty() { Ok(()) } else { write!(f, " except {}", listed(&self.except)) }
    }
}

impl std::fmt::Display for AuthorizeLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.effect {
            Effect::Allow => "allow",
            Effect::Deny => "deny",
        })?;
        if let Some(from) = &self.from {
            write!(f, " {from}")?;
        }
        if self.port.is_some() || !self.ops.is_empty() {
            f.write_str(" to")?;
        }
        if let Some(port) = &self.port {
            write!(f, " port {}", port.value)?;
        }
        if self.ops.is_empty() { Ok(()) } else { write!(f, " {}", listed(&self.ops)) }
    }
}

/// `a, b, c`, sorted: the order in which a list is written means nothing.
fn listed<T: std::fmt::Display>(items: &[T]) -> String {
    let mut items: Vec<String> = items.iter().map(T::to_string).collect();
    items.sort();
    items.join(", ")
}
