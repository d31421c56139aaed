//! What holds for a project or a module: names that other statements use, and who owns what.

use super::{Backend, Limits, Principal, ServiceRef, Settings, Telemetry};
use crate::span::{Name, Span, Spanned};

/// `mesh NAME { … }`
#[derive(Clone, Debug, PartialEq)]
pub struct Mesh {
    /// The statement's head (keyword and arguments).
    pub span: Span,
    pub name: Name,
    pub trust_domain: Option<Name>,
    pub clusters: Vec<Name>,
    /// `cluster NAME { gateway NAME STRING }`
    pub cluster_gateways: Vec<ClusterGateway>,
    pub environments: Vec<Name>,
    pub production: Vec<Name>,
    pub mtls: Option<Spanned<Mtls>>,
    pub egress: Option<Spanned<Egress>>,
    /// The most tries that one request may become on its way.
    pub retry_amplification: Option<Spanned<u32>>,
    /// What stands in `default { }`.
    pub default: Settings,
    pub telemetry: Telemetry,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mtls {
    Strict,
    Permissive,
    Off,
}

/// What becomes of calls to destinations that nobody declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Egress {
    Deny,
    Allow,
}

/// How another cluster is reached.
#[derive(Clone, Debug, PartialEq)]
pub struct ClusterGateway {
    pub span: Span,
    pub cluster: Name,
    /// The gateway of this mesh that stands at the cluster's door.
    pub gateway: Option<ServiceRef>,
    /// `host:port`
    pub address: Option<Name>,
}

/// `module NAME { … }`. The name may contain `/`.
#[derive(Clone, Debug, PartialEq)]
pub struct Module {
    pub span: Span,
    pub name: Name,
    pub edition: Option<Spanned<u32>>,
    pub owner: Option<Name>,
    pub namespace: Option<Name>,
    /// `role platform`
    pub platform: Option<Span>,
    pub exports: Vec<Export>,
}

/// `export KIND NAME, …`
#[derive(Clone, Debug, PartialEq)]
pub struct Export {
    pub span: Span,
    pub kind: Shared,
    pub names: Vec<Name>,
}

/// Kinds of names that a module can open to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Shared {
    Profile,
    Group,
    Jwt,
    Split,
    ExtAuthz,
    RateLimiter,
}

impl Shared {
    pub const ALL: [Shared; 6] =
        [Shared::Profile, Shared::Group, Shared::Jwt, Shared::Split, Shared::ExtAuthz, Shared::RateLimiter];

    /// The keyword that declares one.
    pub fn keyword(self) -> &'static str {
        match self {
            Shared::Profile => "profile",
            Shared::Group => "group",
            Shared::Jwt => "jwt",
            Shared::Split => "split",
            Shared::ExtAuthz => "ext-authz",
            Shared::RateLimiter => "rate-limiter",
        }
    }
}

/// `import MODULE { NAME, … }`
#[derive(Clone, Debug, PartialEq)]
pub struct Import {
    pub span: Span,
    pub module: Name,
    pub names: Vec<Name>,
}

/// `group NAME = PRINCIPAL, …`
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    pub span: Span,
    pub doc: Option<String>,
    pub name: Name,
    /// Never empty.
    pub principals: Vec<Principal>,
}

/// `split NAME = BACKEND, …`
#[derive(Clone, Debug, PartialEq)]
pub struct Split {
    pub span: Span,
    pub doc: Option<String>,
    pub name: Name,
    /// Never empty.
    pub backends: Vec<Backend>,
}

/// `profile NAME { … }`
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    pub span: Span,
    pub doc: Option<String>,
    pub name: Name,
    pub settings: Settings,
    pub limits: Limits,
}

/// `jwt NAME { … }` (RFC 7519). `issuer`, `audience` and `jwks` are required (`MESH1011`).
#[derive(Clone, Debug, PartialEq)]
pub struct Jwt {
    pub span: Span,
    pub doc: Option<String>,
    pub name: Name,
    pub issuer: Option<Name>,
    pub audiences: Vec<Name>,
    /// A URL, or the path of a file beside the proxy.
    pub jwks: Option<Name>,
    /// Where the token stands; empty: in `authorization: Bearer`.
    pub from: Vec<TokenSource>,
    /// The token is sent on to the service.
    pub forward: Option<Span>,
    /// Claims that are lists written as one string with spaces.
    pub list_claims: Vec<Name>,
    /// Milliseconds; absent: none.
    pub clock_skew: Option<Spanned<u32>>,
    /// The media type of its tokens (RFC 7515 4.1.9), as it is written.
    pub typ: Option<Name>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenSource {
    /// Lower-case.
    Header(Name),
    Cookie(Name),
    Query(Name),
}

/// `ext-authz NAME { … }` and `rate-limiter NAME { … }`: a service that is asked. All three statements are required
/// (`MESH1011`).
#[derive(Clone, Debug, PartialEq)]
pub struct Authority {
    pub span: Span,
    pub doc: Option<String>,
    pub name: Name,
    pub service: Option<ServiceRef>,
    /// Milliseconds.
    pub timeout: Option<Spanned<u32>>,
    pub on_failure: Option<Spanned<OnFailure>>,
}

/// What holds where the service that is asked does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OnFailure {
    Allow,
    Deny,
}
