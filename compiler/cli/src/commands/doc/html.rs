//! A page as HTML that needs nothing beside it: one style, no script, pictures in line.

use super::page::{Cell, Content, Page, Piece, Section};
use crate::drawing::{escaped, svg};

/// Light and dark as the reader's system is; tables scroll where the window is narrow.
const STYLE: &str = "\
:root{color-scheme:light dark;--line:#8886;--soft:#8881;--link:#06c}\
@media(prefers-color-scheme:dark){:root{--link:#6bf}}\
body{font:16px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem}\
h1{margin-bottom:.5rem}h2{margin-top:2.2rem}a{color:var(--link)}\
code,pre{font:14px/1.5 ui-monospace,monospace;background:var(--soft);border-radius:4px}\
code{padding:.1em .3em}pre{padding:.8rem;overflow-x:auto}pre code{padding:0;background:none}\
.table{overflow-x:auto}table{border-collapse:collapse}\
th,td{border-bottom:1px solid var(--line);padding:.35rem .8rem .35rem 0;text-align:left;vertical-align:top}\
svg.mesh{max-width:100%;height:auto;background:none}";

pub(super) fn page(page: &Page) -> String {
    let title = escaped(&page.title);
    let mut body = String::new();
    if !page.is_index {
        body.push_str("<nav><a href=\"index.html\">All services and gateways</a></nav>\n");
    }
    body.push_str(&format!("<main>\n<h1>{title}</h1>\n"));
    for paragraph in &page.intro {
        body.push_str(&format!("<p>{}</p>\n", escaped(paragraph)));
    }
    if let Some(graph) = &page.graph {
        body.push_str(&svg(graph, false));
    }
    for section in &page.sections {
        body.push_str(&self::section(section));
    }
    body.push_str("</main>\n");
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{body}</body>\n</html>\n"
    )
}

fn section(section: &Section) -> String {
    let id = section.title.to_lowercase().replace(' ', "-");
    let mut out = format!("<section id=\"{id}\">\n<h2>{}</h2>\n", escaped(section.title));
    if !section.intro.is_empty() {
        out.push_str(&format!("<p>{}</p>\n", escaped(section.intro)));
    }
    match &section.content {
        Content::Table { head, rows } => {
            out.push_str("<div class=\"table\"><table>\n<thead><tr>");
            head.iter().for_each(|head| out.push_str(&format!("<th scope=\"col\">{}</th>", escaped(head))));
            out.push_str("</tr></thead>\n<tbody>\n");
            for row in rows {
                out.push_str("<tr>");
                row.iter().for_each(|cell| out.push_str(&format!("<td>{}</td>", self::cell(cell))));
                out.push_str("</tr>\n");
            }
            out.push_str("</tbody>\n</table></div>\n");
        }
        Content::Examples(examples) => {
            for (name, text) in examples {
                out.push_str(&format!(
                    "<p>{}</p>\n<pre><code>{}</code></pre>\n",
                    escaped(name),
                    escaped(text)
                ));
            }
        }
    }
    out.push_str("</section>\n");
    out
}

fn cell(cell: &Cell) -> String {
    let pieces = cell.0.iter().map(|piece| match piece {
        Piece::Text(text) => escaped(text),
        Piece::Code(text) => format!("<code>{}</code>", escaped(text)),
        Piece::Link(name, file) => format!("<a href=\"{}.html\">{}</a>", escaped(file), escaped(name)),
    });
    pieces.filter(|piece| !piece.is_empty()).collect::<Vec<_>>().join("<br>")
}
