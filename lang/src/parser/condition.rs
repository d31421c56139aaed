//! `when`: conditions on what a request carries, and the names and values that may stand in them.

use nom::Parser;
use nom::branch::alt;
use nom::combinator::{cut, map, opt, value};
use nom::multi::many1;
use nom::sequence::{delimited, preceded};

use super::input::{Parsed, Tokens, after, expected, joined, keyword, list, one, refuse};
use super::recover::{listed, shown};
use super::value::{invalid, string};
use super::{host, name, path};
use crate::ast::{Condition, Field, ValueTest};
use crate::diagnostic::{Code, Diagnostic};
use crate::lexer::unescape_regex;
use crate::span::{Name, Span, Spanned};
use crate::token::TokenKind;

/// They say something about one connection, not about the request (RFC 9110 7.6.1).
const HOP_BY_HOP: &[&str] =
    &["connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"];

/// Where conditions stand.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    /// A `match`: the host stands in the `route`.
    Match,
    /// An `allow` or a `deny`.
    Access,
}

/// `when COND and COND …`; empty where there is no `when`.
pub(super) fn conditions(of: Of, input: Tokens<'_>) -> Parsed<'_, Vec<Condition>> {
    if input.first_word() != Some("when") {
        return Ok((input, Vec::new()));
    }
    let one = |input| condition(of, input);
    preceded(keyword("when"), cut(joined(keyword("and"), one))).parse(input)
}

/// `[not] FIELD TEST`
fn condition(of: Of, input: Tokens<'_>) -> Parsed<'_, Condition> {
    let (rest, not) = opt(keyword("not")).parse(input)?;
    if let Some(diagnostic) = rest.first_word().and_then(|word| misplaced(of, word, rest.here())) {
        return refuse(diagnostic);
    }
    let (rest, field) = field(rest)?;
    let at = rest;
    let (rest, test) = cut(value_test).parse(rest)?;
    if let Some(diagnostic) = unfit(&field, &test, at.here()).or_else(|| never_holds(&field, &test)) {
        return refuse(diagnostic);
    }
    let span = input.span_to(&rest);
    Ok((rest, Condition { span, negated: not.is_some(), field, test }))
}

/// What a condition does not look at by this word, or not here.
fn misplaced(of: Of, word: &str, span: Span) -> Option<Diagnostic> {
    let (message, help) = match word {
        "ip" => (
            "`ip` could be two addresses".to_owned(),
            "Write `source-ip` for the other end of the connection, `client-ip` for who asked the first trusted proxy.",
        ),
        "method" => (
            "a condition does not look at the method".to_owned(),
            "Methods stand before the path: `GET|POST /reviews/{id}`.",
        ),
        "host" if of == Of::Match => (
            "a rule does not look at the host".to_owned(),
            "The host is decided before the rules are asked; write it in the `route`.",
        ),
        _ => return None,
    };
    Some(Diagnostic::new(Code::UnexpectedToken, message).at(span, "").help(help))
}

fn field(input: Tokens<'_>) -> Parsed<'_, Field> {
    alt((
        map(after("header", header_name), Field::Header),
        map(after("query", query_name), Field::Query),
        map(after("cookie", cookie_name), Field::Cookie),
        map(after("claim", (opt(name::name), many1(claim_name))), |(issuer, path)| Field::Claim {
            issuer,
            path,
        }),
        map(after("jwt", name::name), Field::Jwt),
        value(Field::SourceIp, keyword("source-ip")),
        value(Field::ClientIp, keyword("client-ip")),
        value(Field::Path, keyword("path")),
        value(Field::Host, keyword("host")),
    ))
    .parse(input)
}

fn value_test(input: Tokens<'_>) -> Parsed<'_, ValueTest> {
    let equals =
        |input| map(preceded(one(TokenKind::Equals, "`=`"), cut(string)), ValueTest::Equals).parse(input);
    // Most tests are `=`: no list of what else it could have been is begun for them.
    if input.first().is_some_and(|lexeme| lexeme.kind == TokenKind::Equals) {
        return equals(input);
    }
    let values = delimited(one(TokenKind::OpenParen, "`(`"), list(string), one(TokenKind::CloseParen, "`)`"));
    alt((
        value(ValueTest::Present, keyword("present")),
        value(ValueTest::Absent, keyword("absent")),
        equals,
        map(preceded(one(TokenKind::NotEquals, "`!=`"), cut(string)), ValueTest::NotEquals),
        map(after("in", values), ValueTest::In),
        map(after("prefix", string), ValueTest::Prefix),
        map(after("suffix", string), ValueTest::Suffix),
        map(after("contains", string), ValueTest::Contains),
        map(after("has", string), ValueTest::Has),
        map(after("matches", regex), ValueTest::Matches),
    ))
    .parse(input)
}

fn regex(input: Tokens<'_>) -> Parsed<'_, Name> {
    let (rest, lexeme) = one(TokenKind::Regex, "a regex, as in `re\"v[12]\"`")(input)?;
    Ok((rest, Spanned { value: unescape_regex(lexeme.text).into(), span: lexeme.span }))
}

/// The tests that a field can be put to.
fn tests_of(field: &Field) -> &'static [&'static str] {
    match field {
        Field::Header(_) | Field::Query(_) | Field::Cookie(_) | Field::Claim { .. } => {
            &["present", "absent", "=", "!=", "in", "prefix", "suffix", "contains", "has", "matches"]
        }
        Field::Jwt(_) => &["present", "absent"],
        Field::SourceIp => &["=", "!=", "in"],
        Field::ClientIp => &["present", "absent", "=", "!=", "in"],
        Field::Path => &["=", "!=", "in", "prefix", "suffix", "contains", "matches"],
        Field::Host => &["=", "!=", "in", "suffix"],
    }
}

/// A test that this field cannot be put to.
fn unfit(field: &Field, test: &ValueTest, span: Span) -> Option<Diagnostic> {
    let word = match test {
        ValueTest::Present => "present",
        ValueTest::Absent => "absent",
        ValueTest::Equals(_) => "=",
        ValueTest::NotEquals(_) => "!=",
        ValueTest::In(_) => "in",
        ValueTest::Prefix(_) => "prefix",
        ValueTest::Suffix(_) => "suffix",
        ValueTest::Contains(_) => "contains",
        ValueTest::Has(_) => "has",
        ValueTest::Matches(_) => "matches",
    };
    let fitting = tests_of(field);
    if fitting.contains(&word) {
        return None;
    }
    let what = match field {
        Field::Jwt(_) => "jwt",
        Field::SourceIp => "source-ip",
        Field::ClientIp => "client-ip",
        Field::Path => "path",
        _ => "host",
    };
    let why = match (field, word) {
        (Field::SourceIp | Field::Path | Field::Host, "present" | "absent") => "is always there",
        (Field::Path | Field::Host, "has") => "is no list",
        _ => "is not a question for it",
    };
    let fitting: Vec<String> = fitting.iter().map(|word| format!("`{word}`")).collect();
    Some(
        Diagnostic::new(Code::UnexpectedToken, format!("`{what}` cannot be asked `{word}`"))
            .at(
                span,
                if why == "is not a question for it" { String::new() } else { format!("`{what}` {why}") },
            )
            .help(format!("Of `{what}` can be asked {}.", listed(&fitting, "or"))),
    )
}

/// A test whose value no request can have: it would never match, or always.
fn never_holds(field: &Field, test: &ValueTest) -> Option<Diagnostic> {
    match (field, test) {
        (_, ValueTest::Present | ValueTest::Absent | ValueTest::Matches(_)) => None,
        (Field::Header(header), test) => never_in_header(header, test),
        (Field::Query(_), test) => written_values(test).find_map(not_decoded),
        (Field::Cookie(name), test) => {
            let whole = matches!(test, ValueTest::Equals(_) | ValueTest::NotEquals(_) | ValueTest::In(_));
            written_values(test).find_map(|value| never_in_cookie(name, value, whole))
        }
        (Field::Path, ValueTest::Equals(_) | ValueTest::NotEquals(_) | ValueTest::In(_)) => {
            written_values(test).find_map(path::not_concrete)
        }
        (Field::Path, test) => {
            let begins = matches!(test, ValueTest::Prefix(_));
            written_values(test).find_map(|value| path::not_a_part(value, begins))
        }
        (Field::Host, ValueTest::Suffix(suffix)) => host::not_a_suffix(suffix),
        (Field::Host, test) => written_values(test).find_map(host::not_a_host),
        (Field::Claim { .. } | Field::Jwt(_) | Field::SourceIp | Field::ClientIp, _) => None,
    }
}

/// The strings of a test.
fn written_values(test: &ValueTest) -> impl Iterator<Item = &Name> {
    let all = match test {
        ValueTest::Present | ValueTest::Absent | ValueTest::Matches(_) => &[],
        ValueTest::In(values) => values.as_slice(),
        ValueTest::Equals(value)
        | ValueTest::NotEquals(value)
        | ValueTest::Prefix(value)
        | ValueTest::Suffix(value)
        | ValueTest::Contains(value)
        | ValueTest::Has(value) => std::slice::from_ref(value),
    };
    all.iter()
}

/// The value of a query parameter is compared as it is when decoded.
fn not_decoded(value: &Name) -> Option<Diagnostic> {
    let bytes = value.value.as_bytes();
    let at = bytes.windows(3).position(|triplet| {
        triplet[0] == b'%' && triplet[1].is_ascii_hexdigit() && triplet[2].is_ascii_hexdigit()
    })?;
    let triplet = &value.value[at..at + 3];
    let byte = u8::from_str_radix(&triplet[1..], 16).unwrap_or_default();
    let help = if (b' '..=b'~').contains(&byte) {
        format!("The value is compared after decoding; write `{}` for `{triplet}`.", byte as char)
    } else {
        "The value is compared after decoding; write the character itself.".to_owned()
    };
    Some(invalid(value.span, format!("`{}` is percent-encoded", shown(&value.value)), help))
}

/// `;` ends a cookie, and blanks around its value are not part of it (RFC 6265 5.2).
fn never_in_cookie(name: &Name, value: &Name, whole: bool) -> Option<Diagnostic> {
    let text = value.value.as_str();
    let trimmed = text.trim_matches(BLANKS);
    let help = if text.contains(';') {
        "A `;` ends the value of a cookie.".to_owned()
    } else if whole && trimmed != text {
        format!("The spaces and tabs around a value are not part of it; write `{}`.", quoted(trimmed))
    } else {
        return None;
    };
    let message = format!("the cookie `{}` never has the value `{}`", shown(&name.value), shown(text));
    Some(invalid(value.span, message, help))
}

fn never_in_header(header: &Name, test: &ValueTest) -> Option<Diagnostic> {
    match test {
        ValueTest::Present | ValueTest::Absent | ValueTest::Matches(_) | ValueTest::Contains(_) => None,
        ValueTest::Equals(value) | ValueTest::NotEquals(value) | ValueTest::Has(value) => {
            never_a_value(header, value)
        }
        ValueTest::In(values) => values.iter().find_map(|value| never_a_value(header, value)),
        ValueTest::Prefix(prefix) => never_a_beginning(header, prefix),
        ValueTest::Suffix(suffix) => never_an_end(header, suffix),
    }
}

fn never_a_value(header: &Name, value: &Name) -> Option<Diagnostic> {
    let items = || invalid(value.span, never_has(header, value), one_item(header));
    around(header, value).or_else(|| has_separator(header, value).then(items))
}

/// Spaces and tabs around a value: HTTP takes them away (RFC 9110 5.5).
fn around(header: &Name, value: &Name) -> Option<Diagnostic> {
    let trimmed = value.value.trim_matches(BLANKS);
    if trimmed == value.value {
        return None;
    }
    let help = format!("The spaces and tabs around a value are not part of it; write `{}`.", quoted(trimmed));
    Some(invalid(value.span, never_has(header, value), help))
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

/// A blank at the beginning of a suffix may be one inside the value, and so may a comma: in quotes that began before.
fn never_an_end(header: &Name, suffix: &Name) -> Option<Diagnostic> {
    let trimmed = suffix.value.trim_end_matches(BLANKS);
    if trimmed == suffix.value {
        return None;
    }
    let message = format!("no value of the header `{}` ends with `{}`", header.value, shown(&suffix.value));
    let help = format!("The spaces and tabs behind a value are not part of it; write `{}`.", quoted(trimmed));
    Some(invalid(suffix.span, message, help))
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

/// The name of a query parameter, decoded.
fn query_name(input: Tokens<'_>) -> Parsed<'_, Name> {
    if input.first().is_none_or(|lexeme| lexeme.kind != TokenKind::String) {
        return expected(input, "the name of a query parameter in double quotes");
    }
    let (rest, name) = string(input)?;
    match not_decoded(&name) {
        None => Ok((rest, name)),
        Some(diagnostic) => refuse(diagnostic),
    }
}

fn cookie_name(input: Tokens<'_>) -> Parsed<'_, Name> {
    if input.first().is_none_or(|lexeme| lexeme.kind != TokenKind::String) {
        return expected(input, "the name of a cookie in double quotes");
    }
    let (rest, name) = string(input)?;
    if !name.value.is_empty() && name.value.bytes().all(is_token_byte) {
        return Ok((rest, name));
    }
    let message = format!("`{}` is not the name of a cookie", shown(&name.value));
    refuse(invalid(
        name.span,
        message,
        "A cookie's name is made of letters, digits and characters like `-` and `_`.",
    ))
}

fn claim_name(input: Tokens<'_>) -> Parsed<'_, Name> {
    if input.first().is_none_or(|lexeme| lexeme.kind != TokenKind::String) {
        return expected(input, "the name of a claim in double quotes");
    }
    let (rest, name) = string(input)?;
    if !name.value.is_empty() {
        return Ok((rest, name));
    }
    refuse(invalid(name.span, "a claim has a name".into(), "Write the name as it stands in the token."))
}

/// `FIELD = STRING` of a request in a test, `claim … has STRING` or `jwt NAME present`: what the request carries.
pub(super) fn fact(input: Tokens<'_>) -> Parsed<'_, Condition> {
    if input.first_word() == Some("header") {
        return header_fact(input);
    }
    let (rest, condition) = condition(Of::Access, input)?;
    let help = match (&condition.field, &condition.test, condition.negated) {
        (Field::Path, _, _) => "The path stands behind the method.",
        (Field::Host, _, _) => "The host stands behind the gateway, as a string.",
        (Field::Jwt(_), ValueTest::Present, false) => return Ok((rest, condition)),
        (Field::Jwt(_), _, _) => "Write `jwt NAME present`; what is not said is absent.",
        (Field::Claim { .. }, ValueTest::Has(_), false) => return Ok((rest, condition)),
        (_, ValueTest::Equals(_), false) => return Ok((rest, condition)),
        _ => "Write a value, `= \"…\"`; what is not said is absent.",
    };
    refuse(
        Diagnostic::new(Code::UnexpectedToken, "this does not say what the request carries")
            .at(condition.span, "a request is one request")
            .help(help),
    )
}

/// `header NAME = STRING`: the name may also stand without quotes.
fn header_fact(input: Tokens<'_>) -> Parsed<'_, Condition> {
    let (rest, _) = keyword("header")(input)?;
    let bare = map(one(TokenKind::Word, "the name of a header"), |lexeme| Spanned {
        value: lexeme.text.into(),
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
            let (field, test) = (Field::Header(name), ValueTest::Equals(value));
            Ok((rest, Condition { span, negated: false, field, test }))
        }
        Some(diagnostic) => refuse(diagnostic),
    }
}

fn wrong_name(name: &Name) -> Option<Diagnostic> {
    let text = name.value.as_str();
    let upper = text.bytes().any(|byte| byte.is_ascii_uppercase());
    let usual = !upper && !text.is_empty() && text.bytes().all(is_token_byte);
    if usual && reserved(text).is_none() {
        return None;
    }
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
        let problem = invalid(name.span, format!("the header `{quoted}` is not in lower case"), help);
        return Some(problem.instead(text, lower, true));
    }
    let reason = reserved(text)?;
    Some(invalid(
        name.span,
        format!("a rule cannot look at the header `{quoted}`"),
        format!("The header `{quoted}` {reason}."),
    ))
}

/// Why a rule cannot look at a header.
fn reserved(text: &str) -> Option<&'static str> {
    match text {
        "host" => Some("is decided before the rules are asked; write the host in the `route`"),
        "cookie" => Some("holds many values; ask for one of them, as in `cookie \"type\" = \"insider\"`"),
        _ if HOP_BY_HOP.contains(&text) => Some("concerns one connection and is not part of the request"),
        _ if text.starts_with("x-mesh-") => Some("belongs to the mesh itself"),
        _ => None,
    }
}

/// RFC 9110 5.6.2
fn is_token_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)
}
