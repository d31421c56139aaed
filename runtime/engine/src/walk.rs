//! The way of one request through the plan: authorizations, routes and what they enter, up to a draw or an end
//! (`spec/semantics.md` 5).

use crate::atoms::Atoms;
use crate::decision::{Action, Decision, Forward, Refusal, Retry};
use crate::edits::Edited;
use crate::host;
use crate::peer::Caller;
use crate::request::{Entry, Peer, Request};
use crate::trace::{Asked, Root};
use mesh_plan::layout::MAX_ENTER_DEPTH;
use mesh_plan::view::{self, Call, ConsumerRoute, Partition, Port, Rows, Service, Settings, Text, Written};
use mesh_plan::{Backend, Grant, NONE, PlanView, REFUSED, Target};

/// A request on its way.
pub(crate) struct Walk<'p, 'r> {
    plan: &'p PlanView,
    request: &'r Request<'r>,
    atoms: Atoms<'p, 'r>,
    /// What the authorizations so far tell: of the gateway, of the service.
    audit: [Text<'p>; 2],
    /// What was asked since it was last taken, where somebody wants to know.
    asked: Option<Vec<Asked>>,
    /// Whether authorizations are asked.
    authorizes: bool,
}

/// Where the gateway's authorization tells what it has to tell.
const GATEWAY: usize = 0;
/// See [`GATEWAY`].
const SERVICE: usize = 1;

/// Where a request stands.
pub(crate) enum Step<'p> {
    /// A backend has to be drawn.
    Draw(Draw<'p>),
    /// There.
    End(Decision<'p>),
}

/// A split, and how the request came to it.
#[derive(Clone, Copy)]
pub(crate) struct Draw<'p> {
    outcome: view::Outcome<'p>,
    backends: Rows<'p, Backend>,
    /// Of the route.
    owner: Text<'p>,
    trail: Trail<'p>,
}

impl<'p> Draw<'p> {
    pub(crate) fn backends(&self) -> Rows<'p, Backend> {
        self.backends
    }

    /// What a backend's further way depends on.
    pub(crate) fn onward(&self, backend: Backend) -> Onward<'p> {
        let Backend { service, port, subset, enter, .. } = backend;
        Onward {
            service,
            port,
            subset,
            rule: if enter { None } else { Some(self.outcome.rule_text()) },
            timeout: decided(self.trail.timeout),
            retry: decided(self.trail.retry).map(|retry| retry.map(in_force)),
            edited: self.trail.edited,
        }
    }
}

/// Of draws that lie equally far along one walk, backends with the same of this have the same future.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Onward<'p> {
    service: u32,
    port: u32,
    subset: u32,
    /// The rule that would be reported; `None` where the service's own route decides further.
    rule: Option<Text<'p>>,
    /// `None` as long as no level wrote it.
    timeout: Option<Option<u32>>,
    /// The same.
    retry: Option<Option<Retry<'p>>>,
    /// What is changed so far.
    edited: Edited,
}

fn decided<T>(written: Written<T>) -> Option<Option<T>> {
    match written {
        Written::No => None,
        Written::Off => Some(None),
        Written::Value(value) => Some(Some(value)),
    }
}

/// What was decided on the way and counts at its end.
#[derive(Clone, Copy)]
struct Trail<'p> {
    timeout: Written<u32>,
    retry: Written<view::Retry<'p>>,
    idle: Written<u32>,
    grant: Option<Grant>,
    entered: u32,
    edited: Edited,
    /// The caller's own routes, as long as it is the caller itself that sends.
    own: Option<Rows<'p, ConsumerRoute<'p>>>,
}

impl<'p> Trail<'p> {
    const START: Trail<'static> = Trail {
        timeout: Written::No,
        retry: Written::No,
        idle: Written::No,
        grant: None,
        entered: 0,
        edited: Edited::NOTHING,
        own: None,
    };

    /// What is written so far holds; the level only fills in the rest.
    fn then(self, level: Option<Settings<'p>>) -> Trail<'p> {
        let Some(level) = level else { return self };
        Trail {
            timeout: self.timeout.or(|| level.timeout()),
            retry: self.retry.or(|| level.retry()),
            idle: self.idle.or(|| level.idle_timeout()),
            ..self
        }
    }
}

/// The end of a request that no service answers.
#[derive(Clone, Copy)]
struct Refused<'p> {
    refusal: Refusal<'p>,
    rule: Text<'p>,
    owner: Text<'p>,
}

const BROKEN: Refused<'static> = Refused { refusal: Refusal::Broken, rule: Text::EMPTY, owner: Text::EMPTY };

