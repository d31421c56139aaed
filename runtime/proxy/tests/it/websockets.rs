//! WebSockets to endpoints of HTTP/2 (RFC 8441): from clients of both versions, to servers that take them, refuse them, break them off, or know
//! nothing of them.

use crate::binary::{Running, command, directory, put};
use crate::bounds::alone;
use crate::plans::{Mesh, mesh, retries};
use crate::streams::{client, get, write};
use crate::wire::free_port;
use crate::{config, proxy};
use h2::client::SendRequest;
use h2::ext::Protocol as Asked;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use hyper::body::Bytes;
use hyper::http::request::Parts;
use hyper::{Request, Response};
use mesh_plan::{Breaker, Protocol, Retry, Settings};
use mesh_proxy::{Drained, start};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const H1: Protocol = Protocol::Http;
const H2: Protocol = Protocol::Http2;

/// A server of HTTP/2, and what it has seen.
struct Server {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Parts>>>,
    connections: Arc<AtomicUsize>,
    /// Connections that have ended.
    ended: Arc<AtomicUsize>,
}

impl Server {
    fn seen(&self) -> Vec<Parts> {
        self.seen.lock().unwrap().clone()
    }
}

/// What is said in a stream, either way.
struct Talk {
    hears: RecvStream,
    says: SendStream<Bytes>,
}

impl Talk {
    async fn hear(&mut self) -> Option<Result<Bytes, h2::Error>> {
        let heard = self.hears.data().await?;
        if let Ok(bytes) = &heard {
            self.hears.flow_control().release_capacity(bytes.len()).unwrap();
        }
        Some(heard)
    }

    /// All that comes until the end, of the stream or of everything.
    async fn all(&mut self) -> (Vec<u8>, Option<h2::Error>) {
        let mut all = Vec::new();
        while let Some(heard) = self.hear().await {
            match heard {
                Ok(bytes) => all.extend_from_slice(&bytes),
                Err(error) => return (all, Some(error)),
            }
        }
        (all, None)
    }
}

/// How a server begins: with what settings.
#[derive(Clone, Copy)]
enum Says {
    /// That its streams may ask for another protocol.
    Allowed,
    Nothing,
}

