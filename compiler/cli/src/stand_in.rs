//! Stand-ins for services that have no endpoints: small HTTP servers, of both versions, and inside TLS where their clients speak it, that say what reached them, make the calls that
//! their service declares, and put the answers into their own, so that one request shows the whole mesh.

use crate::authority::self_signed;
use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use mesh_compiler::case::ExampleCall;
use mesh_compiler::{StandIn, StandIns};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio_rustls::TlsAcceptor;

/// The services that a request has come through: a service that finds itself in it makes no further calls.
const TRAIL: HeaderName = HeaderName::from_static("x-demo-trail");

/// A longer trail ends too: fan-out to this power is the number of calls one request can make.
const MAX_TRAIL: usize = 8;

/// A call takes at most this long, whatever the policy allows: a tree of answers has to come to an end.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// More of an answer is not shown.
const MAX_ANSWER_BYTES: usize = 1 << 20;

/// Headers of one connection or one message (RFC 9110 7.6.1), and those that the call sets itself.
const NOT_PASSED_ON: [HeaderName; 11] = [
    header::CONNECTION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::HOST,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::ACCEPT_ENCODING,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// The stand-ins that run.
pub(crate) struct StandInServers {
    runtime: Handle,
    running: StandIns,
    mesh: Arc<Mesh>,
}

/// What all stand-ins share.
struct Mesh {
    calls: RwLock<Calls>,
    client: Client<HttpConnector, Full<Bytes>>,
    tls: Option<TlsAcceptor>,
}

/// Who calls what, and through which proxy.
#[derive(Default)]
struct Calls {
    declared: BTreeMap<String, Vec<ExampleCall>>,
    /// By the caller's name, and by `CALLER->CALLEE:PORT` where a call has an address of its own.
    ways: BTreeMap<String, SocketAddr>,
}

impl StandInServers {
    /// None yet; they will run on `runtime`.
    pub(crate) fn new(runtime: Handle) -> StandInServers {
        let client = Client::builder(TokioExecutor::new()).build_http();
        let mesh = Arc::new(Mesh { calls: RwLock::default(), client, tls: tls() });
        StandInServers { runtime, running: StandIns::new(), mesh }
    }

    /// Where those that are needed listen; starts the ones that do not run yet. The others keep running: a request may be
    /// on its way to them, and the next save may bring them back, to the same address.
    pub(crate) fn start(&mut self, needed: &[StandIn]) -> io::Result<StandIns> {
        let mut addresses = StandIns::new();
        for stand_in in needed {
            let address = match self.running.get(stand_in) {
                Some(address) => *address,
                None => self.serve(stand_in.clone())?,
            };
            self.running.insert(stand_in.clone(), address);
            addresses.insert(stand_in.clone(), address);
        }
        Ok(addresses)
    }

    /// From now on the stand-ins make these calls, each through the proxy of its service.
    pub(crate) fn route_calls(&self, calls: &[ExampleCall], ways: BTreeMap<String, SocketAddr>) {
        let mut declared: BTreeMap<String, Vec<ExampleCall>> = BTreeMap::new();
        for call in calls {
            declared.entry(call.caller.clone()).or_default().push(call.clone());
        }
        *self.mesh.calls.write().unwrap_or_else(PoisonError::into_inner) = Calls { declared, ways };
    }

    fn serve(&self, stand_in: StandIn) -> io::Result<SocketAddr> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let _runtime = self.runtime.enter();
        let listener = TcpListener::from_std(listener)?;
        self.runtime.spawn(accept(listener, Arc::new(stand_in), self.mesh.clone()));
        Ok(address)
    }
}

async fn accept(listener: TcpListener, stand_in: Arc<StandIn>, mesh: Arc<Mesh>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, most likely: others have to close some first.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        // Answers are short and waited for: a delayed one only makes the mesh look slow.
        let _ = stream.set_nodelay(true);
        let (stand_in, mesh) = (stand_in.clone(), mesh.clone());
        tokio::spawn(async move {
            let mut first = [0];
            let begins = stream.peek(&mut first).await;
            if begins.is_ok() && first == [HANDSHAKE] {
                let Some(acceptor) = mesh.tls.clone() else { return };
                if let Ok(stream) = acceptor.accept(stream).await {
                    speak(stream, &stand_in, &mesh).await;
                }
                return;
            }
            speak(stream, &stand_in, &mesh).await;
        });
    }
}

/// The first byte of a record with a handshake of TLS (RFC 8446 5.1), and of no request of HTTP.
const HANDSHAKE: u8 = 22;

