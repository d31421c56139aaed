//! What `mesh why --format json` prints; `spec/schema/why.json` is its schema.

use super::Position;
use mesh_compiler::survey::why;
use mesh_lang::{SourceSet, Span};
use schemars::JsonSchema;
use serde::Serialize;

/// Names the shape of [`Why`]; a change that breaks a reader gets another number.
pub const WHY_SCHEMA: &str = "mesh.why/v1";

/// Why a request ends as it does.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Why {
    /// `mesh.why/v1`
    pub schema: String,
    /// `web.default`, `gateway edge.default`, an identity, or `a peer without identity`.
    pub from: String,
    /// `cart.default`, `cart.default port http`, `gateway edge.default listener web`
    pub to: String,
    /// What the request says as host.
    pub host: String,
    /// `GET /v1/items?sort=price`, canonical; empty for a connection.
    pub request: String,
    /// Absent where the project names none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// How it ends, the most likely first.
    pub ends: Vec<End>,
    /// One for each way that draws can take, in the order of the backends as the plan has them.
    pub ways: Vec<Way>,
    /// Whether these are all ways: of splits behind splits, only some are listed.
    pub complete: bool,
}

/// An end, over all ways that lead to it.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct End {
    /// How many in a hundred requests.
    pub percent: f64,
    /// `cart:v2`, `403 (no allow of cart covers it)`
    pub end: String,
    /// The status, where no service answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
}

/// A way from the door to an end.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Way {
    /// How many in a hundred requests take it.
    pub percent: f64,
    /// `cart:v2`, `403 (no allow of cart covers it)`
    pub end: String,
    /// The status, where no service answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// What was decided, in order.
    pub steps: Vec<Step>,
    /// What holds at the end; empty where no service answers.
    pub settings: Vec<Setting>,
}

/// What is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Whether the caller declares the call.
    Call,
    /// Which rule wins.
    Route,
    /// Whether the callee lets it in.
    Authorize,
}

/// One decision.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Step {
    pub kind: Kind,
    /// Whose decision: `cart.default`, `web.default to cart.default`
    pub of: String,
    /// Whether the request goes on.
    pub holds: bool,
    /// The line that decides; absent where none does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<Cited>,
    /// Of a rule, the `match` that the request fits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fits: Option<Cited>,
    /// Of a rule, what it does.
    pub does: Vec<String>,
    /// Lines that do not decide, the nearest first.
    pub others: Vec<Other>,
    /// How many more of them there are.
    pub more: usize,
    /// `audit` lines that tell of it.
    pub audited: Vec<Cited>,
    /// `check` lines: who has to agree besides.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub asks: Vec<Cited>,
}

/// A line that does not decide.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Other {
    pub line: Cited,
    /// What it asks and the request does not fulfil; empty where it fits and another line wins.
    pub fails: Vec<String>,
}

/// A value in force and where it comes from.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Setting {
    /// `timeout`, `retry`, `mtls`
    pub name: String,
    /// `2s`, `none`
    pub value: String,
    /// Where the line stands, in words; may be empty.
    pub place: String,
    /// The line that sets it; absent where none does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<Cited>,
}

/// A line of the sources.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Cited {
    /// What it says.
    pub text: String,
    /// As given on the command line, with `/`.
    pub file: String,
    pub start: Position,
}

impl Cited {
    pub(crate) fn of(text: &str, span: Span, sources: &SourceSet) -> Cited {
        let file = sources.get(span.file()).map_or("", |source| source.path.as_str());
        Cited { text: text.to_owned(), file: file.to_owned(), start: Position::of(sources.position(span)) }
    }
}

impl From<why::Kind> for Kind {
    fn from(kind: why::Kind) -> Kind {
        match kind {
            why::Kind::Call => Kind::Call,
            why::Kind::Route => Kind::Route,
            why::Kind::Authorize => Kind::Authorize,
        }
    }
}
