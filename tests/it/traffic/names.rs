//! Endpoints that are known by name.

use super::flags;
use super::termination::Shelf;
use mesh_proxy::Certificates;
use mesh_tests::authority::Authority;
use mesh_tests::dns::{Dns, Entry};
use mesh_tests::harness::{Mesh, Upstream};
use mesh_tests::secure::Secure;
use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// A gateway that anyone may use, and a service behind it that says where it is.
fn text(port: &str, statements: &str) -> String {
    let listener =
        if port == "tcp" { "listener web port 80 tcp" } else { "listener web port 80 http { host \"*\" }" };
    format!(
        "gateway edge {{ {listener} }}\nauthorize edge {{ allow from anyone }}\nroute edge {{ to s }}\n\
         service s {{ port 80 {port}; {statements} }}\nauthorize s {{ allow from gateway edge }}\n"
    )
}

/// Two servers that say where they are, on the same port of two addresses.
fn two() -> ([Upstream; 2], u16) {
    let says = |text: &'static str| move |_| (200, text.to_owned(), Duration::ZERO);
    loop {
        let first = Upstream::start(says("127.0.0.1"));
        let port = first.address.parse::<SocketAddr>().unwrap().port();
        let second = SocketAddr::from(([127, 0, 0, 2], port));
        if TcpListener::bind(second).is_ok() {
            return ([first, Upstream::start_at(second, says("127.0.0.2"))], port);
        }
    }
}

/// The answers to so many requests.
fn ask(mesh: &Mesh, requests: usize) -> Vec<(u16, String)> {
    let mut client = mesh.connect("edge.default/web");
    (0..requests)
        .map(|_| {
            let answer = client.get("a", "/", &[]).unwrap();
            (answer.0, answer.1)
        })
        .collect()
}

/// Who answers.
fn who(mesh: &Mesh) -> BTreeSet<String> {
    ask(mesh, 6)
        .into_iter()
        .map(|(status, text)| if status == 200 { text } else { status.to_string() })
        .collect()
}

fn set<const N: usize>(all: [&str; N]) -> BTreeSet<String> {
    all.map(str::to_owned).into()
}

/// Waits until it holds, within reason.
#[track_caller]
fn wait_for(what: impl Fn() -> bool) {
    let began = Instant::now();
    while !what() {
        assert!(began.elapsed() < Duration::from_secs(60), "it never holds");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn the_addresses_of_a_name_are_endpoints_that_come_and_go_and_the_last_ones_stay() {
    let (servers, port) = two();
    let dns = Dns::start();
    dns.is_at("s.test", &["127.0.0.1", "127.0.0.2"]);
    let mesh = Mesh::start_naming(&text("http", &format!("endpoints dns \"s.test:{port}\"")), &dns, None);
    assert_eq!(who(&mesh), set(["127.0.0.1", "127.0.0.2"]));
    let heard = servers.each_ref().map(|server| server.heads().len());
    assert_eq!(heard, [3, 3], "in turn");
    dns.is_at("s.test", &["127.0.0.2"]);
    wait_for(|| who(&mesh) == set(["127.0.0.2"]));
    let asked = dns.asked("s.test");
    for trouble in [Entry::Code(3), Entry::Code(2), Entry::At(vec![], 1)] {
        dns.says("s.test", trouble);
        let before = dns.asked("s.test");
        wait_for(|| dns.asked("s.test") >= before + 4);
        assert_eq!(who(&mesh), set(["127.0.0.2"]));
        // Each trouble is the first one: after many, a name is left alone for half a minute.
        dns.is_at("s.test", &["127.0.0.2"]);
        let before = dns.asked("s.test");
        wait_for(|| dns.asked("s.test") >= before + 4);
    }
    assert!(dns.asked("s.test") - asked < 60, "it is asked again, and not all the time");
    dns.is_at("s.test", &["127.0.0.1", "169.254.169.254"]);
    wait_for(|| who(&mesh) == set(["127.0.0.1"]));
    assert!(flags(mesh).iter().all(String::is_empty));
}

/// A server that counts its open connections, and takes its time for `/slow`.
fn counted() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, open) = (listener.local_addr().unwrap(), Arc::<AtomicUsize>::default());
    let count = open.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let count = count.clone();
            std::thread::spawn(move || {
                count.fetch_add(1, Ordering::SeqCst);
                let mut stream = BufReader::new(stream);
                let mut head = String::new();
                while stream.read_line(&mut head).is_ok_and(|size| size > 0) {
                    if head.ends_with("\r\n\r\n") {
                        let pause = if head.starts_with("GET /slow ") { 4 } else { 0 };
                        std::thread::sleep(Duration::from_secs(pause));
                        stream
                            .get_mut()
                            .write_all(b"HTTP/1.1 200 X\r\ncontent-length: 3\r\n\r\nold")
                            .unwrap();
                        head.clear();
                    }
                }
                count.fetch_sub(1, Ordering::SeqCst);
            });
        }
    });
    (address, open)
}

