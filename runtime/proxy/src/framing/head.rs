//! The lines of a head (RFC 9112 2 to 6), each of which has one form. Each is looked at when it is there; what is found in it is remembered by its
//! place, so that a head that is whole is not looked for its lines again.

use crate::bounds::Bound;
use bytes::Bytes;
use hyper::Uri;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use std::ops::Range;

/// Longer than any method that there is, so that what has no end and no blank is no request line.
const MAX_METHOD: usize = 32;
/// Headers that a proxy adds.
const OWN_FIELDS: usize = 6;
/// Empty lines before a request line (RFC 9112 2.2): one, which clients have sent behind a body.
const MAX_EMPTY_LINES: u32 = 1;

/// Why a message is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Defect {
    pub(crate) status: u16,
    /// A clause.
    pub(crate) why: &'static str,
}

impl Defect {
    pub(crate) const METHOD: Defect = bad("the method is no token");
    pub(crate) const TARGET: Defect = bad("the target is malformed");
}

pub(crate) const fn bad(why: &'static str) -> Defect {
    Defect { status: 400, why }
}

/// What the lines of a head say so far.
#[derive(Default)]
pub(crate) struct Head {
    empty_lines: u32,
    /// Whether there is a request line or a status line, and of which minor version.
    minor: Option<u8>,
    method: Range<usize>,
    target: Range<usize>,
    status: u16,
    fields: Vec<Field>,
    lengths: u32,
    length: Option<u64>,
    encodings: u32,
    coding: Coding,
}

/// What follows a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    Length(u64),
    Chunks,
    /// All that comes: of responses alone.
    UntilClose,
}

/// Where a field stands in its head.
struct Field {
    name: Range<usize>,
    value: Range<usize>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Coding {
    /// None, or a list, or a malformed one.
    #[default]
    Other,
    Chunked,
    /// One that nobody here knows.
    Unknown,
}

impl Head {
    fn begun(&self) -> bool {
        self.minor.is_some()
    }

    /// Reads a line of a request, which stands at a place and ends in a line feed. `true`: the head ends here.
    pub(crate) fn line(&mut self, at: usize, line: &[u8]) -> Result<bool, Defect> {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        self.begins_well(line)?;
        let Some(line) = line.strip_suffix(b"\r") else {
            return Err(bad("a line that does not end in CR LF"));
        };
        match self.minor {
            None if line.is_empty() => {
                self.empty_lines += 1;
                let too_many = self.empty_lines > MAX_EMPTY_LINES;
                if too_many { Err(bad("empty lines before a request")) } else { Ok(false) }
            }
            None => {
                let (minor, method, target) = request_line(line)?;
                let target_at = at + method + 1;
                (self.method, self.target) = (at..at + method, target_at..target_at + target);
                self.minor = Some(minor);
                Ok(false)
            }
            Some(_) if line.is_empty() => Ok(true),
            Some(_) => self.field(at, line).map(|()| false),
        }
    }

    /// Whether a line, or the beginning of one, may be that of a request line, or an empty one.
    pub(crate) fn begins_well(&self, line: &[u8]) -> Result<(), Defect> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let mut method = line.split(|byte| *byte == b' ').next().unwrap_or_default().iter();
        let is_well = self.begun() || method.all(|byte| is_token(*byte));
        if is_well { Ok(()) } else { Err(Defect::METHOD) }
    }

    /// Reads a line of a response. `true`: the head ends here.
    pub(crate) fn line_of_response(&mut self, at: usize, line: &[u8]) -> Result<bool, Defect> {
        let Some(line) = line.strip_suffix(b"\r\n") else {
            return Err(bad("a line that does not end in CR LF"));
        };
        if self.minor.is_none() {
            let (minor, status) = status_line(line)?;
            (self.minor, self.status) = (Some(minor), status);
        } else if !line.is_empty() {
            self.field(at, line)?;
        } else {
            return Ok(true);
        }
        Ok(false)
    }

    /// The method that a request's line said, and its target.
    pub(crate) fn request_line(&self, bytes: &Bytes) -> (Bytes, Bytes) {
        (bytes.slice(self.method.clone()), bytes.slice(self.target.clone()))
    }

