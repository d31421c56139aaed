//! The bodies that pass through: towards an upstream, and back to the client.

use crate::balance::Chosen;
use crate::breaker::Counted;
use crate::log::Record;
use crate::mirror::Tee;
use crate::outliers::Judges;
use crate::serving::Serving;
use crate::upstream::Connection;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use mesh_engine::balance::outliers::Seen;
use std::cell::Cell;
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};

/// What is sent to an upstream. Trailers of a request are not passed on: nothing could have decided about them.
#[derive(Debug, Default)]
pub(crate) enum Outgoing {
    #[default]
    Empty,
    /// Kept bytes; can be sent again.
    Kept(Bytes),
    /// The client's body as it arrives, after what has already been read of it.
    Streamed { read: Bytes, rest: Measured },
}

/// A client's body that may have only so many more bytes. One that has more is broken off, and the flag says so.
#[derive(Debug)]
pub(crate) struct Measured {
    incoming: Incoming,
    left: u64,
    exceeded: Rc<Cell<bool>>,
    /// Hears what passes, for copies.
    pub(crate) tee: Option<Rc<Tee>>,
    /// When something last passed, on either way.
    activity: Activity,
}

/// When something of a request or its response last passed.
#[derive(Clone, Debug)]
pub(crate) struct Activity(Rc<Cell<Instant>>);

impl Activity {
    pub(crate) fn now() -> Activity {
        Activity(Rc::new(Cell::new(Instant::now())))
    }

    pub(crate) fn touch(&self) {
        self.0.set(Instant::now());
    }

    pub(crate) fn last(&self) -> Instant {
        self.0.get()
    }

    /// Ends when nothing has passed for so long.
    pub(crate) async fn silence(&self, time: Duration) {
        loop {
            let end = self.last() + time;
            if Instant::now() >= end {
                return;
            }
            sleep_until(end).await;
        }
    }
}

/// Why a client's body is not passed on to its end.
#[derive(Debug)]
pub(crate) enum Broken {
    Client(hyper::Error),
    TooLong,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Broken::Client(error) => write!(f, "the client failed: {error}"),
            Broken::TooLong => f.write_str("the body is too long"),
        }
    }
}

impl std::error::Error for Broken {}

impl Measured {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let frame = match ready!(Pin::new(&mut self.incoming).poll_frame(cx)) {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => return Poll::Ready(Some(Err(Broken::Client(error)))),
            None => {
                self.heard(|tee| tee.end());
                return Poll::Ready(None);
            }
        };
        self.activity.touch();
        let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
        match self.left.checked_sub(bytes) {
            Some(left) => self.left = left,
            None => {
                self.exceeded.set(true);
                return Poll::Ready(Some(Err(Broken::TooLong)));
            }
        }
        if let Some(data) = frame.data_ref() {
            self.heard(|tee| tee.hear(data));
        }
        // The HTTP library does not ask again once it knows that a body has ended.
        if self.incoming.is_end_stream() {
            self.heard(|tee| tee.end());
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn heard(&self, tell: impl FnOnce(&Tee)) {
        if let Some(tee) = &self.tee {
            tell(tee);
        }
    }
}

impl Outgoing {
    /// The client's body, not read yet, of at most so many bytes: `exceeded` says whether there were more.
    pub(crate) fn of(
        incoming: Incoming,
        most: Option<u64>,
        exceeded: &Rc<Cell<bool>>,
        activity: &Activity,
    ) -> Outgoing {
        if incoming.is_end_stream() {
            Outgoing::Empty
        } else {
            let (left, exceeded) = (most.unwrap_or(u64::MAX), exceeded.clone());
            let rest = Measured { incoming, left, exceeded, tee: None, activity: activity.clone() };
            Outgoing::Streamed { read: Bytes::new(), rest }
        }
    }

    /// Reads a body that may fit in `limit` bytes, so that it can be sent again. What turns out larger streams on.
    pub(crate) async fn keep(self, limit: usize) -> Result<Outgoing, Broken> {
        let Outgoing::Streamed { mut rest, .. } = self else { return Ok(self) };
        if rest.incoming.size_hint().lower() > limit as u64 {
            return Ok(Outgoing::Streamed { read: Bytes::new(), rest });
        }
        let mut read = Vec::new();
        while let Some(frame) = std::future::poll_fn(|cx| rest.poll_frame(cx)).await {
            if let Ok(data) = frame?.into_data() {
                read.extend_from_slice(&data);
            }
            if read.len() > limit {
                return Ok(Outgoing::Streamed { read: read.into(), rest });
            }
        }
        Ok(Outgoing::Kept(read.into()))
    }

    /// A copy, where one can be made: what cannot be copied can be sent only once.
    pub(crate) fn copy(&self) -> Option<Outgoing> {
        match self {
            Outgoing::Empty => Some(Outgoing::Empty),
            Outgoing::Kept(bytes) => Some(Outgoing::Kept(bytes.clone())),
            Outgoing::Streamed { .. } => None,
        }
    }

