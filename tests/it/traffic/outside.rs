//! Services outside of the mesh: in which TLS they are spoken to, who must answer, and what is shown to them.

use super::mutual::status;
use super::termination::Shelf;
use mesh_proxy::Certificates;
use mesh_tests::authority::Authority;
use mesh_tests::harness::{Mesh, Upstream};
use mesh_tests::secure::Secure;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A gateway in the clear before a bank that is outside, known by these statements.
fn text(address: &str, listener: &str, port: &str, statements: &str) -> String {
    format!(
        "gateway edge {{ listener web port 80 {listener} }}\nauthorize edge {{ allow from anyone }}\nroute edge {{ to bank }}\n\
         service bank {{ external \"bank.test\"; port 443 {port}; endpoints static \"{address}\"\n{statements} }}\n\
         authorize bank {{ allow from gateway edge }}\n"
    )
}

const WEB: &str = "http { host \"*\" }";

struct Stage {
    authority: Authority,
    shelf: Shelf,
    certificates: Arc<Certificates>,
}

impl Stage {
    fn set() -> Stage {
        let (authority, shelf) = (Authority::new(), Shelf::default());
        shelf.set("bankers", &authority.bundle(), "");
        let certificates = Certificates::of(Box::new(shelf.clone()));
        Stage { authority, shelf, certificates }
    }

    fn mesh(&self, text: &str) -> Mesh {
        Mesh::start_showing(text, Some(self.certificates.clone()))
    }
}

