//! The way of one request through the plan: authorizations, routes and what they enter, up to a draw or an end
//! (`spec/semantics.md` 5).

use crate::atoms::Atoms;
use crate::decision::{Action, Decision, Forward, Refusal};
use crate::edits::Edited;
use crate::host;
use crate::peer::Caller;
use crate::request::Request;
use crate::resolved::{Arrival, Call, Hop, Place, Resolved, Way};
use crate::settled::{Nearest, Settled};
use crate::trace::{Asked, Root};
use mesh_plan::layout::MAX_ENTER_DEPTH;
use mesh_plan::view::{self, ConsumerRoute, Outcome, Rows, Service, Text};
use mesh_plan::{Backend, NONE, PlanView, REFUSED, Target};

/// A request on its way.
pub(crate) struct Walk<'p, 'r> {
    plan: &'p PlanView,
    request: &'r Request<'r>,
    atoms: Atoms,
    /// Who sends, once it is somebody of ours.
    sender: Caller,
    /// A port that is looked up already: the one that most requests of the door come to.
    known: Option<&'r Arrival>,
    /// And the last one that was looked up on the way.
    found: Option<Arrival>,
    trail: Trail<'p>,
    /// What the authorizations so far tell: of the gateway, of the service.
    audit: [Text<'p>; 2],
    /// Whose authorization is that of the door: [`GATEWAY`], [`SERVICE`], or of neither.
    own: Option<usize>,
    /// See [`Decision::asked_by`].
    asked_by: u32,
    /// Whether the last authorization let it in as a probe, and which.
    probe: Option<Text<'p>>,
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
    End(End<'p>),
}

/// A split.
#[derive(Clone, Copy)]
pub(crate) struct Draw<'p> {
    rule: Text<'p>,
    backends: Rows<'p, Backend>,
    /// Of the route.
    owner: Text<'p>,
}

/// What becomes of a request, before it is put into words.
#[derive(Clone, Copy)]
pub(crate) enum End<'p> {
    Forward { rule: Text<'p>, service: u32, port: u32, subset: u32 },
    Answer(Outcome<'p>),
    Refuse { refusal: Refusal<'p>, rule: Text<'p>, owner: Text<'p> },
}

impl<'p> Draw<'p> {
    pub(crate) fn backends(&self) -> Rows<'p, Backend> {
        self.backends
    }

    /// What a backend's further way depends on.
    pub(crate) fn onward(&self, trail: &Trail<'p>, backend: Backend) -> Onward<'p> {
        let Backend { service, port, subset, enter, .. } = backend;
        Onward {
            service,
            port,
            subset,
            rule: if enter { None } else { Some(self.rule) },
            settled: trail.settled.nearest(),
            edited: trail.edited,
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
    /// Timeout and retry, each `None` as long as no level wrote it.
    settled: Nearest<'p>,
    /// What is changed so far.
    edited: Edited,
}

/// What was decided on the way and counts at its end.
#[derive(Clone, Copy)]
pub(crate) struct Trail<'p> {
    settled: Settled<'p>,
    entered: u32,
    edited: Edited,
    /// The sender's own routes, as long as it is the sender itself that sends.
    own: Option<Rows<'p, ConsumerRoute<'p>>>,
}

/// The plan contradicts itself.
pub(crate) const BROKEN: End<'static> =
    End::Refuse { refusal: Refusal::Broken, rule: Text::EMPTY, owner: Text::EMPTY };

impl<'p, 'r> Walk<'p, 'r> {
    pub(crate) fn new(plan: &'p PlanView, request: &'r Request<'r>) -> Self {
        Walk {
            plan,
            request,
            atoms: Atoms::NONE,
            sender: Caller::Nobody,
            known: None,
            found: None,
            trail: Trail { settled: Settled::of(plan), entered: 0, edited: Edited::NOTHING, own: None },
            audit: [Text::EMPTY; 2],
            own: None,
            asked_by: NONE,
            probe: None,
            asked: None,
            authorizes: true,
        }
    }

    /// A walk on which no authorization is asked.
    pub(crate) fn unauthorized(plan: &'p PlanView, request: &'r Request<'r>) -> Self {
        Walk { authorizes: false, ..Walk::new(plan, request) }
    }

    /// A walk that keeps what it asks.
    pub(crate) fn traced(plan: &'p PlanView, request: &'r Request<'r>) -> Self {
        Walk { asked: Some(Vec::new()), ..Walk::new(plan, request) }
    }

    /// What was asked since the last time.
    pub(crate) fn take_asked(&mut self) -> Vec<Asked> {
        self.asked.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// What was decided so far, for who follows several draws of one walk.
    pub(crate) fn trail(&self) -> Trail<'p> {
        self.trail
    }

    /// From the door to the first draw.
    #[inline(always)]
    pub(crate) fn begin(&mut self, resolved: &'r Resolved) -> Step<'p> {
        if !resolved.is_of(self.plan) {
            return Step::End(BROKEN);
        }
        let step = match &resolved.way {
            Way::Listener { gateway, listener, place } => {
                self.own = Some(GATEWAY);
                self.at_listener(*gateway, *listener, place)
            }
            Way::Host { service, sender } => self.at_sidecar(*service, *sender),
            Way::Call(call) => {
                self.known = Some(&call.hop.arrival);
                self.call(call)
            }
            Way::Undeclared { service } => Err(self.undeclared(*service)),
            Way::Straight { gateway, sender, hop } => {
                self.known = Some(&hop.arrival);
                self.straight(*gateway, *sender, hop)
            }
            Way::Arrival { hop } => {
                self.own = Some(SERVICE);
                self.arrive(hop, NONE, Text::EMPTY)
            }
            Way::Nowhere => Err(BROKEN),
        };
        step.unwrap_or_else(Step::End)
    }

    /// From a draw, whose trail it was, to the next one, or to the end.
    #[inline(always)]
    pub(crate) fn follow(&mut self, draw: &Draw<'p>, backend: Backend) -> Step<'p> {
        let Backend { service, port, subset, enter, .. } = backend;
        // Of the services that could be drawn, each tells its own.
        self.audit[SERVICE] = Text::EMPTY;
        let step = if enter {
            self.trail.entered += 1;
            // Only a gateway's rule sends for itself here: a service's `calls` has sent already.
            self.send(service, port, draw.owner)
        } else {
            self.deliver(service, port, subset, draw.rule)
        };
        step.unwrap_or_else(Step::End)
    }

    /// The same where several draws are followed: from one whose trail is given.
    pub(crate) fn follow_from(&mut self, trail: Trail<'p>, draw: &Draw<'p>, backend: Backend) -> Step<'p> {
        self.trail = trail;
        self.follow(draw, backend)
    }

    /// What an end means, with what was told on the way.
    #[inline(always)]
    pub(crate) fn decision(&self, end: End<'p>) -> Decision<'p> {
        let Trail { settled, edited, .. } = self.trail;
        let (action, rule, owner, edited) = match end {
            End::Forward { rule, service: index, port, subset: subset_index } => {
                let service = self.plan.service(index);
                let subset = service.and_then(|service| service.subset_text(subset_index));
                let action = Action::Forward(Forward {
                    service: service.map(Service::name_text).unwrap_or_default(),
                    service_index: index,
                    port,
                    subset: subset.unwrap_or_default(),
                    subset_index,
                    settled: settled.at(index),
                });
                (action, rule, Text::EMPTY, edited)
            }
            End::Answer(outcome) => {
                let action = match outcome.action() {
                    view::Action::Redirect { status, location } => Action::Redirect { status, location },
                    view::Action::Respond { status, body } => Action::Respond { status, body },
                    view::Action::Forward(_) => Action::Refuse(Refusal::Broken),
                };
                (action, outcome.rule_text(), Text::EMPTY, edited)
            }
            End::Refuse { refusal, rule, owner } => (Action::Refuse(refusal), rule, owner, Edited::NOTHING),
        };
        let is_probe = self.probe.is_some();
        Decision { action, rule, owner, edited, audit: self.audit, asked_by: self.asked_by, is_probe }
    }

    /// 5.1: the gateway's authorization, then the table of the host.
    fn at_listener(&mut self, gateway: u32, listener: u32, place: &Place) -> Result<Step<'p>, End<'p>> {
        let gateway = self.plan.gateway(gateway).ok_or(BROKEN)?;
        let listener = gateway.listener(listener).ok_or(BROKEN)?;
        let names = || (gateway.name_text(), gateway.owner_text());
        self.authorize(GATEWAY, place, names)?;
        let nowhere =
            End::Refuse { refusal: Refusal::NoRoute, rule: Text::EMPTY, owner: gateway.owner_text() };
        let table = host::table(listener.hosts(), self.request.host).ok_or(nowhere)?;
        let partition = self.plan.partition(place.dimensions.partition()).ok_or(BROKEN)?;
        let root = partition.root(table).ok_or(BROKEN)?;
        let leaf = self.leaf(place, Root::Table(table), root)?;
        self.sent_by(gateway.principal(), gateway.consumer_routes());
        self.take(leaf, gateway.owner_text())
    }

    /// From here on somebody of ours is the peer.
    fn sent_by(&mut self, principal: u32, own: Rows<'p, ConsumerRoute<'p>>) {
        self.sender = Caller::Principal(principal, None);
        self.trail.own = Some(own);
        self.atoms.forget();
    }

    /// 5.2: whom the host names, a declared call that covers the request, then the callee's route.
    fn at_sidecar(&mut self, service: u32, sender: Caller) -> Result<Step<'p>, End<'p>> {
        let Request { host, host_port, .. } = *self.request;
        match Call::of_host(self.plan, service, sender, host, host_port).ok_or(BROKEN)? {
            Some(call) => {
                self.found = Some(call.hop.arrival);
                self.call(&call)
            }
            None => Err(self.undeclared(service)),
        }
    }

    #[inline(always)]
    fn call(&mut self, call: &Call) -> Result<Step<'p>, End<'p>> {
        self.sender = call.sender;
        let leaf = self.leaf(&call.place, Root::Table(0), call.place.dimensions.first_root())?;
        if leaf == REFUSED {
            return Err(self.undeclared(call.service));
        }
        self.trail.settled.granted(leaf, call.service);
        let owner = || self.plan.service(call.service).map(Service::owner_text).unwrap_or_default();
        self.through(&call.hop, owner())
    }

    fn undeclared(&self, service: u32) -> End<'p> {
        let owner = self.plan.service(service).map(Service::owner_text).unwrap_or_default();
        End::Refuse { refusal: Refusal::UndeclaredCall, rule: Text::EMPTY, owner }
    }

    /// 5.6: a gateway straight to the callee.
    fn straight(&mut self, gateway: u32, sender: Caller, hop: &Hop) -> Result<Step<'p>, End<'p>> {
        let owner = self.plan.gateway(gateway).ok_or(BROKEN)?.owner_text();
        self.sender = sender;
        self.through(hop, owner)
    }

    /// 3.12: what the sender itself sends takes its own route to the port; where it has none, that of the port.
    fn send(&mut self, service: u32, port: u32, owner: Text<'p>) -> Result<Step<'p>, End<'p>> {
        let own = self.trail.own.take().and_then(|routes| routes.of_port(service, port));
        let arrival = self.arrival(service, port)?;
        // 3.10: behind that, everybody's own routes decide, not the sender's.
        let route = match own {
            Some(own) => Place::of(self.plan, own.partition(), self.sender).ok_or(BROKEN)?,
            None => arrival.place,
        };
        self.through(&Hop { route, own: own.is_some(), arrival }, owner)
    }

    /// What the route of a hop decides; `sender` owns it where it is the sender's own.
    #[inline(always)]
    fn through(&mut self, hop: &Hop, sender: Text<'p>) -> Result<Step<'p>, End<'p>> {
        if self.trail.entered > MAX_ENTER_DEPTH {
            return Err(BROKEN);
        }
        let owner = match hop.own {
            true => sender,
            false => self.plan.service(hop.arrival.service).map(Service::owner_text).unwrap_or_default(),
        };
        let leaf = self.leaf(&hop.route, Root::Table(0), hop.route.dimensions.first_root())?;
        self.take(leaf, owner)
    }

    /// What a leaf of a route says.
    #[inline(always)]
    fn take(&mut self, leaf: u32, owner: Text<'p>) -> Result<Step<'p>, End<'p>> {
        if leaf == REFUSED {
            return Err(End::Refuse { refusal: Refusal::NoRoute, rule: Text::EMPTY, owner });
        }
        let outcome = self.plan.outcome(leaf).ok_or(BROKEN)?;
        self.trail.edited.add(outcome);
        let view::Action::Forward(backends) = outcome.action() else { return Err(End::Answer(outcome)) };
        self.trail.settled.passed(outcome.settings_index());
        Ok(Step::Draw(Draw { rule: outcome.rule_text(), backends, owner }))
    }

    /// A port with the place of its authorization.
    #[inline(always)]
    fn arrival(&mut self, service: u32, port: u32) -> Result<Arrival, End<'p>> {
        let is_it = |arrival: &&Arrival| (arrival.service, arrival.port) == (service, port);
        if let Some(known) = self.known.filter(is_it).or(self.found.as_ref().filter(is_it)) {
            return Ok(*known);
        }
        let found = Arrival::of(self.plan, service, port, self.sender).ok_or(BROKEN)?;
        self.found = Some(found);
        Ok(found)
    }

    #[inline(always)]
    fn deliver(&mut self, service: u32, port: u32, subset: u32, rule: Text<'p>) -> Result<Step<'p>, End<'p>> {
        let arrival = self.arrival(service, port)?;
        self.arrive(&arrival, subset, rule)
    }

    /// The service that owns the endpoints authorizes; what it allows goes there with the settings in force (6.1).
    #[inline(always)]
    fn arrive(&mut self, arrival: &Arrival, subset: u32, rule: Text<'p>) -> Result<Step<'p>, End<'p>> {
        let Arrival { service, port, place } = arrival;
        let names = || {
            let service = self.plan.service(*service);
            service.map(|service| (service.name_text(), service.owner_text())).unwrap_or_default()
        };
        self.authorize(SERVICE, place, names)?;
        let rule = self.probe.unwrap_or(rule);
        Ok(Step::End(End::Forward { rule, service: *service, port: *port, subset }))
    }

    /// The leaf that the request reaches as it is after the rules passed so far.
    #[inline(always)]
    fn leaf(&mut self, place: &Place, root: Root, target: Target) -> Result<u32, End<'p>> {
        if self.trail.edited.is_empty() && self.asked.is_none() {
            return self.atoms.leaf(self.plan, place, target, self.request).ok_or(BROKEN);
        }
        self.leaf_of_edited(place, root, target).ok_or(BROKEN)
    }

    /// The same where rules changed the request, or where somebody wants to know what is asked.
    #[inline(never)]
    fn leaf_of_edited(&mut self, place: &Place, root: Root, target: Target) -> Option<u32> {
        let (plan, request, edited) = (self.plan, self.request, self.trail.edited);
        if edited.is_empty() {
            return self.ask(place, root, target, request);
        }
        self.atoms.forget();
        let leaf = edited.with(plan, request, |request| self.ask(place, root, target, request));
        self.atoms.forget();
        leaf
    }

    fn ask(&mut self, place: &Place, root: Root, target: Target, request: &Request<'_>) -> Option<u32> {
        let leaf = self.atoms.leaf(self.plan, place, target, request)?;
        if let Some(asked) = &mut self.asked {
            let atoms = self.atoms.all(self.plan, place, request)?;
            asked.push(Asked { partition: place.dimensions.partition(), root, leaf, atoms });
        }
        Some(leaf)
    }

    /// 4.1: what no line allows is denied, by whom `names` says, with who owns it.
    #[inline(always)]
    fn authorize(
        &mut self,
        told: usize,
        place: &Place,
        names: impl FnOnce() -> (Text<'p>, Text<'p>),
    ) -> Result<(), End<'p>> {
        if !self.authorizes {
            return Ok(());
        }
        let denied = |rule| {
            let (by, owner) = names();
            End::Refuse { refusal: Refusal::Denied { by }, rule, owner }
        };
        match self.leaf(place, Root::Access, place.dimensions.access())? {
            REFUSED | NONE => Err(denied(Text::EMPTY)),
            leaf => {
                let verdict = self.plan.verdict(leaf).ok_or(BROKEN)?;
                if let Some(text) = self.audit.get_mut(told) {
                    *text = verdict.audit_text();
                }
                if self.own == Some(told) && !verdict.asks().is_empty() {
                    self.asked_by = leaf;
                }
                self.probe = verdict.is_probe().then(|| verdict.rule_text());
                if verdict.allow() { Ok(()) } else { Err(denied(verdict.rule_text())) }
            }
        }
    }
}
