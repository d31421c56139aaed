//! What may stand next in a statement: its form in the table, `allow FROM [to [port NAME] [OP, …]]`, read as a grammar.
//!
//! A form is matched against the tokens before the cursor, all of its alternatives at once, and what is open where they end is
//! what may be written there. So what is offered follows the table, and a test asks it of every statement of the examples.

use mesh_lang::ast::Method;
use mesh_lang::parser::is_name;
use mesh_lang::signature::Signature;
use mesh_lang::token::{Token, TokenKind};
use std::collections::{BTreeMap, BTreeSet};

/// A grammar of tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Form {
    Word(&'static str),
    /// A kind of value: `DURATION`.
    Slot(&'static str),
    Sequence(Vec<Form>),
    Either(Vec<Form>),
    Maybe(Box<Form>),
    /// Any number of them with this word or sign between.
    Many(Box<Form>, &'static str),
}

/// What may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Next {
    Word(&'static str),
    /// A value of this kind, and the word before it, which may say of what: `port NAME`.
    Slot(&'static str, &'static str),
}

/// What may stand behind the arguments before a place.
#[derive(Clone, Debug, Default)]
pub(crate) struct Expected {
    pub(crate) next: BTreeSet<Next>,
    /// Whether the statement may end there.
    pub(crate) complete: bool,
}

/// Names of the forms that the table writes in several words or in words of its own.
const SPELLED: [(&str, &str); 9] = [
    ("SERVICE[:SUBSET] [port NAME] [PERCENT|rest], …", "BACKENDS"),
    ("SERVICE[:SUBSET]", "BACKEND"),
    ("KEY = STRING, …", "LABELS"),
    ("GET PATH|grpc|tcp", "PROBE"),
    (
        "static STRING, … | dns STRING, … | kubernetes STRING | docker STRING | consul STRING | passthrough, then",
        "SOURCE",
    ),
    ("CLUSTER -> CLUSTER -> …", "CLUSTERS"),
    ("COND and …", "CONDITIONS"),
    ("METHOD PATH", "ONE-REQUEST"),
    ("{ NAME, … }", ""),
];

/// What the names of parts stand for.
fn part(name: &str) -> Option<&'static [&'static str]> {
    Some(match name {
        "FROM" => &["from PRINCIPAL, … [except PRINCIPAL, …]"],
        "PRINCIPAL" => &[
            "CALLER",
            "gateway GATEWAY",
            "namespace NAMESPACE",
            "identity STRING",
            "trust-domain WORD",
            "authenticated",
            "unauthenticated",
            "anyone",
        ],
        "DESTINATION" => &["TARGET", "gateway GATEWAY", "namespace NAMESPACE"],
        "OP" => &["METHODS", "METHODS PATH", "PATH", "grpc METHODS-OF-GRPC"],
        "ONE-REQUEST" => &["METHOD PATH", "grpc GRPC"],
        "BACKENDS" => &["SHARED-BACKEND, …"],
        "SHARED-BACKEND" => &["BACKEND [port NAME] [PERCENT|rest]"],
        "LABELS" => &["LABEL, …"],
        "LABEL" => &["KEY = STRING"],
        "PROBE" => &["GET PATH", "grpc", "tcp"],
        "SOURCE" => &[
            "static STRING, …",
            "dns STRING, …",
            "kubernetes STRING",
            "docker STRING",
            "consul STRING",
            "passthrough",
        ],
        "CONDITIONAL" => &["[not] FIELD TEST"],
        "FIELD" => &[
            "header STRING",
            "query STRING",
            "cookie STRING",
            "claim [JWT] STRINGS",
            "jwt JWT",
            "source-ip",
            "client-ip",
            "path",
            "host",
        ],
        "TEST" => &[
            "= STRING",
            "!= STRING",
            "in (STRING, …)",
            "present",
            "absent",
            "prefix STRING",
            "suffix STRING",
            "contains STRING",
            "has STRING",
            "matches REGEX",
        ],
        "OUTCOME" => {
            &["ENDS [timeout DURATION|none] [retry COUNT|none] [mirror MIRRORED|none] [fault FAULT|none]"]
        }
        "ENDS" => &["allow", "deny", "STATUS", "redirect REDIRECT STATUS", "BACKENDS"],
        "REDIRECT" => &["PATH-OR-URL", "prefix PATH", "[scheme WORD] [host STRING]"],
        "MIRRORED" => &["BACKEND [port NAME] PERCENT [including-writes]"],
        "FAULT" => &["delay DURATION PERCENT", "abort STATUS PERCENT"],
        "MODE" => &["strict", "permissive", "off"],
        "PROTOCOL" => &["http", "https", "http2", "grpc", "tcp", "tls"],
        "TYPE" => &["percent", "duration", "rate", "size", "count", "host"],
        "HASHED" => &["header STRING", "cookie STRING [ttl DURATION]", "query STRING", "source-ip"],
        "COUNTED" => &["source", "source-ip", "client-ip", "header STRING"],
        "CONDITION" => &[
            "connect-failure",
            "reset",
            "timeout",
            "gateway-error",
            "5xx",
            "STATUS",
            "grpc-cancelled",
            "grpc-deadline-exceeded",
            "grpc-resource-exhausted",
            "grpc-internal",
            "grpc-unavailable",
        ],
        _ => return None,
    })
}

/// What may stand behind these tokens, the first of which is the keyword. Time: linear in form times tokens.
pub(crate) fn expected(signature: &Signature, before: &[Token], text: &str) -> Expected {
    let form = form_of(signature);
    let mut matching = Matching { tokens: before, text, expected: Expected::default() };
    let ends = matching.step(&form, &BTreeSet::from([0]), "");
    matching.expected.complete = ends.contains(&before.len());
    matching.expected
}

/// What of a form is being written, for whoever shows the form: the words and values that may stand next, as the form writes them.
pub(crate) fn active(expected: &Expected) -> impl Iterator<Item = &'static str> + '_ {
    expected.next.iter().map(|next| match next {
        Next::Word(word) => *word,
        Next::Slot(slot, _) => slot,
    })
}

fn form_of(signature: &Signature) -> Form {
    let mut text = signature.form.to_owned();
    for (long, short) in SPELLED {
        text = text.replace(long, short);
    }
    // A key is another thing in each of these.
    let key = match signature.keyword {
        "rate-limit" => "COUNTED",
        "load-balancer" => "HASHED",
        _ => "KEY",
    };
    let text = text.replace("KEY", key).replace("to TARGET", "to DESTINATION");
    parse(&text)
}

/// Reads a form. Its words are those of the table and of [`part`], so they are found there again.
fn parse(text: &str) -> Form {
    let pieces = pieces(text);
    let mut at = 0;
    either(&pieces, &mut at)
}

/// Signs are pieces of their own; `|` with spaces around it separates whole forms.
fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let signs = [" | ", "..", "!=", "[", "]", "(", ")", "|", ",", "…", "=", "{", "}"];
        if let Some(sign) = signs.into_iter().find(|sign| rest.starts_with(sign)) {
            pieces.push(sign);
            rest = &rest[sign.len()..];
        } else if let Some(after) = rest.strip_prefix(' ') {
            rest = after;
        } else {
            let is_end = |(at, c): &(usize, char)| *at > 0 && !(c.is_ascii_alphanumeric() || *c == '-');
            let end = rest.char_indices().find(is_end).map_or(rest.len(), |(at, _)| at);
            pieces.push(&rest[..end]);
            rest = &rest[end..];
        }
    }
    pieces
}

