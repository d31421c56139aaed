//! Pictures of who calls whom, for `mesh graph` and `mesh doc`: one drawing, written as SVG, as a page, as DOT or as Mermaid.
//!
//! Read [`Picture`], then `layout` (where things stand) and the forms.

mod dot;
mod html;
mod layout;
mod mermaid;
mod svg;

pub(crate) use dot::dot;
pub(crate) use html::html;
pub(crate) use mermaid::mermaid;
pub(crate) use svg::{escaped, svg};

/// Boxes and the lines between them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Picture {
    pub(crate) title: String,
    pub(crate) nodes: Vec<Node>,
    pub(crate) edges: Vec<Edge>,
}

/// What a box stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Shape {
    Gateway,
    Service,
    /// A service outside of the mesh.
    External,
    /// All that is in it.
    Namespace,
}

/// A box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) shape: Shape,
    /// Names are DNS labels with dots between: nothing in them is special anywhere.
    pub(crate) name: String,
    /// The name by which it is searched.
    pub(crate) full_name: String,
    /// In small letters below it.
    pub(crate) below: Vec<String>,
    /// Peers have to show who they are: a lock.
    pub(crate) locked: bool,
    /// Where a click leads.
    pub(crate) link: Option<String>,
    /// The one that the picture is about.
    pub(crate) is_own: bool,
}

/// A line, from the number of a box to that of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Edge {
    pub(crate) from: usize,
    pub(crate) to: usize,
    /// What is written on it.
    pub(crate) label: String,
    /// What is said of it where there is room, or a pointer rests.
    pub(crate) title: String,
    /// Nothing of it is let in: dashed, with a sign, so that it is not told by its colour alone.
    pub(crate) is_denied: bool,
}

const DENIED: &str = "✗";

impl Edge {
    /// The sign and what is written.
    fn text(&self) -> String {
        match (self.is_denied, self.label.as_str()) {
            (false, label) => label.to_owned(),
            (true, "") => DENIED.to_owned(),
            (true, label) => format!("{DENIED} {label}"),
        }
    }
}
