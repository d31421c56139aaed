//! TLS that is passed on unopened: whom a connection is for is the name that its client asks for.

use super::mutual::{EDGE, SHOP, status};
use super::termination::{BOTH, ask, client, connect};
use mesh_tests::authority::Authority;
use mesh_tests::harness::{Mesh, free_address};
use mesh_tests::secure::Secure;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Two services of TLS, each of which has its own certificate, behind a listener that opens nothing.
struct Stage {
    authority: Authority,
    a: Secure,
    b: Secure,
}

impl Stage {
    fn set() -> Stage {
        let authority = Authority::new();
        let a = Secure::start("a", &authority.server(&["a.test", "a", "a.default"]), None);
        let b = Secure::start("b", &authority.server(&["b.test", "x.b.test"]), None);
        Stage { authority, a, b }
    }

    fn text(&self, edge: &str) -> String {
        format!(
            r#"gateway edge {{ listener web port 443 tls {{ host "a.test", "**.b.test"; tls passthrough }} }}
authorize edge {{ {edge} }}
route edge host "a.test" {{ to a }}
route edge host "**.b.test" {{ to b }}
service a {{ port 443 tls; endpoints static "{}" }}
service b {{ port 443 tls; endpoints static "{}" }}
authorize a {{ allow from gateway edge }}
authorize b {{ allow from gateway edge }}
"#,
            self.a.address, self.b.address
        )
    }

    /// Who answers a client that asks for a name, and verifies that it is who answers.
    fn answerer(&self, address: SocketAddr, name: &str) -> String {
        let Some(mut stream) = connect(address, &client(&self.authority, &BOTH, None), name) else {
            return String::new();
        };
        let heard = ask(&mut stream, name, "/");
        if status(&heard) == 200 {
            heard.split("\r\n\r\n").nth(1).unwrap_or_default().to_owned()
        } else {
            heard
        }
    }
}

/// What comes back in the clear where no TLS begins; empty: an end, or a reset.
pub(super) fn said(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(bytes).unwrap();
    let mut heard = Vec::new();
    let _ = stream.read_to_end(&mut heard);
    heard
}

/// A ClientHello for a name, or for an address, which no hello names.
pub(super) fn hello(authority: &Authority, name: &str) -> Vec<u8> {
    let name = rustls::pki_types::ServerName::try_from(name.to_owned()).unwrap();
    let config = std::sync::Arc::new(client(authority, &BOTH, None));
    let mut bytes = Vec::new();
    rustls::ClientConnection::new(config, name).unwrap().write_tls(&mut bytes).unwrap();
    bytes
}

/// A fatal alert in a record.
pub(super) fn alert(number: u8) -> Vec<u8> {
    vec![21, 3, 3, 0, 2, 2, number]
}

#[test]
fn a_connection_goes_unopened_to_whom_its_client_asks_for() {
    let stage = Stage::set();
    let mesh = Mesh::start(&stage.text("allow from anyone"), &[]);
    let address = mesh.address("edge.default/web");
    assert_eq!(stage.answerer(address, "a.test"), "a");
    assert_eq!(stage.answerer(address, "x.b.test"), "b");
    assert_eq!(stage.a.heard()[0].name.as_deref(), Some("a.test"), "what the client said is what arrives");
    assert_eq!(said(address, &hello(&stage.authority, "b.test")), alert(112), "nobody has this host");
    assert_eq!(
        said(address, &hello(&stage.authority, "c.test")),
        alert(112),
        "the listener has no such host"
    );
    assert_eq!(said(address, &hello(&stage.authority, "127.0.0.1")), alert(109), "a hello without a name");
    assert_eq!(said(address, b"GET / HTTP/1.1\r\nhost: a.test\r\n\r\n"), b"", "no TLS");
    assert_eq!((stage.a.heard().len(), stage.b.heard().len()), (1, 1));
    let log = mesh.log();
    for (host, parts) in [
        ("a.test", ["\"flags\":\"\"", "\"service\":\"a.default\""]),
        ("x.b.test", ["\"flags\":\"\"", "\"service\":\"b.default\""]),
        ("b.test", ["\"flags\":\"NR\"", "\"service\":\"\""]),
        ("c.test", ["\"flags\":\"NR\"", "\"service\":\"\""]),
    ] {
        tells(&log, host, &parts);
    }
    let nobody: Vec<&String> = log.iter().filter(|line| line.contains("\"host\":\"\"")).collect();
    assert!(nobody.iter().any(|line| line.contains("\"flags\":\"NR\"")), "{nobody:?}");
    let no_tls = ["\"flags\":\"DPE\"", "\"tls_error\":\"received corrupt message"];
    assert!(nobody.iter().any(|line| no_tls.iter().all(|part| line.contains(part))), "{nobody:?}");
}

