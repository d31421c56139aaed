//! What `mesh diff --format json` prints; `spec/schema/diff.json` is its schema.

use mesh_compiler::compare::{self, Comparison, Kind, Marked};
use schemars::JsonSchema;
use serde::Serialize;

/// Names the shape of [`Document`]; a change that breaks a reader gets another number.
const SCHEMA: &str = "mesh.diff/v1";

/// What differs between two plans.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Document {
    /// `mesh.diff/v1`
    schema: String,
    /// As the old one was named.
    old: String,
    /// As the new one was named.
    new: String,
    /// Environments in which the same differs are one.
    differences: Vec<Difference>,
}

/// What differs in some environments.
#[derive(Debug, Serialize, JsonSchema)]
struct Difference {
    /// In which; empty where the projects name none, or both are plans.
    environments: Vec<String>,
    /// `service coupons.shop`, `listener web of gateway edge.shop`
    added: Vec<String>,
    /// As `added`.
    removed: Vec<String>,
    /// In order of place.
    changes: Vec<Change>,
    /// Places that are too much to be compared exactly.
    undecided: Vec<String>,
    /// Workloads whose proxies get another slice.
    affected: Vec<String>,
    /// How many workloads there are.
    workloads: usize,
    /// Who calls whom, where that changed.
    edges: Vec<Edge>,
}

/// Requests of which something else becomes.
#[derive(Debug, Serialize, JsonSchema)]
struct Change {
    /// `payments.shop`, `calls of web.shop to cart.shop`
    place: String,
    /// What kind of change it is.
    kind: Outcome,
    /// What became of them.
    was: Decided,
    /// What becomes of them.
    is: Decided,
    /// The requests in words: together they are all of them, unless there are `more`.
    requests: Vec<String>,
    /// Whether there are more than these.
    more: bool,
    /// One of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    example: Option<Example>,
}

/// Kinds of changes.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Outcome {
    NewlyAllowed,
    NewlyDenied,
    RoutedElsewhere,
    SettingsChanged,
}

/// What one of the two decides.
#[derive(Debug, Serialize, JsonSchema)]
struct Decided {
    /// `allow`, `reviews.default:v1`, `timeout 2s`
    outcome: String,
    /// The rule or line that decides about the example; empty where none does.
    by: String,
}

/// A request.
#[derive(Debug, Serialize, JsonSchema)]
struct Example {
    /// In one line.
    text: String,
    /// A SPIFFE ID; not there where it does not matter or the peer has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<String>,
    /// As on the wire.
    method: String,
    /// Canonical.
    path: String,
    /// Without its `?`.
    #[serde(skip_serializing_if = "String::is_empty")]
    query: String,
    /// Name and value of each line.
    headers: Vec<(String, String)>,
}

/// That one workload calls or sends to another.
#[derive(Debug, Serialize, JsonSchema)]
struct Edge {
    from: String,
    to: String,
    /// `added`, `removed` or `changed`
    change: String,
}

impl Document {
    /// What two that are named so differ in, in which environments.
    pub(crate) fn of<'c>(
        (old, new): &(String, String),
        differences: impl Iterator<Item = (&'c [String], &'c Comparison)>,
    ) -> Document {
        Document {
            schema: SCHEMA.to_owned(),
            old: old.clone(),
            new: new.clone(),
            differences: differences.map(|(names, comparison)| Difference::of(names, comparison)).collect(),
        }
    }
}

impl Difference {
    fn of(names: &[String], comparison: &Comparison) -> Difference {
        Difference {
            environments: names.to_vec(),
            added: comparison.added.clone(),
            removed: comparison.removed.clone(),
            changes: comparison.changes.iter().map(Change::of).collect(),
            undecided: comparison.undecided.clone(),
            affected: comparison.affected.clone(),
            workloads: comparison.workloads,
            edges: comparison.edges.iter().map(Edge::of).collect(),
        }
    }
}

impl Change {
    fn of(change: &compare::Change) -> Change {
        let decided =
            |decided: &compare::Decided| Decided { outcome: decided.said.clone(), by: decided.by.clone() };
        Change {
            place: change.place.clone(),
            kind: match change.kind {
                Kind::Allowed => Outcome::NewlyAllowed,
                Kind::Denied => Outcome::NewlyDenied,
                Kind::Routed => Outcome::RoutedElsewhere,
                Kind::Set => Outcome::SettingsChanged,
            },
            was: decided(&change.old),
            is: decided(&change.new),
            requests: change.requests.clone(),
            more: change.more,
            example: change.example.as_ref().map(|example| Example {
                text: example.text.clone(),
                peer: example.peer.clone(),
                method: example.method.clone(),
                path: example.path.clone(),
                query: example.query.clone(),
                headers: example.headers.clone(),
            }),
        }
    }
}

impl Edge {
    fn of(edge: &compare::Edge) -> Edge {
        let change = match edge.marked {
            Marked::Added => "added",
            Marked::Removed => "removed",
            Marked::Changed => "changed",
        };
        Edge { from: edge.from.clone(), to: edge.to.clone(), change: change.to_owned() }
    }
}
