//! An authority of HTTP: it gets the head of the request, with its method, target, host and headers, and no body. 2xx lets the request pass; 5xx is no
//! answer; everything else is what the client gets instead (Envoy's `http_service`, nginx's `auth_request`).

use super::sending::Authority;
use super::{Additions, Question, Said, Unanswered, is_ours};
use crate::head::Head;
use crate::reply::Reply;
use crate::request;
use crate::worker::Worker;
use hyper::Response;
use hyper::body::Bytes;
use hyper::header;

pub(super) async fn ask(
    worker: &Worker,
    authority: &Authority<'_>,
    question: &Question<'_>,
) -> Result<Said, Unanswered> {
    let Some((parts, _)) = question.request else { return Err(Unanswered::Error) };
    let mut headers = parts.headers.clone();
    request::leave_hop(&mut headers);
    // They speak of a body that is not sent.
    [header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::EXPECT, header::TRAILER]
        .iter()
        .for_each(|name| drop(headers.remove(name)));
    let head = Head { method: parts.method.clone(), uri: parts.uri.clone(), headers };
    let answer = authority.send(worker, head, &Bytes::new()).await?;
    let (mut parts, ()) = answer.head.into_parts();
    if parts.status.is_success() {
        return Ok(Said::Yes(Additions::default()));
    }
    if parts.status.is_server_error() || parts.status.is_informational() {
        return Err(Unanswered::Error);
    }
    let ours: Vec<_> = parts.headers.keys().filter(|name| is_ours(name)).cloned().collect();
    ours.iter().for_each(|name| drop(parts.headers.remove(name)));
    let mut response = Response::new(Reply::Local(answer.body.into()));
    *response.status_mut() = parts.status;
    *response.headers_mut() = parts.headers;
    Ok(Said::No(response))
}
