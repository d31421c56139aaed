//! Section 1: the canonical request.

use crate::condition::Field;
use crate::{Claim, Question, Token};
use mesh_lang::ast::Method;
use std::net::IpAddr;

/// 1.1: the canonical form of a request target's path, or `None`: 400.
pub fn canonical_path(target: &str) -> Option<String> {
    canonical_path_as(target, false, false)
}

/// 1.1a: the same where slashes are decoded and parameters stripped.
pub fn canonical_path_as(target: &str, decodes_slashes: bool, strips_parameters: bool) -> Option<String> {
    let raw = target.split('?').next()?;
    if strips_parameters && raw.contains(';') {
        // Something else in the place of each `;` must not be refused either.
        canonical_path_as(&raw.replace(';', ","), decodes_slashes, false)?;
        let segments = raw.split('/').map(|segment| segment.split(';').next().unwrap_or_default());
        let stripped: Vec<&str> = segments.collect();
        return canonical_path_as(&stripped.join("/"), decodes_slashes, false);
    }
    if raw == "*" {
        return Some(raw.to_owned());
    }
    if !raw.starts_with('/') || raw.chars().any(|c| !('!'..='~').contains(&c) || "\"<>\\^{|}`#;".contains(c))
    {
        return None;
    }
    let decoded = decode_unreserved(raw, decodes_slashes)?;
    // `%25` that begins another triplet is looked for after decoding: `%25%32E` says `%252E` too.
    let twice = ["%252E", "%252F", "%255C", "%2500"];
    if twice.iter().any(|sequence| decoded.to_ascii_uppercase().contains(sequence)) {
        return None;
    }
    // Longer forms of UTF-8 than there need be.
    if ["%C0", "%C1", "%E0%8", "%E0%9", "%F0%8"].iter().any(|form| decoded.contains(form)) {
        return None;
    }
    let mut merged = decoded;
    while merged.contains("//") {
        merged = merged.replace("//", "/");
    }
    remove_dot_segments(&merged)
}

/// Decodes `A–Z a–z 0–9 - . _ ~` and writes the other triplets with upper-case digits.
fn decode_unreserved(raw: &str, decodes_slashes: bool) -> Option<String> {
    let mut decoded = String::new();
    let mut rest = raw;
    while let Some(first) = rest.chars().next() {
        if first != '%' {
            decoded.push(first);
            rest = &rest[1..];
            continue;
        }
        let digits = rest.get(1..3).filter(|digits| digits.chars().all(|c| c.is_ascii_hexdigit()))?;
        let byte = u8::from_str_radix(digits, 16).ok()?;
        match byte {
            b'/' | b'\\' if decodes_slashes => decoded.push('/'),
            0x00..=0x1f | 0x7f | b'/' | b'\\' => return None,
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                decoded.push(char::from(byte))
            }
            _ => decoded.push_str(&format!("%{byte:02X}")),
        }
        rest = &rest[3..];
    }
    Some(decoded)
}

/// RFC 3986 5.2.4, except that `..` above the root is refused.
fn remove_dot_segments(path: &str) -> Option<String> {
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let mut kept: Vec<&str> = Vec::new();
    for (index, segment) in segments.iter().enumerate() {
        match *segment {
            "." => {}
            ".." => {
                kept.pop()?;
            }
            other => kept.push(other),
        }
        // A path that ends in a dot segment is a directory: it keeps its slash.
        if index + 1 == segments.len() && [".", ".."].contains(segment) {
            kept.push("");
        }
    }
    Some(format!("/{}", kept.join("/")))
}

/// 1.2: the canonical host and the port of an authority, or `None`: 400.
pub fn canonical_host(authority: &str) -> Option<(String, Option<u16>)> {
    let lower = authority.to_ascii_lowercase();
    let end = match lower.starts_with('[') {
        true => lower.find(']')? + 1,
        false => lower.find(':').unwrap_or(lower.len()),
    };
    let (host, port) = lower.split_at(end);
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => None,
        None => return None,
        Some(digits) if digits.chars().all(|c| c.is_ascii_digit()) => Some(digits.parse().ok()?),
        Some(_) => return None,
    };
    if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        address.parse::<std::net::Ipv6Addr>().ok()?;
        return Some((host.to_owned(), port));
    }
    let host = host.strip_suffix('.').unwrap_or(host);
    let is_label = |label: &str| {
        !label.is_empty() && label.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
    };
    host.split('.').all(is_label).then(|| (host.to_owned(), port))
}

/// Fields that are not lists (1.3).
const NOT_LISTS: [&str; 11] = [
    "date",
    "cookie",
    "set-cookie",
    "user-agent",
    "host",
    "authorization",
    "if-modified-since",
    "if-unmodified-since",
    "last-modified",
    "expires",
    "retry-after",
];

/// 1.3: the value of a header, given its lines in order.
pub fn header_value(name: &str, lines: &[&str]) -> Value {
    let items: Vec<&str> = match is_list(name) {
        true => lines.iter().flat_map(|line| list_items(line)).collect(),
        false => lines.to_vec(),
    };
    match items.as_slice() {
        // None, where a line exists.
        [] if !lines.is_empty() => Value::Single(Vec::new()),
        items => Value::of(items.iter().map(|item| item.as_bytes().to_vec()).collect()),
    }
}

