//! Watches what an endpoint answers over HTTP/1.1: a head that can be read in two ways ends the connection before the HTTP library has it, and so
//! becomes a 502.

use crate::framing::Head;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Interim responses (1xx) before a final one: each costs work, and none is passed on.
const MAX_INTERIM: u32 = 32;
/// Bytes of a response head, as many as the HTTP library takes.
const MAX_HEAD: usize = super::MAX_HEAD;

/// A connection to an endpoint.
pub(super) struct Answers<S> {
    stream: S,
    scan: Expected,
}

/// Told of each request, so that what comes next is known to be a head. All on one thread, which the HTTP library cannot know.
#[derive(Clone, Default)]
pub(super) struct Expected(Arc<Mutex<Scan>>);

impl Expected {
    pub(super) fn answer(&self) {
        *self.scan() = Scan { in_head: true, ..Scan::default() };
    }

    fn scan(&self) -> MutexGuard<'_, Scan> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Default)]
struct Scan {
    /// Whether a head is what comes; else it is a body, or nothing that was asked for, of which the library takes care.
    in_head: bool,
    head: Head,
    line: Vec<u8>,
    bytes: usize,
    interim: u32,
}

impl Scan {
    fn read(&mut self, mut bytes: &[u8]) -> Result<(), &'static str> {
        while self.in_head && !bytes.is_empty() {
            let end = bytes.iter().position(|byte| *byte == b'\n').map(|end| end + 1);
            let (line, rest) = bytes.split_at_checked(end.unwrap_or(bytes.len())).unwrap_or((bytes, &[]));
            self.bytes += line.len();
            if self.bytes > MAX_HEAD {
                return Err("the head is too long");
            }
            bytes = rest;
            if end.is_none() {
                self.line.extend_from_slice(line);
                return Ok(());
            }
            let read = if self.line.is_empty() {
                self.head.line_of_response(line)
            } else {
                let mut whole = std::mem::take(&mut self.line);
                whole.extend_from_slice(line);
                self.head.line_of_response(&whole)
            };
            match read.map_err(|defect| defect.why)? {
                None => {}
                Some(true) => {
                    (self.head, self.bytes) = (Head::default(), 0);
                    self.interim += 1;
                    if self.interim > MAX_INTERIM {
                        return Err("too many interim responses");
                    }
                }
                Some(false) => self.in_head = false,
            }
        }
        Ok(())
    }
}

pub(super) fn watch<S>(stream: S) -> (Answers<S>, Expected) {
    let expected = Expected::default();
    (Answers { stream, scan: expected.clone() }, expected)
}

impl<S: AsyncRead + Unpin> AsyncRead for Answers<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buffer);
        if matches!(read, Poll::Ready(Ok(())))
            && let Err(why) = this.scan.scan().read(buffer.filled().get(before..).unwrap_or_default())
        {
            buffer.set_filled(before);
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, why)));
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Answers<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn read(answer: &str) -> Result<(), &'static str> {
        let whole = Scan { in_head: true, ..Scan::default() }.read(answer.as_bytes());
        let mut pieces = Scan { in_head: true, ..Scan::default() };
        let in_pieces = answer.as_bytes().chunks(1).try_for_each(|piece| pieces.read(piece));
        assert_eq!(whole, in_pieces);
        whole
    }

    #[test]
    fn heads_are_read_strictly_and_bodies_not_at_all() {
        for good in [
            "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n\n",
            "HTTP/1.0 204\r\n\r\n",
            "HTTP/1.1 103 E\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\nHTTP/1.1 200 OK\r\n\r\n\n\n",
        ] {
            assert_eq!(read(good), Ok(()), "{good:?}");
        }
        for bad in [
            "HTTP/1.1 200 OK\ncontent-length: 0\n\n",
            "HTTP/1.1 200 OK\r\nx: a\rset-cookie: b\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n",
            "HTTP/1.1 99 X\r\n\r\n",
            "HTTP/1.1 20\r\n\r\n",
            "HTTP/1.1 1000 X\r\n\r\n",
            "HTTP/1.1 2OO OK\r\n\r\n",
            "HTTP/3.0 200 OK\r\n\r\n",
        ] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
        let interim = |count| {
            read(&format!("{}HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n".repeat(count)))
        };
        assert_eq!((interim(32), interim(33)), (Ok(()), Err("too many interim responses")));
    }
}
