//! `every` and `some`: what becomes of all requests of a description, decided, not sampled (`spec/semantics.md` 13).
//!
//! All lines that a request can meet on its way, hop by hop, span one space; the requests of the description are cut into the
//! pieces that end the same way, and those that end otherwise than expected are a set with a plainest member.

use crate::case::{Backend as Expected, Besides, Expectation, redirect_text};
use crate::diagram::{Diagram, TooManyNodes};
use crate::model::{
    AccessLine, Action, Asked, Call, Caller, Field, FieldTest, GatewayId, Model, PeerSet, Polarity, PortId,
    Rule, ServiceId, Shape, Table, ValueSet, Wording,
};
use crate::partition::{self, Judged, Leaf};
use crate::shown;
use crate::space::peer::{Candidate, Peers};
use crate::space::{Space, TooFine};
use crate::witness::Witness;
use mesh_lang::Span;
use mesh_lang::ast::{Effect, HostPattern, Quantifier};
use mesh_plan::{Edit, Settings, Target};
use std::collections::{BTreeMap, BTreeSet};

/// A line with its names looked up.
#[derive(Debug)]
pub(crate) struct Asking {
    pub(crate) span: Span,
    pub(crate) expect_span: Span,
    pub(crate) quantifier: Quantifier,
    /// Where the requests come in; all of them are asked.
    pub(crate) entries: Vec<Entry>,
    /// What they look like.
    pub(crate) shapes: Vec<Shape>,
    pub(crate) expect: Expectation,
    pub(crate) timeout: Option<Option<u32>>,
    pub(crate) retry: Option<u32>,
    pub(crate) besides: Besides,
}

/// Where requests come in.
#[derive(Debug)]
pub(crate) enum Entry {
    /// From the proxy of a service.
    Sidecar { caller: ServiceId, to: PortId },
    /// From a gateway.
    FromGateway { gateway: GatewayId, to: PortId },
    /// At a port, from any of these peers.
    Inbound { from: PeerSet, to: PortId },
    /// At a listener, from any of these peers.
    Gateway { from: PeerSet, gateway: GatewayId, listener: u32, host: String },
}

/// What was found out.
pub(crate) enum Found {
    Holds,
    /// A request of the description that ends otherwise, and how; of `some`, how they all end.
    Fails {
        witness: Option<Box<mesh_lang::diagnostic::Witness>>,
        got: String,
    },
    /// No request is of this description.
    Empty,
}

/// More pieces that end differently are not decided (`MESH3090`): each is a set of requests of its own.
const MAX_PIECES: usize = 10_000;

/// Why a line is not decided.
pub(crate) enum TooMuch {
    /// It needs more than the budget.
    Budget,
    /// A rule changes the requests on their way, so that what is decided behind it is about others.
    Changed(Span),
}

impl From<TooManyNodes> for TooMuch {
    fn from(_: TooManyNodes) -> TooMuch {
        TooMuch::Budget
    }
}

impl From<TooFine> for TooMuch {
    fn from(_: TooFine) -> TooMuch {
        TooMuch::Budget
    }
}

/// Decides a line.
pub(crate) fn decide(model: &Model, asking: &Asking) -> Result<Found, TooMuch> {
    let (mut some, mut anything) = (false, false);
    let mut endings: BTreeSet<String> = BTreeSet::new();
    for entry in &asking.entries {
        let mut world = World::new(model, entry, &asking.shapes)?;
        let all = world.region(entry, &asking.shapes)?;
        if world.diagram.any_of(all).is_none() {
            world.proved(())?;
            continue;
        }
        anything = true;
        for piece in world.pieces(entry, all)? {
            let Some(point) = world.diagram.any_of(piece.set) else { continue };
            let fits = piece.fulfils(asking);
            match asking.quantifier {
                Quantifier::Some if fits => some = true,
                Quantifier::Some => {
                    endings.insert(piece.said(model));
                }
                _ if fits => {}
                _ => {
                    let witness = Witness::of_point(model, world.diagram.space(), &point);
                    let got = piece.said(model);
                    let Some(entry) = shown::asked_by(model, &world.diagram.space().peers, entry, &point)
                    else {
                        return Ok(Found::Fails { witness: None, got: format!("{got}, of `{witness}`") });
                    };
                    let shown = shown::counterexample(model, &entry, &witness, asking);
                    return Ok(Found::Fails { witness: Some(Box::new(shown)), got });
                }
            }
        }
        world.proved(())?;
    }
    Ok(match asking.quantifier {
        _ if !anything => Found::Empty,
        Quantifier::Some if !some => {
            let endings: Vec<String> = endings.into_iter().collect();
            Found::Fails { witness: None, got: endings.join(", or ") }
        }
        _ => Found::Holds,
    })
}

