//! Watches the frames of an HTTP/2 connection (RFC 9113 4.1), and ends one whose other side floods it.
//!
//! The HTTP library bounds what it keeps: streams, header lists, windows. What it does for a frame that keeps nothing costs a few bytes of
//! the other side and some work of ours, and is bounded here: by how many come, counted as they are read. Only the nine bytes in front of each frame are
//! looked at, so this knows nothing of what is compressed in them.

mod counts;
#[cfg(any(test, fuzzing))]
mod law;

use crate::bounds::Bound;
use counts::{Counts, Flood};
#[cfg(any(test, fuzzing))]
pub(crate) use law::law;
use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;
use tokio::time::{Instant, Sleep, sleep_until};

/// How a client begins (RFC 9113 3.4), in bytes.
const PREFACE_BYTES: usize = 24;
/// In front of each frame, in bytes.
const HEAD_BYTES: usize = 9;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
/// The flag of settings that are taken over.
const ACK: u8 = 0x1;
// Flags of frames of headers.
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;
/// The reason that a flood is told (RFC 9113 7).
const ENHANCE_YOUR_CALM: u8 = 0xb;
/// That of a pseudo-header field in trailers (RFC 9113 8.1), which the library overlooks.
const PROTOCOL_ERROR: u8 = 0x1;
/// And that of a frame which has not the length that frames of its kind have: the library gives a less telling one.
const FRAME_SIZE_ERROR: u8 = 0x6;

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
    /// Who waits for the other side's first settings.
    begins: Option<Beginning>,
    /// Since when a part of a message's head has been there and not all of it.
    head_since: Option<Instant>,
    /// Runs while a head is incomplete and no bytes are there.
    reading: Option<Pin<Box<Sleep>>>,
    /// Runs while the other side takes no bytes.
    writing: Option<Pin<Box<Sleep>>>,
}

/// Who waits for the other side to begin, and whether its first settings have begun to arrive.
struct Beginning {
    tell: oneshot::Sender<()>,
    is_arriving: bool,
}

/// Wraps a connection.
pub(crate) fn watch<S>(stream: S, other: Other) -> Framed<S> {
    let preface = |is_sent| if is_sent { PREFACE_BYTES } else { 0 };
    Framed {
        stream,
        incoming: Position {
            has_trailers: other == Other::Client,
            ..Position::behind(preface(other == Other::Client))
        },
        outgoing: Position::behind(preface(other == Other::Server)),
        counts: Counts::new(other),
        begins: None,
        head_since: None,
        reading: None,
        writing: None,
    }
}

impl<S> Framed<S> {
    /// Ends well once the other side has begun: its settings are there, whole, which come before all else it says (RFC 9113 3.4). Fails if the
    /// connection is dropped before that.
    pub(crate) fn begun(&mut self) -> oneshot::Receiver<()> {
        let (tell, told) = oneshot::channel();
        self.begins = Some(Beginning { tell, is_arriving: false });
        told
    }
}

impl Beginning {
    /// Tells whoever waits, who may be gone.
    fn tell(begins: &mut Option<Beginning>) {
        if let Some(Beginning { tell, .. }) = begins.take_if(|begins| begins.is_arriving) {
            let _ = tell.send(());
        }
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
                let (counts, begins) = (&mut this.counts, &mut this.begins);
                let bytes = buffer.filled().get(before..).unwrap_or_default();
                let see = |head: Head| {
                    if !head.has_its_length() {
                        return Err(FRAME_SIZE_ERROR);
                    }
                    // What comes behind a frame says that it is whole.
                    Beginning::tell(begins);
                    if let Some(begins) = begins {
                        begins.is_arriving = head.kind == SETTINGS;
                    }
                    counts.came(head, now).map_err(|Flood| ENHANCE_YOUR_CALM)
                };
                let passed = this.incoming.pass(bytes, see);
                let passed =
                    passed.and(if this.incoming.has_odd_trailers { Err(PROTOCOL_ERROR) } else { Ok(()) });
                if let Err(reason) = passed {
                    buffer.set_filled(before);
                    this.say_why(reason, cx);
                    return Poll::Ready(Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        "frames that are refused",
                    )));
                }
                if this.incoming.left == 0 {
                    Beginning::tell(&mut this.begins);
                }
                let is_mid = this.counts.block.is_some() || this.incoming.is_mid_head();
                this.head_since = is_mid.then(|| this.head_since.unwrap_or(now));
                Poll::Ready(Ok(()))
            }
            Poll::Pending => {
                let Some(since) = this.head_since else { return Poll::Pending };
                let end =
                    this.reading.get_or_insert_with(|| Box::pin(sleep_until(since + Bound::HeadTime.time())));
                end.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
            }
            failed => failed,
        }
    }
}

