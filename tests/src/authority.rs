//! A certificate authority for tests, and certificates of every kind, good and bad.

use mesh_proxy::{Identity, Material};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SanType,
    SerialNumber, date_time_ymd,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::sync::Arc;
use std::time::Duration;

/// It signs for one trust domain.
pub struct Authority {
    root: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate and its key, in PEM.
pub struct Certificate {
    /// The certificate.
    pub chain: String,
    /// Its key.
    pub key: String,
}

/// How a certificate differs from a good one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flaw {
    /// In nothing.
    #[default]
    None,
    /// It has ended.
    Expired,
    /// It has not begun.
    Early,
    /// It may sign others.
    Authority,
}

impl Authority {
    /// A new one, with a key of its own.
    #[expect(clippy::new_without_default, reason = "each is another one")]
    pub fn new() -> Authority {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key");
        Authority { root: CertifiedIssuer::self_signed(params, key).expect("a root") }
    }

    /// Its own certificate, in PEM.
    pub fn bundle(&self) -> String {
        self.root.pem()
    }

    /// A certificate with these URIs among its names.
    pub fn certificate(&self, uris: &[&str], flaw: Flaw) -> Certificate {
        let mut params = workload(uris);
        match flaw {
            Flaw::None => {}
            Flaw::Expired => params.not_after = date_time_ymd(2020, 1, 1),
            Flaw::Early => params.not_before = date_time_ymd(3000, 1, 1),
            Flaw::Authority => params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained),
        }
        self.sign(params)
    }

    /// A good one that ends at a second of Unix time, which is the last that it is valid in.
    pub fn certificate_until(&self, uri: &str, last: u64) -> Certificate {
        let mut params = workload(&[uri]);
        params.not_after = date_time_ymd(1970, 1, 1) + Duration::from_secs(last);
        self.sign(params)
    }

    fn sign(&self, mut params: CertificateParams) -> Certificate {
        let key = KeyPair::generate().expect("a key");
        params.serial_number = Some(serial(&key.serialize_pem()));
        let chain = params.signed_by(&key, &self.root).expect("a certificate").pem();
        Certificate { chain, key: key.serialize_pem() }
    }

    /// A list of certificates that it takes back, in PEM.
    pub fn revocations(&self, keys: &[&str]) -> String {
        let revoked = |key: &&str| RevokedCertParams {
            serial_number: serial(key),
            revocation_time: date_time_ymd(2024, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2024, 1, 1),
            // Long ago: it still says what it says.
            next_update: date_time_ymd(2024, 1, 2),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: keys.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.root).expect("a list").pem().expect("PEM")
    }

    /// A certificate of a server of these names.
    pub fn server(&self, names: &[&str]) -> Certificate {
        let mut params =
            CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
                .expect("names");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(params)
    }

    /// What an identity is made of.
    pub fn material(&self, id: &str) -> Material {
        let own = self.certificate(&[id], Flaw::None);
        Material {
            chain: own.chain.into_bytes(),
            key: own.key.into_bytes(),
            bundles: vec![(None, self.bundle().into_bytes())],
        }
    }

    /// An identity.
    ///
    /// # Panics
    /// If it is none.
    pub fn identity(&self, id: &str) -> Arc<Identity> {
        Identity::new(&self.material(id)).expect("an identity")
    }
}

/// A certificate of a workload, in which nothing is wrong.
fn workload(uris: &[&str]) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.subject_alt_names =
        uris.iter().map(|uri| SanType::URI((*uri).try_into().expect("ASCII"))).collect();
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params
}

/// Of the certificate of a key: its hash, as a positive number of 16 bytes.
fn serial(key: &str) -> SerialNumber {
    let hash = ring::digest::digest(&ring::digest::SHA256, key.as_bytes());
    let mut bytes = hash.as_ref()[..16].to_vec();
    bytes[0] = bytes[0] & 0x3f | 0x40;
    SerialNumber::from(bytes)
}

impl Certificate {
    /// For a client of rustls.
    pub fn parts(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let chain = CertificateDer::pem_slice_iter(self.chain.as_bytes()).collect::<Result<_, _>>();
        (chain.expect("PEM"), PrivateKeyDer::from_pem_slice(self.key.as_bytes()).expect("PEM"))
    }
}
