//! Requests as servers of different makes read them out of the same bytes: one strictly, three leniently, each in its own way.

/// How to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// By RFC 9112, refusing whatever it lets one refuse.
    Strict,
    /// Bare line feeds end lines, folded lines are joined, the last `content-length` counts unless anything says `chunked`.
    BareLines,
    /// The same, and the first `content-length` wins over everything.
    LengthFirst,
    /// The same, and a carriage return alone ends a line; `chunked` anywhere in any header of that kind wins.
    EncodingFirst,
}

impl Reading {
    pub(crate) const LENIENT: [Reading; 3] =
        [Reading::BareLines, Reading::LengthFirst, Reading::EncodingFirst];
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) version: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<(String, Vec<u8>)>,
}

impl Request {
    pub(crate) fn values(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.headers.iter().filter(move |(own, _)| own == name).map(|(_, value)| value.as_slice())
    }

    pub(crate) fn path(&self) -> &str {
        self.target.split_once('?').map_or(&self.target, |(path, _)| path)
    }
}

/// What is behind the last whole request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    Nothing,
    /// The beginning of another one.
    Incomplete(usize),
    Broken(String),
}

/// All requests of a connection.
pub(crate) fn all(mut bytes: &[u8], how: Reading) -> (Vec<Request>, Rest) {
    let mut requests = Vec::new();
    while !bytes.is_empty() {
        match one(bytes, how) {
            Ok((request, used)) => {
                requests.push(request);
                bytes = bytes.get(used..).unwrap_or_default();
            }
            Err(None) => return (requests, Rest::Incomplete(bytes.len())),
            Err(Some(why)) => return (requests, Rest::Broken(why)),
        }
    }
    (requests, Rest::Nothing)
}

/// Nothing: more bytes are needed. Something: what is wrong.
type Stop = Option<String>;

/// The first request, and how many bytes it has.
pub(crate) fn one(bytes: &[u8], how: Reading) -> Result<(Request, usize), Stop> {
    let mut at = 0;
    let line = loop {
        let line = line(bytes, &mut at, how)?;
        match line.is_empty() {
            true if how == Reading::Strict => return Err(Some("an empty line before a request".to_owned())),
            true => {}
            false => break line,
        }
    };
    let mut request = request_line(line, how)?;
    request.headers = headers(bytes, &mut at, how)?;
    match framing(&request, how)? {
        Framing::Length(length) => {
            let end = at.saturating_add(length);
            request.body = bytes.get(at..end).ok_or(None)?.to_vec();
            at = end;
        }
        Framing::Chunked => {
            request.body = chunks(bytes, &mut at, how)?;
            request.trailers = headers(bytes, &mut at, how)?;
        }
    }
    Ok((request, at))
}

fn broken<T>(why: &str) -> Result<T, Stop> {
    Err(Some(why.to_owned()))
}

fn line<'b>(bytes: &'b [u8], at: &mut usize, how: Reading) -> Result<&'b [u8], Stop> {
    let rest = bytes.get(*at..).unwrap_or_default();
    let ends = |byte: &u8| *byte == b'\n' || how == Reading::EncodingFirst && *byte == b'\r';
    let end = rest.iter().position(ends).ok_or(None)?;
    let (line, _) = rest.split_at(end);
    let is_pair = rest.get(end..end + 2) == Some(b"\r\n");
    *at += end + if is_pair { 2 } else { 1 };
    match how {
        Reading::EncodingFirst => Ok(line),
        Reading::Strict => match line.strip_suffix(b"\r") {
            Some(line) if !line.contains(&b'\r') => Ok(line),
            _ => broken("a line that does not end in CR LF"),
        },
        _ => Ok(line.strip_suffix(b"\r").unwrap_or(line)),
    }
}

fn request_line(line: &[u8], how: Reading) -> Result<Request, Stop> {
    let line = String::from_utf8_lossy(line).into_owned();
    let parts: Vec<&str> = match how {
        Reading::Strict => line.split(' ').collect(),
        _ => line.split_whitespace().collect(),
    };
    let (method, target, version) = match (parts.as_slice(), how) {
        ([method, target, version], _) => (*method, *target, *version),
        ([method, target], Reading::BareLines | Reading::LengthFirst | Reading::EncodingFirst) => {
            (*method, *target, "HTTP/0.9")
        }
        ([method, target, .., version], Reading::LengthFirst | Reading::EncodingFirst) => {
            (*method, *target, *version)
        }
        _ => return broken("a request line that is none"),
    };
    if how == Reading::Strict && !matches!(version, "HTTP/1.1" | "HTTP/1.0") {
        return broken("an unknown version");
    }
    Ok(Request {
        method: method.to_owned(),
        target: target.to_owned(),
        version: version.to_owned(),
        ..Request::default()
    })
}