fn either(pieces: &[&str], at: &mut usize) -> Form {
    let mut all = vec![sequence(pieces, at)];
    while pieces.get(*at) == Some(&" | ") {
        *at += 1;
        all.push(sequence(pieces, at));
    }
    if all.len() == 1 { all.remove(0) } else { Form::Either(all) }
}

fn sequence(pieces: &[&str], at: &mut usize) -> Form {
    let mut all = Vec::new();
    while let Some(piece) = pieces.get(*at).copied() {
        match piece {
            "]" | " | " => break,
            "{" => {
                // A block is no argument.
                while pieces.get(*at).is_some_and(|piece| *piece != "}") {
                    *at += 1;
                }
                *at += 1;
            }
            "[" => {
                *at += 1;
                let inner = either(pieces, at);
                *at += 1;
                all.push(Form::Maybe(Box::new(inner)));
            }
            "," if pieces.get(*at + 1) == Some(&"…") => {
                *at += 2;
                if let Some(one) = all.pop() {
                    all.push(Form::Many(Box::new(one), ","));
                }
            }
            _ => {
                let mut some = vec![atom(piece)];
                *at += 1;
                while pieces.get(*at) == Some(&"|") {
                    some.extend(pieces.get(*at + 1).map(|piece| atom(piece)));
                    *at += 2;
                }
                all.push(if some.len() == 1 { some.remove(0) } else { Form::Either(some) });
            }
        }
    }
    Form::Sequence(all)
}

