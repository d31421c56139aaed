//! Certificates by the names that plans have for them, and all that is made of them: what listeners show, and the TLS in which services
//! outside of the mesh are spoken to. They are replaced while connections are made.

use crate::outside::{self, Outside};
use crate::terminate::{self, Termination};
use arc_swap::ArcSwap;
use mesh_plan::OutsideTls;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

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
    /// One that is shown, to clients or to a service outside of the mesh.
    fn certificate(&self, name: &str) -> Result<Pem, String>;

    /// Those of an authority that signs for clients, or for services outside of the mesh, in PEM.
    fn authority(&self, name: &str) -> Result<Vec<u8>, String>;
}

/// The certificates of a proxy.
#[derive(Debug)]
pub struct Certificates {
    store: Option<Box<dyn Store>>,
    /// What is in use: a door whose certificates stay the same in another plan keeps its sessions.
    terminations: Mutex<BTreeMap<terminate::Key, Weak<Termination>>>,
    /// And a service outside whose TLS stays the same its connections.
    outside: Mutex<BTreeMap<OutsideTls, Weak<Outside>>>,
    /// The authorities that the machine believes, once somebody wants them: what it takes to read them is felt.
    system: Mutex<Option<Arc<RootCertStore>>>,
}

impl Certificates {
    /// Those of a store.
    pub fn of(store: Box<dyn Store>) -> Arc<Certificates> {
        Arc::new(Certificates::with(Some(store)))
    }

    /// Of a proxy that was told of none.
    pub(crate) fn none() -> Arc<Certificates> {
        Arc::new(Certificates::with(None))
    }

    fn with(store: Option<Box<dyn Store>>) -> Certificates {
        Certificates {
            store,
            terminations: Mutex::default(),
            outside: Mutex::default(),
            system: Mutex::default(),
        }
    }

    /// Reads all that are in use again. On failure all of them stay.
    pub fn renew(&self) -> Result<(), String> {
        let (terminations, outside) = (held(&self.terminations), held(&self.outside));
        let terminations = terminations.values().filter_map(Weak::upgrade);
        let terminations: Result<Vec<_>, String> =
            terminations.map(|own| Ok((terminate::Current::of(&own.key, self)?, own))).collect();
        let outside = outside.values().filter_map(Weak::upgrade);
        let outside: Result<Vec<_>, String> =
            outside.map(|own| Ok((outside::Current::of(own.tls(), self)?, own))).collect();
        let (terminations, outside) = (terminations?, outside?);
        for (current, own) in terminations {
            own.current.store(Arc::new(current));
        }
        for (current, own) in outside {
            own.replace(current);
        }
        Ok(())
    }

    /// Where they are, or what an operator has to say.
    pub(crate) fn store(&self) -> Result<&dyn Store, String> {
        let none =
            || "this proxy was not told where certificates are: say --certificates DIRECTORY".to_owned();
        self.store.as_deref().ok_or_else(none)
    }

    pub(crate) fn termination(&self, key: terminate::Key) -> Result<Arc<Termination>, String> {
        let mut made = held(&self.terminations);
        if let Some(own) = made.get(&key).and_then(Weak::upgrade) {
            return Ok(own);
        }
        let current = ArcSwap::from_pointee(terminate::Current::of(&key, self)?);
        let own = Arc::new(Termination { key: key.clone(), current });
        made.retain(|_, own| own.strong_count() > 0);
        made.insert(key, Arc::downgrade(&own));
        Ok(own)
    }

    pub(crate) fn outside(&self, tls: &OutsideTls) -> Result<Arc<Outside>, String> {
        let mut made = held(&self.outside);
        if let Some(own) = made.get(tls).and_then(Weak::upgrade) {
            return Ok(own);
        }
        let own = Arc::new(Outside::new(tls, outside::Current::of(tls, self)?));
        made.retain(|_, own| own.strong_count() > 0);
        made.insert(tls.clone(), Arc::downgrade(&own));
        Ok(own)
    }

    /// The authorities that the machine believes.
    pub(crate) fn system(&self) -> Result<Arc<RootCertStore>, String> {
        let mut system = held(&self.system);
        if let Some(roots) = &*system {
            return Ok(roots.clone());
        }
        let mut roots = RootCertStore::empty();
        // One that cannot be read is no authority; the others are.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return Err(
                "this machine has no certificates of authorities: install them (`ca-certificates`), or say \
                        where they are in SSL_CERT_FILE"
                    .to_owned(),
            );
        }
        Ok(system.insert(Arc::new(roots)).clone())
    }
}

fn held<T>(own: &Mutex<T>) -> MutexGuard<'_, T> {
    own.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The authorities in a file.
pub(crate) fn roots(bytes: &[u8]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(bytes) {
        let certificate = certificate.map_err(|error| error.to_string())?;
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    if roots.is_empty() { Err("there is no certificate in it".to_owned()) } else { Ok(roots) }
}