/// Serves streams that ask for a WebSocket by a function; answers 200 and `hello` to all others.
fn server<F: Future<Output = ()> + 'static>(
    says: Says,
    does: impl Fn(SendResponse<Bytes>, RecvStream) -> F + Send + 'static,
) -> Server {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server { address, seen: Arc::default(), connections: Arc::default(), ended: Arc::default() };
    let (seen, connections, ended) = (server.seen.clone(), server.connections.clone(), server.ended.clone());
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let does = &*Box::leak(Box::new(does));
        tokio::task::LocalSet::new().block_on(&runtime, async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                connections.fetch_add(1, Ordering::SeqCst);
                let (seen, ended) = (seen.clone(), ended.clone());
                tokio::task::spawn_local(async move {
                    let mut builder = h2::server::Builder::new();
                    if let Says::Allowed = says {
                        builder.enable_connect_protocol();
                    }
                    let mut connection = builder.handshake(stream).await.unwrap();
                    while let Some(Ok((request, mut respond))) = connection.accept().await {
                        let (parts, body) = request.into_parts();
                        let is_asked = parts.extensions.get::<Asked>().is_some();
                        seen.lock().unwrap().push(parts);
                        if is_asked {
                            tokio::task::spawn_local(does(respond, body));
                        } else {
                            let mut send = respond.send_response(Response::new(()), false).unwrap();
                            send.send_data("hello".into(), true).unwrap();
                        }
                    }
                    ended.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
    });
    server
}

/// Agrees, with what is behind the head.
fn agree(respond: &mut SendResponse<Bytes>, hears: RecvStream) -> Talk {
    let head = Response::builder()
        .header("sec-websocket-protocol", "chat")
        .header("sec-websocket-accept", "nothing that was asked");
    let says = respond.send_response(head.body(()).unwrap(), false).unwrap();
    Talk { hears, says }
}

/// Greets, sends back what it hears in capitals, and says goodbye.
async fn echo(mut respond: SendResponse<Bytes>, hears: RecvStream) {
    let mut talk = agree(&mut respond, hears);
    write(&mut talk.says, "hi;".into()).await;
    while let Some(Ok(bytes)) = talk.hear().await {
        if !write(&mut talk.says, bytes.to_ascii_uppercase().into()).await {
            return;
        }
    }
    let _ = talk.says.send_data("bye".into(), true);
}

/// Answers with a status and a text.
async fn answer(mut respond: SendResponse<Bytes>, status: u16, text: &'static str) {
    let head = Response::builder().status(status).header("content-length", text.len());
    let mut says = respond.send_response(head.body(()).unwrap(), false).unwrap();
    says.send_data(text.into(), true).unwrap();
}

fn before(server: &Server, clients: Protocol) -> Mesh {
    mesh().to("shop", server.address).websocket().speaks(clients, H2)
}

fn idle(milliseconds: u32) -> Settings {
    Settings { idle_timeout: Some(Some(milliseconds)), ..Settings::default() }
}

const HANDSHAKE: &[u8] = b"GET /shop/live?a=b HTTP/1.1\r\nhost: shop.test\r\nconnection: keep-alive, Upgrade\r\nupgrade: websocket\r\n\
    sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\nsec-websocket-protocol: chat, talk\r\n\
    sec-websocket-extensions: permessage-deflate\r\n\r\n";

/// A client of HTTP/1.1 that has asked, and the head that it got.
fn shake_hands(edge: SocketAddr) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(edge).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(HANDSHAKE).unwrap();
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        let mut byte = [0];
        assert_eq!(stream.read(&mut byte).unwrap(), 1, "{head}");
        head.push(char::from(byte[0]));
    }
    (stream, head.to_ascii_lowercase())
}

#[track_caller]
fn reads(stream: &mut TcpStream, expected: &str) {
    let mut bytes = vec![0; expected.len()];
    stream.read_exact(&mut bytes).unwrap();
    assert_eq!(String::from_utf8_lossy(&bytes), expected);
}

/// Asks on a stream: the answer's head, and what is said after it.
async fn ask(send: &SendRequest<Bytes>) -> Result<(Response<()>, Talk), h2::Error> {
    let mut send = send.clone().ready().await?;
    while !send.is_extended_connect_protocol_enabled() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let request = Request::builder().method("CONNECT").uri("http://shop.test/shop/live?a=b");
    let mut request = request.header("sec-websocket-version", "13").body(()).unwrap();
    request.extensions_mut().insert(Asked::from_static("websocket"));
    let (response, says) = send.send_request(request, false)?;
    let (head, hears) = response.await?.into_parts();
    Ok((Response::from_parts(head, ()), Talk { hears, says }))
}

/// What the endpoint is asked, whoever asks.
#[track_caller]
fn is_rfc_8441(asked: &Parts) {
    assert_eq!(asked.method, "CONNECT");
    assert_eq!(asked.extensions.get::<Asked>().map(Asked::as_str), Some("websocket"));
    assert_eq!(asked.uri, "http://shop.test/shop/live?a=b");
    for gone in
        ["connection", "upgrade", "host", "content-length", "sec-websocket-key", "sec-websocket-accept"]
    {
        assert!(!asked.headers.contains_key(gone), "{gone}");
    }
    let header = |name: &str| asked.headers.get(name).map(|value| value.to_str().unwrap());
    assert_eq!((header("sec-websocket-version"), header("x-forwarded-for")), (Some("13"), Some("127.0.0.1")));
}

