//! The two ways of a client's connection: what has come of requests, and where responses go. Whoever passes on a request's body reads here, while
//! the response may be written already.

use super::MAX_AHEAD;
use super::requests::{Asked, Requests};
use crate::body::Source;
use crate::bounds::Bound;
use crate::framing::{Defect, Reading};
use crate::transport::Transport;
use bytes::{Bytes, BytesMut};
use hyper::body::{Frame, SizeHint};
use std::cell::{Cell, RefCell};
use std::io;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// What is read at once where a head is awaited: who says nothing has no room kept for it.
const PIECE: usize = 4 * 1024;
/// The same of a body: to begin with, and when all that was asked for has come.
const LEAST_READ: usize = 4 * 1024;
const MOST_READ: usize = 64 * 1024;
/// Says that the body of a request is wanted (RFC 9110 10.1.1).
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// A client's connection.
pub(super) struct Duplex<S> {
    stream: S,
    /// What was read and not taken up.
    received: BytesMut,
    requests: Requests,
    /// Where in the body of a request one is.
    reading: Reading,
    /// Which request that is: the bodies of those before it are nobody's any more.
    number: u64,
    /// How much of a body is read at once.
    piece: usize,
    /// Whether the client sends the body only if it is told to.
    waits_for_continue: bool,
    /// What is to be written before anything else.
    interim: &'static [u8],
    /// When the incomplete head began, or when the last response ended.
    since: Option<Instant>,
    waiting: Timer,
    writing: Timer,
    /// When the response in progress must have been written.
    pub(super) cut_at: Rc<Cell<Option<Instant>>>,
    /// Whether no further request is taken up.
    is_last: bool,
}

/// Something that has to come before it is too late. It is set anew only where it would ring: deadlines move with each request.
#[derive(Default)]
struct Timer(Option<Pin<Box<Sleep>>>);

impl Timer {
    fn is_over(&mut self, deadline: Instant, cx: &mut Context<'_>) -> bool {
        let sleep = self.0.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if deadline < sleep.deadline() {
            sleep.as_mut().reset(deadline);
        }
        while sleep.as_mut().poll(cx).is_ready() {
            if deadline <= sleep.deadline() {
                return true;
            }
            sleep.as_mut().reset(deadline);
        }
        false
    }
}

impl<S: Transport> Duplex<S> {
    pub(super) fn on(stream: S) -> Duplex<S> {
        Duplex {
            stream,
            received: BytesMut::new(),
            requests: Requests::default(),
            reading: Reading::Ended,
            number: 0,
            piece: LEAST_READ,
            waits_for_continue: false,
            interim: &[],
            since: None,
            waiting: Timer::default(),
            writing: Timer::default(),
            cut_at: Rc::default(),
            is_last: false,
        }
    }

    /// The next head; `None`: the client has ended, or has taken too long, or no further request is taken up.
    pub(super) fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Asked, Defect>>> {
        loop {
            match self.requests.read(&mut self.received) {
                Ok(None) => {}
                Ok(Some(asked)) => return Poll::Ready(Some(Ok(asked))),
                Err(defect) => return Poll::Ready(Some(Err(defect))),
            }
            let has_begun = !self.received.is_empty();
            if self.is_last && !has_begun {
                return Poll::Ready(None);
            }
            match self.poll_piece(cx) {
                Poll::Ready(Ok(1..)) if has_begun => {}
                // From now on it is the head that is awaited.
                Poll::Ready(Ok(1..)) => self.since = None,
                Poll::Ready(_) => return Poll::Ready(None),
                Poll::Pending => {
                    let since = *self.since.get_or_insert_with(Instant::now);
                    let time = if has_begun { Bound::HeadTime } else { Bound::IdleTime };
                    let is_over = self.waiting.is_over(since + time.time(), cx);
                    return if is_over { Poll::Ready(None) } else { Poll::Pending };
                }
            }
        }
    }

    /// A request is under way. Returns its number.
    pub(super) fn begin(&mut self, body: Reading, waits_for_continue: bool) -> u64 {
        self.number += 1;
        self.reading = body;
        self.piece = LEAST_READ;
        self.waits_for_continue = waits_for_continue;
        self.number
    }

    /// Its response is written. `false`: there is more of its body than what has come already.
    pub(super) fn end(&mut self) -> bool {
        while let Ok(Some(_)) = self.reading.next(&mut self.received) {}
        self.number += 1;
        self.since = None;
        if self.received.is_empty() {
            self.received = BytesMut::new();
        }
        self.reading.has_ended()
    }

    /// Takes up no further request, but one that has begun to arrive.
    pub(super) fn end_after_this(&mut self) {
        self.is_last = true;
    }

    /// Whether nothing of a request is there.
    pub(super) fn is_idle(&self) -> bool {
        self.reading.has_ended() && self.received.is_empty()
    }

    /// Whether a part of a request is there that is not under way. The kernel may have heard of bytes before the runtime does.
    pub(super) fn is_arriving(&self) -> bool {
        let is_between = self.reading.has_ended();
        is_between && (!self.received.is_empty() || self.stream.has_bytes())
    }

