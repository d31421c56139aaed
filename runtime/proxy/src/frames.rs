//! Watches the frames of an HTTP/2 connection (RFC 9113 4.1), and ends one whose other side floods it.
//!
//! The HTTP library bounds what it keeps: streams, header lists, windows. What it does for a frame that keeps nothing costs a few bytes of
//! the other side and some work of ours, and is bounded here: by how many come, counted as they are read. Only the nine bytes in front of each frame are
//! looked at, so this knows nothing of what is compressed in them.

mod counts;

use crate::framing::{HEAD_TIME, STALL_TIME};
use counts::{Counts, Flood};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// How a client begins (RFC 9113 3.4), in bytes.
const PREFACE_BYTES: usize = 24;
/// In front of each frame, in bytes.
const HEAD_BYTES: usize = 9;

const DATA: u8 = 0;
const GOAWAY: u8 = 7;
/// The reason that a flood is told (RFC 9113 7).
const ENHANCE_YOUR_CALM: u8 = 0xb;

/// Which side of the connection the other one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Other {
    Client,
    Server,
}

/// A connection whose frames are watched.
pub(crate) struct Framed<S> {
    stream: S,
    incoming: Position,
    outgoing: Position,
    counts: Counts,
    /// Since when a part of a message's head has been there and not all of it.
    head_since: Option<Instant>,
    /// Runs while a head is incomplete and no bytes are there.
    reading: Option<Pin<Box<Sleep>>>,
    /// Runs while the other side takes no bytes.
    writing: Option<Pin<Box<Sleep>>>,
}

/// Wraps a connection.
pub(crate) fn watch<S>(stream: S, other: Other) -> Framed<S> {
    let preface = |is_sent| if is_sent { PREFACE_BYTES } else { 0 };
    Framed {
        stream,
        incoming: Position::behind(preface(other == Other::Client)),
        outgoing: Position::behind(preface(other == Other::Server)),
        counts: Counts::new(other),
        head_since: None,
        reading: None,
        writing: None,
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Framed<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        match Pin::new(&mut this.stream).poll_read(cx, buffer) {
            Poll::Ready(Ok(())) => {
                this.reading = None;
                let now = Instant::now();
                let counts = &mut this.counts;
                let bytes = buffer.filled().get(before..).unwrap_or_default();
                if let Err(Flood) = this.incoming.pass(bytes, |head| counts.came(head, now)) {
                    buffer.set_filled(before);
                    this.say_calm(cx);
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "a flood of frames")));
                }
                let is_mid = this.counts.block.is_some() || this.incoming.is_mid_head();
                this.head_since = is_mid.then(|| this.head_since.unwrap_or(now));
                Poll::Ready(Ok(()))
            }
            Poll::Pending => {
                let Some(since) = this.head_since else { return Poll::Pending };
                let end = this.reading.get_or_insert_with(|| Box::pin(sleep_until(since + HEAD_TIME)));
                end.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
            }
            failed => failed,
        }
    }
}

impl<S: AsyncWrite + Unpin> Framed<S> {
    /// Says why the connection ends, if that can be said at once: between two frames of ours.
    fn say_calm(&mut self, cx: &mut Context<'_>) {
        if !self.outgoing.is_between() {
            return;
        }
        let mut frame = [0; HEAD_BYTES + 8];
        let [.., l, kind, _, _, _, _, _, s1, s2, s3, s4, _, _, _, reason] = &mut frame;
        (*l, *kind, *reason) = (8, GOAWAY, ENHANCE_YOUR_CALM);
        [*s1, *s2, *s3, *s4] = self.counts.last_stream.to_be_bytes();
        // It ends in any case.
        let _ = Pin::new(&mut self.stream).poll_write(cx, &frame);
    }