/// What nobody vouches for is good enough for a stand-in: `curl -k`. Without it stand-ins speak in the clear alone.
fn tls() -> Option<TlsAcceptor> {
    let made = self_signed(&["localhost"], CERTIFICATE_LIFETIME).ok()?;
    let chain = CertificateDer::pem_slice_iter(made.chain.as_bytes()).collect::<Result<Vec<_>, _>>().ok()?;
    let key = PrivateKeyDer::from_pem_slice(made.key.as_bytes()).ok()?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().ok()?;
    let mut config = builder.with_no_client_auth().with_single_cert(chain, key).ok()?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Some(TlsAcceptor::from(Arc::new(config)))
}

/// As long as a person may leave a session running.
const CERTIFICATE_LIFETIME: Duration = Duration::from_secs(365 * 24 * 60 * 60);

async fn speak(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    stand_in: &Arc<StandIn>,
    mesh: &Arc<Mesh>,
) {
    let service = service_fn(|request| {
        let (stand_in, mesh) = (stand_in.clone(), mesh.clone());
        async move { Ok::<_, Infallible>(answer(&stand_in, &mesh, request).await) }
    });
    // A connection that breaks is the proxy's business, not the stand-in's.
    let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
}

/// What a stand-in says.
#[derive(Serialize)]
struct Answer<'a> {
    service: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    subset: Option<&'a str>,
    method: &'a str,
    path: &'a str,
    headers: BTreeMap<&'a str, String>,
    calls: Vec<Called>,
}

/// A call that it made, and what came of it.
#[derive(Serialize)]
struct Called {
    call: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Value::is_null")]
    body: Value,
}

async fn answer(stand_in: &StandIn, mesh: &Mesh, request: Request<Incoming>) -> Response<Answered> {
    let (head, mut body) = request.into_parts();
    if head.headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(GRPC)) {
        return match head.uri.path() {
            CHECK => said(OK),
            SHOULD_RATE_LIMIT => said(BELOW),
            HEALTH => said(SERVING),
            _ => unimplemented(stand_in),
        };
    }
    // Read to its end, so that the connection can be used again.
    while let Some(Ok(_)) = body.frame().await {}
    let mut calls = Vec::new();
    if let Some(headers) = headers_for_calls(&stand_in.service, &head.headers) {
        for (call, sidecar) in mesh.calls_of(&stand_in.service) {
            calls.push(make(mesh, &call, sidecar, &headers).await);
        }
    }
    let answer = Answer {
        service: &stand_in.service,
        subset: stand_in.subset.as_deref(),
        method: head.method.as_str(),
        path: head.uri.path_and_query().map_or("/", |path| path.as_str()),
        headers: shown(&head.headers),
        calls,
    };
    let mut text =
        serde_json::to_vec_pretty(&answer).expect("an answer has string keys and no other way to fail");
    text.push(b'\n');
    let mut response = Response::new(Full::new(Bytes::from(text)).boxed());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The body of an answer.
type Answered = BoxBody<Bytes, Infallible>;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
/// What calls of gRPC say they are.
const GRPC: &[u8] = b"application/grpc";

/// A call of gRPC has arrived, and nobody here knows what it means: status 12, with the name of the service.
fn unimplemented(stand_in: &StandIn) -> Response<Answered> {
    let mut response = Response::new(Full::default().boxed());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(GRPC_STATUS, HeaderValue::from_static("12"));
    if let Ok(message) = HeaderValue::try_from(format!("{} is a stand-in", stand_in.service)) {
        headers.insert("grpc-message", message);
    }
    response
}

/// How an authority of gRPC is asked (`spec/semantics.md` 12.4).
const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";

/// `CheckResponse { status { code: OK } }`, behind its length.
const OK: &[u8] = &[0, 0, 0, 0, 2, 0x0a, 0];

/// How a `rate-limiter` is asked (`spec/semantics.md` 11.11a).
const SHOULD_RATE_LIMIT: &str = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit";

/// `RateLimitResponse { overall_code: OK }`, behind its length.
const BELOW: &[u8] = &[0, 0, 0, 0, 2, 0x08, 1];

/// How a service is asked whether it is well (`spec/semantics.md` 11.21).
const HEALTH: &str = "/grpc.health.v1.Health/Check";

/// `HealthCheckResponse { status: SERVING }`, behind its length.
const SERVING: &[u8] = &[0, 0, 0, 0, 2, 0x08, 1];

