//! HTTP/2 connections to endpoints (RFC 9113): many requests at once on each, a stream for each. A new connection is made when those that are
//! there have no room; whoever comes meanwhile waits for it and makes none of its own. A stream may become a tunnel (RFC 8441).

mod tunnel;

use super::{Endpoint, NotAnswered, NotConnected, Origin, Why, stream_to};
use crate::body::Outgoing;
use crate::breaker::Counted;
use crate::frames::{self, Other};
use crate::http2::{
    MAX_HEADER_LIST, MAX_LOCAL_RESETS, MAX_STREAMS, PING_EVERY, PING_TIME, SEND_BUFFER, STREAM_WINDOW,
};
use hyper::body::{Body as _, Bytes, Frame, Incoming, SizeHint};
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper::rt::Executor;
use hyper::upgrade::OnUpgrade;
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::error::Error as _;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};
pub(crate) use tunnel::Tunnel;

/// A connection without streams is closed after so long: less than gRPC servers and proxies give theirs, so that it is we who close.
const IDLE_TIME: Duration = Duration::from_secs(60);
/// Streams that were given up here and of which more may still arrive: it is thrown away, and no reason to end the connection.
const MAX_FORGOTTEN: usize = 1_000;

/// What an endpoint may send of all streams: what it may send of each. A tunnel whose client reads nothing may rest for as long as it likes, and
/// keeps nothing from the others of its connection.
const CONNECTION_WINDOW: u32 = MAX_STREAMS * STREAM_WINDOW;

/// The connections of a worker, by endpoint.
#[derive(Default)]
pub(super) struct Known {
    open: Rc<RefCell<HashMap<Endpoint, Vec<Rc<Multiplexed>>>>>,
    making: Rc<RefCell<HashMap<Endpoint, Making>>>,
}

/// A connection with streams. It ends with its last stream when nobody knows it any more.
pub(super) struct Multiplexed {
    sender: SendRequest<Outgoing>,
    allowed: Rc<Allowed>,
    streams: Cell<u32>,
    /// When its last stream ended.
    since: Cell<Instant>,
    /// Whether its endpoint takes nothing more of a stream that is over here: then no other begins, and it ends with those that there are.
    is_left: Cell<bool>,
    tasks: Tasks,
    /// As the breakers count it.
    counted: Vec<Counted>,
}

/// What an endpoint allows, as its settings say now.
struct Allowed {
    /// How many streams at once.
    streams: Cell<usize>,
    /// Whether they may ask for another protocol (RFC 8441 3).
    tunnels: Cell<bool>,
}

/// A stream of a connection, as long as a request needs it.
pub(crate) struct Lease {
    connection: Rc<Multiplexed>,
    /// The body of its response.
    incoming: Option<Incoming>,
    /// What it is instead, where it has become a tunnel.
    tunnel: Option<OnUpgrade>,
}

/// A connection that is being made.
#[derive(Clone)]
pub(super) struct Making(watch::Receiver<Option<Result<(), NotConnected>>>);

impl Making {
    /// Ends when it is made, or is not.
    pub(super) async fn made(mut self) -> Result<(), NotConnected> {
        let made = self.0.wait_for(Option::is_some).await;
        made.ok().and_then(|made| made.clone()).unwrap_or_else(|| Err(NotConnected::default()))
    }
}

impl Known {
    /// A stream of a connection that has room.
    pub(super) fn stream(&self, endpoint: &Endpoint) -> Option<Lease> {
        stream(&self.open, endpoint)
    }

    /// The connection that is being made.
    pub(super) fn making(&self, endpoint: &Endpoint) -> Option<Making> {
        self.making.borrow().get(endpoint).cloned()
    }

