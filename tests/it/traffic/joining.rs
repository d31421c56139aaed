//! Proxies that get their certificates from `mesh ca serve`: for a join token, then for the certificate that they have, while connections
//! are made and while the root is replaced.

mod asked;
mod revoking;

use super::mutual::{SHOP, WEB, ask, ask_with, config, status, text as text_of};
use mesh_tests::authority::Certificate;
use mesh_tests::harness::{Upstream, free_address};
use mesh_tests::process::{Running, mesh, mesh_proxy, run};
use mesh_tests::project::Project;
use mesh_tests::up::Client;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// An authority's directory, with a plan and what proxies keep beside it. Gone at the end.
pub(super) struct Place {
    path: PathBuf,
}

impl Place {
    pub(super) fn new() -> Place {
        let path =
            std::env::temp_dir().join(format!("mesh-ca-{}-{:x}", std::process::id(), fastrand::u64(..)));
        std::fs::create_dir_all(&path).unwrap();
        let place = Place { path };
        place.ca(&["init", "local.test"]);
        place
    }

    pub(super) fn at(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub(super) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.at(name)).unwrap()
    }

    /// What a command of `mesh ca` prints.
    pub(super) fn ca(&self, words: &[&str]) -> String {
        let mut command = mesh();
        command.arg("ca").arg(words[0]).arg("--dir").arg(&self.path).args(&words[1..]);
        let (code, out, said) = run(&mut command);
        assert_eq!(code, 0, "{words:?}: {said}");
        out.trim().to_owned()
    }

    /// A certificate for a client that is no proxy.
    fn certificate(&self, id: &str) -> Certificate {
        self.ca(&["issue", id, "-o", &self.at("client").display().to_string()]);
        Certificate { chain: self.read("client.pem"), key: self.read("client.key") }
    }

    /// Writes a token into a file.
    fn token(&self, id: &str, name: &str, more: &[&str]) {
        let token = self.ca(&[&["token", id], more].concat());
        std::fs::write(self.at(name), token).unwrap();
    }

    pub(super) fn serve(&self, ttl: &str) -> Serving {
        let mut command = mesh();
        command.args(["ca", "serve", "local.test", "--listen", "127.0.0.1:0", "--ttl", ttl, "--dir"]);
        let running = Running::start(command.arg(&self.path));
        let url = running.wait_for("https://");
        running.wait_for("authority of local.test");
        Serving { running, url }
    }

    fn plan(&self, called_at: SocketAddr) {
        let text = text_of(called_at, "mtls strict", "port 80 http");
        let plan = Project::parse(&text).compile().plan.expect("it compiles");
        std::fs::write(self.at("mesh.mplan"), mesh_plan::encode(&plan).unwrap()).unwrap();
    }

    /// A proxy of a service, whose token is in SERVICE.token and whose state is SERVICE-state.
    fn proxy(&self, service: &str, url: &str) -> Command {
        let mut command = mesh_proxy();
        command.args(["--service", service, "--workers", "1", "--ca", url]);
        for (flag, name) in [
            ("--plan", "mesh.mplan"),
            ("--ca-bundle", "local.test.pem"),
            ("--join-token-file", &format!("{service}.token")),
            ("--state", &format!("{service}-state")),
        ] {
            command.arg(flag).arg(self.at(name));
        }
        command
    }

    fn shop(&self, url: &str, called_at: SocketAddr, shop: &Upstream) -> Running {
        let mut command = self.proxy("shop", url);
        Running::start(command.arg(format!("--inbound={called_at}={}", shop.address)))
    }

    fn web(&self, url: &str) -> Running {
        Running::start(self.proxy("web", url).args(["--outbound", "127.0.0.1:0"]))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

pub(super) struct Serving {
    pub(super) running: Running,
    pub(super) url: String,
}

/// Where a sidecar takes calls.
fn outbound(proxy: &Running) -> String {
    proxy.wait_for("serving plan");
    let line = proxy.wait_for("web.default on ");
    line.split_once("web.default on ").expect("an address").1.to_owned()
}

fn times(running: &Running, text: &str) -> usize {
    running.said().iter().filter(|line| line.contains(text)).count()
}

/// `web` and `shop`, which an authority gave certificates for their tokens.
pub(super) struct Joined {
    place: Place,
    serving: Serving,
    shop: Running,
    web: Running,
    /// Where `web` calls.
    sidecar: String,
    /// Where the proxy of `shop` is called.
    called_at: SocketAddr,
    /// What is behind that.
    _application: Upstream,
}

impl Joined {
    fn start() -> Joined {
        let (place, application, called_at) = (Place::new(), Upstream::named("shop"), free_address());
        place.plan(called_at);
        let serving = place.serve("24h");
        place.token(SHOP, "shop.token", &[]);
        place.token(WEB, "web.token", &[]);
        let (shop, web) = (place.shop(&serving.url, called_at, &application), place.web(&serving.url));
        let sidecar = outbound(&web);
        shop.wait_for("serving plan");
        Joined { place, serving, shop, web, sidecar, called_at, _application: application }
    }
}

#[test]
fn a_token_becomes_a_certificate_with_which_proxies_call_each_other() {
    let Joined { place, serving, shop, web, sidecar, called_at, _application } = Joined::start();
    let (code, body) = Client::connect(&sidecar).get("shop", "/1", &[]).unwrap();
    assert_eq!(code, 200, "{body}");
    assert_eq!(
        status(&ask(Some(&place.certificate(SHOP)), called_at, "/1")),
        403,
        "shop may not call itself"
    );
    for (id, name) in [(SHOP, "shop"), (WEB, "web")] {
        serving.running.wait_for(&format!("gave 127.0.0.1 a certificate of {id} for 86400 s, serial "));
        let kept = place.at(&format!("{name}-state/svid.pem"));
        assert_eq!(std::fs::metadata(kept).unwrap().permissions().mode() & 0o777, 0o600);
    }
    drop((shop, web));

    // Each is for one proxy alone, and what it kept is gone.
    std::fs::remove_dir_all(place.at("web-state")).unwrap();
    let refused = |wanted: &str| {
        let (code, _, said) = run(place.proxy("web", &serving.url).args(["--outbound", "127.0.0.1:0"]));
        assert!(code == 2 && said.contains(wanted) && said.contains("`mesh ca token SPIFFE_ID`"), "{said}");
    };
    refused("has been used");
    serving.running.wait_for("refused 127.0.0.1: join token ");
    let other = Place::new();
    other.token(WEB, "web.token", &[]);
    std::fs::write(place.at("web.token"), other.read("web.token")).unwrap();
    refused("this authority knows no join token");
    place.token(WEB, "web.token", &["--ttl", "1s"]);
    std::thread::sleep(std::time::Duration::from_secs(1));
    refused("is over");
    std::fs::remove_file(place.at("web.token")).unwrap();
    refused("cannot read the join token");
    // A token of somebody else makes nobody anybody: the plan has another identity for whom the proxy serves.
    place.token(SHOP, "web.token", &[]);
    let (code, _, said) = run(place.proxy("web", &serving.url).args(["--outbound", "127.0.0.1:0"]));
    assert!(
        code == 2 && said.contains("and the certificate is of spiffe://local.test/ns/default/sa/shop"),
        "{said}"
    );
    assert_no_secrets(&place, &serving.running);
}

/// Neither tokens nor keys are in what is said, nor tokens in what is kept of them.
fn assert_no_secrets(place: &Place, running: &Running) {
    let said = running.said().join("\n");
    let tokens: Vec<String> = ["shop.token", "web.token"].iter().map(|name| place.read(name)).collect();
    let kept = std::fs::read_dir(place.at("local.test.tokens")).unwrap();
    let kept: String = kept.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect();
    for token in tokens {
        let secret = token.rsplit_once('_').expect("a secret").1;
        assert!(secret.len() == 64 && !said.contains(secret) && !kept.contains(secret));
    }
    assert!(!said.contains("PRIVATE"), "{said}");
}

#[test]
fn certificates_and_the_root_are_renewed_under_handshakes_of_which_none_fails() {
    let (place, upstream, called_at) = (Place::new(), Upstream::named("shop"), free_address());
    place.plan(called_at);
    let serving = place.serve("6s");
    place.token(SHOP, "shop.token", &[]);
    place.token(WEB, "web.token", &[]);
    let (shop, web) = (place.shop(&serving.url, called_at, &upstream), place.web(&serving.url));
    let sidecar = outbound(&web);
    shop.wait_for("serving plan");
    let before = place.certificate(WEB);
    let caller = Arc::new(Mutex::new(config(Some(&before))));
    let (over, failed, made) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    let call = |ask: &dyn Fn() -> u16| {
        while !over.load(Ordering::Relaxed) {
            if ask() != 200 {
                failed.fetch_add(1, Ordering::Relaxed);
            }
            made.fetch_add(1, Ordering::Relaxed);
        }
    };
    let call = &call;
    std::thread::scope(|scope| {
        scope.spawn(move || call(&|| Client::connect(&sidecar).get("shop", "/1", &[]).unwrap().0));
        let own = caller.clone();
        scope.spawn(move || {
            call(&|| {
                let mut config = (**own.lock().unwrap()).clone();
                config.resumption = rustls::client::Resumption::disabled();
                status(&ask_with(&Arc::new(config), called_at, "/1"))
            });
        });
        // Until both have another certificate than now.
        let renewed = || {
            for proxy in [&shop, &web] {
                proxy.wait_after(proxy.said().len(), "took over another certificate");
            }
        };
        let rotate = |step: &str| {
            let said = serving.running.said().len();
            place.ca(&["rotate", step, "local.test"]);
            serving.running.wait_after(said, "took over the authority's files");
            renewed();
        };
        renewed();
        rotate("prepare");
        rotate("activate");
        *caller.lock().unwrap() = config(Some(&place.certificate(WEB)));
        rotate("finish");
        renewed();
        over.store(true, Ordering::Relaxed);
    });
    assert!(made.load(Ordering::Relaxed) > 100);
    assert_eq!(failed.load(Ordering::Relaxed), 0, "of {}", made.load(Ordering::Relaxed));
    assert_eq!(ask(Some(&before), called_at, "/1"), "", "its root is forgotten");
    // What it says of the last may come behind what it gave.
    let began = Instant::now();
    while times(&serving.running, "for the certificate before") < 10 {
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", serving.running.said());
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(times(&serving.running, "join token"), 2, "each joined once");
}

#[test]
fn a_proxy_starts_without_its_authority_and_is_patient_where_it_has_nothing_yet() {
    let (place, upstream, called_at) = (Place::new(), Upstream::named("shop"), free_address());
    place.plan(called_at);
    let serving = place.serve("24h");
    place.token(SHOP, "shop.token", &[]);
    let shop = place.shop(&serving.url, called_at, &upstream);
    shop.wait_for("serving plan");
    let url = serving.url.clone();
    drop((shop, serving));
    let caller = place.certificate(WEB);
    std::fs::remove_file(place.at("shop.token")).unwrap();
    let shop = place.shop(&url, called_at, &upstream);
    shop.wait_for("starting with the certificate of spiffe://local.test/ns/default/sa/shop");
    shop.wait_for("serving plan");
    assert_eq!(status(&ask(Some(&caller), called_at, "/1")), 200);
    drop(shop);

    // What is kept is damaged: it has to join again, and waits for the authority, which is not there.
    std::fs::write(place.at("shop-state/svid.pem"), "no certificate").unwrap();
    place.token(SHOP, "shop.token", &[]);
    let shop = place.shop(&url, called_at, &upstream);
    shop.wait_for("is not used: the certificate cannot be read");
    shop.wait_for("waiting for a certificate of https://127.0.0.1:");
    let address = url.strip_prefix("https://").expect("a URL");
    let mut command = mesh();
    command.args(["ca", "serve", "local.test", "--listen", address, "--dir"]).arg(&place.path);
    let _serving = Running::start(&mut command);
    shop.wait_for("serving plan");
    assert_eq!(status(&ask(Some(&caller), called_at, "/1")), 200);
}

#[test]
fn an_authority_that_others_vouch_for_is_asked_for_nothing() {
    let (place, other, called_at) = (Place::new(), Place::new(), free_address());
    place.plan(called_at);
    let serving = other.serve("24h");
    place.token(WEB, "web.token", &[]);
    let web = place.web(&serving.url);
    web.wait_for("waiting for a certificate of https://127.0.0.1:");
    assert!(times(&web, "local.test.pem vouches for") == 1, "{:?}", web.said());
    assert_eq!(times(&serving.running, "gave"), 0);
    assert!(!Path::new(&place.at("web-state/svid.pem")).exists());
}
