//! HTTP/2 on both sides, and between both versions: each stream is a request like any other.

use crate::plans::{mesh, retries};
use crate::streams::{Answer, Frames, Whole, ask, client, get, server, whole, write};
use crate::wire::{self, Does, raw, upstream};
use crate::{config, proxy};
use hyper::Request;
use hyper::body::Bytes;
use mesh_plan::{Protocol, Retry, Settings};
use mesh_proxy::{Door, Drained, start};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, Semaphore};

const H1: Protocol = Protocol::Http;
const H2: Protocol = Protocol::Http2;

/// GOAWAY and RST_STREAM (RFC 9113 6).
const GOAWAY: u8 = 7;
const RST_STREAM: u8 = 3;

#[test]
fn streams_of_one_connection_are_balanced_one_by_one() {
    let (one, two) = (server(async |_, _| Answer::of(200, "1")), server(async |_, _| Answer::of(200, "2")));
    let plan = mesh().service("shop", &[one.address, two.address]).split("shop", &[("shop", 10_000)]);
    let (_proxy, edge) = proxy(plan.speaks(H2, H2).view());
    client(edge, async |send| {
        for _ in 0..10 {
            assert_eq!(get(&send, "/shop").await.unwrap().status, 200);
        }
    });
    assert_eq!((one.seen().len(), two.seen().len()), (5, 5));
    assert_eq!((one.connections(), two.connections()), (1, 1));
}

#[test]
fn many_streams_share_a_connection_to_an_endpoint_and_no_more_than_may() {
    const AT_ONCE: usize = 150;
    let (there, all) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    let shop = server(move |_, _| {
        let (there, all) = (there.clone(), all.clone());
        async move {
            let mut wait = std::pin::pin!(all.notified());
            wait.as_mut().enable();
            if there.fetch_add(1, Ordering::SeqCst) + 1 == AT_ONCE {
                all.notify_waiters();
            } else {
                wait.await;
            }
            Answer::of(200, "all")
        }
    });
    let plan = mesh().to("shop", shop.address).speaks(H2, H2).view();
    let handle = start(plan, crate::Config { workers: 1, ..config() }).unwrap();
    let edge = handle.addresses()["edge.default/http"];
    // A client may have a hundred streams at once on a connection.
    let ask = |count: usize| {
        std::thread::spawn(move || {
            client(edge, async |send| {
                let asked: Vec<_> = (0..count).map(|_| (send.clone(), "/shop")).collect();
                let mut tasks = tokio::task::JoinSet::new();
                for (send, path) in asked {
                    tasks.spawn(async move { get(&send, path).await.unwrap().status });
                }
                tasks.join_all().await
            })
        })
    };
    let (first, second) = (ask(80), ask(70));
    assert_eq!(first.join().unwrap(), [200; 80]);
    assert_eq!(second.join().unwrap(), [200; 70]);
    assert_eq!(shop.connections(), 2, "a hundred on one, the others on another");
}

#[test]
fn a_request_of_http_1_goes_on_as_a_stream_and_its_answer_comes_back_in_chunks() {
    let shop = server(async |_, _| Answer::of(200, "hello").trailer("x-sum", "7").header("x-own", "1"));
    let (_proxy, edge) = proxy(mesh().to("shop", shop.address).speaks(H1, H2).view());
    let request = "POST /shop/a?b=c HTTP/1.1\r\nhost: shop.test:80\r\ncontent-length: 4\r\nte: trailers\r\n\
                   connection: te, x-hop\r\nx-hop: 1\r\ncookie: a=b\r\n\r\nbody";
    let answer = raw(edge, request);
    assert_eq!((answer.status(), answer.text(), answer.header("x-own")), (200, "hello", "1"));
    let (parts, body) = &shop.seen()[0];
    assert_eq!(parts.uri, "http://shop.test:80/shop/a?b=c");
    assert_eq!((parts.method.as_str(), body.as_slice()), ("POST", &b"body"[..]));
    let header = |name: &str| parts.headers.get(name).map(|value| value.to_str().unwrap());
    assert_eq!(header("te"), Some("trailers"));
    assert_eq!(header("content-length"), Some("4"));
    assert_eq!(header("x-forwarded-host"), Some("shop.test:80"));
    for gone in ["host", "connection", "x-hop", "transfer-encoding"] {
        assert_eq!(header(gone), None, "{gone}");
    }
    // A body whose length nobody knows.
    let chunked = "POST /shop HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    assert_eq!(raw(edge, chunked).status(), 200);
    assert_eq!(shop.seen()[1].1, b"abc");
    let options = raw(edge, "OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n");
    assert_eq!(options.status(), 404, "no rule is about it");
}

