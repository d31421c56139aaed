//! Asks the endpoints of services with a `health-check` whether they are well: all of them, from a thread of its own, whatever requests
//! come. Who is not well is found by a look at a list that is replaced as a whole, so a request waits for nobody.

use crate::body::Outgoing;
use arc_swap::ArcSwap;
use hyper::client::conn::http1;
use hyper::header::{self, HeaderValue};
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use mesh_engine::balance::health::Health;
use mesh_engine::{Address, endpoints};
use mesh_plan::{HealthCheck, NONE, PlanView, Probe};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::TcpStream;
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

/// One endpoint that is asked, in one way.
type Asked = (String, Address, HealthCheck);

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
        let of_port = move |port| endpoints(plan, index, port, NONE);
        ports.flat_map(of_port).map(move |address| (service.name().to_owned(), address, check.clone()))
    });
    addresses.collect()
}

/// Asks one endpoint for as long as it is there.
async fn ask((service, address, check): Asked, out: Out, unwell: Arc<Unwell>) {
    let mut health = Health::default();
    let mut times = interval(Duration::from_millis(check.interval.into()));
    times.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        times.tick().await;
        let time = Duration::from_millis(check.timeout.into());
        let well = timeout(time, is_well(&service, address, &check.probe)).await.unwrap_or(false);
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
async fn is_well(service: &str, address: Address, probe: &Probe) -> bool {
    let stream = TcpStream::connect(SocketAddr::new(address.ip, address.port)).await;
    match (stream, probe) {
        (Err(_), _) => false,
        (Ok(_), Probe::Tcp) => true,
        (Ok(stream), Probe::Get(path)) => {
            answers(stream, service, path).await.is_some_and(|status| status / 100 == 2)
        }
    }
}

/// The status of the answer to `GET` of a path.
async fn answers(stream: TcpStream, service: &str, path: &str) -> Option<u16> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
    let mut request = Request::new(Outgoing::Empty);
    *request.uri_mut() = Uri::try_from(path).ok()?;
    let headers = request.headers_mut();
    headers.insert(header::HOST, HeaderValue::try_from(service).ok()?);
    headers.insert(header::USER_AGENT, HeaderValue::from_static("mesh-proxy health-check"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    // It is driven beside: when it ends, an answer that it has brought is still there.
    let driven = tokio::task::spawn_local(connection);
    let response = sender.send_request(request).await;
    driven.abort();
    response.ok().map(|response| response.status().as_u16())
}
