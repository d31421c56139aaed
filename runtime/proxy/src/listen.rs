//! Listening sockets: bound for all workers at once, accepted from by each.

use crate::bounds::Bound;
use crate::cause::cause;
use crate::connection::serve;
use crate::http1::Closing;
use crate::serving::Entrance;
use crate::worker::Worker;
use socket2::{Domain, Protocol, Socket, Type};
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// Connections that wait to be accepted; the kernel caps it at its own limit (`net.core.somaxconn`).
const BACKLOG: i32 = 4_096;
/// When files run out, accepting at once again would only spin: connections that end give some back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// An address could not be listened on.
#[derive(Debug)]
pub struct BindError {
    /// For which door.
    pub door: String,
    /// Which address.
    pub address: SocketAddr,
    /// Why not.
    pub error: io::Error,
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot listen on {} for `{}`: {}", self.address, self.door, cause(&self.error))
    }
}

impl std::error::Error for BindError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

/// One listener per worker, all on the same address; the kernel spreads connections over them.
///
/// `alone`: refuse an address on which somebody else listens. Without the question the kernel would share it with any
/// other process of the same user, and half of the connections would go there.
pub(crate) fn bind(
    address: SocketAddr,
    workers: usize,
    alone: bool,
) -> io::Result<(SocketAddr, Vec<TcpListener>)> {
    if alone {
        let question = socket(address)?;
        question.bind(&address.into())?;
    }
    let first = shared_listener(address)?;
    let address = first.local_addr()?;
    let mut listeners = vec![first];
    while listeners.len() < workers {
        listeners.push(shared_listener(address)?);
    }
    Ok((address, listeners))
}

fn shared_listener(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket(address)?;
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Accepts connections until there is a `closing`.
pub(crate) async fn accept(
    worker: Rc<Worker>,
    entrance: Entrance,
    listener: tokio::net::TcpListener,
    mut closing: watch::Receiver<Option<Closing>>,
) {
    let places = Arc::new(Semaphore::new(Bound::Connections.size().div_ceil(worker.workers)));
    loop {
        let next = async {
            let place = places.clone().acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            biased;
            _ = closing.wait_for(Option::is_some) => break,
            next = next => next,
        };
        match accepted {
            Ok((stream, peer)) => {
                // Not before it has come: a listener that nobody connects to takes no place from the others.
                let of_all = tokio::select! {
                    biased;
                    of_all = worker.places.clone().acquire_owned() => of_all.ok(),
                    _ = closing.wait_for(Option::is_some) => None,
                };
                let served = serve(worker.clone(), entrance.clone(), stream, peer, closing.clone());
                spawn(&worker, place.ok().zip(of_all), served);
            }
            // The client gave up while it waited.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
    // To their clients these connections are open already: closing the socket would reset them. The kernel is asked, not
    // tokio, which may not have heard of the latest.
    let Ok(listener) = listener.into_std() else { return };
    while let Ok((stream, peer)) = listener.accept() {
        let stream = stream.set_nonblocking(true).and_then(|()| tokio::net::TcpStream::from_std(stream));
        let Ok(stream) = stream else { return };
        let served = serve(worker.clone(), entrance.clone(), stream, peer, closing.clone());
        spawn(&worker, None, served);
    }
}

/// Serves a connection in a task of its own: if it panics, it alone is lost. It counts as open from now on, and not only
/// when its task first runs: a drain may begin before.
fn spawn(
    worker: &Worker,
    place: Option<(OwnedSemaphorePermit, OwnedSemaphorePermit)>,
    connection: impl Future<Output = ()> + 'static,
) {
    let open = worker.connections.open();
    // Awaited where it is: as a part of the task it would have room there twice.
    let connection = Box::pin(connection);
    tokio::task::spawn_local(async move {
        let _held = (open, place);
        connection.await;
    });
}
