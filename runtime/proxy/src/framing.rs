//! Watches the bytes of a client's connection, and so sees what the HTTP library repairs in silence.
//!
//! hyper answers a request that has both `content-length` and `transfer-encoding` as if the former were not there,
//! folds equal `content-length` lines into one and cuts a fragment off the target. Another hop may read the same bytes
//! otherwise: that is request smuggling. [`Watched`] scans every byte on its way to hyper, finds where each message ends
//! and notes for each head whether it may be served. It also ends what stalls: heads that do not arrive, responses that nobody reads.

use crate::transport::Transport;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// From the first byte of a request head to its last. A head fits in a few packets; who takes longer holds connections.
pub(crate) const HEAD_TIME: Duration = Duration::from_secs(10);
/// How long a client may take none of the bytes that wait for it. Longer than any pause of a network that still works.
pub(crate) const STALL_TIME: Duration = Duration::from_secs(60);

/// Wraps a client's connection.
pub(crate) fn watch<S: Transport>(stream: S) -> (Watched<S>, Watch) {
    let watch = Watch(Rc::new(RefCell::new(Scan::default())));
    (Watched { stream, watch: watch.clone(), reading: None, writing: None }, watch)
}

/// What is known of the connection's bytes.
#[derive(Clone)]
pub(crate) struct Watch(Rc<RefCell<Scan>>);

impl Watch {
    /// The defect of the next request head, in the order in which heads arrive.
    pub(crate) fn next_head(&self) -> Option<Defect> {
        // A head that hyper found and the scan did not: they disagree about where messages end.
        self.0.borrow_mut().heads.pop_front().unwrap_or(Some("where the message ends is unclear"))
    }

    /// From now on, a read that finds nothing asks the kernel too, which may have heard of bytes before the runtime does.
    pub(crate) fn look_closely(&self) {
        self.0.borrow_mut().closely = true;
    }

    /// Whether a part of a request is there that hyper has not taken up, as of the last read.
    pub(crate) fn is_arriving(&self) -> bool {
        let scan = self.0.borrow();
        scan.waiting || scan.mid_head() || !scan.heads.is_empty()
    }

    /// What follows is no HTTP: nothing is looked for in it, and no head has to be complete.
    pub(crate) fn let_through(&self) {
        let mut scan = self.0.borrow_mut();
        scan.at = At::Tunnel;
        scan.head_since = None;
    }

    /// When the response in progress must have been written; `None`: no limit.
    pub(crate) fn cut_at(&self, deadline: Option<Instant>) {
        self.0.borrow_mut().cut_at = deadline;
    }
}

/// Why a head is answered 400: a clause.
pub(crate) type Defect = &'static str;

/// A connection whose bytes are watched.
pub(crate) struct Watched<S> {
    stream: S,
    watch: Watch,
    /// Runs while a head is incomplete and no bytes are there.
    reading: Option<Pin<Box<Sleep>>>,
    /// Runs while the client takes no bytes.
    writing: Option<Pin<Box<Sleep>>>,
}

impl<S: Transport> AsyncRead for Watched<S> {
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
                let mut scan = this.watch.0.borrow_mut();
                scan.waiting = false;
                scan.read(buffer.filled().get(before..).unwrap_or_default());
                if matches!(scan.at, At::BadBody) {
                    buffer.set_filled(before);
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "malformed chunks")));
                }
                if scan.head_since.is_none() && scan.mid_head() {
                    scan.head_since = Some(Instant::now());
                }
                Poll::Ready(Ok(()))
            }
            Poll::Pending => {
                let mut scan = this.watch.0.borrow_mut();
                scan.waiting = scan.closely && this.stream.has_bytes();
                let Some(since) = scan.head_since else { return Poll::Pending };
                let end = this.reading.get_or_insert_with(|| Box::pin(sleep_until(since + HEAD_TIME)));
                end.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
            }
            failed => failed,
        }
    }
}

