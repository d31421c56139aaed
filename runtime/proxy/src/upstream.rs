//! Connections to endpoints: made, kept while idle, used again. Each worker has its own pool.

mod http1;
mod multiplexed;

use crate::body::Outgoing;
use crate::breaker::Counted;
use crate::outside::Secured;
use crate::serving::Shared;
use crate::transport::{Begun, Wire};
use http1::Http1;
#[cfg(any(test, fuzzing))]
pub(crate) use http1::law;
use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::{Request, Response};
use mesh_engine::Address;
use multiplexed::{Lease, Multiplexed};
use std::cell::RefCell;
use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

/// Where no `connect-timeout` is declared. A handshake takes one round trip. A lost SYN is sent again after one second: then another
/// endpoint is the better try.
pub(crate) const CONNECT_TIME: Duration = Duration::from_secs(1);
/// Just below five seconds, the shortest keep-alive time of widespread servers (Node.js, uvicorn): so it is we who close,
/// and no request meets a connection that the other end is closing.
const IDLE_TIME: Duration = Duration::from_secs(4);
/// Idle connections kept to one endpoint: as many as a busy worker uses at once. A smaller bound opens and closes under load.
const MAX_IDLE: usize = 512;
/// After the last byte of a response the connection may still be sending the request; one that takes longer is closed.
const SETTLE_TIME: Duration = Duration::from_secs(1);

/// Where a connection leads: connections of one caller are not used for another, and none leads to somebody else at the same address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Endpoint {
    pub(crate) address: Address,
    pub(crate) tls: Option<Secured>,
}

/// An endpoint, and how it is spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) endpoint: Endpoint,
    /// With prior knowledge of HTTP/2 (RFC 9113 3.3); else HTTP/1.1.
    pub(crate) http2: bool,
    /// How long a connection may take to be made.
    pub(crate) connect_time: Duration,
}

/// The connections of a worker that can take another request.
#[derive(Default)]
pub(crate) struct Pool {
    /// Per endpoint, the least recently used first.
    idle: RefCell<HashMap<Endpoint, Vec<Idle>>>,
    multiplexed: multiplexed::Known,
}

struct Idle {
    connection: Box<Whole>,
    since: Instant,
}

/// What one request has of a connection to an endpoint.
pub(crate) enum Connection {
    /// All of it. Dropping it closes it, whatever it is doing.
    Whole(Box<Whole>),
    /// A stream. Dropping it lets another one begin.
    Stream(Lease),
}

/// An HTTP/1.1 connection to an endpoint, which one request has for itself.
pub(crate) struct Whole {
    http: Http1<Wire>,
    endpoint: Endpoint,
    pool: Weak<Pool>,
    /// As the breakers count it.
    counted: Vec<Counted>,
}

impl Pool {
    /// The most recently used idle connection to an endpoint, or a stream of one that has room.
    pub(crate) fn idle(&self, origin: &Origin) -> Option<Connection> {
        if origin.http2 {
            return self.multiplexed.stream(&origin.endpoint).map(Connection::Stream);
        }
        let mut idle = self.idle.borrow_mut();
        let connections = idle.get_mut(&origin.endpoint)?;
        while let Some(mut last) = connections.pop() {
            if last.since.elapsed() >= IDLE_TIME {
                // All others have been idle for longer.
                connections.clear();
            } else if last.connection.http.is_open() {
                return Some(Connection::Whole(last.connection));
            }
        }
        None
    }

    /// A connection that is being made for somebody else, and that others may use too, when it is made.
    pub(crate) async fn join(&self, origin: &Origin) -> Option<Result<Connection, NotConnected>> {
        if !origin.http2 {
            return None;
        }
        // Others may have taken all of its streams: then one of those who come away empty makes the next one.
        while let Some(making) = self.multiplexed.making(&origin.endpoint) {
            if let Err(error) = making.made().await {
                return Some(Err(error));
            }
            if let Some(stream) = self.multiplexed.stream(&origin.endpoint) {
                return Some(Ok(Connection::Stream(stream)));
            }
        }
        None
    }

    /// Opens a connection.
    pub(crate) async fn connect(
        self: &Rc<Self>,
        origin: &Origin,
        counted: Vec<Counted>,
    ) -> Result<Connection, NotConnected> {
        if origin.http2 {
            return self.multiplexed.connect(origin, counted).await.map(Connection::Stream);
        }
        let http = Http1::on(stream_to(origin).await?);
        let (endpoint, pool) = (origin.endpoint.clone(), Rc::downgrade(self));
        Ok(Connection::Whole(Box::new(Whole { http, endpoint, pool, counted })))
    }

    /// Closes what has been idle for too long, for as long as the pool lives.
    pub(crate) async fn sweep(pool: Weak<Pool>) {
        loop {
            tokio::time::sleep(IDLE_TIME).await;
            let Some(pool) = pool.upgrade() else { return };
            pool.idle.borrow_mut().retain(|_, connections| {
                connections
                    .retain_mut(|idle| idle.since.elapsed() < IDLE_TIME && idle.connection.http.is_open());
                !connections.is_empty()
            });
            pool.multiplexed.close(Multiplexed::is_old);
        }
    }

