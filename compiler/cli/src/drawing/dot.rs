//! A picture in the language of Graphviz.

use super::{Picture, Shape};

pub(crate) fn dot(picture: &Picture) -> String {
    let mut out = format!(
        "digraph {} {{\n  rankdir=LR\n  node [shape=box, style=rounded, fontname=\"monospace\", fontsize=11]\n  edge [fontname=\"monospace\", fontsize=9]\n",
        quoted(&picture.title)
    );
    for (number, node) in picture.nodes.iter().enumerate() {
        let lock = if node.locked { ["\u{1f512} ", &node.name].concat() } else { node.name.clone() };
        let lines: Vec<&str> =
            std::iter::once(lock.as_str()).chain(node.below.iter().map(String::as_str)).collect();
        let shape = match node.shape {
            Shape::Gateway => ", shape=oval, color=\"#0072b2\", penwidth=2",
            Shape::Service => "",
            Shape::External => ", style=dashed",
            Shape::Namespace => ", color=\"#007a5a\", penwidth=2",
        };
        out.push_str(&format!("  n{number} [label={}{shape}]\n", quoted(&lines.join("\n"))));
    }
    for edge in &picture.edges {
        let stroke = if edge.is_denied { ", style=dashed, color=\"#c14500\"" } else { "" };
        let (text, title) = (quoted(&edge.text()), quoted(&edge.title));
        out.push_str(&format!("  n{} -> n{} [label={text}, tooltip={title}{stroke}]\n", edge.from, edge.to));
    }
    out.push_str("}\n");
    out
}

/// A string of DOT: a quote and a backslash are escaped, a line break is `\n`.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}
