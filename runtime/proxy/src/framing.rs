//! Watches the bytes of a client's connection, and lets through to the HTTP library what every reader reads in the same way.
//!
//! hyper answers a request that has both `content-length` and `transfer-encoding` as if the former were not there,
//! folds equal `content-length` lines into one, takes bare line feeds and cuts a fragment off the target. Another hop may read the same bytes
//! otherwise: that is request smuggling. [`Watched`] scans every byte on its way to hyper, finds where each message ends and holds a head back until
//! all of it is there. Instead of one that is refused, hyper gets a request that stands for it, and so a refusal is answered and logged like
//! anything else. It also ends what stalls: heads that do not arrive, responses that nobody reads.

mod chunks;
mod head;
#[cfg(any(test, fuzzing))]
mod law;
mod scan;

use crate::transport::Transport;
pub(crate) use head::{Defect, Head};
#[cfg(any(test, fuzzing))]
pub(crate) use law::law;
use scan::{Found, Scan};
use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

/// From the first byte of a request head to its last. A head fits in a few packets; who takes longer holds connections.
pub(crate) const HEAD_TIME: Duration = Duration::from_secs(10);
/// How long a client may take none of the bytes that wait for it. Longer than any pause of a network that still works, and no longer: what waits
/// is memory that the client has for nothing.
pub(crate) const STALL_TIME: Duration = Duration::from_secs(30);
/// How long a connection has nothing to do before it keeps nothing ready. Between one and two of these it does: what asks again sooner is
/// served by what there is, and to look that often costs nothing.
const REST_TIME: Duration = Duration::from_secs(4);
/// What is read at once of a head that comes in pieces.
const PIECE: usize = 4 * 1024;

/// Stands for a request that is refused.
const REFUSED: &[u8] = b"GET / HTTP/1.1\r\nhost: refused\r\n\r\n";

/// Wraps a client's connection.
pub(crate) fn watch<S: Transport>(stream: S) -> (Watched<S>, Watch) {
    let watch = Watch(Rc::new(RefCell::new(Watching::default())));
    let watched = Watched {
        stream,
        watch: watch.clone(),
        held: Vec::new(),
        ready: Vec::new(),
        reading: None,
        writing: None,
    };
    (watched, watch)
}

#[derive(Default)]
struct Watching {
    scan: Scan,
    /// When the incomplete head began.
    head_since: Option<Instant>,
    cut_at: Option<Instant>,
    /// How often bytes came or went.
    moved: u64,
    /// Whether bytes wait for the client to take them.
    stalls: bool,
    /// Whether a read that finds nothing asks the kernel.
    closely: bool,
    /// Whether the last one found that bytes wait there.
    waiting: bool,
}

/// What is known of the connection's bytes.
#[derive(Clone)]
pub(crate) struct Watch(Rc<RefCell<Watching>>);

impl Watch {
    /// The defect of the next request head, in the order in which heads arrive.
    pub(crate) fn next_head(&self) -> Option<Defect> {
        // A head that hyper found and the scan did not: they disagree about where messages end.
        self.0.borrow_mut().scan.heads.pop_front().unwrap_or(Some(Defect::UNCLEAR))
    }

    /// From now on, a read that finds nothing asks the kernel too, which may have heard of bytes before the runtime does.
    pub(crate) fn look_closely(&self) {
        self.0.borrow_mut().closely = true;
    }

    /// Ends when there has been nothing to do for a while: no bytes went either way, none are awaited of a message, and nobody's request is
    /// under way.
    pub(crate) async fn rests(&self, is_quiet: impl Fn() -> bool) {
        let mut moved = None;
        loop {
            sleep(REST_TIME).await;
            let watching = self.0.borrow();
            let now = Some(watching.moved);
            if now == moved && !watching.stalls && watching.scan.is_between_messages() && is_quiet() {
                return;
            }
            moved = now;
        }
    }

    /// Whether a part of a request is there that hyper has not taken up, as of the last read.
    pub(crate) fn is_arriving(&self) -> bool {
        let watching = self.0.borrow();
        watching.waiting || watching.scan.mid_head() || !watching.scan.heads.is_empty()
    }

