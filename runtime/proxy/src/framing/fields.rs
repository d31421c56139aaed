//! What the fields of a message say of its connection, and the fields behind a body.

use super::head::{Defect, Head};
use crate::request;
use bytes::Bytes;
use hyper::header::{self, HeaderMap};

/// The trailers behind a body. They never speak of the message that they end (RFC 9110 6.5.1).
pub(super) fn trailers(lines: &Bytes) -> Result<HeaderMap, Defect> {
    let (mut head, mut at) = (Head::default(), 0);
    for line in lines.split_inclusive(|byte| *byte == b'\n') {
        let text = line.strip_suffix(b"\r\n").unwrap_or(line);
        if !text.is_empty() {
            head.field(at, text)?;
        }
        at += line.len();
    }
    let mut trailers = head.headers(lines)?;
    request::remove_hop_by_hop(&mut trailers);
    trailers.remove(header::CONTENT_LENGTH);
    Ok(trailers)
}

/// Whether a connection is kept behind a message (RFC 9112 9.3).
pub(crate) fn keeps(headers: &HeaderMap, is_http11: bool) -> bool {
    let lines = headers.get_all(header::CONNECTION);
    let has = |token: &[u8]| {
        let mut tokens = lines.iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
        tokens.any(|own| own.trim_ascii().eq_ignore_ascii_case(token))
    };
    match is_http11 {
        true => !has(b"close"),
        false => has(b"keep-alive") && !has(b"close"),
    }
}
