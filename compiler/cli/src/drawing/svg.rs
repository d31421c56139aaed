//! A picture as SVG: nothing beside it is needed, light and dark as the reader's system is. Same picture, same bytes.

use super::layout::{Line, Placed, Sizes, layout};
use super::{DENIED, Edge, Node, Picture, Shape};

/// Letters of the fonts are at most this wide, in pixels.
const LETTER: i64 = 8;
const SMALL_LETTER: i64 = 7;
/// A line of text, and of small text.
const ROW: i64 = 20;
const SMALL_ROW: i64 = 15;
const PAD: i64 = 12;
/// The room for a lock.
const LOCK: i64 = 18;
const LEGEND: i64 = 34;
/// The room for an arrow, for so many of them; with more a box would be a tower.
const ARROW: i64 = 8;
const MOST_ARROWS: i64 = 30;

/// Okabe and Ito's colours, which everybody can tell apart ("Color Universal Design", 2008); each also has a stroke or sign of its own.
/// The light colour stands before the variable, for whoever draws SVG and does not know variables (librsvg).
const STYLE: &str = "\
.mesh{--ink:#1b1f24;--soft:#f3f5f7;--line:#8a939d;--paper:#fff;--blue:#0072b2;--red:#c14500;--green:#007a5a;background:#fff;background:var(--paper)}\
@media(prefers-color-scheme:dark){.mesh{--ink:#e8eaed;--soft:#23282e;--line:#7d8792;--paper:#14171a;--blue:#56b4e9;--red:#ff8a4c;--green:#3fcf9f}}\
.mesh text{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,\"DejaVu Sans Mono\",monospace;fill:#1b1f24;fill:var(--ink)}\
.mesh .small{font-size:11px;opacity:.8}\
.mesh .label{font-size:11px}.mesh .behind{fill:#fff;fill:var(--paper);stroke:none}\
.mesh .box{fill:#f3f5f7;fill:var(--soft);stroke:#8a939d;stroke:var(--line)}\
.mesh .gateway .box{stroke:#0072b2;stroke:var(--blue);stroke-width:2}\
.mesh .external .box{stroke-dasharray:4 3}\
.mesh .namespace .box{stroke:#007a5a;stroke:var(--green);stroke-width:2}\
.mesh .own .box{stroke:#1b1f24;stroke:var(--ink);stroke-width:2.5}\
.mesh .lock{fill:none;stroke:#007a5a;stroke:var(--green);stroke-width:1.6}.mesh .lock .body{fill:#007a5a;fill:var(--green)}\
.mesh .edge path{fill:none;stroke:#8a939d;stroke:var(--line);stroke-width:1.3}.mesh .edge .head{fill:#8a939d;fill:var(--line);stroke:none}\
.mesh .denied path{stroke:#c14500;stroke:var(--red);stroke-dasharray:5 4;stroke-width:1.8}.mesh .denied .head{fill:#c14500;fill:var(--red)}.mesh .denied text{fill:#c14500;fill:var(--red)}\
.mesh .dim{opacity:.12}.mesh .found .box{stroke:#c14500;stroke:var(--red);stroke-width:3}";

