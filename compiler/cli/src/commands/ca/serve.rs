//! `mesh ca serve`: certificates for proxies that show a join token, or the certificate that they have.

mod answers;

use super::keyring::{Files, Keyring};
use super::{failed, trust_domain_of};
use crate::OK;
use crate::args::CaServe;
use crate::commands::listening::{self, stamp};
use crate::commands::running::{interrupts, runtime, trouble};
use crate::failure::Failure;
use crate::output::Output;
use answers::Service;
use std::sync::Arc;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

/// How often the authority's files are looked at.
const INTERVAL: Duration = Duration::from_millis(100);
/// Files are replaced one after the other: so long is waited before somebody is told that they do not fit together.
const SETTLE_TIME: Duration = Duration::from_secs(1);
/// Of the server's own certificate, which is replaced at half of it.
const SERVER_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
/// How often tokens whose time is over are forgotten.
const SWEEP: Duration = Duration::from_secs(60);

pub(super) fn run(own: &CaServe, output: &mut Output<'_>) -> Result<u8, Failure> {
    if output.for_program() {
        return Err(Failure::new(
            "mesh ca serve does not print JSON: it speaks to a person until it is stopped",
            "Use --format human, short or plain (or MESH_FORMAT).",
        ));
    }
    trust_domain_of(&own.trust_domain)?;
    let names = names(own)?;
    let files = Files::of(&own.trust_domain, &own.directory);
    // Looked at before they are read, so that no change is missed.
    let mut seen = stamps(&files);
    let keyring = Keyring::read(&own.trust_domain, &own.directory)?;
    let (acceptor, tls) = watch::channel(acceptor_of(&keyring, &names)?);
    let runtime = runtime("start")?;
    let interrupts = interrupts(&runtime)?;
    let (service, lines) = Service::new(keyring, &files.tokens, own.ttl);
    let address = runtime.block_on(async {
        let listener = listening::bind(own.listen).await?;
        let address = listener.local_addr().map_err(|error| trouble("listen", &error))?;
        tokio::spawn(listening::accept(listener, Some(tls), service.clone()));
        Ok::<_, Failure>(address)
    })?;
    output.data(&format!("https://{address}"));
    output.say(&format!("authority of {}: certificates for {} s", own.trust_domain, own.ttl.as_secs()));
    let mut changed: Option<Instant> = None;
    let mut renew_at = SystemTime::now() + SERVER_LIFETIME / 2;
    let mut swept = Instant::now();
    while let Err(RecvTimeoutError::Timeout) = interrupts.recv_timeout(INTERVAL) {
        lines.try_iter().for_each(|line| output.say(&line));
        if swept.elapsed() >= SWEEP {
            swept = Instant::now();
            service.sweep();
        }
        let now = stamps(&files);
        if now != seen {
            seen = now;
            changed = Some(Instant::now());
        }
        if changed.is_none() && SystemTime::now() < renew_at {
            continue;
        }
        let keyring = Keyring::read(&own.trust_domain, &own.directory);
        match keyring.and_then(|keyring| Ok((acceptor_of(&keyring, &names)?, keyring))) {
            Ok((next, keyring)) => {
                acceptor.send_replace(next);
                service.renew(keyring);
                renew_at = SystemTime::now() + SERVER_LIFETIME / 2;
                if changed.take().is_some() {
                    output.say("took over the authority's files");
                }
            }
            Err(failure) if changed.is_none_or(|since| since.elapsed() >= SETTLE_TIME) => {
                output.say(&format!("{}; what was before goes on", failure.message));
                changed = None;
                renew_at = SystemTime::now() + SERVER_LIFETIME / 10;
            }
            Err(_) => {}
        }
    }
    lines.try_iter().for_each(|line| output.say(&line));
    Ok(OK)
}

/// What proxies call this server: its certificate has these names.
fn names(own: &CaServe) -> Result<Vec<String>, Failure> {
    let ip = own.listen.ip();
    if !own.names.is_empty() {
        return Ok(own.names.clone());
    }
    if ip.is_unspecified() {
        return Err(Failure::new(
            format!("{} is every interface, and no name of this server", own.listen),
            "Say what proxies call it in their --ca: --name ca.internal.",
        ));
    }
    let local = ip.is_loopback().then(|| "localhost".to_owned());
    Ok([ip.to_string()].into_iter().chain(local).collect())
}

/// Shows a certificate of this authority, and asks for one that it signed, which may be left away.
fn acceptor_of(keyring: &Keyring, names: &[String]) -> Result<TlsAcceptor, Failure> {
    let unusable = |why: &dyn std::fmt::Display| {
        Failure::new(
            format!("cannot speak TLS: {why}"),
            "Look at the authority's certificates and at --name.",
        )
    };
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(keyring.bundle.as_bytes()) {
        roots.add(root.map_err(|error| unusable(&error))?).map_err(|error| unusable(&error))?;
    }
    let provider = Arc::new(ring::default_provider());
    let askers = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone())
        .allow_unauthenticated()
        .build()
        .map_err(|error| unusable(&error))?;
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let own = keyring.authority.server(&names, SERVER_LIFETIME).map_err(failed)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(own.chain.as_bytes()).collect();
    let key = PrivateKeyDer::from_pem_slice(own.key.as_bytes()).map_err(|error| unusable(&error))?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(&error))?
        .with_client_cert_verifier(askers)
        .with_single_cert(chain.map_err(|error| unusable(&error))?, key)
        .map_err(|error| unusable(&error))?;
    // A session that is resumed is not verified again, and its certificate may have ended since.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

type Stamps = [Option<(u64, u64, Option<SystemTime>)>; 5];

fn stamps(files: &Files) -> Stamps {
    let all = [&files.key, &files.certificate, &files.next_certificate, &files.previous, &files.crl];
    all.map(|path| stamp(path).ok())
}
