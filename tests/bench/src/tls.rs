//! The two ends of what is measured: an application that answers at once, and a client of mutual TLS.

use crate::contenders::Place;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, HandshakeKind, SignatureScheme, StreamOwned,
};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;

/// What is asked, with as much as a browser or a service sends.
const REQUEST: &[u8] = b"GET /items/17 HTTP/1.1\r\nHost: shop\r\nUser-Agent: bench\r\nAccept: */*\r\n\
    Accept-Encoding: gzip\r\nX-Request-Id: 0123456789abcdef\r\n\r\n";
const BODY: usize = 200;

/// An application that answers each request at once.
pub struct Upstream {
    port: u16,
}

impl Upstream {
    /// Listens until the process ends.
    pub fn start() -> Upstream {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                std::thread::spawn(move || answer(stream));
            }
        });
        Upstream { port }
    }

    /// Where.
    pub fn port(&self) -> u16 {
        self.port
    }
}

/// Requests have no bodies and come one after the other: each ends where its head does.
fn answer(mut stream: TcpStream) {
    stream.set_nodelay(true).expect("a connection");
    let response = format!("HTTP/1.1 200 OK\r\nContent-Length: {BODY}\r\n\r\n{}", "x".repeat(BODY));
    let (mut buffer, mut filled) = ([0; 4096], 0);
    loop {
        match stream.read(&mut buffer[filled..]) {
            Ok(0) | Err(_) => return,
            Ok(more) => filled += more,
        }
        if buffer[..filled].ends_with(b"\r\n\r\n") {
            filled = 0;
            if stream.write_all(response.as_bytes()).is_err() {
                return;
            }
        }
    }
}

type Stream = StreamOwned<ClientConnection, TcpStream>;

/// Somebody with a certificate who calls one of those that are measured.
pub struct Client {
    port: u16,
    /// Each connection begins anew.
    full: Arc<ClientConfig>,
    /// What was begun once is resumed.
    resuming: Arc<ClientConfig>,
}

impl Client {
    /// Reads the certificate of the service `web`.
    pub fn of(place: &Place, port: u16) -> Client {
        let config = || {
            let chain = CertificateDer::pem_file_iter(place.file("web.pem")).expect("certificates");
            let chain = chain.collect::<Result<_, _>>().expect("certificates");
            let key = PrivateKeyDer::from_pem_file(place.file("web.key")).expect("a key");
            let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
                .with_protocol_versions(&[&rustls::version::TLS13])
                .expect("a version")
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Anybody(ring::default_provider())));
            config.with_client_auth_cert(chain, key).expect("a certificate and its key")
        };
        let (mut full, resuming) = (config(), config());
        full.resumption = Resumption::disabled();
        Client { port, full: Arc::new(full), resuming: Arc::new(resuming) }
    }

    /// So many requests over each of so many connections.
    pub fn ask_over_kept(&self, connections: usize, requests: usize) {
        std::thread::scope(|scope| {
            for _ in 0..connections {
                scope.spawn(|| {
                    let mut stream = self.connect(&self.full);
                    (0..requests).for_each(|_| ask(&mut stream));
                });
            }
        });
    }

    /// So many connections for one request each, several at a time.
    pub fn shake_hands(&self, clients: usize, count: usize, resumed: bool) {
        let config = if resumed { &self.resuming } else { &self.full };
        std::thread::scope(|scope| {
            for _ in 0..clients {
                scope.spawn(|| {
                    let mut missed = 0;
                    for _ in 0..count / clients {
                        let mut stream = self.connect(config);
                        ask(&mut stream);
                        let kind = stream.conn.handshake_kind();
                        missed += usize::from((kind == Some(HandshakeKind::Resumed)) != resumed);
                    }
                    // The first of each, and where two take turns with tickets, has none to resume with.
                    assert!(
                        missed * 20 <= count / clients,
                        "{missed} handshakes of {count} are of the other kind"
                    );
                });
            }
        });
    }

    /// Connections that have asked once and wait.
    pub fn wait_on(&self, count: usize) -> Vec<Stream> {
        let connections = (0..count).map(|_| {
            let mut stream = self.connect(&self.full);
            ask(&mut stream);
            stream
        });
        connections.collect()
    }

    fn connect(&self, config: &Arc<ClientConfig>) -> Stream {
        let name = ServerName::try_from("shop").expect("a name");
        let connection = ClientConnection::new(config.clone(), name).expect("a configuration");
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).expect("somebody listens");
        stream.set_nodelay(true).expect("a connection");
        StreamOwned::new(connection, stream)
    }
}

fn ask(stream: &mut Stream) {
    stream.write_all(REQUEST).expect("it takes a request");
    let mut seen = Vec::with_capacity(1024);
    loop {
        let mut buffer = [0; 1024];
        let more = stream.read(&mut buffer).expect("it answers");
        assert!(more > 0, "it closes: {}", String::from_utf8_lossy(&seen));
        seen.extend_from_slice(&buffer[..more]);
        let Some(head) = seen.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        if seen.len() >= head + 4 + BODY {
            assert!(seen.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&seen));
            return;
        }
    }
}

/// The client is not what is measured, and others have certificates for other names: anybody is whom it called, who holds the key.
#[derive(Debug)]
struct Anybody(CryptoProvider);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _chain: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("only TLS 1.3 is measured".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
