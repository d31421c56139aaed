//! What is read of a stream of requests, and what is refused.

use super::*;
use crate::bounds::Bound;

/// The requests of a stream, each as its line and its body, and why nothing is read behind them.
fn read(stream: &str) -> (Vec<String>, Option<&'static str>) {
    let (mut requests, mut received, mut found) = (Requests::default(), BytesMut::from(stream), vec![]);
    loop {
        let Asked { head, mut body, .. } = match requests.read(&mut received) {
            Ok(Some(asked)) => asked,
            Ok(None) => return (found, None),
            Err(defect) => return (found, Some(defect.why)),
        };
        let mut text = format!("{} {} ", head.method, head.uri);
        loop {
            match body.next(&mut received) {
                Ok(Some(frame)) => match frame.into_data() {
                    Ok(data) => text.push_str(std::str::from_utf8(&data).unwrap()),
                    Err(frame) => text.push_str(&format!("{:?}", frame.into_trailers().unwrap())),
                },
                Ok(None) => break,
                Err(defect) => return (found, Some(defect.why)),
            }
        }
        found.push(text);
    }
}

#[test]
fn pipelined_requests_are_told_apart() {
    let inner = "GET /admin HTTP/1.1\r\n\r\n";
    let get = "GET /a HTTP/1.1\r\nhost: a\r\n\r\n";
    let sized = format!("POST /b HTTP/1.1\r\nhost: a\r\nContent-Length: {}\r\n\r\n{inner}", inner.len());
    let chunked =
        "POST /c HTTP/1.1\r\ntransfer-encoding: Chunked\r\n\r\n5;a=\"b\"\r\nhello\r\n0\r\nx: y\r\n\r\n";
    let (found, refused) = read(&format!("{get}{sized}{chunked}\r\n{get}"));
    let (b, c) = (format!("POST /b {inner}"), "POST /c hello{\"x\": \"y\"}");
    assert_eq!((found, refused), (vec!["GET /a ".into(), b, c.into(), "GET /a ".into()], None));
}

#[test]
fn nothing_is_read_behind_what_is_refused() {
    let get = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
    for bad in [
        "GET / HTTP/1.1\nhost: a\r\n\r\n",
        "POST / HTTP/1.1\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        // Its head is well, and with it comes what is not.
        "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nz\r\n",
    ] {
        let (found, refused) = read(&format!("{get}{bad}{get}"));
        assert!(found.len() == 1 && refused.is_some(), "{bad:?}: {found:?}");
    }
}

#[test]
fn a_connection_is_kept_as_the_rfc_says() {
    for (head, keeps) in [
        ("GET / HTTP/1.1\r\n\r\n", true),
        ("GET / HTTP/1.1\r\nconnection: x, Close\r\n\r\n", false),
        ("GET / HTTP/1.0\r\n\r\n", false),
        ("GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n", true),
        ("GET / HTTP/1.0\r\nconnection: keep-alive\r\nconnection: close\r\n\r\n", false),
    ] {
        let asked = Requests::default().read(&mut BytesMut::from(head)).ok().flatten().unwrap();
        assert_eq!(asked.keeps, keeps, "{head:?}");
    }
}

#[test]
fn ambiguous_framing_is_a_defect() {
    for (lines, defect) in [
        ("Content-Length: 6\r\nTransfer-Encoding: chunked", "both content-length and transfer-encoding"),
        ("Transfer-Encoding: chunked\r\nContent-Length: 6", "both content-length and transfer-encoding"),
        ("Content-Length: 5\r\nContent-Length: 5", "content-length is repeated"),
        ("Content-Length: 5, 5", "content-length is not a number"),
        ("Content-Length: +5", "content-length is not a number"),
        ("Content-Length: 010", "content-length is not a number"),
        ("Content-Length:", "content-length is not a number"),
        ("Content-Length: 18446744073709551617", "content-length is not a number"),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "transfer-encoding is not `chunked`"),
        ("Transfer-Encoding: gzip, chunked", "transfer-encoding is not `chunked`"),
        ("Transfer-Encoding:", "transfer-encoding is not `chunked`"),
        ("Transfer-Encoding: gzip", "an unknown transfer coding"),
        ("Host: a\rb", "a carriage return inside a line"),
        (" a: b", "a folded header line"),
        ("a : b", "a header name that is none"),
        (": b", "a header name that is none"),
        ("a", "a header line without a colon"),
        ("a: \u{1}", "a header value with a control character"),
    ] {
        let bytes = format!("POST / HTTP/1.1\r\n{lines}\r\n\r\n");
        assert_eq!(read(&bytes).1, Some(defect), "{lines}");
    }
}

