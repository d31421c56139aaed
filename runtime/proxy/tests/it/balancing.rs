//! Which endpoint, how many at once, and what several workers count together.

use crate::plans::{Mesh, mesh};
use crate::wire::{Client, Does, Upstream, get, ok, upstream};
use crate::{config, proxy};
use mesh_plan::{Algorithm, Balancer, Breaker, Outliers, Settings};
use socket2::{Domain, Socket, Type};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// `shop` at these endpoints.
fn shop(endpoints: &[SocketAddr], settings: Settings) -> Mesh {
    mesh().service("shop", endpoints).split("shop", &[("shop", 10_000)]).settings(settings)
}

fn balancer(algorithm: Algorithm, slow_start: u32) -> Settings {
    Settings { balancer: Some(Balancer { algorithm, key: None, slow_start }), ..Settings::default() }
}

fn breaker(breaker: Breaker) -> Settings {
    Settings { breaker: Some(breaker), ..Settings::default() }
}

#[test]
fn a_new_endpoint_begins_slowly_and_where_all_are_new_none_gets_less() {
    for algorithm in [Algorithm::RoundRobin, Algorithm::Random, Algorithm::LeastRequest] {
        let upstreams = [(); 3].map(|()| upstream(|_, _| ok("shop")));
        let addresses = [0, 1, 2].map(|own: usize| upstreams[own].address);
        let hour = balancer(algorithm, 3_600_000);
        let plan = shop(&addresses[..2], hour.clone()).view();
        let handle = mesh_proxy::start(plan, crate::Config { workers: 1, ..config() }).unwrap();
        let edge = handle.addresses()["edge.default/http"];
        let mut client = Client::new(edge);
        (0..100).for_each(|_| assert_eq!(client.get("/shop").unwrap().status(), 200));
        assert!(upstreams[..2].iter().all(|own| own.seen().len() > 20), "both are new: {algorithm:?}");
        handle.swap(shop(&addresses, hour).view()).unwrap();
        // The others are a moment old and the new one not at all: all of them begin with the least share. So does, later, nobody.
        (0..300).for_each(|_| assert_eq!(client.get("/shop").unwrap().status(), 200));
        let new = upstreams[2].seen().len();
        assert!(new > 60, "compared with who is as new: {algorithm:?} {new}");
        handle.shutdown();
    }
    // Where the others are warm, a tenth of a share of 2.1 is 5 % of the requests.
    let upstreams = [(); 3].map(|()| upstream(|_, _| ok("shop")));
    let addresses = [0, 1, 2].map(|own: usize| upstreams[own].address);
    let slow = balancer(Algorithm::RoundRobin, 2_000);
    let plan = shop(&addresses[..2], slow.clone()).view();
    let handle = mesh_proxy::start(plan, crate::Config { workers: 1, ..config() }).unwrap();
    let mut client = Client::new(handle.addresses()["edge.default/http"]);
    client.get("/shop").unwrap();
    std::thread::sleep(Duration::from_millis(2_050));
    handle.swap(shop(&addresses, slow).view()).unwrap();
    (0..100).for_each(|_| drop(client.get("/shop").unwrap()));
    let new = upstreams[2].seen().len();
    assert!(new < 25, "{new} of 100 while it is new");
    std::thread::sleep(Duration::from_millis(2_050));
    (0..300).for_each(|_| drop(client.get("/shop").unwrap()));
    let warm = upstreams[2].seen().len() - new;
    assert!((95..=105).contains(&warm), "{warm} of 300 once it is warm");
}

/// A slow upstream that remembers how many requests it had at once.
fn crowded(pause: Duration) -> (Upstream, Arc<AtomicUsize>) {
    let (now, most) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    let seen = most.clone();
    let upstream = upstream(move |_, _| {
        seen.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        std::thread::sleep(pause);
        now.fetch_sub(1, Ordering::SeqCst);
        ok("shop")
    });
    (upstream, most)
}

