//! `mesh` and `module`.

use super::input::Tokens;
use super::name::{name, title};
use super::recover::{Line, Reader};
use super::settings::settings;
use super::value::{edition, string, trust_domain};
use crate::ast::{Mesh, Module, Settings};
use crate::span::Spanned;

pub(super) fn mesh(reader: &mut Reader<'_>, line: &Line<'_>) -> Option<Mesh> {
    let name = reader.head(line, title);
    let mut trust_domain_written = None;
    let mut default: Option<Spanned<Settings>> = None;
    for inner in reader.body(line, name.is_some()) {
        if inner.keyword() == "trust-domain" {
            let value = reader.leaf(&inner, trust_domain);
            reader.once(&mut trust_domain_written, &inner, value);
        } else {
            let read = reader.head(&inner, nothing);
            let lines = reader.body(&inner, read.is_some());
            let value = Spanned { value: settings(reader, &lines), span: inner.span };
            reader.once(&mut default, &inner, read.map(|()| value));
        }
    }
    let default = default.map(|default| default.value).unwrap_or_default();
    Some(Mesh { span: line.span, name: name?, trust_domain: trust_domain_written, default })
}

fn nothing(input: Tokens<'_>) -> super::input::Parsed<'_, ()> {
    Ok((input, ()))
}

pub(super) fn module(reader: &mut Reader<'_>, line: &Line<'_>) -> Option<Module> {
    let title = reader.head(line, title);
    let (mut edition_written, mut owner, mut namespace) = (None, None, None);
    for inner in reader.body(line, title.is_some()) {
        match inner.keyword() {
            "edition" => {
                let value = reader.leaf(&inner, edition);
                reader.once(&mut edition_written, &inner, value);
            }
            "owner" => {
                let value = reader.leaf(&inner, string);
                reader.once(&mut owner, &inner, value);
            }
            _ => {
                let value = reader.leaf(&inner, name);
                reader.once(&mut namespace, &inner, value);
            }
        }
    }
    Some(Module { span: line.span, name: title?, edition: edition_written, owner, namespace })
}