    /// The fields of a head, of which these are the bytes. Values are not copied.
    pub(crate) fn headers(&self, bytes: &Bytes) -> Result<HeaderMap, Defect> {
        let malformed = bad("a malformed header");
        // Room for those that are written on the way.
        let mut headers = HeaderMap::with_capacity(self.fields.len() + OWN_FIELDS);
        for Field { name, value } in &self.fields {
            let name = bytes.get(name.clone()).unwrap_or_default();
            let name = HeaderName::from_bytes(name).map_err(|_| malformed)?;
            let value = HeaderValue::from_maybe_shared(bytes.slice(value.clone())).map_err(|_| malformed)?;
            headers.append(name, value);
        }
        Ok(headers)
    }

    /// The status that a response's line said.
    pub(crate) fn status(&self) -> u16 {
        self.status
    }

    /// Whether the message is one of HTTP/1.1, and not of HTTP/1.0.
    pub(crate) fn is_http11(&self) -> bool {
        self.minor == Some(1)
    }

    /// How long the body of a response is that may have one (RFC 9112 6.3).
    pub(crate) fn body_of_response(&self) -> Result<Body, Defect> {
        match (self.lengths, self.encodings) {
            (0, 0) => Ok(Body::UntilClose),
            _ => self.body(),
        }
    }

    /// Why a head is refused that has more bytes than it may, of which these are of its last line.
    pub(crate) fn too_long(&self, line: &[u8]) -> Defect {
        if self.begun() {
            return Defect { status: 431, why: "the head is too long" };
        }
        let mut begin = line.iter().take(MAX_METHOD + 1);
        match begin.any(|byte| *byte == b' ') {
            true => Defect { status: 414, why: "the target is too long" },
            false => Defect::METHOD,
        }
    }

    /// Reads a header line, without its end.
    pub(crate) fn field(&mut self, at: usize, line: &[u8]) -> Result<(), Defect> {
        if self.fields.len() >= Bound::HeadFields.size() {
            return Err(Defect { status: 431, why: "too many headers" });
        }
        let (name, blanks, value) = field(line)?;
        let value_at = at + name.len() + 1 + blanks;
        let place = Field { name: at..at + name.len(), value: value_at..value_at + value.len() };
        self.fields.push(place);
        // The two names that frame a message are told from almost all others by their first letter.
        if matches!(name.first(), Some(b'c' | b'C' | b't' | b'T')) {
            self.framing(name, value);
        }
        Ok(())
    }

    fn framing(&mut self, name: &[u8], value: &[u8]) {
        if name.eq_ignore_ascii_case(b"content-length") {
            self.lengths += 1;
            self.length = decimal(value);
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.encodings += 1;
            self.coding = coding(value);
        }
    }

    /// How long the body is, where that is clear.
    pub(crate) fn body(&self) -> Result<Body, Defect> {
        if self.lengths > 0 && self.encodings > 0 {
            return Err(bad("both content-length and transfer-encoding"));
        }
        match (self.lengths, self.encodings) {
            (0, 0) => Ok(Body::Length(0)),
            (1, _) => self.length.map(Body::Length).ok_or(bad("content-length is not a number")),
            (2.., _) => Err(bad("content-length is repeated")),
            (0, 1) if self.minor == Some(0) => Err(bad("transfer-encoding before HTTP/1.1")),
            (0, 1) if self.coding == Coding::Chunked => Ok(Body::Chunks),
            (0, 1) if self.coding == Coding::Unknown => {
                Err(Defect { status: 501, why: "an unknown transfer coding" })
            }
            (0, 1..) => Err(bad("transfer-encoding is not `chunked`")),
        }
    }
}

/// The name and the value of a header line, and how many bytes stand between its colon and its value.
fn field(line: &[u8]) -> Result<(&[u8], usize, &[u8]), Defect> {
    if matches!(line.first(), Some(b' ' | b'\t')) {
        return Err(bad("a folded header line"));
    }
    // Of nearly all lines each byte is looked at once: what is wrong with one is asked of the few that are wrong.
    let end = line.iter().position(|byte| !is_token(*byte)).unwrap_or(line.len());
    let (name, value) = line.split_at_checked(end).unwrap_or((line, &[]));
    let (Some((b':', value)), false) = (value.split_first(), name.is_empty()) else {
        return Err(why_no_field(line));
    };
    if !value.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~' | 0x80..)) {
        return Err(why_no_field(line));
    }
    let blanks = value.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    Ok((name, blanks, trim(value)))
}