/// The status of the answer to a request with these headers.
fn ask(mesh: &Mesh, headers: &str) -> u16 {
    let mut stream = TcpStream::connect(mesh.address("edge.default/web")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let head = format!("GET / HTTP/1.1\r\nhost: shop.test\r\nconnection: close\r\n{headers}\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut heard = String::new();
    stream.read_to_string(&mut heard).unwrap();
    status(&heard)
}

/// What the log has of the only request.
#[track_caller]
fn tells(mesh: Mesh, parts: &[&str]) {
    let log = mesh.log();
    parts.iter().for_each(|part| assert!(log[0].contains(part), "{part} in {}", log[0]));
}

#[test]
fn who_is_outside_is_called_over_tls_and_must_be_who_is_meant() {
    let stage = Stage::set();
    let bank = Secure::start("bank", &stage.authority.server(&["bank.test", "vault.test"]), None);
    let mesh = stage.mesh(&text(&bank.address, WEB, "http", "tls ca \"bankers\""));
    assert_eq!(ask(&mesh, ""), 200);
    let heard = bank.heard();
    assert_eq!(heard[0].name.as_deref(), Some("bank.test"));
    assert_eq!(heard[0].protocol.as_deref(), Some("http/1.1"));
    assert!(!heard[0].has_certificate && heard[0].head.contains("\r\nhost: shop.test\r\n"), "{heard:?}");
    tells(mesh, &["\"flags\":\"\"", "\"service\":\"bank.default\""]);
    let mesh = stage.mesh(&text(&bank.address, WEB, "http", "tls host \"vault.test\" ca \"bankers\""));
    assert_eq!(ask(&mesh, ""), 200);
    assert_eq!(bank.heard()[1].name.as_deref(), Some("vault.test"));
    let mesh = stage.mesh(&text(&bank.address, WEB, "http", "tls host \"other.test\" ca \"bankers\""));
    assert_eq!(ask(&mesh, ""), 503);
    tells(
        mesh,
        &["\"flags\":\"UF\"", "\"tls_error\":\"invalid peer certificate: certificate not valid for name"],
    );
    stage.shelf.set("strangers", &Authority::new().bundle(), "");
    let mesh = stage.mesh(&text(&bank.address, WEB, "http", "tls ca \"strangers\""));
    assert_eq!(ask(&mesh, ""), 503);
    tells(mesh, &["\"flags\":\"UF\"", "\"tls_error\":\"invalid peer certificate: "]);
    let plain = Upstream::named("plain");
    let mesh = stage.mesh(&text(&plain.address, WEB, "http", "tls ca \"bankers\""));
    assert_eq!(ask(&mesh, ""), 503);
    assert!(plain.heads().is_empty(), "nothing goes out in the clear");
    assert_eq!(bank.heard().len(), 2, "who is not who is meant hears nothing");
}

#[test]
fn whoever_answers_is_spoken_to_where_nobody_verifies_it_and_none_in_tls_where_none_is_meant() {
    let stage = Stage::set();
    let bank = Secure::start("bank", &Authority::new().server(&["other.test"]), None);
    let mesh = Mesh::start(&text(&bank.address, WEB, "http", "tls insecure"), &[]);
    assert_eq!(ask(&mesh, ""), 200);
    assert_eq!(bank.heard()[0].name.as_deref(), Some("bank.test"));
    let plain = Upstream::named("plain");
    let mesh = stage.mesh(&text(&plain.address, WEB, "http", "tls none"));
    assert_eq!(ask(&mesh, ""), 200);
}

#[test]
fn a_certificate_is_shown_to_who_asks_for_one() {
    let stage = Stage::set();
    let clients = Authority::new();
    let own = clients.certificate(&["spiffe://local.test/shop"], mesh_tests::authority::Flaw::None);
    stage.shelf.put("shop", &own);
    let bank = Secure::start("bank", &stage.authority.server(&["bank.test"]), Some(&clients.bundle()));
    let mesh = stage.mesh(&text(&bank.address, WEB, "http", "tls ca \"bankers\" certificate \"shop\""));
    assert_eq!(ask(&mesh, ""), 200);
    assert!(bank.heard()[0].has_certificate);
    let mesh = stage.mesh(&text(&bank.address, WEB, "http", "tls ca \"bankers\""));
    assert_eq!(ask(&mesh, ""), 502, "it hears that it should have shown one");
    assert_eq!(bank.heard().len(), 1);
}

#[test]
fn sessions_are_resumed_until_certificates_are_replaced() {
    let stage = Stage::set();
    let bank = Secure::start("bank", &stage.authority.server(&["bank.test"]), None);
    let mesh = stage.mesh(&text(&bank.address, WEB, "http", "tls ca \"bankers\""));
    // The bank ends the connection after these.
    for _ in 0..2 {
        assert_eq!(ask(&mesh, "x-end: 1\r\n"), 200);
    }
    assert_eq!(bank.heard().iter().map(|heard| heard.is_resumed).collect::<Vec<_>>(), [false, true]);
    let next = Authority::new();
    bank.show(&next.server(&["bank.test"]));
    assert_eq!(ask(&mesh, "x-end: 1\r\n"), 503, "nobody has said that this authority is believed");
    stage.shelf.set("bankers", &next.bundle(), "");
    stage.certificates.renew().unwrap();
    assert_eq!(ask(&mesh, "x-end: 1\r\n"), 200);
    bank.show(&stage.authority.server(&["bank.test"]));
    assert_eq!(ask(&mesh, "x-end: 1\r\n"), 503, "the one before is believed no more");
}

#[test]
fn a_certificate_that_is_not_there_refuses_the_plan() {
    let said = |statements: &'static str, is_told: bool| {
        let start = move || {
            let stage = Stage::set();
            let text = text("127.0.0.1:1", WEB, "http", statements);
            drop(Mesh::start_showing(&text, Some(stage.certificates).filter(|_| is_told)));
        };
        let said = std::thread::spawn(start).join().expect_err("it does not start");
        said.downcast_ref::<String>().expect("it says why").clone()
    };
    let why = said("tls ca \"nobody\"", true);
    assert!(why.contains("`bank.test` cannot be called over TLS with the authority `nobody`"), "{why}");
    let why = said("tls ca \"bankers\" certificate \"shop\"", true);
    assert!(why.contains("`bank.test` cannot be called over TLS with the certificate `shop`"), "{why}");
    let why = said("tls ca \"bankers\"", false);
    assert!(why.contains("say --certificates DIRECTORY"), "{why}");
}

#[test]
fn bytes_and_questions_of_health_go_inside_too() {
    let stage = Stage::set();
    let bank = Secure::start("bank", &stage.authority.server(&["bank.test"]), None);
    let mesh = stage.mesh(&text(&bank.address, "tcp", "tcp", "tls ca \"bankers\""));
    let mut stream = TcpStream::connect(mesh.address("edge.default/web")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nx-end: 1\r\n\r\n").unwrap();
    let mut heard = String::new();
    stream.read_to_string(&mut heard).unwrap();
    assert_eq!(status(&heard), 200);
    assert_eq!(bank.heard()[0].protocol, None, "bytes have no name");
    let asked = "tls ca \"bankers\"\nhealth-check GET /health { interval 1s; timeout 1s }";
    let _mesh = stage.mesh(&text(&bank.address, WEB, "http", asked));
    let began = Instant::now();
    while bank.heard().len() < 2 {
        assert!(began.elapsed() < Duration::from_secs(10), "nobody asked");
        std::thread::sleep(Duration::from_millis(5));
    }
    let head = &bank.heard()[1].head;
    assert!(head.starts_with("get /health ") && head.contains("\r\nhost: bank.test\r\n"), "{head}");
}

#[test]
fn a_port_of_http2_speaks_it_or_nothing() {
    let stage = Stage::set();
    let newer = Secure::of_http2(&stage.authority.server(&["bank.test"]));
    let mesh = stage.mesh(&text(&newer.address, WEB, "http2", "tls ca \"bankers\""));
    assert_eq!(ask(&mesh, ""), 204);
    let older = Secure::start("bank", &stage.authority.server(&["bank.test"]), None);
    let mesh = stage.mesh(&text(&older.address, WEB, "http2", "tls ca \"bankers\""));
    assert_eq!(ask(&mesh, ""), 503);
    tells(mesh, &["\"flags\":\"UF\"", "\"tls_error\":\"received fatal alert: "]);
}

#[test]
fn connections_in_different_tls_are_kept_apart() {
    let stage = Stage::set();
    let bank = Secure::start("bank", &stage.authority.server(&["bank.test", "vault.test"]), None);
    let text = format!(
        "gateway edge {{ listener web port 80 {WEB} }}\nauthorize edge {{ allow from anyone }}\n\
         route edge {{ rule vault {{ match GET / when header \"x-vault\" = \"1\"; to vault }}\nrule others {{ match GET /; to bank }}\notherwise 404 }}\n\
         service bank {{ external \"bank.test\"; port 443 http; endpoints static \"{0}\"; tls ca \"bankers\" }}\n\
         service vault {{ external \"vault.test\"; port 443 http; endpoints static \"{0}\"; tls ca \"bankers\" }}\n\
         authorize bank, vault {{ allow from gateway edge }}\n",
        bank.address
    );
    let mesh = stage.mesh(&text);
    for headers in ["", "x-vault: 1\r\n", "", "x-vault: 1\r\n"] {
        assert_eq!(ask(&mesh, headers), 200);
    }
    let names: Vec<_> = bank.heard().into_iter().filter_map(|heard| heard.name).collect();
    assert_eq!(names, ["bank.test", "vault.test", "bank.test", "vault.test"]);
}
