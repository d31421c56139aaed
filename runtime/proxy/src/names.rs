//! Endpoints that are known by name: each address of the name is one. All names are looked up by a thread of its own, again and again; a
//! request finds the last good addresses. An answer without addresses does not replace them: a service is not gone because its name is.

mod asked;
mod machine;
mod resolver;
mod wire;

use crate::serving::Serving;
pub(crate) use asked::Asked;
use asked::AskedNames;
use mesh_engine::{Address, instances};
use mesh_plan::view::Endpoint;
use resolver::{Resolver, Told};
use std::collections::{BTreeMap, HashSet};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::runtime::Builder;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Semaphore, watch};
use tokio::task::LocalSet;
use tokio::time::{sleep, timeout};

/// An answer holds for its TTL, but for no less than this: with a TTL of zero, as registries of services give, every proxy asks once a second.
const LEAST_TIME: Duration = Duration::from_secs(1);
/// And for no longer than this: who wrote a day into a zone can move within minutes nevertheless.
const MOST_TIME: Duration = Duration::from_secs(300);
/// After no answer, or one without addresses: doubled with each more up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Names that are looked up at once: a plan with thousands of them does not drown its server.
const MOST_AT_ONCE: usize = 64;
/// The same of names that callers say: who makes many of them up does not keep those of plans from being looked up.
const MOST_ASKED_AT_ONCE: usize = 32;
/// Addresses of a name that are used, the first in order: as many as fit in a message several times over, and none of them by chance.
const MOST_ADDRESSES: usize = 1_024;

/// How names are looked up.
#[derive(Clone, Debug)]
pub struct Looking {
    /// The servers that are asked; without any, those of /etc/resolv.conf.
    pub servers: Vec<SocketAddr>,
    /// Tells the operator of names that have no addresses, once, and when they have some again.
    pub say: fn(&str),
}

impl Default for Looking {
    /// As the system does, and telling nobody.
    fn default() -> Looking {
        Looking { servers: vec![], say: |_| {} }
    }
}

/// What is looked up.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    host: String,
    /// Whether it is one outside of the mesh.
    is_outside: bool,
    /// Whether it is a caller who says it: then nothing that is told of it leads to this machine or its neighbours, and operators hear nothing
    /// of it.
    is_asked: bool,
}

impl Name {
    /// Of who is asked for, only callers say it.
    fn of(endpoint: Endpoint<'_>) -> Option<Name> {
        let host = endpoint.name();
        let is_outside = endpoint.is_outside();
        let is_looked_up = !host.is_empty() && !endpoint.is_asked();
        is_looked_up.then(|| Name { host: host.to_owned(), is_outside, is_asked: false })
    }

    fn asked(host: &str) -> Name {
        Name { host: host.to_owned(), is_outside: true, is_asked: true }
    }
}

/// A name that is followed, as it is now.
struct Followed {
    name: Name,
    known: watch::Sender<Known>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Known {
    /// Sorted.
    addresses: Arc<[IpAddr]>,
    /// Whether anything was heard at all.
    is_answered: bool,
}

/// Counts what changes in any name.
#[derive(Default)]
struct Changes {
    count: AtomicU64,
    told: watch::Sender<()>,
}

/// The names of a plan.
#[derive(Default)]
pub(crate) struct Names {
    followed: BTreeMap<Name, Arc<Followed>>,
    changes: Arc<Changes>,
    /// Without it nobody looks names up.
    asked: Option<Arc<AskedNames>>,
}

impl Names {
    /// As long as this is the same, all addresses are.
    pub(crate) fn version(&self) -> u64 {
        self.changes.count.load(Ordering::Acquire)
    }

    /// Hears of changes from now on.
    pub(crate) fn listen(&self) -> watch::Receiver<()> {
        self.changes.told.subscribe()
    }

