//! Short statements of a kind directly below each other are written as a table: their arguments begin in one column.

use super::{MAX_WIDTH, Printer};
use crate::token::TokenKind;
use crate::tree::Statement;
use std::ops::Range;

/// A statement on one line, cut where columns begin.
struct Row {
    kind: Kind,
    cells: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Access,
    Subset,
}

impl Printer<'_> {
    /// The line of each statement of a block that stands in a table; shorter, or empty, where no more do.
    pub(super) fn tables(&self, statements: &[Statement]) -> Vec<Option<String>> {
        let mut lines = Vec::new();
        let mut start = 0;
        while start < statements.len() {
            let rows = self.rows(&statements[start..]);
            let end = start + rows.len().max(1);
            if rows.len() > 1
                && let Some(aligned) = align(&rows, MAX_WIDTH - self.indentation())
            {
                lines.resize(start, None);
                lines.extend(aligned.into_iter().map(Some));
            }
            start = end;
        }
        lines
    }

    /// The rows of the table that begins with the first statement.
    fn rows(&self, statements: &[Statement]) -> Vec<Row> {
        let mut rows: Vec<Row> = Vec::new();
        let mut before: Option<&Statement> = None;
        for statement in statements {
            let Some(row) = self.row(statement) else { break };
            let apart = before.is_some_and(|before| self.stand_apart(before.last()..statement.doc as usize));
            if apart || statement.doc != statement.first && before.is_some() {
                break;
            }
            if rows.first().is_some_and(|first| first.kind != row.kind) {
                break;
            }
            rows.push(row);
            before = Some(statement);
        }
        rows
    }

    fn row(&self, statement: &Statement) -> Option<Row> {
        let head = &self.tokens[statement.head()];
        let keyword = head.first().filter(|_| statement.block.is_none() && !statement.broken)?;
        let kind = match self.raw(*keyword) {
            "allow" | "deny" => Kind::Access,
            "subset" => Kind::Subset,
            _ => return None,
        };
        if head.iter().any(|token| token.kind.is_comment()) {
            return None;
        }
        let cells: Vec<String> = self
            .cells(kind, statement.head())
            .into_iter()
            .map(|cell| self.one_line(cell, statement))
            .collect();
        let width: usize = cells.iter().map(|cell| cell.chars().count() + 1).sum();
        (cells.len() > 1 && self.indentation() + width - 1 <= MAX_WIDTH).then_some(Row { kind, cells })
    }

    /// Where the columns of a statement begin: `deny`, `from …`, `to …`; `subset NAME`, what it is.
    fn cells(&self, kind: Kind, head: Range<usize>) -> Vec<Range<usize>> {
        let words: Vec<usize> = head.clone().filter(|&at| self.tokens[at].kind.is_significant()).collect();
        let word = |&at: &usize| match self.tokens[at].kind {
            TokenKind::Word => self.raw(self.tokens[at]),
            _ => "",
        };
        let mut starts = vec![head.start];
        match kind {
            Kind::Subset => starts.extend(words.get(2)),
            Kind::Access => {
                starts.extend(words.get(1));
                if words.get(1).map(word) == Some("from") {
                    starts.extend(words.iter().skip(2).find(|at| matches!(word(at), "to" | "when")));
                }
            }
        }
        let ends = starts.iter().skip(1).copied().chain([head.end]);
        starts.iter().copied().zip(ends).map(|(start, end)| start..end).collect()
    }

    /// Whether a blank line or a comment of its own stands between two statements.
    fn stand_apart(&self, between: Range<usize>) -> bool {
        let (mut newlines, mut own_line) = (0, false);
        self.tokens[between].iter().any(|token| match token.kind {
            TokenKind::Newline => {
                (newlines, own_line) = (newlines + 1, true);
                newlines > 1
            }
            TokenKind::Semicolon => {
                newlines = 0;
                false
            }
            kind => kind.is_comment() && own_line,
        })
    }
}

/// The rows with their columns below each other, if they fit.
fn align(rows: &[Row], max_width: usize) -> Option<Vec<String>> {
    let mut widths = Vec::new();
    for row in rows {
        // The last cell of a row is as long as it is.
        for (column, cell) in row.cells.iter().rev().skip(1).rev().enumerate() {
            widths.resize(widths.len().max(column + 1), 0);
            widths[column] = widths[column].max(cell.chars().count());
        }
    }
    let line = |row: &Row| {
        let (last, before) = row.cells.split_last()?;
        let padded = before.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$} "));
        Some(padded.collect::<String>() + last)
    };
    let lines: Vec<String> = rows.iter().filter_map(line).collect();
    lines.iter().all(|line| line.chars().count() <= max_width).then_some(lines)
}
