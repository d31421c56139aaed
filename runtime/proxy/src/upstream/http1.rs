//! HTTP/1.1 to an endpoint (RFC 9112): one request at a time, sent and answered by whoever has it. There is no task of the connection's own: a
//! request costs no more than writing it and reading the answer.

mod answer;
mod sending;

use super::{NotAnswered, Why};
use crate::body::Outgoing;
use crate::framing::{Interrupted, Reading, Writing};
use crate::transport::Begun;
use answer::Heads;
#[cfg(any(test, fuzzing))]
pub(crate) use answer::law;
use bytes::BytesMut;
use hyper::body::{Bytes, Frame, SizeHint};
use hyper::{Method, Request, Response};
use sending::sending;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

/// What is read at once, to begin with: heads, and short bodies.
const LEAST_READ: usize = 4 * 1024;
/// The same when all that was asked for has come: of a long body.
const MOST_READ: usize = 64 * 1024;

/// A connection to an endpoint.
pub(super) struct Http1<S> {
    stream: S,
    /// What was read and not taken up.
    received: BytesMut,
    /// How much is read at once.
    piece: usize,
    /// What is still to be written of a request.
    sending: Option<Box<Writing<Outgoing>>>,
    /// What has come of the answer's head.
    heads: Heads,
    /// Whether it has no body, whatever it says of one.
    is_head: bool,
    /// Where in the body of the answer one is.
    reading: Reading,
    /// Whether the endpoint takes another request behind its answer.
    keeps: bool,
    /// Whether something has gone wrong on it.
    broken: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Http1<S> {
    pub(super) fn on(stream: S) -> Http1<S> {
        let (received, piece) = (BytesMut::new(), LEAST_READ);
        Http1 {
            stream,
            received,
            piece,
            sending: None,
            heads: Heads::default(),
            is_head: false,
            reading: Reading::Ended,
            keeps: true,
            broken: false,
        }
    }

    /// Takes a request up. Nothing may be under way.
    pub(super) fn begin(&mut self, request: Request<Outgoing>) -> Result<(), NotAnswered> {
        if !self.is_open() {
            return Err(NotAnswered { why: Why::Endpoint, unsent: Some(Box::new(request)) });
        }
        self.is_head = request.method() == Method::HEAD;
        self.heads = Heads::default();
        // Until the answer says otherwise.
        self.keeps = false;
        self.piece = LEAST_READ;
        self.sending = Some(Box::new(sending(request)));
        Ok(())
    }

    /// The head of the answer to it.
    pub(super) fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Result<Response<()>, NotAnswered>> {
        let failed = |why| Poll::Ready(Err(NotAnswered { why, unsent: None }));
        if let Poll::Ready(Err(())) = self.poll_sending(cx) {
            return failed(Why::Body);
        }
        loop {
            match self.heads.read(&mut self.received, self.is_head) {
                Ok(Some(answered)) => {
                    (self.keeps, self.reading) = (answered.keeps, answered.body);
                    return Poll::Ready(Ok(answered.response));
                }
                Ok(None) => {}
                Err(_) => return failed(Why::Endpoint),
            }
            if !matches!(ready!(self.poll_received(cx)), Ok(1..)) {
                return failed(Why::Endpoint);
            }
        }
    }

    /// The next part of the answer's body; what is not written yet of the request goes on meanwhile.
    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Poll::Ready(Err(())) = self.poll_sending(cx) {
            return Poll::Ready(Some(Err(io::Error::other("the body of the request broke off"))));
        }
        loop {
            match self.reading.next(&mut self.received) {
                Ok(Some(frame)) => return Poll::Ready(Some(Ok(frame))),
                Ok(None) if self.reading.has_ended() => return Poll::Ready(None),
                Ok(None) => {}
                Err(defect) => {
                    self.broken = true;
                    return Poll::Ready(Some(Err(io::Error::new(io::ErrorKind::InvalidData, defect.why))));
                }
            }
            let count = ready!(self.poll_received(cx))?;
            if count == 0 && !self.reading.end() {
                return Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into())));
            }
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.reading.has_ended()
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        self.reading.size_hint()
    }

    /// Whether another request may follow, once this one is written.
    pub(super) fn is_kept(&self) -> bool {
        // What nobody asked for would be the answer to the next one.
        self.keeps && !self.broken && self.reading.has_ended() && self.received.is_empty()
    }

    /// Whether the request is not written to its end yet.
    pub(super) fn is_sending(&self) -> bool {
        self.sending.is_some()
    }

    /// Writes the rest of the request. `false`: the endpoint does not take it.
    pub(super) async fn finish(&mut self) -> bool {
        poll_fn(|cx| self.poll_sending(cx)).await.is_ok() && self.is_kept()
    }

    /// Nothing is kept ready for a request that may not come.
    pub(super) fn rest(&mut self) {
        self.received = BytesMut::new();
    }

    /// Whether the endpoint has neither ended the connection nor said what nobody asked for, as far as the runtime knows.
    pub(super) fn is_open(&mut self) -> bool {
        let (mut byte, mut nobody) = ([0], Context::from_waker(Waker::noop()));
        let mut byte = ReadBuf::new(&mut byte);
        self.is_kept() && Pin::new(&mut self.stream).poll_read(&mut nobody, &mut byte).is_pending()
    }

    /// The connection as what it has become, with what has come of that already.
    pub(super) fn into_tunnel(self) -> Begun<S> {
        Begun { read: self.received.to_vec(), rest: self.stream }
    }

    /// Ready when there is nothing more to write. An endpoint that takes no more may have answered all the same (RFC 9112 9.5); a body that breaks
    /// off is an error.
    fn poll_sending(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ()>> {
        let Some(sending) = &mut self.sending else { return Poll::Ready(Ok(())) };
        let sent = ready!(sending.poll(cx, &mut self.stream));
        self.sending = None;
        self.broken |= sent.is_err();
        Poll::Ready(if matches!(sent, Err(Interrupted::Body)) { Err(()) } else { Ok(()) })
    }

    /// Reads what has come.
    fn poll_received(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.received.reserve(self.piece);
        let room = self.received.capacity() - self.received.len();
        let count = ready!(pin!(self.stream.read_buf(&mut self.received)).poll(cx))?;
        if count == room {
            self.piece = (2 * self.piece).min(MOST_READ);
        }
        Poll::Ready(Ok(count))
    }
}

#[cfg(test)]
mod tests;