/// What becomes of one request, as an `expect` says it; of a table that has the rule, as if that one decided. The error says why it
/// cannot be said.
pub(crate) fn expectation(
    model: &Model,
    entry: &Entry,
    witness: &Witness,
    rule: Option<&Rule>,
) -> Result<String, String> {
    let pieces = pieces_of(model, entry, witness, rule).map_err(|why| match why {
        TooMuch::Budget => "what becomes of it cannot be decided within the budget",
        TooMuch::Changed(_) => "a rule on its way changes it",
    })?;
    let expected = match pieces.as_slice() {
        [only] => only.expected(model),
        _ => None,
    };
    expected.ok_or_else(|| "what becomes of it cannot be said in one line".to_owned())
}

fn pieces_of<'m>(
    model: &'m Model,
    entry: &Entry,
    witness: &Witness,
    rule: Option<&'m Rule>,
) -> Result<Vec<Piece>, TooMuch> {
    let Some(shape) = witness.shape() else { return Ok(vec![]) };
    let mut world = World::of(model, entry, std::slice::from_ref(&shape), Some(witness))?;
    world.forced = rule;
    let shape = shape.with_nothing_else(world.diagram.space());
    let all = world.region(entry, &[shape])?;
    let mut pieces = world.pieces(entry, all)?;
    pieces.retain(|piece| world.diagram.any_of(piece.set).is_some());
    world.proved(pieces)
}

impl Shape {
    /// The same of requests that say nothing that the conditions do not ask for. Addresses and the host always say something.
    fn with_nothing_else(&self, space: &Space) -> Shape {
        let asked = |field: &Field| {
            let inner = |test: &FieldTest| match (field, &test.field) {
                (Field::Claim { issuer, path }, Field::Claim { issuer: other, path: inner }) => {
                    issuer == other && inner.starts_with(path)
                }
                (Field::Jwt(issuer), Field::Claim { issuer: other, .. }) => issuer == other,
                (field, other) => field == other,
            };
            self.tests.iter().any(inner)
        };
        let always = |field: &Field| matches!(field, Field::SourceIp | Field::Host | Field::Path);
        let fields = space.fields.iter().map(|dimension| &dimension.field);
        let unasked = fields.filter(|field| !always(field) && !asked(field));
        let absent = unasked.map(|field| FieldTest { field: field.clone(), set: ValueSet::Absent });
        let mut tests: Vec<FieldTest> = self.tests.iter().cloned().chain(absent).collect();
        tests.sort();
        tests.dedup();
        Shape { tests: tests.into(), ..self.clone() }
    }
}

/// A request of a call that its callee refuses, if it refuses all of them.
pub(crate) fn denied(
    model: &Model,
    caller: ServiceId,
    to: PortId,
    shape: &Shape,
) -> Result<Option<Witness>, TooMuch> {
    let (entry, shapes) = (Entry::Sidecar { caller, to }, std::slice::from_ref(shape));
    let mut world = World::new(model, &entry, shapes)?;
    let all = world.region(&entry, shapes)?;
    for piece in world.pieces(&entry, all)? {
        let refused = piece.ends.keys().all(|end| *end == End::Denied);
        if !refused && world.diagram.any_of(piece.set).is_some() {
            return Ok(None);
        }
    }
    let point = world.diagram.any_of(all);
    world.proved(())?;
    Ok(point.map(|point| Witness::of_point(model, world.diagram.space(), &point)))
}

/// How a request can end.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Endpoint {
        to: PortId,
        subset: Option<u32>,
        timeout: Option<u32>,
        retry: u32,
        /// Faults and mirrors of the rules passed.
        edits: Vec<Edit>,
    },
    Denied,
    Undeclared,
    NoRoute,
    Status(u16),
    Redirect {
        status: u16,
        location: String,
    },
}

/// Requests that end the same way; each ending with its share of [`WHOLE`].
struct Piece {
    set: Target,
    ends: BTreeMap<End, u128>,
}

/// The whole of a share, for up to eight draws one after the other.
const WHOLE: u128 = 10_000u128.pow(8);

impl Piece {
    fn of(set: Target, end: End) -> Piece {
        Piece { set, ends: BTreeMap::from([(end, WHOLE)]) }
    }

