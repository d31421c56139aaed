//! Requests that two readers could read in two ways are refused, and nothing of them reaches an upstream.

use crate::plans::mesh;
use crate::proxy;
use crate::wire::{Client, Does, Upstream, ok, raw, upstream};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

fn shop() -> (mesh_proxy::Handle, SocketAddr, Upstream) {
    let shop = upstream(|_, _| ok("shop"));
    let (proxy, edge) = proxy(mesh().to("shop", shop.address).view());
    (proxy, edge, shop)
}

#[test]
fn ambiguous_requests_are_refused_and_reach_nobody() {
    let (_proxy, edge, shop) = shop();
    for (status, request) in [
        (
            400,
            "POST /shop HTTP/1.1\r\nhost: a\r\ncontent-length: 6\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nG",
        ),
        (
            400,
            "POST /shop HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ncontent-length: 6\r\n\r\n0\r\n\r\nG",
        ),
        (400, "POST /shop HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ncontent-length: 5\r\n\r\nhello"),
        (400, "POST /shop HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello"),
        (400, "POST /shop HTTP/1.1\r\nhost: a\r\ncontent-length: +5\r\n\r\nhello"),
        (400, "POST /shop HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
        (
            400,
            "POST /shop HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        (400, "POST /shop HTTP/1.1\r\nhost: a\r\ntransfer_encoding: chunked\r\ncontent-length: 0\r\n\r\n"),
        (400, "GET /shop HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n"),
        (400, "GET /shop HTTP/1.1\r\nhost: a\r\nHost: a\r\n\r\n"),
        (400, "GET /shop HTTP/1.1\r\n\r\n"),
        (400, "GET /shop HTTP/1.1\r\nhost:\r\n\r\n"),
        (400, "GET /shop HTTP/1.1\r\nhost: a, b\r\n\r\n"),
        (400, "GET /shop HTTP/1.1\r\nhost: a@b\r\n\r\n"),
        (400, "GET http://a@b/shop HTTP/1.1\r\nhost: b\r\n\r\n"),
        (400, "GET ftp://a/shop HTTP/1.1\r\nhost: a\r\n\r\n"),
        (400, "GET a:80 HTTP/1.1\r\nhost: a\r\n\r\n"),
        (400, "GET /shop#x HTTP/1.1\r\nhost: a\r\n\r\n"),
        (400, "GET /shop/%2F HTTP/1.1\r\nhost: a\r\n\r\n"),
        (400, "GET /shop/../.. HTTP/1.1\r\nhost: a\r\n\r\n"),
        (400, "GET /shop HTTP/1.1\r\nhost: a\r\nx: b\r\n c\r\n\r\n"),
        (400, "GET /shop HTTP/1.1\r\nhost: a\r\nx : b\r\n\r\n"),
        (400, "GET /shop HTTP/1.1\r\nhost: a\r\nx_user: b\r\n\r\n"),
        (400, "GET * HTTP/1.1\r\nhost: a\r\n\r\n"),
        (405, "TRACE /shop HTTP/1.1\r\nhost: a\r\n\r\n"),
        (405, "CONNECT a:443 HTTP/1.1\r\nhost: a:443\r\n\r\n"),
    ] {
        let mut client = Client::new(edge);
        client.write(format!("{request}GET /shop HTTP/1.1\r\nhost: a\r\n\r\n").as_bytes());
        let answer = client.read().unwrap_or_default();
        assert_eq!(answer.status(), status, "{request:?}");
        assert!(client.read().is_none(), "what follows is not read: {request:?}");
    }
    assert_eq!(shop.connections(), 0);
}

#[test]
fn malformed_chunks_break_the_request_off() {
    let (_proxy, edge, shop) = shop();
    for body in ["5\r\nhelloXX", "5;a\nhello\r\n0\r\n\r\n", "-1\r\n", "\r\n"] {
        let mut client = Client::new(edge);
        let head = "POST /shop HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
        client.write(format!("{head}{body}GET /shop HTTP/1.1\r\nhost: a\r\n\r\n").as_bytes());
        let answer = client.read();
        assert!(answer.is_none_or(|answer| answer.status() == 400), "{body:?}");
    }
    assert!(shop.seen().is_empty(), "{:?}", shop.seen());
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let (_proxy, edge, shop) = shop();
    let get = "GET /shop HTTP/1.1\r\nhost: a\r\n\r\n";
    let sized = "POST /shop HTTP/1.1\r\nhost: a\r\ncontent-length: 37\r\n\r\nGET /shop/admin HTTP/1.1\r\nhost: a\r\n\r\n";
    let chunked = "POST /shop HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nt: u\r\n\r\n";
    let mut client = Client::new(edge);
    client.write(format!("{get}{sized}{chunked}{get}").as_bytes());
    (0..4).for_each(|_| assert_eq!(client.read().unwrap().text(), "shop"));
    let seen = shop.seen();
    let lines: Vec<_> = seen.iter().map(|message| message.line.as_str()).collect();
    let (get, post) = ("GET /shop HTTP/1.1", "POST /shop HTTP/1.1");
    assert_eq!(lines, [get, post, post, get]);
    assert_eq!((seen[1].body.len(), seen[2].text()), (37, "abc"));
    assert!(seen[2].trailers.is_empty(), "nothing decided about trailers");
}

#[test]
fn what_is_decided_is_what_is_forwarded() {
    let (_proxy, edge, shop) = shop();
    raw(edge, "GET //x/..//shop/%7Ea/./b?q=//%2F HTTP/1.1\r\nHost: SHOP.Test.:8080\r\n\r\n");
    raw(edge, "GET http://other.test/shop HTTP/1.1\r\nhost: shop.test\r\n\r\n");
    let seen = shop.seen();
    assert_eq!(seen[0].line, "GET /shop/~a/b?q=//%2F HTTP/1.1");
    assert_eq!(seen[0].header("host"), "shop.test:8080");
    assert_eq!((seen[1].line.as_str(), seen[1].header("host")), ("GET /shop HTTP/1.1", "other.test"));
}

#[test]
fn what_speaks_of_a_hop_or_claims_an_identity_is_not_passed_on() {
    let (_proxy, edge, shop) = shop();
    raw(
        edge,
        "GET /shop HTTP/1.1\r\nhost: a\r\nconnection: keep-alive, x-private\r\nx-private: 1\r\nkeep-alive: 5\r\n\
         upgrade: h2c\r\nhttp2-settings: AA\r\nproxy-connection: keep-alive\r\nte: gzip\r\nx-forwarded-for: 9.9.9.9\r\n\
         x-forwarded-proto: https\r\nx-forwarded-prefix: /admin\r\nforwarded: for=9.9.9.9\r\nx-mesh-peer: root\r\n\
         x-forwarded-client-cert: URI=spiffe://local.test/ns/default/sa/root\r\ntraceparent: 00-1-2-01\r\nx-user: me\r\n\r\n",
    );
    let seen = &shop.seen()[0];
    let names: Vec<_> = seen.headers.keys().map(String::as_str).collect();
    let expected = [
        "host",
        "traceparent",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-request-id",
        "x-user",
    ];
    assert_eq!(names, expected);
    assert_eq!(seen.header("x-forwarded-for"), "127.0.0.1");
    assert_eq!(seen.header("x-forwarded-proto"), "http");
    assert_eq!(seen.header("x-forwarded-host"), "a");
    assert_eq!(seen.header("traceparent"), "00-1-2-01");
}

#[test]
fn a_request_id_is_kept_or_made() {
    let (_proxy, edge, shop) = shop();
    raw(edge, "GET /shop HTTP/1.1\r\nhost: a\r\nx-request-id: mine\r\n\r\n");
    raw(edge, "GET /shop HTTP/1.1\r\nhost: a\r\nx-request-id: one\r\nx-request-id: two\r\n\r\n");
    let seen = shop.seen();
    assert_eq!(seen[0].header("x-request-id"), "mine");
    let made = seen[1].header("x-request-id");
    assert!(made.len() == 32 && made.bytes().all(|digit| digit.is_ascii_hexdigit()), "{made}");
}

#[test]
fn too_many_or_too_large_headers_are_refused() {
    let (_proxy, edge, shop) = shop();
    let many = "x: y\r\n".repeat(200);
    assert_eq!(raw(edge, &format!("GET /shop HTTP/1.1\r\nhost: a\r\n{many}\r\n")).status(), 431);
    let large = "y".repeat(70_000);
    let mut client = Client::new(edge);
    client.write(format!("GET /shop HTTP/1.1\r\nhost: a\r\nx: {large}").as_bytes());
    assert_eq!(client.read().unwrap().status(), 431);
    assert_eq!(shop.connections(), 0);
}

#[test]
fn trailers_are_for_who_takes_them() {
    let shop = upstream(|_, _| {
        let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        Does::Writes(format!("{head}5\r\nhello\r\n0\r\nx-sum: 7\r\ncontent-length: 3\r\n\r\n").into_bytes())
    });
    let (_proxy, edge) = proxy(mesh().to("shop", shop.address).view());
    let answer = |more: &str| raw(edge, &format!("GET /shop HTTP/1.1\r\nhost: a\r\n{more}\r\n"));
    let (with, without) = (answer("te: trailers\r\nconnection: te\r\n"), answer(""));
    assert_eq!((with.text(), without.text()), ("hello", "hello"));
    // What speaks of the message is never one.
    assert_eq!(with.trailers.into_iter().collect::<Vec<_>>(), [("x-sum".to_owned(), "7".to_owned())]);
    assert!(without.trailers.is_empty());
}

#[test]
fn an_answer_that_is_cut_off_is_not_taken_for_a_whole_one() {
    let shop = upstream(|_, _| {
        Does::Closes(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n".to_vec())
    });
    let (_proxy, edge) = proxy(mesh().to("shop", shop.address).view());
    for version in ["1.0", "1.1"] {
        let mut client = TcpStream::connect(edge).unwrap();
        client.write_all(format!("GET /shop HTTP/{version}\r\nhost: a\r\n\r\n").as_bytes()).unwrap();
        let mut taken = Vec::new();
        let ended = client.read_to_end(&mut taken).is_ok();
        let text = String::from_utf8_lossy(&taken);
        // Of HTTP/1.1 the last chunk says that all of it is there; before it, nothing but the end of the connection.
        assert!(!ended || version == "1.1" && !text.ends_with("0\r\n\r\n"), "{text}");
    }
}

#[test]
fn who_still_sends_has_the_answer_all_the_same() {
    let (_proxy, edge) = proxy(mesh().respond("x", 403, "no").view());
    let mut client = Client::new(edge);
    client.write(b"POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 10000000\r\n\r\n");
    client.write(&vec![b'x'; 4 << 20]);
    assert_eq!(client.read().unwrap().status(), 403);
    assert!(client.is_closed());
}
