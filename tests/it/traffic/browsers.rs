//! What browsers ask for: requests from pages of other origins, and WebSockets.

use super::{behind_edge, flags};
use mesh_tests::harness::{Mesh, Upstream};
use mesh_tests::up::Client;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

fn with_rule(s: &Upstream, rule: &str) -> Mesh {
    let text = behind_edge(&[s], "");
    Mesh::start(
        &text.replace("route edge { to s }", &format!("route edge {{ {rule}\n otherwise 404 }}")),
        &[],
    )
}

const CORS: &str = r#"rule api {
    match GET /api/**
    match POST /api/**
    to s
    cors {
      allow-origins "https://www.example.com", "https://*.shop.example"
      allow-methods GET, POST
      allow-headers "x-token"
      expose-headers "x-total"
      allow-credentials
      max-age 1h
    }
  }
  rule open { match GET /open; to s; cors { allow-origins "*" } }
  rule closed { match /closed; to s }"#;

/// The lines of a response's head, in lower case, that speak of this.
fn said(client: &mut Client, request: &str) -> (u16, Vec<String>) {
    let (line, headers) = request.split_once('\n').unwrap_or((request, ""));
    let headers: String = headers.lines().map(|header| format!("{}\r\n", header.trim())).collect();
    let head = client.head_of(&format!("{line} HTTP/1.1\r\nhost: a\r\n{headers}\r\n")).unwrap();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap();
    let lines = head.lines().filter(|line| line.starts_with("access-control") || line.starts_with("vary"));
    let mut lines: Vec<String> = lines.map(str::to_owned).collect();
    lines.sort();
    (status, lines)
}

#[test]
fn a_preflight_is_answered_before_anybody_is_asked() {
    let s = Upstream::named("s");
    // Nobody may do anything, and a preflight is still answered: it does nothing.
    let text =
        behind_edge(&[&s], "").replace("authorize edge { allow from anyone }", "authorize edge { deny }");
    let text = text.replace("route edge { to s }", &format!("route edge {{ {CORS}\n otherwise 404 }}"));
    let mesh = Mesh::start(&text, &[]);
    let mut client = mesh.connect("edge.default/web");
    let mut ask = |request: &str| said(&mut client, request);
    let allowed = [
        "access-control-allow-credentials: true",
        "access-control-allow-headers: x-token",
        "access-control-allow-methods: get, post",
        "access-control-allow-origin: https://www.example.com",
        "access-control-max-age: 3600",
        "vary: origin",
    ];
    let preflight = |origin: &str, method: &str, path: &str| {
        format!("OPTIONS {path}\norigin: {origin}\naccess-control-request-method: {method}")
    };
    let (status, lines) = ask(&preflight("https://www.example.com", "POST", "/api/x"));
    assert_eq!((status, lines), (204, allowed.map(str::to_owned).to_vec()));
    let (status, lines) = ask(&preflight("https://evil.example", "POST", "/api/x"));
    assert_eq!((status, lines), (204, vec!["vary: origin".to_owned()]), "the browser asks no further");
    let (status, lines) = ask(&preflight("null", "GET", "/open"));
    assert_eq!(status, 204);
    assert_eq!(lines, ["access-control-allow-methods: get", "access-control-allow-origin: *"]);
    // No rule with `cors` would have the request: then it is a request like any other, which nobody may send.
    assert_eq!(ask(&preflight("https://www.example.com", "DELETE", "/api/x")).0, 403);
    assert_eq!(ask(&preflight("https://www.example.com", "GET", "/closed")).0, 403);
    assert_eq!(ask("OPTIONS /api/x\norigin: https://www.example.com").0, 403, "it asks for no method");
    assert_eq!(s.heads().len(), 0);
}

#[test]
fn a_response_says_who_may_read_it() {
    let s = Upstream::named("s");
    let mesh = with_rule(&s, CORS);
    let mut client = mesh.connect("edge.default/web");
    let mut ask = |request: &str| said(&mut client, request);
    let (status, lines) = ask("GET /api/x\norigin: https://a.b.shop.example");
    assert_eq!(status, 200);
    assert_eq!(
        lines,
        [
            "access-control-allow-credentials: true",
            "access-control-allow-origin: https://a.b.shop.example",
            "access-control-expose-headers: x-total",
            "vary: origin"
        ]
    );
    assert_eq!(ask("GET /api/x\norigin: https://shop.example").1, ["vary: origin"]);
    assert_eq!(ask("GET /api/x").1, ["vary: origin"]);
    assert_eq!(ask("GET /open\norigin: https://x.example").1, ["access-control-allow-origin: *"]);
    assert_eq!(ask("GET /closed\norigin: https://x.example").1, [""; 0]);
    assert_eq!(s.heads().len(), 5);
}

/// What agrees to a key (RFC 6455 4.2.2), in base64 (RFC 4648 4).
fn accept(key: &str) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let text = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    let digest = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
    // Twenty bytes, and one of padding.
    let letters = [digest.as_ref(), &[0]].concat().chunks(3).fold(String::new(), |mut letters, group| {
        let word = group.iter().fold(0, |word, byte| word << 8 | usize::from(*byte));
        letters.extend((0..4).map(|place| char::from(LETTERS[word >> (18 - 6 * place) & 63])));
        letters
    });
    format!("{}=", &letters[..27])
}

/// Agrees to become a WebSocket, and then sends back what it gets in capitals. The heads that it heard are kept.
pub(super) fn echo(agrees: bool) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let heads = Arc::new(Mutex::new(Vec::new()));
    let heard = heads.clone();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let heard = heard.clone();
            std::thread::spawn(move || {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    if stream.read(&mut byte).unwrap_or(0) == 0 {
                        return;
                    }
                    head.push(byte[0]);
                }
                let head = String::from_utf8(head).unwrap();
                let key = head.lines().find_map(|line| line.strip_prefix("sec-websocket-key: "));
                let accept = key.map(accept).unwrap_or_default();
                heard.lock().unwrap().push(head.to_ascii_lowercase());
                let answer = match agrees {
                    true => format!(
                        "HTTP/1.1 101 X\r\nconnection: Upgrade\r\nupgrade: WebSocket\r\nsec-websocket-accept: {accept}\r\n\r\nhi;"
                    ),
                    false => "HTTP/1.1 200 X\r\ncontent-length: 2\r\n\r\nno".to_owned(),
                };
                let _ = stream.write_all(answer.as_bytes());
                let mut buffer = [0; 4096];
                while let Ok(count) = stream.read(&mut buffer) {
                    if count == 0 {
                        let _ = stream.write_all(b"bye");
                        return;
                    }
                    if stream.write_all(&buffer[..count].to_ascii_uppercase()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    (address, heads)
}

fn live(address: &str, statements: &str) -> Mesh {
    let text = behind_edge(&[], "")
        .replace("endpoints static ", &format!("endpoints static \"{address}\""))
        .replace(
            "route edge { to s }",
            &format!("route edge {{ rule live {{ match GET /live; to s; {statements} }}\n otherwise 404 }}"),
        );
    Mesh::start(&text, &[])
}

const HANDSHAKE: &[u8] =
    b"GET /live HTTP/1.1\r\nhost: a\r\nconnection: keep-alive, Upgrade\r\nupgrade: websocket\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n";

fn shake_hands(mesh: &Mesh) -> (TcpStream, String) {
    shake_hands_at(mesh.address("edge.default/web"), "a", "/live")
}

/// The connection, and the head of the answer in lower case.
pub(super) fn shake_hands_at(address: SocketAddr, host: &str, path: &str) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let handshake = std::str::from_utf8(HANDSHAKE).unwrap();
    let handshake = handshake.replace("host: a", &format!("host: {host}")).replace("/live", path);
    stream.write_all(handshake.as_bytes()).unwrap();
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        let mut byte = [0];
        assert_eq!(stream.read(&mut byte).unwrap(), 1, "{head}");
        head.push(char::from(byte[0]));
    }
    (stream, head.to_ascii_lowercase())
}

pub(super) fn reads(stream: &mut TcpStream, expected: &str) {
    let mut bytes = vec![0; expected.len()];
    stream.read_exact(&mut bytes).unwrap();
    assert_eq!(String::from_utf8_lossy(&bytes), expected);
}

#[test]
fn a_request_becomes_a_websocket_where_its_rule_lets_it() {
    let (address, heads) = echo(true);
    let mesh = live(&address, "timeout none; upgrade websocket");
    let (mut stream, head) = shake_hands(&mesh);
    assert!(head.starts_with("http/1.1 101 ") && head.contains("\r\nupgrade: websocket\r\n"), "{head}");
    assert!(
        head.contains("\r\nconnection: upgrade\r\n")
            && head.contains("\r\nsec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n")
    );
    let sent = heads.lock().unwrap()[0].clone();
    for line in [
        "connection: upgrade",
        "upgrade: websocket",
        "sec-websocket-key: dghlihnhbxbszsbub25jzq==",
        "x-forwarded-for: 127.0.0.1",
    ] {
        assert!(sent.contains(&format!("\r\n{line}\r\n")), "{line} in {sent}");
    }
    reads(&mut stream, "hi;");
    for _ in 0..3 {
        stream.write_all(b"what looks like GET / HTTP/1.1\r\n\r\n is none").unwrap();
        reads(&mut stream, "WHAT LOOKS LIKE GET / HTTP/1.1\r\n\r\n IS NONE");
    }
    let large = "x".repeat(1 << 20);
    let mut writer = stream.try_clone().unwrap();
    let sending = std::thread::spawn(move || writer.write_all(large.as_bytes()).unwrap());
    let mut bytes = vec![0; 1 << 20];
    stream.read_exact(&mut bytes).unwrap();
    assert!(bytes.iter().all(|byte| *byte == b'X'));
    sending.join().unwrap();
    // One side ends, and hears the other one to its end.
    stream.shutdown(Shutdown::Write).unwrap();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "bye");
    let log = mesh.log();
    assert!(log.len() == 1 && log[0].contains("\"status\":101,\"flags\":\"\""), "{log:?}");
}

/// What a client of HTTP/2 hears that asks for a WebSocket on a stream (RFC 8441): a status, and then what comes back for what it sends.
fn on_stream(mesh: &Mesh, path: &str) -> (u16, String) {
    on_stream_at(mesh.address("edge.default/web"), "a", path)
}

pub(super) fn on_stream_at(address: SocketAddr, host: &str, path: &str) -> (u16, String) {
    let uri = format!("http://{host}{path}");
    let asks = async move {
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let (mut client, mut connection) = h2::client::handshake(stream).await.unwrap();
        // The settings of the server say whether streams may be asked for that.
        while !client.is_extended_connect_protocol_enabled() {
            tokio::select! {
                _ = &mut connection => panic!("it ended"),
                () = tokio::time::sleep(Duration::from_millis(1)) => {}
            }
        }
        tokio::task::spawn_local(connection);
        let mut request =
            hyper::Request::builder().method("CONNECT").uri(uri).header("sec-websocket-version", "13");
        request.extensions_mut().unwrap().insert(h2::ext::Protocol::from_static("websocket"));
        let (response, mut sends) = client.send_request(request.body(()).unwrap(), false).unwrap();
        let response = response.await.unwrap();
        let (head, mut body) = response.into_parts();
        for name in ["connection", "upgrade", "sec-websocket-accept"] {
            assert!(!head.headers.contains_key(name), "{:?}", head.headers);
        }
        let mut heard = String::new();
        if head.status.is_success() {
            sends.send_data("hello".into(), true).unwrap();
        }
        while let Some(Ok(bytes)) = body.data().await {
            body.flow_control().release_capacity(bytes.len()).unwrap();
            heard.push_str(&String::from_utf8_lossy(&bytes));
        }
        (head.status.as_u16(), heard)
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, asks)
}

#[test]
fn a_stream_becomes_a_websocket_to_a_service_of_http1() {
    let start = |agrees: bool, statements: &str| {
        let (address, heads) = echo(agrees);
        let text = behind_edge(&[], "")
            .replace("port 80 http {", "port 80 http2 {")
            .replace("endpoints static ", &format!("endpoints static \"{address}\""))
            .replace(
                "route edge { to s }",
                &format!(
                    "route edge {{ rule live {{ match GET /live; to s; {statements} }}\n otherwise 404 }}"
                ),
            );
        (Mesh::start(&text, &[]), heads)
    };
    let (mesh, heads) = start(true, "timeout none; upgrade websocket");
    assert_eq!(on_stream(&mesh, "/live"), (200, "hi;HELLObye".to_owned()));
    let sent = heads.lock().unwrap()[0].clone();
    for line in [
        "get /live http/1.1",
        "connection: upgrade",
        "upgrade: websocket",
        "sec-websocket-version: 13",
        "host: a",
    ] {
        assert!(sent.contains(&format!("{line}\r\n")), "{line} in {sent}");
    }
    assert_eq!(sent.matches("sec-websocket-key: ").count(), 1, "{sent}");
    assert_eq!(on_stream(&mesh, "/elsewhere").0, 404);
    let log = mesh.log();
    assert!(log.iter().any(|line| line.contains("\"status\":101,\"flags\":\"\"")), "{log:?}");
    let (mesh, heads) = start(true, "timeout none");
    assert_eq!(on_stream(&mesh, "/live").0, 501, "no rule lets it");
    assert!(heads.lock().unwrap().is_empty());
    let (mesh, _) = start(false, "timeout none; upgrade websocket");
    assert_eq!(on_stream(&mesh, "/live").0, 502, "what is no WebSocket is not taken for one");
}

#[test]
fn without_a_word_of_the_rule_an_upgrade_is_dropped() {
    let (address, heads) = echo(false);
    let mesh = live(&address, "timeout none");
    let (mut stream, head) = shake_hands(&mesh);
    assert!(head.starts_with("http/1.1 200 "), "{head}");
    reads(&mut stream, "no");
    let sent = heads.lock().unwrap()[0].clone();
    assert!(!sent.contains("upgrade"), "{sent}");
}

#[test]
fn a_service_may_decline_and_the_connection_goes_on() {
    let (address, _) = echo(false);
    let mesh = live(&address, "timeout none; upgrade websocket");
    let (mut stream, head) = shake_hands(&mesh);
    assert!(head.starts_with("http/1.1 200 "), "{head}");
    reads(&mut stream, "no");
    stream.write_all(b"GET /elsewhere HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    reads(&mut stream, "HTTP/1.1 404 ");
}

#[test]
fn a_service_that_switches_unasked_is_broken() {
    let (address, _) = echo(true);
    let mesh = live(&address, "timeout none");
    let (_, head) = shake_hands(&mesh);
    assert!(head.starts_with("http/1.1 502 "), "{head}");
    assert_eq!(flags(mesh), ["UC"]);
}

#[test]
fn a_websocket_ends_when_it_is_silent_for_too_long() {
    let (address, _) = echo(true);
    let mesh = live(&address, "timeout none; idle-timeout 1500ms; upgrade websocket");
    let (mut stream, _) = shake_hands(&mesh);
    reads(&mut stream, "hi;");
    let began = Instant::now();
    for _ in 0..4 {
        std::thread::sleep(Duration::from_millis(500));
        stream.write_all(b"x").unwrap();
        reads(&mut stream, "X");
    }
    assert_eq!(stream.read(&mut [0; 9]).unwrap_or(0), 0, "it is closed");
    assert!(began.elapsed() >= Duration::from_millis(3_500), "{:?}", began.elapsed());
    assert_eq!(flags(mesh), ["SI"]);
}
