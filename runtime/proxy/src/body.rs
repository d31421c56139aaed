//! Bodies of requests on their way to an upstream, and when something last passed of a request or its response.

mod replay;

use crate::mirror::Tee;
use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use replay::Replay;
use std::cell::Cell;
use std::fmt;
use std::future::pending;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// The body of a client's request.
#[derive(Debug)]
pub(crate) enum Arriving {
    /// There is none.
    Nothing,
    /// On an HTTP/1.1 connection.
    Message(Message),
    /// On a stream of an HTTP/2 connection.
    Stream(Incoming),
}

/// The body of one request among those that come on a connection.
pub(crate) struct Message {
    pub(crate) source: Rc<dyn Source>,
    pub(crate) number: u64,
}

/// A connection that the bodies of requests come on. Each is there as long as its request is under way.
pub(crate) trait Source {
    fn poll_part(&self, number: u64, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>>;
    fn has_ended(&self, number: u64) -> bool;
    fn size_hint(&self, number: u64) -> SizeHint;
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message").field("number", &self.number).finish_non_exhaustive()
    }
}

impl Body for Arriving {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match self.get_mut() {
            Arriving::Nothing => Poll::Ready(None),
            Arriving::Message(message) => message.source.poll_part(message.number, cx),
            Arriving::Stream(incoming) => Pin::new(incoming).poll_frame(cx).map_err(io::Error::other),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Arriving::Nothing => true,
            Arriving::Message(message) => message.source.has_ended(message.number),
            Arriving::Stream(incoming) => incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Arriving::Nothing => SizeHint::with_exact(0),
            Arriving::Message(message) => message.source.size_hint(message.number),
            Arriving::Stream(incoming) => incoming.size_hint(),
        }
    }
}

/// What is sent to an upstream. Trailers of a request are not passed on: nothing could have decided about them.
#[derive(Debug, Default)]
pub(crate) enum Outgoing {
    #[default]
    Empty,
    /// Kept bytes; can be sent again.
    Kept(Bytes),
    /// The client's body as it arrives.
    Streamed(Measured),
    /// The same, and what has passed of it is remembered; can be sent again as long as it fits.
    Remembered(Replay),
}

/// What became of a client's body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Nothing is wrong with it so far.
    #[default]
    Whole,
    /// Its client failed, or gave it up.
    Broken,
    TooLong,
}

/// A client's body that may have only so many more bytes. One that has more is broken off.
#[derive(Debug)]
pub(crate) struct Measured {
    incoming: Arriving,
    left: u64,
    fate: Rc<Cell<Fate>>,
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

    /// Ends when nothing has passed for so long; `None`: never.
    pub(crate) async fn silence(&self, time: Option<Duration>) {
        let Some(time) = time else { return pending().await };
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
    Client(io::Error),
    TooLong,
    /// It is being sent again from its beginning, elsewhere.
    SentAgain,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Broken::Client(error) => write!(f, "the client failed: {error}"),
            Broken::TooLong => f.write_str("the body is too long"),
            Broken::SentAgain => f.write_str("the body is sent again"),
        }
    }
}

impl std::error::Error for Broken {}

impl Measured {
    pub(crate) fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    /// Exact or nothing: what is chunked, or comes on a stream, tells no length.
    pub(crate) fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint().exact().map_or_else(SizeHint::default, SizeHint::with_exact)
    }

    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let frame = match ready!(Pin::new(&mut self.incoming).poll_frame(cx)) {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => {
                self.fate.set(Fate::Broken);
                return Poll::Ready(Some(Err(Broken::Client(error))));
            }
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
                self.fate.set(Fate::TooLong);
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
    /// The client's body, not read yet, of at most so many bytes: `fate` says what becomes of it.
    pub(crate) fn of(
        incoming: Arriving,
        most: Option<u64>,
        fate: &Rc<Cell<Fate>>,
        activity: &Activity,
    ) -> Outgoing {
        if incoming.is_end_stream() {
            Outgoing::Empty
        } else {
            let (left, fate) = (most.unwrap_or(u64::MAX), fate.clone());
            Outgoing::Streamed(Measured { incoming, left, fate, tee: None, activity: activity.clone() })
        }
    }

    /// From now on what passes is remembered, up to `limit` bytes: with more, or where more are announced, it can be sent once.
    pub(crate) fn remember(self, limit: usize) -> Outgoing {
        match self {
            Outgoing::Streamed(body) if body.incoming.size_hint().lower() <= limit as u64 => {
                Outgoing::Remembered(Replay::of(body, limit))
            }
            other => other,
        }
    }

    pub(crate) fn can_be_sent_again(&self) -> bool {
        match self {
            Outgoing::Empty | Outgoing::Kept(_) => true,
            Outgoing::Streamed(_) => false,
            Outgoing::Remembered(replay) => replay.is_whole(),
        }
    }

    /// Another one, from the beginning, where that can be: those before it are sent no further.
    pub(crate) fn again(&self) -> Option<Outgoing> {
        match self {
            Outgoing::Empty => Some(Outgoing::Empty),
            Outgoing::Kept(bytes) => Some(Outgoing::Kept(bytes.clone())),
            Outgoing::Streamed(_) => None,
            Outgoing::Remembered(replay) => replay.is_whole().then(|| Outgoing::Remembered(replay.again())),
        }
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
            Outgoing::Streamed(body) => match ready!(body.poll_frame(cx)) {
                Some(Ok(frame)) if frame.is_trailers() => Poll::Ready(None),
                other => Poll::Ready(other),
            },
            Outgoing::Remembered(replay) => replay.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Outgoing::Empty => true,
            Outgoing::Kept(bytes) => bytes.is_empty(),
            Outgoing::Streamed(body) => body.is_end_stream(),
            Outgoing::Remembered(replay) => replay.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Outgoing::Empty => SizeHint::with_exact(0),
            Outgoing::Kept(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Outgoing::Streamed(body) => body.size_hint(),
            Outgoing::Remembered(replay) => replay.size_hint(),
        }
    }
}