#[test]
fn a_stream_goes_on_as_a_request_of_http_1() {
    let shop = upstream(|_, _| {
        let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: x-hop\r\nx-hop: 1\r\n\
                    keep-alive: timeout=5\r\ntrailer: x-sum\r\n\r\n";
        Does::Writes(format!("{head}5\r\nhello\r\n0\r\nx-sum: 7\r\n\r\n").into_bytes())
    });
    let (_proxy, edge) = proxy(mesh().to("shop", shop.address).speaks(H2, H1).view());
    client(edge, async |send| {
        let request = Request::post("http://SHOP.test:80/shop//a?b=c").header("cookie", "a=b");
        let request = request.header("cookie", "c=d").header("x-a", "1").body(()).unwrap();
        let (response, mut body) = send.clone().send_request(request, false).unwrap();
        body.send_data(Bytes::from_static(b"body"), true).unwrap();
        let answer = whole(response).await.unwrap();
        assert_eq!((answer.status, answer.text()), (200, "hello"));
        assert_eq!(answer.trailers["x-sum"], "7");
        for gone in ["connection", "x-hop", "keep-alive", "transfer-encoding"] {
            assert!(!answer.headers.contains_key(gone), "{gone}");
        }
    });
    let seen = &shop.seen()[0];
    assert_eq!(seen.line, "POST /shop/a?b=c HTTP/1.1");
    assert_eq!((seen.text(), seen.header("host"), seen.header("x-a")), ("body", "shop.test:80", "1"));
    assert_eq!(seen.header("cookie"), "a=b; c=d", "crumbs are put together");
    assert_eq!(seen.header("transfer-encoding"), "chunked");
}

#[test]
fn trailers_pass_and_a_head_has_no_body() {
    let shop = server(async |before, _| match before {
        0 => Answer::of(200, "hello").trailer("x-sum", "7"),
        1 => Answer::of(200, "").header("content-length", "5"),
        _ => Answer::of(204, ""),
    });
    let (_proxy, edge) = proxy(mesh().to("shop", shop.address).speaks(H2, H2).view());
    client(edge, async |send| {
        let answer = get(&send, "/shop").await.unwrap();
        assert_eq!((answer.text(), answer.trailers["x-sum"].to_str().unwrap()), ("hello", "7"));
        let head = Request::head("http://shop.test/shop").body(()).unwrap();
        let answer = whole(send.clone().send_request(head, true).unwrap().0).await.unwrap();
        assert_eq!((answer.headers["content-length"].to_str().unwrap(), answer.text()), ("5", ""));
        let answer = get(&send, "/shop").await.unwrap();
        assert_eq!((answer.status, answer.text()), (204, ""));
    });
}

