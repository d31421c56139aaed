//! Where a request or a connection goes: who judges the endpoints, what limits it, which endpoint is next, and whether another try may be
//! made.

use crate::balance::{Ask, Chosen};
use crate::breaker::Breakers;
use crate::identity::Inside;
use crate::mutual::Mutual;
use crate::names::Asked;
use crate::outliers::Judges;
use crate::outside::{self, Secured};
use crate::retry::{self, Failure, is_retryable};
use crate::serving::{Opened, Serving};
use crate::upstream::{CONNECT_TIME, Endpoint, NotConnected, Origin};
use crate::worker::Worker;
use mesh_engine::budget::Balance;
use mesh_engine::{Address, Forward, Method, Retry};
use mesh_plan::Mtls;
use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

pub(crate) struct Destination<'c> {
    pub(crate) worker: &'c Worker,
    pub(crate) serving: &'c Arc<Serving>,
    pub(crate) forward: &'c Forward<'c>,
    pub(crate) retry: Option<Retry<'c>>,
    pub(crate) judges: Judges,
    pub(crate) breakers: Breakers,
    /// The hash of what the balancer hashes.
    key: Option<u64>,
    /// Its number.
    port: u16,
    /// Whether it speaks HTTP/2.
    pub(crate) http2: bool,
    /// If that is inside TLS: in which.
    tls: Option<Secured>,
    /// Why the handshake of the last try failed.
    why_not: RefCell<Option<Arc<str>>>,
    /// Who is asked for, where that is where it goes.
    asked: Option<Asked>,
    /// The service itself, where this is its own proxy: then there is nothing to choose, and nothing to try again.
    application: Option<Address>,
    /// Nothing may be sent there.
    closed: bool,
}

/// Why there is none: no endpoint …
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoEndpoint {
    /// … is there, or in.
    IsUsable,
    /// … has an address, for its name has none.
    IsKnown,
}

/// How a port of a service is spoken to.
pub(crate) struct Spoken {
    pub(crate) http2: bool,
    pub(crate) tls: Option<Secured>,
    number: u16,
}

impl Spoken {
    /// `None`: it cannot be, for it is strict, and there is no identity to call it as, or it is outside, and nobody said how.
    pub(crate) fn at(opened: &Opened, service_index: u32, port: u32) -> Option<Spoken> {
        let view = &opened.serving.view;
        let service = view.service(service_index)?;
        let port = service.port(port)?;
        let (http2, number) = (port.protocol().is_http2(), port.number());
        let own = match port.mtls() {
            Mtls::Strict => Some(opened.identity.clone()?),
            Mtls::Permissive => opened.identity.clone(),
            Mtls::None | Mtls::Off => None,
        };
        let callee = || Some(Arc::from(view.principals().get(service.principal())?.identity()));
        let tls = match own {
            Some(own) => {
                let (changes, inside) = (own.changes(), Inside::of(port.protocol()));
                Some(Secured::Mutual(Mutual { own, callee: callee()?, inside, changes }))
            }
            None => {
                let outside = outside::of(&opened.serving, service_index).ok()?;
                outside.and_then(|outside| outside.at(port.protocol()))
            }
        };
        Some(Spoken { http2, tls, number })
    }
}

/// The tries so far.
#[derive(Default)]
pub(crate) struct Tries {
    pub(crate) made: u32,
    /// Where the last one went.
    pub(crate) last: Option<Address>,
    /// Where one is under way, and among how many endpoints it was chosen.
    pub(crate) under_way: Option<(Address, usize)>,
    /// Where those that failed went.
    pub(crate) failed: Vec<Address>,
    /// Whether one more would have been made, had there been one left.
    pub(crate) exhausted: bool,
}

