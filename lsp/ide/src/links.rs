//! Texts that lead somewhere: URLs, modules, and codes in remarks.

use crate::Analysis;
use crate::scope::Symbol;
use mesh_lang::token::TokenKind;
use mesh_lang::{Code, FileId, Span};

/// A piece of text that leads somewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    pub span: Span,
    pub to: LinkTarget,
}

/// Where it leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkTarget {
    Url(String),
    /// A place in another file of the project.
    Place(Span),
    /// The page of a diagnostic.
    Page(Code),
}

impl Analysis {
    /// The links of a file, in order of place.
    pub fn links(&self, file: FileId) -> Vec<Link> {
        let parse = self.parse(file);
        let text = self.text(file);
        let mut links = Vec::new();
        for token in &parse.tokens {
            let said = token.text(text);
            match token.kind {
                TokenKind::String => {
                    let inside = said.trim_matches('"');
                    if inside.starts_with("https://") || inside.starts_with("http://") {
                        let start = token.start() as u32 + 1;
                        let span = Span::new(file, start, start + inside.len() as u32);
                        links.push(Link { span, to: LinkTarget::Url(inside.to_owned()) });
                    }
                }
                kind if kind.is_comment() => {
                    for (at, _) in said.match_indices("MESH") {
                        let Some(code) = said.get(at..at + 8) else { continue };
                        let Some(found) = Code::find(code).filter(|found| found.as_str() == code) else {
                            continue;
                        };
                        let start = (token.start() + at) as u32;
                        let span = Span::new(file, start, start + 8);
                        links.push(Link { span, to: LinkTarget::Page(found) });
                    }
                }
                _ => {}
            }
        }
        for name in self.names(file).iter().filter(|name| !name.declares) {
            let symbol = self.symbol(name);
            if let (Symbol::Module(_), Some(place)) = (&symbol, self.declarations(&symbol).next()) {
                links.push(Link { span: name.span, to: LinkTarget::Place(place) });
            }
        }
        links.sort_by_key(|link| link.span);
        links
    }
}
