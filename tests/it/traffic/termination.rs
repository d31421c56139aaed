//! TLS of clients ends at a gateway: which certificate they are shown, which they show, and what is inside.

use super::mutual::status;
use mesh_proxy::{Certificates, Pem, Store};
use mesh_tests::authority::{Authority, Certificate, Flaw};
use mesh_tests::harness::{Mesh, Upstream, free_address};
use mesh_tests::process::{Running, mesh_proxy};
use mesh_tests::project::Project;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion, version};
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Certificates by name, and authorities of clients.
#[derive(Clone, Debug, Default)]
pub(super) struct Shelf(Arc<Mutex<BTreeMap<String, (String, String)>>>);

impl Shelf {
    pub(super) fn put(&self, name: &str, certificate: &Certificate) {
        self.set(name, &certificate.chain, &certificate.key);
    }

    pub(super) fn set(&self, name: &str, chain: &str, key: &str) {
        self.0.lock().unwrap().insert(name.to_owned(), (chain.to_owned(), key.to_owned()));
    }

    fn get(&self, name: &str) -> Result<(String, String), String> {
        self.0.lock().unwrap().get(name).cloned().ok_or("it is not there".to_owned())
    }
}

impl Store for Shelf {
    fn certificate(&self, name: &str) -> Result<Pem, String> {
        let (chain, key) = self.get(name)?;
        Ok(Pem { chain: chain.into_bytes(), key: key.into_bytes() })
    }

    fn authority(&self, name: &str) -> Result<Vec<u8>, String> {
        Ok(self.get(name)?.0.into_bytes())
    }
}

/// A gateway of two hosts, each with its certificate, at a listener with these statements more.
fn text(upstream: &Upstream, protocol: &str, more: &str) -> String {
    format!(
        r#"gateway edge {{ listener web port 443 {protocol} {{
  host "a.test", "b.test"
  tls certificate "b", "a" {more}
}} }}
authorize edge {{ allow from anyone }}
route edge {{ rule old {{ match /old; redirect host "b.test" 308 }}
  rule all {{ to s }} }}
service s {{ port 80 http; endpoints static "{}" }}
authorize s {{ allow from gateway edge }}
"#,
        upstream.address
    )
}

struct Stage {
    mesh: Mesh,
    authority: Authority,
    shelf: Shelf,
    certificates: Arc<Certificates>,
    upstream: Upstream,
}

impl Stage {
    fn set(protocol: &str, more: &str) -> Stage {
        let (authority, shelf, upstream) = (Authority::new(), Shelf::default(), Upstream::named("s"));
        shelf.put("a", &authority.server(&["a.test"]));
        shelf.put("b", &authority.server(&["b.test", "*.b.test"]));
        shelf.set("partners", &authority.bundle(), "");
        let certificates = Certificates::of(Box::new(shelf.clone()));
        let mesh = Mesh::start_showing(&text(&upstream, protocol, more), Some(certificates.clone()));
        Stage { mesh, authority, shelf, certificates, upstream }
    }

    fn address(&self) -> SocketAddr {
        self.mesh.address("edge.default/web")
    }

    /// A client that believes the authority, and verifies names.
    fn client(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        own: Option<&Certificate>,
    ) -> ClientConfig {
        client(&self.authority, versions, own)
    }

    /// What a client hears that asks for a name, and then for a host.
    fn ask(&self, config: &ClientConfig, name: &str, host: &str, path: &str) -> String {
        let Some(mut stream) = connect(self.address(), config, name) else { return String::new() };
        ask(&mut stream, host, path)
    }
}

pub(super) fn client(
    authority: &Authority,
    versions: &[&'static SupportedProtocolVersion],
    own: Option<&Certificate>,
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.bundle().as_bytes()).unwrap()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots);
    match own {
        Some(own) => {
            let (chain, key) = own.parts();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
        None => builder.with_no_client_auth(),
    }
}

pub(super) type Stream = StreamOwned<ClientConnection, TcpStream>;

/// A connection behind its handshake; `None`: it failed.
pub(super) fn connect(address: SocketAddr, config: &ClientConfig, name: &str) -> Option<Stream> {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut session = ClientConnection::new(Arc::new(config.clone()), name).unwrap();
    while session.is_handshaking() {
        session.complete_io(&mut socket).ok()?;
    }
    Some(StreamOwned::new(session, socket))
}

/// One answer, whose body is as long as it says.
pub(super) fn ask(stream: &mut Stream, host: &str, path: &str) -> String {
    let head = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n\r\n");
    if stream.write_all(head.as_bytes()).is_err() {
        return String::new();
    }
    let (mut heard, mut bytes) = (String::new(), [0; 4096]);
    while let Ok(count @ 1..) = stream.read(&mut bytes) {
        heard.push_str(&String::from_utf8_lossy(&bytes[..count]));
        let Some((head, body)) = heard.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if length.is_none_or(|length| body.len() >= length.parse().unwrap()) {
            break;
        }
    }
    heard
}

