//! Who may call whom: for each port everybody that its authorization tells apart, and what it lets each of them do.
//!
//! Of one peer only the lines count that are about it, so a diagram over these lines decides, without guessing, whether all, some or none
//! of the asked requests are let in; and it knows a request for each answer.

use super::find::door;
use super::ways::{Way, ways};
use super::{Cited, Survey, Unknown, said, spelling};
use crate::diagram::{Diagram, Point, TooManyNodes};
use crate::model::{AccessLine, Call, Caller, PeerSet, PortId, Shape};
use crate::partition;
use crate::quantified;
use crate::resolve::of_ops;
use crate::shown;
use crate::space::Budget;
use crate::space::peer::{Candidate, Peers, candidates};
use crate::witness::Witness;
use mesh_lang::ast::{Effect, Item};
use mesh_lang::{FileId, Severity, Span, Text};
use mesh_plan::Target;
use std::collections::{BTreeMap, BTreeSet};

pub(super) type Ways = BTreeMap<Caller, BTreeMap<PortId, Way>>;

/// Everybody whom the project declares, so that a port need not look at all of them.
struct Everybody {
    by_identity: BTreeMap<Text, Vec<Caller>>,
    /// Those that are alike where no line knows more of them, by what they then are, the narrowest first.
    alike: BTreeMap<Vec<Candidate>, BTreeSet<Caller>>,
    ways: Ways,
    /// Who comes to which port.
    comers: BTreeMap<PortId, BTreeSet<Caller>>,
}

/// Somebody, and what a port lets them do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub who: Who,
    /// `payments.payments`
    pub callee: String,
    /// The port's name, or its number where it has none.
    pub port: String,
    /// What is let in of the requests that are asked about: of those that are said, else of those that `who` declares to call, else of all.
    pub verdict: Verdict,
    pub declared: Declared,
    /// The `calls`, or the rule of a gateway, by which they come.
    pub by: Option<Span>,
    /// The `allow`s that let something in.
    pub grants: Vec<Grant>,
    /// The `deny` lines that take away some of it.
    pub denials: Vec<Cited>,
    /// A request that is let in.
    pub allowed: Option<Example>,
    /// A request that is not.
    pub denied: Option<Example>,
}

/// Who calls: somebody, or all of whom no line knows more.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// `web.default`
    Service(String),
    /// `edge.default`
    Gateway(String),
    /// Of nobody that the project declares.
    Identity(String),
    /// A group, and how many services or gateways of the project are in it that have no row of their own.
    Others { who: Others, count: usize },
}

/// Those of whom no line knows more.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Others {
    /// Any other identity of a namespace of the mesh.
    OfNamespace(String),
    OfMesh,
    Gateways,
    /// Any other identity one segment below this one.
    Below(String),
    OfTrustDomain(String),
    Foreign,
    Unauthenticated,
}

impl std::fmt::Display for Who {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Who::Service(name) => f.write_str(name),
            Who::Gateway(name) => write!(f, "gateway {name}"),
            Who::Identity(identity) => f.write_str(identity),
            Who::Others { who, .. } => match who {
                Others::OfNamespace(name) => write!(f, "any other identity of namespace {name}"),
                Others::OfMesh => f.write_str("any other identity of the mesh"),
                Others::Gateways => f.write_str("any other gateway"),
                Others::Below(parent) => write!(f, "any other identity below {parent}"),
                Others::OfTrustDomain(name) => write!(f, "any other identity of trust domain {name}"),
                Others::Foreign => f.write_str("any identity of another trust domain"),
                Others::Unauthenticated => f.write_str("peers without identity"),
            },
        }
    }
}

/// How much of what is asked about is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    Allowed,
    Partly,
    Denied,
}

/// Whether a service declares the call: its proxy refuses what it does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Declared {
    /// All that is asked about; of a gateway, that a rule sends there.
    Yes,
    Partly,
    No,
    /// It comes by the route of another service that it calls, or of a gateway.
    ByRoute,
    /// Nobody's proxy asks: an identity, a group.
    Unasked,
}

/// An `allow` that lets something in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    pub line: Cited,
    /// `GET /v1/charges/{id}`; empty: every request.
    pub operations: Vec<String>,
    /// `header "x" present`; empty: whatever it carries.
    pub when: String,
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// `GET /v1/charges/1  x-team: books`
    pub request: String,
    /// A line of the test language that asks the port's authorization for it, where a line can say it.
    pub test: Option<String>,
}

