//! A server of DNS that says what it is told to say, over UDP: written from RFC 1035, and sharing nothing with the proxy's.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A server on this machine.
pub struct Dns {
    /// Where it is.
    pub address: SocketAddr,
    zone: Arc<Mutex<BTreeMap<String, Entry>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

/// What it says of a name.
#[derive(Clone, Debug)]
pub enum Entry {
    /// These addresses, for so many seconds.
    At(Vec<IpAddr>, u32),
    /// The same, after a while.
    After(Duration, Vec<IpAddr>),
    /// An error, by its number: 2 SERVFAIL, 3 NXDOMAIN (what it says of names that nobody told it of).
    Code(u8),
    /// Nothing at all.
    Silence,
}

impl Dns {
    /// Starts one that knows no name.
    ///
    /// # Panics
    /// If this machine has no port for it.
    pub fn start() -> Dns {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = socket.local_addr().expect("an address");
        let dns = Dns { address, zone: Arc::default(), asked: Arc::default() };
        let (zone, asked) = (dns.zone.clone(), dns.asked.clone());
        std::thread::spawn(move || {
            let mut bytes = [0; 512];
            while let Ok((size, from)) = socket.recv_from(&mut bytes) {
                let question = bytes[..size].to_vec();
                let (name, kind) = read(&question);
                let entry = zone.lock().expect("no panic").get(&name).cloned().unwrap_or(Entry::Code(3));
                asked.lock().expect("no panic").push(name);
                let (pause, entry) = match entry {
                    Entry::After(pause, addresses) => (pause, Entry::At(addresses, 60)),
                    entry => (Duration::ZERO, entry),
                };
                let socket = socket.try_clone().expect("a socket");
                std::thread::spawn(move || {
                    std::thread::sleep(pause);
                    if let Some(answer) = answer(&question, kind, &entry) {
                        let _ = socket.send_to(&answer, from);
                    }
                });
            }
        });
        dns
    }

    /// From now on it says this of a name.
    ///
    /// # Panics
    /// If its thread panicked.
    pub fn says(&self, name: &str, entry: Entry) {
        self.zone.lock().expect("no panic").insert(name.to_owned(), entry);
    }

    /// From now on a name is at these addresses, for a moment.
    ///
    /// # Panics
    /// If one is none.
    pub fn is_at(&self, name: &str, addresses: &[&str]) {
        let addresses = addresses.iter().map(|text| text.parse().expect("an address")).collect();
        self.says(name, Entry::At(addresses, 1));
    }

    /// How often it was asked for a name.
    ///
    /// # Panics
    /// If its thread panicked.
    pub fn asked(&self, name: &str) -> usize {
        self.asked.lock().expect("no panic").iter().filter(|own| *own == name).count()
    }
}

/// The name that is asked for, and the type of record: its only question begins behind twelve bytes.
fn read(question: &[u8]) -> (String, u16) {
    let (mut labels, mut at) = (Vec::new(), 12);
    while question[at] != 0 {
        let end = at + 1 + usize::from(question[at]);
        labels.push(String::from_utf8_lossy(&question[at + 1..end]).into_owned());
        at = end;
    }
    (labels.join("."), u16::from_be_bytes([question[at + 1], question[at + 2]]))
}

fn answer(question: &[u8], kind: u16, entry: &Entry) -> Option<Vec<u8>> {
    let (code, addresses, ttl) = match entry {
        Entry::At(addresses, ttl) => (0, addresses.as_slice(), *ttl),
        Entry::Code(code) => (*code, &[][..], 0),
        Entry::Silence | Entry::After(..) => return None,
    };
    let data = addresses.iter().filter_map(|ip| match (ip, kind) {
        (IpAddr::V4(ip), 1) => Some(ip.octets().to_vec()),
        (IpAddr::V6(ip), 28) => Some(ip.octets().to_vec()),
        _ => None,
    });
    let data: Vec<Vec<u8>> = data.collect();
    let mut bytes = question.to_vec();
    // An answer, recursion desired and available.
    bytes[2..4].copy_from_slice(&[0x81, 0x80 | code]);
    bytes[6..8].copy_from_slice(&(data.len() as u16).to_be_bytes());
    for own in data {
        // The name is the question's, of class IN.
        bytes.extend([0xc0, 12]);
        bytes.extend(kind.to_be_bytes());
        bytes.extend([0, 1]);
        bytes.extend(ttl.to_be_bytes());
        bytes.extend((own.len() as u16).to_be_bytes());
        bytes.extend(own);
    }
    Some(bytes)
}
