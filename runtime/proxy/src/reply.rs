//! Bodies of responses on their way to the client, with everything that has to live until their last byte.

use crate::balance::Chosen;
use crate::body::Activity;
use crate::breaker::Counted;
use crate::grpc;
use crate::log::Record;
use crate::outliers::Judges;
use crate::serving::Serving;
use crate::upstream::Connection;
use crate::worker::Open;
use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::header::HeaderMap;
use mesh_engine::balance::outliers::Seen;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};

/// What is sent to the client.
pub(crate) enum Reply {
    /// Ours.
    Local(Bytes),
    /// An upstream's.
    Passed(Box<Passed>),
}

/// An upstream's body on its way to the client, with everything that must live until its last byte.
pub(crate) struct Passed {
    /// What has been read of it already.
    first: Option<Frame<Bytes>>,
    /// What the rest comes on. Goes back to its pool after the last byte; dropped before, it closes.
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
    /// Whether nobody has been told yet how the endpoint did: a call of gRPC says so in its trailers.
    pub(crate) says_at_its_end: bool,
    pub(crate) activity: Activity,
    pub(crate) _admitted: Vec<Counted>,
    pub(crate) _under_way: Option<Open>,
    /// The plan that it was decided under.
    pub(crate) _plan: Arc<Serving>,
}

impl Passed {
    /// `cut`: when the total timeout passes; `idle`: how long nothing may pass.
    pub(crate) fn new(
        (first, connection): (Option<Frame<Bytes>>, Connection),
        cut: Option<Instant>,
        idle: Option<Duration>,
        record: Record,
        kept: Kept,
    ) -> Passed {
        let cut = cut.map(|deadline| Box::pin(sleep_until(deadline)));
        let idle = idle.map(|time| (time, Box::pin(sleep_until(kept.activity.last() + time))));
        let (connection, record) = (Some(connection), Some(record));
        let mut passed = Passed { first, connection, cut, idle, record, kept };
        passed.end_if_complete();
        passed
    }

    /// The HTTP library does not ask again once it knows that a body has ended: this is asked after every frame.
    fn end_if_complete(&mut self) {
        if self.is_complete() {
            self.end();
        }
    }

    fn is_complete(&self) -> bool {
        self.first.is_none() && self.connection.as_ref().is_none_or(Connection::is_end_stream)
    }

    /// A call of gRPC ends with its status.
    fn hear(&mut self, trailers: &HeaderMap) {
        if let Some(record) = &mut self.record {
            record.ended(trailers);
        }
        if self.kept.says_at_its_end {
            let status = grpc::as_http(grpc::status(trailers).unwrap_or_default());
            let Chosen { address, of, .. } = self.kept.chosen;
            self.kept.judges.see(address, of, Seen::of_status(status.as_u16()));
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
    Upstream(io::Error),
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
        let next = match passed.first.take() {
            Some(first) => Some(Ok(first)),
            None => match &mut passed.connection {
                Some(connection) => ready!(Pin::new(connection).poll_frame(cx)),
                None => None,
            },
        };
        match next {
            Some(Ok(frame)) => {
                passed.kept.activity.touch();
                // Nothing follows trailers.
                if let Some(trailers) = frame.trailers_ref() {
                    passed.hear(trailers);
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
            Reply::Passed(passed) => passed.is_complete(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Reply::Local(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Reply::Passed(passed) if passed.first.is_some() => SizeHint::default(),
            Reply::Passed(passed) => {
                passed.connection.as_ref().map_or_else(|| SizeHint::with_exact(0), Connection::size_hint)
            }
        }
    }
}
