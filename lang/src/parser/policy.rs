//! `authorize` and `guardrail`: who may do what.

use nom::Parser;
use nom::combinator::{cut, map, opt};

use super::condition::{Of, conditions};
use super::input::{Parsed, Tokens, after, expected, keyword, list, spanned};
use super::name::{name, port as port_name, service as service_name};
use super::route::ops;
use super::value::{string, trust_domain};
use crate::ast::{
    AuthorizeLine, Check, Destination, Effect, From, GuardrailLine, Op, Principal, PrincipalKind,
};
use crate::span::Name;
use crate::statement::Args;
use std::sync::Arc;

/// `TARGET, …`
pub(crate) fn targets(input: Tokens<'_>) -> Parsed<'_, Args> {
    map(list(service_name), Args::Services).parse(input)
}

pub(crate) fn allow(input: Tokens<'_>) -> Parsed<'_, Args> {
    line(Effect::Allow, input)
}

pub(crate) fn deny(input: Tokens<'_>) -> Parsed<'_, Args> {
    line(Effect::Deny, input)
}

pub(crate) fn audit(input: Tokens<'_>) -> Parsed<'_, Args> {
    line(Effect::Audit, input)
}

/// `[FROM] [to [port NAME] [OP, …]] [when COND and …]`
fn line(effect: Effect, input: Tokens<'_>) -> Parsed<'_, Args> {
    let (rest, from) = opt(from).parse(input)?;
    let (rest, to) = opt(after("to", to)).parse(rest)?;
    let (after_when, when) = conditions(Of::Access, rest)?;
    if from.is_none() && to.is_none() && when.is_empty() && rest.first().is_some() {
        return expected(rest, "`from`, `to` or `when`");
    }
    // The compiler says what an `allow` without `from` would mean.
    let (port, ops) = to.unwrap_or_default();
    let port = port.map(Box::new);
    let (ops, when) = (ops.into(), when.into());
    let span = input.statement();
    Ok((after_when, Args::AuthorizeLine(Arc::new(AuthorizeLine { span, effect, from, port, ops, when }))))
}

/// `ext-authz NAME [to [port NAME] [OP, …]]`
pub(crate) fn check(input: Tokens<'_>) -> Parsed<'_, Args> {
    let (rest, ext_authz) = after("ext-authz", name)(input)?;
    let (rest, to) = opt(after("to", to)).parse(rest)?;
    let (port, ops) = to.unwrap_or_default();
    let span = input.span_to(&rest);
    Ok((rest, Args::Check(Box::new(Check { span, ext_authz, port, ops }))))
}

/// `audit until STRING`
pub(crate) fn mode(input: Tokens<'_>) -> Parsed<'_, Args> {
    let (rest, _) = keyword("audit")(input)?;
    map(after("until", string), Args::Mode).parse(rest)
}

/// `[FROM] [to DESTINATION, … [OP, …]] [when COND and …]`
pub(crate) fn guardrail(input: Tokens<'_>) -> Parsed<'_, Args> {
    let (rest, from) = opt(from).parse(input)?;
    let (rest, to) = opt(after("to", list(destination))).parse(rest)?;
    let (rest, ops) = match (&to, rest.first_word()) {
        (Some(_), word) if rest.first().is_some() && word != Some("when") => ops(rest)?,
        _ => (rest, Vec::new()),
    };
    let (after_when, when) = conditions(Of::Access, rest)?;
    if from.is_none() && to.is_none() && when.is_empty() {
        return expected(rest, "`from`, `to` or `when`");
    }
    let span = input.span_to(&after_when);
    let to = to.unwrap_or_default();
    Ok((after_when, Args::Guardrail(Box::new(GuardrailLine { span, from, to, ops, when }))))
}

/// `namespace NAME`, `gateway NAME`, or the name of a service or gateway.
pub(super) fn destination(input: Tokens<'_>) -> Parsed<'_, Destination> {
    match input.first_word() {
        Some("namespace") => map(after("namespace", name), Destination::Namespace).parse(input),
        Some("gateway") => map(after("gateway", service_name), Destination::Gateway).parse(input),
        _ => map(service_name, Destination::Target).parse(input),
    }
}

type To = (Option<Name>, Vec<Op>);

/// `[port NAME] [OP, …]`, not both missing.
fn to(input: Tokens<'_>) -> Parsed<'_, To> {
    let (rest, port) = opt(port_name).parse(input)?;
    match rest.first() {
        None if port.is_some() => Ok((rest, (port, Vec::new()))),
        Some(_) if port.is_some() && rest.first_word() == Some("when") => Ok((rest, (port, Vec::new()))),
        _ => map(ops, |ops| (port.clone(), ops)).parse(rest),
    }
}

/// `from PRINCIPAL, … [except PRINCIPAL, …]`
pub(super) fn from(input: Tokens<'_>) -> Parsed<'_, From> {
    let parts = (after("from", list(principal)), opt(after("except", list(principal))));
    spanned(parts, |span, (principals, except)| From {
        span,
        principals: principals.into(),
        except: except.unwrap_or_default().into(),
    })(input)
}

pub(super) fn principal(input: Tokens<'_>) -> Parsed<'_, Principal> {
    spanned(principal_kind, |span, kind| Principal { span, kind })(input)
}

fn principal_kind(input: Tokens<'_>) -> Parsed<'_, PrincipalKind> {
    let Some(word) = input.first_word() else { return expected(input, "a principal") };
    let rest = nom::Input::take_from(&input, 1);
    match word {
        "gateway" => map(cut(service_name), PrincipalKind::Gateway).parse(rest),
        "namespace" => map(cut(name), |name| PrincipalKind::Namespace(name.value)).parse(rest),
        "identity" => map(cut(string), |name| PrincipalKind::Identity(name.value)).parse(rest),
        "trust-domain" => map(cut(trust_domain), |name| PrincipalKind::TrustDomain(name.value)).parse(rest),
        "authenticated" => Ok((rest, PrincipalKind::Authenticated)),
        "unauthenticated" => Ok((rest, PrincipalKind::Unauthenticated)),
        "anyone" => Ok((rest, PrincipalKind::Anyone)),
        _ => map(service_name, PrincipalKind::Service).parse(input),
    }
}
