//! Certificates that are taken back, or end: whoever shows one is refused, and cut off where it is connected.

use super::mutual::{EDGE, SHOP, WEB, ask_with, config, status, text as text_of};
use mesh_proxy::{Identity, Material};
use mesh_tests::authority::{Authority, Flaw};
use mesh_tests::harness::{Mesh, Upstream, free_address};
use mesh_tests::process::{Running, mesh_proxy};
use mesh_tests::project::Project;
use mesh_tests::up::Client;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

/// A connection that stays open.
struct Kept(StreamOwned<ClientConnection, TcpStream>);

impl Kept {
    fn open(config: &Arc<ClientConfig>, address: SocketAddr) -> Kept {
        let socket = TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let name = ServerName::IpAddress(address.ip().into());
        Kept(StreamOwned::new(ClientConnection::new(config.clone(), name).unwrap(), socket))
    }

    fn ask(&mut self) -> u16 {
        self.0.write_all(b"GET /1 HTTP/1.1\r\nhost: shop\r\n\r\n").unwrap();
        let mut heard = Vec::new();
        while !heard.ends_with(b"shop") {
            let mut byte = [0];
            self.0.read_exact(&mut byte).unwrap();
            heard.push(byte[0]);
        }
        status(&String::from_utf8_lossy(&heard))
    }

    /// Waits until it is cut off.
    fn ends(mut self) {
        let mut heard = Vec::new();
        match self.0.read_to_end(&mut heard) {
            Ok(_) => {}
            Err(error) => assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock, "nobody cut it off"),
        }
        assert_eq!(heard, b"");
    }
}

#[test]
fn a_caller_that_comes_onto_a_list_is_refused_and_cut_off() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let (shop, called_at) = (Upstream::named("shop"), free_address());
    let place = std::env::temp_dir().join(format!("mesh-crl-{}-{:x}", std::process::id(), fastrand::u64(..)));
    std::fs::create_dir_all(&place).unwrap();
    let write = |name: &str, bytes: &[u8]| {
        std::fs::write(place.join("beside"), bytes).unwrap();
        std::fs::rename(place.join("beside"), place.join(name)).unwrap();
    };
    let plan = Project::parse(&text_of(called_at, "mtls strict", "port 80 http")).compile().plan.unwrap();
    write("mesh.mplan", &mesh_plan::encode(&plan).unwrap());
    let own = authority.material(SHOP);
    write("svid.pem", &own.chain);
    write("key.pem", &own.key);
    write("ca.pem", &own.bundles[0].1);
    write("crl.pem", authority.revocations(&[]).as_bytes());
    let mut command = mesh_proxy();
    command.args(["--service", "shop", "--workers", "1"]);
    command.arg(format!("--inbound={called_at}={}", shop.address));
    for (flag, name) in [
        ("--plan", "mesh.mplan"),
        ("--svid", "svid.pem"),
        ("--svid-key", "key.pem"),
        ("--trust-bundle", "ca.pem"),
        ("--crl", "crl.pem"),
    ] {
        command.arg(flag).arg(place.join(name));
    }
    let proxy = Running::start(&mut command);
    proxy.wait_for("serving plan");

    let (bad, good) = (authority.certificate(&[WEB], Flaw::None), authority.certificate(&[WEB], Flaw::None));
    let (caller, other) = (config(Some(&bad)), config(Some(&good)));
    let (mut kept, mut beside) = (Kept::open(&caller, called_at), Kept::open(&other, called_at));
    assert_eq!((kept.ask(), beside.ask()), (200, 200));
    assert_eq!(status(&ask_with(&caller, called_at, "/1")), 200);
    // What somebody else has signed takes nothing back, and is told about.
    write("crl.pem", stranger.revocations(&[&bad.key]).as_bytes());
    proxy.wait_for("no root of the trust bundles has signed it");
    write("crl.pem", b"no list");
    proxy.wait_for("is no revocation list in PEM");
    assert_eq!((kept.ask(), status(&ask_with(&caller, called_at, "/1"))), (200, 200));
    // Its own certificate is on it too: it goes on, for it is others who refuse it.
    let own = String::from_utf8(own.key).unwrap();
    write("crl.pem", authority.revocations(&[&bad.key, &own]).as_bytes());
    proxy.wait_for("took over another certificate");
    kept.ends();
    assert_eq!(ask_with(&caller, called_at, "/1"), "", "it has a session, and is resumed no more");
    assert_eq!((beside.ask(), status(&ask_with(&other, called_at, "/1"))), (200, 200));
    drop(proxy);
    let _ = std::fs::remove_dir_all(place);
}

