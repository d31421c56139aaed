//! The certificate of a workload: which SPIFFE ID it is of, if it may be one at all (X509-SVID 2 to 5).

use super::revoked::Issued;
use mesh_engine::SpiffeId;
use rustls::pki_types::{CertificateDer, UnixTime};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use x509_cert::Certificate;
use x509_cert::der::oid::AssociatedOid;
use x509_cert::der::{Decode, Encode as _, oid::ObjectIdentifier};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage, SubjectAltName};

/// Certificates end by the clock, which may be set, and timers do not know of that: it is looked at so often.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// What a certificate says of its workload. Nothing of it is verified here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Svid {
    pub(crate) id: Arc<str>,
    pub(crate) trust_domain: String,
    /// Seconds of Unix time.
    not_before: u64,
    pub(crate) not_after: u64,
    pub(super) issued: Issued,
}

/// Why a certificate is none of a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SvidError {
    /// It is no X.509 certificate.
    Malformed,
    /// It has no URI among its names.
    NoUri,
    /// It has more than one.
    ManyUris,
    /// Its URI is no SPIFFE ID of a workload.
    NotSpiffe,
    /// It may sign others.
    Authority,
}

impl fmt::Display for SvidError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SvidError::Malformed => "it is malformed",
            SvidError::NoUri => "it has no URI among its names",
            SvidError::ManyUris => "it has more than one URI among its names",
            SvidError::NotSpiffe => "its URI is no SPIFFE ID of a workload",
            SvidError::Authority => "it may sign other certificates",
        })
    }
}

impl std::error::Error for SvidError {}

impl Svid {
    pub(crate) fn of(certificate: &CertificateDer<'_>) -> Result<Svid, SvidError> {
        let certificate = Certificate::from_der(certificate).map_err(|_| SvidError::Malformed)?;
        if let Some(BasicConstraints { ca: true, .. }) = extension(&certificate)? {
            return Err(SvidError::Authority);
        }
        if extension::<KeyUsage>(&certificate)?.is_some_and(|usage| usage.key_cert_sign() || usage.crl_sign())
        {
            return Err(SvidError::Authority);
        }
        let names = extension::<SubjectAltName>(&certificate)?.ok_or(SvidError::NoUri)?;
        let mut uris = names.0.iter().filter_map(|name| match name {
            GeneralName::UniformResourceIdentifier(uri) => Some(uri.as_str()),
            _ => None,
        });
        let id = match (uris.next(), uris.next()) {
            (Some(id), None) => id,
            (None, _) => return Err(SvidError::NoUri),
            (Some(_), Some(_)) => return Err(SvidError::ManyUris),
        };
        let parsed = SpiffeId::read(id).filter(|parsed| parsed.is_workload).ok_or(SvidError::NotSpiffe)?;
        let validity = certificate.tbs_certificate().validity();
        let issuer = certificate.tbs_certificate().issuer().to_der().map_err(|_| SvidError::Malformed)?;
        let serial = certificate.tbs_certificate().serial_number().as_bytes().to_vec();
        Ok(Svid {
            id: id.into(),
            trust_domain: parsed.trust_domain.to_owned(),
            not_before: validity.not_before.to_unix_duration().as_secs(),
            not_after: validity.not_after.to_unix_duration().as_secs(),
            issued: (issuer, serial),
        })
    }

    /// The last second counts.
    pub(crate) fn is_valid_at(&self, now: UnixTime) -> bool {
        (self.not_before..=self.not_after).contains(&now.as_secs())
    }

    /// Waits until it is valid no more.
    pub(crate) async fn end(&self) {
        let end = SystemTime::UNIX_EPOCH + Duration::from_secs(self.not_after.saturating_add(1));
        while let Ok(left) = end.duration_since(SystemTime::now()) {
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.min(LOOK_AGAIN)).await;
        }
    }
}

/// An extension, of which a certificate has at most one.
fn extension<E: AssociatedOid + for<'a> Decode<'a>>(
    certificate: &Certificate,
) -> Result<Option<E>, SvidError> {
    let oid: ObjectIdentifier = E::OID;
    let all = certificate.tbs_certificate().extensions().into_iter().flatten();
    let mut own = all.filter(|extension| extension.extn_id == oid);
    match (own.next(), own.next()) {
        (None, _) => Ok(None),
        (Some(one), None) => {
            E::from_der(one.extn_value.as_bytes()).map(Some).map_err(|_| SvidError::Malformed)
        }
        (Some(_), Some(_)) => Err(SvidError::Malformed),
    }
}

/// A certificate of a workload says who that is as everything else does.
#[cfg(any(test, fuzzing))]
pub(crate) fn law(bytes: &[u8]) {
    let Ok(svid) = Svid::of(&CertificateDer::from(bytes)) else { return };
    let read = SpiffeId::read(&svid.id).map(|id| (id.trust_domain, id.is_workload));
    assert_eq!(read, Some((svid.trust_domain.as_str(), true)));
}
