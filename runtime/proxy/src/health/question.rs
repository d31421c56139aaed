//! What an endpoint is asked, and what of its answers is a good one.

use crate::body::Outgoing;
use crate::grpc;
use crate::head::Head;
use crate::upstream::{Connection, NotConnected, Origin, Pool, stream_to};
use hyper::body::{Body as _, Bytes};
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Uri};
use mesh_plan::Probe;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;

/// What every question says of who asks.
const USER_AGENT: &str = "mesh-proxy health-check";
/// The method that gRPC is asked by.
const CHECK: &str = "/grpc.health.v1.Health/Check";
/// The empty message of gRPC: it asks about all that a server serves.
const ASK: &[u8] = &[0, 0, 0, 0, 0];
/// What `SERVING` is in the answer's message: field 1 with the number 1.
const SERVING: &[u8] = &[0, 0, 0, 0, 2, 0x08, 1];

/// What a question is to who authorizes it.
pub(super) struct Asked<'p> {
    pub(super) method: mesh_engine::Method,
    pub(super) path: &'p str,
    pub(super) headers: &'static [(&'static str, &'static str)],
}

/// The question that a probe is, if it is one of HTTP.
pub(super) fn asked(probe: &Probe) -> Option<Asked<'_>> {
    const OF_GRPC: &[(&str, &str)] = &[("content-type", "application/grpc"), ("user-agent", USER_AGENT)];
    match probe {
        Probe::Get(path) => {
            Some(Asked { method: mesh_engine::Method::Get, path, headers: &[("user-agent", USER_AGENT)] })
        }
        Probe::Grpc => Some(Asked { method: mesh_engine::Method::Post, path: CHECK, headers: OF_GRPC }),
        Probe::Tcp => None,
    }
}

/// Asks once. The error says what of the answer is not well, in words for an operator.
pub(super) async fn ask(host: &str, origin: Origin, probe: &Probe) -> Result<(), String> {
    match probe {
        Probe::Tcp => stream_to(&origin).await.map(drop).map_err(not_connected),
        Probe::Grpc => serves(host, origin).await,
        Probe::Get(path) => match answers(host, origin, path).await? {
            status if status / 100 == 2 => Ok(()),
            status => Err(format!("it answered with {status}")),
        },
    }
}

/// The status of the answer to `GET` of a path.
async fn answers(host: &str, origin: Origin, path: &str) -> Result<u16, String> {
    let uri = Uri::try_from(path).map_err(|_| "nobody can be asked for this path".to_owned())?;
    let mut headers = headers(host)?;
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    let mut head = Head { method: Method::GET, uri, headers };
    let mut connection = connect(&origin).await?;
    let response = connection.send(head.request(Outgoing::Empty, &origin, true)).await;
    Ok(response.map_err(|_| broken_off())?.status().as_u16())
}

/// Whether `grpc.health.v1.Health/Check` says so.
async fn serves(host: &str, origin: Origin) -> Result<(), String> {
    let mut headers = headers(host)?;
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(header::TE, HeaderValue::from_static("trailers"));
    let mut head = Head { method: Method::POST, uri: Uri::from_static(CHECK), headers };
    let mut connection = connect(&origin).await?;
    let request = head.request(Outgoing::Kept(Bytes::from_static(ASK)), &origin, true);
    let response = connection.send(request).await.map_err(|_| broken_off())?;
    // A status in the head is the end of a call without a message, and no answer.
    if let Some(status) = grpc::status(response.headers()) {
        return Err(format!("it answered with the status {status} of gRPC"));
    }
    let mut message = Vec::new();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut connection).poll_frame(cx)).await {
        match frame.map_err(|_| broken_off())?.into_data() {
            Ok(data) if message.len() + data.len() <= SERVING.len() => message.extend_from_slice(&data),
            Ok(_) => return Err("its answer is longer than one of a health check".to_owned()),
            Err(frame) => {
                let status = frame.trailers_ref().and_then(grpc::status);
                return match status {
                    Some(0) if message == SERVING => Ok(()),
                    Some(0) => Err("it says that it is not serving".to_owned()),
                    Some(status) => Err(format!("it answered with the status {status} of gRPC")),
                    None => Err("its answer has no status of gRPC".to_owned()),
                };
            }
        }
    }
    Err(match response.status().as_u16() {
        200 => "its answer has no status of gRPC".to_owned(),
        status => format!("it answered with {status}"),
    })
}

fn headers(host: &str) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    let host = HeaderValue::try_from(host).map_err(|_| "nobody can be asked for this host".to_owned())?;
    headers.insert(header::HOST, host);
    headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
    Ok(headers)
}

/// A connection of its own: whether one can be made is a part of the question.
async fn connect(origin: &Origin) -> Result<Connection, String> {
    Rc::<Pool>::default().connect(origin, vec![]).await.map_err(not_connected)
}

fn not_connected(NotConnected(why): NotConnected) -> String {
    why.map_or("no connection could be made".to_owned(), |why| format!("no connection could be made: {why}"))
}

fn broken_off() -> String {
    "it broke the connection off".to_owned()
}
