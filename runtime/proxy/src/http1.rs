//! An HTTP/1.1 connection of a client (RFC 9112), from its first byte to its last: one request after the other, in the task of the connection.

mod answering;
mod duplex;
#[cfg(any(test, fuzzing))]
mod law;
mod requests;

use crate::body::{Arriving, Message};
use crate::bounds::Bound;
use crate::client::Client;
use crate::forward::{self, Arrival, Way};
use crate::framing::Defect;
use crate::reply::Reply;
use crate::request;
use crate::serving::Entrance;
use crate::transport::Transport;
use crate::websocket::{self, Slot};
use crate::worker::Worker;
pub(crate) use answering::Date;
use answering::{Form, answering};
use duplex::{Duplex, Out};
use hyper::{Method, Request, Response, header};
#[cfg(any(test, fuzzing))]
pub(crate) use law::law;
use requests::Asked;
use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

/// What a client may send of further requests while one is under way; more waits in the kernel.
const MAX_AHEAD: usize = 64 * 1024;
/// A connection that ends while its client still sends waits so long for it to stop: at once, the kernel would throw away what the client has not
/// read of the answer (RFC 9112 9.6).
const LINGER_TIME: Duration = Duration::from_secs(1);
/// When one door of several closes, its clients have so long to learn of it from an answer, which says `connection:
/// close`. There is no hurry, and a connection that is closed between two requests may lose the second.
pub(crate) const LAST_CALL_OF_ONE: Duration = Duration::from_secs(1);
/// The same when the proxy ends, and its operator waits: enough for a request that is already in the socket.
pub(crate) const LAST_CALL_OF_ALL: Duration = Duration::from_millis(20);

/// How the connections of a door end.
#[derive(Clone, Copy)]
pub(crate) struct Closing {
    /// How long an idle connection may still bring a request.
    pub(crate) last_call: Duration,
    /// How long a request in progress may take; `None`: whoever ends the worker knows.
    pub(crate) limit: Option<Duration>,
}

/// Serves a connection until it ends, or until there is a `closing` and what has begun to arrive by then is answered. Half-closed connections are
/// closed: a client that will not read the answer is not worth an upstream's work, and one that still would is not told apart.
pub(crate) async fn serve<S: Transport>(
    worker: Rc<Worker>,
    entrance: Entrance,
    stream: S,
    client: Rc<Client>,
    mut closing: watch::Receiver<Option<Closing>>,
) {
    let duplex = Rc::new(RefCell::new(Duplex::on(stream)));
    let slot = Slot::default();
    let end = {
        let served = Served {
            worker: &worker,
            entrance: &entrance,
            client: &client,
            duplex: &duplex,
            slot: &slot,
            closing: &closing.clone(),
        };
        let mut requests = pin!(served.requests());
        match watch_over(&mut requests, &duplex, &mut closing).await {
            Over::Done(end) => end,
            Over::Close(end) => {
                duplex.borrow_mut().end_after_this();
                match end {
                    Some(end) => timeout_at(end, &mut requests).await.unwrap_or(End::Gone),
                    None => (&mut requests).await,
                }
            }
            Over::Lost => return,
        }
    };
    match end {
        End::Gone => {}
        End::Said => part(&duplex).await,
        End::Upgraded => {
            let (Some(duplex), Some(agreed)) = (Rc::into_inner(duplex), slot.take()) else { return };
            let (stream, early) = duplex.into_inner().into_tunnel();
            let tunnel = Box::pin(websocket::run(stream, early, agreed));
            tokio::select! {
                () = tunnel => {}
                () = self::end(&mut closing) => {}
            }
        }
    }
}

/// How the requests of a connection end.
enum End {
    /// Nobody is there any more, or nothing is said to who is.
    Gone,
    /// The last response is written.
    Said,
    /// It has become something else.
    Upgraded,
}

/// What serves a connection.
struct Served<'s, S> {
    worker: &'s Rc<Worker>,
    entrance: &'s Entrance,
    client: &'s Rc<Client>,
    duplex: &'s Rc<RefCell<Duplex<S>>>,
    slot: &'s Slot,
    closing: &'s watch::Receiver<Option<Closing>>,
}

