//! `gateway` and its listeners.

use super::host;
use super::input::{Parsed, Tokens, keyword};
use super::name::name;
use super::recover::{Line, Reader, written_twice};
use super::service::protocol;
use super::value::port_number;
use crate::ast::{Gateway, Listener};
use crate::span::Span;

pub(super) fn gateway(reader: &mut Reader<'_>, line: &Line<'_>) -> Option<Gateway> {
    let title = reader.head(line, name);
    let mut service_account = None;
    let mut listeners = Vec::new();
    for inner in reader.body(line, title.is_some()) {
        if inner.keyword() == "listener" {
            listeners.extend(listener(reader, &inner));
        } else {
            let value = reader.leaf(&inner, name);
            reader.once(&mut service_account, &inner, value);
        }
    }
    Some(Gateway { span: line.span, doc: reader.doc(line), name: title?, service_account, listeners })
}

fn listener(reader: &mut Reader<'_>, line: &Line<'_>) -> Option<Listener> {
    let head = reader.head(line, listener_head);
    let mut hosts = Vec::new();
    let mut first: Option<Span> = None;
    for inner in reader.body(line, head.is_some()) {
        let Some(patterns) = reader.leaf(&inner, host::patterns) else { continue };
        match first {
            Some(first) => reader.report(written_twice(&inner, first).help("Write all hosts in one line.")),
            None => (hosts, first) = (patterns, Some(inner.span)),
        }
    }
    head.map(|listener| Listener { span: line.span, hosts, ..listener })
}

/// `NAME port NUMBER PROTOCOL`
fn listener_head(input: Tokens<'_>) -> Parsed<'_, Listener> {
    let (rest, name) = name(input)?;
    let (rest, _) = keyword("port")(rest)?;
    let (rest, number) = port_number(rest)?;
    let (rest, protocol) = protocol(rest)?;
    let span = input.span_to(&rest);
    Ok((rest, Listener { span, name, number, protocol, hosts: Vec::new() }))
}
