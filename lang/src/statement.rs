//! Statements as values: a row of the table, the arguments that its reader understood, and the statements of its block.
//!
//! This is the form in which `env` blocks and parameters are replaced by what they stand for ([`crate::expand`]), before
//! the module `view` gives the statements their shapes.

use crate::ast::{
    AccessLog, Action, AllowRoutes, AuthorizeLine, Backend, Budget, Check, Edit, Endpoints, Export,
    FaultKind, GuardrailLine, HealthCheck, HostPattern, JwtUse, Listener, ListenerTls, LoadBalancer, Match,
    Method, MetricLabel, Mirror, Op, Port, Principal, Probe, RateLimit, RetryOn, Rewrite, Route, ServiceRef,
    Subset, TestLine, Timeout, Tls, TokenSource, Tracing,
};
use crate::signature::Signature;
use crate::span::{Name, Span, Spanned};
use crate::token::TokenKind;
use std::sync::Arc;

/// A statement whose keyword stands in the table.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    /// Its row.
    pub signature: &'static Signature,
    /// Keyword and arguments.
    pub span: Span,
    /// The text of the `##` comments above, without `##`, lines joined by newlines.
    pub doc: Option<Box<Doc>>,
    /// What it says.
    pub args: Args,
    /// What stands in its block.
    pub block: Box<[Statement]>,
}

/// The text of `##` comments, behind one pointer: most statements have none, and each has a place for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Doc {
    pub text: Box<str>,
}

impl Statement {
    /// The word it begins with.
    pub fn keyword(&self) -> &'static str {
        self.signature.keyword
    }
}

/// A token of a statement whose arguments wait for the values of parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Waiting {
    pub kind: TokenKind,
    pub text: Box<str>,
    pub span: Span,
}

/// What a `param` may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ParamType {
    Percent,
    Duration,
    Rate,
    Size,
    Count,
    Host,
}

impl ParamType {
    pub const ALL: [ParamType; 6] = [
        ParamType::Percent,
        ParamType::Duration,
        ParamType::Rate,
        ParamType::Size,
        ParamType::Count,
        ParamType::Host,
    ];

    /// As written.
    pub fn as_str(self) -> &'static str {
        match self {
            ParamType::Percent => "percent",
            ParamType::Duration => "duration",
            ParamType::Rate => "rate",
            ParamType::Size => "size",
            ParamType::Count => "count",
            ParamType::Host => "host",
        }
    }
}

/// `NAME TYPE = VALUE [range VALUE..VALUE controlled-by STRING]`
#[derive(Clone, Debug, PartialEq)]
pub struct Param {
    pub name: Name,
    pub kind: ParamType,
    /// One literal of that type, as written.
    pub value: Waiting,
    /// Whoever sets it while the mesh runs, and between which bounds (basis points): of percentages only.
    pub controlled: Option<Controlled>,
}

/// `range VALUE..VALUE controlled-by STRING`
#[derive(Clone, Debug, PartialEq)]
pub struct Controlled {
    pub low: Spanned<u32>,
    pub high: Spanned<u32>,
    pub by: Name,
}

/// `SERVICE, … [port NAME] [to OP, …]`
#[derive(Clone, Debug, PartialEq)]
pub struct CallsHead {
    pub services: Vec<ServiceRef>,
    pub port: Option<Name>,
    /// Empty: everything.
    pub to: Vec<Op>,
}

/// `COUNT on CONDITION, …`
pub type RetryHead = (Spanned<u32>, Vec<Spanned<RetryOn>>);

/// The arguments of a statement, by what they look like; the row says what they mean. Larger ones are boxed, so that a
/// statement stays small; lines of `authorize`, which are most of a program, are the same value in every environment.
#[derive(Clone, Debug, PartialEq)]
pub enum Args {
    /// There are none.
    Nothing,
    /// They name a parameter, and are read when its value is known.
    Waiting(Box<[Waiting]>),
    Name(Name),
    Names(Vec<Name>),
    /// A word of a closed list.
    Word(Spanned<&'static str>),
    Number(Spanned<u32>),
    /// Milliseconds.
    Duration(Spanned<u32>),
    /// Milliseconds, or `none`.
    Timeout(Spanned<Timeout>),
    /// Bytes.
    Size(Spanned<u64>),
    /// Basis points.
    Percent(Spanned<u32>),
    Status(Spanned<u16>),
    Hosts(Vec<Spanned<HostPattern>>),
    Methods(Vec<Spanned<Method>>),
    Services(Vec<ServiceRef>),
    Service(Box<ServiceRef>),
    Principals(Box<(Name, Vec<Principal>)>),
    Backends(Box<(Name, Vec<Backend>)>),
    /// `import`
    Import(Box<(Name, Vec<Name>)>),
    Export(Box<Export>),
    Param(Box<Param>),
    /// `set NAME = VALUE`
    Set(Box<(Name, Waiting)>),
    Limit(Box<(Name, Spanned<u32>)>),
    ClusterGateway(Box<(ServiceRef, Name)>),
    Port(Box<Port>),
    Subset(Box<Subset>),
    Endpoints(Box<Endpoints>),
    Tls(Box<Tls>),
    JwtUse(Box<JwtUse>),
    Calls(Box<CallsHead>),
    /// `None`: `retry none`.
    Retry(Option<Box<RetryHead>>),
    Backoff(Spanned<(u32, u32)>),
    Budget(Spanned<Budget>),
    LoadBalancer(Box<LoadBalancer>),
    /// A share in basis points and a number.
    Share(Spanned<(u32, u32)>),
    HealthCheck(Box<HealthCheck>),
    Probe(Box<Probe>),
    AccessLog(Spanned<AccessLog>),
    Tracing(Box<Spanned<Tracing>>),
    MetricLabel(Box<MetricLabel>),
    TokenSource(Box<TokenSource>),
    Listener(Box<Listener>),
    ListenerTls(Box<ListenerTls>),
    RedirectHttps(Spanned<u16>),
    AllowRoutes(Box<AllowRoutes>),
    Route(Box<Route>),
    Rule(Box<(Name, Vec<Name>)>),
    Match(Box<Match>),
    Action(Box<Action>),
    Mirror(Box<Mirror>),
    Rewrite(Box<Rewrite>),
    HeaderEdit(Box<(Name, Edit)>),
    Fault(Box<(FaultKind, Spanned<u32>)>),
    RateLimit(Box<RateLimit>),
    AuthorizeLine(Arc<AuthorizeLine>),
    Check(Box<Check>),
    Guardrail(Box<GuardrailLine>),
    Mode(Name),
    Test(Box<(Name, Vec<Name>)>),
    TestLine(Box<TestLine>),
}
