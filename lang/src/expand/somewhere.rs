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
    for statement in statements {
        if let Args::Backends(split) = &statement.args {
            found.extend(split.1.iter().filter_map(subset));
        }
        // Where an environment says something else, what stands beside it holds in the others.
        if !is_settled(statement) {
            add(statement, &mut found);
        }
    }
    found
}

fn add(statement: &Statement, found: &mut Vec<Text>) {
    match &statement.args {
        Args::Action(action) => {
            if let Action::To(backends) = &**action {
                found.extend(backends.iter().filter_map(subset));
            }
        }
        Args::Mirror(mirror) => found.extend(subset(&mirror.backend)),
        Args::Waiting(pieces) => {
            let words = pieces.iter().filter(|piece| piece.kind == TokenKind::Word);
            found.extend(words.filter_map(|word| Some(Text::from(word.text.split_once(':')?.1))));
        }
        _ => {}
    }
    statement.block.iter().for_each(|inner| add(inner, found));
}

fn subset(backend: &Backend) -> Option<Text> {
    backend.subset.as_ref().map(|subset| subset.value.clone())
}