impl<S> Watched<S> {
    /// Passes a write's result on; where it is pending, starts or asks the timer that ends a stalled response.
    fn unless_stalled<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.writing = None;
            return written;
        }
        let cut_at = self.watch.0.borrow().cut_at;
        let end = self.writing.get_or_insert_with(|| {
            let stalled = Instant::now() + STALL_TIME;
            Box::pin(sleep_until(cut_at.map_or(stalled, |cut| cut.min(stalled))))
        });
        end.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: Transport> AsyncWrite for Watched<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.unless_stalled(cx, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(cx, slices);
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

/// Where the scan is in the stream of messages, and what it found.
#[derive(Default)]
struct Scan {
    at: At,
    /// The beginning of a head's line whose end has not arrived yet.
    line: Vec<u8>,
    head: Head,
    /// One for each complete head that hyper has not taken up yet. Bounded by hyper's read buffer.
    heads: VecDeque<Option<Defect>>,
    /// When the incomplete head began.
    head_since: Option<Instant>,
    cut_at: Option<Instant>,
    /// Whether a read that finds nothing asks the kernel.
    closely: bool,
    /// Whether the last one found that bytes wait there.
    waiting: bool,
}

#[derive(Clone, Copy, Default)]
enum At {
    /// In a request head, or between messages.
    #[default]
    Head,
    /// This many bytes of a body are left.
    Length(u64),
    /// In a chunked body.
    Chunks(Chunks),
    /// After a refused head: the connection ends with its answer, what follows is nobody's.
    Refused,
    /// In a body whose chunks are malformed: the connection ends here.
    BadBody,
    /// Behind an upgrade.
    Tunnel,
}

/// Where in a chunked body (RFC 9112 7.1), read strictly: no bare line feeds, at most 16 hex digits.
#[derive(Clone, Copy)]
enum Chunks {
    Size {
        value: u64,
        digits: u8,
    },
    Extension {
        size: u64,
    },
    SizeEnd {
        size: u64,
    },
    Data {
        left: u64,
    },
    DataCr,
    DataLf,
    /// In a trailer's line of which this many bytes have been seen.
    Trailer {
        seen: u64,
    },
    TrailerLf {
        seen: u64,
    },
}

/// What the lines of one head say about framing.
#[derive(Default)]
struct Head {
    begun: bool,
    fragment: bool,
    lengths: u32,
    length: Option<u64>,
    encodings: u32,
    chunked: bool,
}

impl Scan {
    fn mid_head(&self) -> bool {
        matches!(self.at, At::Head) && (self.head.begun || !self.line.is_empty())
    }

    fn read(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            match self.at {
                At::Head => bytes = self.read_line(bytes),
                At::Length(left) => {
                    let taken = left.min(bytes.len() as u64);
                    bytes = bytes.get(taken as usize..).unwrap_or_default();
                    self.at = if taken == left { At::Head } else { At::Length(left - taken) };
                }
                At::Chunks(Chunks::Data { left }) => {
                    let taken = left.min(bytes.len() as u64);
                    bytes = bytes.get(taken as usize..).unwrap_or_default();
                    let rest = left - taken;
                    self.at =
                        At::Chunks(if rest == 0 { Chunks::DataCr } else { Chunks::Data { left: rest } });
                }
                At::Chunks(chunks) => {
                    let Some((first, rest)) = bytes.split_first() else { return };
                    self.at = chunks.step(*first);
                    bytes = rest;
                }
                At::Refused | At::BadBody | At::Tunnel => return,
            }
        }
    }

    /// Takes the bytes up to the end of the line, if it is there, and returns the rest.
    fn read_line<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {
            self.line.extend_from_slice(bytes);
            return &[];
        };
        let (line, rest) = bytes.split_at_checked(end + 1).unwrap_or((bytes, &[]));
        if self.line.is_empty() {
            self.end_line(line);
        } else {
            let mut whole = std::mem::take(&mut self.line);
            whole.extend_from_slice(line);
            self.end_line(&whole);
            whole.clear();
            self.line = whole;
        }
        rest
    }

    fn end_line(&mut self, line: &[u8]) {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if !line.is_empty() {
            self.head.line(line);
        } else if self.head.begun {
            // Empty lines before a request line are skipped (RFC 9112 2.2); this one ends the head.
            let head = std::mem::take(&mut self.head);
            let defect = head.defect();
            self.heads.push_back(defect);
            self.head_since = None;
            self.at = match (defect, head.chunked, head.length) {
                (Some(_), ..) => At::Refused,
                (None, true, _) => At::Chunks(Chunks::Size { value: 0, digits: 0 }),
                (None, false, Some(length)) if length > 0 => At::Length(length),
                (None, false, _) => At::Head,
            };
        }
    }
}

