//! A client's connection: in which protocol it is served, as the door declares it or, where both versions of HTTP may come, as the client
//! does by how it begins.

use crate::bounds::Bound;
use crate::client::Client;
use crate::hello::{Greeted, greet};
use crate::http1::{self, Closing};
use crate::log::Record;
use crate::mutual::{self, Accepted};
use crate::serving::{Entrance, Opened};
use crate::tcp::{self, Asks};
use crate::terminate::{self, Ended};
use crate::transport::{Begun, Transport};
use crate::worker::Worker;
use crate::{http2, passthrough, proxy_protocol, redirected};
use mesh_engine::Entry;
use mesh_plan::{Mtls, Protocol};
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;

/// How every connection of HTTP/2 begins (RFC 9113 3.4). `PRI` is a method that nobody else has.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The first byte of a record with a handshake of TLS (RFC 8446 5.1), and of no request of HTTP.
const HANDSHAKE: u8 = 22;

/// What may come in at a door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spoken {
    Http1,
    Http2,
    /// A service's own sidecar: it calls services of both versions, and of TLS, at one address, and each connection says which it is.
    EitherHttp,
    Connections,
    /// TLS that ends elsewhere.
    Tls,
}

/// How a connection begins that may be of several protocols.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begins {
    Http1,
    Http2,
    Tls,
}

/// Serves a connection until it ends, or until there is a `closing` and what has begun by then has ended.
pub(crate) async fn serve(
    worker: Rc<Worker>,
    entrance: Entrance,
    mut stream: TcpStream,
    mut address: SocketAddr,
    mut closing: watch::Receiver<Option<Closing>>,
) {
    // Without it a small message may wait for an acknowledgement; failing to set it costs only that.
    let _ = stream.set_nodelay(true);
    let opened = entrance.load_full();
    if opened.has_proxy_protocol() {
        match proxy_protocol::read(&mut stream).await {
            Ok(source) => address = source.unwrap_or(address),
            Err(why) => {
                let mut record = Record::of_connection(&worker, &opened);
                record.from(&Client::at(address));
                return record.failed_handshake(why);
            }
        }
    }
    if let Some(termination) = &opened.termination {
        match Box::pin(terminate::accept(stream, termination, &mut closing)).await {
            Ended::Here(stream, tls) => {
                // What was agreed on is what is spoken; who agreed on nothing speaks what the listener does.
                let spoken = if tls.is_http2() { Spoken::Http2 } else { spoken(&opened) };
                speak(worker, entrance, *stream, Client::over_tls(address, tls), spoken, closing).await;
            }
            Ended::Failed(why) => {
                let mut record = Record::of_connection(&worker, &opened);
                record.failed_handshake(&why);
            }
            Ended::Gone => {}
        }
        return;
    }
    if let Some((host, number)) = redirected::meant(&opened, &stream) {
        let asks = Asks { host: &host, host_port: Some(number), ..Asks::default() };
        let client = Rc::new(Client::at(address));
        return Box::pin(tcp::pass_on(worker, opened, stream, client, asks, closing)).await;
    }
    let spoken = spoken(&opened);
    let Some((port, identity)) = opened.takes_tls() else {
        return speak(worker, entrance, stream, Client::at(address), spoken, closing).await;
    };
    let accepted = match (port.protocol, port.mode) {
        // Which TLS it is, a connection says in its first message.
        (Protocol::Tls, Mtls::None | Mtls::Permissive) => match greet(stream, &mut closing).await {
            Greeted::Tls(hello, stream) if hello.is_ours => {
                Box::pin(mutual::handshake(stream, &port, &identity)).await
            }
            Greeted::Tls(hello, stream) => {
                let client = Rc::new(Client::at(address));
                return Box::pin(passthrough::pass(worker, opened, stream, client, hello, closing)).await;
            }
            Greeted::Other(why, stream) => {
                return passthrough::turn_away(&worker, &opened, &stream, &Client::at(address), &why);
            }
            Greeted::Gone => return,
        },
        _ => Box::pin(mutual::accept(stream, &port, &identity, &mut closing)).await,
    };
    match accepted {
        Accepted::Mutual(stream, caller) => {
            let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first).cloned();
            let spoken = speak(worker, entrance, *stream, Client::verified(address, caller), spoken, closing);
            match certificate {
                Some(certificate) => tokio::select! {
                    () = spoken => {}
                    // Whose certificate is revoked or has ended is cut off, whatever is under way.
                    () = identity.disowns(&certificate) => {}
                },
                None => spoken.await,
            }
        }
        Accepted::Plain(stream) => {
            speak(worker, entrance, stream, Client::at(address), spoken, closing).await;
        }
        Accepted::NotTls(stream) => tcp::turn_away(&worker, &opened, &stream, &Client::at(address)),
        Accepted::Failed(why) => {
            let mut record = Record::of_connection(&worker, &opened);
            record.failed_handshake(&why);
        }
        Accepted::Gone => {}
    }
}