#[test]
fn a_request_of_http1_becomes_a_websocket_on_a_stream_of_its_endpoint() {
    let shop = server(Says::Allowed, echo);
    let (_proxy, edge) = proxy(before(&shop, H1).view());
    let (mut stream, head) = shake_hands(edge);
    assert!(head.starts_with("http/1.1 101 "), "{head}");
    for line in [
        "connection: upgrade",
        "upgrade: websocket",
        "sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=",
        "sec-websocket-protocol: chat",
    ] {
        assert_eq!(head.matches(&format!("\r\n{line}\r\n")).count(), 1, "{line} in {head}");
    }
    assert_eq!(head.matches("sec-websocket-accept").count(), 1, "{head}");
    assert!(!head.contains("content-length"), "{head}");
    reads(&mut stream, "hi;");
    for _ in 0..3 {
        stream.write_all(b"what looks like GET / HTTP/1.1\r\n\r\n is none").unwrap();
        reads(&mut stream, "WHAT LOOKS LIKE GET / HTTP/1.1\r\n\r\n IS NONE");
    }
    // One side ends, and hears the other one to its end.
    stream.shutdown(Shutdown::Write).unwrap();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "bye");
    let asked = &shop.seen()[0];
    is_rfc_8441(asked);
    assert_eq!(asked.headers["sec-websocket-protocol"], "chat, talk");
    assert_eq!(asked.headers["sec-websocket-extensions"], "permessage-deflate");
}

