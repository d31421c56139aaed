//! Certificates, keys and roots that are replaced while connections are made.

use super::mutual::{EDGE, SHOP, WEB, ask, ask_with, config, status, text as text_of};
use mesh_proxy::{Identity, Material};
use mesh_tests::authority::{Authority, Flaw};
use mesh_tests::harness::{Mesh, Upstream, free_address};
use mesh_tests::process::{Running, mesh_proxy};
use mesh_tests::project::Project;
use mesh_tests::up::Client;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Certificates of the same authority that follow one another while handshakes are made.
const LEAVES: usize = 60;
/// Roots that follow one another.
const ROOTS: usize = 5;

/// What an identity is made of: signed by one authority, and believing several.
fn material(id: &str, by: &Authority, believes: &[&Authority]) -> Material {
    let bundle: String = believes.iter().map(|own| own.bundle()).collect();
    Material { bundles: vec![(None, bundle.into_bytes())], ..by.material(id) }
}

#[test]
fn certificates_and_roots_are_replaced_under_handshakes_of_which_none_fails() {
    let (mut authority, shop, called_at) = (Authority::new(), Upstream::named("shop"), free_address());
    let identities = [EDGE, WEB, SHOP].map(|id| authority.identity(id)).to_vec();
    let inbound = [("shop", called_at, &*shop.address)];
    let text = text_of(called_at, "mtls strict", "port 80 http");
    let mesh = Mesh::start_as(&text, &["web"], identities.clone(), &inbound);
    let renew_all = |by: &Authority, believes: &[&Authority]| {
        for identity in &identities {
            identity.renew(&material(identity.id(), by, believes)).expect("a good one");
        }
    };
    // Callers of three kinds: a proxy, one that makes a new handshake each time, and one that resumes.
    let caller = Arc::new(Mutex::new(config(Some(&authority.certificate(&[WEB], Flaw::None)))));
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
        let sidecar = mesh.address("web.default").to_string();
        scope.spawn(move || call(&|| Client::connect(&sidecar).get("shop", "/1", &[]).unwrap().0));
        for resumes in [false, true] {
            let caller = caller.clone();
            scope.spawn(move || {
                call(&|| {
                    let config = caller.lock().unwrap().clone();
                    let mut own = (*config).clone();
                    if !resumes {
                        own.resumption = rustls::client::Resumption::disabled();
                    }
                    status(&ask_with(&Arc::new(own), called_at, "/1"))
                });
            });
        }
        // Not all at once: each of them is used for a while.
        let pause = || {
            let before = made.load(Ordering::Relaxed);
            while made.load(Ordering::Relaxed) < before + 3 {
                std::thread::sleep(Duration::from_millis(1));
            }
        };
        for _ in 0..LEAVES {
            renew_all(&authority, &[&authority]);
            pause();
        }
        for _ in 0..ROOTS {
            let next = Authority::new();
            renew_all(&authority, &[&authority, &next]);
            pause();
            renew_all(&next, &[&authority, &next]);
            *caller.lock().unwrap() = config(Some(&next.certificate(&[WEB], Flaw::None)));
            // Who has read the old one has used it by then.
            (0..3).for_each(|_| pause());
            renew_all(&next, &[&next]);
            pause();
            authority = next;
        }
        over.store(true, Ordering::Relaxed);
    });
    assert!(made.load(Ordering::Relaxed) >= LEAVES);
    assert_eq!(failed.load(Ordering::Relaxed), 0, "of {}", made.load(Ordering::Relaxed));
}

#[test]
fn a_root_that_is_taken_away_takes_its_certificates_and_sessions_with_it() {
    let (old, new) = (Authority::new(), Authority::new());
    let (shop, called_at) = (Upstream::named("shop"), free_address());
    let identities = [EDGE, WEB, SHOP].map(|id| old.identity(id)).to_vec();
    let text = text_of(called_at, "mtls strict", "port 80 http");
    let inbound = [("shop", called_at, &*shop.address)];
    let _mesh = Mesh::start_as(&text, &["web"], identities.clone(), &inbound);
    let caller = config(Some(&old.certificate(&[WEB], Flaw::None)));
    assert_eq!(status(&ask_with(&caller, called_at, "/1")), 200);
    identities[2].renew(&material(SHOP, &new, &[&new])).unwrap();
    assert_eq!(ask_with(&caller, called_at, "/1"), "", "it has a session, and the session has no root");
    assert_eq!(status(&ask(Some(&new.certificate(&[WEB], Flaw::None)), called_at, "/1")), 200);
}

