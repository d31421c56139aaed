//! Sources in, plan and diagnostics out. Pure: the drivers do the I/O.
//!
//! [`compile`] is the pipeline, each line a verb from one form of the mesh to the next; read the modules in that order.

#![deny(clippy::disallowed_methods, reason = "pure: the driver does the I/O")]

pub mod case;

use mesh_lang::{Diagnostic, SourceSet};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// What became of the sources.
#[derive(Debug, Default)]
pub struct Compilation {
    /// The plan; `None` where an error forbids it.
    pub plan: Option<mesh_plan::Plan>,
    /// Everything to say, in order of place.
    pub diagnostics: Vec<Diagnostic>,
    /// The `test` statements, ready to be asked of the plan; indices are those of `plan`. Empty without a plan.
    pub tests: Vec<case::Test>,
    /// Service ports that need a stand-in to run: they have no endpoints of their own.
    pub needs: Vec<StandIn>,
    /// For each service, in order of name: an example of every call it declares.
    pub calls: Vec<case::ExampleCall>,
    /// Requests to try at a gateway: the plainest first, then one for each rule that a header chooses.
    pub examples: Vec<case::ExampleRequest>,
}

/// A place where a stand-in server is to listen: one for each subset of a service port, or one for a port of a service
/// without subsets.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StandIn {
    /// `name.namespace`
    pub service: String,
    /// The port callers say.
    pub port: u16,
    /// The subset, if the service has some.
    pub subset: Option<String>,
}

/// Addresses for [`Compilation::needs`]. What is not listed stays without endpoints.
pub type StandIns = BTreeMap<StandIn, SocketAddr>;

/// Compiles a project.
pub fn compile(sources: &SourceSet, stand_ins: &StandIns) -> Compilation {
    let _ = (sources, stand_ins);
    Compilation::default()
}