    /// Makes a connection, for whoever wants a stream of it: it is made to its end, even if the request that wanted it is gone.
    pub(super) async fn connect(
        &self,
        origin: &Origin,
        counted: Vec<Counted>,
    ) -> Result<Lease, NotConnected> {
        let (tell, mut told) = watch::channel(None);
        let (origin, open, making) = (origin.clone(), self.open.clone(), self.making.clone());
        making.borrow_mut().insert(origin.endpoint.clone(), Making(told.clone()));
        let (first, mine) = tokio::sync::oneshot::channel();
        tokio::task::spawn_local(async move {
            let made = Multiplexed::made(&origin, counted).await;
            making.borrow_mut().remove(&origin.endpoint);
            let outcome = made.map(|made| {
                let made = Rc::new(made);
                // Who asked for it has a stream before all others.
                let _ = first.send(Lease::of(&made));
                open.borrow_mut().entry(origin.endpoint).or_default().push(made);
            });
            tell.send_replace(Some(outcome));
        });
        if let Ok(mine) = mine.await {
            return Ok(mine);
        }
        let told = told.wait_for(Option::is_some).await;
        Err(told.ok().and_then(|told| told.clone()?.err()).unwrap_or_default())
    }

    /// Closes the connections without streams of which this holds.
    pub(super) fn close(&self, closes: impl Fn(&Multiplexed) -> bool) {
        let mut open = self.open.borrow_mut();
        open.retain(|_, connections| {
            // Each closes before the next is asked about.
            let ends = |own: &Multiplexed| own.is_over() || own.streams.get() == 0 && closes(own);
            connections.retain(|own| !ends(own));
            !connections.is_empty()
        });
    }
}

fn stream(open: &RefCell<HashMap<Endpoint, Vec<Rc<Multiplexed>>>>, endpoint: &Endpoint) -> Option<Lease> {
    let mut open = open.borrow_mut();
    let connections = open.get_mut(endpoint)?;
    // One that its endpoint has said farewell to keeps its streams, and begins none.
    connections.retain(|own| !own.is_over());
    connections.iter().find(|own| own.has_room()).map(Lease::of)
}

impl Multiplexed {
    /// A connection whose endpoint has begun, too. One that waits in the queue of a server which is ending is reset without anybody having
    /// looked at it, and a request on it could not be told from one that is half done.
    async fn made(origin: &Origin, counted: Vec<Counted>) -> Result<Multiplexed, NotConnected> {
        let made = timeout(origin.connect_time, Multiplexed::begun(origin, counted));
        made.await.unwrap_or_else(|_| Err(NotConnected::default()))
    }

    async fn begun(origin: &Origin, counted: Vec<Counted>) -> Result<Multiplexed, NotConnected> {
        let mut stream = frames::watch(stream_to(origin).await?, Other::Server);
        let begun = stream.begun();
        let tasks = Tasks::default();
        let (sender, connection) = Builder::new(tasks.clone())
            .timer(TokioTimer::new())
            .max_concurrent_streams(MAX_STREAMS)
            .initial_max_send_streams(MAX_STREAMS as usize)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buf_size(SEND_BUFFER)
            .max_header_list_size(MAX_HEADER_LIST)
            .max_concurrent_reset_streams(MAX_FORGOTTEN)
            .max_local_error_reset_streams(MAX_LOCAL_RESETS)
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_TIME)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|_| NotConnected::default())?;
        begun.await.map_err(|_| NotConnected::default())?;
        let allowed = Rc::new(Allowed {
            streams: Cell::new(connection.current_max_send_streams()),
            tunnels: Cell::new(connection.is_extended_connect_protocol_enabled()),
        });
        let told = allowed.clone();
        let mut connection = Box::pin(connection);
        // How it ended is seen by the requests on it, if there are some.
        tokio::task::spawn_local(poll_fn(move |cx| {
            let ended = connection.as_mut().poll(cx).map(drop);
            told.streams.set(connection.current_max_send_streams());
            told.tunnels.set(connection.is_extended_connect_protocol_enabled());
            ended
        }));
        let (streams, since, is_left) = (Cell::new(0), Cell::new(Instant::now()), Cell::new(false));
        Ok(Multiplexed { sender, allowed, streams, since, is_left, tasks, counted })
    }

    /// Whether another stream may begin, as we and the endpoint have it.
    fn has_room(&self) -> bool {
        self.streams.get() < MAX_STREAMS && (self.streams.get() as usize) < self.allowed.streams.get()
    }

    /// Whether no stream begins on it any more.
    fn is_over(&self) -> bool {
        self.sender.is_closed() || self.is_left.get()
    }

    pub(super) fn is_old(&self) -> bool {
        self.since.get().elapsed() >= IDLE_TIME
    }

    /// Whether a connection elsewhere waits for its place.
    pub(super) fn is_wanted(&self) -> bool {
        self.counted.iter().any(Counted::is_wanted)
    }
}

