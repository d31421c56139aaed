//! Starting the proxy, and holding it while it runs: swap its plan, ask for its addresses, end it.

use crate::breaker::Gauges;
use crate::cause::cause;
use crate::doors::{self, Door, DoorError, Wanted, WrongIdentity, called, called::Astray};
use crate::health::{Asking, Checking};
use crate::identity::Identity;
use crate::jwt::{Fetching, Guard, Sources};
use crate::limits::Counts;
use crate::listen::{self, BindError};
use crate::log::{self, AccessLog};
use crate::names::{Looking, Lookups, Names};
use crate::outliers::Detectors;
use crate::outside;
use crate::serving::{Entrance, Opened, Rejected, Serving, Shared, SocketId};
use crate::store::Certificates;
use crate::terminate::{self, Termination};
use crate::worker::{self, Command, Thread};
use crate::{admin, admin::Admin};
use arc_swap::{ArcSwap, ArcSwapOption};
use mesh_engine::balance::nearness::Here;
use mesh_engine::{Address, Entry, Peer, Resolved};
use mesh_plan::PlanView;
use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use std::{fmt, io};
use tokio::sync::Notify;

/// How to run.
#[derive(Debug)]
pub struct Config {
    /// Where traffic comes in.
    pub doors: Vec<Door>,
    /// Who the proxy is: nobody, or for each door the identity that the plan has for whom it serves.
    pub identities: Vec<Arc<Identity>>,
    /// Where the certificates are that listeners show, and of services outside of the mesh.
    pub certificates: Option<Arc<Certificates>>,
    /// Number of worker threads; 0: one for each core.
    pub workers: usize,
    /// Where `/live`, `/ready` and `/plan` are answered, if anywhere. Only on loopback.
    pub admin: Option<SocketAddr>,
    /// Where the access log goes.
    pub access_log: AccessLog,
    /// Whether each answer says which plan decided: `x-mesh-plan`, as the access log says it.
    pub plan_header: bool,
    /// Where this proxy is, for services whose near endpoints are preferred.
    pub here: Here,
    /// How keys of tokens' issuers are fetched.
    pub jwks: Fetching,
    /// How endpoints are looked up that are known by name.
    pub names: Looking,
    /// How endpoints are asked whether they are well.
    pub health: Checking,
    /// How long [`Handle::shutdown`] waits for requests in flight, and how long a door that a plan no longer has does.
    pub drain: Duration,
}

/// Why the proxy does not start.
#[derive(Debug)]
pub enum StartError {
    /// A door does not fit the plan.
    Door(DoorError),
    /// The proxy is not who it would have to be.
    Identity(WrongIdentity),
    /// A certificate that a listener shows or that a service outside is shown, or one of an authority, is not there or is none.
    Certificate(String),
    /// A door's address, or the admin's.
    Bind(BindError),
    /// What the admin tells is not for the network.
    AdminNotLoopback(SocketAddr),
    /// A thread or its runtime could not be made.
    Thread(io::Error),
}

/// Why a plan is not taken over. The one before it stays in service.
#[derive(Debug)]
pub enum SwapError {
    /// A door does not fit the new plan.
    Door(DoorError),
    /// The proxy is not who it would have to be.
    Identity(WrongIdentity),
    /// A certificate that a listener shows or that a service outside is shown, or one of an authority, is not there or is none.
    Certificate(String),
    /// An address that only the new plan needs.
    Bind(BindError),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Door(error) => error.fmt(f),
            StartError::Identity(error) => error.fmt(f),
            StartError::Certificate(why) => f.write_str(why),
            StartError::Bind(error) => error.fmt(f),
            StartError::AdminNotLoopback(address) => {
                write!(f, "the admin address {address} is not a loopback address, such as 127.0.0.1:9901")
            }
            StartError::Thread(error) => write!(f, "cannot start a thread: {}", cause(error)),
        }
    }
}