    fn fulfils(&self, asking: &Asking) -> bool {
        let all = |is: &dyn Fn(&End) -> bool| self.ends.keys().all(is);
        let outcome = match &asking.expect {
            Expectation::Allow => all(&|end| matches!(end, End::Endpoint { .. })),
            Expectation::Deny => all(&|end| end.status() == Some(403)),
            Expectation::Status(status) => all(&|end| end.status() == Some(*status)),
            Expectation::Redirect { location, status } => all(
                &|end| matches!(end, End::Redirect { status: own, location: to } if own == status && to == location),
            ),
            Expectation::Backends(backends) => self.distribution() == Some(wanted(backends)),
        };
        let timeout = asking.timeout.is_none_or(|wanted| {
            all(&|end| !matches!(end, End::Endpoint { timeout, .. } if *timeout != wanted))
        });
        let retry = asking
            .retry
            .is_none_or(|wanted| all(&|end| !matches!(end, End::Endpoint { retry, .. } if *retry != wanted)));
        let besides = all(&|end| match end {
            End::Endpoint { edits, .. } => asking.besides.contradiction(edits).is_none(),
            _ => true,
        });
        outcome && timeout && retry && besides
    }

    fn distribution(&self) -> Option<BTreeMap<(u32, u32, u32), u128>> {
        let mut shares = BTreeMap::new();
        for (end, share) in &self.ends {
            let End::Endpoint { to, subset, .. } = end else { return None };
            *shares.entry((to.service.0, to.port, subset.unwrap_or(mesh_plan::NONE))).or_insert(0) += share;
        }
        Some(shares)
    }

    /// As an `expect` says it, if one can.
    fn expected(&self, model: &Model) -> Option<String> {
        let statuses: BTreeSet<Option<u16>> = self.ends.keys().map(End::status).collect();
        match self.ends.keys().collect::<Vec<_>>().as_slice() {
            [End::Redirect { status, location }] => {
                return Some(format!("redirect {} {status}", shown::written_location(location)));
            }
            [End::Status(status)] => return Some(status.to_string()),
            _ => {}
        }
        match statuses.into_iter().collect::<Vec<_>>().as_slice() {
            [Some(403)] => Some("deny".to_owned()),
            [Some(status)] => Some(status.to_string()),
            [None] => self.endpoints(model),
            _ => None,
        }
    }

    /// `cart:v1 90%, cart:v2 10% timeout 1s retry none fault delay 7s 100%`
    fn endpoints(&self, model: &Model) -> Option<String> {
        let mut shares: BTreeMap<(PortId, Option<u32>), u128> = BTreeMap::new();
        let (mut settings, mut faults) = (BTreeSet::new(), BTreeSet::new());
        for (end, share) in &self.ends {
            let End::Endpoint { to, subset, timeout, retry, edits } = end else { return None };
            *shares.entry((*to, *subset)).or_insert(0) += share;
            settings.insert((*timeout, *retry));
            faults.insert(fault_of(edits));
        }
        let exact = shares.values().all(|share| share % (WHOLE / 10_000) == 0);
        let said = shares.iter().map(|((to, subset), share)| {
            let endpoint = shown::endpoint(model, *to, *subset);
            if shares.len() == 1 { endpoint } else { format!("{endpoint} {}", percent(*share)) }
        });
        let mut said = if exact { said.collect::<Vec<_>>().join(", ") } else { "allow".to_owned() };
        if let [(timeout, retry)] = settings.into_iter().collect::<Vec<_>>().as_slice() {
            said.push_str(&timeout.map_or(String::new(), |timeout| {
                format!(" timeout {}", crate::check::duration(timeout.into()))
            }));
            said.push_str(&if *retry == 0 { String::new() } else { format!(" retry {retry}") });
        }
        match faults.into_iter().collect::<Vec<_>>().as_slice() {
            [None] => Some(said),
            [Some(fault)] => Some(format!("{said} {fault}")),
            _ => None,
        }
    }

    fn said(&self, model: &Model) -> String {
        let several = self.ends.len() > 1;
        let ends = self.ends.iter().map(|(end, share)| match several {
            true => format!("{} {}", end.said(model), percent(*share)),
            false => end.said(model),
        });
        ends.collect::<Vec<_>>().join(", ")
    }
}

/// A share as a percentage with at most two decimals.
fn percent(share: u128) -> String {
    let points = (share * 10_000 + WHOLE / 2) / WHOLE;
    format!("{}%", points as f64 / 100.0)
}

fn wanted(backends: &[Expected]) -> BTreeMap<(u32, u32, u32), u128> {
    let drawn = backends.iter().filter(|backend| backend.weight > 0);
    drawn
        .map(|backend| {
            ((backend.service, backend.port, backend.subset), u128::from(backend.weight) * (WHOLE / 10_000))
        })
        .collect()
}

impl End {
    fn status(&self) -> Option<u16> {
        match self {
            End::Endpoint { .. } => None,
            End::Denied | End::Undeclared => Some(403),
            End::NoRoute => Some(404),
            End::Status(status) | End::Redirect { status, .. } => Some(*status),
        }
    }