    fn of(&self, endpoint: Endpoint<'_>) -> Option<&Followed> {
        self.followed.get(&Name::of(endpoint)?).map(Arc::as_ref)
    }
}

impl Serving {
    /// The endpoints of a port, of one subset or of [`mesh_plan::NONE`] all, by address as far as those are known: each address once.
    pub(crate) fn endpoints(&self, service: u32, port: u32, subset: u32) -> Vec<(Address, Endpoint<'_>)> {
        let mut found = Vec::new();
        let mut has_names = false;
        for endpoint in instances(&self.view, service, port, subset) {
            if let Some(address) = Address::of(endpoint) {
                found.push((address, endpoint));
                continue;
            }
            has_names = true;
            let addresses = self.names.of(endpoint).map(|own| own.known.borrow().addresses.clone());
            let (_, port) = endpoint.address();
            let addresses = addresses.iter().flat_map(|all| all.iter());
            found.extend(addresses.map(|ip| (Address { ip: *ip, port }, endpoint)));
        }
        if has_names {
            let mut seen = HashSet::new();
            found.retain(|(address, _)| seen.insert(*address));
        }
        found
    }

    /// Whether there are names among the endpoints of a port.
    pub(crate) fn has_names(&self, service: u32, port: u32, subset: u32) -> bool {
        instances(&self.view, service, port, subset).any(|endpoint| !endpoint.name().is_empty())
    }

    /// Waits until one of the names of a port has an address, all have been looked up in vain, or so much time has passed.
    pub(crate) async fn named(&self, service: u32, port: u32, subset: u32, patience: Duration) {
        let names = || {
            let endpoints = instances(&self.view, service, port, subset);
            endpoints.filter_map(|endpoint| self.names.of(endpoint))
        };
        let mut changes = self.names.listen();
        let known = async {
            loop {
                let mut waits = false;
                for own in names() {
                    let known = own.known.borrow();
                    if !known.addresses.is_empty() {
                        return;
                    }
                    waits |= !known.is_answered;
                }
                if !waits || changes.changed().await.is_err() {
                    return;
                }
            }
        };
        let _ = timeout(patience, known).await;
    }
}

/// The names of all plans in service, and the thread that follows them. It ends when this is dropped.
pub(crate) struct Lookups {
    known: Mutex<BTreeMap<Name, Weak<Followed>>>,
    changes: Arc<Changes>,
    asked: Arc<AskedNames>,
    told: Option<UnboundedSender<Weak<Followed>>>,
    thread: Option<JoinHandle<()>>,
}

impl Lookups {
    pub(crate) fn start(looking: Looking) -> io::Result<Lookups> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (told, new) = unbounded_channel();
        let changes = Arc::new(Changes::default());
        let own = changes.clone();
        let follow = move || LocalSet::new().block_on(&runtime, follow(new, looking, own));
        let thread = std::thread::Builder::new().name("names".to_owned()).spawn(follow)?;
        let asked = Arc::new(AskedNames::new(&told));
        Ok(Lookups { known: Mutex::default(), changes, asked, told: Some(told), thread: Some(thread) })
    }

    /// The names of a plan: each is followed for as long as somebody has it.
    pub(crate) fn of(&self, plan: &mesh_plan::PlanView) -> Names {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, own| own.strong_count() > 0);
        let ports = plan.services().iter().flat_map(|service| service.ports().iter());
        let names = ports.flat_map(|port| port.endpoints().iter()).filter_map(Name::of);
        let mut followed = BTreeMap::new();
        for name in names {
            let own = known.get(&name).and_then(Weak::upgrade).unwrap_or_else(|| {
                let own = Arc::new(Followed { name: name.clone(), known: watch::Sender::default() });
                known.insert(name.clone(), Arc::downgrade(&own));
                if let Some(told) = &self.told {
                    let _ = told.send(Arc::downgrade(&own));
                }
                own
            });
            followed.insert(name, own);
        }
        Names { followed, changes: self.changes.clone(), asked: Some(self.asked.clone()) }
    }
}

