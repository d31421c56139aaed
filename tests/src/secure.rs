//! A server of HTTP/1.1 inside TLS, which remembers who asked it and how.

use crate::authority::Certificate;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::server::WebPkiClientVerifier;
use rustls::{HandshakeKind, RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// The server.
pub struct Secure {
    /// `127.0.0.1:PORT`, for `endpoints static`.
    pub address: String,
    config: Arc<Mutex<Arc<ServerConfig>>>,
    heard: Arc<Mutex<Vec<Heard>>>,
}

/// A request.
#[derive(Clone, Debug)]
pub struct Heard {
    /// Whom the connection asked for.
    pub name: Option<String>,
    /// What it agreed to speak.
    pub protocol: Option<String>,
    /// Whether it showed a certificate.
    pub has_certificate: bool,
    /// Whether its session is one from before.
    pub is_resumed: bool,
    /// The head, in lower case.
    pub head: String,
}

impl Secure {
    /// One that says its name, with this certificate; with `clients` it asks for one that this authority, in PEM, has signed.
    ///
    /// # Panics
    /// If the certificate is none.
    pub fn start(name: &'static str, own: &Certificate, clients: Option<&str>) -> Secure {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let config = Arc::new(Mutex::new(config(own, clients)));
        let secure = Secure { address, config, heard: Arc::default() };
        let (config, heard) = (secure.config.clone(), secure.heard.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (config, heard) = (config.lock().expect("no panic").clone(), heard.clone());
                std::thread::spawn(move || serve(stream, config, name, &heard));
            }
        });
        secure
    }

    /// Shows another certificate from now on.
    pub fn show(&self, own: &Certificate) {
        *self.config.lock().expect("no panic") = config(own, None);
    }

    /// What it has heard.
    pub fn heard(&self) -> Vec<Heard> {
        self.heard.lock().expect("no panic").clone()
    }
}

fn config(own: &Certificate, clients: Option<&str>) -> Arc<ServerConfig> {
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .expect("versions");
    let builder = match clients {
        Some(clients) => {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_slice(clients.as_bytes()).expect("PEM")).expect("a root");
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.expect("a verifier"))
        }
        None => builder.with_no_client_auth(),
    };
    let (chain, key) = own.parts();
    let mut config = builder.with_single_cert(chain, key).expect("a certificate");
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}

fn serve(stream: TcpStream, config: Arc<ServerConfig>, name: &str, heard: &Mutex<Vec<Heard>>) {
    let session = ServerConnection::new(config).expect("a session");
    let mut stream = BufReader::new(StreamOwned::new(session, stream));
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if !stream.read_line(&mut head).is_ok_and(|count| count > 0) {
                return;
            }
        }
        let session = &stream.get_ref().conn;
        heard.lock().expect("no panic").push(Heard {
            name: session.server_name().map(str::to_owned),
            protocol: session.alpn_protocol().map(|agreed| String::from_utf8_lossy(agreed).into_owned()),
            has_certificate: session.peer_certificates().is_some(),
            is_resumed: session.handshake_kind() == Some(HandshakeKind::Resumed),
            head: head.to_ascii_lowercase(),
        });
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{name}", name.len());
        if stream.get_mut().write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}
