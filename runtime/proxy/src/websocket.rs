//! Requests that become WebSocket connections (RFC 6455): where a rule lets them, and the service agrees, bytes go both ways until one
//! side ends, nothing passes for too long, or the request's time is up. Over HTTP/2 it is a stream (RFC 8441): of the client's connection, of the
//! endpoint's, or of both.

use crate::body::Outgoing;
use crate::log::Record;
use crate::reply::Kept;
use crate::tunnel::{Bounds, tunnel};
use crate::upstream::{Connection, Tunnel};
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

/// Whether a request asks for it (RFC 6455 4.1).
pub(crate) fn is_asked(method: &Method, version: Version, headers: &HeaderMap) -> bool {
    method == Method::GET
        && version == Version::HTTP_11
        && says(headers, header::UPGRADE, "websocket")
        && says(headers, header::CONNECTION, "upgrade")
        && expected(headers).is_some()
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

/// Makes a request one that asks for it on a stream (RFC 8441 5): there is no key, and nothing is said of the connection.
pub(crate) fn ask_on_stream(request: &mut Request<Outgoing>) {
    *request.method_mut() = Method::CONNECT;
    request.extensions_mut().insert(Protocol::from_static("websocket"));
    for name in [
        header::CONNECTION,
        header::UPGRADE,
        header::CONTENT_LENGTH,
        header::SEC_WEBSOCKET_KEY,
        header::SEC_WEBSOCKET_ACCEPT,
    ] {
        request.headers_mut().remove(name);
    }
}

/// What an endpoint was asked for, and by what it agrees.
pub(crate) enum Asked {
    /// A response, and nothing else.
    Response,
    /// A WebSocket over HTTP/1.1: by 101 and this answer to the key.
    Connection(String),
    /// One over HTTP/2: by 200. The answer to the client's key, where that is one of HTTP/1.1.
    Stream(Option<String>),
}

impl Asked {
    /// What is asked with these headers where a WebSocket is wanted; with those of a client of HTTP/2 there is no key.
    pub(crate) fn with(headers: &HeaderMap, http2: bool) -> Asked {
        match (expected(headers), http2) {
            (expected, true) => Asked::Stream(expected),
            (Some(expected), false) => Asked::Connection(expected),
            (None, false) => Asked::Response,
        }
    }

    /// Whether a response answers what was asked, be it by a no. One by which an endpoint agrees becomes what it would be over HTTP/1.1 to the
    /// client's own key.
    pub(crate) fn is_answered(&self, response: &mut Response<()>) -> bool {
        let (status, headers) = (response.status(), response.headers());
        match self {
            _ if status == StatusCode::SWITCHING_PROTOCOLS => {
                matches!(self, Asked::Connection(expected) if is_agreed(headers, expected))
            }
            Asked::Stream(accept) if status == StatusCode::OK => {
                become_switching(response, accept.as_deref());
                true
            }
            // To the library no other success opens a tunnel, and none can be passed on as an answer: bytes would be its body.
            Asked::Stream(_) => !status.is_success(),
            Asked::Response | Asked::Connection(_) => true,
        }
    }
}

fn become_switching(response: &mut Response<()>, accept: Option<&str>) {
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_LENGTH);
    headers.remove(header::SEC_WEBSOCKET_ACCEPT);
    if let Some(accept) = accept.and_then(|accept| HeaderValue::try_from(accept).ok()) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
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
    let bounds = Bounds { deadline, idle, activity: &kept.activity };
    let cut = match connection.into_tunnel().await {
        Some(Tunnel::Whole(upstream, _counted)) => tunnel(client, early, upstream, &bounds).await,
        Some(Tunnel::Stream(upstream)) => tunnel(client, early, upstream, &bounds).await,
        None => Some("UC"),
    };
    if let Some(flag) = cut {
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

    /// What a response to this is taken for: its status, and what it says to the client's key.
    fn taken(asked: &Asked, status: u16, accept: &'static str) -> Option<(u16, String)> {
        let mut response = Response::builder().status(status);
        if !accept.is_empty() {
            response = response.header("upgrade", "websocket").header("sec-websocket-accept", accept);
        }
        let mut response = response.header("content-length", "0").body(()).unwrap();
        let accept = |headers: &HeaderMap| headers.get(header::SEC_WEBSOCKET_ACCEPT).cloned();
        let said = asked.is_answered(&mut response);
        let accept = accept(response.headers()).map(|accept| accept.to_str().unwrap().to_owned());
        said.then(|| (response.status().as_u16(), accept.unwrap_or_default()))
    }

    #[test]
    fn each_version_agrees_in_its_own_words_and_in_no_others() {
        let nothing = || Some((200, String::new()));
        let key = || "key".to_owned();
        assert_eq!(taken(&Asked::Response, 200, ""), nothing());
        assert_eq!(taken(&Asked::Response, 101, "key"), None);
        assert_eq!(taken(&Asked::Connection(key()), 101, "key"), Some((101, key())));
        assert_eq!(taken(&Asked::Connection(key()), 101, "other"), None);
        assert_eq!(taken(&Asked::Connection(key()), 200, ""), nothing());
        assert_eq!(taken(&Asked::Stream(Some(key())), 200, "other"), Some((101, key())));
        assert_eq!(taken(&Asked::Stream(None), 200, "other"), Some((101, String::new())));
        assert_eq!(taken(&Asked::Stream(Some(key())), 101, "key"), None, "HTTP/2 has no such status");
        assert_eq!(taken(&Asked::Stream(None), 204, ""), None);
        assert_eq!(taken(&Asked::Stream(None), 403, ""), Some((403, String::new())));
    }
}
