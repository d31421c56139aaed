//! An HTTP/1.1 connection of a client, from its first byte to its last.

use crate::forward::{self, Arrival};
use crate::framing;
use crate::serving::SocketId;
use crate::worker::Worker;
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::watch;

/// How long a connection without a request stays open. Clients keep theirs for a minute or so at most.
const KEEP_ALIVE_TIME: Duration = Duration::from_secs(75);
/// A request line and its headers; more is refused with 431. hyper's own bound of 100 headers holds too.
const MAX_HEAD: usize = 64 * 1024;
/// What is buffered of a connection in each direction.
const MAX_BUFFER: usize = 64 * 1024;
/// When a door closes, a request may already be in the socket: it is read and answered rather than reset.
const LAST_CALL: Duration = Duration::from_millis(20);

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

/// Serves a connection until it ends, or until `closing` says so and the request in progress is answered.
pub(crate) async fn serve(
    worker: Rc<Worker>,
    socket: SocketId,
    stream: TcpStream,
    peer: SocketAddr,
    mut closing: watch::Receiver<bool>,
) {
    // Without it a small response may wait for an acknowledgement; failing to set it costs only that.
    let _ = stream.set_nodelay(true);
    let (io, watch) = framing::watch(stream);
    let service = service_fn(|request| {
        // Taken here and not in the future: heads are taken up in the order in which they arrive.
        let arrival = Arrival { socket, peer, defect: watch.next_head(), watch: watch.clone() };
        forward::answer(worker.clone(), arrival, request)
    });
    let mut connection = pin!(worker.http1.serve_connection(TokioIo::new(io), service));
    // How a connection ended is of no interest here: its requests know.
    tokio::select! {
        biased;
        _ = connection.as_mut() => return,
        _ = closing.wait_for(|closing| *closing) => {}
    }
    if tokio::time::timeout(LAST_CALL, connection.as_mut()).await.is_err() {
        connection.as_mut().graceful_shutdown();
        let _ = connection.await;
    }
}