fn atom(piece: &str) -> Form {
    match piece {
        "METHODS" => return Form::Many(Box::new(Form::Slot("METHOD")), "|"),
        "METHODS-OF-GRPC" => return Form::Many(Box::new(Form::Slot("GRPC")), "|"),
        "STRINGS" => return Form::Many(Box::new(Form::Slot("STRING")), ""),
        "CLUSTERS" => return Form::Many(Box::new(Form::Slot("CLUSTER")), "->"),
        "CONDITIONS" => return Form::Many(Box::new(atom("CONDITIONAL")), "and"),
        _ => {}
    }
    if let Some(alternatives) = part(piece) {
        let mut all: Vec<Form> = alternatives.iter().map(|text| parse(text)).collect();
        return if all.len() == 1 { all.remove(0) } else { Form::Either(all) };
    }
    let known = interned(piece);
    match piece.chars().all(|c| c.is_ascii_uppercase() || c == '-') && piece.len() > 1 && piece != "GET" {
        true => Form::Slot(known),
        false => Form::Word(known),
    }
}

/// The words of all forms live as long as the program: there are some hundred.
fn interned(piece: &str) -> &'static str {
    use std::sync::{LazyLock, Mutex, PoisonError};
    static WORDS: LazyLock<Mutex<BTreeMap<String, &'static str>>> = LazyLock::new(Mutex::default);
    let mut words = WORDS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = words.get(piece) {
        return known;
    }
    let leaked: &'static str = Box::leak(piece.to_owned().into_boxed_str());
    words.insert(piece.to_owned(), leaked);
    leaked
}

struct Matching<'a> {
    tokens: &'a [Token],
    text: &'a str,
    expected: Expected,
}

impl Matching<'_> {
    /// Where a form may end that begins at one of these tokens. `before` is the word that stands before it.
    fn step(&mut self, form: &Form, starts: &BTreeSet<usize>, before: &'static str) -> BTreeSet<usize> {
        if starts.is_empty() {
            return BTreeSet::new();
        }
        match form {
            Form::Word(word) => self.one(starts, Next::Word(word)),
            Form::Slot(slot) => self.one(starts, Next::Slot(slot, before)),
            Form::Sequence(all) => {
                let (mut at, mut before) = (starts.clone(), before);
                for one in all {
                    at = self.step(one, &at, before);
                    if let Form::Word(word) = one {
                        before = word;
                    }
                }
                at
            }
            Form::Either(all) => all.iter().flat_map(|one| self.step(one, starts, before)).collect(),
            Form::Maybe(one) => {
                let mut ends = self.step(one, starts, before);
                ends.extend(starts);
                ends
            }
            Form::Many(one, between) => {
                let mut ends = BTreeSet::new();
                let mut at = starts.clone();
                loop {
                    at = self.step(one, &at, before);
                    let new: BTreeSet<usize> = at.difference(&ends).copied().collect();
                    if new.is_empty() {
                        return ends;
                    }
                    ends.extend(&new);
                    at = if between.is_empty() { new } else { self.one(&new, Next::Word(between)) };
                }
            }
        }
    }

    fn one(&mut self, starts: &BTreeSet<usize>, next: Next) -> BTreeSet<usize> {
        let mut ends = BTreeSet::new();
        for &start in starts {
            match self.tokens.get(start) {
                None => {
                    self.expected.next.insert(next);
                }
                Some(token) if fits(next, *token, self.text) => {
                    ends.insert(start + 1);
                }
                Some(_) => {}
            }
        }
        ends
    }
}