#[test]
fn what_a_client_says_before_it_is_answered_is_said_behind_the_answer() {
    let shop = server(Says::Allowed, async |respond, hears: RecvStream| {
        tokio::time::sleep(Duration::from_millis(200)).await;
        echo(respond, hears).await;
    });
    let (_proxy, edge) = proxy(before(&shop, H1).view());
    let mut stream = TcpStream::connect(edge).unwrap();
    stream.write_all(&[HANDSHAKE, b"early"].concat()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut heard = String::new();
    while !heard.ends_with("EARLY") {
        let mut byte = [0];
        assert_eq!(stream.read(&mut byte).unwrap(), 1, "{heard}");
        heard.push(char::from(byte[0]));
    }
    assert!(heard.starts_with("HTTP/1.1 101 ") && heard.ends_with("\r\n\r\nhi;EARLY"), "{heard}");
}

#[test]
fn a_stream_becomes_a_websocket_on_a_stream_of_its_endpoint() {
    let shop = server(Says::Allowed, echo);
    let (_proxy, edge) = proxy(before(&shop, H2).view());
    client(edge, async |send| {
        let (head, mut talk) = ask(&send).await.unwrap();
        assert_eq!(head.status(), 200);
        for gone in ["connection", "upgrade", "sec-websocket-accept", "content-length"] {
            assert!(!head.headers().contains_key(gone), "{head:?}");
        }
        assert_eq!(head.headers()["sec-websocket-protocol"], "chat");
        talk.says.send_data("hello".into(), true).unwrap();
        assert_eq!(talk.all().await.0, b"hi;HELLObye");
    });
    is_rfc_8441(&shop.seen()[0]);
}

#[test]
fn an_endpoint_that_knows_nothing_of_it_is_not_asked() {
    let shop = server(Says::Nothing, async |_, _| panic!("it is not asked"));
    let (_proxy, edge) = proxy(before(&shop, H1).view());
    let (mut stream, head) = shake_hands(edge);
    assert!(head.starts_with("http/1.1 502 "), "{head}");
    reads(&mut stream, "the upstream's streams become no WebSockets");
    stream.write_all(b"GET /shop HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").unwrap();
    let mut heard = String::new();
    stream.read_to_string(&mut heard).unwrap();
    assert!(heard.starts_with("HTTP/1.1 200 ") && heard.contains("hello"), "{heard}");
    let (_proxy, edge) = proxy(before(&shop, H2).view());
    client(edge, async |send| {
        assert_eq!(ask(&send).await.unwrap().0.status(), 502);
        assert_eq!(get(&send, "/shop").await.unwrap().text(), "hello");
    });
    assert_eq!(shop.seen().len(), 2, "the requests that are no WebSockets");
}

#[test]
fn a_refusal_is_an_answer_and_the_connection_goes_on() {
    let shop = server(Says::Allowed, async |respond, _| answer(respond, 403, "not you").await);
    let (_proxy, edge) = proxy(before(&shop, H1).view());
    let (mut stream, head) = shake_hands(edge);
    assert!(head.starts_with("http/1.1 403 "), "{head}");
    reads(&mut stream, "not you");
    stream.write_all(b"GET /shop HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    reads(&mut stream, "HTTP/1.1 200 ");
    let (_proxy, edge) = proxy(before(&shop, H2).view());
    client(edge, async |send| {
        let (head, mut talk) = ask(&send).await.unwrap();
        assert_eq!((head.status().as_u16(), talk.all().await.0.as_slice()), (403, &b"not you"[..]));
    });
}

#[test]
fn a_success_that_opens_no_tunnel_is_no_answer() {
    let shop = server(Says::Allowed, async |respond, _| answer(respond, 201, "made").await);
    let (_proxy, edge) = proxy(before(&shop, H1).view());
    let (_, head) = shake_hands(edge);
    assert!(head.starts_with("http/1.1 502 "), "{head}");
    let (_proxy, edge) = proxy(before(&shop, H2).view());
    client(edge, async |send| assert_eq!(ask(&send).await.unwrap().0.status(), 502));
}

#[test]
fn a_reset_is_an_error_before_the_answer_and_an_end_behind_it() {
    let never = server(Says::Allowed, async |mut respond: SendResponse<Bytes>, _| {
        respond.send_reset(Reason::INTERNAL_ERROR);
    });
    let (_proxy, edge) = proxy(before(&never, H1).view());
    assert!(shake_hands(edge).1.starts_with("http/1.1 502 "));
    let (_proxy, edge) = proxy(before(&never, H2).view());
    client(edge, async |send| assert_eq!(ask(&send).await.unwrap().0.status(), 502));

    let later = server(Says::Allowed, async |mut respond, hears| {
        let mut talk = agree(&mut respond, hears);
        write(&mut talk.says, "hi;".into()).await;
        assert_eq!(talk.hear().await.unwrap().unwrap(), "go");
        talk.says.send_reset(Reason::INTERNAL_ERROR);
    });
    let (_proxy, edge) = proxy(before(&later, H1).view());
    let (mut stream, _) = shake_hands(edge);
    reads(&mut stream, "hi;");
    stream.write_all(b"go").unwrap();
    assert_eq!(stream.read(&mut [0; 9]).unwrap_or(0), 0, "it is closed");
    let (_proxy, edge) = proxy(before(&later, H2).view());
    client(edge, async |send| {
        let (_, mut talk) = ask(&send).await.unwrap();
        talk.says.send_data("go".into(), false).unwrap();
        assert_eq!(talk.all().await.0, b"hi;");
    });
}

#[test]
fn a_client_that_goes_away_ends_the_stream_of_the_endpoint() {
    let (tell, told) = std::sync::mpsc::channel();
    let shop = server(Says::Allowed, move |mut respond, hears| {
        let tell = tell.clone();
        async move {
            let mut talk = agree(&mut respond, hears);
            write(&mut talk.says, "hi;".into()).await;
            let heard = talk.all().await.0;
            let _ = tell.send(heard);
        }
    });
    let (_proxy, edge) = proxy(before(&shop, H1).view());
    let (mut stream, _) = shake_hands(edge);
    reads(&mut stream, "hi;");
    stream.write_all(b"last").unwrap();
    drop(stream);
    assert_eq!(told.recv_timeout(Duration::from_secs(10)).unwrap(), b"last");
    let (_proxy, edge) = proxy(before(&shop, H2).view());
    client(edge, async |send| {
        let (_, mut talk) = ask(&send).await.unwrap();
        talk.says.send_data("last".into(), false).unwrap();
        assert_eq!(talk.hear().await.unwrap().unwrap(), "hi;");
        talk.says.send_reset(Reason::CANCEL);
        // What is sent before a reset may be lost with it.
        let told = tokio::task::spawn_blocking(move || told.recv_timeout(Duration::from_secs(10)));
        assert!(told.await.unwrap().is_ok());
    });
}

/// More than the windows, and what kernels keep for a connection.
const MUCH: usize = 64 << 20;

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8).collect()
}