#[test]
fn what_nobody_reads_is_not_asked_for() {
    const MUCH: usize = 32 << 20;
    let shop = server(async |_, _| Answer {
        data: vec![Bytes::from(vec![b'x'; 1 << 16]); MUCH >> 16],
        ..Answer::of(200, "")
    });
    let (_proxy, edge) = proxy(mesh().to("shop", shop.address).speaks(H2, H2).view());
    client(edge, async |send| {
        let (response, _) = send.clone().send_request(ask("/shop"), true).unwrap();
        let mut body = response.await.unwrap().into_body();
        // Another stream is not held up by one that nobody reads.
        for _ in 0..3 {
            let (other, _) = send.clone().ready().await.unwrap().send_request(ask("/x"), true).unwrap();
            assert_eq!(whole(other).await.unwrap().status, 404);
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        let mut bytes = 0;
        while let Some(data) = body.data().await {
            let data = data.unwrap();
            bytes += data.len();
            body.flow_control().release_capacity(data.len()).unwrap();
        }
        assert_eq!(bytes, MUCH);
    });
}

/// How much a client can send of a body that its upstream does not read.
#[test]
fn what_the_upstream_does_not_read_the_client_cannot_send() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mute = std::thread::spawn(move || listener.accept().unwrap());
    let (_proxy, edge) = proxy(mesh().to("shop", address).speaks(H2, H1).view());
    let sent = client(edge, async |send| {
        let request = Request::post("http://shop.test/shop").body(()).unwrap();
        let (_response, mut body) = send.clone().send_request(request, false).unwrap();
        let mut sent = 0;
        loop {
            let chunk = Bytes::from(vec![b'x'; 1 << 14]);
            match tokio::time::timeout(Duration::from_millis(500), write(&mut body, chunk)).await {
                Ok(true) => sent += 1 << 14,
                _ => break sent,
            }
        }
    });
    drop(mute.join().unwrap());
    // Windows, buffers of the proxy, and what the kernel takes of a loopback connection.
    assert!(sent < 12 << 20, "{sent}");
    assert!(sent >= 1 << 16, "{sent}");
}

#[test]
fn a_connection_outlives_plans_and_each_stream_has_the_plan_that_it_came_under() {
    let slow = server(async |_, _| {
        tokio::time::sleep(Duration::from_millis(300)).await;
        Answer::of(200, "old")
    });
    let old = mesh().to("shop", slow.address).respond("x", 200, "old").speaks(H2, H2);
    let new = mesh().respond("shop", 200, "new").respond("x", 200, "new").speaks(H2, H2);
    let (proxy, edge) = proxy(old.view());
    client(edge, async |send| {
        let (begun, _) = send.clone().send_request(ask("/shop"), true).unwrap();
        assert_eq!(get(&send, "/x").await.unwrap().text(), "old");
        proxy.swap(new.view()).unwrap();
        assert_eq!(get(&send, "/shop").await.unwrap().text(), "new");
        assert_eq!(whole(begun).await.unwrap().text(), "old");
        assert_eq!(get(&send, "/x").await.unwrap().text(), "new");
    });
}

#[test]
fn a_drain_says_goodbye_and_answers_what_has_come() {
    let shop = server(async |_, _| {
        tokio::time::sleep(Duration::from_millis(400)).await;
        Answer::of(200, "late")
    });
    let (proxy, edge) = proxy(mesh().to("shop", shop.address).speaks(H2, H2).view());
    let drained = client(edge, async |send| {
        let (begun, _) = send.clone().send_request(ask("/shop"), true).unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        let drained = std::thread::spawn(move || proxy.drain(Duration::from_secs(5)));
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(send.clone().ready().await.is_err(), "no more streams");
        assert_eq!(whole(begun).await.unwrap().text(), "late");
        drained
    });
    assert_eq!(drained.join().unwrap(), Drained { cut: 0 });
}

#[test]
fn a_drain_does_not_wait_for_a_connection_without_streams() {
    let (proxy, edge) = proxy(mesh().respond("x", 200, "x").speaks(H2, H2).view());
    // It answers no ping, so it never says that it has heard the goodbye.
    let mut idle = Frames::begin(edge);
    assert!(idle.next_of(4).is_some(), "the proxy's settings");
    let began = Instant::now();
    assert_eq!(proxy.drain(Duration::from_secs(5)), Drained { cut: 0 });
    assert!(began.elapsed() < Duration::from_millis(1_500), "{:?}", began.elapsed());
    let (.., payload) = idle.next_of(GOAWAY).unwrap();
    assert_eq!(payload[4..8], [0; 4], "NO_ERROR");
}