/// The picture as an element that can stand in a page or be a file; `legend` says what the signs mean.
pub(crate) fn svg(picture: &Picture, legend: bool) -> String {
    let sizes = Sizes {
        boxes: picture.nodes.iter().zip(degrees(picture)).map(size).collect(),
        lines: picture
            .edges
            .iter()
            .map(|edge| {
                let text = edge.text();
                Line { from: edge.from, to: edge.to, label: (!text.is_empty()).then(|| label_size(&text)) }
            })
            .collect(),
    };
    let layout = layout(&sizes);
    let entries = if legend { entries(picture) } else { vec![] };
    let legend_width: i64 = entries.iter().map(|(_, text)| entry_width(text)).sum::<i64>() + 2 * PAD;
    let width = layout.width.max(if entries.is_empty() { 0 } else { legend_width });
    let height = layout.height + if entries.is_empty() { 0 } else { LEGEND };
    let title = escaped(&picture.title);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"mesh\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" role=\"img\" aria-label=\"{title}\">\n<title>{title}</title>\n<style>{STYLE}</style>\n"
    );
    for (edge, placed) in picture.edges.iter().zip(&layout.lines) {
        out.push_str(&self::edge(edge, placed));
    }
    for ((number, node), (&(x, y), &size)) in
        picture.nodes.iter().enumerate().zip(layout.boxes.iter().zip(&sizes.boxes))
    {
        out.push_str(&self::node(number, node, (x, y), size));
    }
    // Labels last: no line passes over a letter.
    for (edge, placed) in picture.edges.iter().zip(&layout.lines) {
        if let (Some((x, y)), text) = (placed.label, edge.text()) {
            let class = class_of(edge);
            let (width, height) = label_size(&text);
            let behind = format!(
                "<rect class=\"behind\" x=\"{}\" y=\"{}\" width=\"{width}\" height=\"{height}\"/>",
                x - width / 2,
                y - height / 2
            );
            out.push_str(&format!(
                "<g class=\"edge {class}\" data-from=\"{}\" data-to=\"{}\">{behind}<text class=\"label\" x=\"{x}\" y=\"{}\" text-anchor=\"middle\">{}</text></g>\n",
                edge.from,
                edge.to,
                y + 4,
                escaped(&text)
            ));
        }
    }
    let mut x = PAD;
    for (sign, text) in &entries {
        out.push_str(&entry(sign, text, x, layout.height + 8));
        x += entry_width(text);
    }
    out.push_str("</svg>\n");
    out
}

fn label_size(text: &str) -> (i64, i64) {
    (text.chars().count() as i64 * SMALL_LETTER + 6, SMALL_ROW)
}

/// How many lines lead to each box, or from it, on the side where there are more.
fn degrees(picture: &Picture) -> Vec<i64> {
    let (mut out, mut into) = (vec![0; picture.nodes.len()], vec![0; picture.nodes.len()]);
    for edge in &picture.edges {
        out[edge.from] += 1;
        into[edge.to] += 1;
    }
    out.into_iter().zip(into).map(|(out, into): (i64, i64)| out.max(into)).collect()
}

/// How high what is written in a box is, with the room around it.
fn written(node: &Node) -> i64 {
    ROW + node.below.len() as i64 * SMALL_ROW + 10
}

/// As large as what is written in it, and as the arrows at it need to be told apart.
fn size((node, degree): (&Node, i64)) -> (i64, i64) {
    let letters = |text: &str, wide: i64| text.chars().count() as i64 * wide;
    let small = node.below.iter().map(|line| letters(line, SMALL_LETTER)).max().unwrap_or(0);
    let lock = if node.locked { LOCK } else { 0 };
    let width = (letters(&node.name, LETTER) + lock).max(small) + 2 * PAD;
    let lines = degree.min(MOST_ARROWS) * ARROW + ARROW;
    (width, written(node).max(lines))
}

fn node(number: usize, node: &Node, (x, y): (i64, i64), (width, height): (i64, i64)) -> String {
    let (class, round) = match node.shape {
        Shape::Gateway => ("gateway", height / 2),
        Shape::Service => ("service", 4),
        Shape::External => ("external", 4),
        Shape::Namespace => ("namespace", 10),
    };
    let own = if node.is_own { " own" } else { "" };
    let mut out = format!(
        "<g class=\"node {class}{own}\" data-id=\"{number}\" data-name=\"{}\">",
        escaped(&node.full_name)
    );
    if let Some(link) = &node.link {
        out.push_str(&format!("<a href=\"{}\">", escaped(link)));
    }
    out.push_str(&format!(
        "<rect class=\"box\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"{round}\"/>"
    ));
    // What is written stands in the middle of a box that is as high as its arrows need.
    let y = y + (height - written(node)) / 2;
    let lock = if node.locked { LOCK } else { 0 };
    if node.locked {
        out.push_str(&self::lock(x + PAD, y + 8));
    }
    out.push_str(&format!("<text x=\"{}\" y=\"{}\">{}</text>", x + PAD + lock, y + 19, escaped(&node.name)));
    for (line, row) in node.below.iter().zip(1i64..) {
        let top = y + 18 + row * SMALL_ROW;
        out.push_str(&format!(
            "<text class=\"small\" x=\"{}\" y=\"{top}\">{}</text>",
            x + PAD,
            escaped(line)
        ));
    }
    if node.link.is_some() {
        out.push_str("</a>");
    }
    out.push_str("</g>\n");
    out
}