#[test]
fn what_a_slow_endpoint_has_not_taken_stays_with_the_client() {
    let (go, gone) = (Arc::new(tokio::sync::Notify::new()), Arc::new(AtomicUsize::new(0)));
    let shop = {
        let (go, gone) = (go.clone(), gone.clone());
        server(Says::Allowed, move |mut respond, hears| {
            let (go, gone) = (go.clone(), gone.clone());
            async move {
                let mut talk = agree(&mut respond, hears);
                write(&mut talk.says, "hi;".into()).await;
                go.notified().await;
                let heard = talk.all().await.0;
                assert!(heard == pattern(MUCH), "{}", heard.len());
                gone.store(heard.len(), Ordering::SeqCst);
                talk.says.send_data("bye".into(), true).unwrap();
            }
        })
    };
    let (_proxy, edge) = proxy(before(&shop, H1).view());
    let (mut stream, _) = shake_hands(edge);
    reads(&mut stream, "hi;");
    let all = pattern(MUCH);
    stream.set_nonblocking(true).unwrap();
    let (mut taken, mut last) = (0, Instant::now());
    while last.elapsed() < Duration::from_millis(500) {
        match stream.write(&all[taken..]) {
            Ok(count) => (taken, last) = (taken + count, Instant::now()),
            Err(_) => std::thread::sleep(Duration::from_millis(10)),
        }
    }
    assert!(taken < MUCH / 2, "{taken} bytes were taken of who reads none");
    stream.set_nonblocking(false).unwrap();
    go.notify_one();
    stream.write_all(&all[taken..]).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    reads(&mut stream, "bye");
    assert_eq!(gone.load(Ordering::SeqCst), MUCH);
}

/// Says much, and how much of it is taken so far.
fn flood() -> (Server, Arc<AtomicUsize>) {
    let taken = Arc::new(AtomicUsize::new(0));
    let counted = taken.clone();
    let shop = server(Says::Allowed, move |mut respond, hears| {
        let counted = counted.clone();
        async move {
            let mut talk = agree(&mut respond, hears);
            for part in pattern(MUCH).chunks(16 * 1024) {
                if !write(&mut talk.says, Bytes::copy_from_slice(part)).await {
                    return;
                }
                counted.fetch_add(part.len(), Ordering::SeqCst);
            }
            let _ = talk.says.send_data(Bytes::new(), true);
        }
    });
    (shop, taken)
}

/// Until nothing more is taken.
fn settled(taken: &AtomicUsize) -> usize {
    loop {
        let before = taken.load(Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(500));
        if taken.load(Ordering::SeqCst) == before {
            return before;
        }
    }
}

#[test]
fn what_a_slow_client_has_not_taken_stays_with_the_endpoint() {
    let (shop, taken) = flood();
    let (_proxy, edge) = proxy(before(&shop, H1).view());
    let (mut stream, _) = shake_hands(edge);
    let taken = settled(&taken);
    assert!(taken < MUCH / 2, "{taken} bytes were taken for who reads none");
    let mut all = Vec::new();
    stream.read_to_end(&mut all).unwrap();
    assert!(all == pattern(MUCH), "{}", all.len());
}

#[test]
fn clients_that_read_nothing_keep_nothing_from_others_of_the_same_connection() {
    const SLOW: usize = 24;
    let (shop, taken) = flood();
    let handle = start(before(&shop, H1).view(), crate::Config { workers: 1, ..config() }).unwrap();
    let edge = handle.addresses()["edge.default/http"];
    let slow: Vec<_> = (0..SLOW).map(|_| shake_hands(edge).0).collect();
    settled(&taken);
    let answer = crate::wire::get(edge, "/shop");
    assert_eq!((answer.status(), answer.text()), (200, "hello"));
    // One that reads gets all of it.
    let (mut reader, _) = shake_hands(edge);
    let mut part = vec![0; 4 << 20];
    reader.read_exact(&mut part).unwrap();
    assert!(part == pattern(part.len()));
    assert_eq!(shop.connections.load(Ordering::SeqCst), 1);
    drop(slow);
}

