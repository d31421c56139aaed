//! `route`, its rules, and the operations and backends that other statements share.

use nom::Parser;
use nom::branch::alt;
use nom::combinator::{cut, map, opt, value};
use nom::multi::many0;
use nom::sequence::preceded;

use super::input::{Parsed, Problem, Tokens, after, keyword, list, one, refuse};
use super::name::{name, port as port_name, service as service_name, service_and_subset};
use super::recover::{Line, Reader};
use super::settings::setting;
use super::value::{invalid, method, percent, status, text};
use super::{header, host, path};
use crate::ast::{Action, Backend, Match, Method, Op, Route, Rule, Settings, Weight};
use crate::diagnostic::{Code, Diagnostic};
use crate::span::{Name, Span, Spanned};
use crate::token::TokenKind;

pub(super) fn route(reader: &mut Reader<'_>, line: &Line<'_>) -> Option<Route> {
    let head = reader.head(line, route_head);
    let mut rules = Vec::new();
    let mut to: Option<Spanned<Action>> = None;
    let mut otherwise_written = None;
    for inner in reader.body(line, head.is_some()) {
        match inner.keyword() {
            "rule" => rules.extend(rule(reader, &inner)),
            "to" => {
                let value = action(reader, &inner);
                reader.once(&mut to, &inner, value);
            }
            _ => {
                let value = reader.leaf(&inner, otherwise);
                let value = value.map(|status| Spanned { value: status.value, span: inner.span });
                reader.once(&mut otherwise_written, &inner, value);
            }
        }
    }
    rules.extend(to.map(default_rule));
    head.map(|route| Route { span: line.span, rules, otherwise: otherwise_written, ..route })
}

