//! Names of things: DNS labels that are no words of the language, and references made of them.

use super::input::{Lexeme, Parsed, Tokens, after, expected, one, refuse};
use super::recover::shown;
use crate::ast::{Method, ServiceRef};
use crate::diagnostic::{Code, Diagnostic};
use crate::span::{Name, Span, Spanned};
use crate::token::TokenKind;

/// What a DNS label may have (RFC 1035 2.3.4).
const MAX_LABEL_BYTES: usize = 63;

/// What a whole DNS name, and so a SPIFFE trust domain, may have.
pub(super) const MAX_DOMAIN_BYTES: usize = 253;

/// Words of argument position, and the methods in any case: a name that looks like one would be read as one.
fn is_reserved(label: &str) -> bool {
    // A `match` on text compares lengths first: this is asked of every name.
    let word = matches!(
        label,
        "any"
            | "anyone"
            | "authenticated"
            | "unauthenticated"
            | "namespace"
            | "gateway"
            | "identity"
            | "from"
            | "to"
            | "except"
            | "when"
            | "and"
            | "or"
            | "not"
            | "in"
            | "on"
            | "per"
            | "port"
            | "host"
            | "listener"
            | "rest"
            | "none"
            | "self"
            | "expect"
            | "overrides"
            | "env"
            | "present"
            | "absent"
            | "has"
            | "prefix"
            | "suffix"
            | "contains"
            | "matches"
            | "grpc"
            | "true"
            | "false"
    );
    word || (label.len() <= 7 && Method::ALL.iter().any(|method| method.as_str().eq_ignore_ascii_case(label)))
}

/// Whether something can be called so.
pub(super) fn is_name(text: &str) -> bool {
    is_label(text) && !is_reserved(text)
}

/// A name that the file gives to something, or by which it calls it.
pub(super) fn name(input: Tokens<'_>) -> Parsed<'_, Name> {
    let (rest, lexeme) = word(input, "a name")?;
    match check(lexeme.text, lexeme.text, lexeme.span) {
        Ok(()) => Ok((rest, Spanned { value: lexeme.text.into(), span: lexeme.span })),
        Err(diagnostic) => refuse(diagnostic),
    }
}

/// A name that stands nowhere among other words: labels with `/` between, none of them reserved.
pub(super) fn title(input: Tokens<'_>) -> Parsed<'_, Name> {
    let (rest, lexeme) = word(input, "a name")?;
    if lexeme.text.split('/').all(is_label) {
        return Ok((rest, Spanned { value: lexeme.text.into(), span: lexeme.span }));
    }
    refuse(no_label(lexeme.text, lexeme.span))
}

/// `name` or `name.namespace`.
pub(super) fn service(input: Tokens<'_>) -> Parsed<'_, ServiceRef> {
    let (rest, lexeme) = word(input, "the name of a service")?;
    match service_ref(lexeme.text, lexeme.span) {
        Ok(service) => Ok((rest, service)),
        Err(diagnostic) => refuse(diagnostic),
    }
}

/// `name` or `name.namespace`, perhaps with `:subset`.
pub(super) fn service_and_subset(input: Tokens<'_>) -> Parsed<'_, (ServiceRef, Option<Name>)> {
    let (rest, lexeme) = word(input, "the name of a service")?;
    let whole = lexeme.span;
    let Some((service, subset)) = lexeme.text.split_once(':') else {
        return match service_ref(lexeme.text, whole) {
            Ok(service) => Ok((rest, (service, None))),
            Err(diagnostic) => refuse(diagnostic),
        };
    };
    let colon = whole.start() + service.len() as u32;
    let subset_span = Span::new(whole.file(), colon + 1, whole.end());
    let read = service_ref(service, Span::new(whole.file(), whole.start(), colon))
        .and_then(|service| check(subset, subset, subset_span).map(|()| service));
    match read {
        Ok(service) => Ok((rest, (service, Some(Spanned { value: subset.into(), span: subset_span })))),
        Err(diagnostic) => refuse(diagnostic),
    }
}

/// `port NAME`
pub(super) fn port(input: Tokens<'_>) -> Parsed<'_, Name> {
    after("port", name)(input)
}

/// A word that must be there; a number in its place is a name that begins with a digit.
fn word<'a>(input: Tokens<'a>, wanted: &'static str) -> Parsed<'a, Lexeme<'a>> {
    match input.first() {
        Some(lexeme) if lexeme.kind == TokenKind::Quantity => {
            expected(input, format!("{wanted}, which begins with a letter"))
        }
        _ => one(TokenKind::Word, wanted)(input),
    }
}

fn service_ref(text: &str, span: Span) -> Result<ServiceRef, Diagnostic> {
    let service = ServiceRef::new(span, text);
    check(service.name(), text, span)?;
    if let Some(namespace) = service.namespace() {
        check(namespace, text, span)?;
    }
    Ok(service)
}

/// Checks one label of what is written as `whole`.
fn check(label: &str, whole: &str, span: Span) -> Result<(), Diagnostic> {
    if is_reserved(label) {
        return Err(Diagnostic::new(
            Code::InvalidName,
            format!("`{}` is a word of the language and cannot be a name", shown(label)),
        )
        .at(span, "a name stands here")
        .help("Choose another name, for example one that says what the thing is for."));
    }
    if is_label(label) { Ok(()) } else { Err(no_label(whole, span)) }
}

fn no_label(whole: &str, span: Span) -> Diagnostic {
    let repaired = repaired(whole);
    let mut diagnostic =
        Diagnostic::new(Code::InvalidName, format!("`{}` cannot be a name", shown(whole))).at(span, "");
    if repaired != whole && is_label(&repaired) && !is_reserved(&repaired) {
        // Other letters for `_` and `.` could be the name of something else; another case of letters is the same word.
        let certain = repaired == whole.to_ascii_lowercase();
        diagnostic = diagnostic.help(format!("Write `{repaired}`.")).instead(whole, repaired, certain);
    } else {
        diagnostic = diagnostic.help(format!(
            "A name is made of lower-case letters, digits and `-`, begins with a letter, does not end with `-` and \
             has at most {MAX_LABEL_BYTES} characters."
        ));
    }
    diagnostic
}

fn is_label(text: &str) -> bool {
    let inside = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    text.len() <= MAX_LABEL_BYTES
        && text.bytes().all(inside)
        && text.bytes().next().is_some_and(|b| b.is_ascii_lowercase())
        && !text.ends_with('-')
}

/// The name that was probably meant.
fn repaired(text: &str) -> String {
    let dashes = text.to_ascii_lowercase().replace(['_', '.', ':', '/'], "-");
    dashes.trim_matches('-').into()
}
