//! `test` statements and example requests, resolved: what a driver asks of a plan.
//!
//! These are plain values with indices into the plan; the compiler does not run them, since it does not know the engine.

pub mod wording;

use mesh_lang::Span;
use std::net::IpAddr;

/// A `test`.
#[derive(Clone, Debug, PartialEq)]
pub struct Test {
    /// Its string.
    pub name: String,
    /// Its head.
    pub span: Span,
    /// In source order.
    pub requests: Vec<Request>,
    /// What was found out about its `every` and `some` lines, in source order.
    pub proofs: Vec<Proof>,
}

/// An `every` or `some` line, decided.
#[derive(Clone, Debug, PartialEq)]
pub struct Proof {
    /// The whole statement.
    pub span: Span,
    /// The part from `expect` on.
    pub expect_span: Span,
    /// Whether it is about all requests, or about one of them.
    pub every: bool,
    /// What was expected.
    pub expect: Expectation,
    /// If written: milliseconds, or `None` for `timeout none`.
    pub timeout: Option<Option<u32>>,
    /// If written: how many retries; 0 for `retry none`.
    pub retry: Option<u32>,
    /// What else is expected.
    pub besides: Besides,
    /// What is wrong; `None` where it holds.
    pub failure: Option<Failure>,
}

/// Why an `every` or `some` line does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Of `every`, a request that ends otherwise. `None` where no request can be written out: only another gateway could send it.
    pub witness: Option<Box<mesh_lang::diagnostic::Witness>>,
    /// How it ends; of `some`, how all of them end.
    pub got: String,
}

/// A `request … expect …`.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The whole statement.
    pub span: Span,
    /// The part from `expect` on.
    pub expect_span: Span,
    /// Where it comes in.
    pub entry: Entry,
    /// The peer's SPIFFE ID; `None` is an unauthenticated peer.
    pub peer: Option<String>,
    /// As on the wire.
    pub method: String,
    /// Lower-case; for calls of services the callee's `name.namespace`.
    pub host: String,
    /// For calls of services the callee's port.
    pub host_port: Option<u16>,
    /// Canonical.
    pub path: String,
    /// What stands behind `?`; may be empty.
    pub query: String,
    /// Lower-case names.
    pub headers: Vec<(String, String)>,
    /// The other end of the connection, if the test says it.
    pub source_ip: Option<IpAddr>,
    /// Who asked the first trusted proxy, if the test says it.
    pub client_ip: Option<IpAddr>,
    /// The tokens that came along, verified.
    pub tokens: Vec<Token>,
    /// What is to come of it.
    pub expect: Expectation,
    /// If written: milliseconds, or `None` for `timeout none`.
    pub timeout: Option<Option<u32>>,
    /// If written: how many retries; 0 for `retry none`.
    pub retry: Option<u32>,
    /// What else is expected of it.
    pub besides: Besides,
}

/// What is expected besides an end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Besides {
    /// If written: the copy, or `None` for `mirror none`.
    pub mirror: Option<Option<mesh_plan::Edit>>,
    /// The fault that is written; without one there is none.
    pub fault: Option<mesh_plan::Edit>,
}

impl Besides {
    /// What is expected that the edits do not do, and what they do instead.
    pub fn contradiction(&self, edits: &[mesh_plan::Edit]) -> Option<(String, String)> {
        let listed = |found: &[&mesh_plan::Edit], word: &str| match found {
            [] => format!("{word} none"),
            all => all.iter().map(|edit| said(edit)).collect::<Vec<_>>().join(", "),
        };
        let is_fault = |edit: &&mesh_plan::Edit| {
            matches!(edit, mesh_plan::Edit::Delay { .. } | mesh_plan::Edit::Abort { .. })
        };
        let faults: Vec<&mesh_plan::Edit> = edits.iter().filter(is_fault).collect();
        let fits = match &self.fault {
            Some(fault) => faults.contains(&fault),
            None => faults.is_empty(),
        };
        if !fits {
            let wanted = self.fault.as_ref().map_or("fault none".to_owned(), said);
            return Some((wanted, listed(&faults, "fault")));
        }
        let mirrors: Vec<&mesh_plan::Edit> =
            edits.iter().filter(|edit| matches!(edit, mesh_plan::Edit::Mirror { .. })).collect();
        let fits = match &self.mirror {
            None => true,
            Some(None) => mirrors.is_empty(),
            Some(Some(mirror)) => mirrors.contains(&mirror),
        };
        let wanted = || match &self.mirror {
            Some(Some(mirror)) => said(mirror),
            _ => "mirror none".to_owned(),
        };
        (!fits).then(|| (wanted(), listed(&mirrors, "mirror")))
    }
}

