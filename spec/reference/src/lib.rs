//! The specification as a program: literal, slow and obvious. What the compiler and the engine say is compared with
//! this over generated programs and requests; where they differ, one of them has a bug.
//!
//! Each module is one section of `spec/semantics.md` and quotes the numbers of the rules it executes: [`request`] (1),
//! `identity` (2), `condition`, `line` and `route` (3), `access` (4, 12), `hop` (5), [`settings`] (6), [`environment`] (7.1 to 7.4),
//! [`edits`] (9). `look_up` looks names up (7, 8) and makes a `program` of them, and [`check`] finds what 3.4 to 3.8, 4.6, 5.4 and 5.7 call an error, by trying a sample of every kind of
//! request.

#![deny(clippy::disallowed_methods, reason = "pure: the specification does no I/O")]

mod access;
mod chance;
pub mod check;
mod condition;
pub mod edits;
pub mod environment;
mod hop;
mod identity;
mod line;
mod look_up;
mod names;
mod program;
mod regex;
pub mod request;
mod route;
mod sample;
pub mod settings;

pub use chance::Chance;
pub use check::Finding;
pub use edits::{Effect, HeaderEdit, RateLimit};
pub use environment::in_environment;
pub use request::{
    Value, canonical_host, canonical_path, canonical_path_as, cookie_value, header_value, query_value,
};
pub use settings::Retry;

use mesh_lang::ast;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// A program, ready to be asked.
#[derive(Debug)]
pub struct Reference {
    program: program::Program,
}

impl Reference {
    /// The meaning of these files, each with the directory it stands in, in one environment ([`in_environment`]). The error says which name does not resolve;
    /// a program that the compiler accepts has none.
    pub fn new(files: &[(String, ast::File)]) -> Result<Reference, String> {
        Ok(Reference { program: program::Program::new(files)? })
    }

    /// Everything that can happen to a request.
    pub fn ask(&self, question: &Question) -> Answer {
        hop::ask(&self.program, question)
    }

    /// The mistakes of routes, calls and authorizations, found by trying every kind of request. Exponential in the
    /// number of fields that one table asks: for small programs.
    pub fn findings(&self) -> BTreeSet<Finding> {
        check::findings(&self.program)
    }
}

/// One canonical request and where it comes in. Services and gateways are said by full name, `name.namespace`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    pub entry: Entry,
    /// The peer's SPIFFE ID; `None` is a peer without identity. Read where the entry itself is not the peer.
    pub peer: Option<String>,
    /// As on the wire.
    pub method: String,
    /// Canonical.
    pub host: String,
    pub host_port: Option<u16>,
    /// Canonical.
    pub path: String,
    /// What stands behind the first `?`, as it was sent.
    pub query: String,
    /// Lower-case name and line; a repeated name is several lines.
    pub headers: Vec<(String, String)>,
    /// The verified tokens, one for each issuer at most.
    pub tokens: Vec<Token>,
    /// The other end of the connection.
    pub source_ip: IpAddr,
    pub client_ip: Option<IpAddr>,
}

/// A verified token, by the name of its `jwt`, and what it claims at which path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    pub issuer: String,
    pub claims: Vec<(Vec<String>, Claim)>,
}

/// What a token says at one place (1.7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    Text(String),
    /// Of texts.
    List(Vec<String>),
    /// Anything else; also an object with claims inside.
    Other,
}

/// Where a request comes in (5.1 to 5.3, 5.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    Gateway { gateway: String, listener: String },
    Sidecar { service: String },
    FromGateway { gateway: String, service: String, port: u16 },
    Inbound { service: String, port: u16 },
}

/// What can happen to a request: each ending and how likely it is. The chances sum to one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    pub endings: BTreeMap<Ending, Chance>,
    /// Somewhere on the way the maximal lines disagreed (3.5): the program is in error, and the endings are those of
    /// the rule with the least name.
    pub ambiguous: bool,
    /// A rule on the way changes the request (9.1).
    pub changed: bool,
}

/// How a request ends, and why.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ending {
    pub outcome: Outcome,
    /// Of the last route that was asked, the rules of the maximal lines; of a refusal, the deny lines that match. The
    /// least of them is the one to report; empty where nothing was written.
    pub rules: BTreeSet<String>,
    /// 4.7, 4.8, 12.3: what is told of it besides, in order.
    pub told: Vec<String>,
    /// `None` where it is refused.
    pub changes: Option<Changes>,
}

/// What becomes of a request on its way, and what is done with it (9, 11).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Changes {
    pub path: String,
    pub host: String,
    /// 9.4: scheme and host that a redirect says.
    pub location: (Option<String>, Option<String>),
    /// Ordered by what they are done to.
    pub effects: Vec<Effect>,
}

impl From<Outcome> for Ending {
    fn from(outcome: Outcome) -> Ending {
        Ending { outcome, rules: BTreeSet::new(), told: Vec::new(), changes: None }
    }
}

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    Forward {
        service: String,
        port: u16,
        subset: Option<String>,
        /// Milliseconds.
        timeout: Option<u32>,
        retry: Option<Retry>,
    },
    Redirect {
        status: u16,
        /// `None`: the request's own, with the changes.
        location: Option<String>,
    },
    /// An `otherwise` is a response without a body.
    Respond {
        status: u16,
        body: String,
    },
    /// `by` is the service or gateway whose authorization refused.
    Denied {
        by: String,
    },
    UndeclaredCall,
    NoRoute,
}

#[cfg(test)]
mod tests;
