//! Certificates that their authority has taken back (RFC 5280 5). A list is believed if a root of a trust domain has signed it, and speaks of
//! what that authority has signed in this domain. One whose next update is overdue still speaks: what was taken back once is not given back.

use super::Svid;
use super::verify::algorithms;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use std::collections::{BTreeMap, BTreeSet};
use x509_cert::Certificate;
use x509_cert::crl::CertificateList;
use x509_cert::der::{Decode as _, Encode as _};
use x509_cert::spki::AlgorithmIdentifierOwned;

/// What a list calls a certificate: by whom it was signed (DER), and its serial number.
pub(super) type Issued = (Vec<u8>, Vec<u8>);

/// By trust domain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Revoked(BTreeMap<String, BTreeSet<Issued>>);

impl Revoked {
    /// Adds what a list says. `None`: it is none, or nobody who is believed has signed it.
    pub(super) fn add(
        &mut self,
        list: &CertificateRevocationListDer<'_>,
        roots: &BTreeMap<String, Vec<CertificateDer<'static>>>,
    ) -> Option<()> {
        let list = CertificateList::<x509_cert::certificate::Rfc5280>::from_der(list).ok()?;
        let issuer = list.tbs_cert_list.issuer.to_der().ok()?;
        let signs = |root: &CertificateDer<'static>| has_signed(root, &issuer, &list).is_some();
        let domain = roots.iter().find(|(_, roots)| roots.iter().any(signs))?.0;
        let own = self.0.entry(domain.clone()).or_default();
        for revoked in list.tbs_cert_list.revoked_certificates.iter().flatten() {
            own.insert((issuer.clone(), revoked.serial_number.as_bytes().to_vec()));
        }
        Some(())
    }

    pub(super) fn has(&self, svid: &Svid) -> bool {
        let own = self.0.get(&svid.trust_domain);
        own.is_some_and(|own| own.contains(&svid.issued))
    }
}

/// Whether an authority of this name has signed a list.
fn has_signed(root: &CertificateDer<'_>, issuer: &[u8], list: &CertificateList) -> Option<()> {
    let root = Certificate::from_der(root).ok()?;
    let root = root.tbs_certificate();
    if root.subject().to_der().ok()? != issuer {
        return None;
    }
    let key = root.subject_public_key_info();
    let (of_key, of_signature) = (inside(&key.algorithm)?, inside(&list.signature_algorithm)?);
    let signed = list.tbs_cert_list.to_der().ok()?;
    let mut known = algorithms().all.iter().filter(|known| {
        known.public_key_alg_id().as_ref() == of_key && known.signature_alg_id().as_ref() == of_signature
    });
    known.find_map(|known| {
        known.verify_signature(key.subject_public_key.raw_bytes(), &signed, list.signature.raw_bytes()).ok()
    })
}

/// What an algorithm is called, without the sequence around it: it is shorter than 128 bytes, so that begins with two.
fn inside(algorithm: &AlgorithmIdentifierOwned) -> Option<Vec<u8>> {
    Some(algorithm.to_der().ok()?.get(2..)?.to_vec())
}
