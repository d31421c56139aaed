//! A page as Markdown (CommonMark with tables); pictures are Mermaid, which the places that show Markdown draw.

use super::page::{Cell, Content, Page, Piece, Section};
use crate::drawing::mermaid;

pub(super) fn page(page: &Page) -> String {
    let mut out = format!("# {}\n", plain(&page.title));
    for paragraph in &page.intro {
        out.push_str(&format!("\n{}\n", plain(paragraph)));
    }
    if let Some(graph) = &page.graph {
        out.push_str(&format!("\n```mermaid\n{}```\n", mermaid(graph)));
    }
    for section in &page.sections {
        out.push_str(&self::section(section));
    }
    if !page.is_index {
        out.push_str("\n[All services and gateways](index.md)\n");
    }
    out
}

fn section(section: &Section) -> String {
    let mut out = format!("\n## {}\n", section.title);
    if !section.intro.is_empty() {
        out.push_str(&format!("\n{}\n", section.intro));
    }
    match &section.content {
        Content::Table { head, rows } => {
            out.push_str(&format!("\n| {} |\n|{}\n", head.join(" | "), "---|".repeat(head.len())));
            for row in rows {
                let cells: Vec<String> = row.iter().map(cell).collect();
                out.push_str(&format!("| {} |\n", cells.join(" | ")));
            }
        }
        Content::Examples(examples) => {
            for (name, text) in examples {
                out.push_str(&format!("\n{}\n\n```mesh\n{text}\n```\n", plain(name)));
            }
        }
    }
    out
}

fn cell(cell: &Cell) -> String {
    let pieces = cell.0.iter().map(|piece| match piece {
        Piece::Text(text) => plain(text),
        Piece::Code(text) => code(text),
        Piece::Link(name, file) => format!("[{}]({file}.md)", plain(name)),
    });
    pieces.filter(|piece| !piece.is_empty()).collect::<Vec<_>>().join("<br>")
}

/// Text of which nothing is read as markup.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' => out.extend(['\\', c]),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\n' => out.push(' '),
            _ => out.push(c),
        }
    }
    out
}

/// As many backticks around it as it needs; a `|` would end the cell.
fn code(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat(longest + 1);
    let pad = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{fence}{pad}{}{pad}{fence}", text.replace('|', "\\|"))
}

#[cfg(test)]
mod tests {
    use super::{code, plain};

    #[test]
    fn what_an_author_writes_is_shown_and_not_obeyed() {
        assert_eq!(plain("<b>*x*</b> [a](b) | `c`"), "&lt;b&gt;\\*x\\*&lt;/b&gt; \\[a\\](b) \\| \\`c\\`");
        assert_eq!(plain("# a_b \\ & c\nd"), "\\# a\\_b \\\\ &amp; c d");
        assert_eq!(code("GET|POST /a"), "`GET\\|POST /a`");
        assert_eq!(code("a `b` c"), "``a `b` c``");
        assert_eq!(code("`"), "`` ` ``");
    }
}