    fn said(&self, model: &Model) -> String {
        match self {
            End::Endpoint { to, subset, timeout, retry, edits } => {
                let name = model.port_name(*to);
                let subset = subset.and_then(|subset| model[to.service].subsets.get(subset as usize));
                let subset = subset.map_or(String::new(), |subset| format!(":{}", subset.name));
                let timeout = timeout.map_or("none".to_owned(), |timeout| format!("{timeout}ms"));
                let retry = if *retry == 0 { "none".to_owned() } else { retry.to_string() };
                let besides = Besides::default()
                    .contradiction(edits)
                    .map_or(String::new(), |(_, seen)| format!(", {seen}"));
                let name = name.trim_end_matches(".default");
                format!("`{name}{subset}` (timeout {timeout}, retry {retry}{besides})")
            }
            End::Denied => "403 (denied)".to_owned(),
            End::Undeclared => "403 (the caller declares no such call)".to_owned(),
            End::NoRoute => "404 (no rule matches)".to_owned(),
            End::Status(status) => status.to_string(),
            End::Redirect { status, location } => format!("a redirect to `{location}` with {status}"),
        }
    }
}

/// The space of everything that a request of an entry can meet.
struct World<'m> {
    model: &'m Model,
    diagram: Diagram,
    /// The host of all requests, where some line asks for it.
    host: Option<Shape>,
    /// The rule that is to decide in its table, whatever beats it.
    forced: Option<&'m Rule>,
    /// The one request that is asked about, where it is one: lines about other paths are none of its.
    only: Option<&'m Witness>,
}

/// The requests for the host with which they come in at a gateway.
fn host_of(entry: &Entry) -> Option<Shape> {
    let Entry::Gateway { host, .. } = entry else { return None };
    let asked = Asked::OneOf(vec![host.as_str().into()]);
    let set = ValueSet::Passing { asked, negated: false, polarity: Polarity::Grant };
    Some(Shape { tests: vec![FieldTest { field: Field::Host, set }].into(), ..Shape::default() })
}

fn asks_host(shape: &Shape) -> bool {
    shape.tests.iter().any(|test| test.field == Field::Host)
}

/// The settings of the levels passed so far, the nearest first.
type Levels<'m> = Vec<&'m Settings>;

/// The rules passed so far, in order.
type Passed<'m> = Vec<&'m Rule>;

impl<'m> World<'m> {
    fn new(model: &'m Model, entry: &Entry, shapes: &[Shape]) -> Result<World<'m>, TooMuch> {
        World::of(model, entry, shapes, None)
    }

    fn of(
        model: &'m Model,
        entry: &Entry,
        shapes: &[Shape],
        only: Option<&'m Witness>,
    ) -> Result<World<'m>, TooMuch> {
        let peer = match entry {
            Entry::Sidecar { caller, .. } => Some(&model[*caller].workload.identity),
            Entry::FromGateway { gateway, .. } | Entry::Gateway { gateway, .. } => {
                Some(&model[*gateway].workload.identity)
            }
            Entry::Inbound { .. } => None,
        };
        let peer = peer.map(|identity| Candidate::of_identity(model, identity.clone()));
        let mut met = Met { model, peer, only, ports: BTreeSet::new(), shapes: shapes.to_vec() };
        let mut access: Vec<AccessLine> = Vec::new();
        match entry {
            Entry::Sidecar { caller, to } => {
                let call = call_of(model, *caller, *to).into_iter();
                met.shapes(call.flat_map(|call| &call.lines).map(|line| &line.shape));
                met.sent(Caller::Service(*caller), *to);
            }
            Entry::FromGateway { gateway, to } => met.sent(Caller::Gateway(*gateway), *to),
            Entry::Inbound { from, to } => {
                access.extend(met_by(&model.port(*to).access, only).cloned());
                access.push(pseudo(from));
                met.port(*to, false);
            }
            Entry::Gateway { from, gateway, listener, .. } => {
                let listener = &model[*gateway].listeners[*listener as usize];
                access.extend(met_by(&listener.access, only).cloned());
                access.push(pseudo(from));
                let sender = Some(Caller::Gateway(*gateway));
                listener.tables.iter().for_each(|host| met.table(&host.table, sender));
                met.shapes(listener.access.iter().flat_map(|line| &line.shapes));
            }
        }
        if met.shapes.len() > partition::MAX_LINES {
            return Err(TooMuch::Budget);
        }
        let host = host_of(entry).filter(|_| met.shapes.iter().any(asks_host));
        met.shapes.extend(host.clone());
        let peers = || if access.is_empty() { Peers::indifferent() } else { Peers::new(model, &access) };
        let diagram =
            partition::diagram(met.shapes.iter(), &peers, model.budget).map_err(|_| TooMuch::Budget)?;
        if diagram.space().fields.len() > partition::MAX_FIELDS {
            return Err(TooMuch::Budget);
        }
        Ok(World { model, diagram, host, forced: None, only })
    }