/// What who only stands in says of everything that it is asked, as in tests (`spec/semantics.md` 13.9): yes.
fn said(message: &'static [u8]) -> Response<Answered> {
    let trailers = HeaderMap::from_iter([(GRPC_STATUS, HeaderValue::from_static("0"))]);
    let body = Full::new(Bytes::from_static(message)).with_trailers(async move { Some(Ok(trailers)) });
    let mut response = Response::new(body.boxed());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

fn shown(headers: &HeaderMap) -> BTreeMap<&str, String> {
    let mut shown: BTreeMap<&str, String> = BTreeMap::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        shown
            .entry(name.as_str())
            .and_modify(|values| *values = format!("{values}, {value}"))
            .or_insert(value.into());
    }
    shown
}

/// The headers of a received request as its service passes them on; `None` where the request has come far enough.
fn headers_for_calls(service: &str, received: &HeaderMap) -> Option<HeaderMap> {
    let trail = received.get(&TRAIL).and_then(|trail| trail.to_str().ok()).unwrap_or_default();
    let mut steps: Vec<&str> = trail.split_whitespace().collect();
    if steps.contains(&service) || steps.len() >= MAX_TRAIL {
        return None;
    }
    steps.push(service);
    let mut headers = received.clone();
    for name in NOT_PASSED_ON {
        headers.remove(name);
    }
    headers.insert(TRAIL, HeaderValue::from_str(&steps.join(" ")).ok()?);
    Some(headers)
}

impl Mesh {
    /// The calls that a service declares, with the proxy they go through. The lock is not held while they are made.
    fn calls_of(&self, service: &str) -> Vec<(ExampleCall, Option<SocketAddr>)> {
        let calls = self.calls.read().unwrap_or_else(PoisonError::into_inner);
        let way = |call: &ExampleCall| {
            let own = calls.ways.get(&format!("{service}->{}:{}", call.host, call.port));
            own.or_else(|| calls.ways.get(service)).copied()
        };
        calls.declared.get(service).into_iter().flatten().map(|call| (call.clone(), way(call))).collect()
    }
}

async fn make(mesh: &Mesh, call: &ExampleCall, sidecar: Option<SocketAddr>, headers: &HeaderMap) -> Called {
    let host = format!("{}:{}", call.host, call.port);
    let text = format!("{} http://{host}{}", call.method, call.path);
    let result = match sidecar {
        None => Err("the service has no proxy yet".to_owned()),
        Some(sidecar) => {
            match tokio::time::timeout(CALL_TIMEOUT, send(mesh, call, sidecar, &host, headers)).await {
                Ok(result) => result,
                Err(_) => Err(format!("no answer within {} s", CALL_TIMEOUT.as_secs())),
            }
        }
    };
    match result {
        Ok((status, body)) => Called { call: text, status: Some(status), error: None, body },
        Err(error) => Called { call: text, status: None, error: Some(error), body: Value::Null },
    }
}

async fn send(
    mesh: &Mesh,
    call: &ExampleCall,
    sidecar: SocketAddr,
    host: &str,
    headers: &HeaderMap,
) -> Result<(u16, Value), String> {
    let mut request = Request::builder()
        .method(call.method.as_str())
        .uri(format!("http://{sidecar}{}", call.path))
        .header(header::HOST, host)
        .body(Full::default())
        .map_err(|error| error.to_string())?;
    request.headers_mut().extend(headers.clone());
    let response = mesh.client.request(request).await.map_err(|error| error.to_string())?;
    let status = response.status().as_u16();
    let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES).collect().await;
    let body = body.map_err(|error| error.to_string())?.to_bytes();
    Ok((status, value(&body)))
}

