//! Statements become values, each with the reader of its row. A statement that cannot be read costs one diagnostic and
//! nothing but itself.

mod condition;
mod host;
pub(crate) mod input;
mod name;
mod path;
pub(crate) mod policy;
pub(crate) mod project;
pub(crate) mod recover;
pub(crate) mod route;
pub(crate) mod service;
pub(crate) mod test;
pub(crate) mod traffic;
mod unknown;
mod value;

use crate::ast;
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::expand::{self, Said, Source};
use crate::lexer;
use crate::signature::Place;
use crate::source::{FileId, MAX_FILE_BYTES};
use crate::span::Span;
use crate::statement::Statement;
use crate::token::Token;
use crate::tree::{self, Tree};
use condition::header_name;
use recover::Reader;

/// Everything that is known of one file.
#[derive(Clone, Debug)]
pub struct Parse {
    /// The text, piece by piece.
    pub tokens: Vec<Token>,
    /// Its statements as token indices.
    pub tree: Tree,
    /// What they say.
    pub statements: Vec<Statement>,
    /// What is wrong with them.
    pub diagnostics: Diagnostics,
}

impl Parse {
    /// What the file says by itself, where it uses neither environments nor parameters of other files.
    pub fn file(&self) -> ast::File {
        let alone = Source { module: "", said: Said::Statements((&self.statements).into()) };
        expand::expand(vec![alone], None).files.pop().unwrap_or_default()
    }
}

/// Whether something can be called so: a label that is no word of the language.
pub fn is_name(text: &str) -> bool {
    name::is_name(text)
}

/// The basis points of a percentage.
pub(crate) fn percent_points(input: input::Tokens<'_>) -> Option<u32> {
    value::percent(input).ok().map(|(_, share)| share.value)
}

/// Reads a file. Any text gives a result.
pub fn parse(file: FileId, text: &str) -> Parse {
    if text.len() > MAX_FILE_BYTES {
        return too_large(file);
    }
    let (tokens, mut diagnostics) = lexer::lex(file, text);
    let (tree, of_the_tree) = tree::build(file, text, &tokens);
    diagnostics.extend(of_the_tree);
    let mut reader = Reader::new(file, text, &tokens, diagnostics);
    let statements = reader.block(Place::File, &tree.statements);
    let diagnostics = reader.diagnostics;
    Parse { tokens, tree, statements, diagnostics }
}

fn too_large(file: FileId) -> Parse {
    let mut diagnostics = Diagnostics::new();
    diagnostics.push(
        Diagnostic::new(Code::TooLarge, format!("this file is longer than {} MiB", MAX_FILE_BYTES >> 20))
            .at(Span::new(file, 0, 0), "")
            .help("Split it; the files of a directory are one module."),
    );
    Parse { tokens: Vec::new(), tree: Tree::default(), statements: Vec::new(), diagnostics }
}

#[cfg(test)]
mod tests;