    /// Closes one idle connection for each that is waited for elsewhere.
    pub(crate) fn close_wanted(&self) {
        let mut idle = self.idle.borrow_mut();
        idle.retain(|_, connections| {
            // Each closes before the next is asked about.
            connections.retain(|idle| !idle.connection.counted.iter().any(Counted::is_wanted));
            !connections.is_empty()
        });
        self.multiplexed.close(Multiplexed::is_wanted);
    }

    /// Makes room whenever it is wanted, for as long as the pool lives.
    pub(crate) async fn make_room(pool: Weak<Pool>, shared: Arc<Shared>) {
        loop {
            // Whoever asks while connections are being closed is heard afterwards.
            let mut asked = pin!(shared.room.notified());
            asked.as_mut().enable();
            let Some(own) = pool.upgrade() else { return };
            own.close_wanted();
            drop(own);
            asked.await;
        }
    }

    fn put(&self, connection: Box<Whole>) {
        let mut idle = self.idle.borrow_mut();
        let connections = idle.entry(connection.endpoint.clone()).or_default();
        if connections.len() < MAX_IDLE {
            connection.counted.iter().for_each(Counted::tell);
            connections.push(Idle { connection, since: Instant::now() });
        }
    }
}

/// A connection of bytes to an endpoint, made within its time, all of its handshakes included.
pub(crate) async fn stream_to(origin: &Origin) -> Result<Wire, NotConnected> {
    let Endpoint { address, tls } = &origin.endpoint;
    let make = async {
        let stream = TcpStream::connect(SocketAddr::new(address.ip, address.port)).await;
        let stream = stream.map_err(|_| NotConnected::default())?;
        // Without it a small request may wait for the acknowledgement of the one before; failing to set it costs only that.
        let _ = stream.set_nodelay(true);
        match tls {
            Some(tls) => tls.connect(stream, address.ip).await.map_err(|why| NotConnected(Some(why.into()))),
            None => Ok(Wire::Plain(stream)),
        }
    };
    timeout(origin.connect_time, make).await.unwrap_or_else(|_| Err(NotConnected::default()))
}

/// No connection was made; if its handshake failed, why, in words for a log.
#[derive(Clone, Debug, Default)]
pub(crate) struct NotConnected(pub(crate) Option<Arc<str>>);

/// Why there is no response to a request.
pub(crate) struct NotAnswered {
    pub(crate) why: Why,
    /// The request, where nothing of it was sent.
    pub(crate) unsent: Option<Box<Request<Outgoing>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// The endpoint broke off, or answered with something that is no response.
    Endpoint,
    /// It has said that it looked at nothing of the request (RFC 9113 8.7).
    Refused,
    /// The body that is passed on broke off.
    Body,
}

impl Connection {
    /// Sends a request, and waits for the head of its response; the connection is the body behind it.
    pub(crate) async fn send(&mut self, request: Request<Outgoing>) -> Result<Response<()>, NotAnswered> {
        match self {
            Connection::Whole(whole) => {
                whole.http.begin(request)?;
                poll_fn(|cx| whole.http.poll_answer(cx)).await
            }
            // Kept apart, because it is ten times what is needed of the other.
            Connection::Stream(lease) => Box::pin(lease.send(request)).await,
        }
    }

    /// Keeps the connection for another request, after a response that was read to its end.
    pub(crate) fn give_back(self) {
        let Connection::Whole(mut whole) = self else { return };
        if !whole.http.is_kept() {
            return;
        }
        if whole.http.is_sending() {
            tokio::task::spawn_local(async move {
                if let Ok(true) = timeout(SETTLE_TIME, whole.http.finish()).await {
                    whole.put();
                }
            });
        } else {
            whole.put();
        }
    }

    /// Whether its endpoint can be asked to make a tunnel of it: of HTTP/2 it says so.
    pub(crate) fn may_become_tunnel(&self) -> bool {
        match self {
            Connection::Whole(_) => true,
            Connection::Stream(lease) => lease.may_become_tunnel(),
        }
    }

    /// The connection as what an endpoint has agreed to make of it.
    pub(crate) async fn into_tunnel(self) -> Option<Tunnel> {
        match self {
            Connection::Whole(whole) => Some(Tunnel::Whole(whole.http.into_tunnel(), whole.counted)),
            Connection::Stream(lease) => lease.into_tunnel().await.map(Tunnel::Stream),
        }
    }
}

/// What is no longer HTTP. The breakers count it as long as it is there.
pub(crate) enum Tunnel {
    Whole(Begun<Wire>, Vec<Counted>),
    Stream(multiplexed::Tunnel),
}

/// The body of the response to what was sent on it last.
impl Body for Connection {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match self.get_mut() {
            Connection::Whole(whole) => whole.http.poll_frame(cx),
            Connection::Stream(lease) => lease.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Connection::Whole(whole) => whole.http.has_ended(),
            Connection::Stream(lease) => lease.has_ended(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Connection::Whole(whole) => whole.http.size_hint(),
            Connection::Stream(lease) => lease.size_hint(),
        }
    }
}

impl Whole {
    fn put(mut self: Box<Self>) {
        if let Some(pool) = self.pool.upgrade() {
            self.http.rest();
            pool.put(self);
        }
    }
}
