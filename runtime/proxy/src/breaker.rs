//! Circuit breakers: how much may be under way at once to a destination, counted by all workers of a proxy together.
//!
//! Too many requests, or too many that wait for a connection, are refused at once; one that waits is refused when its time is up.

use crate::together::{Known, Place, Registry, levels};
use crate::upstream::{Connection, NotConnected, Origin, Pool};
use crate::worker::Worker;
use mesh_engine::Forward;
use mesh_plan::{Breaker, PlanView};
use std::convert::Infallible;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::timeout;

/// What is under way, as one `circuit-breaker` counts it.
pub(crate) struct Gauge {
    limits: Breaker,
    connections: AtomicU32,
    pending: AtomicU32,
    requests: AtomicU32,
    /// A connection has closed, or is idle again.
    freed: Notify,
}

pub(crate) type Gauges = Registry<Breaker, Gauge>;
pub(crate) type KnownGauges = Known<Breaker, Gauge>;

/// Something is too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Overflow;

/// One counted thing, as long as it lives.
pub(crate) struct Counted {
    gauge: Arc<Gauge>,
    what: What,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Connection,
    Pending,
    Request,
}

impl Gauge {
    fn new(limits: Breaker) -> Gauge {
        Gauge {
            limits,
            connections: AtomicU32::new(0),
            pending: AtomicU32::new(0),
            requests: AtomicU32::new(0),
            freed: Notify::new(),
        }
    }

    fn counter(&self, what: What) -> (&AtomicU32, Option<u32>) {
        match what {
            What::Connection => (&self.connections, self.limits.max_connections),
            What::Pending => (&self.pending, self.limits.max_pending),
            What::Request => (&self.requests, self.limits.max_requests),
        }
    }
}

impl Counted {
    fn one_more(gauge: &Arc<Gauge>, what: What) -> Result<Counted, Overflow> {
        let (counter, most) = gauge.counter(what);
        let next = |count: u32| count.checked_add(1).filter(|next| most.is_none_or(|most| *next <= most));
        match counter.fetch_update(Ordering::AcqRel, Ordering::Acquire, next) {
            Ok(_) => Ok(Counted { gauge: gauge.clone(), what }),
            Err(_) => Err(Overflow),
        }
    }

    /// Whether a request waits that would get a connection if this one were closed.
    pub(crate) fn is_wanted(&self) -> bool {
        self.what == What::Connection
            && self.gauge.is_full()
            && self.gauge.pending.load(Ordering::Acquire) > 0
    }

    /// Says that a connection can be had: this one is idle again.
    pub(crate) fn tell(&self) {
        self.gauge.freed.notify_waiters();
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.gauge.counter(self.what).0.fetch_sub(1, Ordering::AcqRel);
        if self.what == What::Connection {
            self.gauge.freed.notify_waiters();
        }
    }
}

/// The breakers that hold for a request.
#[derive(Default)]
pub(crate) struct Breakers(Vec<Arc<Gauge>>);

impl Breakers {
    pub(crate) fn of(worker: &Worker, plan: &PlanView, forward: &Forward<'_>, port: u16) -> Breakers {
        if levels(plan, forward).all(|(_, level)| level.breaker().is_none()) {
            return Breakers::default();
        }
        let caller = forward.caller().unwrap_or_default();
        let place = Place { caller: &caller, service: &forward.service, subset: "", port };
        let (mut known, registry) = (worker.gauges.borrow_mut(), &worker.shared.gauges);
        let levels = levels(plan, forward);
        Breakers(known.of(registry, &place, levels, |level| level.breaker(), Gauge::new))
    }

    /// Counts a request, or says that it is one too many.
    pub(crate) fn admit(&self) -> Result<Vec<Counted>, Overflow> {
        self.count(What::Request)
    }

    fn count(&self, what: What) -> Result<Vec<Counted>, Overflow> {
        self.0.iter().map(|gauge| Counted::one_more(gauge, what)).collect()
    }

    /// A connection to an endpoint, idle or new: within the limits, or after some waiting.
    pub(crate) async fn connection(
        &self,
        pool: &Rc<Pool>,
        room: &Notify,
        origin: &Origin,
    ) -> Result<Got, Overflow> {
        let _pending = self.count(What::Pending)?;
        let wait = async {
            if let Some(joined) = pool.join(origin).await {
                return joined.map_or_else(Got::Nothing, Got::New);
            }
            match self.room(pool, room, || pool.idle(origin)).await {
                Room::Other(idle) => Got::Idle(idle),
                Room::Counted(counted) => {
                    pool.connect(origin, counted).await.map_or_else(Got::Nothing, Got::New)
                }
            }
        };
        self.within_patience(wait).await
    }

    /// Counts a connection that somebody else makes, after some waiting where there is no room.
    pub(crate) async fn place(&self, pool: &Rc<Pool>, room: &Notify) -> Result<Vec<Counted>, Overflow> {
        let _pending = self.count(What::Pending)?;
        let counted = async {
            match self.room(pool, room, || None::<Infallible>).await {
                Room::Counted(counted) => counted,
                Room::Other(never) => match never {},
            }
        };
        self.within_patience(counted).await
    }

    /// Waits until there is room for a connection, or for something else that does as well.
    async fn room<T>(&self, pool: &Rc<Pool>, room: &Notify, other: impl Fn() -> Option<T>) -> Room<T> {
        loop {
            let Some(full) = self.full() else {
                // Between the look and the count another worker may have been faster.
                let Ok(counted) = self.count(What::Connection) else { continue };
                return Room::Counted(counted);
            };
            let mut freed = pin!(full.freed.notified());
            freed.as_mut().enable();
            if let Some(other) = other() {
                return Room::Other(other);
            }
            // Idle ones make room, here and at the other workers.
            pool.close_wanted();
            room.notify_waiters();
            if full.is_full() {
                freed.await;
            }
        }
    }

    async fn within_patience<T>(&self, wait: impl Future<Output = T>) -> Result<T, Overflow> {
        match self.patience() {
            Some(patience) => timeout(patience, wait).await.map_err(|_| Overflow),
            None => Ok(wait.await),
        }
    }

    /// How long a request may wait for a connection.
    fn patience(&self) -> Option<Duration> {
        let shortest = self.0.iter().filter_map(|gauge| gauge.limits.pending_timeout).min();
        shortest.map(|milliseconds| Duration::from_millis(milliseconds.into()))
    }

    fn full(&self) -> Option<&Arc<Gauge>> {
        self.0.iter().find(|gauge| gauge.is_full())
    }
}

impl Gauge {
    fn is_full(&self) -> bool {
        self.limits.max_connections.is_some_and(|most| self.connections.load(Ordering::Acquire) >= most)
    }
}

/// What waiting for room led to.
enum Room<T> {
    /// A connection may be made, and is counted.
    Counted(Vec<Counted>),
    Other(T),
}

/// What waiting for a connection led to.
pub(crate) enum Got {
    New(Connection),
    Idle(Connection),
    /// None could be made.
    Nothing(NotConnected),
}