/// Whether a token can be what is meant.
fn fits(next: Next, token: Token, text: &str) -> bool {
    let written = token.text(text);
    let slot = match next {
        Next::Word(word) => return written == word,
        Next::Slot(slot, _) => slot,
    };
    match slot {
        "STRING" => matches!(token.kind, TokenKind::String | TokenKind::Param),
        "REGEX" => token.kind == TokenKind::Regex,
        "PATH" => {
            matches!(token.kind, TokenKind::Path | TokenKind::String | TokenKind::Param) || written == "*"
        }
        "PATH-OR-URL" => matches!(token.kind, TokenKind::Path | TokenKind::String),
        "DURATION" | "PERCENT" | "COUNT" | "NUMBER" | "RATE" | "SIZE" | "STATUS" => {
            matches!(token.kind, TokenKind::Quantity | TokenKind::Param)
        }
        "VALUE" => !matches!(token.kind, TokenKind::OpenBrace | TokenKind::Comma),
        "METHOD" => Method::parse(written).is_some(),
        "WORD" | "GRPC" | "KEY" | "MODULE" => token.kind == TokenKind::Word,
        // A word of the language is no name, so it is what it says.
        _ => {
            let label = written.split(['.', ':']).next().unwrap_or_default();
            token.kind == TokenKind::Word && is_name(label)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh_lang::parser::Parse;
    use mesh_lang::signature::Place;
    use mesh_lang::tree::Statement;
    use std::path::Path;

    #[track_caller]
    fn next(place: Place, before: &str) -> String {
        let (tokens, _) = mesh_lang::lex(mesh_lang::FileId(0), before);
        let keyword = before.split(' ').next().unwrap();
        let signature = place.statement(keyword).unwrap();
        let expected = expected(signature, &tokens, before);
        let mut all: Vec<String> = active(&expected).map(str::to_owned).collect();
        if expected.complete {
            all.push("(end)".into());
        }
        all.join(" ")
    }

    #[test]
    fn what_may_stand_next_follows_the_form() {
        assert_eq!(next(Place::Service, "timeout"), "none DURATION");
        assert_eq!(next(Place::Service, "calls cart"), ", port to (end)");
        assert_eq!(next(Place::Service, "calls cart to GET"), ", | PATH (end)");
        assert_eq!(
            next(Place::Authorize, "allow from"),
            "anyone authenticated gateway identity namespace trust-domain unauthenticated CALLER"
        );
        assert_eq!(next(Place::Authorize, "allow from web"), ", except to when (end)");
        assert_eq!(next(Place::Rule, "to cart:v1 90%"), ", (end)");
        assert_eq!(
            next(Place::Rule, "match GET /a when header \"x\""),
            "!= = absent contains has in matches prefix present suffix"
        );
        assert_eq!(
            next(Place::Test, "request from web to cart GET /a expect"),
            "allow deny redirect BACKEND STATUS"
        );
        assert_eq!(next(Place::Service, "failover local"), "-> (end)");
        assert_eq!(next(Place::Cors, "allow-credentials"), "(end)");
    }

    /// Every statement of every example is of its form.
    #[test]
    fn forms_are_those_of_the_parser() {
        let mut checked = 0;
        for path in crate::fixture::examples() {
            let text = std::fs::read_to_string(&path).unwrap();
            let parse = mesh_lang::parse(mesh_lang::FileId(0), &text);
            check(&parse, &text, Place::File, &parse.tree.statements, &path, &mut checked);
        }
        assert!(checked > 500, "{checked} statements of examples");
    }

    fn check(
        parse: &Parse,
        text: &str,
        place: Place,
        statements: &[Statement],
        path: &Path,
        checked: &mut usize,
    ) {
        for statement in statements {
            let head = &parse.tokens[statement.head()];
            let head: Vec<Token> = head.iter().copied().filter(|token| token.kind.is_significant()).collect();
            let signature = place.statement(head[0].text(text)).unwrap();
            let found = expected(signature, &head, text);
            let said: Vec<&str> = head.iter().map(|token| token.text(text)).collect();
            assert!(found.complete, "{}: `{}` is no `{}`", path.display(), said.join(" "), signature.form);
            *checked += 1;
            if let (Some(block), Some(place)) = (&statement.block, signature.body.place()) {
                check(parse, text, place, &block.statements, path, checked);
            }
        }
    }
}