impl<'p, 'r> Walk<'p, 'r> {
    pub(crate) fn new(plan: &'p PlanView, peer: Peer<'r>, request: &'r Request<'r>) -> Self {
        let atoms = Atoms::new(plan, Caller::Connected(peer));
        Walk { plan, request, atoms, audit: [Text::EMPTY; 2], asked: None, authorizes: true }
    }

    /// A walk on which no authorization is asked.
    pub(crate) fn unauthorized(plan: &'p PlanView, peer: Peer<'r>, request: &'r Request<'r>) -> Self {
        Walk { authorizes: false, ..Walk::new(plan, peer, request) }
    }

    /// A walk that keeps what it asks.
    pub(crate) fn traced(plan: &'p PlanView, peer: Peer<'r>, request: &'r Request<'r>) -> Self {
        Walk { asked: Some(Vec::new()), ..Walk::new(plan, peer, request) }
    }

    /// What was asked since the last time.
    pub(crate) fn take_asked(&mut self) -> Vec<Asked> {
        self.asked.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// From the door to the first draw.
    pub(crate) fn begin(&mut self, entry: Entry) -> Step<'p> {
        let step = match entry {
            Entry::Gateway { gateway, listener } => self.at_gateway(gateway, listener),
            Entry::Sidecar { service } => self.at_sidecar(service),
            Entry::Call { service, call } => self.at_call(service, call),
            Entry::FromGateway { gateway, service, port } => self.at_service(gateway, service, port),
            Entry::Inbound { service, port } => self.deliver(service, port, NONE, Text::EMPTY, Trail::START),
        };
        self.step(step)
    }