impl Drop for Multiplexed {
    fn drop(&mut self) {
        // Otherwise it ends by itself, once everything is said.
        if let (true, Some(connection)) = (self.is_left.get(), self.tasks.0.get()) {
            connection.abort();
        }
    }
}

impl Lease {
    fn of(connection: &Rc<Multiplexed>) -> Lease {
        connection.streams.set(connection.streams.get() + 1);
        Lease { connection: connection.clone(), incoming: None, tunnel: None }
    }

    /// Whether its endpoint lets it become a tunnel.
    pub(super) fn may_become_tunnel(&self) -> bool {
        self.connection.allowed.tunnels.get()
    }

    /// The tunnel that it has become.
    pub(super) async fn into_tunnel(mut self) -> Option<Tunnel> {
        let upgraded = self.tunnel.take()?.await.ok()?;
        Some(Tunnel::of(upgraded, self))
    }

    pub(super) async fn send(&mut self, request: Request<Outgoing>) -> Result<Response<()>, NotAnswered> {
        let is_for_tunnel = *request.method() == Method::CONNECT;
        let sent = self.connection.sender.clone().try_send_request(request).await;
        let mut response = sent.map_err(|mut error| {
            let unsent = error.take_message().map(Box::new);
            NotAnswered { why: why(error.error()), unsent }
        })?;
        self.tunnel = is_for_tunnel.then(|| hyper::upgrade::on(&mut response));
        let (head, incoming) = response.into_parts();
        self.incoming = Some(incoming);
        Ok(Response::from_parts(head, ()))
    }

    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let Some(incoming) = &mut self.incoming else { return Poll::Ready(None) };
        Pin::new(incoming).poll_frame(cx).map_err(io::Error::other)
    }

    pub(super) fn has_ended(&self) -> bool {
        self.incoming.as_ref().is_none_or(Incoming::is_end_stream)
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        self.incoming.as_ref().map_or_else(|| SizeHint::with_exact(0), Incoming::size_hint)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.connection.streams.set(self.connection.streams.get().saturating_sub(1));
        self.connection.since.set(Instant::now());
        self.connection.counted.iter().for_each(Counted::tell);
    }
}

fn why(error: &hyper::Error) -> Why {
    if error.is_user() {
        // The only errors of a user here are those of the body that is passed on.
        return Why::Body;
    }
    let error = error.source().and_then(|source| source.downcast_ref::<h2::Error>());
    match error.filter(|error| error.is_remote()).and_then(|error| Some((error, error.reason()?))) {
        Some((_, h2::Reason::REFUSED_STREAM)) => Why::Refused,
        // Of the streams that it has begun its error is another one.
        Some((error, h2::Reason::NO_ERROR)) if error.is_go_away() => Why::Refused,
        _ => Why::Endpoint,
    }
}

/// The tasks of a connection run beside the worker's others. The first one is the connection itself, without which the others end.
#[derive(Clone, Default)]
struct Tasks(Rc<OnceCell<AbortHandle>>);

impl<F: Future<Output = ()> + 'static> Executor<F> for Tasks {
    fn execute(&self, task: F) {
        let task = tokio::task::spawn_local(task);
        self.0.get_or_init(|| task.abort_handle());
    }
}
