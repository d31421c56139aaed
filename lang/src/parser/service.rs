//! `service` and what stands in it.

use std::collections::BTreeMap;

use nom::Parser;
use nom::combinator::{cut, opt};
use nom::sequence::preceded;

use super::input::{Parsed, Tokens, after, expected, keyword, list, one, refuse};
use super::name::{name, port as port_name, service as service_name};
use super::recover::{Line, Reader, shown};
use super::route::ops;
use super::settings::{setting, settings};
use super::unknown;
use super::value::{invalid, label_key, port_number, string};
use crate::ast::{Calls, Endpoints, Label, Port, Protocol, Service, Settings, Subset};
use crate::diagnostic::{Code, Diagnostic};
use crate::span::{Name, Span, Spanned};
use crate::token::TokenKind;

/// What the language will speak one day.
const OTHER_PROTOCOLS: &[&str] = &["http2", "grpc", "tcp", "tls", "https", "h2c", "udp"];

/// Where endpoints will come from one day.
const OTHER_ENDPOINTS: &[&str] = &["dns", "kubernetes", "docker", "consul", "passthrough"];

pub(super) fn service(reader: &mut Reader<'_>, line: &Line<'_>) -> Option<Service> {
    let title = reader.head(line, name);
    let (mut service_account, mut settings) = (None, Settings::default());
    let (mut ports, mut subsets, mut endpoints, mut calls) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for inner in reader.body(line, title.is_some()) {
        match inner.keyword() {
            "service-account" => {
                let value = reader.leaf(&inner, name);
                reader.once(&mut service_account, &inner, value);
            }
            "port" => ports.extend(reader.leaf(&inner, port).map(|port| Port { span: inner.span, ..port })),
            "subset" => subsets.extend(reader.leaf(&inner, subset).map(|(name, labels)| Subset {
                span: inner.span,
                name,
                labels,
            })),
            "endpoints" => {
                let read = reader.leaf(&inner, endpoint_list);
                endpoints.extend(read.map(|(addresses, labels)| Endpoints {
                    span: inner.span,
                    addresses,
                    labels,
                }));
            }
            "calls" => calls.extend(call(reader, &inner)),
            _ => setting(reader, &inner, &mut settings),
        }
    }
    let doc = reader.doc(line);
    Some(Service {
        span: line.span,
        doc,
        name: title?,
        service_account,
        ports,
        subsets,
        endpoints,
        calls,
        settings,
    })
}

/// `[NAME] NUMBER PROTOCOL [target NUMBER]`
fn port(input: Tokens<'_>) -> Parsed<'_, Port> {
    let (rest, name) = match input.first() {
        Some(lexeme) if lexeme.kind == TokenKind::Word => {
            name(input).map(|(rest, name)| (rest, Some(name)))?
        }
        _ => (input, None),
    };
    let (rest, number) = port_number(rest)?;
    let (rest, protocol) = protocol(rest)?;
    let (rest, target) = opt(after("target", port_number)).parse(rest)?;
    let span = input.span_to(&rest);
    Ok((rest, Port { span, name, number, protocol, target }))
}

/// `http`; what else is a protocol is named.
pub(super) fn protocol(input: Tokens<'_>) -> Parsed<'_, Spanned<Protocol>> {
    let (rest, lexeme) = one(TokenKind::Word, "a protocol")(input)?;
    if lexeme.text == "http" {
        return Ok((rest, Spanned { value: Protocol::Http, span: lexeme.span }));
    }
    if OTHER_PROTOCOLS.contains(&lexeme.text.to_ascii_lowercase().as_str()) {
        return refuse(unknown::not_executed(lexeme.text, lexeme.span));
    }
    let message = format!("`{}` is not a protocol", shown(lexeme.text));
    refuse(invalid(lexeme.span, message, "Write `http`."))
}

/// `NAME label KEY = STRING, …`
fn subset(input: Tokens<'_>) -> Parsed<'_, (Name, Vec<Label>)> {
    (name, after("label", labels)).parse(input)
}

fn labels(input: Tokens<'_>) -> Parsed<'_, Vec<Label>> {
    let (rest, labels) = list(label)(input)?;
    let mut seen: BTreeMap<&str, Span> = BTreeMap::new();
    for label in &labels {
        if let Some(first) = seen.insert(&label.key.value, label.key.span) {
            let message = format!("the label `{}` is written twice", shown(&label.key.value));
            return refuse(
                Diagnostic::new(Code::DuplicateStatement, message)
                    .at(label.key.span, "written again here")
                    .at(first, "first written here")
                    .help("An endpoint has one value for a label; keep one of the two."),
            );
        }
    }
    Ok((rest, labels))
}

fn label(input: Tokens<'_>) -> Parsed<'_, Label> {
    let (rest, key) = label_key(input)?;
    let (rest, value) = cut(preceded(one(TokenKind::Equals, "`=`"), string)).parse(rest)?;
    Ok((rest, Label { key, value }))
}

/// `static STRING, … [label KEY = STRING, …]`
fn endpoint_list(input: Tokens<'_>) -> Parsed<'_, (Vec<Name>, Vec<Label>)> {
    if let Some(kind) = input.first_word().filter(|word| OTHER_ENDPOINTS.contains(word)) {
        return refuse(unknown::not_executed(&format!("endpoints {kind}"), input.here()));
    }
    let (rest, _) = keyword("static")(input)?;
    let (rest, addresses) = list(string)(rest)?;
    let (rest, labels) = opt(after("label", labels)).parse(rest)?;
    Ok((rest, (addresses, labels.unwrap_or_default())))
}

fn call(reader: &mut Reader<'_>, line: &Line<'_>) -> Option<Calls> {
    let head = reader.head(line, call_head);
    let lines = reader.body(line, head.is_some());
    let settings = settings(reader, &lines);
    head.map(|calls| Calls { span: line.span, settings, ..calls })
}

/// `SERVICE, … [port NAME] [to OP, …]`
fn call_head(input: Tokens<'_>) -> Parsed<'_, Calls> {
    let (rest, services) = list(service_name)(input)?;
    let (rest, port) = opt(port_name).parse(rest)?;
    let (rest, to) = opt(after("to", ops)).parse(rest)?;
    if rest.first_word() == Some("port") && port.is_none() {
        return expected(rest, "`port` before `to`");
    }
    let span = input.span_to(&rest);
    Ok((rest, Calls { span, services, port, to: to.unwrap_or_default(), settings: Settings::default() }))
}
