//! A plan takes another's place while requests go on.

use crate::plans::{Mesh, mesh};
use crate::wire::{Client, Does, free_port, get, ok, upstream};
use crate::{LOOPBACK, config, proxy};
use mesh_proxy::{Door, Handle, SwapError, start};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

#[test]
fn the_next_request_on_the_same_connection_sees_the_new_plan() {
    let (proxy, edge) = proxy(mesh().respond("x", 200, "old").view());
    let mut client = Client::new(edge);
    assert_eq!(client.get("/x").unwrap().text(), "old");
    proxy.swap(mesh().respond("x", 200, "new").view()).unwrap();
    assert_eq!(client.get("/x").unwrap().text(), "new");
    assert_eq!(get(edge, "/x").text(), "new");
}

#[test]
fn a_request_ends_under_the_plan_that_it_began_with() {
    let slow = upstream(|_, _| {
        let head = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello";
        Does::Pauses(head.into(), Duration::from_millis(300), b"world".into())
    });
    let (proxy, edge) = proxy(mesh().to("shop", slow.address).view());
    let mut client = Client::new(edge);
    client.write(b"GET /shop HTTP/1.1\r\nhost: a\r\n\r\n");
    std::thread::sleep(Duration::from_millis(50));
    proxy.swap(mesh().respond("other", 200, "").view()).unwrap();
    assert_eq!(client.read().unwrap().text(), "helloworld");
    assert_eq!(client.get("/shop").unwrap().status(), 404);
}

#[test]
fn swaps_under_load_lose_nothing() {
    let (a, b) = (upstream(|_, _| ok("a")), upstream(|_, _| ok("b")));
    let plans = [mesh().to("shop", a.address).view(), mesh().to("shop", b.address).view()];
    let (proxy, edge) = proxy(plans[0].clone());
    let (over, answers) =
        (Arc::new(AtomicBool::new(false)), Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]));
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let (over, answers) = (over.clone(), answers.clone());
            std::thread::spawn(move || {
                let mut client = Client::new(edge);
                while !over.load(Ordering::SeqCst) {
                    let answer = client.get("/shop").expect("no connection is lost");
                    assert_eq!(answer.status(), 200);
                    answers[usize::from(answer.text() == "b")].fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    // However slow the machine is, both have to have answered often.
    let enough = |turns| turns >= 50 && answers.iter().all(|count| count.load(Ordering::SeqCst) > 100);
    let mut turns = 0;
    while !enough(turns) && !clients.iter().any(std::thread::JoinHandle::is_finished) {
        std::thread::sleep(Duration::from_millis(20));
        turns += 1;
        proxy.swap(plans[turns % 2].clone()).unwrap();
    }
    over.store(true, Ordering::SeqCst);
    clients.into_iter().for_each(|client| client.join().unwrap());
}

/// Gateways on their plan's ports.
fn on_its_port(mesh: &Mesh) -> Handle {
    start(mesh.view(), crate::Config { doors: vec![Door::Gateways { bind: LOOPBACK }], ..config() }).unwrap()
}

#[test]
fn a_listener_that_moves_is_open_at_its_new_port_and_closed_at_the_old() {
    let (old, new) = (free_port(), free_port());
    let mesh = mesh().respond("x", 200, "x");
    let proxy = on_its_port(&mesh.clone().listener_port(old));
    let mut client = Client::new(SocketAddr::new(LOOPBACK, old));
    assert_eq!(client.get("/x").unwrap().text(), "x");
    proxy.swap(mesh.listener_port(new).view()).unwrap();
    assert_eq!(get(SocketAddr::new(LOOPBACK, new), "/x").text(), "x");
    assert!(client.is_closed());
    assert!(TcpStream::connect((LOOPBACK, old)).is_err());
}

#[test]
fn a_gateway_that_changes_its_name_keeps_its_socket() {
    let port = free_port();
    let mesh = mesh().respond("x", 200, "x").listener_port(port);
    let proxy = on_its_port(&mesh);
    let mut client = Client::new(SocketAddr::new(LOOPBACK, port));
    assert_eq!(client.get("/x").unwrap().text(), "x");
    proxy.swap(mesh.gateway("front").view()).unwrap();
    assert_eq!(client.get("/x").unwrap().text(), "x", "even its connections stay");
    assert!(proxy.addresses().contains_key("front.default/http"));
}

#[test]
fn a_plan_that_cannot_be_served_is_refused_and_the_old_one_stays() {
    let (port, taken) = (free_port(), TcpListener::bind("127.0.0.1:0").unwrap());
    let mesh = mesh().respond("x", 200, "old");
    let proxy = on_its_port(&mesh.clone().listener_port(port));
    let next = mesh.respond("x", 200, "new").listener_port(taken.local_addr().unwrap().port());
    let digest = proxy.plan().digest();
    assert!(matches!(proxy.swap(next.view()), Err(SwapError::Bind(_))));
    assert_eq!(get(SocketAddr::new(LOOPBACK, port), "/x").text(), "old");
    assert_eq!(proxy.plan().digest(), digest);
}

#[test]
fn a_plan_without_the_asked_gateway_is_refused() {
    let (proxy, edge) = proxy(mesh().respond("x", 200, "old").view());
    let swapped = proxy.swap(mesh().gateway("front").view());
    assert!(matches!(swapped, Err(SwapError::Door(_))), "{swapped:?}");
    assert_eq!(get(edge, "/x").text(), "old");
}

#[test]
fn a_swap_can_add_doors() {
    let shop = upstream(|_, _| ok("shop"));
    let mesh = mesh().to("shop", shop.address).service("web", &[]).calls("web", "shop");
    let (proxy, edge) = proxy(mesh.view());
    let mut doors = config().doors;
    let listen = SocketAddr::new(LOOPBACK, 0);
    doors.push(Door::Sidecar { service: "web".to_owned(), listen });
    proxy.swap_doors(mesh.view(), doors).unwrap();
    let addresses = proxy.addresses();
    assert_eq!(addresses["edge.default/http"], edge, "what was open stays where it is");
    let request = "GET / HTTP/1.1\r\nhost: shop\r\n\r\n";
    assert_eq!(crate::wire::raw(addresses["web.default"], request).text(), "shop");
}

#[test]
fn a_listener_that_moves_loses_no_request() {
    let (shop, mut port) = (upstream(|_, _| ok("shop")), free_port());
    let mesh = mesh().to("shop", shop.address);
    let proxy = on_its_port(&mesh.clone().listener_port(port));
    let (over, current) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(port.into())));
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let (over, current) = (over.clone(), current.clone());
            std::thread::spawn(move || {
                let (mut asked, mut closed) = (0, 0);
                while !over.load(Ordering::SeqCst) {
                    let port = current.load(Ordering::SeqCst) as u16;
                    // A client that was late is refused a connection: it lost no request.
                    let Ok(stream) = TcpStream::connect((LOOPBACK, port)) else { continue };
                    let mut client = Client::over(stream);
                    while !over.load(Ordering::SeqCst) {
                        let answer = client.get("/shop").expect("an answer");
                        assert_eq!((answer.status(), answer.text()), (200, "shop"));
                        asked += 1;
                        if answer.header("connection") == "close" {
                            closed += 1;
                            break;
                        }
                    }
                }
                (asked, closed)
            })
        })
        .collect();
    for _ in 0..10 {
        std::thread::sleep(Duration::from_millis(100));
        port = free_port();
        proxy.swap(mesh.clone().listener_port(port).view()).unwrap();
        current.store(port.into(), Ordering::SeqCst);
    }
    std::thread::sleep(Duration::from_millis(100));
    over.store(true, Ordering::SeqCst);
    let told: Vec<(usize, usize)> = clients.into_iter().map(|client| client.join().unwrap()).collect();
    let (asked, closed) = told.iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    assert!(asked > 1_000 && closed >= 40, "{told:?}");
}