    /// What was found out, if nothing was given up on the way: what was not found then is not proved.
    fn proved<T>(&self, found: T) -> Result<T, TooMuch> {
        if self.diagram.is_exhausted() { Err(TooMuch::Budget) } else { Ok(found) }
    }

    /// The requests that the line describes.
    fn region(&mut self, entry: &Entry, shapes: &[Shape]) -> Result<Target, TooMuch> {
        let from = match entry {
            Entry::Inbound { from, .. } | Entry::Gateway { from, .. } => {
                Some(self.diagram.space().peers.set(from, self.model))
            }
            Entry::Sidecar { .. } | Entry::FromGateway { .. } => None,
        };
        let mut sets = Vec::with_capacity(shapes.len());
        for shape in shapes {
            let product = self.diagram.space().product(shape, from.clone());
            sets.push(self.diagram.product(&product)?);
        }
        let all = self.diagram.any_of_sets(&sets)?;
        let Some(host) = &self.host else { return Ok(all) };
        let host = self.diagram.space().product(host, None);
        let host = self.diagram.product(&host)?;
        Ok(self.diagram.and(all, host)?)
    }

    fn pieces(&mut self, entry: &Entry, all: Target) -> Result<Vec<Piece>, TooMuch> {
        let model = self.model;
        match entry {
            Entry::Inbound { to, .. } => {
                let allowed = self.allowed(&model.port(*to).access, None)?;
                let end = self.endpoint(*to, None, &[], vec![]);
                self.split(all, allowed, Piece::of(all, end), End::Denied)
            }
            Entry::FromGateway { gateway, to } => {
                let peer = model[*gateway].workload.identity.clone();
                self.send(Caller::Gateway(*gateway), *to, &peer, &vec![], all)
            }
            Entry::Sidecar { caller, to } => self.call(*caller, *to, all),
            Entry::Gateway { gateway, listener, host, .. } => {
                let peer = model[*gateway].workload.identity.clone();
                let own = &model[*gateway].listeners[*listener as usize];
                let allowed = self.allowed(&own.access, None)?;
                let inside = self.diagram.and(all, allowed)?;
                let outside = self.diagram.minus(all, allowed)?;
                let mut pieces = vec![Piece::of(outside, End::Denied)];
                let tables: Vec<&Table> = own.tables.iter().map(|table| &table.table).collect();
                match host_table(own, host) {
                    None => pieces.push(Piece::of(inside, End::NoRoute)),
                    Some(index) => {
                        let next = |table: usize| partition::next_wider(&own.tables, table);
                        let judged = self.judge(&tables, &next)?;
                        let root = judged[index].root;
                        let sender = Some(Caller::Gateway(*gateway));
                        let none = (&vec![], &vec![]);
                        pieces.extend(self.route(&tables, root, &peer, sender, none, inside, 0)?);
                    }
                }
                Ok(pieces)
            }
        }
    }

    fn judge(
        &mut self,
        tables: &[&Table],
        next: &dyn Fn(usize) -> Option<usize>,
    ) -> Result<Vec<Judged>, TooMuch> {
        let only = self.only;
        let matters = |shape: &Shape| only.is_none_or(|only| only.may_fit(shape));
        Ok(partition::judge(&mut self.diagram, tables, next, &matters)?)
    }

    /// 5.2: the caller's `calls`, then the callee's route.
    fn call(&mut self, caller: ServiceId, to: PortId, all: Target) -> Result<Vec<Piece>, TooMuch> {
        let model = self.model;
        let peer = model[caller].workload.identity.clone();
        let Some(call) = call_of(model, caller, to) else {
            return Ok(vec![Piece::of(all, End::Undeclared)]);
        };
        let judged = partition::judge_call(&mut self.diagram, call)?;
        let plain = call.lines.iter().find(|line| !line.narrowed).map(|line| &line.settings);
        let mut pieces = Vec::new();
        let mut covered = Vec::new();
        for (line, number) in call.lines.iter().zip(0u32..) {
            let own = self.leaf_set(judged.root, number)?;
            let set = self.diagram.and(all, own)?;
            covered.push(own);
            if self.diagram.any_of(set).is_none() {
                continue;
            }
            let mut levels: Levels<'m> = Vec::new();
            levels.extend(line.narrowed.then_some(&line.settings));
            levels.extend(plain);
            pieces.extend(self.send(Caller::Service(caller), to, &peer, &levels, set)?);
        }
        let covered = self.diagram.any_of_sets(&covered)?;
        let outside = self.diagram.minus(all, covered)?;
        pieces.push(Piece::of(outside, End::Undeclared));
        Ok(pieces)
    }

    /// The requests of which a decision says this leaf.
    fn leaf_set(&mut self, root: Target, wanted: u32) -> Result<Target, TooMuch> {
        let yes = |leaf: u32| if leaf == wanted { crate::diagram::YES } else { crate::diagram::NO };
        Ok(self.diagram.map(root, &yes)?)
    }

