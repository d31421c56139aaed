//! A call of one message and one answer, to somebody who is asked over gRPC.

use super::Unanswered;
use super::sending::{Answer, Authority};
use crate::grpc;
use crate::head::Head;
use crate::worker::Worker;
use hyper::body::Bytes;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, StatusCode, Uri};
use prost::Message;

/// In front of a message: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// Asks by a method, `/package.Service/Method`.
pub(super) async fn call<A: Message + Default>(
    worker: &Worker,
    authority: &Authority<'_>,
    method: &'static str,
    message: &impl Message,
) -> Result<A, Unanswered> {
    let mut headers = HeaderMap::new();
    let host = HeaderValue::try_from(authority.host()).map_err(|_| Unanswered::Error)?;
    headers.insert(header::HOST, host);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(header::TE, HeaderValue::from_static("trailers"));
    headers.insert(header::USER_AGENT, HeaderValue::from_static("mesh-proxy"));
    grpc::set_timeout(&mut headers, authority.most());
    let head = Head { method: Method::POST, uri: Uri::from_static(method), headers };
    let answer = authority.send(worker, head, &framed(&message.encode_to_vec())).await?;
    read(&answer).ok_or(Unanswered::Error)
}

/// A message that is not compressed.
fn framed(message: &[u8]) -> Bytes {
    // No head of a request is that long.
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    [&[0], &length.to_be_bytes()[..], message].concat().into()
}

/// `None`: it is no answer.
fn read<A: Message + Default>(answer: &Answer) -> Option<A> {
    let status = grpc::status(&answer.trailers).or_else(|| grpc::status(answer.head.headers()))?;
    let (prefix, message) = answer.body.split_first_chunk::<PREFIX>()?;
    let [compressed, length @ ..] = *prefix;
    let is_whole = u32::from_be_bytes(length) as usize == message.len();
    let is_one = answer.head.status() == StatusCode::OK && status == 0 && compressed == 0 && is_whole;
    A::decode(message).ok().filter(|_| is_one)
}
