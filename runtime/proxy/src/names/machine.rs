//! What this machine says of names: its hosts file, and whom it asks about all others (`hosts(5)`, `resolv.conf(5)`).

use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

const HOSTS: &str = "/etc/hosts";
const RESOLV_CONF: &str = "/etc/resolv.conf";
/// Bytes of one of these files that are read: lists of a million names that lead nowhere are shorter.
const MOST_BYTES: u64 = 64 * 1024 * 1024;
/// The port of DNS (RFC 1035 4.2).
pub(crate) const DNS: u16 = 53;
/// As many servers as `resolv.conf(5)` has.
const MOST_SERVERS: usize = 3;
/// What `resolv.conf(5)` says where the file does not.
const TIME: Duration = Duration::from_secs(5);
const ATTEMPTS: u32 = 2;
/// And no more than it lets files say.
const MOST_TIME: Duration = Duration::from_secs(30);
const MOST_ATTEMPTS: u32 = 5;

/// Whom to ask, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Servers {
    pub(super) all: Vec<SocketAddr>,
    /// What a name of one label is completed by, in order.
    pub(super) search: Vec<String>,
    /// How long one is waited for.
    pub(super) time: Duration,
    /// How often each is asked.
    pub(super) attempts: u32,
}

/// The files are read each time: they are small, and who replaces one means it.
pub(super) fn servers() -> Servers {
    Servers::read(&text(RESOLV_CONF))
}

/// The addresses that the hosts file has for a name.
pub(super) fn hosts(name: &str) -> Vec<IpAddr> {
    in_hosts(&text(HOSTS), name)
}

/// Empty where there is none.
fn text(path: &str) -> String {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path);
    let _ = file.and_then(|file| file.take(MOST_BYTES).read_to_end(&mut bytes));
    String::from_utf8_lossy(&bytes).into_owned()
}

impl Servers {
    fn read(text: &str) -> Servers {
        let mut own = Servers { all: vec![], search: vec![], time: TIME, attempts: ATTEMPTS };
        for line in text.lines() {
            let line = line.split(['#', ';']).next().unwrap_or_default();
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => {
                    // An address with a zone (`fe80::1%eth0`) is one of an interface, and skipped.
                    let ip: Option<IpAddr> = words.next().and_then(|word| word.parse().ok());
                    own.all.extend(ip.map(|ip| SocketAddr::new(ip, DNS)));
                }
                Some("search" | "domain") => {
                    own.search = words.map(|word| word.trim_end_matches('.').to_ascii_lowercase()).collect();
                }
                Some("options") => words.for_each(|word| own.option(word)),
                _ => {}
            }
        }
        if own.all.is_empty() {
            own.all.push((Ipv4Addr::LOCALHOST, DNS).into());
        }
        own.all.truncate(MOST_SERVERS);
        own
    }

    fn option(&mut self, word: &str) {
        match word.split_once(':').map(|(name, value)| (name, value.parse::<u32>())) {
            Some(("timeout", Ok(seconds))) => {
                self.time = Duration::from_secs(seconds.max(1).into()).min(MOST_TIME);
            }
            Some(("attempts", Ok(attempts))) => self.attempts = attempts.clamp(1, MOST_ATTEMPTS),
            _ => {}
        }
    }
}

fn in_hosts(text: &str, name: &str) -> Vec<IpAddr> {
    let lines = text.lines().filter_map(|line| {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        let ip: IpAddr = words.next()?.parse().ok()?;
        words.any(|word| word.eq_ignore_ascii_case(name)).then(|| ip.to_canonical())
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_those_of_the_file() {
        let text = "# a comment\nnameserver 192.0.2.1\nnameserver fd00::1 ; another\nnameserver fe80::1%eth0\nnameserver x\n\
                    search shop.test. b.test\noptions ndots:5 timeout:2 attempts:9\n";
        let read = Servers::read(text);
        assert_eq!(read.all, ["192.0.2.1:53".parse().unwrap(), "[fd00::1]:53".parse().unwrap()]);
        assert_eq!(read.search, ["shop.test", "b.test"]);
        assert_eq!((read.time, read.attempts), (Duration::from_secs(2), MOST_ATTEMPTS));
        let many: String = (1..9).map(|last| format!("nameserver 192.0.2.{last}\n")).collect();
        assert_eq!(Servers::read(&many).all.len(), MOST_SERVERS);
        let none = Servers::read("options timeout:0");
        assert_eq!(none.all, ["127.0.0.1:53".parse().unwrap()]);
        assert_eq!((none.time, none.attempts), (Duration::from_secs(1), ATTEMPTS));
    }

    #[test]
    fn the_hosts_file_has_names_and_their_aliases() {
        let text = "127.0.0.1 localhost\n# 192.0.2.9 db.test\n192.0.2.1\tDB.test db # ours\n::ffff:192.0.2.2 db.test\nx db.test\n\nfd00::1 db.test\n";
        let found = in_hosts(text, "db.test");
        assert_eq!(found, ["192.0.2.1", "192.0.2.2", "fd00::1"].map(|ip| ip.parse::<IpAddr>().unwrap()));
        assert_eq!(in_hosts(text, "db"), ["192.0.2.1".parse::<IpAddr>().unwrap()]);
        assert_eq!(in_hosts(text, "ours"), Vec::<IpAddr>::new());
    }
}
