//! An HTTP/1.1 connection of a client, from its first byte to its last.

use crate::client::Client;
use crate::forward::{self, Arrival, Way};
use crate::framing::{self, Watch};
use crate::reply::UnderWay;
use crate::serving::Entrance;
use crate::transport::Transport;
use crate::websocket::{self, Slot};
use crate::worker::Worker;
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

/// How long a connection without a request stays open. Clients keep theirs for a minute or so at most.
pub(crate) const KEEP_ALIVE_TIME: Duration = Duration::from_secs(75);
/// A request line and its headers; more is refused with 431. hyper's own bound of 100 headers holds too.
const MAX_HEAD: usize = 64 * 1024;
/// What is buffered of a connection in each direction.
const MAX_BUFFER: usize = 64 * 1024;
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

/// How connections are served; one for each worker. Half-closed connections are closed: a client that will not read the
/// answer is not worth an upstream's work, and one that still would is not told apart.
pub(crate) fn builder() -> Builder {
    let mut builder = Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(KEEP_ALIVE_TIME)
        .max_header_size(MAX_HEAD)
        .max_buf_size(MAX_BUFFER);
    builder
}

/// Serves a connection until it ends, or until there is a `closing` and what has begun to arrive by then is answered.
pub(crate) async fn serve(
    worker: Rc<Worker>,
    entrance: Entrance,
    stream: impl Transport,
    client: Rc<Client>,
    mut closing: watch::Receiver<Option<Closing>>,
) {
    let (mut io, watch) = framing::watch(stream);
    let (told, entrance, slot, requests) = (&closing.clone(), &entrance, &Slot::default(), Rc::new(()));
    let mut service = service_fn(|request| {
        // Taken here and not in the future: heads are taken up in the order in which they arrive.
        let (opened, defect) = (entrance.load_full(), watch.next_head());
        let way = Way::Connection { watch: watch.clone(), slot: slot.clone() };
        let arrival = Arrival { opened, client: client.clone(), defect, way };
        let plan = worker.plan_header.then(|| arrival.opened.serving.clone());
        let answer = forward::answer(worker.clone(), arrival, request);
        let under_way = requests.clone();
        async move {
            let mut answer = answer.await;
            if let (Ok(response), Some(plan)) = (&mut answer, plan) {
                forward::say_plan(response.headers_mut(), &plan);
            }
            let is_last = told.borrow().is_some() && slot.borrow().is_none();
            let answer = if is_last { answer.map(forward::closing) } else { answer };
            answer.map(|response| response.map(|reply| UnderWay { reply, _request: under_way }))
        }
    });
    let connection = loop {
        let begins = timeout(KEEP_ALIVE_TIME, io.begin());
        if !matches!(watch_over(&mut pin!(begins), &watch, &mut closing).await, Over::Done(Ok(true))) {
            return;
        }
        let mut connection = worker.http1.serve_connection(TokioIo::new(io), service);
        let over = {
            let is_quiet = || Rc::strong_count(&requests) == 1;
            let served = async {
                tokio::select! {
                    biased;
                    // How a connection ended is of no interest here: its requests know.
                    _ = &mut connection => Served::Ended,
                    () = watch.rests(is_quiet) => Served::Rests,
                }
            };
            watch_over(&mut pin!(served), &watch, &mut closing).await
        };
        match over {
            Over::Done(Served::Ended) => break connection,
            Over::Done(Served::Rests) => {
                let parts = connection.into_parts();
                // What was read and not taken up would be a request. Before one there may be an empty line, which says nothing.
                if !parts.read_buf.iter().all(|byte| matches!(byte, b'\r' | b'\n')) {
                    return;
                }
                (io, service) = (parts.io.into_inner(), parts.service);
            }
            Over::Close(end) => {
                Pin::new(&mut connection).graceful_shutdown();
                match end {
                    Some(end) => drop(timeout_at(end, &mut connection).await),
                    None => drop((&mut connection).await),
                }
                break connection;
            }
            Over::Lost => return,
        }
    };
    // hyper has no more to do with a connection that has become something else, and gives it back.
    if let Some(agreed) = slot.take() {
        let parts = connection.into_parts();
        let tunnel = Box::pin(websocket::run(parts.io.into_inner(), &parts.read_buf, agreed));
        tokio::select! {
            () = tunnel => {}
            () = end(&mut closing) => {}
        }
    }
}

/// What becomes of a connection while the HTTP library has it.
enum Served {
    Ended,
    /// Nobody has asked for anything for some time: what the library keeps ready for it, some 16 KiB, is given back.
    Rests,
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
async fn watch_over<F: Future + Unpin>(
    connection: &mut F,
    watch: &Watch,
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
        watch.look_closely();
        if let Poll::Ready(done) = poll_fn(|cx| Poll::Ready(Pin::new(&mut *connection).poll(cx))).await {
            return Over::Done(done);
        }
        if is_late() || !watch.is_arriving() {
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
