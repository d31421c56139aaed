//! Whom a name is asked of, and what may come of it, with servers on this machine.

use super::*;
use simple_dns::rdata::{A, AAAA, RData};
use simple_dns::{CLASS, Packet, PacketFlag, QTYPE, RCODE, ResourceRecord, TYPE};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Arc, Mutex};

/// What a server says of a name and a kind of record; `None`: nothing at all.
type Says = dyn Fn(&str, TYPE) -> Option<Said> + Send + Sync;

enum Said {
    Addresses(Vec<IpAddr>),
    Code(RCODE),
    /// More than fits in a datagram.
    Many(u8),
}

/// A server of DNS on this machine, over UDP and TCP, and whom it was asked for.
struct Server {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start(says: impl Fn(&str, TYPE) -> Option<Said> + Send + Sync + 'static) -> Server {
        let (socket, listener) = loop {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            if let Ok(listener) = TcpListener::bind(socket.local_addr().unwrap()) {
                break (socket, listener);
            }
        };
        let (address, heard) = (socket.local_addr().unwrap(), Arc::<Mutex<Vec<String>>>::default());
        let says: Arc<Says> = Arc::new(says);
        let (over_tcp, of_tcp) = (says.clone(), heard.clone());
        std::thread::spawn(move || {
            use std::io::{Read as _, Write as _};
            for mut stream in listener.incoming().map_while(Result::ok) {
                let mut size = [0; 2];
                stream.read_exact(&mut size).unwrap();
                let mut bytes = vec![0; u16::from_be_bytes(size).into()];
                stream.read_exact(&mut bytes).unwrap();
                let Some(answer) = answer(&bytes, &*over_tcp, &of_tcp, true) else { continue };
                stream.write_all(&(answer.len() as u16).to_be_bytes()).unwrap();
                stream.write_all(&answer).unwrap();
            }
        });
        let own = heard.clone();
        std::thread::spawn(move || {
            let mut bytes = [0; 4_096];
            while let Ok((size, from)) = socket.recv_from(&mut bytes) {
                if let Some(answer) = answer(&bytes[..size], &*says, &own, false) {
                    let _ = socket.send_to(&answer, from);
                }
            }
        });
        Server { address, heard }
    }

    fn heard(&self) -> Vec<String> {
        let mut heard = self.heard.lock().unwrap().clone();
        heard.sort();
        heard
    }
}

fn answer(bytes: &[u8], says: &Says, heard: &Mutex<Vec<String>>, whole: bool) -> Option<Vec<u8>> {
    let mut packet = Packet::parse(bytes).unwrap();
    let (host, QTYPE::TYPE(kind)) = (packet.questions[0].qname.to_string(), packet.questions[0].qtype) else {
        return None;
    };
    heard.lock().unwrap().push(format!("{host} {kind:?}{}", if whole { " tcp" } else { "" }));
    packet.set_flags(PacketFlag::RESPONSE);
    let name = packet.questions[0].qname.clone();
    let mut add = |ip: IpAddr| {
        let data = match ip {
            IpAddr::V4(ip) => RData::A(A { address: ip.into() }),
            IpAddr::V6(ip) => RData::AAAA(AAAA { address: ip.into() }),
        };
        packet.answers.push(ResourceRecord::new(name.clone(), CLASS::IN, 30, data));
    };
    match says(&host, kind)? {
        Said::Addresses(all) => all.into_iter().for_each(&mut add),
        Said::Many(count) if whole => (1..=count).for_each(|last| add(Ipv4Addr::new(10, 0, 0, last).into())),
        Said::Many(_) => packet.set_flags(PacketFlag::TRUNCATION),
        Said::Code(code) => *packet.rcode_mut() = code,
    }
    Some(packet.build_bytes_vec().unwrap())
}

