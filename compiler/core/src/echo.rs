//! One mistake, one complaint: what is missing only because a statement could not be read is not said.
//!
//! The parser leaves out what it cannot read, so a service without its `port` line looks like a service without a port.
//! Whatever names such a declaration, or misses something inside it, waits until it can be read. Nothing is hidden
//! for good: the mistake that caused it is an error of its own.

use mesh_lang::parser::Parse;
use mesh_lang::signature::Place;
use mesh_lang::tree::Statement;
use mesh_lang::{Code, Diagnostic, FileId, Severity, SourceSet, Span};
use std::collections::BTreeSet;

/// Statements that lost something, or were lost whole.
#[derive(Default)]
pub(crate) struct Wounds {
    /// Names that they declare.
    names: BTreeSet<String>,
    /// Heads of the statements that lost something directly, and of those that stand beside what was lost.
    heads: Vec<Span>,
    /// Whether something that identities are made of was lost.
    identities: bool,
}

/// The statements whose loss changes identities: they say the trust domain, the namespace and the account.
const IDENTITIES: [&str; 3] = ["mesh", "module", "service-account"];

/// The statements inside a block that give something a name by which others ask for it.
const DECLARING: [&str; 4] = ["port", "subset", "listener", "namespace"];

impl Wounds {
    /// Those of a file.
    pub(crate) fn of(file: FileId, text: &str, parse: &Parse) -> Wounds {
        let mut wounds = Wounds::default();
        let errors: Vec<u32> = parse
            .diagnostics
            .iter()
            .filter(|diagnostic| diagnostic.severity == Severity::Error)
            .filter_map(|diagnostic| Some(diagnostic.span()?.start()))
            .collect();
        if !errors.is_empty() {
            wounds.walk(&parse.tree.statements, &Words { file, text, parse, errors: &errors });
        }
        wounds
    }

    /// Adds those of another file.
    pub(crate) fn extend(&mut self, more: Wounds) {
        self.names.extend(more.names);
        self.heads.extend(more.heads);
        self.identities |= more.identities;
    }

    fn walk(&mut self, statements: &[Statement], words: &Words<'_>) {
        for statement in statements {
            let inside = words.errors_in(statement.head().start, statement.last());
            if inside == 0 {
                continue;
            }
            let children = statement.block.as_ref().map_or(&[][..], |block| &block.statements);
            if words.may_lack(statement, children) {
                self.names.extend(words.word(statement, 1).map(str::to_lowercase));
            }
            // A mistake in the head of a block loses the whole of it, so that it counts as one of the block around.
            let deeper: usize = children
                .iter()
                .filter_map(|child| child.block.as_ref())
                .map(|block| words.errors_in(block.open as usize + 1, block.end as usize))
                .sum();
            if inside > deeper {
                self.identities |= words.word(statement, 0).is_some_and(|word| IDENTITIES.contains(&word));
                let plain = children.iter().filter(|child| child.block.is_none());
                self.heads.extend(plain.chain([statement]).filter_map(|lossy| words.head(lossy)));
            }
            self.walk(children, words);
        }
    }

    /// Whether a finding only says that something lost is not there.
    pub(crate) fn explain(&self, diagnostic: &Diagnostic, sources: &SourceSet) -> bool {
        let Some(place) = diagnostic.span() else { return false };
        match diagnostic.code {
            Code::MissingStatement => self.heads.iter().any(|head| {
                head.file() == place.file() && head.start() <= place.start() && place.end() <= head.end()
            }),
            Code::UnknownName | Code::UnknownSubset | Code::PortNeeded | Code::ListenerNeeded => {
                let said = diagnostic.labels.iter().filter_map(|label| reference(sources.text(label.span)));
                said.flat_map(|name| name.split(['.', ':'])).any(|name| self.names.contains(name))
            }
            Code::EmptyPrincipals => self.identities,
            _ => false,
        }
    }
}