/// Why a question has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoAnswer {
    /// The question means nothing.
    Unknown(Unknown),
    /// It needs more than the budget; of which port it is.
    TooMuch(String),
}

impl From<Unknown> for NoAnswer {
    fn from(unknown: Unknown) -> NoAnswer {
        NoAnswer::Unknown(unknown)
    }
}

struct TooMuch;

impl From<TooManyNodes> for TooMuch {
    fn from(_: TooManyNodes) -> TooMuch {
        TooMuch
    }
}

impl Survey<'_> {
    /// Who may call a service, or one port of it (by name or number); `operations` as the language writes them, `POST /v1/charges`.
    pub fn can_call(
        &self,
        to: &str,
        port: Option<&str>,
        operations: Option<&str>,
    ) -> Result<Vec<Row>, NoAnswer> {
        let Caller::Service(service) = self.find(to)? else {
            let message = format!("`{to}` is a gateway: everybody may connect to it");
            let help = "Name a service; `mesh why --to` asks a gateway.".to_owned();
            return Err(Unknown { message, help }.into());
        };
        let asked = asked(operations)?;
        let ports = &self.model[service].ports;
        let chosen: Vec<u32> = match port {
            None => (0..ports.len() as u32).collect(),
            Some(_) => {
                let doors: Vec<(String, u16)> =
                    ports.iter().map(|own| (own.name.to_string(), own.number)).collect();
                let whose = format!("service `{}`", self.model[service].full_name());
                vec![door(port, &whose, "port", &doors)? as u32]
            }
        };
        let (everybody, mut rows) = (self.everybody(), Vec::new());
        for port in chosen {
            rows.extend(self.rows(&everybody, PortId { service, port }, &asked)?);
        }
        Ok(rows)
    }

    /// What a service or gateway may call.
    pub fn callable_from(&self, from: &str, operations: Option<&str>) -> Result<Vec<Row>, NoAnswer> {
        let caller = self.find(from)?;
        let asked = asked(operations)?;
        let (ways, mut rows) = (ways(&self.model), Vec::new());
        for to in self.model.ports() {
            let row = self.row_of(caller, &ways, to, &asked).map_err(|_| self.too_much(to))?;
            rows.extend(row.filter(is_worth_telling));
        }
        Ok(rows)
    }

    /// Who may call whom.
    pub fn matrix(&self) -> Result<Vec<Row>, NoAnswer> {
        let (everybody, mut rows) = (self.everybody(), Vec::new());
        for to in self.model.ports() {
            rows.extend(self.rows(&everybody, to, &[])?);
        }
        Ok(rows)
    }

    fn too_much(&self, to: PortId) -> NoAnswer {
        NoAnswer::TooMuch(self.model.port_name(to))
    }

    /// How much of what somebody declares to call is let in.
    pub(super) fn verdict(&self, caller: Caller, ways: &Ways, to: PortId) -> Result<Verdict, NoAnswer> {
        let row = self.row_of(caller, ways, to, &[]).map_err(|_| self.too_much(to))?;
        Ok(row.map_or(Verdict::Denied, |row| row.verdict))
    }

    /// A row for everybody whom the lines of a port name, or who calls it, and one for each kind of others.
    fn rows(&self, everybody: &Everybody, to: PortId, asked: &[Shape]) -> Result<Vec<Row>, NoAnswer> {
        let lines = &self.model.port(to).access;
        let principals = lines.iter().flat_map(|line| line.from.of.iter().chain(&line.from.except));
        let known = candidates(&self.model, principals);
        let named =
            known.iter().filter_map(Candidate::identity).filter_map(|own| everybody.by_identity.get(own));
        let comers = everybody.comers.get(&to);
        let listed: BTreeSet<Caller> = named.flatten().chain(comers.into_iter().flatten()).copied().collect();
        let mut rows = Vec::new();
        for caller in &listed {
            let row = self.row_of(*caller, &everybody.ways, to, asked).map_err(|_| self.too_much(to))?;
            rows.extend(row);
        }
        let mut others: BTreeMap<&Candidate, usize> = BTreeMap::new();
        for (kinds, members) in &everybody.alike {
            if let Some(kind) = kinds.iter().find_map(|kind| known.get(kind)) {
                let without = members.iter().filter(|member| !listed.contains(member));
                *others.entry(kind).or_default() += without.count();
            }
        }
        for candidate in &known {
            let count = others.get(candidate).copied().unwrap_or(0);
            let who = match candidate {
                Candidate::Own { identity, .. }
                | Candidate::Gateway { identity }
                | Candidate::Foreign { identity } => {
                    if everybody.by_identity.contains_key(identity.as_str()) {
                        continue;
                    }
                    Who::Identity(identity.to_string())
                }
                Candidate::OtherGateway if count == 0 => continue,
                Candidate::OtherIn { namespace } => group(Others::OfNamespace(namespace.to_string()), count),
                Candidate::OtherBelow { parent } => group(Others::Below(parent.to_string()), count),
                Candidate::OtherOf { trust_domain } => {
                    group(Others::OfTrustDomain(trust_domain.to_string()), count)
                }
                Candidate::OtherOwn => group(Others::OfMesh, count),
                Candidate::OtherGateway => group(Others::Gateways, count),
                Candidate::OtherForeign => group(Others::Foreign, count),
                Candidate::Unauthenticated => group(Others::Unauthenticated, count),
            };
            let row = self.row(who, candidate, None, to, asked).map_err(|_| self.too_much(to))?;
            rows.extend(row);
        }
        rows.retain(is_worth_telling);
        rows.sort_by(|a, b| a.who.cmp(&b.who));
        Ok(rows)
    }

    fn everybody(&self) -> Everybody {
        let ways = ways(&self.model);
        let mut comers: BTreeMap<PortId, BTreeSet<Caller>> = BTreeMap::new();
        for (caller, ports) in &ways {
            for port in ports.keys() {
                comers.entry(*port).or_default().insert(*caller);
            }
        }
        let (mut by_identity, mut alike) = (BTreeMap::<Text, Vec<Caller>>::new(), BTreeMap::new());
        for (caller, workload) in self.workloads() {
            by_identity.entry(workload.identity.clone()).or_default().push(caller);
            let kinds = kinds_of(&Candidate::of_identity(&self.model, workload.identity.clone()));
            alike.entry(kinds).or_insert_with(BTreeSet::new).insert(caller);
        }
        Everybody { by_identity, alike, ways, comers }
    }

    /// The row of a service or gateway.
    fn row_of(
        &self,
        caller: Caller,
        ways: &Ways,
        to: PortId,
        asked: &[Shape],
    ) -> Result<Option<Row>, TooMuch> {
        let workload = self.model.workload(caller);
        let who = match caller {
            Caller::Service(_) => Who::Service(workload.full_name()),
            Caller::Gateway(_) => Who::Gateway(workload.full_name()),
        };
        let candidate = Candidate::of_identity(&self.model, workload.identity.clone());
        self.row(who, &candidate, Some((caller, way_of(ways, caller, to))), to, asked)
    }

    /// `None` where nothing is asked about: no request is of this description.
    fn row(
        &self,
        who: Who,
        candidate: &Candidate,
        caller: Option<(Caller, Option<Way>)>,
        to: PortId,
        asked: &[Shape],
    ) -> Result<Option<Row>, TooMuch> {
        let call = caller.and_then(|(caller, _)| match caller {
            Caller::Service(service) => self.model[service].calls.iter().find(|call| call.to == to),
            Caller::Gateway(_) => None,
        });
        let lines = &self.model.port(to).access;
        let own: Vec<&AccessLine> =
            lines.iter().filter(|line| candidate.is_in(&line.from, &self.model)).collect();
        let mut world = World::new(&own, asked, call, self.model.budget)?;
        let Some(judged) = world.judge(&own, asked, call)? else { return Ok(None) };
        let example = |point: Option<Point>| {
            let point = point?;
            let witness = Witness::of_point(&self.model, world.diagram.space(), &point);
            let test = candidate.somebody(&self.model).and_then(|somebody| {
                let entry = quantified::Entry::Inbound { from: PeerSet::one(somebody), to };
                shown::request(&self.model, &entry, &witness).ok()
            });
            let request = match self.model.port(to).protocol.is_http() {
                true => witness.to_string(),
                false => witness
                    .source_ip
                    .map_or("a connection".to_owned(), |ip| format!("a connection from {ip}")),
            };
            Some(Example { request, test })
        };
        let (allowed, denied) = (example(judged.inside), example(judged.outside));
        let declared = match (caller, judged.declared) {
            (None, _) => Declared::Unasked,
            (Some(_), Some(declared)) => declared,
            (Some((Caller::Gateway(_), Some(way))), None) if way.direct => Declared::Yes,
            (Some((_, Some(_))), None) => Declared::ByRoute,
            (Some((_, None)), None) => Declared::No,
        };
        let port = self.model.port(to);
        Ok(Some(Row {
            who,
            callee: self.model[to.service].full_name(),
            port: if port.name.is_empty() { port.number.to_string() } else { port.name.to_string() },
            verdict: match (&allowed, &denied) {
                (Some(_), None) => Verdict::Allowed,
                (Some(_), Some(_)) => Verdict::Partly,
                (None, _) => Verdict::Denied,
            },
            declared,
            by: caller.and_then(|(_, way)| Some(way?.span)),
            grants: judged.grants.into_iter().map(|index| grant(own[index])).collect(),
            denials: judged.denials.into_iter().map(|index| cited(own[index])).collect(),
            allowed,
            denied,
        }))
    }
}

