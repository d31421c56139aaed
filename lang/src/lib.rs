//! Text becomes a tree with meaning-shaped handles. Pure and total: any bytes give a tree and diagnostics, never a panic.
//!
//! Read [`source`] and [`span`], then the pipeline in its order: [`token`], [`lexer`], [`tree`], [`parser`], [`statement`], [`expand`], [`ast`];
//! beside it [`signature`], which says what may stand where, [`format`](format()) and [`diagnostic`].

#![deny(clippy::disallowed_methods, reason = "pure: the driver does the I/O")]

pub mod ast;
pub mod diagnostic;
pub mod expand;
pub mod format;
pub mod lexer;
pub mod parser;
pub mod signature;
pub mod source;
pub mod span;
pub mod statement;
pub mod token;
pub mod tree;
mod view;

pub use diagnostic::{Code, Diagnostic, Diagnostics, Severity};
pub use format::format;
pub use lexer::lex;
pub use parser::{Parse, parse};
pub use source::{FileId, Source, SourceSet};
pub use span::{Name, Span, Spanned, Text};
