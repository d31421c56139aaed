//! Whether a certificate is believed: by the bundle of the trust domain that it says it is of, and by no other. Chains, signatures and
//! times are looked at by webpki, which refuses authorities whose constraints are on URIs, for it does not apply them.

use super::Svid;
use super::revoked::Revoked;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ParsedCertificate, VerifierBuilderError, WebPkiClientVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme,
};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, LazyLock};

/// The cryptography of every handshake.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| Arc::new(ring::default_provider()));
    PROVIDER.clone()
}

pub(super) fn algorithms() -> WebPkiSupportedAlgorithms {
    provider().signature_verification_algorithms
}

/// Roots, by the trust domain that they vouch for, and what they have taken back.
#[derive(Debug)]
pub(super) struct Bundles {
    domains: BTreeMap<String, Bundle>,
    revoked: Revoked,
}

#[derive(Debug)]
pub(super) struct Bundle {
    roots: Arc<RootCertStore>,
    callers: Arc<dyn ClientCertVerifier>,
}

impl Bundles {
    pub(super) fn of(
        roots: BTreeMap<String, RootCertStore>,
        revoked: Revoked,
    ) -> Result<Bundles, VerifierBuilderError> {
        let bundle = |(domain, roots): (String, RootCertStore)| {
            let roots = Arc::new(roots);
            let callers = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider()).build()?;
            Ok((domain, Bundle { roots, callers }))
        };
        let domains = roots.into_iter().map(bundle).collect::<Result<_, VerifierBuilderError>>()?;
        Ok(Bundles { domains, revoked })
    }

    pub(super) fn of_domain(&self, domain: &str) -> Option<&Bundle> {
        self.domains.get(domain)
    }

    pub(super) fn revoked(&self) -> &Revoked {
        &self.revoked
    }

    /// Whether a certificate is vouched for, taken back or not: nobody has to believe himself.
    pub(super) fn vouch(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let (_, bundle) = self.claimed(certificate)?;
        bundle.callers.verify_client_cert(certificate, between, now).map(|_| ())
    }

    /// Whom a certificate that was not taken back says it is of, and the bundle that has to vouch for it.
    fn standing(&self, certificate: &CertificateDer<'_>) -> Result<(Svid, &Bundle), Error> {
        let (svid, bundle) = self.claimed(certificate)?;
        match self.revoked.has(&svid) {
            true => Err(Error::InvalidCertificate(CertificateError::Revoked)),
            false => Ok((svid, bundle)),
        }
    }

    /// Whom a certificate says it is of, and the bundle that has to vouch for it.
    fn claimed(&self, certificate: &CertificateDer<'_>) -> Result<(Svid, &Bundle), Error> {
        let svid = Svid::of(certificate).map_err(refused)?;
        let bundle = self.of_domain(&svid.trust_domain);
        Ok((svid, bundle.ok_or(Error::InvalidCertificate(CertificateError::UnknownIssuer))?))
    }
}

fn refused(why: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::InvalidCertificate(CertificateError::Other(rustls::OtherError(Arc::new(why))))
}

/// Verifies who calls.
#[derive(Debug)]
pub(super) struct Callers {
    bundles: Arc<Bundles>,
    demands: bool,
}

impl Callers {
    /// `demands`: who shows no certificate is refused.
    pub(super) fn new(bundles: Arc<Bundles>, demands: bool) -> Callers {
        Callers { bundles, demands }
    }
}

impl ClientCertVerifier for Callers {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn client_auth_mandatory(&self) -> bool {
        self.demands
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let (_, bundle) = self.bundles.standing(certificate)?;
        bundle.callers.verify_client_cert(certificate, between, now)
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.2 is not spoken between proxies".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &algorithms())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        algorithms().supported_schemes()
    }
}

/// Verifies who is called: it is one identity, and not the name of a host.
#[derive(Debug)]
pub(super) struct Callee {
    bundles: Arc<Bundles>,
    id: Arc<str>,
}

impl Callee {
    pub(super) fn new(bundles: Arc<Bundles>, id: Arc<str>) -> Callee {
        Callee { bundles, id }
    }
}

/// Somebody else answers.
#[derive(Debug)]
struct Another {
    wanted: Arc<str>,
    found: Arc<str>,
}

impl fmt::Display for Another {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the certificate is of {} and not of {}", self.found, self.wanted)
    }
}

impl std::error::Error for Another {}

impl ServerCertVerifier for Callee {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let (svid, bundle) = self.bundles.standing(certificate)?;
        if svid.id != self.id {
            return Err(refused(Another { wanted: self.id.clone(), found: svid.id }));
        }
        let certificate = ParsedCertificate::try_from(certificate)?;
        verify_server_cert_signed_by_trust_anchor(
            &certificate,
            &bundle.roots,
            between,
            now,
            algorithms().all,
        )?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.2 is not spoken between proxies".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &algorithms())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        algorithms().supported_schemes()
    }
}
