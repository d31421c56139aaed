//! Which certificate is shown to whom: the one that has the name that is asked for (RFC 6066 3), else the one that has it with a wildcard
//! (RFC 9525 6.3), else the first.

use crate::identity::provider;
use crate::store::Pem;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::sync::Arc;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

/// A certificate that is shown.
#[derive(Debug)]
pub(super) struct Shown {
    /// The DNS names that it is of.
    names: Vec<String>,
    key: Arc<CertifiedKey>,
}

impl Shown {
    pub(super) fn of(pem: &Pem) -> Result<Shown, String> {
        let chain = CertificateDer::pem_slice_iter(&pem.chain).collect::<Result<Vec<_>, _>>();
        let chain = chain.map_err(|error| format!("it is no PEM: {error}"))?;
        let Some(leaf) = chain.first() else { return Err("there is no certificate in it".to_owned()) };
        let names = names(leaf)?;
        let key = PrivateKeyDer::from_pem_slice(&pem.key)
            .map_err(|error| format!("its private key cannot be read: {error}"))?;
        let key = CertifiedKey::from_der(chain, key, &provider()).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => "the private key is not the certificate's".to_owned(),
            other => other.to_string(),
        })?;
        Ok(Shown { names, key: Arc::new(key) })
    }
}

fn names(leaf: &CertificateDer<'_>) -> Result<Vec<String>, String> {
    let malformed = |_| "it is malformed".to_owned();
    let certificate = Certificate::from_der(leaf).map_err(malformed)?;
    let names = certificate.tbs_certificate().get_extension::<SubjectAltName>().map_err(malformed)?;
    let names = names.map(|(_, names)| names.0).unwrap_or_default();
    let dns = names.iter().filter_map(|name| match name {
        GeneralName::DnsName(name) => Some(name.as_str().to_owned()),
        _ => None,
    });
    Ok(dns.collect())
}

/// The certificates of a listener.
#[derive(Debug)]
pub(super) struct Chooser(Vec<Shown>);

impl Chooser {
    pub(super) fn of(shown: Vec<Shown>) -> Chooser {
        Chooser(shown)
    }

    /// The place of the one that is shown to who asks for a name, or for none.
    pub(super) fn place(&self, asked: Option<&str>) -> usize {
        let all = self.0.iter().map(|shown| shown.names.as_slice());
        asked.and_then(|asked| place(all, asked)).unwrap_or_default()
    }
}

impl ResolvesServerCert for Chooser {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.get(self.place(hello.server_name())).map(|shown| shown.key.clone())
    }
}

/// The first whose names cover one.
fn place<'n>(all: impl Iterator<Item = &'n [String]> + Clone, asked: &str) -> Option<usize> {
    let asked = asked.strip_suffix('.').unwrap_or(asked);
    let parent = asked.split_once('.').filter(|(label, _)| !label.is_empty()).map(|(_, parent)| parent);
    let is_exact = |name: &String| name.eq_ignore_ascii_case(asked);
    let is_wild = |name: &String| match (name.strip_prefix("*."), parent) {
        (Some(name), Some(parent)) => name.eq_ignore_ascii_case(parent),
        _ => false,
    };
    all.clone()
        .position(|names| names.iter().any(is_exact))
        .or_else(|| all.clone().position(|names| names.iter().any(is_wild)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_narrowest_certificate_is_shown_whatever_its_place() {
        let names = |all: &[&str]| all.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let all = [names(&["*.a.test"]), names(&["b.test", "x.a.test"])];
        let shown = |asked| place(all.iter().map(Vec::as_slice), asked);
        assert_eq!((shown("x.a.test"), shown("X.A.test.")), (Some(1), Some(1)));
        assert_eq!((shown("y.a.test"), shown("b.test")), (Some(0), Some(1)));
        for nobody in ["a.test", "x.y.a.test", "test", "*.b.test", ".a.test", ""] {
            assert_eq!(shown(nobody), None, "{nobody}");
        }
    }
}
