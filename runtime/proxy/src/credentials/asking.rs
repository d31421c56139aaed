//! One question to an authority, over HTTPS: a request for a certificate, and a join token or the certificate before.

use super::text::material;
use super::wish::Wish;
use crate::say;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, USER_AGENT};
use hyper::{Request, StatusCode, Uri};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use mesh_proxy::cause;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use std::fmt::Display;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// How long an answer may take to begin, and then to come.
const PATIENCE: Duration = Duration::from_secs(10);
/// A certificate and the roots of two authorities are 3 KiB.
const MOST_BYTES: usize = 256 * 1024;
/// After one failure; doubled with each more, up to [`MOST_PAUSE`], and drawn evenly below that (full jitter).
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// An authority that comes back is asked within half a minute, and by a thousand proxies not at once.
const MOST_PAUSE: Duration = Duration::from_secs(30);

const AGENT: &str = concat!("mesh-proxy/", env!("CARGO_PKG_VERSION"));

/// Where certificates come from.
pub(super) struct Authority {
    url: String,
    uri: Uri,
    roots: Uri,
    bundle: PathBuf,
    token: Option<PathBuf>,
}

/// Why there is no certificate.
pub(super) enum Trouble {
    /// The authority says nothing else when it is asked again.
    Final(String),
    Passing(String),
}

impl Trouble {
    pub(super) fn why(self) -> String {
        match self {
            Trouble::Final(why) | Trouble::Passing(why) => why,
        }
    }
}

/// What shows who asks.
pub(super) enum Shown<'a> {
    Token(String),
    /// Key, certificate and roots.
    Certificate(&'a str),
}

impl Authority {
    pub(super) fn at(url: &str, bundle: PathBuf, token: Option<PathBuf>) -> Result<Authority, String> {
        let at = |path: &str| {
            let uri = format!("{url}{path}").parse();
            uri.map_err(|_| format!("{url} is no URL, such as https://ca.internal:7071"))
        };
        let (uri, roots) = (at("/v1/svid")?, at("/v1/bundle")?);
        Ok(Authority { url: url.to_owned(), uri, roots, bundle, token })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// The first certificate, with its key and roots. Waits for an authority that is not there; one that refuses ends it.
    pub(super) async fn join(&self) -> Result<String, String> {
        let wish = Wish::new()?;
        let mut failures: u32 = 0;
        loop {
            // Each time anew: somebody may put another one there. The key stays, so an answer that got lost is given again.
            let shown = Shown::Token(self.token()?);
            match self.ask(&wish, &shown).await {
                Ok(text) => return Ok(text),
                Err(Trouble::Final(why)) => return Err(format!("{} gives no certificate: {why}", self.url)),
                Err(Trouble::Passing(why)) => {
                    if failures == 0 {
                        say(&format!("waiting for a certificate of {}: {why}", self.url));
                    }
                    sleep(pause(failures)).await;
                    failures = failures.saturating_add(1);
                }
            }
        }
    }

    pub(super) fn token(&self) -> Result<String, String> {
        let remedy = "`mesh ca token SPIFFE_ID` makes one";
        let path = self.token.as_ref();
        let path = path
            .ok_or_else(|| format!("there is no certificate to show and no --join-token-file; {remedy}"))?;
        let token = std::fs::read_to_string(path).map_err(|error| {
            format!("cannot read the join token {}: {}; {remedy}", path.display(), cause(&error))
        })?;
        Ok(token.trim().to_owned())
    }

    /// Key, certificate and roots.
    pub(super) async fn ask(&self, wish: &Wish, shown: &Shown<'_>) -> Result<String, Trouble> {
        let request = self.question(wish, shown).map_err(Trouble::Final)?;
        let body = self.answer(request, shown).await?;
        Ok(format!("{}{body}", wish.key))
    }

    /// Roots, and what was taken back, as the authority tells it now. `text` has those that are believed.
    pub(super) async fn ask_roots(&self, text: &str) -> Result<String, Trouble> {
        let request = Request::get(&self.roots).header(USER_AGENT, AGENT).body(Full::default());
        let request = request.map_err(|error| Trouble::Final(error.to_string()))?;
        self.answer(request, &Shown::Certificate(text)).await
    }

    async fn answer(&self, request: Request<Full<Bytes>>, shown: &Shown<'_>) -> Result<String, Trouble> {
        let config = self.trusting(shown).map_err(Trouble::Final)?;
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(config).https_only().enable_http1().build();
        // Each question shows anew who asks: no connection is kept.
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector);
        let passing = |why: &dyn Display| Trouble::Passing(why.to_string());
        let response = timeout(PATIENCE, client.request(request))
            .await
            .map_err(|_| passing(&"no answer in time"))?
            .map_err(|error| passing(&self.explained(mesh_proxy::innermost(&error))))?;
        let status = response.status();
        let body = timeout(PATIENCE, Limited::new(response.into_body(), MOST_BYTES).collect())
            .await
            .map_err(|_| passing(&"the answer does not come in time"))?
            .map_err(|error| passing(&format!("the answer breaks off: {error}")))?
            .to_bytes();
        let body = String::from_utf8_lossy(&body);
        if status == StatusCode::OK {
            return Ok(body.into_owned());
        }
        let said: String = body.lines().next().unwrap_or_default().chars().take(200).collect();
        let why = format!("it answers {}: {said}", status.as_u16());
        let is_final = status.is_client_error() && status != StatusCode::REQUEST_TIMEOUT;
        Err(if is_final { Trouble::Final(why) } else { Trouble::Passing(why) })
    }

