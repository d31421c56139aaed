//! Identities of an agent, by the SPIFFE Workload API: taken over as they are sent, kept while it is away.

use super::mutual::{SHOP, WEB, ask, ask_with, config, status, text as text_of};
use mesh_proxy::Material;
use mesh_tests::authority::{Authority, Flaw};
use mesh_tests::harness::{Upstream, free_address};
use mesh_tests::process::{Running, mesh_proxy, run};
use mesh_tests::project::Project;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::net::UnixListener;
use tokio::sync::{oneshot, watch};

/// What the agent says to whoever asks.
#[derive(Clone)]
enum State {
    /// A message, and each that takes its place.
    Message(Vec<u8>),
    /// This status of gRPC.
    Status(&'static str),
}

/// An agent, which answers until it is dropped.
struct Agent {
    state: watch::Sender<State>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Agent {
    fn start(place: &Place, first: State) -> Agent {
        let (state, states) = watch::channel(first);
        let (stop, stopped) = oneshot::channel();
        let path = place.at("agent.sock");
        let _ = std::fs::remove_file(&path);
        let (listening, listens) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = UnixListener::bind(path).unwrap();
                listening.send(()).unwrap();
                tokio::select! {
                    () = accept(listener, states) => {}
                    _ = stopped => {}
                }
            });
        });
        listens.recv().unwrap();
        Agent { state, stop: Some(stop), thread: Some(thread) }
    }

    fn send(&self, state: State) {
        self.state.send_replace(state);
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        drop(self.stop.take());
        self.thread.take().expect("once").join().expect("no panic");
    }
}

async fn accept(listener: UnixListener, states: watch::Receiver<State>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let states = states.clone();
        tokio::spawn(async move {
            let mut connection = h2::server::handshake(stream).await.unwrap();
            while let Some(Ok((request, respond))) = connection.accept().await {
                tokio::spawn(answer(request, respond, states.clone()));
            }
        });
    }
}

type Respond = h2::server::SendResponse<hyper::body::Bytes>;

async fn answer(
    request: hyper::Request<h2::RecvStream>,
    mut respond: Respond,
    mut states: watch::Receiver<State>,
) {
    let head = || hyper::Response::builder().header("content-type", "application/grpc");
    let is_marked = request.headers().get("workload.spiffe.io").is_some_and(|value| value == "true");
    let is_right = is_marked && request.uri().path() == "/SpiffeWorkloadAPI/FetchX509SVID";
    let first = if is_right { states.borrow_and_update().clone() } else { State::Status("3") };
    let State::Message(mut message) = first else {
        let State::Status(status) = first else { unreachable!() };
        respond.send_response(head().header("grpc-status", status).body(()).unwrap(), true).unwrap();
        return;
    };
    let mut stream = respond.send_response(head().body(()).unwrap(), false).unwrap();
    loop {
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        let framed = [&[0][..], &length, &message].concat();
        // Whoever has gone hears nothing.
        if stream.send_data(framed.into(), false).is_err() || states.changed().await.is_err() {
            return;
        }
        match states.borrow_and_update().clone() {
            State::Message(next) => message = next,
            State::Status(status) => {
                let trailers = hyper::HeaderMap::from_iter([(
                    hyper::header::HeaderName::from_static("grpc-status"),
                    hyper::header::HeaderValue::from_static(status),
                )]);
                let _ = stream.send_trailers(trailers);
                return;
            }
        }
    }
}

/// A field of a message, with bytes in it (protobuf, wire type 2).
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    let mut length = bytes.len();
    while length >= 0x80 {
        out.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(bytes);
    out
}

/// DER of certificates, one behind the other.
fn der(pem: &[u8]) -> Vec<u8> {
    CertificateDer::pem_slice_iter(pem).flat_map(|one| one.unwrap().to_vec()).collect()
}