/// What a client is told that floods a connection: the reason in the last GOAWAY.
fn told(edge: SocketAddr, flood: impl FnOnce(&mut Frames)) -> Option<u32> {
    let mut frames = Frames::begin(edge);
    flood(&mut frames);
    let (.., payload) = frames.next_of(GOAWAY)?;
    Some(u32::from_be_bytes(payload[4..8].try_into().unwrap()))
}

const ENHANCE_YOUR_CALM: Option<u32> = Some(11);

#[test]
fn who_floods_a_connection_is_told_to_calm_down_and_others_are_served() {
    let (_proxy, edge) = proxy(mesh().respond("x", 200, "x").speaks(H2, H2).view());
    let resets = told(edge, |frames| {
        for stream in 0..150 {
            frames.headers(stream * 2 + 1, 0x5, b"");
            frames.write(RST_STREAM, 0, stream * 2 + 1, &[0, 0, 0, 8]);
        }
    });
    assert_eq!(resets, ENHANCE_YOUR_CALM, "rapid reset");
    let continuations = told(edge, |frames| {
        frames.headers(1, 0x1, b"");
        (0..9).for_each(|_| frames.write(9, 0, 1, b""));
    });
    assert_eq!(continuations, ENHANCE_YOUR_CALM, "continuations");
    let empty = told(edge, |frames| {
        frames.headers(1, 0x4, b"");
        (0..101).for_each(|_| frames.write(0, 0, 1, b""));
    });
    assert_eq!(empty, ENHANCE_YOUR_CALM, "empty data");
    let pings = told(edge, |frames| (0..600).for_each(|_| frames.write(6, 0, 0, &[0; 8])));
    assert_eq!(pings, ENHANCE_YOUR_CALM, "pings");
    let settings = told(edge, |frames| (0..600).for_each(|_| frames.write(4, 0, 0, b"")));
    assert_eq!(settings, ENHANCE_YOUR_CALM, "settings");
    client(edge, async |send| assert_eq!(get(&send, "/x").await.unwrap().status, 200));
}

#[test]
fn streams_and_headers_have_limits() {
    let (_proxy, edge) = proxy(mesh().to("x", wire::nobody()).speaks(H2, H1).view());
    let mut frames = Frames::begin(edge);
    let (.., settings) = frames.next_of(4).unwrap();
    let setting = |id: u16| {
        let own = settings.chunks(6).find(|own| own[..2] == id.to_be_bytes()).unwrap();
        u32::from_be_bytes(own[2..].try_into().unwrap())
    };
    // MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE and MAX_HEADER_LIST_SIZE (RFC 9113 6.5.2).
    assert_eq!((setting(3), setting(4), setting(6)), (100, 65_536, 65_536));

    let (_proxy, edge) = proxy(mesh().to("x", mute()).speaks(H2, H1).view());
    let mut frames = Frames::begin(edge);
    (0..101).for_each(|stream| frames.headers(stream * 2 + 1, 0x5, b""));
    let (_, _, stream, reason) = frames.next_of(RST_STREAM).unwrap();
    assert_eq!((stream, reason.as_slice()), (201, &[0, 0, 0, 7][..]), "the 101st is REFUSED_STREAM");

    client(edge, async |send| {
        let mut request = ask("/x");
        for number in 0..101 {
            request.headers_mut().append("x-a", number.to_string().parse().unwrap());
        }
        let answer = whole(send.clone().send_request(request, true).unwrap().0).await.unwrap();
        assert_eq!(answer.status, 431);
        let mut request = ask("/x");
        request.headers_mut().insert("x-a", "a".repeat(65_536).parse().unwrap());
        let answer = whole(send.clone().send_request(request, true).unwrap().0).await;
        assert!(answer.map_or(true, |answer| answer.status == 431), "too long a list");
    });
}

/// An upstream that takes connections and says nothing.
fn mute() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut held = vec![];
        while let Ok((stream, _)) = listener.accept() {
            held.push(stream);
        }
    });
    address
}

