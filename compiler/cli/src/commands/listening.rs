//! Sockets of commands that answer over HTTP or HTTPS, and files of theirs that are replaced meanwhile.

use crate::failure::{Failure, reason};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::fs;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Proxies keep a connection each while they wait.
const MAX_CONNECTIONS: usize = 20_000;
/// A handshake has to be over in this time.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// A question has to arrive in this time.
pub(super) const HEAD_TIME: Duration = Duration::from_secs(10);
/// When files run out, accepting at once again would only spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

pub(super) type Answer = Response<Full<Bytes>>;

/// Who asks.
pub(super) struct Asker {
    pub(super) address: SocketAddr,
    /// What it showed, verified as the server's configuration says.
    pub(super) certificate: Option<CertificateDer<'static>>,
}

/// Whoever answers questions.
pub(super) trait Answers: Send + Sync + 'static {
    /// Whether a connection may bring more than one question.
    const KEEP_ALIVE: bool = true;
    /// How long a connection may bring nothing.
    const REST: Duration = HEAD_TIME;

    fn answer(&self, request: Request<Incoming>, asker: Asker) -> impl Future<Output = Answer> + Send;

    /// Hears that a handshake failed.
    fn failed(&self, _: SocketAddr, _: &str) {}
}

/// How TLS is spoken: what it is now, for connections that begin now. `None`: it is not.
pub(super) type Tls = Option<watch::Receiver<TlsAcceptor>>;

/// A server's certificate and key, PEM.
pub(super) fn tls(certificate: &Path, key: &Path) -> Result<watch::Receiver<TlsAcceptor>, Failure> {
    let failed = |path: &Path, why: &dyn std::fmt::Display| {
        let message = format!("cannot use `{}`: {why}", path.display());
        Failure::new(message, "Give a certificate chain and its private key, both PEM.")
    };
    let chain: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(certificate).map_err(|error| failed(certificate, &error))?.collect();
    let chain = chain.map_err(|error| failed(certificate, &error))?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| failed(key, &error))?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(certificate, &error))?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(|error| failed(certificate, &error))?;
    // Nobody replaces it: what is received stays the last value.
    Ok(watch::channel(TlsAcceptor::from(Arc::new(config))).1)
}

/// Opens a port.
pub(super) async fn bind(address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| {
        let message = format!("cannot listen on {address}: {}", reason(&error));
        Failure::new(message, "Choose another address with --listen.")
    })
}

/// Answers until the process ends.
pub(super) async fn accept(listener: TcpListener, tls: Tls, answers: Arc<impl Answers>) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let place = places.clone().acquire_owned().await;
        let Ok((stream, address)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let tls = tls.as_ref().map(|tls| tls.borrow().clone());
        let answers = answers.clone();
        tokio::spawn(async move {
            let _place = place;
            let Some(tls) = tls else { return serve(stream, address, None, answers).await };
            match timeout(HANDSHAKE_TIME, tls.accept(stream)).await {
                Ok(Ok(stream)) => {
                    let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first).cloned();
                    let certificate = certificate.map(CertificateDer::into_owned);
                    serve(stream, address, certificate, answers).await;
                }
                Ok(Err(error)) => answers.failed(address, &error.to_string()),
                Err(_) => answers.failed(address, "the handshake took too long"),
            }
        });
    }
}

async fn serve<A: Answers>(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    address: SocketAddr,
    certificate: Option<CertificateDer<'static>>,
    answers: Arc<A>,
) {
    let answer = service_fn(|request: Request<Incoming>| {
        let (answers, asker) = (answers.clone(), Asker { address, certificate: certificate.clone() });
        async move { Ok::<_, Infallible>(answers.answer(request, asker).await) }
    });
    let mut builder = Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(A::REST).keep_alive(A::KEEP_ALIVE);
    let _ = builder.serve_connection(TokioIo::new(stream), answer).await;
}

/// An answer in words.
pub(super) fn text(status: StatusCode, text: String) -> Answer {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}

/// What changes when another file takes the place or the file is written to.
pub(super) fn stamp(path: &Path) -> io::Result<(u64, u64, Option<SystemTime>)> {
    let found = fs::metadata(path)?;
    Ok((found.ino(), found.len(), found.modified().ok()))
}
