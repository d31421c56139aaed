//! Statements become plain values, keyword by keyword. A statement that cannot be read costs one diagnostic and
//! nothing but itself.

mod authorize;
mod gateway;
mod header;
mod host;
mod input;
mod module;
mod name;
mod path;
mod recover;
mod route;
mod service;
mod settings;
mod test;
mod unknown;
mod value;

use crate::ast;
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::lexer;
use crate::signature::Place;
use crate::source::{FileId, MAX_FILE_BYTES};
use crate::span::Span;
use crate::token::Token;
use crate::tree::{self, Statement, Tree};
use recover::Reader;

/// Everything that is known of one file.
#[derive(Clone, Debug)]
pub struct Parse {
    /// The text, piece by piece.
    pub tokens: Vec<Token>,
    /// Its statements as token indices.
    pub tree: Tree,
    /// What they say.
    pub file: ast::File,
    /// What is wrong with them.
    pub diagnostics: Diagnostics,
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
    let items = items(&mut reader, &tree.statements);
    let diagnostics = reader.diagnostics;
    Parse { tokens, tree, file: ast::File { items }, diagnostics }
}

fn too_large(file: FileId) -> Parse {
    let mut diagnostics = Diagnostics::new();
    diagnostics.push(
        Diagnostic::new(Code::TooLarge, format!("this file is longer than {} MiB", MAX_FILE_BYTES >> 20))
            .at(Span::new(file, 0, 0), "")
            .help("Split it; the files of a directory are one module."),
    );
    Parse { tokens: Vec::new(), tree: Tree::default(), file: ast::File::default(), diagnostics }
}

fn items(reader: &mut Reader<'_>, statements: &[Statement]) -> Vec<ast::Item> {
    let lines = reader.lines(Place::File, statements);
    lines
        .iter()
        .filter_map(|line| match line.keyword() {
            "mesh" => module::mesh(reader, line).map(ast::Item::Mesh),
            "module" => module::module(reader, line).map(ast::Item::Module),
            "service" => service::service(reader, line).map(ast::Item::Service),
            "gateway" => gateway::gateway(reader, line).map(ast::Item::Gateway),
            "route" => route::route(reader, line).map(ast::Item::Route),
            "authorize" => authorize::authorize(reader, line).map(ast::Item::Authorize),
            _ => test::test(reader, line).map(ast::Item::Test),
        })
        .collect()
}

#[cfg(test)]
mod tests;
