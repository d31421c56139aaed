//! What of a file others can see: while it stays as it is, what they mean stays, too.

use mesh_lang::parser::Parse;
use mesh_lang::tree::Statement;

/// The statements of a file, as written, without those that are about one target only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Visible {
    /// What it declares, token by token; services without what only they themselves are about.
    declared: Vec<String>,
    /// What holds for others without being named by them, with where it stands: they are told that.
    settings: Vec<(u32, String)>,
}

/// Statements of a service that no other file looks at when names are looked up.
const PRIVATE: [&str; 3] = ["calls", "retry", "timeout"];

/// Statements that declare what other files name.
const DECLARING: [&str; 10] = [
    "ext-authz",
    "gateway",
    "group",
    "import",
    "jwt",
    "module",
    "profile",
    "rate-limiter",
    "service",
    "split",
];

/// Statements that are about one target only.
const OWN: [&str; 3] = ["route", "authorize", "test"];

impl Visible {
    /// Time: linear in the tokens.
    pub(super) fn of(text: &str, parse: &Parse) -> Visible {
        let words = Words { text, parse };
        let mut visible = Visible { declared: Vec::new(), settings: Vec::new() };
        for statement in &parse.tree.statements {
            let keyword = words.word(statement.first as usize);
            if DECLARING.contains(&keyword) {
                visible.declared.push(words.without_private(statement));
            } else if !OWN.contains(&keyword) {
                let start =
                    parse.tokens.get(statement.first as usize).map_or(0, |token| token.start() as u32);
                visible.settings.push((start, words.all(statement.first as usize, statement.last())));
            }
        }
        visible
    }

    /// Whether what gives values to names is the same, and in the same place.
    pub(super) fn same_settings(&self, other: &Visible) -> bool {
        self.settings == other.settings
    }
}

/// A text and its tokens.
struct Words<'a> {
    text: &'a str,
    parse: &'a Parse,
}

impl<'a> Words<'a> {
    fn word(&self, token: usize) -> &'a str {
        self.parse.tokens.get(token).map_or("", |token| token.text(self.text))
    }

    /// Tokens without comments, and what tells them apart.
    fn all(&self, first: usize, end: usize) -> String {
        let mut said = String::new();
        for token in self.parse.tokens.get(first..end).unwrap_or_default() {
            if !token.kind.is_comment() {
                said.push_str(token.text(self.text));
                said.push('\n');
            }
        }
        said
    }

    fn without_private(&self, statement: &Statement) -> String {
        let head = statement.head();
        let mut said = self.all(head.start, head.end);
        for child in statement.block.iter().flat_map(|block| &block.statements) {
            if !PRIVATE.contains(&self.word(child.first as usize)) {
                said.push_str(&self.all(child.first as usize, child.last()));
            }
        }
        said
    }
}
