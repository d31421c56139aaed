//! What gRPC says over HTTP/2 (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>): how a call is known, how long it may take,
//! and how it ended, which stands in trailers, so that an answer of our own is one head and nothing else.

use crate::reply::Reply;
use crate::request::Refused;
use hyper::body::Bytes;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Response, StatusCode, Uri, Version};
use std::time::Duration;

const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// The most digits of a `grpc-timeout`.
const MAX_DIGITS: usize = 8;

/// Statuses of gRPC (<https://github.com/grpc/grpc/blob/master/doc/statuscodes.md>) that the proxy itself answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Code {
    Unknown = 2,
    DeadlineExceeded = 4,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    Unauthenticated = 16,
}

impl Code {
    /// What the proxy means by a status of HTTP. What an upstream answers is not translated: its own client does that.
    pub(crate) fn of(status: StatusCode) -> Code {
        match status {
            StatusCode::BAD_REQUEST | StatusCode::INTERNAL_SERVER_ERROR => Code::Internal,
            StatusCode::UNAUTHORIZED => Code::Unauthenticated,
            StatusCode::FORBIDDEN => Code::PermissionDenied,
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => Code::Unimplemented,
            StatusCode::PAYLOAD_TOO_LARGE
            | StatusCode::TOO_MANY_REQUESTS
            | StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => Code::ResourceExhausted,
            StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE => Code::Unavailable,
            StatusCode::GATEWAY_TIMEOUT => Code::DeadlineExceeded,
            _ => Code::Unknown,
        }
    }
}

/// Whether a request is a call of gRPC: `application/grpc`, with or without the format of its messages.
pub(crate) fn is_asked(version: Version, headers: &HeaderMap) -> bool {
    let Some(kind) = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes) else { return false };
    let rest = kind.strip_prefix(b"application/grpc");
    version == Version::HTTP_2 && rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

/// Whether a target may be one of gRPC, which is a service and a method and nothing else: of empty segments and queries, one server makes a method
/// and another does not.
pub(crate) fn is_method(uri: &Uri) -> bool {
    uri.query().is_none() && !uri.path().contains("//")
}

/// How long the caller waits, if it says so.
pub(crate) fn timeout(headers: &HeaderMap) -> Result<Option<Duration>, Refused> {
    let Some(line) = headers.get(TIMEOUT) else { return Ok(None) };
    let malformed =
        Refused { status: StatusCode::BAD_REQUEST, why: "the grpc-timeout is malformed", resets: false };
    parse_timeout(line.as_bytes()).map(Some).ok_or(malformed)
}

fn parse_timeout(text: &[u8]) -> Option<Duration> {
    let (unit, digits) = text.split_last()?;
    let is_number = (1..=MAX_DIGITS).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    let count: u64 = std::str::from_utf8(digits).ok().filter(|_| is_number)?.parse().ok()?;
    if count == 0 {
        return None;
    }
    Some(match unit {
        b'H' => Duration::from_secs(count * 3_600),
        b'M' => Duration::from_secs(count * 60),
        b'S' => Duration::from_secs(count),
        b'm' => Duration::from_millis(count),
        b'u' => Duration::from_micros(count),
        b'n' => Duration::from_nanos(count),
        _ => return None,
    })
}

/// Lowers the time that a request says it has, to what is left of it.
pub(crate) fn lower_timeout(headers: &mut HeaderMap, left: Duration) {
    if !headers.contains_key(TIMEOUT) {
        return;
    }
    // The finest unit in which it fits, rounded down: the next one is not to believe in time that nobody has.
    let most = 10_u128.pow(MAX_DIGITS as u32);
    let units = [("n", left.as_nanos()), ("u", left.as_micros()), ("m", left.as_millis())];
    let text = match units.into_iter().find(|(_, count)| *count < most) {
        Some((unit, count)) => format!("{count}{unit}"),
        None => format!("{}S", u128::from(left.as_secs()).min(most - 1)),
    };
    if let Ok(value) = HeaderValue::try_from(text) {
        headers.insert(TIMEOUT, value);
    }
}

