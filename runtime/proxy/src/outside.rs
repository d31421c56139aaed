//! TLS to services outside of the mesh: who must answer there, by which authority, and what is shown to them. Certificates are replaced while
//! connections are made.

use crate::identity::{Inside, provider, why};
use crate::mutual::Mutual;
use crate::serving::Serving;
use crate::store::{Certificates, roots};
use crate::transport::Wire;
use arc_swap::ArcSwap;
use mesh_plan::{OutsideTls, PlanView, Protocol, Trust};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// The TLS around a connection to an endpoint: connections of different ones are kept apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Secured {
    /// That of the mesh, each side with its identity.
    Mutual(Mutual),
    /// That of a service outside; of which name, where that is who is asked for.
    Outside(Arc<Outside>, Inside, Option<Arc<str>>),
}

impl Secured {
    /// Puts it around a connection. The error is in words for a log.
    pub(crate) async fn connect(&self, stream: TcpStream, ip: IpAddr) -> Result<Wire, String> {
        match self {
            Secured::Mutual(mutual) => mutual.connect(stream, ip).await,
            Secured::Outside(outside, inside, asked) => {
                outside.connect(stream, ip, *inside, asked.as_deref()).await
            }
        }
    }

    /// The same to who is asked for: where nobody else is expected, that is who must answer.
    pub(crate) fn for_asked(self, host: &Arc<str>) -> Secured {
        match self {
            Secured::Outside(outside, inside, None) if outside.name().is_empty() => {
                Secured::Outside(outside, inside, Some(host.clone()))
            }
            own => own,
        }
    }
}

/// How one or several services outside are spoken to.
pub(crate) struct Outside {
    /// Tells those of one process apart: what is begun in one is not gone on with in another.
    number: u64,
    tls: OutsideTls,
    current: ArcSwap<Current>,
}

/// Certificate and authorities, ready for handshakes. Each keeps the sessions that can be resumed, so none is resumed with what has been
/// replaced.
pub(crate) struct Current {
    name: Option<ServerName<'static>>,
    http1: Arc<ClientConfig>,
    http2: Arc<ClientConfig>,
    bytes: Arc<ClientConfig>,
}

impl Outside {
    pub(crate) fn new(tls: &OutsideTls, current: Current) -> Outside {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Outside { number, tls: tls.clone(), current: ArcSwap::from_pointee(current) }
    }

