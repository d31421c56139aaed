//! Hosts and host patterns: strings in the form in which a request's host is compared (semantics 1.2).

use std::net::{Ipv4Addr, Ipv6Addr};

use super::input::{Parsed, Tokens, list, refuse};
use super::name::MAX_DOMAIN_BYTES;
use super::recover::shown;
use super::value::{host_string, invalid};
use crate::ast::HostPattern;
use crate::diagnostic::Diagnostic;
use crate::span::{Name, Spanned, Text};

/// What one label of a DNS name may have (RFC 1035 2.3.4).
const MAX_LABEL_BYTES: usize = 63;

/// `STRING, …` as patterns.
pub(super) fn patterns(input: Tokens<'_>) -> Parsed<'_, Vec<Spanned<HostPattern>>> {
    list(pattern)(input)
}

fn pattern(input: Tokens<'_>) -> Parsed<'_, Spanned<HostPattern>> {
    let (rest, written) = host_string(input)?;
    let text = written.value.as_str();
    let (suffix, make): (&str, fn(Text) -> HostPattern) = match text.strip_prefix('*') {
        Some("") => return Ok((rest, Spanned { value: HostPattern::Any, span: written.span })),
        Some(tail) => match tail.strip_prefix("*.") {
            Some(suffix) => (suffix, HostPattern::Labels),
            None => (tail.strip_prefix('.').unwrap_or(text), HostPattern::OneLabel),
        },
        None => (text, HostPattern::Exact),
    };
    if is_host(suffix) {
        return Ok((rest, Spanned { value: make(suffix.into()), span: written.span }));
    }
    refuse(wrong_host(&written, "a host pattern"))
}

/// One host, without wildcards.
pub(super) fn host(input: Tokens<'_>) -> Parsed<'_, Name> {
    let (rest, written) = host_string(input)?;
    if is_host(&written.value) { Ok((rest, written)) } else { refuse(wrong_host(&written, "a host")) }
}

/// What is wrong with a host that a condition compares with.
pub(super) fn not_a_host(host: &Name) -> Option<Diagnostic> {
    (!is_host(&host.value)).then(|| wrong_host(host, "a host"))
}

/// What is wrong with the end of a host that a condition looks for.
pub(super) fn not_a_suffix(suffix: &Name) -> Option<Diagnostic> {
    let text = suffix.value.as_str();
    let inside = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.:[]".contains(&b);
    if !text.is_empty() && text.bytes().all(inside) && !text.ends_with('.') && !text.contains("..") {
        return None;
    }
    let message = format!("no host ends with `{}`", shown(text));
    Some(invalid(suffix.span, message, "Write the end of a host in lower case, as in `\".shop.example\"`."))
}

fn is_host(text: &str) -> bool {
    if let Some(address) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        return address.parse::<Ipv6Addr>().is_ok() && !text.bytes().any(|b| b.is_ascii_uppercase());
    }
    let inside = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    let label =
        |label: &str| !label.is_empty() && label.len() <= MAX_LABEL_BYTES && label.bytes().all(inside);
    // A name whose last label is a number is an address (WHATWG URL 3.5): then it must be a whole one.
    let numeric = text
        .rsplit('.')
        .next()
        .is_some_and(|last| !last.is_empty() && last.bytes().all(|b| b.is_ascii_digit()));
    text.len() <= MAX_DOMAIN_BYTES
        && text.split('.').all(label)
        && (!numeric || text.parse::<Ipv4Addr>().is_ok())
}

fn wrong_host(written: &Name, what: &str) -> Diagnostic {
    let text = written.value.as_str();
    let lower = text.to_ascii_lowercase();
    let portless = text.rsplit_once(':').filter(|(host, _)| is_host(host)).map(|(host, _)| host);
    let problem = |help: String| invalid(written.span, format!("`{}` is not {what}", shown(text)), help);
    match text.strip_suffix('.') {
        _ if lower != text && is_host(lower.trim_start_matches(['*', '.'])) => {
            problem(format!("Hosts do not tell case apart; write `\"{lower}\"`.")).instead(text, lower, true)
        }
        Some(without_dot) if is_host(without_dot) => {
            problem(format!("Write `\"{without_dot}\"`, without the dot at the end."))
                .instead(text, without_dot, true)
        }
        _ => match portless {
            Some(host) => problem(format!("A host is written without its port: `\"{host}\"`."))
                // The port may have been the point.
                .instead(text, host, false),
            None => problem(
                "A host is like `\"shop.example\"`; a pattern may begin with `*.` for one label or `**.` for \
                     one or more, and `\"*\"` is any host."
                    .into(),
            ),
        },
    }
}
