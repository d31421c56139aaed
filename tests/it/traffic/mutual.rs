//! Mutual TLS: who calls is who the certificate says, at both ends.

use super::flags;
use mesh_tests::authority::{Authority, Certificate, Flaw};
use mesh_tests::harness::{Mesh, Upstream, free_address};
use mesh_tests::secure::Secure;
use mesh_tests::up::Client;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

pub(super) const EDGE: &str = "spiffe://local.test/ns/default/sa/edge";
pub(super) const WEB: &str = "spiffe://local.test/ns/default/sa/web";
pub(super) const SHOP: &str = "spiffe://local.test/ns/default/sa/shop";

/// A gateway and a service `web` that call `shop`, which lets each do something else.
pub(super) fn text(called_at: SocketAddr, mesh: &str, port: &str) -> String {
    let denied = if mesh.contains("strict") { "web" } else { "web, unauthenticated" };
    format!(
        r#"mesh m {{ {mesh} }}
gateway edge {{ listener web port 80 http {{ host "*" }} }}
authorize edge {{ allow from anyone }}
route edge {{ to shop }}
service web {{ calls shop }}
service shop {{ {port}; endpoints static "{called_at}" }}
authorize shop {{
  allow from gateway edge to GET /open/**
  allow from web to GET, POST
  deny from {denied} to /secret/**
}}
"#
    )
}

/// The mesh, its authority, the service's own server, and where the service is called.
fn start(mesh: &str, port: &str) -> (Mesh, Authority, Upstream, SocketAddr) {
    let (authority, shop, called_at) = (Authority::new(), Upstream::named("shop"), free_address());
    let identities = [EDGE, WEB, SHOP].map(|id| authority.identity(id)).to_vec();
    let inbound = [("shop", called_at, &*shop.address)];
    let mesh = Mesh::start_as(&text(called_at, mesh, port), &["web"], identities, &inbound);
    (mesh, authority, shop, called_at)
}

#[test]
fn who_has_an_identity_of_its_own_is_expected_to_show_that_one() {
    const MACHINE: &str = "spiffe://local.test/vm/shop-1";
    let port = format!("port 80 http; identity \"{MACHINE}\"");
    let (authority, shop, called_at) = (Authority::new(), Upstream::named("shop"), free_address());
    let identities = |ids: &[&str]| ids.iter().map(|id| authority.identity(id)).collect();
    let inbound = [("shop", called_at, &*shop.address)];
    let words = text(called_at, "mtls strict", &port);
    let mesh = Mesh::start_as(&words, &["web"], identities(&[EDGE, WEB, MACHINE]), &inbound);
    assert_eq!(mesh.connect("web.default").get("shop", "/a", &[]).unwrap(), (200, "shop".to_owned()));
    for (shown, status) in [(MACHINE, 200), (SHOP, 503)] {
        let server =
            Secure::start("shop", &authority.certificate(&[shown], Flaw::None), Some(&authority.bundle()));
        let words = text(server.address.parse().unwrap(), "mtls strict", &port);
        let mesh = Mesh::start_as(&words, &["web"], identities(&[EDGE, WEB]), &[]);
        assert_eq!(mesh.connect("web.default").get("shop", "/a", &[]).unwrap().0, status, "{shown}");
    }
}

/// Believes every server: these tests are about what servers believe.
#[derive(Debug)]
struct Trusting;

impl ServerCertVerifier for Trusting {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

/// A client that shows this certificate, or none.
pub(super) fn config(certificate: Option<&Certificate>) -> Arc<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Trusting));
    Arc::new(match certificate {
        Some(certificate) => {
            let (chain, key) = certificate.parts();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
        None => builder.with_no_client_auth(),
    })
}

/// What a client hears that asks over TLS; empty where it is cut off.
pub(super) fn ask_with(config: &Arc<ClientConfig>, address: SocketAddr, path: &str) -> String {
    ask_saying(config, address, path, "")
}

/// The same with more headers.
fn ask_saying(config: &Arc<ClientConfig>, address: SocketAddr, path: &str, headers: &str) -> String {
    let socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let name = ServerName::IpAddress(address.ip().into());
    let mut stream = StreamOwned::new(ClientConnection::new(config.clone(), name).unwrap(), socket);
    let head = format!("GET {path} HTTP/1.1\r\nhost: shop\r\n{headers}connection: close\r\n\r\n");
    let mut heard = Vec::new();
    // What is refused is reset, and neither is an answer.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.read_to_end(&mut heard));
    String::from_utf8_lossy(&heard).into_owned()
}

pub(super) fn ask(certificate: Option<&Certificate>, address: SocketAddr, path: &str) -> String {
    ask_with(&config(certificate), address, path)
}

/// The status of an answer, or 0.
pub(super) fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default()
}

fn plain(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut heard = Vec::new();
    let head = format!("GET {path} HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n\r\n");
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.read_to_end(&mut heard).map(drop));
    String::from_utf8_lossy(&heard).into_owned()
}

fn get(mesh: &Mesh, door: &str, host: &str, path: &str) -> (u16, String) {
    let mut client: Client = mesh.connect(door);
    client.get(host, path, &[]).unwrap()
}

#[test]
fn a_strict_port_is_called_by_who_its_service_lets_in_and_by_nobody_without_a_certificate() {
    let (mesh, authority, shop, called_at) = start("mtls strict", "port 80 http");
    assert_eq!(get(&mesh, "edge.default/web", "a", "/open/1").0, 200);
    assert_eq!(get(&mesh, "web.default", "shop", "/1"), (200, "shop".to_owned()));
    let web = authority.certificate(&[WEB], Flaw::None);
    assert_eq!(status(&ask(Some(&web), called_at, "/1")), 200, "whoever has the certificate is who it says");
    assert_eq!(shop.heads().len(), 3);
    let edge = authority.certificate(&[EDGE], Flaw::None);
    assert!(ask(Some(&edge), called_at, "/1").ends_with("denied by shop.default"));
    assert_eq!(status(&ask(Some(&web), called_at, "/secret/1")), 403);
    let stranger = authority.certificate(&["spiffe://local.test/ns/default/sa/nobody"], Flaw::None);
    assert_eq!(status(&ask(Some(&stranger), called_at, "/open/1")), 403);
    assert_eq!(ask(None, called_at, "/open/1"), "", "without a certificate");
    assert_eq!(plain(called_at, "/open/1"), "", "without TLS");
    assert_eq!(shop.heads().len(), 3, "nothing of them has reached the service");
    let log = mesh.log();
    let at_shop: Vec<_> = log.iter().filter(|line| line.contains("\"entry\":\"shop.default:80\"")).collect();
    let says = |line: usize, what: &str| assert!(at_shop[line].contains(what), "{what} in {}", at_shop[line]);
    says(0, &format!("\"peer\":\"{EDGE}\""));
    says(1, &format!("\"peer\":\"{WEB}\""));
    says(4, "\"rule\":\"authorize shop.default: deny from web to /secret/**");
    says(5, "\"peer\":\"spiffe://local.test/ns/default/sa/nobody\"");
    says(6, "\"tls_error\":\"peer sent no certificates\"");
    says(7, "\"rule\":\"mtls strict: shop.default\"");
    says(7, "\"flags\":\"UAEX\"");
}

#[test]
fn certificates_that_are_not_good_let_nobody_in() {
    let (mesh, authority, shop, called_at) = start("mtls strict", "port 80 http");
    let other = Authority::new();
    let foreign = "spiffe://partner.test/ns/default/sa/web";
    for (certificate, why) in [
        (other.certificate(&[WEB], Flaw::None), "of another authority"),
        (authority.certificate(&[WEB], Flaw::Expired), "expired"),
        (authority.certificate(&[WEB], Flaw::Early), "not yet"),
        (authority.certificate(&[WEB], Flaw::Authority), "may sign"),
        (authority.certificate(&[WEB, EDGE], Flaw::None), "two identities"),
        (authority.certificate(&[WEB, "https://local.test/"], Flaw::None), "two URIs"),
        (authority.certificate(&[], Flaw::None), "no identity"),
        (authority.certificate(&["spiffe://local.test"], Flaw::None), "a trust domain"),
        (authority.certificate(&["spiffe://local.test/ns/default/sa/../sa/web"], Flaw::None), "dots"),
        (authority.certificate(&["spiffe://LOCAL.test/ns/default/sa/web"], Flaw::None), "capitals"),
        (authority.certificate(&["https://local.test/ns/default/sa/web"], Flaw::None), "no SPIFFE ID"),
        (authority.certificate(&[foreign], Flaw::None), "the bundle vouches for one trust domain"),
    ] {
        assert_eq!(ask(Some(&certificate), called_at, "/1"), "", "{why}");
    }
    assert!(shop.heads().is_empty());
    assert_eq!(flags(mesh), ["DPE"; 12]);
}

#[test]
fn a_permissive_port_takes_both_and_tells_them_apart() {
    let (mesh, authority, shop, called_at) = start("mtls permissive", "port 80 http");
    assert_eq!(get(&mesh, "web.default", "shop", "/1").0, 200);
    let web = authority.certificate(&[WEB], Flaw::None);
    assert_eq!(status(&ask(Some(&web), called_at, "/1")), 200);
    assert_eq!(status(&plain(called_at, "/1")), 403, "nobody is let in by name without a certificate");
    assert_eq!(status(&ask(None, called_at, "/1")), 403);
    assert_eq!(
        ask(Some(&Authority::new().certificate(&[WEB], Flaw::None)), called_at, "/1"),
        "",
        "a bad one"
    );
    assert_eq!(shop.heads().len(), 2);
    let log = mesh.log();
    let at_shop: Vec<_> = log.iter().filter(|line| line.contains("\"entry\":\"shop.default:80\"")).collect();
    assert!(
        at_shop[0].contains(&format!("\"peer\":\"{WEB}\"")),
        "the caller's proxy shows who it is: {}",
        at_shop[0]
    );
    assert!(!at_shop[2].contains("\"peer\""), "{}", at_shop[2]);
}

#[test]
fn whoever_answers_for_a_service_is_that_service() {
    let (authority, shop, called_at) = (Authority::new(), Upstream::named("shop"), free_address());
    let identities = [EDGE, WEB, SHOP].map(|id| authority.identity(id)).to_vec();
    // Somebody else of the mesh listens where the endpoints of `shop` are said to be.
    let text = text(called_at, "mtls strict", "port 80 http").replace(
        "service web { calls shop }",
        "service web { port 81 http; calls shop }\nauthorize web { allow from anyone to GET }",
    );
    let text = text.replace("allow from anyone to GET }", "allow from authenticated }");
    let inbound = [("web", called_at, &*shop.address)];
    let mesh = Mesh::start_as(&text, &["web"], identities, &inbound);
    assert_eq!(get(&mesh, "web.default", "shop", "/1").0, 503);
    assert!(shop.heads().is_empty());
    assert!(flags(mesh).contains(&"UF".to_owned()));
}

#[test]
fn a_proxy_is_who_its_plan_says_or_does_not_start() {
    let (authority, called_at) = (Authority::new(), free_address());
    let start = |identities| {
        let text = text(called_at, "mtls strict", "port 80 http");
        let started =
            std::thread::spawn(move || drop(Mesh::start_as(&text, &["web"], identities, &[]))).join();
        let said = started.expect_err("it does not start");
        said.downcast_ref::<String>().expect("it says why").clone()
    };
    assert!(start(vec![]).contains("Nobody { service: \"shop.default\", port: 80 }"));
    let said = start([EDGE, SHOP].map(|id| authority.identity(id)).to_vec());
    assert!(said.contains("Other { door: \"web.default\""), "{said}");
}

#[test]
fn a_session_that_is_resumed_is_of_who_began_it() {
    let (mesh, authority, _shop, called_at) = start("mtls strict", "port 80 http");
    let web = config(Some(&authority.certificate(&[WEB], Flaw::None)));
    for _ in 0..3 {
        assert_eq!(status(&ask_with(&web, called_at, "/1")), 200);
    }
    let socket = TcpStream::connect(called_at).unwrap();
    let name = ServerName::IpAddress(called_at.ip().into());
    let mut stream = StreamOwned::new(ClientConnection::new(web, name).unwrap(), socket);
    stream.write_all(b"GET /secret/1 HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n\r\n").unwrap();
    let mut heard = String::new();
    let _ = stream.read_to_string(&mut heard);
    assert_eq!(status(&heard), 403);
    assert_eq!(stream.conn.handshake_kind(), Some(rustls::HandshakeKind::Resumed));
    assert!(mesh.log().iter().all(|line| line.contains(&format!("\"peer\":\"{WEB}\""))));
}

#[test]
fn what_a_known_caller_says_of_its_client_is_kept_and_what_a_stranger_says_is_not() {
    let (_mesh, authority, shop, called_at) = start("mtls permissive", "port 80 http");
    let web = config(Some(&authority.certificate(&[WEB], Flaw::None)));
    let claim = "x-forwarded-for: 203.0.113.9\r\n";
    assert_eq!(status(&ask_saying(&web, called_at, "/1", claim)), 200);
    assert!(shop.heads()[0].contains(claim), "{}", shop.heads()[0]);
    let (authority, shop, called_at) = (Authority::new(), Upstream::named("shop"), free_address());
    let text = text(called_at, "mtls permissive", "port 80 http")
        .replace("allow from web to GET, POST", "allow from anyone to GET");
    let identities = [EDGE, SHOP].map(|id| authority.identity(id)).to_vec();
    let _mesh = Mesh::start_as(&text, &[], identities, &[("shop", called_at, &*shop.address)]);
    assert_eq!(status(&ask_saying(&config(None), called_at, "/1", claim)), 200);
    assert!(shop.heads()[0].contains("x-forwarded-for: 127.0.0.1\r\n"), "{}", shop.heads()[0]);
}