fn servers(all: &[&Server], search: &[&str]) -> Servers {
    Servers {
        all: all.iter().map(|server| server.address).collect(),
        search: search.iter().map(|zone| (*zone).to_owned()).collect(),
        time: Duration::from_millis(300),
        attempts: 2,
    }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn ips<const N: usize>(texts: [&str; N]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

const HOLDS: Duration = Duration::from_secs(30);

fn some<const N: usize>(texts: [&str; N]) -> Told {
    Told::Addresses(ips(texts), HOLDS)
}

#[test]
fn both_kinds_are_asked_for_and_one_does_not_wait_for_the_other() {
    let server = Server::start(|_, kind| {
        Some(Said::Addresses(if kind == TYPE::A { ips(["10.0.0.1", "10.0.0.2"]) } else { ips(["fd00::1"]) }))
    });
    let told = run(servers(&[&server], &[]).both("db.test"));
    assert_eq!(told, [some(["10.0.0.1", "10.0.0.2"]), some(["fd00::1"])]);
    assert_eq!(server.heard(), ["db.test A", "db.test AAAA"]);

    let deaf = Server::start(|_, kind| (kind == TYPE::A).then(|| Said::Addresses(ips(["10.0.0.1"]))));
    let began = std::time::Instant::now();
    let [v4, v6] = run(servers(&[&deaf], &[]).both("db.test"));
    assert_eq!(v4, some(["10.0.0.1"]));
    assert!(matches!(v6, Told::Failed(_)), "{v6:?}");
    assert!(began.elapsed() < Duration::from_millis(500), "{:?}", began.elapsed());
}

#[test]
fn a_server_without_an_answer_is_followed_by_the_next_one() {
    let broken = Server::start(|_, _| Some(Said::Code(RCODE::ServerFailure)));
    let deaf = Server::start(|_, _| None);
    let good = Server::start(|_, _| Some(Said::Addresses(ips(["10.0.0.1"]))));
    assert_eq!(run(servers(&[&broken, &deaf, &good], &[]).one("db.test", Family::V4)), some(["10.0.0.1"]));
    let told = run(servers(&[&broken], &[]).one("db.test", Family::V4));
    assert_eq!(told, Told::Failed(format!("{}: SERVFAIL", broken.address)));
    assert_eq!(broken.heard().len(), 3, "each is asked so often");
    let told = run(servers(&[&deaf], &[]).one("db.test", Family::V4));
    assert_eq!(told, Told::Failed(format!("{} does not answer", deaf.address)));
    let nobody = Server::start(|_, _| Some(Said::Code(RCODE::NameError)));
    assert_eq!(
        run(servers(&[&nobody, &good], &[]).one("db.test", Family::V4)),
        Told::Nothing,
        "that is an answer"
    );
}

#[test]
fn what_does_not_fit_in_a_datagram_comes_over_tcp() {
    let server = Server::start(|_, _| Some(Said::Many(200)));
    let Told::Addresses(all, _) = run(servers(&[&server], &[]).one("db.test", Family::V4)) else {
        panic!("no answer")
    };
    assert_eq!(all.len(), 200);
    assert_eq!(server.heard(), ["db.test A", "db.test A tcp"]);
}

#[test]
fn a_name_of_one_label_is_the_machines_own_and_every_other_one_is_what_it_says() {
    let own = servers(&[], &["shop.test", "test"]);
    assert_eq!(own.names("db"), ["db.shop.test", "db.test"]);
    assert_eq!(own.names("db.example"), ["db.example"]);
    assert_eq!(servers(&[], &[]).names("db"), ["db"]);
}

#[test]
fn a_zone_does_not_send_anybody_to_the_neighbours_of_a_machine() {
    let near = [
        "169.254.169.254",
        "0.0.0.0",
        "255.255.255.255",
        "224.0.0.1",
        "fe80::1",
        "::",
        "ff02::1",
        "fd00:ec2::254",
    ];
    for ip in near.map(|text| text.parse().unwrap()) {
        assert!(!may_be_named(ip, false), "{ip}");
        assert!(!may_be_named(ip, true), "{ip}");
        assert!(matches!(Told::Addresses(vec![ip], HOLDS).usable(false), Told::Unusable(_)), "{ip}");
    }
    for ip in ["127.0.0.1", "127.9.9.9", "::1"].map(|text| text.parse().unwrap()) {
        assert!(may_be_named(ip, false) && !may_be_named(ip, true), "{ip}");
    }
    for ip in ["10.0.0.1", "192.0.2.1", "fd00::1"].map(|text| text.parse().unwrap()) {
        assert!(may_be_named(ip, false) && may_be_named(ip, true), "{ip}");
    }
    let mixed = Told::Addresses(ips(["169.254.169.254", "127.0.0.1"]), HOLDS);
    assert_eq!(mixed.usable(false), some(["127.0.0.1"]), "the others stay");
}

#[test]
fn localhost_is_this_machine_and_asked_of_nobody() {
    let server = Server::start(|_, _| Some(Said::Addresses(ips(["10.0.0.1"]))));
    let resolver = Resolver { servers: vec![server.address] };
    for name in ["localhost", "db.localhost"] {
        let told = run(resolver.look_up(name, true));
        assert_eq!(told, [Told::Addresses(ips(["127.0.0.1"]), Duration::MAX), Told::Nothing]);
    }
    assert!(server.heard().is_empty());
    let told = run(resolver.look_up("loopback.test", true));
    assert!(
        matches!(told, [_, _]) && server.heard() == ["loopback.test A", "loopback.test AAAA"],
        "{told:?}"
    );
}