#[test]
fn what_does_not_fit_together_is_not_taken_over() {
    let (authority, other) = (Authority::new(), Authority::new());
    let identity = authority.identity(WEB);
    let refused = |material: Material| identity.renew(&material).unwrap_err().to_string();
    let own = || authority.material(WEB);
    let mixed = Material { key: authority.material(WEB).key, ..own() };
    assert_eq!(refused(mixed), "the private key is not the certificate's");
    assert!(refused(material(WEB, &authority, &[&other])).contains("does not vouch"));
    assert!(refused(authority.material(SHOP)).contains("and not of"));
    assert!(refused(Material { chain: vec![], ..own() }).contains("the certificate cannot be read"));
    let foreign = Material { bundles: vec![(Some("partner.test".to_owned()), vec![])], ..own() };
    assert!(refused(foreign).contains("the trust bundle cannot be read"));
    let partner = (Some("partner.test".to_owned()), other.bundle().into_bytes());
    assert_eq!(
        refused(Material { bundles: vec![partner], ..own() }),
        "there is no trust bundle for `local.test`"
    );
    let old = authority.certificate(&[WEB], Flaw::Expired);
    let old = Material { chain: old.chain.into_bytes(), key: old.key.into_bytes(), ..own() };
    assert_eq!(refused(old), "the certificate is not valid now");
    assert!(!format!("{:?} {identity:?}", own()).contains("PRIVATE"));
}

/// Files of one identity.
struct Files(PathBuf);

impl Files {
    fn new() -> Files {
        let path =
            std::env::temp_dir().join(format!("mesh-svid-{}-{:x}", std::process::id(), fastrand::u64(..)));
        std::fs::create_dir_all(&path).unwrap();
        Files(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// As somebody replaces a file who does it well.
    fn replace(&self, name: &str, bytes: &[u8]) {
        let beside = self.path("beside");
        std::fs::write(&beside, bytes).unwrap();
        std::fs::rename(beside, self.path(name)).unwrap();
    }

    /// The roots first: certificate and key of the next authority would already fit beside those of both.
    fn write(&self, material: &Material) {
        self.replace("ca.pem", &material.bundles[0].1);
        self.replace("svid.pem", &material.chain);
        self.replace("key.pem", &material.key);
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn plan_of(text: &str, path: &Path) {
    let plan = Project::parse(text).compile().plan.expect("it compiles");
    std::fs::write(path, mesh_plan::encode(&plan).expect("inside the limits")).unwrap();
}

#[test]
fn files_that_are_replaced_are_taken_over_by_a_running_proxy() {
    let (old, new) = (Authority::new(), Authority::new());
    let (shop, called_at, files) = (Upstream::named("shop"), free_address(), Files::new());
    plan_of(&text_of(called_at, "mtls strict", "port 80 http"), &files.path("mesh.mplan"));
    files.write(&old.material(SHOP));
    let proxy = Running::start(
        mesh_proxy()
            .args(["--service", "shop", "--access-log", "stdout", "--workers", "1"])
            .arg(format!("--inbound={called_at}={}", shop.address))
            .arg("--plan")
            .arg(files.path("mesh.mplan"))
            .arg("--svid")
            .arg(files.path("svid.pem"))
            .arg("--svid-key")
            .arg(files.path("key.pem"))
            .arg("--trust-bundle")
            .arg(files.path("ca.pem")),
    );
    proxy.wait_for("serving plan");
    let (before, after) = (old.certificate(&[WEB], Flaw::None), new.certificate(&[WEB], Flaw::None));
    assert_eq!(status(&ask(Some(&before), called_at, "/1")), 200);
    assert_eq!(ask(Some(&after), called_at, "/1"), "");
    files.write(&material(SHOP, &old, &[&old, &new]));
    proxy.wait_for("took over another certificate");
    // The key alone fits nothing: what was before stays, and says so.
    let next = material(SHOP, &new, &[&new]);
    files.replace("key.pem", &next.key);
    proxy.wait_for("the private key is not the certificate's");
    assert_eq!(status(&ask(Some(&after), called_at, "/1")), 200);
    let said = proxy.said().len();
    files.write(&next);
    proxy.wait_after(said, "took over another certificate");
    assert_eq!(status(&ask(Some(&after), called_at, "/1")), 200);
    assert_eq!(ask(Some(&before), called_at, "/1"), "", "its root is gone");
    assert!(proxy.said().iter().all(|line| !line.contains("PRIVATE")));
}

#[test]
fn an_identity_is_of_who_is_served() {
    let (authority, called_at, files) = (Authority::new(), free_address(), Files::new());
    plan_of(&text_of(called_at, "mtls strict", "port 80 http"), &files.path("mesh.mplan"));
    let identity: Arc<Identity> = authority.identity(WEB);
    assert_eq!(identity.id(), WEB);
    let proxy = |more: &[&str]| {
        let mut command = mesh_proxy();
        command.arg("--plan").arg(files.path("mesh.mplan"));
        command.args(["--service", "shop", "--inbound", "127.0.0.1:0=127.0.0.1:1"]).args(more);
        mesh_tests::process::run(&mut command)
    };
    let (code, _, said) = proxy(&[]);
    assert!(
        code == 2 && said.contains("port 80 of `shop.default` is `mtls strict`") && said.contains("--svid"),
        "{said}"
    );
    files.write(&authority.material(WEB));
    let paths = ["svid.pem", "key.pem", "ca.pem"].map(|name| files.path(name).display().to_string());
    let (code, _, said) = proxy(&["--svid", &paths[0], "--svid-key", &paths[1], "--trust-bundle", &paths[2]]);
    assert!(code == 2 && said.contains("sa/shop in the plan, and the certificate is of"), "{said}");
}
