//! `test`: requests and what is to become of them.

use std::collections::BTreeMap;

use nom::Parser;
use nom::branch::alt;
use nom::combinator::{cut, map, opt, value};
use nom::multi::many0;
use nom::sequence::preceded;

use super::authorize::principal;
use super::input::{Parsed, Tokens, after, expected, keyword, refuse, spanned};
use super::name::{port as port_name, service as service_name};
use super::recover::{Line, Reader, shown};
use super::route::{backends, listener_name, redirect};
use super::value::{invalid, method, retry_count, status, string, timeout};
use super::{header, host, path};
use crate::ast::{Expect, ExpectedOutcome, Method, Principal, PrincipalKind, Test, TestRequest};
use crate::diagnostic::{Code, Diagnostic};
use crate::span::{Name, Span, Spanned};
use crate::token::TokenKind;

pub(super) fn test(reader: &mut Reader<'_>, line: &Line<'_>) -> Option<Test> {
    let name = reader.head(line, string);
    let mut requests = Vec::new();
    for inner in reader.body(line, name.is_some()) {
        let read = reader.leaf(&inner, request);
        requests.extend(read.map(|request| TestRequest { span: inner.span, ..request }));
    }
    Some(Test { span: line.span, name: name?, requests })
}

/// `[from …] to … [port NAME] [listener NAME] [STRING] METHOD PATH [when …] expect …`
fn request(input: Tokens<'_>) -> Parsed<'_, TestRequest> {
    let (rest, from) = opt(after("from", client)).parse(input)?;
    let (rest, to) = after("to", service_name)(rest)?;
    let (rest, port) = opt(port_name).parse(rest)?;
    let (rest, listener) = opt(listener_name).parse(rest)?;
    let (rest, host) = match rest.first() {
        Some(lexeme) if lexeme.kind == TokenKind::String => map(host::host, Some).parse(rest)?,
        _ => (rest, None),
    };
    let (rest, method) = method(rest)?;
    let (rest, path) = path::concrete(rest)?;
    if path.value == "*" && method.value != Method::Options {
        return refuse(invalid(
            path.span,
            "only `OPTIONS` has the path `*`".into(),
            "Write a path like `/`.",
        ));
    }
    let (rest, headers) = headers(rest)?;
    let (rest, expect) = expect(rest)?;
    let span = input.span_to(&rest);
    Ok((rest, TestRequest { span, from, to, port, listener, host, method, path, headers, expect }))
}

/// A principal that is one client.
fn client(input: Tokens<'_>) -> Parsed<'_, Principal> {
    let (rest, client) = principal(input)?;
    let many = match client.kind {
        PrincipalKind::Namespace(_) => "namespace",
        PrincipalKind::Authenticated => "authenticated",
        PrincipalKind::Anyone => "anyone",
        _ => return Ok((rest, client)),
    };
    refuse(
        Diagnostic::new(Code::UnexpectedToken, format!("`{many}` is not one client"))
            .at(client.span, "a request comes from one client")
            .help("Write a service, `gateway …`, `identity \"…\"` or `unauthenticated`."),
    )
}

/// `when header NAME = STRING and …`
fn headers(input: Tokens<'_>) -> Parsed<'_, Vec<(Name, Name)>> {
    if input.first_word() != Some("when") {
        return Ok((input, Vec::new()));
    }
    let all = (header::written, many0(preceded(keyword("and"), cut(header::written))));
    let (rest, (first, more)) = preceded(keyword("when"), cut(all)).parse(input)?;
    let headers: Vec<(Name, Name)> = std::iter::once(first).chain(more).collect();
    let mut seen: BTreeMap<&str, Span> = BTreeMap::new();
    for (name, _) in &headers {
        if let Some(first) = seen.insert(&name.value, name.span) {
            let message = format!("the header `{}` is written twice", shown(&name.value));
            return refuse(
                Diagnostic::new(Code::DuplicateStatement, message)
                    .at(name.span, "written again here")
                    .at(first, "first written here")
                    .help("A request of a test has one value for a header."),
            );
        }
    }
    Ok((rest, headers))
}

/// `expect OUTCOME [timeout …] [retry …]`
fn expect(input: Tokens<'_>) -> Parsed<'_, Expect> {
    let wanted = if input.first().is_none() { "`expect`" } else { "`when` or `expect`" };
    if input.first_word() != Some("expect") {
        return expected(input, wanted);
    }
    let (rest, outcome) = after("expect", outcome)(input)?;
    let sent_on = matches!(outcome, ExpectedOutcome::Allow | ExpectedOutcome::Backends(_));
    let (rest, settings) = if sent_on { many0(setting).parse(rest)? } else { (rest, Vec::new()) };
    let mut expect = Expect { span: input.span_to(&rest), outcome, timeout: None, retry: None };
    for setting in settings {
        let first = match setting {
            Setting::Timeout(timeout) => {
                expect.timeout.replace(timeout).map(|first| (first.span, timeout.span))
            }
            Setting::Retry(retry) => expect.retry.replace(retry).map(|first| (first.span, retry.span)),
        };
        if let Some((first, again)) = first {
            return refuse(
                Diagnostic::new(Code::DuplicateStatement, "this expectation is written twice")
                    .at(again, "written again here")
                    .at(first, "first written here")
                    .help("Keep one of the two."),
            );
        }
    }
    Ok((rest, expect))
}

fn outcome(input: Tokens<'_>) -> Parsed<'_, ExpectedOutcome> {
    let is_status = input.first().is_some_and(|lexeme| lexeme.kind == TokenKind::Quantity);
    match input.first_word() {
        Some("allow") => value(ExpectedOutcome::Allow, keyword("allow")).parse(input),
        Some("deny") => value(ExpectedOutcome::Deny, keyword("deny")).parse(input),
        Some("redirect") => map(after("redirect", redirect), |(location, status)| {
            ExpectedOutcome::Redirect { location: location.value, status: status.value }
        })
        .parse(input),
        Some(_) => map(backends, ExpectedOutcome::Backends).parse(input),
        None if is_status => {
            let status = status("a status", 200..=599);
            map(status, |status| ExpectedOutcome::Status(status.value)).parse(input)
        }
        None => expected(input, "`allow`, `deny`, a status, `redirect` or backends"),
    }
}

/// What may be expected of a request that is sent on.
#[derive(Clone, Copy)]
enum Setting {
    Timeout(Spanned<crate::ast::Timeout>),
    Retry(Spanned<u32>),
}

fn setting(input: Tokens<'_>) -> Parsed<'_, Setting> {
    let count = alt((value(0, keyword("none")), map(retry_count, |count| count.value)));
    alt((
        spanned(after("timeout", timeout), |span, value| Setting::Timeout(Spanned { value, span })),
        spanned(after("retry", count), |span, value| Setting::Retry(Spanned { value, span })),
    ))
    .parse(input)
}
