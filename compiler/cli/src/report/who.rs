//! What `mesh who --format json` prints; `spec/schema/who.json` is its schema.

use super::why::Cited;
use mesh_compiler::survey::who;
use mesh_lang::SourceSet;
use schemars::JsonSchema;
use serde::Serialize;

/// Names the shape of [`Who`]; a change that breaks a reader gets another number.
pub const WHO_SCHEMA: &str = "mesh.who/v1";

/// Who may call whom.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Who {
    /// `mesh.who/v1`
    pub schema: String,
    /// The operations that are asked about, as they were written; absent: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operations: Option<String>,
    /// Absent where the project names none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// Who has no row is let in nowhere that was asked about.
    pub rows: Vec<Row>,
}

/// A caller and a port.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Row {
    /// `web.default`, `gateway edge.default`, an identity, `any other identity of namespace shop`, `peers without identity`
    pub caller: String,
    pub kind: Kind,
    /// Of a group, how many services and gateways of the project are in it and have no row of their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub members: Option<usize>,
    /// `payments.payments`
    pub callee: String,
    /// The port's name, or its number where it has none.
    pub port: String,
    /// How much is let in of what is asked about, else of what the caller declares to call, else of everything.
    pub verdict: Verdict,
    pub declared: Declared,
    /// The `calls`, or the gateway's rule, by which it comes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<Cited>,
    /// The `allow` lines that let something in.
    pub grants: Vec<Grant>,
    /// The `deny` lines that take some of it away.
    pub denials: Vec<Cited>,
    /// A request that is let in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed: Option<Example>,
    /// A request that is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub denied: Option<Example>,
}

/// What a caller is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Service,
    Gateway,
    /// One that the project does not declare.
    Identity,
    /// All of whom no line knows more.
    Group,
}

/// How much is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Allowed,
    Partly,
    Denied,
}

impl Verdict {
    /// As it is printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Allowed => "allowed",
            Verdict::Partly => "partly",
            Verdict::Denied => "denied",
        }
    }
}

/// Whether the caller's own proxy lets it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Declared {
    /// It declares the call; a gateway has a rule that sends there.
    Yes,
    /// It declares some of it.
    Partly,
    /// It declares no such call: what is granted is of no use to it.
    No,
    /// It comes by the route of a service that it calls.
    Route,
    /// It is not a service or gateway of the project.
    Unasked,
}

impl Declared {
    /// As it is printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Declared::Yes => "yes",
            Declared::Partly => "partly",
            Declared::No => "no",
            Declared::Route => "route",
            Declared::Unasked => "unasked",
        }
    }
}

/// A line that lets something in.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Grant {
    pub line: Cited,
    /// `GET /v1/charges/{id}`; empty: every request.
    pub operations: Vec<String>,
    /// `header "x" present`; empty: whatever the request carries.
    pub when: String,
}

/// A request.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Example {
    /// `GET /v1/charges/1  x-team: books`
    pub request: String,
    /// A line of a `test` that asks the authorization for it, but for its `expect`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<String>,
}

impl Row {
    pub(crate) fn of(row: &who::Row, sources: &SourceSet) -> Row {
        let cited = |line: &mesh_compiler::survey::Cited| Cited::of(&line.text, line.span, sources);
        let example =
            |example: &who::Example| Example { request: example.request.clone(), test: example.test.clone() };
        let (kind, members) = match &row.who {
            who::Who::Service(_) => (Kind::Service, None),
            who::Who::Gateway(_) => (Kind::Gateway, None),
            who::Who::Identity(_) => (Kind::Identity, None),
            who::Who::Others { count, .. } => (Kind::Group, Some(*count)),
        };
        Row {
            caller: row.who.to_string(),
            kind,
            members,
            callee: row.callee.clone(),
            port: row.port.clone(),
            verdict: match row.verdict {
                who::Verdict::Allowed => Verdict::Allowed,
                who::Verdict::Partly => Verdict::Partly,
                who::Verdict::Denied => Verdict::Denied,
            },
            declared: match row.declared {
                who::Declared::Yes => Declared::Yes,
                who::Declared::Partly => Declared::Partly,
                who::Declared::No => Declared::No,
                who::Declared::ByRoute => Declared::Route,
                who::Declared::Unasked => Declared::Unasked,
            },
            by: row.by.map(|at| {
                Cited::of(&sources.text(at).split_whitespace().collect::<Vec<_>>().join(" "), at, sources)
            }),
            grants: row
                .grants
                .iter()
                .map(|grant| Grant {
                    line: cited(&grant.line),
                    operations: grant.operations.clone(),
                    when: grant.when.clone(),
                })
                .collect(),
            denials: row.denials.iter().map(cited).collect(),
            allowed: row.allowed.as_ref().map(example),
            denied: row.denied.as_ref().map(example),
        }
    }
}
