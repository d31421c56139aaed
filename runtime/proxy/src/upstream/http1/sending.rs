//! A request on its way to an endpoint: its length is always told anew, whatever its client said of it.

use crate::body::Outgoing;
use crate::framing::{Framing, HeadOut, Writing};
use hyper::body::Body as _;
use hyper::header;
use hyper::{Method, Request};

/// Trailers of a request are not passed on: nothing could have decided about them.
pub(super) fn sending(request: Request<Outgoing>) -> Writing<Outgoing> {
    let (parts, body) = request.into_parts();
    let target = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut head = HeadOut::begin([parts.method.as_str().as_bytes(), target.as_bytes(), b"HTTP/1.1"]);
    for (name, value) in &parts.headers {
        if name != header::CONTENT_LENGTH && name != header::TRANSFER_ENCODING {
            head.field(name, value);
        }
    }
    let framing = match body.size_hint().exact() {
        _ if body.is_end_stream() => Framing::Ended,
        Some(length) => Framing::Length(length),
        None => Framing::Chunks,
    };
    if framing == Framing::Ended && says_length(&parts.method) {
        head.length(0);
    }
    Writing::new(head, framing, body, false)
}

/// Whether a request without a body says so (RFC 9110 8.6): where its method is one that has one.
fn says_length(method: &Method) -> bool {
    [Method::POST, Method::PUT, Method::PATCH].contains(method)
}
