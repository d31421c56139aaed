//! Paths and path patterns in the canonical form in which they are decided on (semantics 1.1).

use super::input::{Parsed, Tokens, expected, refuse};
use super::recover::shown;
use super::value::{invalid, string};
use crate::ast::{Path, PathPattern, Segment};
use crate::diagnostic::{Code, Diagnostic};
use crate::span::{Name, Span, Spanned};
use crate::token::TokenKind;

/// What stands where a path is expected.
fn written(input: Tokens<'_>) -> Parsed<'_, Name> {
    match input.first() {
        Some(lexeme) if lexeme.kind == TokenKind::Path => {
            let name = Spanned { value: lexeme.text.into(), span: lexeme.span };
            Ok((nom::Input::take_from(&input, 1), name))
        }
        Some(lexeme) if lexeme.kind == TokenKind::String => string(input),
        _ => expected(input, "a path"),
    }
}

/// A path pattern, as a path or as a string.
pub(super) fn pattern(input: Tokens<'_>) -> Parsed<'_, Spanned<Path>> {
    let (rest, path) = written(input)?;
    match not_a_pattern(&path.value, path.span) {
        None => Ok((rest, Spanned { value: Path::new(path.value), span: path.span })),
        Some(diagnostic) => refuse(diagnostic),
    }
}

/// The path of a request: no placeholders; `*` is the path of `OPTIONS *`.
pub(super) fn concrete(input: Tokens<'_>) -> Parsed<'_, Name> {
    let (rest, path) = written(input)?;
    if path.value == "*" {
        return Ok((rest, path));
    }
    let complaint = match placeholder_in(&path.value) {
        Some(segment) => Some(
            non_canonical(path.span, format!("a request has no segment `{segment}`"))
                .help("Write a path as a client sends it."),
        ),
        None => check_concrete(&path.value, path.span),
    };
    complaint.map_or(Ok((rest, path)), refuse)
}

/// Where a redirect leads: an absolute path or an `http(s)://` URL.
pub(super) fn location(input: Tokens<'_>) -> Parsed<'_, Name> {
    let (rest, to) = written(input)?;
    let text = to.value.as_str();
    if let Some(segment) = placeholder_in(text).or_else(|| text.ends_with("/**").then_some("**")) {
        let message = format!("a redirect cannot carry `{segment}` over");
        return refuse(invalid(to.span, message, "Write the path or the URL itself."));
    }
    let absolute = text.starts_with('/') && !text.starts_with("//");
    let host = ["http://", "https://"].into_iter().find_map(|scheme| text.strip_prefix(scheme));
    let url = host.is_some_and(|host| !host.is_empty() && !host.starts_with(['/', '?', '#']));
    let plain = text.bytes().all(|b| (b'!'..=b'~').contains(&b) && !b"\"<>\\^`{|}".contains(&b));
    if plain && (absolute || url) {
        return Ok((rest, to));
    }
    let help =
        "Write an absolute path like `/new` or a URL like `\"https://shop.example/new\"`, percent-encoded.";
    refuse(invalid(to.span, format!("`{}` is no place to redirect to", shown(text)), help))
}

fn placeholder_in(path: &str) -> Option<&str> {
    path.split('/').find(|segment| is_placeholder(segment))
}

fn is_placeholder(segment: &str) -> bool {
    placeholder(segment).is_some()
}

/// The name and the suffix of `{name}` or `{name}.suffix`.
fn placeholder(segment: &str) -> Option<(&str, &str)> {
    let (name, suffix) = segment.strip_prefix('{')?.split_once('}')?;
    let inside = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    let begins = name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic());
    let suffixed = suffix.is_empty() || (suffix.starts_with('.') && !suffix.contains(['{', '}']));
    (begins && name.bytes().all(inside) && suffixed).then_some((name, suffix))
}

/// Whether a path is plainly canonical: each segment is unreserved letters, or a placeholder without a suffix. Nearly all
/// paths are, and this reads them in one go, without taking them apart.
fn is_plain(text: &str) -> bool {
    let (path, subtree) = text.strip_suffix("/**").map_or((text, false), |path| (path, true));
    let Some(mut rest) = path.as_bytes().strip_prefix(b"/") else { return path.is_empty() && subtree };
    loop {
        let placeholder = rest.strip_prefix(b"{");
        let segment = placeholder.unwrap_or(rest);
        let (mut kinds, mut end) = (0, 0);
        while let Some(kind @ 1..) = segment.get(end).map(|byte| UNRESERVED[*byte as usize]) {
            kinds |= kind;
            end += 1;
        }
        rest = &segment[end..];
        match placeholder {
            // A segment of dots alone means another path.
            None if kinds & !DOT == 0 => return false,
            None => {}
            Some(name)
                if kinds & !(LETTER | IN_NAME) == 0 && name.first().is_some_and(u8::is_ascii_alphabetic) =>
            {
                let Some(behind) = rest.strip_prefix(b"}") else { return false };
                rest = behind;
            }
            Some(_) => return false,
        }
        match rest {
            [] => return true,
            [b'/', next @ ..] => rest = next,
            _ => return false,
        }
    }
}

/// What the unreserved letters of a segment (RFC 3986 2.3) are; 0 are the others.
const UNRESERVED: [u8; 256] = {
    let mut kinds = [0; 256];
    let mut index = 0;
    while index < kinds.len() {
        kinds[index] = match index as u8 {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => LETTER,
            b'-' | b'_' => IN_NAME,
            b'~' => TILDE,
            b'.' => DOT,
            _ => 0,
        };
        index += 1;
    }
    kinds
};
const LETTER: u8 = 1;
/// May stand in the name of a placeholder as well.
const IN_NAME: u8 = 1 << 1;
const TILDE: u8 = 1 << 2;
const DOT: u8 = 1 << 3;

/// What is wrong with a path pattern.
fn not_a_pattern(text: &str, span: Span) -> Option<Diagnostic> {
    if is_plain(text) {
        return None;
    }
    match to_pattern(text, span) {
        Err(diagnostic) => Some(diagnostic),
        Ok(pattern) => {
            let canonical = pattern.to_string();
            (canonical != text).then(|| rewrite(text, &canonical, span))
        }
    }
}

fn to_pattern(text: &str, span: Span) -> Result<PathPattern, Diagnostic> {
    let (path, subtree) = text.strip_suffix("/**").map_or((text, false), |path| (path, true));
    if path.contains('*') {
        return Err(non_canonical(span, format!("`*` cannot stand inside the path `{}`", shown(text)))
            .help("Write `{name}` for one segment, or `/**` at the end for everything below."));
    }
    let mut segments = match path {
        "" if subtree => Vec::new(),
        _ => segments(path, is_placeholder).map_err(|fault| fault.at(text, span))?,
    };
    if subtree && segments.last().is_some_and(String::is_empty) {
        segments.pop();
    }
    let mut parts = Vec::with_capacity(segments.len());
    for segment in segments {
        parts.push(match placeholder(&segment) {
            Some((name, "")) => Segment::Any(name.into()),
            Some((name, suffix)) => {
                let suffix = decode(suffix).map_err(|fault| fault.at(text, span))?;
                Segment::AnyWithSuffix { name: name.into(), suffix: suffix.into() }
            }
            None => Segment::Literal(segment.into()),
        });
    }
    Ok(PathPattern { segments: parts, subtree })
}

fn check_concrete(text: &str, span: Span) -> Option<Diagnostic> {
    match segments(text, |_| false) {
        Err(fault) => Some(fault.at(text, span)),
        Ok(segments) => {
            let canonical = format!("/{}", segments.join("/"));
            (canonical != text).then(|| rewrite(text, &canonical, span))
        }
    }
}

/// What is wrong with a whole path that a condition compares with.
pub(super) fn not_concrete(path: &Name) -> Option<Diagnostic> {
    check_concrete(&path.value, path.span)
}

/// What is wrong with a part of a path that a condition looks for; `begins` where it is the beginning.
pub(super) fn not_a_part(part: &Name, begins: bool) -> Option<Diagnostic> {
    let text = part.value.as_str();
    if begins && !text.is_empty() && !text.starts_with('/') {
        let message = format!("no path begins with `{}`", shown(text));
        return Some(non_canonical(part.span, message).help("Begin the path with `/`."));
    }
    if text.contains("//") {
        let message = format!("no path contains `{}`", shown(text));
        return Some(non_canonical(part.span, message).help("Of several `/` in a row one is kept."));
    }
    let decoded: Result<Vec<String>, Fault> = text.split('/').map(decode).collect();
    match decoded {
        Err(fault) => Some(fault.at(text, part.span)),
        Ok(segments) => {
            let canonical = segments.join("/");
            (canonical != text).then(|| rewrite(text, &canonical, part.span))
        }
    }
}

fn non_canonical(span: Span, message: String) -> Diagnostic {
    Diagnostic::new(Code::NonCanonicalPath, message).at(span, "")
}

fn rewrite(text: &str, canonical: &str, span: Span) -> Diagnostic {
    non_canonical(span, format!("`{}` is not in its canonical form", shown(text)))
        .help(format!("Write `{canonical}`: this is how a request's path is compared."))
        .instead(text, canonical, true)
}

/// Why no request that reaches a decision has this path.
struct Fault {
    reason: String,
    help: &'static str,
}

impl Fault {
    fn at(self, text: &str, span: Span) -> Diagnostic {
        non_canonical(span, format!("`{}` is never a path: {}", shown(text), self.reason)).help(self.help)
    }
}

/// The canonical segments of a path; those that `opaque` accepts stay as they are.
fn segments(path: &str, opaque: fn(&str) -> bool) -> Result<Vec<String>, Fault> {
    let Some(relative) = path.strip_prefix('/') else {
        return Err(Fault { reason: "it does not begin with `/`".into(), help: "Begin the path with `/`." });
    };
    let mut decoded = Vec::new();
    for segment in relative.split('/') {
        decoded.push(if opaque(segment) { segment.to_string() } else { decode(segment)? });
    }
    let count = decoded.len();
    let mut result: Vec<String> = Vec::new();
    for (index, segment) in decoded.into_iter().enumerate() {
        let last = index + 1 == count;
        match segment.as_str() {
            "" | "." if last => result.push(String::new()),
            "" | "." => {}
            ".." => {
                result.pop().ok_or(Fault {
                    reason: "its `..` leads above the root".into(),
                    help: "Such a request is answered with 400 before any rule is asked.",
                })?;
                if last {
                    result.push(String::new());
                }
            }
            _ => result.push(segment),
        }
    }
    Ok(result)
}

/// Decodes what need not be encoded and writes the other triplets in upper case.
fn decode(segment: &str) -> Result<String, Fault> {
    let mut result = String::with_capacity(segment.len());
    let mut rest = segment;
    while let Some(c) = rest.chars().next() {
        if !('!'..='~').contains(&c) || "\"<>\\^`{|}#;?".contains(c) {
            let help = match c {
                '?' => "Paths are matched without their query.",
                '{' | '}' => "Write `{name}` as a whole segment, or `{name}.json` with a suffix behind it.",
                _ => "Write the character percent-encoded, if a request can have it at all.",
            };
            return Err(Fault { reason: format!("it contains `{c}`"), help });
        }
        if c != '%' {
            result.push(c);
            rest = &rest[1..];
            continue;
        }
        let triplet = rest.get(..3).filter(|triplet| triplet[1..].bytes().all(|b| b.is_ascii_hexdigit()));
        let Some(triplet) = triplet else {
            return Err(Fault {
                reason: "a `%` stands without two hex digits".into(),
                help: "A percent sign itself is written `%25`.",
            });
        };
        push_decoded(&mut result, triplet, &rest[3..])?;
        rest = &rest[3..];
    }
    Ok(result)
}

fn push_decoded(result: &mut String, triplet: &str, after: &str) -> Result<(), Fault> {
    let byte = u8::from_str_radix(&triplet[1..], 16).unwrap_or_default();
    let hides = |code: &str| after.get(..2).is_some_and(|next| next.eq_ignore_ascii_case(code));
    let twice = byte == b'%' && ["2E", "2F", "5C", "00"].into_iter().any(hides);
    if byte < b' ' || matches!(byte, 0x7f | b'/' | b'\\') || twice {
        let refused = if twice { format!("{triplet}{}", &after[..2]) } else { triplet.to_string() };
        return Err(Fault {
            reason: format!("it contains `{refused}`"),
            help: "Such a request is answered with 400 before any rule is asked.",
        });
    }
    match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => result.push(byte as char),
        _ => result.push_str(&triplet.to_ascii_uppercase()),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{is_plain, to_pattern};
    use crate::source::FileId;
    use crate::span::Span;

    /// Every text of at most six of these characters.
    #[test]
    fn what_is_plainly_canonical_is_canonical() {
        let (mut texts, mut plain) = (vec![String::new()], 0);
        for _ in 0..6 {
            let longer = |text: &String| "/{}a0-.*".chars().map(|c| format!("{text}{c}")).collect::<Vec<_>>();
            texts = texts.iter().flat_map(longer).collect();
            for text in texts.iter().filter(|text| is_plain(text)) {
                let pattern = to_pattern(text, Span::new(FileId(0), 0, 0));
                assert_eq!(pattern.map(|pattern| pattern.to_string()).as_ref(), Ok(text));
                plain += 1;
            }
        }
        for text in ["/a/{b-1}/~c/d.e/**", "/", "/**", "/{Ab}"] {
            assert_eq!(is_plain(text), text != "/", "{text}");
        }
        assert!(plain > 1_000, "{plain}");
    }
}
