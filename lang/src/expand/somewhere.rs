//! What statements name that hold in some environments only: whether anybody uses a name is asked of all of them.

use super::is_settled;
use crate::ast::{Action, Backend};
use crate::span::Text;
use crate::statement::{Args, Statement};
use crate::token::TokenKind;

/// The subsets that something is sent to in some environment, or with a parameter beside them; those of a `split` too, which need not be
/// used where it stands. Time: linear in the statements.
pub(super) fn subsets(statements: &[Statement]) -> Vec<Text> {
    let mut found = Vec::new();
    // Where an environment says something else, what stands beside it holds in the others.
    statements.iter().for_each(|statement| add(statement, !is_settled(statement), &mut found));
    found
}

fn add(statement: &Statement, in_some: bool, found: &mut Vec<Text>) {
    let mut name =
        |backend: &Backend| found.extend(backend.subset.as_ref().map(|subset| subset.value.clone()));
    match &statement.args {
        Args::Backends(split) => split.1.iter().for_each(name),
        Args::Action(action) if in_some => {
            if let Action::To(backends) = &**action {
                backends.iter().for_each(name);
            }
        }
        Args::Mirror(mirror) if in_some => name(&mirror.backend),
        Args::Waiting(pieces) => {
            let words = pieces.iter().filter(|piece| piece.kind == TokenKind::Word);
            found.extend(words.filter_map(|word| Some(Text::from(word.text.split_once(':')?.1))));
        }
        _ => {}
    }
    statement.block.iter().for_each(|inner| add(inner, in_some, found));
}