#[test]
fn a_request_line_has_one_form() {
    for (line, defect) in [
        ("GET /a#b HTTP/1.1", "the target has a fragment"),
        ("GET /a b HTTP/1.1", "the request line has not three parts"),
        ("GET  HTTP/1.1", "the target is malformed"),
        ("GET ?x HTTP/1.1", "the target is malformed"),
        ("GET /\u{e9} HTTP/1.1", "the target is malformed"),
        ("G(T / HTTP/1.1", "the method is no token"),
        ("GET / HTTP/2.0", "the version is not supported"),
        ("GET / HTTP/1.10", "the version is malformed"),
        ("GET / http/1.1", "the version is malformed"),
        ("GET /", "the request line has not three parts"),
    ] {
        assert_eq!(read(&format!("{line}\r\n\r\n")).1, Some(defect), "{line}");
    }
    let old = "POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n";
    assert_eq!(read(old).1, Some("transfer-encoding before HTTP/1.1"));
    assert_eq!(read("\0").1, Some("the method is no token"));
    assert_eq!(read("\r\n\r\nGET / HTTP/1.1\r\n\r\n").1, Some("empty lines before a request"));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(101));
    assert_eq!(read(&many).1, Some("too many headers"));
}

#[test]
fn heads_have_an_end() {
    for (bytes, status) in [
        (format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(Bound::HeadBytes.size())), 414),
        (format!("GET / HTTP/1.1\r\na: {}\r\n\r\n", "a".repeat(Bound::HeadBytes.size())), 431),
        ("A".repeat(2 * Bound::HeadBytes.size()), 400),
    ] {
        let refused = Requests::default().read(&mut BytesMut::from(bytes.as_str()));
        assert_eq!(refused.err().unwrap().status, status);
    }
}

/// Soups of what requests are made of, well and badly, in pieces of random sizes. `MESH_HEADS` says how many.
#[test]
fn any_bytes_are_read_alike_in_any_pieces() {
    const PARTS: [&str; 32] = [
        "GET / HTTP/1.1\r\n",
        "POST /a?b HTTP/1.1\r\n",
        "GET / HTTP/1.0\r\n",
        "GET http://a/ HTTP/1.1\r\n",
        "host: a\r\n",
        "content-length: 5\r\n",
        "content-length: 0\r\n",
        "Content-Length: 05\r\n",
        "transfer-encoding: chunked\r\n",
        "Transfer-Encoding: gzip\r\n",
        "\r\n",
        "\r\n",
        "\r\n",
        "\n",
        "\r",
        "hello",
        "5\r\nhello\r\n",
        "0\r\n\r\n",
        "0\r\n",
        "a: b\r\n",
        " a: b\r\n",
        "a : b\r\n",
        ": b\r\n",
        "a\r\n",
        "\0",
        "\u{e9}",
        "5;x=\"y\"\r\nhello\r\n",
        "5;x=\"\r\n",
        "FFFFFFFFFFFFFFFF\r\n",
        "GET /#a HTTP/1.1\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "#",
    ];
    let count = std::env::var("MESH_HEADS").ok().and_then(|count| count.parse().ok()).unwrap_or(20_000);
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..count {
        let length = random.usize(1..12);
        let bytes: Vec<u8> = (0..length).flat_map(|_| PARTS[random.usize(..PARTS.len())].bytes()).collect();
        crate::http1::law(&bytes, |left| random.usize(1..=left));
    }
}