#[test]
fn what_is_under_way_to_an_address_that_goes_is_answered_and_then_its_connections_close() {
    let (old, open) = counted();
    let new = SocketAddr::from(([127, 0, 0, 2], old.port()));
    let _new = Upstream::start_at(new, |_| (200, "new".to_owned(), Duration::ZERO));
    let dns = Dns::start();
    dns.is_at("s.test", &["127.0.0.1"]);
    let mesh =
        Mesh::start_naming(&text("http", &format!("endpoints dns \"s.test:{}\"", old.port())), &dns, None);
    assert_eq!(who(&mesh), set(["old"]));
    let address = mesh.address("edge.default/web");
    let slow = std::thread::spawn(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(b"GET /slow HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").unwrap();
        let mut heard = String::new();
        stream.read_to_string(&mut heard).unwrap();
        heard
    });
    wait_for(|| open.load(Ordering::SeqCst) >= 1);
    std::thread::sleep(Duration::from_millis(200));
    dns.is_at("s.test", &["127.0.0.2"]);
    wait_for(|| who(&mesh) == set(["new"]));
    let heard = slow.join().unwrap();
    assert!(heard.starts_with("HTTP/1.1 200 ") && heard.ends_with("old"), "{heard}");
    wait_for(|| open.load(Ordering::SeqCst) == 0);
}

#[test]
fn an_authority_is_asked_when_its_name_is_answered_for() {
    let (authority, service, dns) = (Upstream::named("guard"), Upstream::named("s"), Dns::start());
    let port = authority.address.parse::<SocketAddr>().unwrap().port();
    dns.says("opa.test", Entry::After(Duration::from_millis(400), vec!["127.0.0.1".parse().unwrap()]));
    let text = text("http", &format!("endpoints static \"{}\"", service.address));
    let text = text.replace("allow from anyone }", "allow from anyone; check ext-authz guard }");
    let guard = format!(
        "ext-authz guard {{ service opa; timeout 5s; on-failure deny }}\n\
         service opa {{ port 90 http; connect-timeout 3s; endpoints dns \"opa.test:{port}\" }}\nauthorize opa {{ allow from gateway edge }}\n"
    );
    let mesh = Mesh::start_naming(&format!("{text}{guard}"), &dns, None);
    assert_eq!(who(&mesh), set(["s"]));
    assert_eq!(authority.heads().len(), 6);
}

