//! HTTP/2 and gRPC as a file declares them: between the real compiler and real sockets. (What a connection does in detail is tested where
//! the proxy is: `runtime/proxy/tests/it/http2.rs` and `grpc.rs`.)

use super::flags;
use super::mutual::{EDGE, SHOP};
use h2::client::SendRequest;
use hyper::body::Bytes;
use hyper::header::HeaderMap;
use hyper::{Request, Response};
use mesh_tests::authority::Authority;
use mesh_tests::harness::{Mesh, Upstream, free_address};
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// A gRPC server that answers calls, and questions about its health, as a test says.
struct Server {
    address: String,
    /// The number that its health is: 1 is `SERVING`.
    health: Arc<AtomicUsize>,
    asked: Arc<AtomicUsize>,
    /// How many calls fail before one does not.
    failing: Arc<AtomicUsize>,
    calls: Arc<AtomicUsize>,
}

impl Server {
    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

fn server() -> Server {
    let [health, asked, failing, calls]: [Arc<AtomicUsize>; 4] = Default::default();
    health.store(1, Ordering::SeqCst);
    let answer = {
        let [health, asked, failing, calls] = [&health, &asked, &failing, &calls].map(Arc::clone);
        move |path: &str, _: &[u8]| {
            if path == "/grpc.health.v1.Health/Check" {
                asked.fetch_add(1, Ordering::SeqCst);
                return (vec![0, 0, 0, 0, 2, 8, health.load(Ordering::SeqCst) as u8], 0);
            }
            calls.fetch_add(1, Ordering::SeqCst);
            let fails = failing.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
            if fails.is_ok() { (vec![], 14) } else { (vec![0, 0, 0, 0, 0], 0) }
        }
    };
    Server { address: answering(answer).to_string(), health, asked, failing, calls }
}

/// Starts a gRPC server that answers the bytes of a call to a path with bytes and a status.
pub(super) fn answering(
    answer: impl Fn(&str, &[u8]) -> (Vec<u8>, u16) + Clone + Send + 'static,
) -> SocketAddr {
    accepting(h2::server::Builder::new(), move |request, respond| {
        let answer = answer.clone();
        tokio::task::spawn_local(one_answer(request, respond, answer));
    })
}

/// Starts a server of HTTP/2 whose requests `take` spawns an answer to each.
pub(super) fn accepting(
    builder: h2::server::Builder,
    take: impl Fn(Request<h2::RecvStream>, h2::server::SendResponse<Bytes>) + Clone + Send + 'static,
) -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                let (builder, take) = (builder.clone(), take.clone());
                tokio::task::spawn_local(async move {
                    let Ok(mut connection) = builder.handshake(stream).await else { return };
                    while let Some(Ok((request, respond))) = connection.accept().await {
                        take(request, respond);
                    }
                });
            }
        });
    });
    address
}

async fn one_answer(
    request: Request<h2::RecvStream>,
    mut respond: h2::server::SendResponse<Bytes>,
    answer: impl Fn(&str, &[u8]) -> (Vec<u8>, u16),
) {
    let (head, mut body) = request.into_parts();
    let mut bytes = Vec::new();
    while let Some(Ok(data)) = body.data().await {
        let _ = body.flow_control().release_capacity(data.len());
        bytes.extend_from_slice(&data);
    }
    let (message, status) = answer(head.uri.path(), &bytes);
    let head = Response::builder().header("content-type", "application/grpc");
    let Ok(mut send) = respond.send_response(head.body(()).unwrap(), false) else { return };
    if !message.is_empty() {
        let _ = send.send_data(message.into(), false);
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", status.into());
    let _ = send.send_trailers(trailers);
}

/// What status of HTTP and of gRPC a call with a header ends with.
pub(super) fn call_saying(address: SocketAddr, path: &str, header: (&str, &str)) -> (u16, u16) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let (send, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        one_call(&send, &format!("http://shop.test{path}"), header).await
    })
}

/// Makes calls on one connection: what status of HTTP and of gRPC each ends with, or 99 where it says none.
pub(super) fn call(address: SocketAddr, host: &str, paths: &[&str]) -> Vec<(u16, u16)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let (send, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        let mut ended = Vec::new();
        for path in paths {
            let url = format!("http://{host}{path}");
            let one = one_call(&send, &url, ("te", "trailers"));
            ended.push(tokio::time::timeout(Duration::from_secs(10), one).await.expect("in time"));
        }
        ended
    })
}

async fn one_call(send: &SendRequest<Bytes>, url: &str, (name, value): (&str, &str)) -> (u16, u16) {
    let request = Request::post(url).header("content-type", "application/grpc").header(name, value);
    let request = request.body(()).unwrap();
    let (response, mut body) = send.clone().ready().await.unwrap().send_request(request, false).unwrap();
    let _ = body.send_data(Bytes::from_static(&[0, 0, 0, 0, 0]), true);
    let (head, mut body) = response.await.unwrap().into_parts();
    while let Some(data) = body.data().await {
        let length = data.unwrap().len();
        body.flow_control().release_capacity(length).unwrap();
    }
    let trailers = body.trailers().await.unwrap().unwrap_or_default();
    let status = head.headers.get("grpc-status").or(trailers.get("grpc-status"));
    (head.status.as_u16(), status.map_or(99, |status| status.to_str().unwrap().parse().unwrap()))
}

