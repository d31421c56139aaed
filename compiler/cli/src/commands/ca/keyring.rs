//! The files of an authority, and what they are together: who signs now, and the roots that vouch for what was and will be signed.

use crate::authority::Authority;
use crate::commands::plan::keys::with_end;
use crate::failure::Failure;
use mesh_proxy::Identity;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio_rustls::rustls::pki_types::CertificateDer;

/// Where everything of one trust domain is.
pub(super) struct Files {
    /// Of the authority that signs.
    pub(super) key: PathBuf,
    pub(super) certificate: PathBuf,
    /// Of the one that is to sign next.
    pub(super) next_key: PathBuf,
    pub(super) next_certificate: PathBuf,
    /// Of the one that signed before.
    pub(super) previous: PathBuf,
    /// Join tokens.
    pub(super) tokens: PathBuf,
    /// What was taken back: for us, and as a list for others.
    pub(super) revoked: PathBuf,
    pub(super) crl: PathBuf,
}

impl Files {
    pub(super) fn of(trust_domain: &str, directory: &Path) -> Files {
        let file = |end| with_end(&directory.join(trust_domain), end);
        // The words stand behind the ending: another trust domain may be called NAME.next.
        Files {
            key: file("key"),
            certificate: file("pem"),
            next_key: file("key.next"),
            next_certificate: file("pem.next"),
            previous: file("pem.previous"),
            tokens: file("tokens"),
            revoked: file("revoked"),
            crl: file("crl"),
        }
    }
}

/// Who signs, and whom others believe.
pub(super) struct Keyring {
    pub(super) authority: Authority,
    /// Certificates of the authority, the next and the previous one, and what was taken back, PEM.
    pub(super) bundle: String,
    /// What is believed and what is not, as others have it.
    identity: Arc<Identity>,
}

/// As long as it takes to look whether a certificate is good.
const MOMENT: Duration = Duration::from_secs(60);

impl Keyring {
    /// Whether a certificate was taken back.
    pub(super) fn has_revoked(&self, certificate: &CertificateDer<'_>) -> bool {
        self.identity.has_revoked(certificate)
    }

    /// Reads the files. What does not fit together is no keyring.
    pub(super) fn read(trust_domain: &str, directory: &Path) -> Result<Keyring, Failure> {
        let files = Files::of(trust_domain, directory);
        let text = |path: &Path| fs::read_to_string(path).map_err(|error| Failure::io("read", path, &error));
        let certificate = text(&files.certificate)?;
        let unusable = |why: &dyn std::fmt::Display| {
            Failure::new(
                format!("cannot use `{}` and `{}`: {why}", files.certificate.display(), files.key.display()),
                "Give the directory of what `mesh ca init` made.",
            )
        };
        let authority = Authority::read(trust_domain, &certificate, &text(&files.key)?)
            .map_err(|error| unusable(&error))?;
        let mut bundle = certificate;
        for beside in [&files.next_certificate, &files.previous, &files.crl] {
            match fs::read_to_string(beside) {
                Ok(more) => bundle.push_str(&more),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(Failure::io("read", beside, &error)),
            }
        }
        // Nothing else would notice a key that is not the certificate's, or a certificate whose time is over.
        let probe = format!("spiffe://{trust_domain}/probe");
        let probe = authority.issue(&probe, MOMENT).map_err(|error| unusable(&error))?.material(&bundle);
        let identity = Identity::new(&probe).map_err(|error| unusable(&error))?;
        Ok(Keyring { authority, bundle, identity })
    }
}
