//! A server of HTTP/1.1 inside TLS, which remembers who asked it and how.

use crate::authority::Certificate;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::server::WebPkiClientVerifier;
use rustls::{HandshakeKind, RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// The server.
pub struct Secure {
    /// `127.0.0.1:PORT`, for `endpoints static`.
    pub address: String,
    config: Arc<Mutex<Arc<ServerConfig>>>,
    says: Arc<Mutex<String>>,
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
    pub fn start(name: &str, own: &Certificate, clients: Option<&str>) -> Secure {
        Secure::start_at("127.0.0.1:0", name, own, clients)
    }

    /// The same at this address.
    ///
    /// # Panics
    /// If the certificate is none, or the address cannot be had.
    pub fn start_at(at: &str, name: &str, own: &Certificate, clients: Option<&str>) -> Secure {
        let listener = TcpListener::bind(at).expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let config = Arc::new(Mutex::new(config(own, clients)));
        let says = Arc::new(Mutex::new(name.to_owned()));
        let secure = Secure { address, config, says, heard: Arc::default() };
        let (config, says, heard) = (secure.config.clone(), secure.says.clone(), secure.heard.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (config, heard) = (config.lock().expect("no panic").clone(), heard.clone());
                let says = says.clone();
                std::thread::spawn(move || serve(stream, config, &says, &heard));
            }
        });
        secure
    }

    /// One that speaks HTTP/2 alone, and answers a request of the scheme `https` with 204, others with 400.
    ///
    /// # Panics
    /// If the certificate is none.
    pub fn of_http2(own: &Certificate) -> Secure {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let mut newer = ServerConfig::clone(&config(own, None));
        newer.alpn_protocols = vec![b"h2".to_vec()];
        let newer = Arc::new(newer);
        let config = Arc::new(Mutex::new(newer.clone()));
        let secure = Secure { address, config, says: Arc::default(), heard: Arc::default() };
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let newer = newer.clone();
                std::thread::spawn(move || answer_stream(stream, newer));
            }
        });
        secure
    }

    /// Shows another certificate from now on.
    pub fn show(&self, own: &Certificate) {
        *self.config.lock().expect("no panic") = config(own, None);
    }

    /// Says something else from now on.
    pub fn say(&self, text: &str) {
        text.clone_into(&mut self.says.lock().expect("no panic"));
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

fn serve(stream: TcpStream, config: Arc<ServerConfig>, says: &Mutex<String>, heard: &Mutex<Vec<Heard>>) {
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
        let ends = head.to_ascii_lowercase().contains("\r\nx-end: ");
        let close = if ends { "connection: close\r\n" } else { "" };
        let body = says.lock().expect("no panic").clone();
        let answer = format!("HTTP/1.1 200 OK\r\n{close}content-length: {}\r\n\r\n{body}", body.len());
        if ends {
            let session = stream.get_mut();
            let _ = session.write_all(answer.as_bytes());
            session.conn.send_close_notify();
            let _ = session.flush();
            return;
        }
        if stream.get_mut().write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

/// Reads frames (RFC 9113 4.1) until there is a head, and answers it.
fn answer_stream(stream: TcpStream, config: Arc<ServerConfig>) -> Option<()> {
    const HEADERS: u8 = 1;
    let session = ServerConnection::new(config).expect("a session");
    let mut stream = StreamOwned::new(session, stream);
    stream.read_exact(&mut [0; 24]).ok()?;
    // Settings, of which there are none.
    stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).ok()?;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).ok()?;
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let mut frame = vec![0; length];
        stream.read_exact(&mut frame).ok()?;
        if head[3] == HEADERS {
            // Of HPACK's own table `:scheme: https`, and `:status` of 204 and of 400; with the flags of a whole head and the end of the stream.
            let status = if frame.contains(&0x87) { 0x89 } else { 0x8c };
            stream.write_all(&[&[0, 0, 1, HEADERS, 5], &head[5..], &[status]].concat()).ok()?;
        }
    }
}
