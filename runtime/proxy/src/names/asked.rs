//! Names that callers say, of services outside whose endpoints are who is asked for: looked up when somebody asks for them, followed for as
//! long as somebody does, and never more of them than a proxy has room for.

use super::resolver::may_be_named;
use super::{Followed, Known, Name};
use crate::serving::Serving;
use mesh_engine::{Address, instances};
use mesh_plan::{NONE, hosts};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{UnboundedSender, WeakUnboundedSender};
use tokio::time::timeout;

/// Names that are followed at once: as many as Envoy's DNS cache has. Who makes more of them up makes room by what was asked for least lately.
const MOST_NAMES: usize = 1_024;
/// A name that nobody asks for is followed no longer than this.
const IDLE_TIME: Duration = Duration::from_secs(300);
/// Bytes of a name (RFC 1035 2.3.4).
const LONGEST_NAME: usize = 253;

/// The names that were asked for.
pub(super) struct AskedNames {
    known: Mutex<HashMap<String, Kept>>,
    /// Who follows them; it ends when who began it does.
    told: WeakUnboundedSender<Weak<Followed>>,
}

struct Kept {
    followed: Arc<Followed>,
    used: Instant,
}

impl AskedNames {
    pub(super) fn new(told: &UnboundedSender<Weak<Followed>>) -> AskedNames {
        AskedNames { known: Mutex::default(), told: told.downgrade() }
    }

    /// The name as it is known now; from now on it is followed. `None`: it is no name.
    fn get(&self, host: &str, now: Instant) -> Option<Arc<Followed>> {
        if !is_name(host) {
            return None;
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = known.get_mut(host) {
            kept.used = now;
            return Some(kept.followed.clone());
        }
        known.retain(|_, kept| now.saturating_duration_since(kept.used) < IDLE_TIME);
        if known.len() >= MOST_NAMES {
            let oldest = known.iter().min_by_key(|(_, kept)| kept.used).map(|(host, _)| host.clone());
            oldest.iter().for_each(|host| drop(known.remove(host)));
        }
        let followed = Arc::new(Followed { name: Name::asked(host), known: Default::default() });
        self.told.upgrade()?.send(Arc::downgrade(&followed)).ok()?;
        known.insert(host.to_owned(), Kept { followed: followed.clone(), used: now });
        Some(followed)
    }
}

/// Whether a host is a name that can be looked up: not an address, nor what some take for one (WHATWG URL 3.5).
fn is_name(host: &str) -> bool {
    let last = host.rsplit('.').next().unwrap_or_default();
    let is_number = last.bytes().all(|byte| byte.is_ascii_digit()) || last.starts_with("0x");
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    host.len() <= LONGEST_NAME && !is_number && host.bytes().all(is_plain) && host.parse::<IpAddr>().is_err()
}

/// Who is asked for, of a service whose endpoints that is.
pub(crate) struct Asked {
    /// Lower-case, without a port.
    pub(crate) host: Arc<str>,
    port: u16,
    at: At,
}

/// Where that is.
enum At {
    Named(Arc<Followed>),
    /// It is an address itself.
    Here(IpAddr),
    /// The service is not there under this name.
    Nowhere,
}

impl Asked {
    /// Where it is, as far as that is known.
    pub(crate) fn addresses(&self) -> Vec<Address> {
        let at = |ip: &IpAddr| Address { ip: *ip, port: self.port };
        match &self.at {
            At::Named(own) => own.known.borrow().addresses.iter().map(at).collect(),
            At::Here(ip) => vec![at(ip)],
            At::Nowhere => vec![],
        }
    }

    /// Whether the service is there under this name at all.
    pub(crate) fn is_one(&self) -> bool {
        !matches!(self.at, At::Nowhere)
    }

    /// Waits until it has an address, has been looked up in vain, or so much time has passed.
    pub(crate) async fn named(&self, patience: Duration) {
        let At::Named(own) = &self.at else { return };
        let mut known = own.known.subscribe();
        let is_there = |known: &Known| known.is_answered || !known.addresses.is_empty();
        let _ = timeout(patience, known.wait_for(is_there)).await;
    }
}

impl Serving {
    /// Who a request for this host is for, where the endpoints of a port are who is asked for.
    pub(crate) fn asked(&self, service: u32, port: u32, host: &str) -> Option<Asked> {
        let mut all = instances(&self.view, service, port, NONE).peekable();
        let first = all.peek().filter(|own| own.is_asked())?;
        let (_, number) = first.address();
        let is_inside = all.any(|own| hosts::covers(own.name(), host));
        let at = match hosts::address(host) {
            _ if !is_inside => At::Nowhere,
            // Nor does an address lead a proxy to its own machine or its neighbours.
            Some(ip) if may_be_named(ip, true) => At::Here(ip),
            Some(_) => At::Nowhere,
            None => self.names.asked(host).map_or(At::Nowhere, At::Named),
        };
        // In TLS an address stands without brackets.
        let host = hosts::address(host).map_or(host.into(), |ip| ip.to_string().into());
        Some(Asked { host, port: number, at })
    }
}

impl super::Names {
    fn asked(&self, host: &str) -> Option<Arc<Followed>> {
        self.asked.as_ref()?.get(host, Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::mpsc::unbounded_channel;

    #[test]
    fn no_address_is_looked_up_and_nothing_that_some_take_for_one() {
        for host in ["a.x.test", "a", "x-1.a_b.test", "1.a"] {
            assert!(is_name(host), "{host}");
        }
        for host in ["127.0.0.1", "127.1", "1", "a.1", "a.0x7f", "[::1]", "::1", "*.x.test", "", "a.", "a b"]
        {
            assert!(!is_name(host), "{host}");
        }
        assert!(!is_name(&"a.".repeat(126).chars().chain("bcd".chars()).collect::<String>()));
    }

    #[test]
    fn made_up_names_make_room_by_what_was_asked_for_least_lately() {
        let (told, mut heard) = unbounded_channel();
        let names = AskedNames::new(&told);
        let began = Instant::now();
        let at = |seconds: usize| began + Duration::from_millis(seconds as u64);
        let first = names.get("first.test", at(0)).unwrap();
        for number in 1..MOST_NAMES {
            names.get(&format!("n{number}.test"), at(number)).unwrap();
        }
        let again = names.get("first.test", at(MOST_NAMES)).unwrap();
        assert!(Arc::ptr_eq(&first, &again));
        for number in 0..10 {
            names.get(&format!("more{number}.test"), at(MOST_NAMES + 1 + number)).unwrap();
        }
        let known = names.known.lock().unwrap();
        assert_eq!(known.len(), MOST_NAMES);
        assert!(known.contains_key("first.test") && known.contains_key("n11.test"));
        assert!(!known.contains_key("n1.test") && !known.contains_key("n10.test"));
        drop(known);
        let late = began + IDLE_TIME + Duration::from_secs(60);
        names.get("late.test", late).unwrap();
        assert_eq!(names.known.lock().unwrap().len(), 1, "nobody asks for the others any more");
        let mut followed = 0;
        while heard.try_recv().is_ok() {
            followed += 1;
        }
        assert_eq!(followed, MOST_NAMES + 11, "each is followed once");
        drop(told);
        assert!(names.get("new.test", late).is_none(), "nobody follows any more");
    }
}