/// Serves what is inside a connection. It has what it needs for itself: a connection that is open for long is one of these, and not as large as
/// the largest.
fn speak<S: Transport>(
    worker: Rc<Worker>,
    entrance: Entrance,
    stream: S,
    client: Client,
    spoken: Spoken,
    closing: watch::Receiver<Option<Closing>>,
) -> Pin<Box<dyn Future<Output = ()>>> {
    let client = Rc::new(client);
    match spoken {
        Spoken::Connections => Box::pin(tcp::serve(worker, entrance, stream, client, closing)),
        Spoken::Http1 => Box::pin(http1::serve(worker, entrance, stream, client, closing)),
        Spoken::Http2 => Box::pin(http2::serve(worker, entrance, stream, client, closing)),
        Spoken::Tls => Box::pin(passthrough::serve(worker, entrance, stream, client, closing)),
        Spoken::EitherHttp => Box::pin(either(worker, entrance, stream, client, closing)),
    }
}

async fn either<S: Transport>(
    worker: Rc<Worker>,
    entrance: Entrance,
    stream: S,
    client: Rc<Client>,
    mut closing: watch::Receiver<Option<Closing>>,
) {
    match detect(stream, &mut closing).await {
        None => {}
        Some((stream, Begins::Http2)) => {
            Box::pin(http2::serve(worker, entrance, stream, client, closing)).await;
        }
        Some((stream, Begins::Http1)) => {
            Box::pin(http1::serve(worker, entrance, stream, client, closing)).await;
        }
        Some((stream, Begins::Tls)) => {
            Box::pin(passthrough::serve(worker, entrance, stream, client, closing)).await;
        }
    }
}

fn spoken(opened: &Opened) -> Spoken {
    match opened.protocol() {
        _ if matches!(opened.entry, Entry::Sidecar { .. }) => Spoken::EitherHttp,
        Some(Protocol::Http) => Spoken::Http1,
        Some(Protocol::Http2 | Protocol::Grpc) => Spoken::Http2,
        Some(Protocol::Tls) => Spoken::Tls,
        Some(Protocol::Connections) | None => Spoken::Connections,
    }
}

/// Reads until it is clear which version of HTTP a connection is, or that it is TLS. `None`: it has ended, or never says.
async fn detect<S: Transport>(
    mut stream: S,
    closing: &mut watch::Receiver<Option<Closing>>,
) -> Option<(Begun<S>, Begins)> {
    let mut read = Vec::with_capacity(PREFACE.len());
    let mut last_call = None;
    loop {
        let mut bytes = [0; PREFACE.len()];
        // No more than a preface has, so that nothing behind it is looked at.
        let room = bytes.get_mut(read.len()..)?;
        let time = match last_call {
            _ if !read.is_empty() => Bound::DetectTime.time(),
            // One that brings nothing is closed as one between two requests is.
            Some(last_call) => last_call,
            None => Bound::IdleTime.time(),
        };
        let count = tokio::select! {
            biased;
            count = timeout(time, stream.read(room)) => count.ok()?.ok().filter(|count| *count > 0)?,
            closing = closing.wait_for(Option::is_some), if last_call.is_none() => {
                last_call = Some(closing.ok().and_then(|closing| *closing)?.last_call);
                continue;
            }
        };
        let before = read.len();
        read.extend_from_slice(bytes.get(before..before + count)?);
        let begins = match read.first() {
            Some(&HANDSHAKE) => Begins::Tls,
            _ if read == PREFACE => Begins::Http2,
            _ if PREFACE.starts_with(&read) => continue,
            _ => Begins::Http1,
        };
        return Some((Begun { read, rest: stream }, begins));
    }
}