impl Head {
    fn line(&mut self, line: &[u8]) {
        if !self.begun {
            self.begun = true;
            self.fragment = line.contains(&b'#');
            return;
        }
        // The two names that frame a message are told from almost all others by their first letter.
        if !matches!(line.first(), Some(b'c' | b'C' | b't' | b'T')) {
            return;
        }
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { return };
        let (name, value) = line.split_at_checked(colon).unwrap_or((line, &[]));
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        if name.eq_ignore_ascii_case(b"content-length") {
            self.lengths += 1;
            self.length = decimal(value);
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.encodings += 1;
            self.chunked = value.eq_ignore_ascii_case(b"chunked");
        }
    }

    fn defect(&self) -> Option<Defect> {
        if self.fragment {
            Some("the target has a fragment")
        } else if self.lengths > 0 && self.encodings > 0 {
            Some("both content-length and transfer-encoding")
        } else if self.lengths > 1 {
            Some("content-length is repeated")
        } else if self.lengths == 1 && self.length.is_none() {
            Some("content-length is not a number")
        } else if self.encodings > 1 || self.encodings == 1 && !self.chunked {
            Some("transfer-encoding is not `chunked`")
        } else {
            None
        }
    }
}

fn decimal(digits: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(digits).ok()?;
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

impl Chunks {
    fn step(self, byte: u8) -> At {
        let next = match (self, byte) {
            (Chunks::Size { value, digits }, _) if byte.is_ascii_hexdigit() && digits < 16 => {
                let digit = char::from(byte).to_digit(16).unwrap_or_default();
                Chunks::Size { value: value << 4 | u64::from(digit), digits: digits + 1 }
            }
            (Chunks::Size { digits: 0, .. }, _) => return At::BadBody,
            (Chunks::Size { value, .. }, b'\r') => Chunks::SizeEnd { size: value },
            (Chunks::Size { value, .. }, b';') => Chunks::Extension { size: value },
            (Chunks::Extension { size }, b'\r') => Chunks::SizeEnd { size },
            (Chunks::Extension { size }, b'\t' | b' '..=b'~' | 0x80..) => Chunks::Extension { size },
            (Chunks::SizeEnd { size: 0 }, b'\n') => Chunks::Trailer { seen: 0 },
            (Chunks::SizeEnd { size }, b'\n') => Chunks::Data { left: size },
            (Chunks::DataCr, b'\r') => Chunks::DataLf,
            (Chunks::DataLf, b'\n') => Chunks::Size { value: 0, digits: 0 },
            (Chunks::Trailer { seen }, b'\r') => Chunks::TrailerLf { seen },
            (Chunks::Trailer { seen }, b'\t' | b' '..=b'~' | 0x80..) => Chunks::Trailer { seen: seen + 1 },
            (Chunks::TrailerLf { seen: 0 }, b'\n') => return At::Head,
            (Chunks::TrailerLf { .. }, b'\n') => Chunks::Trailer { seen: 0 },
            _ => return At::BadBody,
        };
        At::Chunks(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    /// Reads `bytes` in pieces of every size and returns what was found of each head; all pieces must agree.
    #[track_caller]
    fn heads(bytes: &str) -> Vec<Option<Defect>> {
        let mut found: Option<Vec<Option<Defect>>> = None;
        for size in 1..=bytes.len() {
            let mut scan = Scan::default();
            bytes.as_bytes().chunks(size).for_each(|piece| scan.read(piece));
            let heads = scan.heads.into_iter().collect::<Vec<_>>();
            assert_eq!(*found.get_or_insert_with(|| heads.clone()), heads, "in pieces of {size}");
        }
        found.unwrap()
    }

    #[test]
    fn pipelined_messages_are_told_apart() {
        let get = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
        let sized = "POST / HTTP/1.1\r\nhost: a\r\nContent-Length: 5\r\n\r\nhello";
        let chunked =
            "POST / HTTP/1.1\r\ntransfer-encoding: Chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nx: y\r\n\r\n";
        assert_eq!(heads(&format!("{get}{sized}{chunked}\r\n{get}")), [None; 4]);
    }

    #[test]
    fn a_body_that_looks_like_a_request_is_a_body() {
        let inner = "GET /admin HTTP/1.1\r\n\r\n";
        let outer = format!("POST / HTTP/1.1\r\ncontent-length: {}\r\n\r\n{inner}", inner.len());
        assert_eq!(heads(&outer), [None]);
    }

    #[test]
    fn ambiguous_framing_is_a_defect() {
        for (lines, defect) in [
            ("Content-Length: 6\r\nTransfer-Encoding: chunked", "both content-length and transfer-encoding"),
            ("Transfer-Encoding: chunked\r\nContent-Length: 6", "both content-length and transfer-encoding"),
            ("Content-Length: 5\r\nContent-Length: 5", "content-length is repeated"),
            ("Content-Length: 5, 5", "content-length is not a number"),
            ("Content-Length: +5", "content-length is not a number"),
            ("Content-Length:", "content-length is not a number"),
            ("Content-Length: 18446744073709551617", "content-length is not a number"),
            (
                "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
                "transfer-encoding is not `chunked`",
            ),
            ("Transfer-Encoding: gzip, chunked", "transfer-encoding is not `chunked`"),
            ("Transfer-Encoding:", "transfer-encoding is not `chunked`"),
        ] {
            let bytes = format!("POST / HTTP/1.1\r\n{lines}\r\n\r\n");
            assert_eq!(heads(&bytes), [Some(defect)], "{lines}");
        }
        assert_eq!(heads("GET /a#b HTTP/1.1\r\n\r\n"), [Some("the target has a fragment")]);
    }

    /// A watched connection, and its other end.
    async fn pair() -> (Watched<TcpStream>, Watch, TcpStream) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (watched, watch) = watch(listener.accept().await.unwrap().0);
        (watched, watch, client)
    }

    #[tokio::test]
    async fn a_head_that_does_not_arrive_ends_the_connection() {
        let (mut watched, _watch, mut client) = pair().await;
        client.write_all(b"GET / HTTP/1.1\r\nho").await.unwrap();
        assert_eq!(watched.read(&mut [0; 64]).await.unwrap(), 18);
        client.write_all(b"s").await.unwrap();
        tokio::time::pause();
        let began = Instant::now();
        // A byte now and then does not help.
        assert_eq!(watched.read(&mut [0; 64]).await.unwrap(), 1);
        let error = watched.read(&mut [0; 64]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(began.elapsed() <= HEAD_TIME + Duration::from_millis(10), "{:?}", began.elapsed());
    }

    #[tokio::test]
    async fn between_requests_a_connection_may_be_silent() {
        let (mut watched, _watch, mut client) = pair().await;
        client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        assert_eq!(watched.read(&mut [0; 64]).await.unwrap(), 18);
        tokio::time::pause();
        let silent = tokio::time::timeout(HEAD_TIME * 3, watched.read(&mut [0; 64])).await;
        assert!(silent.is_err(), "{silent:?}");
    }

    #[tokio::test]
    async fn a_response_that_nobody_reads_ends_the_connection() {
        for (cut, expected) in [(None, STALL_TIME), (Some(Duration::from_secs(5)), Duration::from_secs(5))] {
            let (mut watched, watch, _client) = pair().await;
            tokio::time::pause();
            let began = Instant::now();
            watch.cut_at(cut.map(|cut| began + cut));
            let error = watched.write_all(&vec![0; 64 << 20]).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            let took = began.elapsed();
            assert!(took >= expected && took < expected + Duration::from_secs(1), "{took:?}");
            tokio::time::resume();
        }
    }

    #[test]
    fn malformed_chunks_end_the_connection() {
        for body in [
            "\r\n",
            "-5\r\n",
            "5 \r\n",
            "0x5\r\n",
            "5\n",
            "10000000000000005\r\n",
            "5\r\nhelloXX",
            "5\r\nhello\n",
        ] {
            let mut scan = Scan::default();
            scan.read(format!("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n{body}").as_bytes());
            assert!(matches!(scan.at, At::BadBody), "{body:?}");
        }
    }
}