pub(super) const BOTH: [&SupportedProtocolVersion; 2] = [&version::TLS12, &version::TLS13];

#[test]
fn a_client_is_shown_the_certificate_of_the_name_that_it_asks_for() {
    let stage = Stage::set("https", "");
    for version in BOTH {
        let config = stage.client(&[version], None);
        for name in ["a.test", "b.test"] {
            let heard = stage.ask(&config, name, name, "/1");
            assert_eq!(status(&heard), 200, "{name} over {version:?}: {heard}");
        }
        // The client verifies whom it asked for: nobody has a certificate of that name, and is shown the first.
        assert_eq!(stage.ask(&config, "c.test", "c.test", "/1"), "", "{version:?}");
    }
    let head = &stage.upstream.heads()[0];
    assert!(head.contains("x-forwarded-proto: https\r\n") && head.contains("host: a.test\r\n"), "{head}");
    let heard = stage.ask(&stage.client(&BOTH, None), "a.test", "a.test", "/old");
    assert!(heard.contains("\r\nlocation: https://b.test/old\r\n"), "{heard}");
    let mut plain = TcpStream::connect(stage.address()).unwrap();
    plain.write_all(b"GET /1 HTTP/1.1\r\nhost: a.test\r\n\r\n").unwrap();
    let mut heard = Vec::new();
    let _ = plain.read_to_end(&mut heard);
    assert!(!String::from_utf8_lossy(&heard).contains("200"), "nothing is served without TLS");
    assert_eq!(stage.upstream.heads().len(), 4);
    let log = stage.mesh.log();
    assert!(
        log[0].contains("\"entry\":\"edge.default/web\"") && log[0].contains("\"host\":\"a.test\""),
        "{}",
        log[0]
    );
    let failed: Vec<_> = log.iter().filter(|line| line.contains("\"tls_error\"")).collect();
    assert_eq!(failed.len(), 3, "{failed:?}");
}

#[test]
fn a_request_for_a_host_of_another_certificate_is_misdirected() {
    let stage = Stage::set("https", "");
    let config = stage.client(&BOTH, None);
    let mut stream = connect(stage.address(), &config, "a.test").unwrap();
    assert_eq!(status(&ask(&mut stream, "a.test", "/1")), 200);
    assert_eq!(status(&ask(&mut stream, "A.test.:443", "/1")), 200);
    assert_eq!(status(&ask(&mut stream, "b.test", "/1")), 421);
    assert_eq!(status(&stage.ask(&config, "a.test", "B.test.:443", "/1")), 421);
    let mut stream = connect(stage.address(), &config, "x.b.test").unwrap();
    assert_eq!(status(&ask(&mut stream, "b.test", "/1")), 200, "the same certificate is of both");
    assert_eq!(stage.upstream.heads().len(), 3);
    let log = stage.mesh.log();
    assert!(log[2].contains("\"status\":421") && log[2].contains("\"host\":\"b.test\""), "{}", log[2]);
}

#[test]
fn a_client_shows_a_certificate_where_one_is_asked_for() {
    let stage = Stage::set("https", "client-ca \"partners\"");
    let id = "spiffe://local.test/ns/default/sa/s";
    let good = stage.authority.certificate(&[id], Flaw::None);
    for version in BOTH {
        let ask =
            |own: Option<&Certificate>| stage.ask(&stage.client(&[version], own), "a.test", "a.test", "/1");
        assert_eq!(status(&ask(Some(&good))), 200, "{version:?}");
        assert_eq!(ask(None), "", "without one");
        for flaw in [Flaw::Expired, Flaw::Early] {
            assert_eq!(ask(Some(&stage.authority.certificate(&[id], flaw))), "", "{flaw:?}");
        }
        assert_eq!(ask(Some(&Authority::new().certificate(&[id], Flaw::None))), "", "of another authority");
    }
    assert_eq!(stage.upstream.heads().len(), 2);
    let log = stage.mesh.log();
    assert!(
        log.iter().all(|line| !line.contains("\"peer\"")),
        "nobody is somebody of the mesh by that: {log:?}"
    );
}

