//! The canonical request: one form for decision, logs and forwarding (`spec/semantics.md` 1).

use std::borrow::Cow;
use std::net::Ipv6Addr;

/// Why a request has no canonical form: it is answered 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotCanonical(
    /// A clause for the log, e.g. ``path holds `%2F` ``.
    pub &'static str,
);

/// What a place makes of paths that it would refuse. Whatever it says, a canonical path holds neither `%2F` nor `%5C` nor `;`, so what is
/// canonical at one place is at every other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Relaxed {
    /// `%2F` and `%5C` are `/`.
    pub decodes_slashes: bool,
    /// Of a segment with a `;`, that and what is behind it is taken off.
    pub strips_parameters: bool,
}

/// The canonical path of a raw path: the request target up to the first `?`. Borrows where nothing changes. Idempotent.
/// `*` is itself: whether the method may ask for it is the caller's business.
pub fn path(raw: &str) -> Result<Cow<'_, str>, NotCanonical> {
    path_as(raw, Relaxed::default())
}

/// The same at a place that takes more.
pub fn path_as(raw: &str, relaxed: Relaxed) -> Result<Cow<'_, str>, NotCanonical> {
    let raw = raw.split_once('?').map_or(raw, |(path, _)| path);
    if raw == "*" {
        return Ok(Cow::Borrowed(raw));
    }
    if !raw.starts_with('/') {
        return Err(NotCanonical("path does not begin with `/`"));
    }
    let is_parameter = |byte: u8| relaxed.strips_parameters && byte == b';';
    raw.bytes().filter(|byte| !is_parameter(*byte)).try_for_each(plain)?;
    if raw.contains(';') {
        // What is taken off is not allowed to say what would be refused elsewhere.
        decoded(raw, relaxed)?;
        return Ok(Cow::Owned(remove_dot_segments(&decoded(&without_parameters(raw), relaxed)?)?));
    }
    if !raw.contains('%') && !raw.contains("//") && !raw.contains("/.") {
        return Ok(Cow::Borrowed(raw));
    }
    let path = remove_dot_segments(&decoded(raw, relaxed)?)?;
    if path == raw { Ok(Cow::Borrowed(raw)) } else { Ok(Cow::Owned(path)) }
}

/// Bytes that a path may hold as they are. The others mean different things to different servers.
fn plain(byte: u8) -> Result<(), NotCanonical> {
    match byte {
        b'"' | b'<' | b'>' | b'\\' | b'^' | b'{' | b'|' | b'}' | b'`' | b'#' | b';' => {
            Err(NotCanonical("path holds a character that has to be encoded"))
        }
        b'!'..=b'~' => Ok(()),
        _ => Err(NotCanonical("path holds a byte outside `!` to `~`")),
    }
}

/// Of each segment what is before its first `;`.
fn without_parameters(raw: &str) -> String {
    let names = raw.split('/').map(|segment| segment.split_once(';').map_or(segment, |(name, _)| name));
    names.collect::<Vec<_>>().join("/")
}

/// What triplets say, where it is one thing.
fn decoded(raw: &str, relaxed: Relaxed) -> Result<String, NotCanonical> {
    let decoded = decode_unreserved(raw, relaxed)?;
    refuse_double_encoding(&decoded)?;
    refuse_overlong(&decoded)?;
    Ok(decoded)
}

/// Decodes letters, digits and `-._~`; the other triplets get upper-case digits.
fn decode_unreserved(raw: &str, relaxed: Relaxed) -> Result<String, NotCanonical> {
    let mut decoded = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((before, after)) = rest.split_once('%') {
        decoded.push_str(before);
        let byte = triplet(after).ok_or(NotCanonical("path holds a `%` without two hexadecimal digits"))?;
        match byte {
            0x00..=0x1F | 0x7F => return Err(NotCanonical("path holds an encoded control character")),
            b'/' | b'\\' if relaxed.decodes_slashes => decoded.push('/'),
            b'/' => return Err(NotCanonical("path holds `%2F`")),
            b'\\' => return Err(NotCanonical("path holds `%5C`")),
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                decoded.push(char::from(byte))
            }
            _ => {
                decoded.push('%');
                decoded.extend([byte >> 4, byte & 0xF].map(upper_hex));
            }
        }
        rest = after.get(2..).unwrap_or_default();
    }
    decoded.push_str(rest);
    Ok(decoded)
}

