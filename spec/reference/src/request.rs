//! Section 1: the canonical request.

/// What a decision sees of a header (1.3).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HeaderValue {
    Absent,
    Single(String),
    Many,
}

/// 1.1: the canonical form of a request target's path, or `None`: 400.
pub fn canonical_path(target: &str) -> Option<String> {
    let raw = target.split('?').next()?;
    if raw == "*" {
        return Some(raw.to_owned());
    }
    if !raw.starts_with('/') || raw.chars().any(|c| !('!'..='~').contains(&c) || "\"<>\\^{|}`#;".contains(c))
    {
        return None;
    }
    let decoded = decode_unreserved(raw)?;
    // `%25` that begins another triplet is looked for after decoding: `%25%32E` says `%252E` too.
    let twice = ["%252E", "%252F", "%255C", "%2500"];
    if twice.iter().any(|sequence| decoded.to_ascii_uppercase().contains(sequence)) {
        return None;
    }
    let mut merged = decoded;
    while merged.contains("//") {
        merged = merged.replace("//", "/");
    }
    remove_dot_segments(&merged)
}

/// Decodes `A–Z a–z 0–9 - . _ ~` and writes the other triplets with upper-case digits.
fn decode_unreserved(raw: &str) -> Option<String> {
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
pub fn header_value(name: &str, lines: &[&str]) -> HeaderValue {
    if lines.is_empty() {
        return HeaderValue::Absent;
    }
    let name = name.to_ascii_lowercase();
    let items: Vec<&str> = match NOT_LISTS.contains(&name.as_str()) {
        true => lines.to_vec(),
        false => lines.iter().flat_map(|line| list_items(line)).collect(),
    };
    match items.as_slice() {
        [] => HeaderValue::Single(String::new()),
        [item] => HeaderValue::Single((*item).to_owned()),
        _ => HeaderValue::Many,
    }
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