#[test]
fn both_versions_of_http_are_inside_as_client_and_listener_agree() {
    let agreed = |stage: &Stage, offers: &[&str]| {
        let mut config = stage.client(&BOTH, None);
        config.alpn_protocols = offers.iter().map(|offer| offer.as_bytes().to_vec()).collect();
        let mut stream = connect(stage.address(), &config, "a.test")?;
        let agreed = stream.conn.alpn_protocol().map(<[u8]>::to_vec).unwrap_or_default();
        if agreed != b"h2" {
            return Some((agreed, status(&ask(&mut stream, "a.test", "/1"))));
        }
        // A preface, settings, and GET / of a.test with names of HPACK's own table (RFC 7541 A).
        let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
        bytes.extend(b"\0\0\x0b\x01\x05\0\0\0\x01\x82\x84\x87\x41\x06a.test");
        stream.write_all(&bytes).unwrap();
        loop {
            let mut head = [0; 9];
            stream.read_exact(&mut head).ok()?;
            let mut frame = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
            stream.read_exact(&mut frame).ok()?;
            if head[3] == 1 {
                // 0x88 is `:status: 200`.
                return Some((agreed, if frame[0] == 0x88 { 200 } else { 0 }));
            }
        }
    };
    let https = Stage::set("https", "");
    assert_eq!(agreed(&https, &["h2", "http/1.1"]), Some((b"h2".to_vec(), 200)));
    assert_eq!(agreed(&https, &["http/1.1"]), Some((b"http/1.1".to_vec(), 200)));
    assert_eq!(agreed(&https, &[]), Some((vec![], 200)));
    assert_eq!(agreed(&https, &["spdy/3"]), None);
    let http2 = Stage::set("http2", "");
    assert_eq!(agreed(&http2, &["http/1.1", "h2"]), Some((b"h2".to_vec(), 200)));
    assert_eq!(agreed(&http2, &["http/1.1"]), None);
}

#[test]
fn certificates_are_replaced_while_connections_stay() {
    let stage = Stage::set("https", "");
    let config = stage.client(&BOTH, None);
    let mut kept = connect(stage.address(), &config, "a.test").unwrap();
    assert_eq!(status(&ask(&mut kept, "a.test", "/1")), 200);
    let next = Authority::new();
    stage.shelf.put("a", &next.server(&["a.test"]));
    stage.shelf.put("b", &next.server(&["b.test"]));
    stage.certificates.renew().unwrap();
    let renewed = client(&next, &BOTH, None);
    assert_eq!(status(&stage.ask(&renewed, "a.test", "a.test", "/1")), 200);
    let anew = stage.client(&BOTH, None);
    assert_eq!(stage.ask(&anew, "a.test", "a.test", "/1"), "", "the one before is shown no more");
    assert_eq!(status(&ask(&mut kept, "a.test", "/1")), 200, "what was begun goes on");
    // A key of another certificate fits to none: all stay, those that would fit, too.
    let (good, other) = (next.server(&["b.test"]), next.server(&["a.test"]));
    stage.shelf.set("a", &other.chain, &good.key);
    let why = stage.certificates.renew().unwrap_err();
    assert!(why.contains("`edge.default/web` cannot use the certificate `a`: the private key"), "{why}");
    assert_eq!(status(&stage.ask(&renewed, "a.test", "a.test", "/1")), 200);
}

#[test]
fn a_gateway_without_its_certificates_does_not_start() {
    let said = |certificates: Option<Shelf>| {
        let upstream = Upstream::named("s");
        let certificates = certificates.map(|shelf| Certificates::of(Box::new(shelf)));
        let start = move || drop(Mesh::start_showing(&text(&upstream, "https", ""), certificates));
        let said = std::thread::spawn(start).join().expect_err("it does not start");
        said.downcast_ref::<String>().expect("it says why").clone()
    };
    assert!(said(None).contains("say --certificates DIRECTORY"), "{}", said(None));
    let shelf = Shelf::default();
    shelf.put("a", &Authority::new().server(&["a.test"]));
    let why = said(Some(shelf));
    assert!(why.contains("`edge.default/web` cannot use the certificate `b`: it is not there"), "{why}");
}

#[test]
fn a_handshake_ends_in_the_time_that_is_said() {
    let place = std::env::temp_dir().join(format!("mesh-limits-{:x}", fastrand::u64(..)));
    std::fs::create_dir_all(&place).unwrap();
    let (authority, upstream) = (Authority::new(), Upstream::named("s"));
    for name in ["a", "b"] {
        let own = authority.server(&[&format!("{name}.test")]);
        std::fs::write(place.join(format!("{name}.crt")), &own.chain).unwrap();
        std::fs::write(place.join(format!("{name}.key")), &own.key).unwrap();
    }
    let at = free_address();
    let text = text(&upstream, "https", "").replace("port 443", &format!("port {}", at.port()));
    let plan = Project::parse(&text).compile().plan.expect("it compiles");
    std::fs::write(place.join("mesh.mplan"), mesh_plan::encode(&plan).unwrap()).unwrap();
    let mut command = mesh_proxy();
    command.arg("--plan").arg(place.join("mesh.mplan")).arg("--certificates").arg(&place);
    command.args(["--gateway", "edge", "--bind", "127.0.0.1", "--limit", "tls-time=200ms"]);
    let proxy = Running::start(&mut command);
    proxy.wait_for("serving plan");
    let mut stream = TcpStream::connect(at).unwrap();
    // Less than the default.
    stream.set_read_timeout(Some(Duration::from_secs(9))).unwrap();
    stream.write_all(&[22, 3, 1, 2]).unwrap();
    assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0, "it is closed");
    std::fs::remove_dir_all(&place).unwrap();
}
