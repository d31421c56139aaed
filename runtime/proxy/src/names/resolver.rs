//! What is told of a name: by the rules for names of this machine, by its hosts file, or by the servers of DNS.

use super::machine::{self, Servers};
use super::wire::{Answer, Family, ask};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::pin::pin;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// How long the addresses of one family wait for those of the other. A cache answers both at once; where one of the questions is never
/// answered, as behind some home routers, nobody waits for it.
const LATE: Duration = Duration::from_millis(250);
/// What this machine says itself is looked at again after so long.
const OWN_TIME: Duration = Duration::from_secs(5);
/// Where the machines of one cloud tell them their secrets over IPv6; others use a link-local address.
const METADATA: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

/// What is told of one family of a name's addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Told {
    Addresses(Vec<IpAddr>, Duration),
    /// There are none.
    Nothing,
    /// There are some that nobody may be sent to; in words for a log.
    Unusable(String),
    /// Nobody says; in words for a log.
    Failed(String),
}

/// Who is asked.
pub(super) struct Resolver {
    /// Without any, those of the machine.
    pub(super) servers: Vec<SocketAddr>,
}

impl Resolver {
    /// Looks a name up: what is told of IPv4, and of IPv6.
    pub(super) async fn look_up(&self, host: &str, is_outside: bool) -> [Told; 2] {
        // RFC 6761 6.3. Programs that listen on `localhost` listen on this one at least.
        if host == "localhost" || host.ends_with(".localhost") {
            return [Told::Addresses(vec![Ipv4Addr::LOCALHOST.into()], Duration::MAX), Told::Nothing];
        }
        // Who writes this file may do more on this machine than that.
        let own = machine::hosts(host);
        if !own.is_empty() {
            let (v4, v6) = own.into_iter().partition(IpAddr::is_ipv4);
            let told = |all: Vec<IpAddr>| match all.is_empty() {
                true => Told::Nothing,
                false => Told::Addresses(all, OWN_TIME),
            };
            return [told(v4), told(v6)];
        }
        let mut servers = machine::servers();
        if !self.servers.is_empty() {
            servers.all.clone_from(&self.servers);
        }
        let mut told = [Told::Nothing, Told::Nothing];
        for name in servers.names(host) {
            told = servers.both(&name).await.map(|own| own.usable(is_outside));
            if told.iter().any(|own| *own != Told::Nothing) {
                break;
            }
        }
        told
    }
}

impl Servers {
    /// What is asked for. A name with a dot means the same on every machine, and no other zone hears of it; one without is the machine's own.
    fn names(&self, host: &str) -> Vec<String> {
        if host.contains('.') || self.search.is_empty() {
            return vec![host.to_owned()];
        }
        self.search.iter().map(|zone| format!("{host}.{zone}")).collect()
    }

    /// Both families at once. Where one has addresses, the other is not waited for any longer than a little.
    async fn both(&self, name: &str) -> [Told; 2] {
        let (mut v4, mut v6) = (pin!(self.one(name, Family::V4)), pin!(self.one(name, Family::V6)));
        tokio::select! {
            first = &mut v4 => {
                let other = after(&first, v6).await;
                [first, other]
            }
            first = &mut v6 => {
                let other = after(&first, v4).await;
                [other, first]
            }
        }
    }

    /// Asks one server after the other, and all of them again.
    async fn one(&self, name: &str, family: Family) -> Told {
        let mut why = String::new();
        for _ in 0..self.attempts {
            for server in &self.all {
                match timeout(self.time, ask(*server, name, family)).await {
                    Ok(Ok(Answer { addresses, .. })) if addresses.is_empty() => return Told::Nothing,
                    Ok(Ok(Answer { addresses, holds })) => return Told::Addresses(addresses, holds),
                    Ok(Err(said)) => why = format!("{server}: {said}"),
                    Err(_) => why = format!("{server} does not answer"),
                }
            }
            sleep(Duration::from_millis(fastrand::u64(0..100))).await;
        }
        Told::Failed(why)
    }
}

/// What is told of the other family.
async fn after(first: &Told, other: impl Future<Output = Told>) -> Told {
    let late = |_| Told::Failed("nothing is told of its addresses of the other family".to_owned());
    match first {
        Told::Addresses(..) => timeout(LATE, other).await.unwrap_or_else(late),
        Told::Nothing | Told::Unusable(_) | Told::Failed(_) => other.await,
    }
}

impl Told {
    /// Leaves out what nobody may be sent to because a zone or a caller says so, and what this machine has no way to.
    pub(super) fn usable(self, is_outside: bool) -> Told {
        let Told::Addresses(all, holds) = self else { return self };
        let first = all.first().copied();
        let allowed: Vec<IpAddr> = all.into_iter().filter(|ip| may_be_named(*ip, is_outside)).collect();
        if let (true, Some(first)) = (allowed.is_empty(), first) {
            return Told::Unusable(format!("{first} is no address for it"));
        }
        let reached: Vec<IpAddr> = allowed.iter().copied().filter(|ip| has_way(*ip)).collect();
        match reached.is_empty() {
            // As of a name that has none: those of the other family are used.
            true => Told::Nothing,
            false => Told::Addresses(reached, holds),
        }
    }
}

/// Whether a server of DNS may say that somebody is at this address. Who writes a zone need not be who may speak to the neighbours of a
/// machine: link-local addresses are where clouds tell machines their secrets. Loopback is a machine's own affair; a service of the mesh may
/// be there, as where everything is on one machine, one outside of it is not.
pub(super) fn may_be_named(ip: IpAddr, is_outside: bool) -> bool {
    let is_near = match ip {
        IpAddr::V4(ip) => ip.is_link_local() || ip.is_broadcast(),
        IpAddr::V6(ip) => ip.is_unicast_link_local() || ip == METADATA,
    };
    let is_own = ip.is_unspecified() || is_outside && ip.is_loopback();
    !(is_near || is_own || ip.is_multicast())
}

/// Whether this machine has an address that it would be called from: where there is no IPv6, addresses of it are nowhere (RFC 6724 6, rule 1).
/// Nothing is sent.
fn has_way(ip: IpAddr) -> bool {
    let any: IpAddr = if ip.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    UdpSocket::bind((any, 0)).and_then(|socket| socket.connect((ip, machine::DNS))).is_ok()
}

#[cfg(test)]
mod tests;