impl<S: Transport> Served<'_, S> {
    async fn requests(&self) -> End {
        loop {
            let came = poll_fn(|cx| self.duplex.borrow_mut().poll_head(cx)).await;
            let Some(came) = came else {
                return if self.duplex.borrow().is_idle() { End::Said } else { End::Gone };
            };
            // Kept apart: what a request needs while it is under way is some KiB, for which every idle connection would have room otherwise.
            if let Some(end) = Box::pin(self.answer(came)).await {
                return end;
            }
        }
    }

    /// Answers a request. `None`: another may follow.
    async fn answer(&self, came: Result<Asked, Defect>) -> Option<End> {
        let Some((response, form)) = self.response(came).await else { return Some(End::Gone) };
        let (mut writing, keeps) = answering(response, form, &self.worker.date);
        let written = poll_fn(|cx| match writing.poll(cx, &mut Out(self.duplex)) {
            Poll::Ready(written) => Poll::Ready(written.is_ok()),
            // Whoever waits for the rest of a response may give up too.
            Poll::Pending => self.duplex.borrow_mut().poll_gone(cx).map(|()| false),
        });
        if !written.await {
            // Where the end of the connection would be that of the body, an orderly one would say that all of it is there.
            if !form.is_http11 {
                self.duplex.borrow().reset_when_closed();
            }
            return Some(End::Gone);
        }
        if self.slot.borrow().is_some() {
            return Some(End::Upgraded);
        }
        let is_read = self.duplex.borrow_mut().end();
        (!keeps || !is_read).then_some(End::Said)
    }

    /// The response to a request. `None`: its client has gone.
    async fn response(&self, came: Result<Asked, Defect>) -> Option<(Response<Reply>, Form)> {
        let opened = self.entrance.load_full();
        let (request, form, defect) = match came {
            Ok(asked) => {
                let (request, form) = self.begin(asked);
                (request, form, None)
            }
            // Of it nothing is known but that it is refused.
            Err(defect) => {
                let form = Form { is_head: false, is_http11: true, keeps: false, takes_trailers: false };
                (Request::new(Arriving::Nothing), form, Some(defect))
            }
        };
        let way = Way::Connection { cut_at: self.duplex.borrow().cut_at.clone(), slot: self.slot.clone() };
        let plan = self.worker.plan_header.then(|| opened.serving.clone());
        let arrival = Arrival { opened, client: self.client.clone(), defect, way };
        let mut answer = pin!(forward::answer(self.worker.clone(), arrival, request));
        let answered = poll_fn(|cx| match answer.as_mut().poll(cx) {
            Poll::Ready(Ok(response)) => Poll::Ready(Some(response)),
            Poll::Pending => self.duplex.borrow_mut().poll_gone(cx).map(|()| None),
        });
        let mut response = answered.await?;
        if let Some(plan) = plan {
            forward::say_plan(response.headers_mut(), &plan);
        }
        let is_last = self.closing.borrow().is_some() && self.slot.borrow().is_none();
        Some((if is_last { forward::closing(response) } else { response }, form))
    }

    /// A request is under way whose head is there.
    fn begin(&self, asked: Asked) -> (Request<Arriving>, Form) {
        let Asked { head, body, keeps } = asked;
        let is_http11 = head.version == hyper::Version::HTTP_11;
        let form = Form {
            is_head: head.method == Method::HEAD,
            is_http11,
            keeps,
            takes_trailers: request::takes_trailers(&head.headers),
        };
        let has_body = !body.has_ended();
        let waits_for_continue = has_body && is_http11 && head.headers.contains_key(header::EXPECT);
        let number = self.duplex.borrow_mut().begin(body, waits_for_continue);
        let body = match has_body {
            true => Arriving::Message(Message { source: self.duplex.clone(), number }),
            false => Arriving::Nothing,
        };
        (Request::from_parts(head, body), form)
    }
}

/// Ends a connection in which everything is said.
async fn part<S: Transport>(duplex: &RefCell<Duplex<S>>) {
    if !matches!(timeout(Bound::StallTime.time(), Out(duplex).shutdown()).await, Ok(Ok(()))) {
        return;
    }
    if duplex.borrow().has_unread() {
        let drained = poll_fn(|cx| duplex.borrow_mut().poll_drained(cx));
        let _ = timeout(LINGER_TIME, drained).await;
    }
}

/// How waiting for a connection ends.
enum Over<T> {
    Done(T),
    /// Its door closes, and no request has begun to arrive, or that takes too long. What is under way has until then.
    Close(Option<Instant>),
    /// Nobody is left to say how: the worker is about to end, and everything with it.
    Lost,
}

/// Waits for what happens on a connection until it is done, or has to be closed.
async fn watch_over<F: Future + Unpin, S: Transport>(
    connection: &mut F,
    duplex: &RefCell<Duplex<S>>,
    closing: &mut watch::Receiver<Option<Closing>>,
) -> Over<F::Output> {
    let closing = tokio::select! {
        biased;
        done = &mut *connection => return Over::Done(done),
        closing = closing.wait_for(Option::is_some) => closing.ok().and_then(|closing| *closing),
    };
    let Some(Closing { last_call, limit }) = closing else { return Over::Lost };
    let end = limit.map(|limit| Instant::now() + limit);
    let is_late = || end.is_some_and(|end| Instant::now() >= end);
    let last_call = limit.map_or(last_call, |limit| last_call.min(limit));
    loop {
        if let Ok(done) = timeout(last_call, &mut *connection).await {
            return Over::Done(done);
        }
        // Only a connection on which no request has begun to arrive is closed under its client's eyes.
        if let Poll::Ready(done) = poll_fn(|cx| Poll::Ready(Pin::new(&mut *connection).poll(cx))).await {
            return Over::Done(done);
        }
        if is_late() || !duplex.borrow().is_arriving() {
            return Over::Close(end);
        }
    }
}

/// When a connection that is no longer HTTP has to end: a door that closes waits for it as long as for a request.
pub(crate) async fn end(closing: &mut watch::Receiver<Option<Closing>>) {
    let closing = closing.wait_for(Option::is_some).await.ok().and_then(|closing| *closing);
    match closing.and_then(|closing| closing.limit) {
        Some(limit) => tokio::time::sleep(limit).await,
        None => std::future::pending().await,
    }
}
