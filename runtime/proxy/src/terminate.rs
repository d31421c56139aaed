//! TLS of clients, which ends at a listener of a gateway: certificates by name, the one that fits the name that a client asks for, and, where
//! one is asked for, the client's own. Certificates are replaced while connections are made: a handshake that has begun ends with what it
//! began with.

mod chooser;

use crate::doors::Wanted;
use crate::http1::Closing;
use crate::identity::{provider, why};
use crate::mutual::HANDSHAKE_TIME;
use crate::transport::{Begun, Transport};
use arc_swap::ArcSwap;
use chooser::{Chooser, Shown};
use mesh_engine::Entry;
use mesh_plan::{PlanView, Protocol};
use rustls::crypto::ring::Ticketer;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tokio::io::AsyncReadExt as _;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// A certificate with those between it and a root, and its private key, in PEM.
pub struct Pem {
    /// The certificate first.
    pub chain: Vec<u8>,
    /// Its key.
    pub key: Vec<u8>,
}

impl fmt::Debug for Pem {
    /// Nothing of a key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pem")
    }
}

/// Where certificates are found by the names that a plan has for them. What is not found is told in words for an operator.
pub trait Store: fmt::Debug + Send + Sync {
    /// One that is shown to clients.
    fn certificate(&self, name: &str) -> Result<Pem, String>;

    /// Those of an authority that signs for clients, in PEM.
    fn client_ca(&self, name: &str) -> Result<Vec<u8>, String>;
}

/// The certificates of a proxy.
#[derive(Debug)]
pub struct Certificates {
    store: Box<dyn Store>,
    /// What is in use: a door whose certificates stay the same in another plan keeps its sessions.
    made: Mutex<BTreeMap<Key, Weak<Termination>>>,
}

impl Certificates {
    /// Those of a store.
    pub fn of(store: Box<dyn Store>) -> Arc<Certificates> {
        Arc::new(Certificates { store, made: Mutex::default() })
    }

    /// Reads all that are in use again. On failure all of them stay.
    pub fn renew(&self) -> Result<(), String> {
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let used = made.values().filter_map(Weak::upgrade);
        let renewed: Result<Vec<_>, String> =
            used.map(|own| Ok((Current::of(&own.key, self.store.as_ref())?, own))).collect();
        for (current, own) in renewed? {
            own.current.store(Arc::new(current));
        }
        Ok(())
    }

    fn termination(&self, key: Key) -> Result<Arc<Termination>, String> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = made.get(&key).and_then(Weak::upgrade) {
            return Ok(own);
        }
        let current = ArcSwap::from_pointee(Current::of(&key, self.store.as_ref())?);
        let own = Arc::new(Termination { key: key.clone(), current });
        made.retain(|_, own| own.strong_count() > 0);
        made.insert(key, Arc::downgrade(&own));
        Ok(own)
    }
}

/// What makes the TLS of a door.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    door: String,
    certificates: Vec<String>,
    client_ca: String,
    /// Whether HTTP/1.1 may be inside, too.
    either: bool,
}

/// The TLS of a door.
#[derive(Debug)]
pub(crate) struct Termination {
    key: Key,
    current: ArcSwap<Current>,
}

#[derive(Debug)]
struct Current {
    config: Arc<ServerConfig>,
    chooser: Arc<Chooser>,
}

impl Current {
    fn of(key: &Key, store: &dyn Store) -> Result<Current, String> {
        let told = |what: &str, name: &str, why: &dyn fmt::Display| {
            format!("`{}` cannot use the {what} `{name}`: {why}", key.door)
        };
        let shown = key.certificates.iter().map(|name| {
            let pem = store.certificate(name).map_err(|why| told("certificate", name, &why))?;
            Shown::of(&pem).map_err(|why| told("certificate", name, &why))
        });
        let chooser = Arc::new(Chooser::of(shown.collect::<Result<_, String>>()?));
        let unfit = |error: &dyn fmt::Display| format!("`{}` cannot speak TLS: {error}", key.door);
        let builder = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| unfit(&error))?;
        let asks = !key.client_ca.is_empty();
        let builder = if asks {
            let name = &key.client_ca;
            let bytes = store.client_ca(name).map_err(|why| told("client-ca", name, &why))?;
            let roots = roots(&bytes).map_err(|why| told("client-ca", name, &why))?;
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider()).build();
            builder.with_client_cert_verifier(verifier.map_err(|error| told("client-ca", name, &error))?)
        } else {
            builder.with_no_client_auth()
        };
        let mut config = builder.with_cert_resolver(chooser.clone());
        config.alpn_protocols = vec![b"h2".to_vec()];
        if key.either {
            config.alpn_protocols.push(b"http/1.1".to_vec());
        }
        if asks {
            // A session that is resumed is not verified again, and its certificate may have ended since.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        } else {
            config.ticketer = Ticketer::new().map_err(|error| unfit(&error))?;
        }
        Ok(Current { config: Arc::new(config), chooser })
    }
}

