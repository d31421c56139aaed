//! When a client is waited for, and when no longer.

use super::*;
use std::future::poll_fn;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// A connection, and its other end.
async fn pair() -> (Rc<RefCell<Duplex<TcpStream>>>, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    (Rc::new(RefCell::new(Duplex::on(listener.accept().await.unwrap().0))), client)
}

async fn head(duplex: &RefCell<Duplex<TcpStream>>) -> Option<String> {
    let came = poll_fn(|cx| duplex.borrow_mut().poll_head(cx)).await?;
    Some(came.map_or_else(|defect| defect.why.into(), |asked| asked.head.uri.to_string()))
}

const SHORT: Duration = Duration::from_millis(50);

#[tokio::test]
async fn a_head_that_does_not_arrive_ends_the_connection() {
    let (duplex, mut client) = pair().await;
    client.write_all(b"GET / HTTP/1.1\r\nho").await.unwrap();
    let mut arrives = Box::pin(head(&duplex));
    assert!(timeout(SHORT, &mut arrives).await.is_err(), "it is not whole");
    assert!(duplex.borrow().is_arriving());
    tokio::time::pause();
    let began = Instant::now();
    // A byte now and then does not help.
    client.write_all(b"s").await.unwrap();
    assert_eq!(arrives.await, None);
    assert!(began.elapsed() <= Bound::HeadTime.time() + SHORT, "{:?}", began.elapsed());
    assert!(!duplex.borrow().is_idle());
}

#[tokio::test]
async fn between_requests_a_connection_may_be_silent() {
    let (duplex, mut client) = pair().await;
    client.write_all(b"GET /a HTTP/1.1\r\n\r\n").await.unwrap();
    assert_eq!(head(&duplex).await.unwrap(), "/a");
    duplex.borrow_mut().end();
    tokio::time::pause();
    let mut arrives = Box::pin(head(&duplex));
    assert!(timeout(Bound::HeadTime.time() * 3, &mut arrives).await.is_err());
    assert!(!duplex.borrow().is_arriving() && duplex.borrow().is_idle());
    // It has rung for the end of the first silence by then, and means the second.
    client.write_all(b"GET /b HTTP/1.1\r\n\r\n").await.unwrap();
    tokio::time::resume();
    assert_eq!(arrives.await.unwrap(), "/b");
    duplex.borrow_mut().end();
    tokio::time::pause();
    let began = Instant::now();
    assert_eq!(head(&duplex).await, None);
    assert!(began.elapsed() >= Bound::IdleTime.time() && began.elapsed() < Bound::IdleTime.time() + SHORT);
}

#[tokio::test]
async fn what_comes_ahead_is_kept_within_bounds_and_a_client_that_ends_has_gone() {
    let (duplex, mut client) = pair().await;
    client.write_all(b"GET /a HTTP/1.1\r\n\r\n").await.unwrap();
    head(&duplex).await.unwrap();
    duplex.borrow_mut().begin(Reading::Ended, false);
    let gone = || poll_fn(|cx| duplex.borrow_mut().poll_gone(cx));
    assert!(timeout(SHORT, gone()).await.is_err());
    let mut sends = tokio::spawn(async move {
        let sent = client.write_all(&vec![b'x'; 16 << 20]).await;
        (client, sent.is_ok())
    });
    assert!(timeout(SHORT, gone()).await.is_err());
    assert!(timeout(SHORT, &mut sends).await.is_err(), "it has to wait");
    assert!((MAX_AHEAD..MAX_AHEAD + PIECE).contains(&duplex.borrow().received.len()));
    let (duplex, mut client) = pair().await;
    client.write_all(b"GET /a HTTP/1.1\r\n\r\n").await.unwrap();
    head(&duplex).await.unwrap();
    drop(client);
    assert!(timeout(SHORT, poll_fn(|cx| duplex.borrow_mut().poll_gone(cx))).await.is_ok());
}

#[tokio::test]
async fn a_body_is_that_of_its_request_alone() {
    let (duplex, mut client) = pair().await;
    client
        .write_all(b"POST /a HTTP/1.1\r\ncontent-length: 5\r\n\r\nhelloGET /b HTTP/1.1\r\n\r\n")
        .await
        .unwrap();
    assert_eq!(head(&duplex).await.unwrap(), "/a");
    let number = duplex.borrow_mut().begin(Reading::Length(5), false);
    let source: &dyn Source = &*duplex;
    let part = poll_fn(|cx| source.poll_part(number, cx)).await.unwrap().unwrap();
    assert_eq!((part.into_data().unwrap().as_ref(), source.has_ended(number)), (&b"hello"[..], true));
    assert!(duplex.borrow_mut().end());
    assert!(poll_fn(|cx| source.poll_part(number, cx)).await.unwrap().is_err());
    assert!(!source.has_ended(number));
    assert_eq!(head(&duplex).await.unwrap(), "/b");
}

#[tokio::test]
async fn a_client_that_waits_for_it_is_told_to_send() {
    let (duplex, mut client) = pair().await;
    for (sends, told) in [(&b""[..], true), (b"hello", false)] {
        let number = duplex.borrow_mut().begin(Reading::Length(5), true);
        client.write_all(sends).await.unwrap();
        if !told {
            while duplex.borrow_mut().received.is_empty() {
                poll_fn(|cx| duplex.borrow_mut().poll_piece(cx)).await.unwrap();
            }
        }
        let part = poll_fn(|cx| duplex.poll_part(number, cx));
        let came = timeout(SHORT, part).await;
        assert_eq!(came.is_err(), told);
        let mut answer = [0; CONTINUE.len()];
        let read = timeout(SHORT, client.read_exact(&mut answer)).await;
        assert_eq!(read.is_ok(), told);
        assert!(!told || answer == *CONTINUE);
    }
}

#[tokio::test]
async fn a_response_that_nobody_reads_ends_the_connection() {
    for (cut, expected) in
        [(None, Bound::StallTime.time()), (Some(Duration::from_secs(5)), Duration::from_secs(5))]
    {
        let (duplex, _client) = pair().await;
        tokio::time::pause();
        let began = Instant::now();
        duplex.borrow().cut_at.set(cut.map(|cut| began + cut));
        let error = Out(&duplex).write_all(&vec![0; 64 << 20]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let took = began.elapsed();
        assert!(took >= expected && took < expected + Duration::from_secs(1), "{took:?}");
        tokio::time::resume();
    }
}
