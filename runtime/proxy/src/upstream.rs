//! Connections to endpoints: made, kept while idle, used again. Each worker has its own pool.

use crate::body::Outgoing;
use crate::breaker::Counted;
use crate::serving::Shared;
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use mesh_engine::Address;
use std::cell::RefCell;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
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
/// Bytes of a response head; more is refused.
const MAX_HEAD: usize = 64 * 1024;

/// The idle connections of a worker.
#[derive(Default)]
pub(crate) struct Pool {
    /// Per endpoint, the least recently used first.
    idle: RefCell<HashMap<Address, Vec<Idle>>>,
}

struct Idle {
    connection: Connection,
    since: Instant,
}

/// A connection to an endpoint. Dropping it closes it, whatever it is doing.
pub(crate) struct Connection {
    sender: SendRequest<Outgoing>,
    task: JoinHandle<()>,
    address: Address,
    pool: Weak<Pool>,
    /// As the breakers count it.
    counted: Vec<Counted>,
}

impl Pool {
    /// The most recently used idle connection to an endpoint.
    pub(crate) fn idle(&self, address: Address) -> Option<Connection> {
        let mut idle = self.idle.borrow_mut();
        let connections = idle.get_mut(&address)?;
        while let Some(last) = connections.pop() {
            if last.since.elapsed() >= IDLE_TIME {
                // All others have been idle for longer.
                connections.clear();
            } else if last.connection.sender.is_ready() {
                return Some(last.connection);
            }
        }
        None
    }

    /// Opens a connection within some time.
    pub(crate) async fn connect(
        self: &Rc<Self>,
        address: Address,
        time: Duration,
        counted: Vec<Counted>,
    ) -> Result<Connection, NotConnected> {
        let stream = timeout(time, TcpStream::connect(SocketAddr::new(address.ip, address.port)));
        let Ok(Ok(stream)) = stream.await else { return Err(NotConnected) };
        // Without it a small request may wait for the acknowledgement of the one before; failing to set it costs only that.
        let _ = stream.set_nodelay(true);
        let (sender, connection) = http1::Builder::new()
            .max_header_size(MAX_HEAD)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|_| NotConnected)?;
        // How it ended is seen by the request on it, if there is one.
        let task = tokio::task::spawn_local(async {
            let _ = connection.with_upgrades().await;
        });
        Ok(Connection { sender, task, address, pool: Rc::downgrade(self), counted })
    }

    /// Closes what has been idle for too long, for as long as the pool lives.
    pub(crate) async fn sweep(pool: Weak<Pool>) {
        loop {
            tokio::time::sleep(IDLE_TIME).await;
            let Some(pool) = pool.upgrade() else { return };
            pool.idle.borrow_mut().retain(|_, connections| {
                connections
                    .retain(|idle| idle.since.elapsed() < IDLE_TIME && !idle.connection.sender.is_closed());
                !connections.is_empty()
            });
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

    fn put(&self, connection: Connection) {
        let mut idle = self.idle.borrow_mut();
        let connections = idle.entry(connection.address).or_default();
        if connections.len() < MAX_IDLE {
            connection.counted.iter().for_each(Counted::tell);
            connections.push(Idle { connection, since: Instant::now() });
        }
    }
}

/// No connection was made.
pub(crate) struct NotConnected;

impl Connection {
    /// Sends a request. What was not sent comes back with the error.
    pub(crate) async fn send(
        &mut self,
        request: Request<Outgoing>,
    ) -> Result<Response<Incoming>, TrySendError<Request<Outgoing>>> {
        self.sender.try_send_request(request).await
    }

    /// Keeps the connection for another request, after a response that was read to its end.
    pub(crate) fn give_back(mut self) {
        let Some(pool) = self.pool.upgrade() else { return };
        if self.sender.is_ready() {
            pool.put(self);
        } else if !self.sender.is_closed() {
            tokio::task::spawn_local(async move {
                if let Ok(Ok(())) = timeout(SETTLE_TIME, self.sender.ready()).await {
                    pool.put(self);
                }
            });
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}