impl fmt::Display for SwapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SwapError::Door(error) => error.fmt(f),
            SwapError::Identity(error) => error.fmt(f),
            SwapError::Certificate(why) => f.write_str(why),
            SwapError::Bind(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for StartError {}
impl std::error::Error for SwapError {}

impl From<SwapError> for StartError {
    fn from(error: SwapError) -> StartError {
        match error {
            SwapError::Door(error) => StartError::Door(error),
            SwapError::Identity(error) => StartError::Identity(error),
            SwapError::Certificate(why) => StartError::Certificate(why),
            SwapError::Bind(error) => StartError::Bind(error),
        }
    }
}

/// A running proxy. Dropped, it ends at once. Its methods block their thread for a moment ([`Handle::drain`]: for longer)
/// and need no runtime of the caller's.
pub struct Handle {
    shared: Arc<Shared>,
    doors: Mutex<Doors>,
    workers: Vec<Thread>,
    asking: Asking,
    keys: Box<Sources>,
    lookups: Box<Lookups>,
    log: Option<log::Writer>,
    admin: Option<Admin>,
    certificates: Arc<Certificates>,
    drain: Duration,
}

/// How a drain ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Connections that were still busy when time was up, and were cut.
    pub cut: usize,
}

/// What is open. Only a swap changes it, one at a time.
#[derive(Default)]
struct Doors {
    asked: Vec<Door>,
    identities: Vec<Arc<Identity>>,
    open: Vec<Socket>,
    next: u32,
}

/// A socket that is listened on.
#[derive(Clone)]
struct Socket {
    id: SocketId,
    name: String,
    /// What was asked for; its port may be 0.
    asked: SocketAddr,
    /// What it is.
    address: SocketAddr,
    entrance: Entrance,
}

impl Socket {
    /// A door that moves to another name stays open if it keeps its address; one on any port must keep its name.
    fn serves(&self, wanted: &Wanted) -> bool {
        self.asked == wanted.address && (self.asked.port() != 0 || self.name == wanted.name)
    }
}

/// Starts the proxy. It accepts connections when this returns.
pub fn start(plan: PlanView, config: Config) -> Result<Handle, StartError> {
    let count = match config.workers {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        workers => workers,
    };
    if let Some(address) = config.admin
        && !address.ip().is_loopback()
    {
        return Err(StartError::AdminNotLoopback(address));
    }
    called::check(&plan, &config.doors).map_err(StartError::Door)?;
    let shared = Arc::new(Shared {
        serving: ArcSwap::from_pointee(Serving::new(plan.clone(), vec![], Names::default())),
        here: config.here,
        rejected: ArcSwapOption::empty(),
        draining: AtomicBool::new(false),
        counts: Counts::default(),
        gauges: Gauges::default(),
        room: Notify::new(),
        detectors: Detectors::default(),
        unwell: Arc::default(),
    });
    let (log, writer) = log::open(config.access_log).map_err(StartError::Thread)?.unzip();
    let asking = Asking::start(shared.unwell.clone(), config.health).map_err(StartError::Thread)?;
    let keys = Box::new(Sources::start(config.jwks).map_err(StartError::Thread)?);
    let lookups = Box::new(Lookups::start(config.names).map_err(StartError::Thread)?);
    let mut handle = Handle {
        shared,
        asking,
        keys,
        lookups,
        doors: Mutex::default(),
        workers: Vec::with_capacity(count),
        log: writer,
        admin: None,
        certificates: config.certificates.unwrap_or_else(Certificates::none),
        drain: config.drain,
    };
    for index in 0..count {
        let thread = worker::start(index, count, handle.shared.clone(), log.clone(), config.plan_header);
        handle.workers.push(thread.map_err(StartError::Thread)?);
    }
    handle.swap_as(plan, config.doors, config.identities)?;
    if let Some(address) = config.admin {
        handle.admin = Some(admin::start(address, handle.shared.clone())?);
    }
    Ok(handle)
}

impl Handle {
    /// Takes a plan over. Requests in flight end under the plan that they began with; connections stay open. Doors that
    /// the new plan adds are open before those that it drops are closed; a door that closes answers what is already on its
    /// connections under the last plan that had it.
    pub fn swap(&self, plan: PlanView) -> Result<(), SwapError> {
        let (doors, identities) = {
            let doors = self.doors();
            (doors.asked.clone(), doors.identities.clone())
        };
        self.swap_as(plan, doors, identities)
    }