    /// Passes a write's result on; where it is pending, starts or asks the timer that ends a connection which takes nothing.
    fn unless_stalled(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.writing = None;
            return written;
        }
        let end = self.writing.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + STALL_TIME)));
        end.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }

    fn sent(&mut self, bytes: &[u8]) {
        let counts = &mut self.counts;
        // What is sent is nobody's flood.
        let _ = self.outgoing.pass(bytes, |head| {
            counts.went(head);
            Ok(())
        });
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Framed<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(cx, bytes);
        if let Poll::Ready(Ok(count)) = written {
            this.sent(bytes.get(..count).unwrap_or_default());
        }
        this.unless_stalled(cx, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(cx, slices);
        if let Poll::Ready(Ok(mut left)) = written {
            for slice in slices {
                let own = left.min(slice.len());
                this.sent(slice.get(..own).unwrap_or_default());
                left -= own;
            }
        }
        this.unless_stalled(cx, written)
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

/// The nine bytes in front of a frame.
#[derive(Clone, Copy, Debug)]
struct Head {
    length: usize,
    kind: u8,
    flags: u8,
    stream: u32,
}

impl Head {
    fn of(bytes: [u8; HEAD_BYTES]) -> Head {
        let [l1, l2, l3, kind, flags, stream @ ..] = bytes;
        // The first bit of the stream is reserved.
        let stream = u32::from_be_bytes(stream) & 0x7fff_ffff;
        Head { length: u32::from_be_bytes([0, l1, l2, l3]) as usize, kind, flags, stream }
    }

    fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// Where in a stream of frames one direction is.
struct Position {
    /// Of a frame's head that is not there whole.
    head: [u8; HEAD_BYTES],
    have: usize,
    /// Bytes that belong to the frame, or to what comes before all frames.
    left: usize,
    /// Whether these are of a frame of data, which may come slowly.
    is_data: bool,
}

impl Position {
    fn behind(preface: usize) -> Position {
        Position { head: [0; HEAD_BYTES], have: 0, left: preface, is_data: false }
    }

    fn is_between(&self) -> bool {
        self.have == 0 && self.left == 0
    }

    /// Whether a frame has begun and not ended, other than one of data.
    fn is_mid_head(&self) -> bool {
        self.have > 0 || self.left > 0 && !self.is_data
    }

    fn pass(
        &mut self,
        mut bytes: &[u8],
        mut see: impl FnMut(Head) -> Result<(), Flood>,
    ) -> Result<(), Flood> {
        while !bytes.is_empty() {
            if self.left > 0 {
                let own = self.left.min(bytes.len());
                self.left -= own;
                bytes = bytes.get(own..).unwrap_or_default();
                continue;
            }
            let own = (HEAD_BYTES - self.have).min(bytes.len());
            let (now, rest) = bytes.split_at_checked(own).unwrap_or((bytes, &[]));
            if let Some(place) = self.head.get_mut(self.have..self.have + own) {
                place.copy_from_slice(now);
            }
            self.have += own;
            bytes = rest;
            if self.have == HEAD_BYTES {
                let head = Head::of(self.head);
                (self.have, self.left, self.is_data) = (0, head.length, head.kind == DATA);
                see(head)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_told_apart_in_pieces_of_every_size() {
        let frame = |length: usize, kind| {
            let mut bytes = vec![0, 0, length as u8, kind, 0, 0, 0, 0, 3];
            bytes.resize(HEAD_BYTES + length, 0xff);
            bytes
        };
        let mut bytes = vec![b'x'; PREFACE_BYTES];
        bytes.extend([frame(0, 4), frame(20, 1), frame(200, 0), frame(8, 6)].concat());
        for size in 1..=bytes.len() {
            let (mut position, mut kinds) = (Position::behind(PREFACE_BYTES), vec![]);
            for piece in bytes.chunks(size) {
                let see = |head: Head| {
                    kinds.push((head.kind, head.length, head.stream));
                    Ok(())
                };
                position.pass(piece, see).unwrap();
            }
            assert_eq!(kinds, [(4, 0, 3), (1, 20, 3), (0, 200, 3), (6, 8, 3)], "{size}");
            assert!(position.is_between());
        }
    }
}
