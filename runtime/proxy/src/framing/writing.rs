//! A message on its way to the other end of a connection (RFC 9112 6 and 7): its head, and its body as it comes.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use hyper::body::Body;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use std::fmt::Write as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::AsyncWrite;

/// A longer part of a body is written from where it lies; a shorter one is copied behind what is written with it.
const MAX_COPIED: usize = 8 * 1024;
/// Room for a head as most are.
const HEAD: usize = 1024;

/// What is still to be written of a message.
pub(crate) struct Writing<B> {
    out: BytesMut,
    /// Follows it.
    part: Bytes,
    body: B,
    framing: Framing,
    passes_trailers: bool,
}

/// How the end of a body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// So many bytes are to come.
    Length(u64),
    Chunks,
    /// By the end of the connection.
    Close,
    /// There is none, or all of it is taken up.
    Ended,
}

/// Why a message cannot be sent to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interrupted {
    /// Its body breaks off.
    Body,
    Connection,
}

/// A head, as it is written.
pub(crate) struct Head(BytesMut);

impl Head {
    /// The parts of its first line.
    pub(crate) fn begin(parts: [&[u8]; 3]) -> Head {
        let mut out = BytesMut::with_capacity(HEAD);
        let [first, second, third] = parts;
        out.extend_from_slice(first);
        out.put_u8(b' ');
        out.extend_from_slice(second);
        out.put_u8(b' ');
        out.extend_from_slice(third);
        out.extend_from_slice(b"\r\n");
        Head(out)
    }

    pub(crate) fn field(&mut self, name: &HeaderName, value: &HeaderValue) {
        write_field(&mut self.0, name, value);
    }

    /// A field that is known here, with its line end.
    pub(crate) fn line(&mut self, line: &[u8]) {
        self.0.extend_from_slice(line);
    }

    pub(crate) fn length(&mut self, length: u64) {
        // What has no end of room cannot fail.
        let _ = write!(self.0, "content-length: {length}\r\n");
    }
}

fn write_field(out: &mut BytesMut, name: &HeaderName, value: &HeaderValue) {
    out.extend_from_slice(name.as_str().as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value.as_bytes());
    out.extend_from_slice(b"\r\n");
}

impl<B: Body<Data = Bytes> + Unpin> Writing<B> {
    /// A message whose head tells the end of its body in this way.
    pub(crate) fn new(mut head: Head, framing: Framing, body: B, passes_trailers: bool) -> Writing<B> {
        match framing {
            Framing::Length(length) => head.length(length),
            Framing::Chunks => head.line(b"transfer-encoding: chunked\r\n"),
            Framing::Close | Framing::Ended => {}
        }
        head.line(b"\r\n");
        Writing { out: head.0, part: Bytes::new(), body, framing, passes_trailers }
    }

    /// Writes what is there. Ready when all of it has been written.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut (impl AsyncWrite + Unpin),
    ) -> Poll<Result<(), Interrupted>> {
        loop {
            let mut waits = false;
            while !waits && self.takes_more() {
                match self.take_up(cx) {
                    Poll::Ready(taken) => taken?,
                    Poll::Pending => waits = true,
                }
            }
            if !self.out.is_empty() {
                let count = ready!(written(cx, stream, &self.out))?;
                self.out.advance(count);
            } else if !self.part.is_empty() {
                let count = ready!(written(cx, stream, &self.part))?;
                self.part.advance(count);
                self.end_part();
            } else {
                ready!(Pin::new(stream).poll_flush(cx)).map_err(|_| Interrupted::Connection)?;
                return if waits { Poll::Pending } else { Poll::Ready(Ok(())) };
            }
        }
    }

    /// Whether another part of the body may be written together with what is there.
    fn takes_more(&self) -> bool {
        !matches!(self.framing, Framing::Ended) && self.part.is_empty() && self.out.len() < MAX_COPIED
    }

    /// Takes up the next part of the body.
    fn take_up(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Interrupted>> {
        let part = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
            Some(frame) => match frame.map_err(|_| Interrupted::Body)?.into_data() {
                Ok(part) => part,
                Err(frame) => return Poll::Ready(self.end(frame.into_trailers().ok())),
            },
            None => return Poll::Ready(self.end(None)),
        };
        if part.is_empty() {
            return Poll::Ready(Ok(()));
        }
        match &mut self.framing {
            Framing::Length(left) => {
                // More than was announced would be read as another request.
                *left = left.checked_sub(part.len() as u64).ok_or(Interrupted::Body)?;
                if *left == 0 {
                    self.framing = Framing::Ended;
                }
            }
            Framing::Chunks => {
                let _ = write!(self.out, "{:x}\r\n", part.len());
            }
            Framing::Close => {}
            Framing::Ended => return Poll::Ready(Err(Interrupted::Body)),
        }
        if part.len() <= MAX_COPIED {
            self.out.extend_from_slice(&part);
            self.end_part();
        } else {
            self.part = part;
        }
        Poll::Ready(Ok(()))
    }

    /// The body has ended.
    fn end(&mut self, trailers: Option<HeaderMap>) -> Result<(), Interrupted> {
        match std::mem::replace(&mut self.framing, Framing::Ended) {
            Framing::Length(1..) => return Err(Interrupted::Body),
            Framing::Chunks => {
                self.out.extend_from_slice(b"0\r\n");
                if let Some(trailers) = trailers.filter(|_| self.passes_trailers) {
                    trailers.iter().for_each(|(name, value)| write_field(&mut self.out, name, value));
                }
                self.out.extend_from_slice(b"\r\n");
            }
            Framing::Length(0) | Framing::Close | Framing::Ended => {}
        }
        Ok(())
    }

    /// A chunk has an end of its own.
    fn end_part(&mut self) {
        if self.part.is_empty() && matches!(self.framing, Framing::Chunks) {
            self.out.extend_from_slice(b"\r\n");
        }
    }
}

fn written(
    cx: &mut Context<'_>,
    stream: &mut (impl AsyncWrite + Unpin),
    bytes: &[u8],
) -> Poll<Result<usize, Interrupted>> {
    Poll::Ready(match ready!(Pin::new(stream).poll_write(cx, bytes)) {
        Ok(0) | Err(_) => Err(Interrupted::Connection),
        Ok(count) => Ok(count),
    })
}
