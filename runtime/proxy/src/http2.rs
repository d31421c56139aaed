//! An HTTP/2 connection of a client (RFC 9113), from its preface to its last stream. Each request is a stream: decided about, balanced and
//! logged by itself, under the plan that is in service when it comes.

mod streams;

use crate::body::Arriving;
use crate::bounds::Bound;
use crate::client::Client;
use crate::forward::{self, Arrival, Malformed, Way};
use crate::frames::{self, Other};
use crate::http1::{self, Closing};
use crate::serving::Entrance;
use crate::transport::Transport;
use crate::websocket::{self, Agreed, Slot};
use crate::worker::Worker;
use hyper::body::Incoming;
use hyper::server::conn::http2::Builder;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;
pub(crate) use streams::Stream;
use streams::{LOOK_EVERY, Streams, Told};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

// To endpoints there are the same bounds as clients have by default, and whoever says others means clients.
/// Streams of a connection at once.
pub(crate) const MAX_STREAMS: u32 = 100;
/// What a client may send of a stream before it has been passed on: so much is kept for a slow upstream.
pub(crate) const STREAM_WINDOW: u32 = 64 * 1024;
/// Of a response that is kept for a slow client, a stream each.
pub(crate) const SEND_BUFFER: usize = 32 * 1024;
/// The headers of a request, as RFC 9113 6.5.2 counts them: names, values, and 32 bytes for each. As much as a head of HTTP/1.1 may have.
pub(crate) const MAX_HEADER_LIST: u32 = 64 * 1024;
/// Streams that we reset because of what a client sends on them: with more the connection ends (CVE-2025-8671, "made you reset").
pub(crate) const MAX_LOCAL_RESETS: usize = 100;
/// A client that is silent is asked so often whether it is still there,
pub(crate) const PING_EVERY: Duration = Duration::from_secs(30);
/// and has so long to say so: longer than any pause of a network that still works.
pub(crate) const PING_TIME: Duration = Duration::from_secs(20);
/// How connections are served; one for each connection, for it hands out the streams.
fn builder(streams: Streams) -> Builder<Streams> {
    let mut builder = Builder::new(streams);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(Bound::Http2Streams.count())
        .initial_stream_window_size(Bound::Http2StreamWindow.count())
        .initial_connection_window_size(Bound::Http2ConnectionWindow.count())
        .max_send_buf_size(SEND_BUFFER)
        .max_header_list_size(Bound::Http2HeaderBytes.count())
        .max_pending_accept_reset_streams(Bound::Http2Resets.size())
        .max_local_error_reset_streams(Bound::Http2OwnResets.size())
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_TIME)
        // A stream may become a WebSocket (RFC 8441).
        .enable_connect_protocol();
    builder
}

/// When a connection ends on which nothing more may begin.
#[derive(Clone, Copy)]
struct Ending {
    /// From then on, as soon as no stream is open.
    idle: Instant,
    /// In any case; `None`: whoever ends the worker knows.
    last: Option<Instant>,
}

impl Ending {
    fn is_over(self, now: Instant, streams: &Streams) -> bool {
        now >= self.idle && streams.is_idle() || self.last.is_some_and(|last| now >= last)
    }
}

