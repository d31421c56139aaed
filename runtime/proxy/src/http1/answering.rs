//! A response on its way to the client of HTTP/1.1 (RFC 9110 6.6.1, 8.6 and RFC 9112 4 to 7).

use crate::framing::{Framing, HeadOut, Writing};
use crate::reply::Reply;
use hyper::body::Body as _;
use hyper::header::{self, HeaderName};
use hyper::{Response, StatusCode};
use std::cell::RefCell;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What the request of a response says about its form.
#[derive(Clone, Copy)]
pub(super) struct Form {
    pub(super) is_head: bool,
    pub(super) is_http11: bool,
    /// Whether another request may follow.
    pub(super) keeps: bool,
    pub(super) takes_trailers: bool,
}

/// A response as it is written, and whether another request may follow it.
pub(super) fn answering(response: Response<Reply>, form: Form, date: &Date) -> (Writing<Reply>, bool) {
    let (parts, reply) = response.into_parts();
    let (status, length) = (parts.status, reply.size_hint().exact());
    let switches = status == StatusCode::SWITCHING_PROTOCOLS;
    // None has a body, and of two the length is not told either.
    let is_bare = switches || status == StatusCode::NO_CONTENT;
    let framing = match length {
        _ if is_bare || form.is_head || status == StatusCode::NOT_MODIFIED => Framing::Ended,
        Some(length) => Framing::Length(length),
        None if form.is_http11 => Framing::Chunks,
        None => Framing::Close,
    };
    let closes = parts.headers.get(header::CONNECTION).is_some_and(|value| value == "close");
    let keeps = form.keeps && !closes && framing != Framing::Close;
    let version: &[u8] = if form.is_http11 { b"HTTP/1.1" } else { b"HTTP/1.0" };
    let reason = status.canonical_reason().unwrap_or_default();
    let mut head = HeadOut::begin([version, status.as_str().as_bytes(), reason.as_bytes()]);
    for (name, value) in &parts.headers {
        if !is_told_anew(name, switches) {
            head.field(name, value);
        }
    }
    if framing == Framing::Ended && !is_bare {
        // What it would be if there were a body (RFC 9110 8.6).
        match parts.headers.get(header::CONTENT_LENGTH) {
            Some(value) => head.field(&header::CONTENT_LENGTH, value),
            None => length.filter(|length| *length > 0).into_iter().for_each(|length| head.length(length)),
        }
    }
    if !parts.headers.contains_key(header::DATE) {
        date.write(&mut head);
    }
    match (keeps, form.is_http11) {
        _ if switches => {}
        (false, _) => head.line(b"connection: close\r\n"),
        (true, true) => {}
        (true, false) => head.line(b"connection: keep-alive\r\n"),
    }
    (Writing::new(head, framing, reply, form.takes_trailers), keeps)
}

/// Whether a header of a response speaks of the connection that it came on.
fn is_told_anew(name: &HeaderName, switches: bool) -> bool {
    name == header::CONTENT_LENGTH
        || name == header::TRANSFER_ENCODING
        || name == header::CONNECTION && !switches
}

/// The time of day as a header, which is written once a second.
#[derive(Default)]
pub(crate) struct Date(RefCell<(u64, String)>);

impl Date {
    fn write(&self, head: &mut HeadOut) {
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let (written, line) = &mut *self.0.borrow_mut();
        if line.is_empty() || *written != seconds {
            let time = UNIX_EPOCH + Duration::from_secs(seconds);
            (*written, *line) = (seconds, format!("date: {}\r\n", httpdate::fmt_http_date(time)));
        }
        head.line(line.as_bytes());
    }
}
