//! The table of statements: which may stand in which block, in which form, how often, and what each is for.
//!
//! Everything about the shape of a program comes from it: the parser reads a statement's arguments with the reader of its row,
//! unknown words are classified with it, duplicates and `env` blocks follow its [`Times`], editors and documents quote its
//! forms. Adding a statement is one row here, plus its meaning. The rows stand in `signature/table.rs`, area by area.

mod table;

use crate::parser::input::{Parsed, Tokens};
use crate::statement::Args;

/// A block, named by what it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    File,
    Mesh,
    Cluster,
    Default,
    Module,
    Env,
    Jwt,
    Profile,
    ExtAuthz,
    RateLimiter,
    Service,
    Subset,
    Calls,
    Retry,
    CircuitBreaker,
    OutlierDetection,
    LoadBalancer,
    HealthCheck,
    Gateway,
    Listener,
    Route,
    Rule,
    Cors,
    Authorize,
    Guardrail,
    Test,
}

/// Whether a statement has a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    None,
    Optional(Place),
    Required(Place),
    /// Names with commas between: `import shop/identity { customer-idp }`.
    Names,
}

/// How often a statement may stand in its block, and so what it does in an `env` block (`spec/semantics.md` 7.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// At most once; in an `env` block it replaces the one outside.
    Once,
    /// At most one of a group of keywords, of which the group's name speaks; in an `env` block it replaces the one outside.
    OneOf(&'static str),
    /// Any number; those in an `env` block are added to those outside.
    Many,
    /// Any number; those in an `env` block replace all of this keyword outside.
    ManyReplaced,
}

/// What becomes of a statement in this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// The proxy does what it says.
    Executed,
    /// The compiler decides about it, the proxy of this version does not do it: `mesh build` refuses it.
    Checked,
}

/// Reads the arguments of a statement.
pub(crate) type Read = for<'a> fn(Tokens<'a>) -> Parsed<'a, Args>;

/// One statement of one block.
#[derive(Clone, Copy, Debug)]
pub struct Signature {
    /// The word it begins with.
    pub keyword: &'static str,
    /// How it is written, on one line.
    pub form: &'static str,
    /// What it is for, in a sentence.
    pub doc: &'static str,
    /// Its block.
    pub body: Body,
    /// How often it may stand there.
    pub times: Times,
    /// What becomes of it.
    pub status: Status,
    /// Reads its arguments.
    pub(crate) read: Read,
}

/// A row is known by its keyword and form.
impl PartialEq for Signature {
    fn eq(&self, other: &Signature) -> bool {
        (self.keyword, self.form) == (other.keyword, other.form)
    }
}

impl Eq for Signature {}

impl Body {
    /// The block's kind, where there may be one that holds statements.
    pub fn place(self) -> Option<Place> {
        match self {
            Body::None | Body::Names => None,
            Body::Optional(place) | Body::Required(place) => Some(place),
        }
    }
}

impl Place {
    /// All blocks, in the order of the specification.
    pub const ALL: [Place; 26] = [
        Place::File,
        Place::Mesh,
        Place::Cluster,
        Place::Default,
        Place::Module,
        Place::Env,
        Place::Jwt,
        Place::Profile,
        Place::ExtAuthz,
        Place::RateLimiter,
        Place::Service,
        Place::Subset,
        Place::Calls,
        Place::Retry,
        Place::CircuitBreaker,
        Place::OutlierDetection,
        Place::LoadBalancer,
        Place::HealthCheck,
        Place::Gateway,
        Place::Listener,
        Place::Route,
        Place::Rule,
        Place::Cors,
        Place::Authorize,
        Place::Guardrail,
        Place::Test,
    ];

    /// The keyword the block belongs to; `None` is the file itself.
    pub fn keyword(self) -> Option<&'static str> {
        Some(match self {
            Place::File => return None,
            Place::Mesh => "mesh",
            Place::Cluster => "cluster",
            Place::Default => "default",
            Place::Module => "module",
            Place::Env => "env",
            Place::Jwt => "jwt",
            Place::Profile => "profile",
            Place::ExtAuthz => "ext-authz",
            Place::RateLimiter => "rate-limiter",
            Place::Service => "service",
            Place::Subset => "subset",
            Place::Calls => "calls",
            Place::Retry => "retry",
            Place::CircuitBreaker => "circuit-breaker",
            Place::OutlierDetection => "outlier-detection",
            Place::LoadBalancer => "load-balancer",
            Place::HealthCheck => "health-check",
            Place::Gateway => "gateway",
            Place::Listener => "listener",
            Place::Route => "route",
            Place::Rule => "rule",
            Place::Cors => "cors",
            Place::Authorize => "authorize",
            Place::Guardrail => "guardrail",
            Place::Test => "test",
        })
    }

    /// What may stand in it.
    pub fn statements(self) -> &'static [Signature] {
        table::statements(self)
    }

    /// The statement of this keyword in it. Binary search would need sorted rows; the rows stand in reading order and are
    /// few, so a scan that compares lengths first is as fast.
    pub fn statement(self, keyword: &str) -> Option<&'static Signature> {
        self.statements().iter().find(|signature| signature.keyword == keyword)
    }
}