    /// What a caller itself sends to a port. `calls` are the caller's levels, which stand behind the rules.
    fn send(
        &mut self,
        caller: Caller,
        to: PortId,
        peer: &str,
        calls: &Levels<'m>,
        set: Target,
    ) -> Result<Vec<Piece>, TooMuch> {
        match self.model.route_from(caller, to) {
            None => self.reach(to, None, peer, &[], calls, set),
            Some(table) => self.table(table, peer, (&vec![], calls), set, 0),
        }
    }

    /// A route to a port.
    fn table(
        &mut self,
        table: &'m Table,
        peer: &str,
        passed: (&Passed<'m>, &Levels<'m>),
        set: Target,
        depth: usize,
    ) -> Result<Vec<Piece>, TooMuch> {
        let tables = [table];
        let judged = self.judge(&tables, &|_| None)?;
        self.route(&tables, judged[0].root, peer, None, passed, set, depth)
    }

    /// Tables, and of which they are: `sender` is the gateway whose own rules these are.
    #[expect(
        clippy::too_many_arguments,
        reason = "one step of a walk: what was passed, and where it goes on"
    )]
    fn route(
        &mut self,
        tables: &[&'m Table],
        root: Target,
        peer: &str,
        sender: Option<Caller>,
        (rules, calls): (&Passed<'m>, &Levels<'m>),
        set: Target,
        depth: usize,
    ) -> Result<Vec<Piece>, TooMuch> {
        if depth >= MAX_DEPTH {
            return Err(TooMuch::Budget);
        }
        let root = self.forced_in(tables).unwrap_or(root);
        let mut pieces = Vec::new();
        let mut answered = Vec::new();
        for (table, number) in tables.iter().zip(0u32..) {
            for (rule, index) in table.rules.iter().zip(0u32..) {
                let own = self.leaf_set(root, Leaf::Rule { table: number, rule: index }.number())?;
                answered.push(own);
                let matching = self.diagram.and(set, own)?;
                if self.diagram.any_of(matching).is_none() {
                    continue;
                }
                match &rule.action {
                    Action::Respond { status, .. } => pieces.push(Piece::of(matching, End::Status(*status))),
                    Action::Redirect { status, location } => {
                        let said =
                            if location.is_empty() { redirect_text(&rule.edits) } else { location.clone() };
                        let end = End::Redirect { status: *status, location: said };
                        pieces.push(Piece::of(matching, end));
                    }
                    Action::Forward(backends) => {
                        if rule.edits.iter().any(changes_request) {
                            return Err(TooMuch::Changed(rule.span));
                        }
                        let mut passed = rules.clone();
                        passed.push(rule);
                        let passed = (&passed, calls);
                        pieces.extend(self.forward(backends, peer, sender, passed, matching, depth)?);
                    }
                }
                if pieces.len() > MAX_PIECES {
                    return Err(TooMuch::Budget);
                }
            }
            if let Some((status, _)) = table.otherwise {
                let own = self.leaf_set(root, Leaf::Otherwise { table: number }.number())?;
                answered.push(own);
                let matching = self.diagram.and(set, own)?;
                pieces.push(Piece::of(matching, End::Status(status)));
            }
        }
        let answered = self.diagram.any_of_sets(&answered)?;
        let left = self.diagram.minus(set, answered)?;
        pieces.push(Piece::of(left, End::NoRoute));
        Ok(pieces)
    }

    /// The leaf of the rule that is to decide, where it stands in these tables.
    fn forced_in(&self, tables: &[&Table]) -> Option<Target> {
        let forced = self.forced?;
        let places = tables.iter().zip(0..).filter_map(|(table, number)| {
            let rule = table.rules.iter().position(|rule| std::ptr::eq(rule, forced))?;
            Some(Leaf::Rule { table: number, rule: rule as u32 }.number())
        });
        places.map(Target::Leaf).next()
    }

    /// A split: the pieces of each destination, cut along each other.
    fn forward(
        &mut self,
        backends: &[crate::model::Backend],
        peer: &str,
        sender: Option<Caller>,
        (rules, calls): (&Passed<'m>, &Levels<'m>),
        set: Target,
        depth: usize,
    ) -> Result<Vec<Piece>, TooMuch> {
        let mut pieces = vec![Piece { set, ends: BTreeMap::new() }];
        for backend in backends.iter().filter(|backend| backend.weight > 0) {
            let mut cut = Vec::new();
            for piece in pieces {
                let route = match sender {
                    _ if !backend.enter => None,
                    Some(caller) => self.model.route_from(caller, backend.to),
                    None => self.model.port(backend.to).route.as_ref(),
                };
                let ways = match route {
                    Some(table) => self.table(table, peer, (rules, calls), piece.set, depth + 1)?,
                    None => self.reach(backend.to, backend.subset, peer, rules, calls, piece.set)?,
                };
                for way in ways {
                    if self.diagram.any_of(way.set).is_none() {
                        continue;
                    }
                    let mut ends = piece.ends.clone();
                    for (end, share) in way.ends {
                        *ends.entry(end).or_insert(0) += share * u128::from(backend.weight) / 10_000;
                    }
                    cut.push(Piece { set: way.set, ends });
                }
            }
            pieces = cut;
            if pieces.len() > MAX_PIECES {
                return Err(TooMuch::Budget);
            }
        }
        Ok(pieces)
    }

    /// Endpoints, behind the authorization of the service that owns them.
    fn reach(
        &mut self,
        to: PortId,
        subset: Option<u32>,
        peer: &str,
        rules: &[&'m Rule],
        calls: &Levels<'m>,
        set: Target,
    ) -> Result<Vec<Piece>, TooMuch> {
        let model = self.model;
        let allowed = self.allowed(&model.port(to).access, Some(peer))?;
        let settings = rules.iter().map(|rule| &rule.settings);
        let levels: Vec<&Settings> = settings.chain(calls.iter().copied()).collect();
        let edits = rules.iter().flat_map(|rule| &rule.edits).filter(|edit| is_besides(edit));
        let end = self.endpoint(to, subset, &levels, edits.cloned().collect());
        self.split(set, allowed, Piece::of(set, end), End::Denied)
    }

    fn split(
        &mut self,
        set: Target,
        allowed: Target,
        inside: Piece,
        outside: End,
    ) -> Result<Vec<Piece>, TooMuch> {
        let yes = self.diagram.and(set, allowed)?;
        let no = self.diagram.minus(set, allowed)?;
        Ok(vec![Piece { set: yes, ..inside }, Piece::of(no, outside)])
    }

    /// 6.1: each setting from the nearest level that writes it.
    fn endpoint(&self, to: PortId, subset: Option<u32>, levels: &[&Settings], edits: Vec<Edit>) -> End {
        let own = [&self.model[to.service].settings, &self.model.default];
        let all = || levels.iter().copied().chain(own);
        let timeout = all().find_map(|level| level.timeout).flatten();
        let retry = all().find_map(|level| level.retry.clone()).flatten();
        End::Endpoint { to, subset, timeout, retry: retry.map_or(0, |retry| retry.count), edits }
    }

    /// 4.1, 10.16: what is allowed; of one peer, or of all that the space tells apart.
    fn allowed(&mut self, lines: &[AccessLine], peer: Option<&str>) -> Result<Target, TooMuch> {
        let (mut allow, mut deny, mut probes, mut guards) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for line in met_by(lines, self.only) {
            let from = match peer {
                None => Some(self.diagram.space().peers.set(&line.from, self.model)),
                Some(identity)
                    if Candidate::of_identity(self.model, identity).is_in(&line.from, self.model) =>
                {
                    None
                }
                Some(_) => continue,
            };
            for shape in line.shapes.iter().filter(|shape| self.only.is_none_or(|only| only.may_fit(shape))) {
                let product = self.diagram.space().product(shape, from.clone());
                let set = self.diagram.product(&product)?;
                match line.effect {
                    Effect::Allow if line.is_probe => probes.push(set),
                    Effect::Allow => allow.push(set),
                    Effect::Deny => {
                        deny.push(set);
                        guards.extend(line.is_guardrail().then_some(set));
                    }
                    Effect::Audit => {}
                }
            }
        }
        let allow = self.diagram.any_of_sets(&allow)?;
        let deny = self.diagram.any_of_sets(&deny)?;
        let allowed = self.diagram.minus(allow, deny)?;
        if probes.is_empty() {
            return Ok(allowed);
        }
        let (probes, guards) = (self.diagram.any_of_sets(&probes)?, self.diagram.any_of_sets(&guards)?);
        let probes = self.diagram.minus(probes, guards)?;
        Ok(self.diagram.or(allowed, probes)?)
    }
}

/// Routes entered one after the other, as in 3.10.
const MAX_DEPTH: usize = 9;

/// Whether what is decided behind the rule is about another request.
pub(crate) fn changes_request(edit: &Edit) -> bool {
    matches!(
        edit,
        Edit::Path(_)
            | Edit::Host(_)
            | Edit::Prefix { .. }
            | Edit::SetRequestHeader(..)
            | Edit::AddRequestHeader(..)
            | Edit::RemoveRequestHeader(_)
    )
}

/// The first fault among edits, as the language writes it.
fn fault_of(edits: &[Edit]) -> Option<String> {
    let is_fault = |edit: &&Edit| matches!(edit, Edit::Delay { .. } | Edit::Abort { .. });
    edits.iter().find(is_fault).map(crate::case::said)
}

/// Whether it is done besides sending the request on.
fn is_besides(edit: &Edit) -> bool {
    matches!(edit, Edit::Delay { .. } | Edit::Abort { .. } | Edit::Mirror { .. })
}

/// The lines that a request can meet.
struct Met<'m> {
    model: &'m Model,
    /// Whom services see, where it is one: lines about others are not met.
    peer: Option<Candidate>,
    /// See [`World`].
    only: Option<&'m Witness>,
    ports: BTreeSet<(PortId, bool)>,
    shapes: Vec<Shape>,
}