#[test]
fn a_websocket_ends_at_both_sides_when_it_is_silent_for_too_long() {
    let (tell, told) = std::sync::mpsc::channel();
    let shop = server(Says::Allowed, move |mut respond, hears| {
        let tell = tell.clone();
        async move {
            let mut talk = agree(&mut respond, hears);
            while let Some(Ok(bytes)) = talk.hear().await {
                write(&mut talk.says, bytes).await;
            }
            let _ = tell.send(());
        }
    });
    let (_proxy, edge) = proxy(before(&shop, H1).settings(idle(600)).view());
    let (mut stream, _) = shake_hands(edge);
    let began = Instant::now();
    for _ in 0..4 {
        std::thread::sleep(Duration::from_millis(250));
        stream.write_all(b"x").unwrap();
        reads(&mut stream, "x");
    }
    assert_eq!(stream.read(&mut [0; 9]).unwrap_or(0), 0, "it is closed");
    assert!(began.elapsed() >= Duration::from_millis(1_500), "{:?}", began.elapsed());
    told.recv_timeout(Duration::from_secs(10)).unwrap();
}

#[test]
fn a_websocket_is_a_request_under_way_until_it_ends() {
    let shop = server(Says::Allowed, echo);
    let limit = Breaker { max_requests: Some(1), ..Breaker::default() };
    let settings = Settings { breaker: Some(limit), ..Settings::default() };
    let (_proxy, edge) = proxy(before(&shop, H1).settings(settings).view());
    let (mut stream, _) = shake_hands(edge);
    reads(&mut stream, "hi;");
    assert_eq!(crate::wire::get(edge, "/shop").status(), 503);
    stream.shutdown(Shutdown::Write).unwrap();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    let deadline = Instant::now() + Duration::from_secs(5);
    while crate::wire::get(edge, "/shop").status() != 200 {
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn without_a_word_of_the_rule_it_is_a_request_like_any_other() {
    let shop = server(Says::Allowed, echo);
    let plan = |clients| mesh().to("shop", shop.address).speaks(clients, H2).view();
    let (_proxy, edge) = proxy(plan(H1));
    let (mut stream, head) = shake_hands(edge);
    assert!(head.starts_with("http/1.1 200 ") && !head.contains("upgrade"), "{head}");
    reads(&mut stream, "5\r\nhello\r\n");
    let (_proxy, edge) = proxy(plan(H2));
    client(edge, async |send| assert_eq!(ask(&send).await.unwrap().0.status(), 501));
    let seen = shop.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].method, "GET");
}

