//! Requests that become WebSocket connections (RFC 6455): where a rule lets them, and the service agrees, bytes go both ways until one
//! side ends, nothing passes for too long, or the request's time is up. A client of HTTP/2 asks for one on a stream (RFC 8441), its service by
//! a connection of HTTP/1.1.

use crate::log::Record;
use crate::reply::Kept;
use crate::tunnel::{Bounds, tunnel};
use crate::upstream::Connection;
use hyper::ext::Protocol;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::upgrade::OnUpgrade;
use hyper::{Method, Request, Response, StatusCode, Version};
use mesh_engine::Edited;
use mesh_plan::PlanView;
use mesh_plan::view::Edit;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

/// Takes the request of a stream for what it is where it asks for a WebSocket (RFC 8441 5): a `GET` like that of HTTP/1.1, but for what only the
/// two ends of a connection say. What comes back is the stream, once it has been answered.
pub(crate) fn of_stream<B>(request: &mut Request<B>) -> Option<OnUpgrade> {
    let asks = request.extensions().get::<Protocol>().is_some_and(|asked| asked.as_str() == "websocket");
    if request.method() != Method::CONNECT || !asks {
        return None;
    }
    *request.method_mut() = Method::GET;
    Some(hyper::upgrade::on(request))
}

/// The response to a stream that has become a WebSocket: there a status of success says so.
pub(crate) fn accepted_on_stream<B>(response: &mut Response<B>) {
    *response.status_mut() = StatusCode::OK;
    for name in [header::CONNECTION, header::UPGRADE, header::SEC_WEBSOCKET_ACCEPT] {
        response.headers_mut().remove(name);
    }
}

/// A key for a service, where the client had none to give. It is no secret: it tells one request from another.
pub(crate) fn key(random: &mut fastrand::Rng) -> HeaderValue {
    HeaderValue::try_from(base64(&random.u128(..).to_be_bytes())).unwrap_or(HeaderValue::from_static(""))
}

/// Whether a rule on the way of a request lets it become one.
pub(crate) fn is_let(plan: &PlanView, edited: &Edited) -> bool {
    edited.edits(plan).any(|edit| edit == Edit::WebSocket)
}

/// Whether a request asks for it (RFC 6455 4.1) and a rule on its way lets it.
pub(crate) fn is_asked(
    (method, version, headers): (&Method, Version, &HeaderMap),
    plan: &PlanView,
    edited: &Edited,
) -> bool {
    method == Method::GET
        && version == Version::HTTP_11
        && says(headers, header::UPGRADE, "websocket")
        && says(headers, header::CONNECTION, "upgrade")
        && expected(headers).is_some()
        && is_let(plan, edited)
}

/// Whether a list of tokens has this one.
fn says(headers: &HeaderMap, name: HeaderName, token: &str) -> bool {
    let lines = headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|own| own.trim().eq_ignore_ascii_case(token))
}

/// Says so to the next hop.
pub(crate) fn write(headers: &mut HeaderMap) {
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
}

/// What a service that agrees answers to the key of a request (RFC 6455 4.2.2), which must have one.
pub(crate) fn expected(headers: &HeaderMap) -> Option<String> {
    const OF_THE_PROTOCOL: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    let mut keys = headers.get_all(header::SEC_WEBSOCKET_KEY).iter();
    let (Some(key), None) = (keys.next(), keys.next()) else { return None };
    let text = [key.as_bytes(), OF_THE_PROTOCOL].concat();
    // It proves that the service has read the request, and nothing else.
    Some(base64(digest(&SHA1_FOR_LEGACY_USE_ONLY, &text).as_ref()))
}

/// Whether a service agrees: to nothing else than it was asked, and to this request and no other.
pub(crate) fn is_agreed(headers: &HeaderMap, expected: &str) -> bool {
    let mut accepts = headers.get_all(header::SEC_WEBSOCKET_ACCEPT).iter();
    let (Some(accept), None) = (accepts.next(), accepts.next()) else { return false };
    says(headers, header::UPGRADE, "websocket") && accept == expected
}

/// RFC 4648 4.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let word = group.iter().chain([&0, &0]).take(3).fold(0, |word, byte| word << 8 | usize::from(*byte));
        for place in 0..4 {
            let letter = LETTERS.get(word >> (18 - 6 * place) & 63).copied().unwrap_or(b'=');
            text.push(if place > group.len() { '=' } else { char::from(letter) });
        }
    }
    text
}

/// What both sides have agreed to: the service's side of it, and what the request keeps meanwhile.
pub(crate) struct Agreed {
    pub(crate) connection: Connection,
    pub(crate) record: Record,
    pub(crate) kept: Kept,
    pub(crate) deadline: Option<Instant>,
    pub(crate) idle: Option<Duration>,
}

/// Where a request leaves it for the connection that it came on.
pub(crate) type Slot = Rc<RefCell<Option<Box<Agreed>>>>;

/// Passes bytes both ways until the end. `early`: what the client sent already.
pub(crate) async fn run(
    client: impl AsyncRead + AsyncWrite + Unpin,
    early: impl AsRef<[u8]>,
    agreed: Box<Agreed>,
) {
    let Agreed { connection, mut record, kept, deadline, idle } = *agreed;
    let Some(upstream) = connection.into_tunnel() else {
        record.flag("UC");
        return;
    };
    let bounds = Bounds { deadline, idle, activity: &kept.activity };
    if let Some(flag) = tunnel(client, early, upstream.stream, &bounds).await {
        record.flag(flag);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_to_a_key_is_that_of_the_rfc() {
        let mut headers = HeaderMap::new();
        assert_eq!(expected(&headers), None);
        headers.insert(header::SEC_WEBSOCKET_KEY, HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ=="));
        let expected = expected(&headers).unwrap();
        assert_eq!(expected, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        let mut answer = HeaderMap::new();
        answer.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        assert!(!is_agreed(&answer, &expected));
        answer.insert(header::SEC_WEBSOCKET_ACCEPT, HeaderValue::from_str(&expected).unwrap());
        assert!(is_agreed(&answer, &expected));
    }
}
