//! The specification as a program: literal, slow and obvious. What the compiler and the engine say is compared with
//! this over generated programs and requests; where they differ, one of them has a bug.
//!
//! Each module is one section of `spec/semantics.md` and quotes the numbers of the rules it executes: [`request`] (1),
//! `identity` (2), `line` and `route` (3), `access` (4), `hop` (5), [`settings`] (6). `program` looks names up, and
//! [`check`] finds what 3.4 to 3.8, 4.6 and 5.4 call an error, by trying every kind of request.

#![deny(clippy::disallowed_methods, reason = "pure: the specification does no I/O")]

mod access;
mod chance;
pub mod check;
mod hop;
mod identity;
mod line;
mod program;
pub mod request;
mod route;
pub mod settings;

pub use chance::Chance;
pub use check::Finding;
pub use request::{HeaderValue, canonical_host, canonical_path, header_value};
pub use settings::Retry;

use mesh_lang::ast;
use std::collections::{BTreeMap, BTreeSet};

/// A program, ready to be asked.
#[derive(Debug)]
pub struct Reference {
    program: program::Program,
}

impl Reference {
    /// The meaning of these files, each with the directory it stands in. The error says which name does not resolve;
    /// a program that the compiler accepts has none.
    pub fn new(files: &[(String, ast::File)]) -> Result<Reference, String> {
        Ok(Reference { program: program::Program::new(files)? })
    }

    /// Everything that can happen to a request.
    pub fn ask(&self, question: &Question) -> Answer {
        hop::ask(&self.program, question)
    }

    /// The mistakes of routes, calls and authorizations, found by trying every kind of request. Exponential in the
    /// number of headers and the depth of paths of one table: for small programs.
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
    /// Lower-case name and line; a repeated name is several lines.
    pub headers: Vec<(String, String)>,
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
}

/// How a request ends, and why.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ending {
    pub outcome: Outcome,
    /// Of the last route that was asked, the rules of the maximal lines; of a refusal, the deny lines that match. The
    /// least of them is the one to report; empty where nothing was written.
    pub rules: BTreeSet<String>,
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
        location: String,
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