    /// Takes a plan over, and other doors with it.
    pub fn swap_doors(&self, plan: PlanView, asked: Vec<Door>) -> Result<(), SwapError> {
        let identities = self.doors().identities.clone();
        self.swap_as(plan, asked, identities)
    }

    /// Takes a plan over, and other doors with it, and who the proxy is at them.
    pub fn swap_as(
        &self,
        plan: PlanView,
        asked: Vec<Door>,
        identities: Vec<Arc<Identity>>,
    ) -> Result<(), SwapError> {
        let mut doors = self.doors();
        let swapped = self.swap_open(&mut doors, plan, asked, identities);
        self.note_rejection(swapped.as_ref().err().map(ToString::to_string));
        swapped
    }

    /// What the admin's `/plan` says of a plan that was not taken over: why not, or `None` where there is none to speak of.
    /// A swap notes by itself how it went; this is for what never came to be a plan.
    pub fn note_rejection(&self, why: Option<String>) {
        let rejected = why.map(|why| Arc::new(Rejected { since: SystemTime::now(), why }));
        self.shared.rejected.store(rejected);
    }

    fn swap_open(
        &self,
        doors: &mut Doors,
        plan: PlanView,
        asked: Vec<Door>,
        own: Vec<Arc<Identity>>,
    ) -> Result<(), SwapError> {
        let wanted = doors::wanted(&plan, &asked).map_err(SwapError::Door)?;
        // Who only takes calls makes none, but to ask about them.
        let calls = |door: &Wanted| !matches!(door.entry, Entry::Inbound { .. });
        let is_calling = !plan.authorities().is_empty() || wanted.iter().any(calls);
        let outside = if is_calling { outside::all(&plan, &self.certificates) } else { Ok(vec![]) };
        let names = if is_calling { self.lookups.of(&plan) } else { Names::default() };
        let serving = Arc::new(Serving::new(plan, outside.map_err(SwapError::Certificate)?, names));
        let identities = doors::identities(&serving.view, &wanted, &own);
        let identities = identities.map_err(SwapError::Identity)?;
        let mut askers: Vec<Arc<Identity>> = Vec::new();
        for identity in identities.iter().flatten() {
            if !askers.contains(identity) {
                askers.push(identity.clone());
            }
        }
        let terminations = terminate::all(&serving.view, &wanted, &self.certificates);
        let terminations = terminations.map_err(SwapError::Certificate)?;
        let transports = identities.into_iter().zip(terminations);
        let transports = transports.map(|(identity, termination)| Transports { identity, termination });
        let wanted: Vec<_> = wanted.into_iter().zip(transports).collect();
        let bound = self.bind_new(doors, &wanted, &serving).map_err(SwapError::Bind)?;

        let open: Vec<Socket> = bound.iter().map(|(socket, _)| socket.clone()).collect();
        for (socket, (wanted, transports)) in open.iter().zip(&wanted) {
            socket.entrance.store(Arc::new(wanted.opened(&serving, transports, &self.keys)));
        }
        self.asking.of(serving.clone(), askers);
        self.shared.serving.store(serving);

        for (socket, listeners) in bound {
            for (worker, listener) in self.workers.iter().zip(listeners) {
                tell(worker, Command::Open(socket.id, socket.entrance.clone(), listener));
            }
        }
        let closed = doors.open.iter().filter(|old| open.iter().all(|new| new.id != old.id));
        for socket in closed {
            self.workers.iter().for_each(|worker| tell(worker, Command::Close(socket.id, self.drain)));
        }
        self.workers.iter().for_each(|worker| tell(worker, Command::Prune));
        doors.open = open;
        doors.asked = asked;
        doors.identities = own;
        Ok(())
    }