fn statuses(edge: SocketAddr, requests: usize) -> Vec<u16> {
    let asked: Vec<_> =
        (0..requests).map(|_| std::thread::spawn(move || get(edge, "/shop").status())).collect();
    let mut statuses: Vec<u16> = asked.into_iter().map(|own| own.join().unwrap()).collect();
    statuses.sort_unstable();
    statuses
}

#[test]
fn workers_count_requests_together_and_exactly() {
    let (upstream, most) = crowded(Duration::from_millis(1_500));
    let limit = Breaker { max_requests: Some(5), ..Breaker::default() };
    let (_proxy, edge) = proxy(shop(&[upstream.address], breaker(limit)).view());
    let statuses = statuses(edge, 20);
    assert_eq!(statuses, [vec![200; 5], vec![503; 15]].concat());
    assert_eq!(most.load(Ordering::SeqCst), 5);
}

#[test]
fn connections_are_as_many_as_may_be_whichever_worker_has_them() {
    let (upstream, most) = crowded(Duration::from_millis(20));
    let limit = Breaker { max_connections: Some(2), ..Breaker::default() };
    let (_proxy, edge) = proxy(shop(&[upstream.address], breaker(limit)).view());
    let began = Instant::now();
    // Client connections are spread over the workers: an idle connection of one is closed for the other.
    for _ in 0..6 {
        assert_eq!(statuses(edge, 8), [200; 8]);
    }
    assert_eq!(most.load(Ordering::SeqCst), 2);
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
}

#[test]
fn what_a_request_took_is_given_back_however_it_ends() {
    let upstream = upstream(|before, _| match before {
        0 => Does::Closes(vec![]),
        1 => Does::Closes(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf".to_vec()),
        2 => Does::Pauses(vec![], Duration::from_secs(3), vec![]),
        _ => ok("shop"),
    });
    let limit = Breaker { max_requests: Some(1), max_connections: Some(1), ..Breaker::default() };
    let mesh = shop(&[upstream.address], breaker(limit)).timeout(200);
    let (_proxy, edge) = proxy(mesh.view());
    assert_eq!(get(edge, "/shop").status(), 502);
    let mut client = Client::new(edge);
    client.write(b"GET /shop HTTP/1.1\r\nhost: a\r\n\r\n");
    assert!(client.read().is_none(), "it breaks off");
    assert_eq!(get(edge, "/shop").status(), 504);
    assert_eq!(get(edge, "/shop").text(), "shop");
}

#[test]
fn workers_leave_an_endpoint_out_together() {
    let (bad, good) = (upstream(|_, _| crate::wire::status(500, "")), upstream(|_, _| ok("shop")));
    let outliers = Outliers {
        consecutive_5xx: 4,
        consecutive_gateway_errors: 0,
        success_rate: 0,
        interval: 10_000,
        base_ejection: 3_600_000,
        max_ejection: 3_600_000,
        max_share: 5_000,
        max_at_least: 0,
        min_hosts: 1,
    };
    let settings = Settings { outliers: Some(outliers), ..Settings::default() };
    let (_proxy, edge) = proxy(shop(&[bad.address, good.address], settings).view());
    // Each on a connection of its own, so that both workers have some.
    (0..60).for_each(|_| drop(get(edge, "/shop")));
    assert_eq!(bad.seen().len(), 4);
}

#[test]
fn a_connection_takes_no_longer_than_it_may() {
    // Nobody accepts here: once the queue is full, connections are neither made nor refused.
    let full = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    full.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    full.listen(0).unwrap();
    let address = full.local_addr().unwrap().as_socket().unwrap();
    let _queue: Vec<_> =
        (0..4).map(|_| std::net::TcpStream::connect_timeout(&address, Duration::from_millis(100))).collect();
    let settings = Settings { connect_timeout: Some(1_500), ..Settings::default() };
    let (_proxy, edge) = proxy(shop(&[address], settings).view());
    let began = Instant::now();
    assert_eq!(get(edge, "/shop").status(), 503);
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(1_500), "longer than what holds where nothing is said: {took:?}");
}