/// A padlock, twelve pixels high.
fn lock(x: i64, y: i64) -> String {
    format!(
        "<g class=\"lock\"><title>mutual TLS: strict</title><path d=\"M{} {} v-3 a3 3 0 0 1 6 0 v3\"/>\
         <rect class=\"body\" x=\"{x}\" y=\"{}\" width=\"10\" height=\"7\" rx=\"1\"/></g>",
        x + 2,
        y + 6,
        y + 6
    )
}

fn edge(edge: &Edge, placed: &Placed) -> String {
    let (Some(first), Some(last)) = (placed.points.first(), placed.points.last()) else {
        return String::new();
    };
    let to_right = first.0 <= last.0;
    let head = if to_right { -8 } else { 8 };
    let mut path = format!("M{} {}", first.0, first.1);
    for (pair, step) in placed.points.windows(2).zip(0..) {
        let (from, to) = (pair[0], pair[1]);
        let to = if step + 2 == placed.points.len() { (to.0 + head, to.1) } else { to };
        match step % 2 {
            // Inside a column it is level.
            0 => path.push_str(&format!(" H{}", to.0)),
            _ => {
                let half = (to.0 - from.0) / 2;
                path.push_str(&format!(
                    " C{} {} {} {} {} {}",
                    from.0 + half,
                    from.1,
                    to.0 - half,
                    to.1,
                    to.0,
                    to.1
                ));
            }
        }
    }
    let title = if edge.title.is_empty() {
        String::new()
    } else {
        format!("<title>{}</title>", escaped(&edge.title))
    };
    format!(
        "<g class=\"edge {}\" data-from=\"{}\" data-to=\"{}\">{title}<path d=\"{path}\"/><path class=\"head\" d=\"M{} {} l{head} -4 v8 z\"/></g>\n",
        class_of(edge),
        edge.from,
        edge.to,
        last.0,
        last.1
    )
}

fn class_of(edge: &Edge) -> &'static str {
    if edge.is_denied { "denied" } else { "allowed" }
}