impl Met<'_> {
    fn shapes<'s>(&mut self, shapes: impl Iterator<Item = &'s Shape>) {
        let only = self.only;
        self.shapes.extend(shapes.filter(|shape| only.is_none_or(|only| only.may_fit(shape))).cloned());
    }

    fn port(&mut self, id: PortId, enters: bool) {
        if !self.ports.insert((id, enters)) {
            return;
        }
        let model = self.model;
        let peer = self.peer.clone();
        let lines = model.port(id).access.iter();
        let lines = lines.filter(|line| peer.as_ref().is_none_or(|peer| peer.is_in(&line.from, self.model)));
        self.shapes(lines.flat_map(|line| &line.shapes));
        if let (true, Some(table)) = (enters, &model.port(id).route) {
            self.table(table, None);
        }
    }

    /// What a caller itself sends.
    fn sent(&mut self, caller: Caller, to: PortId) {
        let model = self.model;
        match model.consumer_route(caller, to) {
            Some(own) => self.table(&model.consumer_routes[own].table, None),
            None => self.port(to, true),
        }
    }

    /// `sender` is the gateway whose own rules these are.
    fn table(&mut self, table: &Table, sender: Option<Caller>) {
        for rule in &table.rules {
            self.shapes(rule.lines.iter().map(|line| &line.shape));
            let Action::Forward(backends) = &rule.action else { continue };
            for backend in backends {
                match sender {
                    Some(caller) if backend.enter => self.sent(caller, backend.to),
                    _ => self.port(backend.to, backend.enter),
                }
            }
        }
    }
}