impl<S: AsyncWrite + Unpin> Framed<S> {
    /// Says why the connection ends, if that can be said at once: between two frames of ours.
    fn say_why(&mut self, why: u8, cx: &mut Context<'_>) {
        if !self.outgoing.is_between() {
            return;
        }
        let mut frame = [0; HEAD_BYTES + 8];
        let [.., l, kind, _, _, _, _, _, s1, s2, s3, s4, _, _, _, reason] = &mut frame;
        (*l, *kind, *reason) = (8, GOAWAY, why);
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
        let end = self
            .writing
            .get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + Bound::StallTime.time())));
        end.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }

    fn sent(&mut self, bytes: &[u8]) {
        let counts = &mut self.counts;
        // What is sent is nobody's flood.
        let Ok(()) = self.outgoing.pass(bytes, |head| {
            counts.went(head);
            Ok::<(), Infallible>(())
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

    /// Whether it has the length that frames of its kind have (RFC 9113 6.4 to 6.9).
    fn has_its_length(self) -> bool {
        match self.kind {
            RST_STREAM | WINDOW_UPDATE => self.length == 4,
            SETTINGS if self.has(ACK) => self.length == 0,
            SETTINGS => self.length.is_multiple_of(6),
            PING => self.length == 8,
            _ => true,
        }
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
    /// The last stream of which a head has come.
    last_stream: u32,
    /// Whether the second head of a stream is trailers: clients have no other.
    has_trailers: bool,
    /// Where trailers begin: how many bytes of the frame are before them, and what is there of them.
    trailers: Option<(usize, Vec<u8>)>,
    /// Whether trailers began with a pseudo-header field. Others cannot be before one.
    has_odd_trailers: bool,
}

impl Position {
    fn behind(preface: usize) -> Position {
        Position {
            head: [0; HEAD_BYTES],
            have: 0,
            left: preface,
            is_data: false,
            last_stream: 0,
            has_trailers: false,
            trailers: None,
            has_odd_trailers: false,
        }
    }

    fn is_between(&self) -> bool {
        self.have == 0 && self.left == 0
    }

    /// Whether a frame has begun and not ended, other than one of data.
    fn is_mid_head(&self) -> bool {
        self.have > 0 || self.left > 0 && !self.is_data
    }

    fn pass<E>(&mut self, mut bytes: &[u8], mut see: impl FnMut(Head) -> Result<(), E>) -> Result<(), E> {
        while !bytes.is_empty() {
            if self.left > 0 {
                let own = self.left.min(bytes.len());
                self.left -= own;
                let (now, rest) = bytes.split_at_checked(own).unwrap_or((bytes, &[]));
                self.look_at_trailers(now);
                bytes = rest;
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
                self.trailers = None;
                if head.kind == HEADERS {
                    let before =
                        if head.has(PADDED) { 1 } else { 0 } + if head.has(PRIORITY) { 5 } else { 0 };
                    self.trailers =
                        (self.has_trailers && head.stream <= self.last_stream).then(|| (before, Vec::new()));
                    self.last_stream = self.last_stream.max(head.stream);
                }
                see(head)?;
            }
        }
        Ok(())
    }
}

impl Position {
    fn look_at_trailers(&mut self, bytes: &[u8]) {
        let Some((before, begin)) = &mut self.trailers else { return };
        let skipped = (*before).min(bytes.len());
        *before -= skipped;
        begin.extend(bytes.iter().skip(skipped).take(BEGIN_BYTES.saturating_sub(begin.len())));
        self.has_odd_trailers |= is_pseudo(begin);
    }
}

/// As many bytes as tell of a field whether its name begins with a colon.
const BEGIN_BYTES: usize = 3;

/// Whether a header block begins with a pseudo-header field: named by the static table (RFC 7541 A), or in letters, plain or in Huffman's code.
fn is_pseudo(block: &[u8]) -> bool {
    match block {
        [0x81..=0x8e | 0x41..=0x4e | 0x01..=0x0e | 0x11..=0x1e, ..] => true,
        [0x40 | 0x00 | 0x10, length, first, ..] if *length >= 0x80 => first >> 1 == 0x5c,
        [0x40 | 0x00 | 0x10, _, b':', ..] => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trailers_begin_with_no_pseudo_header() {
        let mut position = Position { has_trailers: true, ..Position::behind(0) };
        let see = |_: Head| Ok::<(), Infallible>(());
        let head = |flags, block: &[u8]| {
            [&[0, 0, block.len() as u8, HEADERS, flags, 0, 0, 0, 1][..], block].concat()
        };
        let Ok(()) = position.pass(&head(0, &[0x84]), see);
        let Ok(()) = position.pass(&head(0, &[0x00, 1, b'a', 1, b'b']), see);
        assert!(!position.has_odd_trailers);
        for (flags, block) in [
            (0, &[0x84][..]),
            (PADDED, &[0, 0x84]),
            (PRIORITY, &[0, 0, 0, 0, 0, 0x44, 1, b'/']),
            (0, &[0x00, 5, b':', b'p']),
            (0, &[0x40, 0x84, 0xb9, 0x58]),
        ] {
            for byte in head(flags, block) {
                let Ok(()) = position.pass(&[byte], see);
            }
            assert!(std::mem::take(&mut position.has_odd_trailers), "{block:?}");
        }
    }

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
                    Ok::<(), Infallible>(())
                };
                let Ok(()) = position.pass(piece, see);
            }
            assert_eq!(kinds, [(4, 0, 3), (1, 20, 3), (0, 200, 3), (6, 8, 3)], "{size}");
            assert!(position.is_between());
        }
    }

    #[test]
    fn frames_of_a_kind_have_one_length() {
        let head = |kind, length| Head { length, kind, flags: 0, stream: 1 };
        for (kind, length) in [(RST_STREAM, 4), (SETTINGS, 12), (PING, 8), (WINDOW_UPDATE, 4), (DATA, 5)] {
            assert!(head(kind, length).has_its_length());
            assert!(kind == DATA || !head(kind, length - 1).has_its_length());
        }
    }
}
