//! How the statement is written in which the cursor is, and what of it comes next.

use crate::cursor::cursor;
use crate::{Analysis, At, form};
use std::ops::Range;

/// The forms of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureHelp {
    /// One for each way to write it.
    pub forms: Vec<SignatureForm>,
    /// The one that fits what is written.
    pub active: usize,
    /// What it is for.
    pub doc: &'static str,
}

/// One way to write a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureForm {
    pub label: &'static str,
    /// Its parts, as byte ranges of the label.
    pub parts: Vec<Range<usize>>,
    /// The part that is written next.
    pub active: Option<usize>,
}

impl Analysis {
    /// The forms of the statement in which a place is, behind its keyword.
    pub fn signature_help(&self, at: At) -> Option<SignatureHelp> {
        let parse = self.parse(at.file);
        let text = self.text(at.file);
        let cursor = cursor(&parse, text, at.offset as usize);
        let signature = cursor.signature.filter(|_| !cursor.before.is_empty())?;
        let expected = form::expected(signature, &cursor.before, text);
        let next: Vec<&str> = form::active(&expected).collect();
        let mut said: Vec<&str> = cursor.before.iter().map(|token| token.text(text)).collect();
        said.dedup();
        let forms = signature.form.split(" | ").map(|label| {
            let parts = parts(label);
            // The first part of which something may stand next.
            let active = parts.iter().position(|part| {
                let words = words(&label[part.clone()]);
                words.iter().any(|word| is_next(word, &next))
            });
            SignatureForm { label, parts, active }
        });
        let forms: Vec<SignatureForm> = forms.collect();
        let fits = |form: &SignatureForm| {
            let words = words(form.label);
            let known = said.iter().filter(|word| words.contains(word)).count();
            (known, form.active.is_some())
        };
        let best = (0..forms.len()).max_by_key(|index| (fits(&forms[*index]), std::cmp::Reverse(*index)))?;
        Some(SignatureHelp { forms, active: best, doc: signature.doc })
    }
}

/// Whether a word of the form is what comes next. The form says `FROM` for what begins with `from`.
fn is_next(word: &str, next: &[&str]) -> bool {
    let means: &[&str] = match word {
        "FROM" => &["from"],
        "PRINCIPAL" => &["CALLER"],
        "OP" | "METHOD" => &["METHOD"],
        "SERVICE[:SUBSET]" => &["BACKEND"],
        "COND" => &["header", "not"],
        "CONDITION" => &["connect-failure"],
        "OUTCOME" => &["allow"],
        "DESTINATION" => &["TARGET", "GATEWAY"],
        "PROTOCOL" => &["http"],
        "MODE" => &["strict"],
        "TYPE" => &["duration"],
        "KEY" => &["KEY", "source-ip"],
        _ => &[],
    };
    next.contains(&word) || means.iter().any(|meant| next.contains(meant))
}

/// The words of a piece of a form.
fn words(piece: &str) -> Vec<&str> {
    piece
        .split([' ', '[', ']', '|', '(', ')', ','])
        .map(|word| if word == ":SUBSET" { "" } else { word })
        .filter(|word| !word.is_empty() && *word != "…" && *word != "{" && *word != "}")
        .collect()
}

/// Pieces of a form with spaces between, those in brackets together.
fn parts(label: &str) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    let (mut start, mut depth) = (0, 0usize);
    for (at, c) in label.char_indices().chain([(label.len(), ' ')]) {
        match c {
            '[' | '{' => depth += 1,
            ']' | '}' => depth = depth.saturating_sub(1),
            ' ' if depth == 0 => {
                let piece = &label[start..at];
                if !piece.is_empty() && piece != "…" {
                    parts.push(start..at);
                }
                start = at + 1;
            }
            _ => {}
        }
    }
    parts
}
