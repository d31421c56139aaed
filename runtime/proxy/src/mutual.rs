//! Mutual TLS on connections: accepted from callers, and made to endpoints. It is not guessed at: a port is declared to have it, and
//! only where it may be left away the first bytes say whether it is there.

use crate::bounds::Bound;
use crate::http1::Closing;
use crate::identity::{Identity, Inside, Svid, why};
use crate::transport::{Begun, Transport, Wire};
use mesh_plan::{Mtls, Protocol};
use rustls::pki_types::{ServerName, UnixTime};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// At a port of connections the service may be the first to speak: a client that is silent for so long is taken to wait for that.
const SERVER_FIRST_TIME: Duration = Duration::from_millis(500);
/// The beginning of a TLS connection that tells it from everything else (RFC 8446 5.1): a record of a handshake, in which a ClientHello is.
const HELLO: usize = 6;

impl Inside {
    pub(crate) fn of(protocol: Protocol) -> Inside {
        match protocol {
            Protocol::Http => Inside::Http1,
            Protocol::Http2 | Protocol::Grpc => Inside::Http2,
            Protocol::Connections => Inside::Bytes,
            Protocol::Tls => Inside::Tls,
        }
    }
}

/// Where connections of callers come in.
pub(crate) struct Port {
    pub(crate) mode: Mtls,
    pub(crate) protocol: Protocol,
    /// Whether the node may ask something, which has no certificate: then each request says whether it is that.
    pub(crate) is_probed: bool,
}

/// A connection whose beginning is behind it.
pub(crate) enum Accepted<S> {
    Plain(Begun<S>),
    /// With the SPIFFE ID of who called, if it showed one.
    Mutual(Box<TlsStream<Begun<S>>>, Option<Arc<str>>),
    /// Plain bytes where there must be none.
    NotTls(Begun<S>),
    /// The handshake failed, in these words.
    Failed(String),
    /// It has ended before it began.
    Gone,
}

/// Takes up a connection at a port, as its mode says.
pub(crate) async fn accept<S: Transport>(
    mut stream: S,
    port: &Port,
    identity: &Identity,
    closing: &mut watch::Receiver<Option<Closing>>,
) -> Accepted<S> {
    let mut read = Vec::with_capacity(HELLO);
    let is_tls = match begins_with_hello(&mut stream, &mut read, port, closing).await {
        Some(is_tls) => is_tls,
        None => return Accepted::Gone,
    };
    let stream = Begun { read, rest: stream };
    let demands = port.mode == Mtls::Strict && !port.is_probed;
    if !is_tls {
        return if demands { Accepted::NotTls(stream) } else { Accepted::Plain(stream) };
    }
    handshake(stream, port, identity).await
}

/// Ends the TLS of a connection that begins with it.
pub(crate) async fn handshake<S: Transport>(
    stream: Begun<S>,
    port: &Port,
    identity: &Identity,
) -> Accepted<S> {
    let demands = port.mode == Mtls::Strict;
    let Some(config) = identity.current().server(Inside::of(port.protocol), demands) else {
        return Accepted::Failed("there is no configuration for it".to_owned());
    };
    let stream = match timeout(Bound::TlsTime.time(), TlsAcceptor::from(config).accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Accepted::Failed(why(&error)),
        Err(_) => return Accepted::Failed("the handshake took too long".to_owned()),
    };
    let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let caller = match certificate.map(Svid::of) {
        // A session that is resumed is not verified again, and its certificate may have ended since.
        Some(Ok(svid)) if svid.is_valid_at(UnixTime::now()) => Some(svid.id),
        Some(Ok(_)) => return Accepted::Failed("the certificate of the session has expired".to_owned()),
        Some(Err(error)) => return Accepted::Failed(error.to_string()),
        None if demands => return Accepted::Failed("the session has no certificate".to_owned()),
        None => None,
    };
    Accepted::Mutual(Box::new(stream), caller)
}

/// Reads until it is clear whether a connection is TLS. `None`: it has ended, or never says.
async fn begins_with_hello(
    stream: &mut impl Transport,
    read: &mut Vec<u8>,
    port: &Port,
    closing: &mut watch::Receiver<Option<Closing>>,
) -> Option<bool> {
    let waits = port.protocol == Protocol::Connections && port.mode != Mtls::Strict;
    let mut last_call = None;
    loop {
        let time = match last_call {
            _ if !read.is_empty() => Bound::DetectTime.time(),
            Some(last_call) => last_call,
            None if waits => SERVER_FIRST_TIME,
            None => Bound::IdleTime.time(),
        };
        let mut bytes = [0; HELLO];
        let room = bytes.get_mut(read.len()..)?;
        let count = tokio::select! {
            biased;
            count = timeout(time, stream.read(room)) => count,
            closing = closing.wait_for(Option::is_some), if last_call.is_none() => {
                last_call = Some(closing.ok().and_then(|closing| *closing)?.last_call);
                continue;
            }
        };
        let count = match count {
            Ok(count) => count.ok().filter(|count| *count > 0)?,
            Err(_) if waits => return Some(false),
            Err(_) => return None,
        };
        let before = read.len();
        read.extend_from_slice(bytes.get(before..before + count)?);
        if !may_be_hello(read) {
            return Some(false);
        }
        if read.len() == HELLO {
            return Some(true);
        }
    }
}

/// Whether these bytes, six at most, may be the beginning of TLS.
fn may_be_hello(bytes: &[u8]) -> bool {
    bytes.iter().zip(0..).all(|(byte, place)| match place {
        0 => *byte == 0x16,
        1 => *byte == 3,
        2 => *byte <= 4,
        5 => *byte == 1,
        _ => true,
    })
}

/// With whom a connection to an endpoint is made, and as whom.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Mutual {
    pub(crate) own: Arc<Identity>,
    /// The SPIFFE ID that must answer.
    pub(crate) callee: Arc<str>,
    pub(crate) inside: Inside,
    /// What [`Identity::changes`] was.
    pub(crate) changes: u64,
}

impl Mutual {
    /// Makes a connection one of mutual TLS. The error is in words for a log.
    pub(crate) async fn connect(&self, stream: TcpStream, ip: IpAddr) -> Result<Wire, String> {
        let config =
            self.own.current().client(&self.callee, self.inside).map_err(|error| error.to_string())?;
        let connected = TlsConnector::from(config).connect(ServerName::IpAddress(ip.into()), stream).await;
        let connected = connected.map_err(|error| why(&error))?;
        let (_, session) = connected.get_ref();
        // A session that is resumed is not verified again, and its certificate may have ended since.
        let svid = session.peer_certificates().and_then(<[_]>::first).map(Svid::of);
        if !matches!(svid, Some(Ok(svid)) if svid.is_valid_at(UnixTime::now())) {
            return Err("the certificate of the session has expired".to_owned());
        }
        // What was agreed on is what is spoken.
        let agreed = match self.inside {
            Inside::Http2 => session.alpn_protocol() == Some(b"h2"),
            Inside::Http1 | Inside::Bytes | Inside::Tls => true,
        };
        if agreed { Ok(Wire::Tls(Box::new(connected))) } else { Err("it does not speak HTTP/2".to_owned()) }
    }
}
