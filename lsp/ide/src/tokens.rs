//! What each word is, for whoever colours it: more than a grammar of words can know.

use crate::Analysis;
use crate::names::{Named, Part};
use crate::scope::Symbol;
use mesh_lang::ast::Method;
use mesh_lang::parser;
use mesh_lang::token::TokenKind;
use mesh_lang::{FileId, Span};
use std::ops::Range;

/// What a piece of text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Highlight {
    Comment,
    /// A comment that describes what stands below it.
    Documentation,
    Keyword,
    /// `GET`
    Method,
    String,
    Regex,
    Path,
    Number,
    Operator,
    Namespace,
    Module,
    Service,
    Gateway,
    /// A port or listener.
    Door,
    Subset,
    Rule,
    /// A profile, a group and the like.
    Shared,
    Param,
    /// An environment or a cluster.
    Place,
    /// A word that names nothing that is known.
    Word,
}

impl Highlight {
    /// All of them.
    pub const ALL: [Highlight; 20] = [
        Highlight::Comment,
        Highlight::Documentation,
        Highlight::Keyword,
        Highlight::Method,
        Highlight::String,
        Highlight::Regex,
        Highlight::Path,
        Highlight::Number,
        Highlight::Operator,
        Highlight::Namespace,
        Highlight::Module,
        Highlight::Service,
        Highlight::Gateway,
        Highlight::Door,
        Highlight::Subset,
        Highlight::Rule,
        Highlight::Shared,
        Highlight::Param,
        Highlight::Place,
        Highlight::Word,
    ];
}

/// A piece of text and what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HighlightedSpan {
    pub span: Span,
    pub highlight: Highlight,
    /// Whether a name is given here.
    pub declares: bool,
}

impl Analysis {
    /// What the words of a part of a file are, in order of place, none over another. Time: linear in the file's tokens.
    pub fn highlighted(&self, file: FileId, range: Range<u32>) -> Vec<HighlightedSpan> {
        let parse = self.parse(file);
        let text = self.text(file);
        let names = self.names(file);
        let mut firsts: Vec<u32> = Vec::new();
        keywords(&parse.tree.statements, &mut firsts);
        firsts.sort_unstable();
        let from = parse.tokens.partition_point(|token| (token.end() as u32) <= range.start);
        let mut found = Vec::new();
        for (index, token) in parse.tokens.iter().enumerate().skip(from) {
            if token.start() as u32 >= range.end {
                break;
            }
            let span = token.span(file);
            let plain = |highlight| HighlightedSpan { span, highlight, declares: false };
            let highlight = match token.kind {
                TokenKind::Comment => Highlight::Comment,
                TokenKind::Doc => Highlight::Documentation,
                TokenKind::String => Highlight::String,
                TokenKind::Regex => Highlight::Regex,
                TokenKind::Path => Highlight::Path,
                TokenKind::Quantity => Highlight::Number,
                TokenKind::Param => Highlight::Param,
                TokenKind::Pipe
                | TokenKind::Equals
                | TokenKind::NotEquals
                | TokenKind::Arrow
                | TokenKind::DotDot => Highlight::Operator,
                TokenKind::Word if firsts.binary_search(&(index as u32)).is_ok() => Highlight::Keyword,
                TokenKind::Word => {
                    let at = names.partition_point(|one| one.span.end() <= span.start());
                    let inside: Vec<_> =
                        names[at..].iter().take_while(|one| one.span.start() < span.end()).collect();
                    if !inside.is_empty() {
                        found.extend(inside.into_iter().map(|one| HighlightedSpan {
                            span: one.span,
                            highlight: self.highlight_of(&one.named, &self.symbol(one)),
                            declares: one.declares,
                        }));
                        continue;
                    }
                    let word = token.text(text);
                    match (Method::parse(word), parser::is_name(word) && !is_said(word)) {
                        (Some(_), _) => Highlight::Method,
                        (None, true) => Highlight::Word,
                        (None, false) => Highlight::Keyword,
                    }
                }
                _ => continue,
            };
            found.push(plain(highlight));
        }
        found
    }

    fn highlight_of(&self, named: &Named, symbol: &Symbol) -> Highlight {
        match symbol {
            Symbol::Target(..) => {
                match self.declarations(symbol).next().and_then(|span| self.statement_of(span)) {
                    Some((_, statement)) if statement.keyword() == "gateway" => Highlight::Gateway,
                    Some(_) => Highlight::Service,
                    None => Highlight::Word,
                }
            }
            Symbol::Part(Part::Port | Part::Listener, ..) => Highlight::Door,
            Symbol::Part(Part::Subset, ..) => Highlight::Subset,
            Symbol::Part(Part::Rule, ..) => Highlight::Rule,
            Symbol::Shared(..) => Highlight::Shared,
            Symbol::Module(_) => Highlight::Module,
            Symbol::Namespace(_) => Highlight::Namespace,
            Symbol::Param(..) => match named {
                Named::Param(_) => Highlight::Param,
                _ => Highlight::Word,
            },
            Symbol::Environment(_) | Symbol::Cluster(_) => Highlight::Place,
        }
    }
}

/// Words that statements say and that could be names elsewhere.
fn is_said(word: &str) -> bool {
    const SAID: [&str; 44] = [
        "header",
        "query",
        "cookie",
        "claim",
        "jwt",
        "source-ip",
        "client-ip",
        "path",
        "label",
        "cluster",
        "static",
        "dns",
        "kubernetes",
        "docker",
        "consul",
        "passthrough",
        "http",
        "https",
        "http2",
        "tcp",
        "tls",
        "local",
        "global",
        "source",
        "burst",
        "by",
        "audit",
        "until",
        "set",
        "add",
        "remove",
        "delay",
        "abort",
        "allow",
        "deny",
        "timeout",
        "retry",
        "mirror",
        "fault",
        "redirect",
        "required",
        "optional",
        "strict",
        "permissive",
    ];
    SAID.contains(&word)
}

/// The tokens that statements begin with.
fn keywords(statements: &[mesh_lang::tree::Statement], found: &mut Vec<u32>) {
    for statement in statements {
        if statement.end > statement.first {
            found.push(statement.first);
        }
        if let Some(block) = &statement.block {
            keywords(&block.statements, found);
        }
    }
}