/// An `X509SVIDResponse`, with the roots of other domains.
fn message(materials: &[(&str, Material)], federated: &[(&str, &Authority)]) -> State {
    let own = |(id, material): &(&str, Material)| {
        let key = PrivateKeyDer::from_pem_slice(&material.key).unwrap();
        let parts = [
            field(1, id.as_bytes()),
            field(2, &der(&material.chain)),
            field(3, key.secret_der()),
            field(4, &der(&material.bundles[0].1)),
        ];
        field(1, &parts.concat())
    };
    let other = |(domain, roots): &(&str, &Authority)| {
        field(3, &[field(1, domain.as_bytes()), field(2, &der(roots.bundle().as_bytes()))].concat())
    };
    State::Message(materials.iter().map(own).chain(federated.iter().map(other)).flatten().collect())
}

/// Signed by one authority, and believing several.
fn material(id: &str, by: &Authority, believes: &[&Authority]) -> Material {
    let bundle: String = believes.iter().map(|own| own.bundle()).collect();
    Material { bundles: vec![(None, bundle.into_bytes())], ..by.material(id) }
}

/// A directory with a plan and a socket, gone at the end.
struct Place(PathBuf);

impl Place {
    fn new(called_at: SocketAddr) -> Place {
        let path =
            std::env::temp_dir().join(format!("mesh-agent-{}-{:x}", std::process::id(), fastrand::u64(..)));
        std::fs::create_dir_all(&path).unwrap();
        let text = text_of(called_at, "mtls strict", "port 80 http");
        let plan = Project::parse(&text).compile().plan.expect("it compiles");
        std::fs::write(path.join("mesh.mplan"), mesh_plan::encode(&plan).unwrap()).unwrap();
        Place(path)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The proxy of `shop`, which is called there.
    fn shop(&self, called_at: SocketAddr, shop: &Upstream) -> Command {
        let mut command = mesh_proxy();
        command.args(["--service", "shop", "--workers", "1", "--plan"]).arg(self.at("mesh.mplan"));
        command.arg(format!("--inbound={called_at}={}", shop.address));
        command
    }

    fn socket(&self) -> String {
        format!("unix://{}", self.at("agent.sock").display())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn what_an_agent_sends_is_taken_over_under_handshakes_of_which_none_fails() {
    let (upstream, called_at) = (Upstream::named("shop"), free_address());
    let (place, old, new) = (Place::new(called_at), Authority::new(), Authority::new());
    let agent = Agent::start(&place, message(&[(SHOP, material(SHOP, &old, &[&old]))], &[]));
    let proxy = Running::start(place.shop(called_at, &upstream).args(["--workload-api", &place.socket()]));
    proxy.wait_for("serving plan");
    let (before, after) = (old.certificate(&[WEB], Flaw::None), new.certificate(&[WEB], Flaw::None));
    assert_eq!(ask(Some(&after), called_at, "/1"), "", "its root is not known");
    let (over, failed, made) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    let took_over = |state: State| {
        let said = proxy.said().len();
        agent.send(state);
        proxy.wait_after(said, "took over another certificate of spiffe://local.test/ns/default/sa/shop");
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut config = (*config(Some(&before))).clone();
            config.resumption = rustls::client::Resumption::disabled();
            let config = std::sync::Arc::new(config);
            while !over.load(Ordering::Relaxed) {
                if status(&ask_with(&config, called_at, "/1")) != 200 {
                    failed.fetch_add(1, Ordering::Relaxed);
                }
                made.fetch_add(1, Ordering::Relaxed);
            }
        });
        for _ in 0..20 {
            took_over(message(&[(SHOP, material(SHOP, &old, &[&old]))], &[]));
        }
        took_over(message(&[(SHOP, material(SHOP, &old, &[&old, &new]))], &[]));
        took_over(message(&[(SHOP, material(SHOP, &new, &[&old, &new]))], &[]));
        assert_eq!(status(&ask(Some(&after), called_at, "/1")), 200);
        over.store(true, Ordering::Relaxed);
    });
    assert!(made.load(Ordering::Relaxed) > 20);
    assert_eq!(failed.load(Ordering::Relaxed), 0, "of {}", made.load(Ordering::Relaxed));
    took_over(message(&[(SHOP, material(SHOP, &new, &[&new]))], &[]));
    assert_eq!(ask(Some(&before), called_at, "/1"), "", "its root is gone");

