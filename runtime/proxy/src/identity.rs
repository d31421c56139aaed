//! Who this proxy is, and whom it believes: an X.509 SVID, its key, and the trust bundles that the certificates of others are verified
//! with ([SPIFFE](https://github.com/spiffe/spiffe/blob/main/standards/X509-SVID.md)). All of it is replaced while connections are made:
//! a handshake that has begun ends with what it began with.

mod revoked;
mod svid;
mod verify;

use arc_swap::ArcSwap;
use revoked::Revoked;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, UnixTime};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::collections::{BTreeMap, HashMap};
use std::future::pending;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use std::{fmt, io};
pub(crate) use svid::Svid;
pub use svid::SvidError;
#[cfg(any(test, fuzzing))]
pub(crate) use svid::law;
use tokio::sync::watch;
pub(crate) use verify::provider;
use verify::{Bundles, Callee, Callers};

/// What an identity is made of, in PEM.
pub struct Material {
    /// The certificate, and those between it and a root.
    pub chain: Vec<u8>,
    /// Its private key.
    pub key: Vec<u8>,
    /// Roots, each file with the trust domain that it vouches for; without one that of the certificate. Revocation lists may stand beside
    /// them, of whichever domain.
    pub bundles: Vec<(Option<String>, Vec<u8>)>,
}

impl fmt::Debug for Material {
    /// Nothing of a key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Material")
    }
}

/// An identity, as it is now.
pub struct Identity {
    /// Tells identities of one process apart.
    number: u64,
    /// It stays the same for as long as this lives.
    id: Arc<str>,
    current: ArcSwap<Current>,
    /// How often its own certificate, or what is revoked, has changed.
    changes: watch::Sender<u64>,
}

/// Why something is no identity.
#[derive(Debug)]
pub enum IdentityError {
    /// A file is no PEM, or there is nothing in it.
    Pem(&'static str, String),
    /// The certificate is no X.509 SVID.
    Svid(SvidError),
    /// Certificate and key, or certificate and bundle, do not fit.
    Unfit(String),
    /// It is not valid now.
    NotNow,
    /// There is no bundle for the certificate's own trust domain.
    NoBundle(String),
    /// It is somebody else's.
    Other {
        /// Who it was.
        was: String,
        /// Who it is now.
        is: String,
    },
}

impl fmt::Display for IdentityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IdentityError::Pem(what, why) => write!(f, "the {what} cannot be read: {why}"),
            IdentityError::Svid(error) => write!(f, "the certificate is no SVID: {error}"),
            IdentityError::Unfit(why) => f.write_str(why),
            IdentityError::NotNow => f.write_str("the certificate is not valid now"),
            IdentityError::NoBundle(domain) => write!(f, "there is no trust bundle for `{domain}`"),
            IdentityError::Other { was, is } => write!(f, "the certificate is of {is} and not of {was}"),
        }
    }
}

impl std::error::Error for IdentityError {}

impl Identity {
    /// Reads one.
    pub fn new(material: &Material) -> Result<Arc<Identity>, IdentityError> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let current = Current::of(material)?;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let (changes, _) = watch::channel(0);
        let id = current.id.clone();
        Ok(Arc::new(Identity { number, id, current: ArcSwap::from_pointee(current), changes }))
    }

    /// Replaces certificate, key and bundles, of the same identity. On failure they stay.
    pub fn renew(&self, material: &Material) -> Result<(), IdentityError> {
        let current = Current::of(material)?;
        if current.id != self.id {
            return Err(IdentityError::Other { was: self.id.to_string(), is: current.id.to_string() });
        }
        let current = Arc::new(current);
        let before = self.current.swap(current.clone());
        if before.chain != current.chain || before.bundles.revoked() != current.bundles.revoked() {
            self.changes.send_modify(|changes| *changes += 1);
        }
        Ok(())
    }

    /// Its SPIFFE ID.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What tells it from others of this process.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Whether others may take its certificate, as far as it knows itself: it has not ended, and no list has it.
    pub(crate) fn is_good(&self) -> bool {
        let current = self.current();
        let svid = current.chain.first().map(Svid::of);
        let is_good = |svid: &Svid| svid.is_valid_at(UnixTime::now()) && !current.bundles.revoked().has(svid);
        matches!(svid, Some(Ok(svid)) if is_good(&svid))
    }

    /// When its certificate ends.
    pub fn ends(&self) -> SystemTime {
        self.current.load().ends
    }

    /// How often its own certificate, or what is revoked, has changed: a connection that was made before is not used after. Whoever answers on
    /// it may be revoked since, and cuts it off when the certificate ends that it was shown.
    pub(crate) fn changes(&self) -> u64 {
        *self.changes.borrow()
    }

    /// Whether a certificate is on a list of those that are believed. What is no SVID is on none.
    pub fn has_revoked(&self, certificate: &CertificateDer<'_>) -> bool {
        Svid::of(certificate).is_ok_and(|svid| self.current().bundles.revoked().has(&svid))
    }

    /// Waits until a certificate is revoked, or has ended.
    pub(crate) async fn disowns(&self, certificate: &CertificateDer<'_>) {
        let Ok(svid) = Svid::of(certificate) else { return pending().await };
        let mut changes = self.changes.subscribe();
        while !self.current().bundles.revoked().has(&svid) {
            tokio::select! {
                Ok(()) = changes.changed() => {}
                () = svid.end() => return,
            }
        }
    }

    pub(crate) fn current(&self) -> Arc<Current> {
        self.current.load_full()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Identity").field(&self.id).finish()
    }
}