#[test]
fn a_request_waits_for_the_first_answer_and_no_longer_than_for_a_connection() {
    let (_servers, port) = two();
    let dns = Dns::start();
    dns.says("late.test", Entry::After(Duration::from_millis(400), vec!["127.0.0.1".parse().unwrap()]));
    dns.says("silent.test", Entry::Silence);
    dns.is_at("near.test", &["169.254.169.254"]);
    let start = |name: &str| {
        let statements = format!("endpoints dns \"{name}:{port}\"; connect-timeout 2s");
        let began = Instant::now();
        let mesh = Mesh::start_naming(&text("http", &statements), &dns, None);
        assert!(began.elapsed() < Duration::from_secs(1), "a plan does not wait");
        (mesh, Instant::now())
    };
    let (mesh, began) = start("late.test");
    assert_eq!(ask(&mesh, 1), [(200, "127.0.0.1".to_owned())]);
    assert!(began.elapsed() >= Duration::from_millis(300), "{:?}", began.elapsed());
    assert_eq!(flags(mesh), [""]);

    for name in ["nobody.test", "near.test"] {
        let (mesh, began) = start(name);
        assert_eq!(ask(&mesh, 2)[1], (503, "the upstream's name has no address".to_owned()), "{name}");
        assert!(
            began.elapsed() < Duration::from_millis(1_500),
            "who answers that there is none is heard: {name}"
        );
        assert_eq!(flags(mesh), ["DF", "DF"], "{name}");
    }
    let (mesh, began) = start("silent.test");
    assert_eq!(ask(&mesh, 1)[0].0, 503);
    assert!(began.elapsed() >= Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!(flags(mesh), ["DF"]);
}

#[test]
fn connections_go_to_the_addresses_of_a_name_too() {
    let (_servers, port) = two();
    let dns = Dns::start();
    dns.is_at("s.test", &["127.0.0.2"]);
    let hear = |mesh: &Mesh| {
        let mut stream = TcpStream::connect(mesh.address("edge.default/web")).unwrap();
        let _ = stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n");
        let mut line = String::new();
        let _ = BufReader::new(stream).read_line(&mut line);
        line
    };
    let mesh = Mesh::start_naming(&text("tcp", &format!("endpoints dns \"s.test:{port}\"")), &dns, None);
    assert_eq!(hear(&mesh), "HTTP/1.1 200 X\r\n");
    let mesh = Mesh::start_naming(&text("tcp", &format!("endpoints dns \"nobody.test:{port}\"")), &dns, None);
    assert_eq!(hear(&mesh), "");
    assert_eq!(flags(mesh), ["DF"]);
}

#[test]
fn an_address_that_is_not_well_is_left_out_as_every_endpoint_is() {
    let well = Upstream::start(|_| (200, "well".to_owned(), Duration::ZERO));
    let port = well.address.parse::<SocketAddr>().unwrap().port();
    let second = SocketAddr::from(([127, 0, 0, 2], port));
    let ill = Upstream::start_at(second, |_| (500, "ill".to_owned(), Duration::ZERO));
    let dns = Dns::start();
    dns.is_at("s.test", &["127.0.0.1"]);
    let check = "health-check GET /health { interval 200ms; timeout 100ms }";
    let mesh =
        Mesh::start_naming(&text("http", &format!("endpoints dns \"s.test:{port}\"; {check}")), &dns, None);
    assert_eq!(who(&mesh), set(["well"]));
    dns.is_at("s.test", &["127.0.0.2", "127.0.0.1"]);
    wait_for(|| ill.heads().iter().any(|head| head.starts_with("get /health ")));
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(who(&mesh), set(["well"]));
    dns.is_at("s.test", &["127.0.0.2"]);
    wait_for(|| who(&mesh) == set(["503"]));
    assert_eq!(flags(mesh).last().map(String::as_str), Some("UH"), "an address is known, and out");
}

#[test]
fn who_is_outside_is_where_its_name_is_and_never_on_this_machine_because_a_zone_says_so() {
    let (authority, shelf) = (Authority::new(), Shelf::default());
    shelf.set("bankers", &authority.bundle(), "");
    let certificates = Certificates::of(Box::new(shelf));
    let bank = Secure::start("bank", &authority.server(&["bank.localhost"]), None);
    let port = bank.address.parse::<SocketAddr>().unwrap().port();
    let dns = Dns::start();
    dns.is_at("bank.test", &["127.0.0.1"]);
    let outside = |name: &str, port: &str| {
        text("http", &format!("external \"{name}\"; tls ca \"bankers\""))
            .replace("service s { port 80 http", port)
    };
    let with_port = format!("service s {{ port 80 http target {port}");
    let own = Mesh::start_naming(&outside("bank.localhost", &with_port), &dns, Some(certificates.clone()));
    assert_eq!(ask(&own, 1)[0].0, 200);
    assert_eq!(bank.heard()[0].name.as_deref(), Some("bank.localhost"));
    let mesh = Mesh::start_naming(&outside("bank.test", &with_port), &dns, Some(certificates.clone()));
    assert_eq!(ask(&mesh, 1)[0].0, 503);
    assert_eq!(flags(mesh), ["DF"]);
    assert!(dns.asked("bank.test") >= 2 && dns.asked("bank.localhost") == 0);
    let at = Mesh::start_naming(
        &outside("127.0.0.1", &with_port).replace("tls ca", "tls host \"bank.localhost\" ca"),
        &dns,
        Some(certificates),
    );
    assert_eq!(ask(&at, 1)[0].0, 200, "an address is where it says");
}