pub(crate) fn is_list(name: &str) -> bool {
    !NOT_LISTS.contains(&name.to_ascii_lowercase().as_str())
}

/// The items of one line, trimmed, without the empty ones.
fn list_items(line: &str) -> Vec<&str> {
    let mut items = Vec::new();
    let mut start = 0;
    let mut quoted = false;
    let mut chars = line.char_indices();
    while let Some((index, c)) = chars.next() {
        match c {
            '\\' if quoted => {
                chars.next();
            }
            '"' => quoted = !quoted,
            ',' if !quoted => {
                items.push(&line[start..index]);
                start = index + 1;
            }
            _ => {}
        }
    }
    items.push(&line[start..]);
    items.into_iter().map(|item| item.trim_matches([' ', '\t'])).filter(|item| !item.is_empty()).collect()
}

/// What a decision sees in a field.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    Absent,
    Single(Vec<u8>),
    /// Several; of a claim also one or none (1.7).
    Many(Vec<Vec<u8>>),
    /// A claim that is no text and no list of texts.
    Odd,
    /// 1.8: as IPv6.
    Address(u128),
}

impl Value {
    /// Of so many items.
    fn of(items: Vec<Vec<u8>>) -> Value {
        match items.as_slice() {
            [] => Value::Absent,
            [item] => Value::Single(item.clone()),
            _ => Value::Many(items),
        }
    }
}

/// 1.8: an IPv4 address is the same address in IPv6.
pub(crate) fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u128::from(ip.to_ipv6_mapped()),
        IpAddr::V6(ip) => u128::from(ip),
    }
}

/// 1.5: the value of a key of a query.
pub fn query_value(key: &str, query: &str) -> Value {
    let pieces = query.split('&').filter(|piece| !piece.is_empty());
    let pairs = pieces.map(|piece| piece.split_once('=').unwrap_or((piece, "")));
    let of_key = pairs.filter(|(name, _)| decoded(name) == key.as_bytes());
    Value::of(of_key.map(|(_, value)| decoded(value)).collect())
}

/// 1.5: each `%` with two hex digits is that byte.
fn decoded(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut left = text.as_bytes();
    while let Some((first, rest)) = left.split_first() {
        let digits =
            rest.get(..2).filter(|digits| *first == b'%' && digits.iter().all(u8::is_ascii_hexdigit));
        let byte = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        match byte.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                left = &rest[2..];
            }
            None => {
                bytes.push(*first);
                left = rest;
            }
        }
    }
    bytes
}

/// 1.6: the value of a cookie, given all `cookie` lines.
pub fn cookie_value(name: &str, lines: &[&str]) -> Value {
    let trimmed = |text: &str| text.trim_matches([' ', '\t']).to_owned();
    let pairs = lines.iter().flat_map(|line| line.split(';')).filter_map(|pair| pair.split_once('='));
    let of_name = pairs.filter(|(own, _)| trimmed(own) == name);
    Value::of(of_name.map(|(_, value)| trimmed(value).into_bytes()).collect())
}

impl Question {
    /// Sections 1.3 to 1.8: what the request has in a field.
    pub(crate) fn value(&self, field: &Field) -> Value {
        let lines = |name: &str| -> Vec<&str> {
            let lines = self.headers.iter().filter(|(other, _)| other == name);
            lines.map(|(_, line)| line.as_str()).collect()
        };
        match field {
            // 3.3 (h)
            Field::Path if self.path == "*" => Value::Absent,
            Field::Path => Value::Single(self.path.clone().into_bytes()),
            Field::Host => Value::Single(self.host.clone().into_bytes()),
            Field::Header(name) => header_value(name, &lines(name)),
            Field::Query(key) => query_value(key, &self.query),
            Field::Cookie(name) => cookie_value(name, &lines("cookie")),
            Field::Jwt(issuer) => match self.token(issuer) {
                Some(_) => Value::Odd,
                None => Value::Absent,
            },
            Field::Claim { issuer, path } => {
                let claims = self.token(issuer).map(|token| token.claims.as_slice()).unwrap_or_default();
                match claims.iter().find(|(own, _)| own == path) {
                    None => Value::Absent,
                    Some((_, Claim::Text(text))) => Value::Single(text.clone().into_bytes()),
                    Some((_, Claim::List(items))) => {
                        Value::Many(items.iter().map(|item| item.clone().into_bytes()).collect())
                    }
                    Some((_, Claim::Other)) => Value::Odd,
                }
            }
            Field::SourceIp => Value::Address(number(self.source_ip)),
            Field::ClientIp => self.client_ip.map_or(Value::Absent, |ip| Value::Address(number(ip))),
        }
    }

    fn token(&self, issuer: &str) -> Option<&Token> {
        self.tokens.iter().find(|token| token.issuer == issuer)
    }

    /// 1.4: methods that a program cannot name are one.
    pub(crate) fn method(&self) -> Option<Method> {
        Method::parse(&self.method)
    }
}
