//! Timeouts, retries and how an endpoint is chosen: which level of settings says it, looked up when somebody asks.

use crate::decision::Retry;
use mesh_plan::view::{self, Balancer, Service, Settings, Text, Written};
use mesh_plan::{Grant, NONE, PlanView};
use std::cmp::Ordering;

/// Which levels have a say in timeouts, retries and endpoints (`spec/semantics.md` 6.1): those of the rules passed that wrote them, and whom
/// else to ask. They are looked up when they are read. Equal if all that is looked up is.
#[derive(Clone, Copy)]
pub struct Settled<'p> {
    plan: &'p PlanView,
    /// Indices of the settings of the first rule that wrote a timeout, of the first that wrote an idle timeout, and of the first that wrote
    /// retries, or [`NONE`].
    timeout: u32,
    idle: u32,
    retry: u32,
    /// Index of the grant of the call, and of the service that makes it, or [`NONE`].
    grant: u32,
    caller: u32,
    /// Index of the service that it is forwarded to.
    service: u32,
}

impl<'p> Settled<'p> {
    /// Nothing is written yet.
    pub(crate) fn of(plan: &'p PlanView) -> Settled<'p> {
        Settled { plan, timeout: NONE, idle: NONE, retry: NONE, grant: NONE, caller: NONE, service: NONE }
    }

    /// What is written so far holds; the settings of a rule that is passed only fill in the rest.
    #[inline]
    pub(crate) fn passed(&mut self, index: u32) {
        let Some(level) = self.plan.settings(index) else { return };
        if self.timeout == NONE && level.timeout() != Written::No {
            self.timeout = index;
        }
        if self.idle == NONE && level.idle_timeout() != Written::No {
            self.idle = index;
        }
        if self.retry == NONE && level.writes_retry() {
            self.retry = index;
        }
    }

    /// The grant of the call that a service makes has a say.
    pub(crate) fn granted(&mut self, grant: u32, caller: u32) {
        (self.grant, self.caller) = (grant, caller);
    }

    /// `name.namespace` of the service that makes the call, if one does.
    pub(crate) fn caller(self) -> Option<Text<'p>> {
        self.plan.service(self.caller).map(Service::name_text)
    }

    /// The service that it is forwarded to has a say.
    pub(crate) fn at(self, service: u32) -> Settled<'p> {
        Settled { service, ..self }
    }

    /// What the rules passed wrote.
    pub(crate) fn nearest(self) -> Nearest<'p> {
        let level = |index| self.plan.settings(index);
        Nearest {
            timeout: level(self.timeout).map(|level| level.timeout().value()),
            idle: level(self.idle).map(|level| level.idle_timeout().value()),
            retry: level(self.retry).map(|level| level.retry().value().map(in_force)),
        }
    }

    /// The levels of the call, that of the operation first, and that of the service.
    fn farther(self) -> [Option<Settings<'p>>; 3] {
        let plan = self.plan;
        let grant = plan.grant(self.grant);
        let of_call = |level: fn(Grant) -> u32| grant.and_then(|grant| plan.settings(level(grant)));
        let service = plan.service(self.service).and_then(|service| service.settings());
        [of_call(|grant| grant.op_settings), of_call(|grant| grant.settings), service]
    }

    /// Those who are asked, nearest first, where the settings of this index are those of the rules.
    fn levels(self, nearest: u32) -> impl Iterator<Item = Settings<'p>> {
        let nearest = self.plan.settings(nearest);
        let all = std::iter::once(nearest).chain(self.farther()).chain([self.plan.default_settings()]);
        all.flatten()
    }

    pub(crate) fn timeout(self) -> Option<u32> {
        first(self.levels(self.timeout).map(Settings::timeout))
    }

    pub(crate) fn idle_timeout(self) -> Option<u32> {
        first(self.levels(self.idle).map(Settings::idle_timeout))
    }

    pub(crate) fn retry(self) -> Option<Retry<'p>> {
        first(self.levels(self.retry).map(Settings::retry)).map(in_force)
    }

    /// Rules say nothing of it.
    pub(crate) fn connect_timeout(self) -> Option<u32> {
        self.levels(NONE).find_map(Settings::connect_timeout)
    }

    pub(crate) fn balancer(self) -> u32 {
        self.levels(NONE).find_map(Settings::balancer).map_or(NONE, Balancer::index)
    }

    pub(crate) fn limits(self) -> [u32; 3] {
        let limits = |level: Option<Settings<'p>>| {
            level.filter(|own| own.has_limits()).map_or(NONE, |own| own.index())
        };
        self.farther().map(limits)
    }

    /// All that is looked up.
    fn all(self) -> impl Ord + std::fmt::Debug {
        let times = (self.timeout(), self.connect_timeout(), self.idle_timeout());
        (times, self.balancer(), self.limits(), self.retry())
    }
}

/// What the rules passed wrote, each `None` as long as none did.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Nearest<'p> {
    timeout: Option<Option<u32>>,
    idle: Option<Option<u32>>,
    retry: Option<Option<Retry<'p>>>,
}

/// What the first level says that says anything.
fn first<T>(mut levels: impl Iterator<Item = Written<T>>) -> Option<T> {
    levels.find(|level| !matches!(level, Written::No)).and_then(Written::value)
}

fn in_force(retry: view::Retry<'_>) -> Retry<'_> {
    Retry {
        count: retry.count(),
        on_connect_failure: retry.on_connect_failure(),
        on_reset: retry.on_reset(),
        on_timeout: retry.on_timeout(),
        methods: retry.methods(),
        per_try_timeout: Some(retry.per_try_timeout()).filter(|milliseconds| *milliseconds > 0),
        backoff_base: retry.backoff_base(),
        backoff_cap: retry.backoff_cap(),
        buffer: retry.buffer(),
        budget: retry.budget(),
        statuses: retry.statuses(),
    }
}

impl std::fmt::Debug for Settled<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.all().fmt(f)
    }
}

impl PartialEq for Settled<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Settled<'_> {}

impl PartialOrd for Settled<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Settled<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.all().cmp(&other.all())
    }
}