/// Of lines those that the one request that is asked about can meet, if it is one.
fn met_by<'l>(lines: &'l [AccessLine], only: Option<&Witness>) -> impl Iterator<Item = &'l AccessLine> {
    let meets = move |line: &AccessLine, only: &Witness| line.shapes.iter().any(|shape| only.may_fit(shape));
    lines.iter().filter(move |line| only.is_none_or(|only| meets(line, only)))
}

/// A line that tells the asked peers apart from the others.
fn pseudo(from: &PeerSet) -> AccessLine {
    AccessLine {
        effect: Effect::Audit,
        from: from.clone(),
        shapes: vec![],
        text: Wording::Said(mesh_lang::Text::default()),
        span: Span::new(mesh_lang::FileId(0), 0, 0),
        is_mode: false,
        is_probe: false,
    }
}

fn call_of(model: &Model, caller: ServiceId, to: PortId) -> Option<&Call> {
    model[caller].calls.iter().find(|call| call.to == to)
}

/// The table of the most specific pattern that covers a host.
pub(crate) fn host_table(listener: &crate::model::Listener, host: &str) -> Option<usize> {
    let asked = HostPattern::Exact(host.into());
    let accepted = listener.hosts.iter().any(|(own, _)| partition::covers(own, &asked));
    let chain = std::iter::once(asked.clone()).chain(partition::wider(&asked));
    let mut tables =
        chain.filter_map(|pattern| listener.tables.iter().position(|table| table.host == pattern));
    tables.next().filter(|_| accepted)
}

#[cfg(test)]
mod tests {
    use crate::{StandIns, compile};
    use mesh_lang::SourceSet;

    #[test]
    fn the_host_of_a_line_is_the_host_of_all_its_requests() {
        let fails = |condition: &str| {
            let text = format!(
                "gateway g {{ listener l port 80 http {{ host \"*.shop.example\" }} }}\nroute g {{ rule r {{ respond 200 }} }}\nauthorize g {{\nallow from anyone\ndeny from anyone when {condition}\n}}\ntest \"t\" {{ every from anyone to g \"a.shop.example\" expect 200 }}\n"
            );
            let tests = compile(&SourceSet::single("test.mesh", &text), &StandIns::new()).tests;
            tests[0].proofs[0].failure.is_some()
        };
        assert!(fails("host = \"a.shop.example\""));
        assert!(!fails("not host = \"a.shop.example\""));
        assert!(!fails("host in (\"b.shop.example\", \"c.shop.example\")"));
    }
}
