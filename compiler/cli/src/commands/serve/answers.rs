//! The questions of proxies and people, over HTTP: `/v1/plan`, `/v1/proxies` and, for reading, `/`.

use super::proxies::{Proxies, Word};
use super::release::{Release, Slice};
use crate::failure::Failure;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use mesh_plan::parts::Wanted;
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
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
/// A question has to arrive in this time, and a handshake to be over.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// No question is kept longer, whatever it asks for.
const MOST_WAIT: Duration = Duration::from_secs(60);
/// When files run out, accepting at once again would only spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// As much as a proxy may say of itself in one header.
const MAX_WORD: usize = 500;
/// As many units as one proxy may serve.
const MAX_WANTED: usize = 100;

/// What all connections share.
pub(super) struct Service {
    release: watch::Sender<Arc<Release>>,
    proxies: Proxies,
}

impl Service {
    pub(super) fn new(release: Release) -> Arc<Service> {
        let (release, _) = watch::channel(Arc::new(release));
        Arc::new(Service { release, proxies: Proxies::default() })
    }

    /// What is handed out now.
    pub(super) fn release(&self) -> Arc<Release> {
        self.release.borrow().clone()
    }

    /// Hands out something else; who waits for it gets it.
    pub(super) fn renew(&self, release: Release) {
        self.release.send_replace(Arc::new(release));
    }

    pub(super) fn proxies(&self) -> &Proxies {
        &self.proxies
    }
}

/// A server's certificate and key, PEM.
pub(super) fn tls(certificate: &Path, key: &Path) -> Result<TlsAcceptor, Failure> {
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
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Answers until the process ends.
pub(super) async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, service: Arc<Service>) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let place = places.clone().acquire_owned().await;
        let Ok((stream, peer)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let (service, tls) = (service.clone(), tls.clone());
        tokio::spawn(async move {
            let _place = place;
            match tls {
                None => serve(stream, peer, service).await,
                Some(tls) => {
                    if let Ok(Ok(stream)) = timeout(HEAD_TIME, tls.accept(stream)).await {
                        serve(stream, peer, service).await;
                    }
                }
            }
        });
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, peer: SocketAddr, service: Arc<Service>) {
    let answer = service_fn(|request: Request<Incoming>| {
        let service = service.clone();
        async move { Ok::<_, Infallible>(answer(&request, peer, &service).await) }
    });
    let mut builder = Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(MOST_WAIT + HEAD_TIME);
    let _ = builder.serve_connection(TokioIo::new(stream), answer).await;
}

async fn answer(request: &Request<Incoming>, peer: SocketAddr, service: &Service) -> Response<Full<Bytes>> {
    if request.method() != Method::GET {
        return text(StatusCode::METHOD_NOT_ALLOWED, "ask with GET\n".to_owned());
    }
    match request.uri().path() {
        "/v1/plan" => plan(request, peer, service).await,
        "/v1/proxies" => {
            let document = service.proxies.document(&service.release());
            let mut response = text(StatusCode::OK, format!("{document:#}\n"));
            let json = HeaderValue::from_static("application/json");
            response.headers_mut().insert(header::CONTENT_TYPE, json);
            response
        }
        "/" => text(StatusCode::OK, service.proxies.table(&service.release())),
        _ => text(StatusCode::NOT_FOUND, "there are /v1/plan, /v1/proxies and /\n".to_owned()),
    }
}

/// What a proxy needs of the plan, at once or when there is another one than it has.
async fn plan(request: &Request<Incoming>, peer: SocketAddr, service: &Service) -> Response<Full<Bytes>> {
    let wanted = match wanted(request.uri().query().unwrap_or_default()) {
        Some(wanted) if !wanted.is_empty() => wanted,
        _ => {
            let line = "say whose plan: ?service=NAME, ?gateway=NAME or ?gateways=all\n".to_owned();
            return text(StatusCode::BAD_REQUEST, line);
        }
    };
    let headers = request.headers();
    if let Some(node) = word(headers, "mesh-node") {
        let rejected = word(headers, "mesh-rejected");
        service.proxies.note(Word {
            node,
            address: peer.ip().to_string(),
            wanted: wanted.clone(),
            applied: word(headers, "mesh-applied"),
            rejected: rejected.map(|etag| (etag, word(headers, "mesh-reason").unwrap_or_default())),
        });
    }
    let known = headers.get(header::IF_NONE_MATCH).and_then(|tags| tags.to_str().ok());
    let known = |slice: &Slice| {
        known.is_some_and(|tags| tags == "*" || tags.split(',').any(|tag| tag.trim() == slice.etag))
    };
    let mut releases = service.release.subscribe();
    let deadline = tokio::time::Instant::now() + wait(headers);
    loop {
        let release = releases.borrow_and_update().clone();
        match release.slice(&wanted) {
            Ok(slice) if known(&slice) => {}
            Ok(slice) => return sliced(StatusCode::OK, &slice, slice.bytes.clone()),
            Err(why) => return text(StatusCode::NOT_FOUND, format!("{}\n", why.line())),
        }
        if tokio::time::timeout_at(deadline, releases.changed()).await.is_err()
            && let Ok(slice) = release.slice(&wanted)
        {
            return sliced(StatusCode::NOT_MODIFIED, &slice, Bytes::new());
        }
    }
}

fn sliced(status: StatusCode, slice: &Slice, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    if let Ok(etag) = HeaderValue::from_str(&slice.etag) {
        headers.insert(header::ETAG, etag);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/vnd.mesh.plan.v1"));
    response
}

/// `Prefer: wait=N` (RFC 7240 4.3), in seconds; without it nobody waits.
fn wait(headers: &HeaderMap) -> Duration {
    let prefer = headers.get("prefer").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let seconds = prefer.split(',').find_map(|preference| preference.trim().strip_prefix("wait="));
    let seconds = seconds.and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(seconds.unwrap_or(0)).min(MOST_WAIT)
}

/// A header of one short line.
fn word(headers: &HeaderMap, name: &str) -> Option<String> {
    let text = headers.get(name)?.to_str().ok()?;
    Some(text.chars().take(MAX_WORD).collect())
}

/// Whose plan a query asks for. `None` where it asks for something else.
fn wanted(query: &str) -> Option<BTreeSet<Wanted>> {
    let mut wanted = BTreeSet::new();
    for (key, value) in form_urlencoded::parse(query.as_bytes()).take(MAX_WANTED) {
        wanted.insert(match (&*key, &*value) {
            ("gateways", "all") => Wanted::Gateways,
            ("gateway", name) if !name.is_empty() => Wanted::Gateway(name.to_owned()),
            ("service", name) if !name.is_empty() => Wanted::Service(name.to_owned()),
            _ => return None,
        });
    }
    Some(wanted)
}

fn text(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_says_whose_plan() {
        let all = wanted("gateways=all&gateway=edge&service=a%26b.x").unwrap();
        let expected = [Wanted::Gateways, Wanted::Gateway("edge".into()), Wanted::Service("a&b.x".into())];
        assert_eq!(all, BTreeSet::from(expected));
        for wrong in ["service", "service=", "gateways=some", "port=80"] {
            assert_eq!(wanted(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn nobody_waits_longer_than_a_minute() {
        for (prefer, seconds) in [("wait=5", 5), ("respond-async, wait=7", 7), ("wait=99999", 60), ("x", 0)] {
            let headers = HeaderMap::from_iter([(
                header::HeaderName::from_static("prefer"),
                HeaderValue::from_static(prefer),
            )]);
            assert_eq!(wait(&headers), Duration::from_secs(seconds), "{prefer}");
        }
    }
}
