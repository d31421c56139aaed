//! A proxy that ends answers what it has begun.

use crate::plans::mesh;
use crate::wire::{Client, Does, get, ok, upstream};
use crate::{config, proxy};
use mesh_proxy::{AccessLog, Drained, start};
use std::net::TcpStream;
use std::time::{Duration, Instant};

#[test]
fn a_drain_answers_what_is_in_flight_and_closes_what_is_idle() {
    let shop = upstream(|_, _| {
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
        Does::Pauses(vec![], Duration::from_millis(400), answer.into())
    });
    let (proxy, edge) = proxy(mesh().to("shop", shop.address).respond("x", 200, "x").view());
    let mut idle = Client::new(edge);
    assert_eq!(idle.get("/x").unwrap().text(), "x");
    let mut busy = Client::new(edge);
    busy.write(b"GET /shop HTTP/1.1\r\nhost: a\r\n\r\n");
    std::thread::sleep(Duration::from_millis(100));

    let began = Instant::now();
    let drained = std::thread::spawn(move || proxy.drain(Duration::from_secs(5)));
    assert!(idle.is_closed());
    assert!(began.elapsed() < Duration::from_millis(250), "an idle connection is not waited for");
    let answer = busy.read().unwrap();
    assert_eq!((answer.text(), answer.header("connection")), ("hello", "close"));
    assert!(busy.is_closed());
    assert_eq!(drained.join().unwrap(), Drained { cut: 0 });
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert!(TcpStream::connect(edge).is_err());
}

#[test]
fn a_drain_ends_when_its_time_is_up() {
    let shop = upstream(|_, _| Does::Pauses(vec![], Duration::from_secs(30), vec![]));
    let (proxy, edge) = proxy(mesh().to("shop", shop.address).view());
    let mut busy = Client::new(edge);
    busy.write(b"GET /shop HTTP/1.1\r\nhost: a\r\n\r\n");
    std::thread::sleep(Duration::from_millis(100));
    let began = Instant::now();
    assert_eq!(proxy.drain(Duration::from_millis(200)), Drained { cut: 1 });
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert!(busy.read().is_none());
}

#[test]
fn a_connection_that_waits_to_be_accepted_is_still_answered() {
    let (proxy, edge) = proxy(mesh().respond("x", 200, "x").view());
    let mut clients: Vec<_> = (0..50).map(|_| Client::new(edge)).collect();
    for client in &mut clients {
        client.write(b"GET /x HTTP/1.1\r\nhost: a\r\n\r\n");
    }
    assert_eq!(proxy.drain(Duration::from_secs(5)), Drained { cut: 0 });
    for client in &mut clients {
        assert_eq!(client.read().unwrap().text(), "x");
    }
}

#[test]
fn a_dropped_proxy_is_gone() {
    let shop = upstream(|_, _| ok("shop"));
    let (proxy, edge) = proxy(mesh().to("shop", shop.address).view());
    assert_eq!(get(edge, "/shop").text(), "shop");
    drop(proxy);
    assert!(TcpStream::connect(edge).is_err());
}

#[tokio::test]
async fn a_program_with_a_runtime_of_its_own_can_hold_a_proxy() {
    let plan = mesh().respond("x", 200, "x").view();
    let proxy = start(plan.clone(), crate::Config { access_log: AccessLog::None, ..config() }).unwrap();
    let edge = proxy.addresses()["edge.default/http"];
    assert_eq!(get(edge, "/x").text(), "x");
    proxy.swap(plan).unwrap();
    assert_eq!(proxy.shutdown(), Drained { cut: 0 });
}