#[test]
fn requests_that_another_reader_could_read_otherwise_are_refused() {
    let (_proxy, edge) = proxy(mesh().respond("x", 200, "x").speaks(H2, H2).view());
    client(edge, async |send| {
        let request = |host: &str| Request::get("http://shop.test/x").header("host", host).body(()).unwrap();
        let status = async |request| {
            let (response, _) = send.clone().send_request(request, true).unwrap();
            whole(response).await.map(|answer| answer.status)
        };
        assert!(status(request("other.test")).await.is_err(), "the stream is malformed");
        assert_eq!(status(request("SHOP.test")).await.unwrap(), 200, "the same host");
        let underscore = Request::get("http://shop.test/x").header("x_a", "1").body(()).unwrap();
        assert_eq!(status(underscore).await.unwrap(), 400);
        let climbing = Request::get("http://shop.test/../x").body(()).unwrap();
        assert_eq!(status(climbing).await.unwrap(), 400);
        let trace = Request::builder().method("TRACE").uri("http://shop.test/x").body(()).unwrap();
        assert_eq!(status(trace).await.unwrap(), 405);
        // The connection serves on.
        assert_eq!(get(&send, "/x").await.unwrap().status, 200);
    });
    // `connection: close` as a literal that HPACK keeps nowhere: malformed (RFC 9113 8.2.2).
    let mut frames = Frames::begin(edge);
    let mut header = vec![0x00, 10];
    header.extend(b"connection");
    header.push(5);
    header.extend(b"close");
    frames.headers(1, 0x5, &header);
    let (_, _, stream, reason) = frames.next_of(RST_STREAM).unwrap();
    assert_eq!((stream, reason.as_slice()), (1, &[0, 0, 0, 1][..]), "PROTOCOL_ERROR");
}

#[test]
fn http_1_is_not_guessed_where_http_2_is_declared() {
    let (_proxy, edge) = proxy(mesh().respond("x", 200, "x").speaks(H2, H2).view());
    let mut stream = TcpStream::connect(edge).unwrap();
    stream.write_all(b"GET /x HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP/1.1"), "{answer:?}");
    let (_proxy, edge) = proxy(mesh().respond("x", 200, "x").speaks(H1, H1).view());
    let mut frames = Frames::begin(edge);
    assert!(frames.next_of(4).is_none(), "no settings");
}

#[test]
fn a_sidecar_hears_from_each_connection_which_version_it_is() {
    let (old, new) = (upstream(|_, _| wire::ok("old")), server(async |_, _| Answer::of(200, "new")));
    let plan = mesh().service("web", &[]).service("shop", &[new.address]).calls("web", "shop");
    let door = || vec![Door::Sidecar { service: "web".to_owned(), listen: ([127, 0, 0, 1], 0).into() }];
    let handle =
        start(plan.clone().speaks(H1, H2).view(), crate::Config { doors: door(), ..config() }).unwrap();
    let sidecar = handle.addresses()["web.default"];
    let answer = raw(sidecar, "GET / HTTP/1.1\r\nhost: shop\r\n\r\n");
    assert_eq!((answer.status(), answer.text()), (200, "new"));
    client(sidecar, async |send| {
        let request = Request::get("http://shop/").body(()).unwrap();
        let answer = whole(send.clone().send_request(request, true).unwrap().0).await.unwrap();
        assert_eq!((answer.status, answer.text()), (200, "new"));
    });
    // A byte at a time, it is still clear.
    let mut stream = TcpStream::connect(sidecar).unwrap();
    for byte in b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" {
        stream.write_all(&[*byte]).unwrap();
    }
    let mut settings = [0; 4];
    stream.read_exact(&mut settings).unwrap();
    assert_eq!(settings[3], 4);
    let mut client = wire::Client::new(sidecar);
    client.write(b"PRI");
    std::thread::sleep(Duration::from_millis(50));
    client.write(b"NT / HTTP/1.1\r\nhost: shop\r\n\r\n");
    assert_eq!(client.read().unwrap().status(), 200, "a method that begins like the preface");
    drop(old);
}

