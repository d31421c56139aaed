//! A body that is sent on as it arrives and can be sent again: what has passed of it is remembered, and the rest follows when it comes. So a
//! call whose two sides take turns is not held back until its caller has said everything.

use super::{Broken, Measured};
use hyper::body::{Bytes, Frame, SizeHint};
use std::cell::RefCell;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

/// One sending of such a body.
#[derive(Debug)]
pub(crate) struct Replay {
    memory: Rc<RefCell<Memory>>,
    /// Which sending it is: only the last one goes on.
    number: u32,
    /// The part that comes next.
    next: usize,
}

#[derive(Debug)]
struct Memory {
    /// What has passed, as long as it fits.
    parts: Vec<Bytes>,
    /// How many bytes may still be remembered; `None`: there were more.
    room: Option<usize>,
    rest: Measured,
    has_ended: bool,
    /// The last sending.
    last: u32,
}

impl Replay {
    /// The first sending of a body, of which so many bytes are remembered at most.
    pub(super) fn of(rest: Measured, limit: usize) -> Replay {
        let memory = Memory { parts: vec![], room: Some(limit), rest, has_ended: false, last: 0 };
        Replay { memory: Rc::new(RefCell::new(memory)), number: 0, next: 0 }
    }

    /// Whether all that has passed is remembered.
    pub(super) fn is_whole(&self) -> bool {
        self.memory.borrow().room.is_some()
    }

    /// The next sending.
    pub(super) fn again(&self) -> Replay {
        let mut memory = self.memory.borrow_mut();
        memory.last += 1;
        Replay { memory: self.memory.clone(), number: memory.last, next: 0 }
    }

    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let mut memory = self.memory.borrow_mut();
        if self.number != memory.last {
            return Poll::Ready(Some(Err(Broken::SentAgain)));
        }
        if let Some(part) = memory.parts.get(self.next) {
            self.next += 1;
            return Poll::Ready(Some(Ok(Frame::data(part.clone()))));
        }
        if memory.has_ended {
            return Poll::Ready(None);
        }
        match ready!(memory.rest.poll_frame(cx)) {
            Some(Ok(frame)) if frame.is_data() => {
                if let Some(data) = frame.data_ref() {
                    memory.remember(data);
                }
                self.next = memory.parts.len();
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(broken)) => Poll::Ready(Some(Err(broken))),
            // Trailers of a request are not passed on.
            Some(Ok(_)) | None => {
                memory.has_ended = true;
                Poll::Ready(None)
            }
        }
    }

    pub(super) fn is_end_stream(&self) -> bool {
        let memory = self.memory.borrow();
        self.next >= memory.parts.len() && (memory.has_ended || memory.rest.is_end_stream())
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        let memory = self.memory.borrow();
        let known = memory.parts.iter().skip(self.next).map(|part| part.len() as u64).sum::<u64>();
        let rest = if memory.has_ended { Some(0) } else { memory.rest.size_hint().exact() };
        rest.map_or_else(SizeHint::default, |rest| SizeHint::with_exact(known + rest))
    }
}

impl Memory {
    fn remember(&mut self, data: &Bytes) {
        self.room = self.room.and_then(|room| room.checked_sub(data.len()));
        match self.room {
            Some(_) => self.parts.push(data.clone()),
            None => self.parts.clear(),
        }
    }
}