impl Drop for Lookups {
    fn drop(&mut self) {
        self.told = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn follow(mut new: UnboundedReceiver<Weak<Followed>>, looking: Looking, changes: Arc<Changes>) {
    let (resolver, say) = (Rc::new(Resolver { servers: looking.servers }), looking.say);
    let [at_once, asked_at_once] =
        [MOST_AT_ONCE, MOST_ASKED_AT_ONCE].map(|most| Rc::new(Semaphore::new(most)));
    // Whoever waits for a name that was asked for waits for that one.
    let unheard = Arc::new(Changes::default());
    while let Some(own) = new.recv().await {
        let is_asked = own.upgrade().is_some_and(|own| own.name.is_asked);
        let at_once = if is_asked { asked_at_once.clone() } else { at_once.clone() };
        let resolver = resolver.clone();
        let (say, changes): (fn(&str), _) =
            if is_asked { (|_| {}, unheard.clone()) } else { (say, changes.clone()) };
        tokio::task::spawn_local(async move {
            let look_up = async |name: &Name| {
                let _one_of = at_once.acquire().await;
                let told = resolver.look_up(&name.host, name.is_outside).await;
                if name.is_asked { told.map(|own| own.usable(true)) } else { told }
            };
            keep_looking(own, &changes, say, look_up).await;
        });
    }
}

/// What is known of a name, of each family by itself: one may be heard of while the other is not.
#[derive(Default)]
struct Heard {
    families: [Vec<IpAddr>; 2],
    /// Whether the operator was told that something is wrong.
    is_told: bool,
    failures: u32,
}

impl Heard {
    /// Takes over what was told; how long that holds, if there are addresses in it, and what is wrong with it.
    fn take(&mut self, told: [Told; 2]) -> (Option<Duration>, Option<String>) {
        let mut next = self.families.clone();
        let (mut holds, mut wrong): (Option<Duration>, _) = (None, None);
        for (own, told) in next.iter_mut().zip(told) {
            match told {
                Told::Addresses(addresses, time) => {
                    let time = time.clamp(LEAST_TIME, MOST_TIME);
                    holds = Some(holds.map_or(time, |holds| holds.min(time)));
                    *own = addresses;
                }
                Told::Nothing => own.clear(),
                Told::Unusable(why) => {
                    own.clear();
                    wrong = Some(why);
                }
                // What was heard of this family before stays.
                Told::Failed(why) => wrong = Some(why),
            }
        }
        if next.iter().all(Vec::is_empty) {
            return (None, Some(wrong.unwrap_or_else(|| "it has no addresses".to_owned())));
        }
        self.families = next;
        (holds, wrong)
    }

    /// When to look again. Many proxies that have heard the same at once do not ask again at once: `drawn` is from 0 to 1.
    fn pause(&mut self, holds: Option<Duration>, drawn: f64) -> Duration {
        match holds {
            Some(holds) => {
                self.failures = 0;
                holds.mul_f64(0.8 + 0.2 * drawn).max(LEAST_TIME)
            }
            None => {
                let pause = FIRST_PAUSE.saturating_mul(1 << self.failures.min(5)).min(LONGEST_PAUSE);
                self.failures = self.failures.saturating_add(1);
                pause.mul_f64(0.5 + 0.5 * drawn)
            }
        }
    }

    fn addresses(&self) -> Arc<[IpAddr]> {
        let mut all: Vec<IpAddr> = self.families.iter().flatten().copied().collect();
        all.sort_unstable();
        all.dedup();
        all.truncate(MOST_ADDRESSES);
        all.into()
    }
}

/// Looks a name up in the way that is given, from time to time, for as long as somebody needs it.
async fn keep_looking(
    followed: Weak<Followed>,
    changes: &Changes,
    say: fn(&str),
    look_up: impl AsyncFn(&Name) -> [Told; 2],
) {
    let Some(name) = followed.upgrade().map(|own| own.name.clone()) else { return };
    let mut heard = Heard::default();
    loop {
        let told = look_up(&name).await;
        let Some(own) = followed.upgrade() else { return };
        let (holds, wrong) = heard.take(told);
        let known = Known { addresses: heard.addresses(), is_answered: true };
        let has_changed = own.known.send_if_modified(|before| {
            let has_changed = *before != known;
            before.clone_from(&known);
            has_changed
        });
        drop(own);
        if has_changed {
            changes.count.fetch_add(1, Ordering::Release);
            changes.told.send_replace(());
        }
        let host = &name.host;
        let count = match known.addresses.len() {
            1 => "1 address".to_owned(),
            many => format!("{many} addresses"),
        };
        match wrong {
            None if std::mem::take(&mut heard.is_told) => say(&format!("`{host}` has {count} again")),
            Some(why) if !std::mem::replace(&mut heard.is_told, true) => {
                say(&format!("warning: cannot look up `{host}`: {why}; known so far: {count}; asking again"));
            }
            None | Some(_) => {}
        }
        sleep(heard.pause(holds, fastrand::f64())).await;
    }
}

#[cfg(test)]
mod tests;