/// The diagram of what a peer meets at a port.
struct World {
    diagram: Diagram,
}

/// What becomes of what is asked about.
struct Judged {
    inside: Option<Point>,
    outside: Option<Point>,
    /// Indices of the lines that let some of it in, and of those that take some of that away.
    grants: Vec<usize>,
    denials: Vec<usize>,
    /// `None` where the peer declares no call.
    declared: Option<Declared>,
}

impl World {
    fn new(
        lines: &[&AccessLine],
        asked: &[Shape],
        call: Option<&Call>,
        budget: Budget,
    ) -> Result<World, TooMuch> {
        let called = call.into_iter().flat_map(|call| &call.lines).map(|line| &line.shape);
        let shapes = lines.iter().flat_map(|line| &line.shapes).chain(asked).chain(called);
        let shapes: Vec<&Shape> = shapes.collect();
        let diagram = partition::diagram(shapes.into_iter(), &Peers::indifferent, budget);
        Ok(World { diagram: diagram.map_err(|_| TooMuch)? })
    }

    fn set<'s>(&mut self, shapes: impl Iterator<Item = &'s Shape>) -> Result<Target, TooMuch> {
        let mut sets = Vec::new();
        for shape in shapes {
            let product = self.diagram.space().product(shape, None);
            sets.push(self.diagram.product(&product)?);
        }
        Ok(self.diagram.any_of_sets(&sets)?)
    }

    /// 4.1 for the lines of one peer; `None` where no request is asked about.
    fn judge(
        &mut self,
        lines: &[&AccessLine],
        asked: &[Shape],
        call: Option<&Call>,
    ) -> Result<Option<Judged>, TooMuch> {
        let everything = [Shape::default()];
        let said = self.set(if asked.is_empty() { &everything } else { asked }.iter())?;
        let called = match call {
            Some(call) => Some(self.set(call.lines.iter().map(|line| &line.shape))?),
            None => None,
        };
        let subject = called.filter(|_| asked.is_empty()).unwrap_or(said);
        if self.diagram.any_of(subject).is_none() {
            return self.proved(None);
        }
        let mut sets = Vec::with_capacity(lines.len());
        for line in lines {
            sets.push(self.set(line.shapes.iter())?);
        }
        let of = |effect: Effect| {
            let own = lines.iter().zip(&sets).filter(move |(line, _)| line.effect == effect);
            own.map(|(_, set)| *set).collect::<Vec<_>>()
        };
        let only = |wanted: fn(&AccessLine) -> bool| {
            let own = lines.iter().zip(&sets).filter(move |(line, _)| wanted(line));
            own.map(|(_, set)| *set).collect::<Vec<_>>()
        };
        let (allow, deny) = (of(Effect::Allow), of(Effect::Deny));
        let allow = self.diagram.any_of_sets(&allow)?;
        let deny = self.diagram.any_of_sets(&deny)?;
        let probes = self.diagram.any_of_sets(&only(|line| line.is_probe))?;
        let guards =
            self.diagram.any_of_sets(&only(|line| line.effect == Effect::Deny && line.is_guardrail()))?;
        // 10.16: a probe passes all but guardrails.
        let passing = self.diagram.minus(probes, guards)?;
        let deny = self.diagram.minus(deny, passing)?;
        let granted = self.diagram.and(subject, allow)?;
        let inside = self.diagram.minus(granted, deny)?;
        let outside = self.diagram.minus(subject, inside)?;
        let (mut grants, mut denials) = (Vec::new(), Vec::new());
        for (index, (line, set)) in lines.iter().zip(&sets).enumerate() {
            let (of, found) = match line.effect {
                Effect::Allow => (inside, &mut grants),
                Effect::Deny => (granted, &mut denials),
                Effect::Audit => continue,
            };
            let both = self.diagram.and(of, *set)?;
            if self.diagram.any_of(both).is_some() {
                found.push(index);
            }
        }
        let declared = match called {
            None => None,
            Some(called) => {
                let some = self.diagram.and(said, called)?;
                let rest = self.diagram.minus(said, called)?;
                Some(match (self.diagram.any_of(some).is_some(), self.diagram.any_of(rest).is_some()) {
                    _ if asked.is_empty() => Declared::Yes,
                    (true, false) => Declared::Yes,
                    (true, true) => Declared::Partly,
                    (false, _) => Declared::No,
                })
            }
        };
        let (inside, outside) = (self.diagram.any_of(inside), self.diagram.any_of(outside));
        self.proved(Some(Judged { inside, outside, grants, denials, declared }))
    }

    /// What was found out, if nothing was given up on the way: what was not found then is not proved.
    fn proved<T>(&self, found: T) -> Result<T, TooMuch> {
        if self.diagram.is_exhausted() { Err(TooMuch) } else { Ok(found) }
    }
}