/// A fault or a mirror as the language writes it.
pub(crate) fn said(edit: &mesh_plan::Edit) -> String {
    let percent = |share: u32| format!("{}%", f64::from(share) / 100.0);
    match edit {
        mesh_plan::Edit::Delay { delay, share } => format!("fault delay {delay}ms {}", percent(*share)),
        mesh_plan::Edit::Abort { status, share } => format!("fault abort {status} {}", percent(*share)),
        mesh_plan::Edit::Mirror { share, .. } => format!("a mirror of {}", percent(*share)),
        _ => String::new(),
    }
}

/// What a redirect without a location says: `prefix /new`, `scheme https host shop.example`.
pub fn redirect_text(edits: &[mesh_plan::Edit]) -> String {
    let parts = edits.iter().filter_map(|edit| match edit {
        mesh_plan::Edit::Prefix { to, .. } if to.is_empty() => Some("prefix /".to_owned()),
        mesh_plan::Edit::Prefix { to, .. } => Some(format!("prefix {to}")),
        mesh_plan::Edit::Scheme(scheme) => Some(format!("scheme {scheme}")),
        mesh_plan::Edit::Host(host) => Some(format!("host {host}")),
        _ => None,
    });
    let mut parts: Vec<String> = parts.collect();
    parts.dedup();
    parts.join(" ")
}

/// A verified token.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Token {
    /// The name of its `jwt`; empty where the test names none.
    pub issuer: String,
    /// What it claims: a JSON pointer (RFC 6901) and what stands there.
    pub claims: Vec<(String, Claim)>,
}

/// What a token says at one place.
#[derive(Clone, Debug, PartialEq)]
pub enum Claim {
    /// A string.
    Text(String),
    /// A list of strings.
    List(Vec<String>),
}

/// Where a request comes in; the same as the engine's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// At a gateway's listener.
    Gateway { gateway: u32, listener: u32 },
    /// At the proxy of a calling service.
    Sidecar { service: u32 },
    /// From a gateway into a service's route.
    FromGateway { gateway: u32, service: u32, port: u32 },
    /// At a service's port, with no calling proxy.
    Inbound { service: u32, port: u32 },
}

/// What is to come of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Expectation {
    /// Every draw reaches endpoints.
    Allow,
    /// Every draw ends in 403.
    Deny,
    /// Every draw is answered with this status by a rule or for want of one.
    Status(u16),
    /// A redirect: to a location, or `prefix …`, `scheme … host …` as [`redirect_text`] says it.
    Redirect { location: String, status: u16 },
    /// Exactly these destinations with exactly these weights.
    Backends(Vec<Backend>),
}

/// An expected destination.
#[derive(Clone, Debug, PartialEq)]
pub struct Backend {
    /// Index into the plan's services.
    pub service: u32,
    /// Index into its ports.
    pub port: u32,
    /// Index into its subsets, or `mesh_plan::NONE`.
    pub subset: u32,
    /// Basis points.
    pub weight: u32,
    /// As the user wrote it, without the weight: `reviews:v2`.
    pub text: String,
}

/// A call that a service declares, with a concrete request that is inside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExampleCall {
    /// `name.namespace` of the caller.
    pub caller: String,
    /// What the caller says in `Host`: `name.namespace`.
    pub host: String,
    /// The callee's port.
    pub port: u16,
    /// As on the wire.
    pub method: String,
    /// A path inside the declared operations; `/` where everything is.
    pub path: String,
}

/// A request that a gateway forwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExampleRequest {
    /// `name.namespace` of the gateway.
    pub gateway: String,
    /// The listener's name.
    pub listener: String,
    /// The listener's port.
    pub port: u16,
    /// A host to say, where not any will do.
    pub host: Option<String>,
    /// As on the wire.
    pub method: String,
    /// A path.
    pub path: String,
    /// Lower-case names.
    pub headers: Vec<(String, String)>,
    /// What it shows: `rule testers of route reviews`.
    pub shows: String,
}
