//! `route`, its rules, and the operations and backends that other statements share.

use nom::Parser;
use nom::branch::alt;
use nom::combinator::{cut, map, opt, value};
use nom::multi::many0;
use nom::sequence::preceded;

use super::condition::{self, Of};
use super::input::{
    Growing, Parsed, Problem, Tokens, Wanted, after, comma, expected, grown, keyword, list, no_way_back, one,
    refuse,
};
use super::name::{name, port as port_name, service as service_name, service_and_subset};
use super::policy::principal;
use super::recover::shown;
use super::value::{invalid, method, percent, status, text, word_of};
use super::{host, path};
use crate::ast::{Action, Backend, Match, Methods, Op, Path, Redirect, RedirectTo, Route, Weight};
use crate::span::{Name, Span, Spanned};
use crate::statement::Args;
use crate::token::TokenKind;

/// `TARGET [port NAME] [listener NAME] [host STRING, …] [from PRINCIPAL, …]`
pub(crate) fn route(input: Tokens<'_>) -> Parsed<'_, Args> {
    let (rest, target) = service_name(input)?;
    let (rest, port) = opt(port_name).parse(rest)?;
    let (rest, listener) = opt(listener_name).parse(rest)?;
    let (rest, hosts) = opt(after("host", host::patterns)).parse(rest)?;
    let (rest, from) = opt(after("from", list(principal))).parse(rest)?;
    let route = Route {
        span: input.span_to(&rest),
        target,
        port,
        listener,
        hosts: hosts.unwrap_or_default(),
        from: from.unwrap_or_default(),
        rules: Vec::new(),
        otherwise: None,
    };
    Ok((rest, Args::Route(Box::new(route))))
}

/// `listener NAME`
pub(super) fn listener_name(input: Tokens<'_>) -> Parsed<'_, Name> {
    after("listener", name)(input)
}

/// `STATUS`
pub(crate) fn otherwise(input: Tokens<'_>) -> Parsed<'_, Args> {
    map(status("a status for `otherwise`", 400..=599), Args::Status).parse(input)
}

/// `NAME [overrides NAME, …]`
pub(crate) fn rule(input: Tokens<'_>) -> Parsed<'_, Args> {
    let (rest, (name, overrides)) = (name, opt(after("overrides", list(name)))).parse(input)?;
    Ok((rest, Args::Rule(Box::new((name, overrides.unwrap_or_default())))))
}

/// `BACKEND, …`
pub(crate) fn to(input: Tokens<'_>) -> Parsed<'_, Args> {
    map(backends, |backends| Args::Action(Box::new(Action::To(backends)))).parse(input)
}

pub(crate) fn redirect(input: Tokens<'_>) -> Parsed<'_, Args> {
    map(redirect_to, |redirect| Args::Action(Box::new(Action::Redirect(redirect)))).parse(input)
}

/// `PATH-OR-URL STATUS`, `prefix PATH STATUS` or `[scheme WORD] [host STRING] STATUS`
pub(super) fn redirect_to(input: Tokens<'_>) -> Parsed<'_, Redirect> {
    let (rest, to) = match input.first_word() {
        Some("prefix") => map(after("prefix", path::concrete), RedirectTo::Prefix).parse(input)?,
        Some("scheme" | "host") => {
            let scheme = opt(after("scheme", word_of("a scheme", &["https", "http"])));
            let (rest, (scheme, host)) = (scheme, opt(after("host", host::host))).parse(input)?;
            let scheme = scheme.map(|word| Spanned { value: word.value.into(), span: word.span });
            (rest, RedirectTo::Parts { scheme, host })
        }
        _ => match path::location(input) {
            Err(nom::Err::Error(_)) => return expected(input, "a path, a URL, `prefix`, `scheme` or `host`"),
            other => map(|_| other.clone(), RedirectTo::Location).parse(input)?,
        },
    };
    let (after, code) = status("a redirect status", 100..=999)(rest)?;
    if matches!(code.value, 301 | 302 | 303 | 307 | 308) {
        return Ok((after, Redirect { to, status: code }));
    }
    let message = format!("`{}` is not a redirect status", code.value);
    refuse(invalid(code.span, message, "Write 301, 302, 303, 307 or 308."))
}

/// `STATUS [STRING]`
pub(crate) fn respond(input: Tokens<'_>) -> Parsed<'_, Args> {
    let parts = (status("a status to answer with", 200..=599), opt(text));
    map(parts, |(status, body)| Args::Action(Box::new(Action::Respond { status, body }))).parse(input)
}

/// `[OP, …] [when COND and …]`
pub(crate) fn match_line(input: Tokens<'_>) -> Parsed<'_, Args> {
    let (rest, found) = match input.first_word() {
        Some("when") => (input, Vec::new()),
        _ => match ops(input) {
            Err(nom::Err::Error(Problem::Expected { at, wanted })) => {
                let wanted = wanted.or(Wanted::Word("when"));
                return Err(nom::Err::Error(Problem::Expected { at, wanted }));
            }
            other => other?,
        },
    };
    let (rest, when) = condition::conditions(Of::Match, rest)?;
    let span = input.span_to(&rest);
    Ok((rest, Args::Match(Box::new(Match { span, ops: found, when }))))
}

/// `OP, …`
pub(super) fn ops(input: Tokens<'_>) -> Parsed<'_, Vec<Op>> {
    let mut all = Growing::new();
    let mut rest = add_op(&mut all, input)?;
    while let Ok((behind, _)) = comma(rest) {
        rest = add_op(&mut all, behind).map_err(no_way_back)?;
    }
    Ok((rest, grown(all)))
}

/// `METHOD|METHOD PATH`, or one of both; or `grpc SERVICE[/METHOD|METHOD]`, one for each of its methods.
pub(super) fn op(input: Tokens<'_>) -> Parsed<'_, Vec<Op>> {
    let mut all = Growing::new();
    add_op(&mut all, input).map(|rest| (rest, grown(all)))
}

/// Adds it to a list and gives what follows it.
fn add_op<'a>(all: &mut Growing<Op>, input: Tokens<'a>) -> Result<Tokens<'a>, nom::Err<Problem>> {
    if input.first_word() == Some("grpc") {
        let (rest, more) = after("grpc", grpc)(input)?;
        all.extend(more);
        return Ok(rest);
    }
    let (rest, methods) = match input.first() {
        Some(lexeme) if lexeme.kind == TokenKind::Word => methods(input)?,
        _ => (input, Methods::default()),
    };
    let path_follows =
        rest.first().is_some_and(|lexeme| matches!(lexeme.kind, TokenKind::Path | TokenKind::String));
    let (rest, path) = match (path_follows, methods.is_empty()) {
        (true, _) => map(path::pattern, Some).parse(rest)?,
        (false, false) => (rest, None),
        (false, true) => return a_method_or_a_path(rest),
    };
    all.push(Op { span: input.span_to(&rest), methods, path, grpc: false });
    Ok(rest)
}

/// `pkg.Service`, `pkg.Service/Method|Method`: the paths that gRPC calls have.
fn grpc(input: Tokens<'_>) -> Parsed<'_, Vec<Op>> {
    let (rest, first) = one(TokenKind::Word, "a gRPC service like `shop.Cart`")(input)?;
    let (service, method) =
        first.text.split_once('/').map_or((first.text, None), |(service, method)| (service, Some(method)));
    let more = preceded(one(TokenKind::Pipe, "`|`"), cut(one(TokenKind::Word, "a method of the service")));
    let (rest, more) = if method.is_some() { many0(more).parse(rest)? } else { (rest, Vec::new()) };
    let wrong = std::iter::once((service, first.span))
        .chain(method.map(|method| (method, first.span)))
        .chain(more.iter().map(|lexeme| (lexeme.text, lexeme.span)))
        .find(|(text, _)| !text.split('.').all(is_proto_name));
    let dotted =
        method.into_iter().chain(more.iter().map(|lexeme| lexeme.text)).any(|name| name.contains('.'));
    if let Some((text, span)) = wrong.or(dotted.then_some((first.text, first.span))) {
        let message = format!("`{}` is not a name of gRPC", shown(text));
        return refuse(invalid(span, message, "Write `grpc shop.Cart` or `grpc shop.Cart/Add|Remove`."));
    }
    let op = |method: Option<&str>, span: Span| {
        let path = format!("/{service}/{}", method.unwrap_or("**"));
        let path = Some(Spanned { value: Path::new(path.into()), span });
        Op { span, methods: Methods::default(), path, grpc: true }
    };
    let ops = std::iter::once(op(method, first.span));
    Ok((rest, ops.chain(more.iter().map(|lexeme| op(Some(lexeme.text), lexeme.span))).collect()))
}

/// An identifier of protobuf.
fn is_proto_name(text: &str) -> bool {
    let inside = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    text.bytes().next().is_some_and(|b| !b.is_ascii_digit()) && text.bytes().all(inside)
}

fn a_method_or_a_path<T>(input: Tokens<'_>) -> Result<T, nom::Err<Problem>> {
    let wanted = Wanted::Text("a method").or(Wanted::Text("a path"));
    Err(nom::Err::Error(Problem::Expected { at: input.here(), wanted }))
}

/// `METHOD|METHOD`
fn methods(input: Tokens<'_>) -> Parsed<'_, Methods> {
    let (mut rest, first) = match method(input) {
        Err(nom::Err::Error(_)) => return a_method_or_a_path(input),
        other => other?,
    };
    let mut all = Methods::from_iter([first.value]);
    while let Ok((behind, _)) = one(TokenKind::Pipe, "`|`")(rest) {
        let (behind, next) = cut(method).parse(behind)?;
        all.insert(next.value);
        rest = behind;
    }
    Ok((rest, all))
}

/// `BACKEND, …`
pub(super) fn backends(input: Tokens<'_>) -> Parsed<'_, Vec<Backend>> {
    list(backend)(input)
}

/// `SERVICE[:SUBSET] [port NAME] [PERCENT|rest]`
pub(super) fn backend(input: Tokens<'_>) -> Parsed<'_, Backend> {
    let rest_of_all = value(Weight::Rest, keyword("rest"));
    let share = map(percent, |share| Weight::Percent(share.value));
    let (rest, (service, subset)) = service_and_subset(input)?;
    let (rest, port) = opt(port_name).parse(rest)?;
    let (after, weight) = opt(alt((rest_of_all, share))).parse(rest)?;
    let weight = weight.map(|value| Spanned { value, span: rest.span_to(&after) });
    let span = input.span_to(&after);
    Ok((after, Backend { span, service, subset, port, weight }))
}
