//! A worker: one thread, one single-threaded runtime, and everything that its requests share. Nothing on the way of a
//! request takes a lock that another worker could hold, but where limits are declared that all workers count together.

use crate::bounds::Bound;
use crate::http1::{Closing, Date, LAST_CALL_OF_ALL, LAST_CALL_OF_ONE};
use crate::log::Log;
use crate::mirror::Mirrors;
use crate::serving::{Entrance, Shared, SocketId};
use crate::upstream::Pool;
use crate::{balance, breaker, listen, outliers, retry};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::runtime::Builder;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::LocalSet;

/// What the owner of a worker tells it.
pub(crate) enum Command {
    /// Accept from this socket.
    Open(SocketId, Entrance, TcpListener),
    /// Accept no more from this one; its connections end after the request in progress, or are cut after so long.
    Close(SocketId, Duration),
    /// There is another plan: forget what it does not have.
    Prune,
    /// Close all, wait for what is in flight for so long at most, and end.
    Drain(Duration),
}

/// A worker's thread as its owner sees it. The worker ends at once when `commands` is dropped.
pub(crate) struct Thread {
    pub(crate) commands: UnboundedSender<Command>,
    /// Its result is the number of connections that were cut.
    pub(crate) thread: JoinHandle<usize>,
}

/// Starts worker `index` of `workers`.
pub(crate) fn start(
    index: usize,
    workers: usize,
    shared: Arc<Shared>,
    log: Option<Log>,
    plan_header: bool,
) -> io::Result<Thread> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let (commands, told) = unbounded_channel();
    let run = move || {
        let worker = Rc::new(Worker {
            shared,
            log,
            plan_header,
            workers,
            date: Date::default(),
            pool: Rc::default(),
            mirrors: Mirrors::default(),
            destinations: RefCell::default(),
            gauges: RefCell::default(),
            detectors: RefCell::default(),
            balances: RefCell::default(),
            // Seeded by the operating system, by way of the standard library's hash keys.
            random: RefCell::new(fastrand::Rng::new()),
            began: Instant::now(),
            connections: Connections::default(),
            requests: Connections::default(),
            places: Arc::new(Semaphore::new(Bound::AllConnections.size().div_ceil(workers))),
        });
        LocalSet::new().block_on(&runtime, obey(worker, told))
    };
    let thread = std::thread::Builder::new().name(format!("worker-{index}")).spawn(run)?;
    Ok(Thread { commands, thread })
}

/// What the requests of one worker share.
pub(crate) struct Worker {
    pub(crate) shared: Arc<Shared>,
    pub(crate) log: Option<Log>,
    /// Whether answers say which plan decided.
    pub(crate) plan_header: bool,
    /// How many workers there are.
    pub(crate) workers: usize,
    pub(crate) date: Date,
    pub(crate) pool: Rc<Pool>,
    pub(crate) mirrors: Mirrors,
    pub(crate) destinations: RefCell<balance::Destinations>,
    pub(crate) gauges: RefCell<breaker::KnownGauges>,
    pub(crate) detectors: RefCell<outliers::KnownDetectors>,
    pub(crate) balances: RefCell<retry::Balances>,
    pub(crate) random: RefCell<fastrand::Rng>,
    /// The origin of times.
    pub(crate) began: Instant,
    pub(crate) connections: Connections,
    /// Requests under way.
    requests: Connections,
    /// Room for connections of all listeners: this worker's share.
    pub(crate) places: Arc<Semaphore>,
}

impl Worker {
    /// Begins a request, if there is room for one more: each worker has its share.
    pub(crate) fn begin(&self) -> Option<Open> {
        let most = Bound::Requests.size().div_ceil(self.workers);
        (self.requests.0.open.get() < most).then(|| self.requests.open())
    }
}

/// Counts what is open: connections of clients, or their requests.
#[derive(Default)]
pub(crate) struct Connections(Rc<Count>);

#[derive(Default)]
struct Count {
    open: Cell<usize>,
    none_left: Notify,
}

/// Something open, while it lives.
pub(crate) struct Open(Rc<Count>);

impl Connections {
    pub(crate) fn open(&self) -> Open {
        self.0.open.set(self.0.open.get() + 1);
        Open(self.0.clone())
    }

    async fn none_left(&self) {
        while self.0.open.get() > 0 {
            self.0.none_left.notified().await;
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get() - 1);
        if self.0.open.get() == 0 {
            self.0.none_left.notify_one();
        }
    }
}

/// Follows commands until the end. Returns how many connections were cut.
async fn obey(worker: Rc<Worker>, mut commands: UnboundedReceiver<Command>) -> usize {
    tokio::task::spawn_local(Pool::sweep(Rc::downgrade(&worker.pool)));
    tokio::task::spawn_local(Pool::sweep(Rc::downgrade(worker.mirrors.pool())));
    tokio::task::spawn_local(Pool::make_room(Rc::downgrade(&worker.pool), worker.shared.clone()));
    // Those that are closing stay until their last waiting connection is accepted: a drain waits for that.
    let mut doors = BTreeMap::new();
    while let Some(command) = commands.recv().await {
        match command {
            Command::Open(socket, entrance, listener) => {
                // It listens and does not block: registering it fails only at a limit of the kernel's own, and then the
                // other workers serve the door.
                let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { continue };
                let (closing, closed) = watch::channel(None);
                let accepting =
                    tokio::task::spawn_local(listen::accept(worker.clone(), entrance, listener, closed));
                doors.insert(socket, (closing, accepting));
            }
            Command::Close(socket, limit) => {
                if let Some((closing, _)) = doors.get(&socket) {
                    closing.send_replace(Some(Closing { last_call: LAST_CALL_OF_ONE, limit: Some(limit) }));
                }
            }
            Command::Prune => {
                doors.retain(|_, (_, accepting)| !accepting.is_finished());
                prune(&worker);
            }
            Command::Drain(limit) => {
                for (closing, _) in doors.values() {
                    closing.send_replace(Some(Closing { last_call: LAST_CALL_OF_ALL, limit: None }));
                }
                let ended = async {
                    for (_, accepting) in std::mem::take(&mut doors).into_values() {
                        let _ = accepting.await;
                    }
                    worker.connections.none_left().await;
                };
                // The owner may lose patience and drop its end of the channel.
                tokio::select! {
                    _ = tokio::time::timeout(limit, ended) => {}
                    None = commands.recv() => {}
                }
                break;
            }
        }
    }
    worker.connections.0.open.get()
}

fn prune(worker: &Worker) {
    let serving = worker.shared.serving.load();
    let exists = |service: &str| serving.view.service_by_name(service).is_some();
    worker.destinations.borrow_mut().keep_only(exists);
    worker.gauges.borrow_mut().keep_only(exists);
    worker.detectors.borrow_mut().keep_only(exists);
    worker.balances.borrow_mut().keep_only(exists);
}
