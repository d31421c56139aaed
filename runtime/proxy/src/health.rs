//! Asks the endpoints of services with a `health-check` whether they are well: all of them, from a thread of its own, whatever requests
//! come. Who is not well is found by a look at a list that is replaced as a whole, so a request waits for nobody.

use crate::body::Outgoing;
use crate::grpc;
use crate::head::Head;
use crate::outside::{self, Secured};
use crate::serving::Serving;
use crate::upstream::{Endpoint, Origin, Pool, stream_to};
use arc_swap::ArcSwap;
use hyper::body::{Body as _, Bytes};
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Uri};
use mesh_engine::Address;
use mesh_engine::balance::health::Health;
use mesh_plan::{HealthCheck, NONE, Probe, Protocol};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::runtime::Builder;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{AbortHandle, LocalSet};
use tokio::time::{MissedTickBehavior, interval, timeout};

/// Endpoints that are not well, by the name of their service.
pub(crate) type Unwell = ArcSwap<HashMap<String, Arc<[Address]>>>;

/// The thread that asks. It ends when this is dropped.
pub(crate) struct Asking {
    plans: Option<UnboundedSender<Arc<Serving>>>,
    thread: Option<JoinHandle<()>>,
}

impl Asking {
    pub(crate) fn start(unwell: Arc<Unwell>) -> io::Result<Asking> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (plans, told) = unbounded_channel();
        let ask = move || LocalSet::new().block_on(&runtime, follow(told, unwell));
        let thread = std::thread::Builder::new().name("health".to_owned()).spawn(ask)?;
        Ok(Asking { plans: Some(plans), thread: Some(thread) })
    }

    /// From now on the endpoints of this plan are asked. Those that were asked in the same way before go on.
    pub(crate) fn of(&self, plan: Arc<Serving>) {
        if let Some(plans) = &self.plans {
            let _ = plans.send(plan);
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
    /// If the service is outside of the mesh and spoken to in TLS: in which, by its number.
    outside: Option<u64>,
    check: HealthCheck,
}

/// As whom an endpoint is asked, and in which TLS.
struct Way {
    host: String,
    tls: Option<Secured>,
}

/// Who is out: shared by the tasks of the thread.
type Out = Rc<RefCell<BTreeMap<String, BTreeSet<Address>>>>;

async fn follow(mut plans: UnboundedReceiver<Arc<Serving>>, unwell: Arc<Unwell>) {
    let mut tasks: BTreeMap<Asked, AbortHandle> = BTreeMap::new();
    let out = Out::default();
    let Some(mut plan) = plans.recv().await else { return };
    let mut names = plan.names.listen();
    loop {
        let wanted = wanted(&plan);
        tasks.retain(|asked, task| {
            let stays = wanted.contains_key(asked);
            if !stays {
                task.abort();
                is_in(&out, &asked.service, asked.address);
            }
            stays
        });
        for (asked, way) in wanted {
            let begin = || tokio::task::spawn_local(ask(asked.clone(), way, out.clone(), unwell.clone()));
            tasks.entry(asked.clone()).or_insert_with(|| begin().abort_handle());
        }
        publish(&out, &unwell);
        tokio::select! {
            told = plans.recv() => match told {
                Some(next) => {
                    names = next.names.listen();
                    plan = next;
                }
                None => return,
            },
            Ok(()) = names.changed() => {}
        }
    }
}

/// All that a plan wants to be asked. What this proxy does not know how to speak to it does not ask.
fn wanted(serving: &Serving) -> BTreeMap<Asked, Way> {
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
            wanted.extend(serving.endpoints(index, number, NONE).into_iter().map(|(address, _)| {
                let (protocol, check) = (port.protocol(), check.clone());
                let service = service.name().to_owned();
                let way = Way {
                    host: host.unwrap_or(&service).to_owned(),
                    tls: outside.and_then(|outside| outside.at(protocol)),
                };
                let outside = outside.map(|outside| outside.number());
                (Asked { service, address, protocol, outside, check }, way)
            }));
        }
    }
    wanted
}

/// Asks one endpoint for as long as it is there.
async fn ask(asked: Asked, Way { host, tls }: Way, out: Out, unwell: Arc<Unwell>) {
    let Asked { service, address, protocol, check, .. } = asked;
    let mut health = Health::default();
    let mut times = interval(Duration::from_millis(check.interval.into()));
    times.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        times.tick().await;
        let time = Duration::from_millis(check.timeout.into());
        let endpoint = Endpoint { address, tls: tls.clone() };
        let origin = Origin { endpoint, http2: protocol.is_http2(), connect_time: time };
        let well = timeout(time, is_well(&host, origin, &check.probe)).await.unwrap_or(false);
        if !health.hear(&check, well) {
            continue;
        }
        if health.is_out() {
            out.borrow_mut().entry(service.clone()).or_default().insert(address);
        } else {
            is_in(&out, &service, address);
        }
        publish(&out, &unwell);
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

/// Asks once.
async fn is_well(host: &str, origin: Origin, probe: &Probe) -> bool {
    match probe {
        Probe::Tcp => stream_to(&origin).await.is_ok(),
        Probe::Grpc => serves(host, origin).await.unwrap_or(false),
        Probe::Get(path) => answers(host, origin, path).await.is_some_and(|status| status / 100 == 2),
    }
}

/// The status of the answer to `GET` of a path.
async fn answers(host: &str, origin: Origin, path: &str) -> Option<u16> {
    let mut headers = HeaderMap::new();
    headers.insert(header::HOST, HeaderValue::try_from(host).ok()?);
    headers.insert(header::USER_AGENT, HeaderValue::from_static("mesh-proxy health-check"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    let mut head = Head { method: Method::GET, uri: Uri::try_from(path).ok()?, headers };
    // A connection of its own: whether one can be made is a part of the question.
    let mut connection = Rc::<Pool>::default().connect(&origin, vec![]).await.ok()?;
    let response = connection.send(head.request(Outgoing::Empty, &origin, true)).await.ok()?;
    Some(response.status().as_u16())
}

/// The empty message of gRPC: it asks `grpc.health.v1.Health/Check` about all that a server serves.
const ASK: &[u8] = &[0, 0, 0, 0, 0];
/// What `SERVING` is in the answer's message: field 1 with the number 1.
const SERVING: &[u8] = &[0, 0, 0, 0, 2, 0x08, 1];

/// Whether `grpc.health.v1.Health/Check` says so.
async fn serves(host: &str, origin: Origin) -> Option<bool> {
    let mut headers = HeaderMap::new();
    headers.insert(header::HOST, HeaderValue::try_from(host).ok()?);
    headers.insert(header::USER_AGENT, HeaderValue::from_static("mesh-proxy health-check"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(header::TE, HeaderValue::from_static("trailers"));
    let uri = Uri::from_static("/grpc.health.v1.Health/Check");
    let mut head = Head { method: Method::POST, uri, headers };
    let mut connection = Rc::<Pool>::default().connect(&origin, vec![]).await.ok()?;
    let request = head.request(Outgoing::Kept(Bytes::from_static(ASK)), &origin, true);
    connection.send(request).await.ok()?;
    // A status in the head is the end of a call without a message, and no answer.
    let mut message = Vec::new();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut connection).poll_frame(cx)).await {
        match frame.ok()?.into_data() {
            Ok(data) if message.len() + data.len() <= SERVING.len() => message.extend_from_slice(&data),
            Ok(_) => return None,
            Err(frame) => return Some(grpc::status(frame.trailers_ref()?) == Some(0) && message == SERVING),
        }
    }
    None
}
