//! Endpoints of ports of mutual TLS that are asked whether they are well: over mutual TLS, by somebody whom the service lets ask.

use super::health::{Patient, patient, wait_for};
use super::mutual::{EDGE, SHOP, WEB};
use super::streams::{answering, call};
use mesh_lang::{Code, Severity};
use mesh_proxy::{Checking, Identity, Material};
use mesh_tests::authority::{Authority, Flaw};
use mesh_tests::harness::{Mesh, Upstream, free_address};
use mesh_tests::project::Project;
use mesh_tests::secure::Secure;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

const CHECK: &str = "health-check GET /health { interval 250ms; timeout 250ms; unhealthy 3 }";

/// `web` and a gateway; `web` calls `shop`, which has these endpoints and lets in what these lines say.
fn text(mode: &str, port: &str, endpoints: &[SocketAddr], access: &str) -> String {
    let endpoints: Vec<String> = endpoints.iter().map(|own| format!("\"{own}\"")).collect();
    format!(
        "mesh m {{ mtls {mode} }}\ngateway edge {{ listener web port 80 http {{ host \"*\" }} }}\nauthorize edge {{ allow from anyone }}\n\
         route edge {{ otherwise 404 }}\n\
         service web {{ calls shop }}\nservice shop {{ {port}; endpoints static {} }}\nauthorize shop {{ {access} }}\n",
        endpoints.join(", ")
    )
}

const LINES: &str = "allow from web to GET /api/**; allow from web to GET /health";

/// The statuses of so many calls of `web`.
fn calls(mesh: &Mesh, count: usize) -> Vec<u16> {
    let mut web = mesh.connect("web.default");
    (0..count).map(|_| web.get("shop", "/api/a", &[]).unwrap().0).collect()
}

/// How many of ten calls it serves, of which none fails.
fn served(mesh: &Mesh, patient: &Patient) -> usize {
    let before = patient.served.load(Ordering::SeqCst);
    assert_eq!(calls(mesh, 10), [200; 10]);
    patient.served.load(Ordering::SeqCst) - before
}

#[test]
fn an_endpoint_is_asked_over_mutual_tls_as_who_sends_there_and_gets_nothing_while_it_is_ill() {
    for mode in ["strict", "permissive"] {
        let (authority, one, two) = (Authority::new(), patient(), patient());
        let [first, second] = [free_address(), free_address()];
        let identities = [EDGE, WEB, SHOP].map(|id| authority.identity(id)).to_vec();
        let words = text(mode, &format!("port 80 http; {CHECK}"), &[first, second], LINES);
        let inbound = [("shop", first, &*one.address), ("shop", second, &*two.address)];
        let mesh = Mesh::start_as(&words, &["web"], identities, &inbound);
        wait_for(|| one.asked.load(Ordering::SeqCst) > 2 && two.asked.load(Ordering::SeqCst) > 2);
        assert_eq!(served(&mesh, &one), 5, "{mode}");
        one.status.store(503, Ordering::SeqCst);
        wait_for(|| served(&mesh, &one) == 0);
        one.status.store(200, Ordering::SeqCst);
        wait_for(|| served(&mesh, &one) == 5);
        let log = mesh.log();
        let checks: Vec<&String> = log.iter().filter(|line| line.contains("\"path\":\"/health\"")).collect();
        assert!(checks.len() > 4, "{mode}");
        // The gateway of the same proxy comes first, and the service does not let it ask.
        let is_web = |line: &&&String| line.contains(&format!("\"peer\":\"{WEB}\""));
        assert_eq!(checks.iter().filter(is_web).count(), checks.len(), "{mode}: {}", checks[0]);
    }
}

/// What the proxies of a test have told the operator.
macro_rules! heard {
    () => {{
        static SAID: Mutex<Vec<String>> = Mutex::new(Vec::new());
        (&SAID, Checking { say: |line| SAID.lock().expect("no panic").push(line.to_owned()) })
    }};
}

#[test]
fn who_shows_another_identity_is_not_well_and_it_is_said_why() {
    let authority = Authority::new();
    let secure = |id: &str| {
        Secure::start("shop", &authority.certificate(&[id], Flaw::None), Some(&authority.bundle()))
    };
    let (own, other) = (secure(SHOP), secure(EDGE));
    let addresses = [&own, &other].map(|server| server.address.parse::<SocketAddr>().unwrap());
    let words = text("strict", &format!("port 80 http; {CHECK}"), &addresses, LINES);
    let identities = [EDGE, WEB].map(|id| authority.identity(id)).to_vec();
    let (said, checking) = heard!();
    let mesh = Mesh::start_checking(&words, &["web"], identities, &[], checking);
    wait_for(|| !said.lock().unwrap().is_empty());
    assert_eq!(calls(&mesh, 10), [200; 10], "nothing is sent to who is not well");
    assert!(other.heard().is_empty(), "nothing is said to a stranger");
    let heard = own.heard();
    let check = heard.iter().find(|heard| heard.head.starts_with("get /health ")).expect("a check");
    assert!(check.has_certificate && check.protocol.as_deref() == Some("http/1.1"), "{check:?}");
    assert!(
        check.head.contains("host: shop.default\r\nuser-agent: mesh-proxy health-check\r\n"),
        "{}",
        check.head
    );
    let said = said.lock().unwrap().clone();
    let begins =
        format!("warning: {} of `shop.default` is not well: no connection could be made: ", other.address);
    assert!(said.iter().all(|line| line.starts_with(&begins)), "{said:?}");
    assert!(said[0].contains(EDGE), "who answered instead is said: {said:?}");
}

