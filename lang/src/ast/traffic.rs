//! What happens to requests on their way: settings, limits, edits. The words are Envoy's and the Gateway API's.

use super::{Backend, Method, RetryPolicy, ServiceRef, Timeout};
use crate::span::{Name, Span, Spanned};

/// Values of one block; of several levels the nearest that writes one wins (`spec/semantics.md` 6.1).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    pub timeout: Option<Spanned<Timeout>>,
    pub retry: Option<Spanned<Retry>>,
    /// How long a connection may take to be made, in milliseconds.
    pub connect_timeout: Option<Spanned<u32>>,
    /// How long a connection or stream may be silent.
    pub idle_timeout: Option<Spanned<Timeout>>,
    pub load_balancer: Option<Spanned<Box<LoadBalancer>>>,
    /// Profiles whose statements stand below this block's own.
    pub uses: Vec<Name>,
}

/// Limits of one block; those of all levels hold together. Most blocks have none, so the large ones stand elsewhere.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Limits {
    pub circuit_breaker: Option<Spanned<Box<CircuitBreaker>>>,
    pub outlier_detection: Option<Spanned<Box<OutlierDetection>>>,
    pub rate_limits: Vec<RateLimit>,
    /// Bytes.
    pub max_request_body: Option<Spanned<u64>>,
    /// `encoded-slashes decode`
    pub decodes_slashes: Option<Span>,
    /// `path-parameters strip`
    pub strips_parameters: Option<Span>,
}

/// `retry none` or `retry 2 on … { … }`.
#[derive(Clone, Debug, PartialEq)]
pub enum Retry {
    None,
    Policy(Box<RetryPolicy>),
}

/// `circuit-breaker { … }`; what is absent is not limited.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CircuitBreaker {
    pub max_connections: Option<Spanned<u32>>,
    pub max_pending_requests: Option<Spanned<u32>>,
    pub max_requests: Option<Spanned<u32>>,
    /// How long a request may wait for a connection, in milliseconds.
    pub pending_timeout: Option<Spanned<u32>>,
}

/// `outlier-detection { … }`. `interval`, `base-ejection-time` and `max-ejection-percent` are required (`MESH1011`), and one
/// of the three conditions is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutlierDetection {
    pub consecutive_5xx: Option<Spanned<u32>>,
    pub consecutive_gateway_errors: Option<Spanned<u32>>,
    /// Basis points: endpoints below this share of successes within an interval are ejected.
    pub success_rate: Option<Spanned<u32>>,
    /// Milliseconds.
    pub interval: Option<Spanned<u32>>,
    /// Milliseconds.
    pub base_ejection_time: Option<Spanned<u32>>,
    /// Milliseconds.
    pub max_ejection_time: Option<Spanned<u32>>,
    /// Basis points, and how many endpoints may be ejected whatever the share says.
    pub max_ejection: Option<Spanned<(u32, u32)>>,
    /// With fewer endpoints nothing is ejected.
    pub min_hosts: Option<Spanned<u32>>,
}

