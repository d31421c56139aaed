//! A small certificate authority: it signs X.509 SVIDs for the workloads of one trust domain, and no key of theirs leaves them but the one
//! that it was asked to make.

use mesh_proxy::Material;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, PublicKeyData, RevokedCertParams, SanType,
    SerialNumber,
};
use std::fmt;
use std::time::{Duration, SystemTime};

/// Clocks that are behind by so much still take a certificate that was just made.
const SKEW: Duration = Duration::from_secs(60);

/// It signs for one trust domain.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    trust_domain: String,
    /// Its own certificate, PEM.
    certificate: String,
}

/// A certificate and its key, PEM.
pub(crate) struct Issued {
    pub(crate) chain: String,
    pub(crate) key: String,
}

/// A certificate for a key that stays where it is, PEM.
pub(crate) struct Signed {
    pub(crate) chain: String,
    pub(crate) serial: String,
}

impl fmt::Debug for Issued {
    /// Nothing of a key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Issued")
    }
}

impl Authority {
    /// A new one. The key is in it alone.
    pub(crate) fn new(trust_domain: &str, lifetime: Duration) -> Result<Authority, rcgen::Error> {
        let mut params = valid_for(lifetime);
        params.distinguished_name.push(DnType::CommonName, format!("mesh authority of {trust_domain}"));
        params.subject_alt_names = vec![SanType::URI(format!("spiffe://{trust_domain}").try_into()?)];
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?.pem();
        Ok(Authority { issuer: Issuer::new(params, key), trust_domain: trust_domain.to_owned(), certificate })
    }

    /// One that was made before: its certificate and its key, PEM.
    pub(crate) fn read(trust_domain: &str, certificate: &str, key: &str) -> Result<Authority, rcgen::Error> {
        let issuer = Issuer::from_ca_cert_pem(certificate, KeyPair::from_pem(key)?)?;
        Ok(Authority { issuer, trust_domain: trust_domain.to_owned(), certificate: certificate.to_owned() })
    }

    /// Its key, PEM.
    pub(crate) fn key(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// Its certificate, which others verify those that it signs with, PEM.
    pub(crate) fn bundle(&self) -> &str {
        &self.certificate
    }

    pub(crate) fn trust_domain(&self) -> &str {
        &self.trust_domain
    }

    /// A certificate of a workload for a key that is somebody else's.
    pub(crate) fn sign(
        &self,
        id: &str,
        lifetime: Duration,
        key: &impl PublicKeyData,
    ) -> Result<Signed, rcgen::Error> {
        let mut params = svid(id, lifetime)?;
        let serial = serial()?;
        params.serial_number = Some(serial.clone());
        let chain = params.signed_by(key, &self.issuer)?.pem();
        Ok(Signed { chain, serial: serial.to_string() })
    }

    /// A certificate of a server of these names, which no workload has, and a new key.
    pub(crate) fn server(&self, names: &[&str], lifetime: Duration) -> Result<Issued, rcgen::Error> {
        let (params, key) = (server(names, lifetime)?, KeyPair::generate()?);
        Ok(Issued { chain: params.signed_by(&key, &self.issuer)?.pem(), key: key.serialize_pem() })
    }

    /// A list of certificates that it takes back, by serial number, each with the seconds since 1970 at which that was, PEM.
    pub(crate) fn revocations(
        &self,
        serials: &[(Vec<u8>, u64)],
        lifetime: Duration,
    ) -> Result<String, rcgen::Error> {
        let now = SystemTime::now();
        let revoked = |(serial, at): &(Vec<u8>, u64)| RevokedCertParams {
            serial_number: SerialNumber::from_slice(serial),
            revocation_time: (SystemTime::UNIX_EPOCH + Duration::from_secs(*at)).into(),
            reason_code: None,
            invalidity_date: None,
        };
        // Later lists have greater numbers (RFC 5280 5.2.3).
        let number = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
        let list = CertificateRevocationListParams {
            this_update: (now - SKEW).into(),
            next_update: (now + lifetime).into(),
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.issuer)?.pem()
    }

    /// A certificate of a workload, and a new key.
    pub(crate) fn issue(&self, id: &str, lifetime: Duration) -> Result<Issued, rcgen::Error> {
        let key = KeyPair::generate()?;
        let chain = svid(id, lifetime)?.signed_by(&key, &self.issuer)?.pem();
        Ok(Issued { chain, key: key.serialize_pem() })
    }
}

/// A certificate of a server of these names that nobody vouches for, and its key.
pub(crate) fn self_signed(names: &[&str], lifetime: Duration) -> Result<Issued, rcgen::Error> {
    let (params, key) = (server(names, lifetime)?, KeyPair::generate()?);
    Ok(Issued { chain: params.self_signed(&key)?.pem(), key: key.serialize_pem() })
}

impl Issued {
    /// What a proxy's identity is made of, with the roots that it believes.
    pub(crate) fn material(self, bundle: &str) -> Material {
        Material {
            chain: self.chain.into_bytes(),
            key: self.key.into_bytes(),
            bundles: vec![(None, bundle.as_bytes().to_vec())],
        }
    }
}

fn svid(id: &str, lifetime: Duration) -> Result<CertificateParams, rcgen::Error> {
    let mut params = valid_for(lifetime);
    params.subject_alt_names = vec![SanType::URI(id.try_into()?)];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

fn server(names: &[&str], lifetime: Duration) -> Result<CertificateParams, rcgen::Error> {
    let mut params = valid_for(lifetime);
    let name = |name: &&str| match name.parse() {
        Ok(address) => Ok(SanType::IpAddress(address)),
        Err(_) => Ok(SanType::DnsName((*name).try_into()?)),
    };
    params.subject_alt_names = names.iter().map(name).collect::<Result<_, rcgen::Error>>()?;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    Ok(params)
}

/// A positive number of 126 bits that nobody foresees, and that is written in 16 bytes.
fn serial() -> Result<SerialNumber, rcgen::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|_| rcgen::Error::RingUnspecified)?;
    bytes[0] = bytes[0] & 0x3f | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}

fn valid_for(lifetime: Duration) -> CertificateParams {
    let now = SystemTime::now();
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.not_before = (now - SKEW).into();
    params.not_after = (now + lifetime).into();
    params
}