    /// For each wanted address, in order: the socket that serves it already, or a new one and its listeners.
    fn bind_new(
        &self,
        doors: &mut Doors,
        wanted: &[(Wanted, Transports)],
        serving: &Arc<Serving>,
    ) -> Result<Vec<(Socket, Vec<TcpListener>)>, BindError> {
        let mut bound = Vec::new();
        for (wanted, transports) in wanted {
            if let Some(open) = doors.open.iter().find(|open| open.serves(wanted)) {
                bound.push((Socket { name: wanted.name.clone(), ..open.clone() }, Vec::new()));
                continue;
            }
            let asked = wanted.address;
            // A port of our own, on another interface, is no reason to refuse: its door is about to close.
            let alone =
                asked.port() != 0 && doors.open.iter().all(|open| open.address.port() != asked.port());
            let (address, listeners) = listen::bind(asked, self.workers.len(), alone)
                .map_err(|error| BindError { door: wanted.name.clone(), address: asked, error })?;
            let id = SocketId(doors.next);
            doors.next += 1;
            let opened = wanted.opened(serving, transports, &self.keys);
            let entrance = Arc::new(ArcSwap::from_pointee(opened));
            bound.push((Socket { id, name: wanted.name.clone(), asked, address, entrance }, listeners));
        }
        Ok(bound)
    }

    /// Where each door listens: `edge.default/http` for a gateway's listener, `web.default` for a sidecar, `web.default->redis:6379` for
    /// one of its calls, `web.default:80` for its inbound side.
    pub fn addresses(&self) -> BTreeMap<String, SocketAddr> {
        self.doors().open.iter().map(|socket| (socket.name.clone(), socket.address)).collect()
    }

    /// What goes astray of the calls of `tcp` ports under the plan in service: those without an address, and addresses without one.
    pub fn astray(&self) -> Vec<Astray> {
        called::astray(&self.plan(), &self.doors().asked)
    }

    /// Where the admin listens, if it was asked for.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.as_ref().map(Admin::address)
    }

    /// Where this proxy was told that it is.
    pub fn here(&self) -> Here {
        self.shared.here.clone()
    }

    /// The plan in service.
    pub fn plan(&self) -> PlanView {
        self.shared.serving.load().view.clone()
    }

    /// Ends, after the requests in flight or after the time that the configuration gives them.
    pub fn shutdown(self) -> Drained {
        let limit = self.drain;
        self.drain(limit)
    }

    /// Ends: doors close, idle connections close, requests in flight are answered with `connection: close`. Blocks until all
    /// have ended or `limit` has passed.
    pub fn drain(mut self, limit: Duration) -> Drained {
        self.shared.draining.store(true, Ordering::Relaxed);
        self.workers.iter().for_each(|worker| tell(worker, Command::Drain(limit)));
        // Each worker ends by itself once it has drained. Its commands stay connected until then: else it ended at once.
        let cut = self.workers.drain(..).map(|worker| worker.thread.join().unwrap_or_default()).sum();
        Drained { cut }
    }

    fn doors(&self) -> MutexGuard<'_, Doors> {
        self.doors.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.draining.store(true, Ordering::Relaxed);
        // Without their commands the workers end.
        let threads: Vec<_> = self.workers.drain(..).map(|worker| worker.thread).collect();
        for thread in threads {
            // A worker that panicked has said so.
            let _ = thread.join();
        }
        self.admin = None;
        if let Some(log) = self.log.take() {
            log.finish();
        }
    }
}

/// What is put around connections at a door.
struct Transports {
    identity: Option<Arc<Identity>>,
    termination: Option<Arc<Termination>>,
}

impl Wanted {
    fn opened(&self, serving: &Arc<Serving>, transports: &Transports, keys: &Sources) -> Opened {
        Opened {
            serving: serving.clone(),
            entry: self.entry,
            resolved: Resolved::of(&serving.view, self.entry, Peer::Unauthenticated),
            name: self.name.clone(),
            tokens: Guard::of(&serving.view, self.entry, keys),
            identity: transports.identity.clone(),
            termination: transports.termination.clone(),
            logged: match self.entry {
                Entry::Gateway { gateway, .. } => serving.view.gateway(gateway).and_then(|own| own.logged()),
                Entry::Sidecar { service } | Entry::Call { service, .. } | Entry::Inbound { service, .. } => {
                    serving.view.service(service).and_then(|own| own.logged())
                }
                // Nobody listens there.
                Entry::FromGateway { .. } => None,
            },
            application: self.application.map(|own| Address { ip: own.ip(), port: own.port() }),
        }
    }
}

/// A worker that is gone has ended; there is nothing left to tell it.
fn tell(worker: &Thread, command: Command) {
    let _ = worker.commands.send(command);
}