/// `load-balancer ALGORITHM [{ slow-start … }]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadBalancer {
    pub algorithm: Algorithm,
    /// Milliseconds.
    pub slow_start: Option<Spanned<u32>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Algorithm {
    RoundRobin,
    Random,
    /// Power of two choices (Mitzenmacher 2001).
    LeastRequest,
    /// Peak exponentially weighted moving average (Finagle).
    PeakEwma,
    /// Consistent hashing (Karger 1997).
    RingHash(HashKey),
    /// Eisenbud 2016.
    Maglev(HashKey),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HashKey {
    /// Lower-case.
    Header(Name),
    /// With a lifetime in milliseconds, a cookie that is absent is issued.
    Cookie(Name, Option<Spanned<u32>>),
    Query(Name),
    SourceIp,
}

/// `rate-limit local|global RATE [burst COUNT] [per KEY, …] [by NAME] [audit]`
#[derive(Clone, Debug, PartialEq)]
pub struct RateLimit {
    pub span: Span,
    /// Counted by each proxy for itself, or by a `rate-limiter` for all.
    pub global: bool,
    pub rate: Spanned<Rate>,
    pub burst: Option<Spanned<u32>>,
    /// Empty: all requests share one limit.
    pub per: Vec<RateKey>,
    /// The `rate-limiter` that counts: written iff `global`.
    pub by: Option<Name>,
    /// Logged and counted, not refused.
    pub audit: bool,
}

/// `100/m`
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rate {
    pub count: u32,
    /// Milliseconds: a second, a minute or an hour.
    pub per: u32,
}

#[derive(Clone, Debug, PartialEq)]
pub enum RateKey {
    /// The identity of the peer.
    Source,
    SourceIp,
    ClientIp,
    /// Lower-case.
    Header(Name),
}

/// `mirror BACKEND PERCENT [including-writes]`
#[derive(Clone, Debug, PartialEq)]
pub struct Mirror {
    pub span: Span,
    pub backend: Backend,
    /// Basis points.
    pub share: Spanned<u32>,
    pub including_writes: bool,
}

/// `rewrite path PATH`, `rewrite prefix PATH`, `rewrite host STRING`
#[derive(Clone, Debug, PartialEq)]
pub enum Rewrite {
    Path(Name),
    Prefix(Name),
    Host(Name),
}

/// `request-header …` and `response-header …`
#[derive(Clone, Debug, PartialEq)]
pub struct HeaderEdit {
    pub span: Span,
    /// Lower-case.
    pub name: Name,
    pub edit: Edit,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Edit {
    Set(Name),
    Add(Name),
    Remove,
}

/// `fault delay DURATION PERCENT` and `fault abort STATUS PERCENT`
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fault {
    pub span: Span,
    pub kind: FaultKind,
    /// Basis points.
    pub share: Spanned<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// Milliseconds.
    Delay(Spanned<u32>),
    Abort(Spanned<u16>),
}

/// `cors { … }` (Fetch 3.2); the preflight is answered before authorization.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cors {
    pub span: Option<Span>,
    /// `"*"`, or origins in which the first label may be `*`.
    pub allow_origins: Vec<Name>,
    pub allow_methods: Vec<Spanned<Method>>,
    /// Lower-case, or `"*"`.
    pub allow_headers: Vec<Name>,
    /// Lower-case, or `"*"`.
    pub expose_headers: Vec<Name>,
    pub allow_credentials: Option<Span>,
    /// Milliseconds.
    pub max_age: Option<Spanned<u32>>,
}

/// What a rule does to a request and its response besides sending it somewhere.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Modifiers {
    pub mirrors: Vec<Mirror>,
    pub rewrites: Vec<Spanned<Rewrite>>,
    pub request_headers: Vec<HeaderEdit>,
    pub response_headers: Vec<HeaderEdit>,
    pub faults: Vec<Fault>,
    pub cors: Option<Spanned<Box<Cors>>>,
    /// `upgrade websocket`
    pub websocket: Option<Span>,
}

/// `health-check GET PATH|grpc|tcp { … }`; `interval` and `timeout` are required.
#[derive(Clone, Debug, PartialEq)]
pub struct HealthCheck {
    pub span: Span,
    pub probe: ProbeKind,
    /// Milliseconds.
    pub interval: Option<Spanned<u32>>,
    /// Milliseconds.
    pub timeout: Option<Spanned<u32>>,
    /// Failures in a row after which an endpoint is out; absent: one.
    pub unhealthy: Option<Spanned<u32>>,
    /// Successes in a row after which it is in again; absent: one.
    pub healthy: Option<Spanned<u32>>,
}

/// How a service is asked whether it is well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeKind {
    /// A concrete, canonical path.
    Get(Name),
    /// `grpc.health.v1.Health/Check`
    Grpc,
    /// A connection is made.
    Tcp,
}

/// `access-log json|none [sample PERCENT]`, `tracing …`, `metric-label …`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Telemetry {
    pub access_log: Option<Spanned<AccessLog>>,
    pub tracing: Option<Spanned<Tracing>>,
    pub metric_labels: Vec<MetricLabel>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessLog {
    None,
    /// Basis points.
    Json {
        sample: u32,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub enum Tracing {
    None,
    /// To this OTLP collector, or, in a service, to the one of the mesh.
    Otlp {
        collector: Option<ServiceRef>,
        sample: u32,
    },
}

/// `metric-label NAME header STRING in (STRING, …)`: values that are not listed count as `other`.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricLabel {
    pub span: Span,
    pub name: Name,
    /// Lower-case.
    pub header: Name,
    /// Never empty.
    pub values: Vec<Name>,
}