/// An upstream that writes frames of its own making: each connection is given to `acts`, with how many came before.
fn frames(acts: impl Fn(usize, &mut TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let acts = Arc::new(acts);
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().map_while(Result::ok).enumerate() {
            let acts = acts.clone();
            std::thread::spawn(move || {
                let mut stream = stream;
                let mut preface = [0; 24];
                stream.read_exact(&mut preface).unwrap();
                // Empty settings.
                stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).unwrap();
                acts(number, &mut stream);
            });
        }
    });
    address
}

/// Reads frames until the head of a request is there, and returns its stream.
fn request_on(stream: &mut TcpStream) -> u32 {
    loop {
        let mut head = [0; 9];
        if stream.read_exact(&mut head).is_err() {
            return 0;
        }
        let [l1, l2, l3, kind, _, s1, s2, s3, s4] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, l1, l2, l3]) as usize];
        stream.read_exact(&mut payload).unwrap();
        if kind == 1 {
            return u32::from_be_bytes([s1, s2, s3, s4]);
        }
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, l1, l2, l3] = (payload.len() as u32).to_be_bytes();
    [&[l1, l2, l3, kind, flags][..], &stream.to_be_bytes(), payload].concat()
}

/// `:status: 200` (RFC 7541 A).
const OK: &[u8] = &[0x88];

#[test]
fn an_upstream_that_says_goodbye_loses_no_request() {
    // The first connection answers one request; the next one it has not looked at when it goes away.
    let address = frames(|number, stream| {
        let first = request_on(stream);
        stream.write_all(&frame(1, 0x5, first, OK)).unwrap();
        if number > 0 {
            loop {
                let next = request_on(stream);
                stream.write_all(&frame(1, 0x5, next, OK)).unwrap();
            }
        }
        request_on(stream);
        let last = [&first.to_be_bytes()[..], &[0; 4]].concat();
        stream.write_all(&frame(GOAWAY, 0, 0, &last)).unwrap();
        std::thread::sleep(Duration::from_secs(1));
    });
    let plan = mesh().to("shop", address).speaks(H2, H2).view();
    let handle = start(plan, crate::Config { workers: 1, ..config() }).unwrap();
    client(handle.addresses()["edge.default/http"], async |send| {
        for _ in 0..3 {
            assert_eq!(get(&send, "/shop").await.unwrap().status, 200);
        }
    });
}

#[test]
fn a_stream_that_is_refused_is_sent_again_on_a_connection_in_use_and_else_only_if_declared() {
    let address = frames(|_, stream| {
        for count in 0.. {
            let own = request_on(stream);
            let answer = match count {
                1 => frame(RST_STREAM, 0, own, &[0, 0, 0, 7]),
                _ => frame(1, 0x5, own, OK),
            };
            stream.write_all(&answer).unwrap();
        }
    });
    let plan = mesh().to("shop", address).speaks(H2, H2).view();
    let handle = start(plan, crate::Config { workers: 1, ..config() }).unwrap();
    client(handle.addresses()["edge.default/http"], async |send| {
        for _ in 0..3 {
            assert_eq!(get(&send, "/shop").await.unwrap().status, 200);
        }
    });
}