fn headers(bytes: &[u8], at: &mut usize, how: Reading) -> Result<Vec<(String, Vec<u8>)>, Stop> {
    let mut headers: Vec<(String, Vec<u8>)> = Vec::new();
    loop {
        let line = line(bytes, at, how)?;
        if line.is_empty() {
            return Ok(headers);
        }
        if matches!(line.first(), Some(b' ' | b'\t')) {
            match headers.last_mut() {
                _ if how == Reading::Strict => return broken("a folded line"),
                Some((_, value)) => value.extend_from_slice(line),
                None => {}
            }
            continue;
        }
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            if how == Reading::Strict {
                return broken("a header line without a colon");
            }
            continue;
        };
        let (name, value) = line.split_at(colon);
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        let name = match how {
            Reading::Strict if name.is_empty() || !name.bytes().all(is_token) => {
                return broken("a header name that is none");
            }
            Reading::Strict => name,
            // A server that hands headers to CGI cannot tell the two apart.
            _ => name.trim().replace('_', "-"),
        };
        headers.push((name, value.to_vec()));
    }
}

pub(crate) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

enum Framing {
    Length(usize),
    Chunked,
}

fn framing(request: &Request, how: Reading) -> Result<Framing, Stop> {
    let lengths: Vec<&[u8]> = request.values("content-length").collect();
    let encodings: Vec<&[u8]> = request.values("transfer-encoding").collect();
    if how == Reading::Strict {
        return match (lengths.as_slice(), encodings.as_slice()) {
            ([], []) => Ok(Framing::Length(0)),
            ([length], []) => match std::str::from_utf8(length).ok().and_then(|text| text.parse().ok()) {
                Some(length) => Ok(Framing::Length(length)),
                None => broken("a content-length that is no number"),
            },
            ([], [one]) if one.eq_ignore_ascii_case(b"chunked") && request.version == "HTTP/1.1" => {
                Ok(Framing::Chunked)
            }
            _ => broken("a body of unclear length"),
        };
    }
    let chunked =
        encodings.iter().any(|value| value.windows(7).any(|part| part.eq_ignore_ascii_case(b"chunked")));
    let length = match how {
        Reading::BareLines => lengths.last(),
        _ => lengths.first(),
    };
    let length = length.map(|digits| leading_number(digits, 10));
    Ok(match (length, chunked, how) {
        (Some(length), _, Reading::LengthFirst) => Framing::Length(length),
        (_, true, _) => Framing::Chunked,
        (Some(length), false, _) => Framing::Length(length),
        (None, false, _) => Framing::Length(0),
    })
}

/// As `strtol` reads it: what is behind the digits is nothing to it.
fn leading_number(text: &[u8], base: u32) -> usize {
    let text = String::from_utf8_lossy(text).trim().trim_start_matches(['+', '-']).to_owned();
    let digits: String = text.chars().take_while(|digit| digit.is_digit(base)).collect();
    usize::from_str_radix(&digits, base).unwrap_or_default()
}

fn chunks(bytes: &[u8], at: &mut usize, how: Reading) -> Result<Vec<u8>, Stop> {
    let mut body = Vec::new();
    loop {
        let size = line(bytes, at, how)?;
        if how == Reading::Strict && (size.is_empty() || !size.iter().all(u8::is_ascii_hexdigit)) {
            return broken("a chunk of unclear size");
        }
        let size = leading_number(size, 16);
        if size == 0 {
            return Ok(body);
        }
        let end = at.saturating_add(size);
        body.extend_from_slice(bytes.get(*at..end).ok_or(None)?);
        *at = end;
        if !line(bytes, at, how)?.is_empty() && how == Reading::Strict {
            return broken("a chunk that is longer than it says");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings_of_the_same_bytes_differ() {
        let bytes = b"POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
        assert!(matches!(all(bytes, Reading::Strict), (none, Rest::Broken(_)) if none.is_empty()));
        let (requests, rest) = all(bytes, Reading::LengthFirst);
        assert_eq!((requests[0].body.as_slice(), rest), (&b"0\r\n\r\n"[..], Rest::Nothing));
        let (requests, rest) = all(bytes, Reading::EncodingFirst);
        assert_eq!((requests[0].body.as_slice(), rest), (&b""[..], Rest::Nothing));
    }

    #[test]
    fn what_is_behind_a_request_is_another_one() {
        let bytes = b"GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\nx_y : 1\r\n\r\n";
        let (requests, rest) = all(bytes, Reading::Strict);
        assert!(requests.len() == 1 && matches!(rest, Rest::Broken(_)));
        let (requests, _) = all(bytes, Reading::BareLines);
        assert_eq!(requests[1].values("x-y").next(), Some(&b"1"[..]));
        assert_eq!(all(b"GET / HT", Reading::Strict).1, Rest::Incomplete(8));
    }
}
