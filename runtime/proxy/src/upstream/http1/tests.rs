//! Both ends of a connection in one test: what is written, and what is made of what comes back.

use super::*;
use tokio::io::{AsyncWriteExt as _, DuplexStream, duplex};

fn pair() -> (Http1<DuplexStream>, DuplexStream) {
    let (ours, theirs) = duplex(1 << 20);
    (Http1::on(ours), theirs)
}

fn request(method: Method, body: &'static [u8]) -> Request<Outgoing> {
    let body = if body.is_empty() { Outgoing::Empty } else { Outgoing::Kept(Bytes::from_static(body)) };
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = "/a?b".parse().unwrap();
    request.headers_mut().insert("host", "shop".parse().unwrap());
    // What the client said of its length is not what the endpoint is told.
    request.headers_mut().insert("content-length", "77".parse().unwrap());
    request
}

async fn send(
    http: &mut Http1<DuplexStream>,
    request: Request<Outgoing>,
) -> Result<Response<()>, NotAnswered> {
    http.begin(request)?;
    poll_fn(|cx| http.poll_answer(cx)).await
}

async fn body(http: &mut Http1<DuplexStream>) -> Result<Vec<u8>, io::Error> {
    let mut whole = Vec::new();
    while let Some(frame) = poll_fn(|cx| http.poll_frame(cx)).await {
        whole.extend_from_slice(&frame?.into_data().unwrap_or_default());
    }
    Ok(whole)
}

async fn written(endpoint: &mut DuplexStream) -> String {
    let mut bytes = vec![0; 4096];
    let count = endpoint.read(&mut bytes).await.unwrap();
    String::from_utf8(bytes[..count].to_vec()).unwrap()
}

#[tokio::test]
async fn the_length_of_a_request_is_told_anew() {
    for (method, sent, end) in [
        (Method::GET, "", "\r\n"),
        (Method::POST, "", "content-length: 0\r\n\r\n"),
        (Method::PUT, "hello", "content-length: 5\r\n\r\nhello"),
    ] {
        let (mut http, mut endpoint) = pair();
        let head = format!("{method} /a?b HTTP/1.1\r\nhost: shop\r\n{end}");
        let answers = async {
            assert_eq!(written(&mut endpoint).await, head);
            endpoint.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
        };
        let (response, ()) = tokio::join!(send(&mut http, request(method, sent.as_bytes())), answers);
        assert_eq!(response.ok().unwrap().status(), 200);
        assert_eq!(body(&mut http).await.unwrap(), b"ok");
        assert!(http.is_kept() && http.is_open());
    }
}

#[tokio::test]
async fn a_connection_is_used_again_only_if_nothing_is_left_on_it() {
    for (answer, kept) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\na", true),
        ("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\naHTTP/1.1 200 OK\r\n\r\n", false),
        ("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 1\r\n\r\na", false),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", true),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n\r\n", false),
    ] {
        let (mut http, mut endpoint) = pair();
        let answers = async {
            written(&mut endpoint).await;
            endpoint.write_all(answer.as_bytes()).await.unwrap();
        };
        let (response, ()) = tokio::join!(send(&mut http, request(Method::GET, b"")), answers);
        assert!(response.is_ok(), "{answer:?}");
        assert_eq!(body(&mut http).await.unwrap(), b"a");
        assert_eq!(http.is_kept(), kept, "{answer:?}");
    }
}

#[tokio::test]
async fn a_connection_is_not_open_for_a_request_whose_answer_is_there_already() {
    let (mut http, mut endpoint) = pair();
    assert!(http.is_open());
    endpoint.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    assert!(!http.is_open());
}

#[tokio::test]
async fn what_a_closed_connection_did_not_take_comes_back() {
    let (mut http, endpoint) = pair();
    drop(endpoint);
    let not_answered = send(&mut http, request(Method::POST, b"hello")).await.unwrap_err();
    assert_eq!(not_answered.why, Why::Endpoint);
    assert_eq!(not_answered.unsent.unwrap().headers()["host"], "shop");
}

#[tokio::test]
async fn an_endpoint_that_takes_no_more_may_have_answered_all_the_same() {
    let (ours, mut endpoint) = duplex(64);
    let mut http = Http1::on(ours);
    let refuses = async {
        assert!(written(&mut endpoint).await.starts_with("POST "));
        endpoint.write_all(b"HTTP/1.1 413 Too Long\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        drop(endpoint);
    };
    let long = Box::leak(vec![b'x'; 100_000].into_boxed_slice());
    let (response, ()) = tokio::join!(send(&mut http, request(Method::POST, long)), refuses);
    assert_eq!(response.ok().unwrap().status(), 413);
    assert!(!http.finish().await);
}

#[tokio::test]
async fn an_answer_that_is_cut_off_is_no_whole_one() {
    for (answer, in_head) in [
        ("HTTP/1.1 200 OK\r\ncontent-le", true),
        ("", true),
        ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhell", false),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n", false),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\naX", false),
    ] {
        let (mut http, mut endpoint) = pair();
        let answers = async {
            written(&mut endpoint).await;
            endpoint.write_all(answer.as_bytes()).await.unwrap();
            drop(endpoint);
        };
        let (response, ()) = tokio::join!(send(&mut http, request(Method::GET, b"")), answers);
        match response {
            Err(not_answered) => assert!(in_head && not_answered.unsent.is_none(), "{answer:?}"),
            Ok(_) => assert!(!in_head && body(&mut http).await.is_err() && !http.is_kept(), "{answer:?}"),
        }
    }
}