/// The line of a connection for a host says all of this.
#[track_caller]
fn tells(log: &[String], host: &str, parts: &[&str]) {
    let host = format!("\"host\":\"{host}\"");
    let line = log.iter().find(|line| line.contains(&host)).unwrap_or_else(|| panic!("{host} in {log:?}"));
    parts.iter().for_each(|part| assert!(line.contains(part), "{part} in {line}"));
}

#[test]
fn who_is_not_let_in_hears_so_in_an_alert() {
    let stage = Stage::set();
    let mesh =
        Mesh::start(&stage.text("allow from anyone\ndeny from anyone when source-ip = \"127.0.0.0/8\""), &[]);
    let heard = said(mesh.address("edge.default/web"), &hello(&stage.authority, "a.test"));
    assert_eq!(heard, alert(49));
    let log = mesh.log();
    assert!(
        log[0].contains("\"flags\":\"UAEX\"") && log[0].contains("\"rule\":\"authorize edge"),
        "{}",
        log[0]
    );
}

#[test]
fn a_service_calls_by_the_name_that_it_asks_for() {
    let stage = Stage::set();
    let text = format!(
        "service web {{ port 80 http; calls a port secure }}\nauthorize web {{ allow from anyone }}\n\
         service a {{ port secure 443 tls target {}; port plain 80 http; endpoints static \"127.0.0.1\" }}\n\
         authorize a {{ allow from web to port secure; allow from anyone to port plain }}\n",
        stage.a.address.rsplit(':').next().unwrap()
    );
    let mesh = Mesh::start(&text, &["web"]);
    let address = mesh.address("web.default");
    assert_eq!(stage.answerer(address, "a"), "a");
    assert_eq!(stage.answerer(address, "a.default"), "a");
    assert_eq!(said(address, &hello(&stage.authority, "b.test")), alert(49), "a call that is not declared");
    assert_eq!(said(address, &hello(&stage.authority, "127.0.0.1")), alert(49), "nobody is asked for");
    // Nothing of HTTP goes to a port of connections, whatever its caller says.
    let plain = said(address, b"GET / HTTP/1.1\r\nhost: a:443\r\nconnection: close\r\n\r\n");
    assert_eq!(status(&String::from_utf8_lossy(&plain)), 403);
    assert_eq!(stage.a.heard().len(), 2);
    let log = mesh.log();
    tells(&log, "a", &["\"flags\":\"\""]);
    tells(&log, "b.test", &["\"flags\":\"UAEX\""]);
    tells(&log, "a:443", &["\"flags\":\"UAEX\"", "\"status\":403"]);
}

#[test]
fn tls_of_two_ends_goes_inside_that_of_the_mesh_and_is_told_from_it() {
    let authority = Authority::new();
    for mode in ["strict", "permissive"] {
        let (shop, called_at) =
            (Secure::start("shop", &authority.server(&["shop.test"]), None), free_address());
        let identities = [EDGE, SHOP].map(|id| authority.identity(id)).to_vec();
        let text = format!(
            "mesh m {{ mtls {mode} }}\ngateway edge {{ listener web port 443 tls {{ host \"shop.test\"; tls passthrough }} }}\n\
             authorize edge {{ allow from anyone }}\nroute edge {{ to shop }}\n\
             service shop {{ port 443 tls; endpoints static \"{called_at}\" }}\n\
             authorize shop {{ allow from gateway edge, unauthenticated }}\n"
        );
        let text = if mode == "strict" { text.replace(", unauthenticated", "") } else { text };
        let mesh = Mesh::start_as(&text, &[], identities, &[("shop", called_at, &shop.address)]);
        let ask_at = |address| {
            let mut stream = connect(address, &client(&authority, &BOTH, None), "shop.test")?;
            Some(status(&ask(&mut stream, "shop.test", "/")))
        };
        assert_eq!(ask_at(mesh.address("edge.default/web")), Some(200), "{mode}");
        let straight = ask_at(called_at);
        assert_eq!(straight, if mode == "strict" { None } else { Some(200) }, "{mode}");
        assert_eq!(said(called_at, b"GET / HTTP/1.1\r\n\r\n"), b"", "{mode}");
        let names: Vec<_> = shop.heard().into_iter().map(|heard| heard.name).collect();
        assert!(names.iter().all(|name| name.as_deref() == Some("shop.test")), "{names:?}");
        let log = mesh.log();
        let by_edge = log.iter().find(|line| line.contains(&format!("\"peer\":\"{EDGE}\"")));
        assert!(by_edge.is_some_and(|line| line.contains("\"host\":\"shop.test\"")), "{mode}: {log:?}");
    }
}