/// A gateway of HTTP/2 for a gRPC service.
fn mesh(servers: &[&Server], statements: &str) -> Mesh {
    let addresses: Vec<String> = servers.iter().map(|own| format!("\"{}\"", own.address)).collect();
    let text = format!(
        r#"gateway edge {{ listener web port 80 grpc {{ host "*" }} }}
authorize edge {{ allow from anyone }}
route edge {{
  rule cart {{ match grpc shop.Cart; to cart }}
  rule stock {{ match grpc shop.Stock/Count; to cart }}
  otherwise 404
}}
service cart {{
  port 80 grpc
  endpoints static {}
  {statements}
}}
authorize cart {{
  allow from gateway edge to grpc shop.Cart/Add, grpc shop.Stock
}}
"#,
        addresses.join(", ")
    );
    Mesh::start(&text, &[])
}

/// Waits until it holds, within reason.
fn wait_for(what: impl Fn() -> bool) {
    let began = Instant::now();
    while !what() {
        assert!(began.elapsed() < Duration::from_secs(10), "it never holds");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn services_and_methods_of_grpc_are_routed_and_authorized() {
    let cart = server();
    let mesh = mesh(&[&cart], "");
    let paths =
        ["/shop.Cart/Add", "/shop.Cart/Clear", "/shop.Stock/Count", "/shop.Stock/Set", "/other.Cart/Add"];
    let ended = call(mesh.address("edge.default/web"), "shop.test", &paths);
    assert_eq!(ended, [(200, 0), (200, 7), (200, 0), (200, 12), (200, 12)]);
    assert_eq!(cart.calls(), 2);
    assert_eq!(flags(mesh), ["", "UAEX", "", "", ""]);
}

#[test]
fn streams_go_inside_mutual_tls_and_their_caller_is_who_its_certificate_says() {
    for protocol in ["grpc", "http2"] {
        let (authority, cart, called_at) = (Authority::new(), server(), free_address());
        let identities = [EDGE, SHOP].map(|id| authority.identity(id)).to_vec();
        let text = format!(
            r#"mesh m {{ mtls strict }}
gateway edge {{ listener web port 80 {protocol} {{ host "*" }} }}
authorize edge {{ allow from anyone }}
route edge {{ to shop }}
service shop {{ port 80 {protocol}; endpoints static "{called_at}" }}
authorize shop {{ allow from gateway edge to POST /shop.Cart/Add }}
"#
        );
        let text = if protocol == "grpc" { text.replace("POST /", "grpc ") } else { text };
        let mesh = Mesh::start_as(&text, &[], identities, &[("shop", called_at, &*cart.address)]);
        let ended = call(mesh.address("edge.default/web"), "shop", &["/shop.Cart/Add", "/shop.Cart/Clear"]);
        assert_eq!(ended, [(200, 0), (200, 7)], "{protocol}");
        assert_eq!(cart.calls(), 1);
        let mut log = mesh.log();
        log.retain(|line| line.contains("\"entry\":\"shop.default:80\""));
        assert!(
            !log.is_empty() && log.iter().all(|line| line.contains(&format!("\"peer\":\"{EDGE}\""))),
            "{log:?}"
        );
    }
}

#[test]
fn a_sidecar_takes_both_versions_and_each_callee_gets_its_own() {
    let (cart, old) = (server(), Upstream::named("old"));
    let text = format!(
        r#"service web {{ port 80 http; calls cart, old }}
authorize web {{ allow from anyone }}
service cart {{ port 80 grpc; endpoints static "{}" }}
authorize cart {{ allow from web }}
service old {{ port 80 http; endpoints static "{}" }}
authorize old {{ allow from web }}
"#,
        cart.address, old.address
    );
    let mesh = Mesh::start(&text, &["web"]);
    assert_eq!(call(mesh.address("web.default"), "cart", &["/shop.Cart/Add"]), [(200, 0)]);
    assert_eq!(call(mesh.address("web.default"), "old", &["/"]), [(200, 99)], "HTTP/1.1 behind it");
    let mut client = mesh.connect("web.default");
    assert_eq!(client.get("old", "/", &[]).unwrap().0, 200);
    let mut client = std::net::TcpStream::connect(mesh.address("web.default")).unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nhost: cart\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "HTTP/2 behind it: {answer}");
}

#[test]
fn a_call_is_made_again_on_statuses_of_grpc() {
    let cart = server();
    let mesh = mesh(&[&cart], "retry 2 on grpc-unavailable { methods POST; buffer 1KiB }");
    cart.failing.store(2, Ordering::SeqCst);
    assert_eq!(call(mesh.address("edge.default/web"), "a", &["/shop.Cart/Add"]), [(200, 0)]);
    assert_eq!(cart.calls(), 3);
    cart.failing.store(9, Ordering::SeqCst);
    assert_eq!(call(mesh.address("edge.default/web"), "a", &["/shop.Cart/Add"]), [(200, 14)]);
    assert_eq!(cart.calls(), 6);
    assert_eq!(flags(mesh), ["", "URX"]);
}

#[test]
fn who_serves_nothing_gets_no_calls() {
    let (one, two) = (server(), server());
    let mesh = mesh(&[&one, &two], "health-check grpc { interval 100ms; timeout 90ms }");
    let served = |server: &Server| {
        let before = server.calls();
        let ended = call(mesh.address("edge.default/web"), "a", &["/shop.Cart/Add"; 10]);
        assert_eq!(ended, [(200, 0); 10]);
        server.calls() - before
    };
    wait_for(|| one.asked.load(Ordering::SeqCst) > 2 && two.asked.load(Ordering::SeqCst) > 2);
    assert_eq!(served(&one), 5);
    // NOT_SERVING.
    one.health.store(2, Ordering::SeqCst);
    wait_for(|| served(&one) == 0);
    one.health.store(1, Ordering::SeqCst);
    wait_for(|| served(&one) == 5);
}