/// What a sign looks like in the legend.
enum Sign {
    Line(&'static str),
    Box(&'static str),
    Lock,
}

/// The signs that the picture has.
fn entries(picture: &Picture) -> Vec<(Sign, String)> {
    let has = |shape: Shape| picture.nodes.iter().any(|node| node.shape == shape);
    let denied = picture.edges.iter().any(|edge| edge.is_denied);
    let all = [
        (has(Shape::Gateway), Sign::Box("gateway"), "gateway".to_owned()),
        (has(Shape::External), Sign::Box("external"), "outside of the mesh".to_owned()),
        (has(Shape::Namespace), Sign::Box("namespace"), "namespace".to_owned()),
        (denied, Sign::Line("allowed"), "allowed".to_owned()),
        (denied, Sign::Line("denied"), format!("{DENIED} denied")),
        (picture.nodes.iter().any(|node| node.locked), Sign::Lock, "mutual TLS".to_owned()),
    ];
    all.into_iter().filter(|(there, ..)| *there).map(|(_, sign, text)| (sign, text)).collect()
}

fn entry_width(text: &str) -> i64 {
    40 + text.chars().count() as i64 * SMALL_LETTER + 16
}

fn entry(sign: &Sign, text: &str, x: i64, y: i64) -> String {
    let drawn = match sign {
        Sign::Line(class) => format!(
            "<g class=\"edge {}\"><path d=\"M{x} {} h24\"/><path class=\"head\" d=\"M{} {} l-8 -4 v8 z\"/></g>",
            class,
            y + 8,
            x + 32,
            y + 8
        ),
        Sign::Box(class) => {
            let round = if *class == "gateway" { 8 } else { 3 };
            format!(
                "<g class=\"{class}\"><rect class=\"box\" x=\"{x}\" y=\"{y}\" width=\"30\" height=\"16\" rx=\"{round}\"/></g>"
            )
        }
        Sign::Lock => lock(x + 12, y + 1),
    };
    format!("{drawn}<text class=\"small\" x=\"{}\" y=\"{}\">{}</text>\n", x + 40, y + 12, escaped(text))
}

/// Text of which nothing is read as markup, in elements and in attributes.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, shape: Shape) -> Node {
        Node {
            shape,
            name: name.to_owned(),
            full_name: format!("{name}.default"),
            below: vec![],
            locked: name == "b",
            link: None,
            is_own: false,
        }
    }

    fn picture() -> Picture {
        let edge = |from, to, label: &str, is_denied| Edge {
            from,
            to,
            label: label.to_owned(),
            title: "a <b>".to_owned(),
            is_denied,
        };
        Picture {
            title: "The mesh \"x\"".to_owned(),
            nodes: vec![node("edge", Shape::Gateway), node("a", Shape::Service), node("b", Shape::External)],
            edges: vec![edge(0, 1, "pages", false), edge(1, 2, "", true)],
        }
    }

    #[test]
    fn boxes_lines_and_labels_are_each_drawn_once() {
        let text = svg(&picture(), false);
        assert_eq!(text.matches("<g class=\"node ").count(), 3);
        assert_eq!(text.matches("class=\"head\"").count(), 2);
        let labels: Vec<&str> =
            text.split("text-anchor=\"middle\">").skip(1).filter_map(|rest| rest.split('<').next()).collect();
        assert_eq!(labels, ["pages", DENIED], "what is denied has a sign");
        assert_eq!(text.matches("class=\"lock\"").count(), 1);
        assert!(text.contains("data-name=\"edge.default\""));
    }

    #[test]
    fn nothing_that_is_written_is_markup() {
        let text = svg(&picture(), false);
        assert!(
            text.contains("aria-label=\"The mesh &quot;x&quot;\"")
                && text.contains("<title>a &lt;b&gt;</title>"),
            "{text}"
        );
    }

    #[test]
    fn the_legend_has_the_signs_of_the_picture_and_no_others() {
        let words = |picture: &Picture| -> Vec<String> {
            entries(picture).into_iter().map(|(_, text)| text).collect()
        };
        assert_eq!(
            words(&picture()),
            ["gateway", "outside of the mesh", "allowed", "✗ denied", "mutual TLS"]
        );
        let plain = Picture { nodes: vec![node("a", Shape::Service)], ..Picture::default() };
        assert!(words(&plain).is_empty());
        let without = svg(&plain, true);
        assert_eq!(without, svg(&plain, false));
    }

    #[test]
    fn a_box_has_room_for_its_arrows() {
        let mut picture = picture();
        picture.nodes = (0..20).map(|number| node(&format!("s{number}"), Shape::Service)).collect();
        let to_first =
            |from| Edge { from, to: 0, label: String::new(), title: String::new(), is_denied: false };
        picture.edges = (1..20).map(to_first).collect();
        assert_eq!(size((&picture.nodes[0], degrees(&picture)[0])).1, 20 * ARROW);
        assert_eq!(size((&picture.nodes[1], degrees(&picture)[1])).1, written(&picture.nodes[1]));
    }
}
