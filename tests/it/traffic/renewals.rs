//! Certificates and roots are replaced in the files of two running proxies while a client makes new handshakes at a rate, and another one calls by way of
//! both: none fails. Then peers are revoked, and peers expire: how long each of them gets on is measured, on a connection that is open and with
//! a new one.
//!
//! By default a few of each and what the tests have built. `MESH_ROTATIONS` says how many seconds, with a leaf each and a root each minute,
//! `MESH_HANDSHAKES` how many handshakes a second, and `MESH_PROXY` which `mesh-proxy` (`tests/real/rotations.sh`).

use super::mutual::{SHOP, WEB, ask_with, config, status, text as text_of};
use mesh_tests::authority::{Authority, Certificate, Flaw};
use mesh_tests::harness::free_address;
use mesh_tests::process::{Running, mesh_proxy};
use mesh_tests::project::Project;
use mesh_tests::up::Client;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

/// Unless `MESH_ROTATIONS` and `MESH_HANDSHAKES` say others.
const SECONDS: u64 = 3;
const HANDSHAKES: u32 = 50;
/// Between two roots: 10 of them in 10 minutes.
const SECONDS_OF_A_ROOT: u64 = 60;
/// Clients that make handshakes at the same time: a turn of one may take that much longer than its share.
const CLIENTS: u32 = 16;
/// What takes over a file does so within this: it is told of the change, and looks ten times a second beside.
const SETTLED: Duration = Duration::from_millis(500);
/// Seconds of the life of a peer that expires.
const LIFE: u64 = 4;
/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn certificates_and_roots_take_turns_and_no_handshake_fails() {
    let asked = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seconds = asked("MESH_ROTATIONS").unwrap_or(SECONDS);
    let rate = asked("MESH_HANDSHAKES").map_or(HANDSHAKES, |rate| rate as u32);
    let mut mesh = Mesh::start(std::env::var("MESH_PROXY").ok().filter(|program| !program.is_empty()));
    let (shop, web) = (mesh.shop_at, mesh.web_at);
    let caller = Arc::new(Mutex::new(fresh(&mesh.authority.certificate(&[WEB], Flaw::None))));
    let (over, direct, through) = (AtomicBool::new(false), Tally::default(), Tally::default());
    let mut rotated = Rotated::default();
    let began = Instant::now();
    let took = std::thread::scope(|scope| {
        for turn in 0..CLIENTS {
            let (over, direct, caller) = (&over, &direct, caller.clone());
            scope.spawn(move || {
                let mut due = began + Duration::from_secs(1) * turn / rate;
                while !over.load(Ordering::Relaxed) {
                    std::thread::sleep(due.saturating_duration_since(Instant::now()));
                    let config = caller.lock().unwrap().clone();
                    direct.add(status(&ask_with(&config, shop, "/1")));
                    due += Duration::from_secs(1) * CLIENTS / rate;
                }
            });
        }
        scope.spawn(|| {
            let mut client = Client::connect(&web.to_string());
            while !over.load(Ordering::Relaxed) {
                through.add(client.get("shop", "/1", &[]).map_or(0, |(status, _)| status));
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        for second in 0..seconds.max(1) {
            // A root takes some seconds, so what comes next is made up for.
            let due = Duration::from_secs(second);
            if second % SECONDS_OF_A_ROOT == SECONDS_OF_A_ROOT / 2
                || seconds < SECONDS_OF_A_ROOT && second == seconds / 2
            {
                mesh.next_root(&caller);
                rotated.roots += 1;
            }
            mesh.next_leaves();
            *caller.lock().unwrap() = fresh(&mesh.authority.certificate(&[WEB], Flaw::None));
            rotated.leaves += 1;
            std::thread::sleep((due + Duration::from_secs(1)).saturating_sub(began.elapsed()));
        }
        let took = began.elapsed();
        // Under the same load.
        for _ in 0..rotated.roots {
            rotated.revoked.push(mesh.take_back());
            rotated.expired.push(mesh.expire());
        }
        over.store(true, Ordering::Relaxed);
        took
    });
    report(&rotated, &direct, &through, (took, began.elapsed()));
    for tally in [&direct, &through] {
        assert_eq!(tally.failures(), BTreeMap::new());
        assert!(tally.made() > rotated.leaves);
    }
    assert_eq!(rotated.leaves as u64, seconds.max(1));
    assert!(rotated.roots > 0);
}

#[expect(clippy::print_stdout, reason = "how much was made and how long it took is worth a line in the log")]
fn report(rotated: &Rotated, direct: &Tally, through: &Tally, (took, all): (Duration, Duration)) {
    let most = |of: &[Refused]| {
        let most =
            |which: fn(&Refused) -> Duration| of.iter().map(which).max().unwrap_or_default().as_secs_f64();
        format!(
            "{:.3} s with a new connection and {:.3} s on an open one",
            most(|one| one.new),
            most(|one| one.open)
        )
    };
    println!(
        "{} leaf and {} root rotations of each of two proxies in {:.0} s; {} new handshakes at {:.0} a second, {} failed; {} calls by way of \
         both, {} failed; a revoked peer of {} got on for {} at most, an expired one of {} for {}",
        rotated.leaves,
        rotated.roots,
        took.as_secs_f64(),
        direct.made(),
        direct.made() as f64 / all.as_secs_f64(),
        direct.failures().values().sum::<usize>(),
        through.made(),
        through.failures().values().sum::<usize>(),
        rotated.revoked.len(),
        most(&rotated.revoked),
        rotated.expired.len(),
        most(&rotated.expired),
    );
}

/// What was done to the proxies.
#[derive(Default)]
struct Rotated {
    leaves: usize,
    roots: usize,
    revoked: Vec<Refused>,
    expired: Vec<Refused>,
}

/// How long a peer got on after it should not have.
#[derive(Clone, Copy)]
struct Refused {
    /// Until a new connection of it was refused.
    new: Duration,
    /// Until the one that it had was cut off.
    open: Duration,
}

/// How many answers there were, by status; 0 is none.
#[derive(Default)]
struct Tally(Mutex<BTreeMap<u16, usize>>, AtomicUsize);

impl Tally {
    fn add(&self, status: u16) {
        self.1.fetch_add(1, Ordering::Relaxed);
        if status != 200 {
            *self.0.lock().unwrap().entry(status).or_default() += 1;
        }
    }

    fn made(&self) -> usize {
        self.1.load(Ordering::Relaxed)
    }

    fn failures(&self) -> BTreeMap<u16, usize> {
        self.0.lock().unwrap().clone()
    }
}

/// A client that resumes nothing.
fn fresh(certificate: &Certificate) -> Arc<ClientConfig> {
    let mut own = (*config(Some(certificate))).clone();
    own.resumption = Resumption::disabled();
    Arc::new(own)
}

/// Two proxies, of `web` and of `shop`, and the files that they have their identities from.
struct Mesh {
    authority: Authority,
    folder: PathBuf,
    /// Dropped before the folder is removed.
    proxies: Vec<Running>,
    shop_at: SocketAddr,
    web_at: SocketAddr,
}

impl Mesh {
    fn start(program: Option<String>) -> Mesh {
        let name = format!("mesh-rotations-{}-{:x}", std::process::id(), fastrand::u64(..));
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let (shop_at, web_at) = (free_address(), free_address());
        let plan = Project::parse(&text_of(shop_at, "mtls strict", "port 80 http")).compile().plan.unwrap();
        std::fs::write(folder.join("mesh.mplan"), mesh_plan::encode(&plan).unwrap()).unwrap();
        let mut mesh = Mesh { authority: Authority::new(), folder, proxies: vec![], shop_at, web_at };
        mesh.write_lists(&[]);
        mesh.write_bundle(&[&mesh.authority]);
        mesh.write_leaves();
        let inbound = format!("--inbound={shop_at}={}", service());
        let outbound = format!("--outbound={web_at}");
        let start = |service: &str, door: &str| {
            let mut command = program.as_ref().map_or_else(mesh_proxy, Command::new);
            command.current_dir(&mesh.folder).args(["--service", service, door, "--access-log", "none"]);
            command.args([
                "--plan",
                "mesh.mplan",
                "--workers",
                "1",
                "--trust-bundle",
                "ca.pem",
                "--crl",
                "crl.pem",
            ]);
            command.args(["--svid", &format!("{service}.pem"), "--svid-key", &format!("{service}.key")]);
            let running = Running::start(&mut command);
            running.wait_for("serving plan");
            running
        };
        let proxies = vec![start("shop", &inbound), start("web", &outbound)];
        mesh.proxies = proxies;
        mesh
    }

    /// As somebody replaces a file who does it well.
    fn replace(&self, name: &str, text: &str) {
        let beside = self.folder.join("beside");
        std::fs::write(&beside, text).unwrap();
        std::fs::rename(beside, self.folder.join(name)).unwrap();
    }

    fn write_lists(&self, keys: &[&str]) {
        self.replace("crl.pem", &self.authority.revocations(keys));
    }

    fn write_bundle(&self, believed: &[&Authority]) {
        self.replace("ca.pem", &believed.iter().map(|own| own.bundle()).collect::<String>());
    }

    fn write_leaves(&self) {
        for (service, id) in [("shop", SHOP), ("web", WEB)] {
            let own = self.authority.certificate(&[id], Flaw::None);
            self.replace(&format!("{service}.pem"), &own.chain);
            self.replace(&format!("{service}.key"), &own.key);
        }
    }

    /// Does something to the files, and waits until both have taken over what they are then.
    fn take_over(&self, change: impl FnOnce()) {
        let before: Vec<usize> = self.proxies.iter().map(|proxy| proxy.said().len()).collect();
        change();
        for (proxy, before) in self.proxies.iter().zip(before) {
            proxy.wait_after(before, "took over another certificate");
        }
    }

    fn next_leaves(&self) {
        self.take_over(|| self.write_leaves());
    }

    /// The next root is believed, then it signs, then the one before it is believed no more.
    fn next_root(&mut self, caller: &Mutex<Arc<ClientConfig>>) {
        let before = std::mem::replace(&mut self.authority, Authority::new());
        let mesh = &*self;
        let step = |change: &dyn Fn()| {
            mesh.take_over(change);
            // What it said may have been of a change before this one.
            std::thread::sleep(SETTLED);
        };
        step(&|| mesh.write_bundle(&[&before, &mesh.authority]));
        step(&|| {
            mesh.write_leaves();
            mesh.write_lists(&[]);
        });
        *caller.lock().unwrap() = fresh(&mesh.authority.certificate(&[WEB], Flaw::None));
        // A handshake that has begun with the old one ends.
        std::thread::sleep(SETTLED);
        step(&|| mesh.write_bundle(&[&mesh.authority]));
    }

    /// Takes a peer back.
    fn take_back(&self) -> Refused {
        let peer = self.authority.certificate(&[WEB], Flaw::None);
        let open = Open::of(&peer, self.shop_at);
        // From when on it may be known.
        self.write_lists(&[&peer.key]);
        self.refused(&peer, open, SystemTime::now())
    }

    /// Waits until a peer has expired.
    fn expire(&self) -> Refused {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let peer = self.authority.certificate_until(WEB, now + LIFE);
        let open = Open::of(&peer, self.shop_at);
        let end = SystemTime::UNIX_EPOCH + Duration::from_secs(now + LIFE + 1);
        std::thread::sleep(end.duration_since(SystemTime::now()).unwrap_or_default());
        self.refused(&peer, open, end)
    }

    fn refused(&self, peer: &Certificate, open: Open, since: SystemTime) -> Refused {
        let passed = || SystemTime::now().duration_since(since).unwrap_or_default();
        std::thread::scope(|scope| {
            let open = scope.spawn(|| {
                open.wait_until_cut_off();
                passed()
            });
            let client = fresh(peer);
            loop {
                let asked = passed();
                if ask_with(&client, self.shop_at, "/1").is_empty() {
                    return Refused { new: asked, open: open.join().unwrap() };
                }
                assert!(asked < PATIENCE, "it is not refused");
            }
        })
    }
}

impl Drop for Mesh {
    fn drop(&mut self) {
        self.proxies.clear();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A connection that stays open.
struct Open(StreamOwned<ClientConnection, TcpStream>);

impl Open {
    fn of(peer: &Certificate, address: SocketAddr) -> Open {
        let socket = TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let name = ServerName::IpAddress(address.ip().into());
        let session = ClientConnection::new(fresh(peer), name).unwrap();
        let mut stream = StreamOwned::new(session, socket);
        stream.write_all(b"GET /1 HTTP/1.1\r\nhost: shop\r\n\r\n").unwrap();
        let mut heard = Vec::new();
        while !heard.ends_with(b"fine") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            heard.push(byte[0]);
        }
        assert!(heard.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&heard));
        Open(stream)
    }

    fn wait_until_cut_off(mut self) {
        match self.0.read_to_end(&mut Vec::new()) {
            Ok(_) => {}
            Err(error) => assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock, "nobody cut it off"),
        }
    }
}

/// A server that says that it is fine, and remembers nothing.
fn service() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                let mut stream = BufReader::new(stream);
                let mut line = String::new();
                while stream.read_line(&mut line).is_ok_and(|read| read > 0) {
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfine";
                    if line == "\r\n" && stream.get_mut().write_all(answer).is_err() {
                        return;
                    }
                    line.clear();
                }
            });
        }
    });
    address
}
