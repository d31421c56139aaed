//! Messages pass intact, and connections are used again.

use crate::plans::mesh;
use crate::proxy;
use crate::wire::{Client, Does, get, ok, raw, upstream};
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

fn mebibyte() -> Vec<u8> {
    (0..1_u32 << 20).map(|index| ((index * 31) >> 3) as u8).collect()
}

#[test]
fn a_connection_to_an_upstream_is_used_again() {
    let shop = upstream(|_, _| ok("shop"));
    let handle = mesh_proxy::start(
        mesh().to("shop", shop.address).view(),
        crate::Config { workers: 1, ..crate::config() },
    );
    let handle = handle.unwrap();
    let edge = handle.addresses()["edge.default/http"];
    for _ in 0..5 {
        let mut client = Client::new(edge);
        (0..20).for_each(|_| assert_eq!(client.get("/shop").unwrap().text(), "shop"));
    }
    assert_eq!((shop.seen().len(), shop.connections()), (100, 1));
}

#[test]
fn an_idle_connection_that_the_upstream_closed_is_no_failure() {
    let shop = upstream(|_, _| Does::Closes(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".to_vec()));
    let (_proxy, edge) = proxy(mesh().to("shop", shop.address).view());
    let mut client = Client::new(edge);
    for _ in 0..20 {
        assert_eq!(client.get("/shop").unwrap().text(), "ok");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn bodies_pass_intact_both_ways() {
    let shop = upstream(|_, request| {
        let mut answer =
            format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", request.body.len()).into_bytes();
        answer.extend_from_slice(&request.body);
        Does::Writes(answer)
    });
    let (_proxy, edge) = proxy(mesh().to("shop", shop.address).view());
    let body = mebibyte();
    let mut client = Client::new(edge);
    client
        .write(format!("PUT /shop HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n", body.len()).as_bytes());
    client.write(&body);
    assert!(client.read().unwrap().body == body);
    assert_eq!(shop.seen()[0].header("content-length"), body.len().to_string());

    client.write(b"POST /shop HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n");
    for chunk in body.chunks(10_007) {
        client.write(format!("{:x}\r\n", chunk.len()).as_bytes());
        client.write(chunk);
        client.write(b"\r\n");
    }
    client.write(b"0\r\n\r\n");
    assert!(client.read().unwrap().body == body);
    assert_eq!(shop.seen()[1].header("transfer-encoding"), "chunked");
}

#[test]
fn a_get_may_have_a_body_of_unknown_length() {
    let shop = upstream(|_, request| ok(request.text()));
    let (_proxy, edge) = proxy(mesh().to("shop", shop.address).view());
    let request = "GET /shop HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n";
    assert_eq!(raw(edge, request).text(), "hi");
}

#[test]
fn responses_of_every_framing_arrive_whole() {
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n3\r\nabc\r\n0\r\nx-sum: 6\r\n\r\n";
    let to_the_end = "HTTP/1.1 200 OK\r\nkeep-alive: 5\r\nconnection: x-hop\r\nx-hop: 1\r\n\r\nuntil the end";
    let shop = upstream(move |_, request| match request.line.as_str() {
        "GET /shop/chunked HTTP/1.1" => Does::Writes(chunked.into()),
        "GET /shop/end HTTP/1.1" => Does::Closes(to_the_end.into()),
        "GET /shop/none HTTP/1.1" => Does::Writes(b"HTTP/1.1 204 No Content\r\n\r\n".into()),
        "GET /shop/same HTTP/1.1" => Does::Writes(b"HTTP/1.1 304 Not Modified\r\netag: x\r\n\r\n".into()),
        _ => Does::Writes(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n".into()),
    });
    let (_proxy, edge) = proxy(mesh().to("shop", shop.address).view());
    let mut client = Client::new(edge);
    client.write(b"GET /shop/chunked HTTP/1.1\r\nhost: a\r\nte: trailers\r\n\r\n");
    let chunked = client.read().unwrap();
    assert_eq!((chunked.text(), chunked.trailers["x-sum"].as_str()), ("abc", "6"));
    let end = client.get("/shop/end").unwrap();
    assert_eq!(end.text(), "until the end");
    assert!(
        !end.headers.contains_key("x-hop") && !end.headers.contains_key("keep-alive"),
        "{:?}",
        end.headers
    );
    assert_eq!(client.get("/shop/none").unwrap().status(), 204);
    assert_eq!(client.get("/shop/same").unwrap().header("etag"), "x");
    assert_eq!(client.head("/shop/head").unwrap().header("content-length"), "5");
    assert_eq!(client.get("/shop/none").unwrap().status(), 204);
}

#[test]
fn a_client_of_http_1_0_is_answered_to_the_end_of_its_connection() {
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    let shop = upstream(move |_, _| Does::Writes(chunked.into()));
    let (_proxy, edge) = proxy(mesh().to("shop", shop.address).view());
    let answer = raw(edge, "GET /shop HTTP/1.0\r\nhost: a\r\n\r\n");
    assert_eq!((answer.text(), answer.header("transfer-encoding")), ("abc", ""));
    assert_eq!(shop.seen()[0].line, "GET /shop HTTP/1.1");
}

#[test]
fn a_response_that_could_be_read_in_two_ways_is_not_passed_on() {
    for hostile in [
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: foo\r\nconnection: upgrade\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
        "HTTP/1.1 999999 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx: a",
        "",
    ] {
        let shop = upstream(move |_, _| Does::Closes(hostile.into()));
        let (_proxy, edge) = proxy(mesh().to("shop", shop.address).view());
        assert_eq!(get(edge, "/shop").status(), 502, "{hostile:?}");
    }
}

#[test]
fn a_response_that_breaks_off_breaks_off_for_the_client_too() {
    let shop = upstream(|_, _| Does::Closes(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello".into()));
    let (_proxy, edge) = proxy(mesh().to("shop", shop.address).view());
    assert!(Client::new(edge).get("/shop").is_none());
}

#[test]
fn a_response_that_takes_too_long_is_504_or_is_cut() {
    let long = Duration::from_secs(3);
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello";
    let shop = upstream(move |_, request| match request.line.as_str() {
        "GET /shop/head HTTP/1.1" => Does::Pauses(vec![], long, head.into()),
        _ => Does::Pauses(head.into(), long, b"world".into()),
    });
    let (_proxy, edge) = proxy(mesh().to("shop", shop.address).timeout(150).view());
    let began = Instant::now();
    assert_eq!(get(edge, "/shop/head").status(), 504);
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(145) && took < Duration::from_millis(600), "{took:?}");
    let began = Instant::now();
    assert!(Client::new(edge).get("/shop/body").is_none(), "the connection is cut");
    assert!(began.elapsed() < Duration::from_millis(600), "{:?}", began.elapsed());
}

#[test]
fn an_upload_counts_towards_the_total_timeout() {
    let shop = upstream(|_, _| ok("shop"));
    let (_proxy, edge) = proxy(mesh().to("shop", shop.address).timeout(150).view());
    let mut client = Client::new(edge);
    client.write(b"POST /shop HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhello");
    assert_eq!(client.read().unwrap().status(), 504);
}

#[test]
fn a_client_that_goes_away_takes_its_exchange_with_it() {
    let shop = upstream(|before, _| match before {
        0 => Does::Pauses(
            vec![],
            Duration::from_millis(300),
            b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nwrong".into(),
        ),
        _ => ok("right"),
    });
    let (_proxy, edge) = proxy(mesh().to("shop", shop.address).view());
    let mut client = Client::new(edge);
    client.write(b"GET /shop HTTP/1.1\r\nhost: a\r\n\r\n");
    std::thread::sleep(Duration::from_millis(50));
    drop(client);
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(get(edge, "/shop").text(), "right");
    assert_eq!(shop.connections(), 2, "the abandoned connection is not used again");
}

#[test]
fn a_body_is_asked_for_only_where_it_is_wanted() {
    let shop = upstream(|_, request| ok(request.text()));
    let mesh = mesh().to("shop", shop.address).closed("no", &[]).split("no", &[("no", 10_000)]);
    let (_proxy, edge) = proxy(mesh.view());
    let head = |path| {
        format!("POST {path} HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n")
    };
    let mut client = Client::new(edge);
    client.write(head("/shop").as_bytes());
    let go_on = client.read_interim();
    assert_eq!(go_on, "HTTP/1.1 100 Continue");
    client.write(b"hello");
    assert_eq!(client.read().unwrap().text(), "hello");
    assert_eq!(raw(edge, &head("/no")).status(), 403, "at once, without the body");
}

#[test]
fn a_client_that_does_not_read_holds_the_upstream_back() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let written = Arc::new(AtomicUsize::new(0));
    let count = written.clone();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]).unwrap();
        stream.write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: {LARGE}\r\n\r\n").as_bytes()).unwrap();
        for _ in 0..LARGE / PIECE {
            stream.write_all(&[b'x'; PIECE]).unwrap();
            count.fetch_add(PIECE, Ordering::SeqCst);
        }
    });
    let (_proxy, edge) = proxy(mesh().to("shop", address).view());
    let mut client = Client::new(edge);
    client.write(b"GET /shop HTTP/1.1\r\nhost: a\r\n\r\n");
    std::thread::sleep(Duration::from_millis(500));
    // What was written stands in the buffers of two sockets, some megabytes each.
    let before = written.load(Ordering::SeqCst);
    assert!(before < LARGE / 2, "{before}");
    assert_eq!(client.read().unwrap().body.len(), LARGE);
}

const LARGE: usize = 128 << 20;
const PIECE: usize = 64 << 10;