    fn step(&self, result: Result<Step<'p>, Refused<'p>>) -> Step<'p> {
        result.unwrap_or_else(|Refused { refusal, rule, owner }| {
            self.end(Action::Refuse(refusal), rule, owner, Edited::NOTHING)
        })
    }

    /// There, with what was told on the way.
    fn end(&self, action: Action<'p>, rule: Text<'p>, owner: Text<'p>, edited: Edited) -> Step<'p> {
        Step::End(Decision { action, rule, owner, edited, audit: self.audit })
    }

    /// From a draw to the next one, or to the end.
    pub(crate) fn follow(&mut self, draw: &Draw<'p>, backend: Backend) -> Step<'p> {
        let Backend { service, port, subset, enter, .. } = backend;
        // Of the services that could be drawn, each tells its own.
        self.audit[SERVICE] = Text::EMPTY;
        let step = if enter {
            let trail = Trail { entered: draw.trail.entered + 1, ..draw.trail };
            // Only a gateway's rule sends for itself here: a service's `calls` has sent already.
            self.send(service, port, draw.owner, trail)
        } else {
            self.deliver(service, port, subset, draw.outcome.rule_text(), draw.trail)
        };
        self.step(step)
    }

    /// 5.1: the gateway's authorization, then the table of the host.
    fn at_gateway(&mut self, gateway: u32, listener: u32) -> Result<Step<'p>, Refused<'p>> {
        let gateway = self.plan.gateway(gateway).ok_or(BROKEN)?;
        let listener = gateway.listener(listener).ok_or(BROKEN)?;
        let partition = self.plan.partition(listener.partition()).ok_or(BROKEN)?;
        self.authorize(GATEWAY, partition, gateway.name_text(), gateway.owner_text(), &Edited::NOTHING)?;
        let nowhere = Refused { refusal: Refusal::NoRoute, rule: Text::EMPTY, owner: gateway.owner_text() };
        let table = host::table(listener.hosts(), self.request.host).ok_or(nowhere)?;
        let leaf = self.leaf(partition, Root::Table(table), &Edited::NOTHING)?;
        self.atoms.set_caller(Caller::Workload(gateway.principal()));
        self.take(leaf, gateway.owner_text(), Trail { own: Some(gateway.consumer_routes()), ..Trail::START })
    }

    /// 5.2: whom the host names, a declared call that covers the request, then the callee's route.
    fn at_sidecar(&mut self, service: u32) -> Result<Step<'p>, Refused<'p>> {
        let caller = self.plan.service(service).ok_or(BROKEN)?;
        let Request { host, host_port, .. } = *self.request;
        let call = callee(self.plan, caller, host, host_port).ok_or(BROKEN)?;
        self.call(caller, call.ok_or(undeclared(caller))?)
    }

    fn at_call(&mut self, service: u32, call: u32) -> Result<Step<'p>, Refused<'p>> {
        self.call(self.plan.service(service).ok_or(BROKEN)?, call)
    }

    fn call(&mut self, caller: Service<'p>, call: u32) -> Result<Step<'p>, Refused<'p>> {
        self.atoms.set_caller(Caller::Workload(caller.principal()));
        let call = caller.calls().get(call).ok_or(BROKEN)?;
        let partition = self.plan.partition(call.partition()).ok_or(BROKEN)?;
        let leaf = self.leaf(partition, Root::Table(0), &Edited::NOTHING)?;
        if leaf == REFUSED {
            return Err(undeclared(caller));
        }
        let grant = self.plan.grant(leaf).ok_or(BROKEN)?;
        let own = Some(caller.consumer_routes());
        let trail = Trail { grant: Some(grant), own, ..Trail::START };
        self.send(call.service(), call.port(), caller.owner_text(), trail)
    }

    /// 5.6: a gateway straight to the callee.
    fn at_service(&mut self, gateway: u32, service: u32, port: u32) -> Result<Step<'p>, Refused<'p>> {
        let gateway = self.plan.gateway(gateway).ok_or(BROKEN)?;
        self.atoms.set_caller(Caller::Workload(gateway.principal()));
        let own = Some(gateway.consumer_routes());
        self.send(service, port, gateway.owner_text(), Trail { own, ..Trail::START })
    }

    /// 3.12: what the caller itself sends takes its own route to the port; where it has none, that of the port.
    fn send(
        &mut self,
        service: u32,
        port: u32,
        owner: Text<'p>,
        trail: Trail<'p>,
    ) -> Result<Step<'p>, Refused<'p>> {
        let Some(own) = trail.own.and_then(|routes| routes.of_port(service, port)) else {
            return self.enter(service, port, trail);
        };
        self.route(own.partition(), owner, trail)
    }

    /// 3.10: a service's own route decides.
    fn enter(&mut self, service: u32, port: u32, trail: Trail<'p>) -> Result<Step<'p>, Refused<'p>> {
        let (service, port) = self.port(service, port)?;
        self.route(port.partition(), service.owner_text(), trail)
    }

    /// What the only route of a partition decides. Behind it, everybody's own routes decide, not the caller's.
    fn route(&mut self, partition: u32, owner: Text<'p>, trail: Trail<'p>) -> Result<Step<'p>, Refused<'p>> {
        if trail.entered > MAX_ENTER_DEPTH {
            return Err(BROKEN);
        }
        let partition = self.plan.partition(partition).ok_or(BROKEN)?;
        let leaf = self.leaf(partition, Root::Table(0), &trail.edited)?;
        self.take(leaf, owner, Trail { own: None, ..trail })
    }

    /// What a leaf of a route says.
    fn take(&self, leaf: u32, owner: Text<'p>, trail: Trail<'p>) -> Result<Step<'p>, Refused<'p>> {
        if leaf == REFUSED {
            return Err(Refused { refusal: Refusal::NoRoute, rule: Text::EMPTY, owner });
        }
        let outcome = self.plan.outcome(leaf).ok_or(BROKEN)?;
        let edited = trail.edited.then(outcome);
        let end = |action| Ok(self.end(action, outcome.rule_text(), Text::EMPTY, edited));
        match outcome.action() {
            view::Action::Forward(backends) => {
                let trail = Trail { edited, ..trail.then(outcome.settings()) };
                Ok(Step::Draw(Draw { outcome, backends, owner, trail }))
            }
            view::Action::Redirect { status, location } => end(Action::Redirect { status, location }),
            view::Action::Respond { status, body } => end(Action::Respond { status, body }),
        }
    }

    /// The service that owns the endpoints authorizes; what it allows goes there with the settings in force (6.1).
    fn deliver(
        &mut self,
        service: u32,
        port_index: u32,
        subset_index: u32,
        rule: Text<'p>,
        trail: Trail<'p>,
    ) -> Result<Step<'p>, Refused<'p>> {
        let (service, port) = self.port(service, port_index)?;
        let partition = self.plan.partition(port.partition()).ok_or(BROKEN)?;
        self.authorize(SERVICE, partition, service.name_text(), service.owner_text(), &trail.edited)?;
        let subset = match subset_index {
            NONE => Text::EMPTY,
            index => service.subset_text(index).ok_or(BROKEN)?,
        };
        let (mut timeout, mut retry, mut idle) = (trail.timeout, trail.retry, trail.idle);
        let (mut connect_timeout, mut balancer) = (None, None);
        let grant = |level: fn(Grant) -> u32| trail.grant.and_then(|grant| self.plan.settings(level(grant)));
        let of_call = [grant(|grant| grant.op_settings), grant(|grant| grant.settings)];
        let levels = of_call.into_iter().chain([service.settings(), self.plan.default_settings()]);
        for level in levels.flatten() {
            timeout = timeout.or(|| level.timeout());
            retry = retry.or(|| level.retry());
            idle = idle.or(|| level.idle_timeout());
            connect_timeout = connect_timeout.or_else(|| level.connect_timeout());
            balancer = balancer.or_else(|| level.balancer());
        }
        let [of_operation, plain] = of_call;
        let limits = [of_operation, plain, service.settings()];
        let action = Action::Forward(Forward {
            service: service.name_text(),
            service_index: service.index(),
            port: port_index,
            subset,
            subset_index,
            timeout: timeout.value(),
            connect_timeout,
            idle_timeout: idle.value(),
            balancer: balancer.map_or(NONE, view::Balancer::index),
            limits: limits.map(|level| level.filter(|own| own.has_limits()).map_or(NONE, |own| own.index())),
            retry: retry.value().map(in_force),
        });
        Ok(self.end(action, rule, Text::EMPTY, trail.edited))
    }

    /// The leaf that the request reaches as it is after the rules passed so far.
    fn leaf(&mut self, partition: Partition<'p>, root: Root, edited: &Edited) -> Result<u32, Refused<'p>> {
        let target = match root {
            Root::Access => partition.access(),
            Root::Table(table) => partition.root(table).ok_or(BROKEN)?,
        };
        if edited.is_empty() {
            return self.ask(partition, root, target, self.request).ok_or(BROKEN);
        }
        self.atoms.forget();
        let (plan, request) = (self.plan, self.request);
        let leaf = edited.with(plan, request, |request| self.ask(partition, root, target, request));
        self.atoms.forget();
        leaf.ok_or(BROKEN)
    }

    fn ask(
        &mut self,
        partition: Partition<'p>,
        root: Root,
        target: Target,
        request: &Request<'_>,
    ) -> Option<u32> {
        let leaf = self.atoms.leaf(partition, target, request)?;
        if let Some(asked) = &mut self.asked {
            let atoms = self.atoms.all(partition, request)?;
            asked.push(Asked { partition: partition.index(), root, leaf, atoms });
        }
        Some(leaf)
    }

    fn port(&self, service: u32, port: u32) -> Result<(Service<'p>, Port<'p>), Refused<'p>> {
        let service = self.plan.service(service).ok_or(BROKEN)?;
        Ok((service, service.port(port).ok_or(BROKEN)?))
    }

    /// 4.1: what no line allows is denied.
    fn authorize(
        &mut self,
        place: usize,
        partition: Partition<'p>,
        by: Text<'p>,
        owner: Text<'p>,
        edited: &Edited,
    ) -> Result<(), Refused<'p>> {
        if !self.authorizes {
            return Ok(());
        }
        let denied = |rule| Refused { refusal: Refusal::Denied { by }, rule, owner };
        match self.leaf(partition, Root::Access, edited)? {
            REFUSED | NONE => Err(denied(Text::EMPTY)),
            leaf => {
                let verdict = self.plan.verdict(leaf).ok_or(BROKEN)?;
                if let Some(told) = self.audit.get_mut(place) {
                    *told = verdict.audit_text();
                }
                if verdict.allow() { Ok(()) } else { Err(denied(verdict.rule_text())) }
            }
        }
    }
}

fn undeclared(caller: Service<'_>) -> Refused<'_> {
    Refused { refusal: Refusal::UndeclaredCall, rule: Text::EMPTY, owner: caller.owner_text() }
}

/// Which of a service's calls a host and a port mean, if they mean any. Without a number they mean the only port of the callee. `None`
/// where the plan contradicts itself.
pub(crate) fn callee(
    plan: &PlanView,
    caller: Service<'_>,
    host: &str,
    host_port: Option<u16>,
) -> Option<Option<u32>> {
    let Some(first) = caller.names_of_hosts().get(host.as_bytes()) else { return Some(None) };
    let hosts = caller.hosts();
    let named = hosts.get(first)?;
    let own = (first..hosts.len()).map_while(|index| hosts.get(index));
    for entry in own.take_while(|host| host.is_same_host(named)) {
        let call: Call<'_> = caller.calls().get(entry.call())?;
        let callee = plan.service(call.service())?;
        let number = callee.port(call.port()).map(Port::number);
        let meant = match host_port {
            Some(wanted) => number == Some(wanted),
            None => callee.ports().len() == 1,
        };
        if meant {
            return Some(Some(entry.call()));
        }
    }
    Some(None)
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
