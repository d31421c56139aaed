//! Copies of requests, whose answers are thrown away. Nothing about them can slow or fail the request itself: a copy is sent from its own
//! task over its own connections once the whole request is there, few are under way at once, and what is too much is not sent.

use crate::body::Outgoing;
use crate::destination::Spoken;
use crate::head::Head;
use crate::serving::Opened;
use crate::upstream::{CONNECT_TIME, Connection, Endpoint, Origin, Pool};
use crate::worker::Worker;
use hyper::body::{Body as _, Bytes};
use mesh_engine::Edited;
use mesh_plan::layout::WHOLE;
use mesh_plan::view::Edit;
use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// Copies of a worker that are under way at once. They are for looking at: what is beyond is not worth memory.
const MOST_AT_ONCE: u32 = 128;
/// Bytes of a body that are kept for its copies: those of a longer one are not sent.
const MAX_BODY: usize = 64 * 1024;
/// How long a copy may take, its answer included.
const TIME: Duration = Duration::from_secs(10);
/// Bytes of an answer that are read so that its connection can be used again; the connection of a longer one is closed.
const MAX_ANSWER: usize = 64 * 1024;

/// The copies of a worker.
#[derive(Default)]
pub(crate) struct Mirrors {
    pool: Rc<Pool>,
    under_way: Rc<Cell<u32>>,
}

/// One copy under way.
struct UnderWay(Rc<Cell<u32>>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl Mirrors {
    /// The pool that copies have for themselves.
    pub(crate) fn pool(&self) -> &Rc<Pool> {
        &self.pool
    }

    fn one_more(&self) -> Option<UnderWay> {
        let count = self.under_way.get();
        (count < MOST_AT_ONCE).then(|| {
            self.under_way.set(count + 1);
            UnderWay(self.under_way.clone())
        })
    }
}

/// The body of a request while it passes, for its copies.
#[derive(Debug, Default)]
pub(crate) struct Tee(RefCell<Option<Heard>>);

#[derive(Debug)]
struct Heard {
    bytes: Vec<u8>,
    whole: Vec<oneshot::Sender<Bytes>>,
}

impl Tee {
    /// One more part of the body has passed. With too many bytes those who wait hear that there will be no copy.
    pub(crate) fn hear(&self, part: &[u8]) {
        let mut heard = self.0.borrow_mut();
        if let Some(own) = heard.as_mut() {
            if own.bytes.len() + part.len() > MAX_BODY {
                *heard = None;
            } else {
                own.bytes.extend_from_slice(part);
            }
        }
    }

    /// The body has passed to its end.
    pub(crate) fn end(&self) {
        if let Some(Heard { bytes, whole }) = self.0.borrow_mut().take() {
            let bytes = Bytes::from(bytes);
            whole.into_iter().for_each(|waits| drop(waits.send(bytes.clone())));
        }
    }
}

/// Draws which copies a request has, and sends each once the request's body has passed: the request is as it is sent on.
pub(crate) fn send(worker: &Rc<Worker>, opened: &Opened, edited: &Edited, head: &Head, body: &mut Outgoing) {
    let plan = &opened.serving.view;
    let mut waits = Vec::new();
    for edit in edited.edits(plan) {
        let Edit::Mirror { service, port, subset, share } = edit else { continue };
        let mut random = worker.random.borrow_mut();
        if random.u32(0..WHOLE) >= share {
            continue;
        }
        let endpoints = opened.serving.endpoints(service, port, subset);
        let Some((address, _)) = random.choice(endpoints) else { continue };
        let Some(under_way) = worker.mirrors.one_more() else { continue };
        let Some(Spoken { http2, tls, .. }) = Spoken::at(opened, service, port) else { continue };
        let origin = Origin { endpoint: Endpoint { address, tls }, http2, connect_time: CONNECT_TIME };
        let head = head.clone();
        let waited = match &body {
            Outgoing::Streamed(_) | Outgoing::Remembered(_) => {
                let (whole, waited) = oneshot::channel();
                waits.push(whole);
                Some(waited)
            }
            Outgoing::Empty | Outgoing::Kept(_) => None,
        };
        let worker = worker.clone();
        tokio::task::spawn_local(async move {
            let _under_way = under_way;
            // What becomes of it is nobody's business.
            let _ = timeout(TIME, copy(&worker.mirrors.pool, origin, head, waited)).await;
        });
    }
    if let (Outgoing::Streamed(rest), false) = (body, waits.is_empty()) {
        rest.tee = Some(Rc::new(Tee(RefCell::new(Some(Heard { bytes: vec![], whole: waits })))));
    }
}

/// Sends one copy. `None`: it did not come to an answer.
async fn copy(
    pool: &Rc<Pool>,
    origin: Origin,
    mut head: Head,
    waited: Option<oneshot::Receiver<Bytes>>,
) -> Option<()> {
    let body = match waited {
        Some(waited) => Outgoing::Kept(waited.await.ok()?),
        None => Outgoing::Empty,
    };
    let mut request = head.request(body, &origin, true);
    loop {
        let idle = pool.idle(&origin);
        let fresh = idle.is_none();
        let mut connection = match idle {
            Some(idle) => idle,
            None => match pool.join(&origin).await {
                Some(joined) => joined.ok()?,
                None => pool.connect(&origin, vec![]).await.ok()?,
            },
        };
        match connection.send(request).await {
            Ok(_) => {
                read(&mut connection).await?;
                connection.give_back();
                return Some(());
            }
            // The endpoint had closed an idle connection before anything was sent on it.
            Err(not_answered) => request = *not_answered.unsent.filter(|_| !fresh)?,
        }
    }
}

/// Reads an answer to its end. `None`: it has none within reason.
async fn read(answer: &mut Connection) -> Option<()> {
    let mut left = MAX_ANSWER;
    while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut *answer).poll_frame(cx)).await {
        let bytes = frame.ok()?.data_ref().map_or(0, |data| data.len());
        left = left.checked_sub(bytes)?;
    }
    Some(())
}
