//! `test`: requests and what is to become of them.

use std::collections::BTreeMap;

use nom::Parser;
use nom::branch::alt;
use nom::combinator::{map, opt, value};
use nom::multi::many0;

use super::condition::{self, Of};
use super::input::{Parsed, Tokens, after, expected, joined, keyword, list, refuse, spanned};
use super::name::{name, port as port_name};
use super::policy::{destination, from};
use super::recover::shown;
use super::route::{backends, listener_name, ops, redirect_to};
use super::traffic::{fault_of, mirror_to};
use super::value::{invalid, method, retry_count, status, string, timeout};
use super::{host, path};
use crate::ast::{
    Asked, Condition, Expect, ExpectedOutcome, Fault, Field, From, Method, Mirror, Op, PrincipalKind,
    Quantifier, TestLine,
};
use crate::diagnostic::{Code, Diagnostic};
use crate::span::{Name, Span, Spanned};
use crate::statement::Args;
use crate::token::TokenKind;

/// `STRING [in ENVIRONMENT, …]`
pub(crate) fn test(input: Tokens<'_>) -> Parsed<'_, Args> {
    let (rest, (title, environments)) = (string, opt(after("in", list(name)))).parse(input)?;
    Ok((rest, Args::Test(Box::new((title, environments.unwrap_or_default())))))
}

pub(crate) fn request(input: Tokens<'_>) -> Parsed<'_, Args> {
    line(Quantifier::Request, input)
}

pub(crate) fn every(input: Tokens<'_>) -> Parsed<'_, Args> {
    line(Quantifier::Every, input)
}

pub(crate) fn some(input: Tokens<'_>) -> Parsed<'_, Args> {
    line(Quantifier::Some, input)
}

/// `[FROM] to TARGET [port NAME] [listener NAME] [STRING] [OP] [when COND and …] expect …`
fn line(quantifier: Quantifier, input: Tokens<'_>) -> Parsed<'_, Args> {
    let (rest, from) = opt(from).parse(input)?;
    if let Some(many) = from.as_ref().filter(|_| quantifier == Quantifier::Request).and_then(many) {
        return refuse(many);
    }
    let (rest, to) = after("to", destination)(rest)?;
    let (rest, port) = opt(port_name).parse(rest)?;
    let (rest, listener) = opt(listener_name).parse(rest)?;
    let (rest, host) = match rest.first() {
        Some(lexeme) if lexeme.kind == TokenKind::String => map(host::host, Some).parse(rest)?,
        _ => (rest, None),
    };
    let (rest, asked) = match quantifier {
        Quantifier::Request => map(one_request, Asked::One).parse(rest)?,
        Quantifier::Every | Quantifier::Some => map(some_requests, Asked::All).parse(rest)?,
    };
    let (rest, when) = match quantifier {
        Quantifier::Request => facts(rest)?,
        Quantifier::Every | Quantifier::Some => condition::conditions(Of::Access, rest)?,
    };
    let (rest, expect) = expect(rest)?;
    let span = input.span_to(&rest);
    let line = TestLine { span, quantifier, from, to, port, listener, host, asked, when, expect };
    Ok((rest, Args::TestLine(Box::new(line))))
}

/// `when FIELD = VALUE and …`: what a request carries.
fn facts(input: Tokens<'_>) -> Parsed<'_, Vec<Condition>> {
    if input.first_word() != Some("when") {
        return Ok((input, Vec::new()));
    }
    let (rest, facts) = after("when", joined(keyword("and"), condition::fact))(input)?;
    let mut seen: BTreeMap<&str, Span> = BTreeMap::new();
    for fact in &facts {
        let Field::Header(header) = &fact.field else { continue };
        if let Some(first) = seen.insert(&header.value, header.span) {
            let message = format!("the header `{}` is written twice", shown(&header.value));
            return refuse(
                Diagnostic::new(Code::DuplicateStatement, message)
                    .at(header.span, "written again here")
                    .at(first, "first written here")
                    .help("A request of a test has one value for a header."),
            );
        }
    }
    Ok((rest, facts))
}

/// A request comes from one client.
fn many(from: &From) -> Option<Diagnostic> {
    let word = match (&*from.principals, &*from.except) {
        ([one], []) => match &one.kind {
            PrincipalKind::Namespace(_) => "namespace",
            PrincipalKind::TrustDomain(_) => "trust-domain",
            PrincipalKind::Identity(text) if text.ends_with("/*") => "identity \"…/*\"",
            PrincipalKind::Authenticated => "authenticated",
            PrincipalKind::Anyone => "anyone",
            _ => return None,
        },
        _ => "a list",
    };
    let word = if word == "a list" { word.to_owned() } else { format!("`{word}`") };
    Some(
        Diagnostic::new(Code::UnexpectedToken, format!("{word} is not one client"))
            .at(from.span, "a request comes from one client")
            .help("Write a service, `gateway …`, `identity \"…\"` or `unauthenticated`, or write `every` or `some`."),
    )
}

/// Whether the test goes on without saying a method or path.
fn says_no_op(input: Tokens<'_>) -> bool {
    matches!(input.first_word(), Some("when" | "expect")) || input.first().is_none()
}

/// `METHOD PATH`, `grpc SERVICE/METHOD`, or nothing: a connection.
fn one_request(input: Tokens<'_>) -> Parsed<'_, Option<(Spanned<Method>, Name)>> {
    if says_no_op(input) {
        return Ok((input, None));
    }
    if input.first_word() == Some("grpc") {
        let (rest, found) = super::route::op(input)?;
        let [op] = found.as_slice() else {
            return refuse(invalid(
                input.span_to(&rest),
                "a request calls one method".into(),
                "Write `grpc package.Service/Method`.",
            ));
        };
        return match op.path.as_ref().map(|path| path.value.as_str()) {
            Some(path) if !path.ends_with("/**") => {
                let method = Spanned { value: Method::Post, span: op.span };
                Ok((rest, Some((method, Spanned { value: path.into(), span: op.span }))))
            }
            _ => refuse(invalid(
                op.span,
                "a request calls one method".into(),
                "Write `grpc package.Service/Method`.",
            )),
        };
    }
    let (rest, method) = method(input)?;
    let (rest, path) = path::concrete(rest)?;
    if path.value == "*" && method.value != Method::Options {
        return refuse(invalid(
            path.span,
            "only `OPTIONS` has the path `*`".into(),
            "Write a path like `/`.",
        ));
    }
    Ok((rest, Some((method, path))))
}

/// One OP, or nothing: everything.
fn some_requests(input: Tokens<'_>) -> Parsed<'_, Option<Op>> {
    if says_no_op(input) {
        return Ok((input, None));
    }
    let (rest, mut found) = ops(input)?;
    match (found.pop(), found.is_empty()) {
        (Some(op), true) => Ok((rest, Some(op))),
        (last, _) => {
            let span = last.map_or(input.here(), |op| op.span);
            let help = "Write a line for each of them.";
            refuse(invalid(span, "a line of a test asks about one operation".into(), help))
        }
    }
}

/// `expect OUTCOME [timeout …] [retry …] [mirror …] [fault …]`
fn expect(input: Tokens<'_>) -> Parsed<'_, Expect> {
    let wanted = if input.first().is_none() { "`expect`" } else { "`when` or `expect`" };
    if input.first_word() != Some("expect") {
        return expected(input, wanted);
    }
    let (rest, outcome) = after("expect", outcome)(input)?;
    let sent_on = matches!(outcome, ExpectedOutcome::Allow | ExpectedOutcome::Backends(_));
    let (rest, details) = if sent_on { many0(detail).parse(rest)? } else { (rest, Vec::new()) };
    let span = input.span_to(&rest);
    let mut expect = Expect { span, outcome, timeout: None, retry: None, mirror: None, fault: None };
    let mut seen: Vec<(u8, Span)> = Vec::new();
    for (span, detail) in details {
        let kind = match detail {
            Detail::Timeout(timeout) => {
                expect.timeout = Some(Spanned { value: timeout, span });
                0
            }
            Detail::Retry(retry) => {
                expect.retry = Some(Spanned { value: retry, span });
                1
            }
            Detail::Mirror(mirror) => {
                expect.mirror = Some(mirror);
                2
            }
            Detail::Fault(fault) => {
                expect.fault = Some(fault.map(|(kind, share)| Fault { span, kind, share }));
                3
            }
        };
        if let Some((_, first)) = seen.iter().find(|(known, _)| *known == kind) {
            return refuse(
                Diagnostic::new(Code::DuplicateStatement, "this expectation is written twice")
                    .at(span, "written again here")
                    .at(*first, "first written here")
                    .help("Keep one of the two."),
            );
        }
        seen.push((kind, span));
    }
    Ok((rest, expect))
}

fn outcome(input: Tokens<'_>) -> Parsed<'_, ExpectedOutcome> {
    let is_status = input.first().is_some_and(|lexeme| lexeme.kind == TokenKind::Quantity);
    match input.first_word() {
        Some("allow") => value(ExpectedOutcome::Allow, keyword("allow")).parse(input),
        Some("deny") => value(ExpectedOutcome::Deny, keyword("deny")).parse(input),
        Some("redirect") => map(after("redirect", redirect_to), ExpectedOutcome::Redirect).parse(input),
        Some(_) => map(backends, ExpectedOutcome::Backends).parse(input),
        None if is_status => {
            let status = status("a status", 200..=599);
            map(status, |status| ExpectedOutcome::Status(status.value)).parse(input)
        }
        None => expected(input, "`allow`, `deny`, a status, `redirect` or backends"),
    }
}

/// What may be expected of a request that is sent on.
#[derive(Clone)]
enum Detail {
    Timeout(crate::ast::Timeout),
    Retry(u32),
    Mirror(Option<Mirror>),
    Fault(Option<(crate::ast::FaultKind, Spanned<u32>)>),
}

fn detail(input: Tokens<'_>) -> Parsed<'_, (Span, Detail)> {
    let count = alt((value(0, keyword("none")), map(retry_count, |count| count.value)));
    let mirror = alt((value(None, keyword("none")), map(mirror_to, Some)));
    let fault = alt((value(None, keyword("none")), map(fault_of, Some)));
    let details = alt((
        map(after("timeout", timeout), Detail::Timeout),
        map(after("retry", count), Detail::Retry),
        map(after("mirror", mirror), Detail::Mirror),
        map(after("fault", fault), Detail::Fault),
    ));
    spanned(details, |span, detail| (span, detail))(input)
}