#[test]
fn an_endpoint_that_takes_nothing_of_what_is_over_gets_another_connection() {
    let shop = server(Says::Allowed, async |mut respond, hears| {
        let _talk = agree(&mut respond, hears);
        std::future::pending::<()>().await;
    });
    let plan = directory("unread-tunnel").join("shop.mplan");
    put(&before(&shop, H1).settings(idle(300)).listener_port(free_port()), &plan);
    let mut command = command(&plan);
    command.args(["--limit", "stall-time=500ms"]);
    let mut proxy = Running::start(alone(command));
    proxy.opens();
    let (mut stream, _) = shake_hands(proxy.edge);
    // More than the endpoint's window.
    let _ = stream.write_all(&pattern(1 << 20));
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    assert_eq!(crate::wire::get(proxy.edge, "/shop").status(), 200, "others go on");
    let ended = |count| {
        let deadline = Instant::now() + Duration::from_secs(10);
        while shop.ended.load(Ordering::SeqCst) < count {
            assert!(Instant::now() < deadline, "the connection stays");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    ended(1);
    assert_eq!(crate::wire::get(proxy.edge, "/shop").status(), 200);
    assert_eq!(shop.connections.load(Ordering::SeqCst), 2);
}

#[test]
fn settings_that_come_in_pieces_are_waited_for() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_nodelay(true).unwrap();
        stream.read_exact(&mut [0; 24]).unwrap();
        // SETTINGS with one parameter, SETTINGS_ENABLE_CONNECT_PROTOCOL (RFC 8441 9.1).
        stream.write_all(&[0, 0, 6, 4, 0, 0, 0, 0, 0]).unwrap();
        std::thread::sleep(Duration::from_millis(300));
        stream.write_all(&[0, 8, 0, 0, 0, 1]).unwrap();
        loop {
            let mut head = [0; 9];
            stream.read_exact(&mut head).unwrap();
            let length = usize::from(head[1]) << 8 | usize::from(head[2]);
            stream.read_exact(&mut vec![0; length]).unwrap();
            if head[3] == 1 {
                // Of HPACK's own table `:status` of 200, and then data.
                stream.write_all(&[&[0, 0, 1, 1, 4], &head[5..], &[0x88]].concat()).unwrap();
                stream.write_all(&[&[0, 0, 3, 0, 1], &head[5..], b"hi;"].concat()).unwrap();
            }
        }
    });
    let (_proxy, edge) = proxy(mesh().to("shop", address).websocket().speaks(H1, H2).view());
    let (mut stream, head) = shake_hands(edge);
    assert!(head.starts_with("http/1.1 101 "), "{head}");
    reads(&mut stream, "hi;");
}

#[test]
fn a_handshake_is_tried_again_before_there_is_a_websocket_and_not_behind_it() {
    let before_this = Arc::new(AtomicUsize::new(0));
    let shop = server(Says::Allowed, move |mut respond: SendResponse<Bytes>, hears| {
        let before = before_this.fetch_add(1, Ordering::SeqCst);
        async move {
            match before {
                0 => respond.send_reset(Reason::INTERNAL_ERROR),
                1 => {
                    let mut talk = agree(&mut respond, hears);
                    write(&mut talk.says, "hi;".into()).await;
                    assert_eq!(talk.hear().await.unwrap().unwrap(), "go");
                    talk.says.send_reset(Reason::INTERNAL_ERROR);
                }
                _ => panic!("it is asked a third time"),
            }
        }
    });
    let retry = Retry { on_reset: true, ..retries(5) };
    let settings = Settings { retry: Some(Some(retry)), ..Settings::default() };
    let (_proxy, edge) = proxy(before(&shop, H1).settings(settings).view());
    let (mut stream, head) = shake_hands(edge);
    assert!(head.starts_with("http/1.1 101 "), "{head}");
    assert!(head.contains("\r\nsec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n"), "{head}");
    reads(&mut stream, "hi;");
    stream.write_all(b"go").unwrap();
    assert_eq!(stream.read(&mut [0; 9]).unwrap_or(0), 0, "it is closed");
    assert_eq!(shop.seen().len(), 2);
}

#[test]
fn a_drain_waits_for_a_websocket_and_not_for_ever() {
    for (clients, limit, cut) in [(true, 5_000, 0), (false, 300, 1)] {
        let shop = server(Says::Allowed, echo);
        let (proxy, edge) = proxy(before(&shop, H1).view());
        let (mut stream, _) = shake_hands(edge);
        reads(&mut stream, "hi;");
        let began = Instant::now();
        let drained = std::thread::spawn(move || proxy.drain(Duration::from_millis(limit)));
        std::thread::sleep(Duration::from_millis(150));
        stream.write_all(b"hello").unwrap();
        reads(&mut stream, "HELLO");
        if clients {
            stream.shutdown(Shutdown::Write).unwrap();
            reads(&mut stream, "bye");
        }
        assert_eq!(drained.join().unwrap(), Drained { cut });
        assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
        assert_eq!(stream.read(&mut [0; 9]).unwrap_or(0), 0, "it is closed");
    }
}