/// Serves a connection until it ends, or until there is a `closing` and its streams have ended. Its client is told by GOAWAY: what it has sent
/// by then is answered.
pub(crate) async fn serve(
    worker: Rc<Worker>,
    entrance: Entrance,
    stream: impl Transport,
    client: Rc<Client>,
    mut closing: watch::Receiver<Option<Closing>>,
) {
    let streams = Streams::default();
    let told = &closing.clone();
    let service = service_fn(|request| answer(&worker, &entrance, &client, (streams.next(), told), request));
    let io = TokioIo::new(frames::watch(stream, Other::Client));
    let mut connection = pin!(builder(streams.clone()).serve_connection(io, service));
    let mut look = pin!(sleep_until(streams.next_look()));
    let mut ending: Option<Ending> = None;
    loop {
        let is_alive = poll_fn(|cx| {
            if connection.as_mut().poll(cx).is_ready() {
                return Poll::Ready(false);
            }
            // A stream that has begun is looked at sooner than a connection without one.
            let next = streams.next_look();
            if ending.is_none() && next < look.deadline() {
                look.as_mut().reset(next);
            }
            look.as_mut().poll(cx).map(|()| true)
        });
        tokio::select! {
            biased;
            // How a connection ended is of no interest here: its requests know.
            is_alive = is_alive => if !is_alive { return },
            closing = closing.wait_for(Option::is_some), if ending.is_none() => {
                // Where nobody is left to say how, the worker is about to end, and everything with it.
                let Some(Closing { last_call, limit }) = closing.ok().and_then(|closing| *closing) else { return };
                connection.as_mut().graceful_shutdown();
                let now = Instant::now();
                ending = Some(Ending { idle: now + last_call, last: limit.map(|limit| now + limit) });
                look.as_mut().reset(now + last_call);
                continue;
            }
        }
        let now = Instant::now();
        streams.cut_stalled(now);
        if ending.is_some_and(|ending| ending.is_over(now, &streams)) {
            return;
        }
        if ending.is_none() && streams.is_idle() && now >= streams.next_look() {
            connection.as_mut().graceful_shutdown();
            ending = Some(Ending { idle: now + LOOK_EVERY, last: None });
        }
        look.as_mut().reset(if ending.is_some() { now + LOOK_EVERY } else { streams.next_look() });
    }
}

/// Answers the request of a stream.
fn answer(
    worker: &Rc<Worker>,
    entrance: &Entrance,
    client: &Rc<Client>,
    (stream, closing): (Rc<Stream>, &watch::Receiver<Option<Closing>>),
    mut request: Request<Incoming>,
) -> impl Future<Output = Result<Response<Told>, h2::Error>> + use<> {
    // Taken here and not in the future: heads are taken up in the order in which they arrive.
    let opened = entrance.load_full();
    let plan = worker.plan_header.then(|| opened.serving.clone());
    let becomes =
        websocket::of_stream(&mut request).map(|upgrade| (upgrade, Slot::default(), closing.clone()));
    let way = Way::Stream(stream.clone(), becomes.as_ref().map(|(_, slot, _)| slot.clone()));
    let arrival = Arrival { opened, client: client.clone(), defect: None, way };
    // Kept apart: it is some KiB, which would be moved from the library to its task.
    let answer = Box::pin(forward::answer(worker.clone(), arrival, request.map(Arriving::Stream)));
    async move {
        let Ok(mut response) = answer.await;
        if response.extensions().get::<Malformed>().is_some() && response.status() == StatusCode::BAD_REQUEST
        {
            return Err(h2::Reason::PROTOCOL_ERROR.into());
        }
        if let Some(plan) = plan {
            forward::say_plan(response.headers_mut(), &plan);
        }
        if let Some((upgrade, slot, closing)) = becomes {
            match slot.take() {
                Some(agreed) => {
                    websocket::accepted_on_stream(&mut response);
                    tokio::task::spawn_local(become_websocket(upgrade, agreed, closing));
                }
                // To its client a status of success would say that it is one; nothing answers so.
                None if response.status().is_success() => return Err(h2::Reason::INTERNAL_ERROR.into()),
                None => {}
            }
        }
        Ok(response.map(|reply| Told { reply, stream }))
    }
}

/// Passes bytes both ways on a stream, as long as a door that closes waits.
async fn become_websocket(
    upgrade: OnUpgrade,
    agreed: Box<Agreed>,
    mut closing: watch::Receiver<Option<Closing>>,
) {
    let Ok(stream) = upgrade.await else { return };
    tokio::select! {
        () = websocket::run(TokioIo::new(stream), [], agreed) => {}
        () = http1::end(&mut closing) => {}
    }
}