#[test]
fn a_closing_listener_answers_the_rest_of_a_head_that_had_begun() {
    let (old, new) = (free_port(), free_port());
    let mesh = mesh().respond("x", 200, "x");
    let proxy = on_its_port(&mesh.clone().listener_port(old));
    let mut client = Client::new(SocketAddr::new(LOOPBACK, old));
    assert_eq!(client.get("/x").unwrap().text(), "x");
    client.write(b"GET /x HTTP/1.1\r\n");
    proxy.swap(mesh.listener_port(new).view()).unwrap();
    std::thread::sleep(Duration::from_millis(1_300));
    client.write(b"host: a\r\n\r\n");
    let answer = client.read().unwrap();
    assert_eq!((answer.text(), answer.header("connection")), ("x", "close"));
}

#[test]
fn a_closing_listener_waits_no_longer_than_a_drain() {
    let slow = upstream(|_, _| Does::Pauses(vec![], Duration::from_secs(30), vec![]));
    let mesh = mesh().to("shop", slow.address);
    let config = crate::Config { drain: Duration::from_millis(300), ..config() };
    let proxy = start(mesh.view(), config).unwrap();
    let mut client = Client::new(proxy.addresses()["edge.default/http"]);
    client.write(b"GET /shop HTTP/1.1\r\nhost: a\r\n\r\n");
    std::thread::sleep(Duration::from_millis(50));
    let began = Instant::now();
    proxy.swap_doors(mesh.view(), vec![]).unwrap();
    assert!(client.read().is_none());
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
}

#[test]
fn a_gateway_that_is_asked_for_twice_is_there_once() {
    let mut doors = config().doors;
    doors.extend(doors.clone());
    let proxy = start(mesh().respond("x", 200, "x").view(), crate::Config { doors, ..config() }).unwrap();
    let edge = proxy.addresses()["edge.default/http"];
    assert_eq!(get(edge, "/x").text(), "x");
}
