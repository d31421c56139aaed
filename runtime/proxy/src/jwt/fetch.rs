//! Asks a server for the keys of its issuer, over TLS.

use super::keys::MAX_JWKS_BYTES;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper::header::{ACCEPT, USER_AGENT};
use hyper::{Request, StatusCode};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use std::path::Path;
use std::time::Duration;
use tokio::time::timeout;

/// How long the answer may take to begin, and then to come.
const PATIENCE: Duration = Duration::from_secs(10);

/// Asks servers whose certificates are good.
pub(super) struct Client(legacy::Client<HttpsConnector<HttpConnector>, Empty<Bytes>>);

impl Client {
    /// Certificates are checked with the given authorities, or with the system's.
    pub(super) fn of(authorities: Option<&Path>) -> Result<Client, String> {
        // There is one provider, so it does not matter who came first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let connector = match authorities {
            Some(path) => HttpsConnectorBuilder::new().with_tls_config(trusting(path)?),
            None => HttpsConnectorBuilder::new().with_native_roots().map_err(
                |_| "the system has no certificate authorities; give those of its server with --jwks-ca",
            )?,
        };
        let connector = connector.https_only().enable_http1().build();
        Ok(Client(legacy::Client::builder(TokioExecutor::new()).build(connector)))
    }

    /// What is at a URL. Redirects are not followed: who may answer for the issuer is said by the URL.
    pub(super) async fn get(&self, url: &str) -> Result<Vec<u8>, String> {
        let request = Request::get(url)
            .header(USER_AGENT, concat!("mesh-proxy/", env!("CARGO_PKG_VERSION")))
            .header(ACCEPT, "application/jwk-set+json, application/json");
        let request = request.body(Empty::new()).map_err(|_| "it is no URL".to_owned())?;
        let response = timeout(PATIENCE, self.0.request(request))
            .await
            .map_err(|_| "no answer in time".to_owned())?
            .map_err(|error| crate::innermost(&error))?;
        if response.status() != StatusCode::OK {
            return Err(format!("the server answers {}", response.status().as_u16()));
        }
        let body = Limited::new(response.into_body(), MAX_JWKS_BYTES).collect();
        let body = timeout(PATIENCE, body)
            .await
            .map_err(|_| "the answer does not come in time".to_owned())?
            .map_err(|error| format!("the answer breaks off: {error}"))?;
        Ok(body.to_bytes().to_vec())
    }
}

/// A client that takes certificates of these authorities (PEM), and of no others.
pub fn trusting(path: &Path) -> Result<ClientConfig, String> {
    let failed = |why: String| format!("cannot use {} as certificate authorities: {why}", path.display());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| failed(error.to_string()))? {
        let certificate = certificate.map_err(|error| failed(error.to_string()))?;
        roots.add(certificate).map_err(|error| failed(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(failed("there is no certificate in it".to_owned()));
    }
    Ok(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
}