    /// Whether anything has come that nobody has read, as far as is known here.
    pub(super) fn has_unread(&self) -> bool {
        !self.is_idle() || self.stream.has_bytes()
    }

    /// Ready when the client has gone, while its request is under way. What it sends meanwhile is kept, within bounds.
    pub(super) fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.poll_interim(cx).is_err() {
            return Poll::Ready(());
        }
        while self.reading.has_ended() && self.received.len() < MAX_AHEAD {
            match ready!(self.poll_piece(cx)) {
                Ok(1..) => {}
                Ok(0) | Err(_) => return Poll::Ready(()),
            }
        }
        Poll::Pending
    }

    /// Throws away what comes. Ready when the client has ended.
    pub(super) fn poll_drained(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let Ok(1..) = ready!(self.poll_piece(cx)) {
            self.received.clear();
        }
        Poll::Ready(())
    }

    /// Once it is closed, its client sees a reset and no orderly end.
    pub(super) fn reset_when_closed(&self) {
        self.stream.reset_when_closed();
    }

    /// The connection as what it has become, and what has come of that already.
    pub(super) fn into_tunnel(self) -> (S, BytesMut) {
        (self.stream, self.received)
    }

    /// Reads what has come where a head is awaited.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut piece = [MaybeUninit::uninit(); PIECE];
        let mut piece = ReadBuf::uninit(&mut piece);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut piece))?;
        self.received.extend_from_slice(piece.filled());
        Poll::Ready(Ok(piece.filled().len()))
    }

    fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if std::mem::take(&mut self.waits_for_continue) && self.received.is_empty() {
            self.interim = CONTINUE;
        }
        self.poll_interim(cx)?;
        loop {
            match self.reading.next(&mut self.received) {
                Ok(Some(part)) => return Poll::Ready(Some(Ok(part))),
                Ok(None) if self.reading.has_ended() => return Poll::Ready(None),
                Ok(None) => {}
                Err(defect) => {
                    return Poll::Ready(Some(Err(io::Error::new(io::ErrorKind::InvalidData, defect.why))));
                }
            }
            self.received.reserve(self.piece);
            let room = self.received.capacity() - self.received.len();
            let count = ready!(pin!(self.stream.read_buf(&mut self.received)).poll(cx))?;
            if count == 0 {
                return Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into())));
            }
            if count == room {
                self.piece = (2 * self.piece).min(MOST_READ);
            }
        }
    }

    /// Writes what comes before all else, as far as the client takes it.
    fn poll_interim(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        while !self.interim.is_empty() {
            match Pin::new(&mut self.stream).poll_write(cx, self.interim) {
                Poll::Ready(count) => self.interim = self.interim.get(count?..).unwrap_or_default(),
                Poll::Pending => return Ok(()),
            }
            if self.interim.is_empty()
                && let Poll::Ready(flushed) = Pin::new(&mut self.stream).poll_flush(cx)
            {
                flushed?;
            }
        }
        Ok(())
    }

    /// Passes a write's result on; where it is pending, looks whether the client has taken nothing for too long.
    fn unless_stalled<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.since = None;
            return written;
        }
        let stalled = *self.since.get_or_insert_with(Instant::now) + Bound::StallTime.time();
        let deadline = self.cut_at.get().map_or(stalled, |cut| cut.min(stalled));
        let is_over = self.writing.is_over(deadline, cx);
        if is_over { Poll::Ready(Err(io::ErrorKind::TimedOut.into())) } else { Poll::Pending }
    }
}

impl<S: Transport> Source for RefCell<Duplex<S>> {
    fn poll_part(&self, number: u64, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let mut own = self.borrow_mut();
        if own.number != number {
            return Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into())));
        }
        own.poll_part(cx)
    }

    fn has_ended(&self, number: u64) -> bool {
        let own = self.borrow();
        own.number == number && own.reading.has_ended()
    }

    fn size_hint(&self, number: u64) -> SizeHint {
        let own = self.borrow();
        if own.number == number { own.reading.size_hint() } else { SizeHint::default() }
    }
}

/// Where responses are written.
pub(super) struct Out<'d, S>(pub(super) &'d RefCell<Duplex<S>>);

impl<S: Transport> AsyncWrite for Out<'_, S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let own = &mut *self.0.borrow_mut();
        own.poll_interim(cx)?;
        let written = match own.interim {
            [] => Pin::new(&mut own.stream).poll_write(cx, bytes),
            _ => Poll::Pending,
        };
        own.unless_stalled(cx, written)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let own = &mut *self.0.borrow_mut();
        let flushed = Pin::new(&mut own.stream).poll_flush(cx);
        own.unless_stalled(cx, flushed)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let own = &mut *self.0.borrow_mut();
        let shut = Pin::new(&mut own.stream).poll_shutdown(cx);
        own.unless_stalled(cx, shut)
    }
}

#[cfg(test)]
mod tests;
