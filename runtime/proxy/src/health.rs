//! Asks the endpoints of services with a `health-check` whether they are well: all of them, from a thread of its own, whatever requests
//! come. Who is not well is found by a look at a list that is replaced as a whole, so a request waits for nobody.

mod asker;
mod question;

use crate::identity::Identity;
use crate::outside;
use crate::serving::Serving;
use crate::upstream::{Endpoint, Origin};
use arc_swap::ArcSwap;
use asker::{Asker, Key};
use mesh_engine::Address;
use mesh_engine::balance::health::Health;
use mesh_plan::{HealthCheck, NONE, Protocol};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::runtime::Builder;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{AbortHandle, LocalSet};
use tokio::time::{MissedTickBehavior, interval, timeout};

/// How endpoints are asked whether they are well.
#[derive(Clone, Debug)]
pub struct Checking {
    /// Tells the operator of an endpoint that is not well, and why, and when it is well again.
    pub say: fn(&str),
}

impl Default for Checking {
    /// Telling nobody.
    fn default() -> Checking {
        Checking { say: |_| {} }
    }
}

/// Endpoints that are not well, by the name of their service.
pub(crate) type Unwell = ArcSwap<HashMap<String, Arc<[Address]>>>;

/// The thread that asks. It ends when this is dropped.
pub(crate) struct Asking {
    plans: Option<UnboundedSender<Served>>,
    thread: Option<JoinHandle<()>>,
}

/// A plan in service, and who the proxy is at its doors, in their order.
struct Served {
    plan: Arc<Serving>,
    own: Vec<Arc<Identity>>,
}

impl Asking {
    pub(crate) fn start(unwell: Arc<Unwell>, checking: Checking) -> io::Result<Asking> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (plans, told) = unbounded_channel();
        let ask = move || LocalSet::new().block_on(&runtime, follow(told, unwell, checking));
        let thread = std::thread::Builder::new().name("health".to_owned()).spawn(ask)?;
        Ok(Asking { plans: Some(plans), thread: Some(thread) })
    }

    /// From now on the endpoints of this plan are asked, by a proxy that is these at its doors. Those that were asked in the same way before
    /// go on.
    pub(crate) fn of(&self, plan: Arc<Serving>, own: Vec<Arc<Identity>>) {
        if let Some(plans) = &self.plans {
            let _ = plans.send(Served { plan, own });
        }
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.plans = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// One endpoint that is asked, in one way.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Asked {
    service: String,
    address: Address,
    protocol: Protocol,
    by: Key,
    check: HealthCheck,
}

/// For whom an endpoint is asked, and as whom.
struct Way {
    host: String,
    asker: Asker,
}

/// Who is out: shared by the tasks of the thread.
type Out = Rc<RefCell<BTreeMap<String, BTreeSet<Address>>>>;

async fn follow(mut plans: UnboundedReceiver<Served>, unwell: Arc<Unwell>, checking: Checking) {
    let mut tasks: BTreeMap<Asked, AbortHandle> = BTreeMap::new();
    let out = Out::default();
    let Some(mut served) = plans.recv().await else { return };
    let mut names = served.plan.names.listen();
    loop {
        let wanted = wanted(&served);
        tasks.retain(|asked, task| {
            let stays = wanted.contains_key(asked);
            if !stays {
                task.abort();
                is_in(&out, &asked.service, asked.address);
            }
            stays
        });
        for (asked, way) in wanted {
            let told = Told { out: out.clone(), unwell: unwell.clone(), say: checking.say };
            let begin = || tokio::task::spawn_local(ask(asked.clone(), way, told));
            tasks.entry(asked.clone()).or_insert_with(|| begin().abort_handle());
        }
        publish(&out, &unwell);
        tokio::select! {
            told = plans.recv() => match told {
                Some(next) => {
                    names = next.plan.names.listen();
                    served = next;
                }
                None => return,
            },
            Ok(()) = names.changed() => {}
        }
    }
}

/// All that a plan wants to be asked. What this proxy does not know how to speak to, and whom it may not ask, it does not ask.
fn wanted(Served { plan: serving, own }: &Served) -> BTreeMap<Asked, Way> {
    let plan = &serving.view;
    let mut wanted = BTreeMap::new();
    for (service, index) in plan.services().iter().zip(0..) {
        let (Some(check), Ok(outside)) = (service.health_check(), outside::of(serving, index)) else {
            continue;
        };
        let check = check.to_value();
        // One outside knows itself by its name there.
        let host = outside.map(|outside| outside.name()).filter(|name| !name.is_empty());
        for (port, number) in service.ports().iter().zip(0..) {
            let protocol = port.protocol();
            let asker = match outside {
                Some(outside) => Some(Asker::Outsider(outside.number(), outside.at(protocol))),
                None => Asker::inside(serving, own, service, (port, number), &check.probe),
            };
            let Some(asker) = asker else { continue };
            wanted.extend(serving.endpoints(index, number, NONE).into_iter().map(|(address, _)| {
                let (check, service) = (check.clone(), service.name().to_owned());
                let way = Way { host: host.unwrap_or(&service).to_owned(), asker: asker.clone() };
                (Asked { service, address, protocol, by: way.asker.key(), check }, way)
            }));
        }
    }
    wanted
}

/// Where it is told what was found out.
struct Told {
    out: Out,
    unwell: Arc<Unwell>,
    say: fn(&str),
}

/// Asks one endpoint for as long as it is there.
async fn ask(asked: Asked, Way { host, asker }: Way, Told { out, unwell, say }: Told) {
    let Asked { service, address, protocol, check, .. } = asked;
    let mut health = Health::default();
    let mut times = interval(Duration::from_millis(check.interval.into()));
    times.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        times.tick().await;
        let time = Duration::from_millis(check.timeout.into());
        let endpoint = Endpoint { address, tls: asker.now() };
        let origin = Origin { endpoint, http2: protocol.is_http2(), connect_time: time };
        let answered = timeout(time, question::ask(&host, origin, &check.probe)).await;
        let answered =
            answered.unwrap_or_else(|_| Err(format!("it did not answer within {} ms", check.timeout)));
        if !health.hear(&check, answered.is_ok()) {
            continue;
        }
        let endpoint = SocketAddr::new(address.ip, address.port);
        let said = match answered {
            Err(why) => {
                out.borrow_mut().entry(service.clone()).or_default().insert(address);
                format!("warning: {endpoint} of `{service}` is not well: {why}; asking again")
            }
            Ok(()) => {
                is_in(&out, &service, address);
                format!("{endpoint} of `{service}` is well again")
            }
        };
        publish(&out, &unwell);
        say(&said);
    }
}

fn is_in(out: &Out, service: &str, address: Address) {
    let mut out = out.borrow_mut();
    if let Some(own) = out.get_mut(service) {
        own.remove(&address);
        if own.is_empty() {
            out.remove(service);
        }
    }
}

fn publish(out: &Out, unwell: &Unwell) {
    let out = out.borrow();
    let lists = out.iter().map(|(service, own)| (service.clone(), own.iter().copied().collect()));
    unwell.store(Arc::new(lists.collect()));
}
