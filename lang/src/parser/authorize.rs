//! `authorize`: who may do what.

use nom::Parser;
use nom::combinator::{cut, map, opt};

use super::input::{Parsed, Tokens, after, expected, list, refuse, spanned};
use super::name::{name, port as port_name, service as service_name};
use super::recover::{Line, Reader};
use super::route::ops;
use super::unknown;
use super::value::string;
use crate::ast::{Authorize, AuthorizeLine, Effect, From, Op, Principal, PrincipalKind};
use crate::span::Name;
use crate::token::TokenKind;

/// Ways to say who that this version does not know.
const OTHER_PRINCIPALS: &[&str] = &["group", "jwt", "profile", "ip", "claim"];

pub(super) fn authorize(reader: &mut Reader<'_>, line: &Line<'_>) -> Option<Authorize> {
    let targets = reader.head(line, |input| list(service_name)(input));
    let mut lines = Vec::new();
    for inner in reader.body(line, targets.is_some()) {
        let effect = if inner.keyword() == "allow" { Effect::Allow } else { Effect::Deny };
        let Some((from, to)) = reader.leaf(&inner, line_arguments) else { continue };
        let (port, ops) = to.unwrap_or_default();
        lines.push(AuthorizeLine { span: inner.span, effect, from, port, ops });
    }
    Some(Authorize { span: line.span, targets: targets?, lines })
}

type To = (Option<Name>, Vec<Op>);

/// `[FROM] [to [port NAME] [OP, …]]`
fn line_arguments(input: Tokens<'_>) -> Parsed<'_, (Option<From>, Option<To>)> {
    let (rest, from) = opt(from).parse(input)?;
    let (rest, to) = opt(after("to", to)).parse(rest)?;
    if rest.first_word() == Some("when") {
        return refuse(unknown::not_executed("when", rest.here()));
    }
    if from.is_none() && to.is_none() {
        return match rest.first() {
            // The compiler says what an `allow` without `from` would mean.
            None => Ok((rest, (from, to))),
            Some(_) => expected(rest, "`from` or `to`"),
        };
    }
    Ok((rest, (from, to)))
}

/// `[port NAME] [OP, …]`, not both missing.
fn to(input: Tokens<'_>) -> Parsed<'_, To> {
    let (rest, port) = opt(port_name).parse(input)?;
    match rest.first() {
        None if port.is_some() => Ok((rest, (port, Vec::new()))),
        _ => map(ops, |ops| (port.clone(), ops)).parse(rest),
    }
}

/// `from PRINCIPAL, … [except PRINCIPAL, …]`
fn from(input: Tokens<'_>) -> Parsed<'_, From> {
    let parts = (after("from", list(principal)), opt(after("except", list(principal))));
    spanned(parts, |span, (principals, except)| From { span, principals, except: except.unwrap_or_default() })(
        input,
    )
}

pub(super) fn principal(input: Tokens<'_>) -> Parsed<'_, Principal> {
    spanned(principal_kind, |span, kind| Principal { span, kind })(input)
}

fn principal_kind(input: Tokens<'_>) -> Parsed<'_, PrincipalKind> {
    let Some(word) = input.first_word() else { return expected(input, "a principal") };
    let argument_follows =
        input.second().is_some_and(|lexeme| matches!(lexeme.kind, TokenKind::Word | TokenKind::String));
    let rest = nom::Input::take_from(&input, 1);
    match word {
        "gateway" => map(cut(service_name), PrincipalKind::Gateway).parse(rest),
        "namespace" => map(cut(name), |name| PrincipalKind::Namespace(name.value)).parse(rest),
        "identity" => map(cut(string), |name| PrincipalKind::Identity(name.value)).parse(rest),
        "authenticated" => Ok((rest, PrincipalKind::Authenticated)),
        "unauthenticated" => Ok((rest, PrincipalKind::Unauthenticated)),
        "anyone" => Ok((rest, PrincipalKind::Anyone)),
        _ if OTHER_PRINCIPALS.contains(&word) && argument_follows => {
            refuse(unknown::not_executed(word, input.here()))
        }
        _ => map(service_name, PrincipalKind::Service).parse(input),
    }
}