#[test]
fn what_the_services_own_proxy_refuses_is_no_good_answer() {
    let (authority, shop, called_at) = (Authority::new(), Upstream::named("shop"), free_address());
    let port = format!("port 80 http; {CHECK}");
    // Its proxy has another plan than the caller's.
    let own =
        text("strict", &port, &[called_at], "allow from web to GET /api/**; allow from web to GET /health");
    let denies = own.replace("; allow from web to GET /health", "").replace(&format!("; {CHECK}"), "");
    let inbound = [("shop", called_at, &*shop.address)];
    let identities = |ids: &[&str]| ids.iter().map(|id| authority.identity(id)).collect::<Vec<_>>();
    let there = Mesh::start_as(&denies, &[], identities(&[EDGE, SHOP]), &inbound);
    let (said, checking) = heard!();
    let here = Mesh::start_checking(&own, &["web"], identities(&[EDGE, WEB]), &[], checking);
    wait_for(|| calls(&here, 1) == [503]);
    there.swap(&own);
    wait_for(|| calls(&here, 1) == [200]);
    assert_eq!(
        *said.lock().unwrap(),
        [
            format!("warning: {called_at} of `shop.default` is not well: it answered with 403; asking again"),
            format!("{called_at} of `shop.default` is well again")
        ]
    );
}

#[test]
fn a_check_that_is_refused_is_told_before_anything_runs() {
    let port = |check: &str| format!("port 80 http; {check}");
    let codes = |check: &str, access: &str| {
        let project =
            Project::parse(&text("strict", &port(check), &["192.0.2.1:80".parse().unwrap()], access));
        project.codes().into_iter().filter(|code| code.severity() == Severity::Error).collect::<Vec<_>>()
    };
    assert_eq!(codes(CHECK, "allow from web to GET /api/**"), [Code::RefusedCheck]);
    assert_eq!(codes(CHECK, LINES), []);
    assert_eq!(codes("", "allow from web to GET /api/**"), []);
}

#[test]
fn grpc_is_asked_for_its_health_over_mutual_tls() {
    let (authority, called_at) = (Authority::new(), free_address());
    let is_ill = Arc::new(AtomicBool::new(false));
    let own = is_ill.clone();
    let shop = answering(move |path, _| match path {
        "/grpc.health.v1.Health/Check" => {
            (vec![0, 0, 0, 0, 2, 8, 1 + u8::from(own.load(Ordering::SeqCst))], 0)
        }
        _ => (vec![], 0),
    });
    let shop = shop.to_string();
    let access = "allow from web to grpc shop.Cart/Get, grpc grpc.health.v1.Health/Check";
    let check = "health-check grpc { interval 250ms; timeout 250ms; unhealthy 3 }";
    let words = text("strict", &format!("port 80 grpc; {check}"), &[called_at], access);
    let identities = [EDGE, WEB, SHOP].map(|id| authority.identity(id)).to_vec();
    let (said, checking) = heard!();
    let mesh = Mesh::start_checking(&words, &["web"], identities, &[("shop", called_at, &*shop)], checking);
    let web = mesh.address("web.default");
    let call = || call_at_shop(web);
    wait_for(|| call() == 0);
    is_ill.store(true, Ordering::SeqCst);
    wait_for(|| call() == 14);
    is_ill.store(false, Ordering::SeqCst);
    wait_for(|| call() == 0);
    assert!(said.lock().unwrap()[0].ends_with("it says that it is not serving; asking again"));
}

/// The status of gRPC of a call of `shop` at a sidecar.
fn call_at_shop(at: SocketAddr) -> u16 {
    call(at, "shop", &["/shop.Cart/Get"])[0].1
}

#[test]
fn who_was_taken_back_does_not_ask_while_there_is_somebody_else() {
    let (authority, shop, called_at) = (Authority::new(), patient(), free_address());
    let access = "allow from web, gateway edge to GET /api/**; allow from web, gateway edge to GET /health";
    let words = text("strict", &format!("port 80 http; {CHECK}"), &[called_at], access)
        .replace("otherwise 404", "to shop");
    let ids = [EDGE, WEB, SHOP];
    let identities: Vec<Arc<Identity>> = ids.iter().map(|id| authority.identity(id)).collect();
    let inbound = [("shop", called_at, &*shop.address)];
    let mesh = Mesh::start_as(&words, &["web"], identities.clone(), &inbound);
    wait_for(|| shop.asked.load(Ordering::SeqCst) > 2);
    // From now on nobody takes the gateway's certificate.
    let taken_back = authority.material(EDGE);
    let list = authority.revocations(&[std::str::from_utf8(&taken_back.key).unwrap()]);
    let bundle = format!("{}{list}", authority.bundle()).into_bytes();
    let renewed = |material: Material| Material { bundles: vec![(None, bundle.clone())], ..material };
    identities[0].renew(&renewed(taken_back)).unwrap();
    for (identity, id) in identities.iter().zip(ids).skip(1) {
        identity.renew(&renewed(authority.material(id))).unwrap();
    }
    let asked = shop.asked.load(Ordering::SeqCst);
    wait_for(|| shop.asked.load(Ordering::SeqCst) > asked + 3);
    assert_eq!(calls(&mesh, 5), [200; 5]);
    let log = mesh.log();
    let last = log.iter().rfind(|line| line.contains("\"path\":\"/health\"")).expect("a check");
    assert!(last.contains(&format!("\"peer\":\"{WEB}\"")), "{last}");
    let first = log.iter().find(|line| line.contains("\"path\":\"/health\"")).expect("a check");
    assert!(first.contains(&format!("\"peer\":\"{EDGE}\"")), "{first}");
}
