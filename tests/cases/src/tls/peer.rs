//! A client of TLS that shows what it is told to, and believes everybody: what servers believe is what these cases are about.

use super::authority::Chain;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

/// Longer than any handshake takes on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(15);

/// What became of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It was answered.
    Status(u16),
    /// It ended without an answer.
    Ended,
    /// Nothing came.
    Silent,
}

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

/// A client that shows this certificate, or none. Who uses it again resumes its session.
pub(super) fn config(certificate: Option<&Chain>) -> Arc<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13]);
    let builder = builder.unwrap_or_else(|_| unreachable!("ring has TLS 1.3"));
    let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(Trusting));
    let Some(chain) = certificate else { return Arc::new(builder.with_no_client_auth()) };
    let key = ring::sign::any_supported_type(&chain.key());
    let key = key.unwrap_or_else(|_| unreachable!("ring takes its own keys"));
    // Whether a certificate is one is for the other side to say.
    let own = CertifiedKey::new(chain.certificates.clone(), key);
    Arc::new(builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(own))))
}

/// Asks for a path.
pub(super) fn ask(address: SocketAddr, config: &Arc<ClientConfig>, path: &str) -> Outcome {
    asked(address, config, path).unwrap_or((Outcome::Ended, false)).0
}

/// The same, and whether a session was resumed.
pub(super) fn asked(
    address: SocketAddr,
    config: &Arc<ClientConfig>,
    path: &str,
) -> Result<(Outcome, bool), std::io::Error> {
    let name = ServerName::IpAddress(address.ip().into());
    let (outcome, resumed, _) = asked_for(address, config, name, "a.test", path)?;
    Ok((outcome, resumed))
}

/// Asks for a name, which may be an address that is not said, and then for a host: also what was shown.
pub(super) fn asked_for(
    address: SocketAddr,
    config: &Arc<ClientConfig>,
    name: ServerName<'static>,
    host: &str,
    path: &str,
) -> Result<(Outcome, bool, Vec<u8>), std::io::Error> {
    let socket = TcpStream::connect(address)?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    let session = ClientConnection::new(config.clone(), name).map_err(std::io::Error::other)?;
    let mut stream = StreamOwned::new(session, socket);
    let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    let mut heard = Vec::new();
    // What is refused is reset, and neither is an answer.
    let ended = stream.write_all(head.as_bytes()).and_then(|()| stream.read_to_end(&mut heard));
    let is_silent =
        |error: &std::io::Error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
    let status =
        std::str::from_utf8(heard.get(9..12).unwrap_or_default()).ok().and_then(|text| text.parse().ok());
    let outcome = match (status, ended) {
        (Some(status), _) => Outcome::Status(status),
        (None, Err(error)) if is_silent(&error) => Outcome::Silent,
        (None, _) => Outcome::Ended,
    };
    let resumed = stream.conn.handshake_kind() == Some(rustls::HandshakeKind::Resumed);
    let shown = stream.conn.peer_certificates().and_then(<[_]>::first);
    Ok((outcome, resumed, shown.map(|own| own.to_vec()).unwrap_or_default()))
}

/// The bytes of a ClientHello.
pub(super) fn hello() -> Result<Vec<u8>, String> {
    let name = ServerName::IpAddress(std::net::IpAddr::from([127, 0, 0, 1]).into());
    hello_of(config(None), name)
}

/// The bytes of a ClientHello of TLS 1.2 that asks for these bytes, whether they are a name or not.
pub(super) fn hello_for(asked: &[u8]) -> Result<Vec<u8>, String> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS12])
        .map_err(|error| error.to_string())?;
    let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(Trusting));
    // A name as long as the bytes, which take its place.
    let name = "x".repeat(asked.len());
    let stand_in = ServerName::try_from(name.clone()).map_err(|error| error.to_string())?;
    let mut hello = hello_of(Arc::new(builder.with_no_client_auth()), stand_in)?;
    let place = hello.windows(name.len()).position(|window| window == name.as_bytes());
    let place = place.ok_or("the name is not in the hello")?;
    hello.iter_mut().skip(place).zip(asked).for_each(|(byte, asked)| *byte = *asked);
    Ok(hello)
}

/// The certificate that is shown in TLS 1.2 to who says hello; `None`: nothing is.
pub(super) fn shown_to(address: SocketAddr, hello: &[u8]) -> Result<Option<Vec<u8>>, std::io::Error> {
    const HANDSHAKE: u8 = 22;
    const CERTIFICATE: u8 = 11;
    let mut socket = TcpStream::connect(address)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.write_all(hello)?;
    let mut messages = Vec::new();
    loop {
        let mut head = [0; 5];
        if socket.read_exact(&mut head).is_err() || head[0] != HANDSHAKE {
            return Ok(None);
        }
        let mut record = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
        if socket.read_exact(&mut record).is_err() {
            return Ok(None);
        }
        messages.extend(record);
        let mut rest = messages.as_slice();
        while let Some((message, after)) = length(rest.get(1..)) {
            if rest.first() == Some(&CERTIFICATE) {
                // A list of certificates, of which the first is the server's own.
                return Ok(length(message.get(3..)).map(|(own, _)| own.to_vec()));
            }
            rest = after;
        }
    }
}

/// What stands behind its length in three bytes, and what is behind it.
fn length(bytes: Option<&[u8]>) -> Option<(&[u8], &[u8])> {
    let (head, rest) = bytes?.split_first_chunk::<3>()?;
    rest.split_at_checked(head.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)))
}

fn hello_of(config: Arc<ClientConfig>, name: ServerName<'static>) -> Result<Vec<u8>, String> {
    let mut session = ClientConnection::new(config, name).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    session.write_tls(&mut bytes).map_err(|error| error.to_string())?;
    Ok(bytes)
}