/// What is wrong with a line that is no header.
fn why_no_field(line: &[u8]) -> Defect {
    if line.contains(&b'\r') {
        return bad("a carriage return inside a line");
    }
    let Some(colon) = line.iter().position(|byte| *byte == b':') else {
        return bad("a header line without a colon");
    };
    let name = line.get(..colon).unwrap_or_default();
    match !name.is_empty() && name.iter().all(|byte| is_token(*byte)) {
        true => bad("a header value with a control character"),
        false => bad("a header name that is none"),
    }
}

/// Checks a request line. Returns the minor version of HTTP, and how long the method and the target are.
fn request_line(line: &[u8]) -> Result<(u8, usize, usize), Defect> {
    let mut parts = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(bad("the request line has not three parts"));
    };
    if !(1..=MAX_METHOD).contains(&method.len()) || !method.iter().all(|byte| is_token(*byte)) {
        return Err(Defect::METHOD);
    }
    if target.contains(&b'#') {
        return Err(bad("the target has a fragment"));
    }
    if target.is_empty()
        || !target.iter().all(|byte| matches!(byte, b'!'..=b'~') && !matches!(byte, b'<' | b'>'))
    {
        return Err(Defect::TARGET);
    }
    // What begins as a path is looked at where it is brought into canonical form.
    if target.first() != Some(&b'/') && Uri::try_from(target).is_err() {
        return Err(Defect::TARGET);
    }
    if method == b"CONNECT" && target.contains(&b'/') {
        return Err(bad("the target of CONNECT is a host and a port"));
    }
    match version {
        b"HTTP/1.1" => Ok((1, method.len(), target.len())),
        b"HTTP/1.0" => Ok((0, method.len(), target.len())),
        [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => {
            Err(Defect { status: 505, why: "the version is not supported" })
        }
        _ => Err(bad("the version is malformed")),
    }
}

/// Checks a status line. Returns the minor version of HTTP and the status.
fn status_line(line: &[u8]) -> Result<(u8, u16), Defect> {
    let (minor, rest) = match line {
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor @ (b'0' | b'1'), b' ', rest @ ..] => {
            (minor - b'0', rest)
        }
        _ => return Err(bad("the version is malformed")),
    };
    let (status, reason) = rest.split_at_checked(3).unwrap_or((rest, &[]));
    let digits =
        std::str::from_utf8(status).ok().filter(|status| status.bytes().all(|byte| byte.is_ascii_digit()));
    let status = digits.and_then(|digits| digits.parse().ok()).filter(|status| (100..600).contains(status));
    let is_line = matches!(reason, [] | [b' ', ..]);
    let is_line = is_line && reason.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~' | 0x80..));
    status.filter(|_| is_line).map(|status| (minor, status)).ok_or(bad("the status line is malformed"))
}

/// Which bytes a token has (RFC 9110 5.6.2), looked up because it is asked of every byte of a name.
#[expect(clippy::indexing_slicing, reason = "it is made when this is compiled")]
const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let mut marks: &[u8] = b"!#$%&'*+-.^_`|~";
    while let [mark, rest @ ..] = marks {
        table[*mark as usize] = true;
        marks = rest;
    }
    table
};

fn is_token(byte: u8) -> bool {
    TOKEN.get(usize::from(byte)).copied().unwrap_or_default()
}

/// Without the blanks around it (RFC 9110 5.6.3), and nothing else.
fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

fn coding(value: &[u8]) -> Coding {
    let is_obsolete = value.eq_ignore_ascii_case(b"identity");
    let has_chunked = value.windows(7).any(|part| part.eq_ignore_ascii_case(b"chunked"));
    if value.eq_ignore_ascii_case(b"chunked") {
        Coding::Chunked
    } else if !value.is_empty() && value.iter().all(|byte| is_token(*byte)) && !is_obsolete && !has_chunked {
        Coding::Unknown
    } else {
        Coding::Other
    }
}

/// Digits, without zeros in front: some read those as octal.
fn decimal(digits: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(digits).ok()?;
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    plain.then(|| text.parse().ok())?
}
