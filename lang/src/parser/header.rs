//! Header names, and the conditions on header values.

use nom::Parser;
use nom::branch::alt;
use nom::combinator::{cut, map, opt, value};
use nom::multi::many0;
use nom::sequence::{delimited, preceded};

use super::input::{Parsed, Tokens, expected, keyword, list, one, refuse};
use super::recover::shown;
use super::unknown;
use super::value::{invalid, string};
use crate::ast::{Condition, ValueTest};
use crate::diagnostic::Diagnostic;
use crate::span::{Name, Spanned};
use crate::token::TokenKind;

/// They say something about one connection, not about the request (RFC 9110 7.6.1).
const HOP_BY_HOP: &[&str] =
    &["connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"];

/// What requests may one day be told apart by.
const OTHER_CONDITIONS: &[&str] =
    &["query", "claim", "ip", "cookie", "source-ip", "host", "path", "method", "jwt"];

/// What values may one day be asked.
const OTHER_TESTS: &[&str] = &["suffix", "has", "contains", "matches"];

/// `when COND and COND …`; empty where there is no `when`.
pub(super) fn conditions(input: Tokens<'_>) -> Parsed<'_, Vec<Condition>> {
    if input.first_word() != Some("when") {
        return Ok((input, Vec::new()));
    }
    let all = (condition, many0(preceded(keyword("and"), cut(condition))));
    let all = map(all, |(first, more)| std::iter::once(first).chain(more).collect());
    preceded(keyword("when"), cut(all)).parse(input)
}

/// `[not] header STRING test`
fn condition(input: Tokens<'_>) -> Parsed<'_, Condition> {
    let (rest, not) = opt(keyword("not")).parse(input)?;
    if let Some(other) = rest.first_word().filter(|word| OTHER_CONDITIONS.contains(word)) {
        return refuse(unknown::not_executed(&format!("when {other}"), rest.here()));
    }
    let (rest, _) = keyword("header")(rest)?;
    let (rest, header) = cut(header_name).parse(rest)?;
    let (rest, test) = cut(value_test).parse(rest)?;
    if let Some(diagnostic) = never_holds(&header, &test) {
        return refuse(diagnostic);
    }
    let span = input.span_to(&rest);
    Ok((rest, Condition { span, negated: not.is_some(), header, test }))
}

fn value_test(input: Tokens<'_>) -> Parsed<'_, ValueTest> {
    if let Some(other) = input.first_word().filter(|word| OTHER_TESTS.contains(word)) {
        return refuse(unknown::not_executed(other, input.here()));
    }
    let values = delimited(one(TokenKind::OpenParen, "`(`"), list(string), one(TokenKind::CloseParen, "`)`"));
    alt((
        value(ValueTest::Present, keyword("present")),
        value(ValueTest::Absent, keyword("absent")),
        map(preceded(one(TokenKind::Equals, "`=`"), cut(string)), ValueTest::Equals),
        map(preceded(one(TokenKind::NotEquals, "`!=`"), cut(string)), ValueTest::NotEquals),
        map(preceded(keyword("in"), cut(values)), ValueTest::In),
        map(preceded(keyword("prefix"), cut(string)), ValueTest::Prefix),
    ))
    .parse(input)
}

/// A test whose value no request can have: it would never match, or always.
fn never_holds(header: &Name, test: &ValueTest) -> Option<Diagnostic> {
    match test {
        ValueTest::Present | ValueTest::Absent => None,
        ValueTest::Equals(value) | ValueTest::NotEquals(value) => never_a_value(header, value),
        ValueTest::In(values) => values.iter().find_map(|value| never_a_value(header, value)),
        ValueTest::Prefix(prefix) => never_a_beginning(header, prefix),
    }
}

fn never_a_value(header: &Name, value: &Name) -> Option<Diagnostic> {
    let items = || invalid(value.span, never_has(header, value), one_item(header));
    around(header, value).or_else(|| has_separator(header, value).then(items))
}

/// Spaces and tabs around a value: HTTP takes them away (RFC 9110 5.5).
fn around(header: &Name, value: &Name) -> Option<Diagnostic> {
    let trimmed = value.value.trim_matches(BLANKS);
    let help = format!("The spaces and tabs around a value are not part of it; write `{}`.", quoted(trimmed));
    (trimmed != value.value).then(|| invalid(value.span, never_has(header, value), help))
}

fn never_has(header: &Name, value: &Name) -> String {
    format!("the header `{}` never has the value `{}`", header.value, shown(&value.value))
}

/// A blank at the end of a prefix may be one inside the value.
fn never_a_beginning(header: &Name, prefix: &Name) -> Option<Diagnostic> {
    let trimmed = prefix.value.trim_start_matches(BLANKS);
    let help = if trimmed != prefix.value {
        format!("The spaces and tabs before a value are not part of it; write `{}`.", quoted(trimmed))
    } else if has_separator(header, prefix) {
        one_item(header)
    } else {
        return None;
    };
    let message = format!("no value of the header `{}` begins with `{}`", header.value, shown(&prefix.value));
    Some(invalid(prefix.span, message, help))
}

/// Spaces and tabs: what HTTP calls optional white space.
const BLANKS: [char; 2] = [' ', '\t'];

/// Fields whose values may hold commas that separate nothing (`spec/semantics.md` 1.3); `host` is no header of a rule.
const NOT_LISTS: &[&str] = &[
    "authorization",
    "cookie",
    "date",
    "expires",
    "if-modified-since",
    "if-unmodified-since",
    "last-modified",
    "retry-after",
    "set-cookie",
    "user-agent",
];

/// Whether a comma of the text separates two items of the header: one outside double quotes, in which a backslash
/// takes the next character along (RFC 9110 5.6.4).
fn has_separator(header: &Name, text: &Name) -> bool {
    let (mut quoted, mut escaped) = (false, false);
    let mut separates = |byte: u8| {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = quoted,
            b'"' => quoted = !quoted,
            _ => {}
        }
        byte == b',' && !quoted
    };
    !NOT_LISTS.contains(&header.value.as_str()) && text.value.bytes().any(&mut separates)
}

fn one_item(header: &Name) -> String {
    let name = &header.value;
    format!(
        "A comma separates the values of `{name}`, and a repeated value passes no test but `present`; name one of them."
    )
}

/// As a string of the language.
fn quoted(text: &str) -> String {
    format!("\"{}\"", shown(&text.replace('\\', "\\\\").replace('"', "\\\"")))
}

/// A header's name as a string, in lower case.
pub(super) fn header_name(input: Tokens<'_>) -> Parsed<'_, Name> {
    if input.first().is_none_or(|lexeme| lexeme.kind != TokenKind::String) {
        return expected(input, "the name of a header in double quotes");
    }
    let (rest, name) = string(input)?;
    match wrong_name(&name) {
        None => Ok((rest, name)),
        Some(diagnostic) => refuse(diagnostic),
    }
}

/// `header NAME = STRING` of a request in a test: the name may also stand without quotes.
pub(super) fn fact(input: Tokens<'_>) -> Parsed<'_, Condition> {
    let (rest, _) = keyword("header")(input)?;
    let bare = map(one(TokenKind::Word, "the name of a header"), |lexeme| Spanned {
        value: lexeme.text.to_string(),
        span: lexeme.span,
    });
    let (rest, name) = cut(alt((string, bare))).parse(rest)?;
    if let Some(diagnostic) = wrong_name(&name) {
        return refuse(diagnostic);
    }
    let (rest, value) = cut(preceded(one(TokenKind::Equals, "`=`"), string)).parse(rest)?;
    // A comma may stand here: a request can carry a list, and a test may ask what becomes of it.
    match around(&name, &value) {
        None => {
            let span = input.span_to(&rest);
            Ok((rest, Condition { span, negated: false, header: name, test: ValueTest::Equals(value) }))
        }
        Some(diagnostic) => refuse(diagnostic),
    }
}

fn wrong_name(name: &Name) -> Option<Diagnostic> {
    let text = name.value.as_str();
    let quoted = shown(text);
    if text.starts_with(':') {
        let help = "Methods and paths stand in the `match` line itself, hosts in the `route`.";
        return Some(invalid(name.span, format!("`{quoted}` is not a header"), help));
    }
    if text.is_empty() || !text.bytes().all(is_token_byte) {
        let help = "A header's name is made of letters, digits and `-`.";
        return Some(invalid(name.span, format!("`{quoted}` is not the name of a header"), help));
    }
    let lower = text.to_ascii_lowercase();
    if lower != text {
        let help = format!("Header names do not tell case apart; write `\"{lower}\"`.");
        return Some(invalid(name.span, format!("the header `{quoted}` is not in lower case"), help));
    }
    let reason = match text {
        "host" => "is decided before the rules are asked; write the host in the `route`",
        _ if HOP_BY_HOP.contains(&text) => "concerns one connection and is not part of the request",
        _ if text.starts_with("x-mesh-") => "belongs to the mesh itself",
        _ => return None,
    };
    Some(invalid(
        name.span,
        format!("a rule cannot look at the header `{quoted}`"),
        format!("The header `{quoted}` {reason}."),
    ))
}

/// RFC 9110 5.6.2
fn is_token_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)
}