/// `TARGET [port NAME] [listener NAME] [host STRING, …]`
fn route_head(input: Tokens<'_>) -> Parsed<'_, Route> {
    let (rest, target) = service_name(input)?;
    let (rest, port) = opt(port_name).parse(rest)?;
    let (rest, listener) = opt(listener_name).parse(rest)?;
    let (rest, hosts) = opt(after("host", host::patterns)).parse(rest)?;
    let span = input.span_to(&rest);
    let hosts = hosts.unwrap_or_default();
    Ok((rest, Route { span, target, port, listener, hosts, rules: Vec::new(), otherwise: None }))
}

/// `listener NAME`
pub(super) fn listener_name(input: Tokens<'_>) -> Parsed<'_, Name> {
    after("listener", name)(input)
}

fn otherwise(input: Tokens<'_>) -> Parsed<'_, Spanned<u16>> {
    status("a status for `otherwise`", 400..=599)(input)
}

/// What a `to` outside of any rule is short for.
fn default_rule(action: Spanned<Action>) -> Rule {
    Rule {
        span: action.span,
        name: Spanned { value: "default".into(), span: action.span },
        overrides: Vec::new(),
        matches: Vec::new(),
        action: Some(action),
        settings: Settings::default(),
    }
}

fn rule(reader: &mut Reader<'_>, line: &Line<'_>) -> Option<Rule> {
    let head = reader.head(line, rule_head);
    let mut matches = Vec::new();
    let mut act: Option<Spanned<Action>> = None;
    let mut settings = Settings::default();
    for inner in reader.body(line, head.is_some()) {
        match inner.keyword() {
            "match" => {
                let read = reader.leaf(&inner, match_line);
                matches.extend(read.map(|line| Match { span: inner.span, ..line }));
            }
            "to" | "redirect" | "respond" => {
                let value = action(reader, &inner);
                match (&act, value) {
                    (Some(first), Some(_)) => reader.report(second_action(&inner, first.span)),
                    (None, value) => act = value,
                    (Some(_), None) => {}
                }
            }
            _ => setting(reader, &inner, &mut settings),
        }
    }
    let (name, overrides) = head?;
    Some(Rule { span: line.span, name, overrides, matches, action: act, settings })
}

/// `NAME [overrides NAME, …]`
fn rule_head(input: Tokens<'_>) -> Parsed<'_, (Name, Vec<Name>)> {
    (name, map(opt(after("overrides", list(name))), Option::unwrap_or_default)).parse(input)
}

fn second_action(line: &Line<'_>, first: Span) -> Diagnostic {
    Diagnostic::new(Code::DuplicateStatement, "a rule does one thing, and this one already has an action")
        .at(line.span, "a second action")
        .at(first, "first written here")
        .help("Keep one of the two; several backends stand in one `to`, with their shares.")
}

fn action(reader: &mut Reader<'_>, line: &Line<'_>) -> Option<Spanned<Action>> {
    let action = match line.keyword() {
        "to" => reader.leaf(line, |input| map(backends, Action::To).parse(input)),
        "redirect" => reader.leaf(line, |input| {
            map(redirect, |(location, status)| Action::Redirect { location, status }).parse(input)
        }),
        _ => reader.leaf(line, respond),
    };
    action.map(|value| Spanned { value, span: line.span })
}

/// `PATH-OR-STRING STATUS`
pub(super) fn redirect(input: Tokens<'_>) -> Parsed<'_, (Name, Spanned<u16>)> {
    let (rest, location) = path::location(input)?;
    let (after, code) = status("a redirect status", 100..=999)(rest)?;
    if matches!(code.value, 301 | 302 | 303 | 307 | 308) {
        return Ok((after, (location, code)));
    }
    let message = format!("`{}` is not a redirect status", code.value);
    refuse(invalid(code.span, message, "Write 301, 302, 303, 307 or 308."))
}

/// `STATUS [STRING]`
fn respond(input: Tokens<'_>) -> Parsed<'_, Action> {
    let parts = (status("a status to answer with", 200..=599), opt(text));
    map(parts, |(status, body)| Action::Respond { status, body }).parse(input)
}

/// `[OP, …] [when COND and …]`
fn match_line(input: Tokens<'_>) -> Parsed<'_, Match> {
    let (rest, found) = match input.first_word() {
        Some("when") => (input, Vec::new()),
        _ => match ops(input) {
            Err(nom::Err::Error(Problem::Expected { at, mut wanted })) => {
                wanted.push("`when`".into());
                return Err(nom::Err::Error(Problem::Expected { at, wanted }));
            }
            other => other?,
        },
    };
    let (rest, when) = header::conditions(rest)?;
    let span = input.span_to(&rest);
    Ok((rest, Match { span, ops: found, when }))
}

/// `OP, …`
pub(super) fn ops(input: Tokens<'_>) -> Parsed<'_, Vec<Op>> {
    list(op)(input)
}

/// `METHOD|METHOD PATH`, or one of both.
fn op(input: Tokens<'_>) -> Parsed<'_, Op> {
    let (rest, methods) = match input.first() {
        Some(lexeme) if lexeme.kind == TokenKind::Word => methods(input)?,
        _ => (input, Vec::new()),
    };
    let path_follows =
        rest.first().is_some_and(|lexeme| matches!(lexeme.kind, TokenKind::Path | TokenKind::String));
    let (rest, path) = match (path_follows, methods.is_empty()) {
        (true, _) => map(path::pattern, Some).parse(rest)?,
        (false, false) => (rest, None),
        (false, true) => return a_method_or_a_path(rest),
    };
    let span = input.span_to(&rest);
    Ok((rest, Op { span, methods, path }))
}

fn a_method_or_a_path<T>(input: Tokens<'_>) -> Parsed<'_, T> {
    let wanted = vec!["a method".into(), "a path".into()];
    Err(nom::Err::Error(Problem::Expected { at: input.here(), wanted }))
}

/// `METHOD|METHOD`
fn methods(input: Tokens<'_>) -> Parsed<'_, Vec<Spanned<Method>>> {
    let pipe = one(TokenKind::Pipe, "`|`");
    match (method, many0(preceded(pipe, cut(method)))).parse(input) {
        Ok((rest, (first, more))) => Ok((rest, std::iter::once(first).chain(more).collect())),
        Err(nom::Err::Error(_)) => a_method_or_a_path(input),
        Err(error) => Err(error),
    }
}

/// `BACKEND, …`
pub(super) fn backends(input: Tokens<'_>) -> Parsed<'_, Vec<Backend>> {
    list(backend)(input)
}

/// `SERVICE[:SUBSET] [port NAME] [PERCENT|rest]`
fn backend(input: Tokens<'_>) -> Parsed<'_, Backend> {
    let rest_of_all = value(Weight::Rest, keyword("rest"));
    let share = map(percent, |share| Weight::Percent(share.value));
    let (rest, (service, subset)) = service_and_subset(input)?;
    let (rest, port) = opt(port_name).parse(rest)?;
    let (after, weight) = opt(alt((rest_of_all, share))).parse(rest)?;
    let weight = weight.map(|value| Spanned { value, span: rest.span_to(&after) });
    let span = input.span_to(&after);
    Ok((after, Backend { span, service, subset, port, weight }))
}
