//! A picture in the language of Mermaid, which code hosts draw.

use super::{Picture, Shape};

pub(crate) fn mermaid(picture: &Picture) -> String {
    let mut out = "graph LR\n".to_owned();
    for (number, node) in picture.nodes.iter().enumerate() {
        let (open, close) = match node.shape {
            Shape::Gateway => ("([", "])"),
            Shape::Service => ("[", "]"),
            Shape::External => ("[/", "/]"),
            Shape::Namespace => ("[[", "]]"),
        };
        let lock = if node.locked { "\u{1f512} " } else { "" };
        let lines: Vec<&str> =
            std::iter::once(node.name.as_str()).chain(node.below.iter().map(String::as_str)).collect();
        out.push_str(&format!("  n{number}{open}\"{lock}{}\"{close}\n", escaped(&lines.join("\n"))));
    }
    for edge in &picture.edges {
        let arrow = if edge.is_denied { "-.->" } else { "-->" };
        let text = edge.text();
        let text = if text.is_empty() { text } else { format!("|\"{}\"|", escaped(&text)) };
        out.push_str(&format!("  n{} {arrow}{text} n{}\n", edge.from, edge.to));
    }
    out
}

/// Inside quotes Mermaid reads entities and `<br>`, and nothing else.
fn escaped(text: &str) -> String {
    text.replace('&', "#amp;")
        .replace('"', "#quot;")
        .replace('<', "#lt;")
        .replace('>', "#gt;")
        .replace('\n', "<br>")
}

#[cfg(test)]
mod tests {
    use super::super::{Edge, Node};
    use super::*;

    #[test]
    fn each_box_is_named_once_and_nothing_in_a_name_is_read() {
        let node = |name: &str| Node {
            shape: Shape::Service,
            name: name.to_owned(),
            full_name: name.to_owned(),
            below: vec![],
            locked: false,
            link: None,
            is_own: false,
        };
        let edge = |to, label: &str, is_denied| Edge {
            from: 0,
            to,
            label: label.to_owned(),
            title: String::new(),
            is_denied,
        };
        let picture = Picture {
            title: "t".to_owned(),
            nodes: vec![node("a"), node("b"), node("c\"<x>")],
            edges: vec![edge(1, "", false), edge(2, "x", true)],
        };
        let expected = "graph LR\n  n0[\"a\"]\n  n1[\"b\"]\n  n2[\"c#quot;#lt;x#gt;\"]\n  n0 --> n1\n  n0 -.->|\"✗ x\"| n2\n";
        assert_eq!(mermaid(&picture), expected);
    }
}
