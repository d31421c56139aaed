//! Where something gets its name, and where it is named.

use crate::{Analysis, At};
use mesh_lang::Span;

/// A place in which something is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reference {
    pub span: Span,
    /// Whether it gets its name there.
    pub declares: bool,
}

/// Where something is declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Definition {
    /// The name where it was asked.
    pub origin: Span,
    /// The name where it is given.
    pub name: Span,
    /// Keyword and arguments of the statement that gives it.
    pub statement: Span,
}

impl Analysis {
    /// Where what is named at a place gets its name; several for a namespace of several modules.
    pub fn definition(&self, at: At) -> Vec<Definition> {
        let Some((symbol, origin)) = self.symbol_at(at) else { return vec![] };
        let found = self.declarations(&symbol).map(|name| {
            let statement = self.statement_of(name).map_or(name, |(_, statement)| statement.span);
            Definition { origin, name, statement }
        });
        found.collect()
    }

    /// Where what is named at a place is named, in order. Time: linear in the names of the project.
    pub fn references(&self, at: At) -> Vec<Reference> {
        let Some((symbol, _)) = self.symbol_at(at) else { return vec![] };
        let found = self.occurrences(&symbol);
        found.map(|one| Reference { span: one.span, declares: one.declares }).collect()
    }

    /// Where what is named at a place is named in the same file.
    pub fn highlights(&self, at: At) -> Vec<Reference> {
        let Some((symbol, _)) = self.symbol_at(at) else { return vec![] };
        let same = self.names(at.file).iter().filter(|one| self.symbol(one) == symbol);
        same.map(|one| Reference { span: one.span, declares: one.declares }).collect()
    }
}