/// The name in the text of a label: `shop` in `namespace shop`, `cart:v2` in `cart:v2 port web 5%`.
fn reference(text: &str) -> Option<&str> {
    let mut words = text.split_whitespace();
    match words.next()? {
        "namespace" => words.next(),
        name => Some(name),
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
        self.errors.iter().filter(|error| (span.start()..=span.end()).contains(error)).count()
    }

    /// Whether a name that is missed may be in what a statement lost: its head, a line that declares one, or one that cannot
    /// be told from such a line.
    fn may_lack(&self, statement: &Statement, children: &[Statement]) -> bool {
        let harmless = |child: &&Statement| {
            let known = |word: &str| Place::ALL.iter().any(|place| place.statement(word).is_some());
            self.word(child, 0).is_some_and(|word| known(word) && !DECLARING.contains(&word))
        };
        let inside = |child: &Statement| self.errors_in(child.head().start, child.last());
        let of_harmless: usize = children.iter().filter(harmless).map(inside).sum();
        self.errors_in(statement.head().start, statement.last()) > of_harmless
    }

    fn span(&self, first: usize, end: usize) -> Option<Span> {
        let tokens = self.parse.tokens.get(first..end)?;
        Some(tokens.first()?.span(self.file).to(tokens.last()?.span(self.file)))
    }

    fn head(&self, statement: &Statement) -> Option<Span> {
        self.span(statement.head().start, statement.head().end)
    }

    /// A word of the head: the keyword is the first, what the statement declares the second.
    fn word(&self, statement: &Statement, number: usize) -> Option<&str> {
        let head = self.parse.tokens.get(statement.head())?;
        head.iter().filter(|token| token.kind.is_significant()).nth(number).map(|token| token.text(self.text))
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
    fn a_block_that_is_lost_for_its_head_is_not_missed_in_the_block_around() {
        says(
            "gateway g { listener a prt 80 http { host \"*\" } }\n",
            &["1 MESH1006 expected `port`, found `prt`"],
        );
        says(
            "gateway g {\nlistener a port 80 http { hst \"*\" } }\ngateway h { }\n",
            &["2 MESH1007 unknown statement `hst` in `listener`", "3 MESH1011 gateway `h` has no listener"],
        );
    }

    #[test]
    fn what_stands_beside_a_lost_statement_does_not_miss_it() {
        says(
            "service s {\nprot 80 http\ntimeout 1s\nendpoints static \"10.0.0.1\"\n}\n",
            &["2 MESH1007 unknown statement `prot` in `service`"],
        );
    }

    #[test]
    fn a_lost_namespace_is_not_missed_again() {
        let text = "module m { namespace NAME }\nservice s { port 80 http }\nauthorize s {\nallow from namespace shop\n}\n";
        says(&text.replace("NAME", "Shop"), &["1 MESH1014 `Shop` cannot be a name"]);
        says(
            &text.replace("NAME", "Shp"),
            &["1 MESH1014 `Shp` cannot be a name", "4 MESH2001 unknown namespace `shop`"],
        );
        says(
            &text.replace("namespace NAME", "").replace("service s {", "service namespace { }\nservice s {"),
            &[
                "2 MESH1014 `namespace` is a word of the language and cannot be a name",
                "5 MESH2001 unknown namespace `shop`",
            ],
        );
    }

    #[test]
    fn who_is_in_a_trust_domain_that_is_lost_is_not_asked() {
        let text = "mesh m { trust-domain DOMAIN }\nservice s { port 80 http }\nauthorize s {\nallow from authenticated except identity \"spiffe://a.b/ns/x/sa/y\"\n}\nservice t { calls s }\n";
        says(&text.replace("DOMAIN", "a.b"), &[]);
        says(
            &text.replace("DOMAIN", "a.b..c-"),
            &["1 MESH1006 expected the end of the statement, found `..`"],
        );
        says(
            &text.replace("DOMAIN", "c.d"),
            &["4 MESH4004 `except identity \"spiffe://a.b/ns/x/sa/y\"` takes nobody away"],
        );
    }

    #[test]
    fn three_mistakes_are_three_complaints() {
        says(
            "service web { port 80 http }\nservice a { calls wbe }\nauthorize web {\nallow frm a\nallow from b\n}\n",
            &[
                "2 MESH2001 unknown service `wbe`",
                "4 MESH1006 expected `from`, `to` or `when`, found `frm`",
                "5 MESH2001 unknown service `b`",
            ],
        );
    }
}
