//! One mistake, one complaint: what is missing only because a statement could not be read is not said.
//!
//! The parser leaves out what it cannot read, so a service without its `port` line looks like a service without a port.
//! Whatever names such a declaration, or misses something inside it, waits until it can be read. Nothing is hidden
//! for good: the mistake that caused it is an error of its own.

use mesh_lang::parser::Parse;
use mesh_lang::tree::Statement;
use mesh_lang::{Code, Diagnostic, FileId, Severity, SourceSet, Span};
use std::collections::BTreeSet;

/// Statements that lost something, or were lost whole.
#[derive(Default)]
pub(crate) struct Wounds {
    /// Names that they declare.
    names: BTreeSet<String>,
    /// Heads of the blocks that lost a statement directly.
    heads: Vec<Span>,
}

impl Wounds {
    /// Adds those of a file.
    pub(crate) fn add(&mut self, file: FileId, text: &str, parse: &Parse) {
        let errors: Vec<u32> = parse
            .diagnostics
            .iter()
            .filter(|diagnostic| diagnostic.severity == Severity::Error)
            .filter_map(|diagnostic| Some(diagnostic.span()?.start))
            .collect();
        if !errors.is_empty() {
            self.walk(&parse.tree.statements, &Words { file, text, parse, errors: &errors });
        }
    }

    fn walk(&mut self, statements: &[Statement], words: &Words<'_>) {
        for statement in statements {
            let inside = words.errors_in(statement.head().start, statement.last());
            if inside == 0 {
                continue;
            }
            self.names.extend(words.name(statement));
            let Some(block) = &statement.block else { continue };
            let deeper: usize = block
                .statements
                .iter()
                .filter(|child| child.block.is_some())
                .map(|child| words.errors_in(child.head().start, child.last()))
                .sum();
            if inside > deeper {
                self.heads.extend(words.head(statement));
            }
            self.walk(&block.statements, words);
        }
    }

    /// Whether a finding only says that something lost is not there.
    pub(crate) fn explain(&self, diagnostic: &Diagnostic, sources: &SourceSet) -> bool {
        let Some(place) = diagnostic.span() else { return false };
        match diagnostic.code {
            Code::MissingStatement => self
                .heads
                .iter()
                .any(|head| head.file == place.file && head.start <= place.start && place.end <= head.end),
            Code::UnknownName | Code::UnknownSubset | Code::PortNeeded | Code::ListenerNeeded => {
                let said = diagnostic.labels.iter().map(|label| sources.text(label.span));
                said.flat_map(|text| text.split(['.', ':'])).any(|name| self.names.contains(name))
            }
            _ => false,
        }
    }
}

/// A file with its mistakes.
struct Words<'a> {
    file: FileId,
    text: &'a str,
    parse: &'a Parse,
    errors: &'a [u32],
}

impl Words<'_> {
    /// How many mistakes begin between two tokens.
    fn errors_in(&self, first: usize, end: usize) -> usize {
        let Some(span) = self.span(first, end) else { return 0 };
        // A statement that ends too early is complained of just behind its last byte.
        self.errors.iter().filter(|error| (span.start..=span.end).contains(error)).count()
    }

    fn span(&self, first: usize, end: usize) -> Option<Span> {
        let tokens = self.parse.tokens.get(first..end)?;
        Some(tokens.first()?.span(self.file).to(tokens.last()?.span(self.file)))
    }

    fn head(&self, statement: &Statement) -> Option<Span> {
        self.span(statement.head().start, statement.head().end)
    }

    /// The first word after the keyword: what the statement declares.
    fn name(&self, statement: &Statement) -> Option<String> {
        let head = self.parse.tokens.get(statement.head())?;
        let mut words =
            head.iter().filter(|token| token.kind.is_significant()).map(|token| token.text(self.text));
        words.nth(1).map(|word| word.to_lowercase())
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::says;

    #[test]
    fn a_mistyped_statement_is_the_only_complaint() {
        says(
            "service web { prot 80 http }\nauthorize web { allow from anyone }\nroute web {\nrule a { too web }\n}\n",
            &[
                "1 MESH1007 unknown statement `prot` in `service`",
                "4 MESH1007 unknown statement `too` in `rule`",
            ],
        );
    }

    #[test]
    fn a_lost_declaration_is_not_missed_again() {
        says(
            "service Web { port 80 http }\nservice a { calls web }\nauthorize web { allow from a }\n",
            &["1 MESH1014 `Web` cannot be a name"],
        );
    }

    #[test]
    fn three_mistakes_are_three_complaints() {
        says(
            "service web { port 80 http }\nservice a { calls wbe }\nauthorize web {\nallow frm a\nallow from b\n}\n",
            &[
                "2 MESH2001 unknown service `wbe`",
                "4 MESH1006 expected `from` or `to`, found `frm`",
                "5 MESH2001 unknown service `b`",
            ],
        );
    }
}