/// Operations as a line of `authorize` has them: `GET /a, POST /b`.
fn asked(operations: Option<&str>) -> Result<Vec<Shape>, Unknown> {
    let Some(operations) = operations else { return Ok(vec![]) };
    let wrong = |why: String| Unknown {
        message: format!("`{operations}` is no operation: {why}"),
        help: "Write it as in `allow … to`: mesh who --can-call payments 'POST /v1/charges'".to_owned(),
    };
    let text = format!("authorize asked {{ allow from anyone to {operations} }}");
    let parsed = mesh_lang::parse(FileId(0), &text);
    let mut errors = parsed.diagnostics.iter().filter(|found| found.severity == Severity::Error);
    if let Some(error) = errors.next() {
        return Err(wrong(error.message.clone()));
    }
    let file = parsed.file();
    match file.items.as_slice() {
        [Item::Authorize(authorize)] => match authorize.lines.as_slice() {
            [line] if line.when.is_empty() && line.port.is_none() && !line.ops.is_empty() => {
                Ok(of_ops(&line.ops))
            }
            _ => Err(wrong("it says more than methods and paths".to_owned())),
        },
        _ => Err(wrong("it says more than methods and paths".to_owned())),
    }
}

fn way_of(ways: &Ways, caller: Caller, to: PortId) -> Option<Way> {
    ways.get(&caller)?.get(&to).copied()
}

