//! Who calls whom as a small picture: Mermaid for Markdown, SVG for HTML.

use super::html::escaped;
use mesh_compiler::describe::Kind;
use std::collections::BTreeMap;

/// A picture of calls.
pub(super) struct Graph {
    pub(super) nodes: Vec<Node>,
    pub(super) edges: Vec<(Node, Node)>,
}

/// A service or gateway in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) name: String,
    /// Its page.
    pub(super) file: String,
}

/// Names are DNS labels with a dot between: nothing in them is special to Mermaid inside quotes.
pub(super) fn mermaid(graph: &Graph) -> String {
    let id = |node: &Node| graph.nodes.iter().position(|own| own == node).unwrap_or_default();
    let mut out = "graph LR\n".to_owned();
    for node in &graph.nodes {
        let (open, close) = if node.kind == Kind::Gateway { ("([", "])") } else { ("[", "]") };
        out.push_str(&format!("  n{}{open}\"{}\"{close}\n", id(node), node.name));
    }
    for (from, to) in &graph.edges {
        out.push_str(&format!("  n{} --> n{}\n", id(from), id(to)));
    }
    out
}

/// Sizes in pixels. A letter of the font is at most this wide.
const LETTER: usize = 8;
const BOX_HEIGHT: usize = 30;
const ROW: usize = 46;
const GAP: usize = 90;
const PAD: usize = 12;

/// Columns from left to right: each node stands behind the longest way to it, circles counted once.
pub(super) fn svg(graph: &Graph, own: &str) -> String {
    let columns = columns(graph);
    let count = columns.values().max().map_or(0, |last| last + 1);
    let width = graph.nodes.iter().map(|node| node.name.len()).max().unwrap_or_default() * LETTER + 2 * PAD;
    let mut used = vec![0usize; count];
    let mut places: BTreeMap<&Node, (usize, usize)> = BTreeMap::new();
    for node in &graph.nodes {
        let column = columns.get(node).copied().unwrap_or_default();
        if let Some(rows) = used.get_mut(column) {
            places.insert(node, (1 + column * (width + GAP), 1 + *rows * ROW));
            *rows += 1;
        }
    }
    let height = used.iter().max().copied().unwrap_or_default() * ROW;
    let total = count * (width + GAP) - GAP.min(count * GAP) + 2;
    let mut out = format!(
        "<svg viewBox=\"0 0 {total} {height}\" width=\"{total}\" height=\"{height}\" role=\"img\" aria-label=\"who calls whom\">\n"
    );
    for (from, to) in &graph.edges {
        if let (Some((x1, y1)), Some((x2, y2))) = (places.get(from), places.get(to)) {
            let (x1, y1, x2, y2) = (x1 + width, y1 + BOX_HEIGHT / 2, *x2, y2 + BOX_HEIGHT / 2);
            let (bend, end) = (GAP / 2, x2 as i64 - 7);
            out.push_str(&format!(
                "<path d=\"M{x1} {y1} C{} {y1} {} {y2} {end} {y2}\"/><path class=\"head\" d=\"M{x2} {y2} l-8 -4 v8 z\"/>\n",
                x1 + bend,
                x2 as i64 - bend as i64,
            ));
        }
    }
    for (node, (x, y)) in &places {
        let round = if node.kind == Kind::Gateway { BOX_HEIGHT / 2 } else { 4 };
        let class = if node.file == own { " class=\"own\"" } else { "" };
        let (name, file) = (escaped(&node.name), escaped(&node.file));
        out.push_str(&format!(
            "<a href=\"{file}.html\"><rect{class} x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{BOX_HEIGHT}\" rx=\"{round}\"/>\
             <text x=\"{}\" y=\"{}\">{name}</text></a>\n",
            x + PAD,
            y + BOX_HEIGHT / 2 + 5,
        ));
    }
    out.push_str("</svg>\n");
    out
}

/// The column of each node. As many rounds as there are nodes are enough where there is no circle; a circle then stops.
fn columns(graph: &Graph) -> BTreeMap<&Node, usize> {
    let mut columns: BTreeMap<&Node, usize> = graph.nodes.iter().map(|node| (node, 0)).collect();
    let forward: Vec<&(Node, Node)> = acyclic(graph);
    for _ in 0..graph.nodes.len() {
        let mut moved = false;
        for (from, to) in forward.iter().copied() {
            let behind = columns.get(from).map_or(0, |column| column + 1);
            if let Some(column) = columns.get_mut(to).filter(|column| **column < behind) {
                (*column, moved) = (behind, true);
            }
        }
        if !moved {
            break;
        }
    }
    columns
}

/// The edges without those that would close a circle with the edges before them.
fn acyclic(graph: &Graph) -> Vec<&(Node, Node)> {
    let mut kept: Vec<&(Node, Node)> = Vec::new();
    for edge in &graph.edges {
        let (mut reached, mut at) = (vec![&edge.1], 0);
        while let Some(node) = reached.get(at).copied() {
            let next: Vec<&Node> = kept.iter().filter(|(from, _)| from == node).map(|(_, to)| to).collect();
            for to in next {
                if !reached.contains(&to) {
                    reached.push(to);
                }
            }
            at += 1;
        }
        if !reached.contains(&&edge.0) {
            kept.push(edge);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str) -> Node {
        Node { kind: Kind::Service, name: name.to_owned(), file: format!("service-{name}") }
    }

    fn graph(edges: &[(&str, &str)]) -> Graph {
        let mut nodes: Vec<Node> = edges.iter().flat_map(|(from, to)| [node(from), node(to)]).collect();
        nodes.sort();
        nodes.dedup();
        Graph { nodes, edges: edges.iter().map(|(from, to)| (node(from), node(to))).collect() }
    }

    #[test]
    fn a_node_stands_behind_all_that_lead_to_it() {
        let graph = graph(&[("a", "b"), ("b", "c"), ("a", "c")]);
        assert_eq!(columns(&graph).values().copied().collect::<Vec<_>>(), [0, 1, 2]);
    }

    #[test]
    fn a_circle_ends() {
        let graph = graph(&[("a", "b"), ("b", "a"), ("b", "c"), ("c", "c")]);
        assert_eq!(columns(&graph).values().copied().collect::<Vec<_>>(), [0, 1, 2]);
        assert!(svg(&graph, "service-a").starts_with("<svg viewBox=\"0 0 "));
    }

    #[test]
    fn mermaid_names_each_node_once() {
        let text = mermaid(&graph(&[("a", "b"), ("a", "c")]));
        assert_eq!(text, "graph LR\n  n0[\"a\"]\n  n1[\"b\"]\n  n2[\"c\"]\n  n0 --> n1\n  n0 --> n2\n");
    }
}
