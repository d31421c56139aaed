//! The heads of requests, as they are taken off what was received (RFC 9112 3 to 6).

use crate::framing::{Defect, Head, Line, Lines, Reading, keeps};
use bytes::{Bytes, BytesMut};
use hyper::http::request::Parts;
use hyper::{Method, Request, Uri, Version};

/// The head of the next request, as far as it is there.
#[derive(Default)]
pub(super) struct Requests {
    head: Head,
    lines: Lines,
}

/// A request whose head is there whole.
pub(super) struct Asked {
    pub(super) head: Parts,
    /// What follows it.
    pub(super) body: Reading,
    /// Whether another request may follow.
    pub(super) keeps: bool,
}

impl Requests {
    /// Takes the next head off what was received. `None`: more has to come.
    pub(super) fn read(&mut self, received: &mut BytesMut) -> Result<Option<Asked>, Defect> {
        loop {
            let is_whole = match self.lines.next(received) {
                Line::Whole(at, line) => self.head.line(at, line)?,
                // What is no request is answered at once, and not when its line ends, which it may never do.
                Line::Begun(line) => return self.head.begins_well(line).map(|()| None),
                Line::TooLong(line) => return Err(self.head.too_long(line)),
            };
            if is_whole {
                let bytes = self.lines.take(received);
                let asked = asked(&std::mem::take(&mut self.head), &bytes)?;
                // An endpoint that has the head has to be told that the body goes wrong; better it never hears of it.
                asked.body.begins_well(received)?;
                return Ok(Some(asked));
            }
        }
    }
}

fn asked(head: &Head, bytes: &Bytes) -> Result<Asked, Defect> {
    let body = Reading::of(head.body()?);
    let (method, target) = head.request_line(bytes);
    let (mut parts, ()) = Request::new(()).into_parts();
    parts.method = Method::from_bytes(&method).map_err(|_| Defect::METHOD)?;
    parts.uri = Uri::from_maybe_shared(target).map_err(|_| Defect::TARGET)?;
    parts.version = if head.is_http11() { Version::HTTP_11 } else { Version::HTTP_10 };
    parts.headers = head.headers(bytes)?;
    let keeps = keeps(&parts.headers, head.is_http11());
    Ok(Asked { head: parts, body, keeps })
}

#[cfg(test)]
mod tests;