/// What somebody is where no line knows more, the narrowest kind first.
fn kinds_of(own: &Candidate) -> Vec<Candidate> {
    match own {
        Candidate::Gateway { .. } => vec![Candidate::OtherGateway],
        Candidate::Own { namespace, .. } => {
            let inside = namespace.clone().map(|namespace| Candidate::OtherIn { namespace });
            inside.into_iter().chain([Candidate::OtherOwn]).collect()
        }
        Candidate::Foreign { identity } => {
            let parent = identity.rsplit_once('/').map_or("", |(parent, _)| parent).into();
            let trust_domain = identity.split('/').nth(2).unwrap_or_default().into();
            vec![
                Candidate::OtherBelow { parent },
                Candidate::OtherOf { trust_domain },
                Candidate::OtherForeign,
            ]
        }
        other => vec![other.clone()],
    }
}

fn group(who: Others, count: usize) -> Who {
    Who::Others { who, count }
}

/// Who is let in, and who declares that it calls.
fn is_worth_telling(row: &Row) -> bool {
    row.verdict != Verdict::Denied || matches!(row.declared, Declared::Yes | Declared::Partly)
}

fn cited(line: &AccessLine) -> Cited {
    Cited { text: said(line), span: line.span }
}

/// All operations of a line have its conditions.
fn grant(line: &AccessLine) -> Grant {
    let operations = line.shapes.iter().map(spelling::operation).filter(|operation| !operation.is_empty());
    Grant {
        line: cited(line),
        operations: operations.collect(),
        when: line.shapes.first().map(spelling::conditions).unwrap_or_default(),
    }
}
