//! What `mesh graph -o json` prints; `spec/schema/graph.json` is its schema.

use super::Position;
use super::who::Verdict;
use mesh_compiler::survey::{graph, who};
use mesh_lang::SourceSet;
use schemars::JsonSchema;
use serde::Serialize;

/// Names the shape of [`Graph`]; a change that breaks a reader gets another number.
pub const GRAPH_SCHEMA: &str = "mesh.graph/v1";

/// Who calls whom.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Graph {
    /// `mesh.graph/v1`
    pub schema: String,
    /// The name of the mesh; empty where no file says it.
    pub mesh: String,
    /// Absent where the project names none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// Gateways, then services, each by name.
    pub nodes: Vec<Node>,
    pub edges: Vec<Edge>,
}

/// A service or a gateway.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Node {
    /// `reviews.default`
    pub name: String,
    pub kind: Kind,
    pub namespace: String,
    /// May be empty.
    pub owner: String,
    /// How its own route splits requests among its subsets: `v1 90%, v3 10%`
    pub splits: Vec<String>,
    /// Whether each of its ports asks peers to show who they are.
    pub mtls_strict: bool,
    /// How many tries one request at the beginning of a way may become here; absent where there is no most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tries: Option<u64>,
}

/// What a node is.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Gateway,
    Service,
    External,
}

/// All calls and routes from one to another.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Edge {
    /// The name of a node.
    pub from: String,
    pub to: String,
    /// Whether `calls` says so; else only routes do.
    pub call: bool,
    /// Of calls, the operations; empty: every request.
    pub operations: Vec<String>,
    /// Of routes, each rule that sends there, with its share where it is not all.
    pub rules: Vec<String>,
    /// Of a call, how much is let in of what is declared; of a gateway, whether anything is.
    pub verdict: Verdict,
    /// How many tries one request becomes.
    pub tries: u64,
    /// As given on the command line, with `/`.
    pub file: String,
    pub start: Position,
}

impl Graph {
    pub(crate) fn of(graph: &graph::Graph, environment: Option<String>, sources: &SourceSet) -> Graph {
        let name = |number: usize| graph.nodes.get(number).map_or(String::new(), |node| node.name.clone());
        let nodes = graph.nodes.iter().map(|node| Node {
            name: node.name.clone(),
            kind: match node.kind {
                graph::Kind::Gateway => Kind::Gateway,
                graph::Kind::Service => Kind::Service,
                graph::Kind::External => Kind::External,
            },
            namespace: node.namespace.clone(),
            owner: node.owner.clone(),
            splits: node.splits.clone(),
            mtls_strict: node.mtls_strict,
            tries: node.tries,
        });
        let edges = graph.edges.iter().map(|edge| Edge {
            from: name(edge.from),
            to: name(edge.to),
            call: edge.is_call,
            operations: edge.operations.clone(),
            rules: edge.rules.clone(),
            verdict: match edge.verdict {
                who::Verdict::Allowed => Verdict::Allowed,
                who::Verdict::Partly => Verdict::Partly,
                who::Verdict::Denied => Verdict::Denied,
            },
            tries: edge.tries,
            file: sources.get(edge.at.file()).map_or(String::new(), |source| source.path.clone()),
            start: Position::of(sources.position(edge.at)),
        });
        Graph {
            schema: GRAPH_SCHEMA.to_owned(),
            mesh: graph.mesh.clone(),
            environment,
            nodes: nodes.collect(),
            edges: edges.collect(),
        }
    }
}
