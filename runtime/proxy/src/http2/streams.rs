//! The open streams of a connection, and whether anybody reads what is sent on them.

use crate::bounds::Bound;
use crate::reply::{Cut, Reply};
use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::rt::Executor;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::task::AbortHandle;
use tokio::time::Instant;

/// How often open streams are looked at for readers that take nothing.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What is known of an open stream besides what the HTTP library knows.
#[derive(Default)]
pub(crate) struct Stream {
    /// When the response must have been written.
    cut_at: Cell<Option<Instant>>,
    /// Since when a part of the response has been waiting for its reader.
    waits_since: Cell<Option<Instant>>,
}

impl Stream {
    /// When the response must have been written; `None`: no limit.
    pub(crate) fn cut_at(&self, deadline: Option<Instant>) {
        self.cut_at.set(deadline);
    }

    /// Whether its reader takes nothing of what waits for it, and has not for too long.
    fn is_stalled(&self, now: Instant) -> bool {
        let Some(since) = self.waits_since.get() else { return false };
        now >= since + Bound::StallTime.time() || self.cut_at.get().is_some_and(|cut| now >= cut)
    }
}

/// The open streams of a connection: a task each, which is the stream as long as it runs.
#[derive(Clone)]
pub(super) struct Streams(Rc<Open>);

struct Open {
    /// The stream of the request that the HTTP library hands over next.
    next: RefCell<Option<Rc<Stream>>>,
    running: RefCell<HashMap<u64, (Rc<Stream>, AbortHandle)>>,
    count: Cell<u64>,
    idle_since: Cell<Instant>,
}

impl Default for Streams {
    fn default() -> Streams {
        Streams(Rc::new(Open {
            next: RefCell::default(),
            running: RefCell::default(),
            count: Cell::new(0),
            idle_since: Cell::new(Instant::now()),
        }))
    }
}

impl Streams {
    /// A stream for the request that is being handed over: the HTTP library spawns its task next.
    pub(super) fn next(&self) -> Rc<Stream> {
        let stream = Rc::new(Stream::default());
        self.0.next.replace(Some(stream.clone()));
        stream
    }

    pub(super) fn is_idle(&self) -> bool {
        self.0.running.borrow().is_empty()
    }

    /// When there may be something to do: a stalled stream to be cut, or a connection to be closed that nobody uses.
    pub(super) fn next_look(&self) -> Instant {
        if self.is_idle() {
            self.0.idle_since.get() + Bound::IdleTime.time()
        } else {
            Instant::now() + LOOK_EVERY
        }
    }

    /// Resets streams whose readers take nothing. The HTTP library would wait for them for ever.
    pub(super) fn cut_stalled(&self, now: Instant) {
        let running = self.0.running.borrow();
        // The order does not matter: each is looked at.
        #[expect(clippy::iter_over_hash_type, reason = "each is looked at by itself")]
        for (stream, task) in running.values() {
            if stream.is_stalled(now) {
                task.abort();
            }
        }
    }
}

/// Says that a stream has ended, however its task did.
struct Ended(Rc<Open>, u64);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.running.borrow_mut().remove(&self.1);
        self.0.idle_since.set(Instant::now());
    }
}

impl<F: Future<Output = ()> + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        let open = self.0.clone();
        let number = open.count.get();
        open.count.set(number + 1);
        let ended = Ended(open.clone(), number);
        let known = open.next.take().unwrap_or_default();
        let task = tokio::task::spawn_local(async move {
            // To be dropped last, and where the task is aborted, too.
            let _ended = ended;
            stream.await;
        });
        open.running.borrow_mut().insert(number, (known, task.abort_handle()));
    }
}

/// A response whose reader is watched: what is handed out waits for it until more is asked for.
pub(crate) struct Told {
    pub(super) reply: Reply,
    pub(super) stream: Rc<Stream>,
}

impl Body for Told {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let this = self.get_mut();
        let frame = Pin::new(&mut this.reply).poll_frame(cx);
        let waits = matches!(frame, Poll::Ready(Some(Ok(_)))).then(Instant::now);
        this.stream.waits_since.set(waits);
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.reply.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.reply.size_hint()
    }
}
