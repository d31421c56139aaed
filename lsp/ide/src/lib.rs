//! What an editor asks of a project, and the answers, as plain data: no protocol, no files, no clock.
//!
//! Read [`Analysis`], then `names` (which names stand where) and `scope` (what they mean), `cursor` (what stands around a place) and
//! `form` (what may stand there next); behind them each question has a file of its own.

#![deny(clippy::disallowed_methods, reason = "pure: the driver does the I/O")]
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests read the examples"))]

mod analysis;
mod names;
mod scope;

mod cursor;
mod form;

mod actions;
mod callers;
mod completion;
mod diagnostics;
mod formatting;
mod hints;
mod hover;
mod lenses;
mod links;
mod navigation;
mod question;
mod rename;
mod signature_help;
mod structure;
mod symbols;
mod tokens;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod tests;

pub use mesh_compiler::Day;

pub use actions::{Action, ActionKind};
pub use analysis::{Analysis, At};
pub use callers::{Party, Permitted};
pub use completion::{Completion, CompletionKind, Completions};
pub use hints::Hint;
pub use hover::Hover;
pub use lenses::{Lens, LensKind};
pub use links::{Link, LinkTarget};
pub use navigation::{Definition, Reference};
pub use question::Question;
pub use signature_help::{SignatureForm, SignatureHelp};
pub use structure::{Fold, FoldKind};
pub use symbols::{DocumentSymbol, SymbolKind, WorkspaceSymbol};
pub use tokens::{Highlight, HighlightedSpan};