#[test]
fn broken_upstreams_end_as_documented() {
    let lines = crate::logging::Lines::default();
    let resets = frames(|_, stream| {
        let own = request_on(stream);
        stream.write_all(&frame(RST_STREAM, 0, own, &[0, 0, 0, 2])).unwrap();
        request_on(stream);
    });
    let cuts = frames(|_, stream| {
        let own = request_on(stream);
        stream.write_all(&frame(1, 0x4, own, OK)).unwrap();
        stream.write_all(&frame(0, 0, own, b"half")).unwrap();
    });
    let storms = frames(|_, stream| {
        request_on(stream);
        while stream.write_all(&frame(6, 0, 0, &[0; 8])).is_ok() {}
    });
    let lists = frames(|_, stream| {
        let own = request_on(stream);
        stream.write_all(&frame(1, 0x0, own, OK)).unwrap();
        while stream.write_all(&frame(9, 0x0, own, &[0x00, 1, b'a', 1, b'b'])).is_ok() {}
    });
    let old = upstream(|_, _| wire::ok("old"));
    let plan = mesh()
        .to("resets", resets)
        .to("cuts", cuts)
        .to("storms", storms)
        .to("lists", lists)
        .to("old", old.address)
        .to("nobody", wire::nobody())
        .to("mute", mute())
        .timeout(200)
        .speaks(H2, H2)
        .view();
    let access_log = mesh_proxy::AccessLog::Writer(Box::new(lines.clone()));
    let handle = start(plan, crate::Config { access_log, ..config() }).unwrap();
    client(handle.addresses()["edge.default/http"], async |send| {
        let status = async |path| get(&send, path).await.map(|answer: Whole| answer.status);
        assert_eq!(status("/resets").await.unwrap(), 502);
        assert!(status("/cuts").await.unwrap_err().is_reset(), "half a response is none");
        assert_eq!(status("/storms").await.unwrap(), 502);
        assert_eq!(status("/lists").await.unwrap(), 502);
        assert_eq!(status("/old").await.unwrap(), 503, "HTTP/1.1 is not guessed");
        assert_eq!(status("/nobody").await.unwrap(), 503);
        assert_eq!(status("/mute").await.unwrap(), 504);
    });
    handle.shutdown();
    let flags: Vec<_> = lines.all().iter().map(|line| crate::logging::field(line, "flags")).collect();
    assert_eq!(flags, ["UC", "UC", "UC", "UC", "UF", "UF", "UT"]);
}

#[test]
fn a_stream_that_its_client_gives_up_is_given_up_upstream() {
    let (begun, given_up) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (tell, heard) = (begun.clone(), given_up.clone());
    struct Dropped(Arc<Semaphore>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.add_permits(1);
        }
    }
    let resets = Arc::new(AtomicUsize::new(0));
    let counted = resets.clone();
    let address = frames(move |_, stream| {
        let _dropped = Dropped(heard.clone());
        request_on(stream);
        tell.add_permits(1);
        let mut head = [0; 9];
        while stream.read_exact(&mut head).is_ok() {
            let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
            stream.read_exact(&mut payload).unwrap();
            if head[3] == RST_STREAM {
                counted.fetch_add(1, Ordering::SeqCst);
                return;
            }
        }
    });
    let (_proxy, edge) = proxy(mesh().to("shop", address).speaks(H2, H2).view());
    client(edge, async |send| {
        let (response, _) = send.clone().send_request(ask("/shop"), true).unwrap();
        begun.acquire().await.unwrap().forget();
        drop(response);
        given_up.acquire().await.unwrap().forget();
    });
    assert_eq!(resets.load(Ordering::SeqCst), 1);
}