/// The byte that two hexadecimal digits at the beginning say.
fn triplet(digits: &str) -> Option<u8> {
    let mut digits = digits.chars().map(|digit| digit.to_digit(16));
    let (high, low) = (digits.next()??, digits.next()??);
    u8::try_from(high * 16 + low).ok()
}

fn upper_hex(digit: u8) -> char {
    char::from_digit(u32::from(digit), 16).unwrap_or('0').to_ascii_uppercase()
}

/// Looked for after decoding: `%25%32E` says `%252E` too.
fn refuse_double_encoding(decoded: &str) -> Result<(), NotCanonical> {
    let mut tails = decoded.split("%25").skip(1).filter_map(triplet);
    match tails.any(|byte| matches!(byte, b'.' | b'/' | b'\\' | 0)) {
        true => Err(NotCanonical("path holds a doubly encoded `.`, `/`, `\\` or zero")),
        false => Ok(()),
    }
}

/// Forms of characters that are longer than they need be (RFC 3629 3) are no UTF-8, and some decoders read `/` and `.` out of them.
const OVERLONG: [&str; 5] = ["%C0", "%C1", "%E0%8", "%E0%9", "%F0%8"];

fn refuse_overlong(decoded: &str) -> Result<(), NotCanonical> {
    match OVERLONG.iter().any(|form| decoded.contains(form)) {
        true => Err(NotCanonical("path holds an overlong form of UTF-8")),
        false => Ok(()),
    }
}

/// Merges slashes, then RFC 3986 5.2.4; climbing above the root is refused.
fn remove_dot_segments(path: &str) -> Result<String, NotCanonical> {
    let mut kept = String::with_capacity(path.len());
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            "" if !last => continue,
            "." => {}
            ".." => {
                let parent = kept.rfind('/').ok_or(NotCanonical("path climbs above the root"))?;
                kept.truncate(parent);
            }
            name => {
                kept.push('/');
                kept.push_str(name);
                continue;
            }
        }
        // A path that ends in a dot segment is a directory: it keeps its slash.
        if last {
            kept.push('/');
        }
    }
    Ok(kept)
}

/// The canonical host and the port of an authority (`host`, `host:port`, `[::1]:port`).
pub fn host(raw: &str) -> Result<(Cow<'_, str>, Option<u16>), NotCanonical> {
    let (host, port) = match raw.rfind(']') {
        Some(end) => raw.split_at_checked(end + 1).unwrap_or((raw, "")),
        None => raw.split_at_checked(raw.find(':').unwrap_or(raw.len())).unwrap_or((raw, "")),
    };
    let port = match port.strip_prefix(':') {
        Some(digits) => Some(port_number(digits)?),
        None if port.is_empty() => None,
        None => return Err(NotCanonical("host goes on after its `]`")),
    };
    let host = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => {
            address.parse::<Ipv6Addr>().map_err(|_| NotCanonical("host is no IPv6 address"))?;
            host
        }
        None => {
            let name = host.strip_suffix('.').unwrap_or(host);
            name.split('.').try_for_each(label)?;
            name
        }
    };
    if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Ok((Cow::Owned(host.to_ascii_lowercase()), port))
    } else {
        Ok((Cow::Borrowed(host), port))
    }
}

fn port_number(digits: &str) -> Result<u16, NotCanonical> {
    let number = if digits.bytes().all(|byte| byte.is_ascii_digit()) { digits.parse().ok() } else { None };
    number.ok_or(NotCanonical("host has a port that is no port"))
}

fn label(label: &str) -> Result<(), NotCanonical> {
    if label.is_empty() {
        return Err(NotCanonical("host is empty or has an empty label"));
    }
    match label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_') {
        true => Ok(()),
        false => Err(NotCanonical("host holds a character that no host has")),
    }
}

#[cfg(test)]
mod tests;
