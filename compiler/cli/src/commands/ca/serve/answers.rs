//! The questions of proxies: `POST /v1/svid` with a key to sign, as PKCS #10 (RFC 2986, DER or PEM), and `GET /v1/bundle`.
//!
//! Whose certificate it becomes says the join token, or the certificate that the proxy shows, and never the request: of that nothing but
//! the key is taken, which its sender proves to have. Each answer that gives or refuses is one line of the log.

use super::Keyring;
use crate::authority::Signed;
use crate::commands::ca::tokens::{TokenError, Tokens};
use crate::commands::listening::{Answer, Answers, Asker, HEAD_TIME, text};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Request, StatusCode};
use mesh_engine::SpiffeId;
use mesh_proxy::svid_id;
use rcgen::{CertificateSigningRequestParams, PublicKey, PublicKeyData as _};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::time::timeout;

/// A request with an RSA key of 8,192 bits has 3 KiB.
const MAX_REQUEST: usize = 16 * 1024;

/// What all connections share.
pub(super) struct Service {
    keyring: Mutex<Arc<Keyring>>,
    tokens: Tokens,
    ttl: Duration,
    lines: Mutex<Sender<String>>,
}

/// Why somebody gets nothing: the status, and a clause.
struct Refused(StatusCode, String);

impl Service {
    pub(super) fn new(keyring: Keyring, tokens: &Path, ttl: Duration) -> (Arc<Service>, Receiver<String>) {
        let (lines, heard) = channel();
        let keyring = Mutex::new(Arc::new(keyring));
        (Arc::new(Service { keyring, tokens: Tokens::at(tokens), ttl, lines: Mutex::new(lines) }), heard)
    }

    /// Signs with another authority from now on, or tells of other roots.
    pub(super) fn renew(&self, keyring: Keyring) {
        *lock(&self.keyring) = Arc::new(keyring);
    }

    pub(super) fn sweep(&self) {
        self.tokens.sweep(SystemTime::now());
    }

    fn log(&self, line: String) {
        // Nobody listens any more when the command is about to end.
        let _ = lock(&self.lines).send(line);
    }

    /// A certificate, and the roots that vouch for everybody's.
    async fn svid(&self, request: Request<Incoming>, asker: &Asker) -> Result<String, Refused> {
        let token = bearer(request.headers())?;
        // Before the token is used: who sends something else may try again.
        let key = key(request.into_body()).await?;
        let keyring = lock(&self.keyring).clone();
        let (id, how) = match (token, &asker.certificate) {
            (Some(token), _) => {
                let joined = self.tokens.redeem(&token, key.der_bytes(), SystemTime::now());
                let joined = joined.map_err(|error| refusal(&error))?;
                (joined.id, format!("join token {}", joined.name))
            }
            (None, Some(certificate)) if keyring.has_revoked(certificate) => {
                let id = svid_id(certificate).unwrap_or_default();
                let why = format!(
                    "the certificate of {id} was taken back; `mesh ca token SPIFFE_ID` makes a token"
                );
                return Err(Refused(StatusCode::FORBIDDEN, why));
            }
            (None, Some(certificate)) => {
                let id = svid_id(certificate).map_err(|error| {
                    Refused(StatusCode::FORBIDDEN, format!("the certificate is no SVID: {error}"))
                })?;
                (id.to_string(), "for the certificate before".to_owned())
            }
            (None, None) => {
                let why = "neither a join token nor a certificate is shown; `mesh ca token SPIFFE_ID` makes a token";
                return Err(Refused(StatusCode::UNAUTHORIZED, why.to_owned()));
            }
        };
        if SpiffeId::read(&id).is_none_or(|read| read.trust_domain != keyring.authority.trust_domain()) {
            return Err(Refused(StatusCode::FORBIDDEN, format!("{id} is of another trust domain")));
        }
        let signed = keyring.authority.sign(&id, self.ttl, &key);
        let Signed { chain, serial } = signed.map_err(|error| {
            Refused(StatusCode::BAD_REQUEST, format!("the key cannot be certified: {error}"))
        })?;
        let (to, ttl) = (asker.address.ip(), self.ttl.as_secs());
        self.log(format!("gave {to} a certificate of {id} for {ttl} s, serial {serial}: {how}"));
        Ok(format!("{chain}# Trust bundle\n{}", keyring.bundle))
    }
}

impl Answers for Service {
    // Whoever shows a certificate is verified for each question.
    const KEEP_ALIVE: bool = false;

    async fn answer(&self, request: Request<Incoming>, asker: Asker) -> Answer {
        match (request.method(), request.uri().path()) {
            (&Method::POST, "/v1/svid") => match self.svid(request, &asker).await {
                Ok(svid) => pem(svid),
                Err(Refused(status, why)) => {
                    self.log(format!("refused {}: {why}", asker.address.ip()));
                    text(status, format!("{why}\n"))
                }
            },
            (&Method::GET, "/v1/bundle") => pem(lock(&self.keyring).bundle.clone()),
            (_, "/v1/svid") => text(StatusCode::METHOD_NOT_ALLOWED, "ask with POST\n".to_owned()),
            (_, "/v1/bundle") => text(StatusCode::METHOD_NOT_ALLOWED, "ask with GET\n".to_owned()),
            _ => text(StatusCode::NOT_FOUND, "there are /v1/svid and /v1/bundle\n".to_owned()),
        }
    }

    fn failed(&self, address: SocketAddr, why: &str) {
        self.log(format!("refused {}: {why}", address.ip()));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn pem(body: String) -> Answer {
    let mut answer = text(StatusCode::OK, body);
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-pem-file"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// The token, if there is one (RFC 6750 2.1).
fn bearer(headers: &HeaderMap) -> Result<Option<String>, Refused> {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
    match value.to_str().ok().and_then(|value| value.split_once(' ')) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(Some(token.trim().to_owned())),
        _ => Err(refusal(&TokenError::Malformed)),
    }
}

fn refusal(error: &TokenError) -> Refused {
    match error {
        TokenError::Store(_) => Refused(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        _ => Refused(StatusCode::UNAUTHORIZED, format!("{error}; `mesh ca token SPIFFE_ID` makes one")),
    }
}

/// The key of a request that is signed with it.
async fn key(body: Incoming) -> Result<PublicKey, Refused> {
    let bad = |why: &str| Refused(StatusCode::BAD_REQUEST, why.to_owned());
    let body = timeout(HEAD_TIME, Limited::new(body, MAX_REQUEST).collect())
        .await
        .map_err(|_| Refused(StatusCode::REQUEST_TIMEOUT, "the request did not arrive in time".to_owned()))?
        .map_err(|error| match error.downcast_ref::<LengthLimitError>() {
            Some(_) => {
                let why = format!("the request has more than {MAX_REQUEST} bytes");
                Refused(StatusCode::PAYLOAD_TOO_LARGE, why)
            }
            None => bad("the request broke off"),
        })?
        .to_bytes();
    let read = match body.starts_with(b"-----BEGIN ") {
        true => CertificateSigningRequestParams::from_pem(&String::from_utf8_lossy(&body)),
        false => CertificateSigningRequestParams::from_der(&body.as_ref().into()),
    };
    read.map(|read| read.public_key)
        .map_err(|_| bad("this is no certificate request (PKCS #10) with a good signature of its key"))
}