#[test]
fn a_reader_that_takes_nothing_is_cut_off_when_its_time_is_up() {
    let shop = server(async |_, _| Answer {
        data: vec![Bytes::from(vec![b'x'; 1 << 16]); 64],
        ..Answer::of(200, "")
    });
    let (_proxy, edge) = proxy(mesh().to("x", shop.address).timeout(500).speaks(H2, H2).view());
    // It opens no window: after the first 65,535 bytes nothing can be sent to it.
    let mut mute = Frames::begin(edge);
    mute.headers(1, 0x5, b"");
    let began = Instant::now();
    let (_, _, stream, reason) = mute.next_of(RST_STREAM).unwrap();
    assert_eq!((stream, reason.as_slice()), (1, &[0, 0, 0, 8][..]), "CANCEL");
    assert!(began.elapsed() >= Duration::from_millis(500), "{:?}", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
}

#[test]
fn a_connection_is_made_when_its_endpoint_has_begun() {
    // As the kernel does it with those in the queue of a server that ends.
    let ending = TcpListener::bind("127.0.0.1:0").unwrap();
    let (ends, closed) = (ending.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let counted = closed.clone();
    std::thread::spawn(move || {
        for mut stream in ending.incoming().map_while(Result::ok) {
            let _ = stream.read(&mut [0; 1 << 12]);
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    let good = server(async |_, _| Answer::of(200, "good"));
    let plan = mesh().service("shop", &[ends, good.address]).split("shop", &[("shop", 10_000)]);
    let retry = Retry { on_connect_failure: true, ..retries(1) };
    let settings = Settings { retry: Some(Some(retry)), ..Settings::default() };
    let (_proxy, edge) = proxy(plan.settings(settings).speaks(H2, H2).view());
    client(edge, async |send| {
        for _ in 0..6 {
            let post = Request::post("http://shop.test/shop").body(()).unwrap();
            let (response, mut body) = send.clone().send_request(post, false).unwrap();
            body.send_data(Bytes::from_static(b"once"), true).unwrap();
            assert_eq!(whole(response).await.unwrap().text(), "good");
        }
    });
    assert!(closed.load(Ordering::SeqCst) > 0);
}

#[test]
fn a_request_is_tried_again_at_another_endpoint() {
    let (bad, good) =
        (server(async |_, _| Answer::of(503, "bad")), server(async |_, _| Answer::of(200, "good")));
    let retry = Retry { on_status: vec![503], ..retries(1) };
    let settings = Settings { retry: Some(Some(retry)), ..Settings::default() };
    let plan = mesh().service("shop", &[bad.address, good.address]).split("shop", &[("shop", 10_000)]);
    let (_proxy, edge) = proxy(plan.settings(settings).speaks(H2, H2).view());
    client(edge, async |send| {
        for _ in 0..6 {
            assert_eq!(get(&send, "/shop").await.unwrap().text(), "good");
        }
    });
    assert!(!bad.seen().is_empty());
}

/// Reads of a connection until `text` has come, and returns what came.
fn read_until(stream: &mut TcpStream, text: &str) -> String {
    let mut read = Vec::new();
    while !String::from_utf8_lossy(&read).contains(text) {
        let mut bytes = [0; 1_024];
        let count = stream.read(&mut bytes).unwrap();
        assert!(count > 0, "it ended before {text:?}: {:?}", String::from_utf8_lossy(&read));
        read.extend(&bytes[..count]);
    }
    String::from_utf8(read).unwrap()
}

#[test]
fn a_body_that_may_be_sent_again_is_not_held_back() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let served = std::thread::spawn(move || {
        // The first try breaks off in the middle of the body.
        let (mut stream, _) = listener.accept().unwrap();
        assert!(read_until(&mut stream, "one").starts_with("POST /shop HTTP/1.1\r\n"));
        drop(stream);
        // The second one has it from its beginning, and answers before its end.
        let (mut stream, _) = listener.accept().unwrap();
        let first = read_until(&mut stream, "one");
        stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\n1st\r\n").unwrap();
        let second = read_until(&mut stream, "0\r\n\r\n");
        stream.write_all(b"3\r\n2nd\r\n0\r\n\r\n").unwrap();
        (first, second)
    });
    let retry = Retry { on_reset: true, methods: 0b100_0111, buffer: 1_024, ..retries(1) };
    let settings = Settings { retry: Some(Some(retry)), ..Settings::default() };
    let (_proxy, edge) = proxy(mesh().to("shop", address).settings(settings).speaks(H2, H1).view());
    client(edge, async |send| {
        let request = Request::post("http://shop.test/shop").body(()).unwrap();
        let (response, mut body) = send.clone().send_request(request, false).unwrap();
        body.send_data(Bytes::from_static(b"one"), false).unwrap();
        let mut answer = response.await.unwrap().into_body();
        assert_eq!(answer.data().await.unwrap().unwrap(), "1st");
        body.send_data(Bytes::from_static(b"two"), true).unwrap();
        assert_eq!(answer.data().await.unwrap().unwrap(), "2nd");
    });
    let (first, second) = served.join().unwrap();
    assert!(first.contains("\r\n\r\n3\r\none\r\n"), "{first}");
    assert_eq!(second, "3\r\ntwo\r\n0\r\n\r\n");
}