impl PartialEq for Identity {
    fn eq(&self, other: &Identity) -> bool {
        self.number == other.number
    }
}

impl Eq for Identity {}

impl Hash for Identity {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.number.hash(state);
    }
}

/// What is spoken inside TLS, as ALPN says it (RFC 7301).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Inside {
    Http1,
    Http2,
    /// Bytes of connections, which have no name.
    Bytes,
    /// TLS of the two ends: it begins as that of the mesh does, which therefore has a name.
    Tls,
}

/// The name of the mesh's own TLS where another one may be.
const TLS_OF_MESH: &[u8] = b"mesh-tls";

impl Inside {
    const ALL: [Inside; 4] = [Inside::Http1, Inside::Http2, Inside::Bytes, Inside::Tls];

    /// Whether a protocol that a client offers is what only proxies of the mesh do.
    pub(crate) fn is_tls_of_mesh(offer: &[u8]) -> bool {
        offer == TLS_OF_MESH
    }

    pub(crate) fn alpn(self) -> Vec<Vec<u8>> {
        match self {
            Inside::Http1 => vec![b"http/1.1".to_vec()],
            Inside::Http2 => vec![b"h2".to_vec()],
            Inside::Bytes => vec![],
            Inside::Tls => vec![TLS_OF_MESH.to_vec()],
        }
    }
}

/// Whose certificate this is, if it may be one of a workload at all. Nothing else of it is verified.
pub fn svid_id(certificate: &CertificateDer<'_>) -> Result<Arc<str>, SvidError> {
    Svid::of(certificate).map(|svid| svid.id)
}

/// The serial number of an X.509 SVID, as the bytes of its DER.
pub fn svid_serial(certificate: &CertificateDer<'_>) -> Result<Vec<u8>, SvidError> {
    Svid::of(certificate).map(|svid| svid.issued.1)
}

type Clients = HashMap<(Arc<str>, Inside), Arc<ClientConfig>>;

/// Certificate, key and bundles, ready for handshakes.
pub(crate) struct Current {
    id: Arc<str>,
    ends: SystemTime,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    bundles: Arc<Bundles>,
    /// By what is inside, and whether a certificate must be shown.
    servers: HashMap<(Inside, bool), Arc<ServerConfig>>,
    /// By whom they call, and what is inside: made when the first call wants one. Each keeps the sessions that can be resumed, so none is
    /// resumed with others than it was begun with, or under a bundle that has been replaced.
    clients: Mutex<Clients>,
}

