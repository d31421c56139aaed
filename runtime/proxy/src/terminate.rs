//! TLS of clients, which ends at a listener of a gateway: certificates by name, the one that fits the name that a client asks for, and, where
//! one is asked for, the client's own. Certificates are replaced while connections are made: a handshake that has begun ends with what it
//! began with.

mod chooser;

use crate::bounds::Bound;
use crate::doors::Wanted;
use crate::http1::Closing;
use crate::identity::{provider, why};
use crate::store::{Certificates, roots};
use crate::transport::{Begun, Transport};
use arc_swap::ArcSwap;
use chooser::{Chooser, Shown};
use mesh_engine::Entry;
use mesh_plan::{PlanView, Protocol};
use rustls::ServerConfig;
use rustls::crypto::ring::Ticketer;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use std::fmt;
use std::sync::Arc;
use tokio::io::AsyncReadExt as _;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// What makes the TLS of a door.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    door: String,
    certificates: Vec<String>,
    client_ca: String,
    /// Whether HTTP/1.1 may be inside, too.
    either: bool,
}

/// The TLS of a door.
#[derive(Debug)]
pub(crate) struct Termination {
    pub(crate) key: Key,
    pub(crate) current: ArcSwap<Current>,
}

#[derive(Debug)]
pub(crate) struct Current {
    config: Arc<ServerConfig>,
    chooser: Arc<Chooser>,
}

impl Current {
    pub(crate) fn of(key: &Key, certificates: &Certificates) -> Result<Current, String> {
        let store = certificates.store().map_err(|why| {
            let first = key.certificates.first().map_or("", String::as_str);
            format!("`{}` shows the certificate `{first}`, and {why}", key.door)
        })?;
        let told = |what: &str, name: &str, why: &dyn fmt::Display| {
            format!("`{}` cannot use the {what} `{name}`: {why}", key.door)
        };
        let shown = key.certificates.iter().map(|name| {
            let pem = store.certificate(name).map_err(|why| told("certificate", name, &why))?;
            Shown::of(&pem).map_err(|why| told("certificate", name, &why))
        });
        let chooser = Arc::new(Chooser::of(shown.collect::<Result<_, String>>()?));
        let unfit = |error: &dyn fmt::Display| format!("`{}` cannot speak TLS: {error}", key.door);
        let builder = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| unfit(&error))?;
        let asks = !key.client_ca.is_empty();
        let builder = if asks {
            let name = &key.client_ca;
            let bytes = store.authority(name).map_err(|why| told("client-ca", name, &why))?;
            let roots = roots(&bytes).map_err(|why| told("client-ca", name, &why))?;
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider()).build();
            builder.with_client_cert_verifier(verifier.map_err(|error| told("client-ca", name, &error))?)
        } else {
            builder.with_no_client_auth()
        };
        let mut config = builder.with_cert_resolver(chooser.clone());
        config.alpn_protocols = vec![b"h2".to_vec()];
        if key.either {
            config.alpn_protocols.push(b"http/1.1".to_vec());
        }
        if asks {
            // A session that is resumed is not verified again, and its certificate may have ended since.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        } else {
            config.ticketer = Ticketer::new().map_err(|error| unfit(&error))?;
        }
        Ok(Current { config: Arc::new(config), chooser })
    }
}

/// How TLS ends at each door; `None`: it does not. Of a gateway that shows certificates nothing is served without them.
pub(crate) fn all(
    view: &PlanView,
    wanted: &[Wanted],
    certificates: &Certificates,
) -> Result<Vec<Option<Arc<Termination>>>, String> {
    let of = |door: &Wanted| {
        let Entry::Gateway { gateway, listener } = door.entry else { return Ok(None) };
        let listener = view.gateway(gateway).and_then(|gateway| gateway.listener(listener));
        let Some(listener) = listener else { return Ok(None) };
        let names: Vec<String> = listener.certificates().map(str::to_owned).collect();
        if names.is_empty() {
            return Ok(None);
        }
        let key = Key {
            door: door.name.clone(),
            certificates: names,
            client_ca: listener.client_ca().to_owned(),
            either: listener.protocol() == Protocol::Http,
        };
        certificates.termination(key).map(Some)
    };
    wanted.iter().map(of).collect()
}

/// A client's connection over TLS: what it was shown, and what it agreed on.
pub(crate) struct OverTls {
    chooser: Arc<Chooser>,
    /// The place of what it was shown.
    shown: usize,
    http2: bool,
}

impl OverTls {
    pub(crate) fn is_http2(&self) -> bool {
        self.http2
    }

    /// Whether who asks for this host would have been shown the same certificate: then its client has verified who answers for it.
    pub(crate) fn is_of(&self, host: &str) -> bool {
        self.chooser.place(Some(host)) == self.shown
    }
}

/// A connection behind its handshake.
pub(crate) enum Ended<S> {
    Here(Box<TlsStream<Begun<S>>>, OverTls),
    /// The handshake failed, in these words.
    Failed(String),
    /// It has ended before it began.
    Gone,
}

/// Takes up a connection of TLS.
pub(crate) async fn accept<S: Transport>(
    mut stream: S,
    termination: &Termination,
    closing: &mut watch::Receiver<Option<Closing>>,
) -> Ended<S> {
    // Nothing is begun for who says nothing.
    let mut first = [0];
    let mut last_call = None;
    let count = loop {
        let time = last_call.unwrap_or_else(|| Bound::TlsTime.time());
        tokio::select! {
            biased;
            count = timeout(time, stream.read(&mut first)) => break count,
            closing = closing.wait_for(Option::is_some), if last_call.is_none() => {
                let Some(closing) = closing.ok().and_then(|closing| *closing) else { return Ended::Gone };
                last_call = Some(closing.last_call);
            }
        }
    };
    if !matches!(count, Ok(Ok(1))) {
        return Ended::Gone;
    }
    let stream = Begun { read: first.to_vec(), rest: stream };
    let current = termination.current.load_full();
    let stream = match timeout(
        Bound::TlsTime.time(),
        TlsAcceptor::from(current.config.clone()).accept(stream),
    )
    .await
    {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Ended::Failed(why(&error)),
        Err(_) => return Ended::Failed("the handshake took too long".to_owned()),
    };
    let session = stream.get_ref().1;
    let tls = OverTls {
        chooser: current.chooser.clone(),
        shown: current.chooser.place(session.server_name()),
        http2: session.alpn_protocol() == Some(b"h2"),
    };
    Ended::Here(Box::new(stream), tls)
}