    pub(crate) fn tls(&self) -> &OutsideTls {
        &self.tls
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    pub(crate) fn replace(&self, current: Current) {
        self.current.store(Arc::new(current));
    }

    /// Whom it is; empty where nobody knows, or where it is who is asked for.
    pub(crate) fn name(&self) -> &str {
        &self.tls.name
    }

    /// What is spoken in it at a port of this protocol; in TLS of the two ends nothing of ours.
    pub(crate) fn at(self: &Arc<Outside>, protocol: Protocol) -> Option<Secured> {
        match Inside::of(protocol) {
            Inside::Tls => None,
            inside => Some(Secured::Outside(self.clone(), inside, None)),
        }
    }

    async fn connect(
        &self,
        stream: TcpStream,
        ip: IpAddr,
        inside: Inside,
        asked: Option<&str>,
    ) -> Result<Wire, String> {
        let current = self.current.load_full();
        let config = match inside {
            Inside::Http1 => &current.http1,
            Inside::Http2 => &current.http2,
            Inside::Bytes | Inside::Tls => &current.bytes,
        };
        let asked = asked.map(|host| ServerName::try_from(host.to_owned())).transpose();
        let asked = asked.map_err(|_| "it is no name of who could answer over TLS".to_owned())?;
        let name = asked.or_else(|| current.name.clone()).unwrap_or(ServerName::IpAddress(ip.into()));
        let connected = TlsConnector::from(config.clone()).connect(name, stream).await;
        let connected = connected.map_err(|error| why(&error))?;
        // What was agreed on is what is spoken; who agrees on nothing speaks HTTP/1.1.
        if inside == Inside::Http2 && connected.get_ref().1.alpn_protocol() != Some(b"h2") {
            return Err("it does not speak HTTP/2".to_owned());
        }
        Ok(Wire::Tls(Box::new(connected)))
    }
}

impl Current {
    pub(crate) fn of(tls: &OutsideTls, certificates: &Certificates) -> Result<Current, String> {
        let name = match tls.name.as_str() {
            "" => None,
            name => Some(ServerName::try_from(name.to_owned()).map_err(|_| {
                format!("`{name}` is no name of who could answer over TLS: write another `tls host`")
            })?),
        };
        let trusted: Arc<dyn ServerCertVerifier> = match &tls.trust {
            Trust::System => verifier(certificates.system()?)?,
            Trust::Authority(name) => {
                let bytes = certificates.store().and_then(|store| store.authority(name));
                let roots = bytes.and_then(|bytes| roots(&bytes));
                let roots = roots.map_err(|why| told(tls, "authority", name, &why))?;
                verifier(Arc::new(roots))?
            }
            Trust::Anyone => Arc::new(Anyone(provider())),
        };
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(trusted);
        let mut config = match tls.certificate.as_str() {
            "" => builder.with_no_client_auth(),
            own => {
                let told = |why: &str| told(tls, "certificate", own, why);
                let pem = certificates.store().and_then(|store| store.certificate(own));
                let pem = pem.map_err(|why| told(&why))?;
                let chain = CertificateDer::pem_slice_iter(&pem.chain).collect::<Result<Vec<_>, _>>();
                let chain = chain.map_err(|error| told(&format!("it is no PEM: {error}")))?;
                let key = PrivateKeyDer::from_pem_slice(&pem.key)
                    .map_err(|error| told(&format!("its private key cannot be read: {error}")))?;
                builder.with_client_auth_cert(chain, key).map_err(|error| told(&error.to_string()))?
            }
        };
        // Nobody is asked for by an address.
        config.enable_sni = true;
        let speaking = |inside: Inside| {
            let mut config = config.clone();
            config.alpn_protocols = inside.alpn();
            // Shared with no other: what is resumed was begun in the same protocol.
            config.resumption = rustls::client::Resumption::in_memory_sessions(SESSIONS);
            Arc::new(config)
        };
        let [http1, http2, bytes] = [Inside::Http1, Inside::Http2, Inside::Bytes].map(speaking);
        Ok(Current { name, http1, http2, bytes })
    }
}

/// Sessions that are kept to be resumed: they are all with the same name, but where that is who is asked for.
const SESSIONS: usize = 64;

fn told(tls: &OutsideTls, what: &str, name: &str, why: &str) -> String {
    let whom = if tls.name.is_empty() { "a service outside" } else { &tls.name };
    format!("`{whom}` cannot be called over TLS with the {what} `{name}`: {why}")
}

fn verifier(roots: Arc<RootCertStore>) -> Result<Arc<dyn ServerCertVerifier>, String> {
    let verifier = rustls::client::WebPkiServerVerifier::builder_with_provider(roots, provider()).build();
    verifier.map(|verifier| verifier as Arc<dyn ServerCertVerifier>).map_err(|error| error.to_string())
}

/// Believes whoever answers, as `tls insecure` says. That they have the key of what they show is verified nevertheless.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
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
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// How the services of a plan that are outside are spoken to, each in its place. A certificate that is not there refuses the plan.
pub(crate) fn all(plan: &PlanView, certificates: &Certificates) -> Result<Vec<Option<Arc<Outside>>>, String> {
    let tls = plan.services().iter().map(|service| service.tls().map(|tls| tls.to_value()));
    tls.map(|tls| tls.map(|tls| certificates.outside(&tls)).transpose()).collect()
}

/// Whether a service is spoken to in TLS of the outside, and in which. `Err`: it is, and this proxy does not know how.
pub(crate) fn of(serving: &Serving, service: u32) -> Result<Option<&Arc<Outside>>, ()> {
    let is_outside = serving.view.service(service).is_some_and(|service| service.tls().is_some());
    match serving.outside.get(service as usize).and_then(Option::as_ref) {
        None if is_outside => Err(()),
        own => Ok(own),
    }
}

impl fmt::Debug for Outside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Outside").field(&self.tls).finish()
    }
}

impl PartialEq for Outside {
    fn eq(&self, other: &Outside) -> bool {
        self.number == other.number
    }
}

impl Eq for Outside {}

impl Hash for Outside {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.number.hash(state);
    }
}
