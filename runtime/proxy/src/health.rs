//! Asks the endpoints of services with a `health-check` whether they are well: all of them, from a thread of its own, whatever requests
//! come. Who is not well is found by a look at a list that is replaced as a whole, so a request waits for nobody.

use crate::body::Outgoing;
use crate::grpc;
use crate::head::Head;
use crate::upstream::{Endpoint, Origin, Pool, stream_to};
use arc_swap::ArcSwap;
use hyper::body::{Body as _, Bytes};
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Uri};
use mesh_engine::balance::health::Health;
use mesh_engine::{Address, endpoints};
use mesh_plan::{HealthCheck, NONE, PlanView, Probe};
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
    plans: Option<UnboundedSender<PlanView>>,
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
    pub(crate) fn of(&self, plan: PlanView) {
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

/// One endpoint that is asked, in one way: its service, its address, whether it speaks HTTP/2, and how.
type Asked = (String, Address, bool, HealthCheck);

/// Who is out: shared by the tasks of the thread.
type Out = Rc<RefCell<BTreeMap<String, BTreeSet<Address>>>>;

async fn follow(mut plans: UnboundedReceiver<PlanView>, unwell: Arc<Unwell>) {
    let mut tasks: BTreeMap<Asked, AbortHandle> = BTreeMap::new();
    let out = Out::default();
    while let Some(plan) = plans.recv().await {
        let wanted = wanted(&plan);
        tasks.retain(|asked, task| {
            let stays = wanted.contains(asked);
            if !stays {
                task.abort();
                is_in(&out, &asked.0, asked.1);
            }
            stays
        });
        for asked in wanted {
            let begin = || tokio::task::spawn_local(ask(asked.clone(), out.clone(), unwell.clone()));
            tasks.entry(asked.clone()).or_insert_with(|| begin().abort_handle());
        }
        publish(&out, &unwell);
    }
}

/// All that a plan wants to be asked.
fn wanted(plan: &PlanView) -> BTreeSet<Asked> {
    let services = plan.services().iter().zip(0..);
    let asked =
        services.filter_map(|(service, index)| Some((service, index, service.health_check()?.to_value())));
    let addresses = asked.flat_map(|(service, index, check)| {
        let ports = 0..service.ports().len();
        let of_port = move |port| {
            let http2 = service.port(port).is_some_and(|port| port.protocol().is_http2());
            endpoints(plan, index, port, NONE).map(move |address| (address, http2))
        };
        let asked = move |(address, http2)| (service.name().to_owned(), address, http2, check.clone());
        ports.flat_map(of_port).map(asked)
    });
    addresses.collect()
}

/// Asks one endpoint for as long as it is there.
async fn ask((service, address, http2, check): Asked, out: Out, unwell: Arc<Unwell>) {
    let mut health = Health::default();
    let mut times = interval(Duration::from_millis(check.interval.into()));
    times.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        times.tick().await;
        let time = Duration::from_millis(check.timeout.into());
        let origin = Origin { endpoint: Endpoint { address, mutual: None }, http2, connect_time: time };
        let well = timeout(time, is_well(&service, origin, &check.probe)).await.unwrap_or(false);
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
async fn is_well(service: &str, origin: Origin, probe: &Probe) -> bool {
    match probe {
        Probe::Tcp => stream_to(&origin).await.is_ok(),
        Probe::Grpc => serves(service, origin).await.unwrap_or(false),
        Probe::Get(path) => answers(service, origin, path).await.is_some_and(|status| status / 100 == 2),
    }
}

/// The status of the answer to `GET` of a path.
async fn answers(service: &str, origin: Origin, path: &str) -> Option<u16> {
    let mut headers = HeaderMap::new();
    headers.insert(header::HOST, HeaderValue::try_from(service).ok()?);
    headers.insert(header::USER_AGENT, HeaderValue::from_static("mesh-proxy health-check"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    let mut head = Head { method: Method::GET, uri: Uri::try_from(path).ok()?, headers };
    // A connection of its own: whether one can be made is a part of the question.
    let mut connection = Rc::<Pool>::default().connect(&origin, vec![]).await.ok()?;
    let response = connection.send(head.request(Outgoing::Empty, origin.http2, true)).await.ok()?;
    Some(response.status().as_u16())
}

/// The empty message of gRPC: it asks `grpc.health.v1.Health/Check` about all that a server serves.
const ASK: &[u8] = &[0, 0, 0, 0, 0];
/// What `SERVING` is in the answer's message: field 1 with the number 1.
const SERVING: &[u8] = &[0, 0, 0, 0, 2, 0x08, 1];

/// Whether `grpc.health.v1.Health/Check` says so.
async fn serves(service: &str, origin: Origin) -> Option<bool> {
    let mut headers = HeaderMap::new();
    headers.insert(header::HOST, HeaderValue::try_from(service).ok()?);
    headers.insert(header::USER_AGENT, HeaderValue::from_static("mesh-proxy health-check"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(header::TE, HeaderValue::from_static("trailers"));
    let uri = Uri::from_static("/grpc.health.v1.Health/Check");
    let mut head = Head { method: Method::POST, uri, headers };
    let mut connection = Rc::<Pool>::default().connect(&origin, vec![]).await.ok()?;
    let request = head.request(Outgoing::Kept(Bytes::from_static(ASK)), origin.http2, true);
    let response = connection.send(request).await.ok()?;
    // A status in the head is the end of a call without a message, and no answer.
    let mut body = response.into_body();
    let mut message = Vec::new();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        match frame.ok()?.into_data() {
            Ok(data) if message.len() + data.len() <= SERVING.len() => message.extend_from_slice(&data),
            Ok(_) => return None,
            Err(frame) => return Some(grpc::status(frame.trailers_ref()?) == Some(0) && message == SERVING),
        }
    }
    None
}