#[test]
fn a_service_that_comes_onto_a_list_is_called_no_more() {
    let (authority, shop, called_at) = (Authority::new(), Upstream::named("shop"), free_address());
    let callee = authority.material(SHOP);
    let key = String::from_utf8(callee.key.clone()).unwrap();
    let identities = [EDGE, WEB].map(|id| authority.identity(id)).into_iter();
    let identities: Vec<_> = identities.chain([Identity::new(&callee).unwrap()]).collect();
    let text = text_of(called_at, "mtls strict", "port 80 http");
    let mesh = Mesh::start_as(&text, &["web"], identities.clone(), &[("shop", called_at, &*shop.address)]);
    let mut client = Client::connect(&mesh.address("web.default").to_string());
    let mut ask = || client.get("shop", "/1", &[]).unwrap().0;
    assert_eq!((ask(), ask()), (200, 200));
    let revoking = |keys: &[&str]| {
        let bundle = authority.bundle() + &authority.revocations(keys);
        Material { bundles: vec![(None, bundle.into_bytes())], ..authority.material(WEB) }
    };
    identities[1].renew(&revoking(&[&key])).unwrap();
    assert_eq!(ask(), 503, "the connection that there is is not used");
    identities[1].renew(&revoking(&[])).unwrap();
    assert_eq!(ask(), 200);
}

/// Seconds of a certificate's life: enough for a handshake on a machine that is busy.
const LIFE: u64 = 4;

#[test]
fn a_caller_whose_certificate_ends_is_refused_and_cut_off() {
    let (authority, shop, called_at) = (Authority::new(), Upstream::named("shop"), free_address());
    let text = text_of(called_at, "mtls strict", "port 80 http");
    let inbound = [("shop", called_at, &*shop.address)];
    let identities = [EDGE, WEB, SHOP].map(|id| authority.identity(id)).to_vec();
    let _mesh = Mesh::start_as(&text, &[], identities, &inbound);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let ending = config(Some(&authority.certificate_until(WEB, now + LIFE)));
    let lasting = config(Some(&authority.certificate(&[WEB], Flaw::None)));
    let (mut kept, mut beside) = (Kept::open(&ending, called_at), Kept::open(&lasting, called_at));
    assert_eq!((kept.ask(), beside.ask()), (200, 200));
    kept.ends();
    let cut = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    assert!(cut > now + LIFE, "its last second is one that it is valid in");
    assert_eq!(ask_with(&ending, called_at, "/1"), "", "it has a session, and is resumed no more");
    assert_eq!((beside.ask(), status(&ask_with(&lasting, called_at, "/1"))), (200, 200));
}

#[test]
fn calls_are_made_with_the_certificate_of_now() {
    let (authority, shop) = (Authority::new(), Upstream::named("shop"));
    let (called_at, inbound) = (free_address(), free_address());
    let made = counting(called_at, inbound);
    let identities = [EDGE, WEB, SHOP].map(|id| authority.identity(id)).to_vec();
    let text = text_of(called_at, "mtls strict", "port 80 http");
    let mesh = Mesh::start_as(&text, &["web"], identities.clone(), &[("shop", inbound, &*shop.address)]);
    let mut client = Client::connect(&mesh.address("web.default").to_string());
    let mut ask = || client.get("shop", "/1", &[]).unwrap().0;
    assert_eq!((ask(), ask()), (200, 200));
    let before = made.load(Ordering::SeqCst);
    assert_eq!(ask(), 200);
    assert_eq!(made.load(Ordering::SeqCst), before, "a connection is kept");
    // On a connection that was made with the one before, a request would be cut off when that one ends.
    identities[1].renew(&authority.material(WEB)).unwrap();
    assert_eq!((ask(), ask()), (200, 200));
    assert_eq!(made.load(Ordering::SeqCst), before + 1);
}

/// Passes connections on, and says how many there were.
fn counting(at: SocketAddr, to: SocketAddr) -> Arc<AtomicUsize> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, at.port())).unwrap();
    let made = Arc::new(AtomicUsize::new(0));
    let count = made.clone();
    std::thread::spawn(move || {
        for one in listener.incoming().map_while(Result::ok) {
            count.fetch_add(1, Ordering::SeqCst);
            let other = TcpStream::connect(to).unwrap();
            for (mut from, mut to) in [(one.try_clone().unwrap(), other.try_clone().unwrap()), (other, one)] {
                std::thread::spawn(move || std::io::copy(&mut from, &mut to));
            }
        }
    });
    made
}