/// Says how long an answer is waited for.
pub(crate) fn set_timeout(headers: &mut HeaderMap, most: Duration) {
    headers.insert(TIMEOUT, HeaderValue::from_static("0n"));
    lower_timeout(headers, most);
}

/// The status of a call, in a response's head or in its trailers.
pub(crate) fn status(headers: &HeaderMap) -> Option<u16> {
    headers.get(STATUS)?.to_str().ok()?.parse().ok()
}

/// What a status of gRPC says of an endpoint, as a status of HTTP: whether it failed, or whoever asked it.
pub(crate) fn as_http(status: u16) -> StatusCode {
    match status {
        // UNKNOWN, INTERNAL, DATA_LOSS.
        2 | 13 | 15 => StatusCode::INTERNAL_SERVER_ERROR,
        // DEADLINE_EXCEEDED.
        4 => StatusCode::GATEWAY_TIMEOUT,
        // UNAVAILABLE.
        14 => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::OK,
    }
}

/// An answer of our own as gRPC says it: status and message in the head, and no body.
pub(crate) fn answer(response: Response<Reply>) -> Response<Reply> {
    let (mut parts, reply) = response.into_parts();
    let Reply::Local(text) = reply else { return Response::from_parts(parts, reply) };
    let code = Code::of(parts.status);
    parts.status = StatusCode::OK;
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    parts.headers.insert(STATUS, HeaderValue::from(code as u16));
    if let Ok(message) = HeaderValue::try_from(percent_encoded(&text)) {
        parts.headers.insert(MESSAGE, message);
    }
    Response::from_parts(parts, Reply::Local(Bytes::new()))
}

/// A message as it stands in a header: what is not printable ASCII, and `%`, in hex.
fn percent_encoded(text: &[u8]) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text {
        match byte {
            b'%' | ..b' ' | 0x7f.. => encoded.push_str(&format!("%{byte:02X}")),
            plain => encoded.push(char::from(*plain)),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_as_they_are_written() {
        for (text, expected) in [
            ("1H", Some(Duration::from_secs(3_600))),
            ("2M", Some(Duration::from_secs(120))),
            ("99999999S", Some(Duration::from_secs(99_999_999))),
            ("250m", Some(Duration::from_millis(250))),
            ("7u", Some(Duration::from_micros(7))),
            ("0n", None),
            ("123456789S", None),
            ("S", None),
            ("", None),
            ("1", None),
            ("+1S", None),
            ("1s", None),
        ] {
            assert_eq!(parse_timeout(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn what_is_left_is_told_in_the_finest_unit_that_fits() {
        for (left, expected) in [
            (Duration::from_nanos(99_999_999), "99999999n"),
            (Duration::from_millis(100), "100000u"),
            (Duration::from_secs(100), "100000m"),
            (Duration::from_secs(100_000), "100000S"),
        ] {
            let mut headers = HeaderMap::new();
            lower_timeout(&mut headers, left);
            assert!(headers.is_empty(), "nobody asked for it");
            headers.insert(TIMEOUT, HeaderValue::from_static("1H"));
            lower_timeout(&mut headers, left);
            assert_eq!(headers[TIMEOUT], expected);
        }
    }

    #[test]
    fn a_method_has_a_service_and_a_name() {
        let is_method = |target: &'static str| is_method(&Uri::from_static(target));
        assert!(["/a.A/B", "/a%2EA/B"].map(is_method) == [true; 2]);
        assert!(["//a.A/B", "/a.A/B?x", "/a.A//B"].map(is_method) == [false; 3]);
    }

    #[test]
    fn calls_are_known_by_their_content_type() {
        let is_grpc = |kind: &'static str| {
            let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(kind))]);
            is_asked(Version::HTTP_2, &headers)
        };
        assert!(
            ["application/grpc", "application/grpc+proto", "application/grpc;a=b"].map(is_grpc) == [true; 3]
        );
        assert!(
            ["application/grpc-web", "application/json", "text/application/grpc"].map(is_grpc) == [false; 3]
        );
    }

    #[test]
    fn messages_are_one_line_of_ascii() {
        assert_eq!(percent_encoded("no route: 5 % of é\n".as_bytes()), "no route: 5 %25 of %C3%A9%0A");
    }
}