    /// What follows is no HTTP: nothing is looked for in it, and no head has to be complete.
    pub(crate) fn let_through(&self) {
        let mut watching = self.0.borrow_mut();
        watching.scan.let_through();
        watching.head_since = None;
    }

    /// When the response in progress must have been written; `None`: no limit.
    pub(crate) fn cut_at(&self, deadline: Option<Instant>) {
        self.0.borrow_mut().cut_at = deadline;
    }
}

/// A connection whose bytes are watched.
pub(crate) struct Watched<S> {
    stream: S,
    watch: Watch,
    /// A head that is not there whole.
    held: Vec<u8>,
    /// What may pass and did not fit.
    ready: Vec<u8>,
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
        loop {
            if !this.ready.is_empty() {
                let count = this.ready.len().min(buffer.remaining());
                buffer.put_slice(this.ready.get(..count).unwrap_or_default());
                this.ready.drain(..count);
                return Poll::Ready(Ok(()));
            }
            let passed = match this.held.is_empty() {
                true => ready!(this.read_on(cx, buffer))?,
                false => ready!(this.read_more(cx))?,
            };
            if passed {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: Transport> Watched<S> {
    /// Waits until there is something to pass on: a whole head, or what stands for one that is refused. `false`: the connection has ended.
    ///
    /// The HTTP library has 8 KiB ready for whoever says nothing, and this nothing.
    pub(crate) async fn begin(&mut self) -> bool {
        let read = |cx: &mut Context<'_>| -> Poll<bool> {
            while self.ready.is_empty() {
                match ready!(self.read_more(cx)) {
                    Ok(false) => {}
                    Ok(true) | Err(_) => return Poll::Ready(false),
                }
            }
            Poll::Ready(true)
        };
        poll_fn(read).await
    }

    /// Reads where no head has begun. `true`: something is read, or the stream has ended.
    fn read_on(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<bool>> {
        let before = buffer.filled().len();
        ready!(self.read_stream(cx, buffer))?;
        let read = buffer.filled().get(before..).unwrap_or_default();
        if read.is_empty() {
            return Poll::Ready(Ok(true));
        }
        let passing = match self.found(0, read)? {
            Found::Passes { until } => {
                self.held.extend_from_slice(read.get(until..).unwrap_or_default());
                until
            }
            Found::Refused { from } => {
                self.ready.extend_from_slice(REFUSED);
                from
            }
            Found::Nothing => 0,
        };
        buffer.set_filled(before + passing);
        Poll::Ready(Ok(passing > 0))
    }

    /// Reads on in a head that has begun, or begins one. `true`: the stream has ended.
    fn read_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let mut piece = [0; PIECE];
        let mut piece = ReadBuf::new(&mut piece);
        ready!(self.read_stream(cx, &mut piece))?;
        let read = piece.filled();
        if read.is_empty() {
            return Poll::Ready(Ok(true));
        }
        let found = self.found(self.held.len(), read)?;
        self.held.extend_from_slice(read);
        match found {
            Found::Passes { until } => {
                let rest = self.held.get(until..).unwrap_or_default().to_vec();
                self.held.truncate(until);
                self.ready = std::mem::replace(&mut self.held, rest);
            }
            Found::Refused { from } => {
                self.held.truncate(from);
                self.ready = std::mem::take(&mut self.held);
                self.ready.extend_from_slice(REFUSED);
            }
            Found::Nothing => self.held.clear(),
        }
        Poll::Ready(Ok(false))
    }

    /// What is found in bytes that stand behind so many others.
    fn found(&self, at: usize, read: &[u8]) -> io::Result<Found> {
        let mut watching = self.watch.0.borrow_mut();
        let found = watching.scan.read(at, read);
        let mid_head = watching.scan.mid_head();
        watching.head_since = mid_head.then(|| watching.head_since.unwrap_or_else(Instant::now));
        found.map_err(|defect| io::Error::new(io::ErrorKind::InvalidData, defect.why))
    }

    fn read_stream(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let mut watching = self.watch.0.borrow_mut();
        watching.waiting = false;
        if read.is_ready() {
            watching.moved += 1;
            self.reading = None;
            return read;
        }
        watching.waiting = watching.closely && self.stream.has_bytes();
        let Some(since) = watching.head_since else { return Poll::Pending };
        let end = self.reading.get_or_insert_with(|| Box::pin(sleep_until(since + HEAD_TIME)));
        end.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S> Watched<S> {
    /// Passes a write's result on; where it is pending, starts or asks the timer that ends a stalled response.
    fn unless_stalled<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let cut_at = {
            let mut watching = self.watch.0.borrow_mut();
            watching.stalls = written.is_pending();
            watching.moved += 1;
            watching.cut_at
        };
        if written.is_ready() {
            self.writing = None;
            return written;
        }
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
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.stream).poll_flush(cx);
        this.watch.0.borrow_mut().stalls = flushed.is_pending();
        flushed
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    /// A watched connection, and its other end.
    async fn pair() -> (Watched<TcpStream>, Watch, TcpStream) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (watched, watch) = watch(listener.accept().await.unwrap().0);
        (watched, watch, client)
    }

    #[tokio::test]
    async fn a_head_that_does_not_arrive_ends_the_connection() {
        let (mut watched, watch, mut client) = pair().await;
        client.write_all(b"GET / HTTP/1.1\r\nho").await.unwrap();
        let mut reading = Box::pin(async move { watched.read(&mut [0; 64]).await });
        assert!(
            tokio::time::timeout(Duration::from_millis(50), &mut reading).await.is_err(),
            "it is held back"
        );
        assert!(watch.is_arriving());
        tokio::time::pause();
        let began = Instant::now();
        // A byte now and then does not help.
        client.write_all(b"s").await.unwrap();
        assert_eq!(reading.await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert!(began.elapsed() <= HEAD_TIME + Duration::from_millis(10), "{:?}", began.elapsed());
    }

    #[tokio::test]
    async fn a_head_in_pieces_passes_as_a_whole() {
        let (mut watched, watch, mut client) = pair().await;
        let mut read = [0; 8];
        let writes = async {
            for piece in ["GET / HTTP/1.1\r\nho", "st: a\r\n\r", "\nGET /b"] {
                client.write_all(piece.as_bytes()).await.unwrap();
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let reads = async {
            let mut whole = Vec::new();
            while whole.len() < 27 {
                let count = watched.read(&mut read).await.unwrap();
                whole.extend_from_slice(&read[..count]);
            }
            whole
        };
        let (whole, ()) = tokio::join!(reads, writes);
        assert_eq!(whole, b"GET / HTTP/1.1\r\nhost: a\r\n\r\n");
        assert!(watch.next_head().is_none());
    }

    #[tokio::test]
    async fn instead_of_what_is_refused_comes_what_stands_for_it() {
        let (mut watched, watch, mut client) = pair().await;
        client.write_all(b"GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\nGET / HTTP/1.1\r\n\r\n").await.unwrap();
        client.shutdown().await.unwrap();
        let mut whole = Vec::new();
        watched.read_to_end(&mut whole).await.unwrap();
        assert_eq!(whole, [b"GET / HTTP/1.1\r\n\r\n", REFUSED].concat());
        assert!(watch.next_head().is_none() && watch.next_head().is_some());
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
    async fn a_connection_rests_when_there_is_nothing_to_do() {
        let rests = async |bytes: &[u8], taken_up: usize, is_quiet: bool| {
            let (mut watched, watch, mut client) = pair().await;
            client.write_all(bytes).await.unwrap();
            let passed = watched.read(&mut [0; 64]).await.unwrap();
            (0..taken_up).for_each(|_| assert!(watch.next_head().is_none()));
            tokio::time::pause();
            let rests = tokio::time::timeout(REST_TIME * 3, watch.rests(|| is_quiet)).await.is_ok();
            tokio::time::resume();
            (passed, rests)
        };
        let request = b"GET / HTTP/1.1\r\n\r\n";
        assert_eq!(rests(request, 1, true).await, (18, true));
        assert_eq!(rests(request, 1, false).await, (18, false), "it is under way");
        assert_eq!(rests(request, 0, true).await, (18, false), "nobody has taken it up");
        let upload = b"POST / HTTP/1.1\r\ncontent-length: 2\r\n\r\nx";
        assert_eq!(rests(upload, 1, true).await, (39, false), "its body is not there");
        assert_eq!(rests(b"GET / HTTP/1.1\r\n\r\nGET", 1, true).await, (18, false), "another has begun");
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
}