fn roots(bytes: &[u8]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(bytes) {
        let certificate = certificate.map_err(|error| error.to_string())?;
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    if roots.is_empty() { Err("there is no certificate in it".to_owned()) } else { Ok(roots) }
}

/// How TLS ends at each door; `None`: it does not. Of a gateway that shows certificates nothing is served without them.
pub(crate) fn all(
    view: &PlanView,
    wanted: &[Wanted],
    certificates: Option<&Certificates>,
) -> Result<Vec<Option<Arc<Termination>>>, String> {
    let of = |door: &Wanted| {
        let Entry::Gateway { gateway, listener } = door.entry else { return Ok(None) };
        let listener = view.gateway(gateway).and_then(|gateway| gateway.listener(listener));
        let Some(listener) = listener else { return Ok(None) };
        let names: Vec<String> = listener.certificates().map(str::to_owned).collect();
        let Some(first) = names.first() else { return Ok(None) };
        let Some(certificates) = certificates else {
            return Err(format!(
                "`{}` shows the certificate `{first}`, and this proxy was not told where certificates are: say \
                 --certificates DIRECTORY",
                door.name
            ));
        };
        let key = Key {
            door: door.name.clone(),
            certificates: names,
            client_ca: listener.client_ca().to_owned(),
            either: listener.protocol() == Protocol::Http,
        };
        certificates.termination(key).map(Some)
    };
    wanted.iter().map(of).collect()
}

/// A client's connection over TLS: what it was shown, and what it agreed on.
pub(crate) struct OverTls {
    chooser: Arc<Chooser>,
    /// The place of what it was shown.
    shown: usize,
    http2: bool,
}

impl OverTls {
    pub(crate) fn is_http2(&self) -> bool {
        self.http2
    }

    /// Whether who asks for this host would have been shown the same certificate: then its client has verified who answers for it.
    pub(crate) fn is_of(&self, host: &str) -> bool {
        self.chooser.place(Some(host)) == self.shown
    }
}

/// A connection behind its handshake.
pub(crate) enum Ended<S> {
    Here(Box<TlsStream<Begun<S>>>, OverTls),
    /// The handshake failed, in these words.
    Failed(String),
    /// It has ended before it began.
    Gone,
}

/// Takes up a connection of TLS.
pub(crate) async fn accept<S: Transport>(
    mut stream: S,
    termination: &Termination,
    closing: &mut watch::Receiver<Option<Closing>>,
) -> Ended<S> {
    // Nothing is begun for who says nothing.
    let mut first = [0];
    let mut last_call = None;
    let count = loop {
        let time = last_call.unwrap_or(HANDSHAKE_TIME);
        tokio::select! {
            biased;
            count = timeout(time, stream.read(&mut first)) => break count,
            closing = closing.wait_for(Option::is_some), if last_call.is_none() => {
                let Some(closing) = closing.ok().and_then(|closing| *closing) else { return Ended::Gone };
                last_call = Some(closing.last_call);
            }
        }
    };
    if !matches!(count, Ok(Ok(1))) {
        return Ended::Gone;
    }
    let stream = Begun { read: first.to_vec(), rest: stream };
    let current = termination.current.load_full();
    let stream = match timeout(HANDSHAKE_TIME, TlsAcceptor::from(current.config.clone()).accept(stream)).await
    {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Ended::Failed(why(&error)),
        Err(_) => return Ended::Failed("the handshake took too long".to_owned()),
    };
    let session = stream.get_ref().1;
    let tls = OverTls {
        chooser: current.chooser.clone(),
        shown: current.chooser.place(session.server_name()),
        http2: session.alpn_protocol() == Some(b"h2"),
    };
    Ended::Here(Box::new(stream), tls)
}