    // The roots of another domain vouch for that domain alone.
    let partner = Authority::new();
    let (foreign, forged) =
        ("spiffe://partner.test/ns/default/sa/web", partner.certificate(&[WEB], Flaw::None));
    let foreign = partner.certificate(&[foreign], Flaw::None);
    assert_eq!(ask(Some(&foreign), called_at, "/1"), "");
    took_over(message(&[(SHOP, material(SHOP, &new, &[&new]))], &[("spiffe://partner.test", &partner)]));
    assert_eq!(status(&ask(Some(&foreign), called_at, "/1")), 403, "it is known, and may not");
    assert_eq!(ask(Some(&forged), called_at, "/1"), "");
}

#[test]
fn an_agent_that_is_away_or_sends_nonsense_changes_nothing_and_one_that_comes_back_is_heard() {
    let (upstream, called_at) = (Upstream::named("shop"), free_address());
    let (place, old, new) = (Place::new(called_at), Authority::new(), Authority::new());
    let good = || message(&[(SHOP, material(SHOP, &old, &[&old]))], &[]);
    let agent = Agent::start(&place, State::Status("7"));
    let mut command = place.shop(called_at, &upstream);
    let proxy = Running::start(command.env("SPIFFE_ENDPOINT_SOCKET", place.socket()));
    proxy.wait_for("waiting for a certificate of unix://");
    proxy.wait_for("PermissionDenied");
    agent.send(good());
    proxy.wait_for("serving plan");
    let caller = old.certificate(&[WEB], Flaw::None);
    let works = || assert_eq!(status(&ask(Some(&caller), called_at, "/1")), 200);
    works();
    for (state, why) in [
        (State::Message(vec![]), "there is no certificate in it"),
        (State::Message(vec![0xff; 9]), "a message is damaged"),
        (message(&[(WEB, material(WEB, &old, &[&old]))], &[]), "no longer sends a certificate of"),
        (message(&[(SHOP, material(SHOP, &new, &[&old]))], &[]), "does not vouch for the certificate"),
        (message(&[(SHOP, material(SHOP, &old, &[&old]))], &[("partner test", &new)]), "is no trust domain"),
        (State::Status("14"), "is not ready"),
    ] {
        let said = proxy.said().len();
        agent.send(state);
        proxy.wait_after(said, why);
        works();
    }
    drop(agent);
    works();
    let said = proxy.said().len();
    let _agent = Agent::start(&place, message(&[(SHOP, material(SHOP, &new, &[&new]))], &[]));
    proxy.wait_after(said, "took over another certificate");
    assert_eq!(status(&ask(Some(&new.certificate(&[WEB], Flaw::None)), called_at, "/1")), 200);
    assert!(proxy.said().iter().all(|line| !line.contains("PRIVATE")));
}

#[test]
fn what_no_agent_will_mend_ends_the_start() {
    let (upstream, called_at) = (Upstream::named("shop"), free_address());
    let place = Place::new(called_at);
    for (status, why) in [("3", "InvalidArgument"), ("12", "Unimplemented")] {
        let _agent = Agent::start(&place, State::Status(status));
        let (code, _, said) = run(place.shop(called_at, &upstream).args(["--workload-api", &place.socket()]));
        assert!(code == 2 && said.contains(why), "{said}");
    }
    for (flags, why) in [
        (&["--workload-api", "/run/agent.sock"][..], "write unix://"),
        (&["--workload-api", "unix:///a", "--ca", "https://ca"], "cannot be used with"),
    ] {
        let (code, _, said) = run(place.shop(called_at, &upstream).args(flags));
        assert!(code == 2 && said.contains(why), "{said}");
    }
}