    /// Whether the length must be told by chunks.
    pub(crate) fn is_of_unknown_length(&self) -> bool {
        self.size_hint().exact().is_none()
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let this = self.get_mut();
        match this {
            Outgoing::Empty => Poll::Ready(None),
            Outgoing::Kept(bytes) => {
                let bytes = std::mem::take(bytes);
                *this = Outgoing::Empty;
                Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
            }
            Outgoing::Streamed { read, .. } if !read.is_empty() => {
                Poll::Ready(Some(Ok(Frame::data(std::mem::take(read)))))
            }
            Outgoing::Streamed { rest, .. } => match ready!(rest.poll_frame(cx)) {
                Some(Ok(frame)) if frame.is_trailers() => Poll::Ready(None),
                other => Poll::Ready(other),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Outgoing::Empty => true,
            Outgoing::Kept(bytes) => bytes.is_empty(),
            Outgoing::Streamed { read, rest } => read.is_empty() && rest.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Outgoing::Empty => SizeHint::with_exact(0),
            Outgoing::Kept(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Outgoing::Streamed { read, rest } => match rest.incoming.size_hint().exact() {
                Some(left) => SizeHint::with_exact(left + read.len() as u64),
                None => SizeHint::default(),
            },
        }
    }
}

/// What is sent to the client.
pub(crate) enum Reply {
    /// Ours.
    Local(Bytes),
    /// An upstream's.
    Passed(Box<Passed>),
}

/// An upstream's body on its way to the client, with everything that must live until its last byte.
pub(crate) struct Passed {
    incoming: Incoming,
    /// Goes back to its pool after the last byte; dropped before, it closes.
    connection: Option<Connection>,
    cut: Option<Pin<Box<Sleep>>>,
    /// How long it may be silent, and when it has been.
    idle: Option<(Duration, Pin<Box<Sleep>>)>,
    record: Option<Record>,
    kept: Kept,
}

/// What a request keeps until the last byte of its response.
pub(crate) struct Kept {
    /// The endpoint, which has one request more so long.
    pub(crate) chosen: Chosen,
    pub(crate) judges: Judges,
    pub(crate) activity: Activity,
    pub(crate) _admitted: Vec<Counted>,
    /// The plan that it was decided under.
    pub(crate) _plan: Arc<Serving>,
}

impl Passed {
    /// `cut`: when the total timeout passes; `idle`: how long nothing may pass.
    pub(crate) fn new(
        incoming: Incoming,
        connection: Connection,
        cut: Option<Instant>,
        idle: Option<Duration>,
        record: Record,
        kept: Kept,
    ) -> Passed {
        let cut = cut.map(|deadline| Box::pin(sleep_until(deadline)));
        let idle = idle.map(|time| (time, Box::pin(sleep_until(kept.activity.last() + time))));
        let mut passed =
            Passed { incoming, connection: Some(connection), cut, idle, record: Some(record), kept };
        passed.end_if_complete();
        passed
    }

    /// The HTTP library does not ask again once it knows that a body has ended: this is asked after every frame.
    fn end_if_complete(&mut self) {
        if self.incoming.is_end_stream() {
            self.end();
        }
    }

    fn end(&mut self) {
        if let Some(connection) = self.connection.take() {
            connection.give_back();
        }
        self.record = None;
    }

    /// Whether nothing has passed for too long.
    fn is_silent(&mut self, cx: &mut Context<'_>) -> bool {
        let Some((time, timer)) = &mut self.idle else { return false };
        while timer.as_mut().poll(cx).is_ready() {
            let end = self.kept.activity.last() + *time;
            if Instant::now() >= end {
                return true;
            }
            timer.as_mut().reset(end);
        }
        false
    }

    fn fail(&mut self, flag: &'static str, why: Cut) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        self.connection = None;
        self.kept.judges.see(self.kept.chosen.address, self.kept.chosen.of, Seen::GatewayError);
        if let Some(mut record) = self.record.take() {
            record.flag(flag);
        }
        Poll::Ready(Some(Err(why)))
    }
}

impl Drop for Passed {
    fn drop(&mut self) {
        if let Some(record) = &mut self.record {
            record.flag("DC");
        }
    }
}

/// Why a response ends before its last byte: the client sees its connection cut.
#[derive(Debug)]
pub(crate) enum Cut {
    Timeout,
    Silent,
    Upstream(hyper::Error),
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cut::Timeout => f.write_str("the total timeout passed"),
            Cut::Silent => f.write_str("nothing came for too long"),
            Cut::Upstream(error) => write!(f, "the upstream failed: {error}"),
        }
    }
}

impl std::error::Error for Cut {}

impl Body for Reply {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let passed = match self.get_mut() {
            Reply::Local(bytes) => {
                let bytes = std::mem::take(bytes);
                return Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))));
            }
            Reply::Passed(passed) => passed,
        };
        if passed.cut.as_mut().is_some_and(|cut| cut.as_mut().poll(cx).is_ready()) {
            return passed.fail("UT", Cut::Timeout);
        }
        if passed.is_silent(cx) {
            return passed.fail("SI", Cut::Silent);
        }
        match ready!(Pin::new(&mut passed.incoming).poll_frame(cx)) {
            Some(Ok(frame)) => {
                passed.kept.activity.touch();
                // Nothing follows trailers.
                if frame.is_trailers() {
                    passed.end();
                }
                passed.end_if_complete();
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(error)) => passed.fail("UC", Cut::Upstream(error)),
            None => {
                passed.end();
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Reply::Local(bytes) => bytes.is_empty(),
            Reply::Passed(passed) => passed.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Reply::Local(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Reply::Passed(passed) => passed.incoming.size_hint(),
        }
    }
}