    /// What is behind an error, and what to do about it where that is known.
    fn explained(&self, why: String) -> String {
        if why.starts_with("invalid peer certificate") {
            let given = self.bundle.display();
            return format!("{why}; who answers there has to have a certificate that {given} vouches for");
        }
        why
    }

    fn question(&self, wish: &Wish, shown: &Shown<'_>) -> Result<Request<Full<Bytes>>, String> {
        let mut request =
            Request::post(&self.uri).header(USER_AGENT, AGENT).header(CONTENT_TYPE, "application/pkcs10");
        if let Shown::Token(token) = shown {
            let value = HeaderValue::from_str(&format!("Bearer {token}"));
            let mut value = value.map_err(|_| "what is in the file is no join token".to_owned())?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        request.body(Full::new(Bytes::from(wish.request.clone()))).map_err(|error| error.to_string())
    }

    /// Believes whom the given roots vouch for and, with a certificate, whom those vouch for that came with it: they are newer.
    fn trusting(&self, shown: &Shown<'_>) -> Result<ClientConfig, String> {
        let mut roots = RootCertStore::empty();
        let given = self.given();
        let own = match shown {
            Shown::Token(_) => {
                roots.add_parsable_certificates(given?);
                None
            }
            Shown::Certificate(text) => {
                let own = material(text);
                roots.add_parsable_certificates(given.unwrap_or_default());
                for (_, bundle) in own.bundles.iter().filter(|(domain, _)| domain.is_none()) {
                    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(bundle).flatten());
                }
                Some(own)
            }
        };
        let cannot = |error: &dyn Display| format!("cannot speak TLS: {error}");
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| cannot(&error))?
            .with_root_certificates(roots);
        let Some(own) = own else { return Ok(config.with_no_client_auth()) };
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&own.chain).collect();
        let key = PrivateKeyDer::from_pem_slice(&own.key).map_err(|error| cannot(&error))?;
        let config = config.with_client_auth_cert(chain.map_err(|error| cannot(&error))?, key);
        config.map_err(|error| cannot(&error))
    }

    fn given(&self) -> Result<Vec<CertificateDer<'static>>, String> {
        let failed = |why: &dyn Display| {
            format!(
                "cannot use {} as certificates of the authority: {why}; give what `mesh ca init` made",
                self.bundle.display()
            )
        };
        let all = CertificateDer::pem_file_iter(&self.bundle).map_err(|error| failed(&error))?;
        let all = all.collect::<Result<Vec<_>, _>>().map_err(|error| failed(&error))?;
        if all.is_empty() { Err(failed(&"there is no certificate in it")) } else { Ok(all) }
    }
}

/// Full jitter: anything below the bound, so that proxies that failed together do not come back together.
pub(super) fn pause(failures: u32) -> Duration {
    let bound = FIRST_PAUSE.saturating_mul(1 << failures.min(16)).min(MOST_PAUSE);
    bound.mul_f64(fastrand::f64())
}