impl Current {
    fn of(material: &Material) -> Result<Current, IdentityError> {
        let chain = certificates("certificate", &material.chain)?;
        let leaf = chain.first().ok_or_else(|| pem("certificate", "there is none"))?;
        let svid = Svid::of(leaf).map_err(IdentityError::Svid)?;
        let key = PrivateKeyDer::from_pem_slice(&material.key).map_err(|error| pem("private key", error))?;
        let mut roots: BTreeMap<String, RootCertStore> = BTreeMap::new();
        let mut authorities: BTreeMap<String, Vec<CertificateDer<'static>>> = BTreeMap::new();
        for (domain, bytes) in &material.bundles {
            let domain = domain.clone().unwrap_or_else(|| svid.trust_domain.clone());
            let own = roots.entry(domain.clone()).or_insert_with(RootCertStore::empty);
            let found = certificates("trust bundle", bytes)?;
            authorities.entry(domain).or_default().extend(found.iter().cloned());
            for root in found {
                own.add(root).map_err(|error| pem("trust bundle", error))?;
            }
        }
        let revoked = revoked(material, &authorities)?;
        let bundles = Arc::new(Bundles::of(roots, revoked).map_err(|error| pem("trust bundle", error))?);
        let now = UnixTime::now();
        if !svid.is_valid_at(now) {
            return Err(IdentityError::NotNow);
        }
        if bundles.of_domain(&svid.trust_domain).is_none() {
            return Err(IdentityError::NoBundle(svid.trust_domain));
        }
        bundles.vouch(leaf, chain.get(1..).unwrap_or_default(), now).map_err(|error| {
            IdentityError::Unfit(format!("the trust bundle does not vouch for the certificate: {error}"))
        })?;
        let mut servers = HashMap::new();
        for inside in Inside::ALL {
            for demands in [false, true] {
                let config = server(&chain, &key, Callers::new(bundles.clone(), demands), inside);
                servers.insert((inside, demands), Arc::new(config.map_err(unfit)?));
            }
        }
        let ends = SystemTime::UNIX_EPOCH + Duration::from_secs(svid.not_after);
        Ok(Current { id: svid.id, ends, chain, key, bundles, servers, clients: Mutex::default() })
    }

    /// How connections with something inside are accepted; `demands`: a certificate must be shown.
    pub(crate) fn server(&self, inside: Inside, demands: bool) -> Option<Arc<ServerConfig>> {
        self.servers.get(&(inside, demands)).cloned()
    }

    /// How somebody is called.
    pub(crate) fn client(
        &self,
        callee: &Arc<str>,
        inside: Inside,
    ) -> Result<Arc<ClientConfig>, rustls::Error> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(config) = clients.get(&(callee.clone(), inside)) {
            return Ok(config.clone());
        }
        let verifier = Callee::new(self.bundles.clone(), callee.clone());
        let mut config = ClientConfig::builder_with_provider(verify::provider())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_auth_cert(self.chain.clone(), self.key.clone_key())?;
        config.alpn_protocols = inside.alpn();
        // Identities are no names of hosts.
        config.enable_sni = false;
        let config = Arc::new(config);
        clients.insert((callee.clone(), inside), config.clone());
        Ok(config)
    }
}

fn server(
    chain: &[CertificateDer<'static>],
    key: &PrivateKeyDer<'static>,
    callers: Callers,
    inside: Inside,
) -> Result<ServerConfig, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(verify::provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(Arc::new(callers))
        .with_single_cert(chain.to_vec(), key.clone_key())?;
    config.alpn_protocols = inside.alpn();
    // A key of its own for each: what was begun without a certificate is not resumed where one is demanded.
    config.ticketer = rustls::crypto::ring::Ticketer::new()?;
    config.send_tls13_tickets = TICKETS;
    Ok(config)
}

/// Sessions that a caller may resume. Connections are kept, so few are made at once.
const TICKETS: usize = 2;

/// What the lists beside the roots say. One that nobody believed has signed is a mistake: what it takes back would go on.
fn revoked(
    material: &Material,
    roots: &BTreeMap<String, Vec<CertificateDer<'static>>>,
) -> Result<Revoked, IdentityError> {
    let mut revoked = Revoked::default();
    for (_, bytes) in &material.bundles {
        for list in CertificateRevocationListDer::pem_slice_iter(bytes) {
            let list = list.map_err(|error| pem("revocation list", error))?;
            let added = revoked.add(&list, roots);
            added.ok_or_else(|| pem("revocation list", "no root of the trust bundles has signed it"))?;
        }
    }
    Ok(revoked)
}

fn certificates(what: &'static str, bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    let found = CertificateDer::pem_slice_iter(bytes).collect::<Result<Vec<_>, _>>();
    let found = found.map_err(|error| pem(what, error))?;
    if found.is_empty() { Err(pem(what, "there is none")) } else { Ok(found) }
}

fn pem(what: &'static str, why: impl fmt::Display) -> IdentityError {
    IdentityError::Pem(what, why.to_string())
}

fn unfit(error: rustls::Error) -> IdentityError {
    match error {
        rustls::Error::InconsistentKeys(_) => {
            IdentityError::Unfit("the private key is not the certificate's".to_owned())
        }
        other => IdentityError::Unfit(format!("certificate and key cannot be used: {other}")),
    }
}

/// Why a handshake did not come to its end, in words for a log.
pub(crate) fn why(error: &io::Error) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    inner.map_or_else(|| error.to_string(), ToString::to_string)
}
