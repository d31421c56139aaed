//! What holds and is not written where it holds: the timeout and the tries of a call, the share that is left.

use crate::Analysis;
use mesh_compiler::case::wording::milliseconds;
use mesh_lang::ast::{Action, Backend, Weight};
use mesh_lang::statement::{Args, Statement};
use mesh_lang::{FileId, Span};
use std::ops::Range;

/// A few words that an editor shows among the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint {
    /// The byte behind which they stand.
    pub offset: u32,
    pub label: String,
    /// A sentence.
    pub tooltip: String,
    /// Where what holds is written.
    pub written: Option<Span>,
}

impl Analysis {
    /// What is to be shown in a part of a file, in order of place. Time: linear in the file and in all calls.
    pub fn hints(&self, file: FileId, range: Range<u32>) -> Vec<Hint> {
        let mut hints = Vec::new();
        for statement in self.statements(file) {
            shares(statement, &mut hints);
        }
        self.calls(file, &mut hints);
        hints.retain(|hint| (range.start..=range.end).contains(&hint.offset));
        hints.sort_by(|a, b| (a.offset, &a.label).cmp(&(b.offset, &b.label)));
        hints.dedup();
        hints
    }

    /// Behind each service that is called: what holds for the call and is written elsewhere.
    fn calls(&self, file: FileId, hints: &mut Vec<Hint>) {
        let workspace = &self.workspaces[0];
        for call in workspace.calls_in(file) {
            // A rule of a gateway says it in its block, or it is the callee's.
            if self.name_at(crate::At { file, offset: call.at.start() }).is_none_or(|name| name.declares) {
                continue;
            }
            let nearby = |span: Span| span.file() == file && self.is_in_block_of(span, call.at);
            let offset = call.at.end();
            if let (Some(timeout), Some(written)) = (call.timeout, call.timeout_at)
                && !nearby(written)
            {
                hints.push(Hint {
                    offset,
                    label: format!("timeout {}", milliseconds(Some(timeout))),
                    tooltip: format!(
                        "`{}` holds for this call of `{}`: {}.",
                        self.one_line(written),
                        call.to,
                        self.place(written)
                    ),
                    written: Some(written),
                });
            }
            if call.tries > 1 {
                let place = call.retry_at.map_or(String::new(), |span| format!(": {}", self.place(span)));
                hints.push(Hint {
                    offset,
                    label: format!("×{}", call.tries),
                    tooltip: format!("One call may become {} tries at `{}`{place}.", call.tries, call.to),
                    written: call.retry_at,
                });
            }
        }
    }

    /// Whether a line stands in the block of the `calls` that names something in a place.
    fn is_in_block_of(&self, line: Span, name: Span) -> bool {
        let contains =
            |outer: Span, inner: Span| outer.start() <= inner.start() && inner.end() <= outer.end();
        let services = self.statements(name.file()).iter();
        let mut calls = services.flat_map(|service| &service.block).filter(|one| contains(one.span, name));
        calls.any(|calls| calls.block.iter().any(|inner| contains(inner.span, line)))
    }
}

/// Behind each `rest`: how much that is.
fn shares(statement: &Statement, hints: &mut Vec<Hint>) {
    let backends: Option<&[Backend]> = match &statement.args {
        Args::Action(action) => match &**action {
            Action::To(backends) => Some(backends),
            _ => None,
        },
        Args::Backends(split) => Some(&split.1),
        _ => None,
    };
    let weights = || backends.into_iter().flatten().filter_map(|backend| backend.weight.as_ref());
    let fixed: u32 = weights()
        .map(|weight| match weight.value {
            Weight::Percent(share) => share,
            Weight::Rest | Weight::Controlled { .. } => 0,
        })
        .sum();
    let is_settled = weights().all(|weight| !matches!(weight.value, Weight::Controlled { .. }));
    let rests: Vec<_> = weights().filter(|weight| weight.value == Weight::Rest).collect();
    if let ([rest], true, true) = (rests.as_slice(), is_settled, fixed <= 10_000) {
        let left = f64::from(10_000 - fixed) / 100.0;
        hints.push(Hint {
            offset: rest.span.end(),
            label: format!("= {left}%"),
            tooltip: "What the other weights leave.".to_owned(),
            written: None,
        });
    }
    statement.block.iter().for_each(|inner| shares(inner, hints));
}