impl<'c> Destination<'c> {
    /// Of a request or connection for this host, as it is sent on.
    pub(crate) fn of(
        worker: &'c Worker,
        opened: &'c Opened,
        forward: &'c Forward<'c>,
        key: Option<u64>,
        host: &str,
    ) -> Destination<'c> {
        Destination::with(worker, opened, forward, (key, host), opened.application)
    }

    /// Of what the proxy itself asks, also where what comes in goes to the service itself.
    pub(crate) fn of_question(
        worker: &'c Worker,
        opened: &'c Opened,
        forward: &'c Forward<'c>,
    ) -> Destination<'c> {
        Destination { retry: None, ..Destination::with(worker, opened, forward, (None, ""), None) }
    }

    fn with(
        worker: &'c Worker,
        opened: &'c Opened,
        forward: &'c Forward<'c>,
        (key, host): (Option<u64>, &str),
        application: Option<Address>,
    ) -> Destination<'c> {
        let serving = &opened.serving;
        let view = &serving.view;
        let spoken = Spoken::at(opened, forward.service_index, forward.port);
        let closed = spoken.is_none();
        let Spoken { http2, tls, number: port } =
            spoken.unwrap_or(Spoken { http2: false, tls: None, number: 0 });
        let (retry, judges, breakers, tls) = match application {
            Some(_) => (None, Judges::default(), Breakers::default(), None),
            None => {
                let judges = Judges::of(worker, view, forward, port);
                (forward.retry(), judges, Breakers::of(worker, view, forward, port), tls)
            }
        };
        let asked = match application {
            Some(_) => None,
            None => serving.asked(forward.service_index, forward.port, host),
        };
        let tls = tls.map(|tls| match &asked {
            Some(asked) => tls.for_asked(&asked.host),
            None => tls,
        });
        Destination {
            worker,
            serving,
            forward,
            retry,
            judges,
            breakers,
            key,
            port,
            http2,
            tls,
            asked,
            why_not: RefCell::default(),
            application,
            closed,
        }
    }

    /// The next endpoint, preferably none that was tried. It is under way from now on.
    pub(crate) fn next(&self, tries: &mut Tries) -> Option<Chosen> {
        if self.closed {
            return None;
        }
        if let Some(application) = self.application {
            tries.made += 1;
            tries.last = Some(application);
            return Some(Chosen::only(application));
        }
        let (serving, forward, key) = (self.serving, self.forward, self.key);
        let (tried, now) = (tries.failed.as_slice(), self.worker.began.elapsed());
        let (here, asked) = (&self.worker.shared.here, self.asked.as_ref());
        let ask = Ask { serving, here, forward, asked, tried, key, now };
        let leaves_out = |address| self.judges.leave_out(address);
        let out: Option<&dyn Fn(Address) -> bool> =
            if self.judges.leave_somebody_out() { Some(&leaves_out) } else { None };
        let mut random = self.worker.random.borrow_mut();
        let chosen = self.worker.destinations.borrow_mut().choose(&ask, out, &mut random)?;
        self.why_not.take();
        tries.made += 1;
        tries.last = Some(chosen.address);
        tries.under_way = Some((chosen.address, chosen.of));
        Some(chosen)
    }

    /// The same, where there was none: if names are among the endpoints, the first answer about them is waited for, for no longer than a
    /// connection may take to be made.
    pub(crate) async fn next_named(&self, tries: &mut Tries) -> Result<Chosen, NoEndpoint> {
        let Forward { service_index, port, subset_index, .. } = *self.forward;
        let is_here = self.closed || self.application.is_some();
        if let Some(asked) = self.asked.as_ref().filter(|asked| !is_here && asked.is_one()) {
            asked.named(self.connect_time()).await;
            let is_known = !asked.addresses().is_empty();
            let why = if is_known { NoEndpoint::IsUsable } else { NoEndpoint::IsKnown };
            return self.next(tries).ok_or(why);
        }
        // Who is asked for is none of this service's.
        let is_nobody = self.asked.is_some();
        if is_here || is_nobody || !self.serving.has_names(service_index, port, subset_index) {
            return Err(NoEndpoint::IsUsable);
        }
        self.serving.named(service_index, port, subset_index, self.connect_time()).await;
        let is_known = !self.serving.endpoints(service_index, port, subset_index).is_empty();
        let why = if is_known { NoEndpoint::IsUsable } else { NoEndpoint::IsKnown };
        self.next(tries).ok_or(why)
    }

    /// How one of its endpoints is spoken to.
    pub(crate) fn origin(&self, address: Address) -> Origin {
        let endpoint = Endpoint { address, tls: self.tls.clone() };
        Origin { endpoint, http2: self.http2, connect_time: self.connect_time() }
    }

    /// A connection could not be made.
    pub(crate) fn tell_why(&self, NotConnected(why): NotConnected) {
        self.why_not.replace(why);
    }

    /// Why the handshake of the last try failed, if it did.
    pub(crate) fn why_not(&self) -> Option<Arc<str>> {
        self.why_not.borrow().clone()
    }

    pub(crate) fn connect_time(&self) -> Duration {
        self.forward.connect_timeout().map_or(CONNECT_TIME, |millis| Duration::from_millis(millis.into()))
    }

    pub(crate) fn idle_time(&self) -> Option<Duration> {
        let declared = self.forward.idle_timeout().filter(|_| self.application.is_none());
        declared.map(|millis| Duration::from_millis(millis.into()))
    }

    /// If another try may follow the one that failed: how long to wait before it.
    pub(crate) fn wait_before_next(
        &self,
        failure: Failure,
        method: Method,
        kept: bool,
        tries: &mut Tries,
    ) -> Option<Duration> {
        let retry = self.retry.as_ref()?;
        if !is_retryable(retry, failure, method, kept) {
            return None;
        }
        if tries.made > retry.count || !self.pay() {
            tries.exhausted = true;
            return None;
        }
        Some(retry::backoff(retry, tries.made, &mut self.worker.random.borrow_mut()))
    }

    /// A first try is made: what that earns for retries.
    pub(crate) fn earn(&self) {
        self.with_balance(|balance, budget, now| balance.earn(budget, now));
    }

    fn pay(&self) -> bool {
        self.with_balance(|balance, budget, now| balance.pay(budget, now)).unwrap_or(true)
    }

    /// Without a declared budget there is no balance.
    fn with_balance<T>(
        &self,
        act: impl FnOnce(&mut Balance, &mesh_plan::Budget, Duration) -> T,
    ) -> Option<T> {
        let budget = self.retry.as_ref()?.budget?;
        let mut balances = self.worker.balances.borrow_mut();
        let balance = balances.of(self.forward, self.port)?;
        Some(act(balance, &budget, self.worker.began.elapsed()))
    }
}