/// An answer that is JSON is shown as JSON, another as text.
fn value(body: &[u8]) -> Value {
    match serde_json::from_slice(body) {
        Ok(value) => value,
        Err(_) if body.is_empty() => Value::Null,
        Err(_) => Value::String(String::from_utf8_lossy(body).trim_end().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpStream;

    fn stand_in(service: &str, subset: Option<&str>) -> StandIn {
        StandIn { service: service.into(), port: 80, subset: subset.map(str::to_owned) }
    }

    fn call(caller: &str, host: &str) -> ExampleCall {
        ExampleCall {
            caller: caller.into(),
            host: host.into(),
            port: 80,
            method: "GET".into(),
            path: "/from-a-call".into(),
        }
    }

    fn get(address: SocketAddr, headers: &str) -> Value {
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "GET /a?b HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n").unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        serde_json::from_str(response.split_once("\r\n\r\n").unwrap().1).unwrap()
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
    }

    #[test]
    fn an_answer_says_what_arrived_and_holds_the_answers_to_its_calls() {
        let runtime = runtime();
        let mut servers = StandInServers::new(runtime.handle().clone());
        let (web, cart) = (stand_in("web.default", None), stand_in("cart.default", Some("v1")));
        let addresses = servers.start(&[web.clone(), cart.clone()]).unwrap();
        // The callee's own address stands for the caller's proxy.
        let sidecars = BTreeMap::from([("web.default".to_owned(), addresses[&cart])]);
        let calls = [call("web.default", "cart.default"), call("cart.default", "db.default")];
        servers.route_calls(&calls, sidecars);

        let answer = get(addresses[&web], "end-user: jason\r\ncontent-length: 0\r\n");
        assert_eq!(answer["path"], "/a?b");
        assert_eq!(answer["headers"]["end-user"], "jason");
        let keys: Vec<_> = answer.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["service", "method", "path", "headers", "calls"]);

        let called = &answer["calls"][0];
        assert_eq!(called["call"], "GET http://cart.default:80/from-a-call");
        assert_eq!(called["status"], 200);
        assert_eq!(called["body"]["subset"], "v1");
        assert_eq!(called["body"]["headers"]["host"], "cart.default:80");
        assert_eq!(called["body"]["headers"]["end-user"], "jason");
        assert_eq!(called["body"]["headers"]["content-length"], Value::Null);
        assert_eq!(called["body"]["calls"][0]["error"], "the service has no proxy yet");
    }

    #[test]
    fn calls_in_a_circle_end() {
        let runtime = runtime();
        let mut servers = StandInServers::new(runtime.handle().clone());
        let web = stand_in("web.default", None);
        let addresses = servers.start(std::slice::from_ref(&web)).unwrap();
        let sidecars = BTreeMap::from([("web.default".to_owned(), addresses[&web])]);
        servers.route_calls(&[call("web.default", "web.default")], sidecars);
        let answer = get(addresses[&web], "");
        assert_eq!(answer["calls"][0]["body"]["calls"], Value::Array(vec![]));
    }

    #[test]
    fn a_stand_in_keeps_its_address() {
        let runtime = runtime();
        let mut servers = StandInServers::new(runtime.handle().clone());
        let (web, cart) = (stand_in("web.default", None), stand_in("cart.default", None));
        let first = servers.start(std::slice::from_ref(&web)).unwrap();
        assert_eq!(servers.start(std::slice::from_ref(&cart)).unwrap().len(), 1, "only what is needed");
        assert_eq!(servers.start(std::slice::from_ref(&web)).unwrap(), first);
    }

    #[test]
    fn both_versions_of_http_are_answered() {
        let runtime = runtime();
        let mut servers = StandInServers::new(runtime.handle().clone());
        let cart = stand_in("cart.default", None);
        let addresses = servers.start(std::slice::from_ref(&cart)).unwrap();
        assert_eq!(get(addresses[&cart], "")["service"], "cart.default");
        let mut stream = TcpStream::connect(addresses[&cart]).unwrap();
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").unwrap();
        let mut frame = [0; 9];
        stream.read_exact(&mut frame).unwrap();
        assert_eq!(frame[3], 4, "its settings (RFC 9113 6.5)");
    }
    #[test]
    fn an_authority_of_grpc_that_stands_in_says_yes_and_nothing_else_is_known_to_it() {
        let runtime = runtime();
        let mut servers = StandInServers::new(runtime.handle().clone());
        let opa = stand_in("opa.default", None);
        let address = servers.start(std::slice::from_ref(&opa)).unwrap()[&opa];
        let said = |path: &str| {
            let mut stream = TcpStream::connect(address).unwrap();
            let head = format!("POST {path} HTTP/1.1\r\nhost: opa\r\ncontent-type: application/grpc\r\n");
            stream.write_all(format!("{head}te: trailers\r\nconnection: close\r\n\r\n").as_bytes()).unwrap();
            let mut said = Vec::new();
            stream.read_to_end(&mut said).unwrap();
            said
        };
        assert!(said(CHECK).windows(OK.len()).any(|part| part == OK));
        assert!(said(SHOULD_RATE_LIMIT).windows(BELOW.len()).any(|part| part == BELOW));
        assert!(said(HEALTH).windows(SERVING.len()).any(|part| part == SERVING));
        assert!(String::from_utf8_lossy(&said("/a.B/C")).contains("grpc-status: 12"));
    }
}
