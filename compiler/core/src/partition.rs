//! Partitions: for each service port, gateway listener and call, the request space and the diagrams over it.
//!
//! A line's *maximal set* is what it matches minus what beats it (`spec/semantics.md` 3.4, 3.5). Everything else is asked of
//! these sets: two that meet with different outcomes are ambiguous, a rule whose sets are all empty is unreachable,
//! and the route's diagram is each rule written over its sets.

use crate::diagram::{Diagram, NO, TooManyNodes, YES};
use crate::model::{
    AccessLine, Call, Check, GatewayId, HostTable, Line, Listener, Model, Port, PortId, Rule, ServiceId,
    Shape, Table,
};
use crate::rank::{Ranked, rank};
use crate::space::peer::Peers;
use crate::space::value::TooMuch;
use crate::space::{Budget, Product, Space, TooFine};
use mesh_lang::Text;
use mesh_lang::ast::{Effect, HostPattern};
use mesh_plan::layout::MAX_CANDIDATES;
use mesh_plan::{REFUSED, Target};
use std::rc::Rc;

/// Whose decision it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    Port(PortId),
    Listener(GatewayId, u32),
    /// The calling service and the index of the call.
    Call(ServiceId, u32),
    /// Index into the model's consumer routes.
    Consumer(u32),
}

/// A decision and what is known about it.
pub(crate) struct Partition {
    pub(crate) owner: Owner,
    pub(crate) diagram: Diagram,
    /// One for each access line: the requests it matches.
    pub(crate) access_sets: Vec<Target>,
    /// One for each access line: its products.
    pub(crate) access_products: Vec<Vec<Product>>,
    /// Leaves are indices of access lines, or [`REFUSED`].
    pub(crate) access: Target,
    /// One for each check: the requests that it is about.
    pub(crate) check_sets: Vec<Target>,
    /// One for the route of a port or of a consumer, one for each host table of a listener, one for a call.
    pub(crate) tables: Vec<Judged>,
}

impl Partition {
    /// What is too much where its plan cannot be written.
    pub(crate) fn unwritable(&self) -> OverBudget {
        if self.diagram.is_symbolic() { OverBudget::List } else { OverBudget::Nodes }
    }
}

/// A table of rules (or of calls, a rule for each line) and its diagrams.
pub(crate) struct Judged {
    pub(crate) ranked: Ranked,
    /// One for each ranked line: the requests for which nothing beats it.
    pub(crate) maximal: Vec<Target>,
    /// Leaves are numbers of [`Leaf`]s, or [`REFUSED`]; for a call, numbers of its lines.
    pub(crate) root: Target,
}

/// What a route's leaf says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leaf {
    /// The table and the rule.
    Rule { table: u32, rule: u32 },
    /// The table whose `otherwise` answers.
    Otherwise { table: u32 },
}

/// Bits of a leaf for the rule: 2^16 rules a table, 2^14 tables a listener, well inside the 31 bits of a leaf.
const RULE_BITS: u32 = 16;
/// The rule number of `otherwise`.
const OTHERWISE: u32 = (1 << RULE_BITS) - 1;
/// More rules in one table, or tables in one listener, are refused (`MESH3090`).
pub(crate) const MAX_RULES: usize = OTHERWISE as usize;
/// See [`MAX_RULES`].
pub(crate) const MAX_TABLES: usize = 1 << 14;

impl Leaf {
    /// The number that stands for it in a diagram.
    pub(crate) fn number(self) -> u32 {
        match self {
            Leaf::Rule { table, rule } => table << RULE_BITS | rule,
            Leaf::Otherwise { table } => table << RULE_BITS | OTHERWISE,
        }
    }

    /// What a number in a diagram stands for.
    pub(crate) fn of(number: u32) -> Leaf {
        match (number >> RULE_BITS, number & OTHERWISE) {
            (table, OTHERWISE) => Leaf::Otherwise { table },
            (table, rule) => Leaf::Rule { table, rule },
        }
    }

    fn target(self) -> Target {
        Target::Leaf(self.number())
    }
}

/// Why a partition cannot be decided within the budget.
#[derive(Debug)]
pub(crate) enum OverBudget {
    Lines(usize),
    Fields(usize),
    Fine(TooFine),
    Nodes,
    /// A search was given up.
    Steps,
    /// Too many candidates, or too much that beats them.
    List,
}

impl From<TooFine> for OverBudget {
    fn from(fine: TooFine) -> Self {
        OverBudget::Fine(fine)
    }
}

impl From<TooManyNodes> for OverBudget {
    fn from(_: TooManyNodes) -> Self {
        OverBudget::Nodes
    }
}

/// More lines in one partition, lists written out, are refused (`MESH3090`): pairs of lines are compared.
pub(crate) const MAX_LINES: usize = 20_000;

/// More fields tested in one partition are refused (`MESH3090`): a request has at most 100 headers, and each field is a
/// dimension that diagrams are walked along.
pub(crate) const MAX_FIELDS: usize = 256;

/// The partition of an owner.
pub(crate) fn of(model: &Model, owner: Owner) -> Result<Partition, OverBudget> {
    match owner {
        Owner::Port(id) => of_port(model, id),
        Owner::Listener(gateway, listener) => of_listener(model, gateway, listener),
        Owner::Call(service, call) => of_call(model, service, call),
        Owner::Consumer(index) => of_consumer(model, index),
    }
}

/// The partition of a service port.
fn of_port(model: &Model, id: PortId) -> Result<Partition, OverBudget> {
    let Port { route, access, checks, .. } = model.port(id);
    let default = Table::default();
    let tables: Vec<&Table> = vec![route.as_ref().unwrap_or(&default)];
    build(model, Owner::Port(id), (access, checks), &tables, &|_| None)
}

/// The partition of a gateway's listener.
fn of_listener(model: &Model, gateway: GatewayId, index: u32) -> Result<Partition, OverBudget> {
    let Listener { tables, access, checks, .. } = &model[gateway].listeners[index as usize];
    let own: Vec<&Table> = tables.iter().map(|host| &host.table).collect();
    build(model, Owner::Listener(gateway, index), (access, checks), &own, &|table| next_wider(tables, table))
}

/// The partition of a consumer's route: nobody is authorized there.
fn of_consumer(model: &Model, index: u32) -> Result<Partition, OverBudget> {
    let table = &model.consumer_routes[index as usize].table;
    build(model, Owner::Consumer(index), (&[], &[]), &[table], &|_| None)
}

/// The partition of a call: a rule for each line; its leaves are line numbers.
fn of_call(model: &Model, service: ServiceId, index: u32) -> Result<Partition, OverBudget> {
    let call = &model[service].calls[index as usize];
    let shapes: Vec<&Shape> = call.lines.iter().map(|line| &line.shape).collect();
    let mut diagram = diagram(shapes.into_iter(), &Peers::indifferent, model.budget)?;
    let judged = judge_call(&mut diagram, call)?;
    let owner = Owner::Call(service, index);
    Ok(Partition {
        owner,
        diagram,
        access_sets: vec![],
        access_products: vec![],
        access: Target::Leaf(REFUSED),
        check_sets: vec![],
        tables: vec![judged],
    })
}

/// A diagram over the space of these shapes. Where their path patterns would need too many states, as a thousand of them with a
/// wildcard in every other place do, each segment is a dimension and nothing is multiplied out: what the checks ask is searched
/// for then, and the plan has a list of candidates.
pub(crate) fn diagram<'m>(
    shapes: impl Iterator<Item = &'m Shape> + Clone,
    peers: &dyn Fn() -> Peers,
    budget: Budget,
) -> Result<Diagram, OverBudget> {
    match Space::within(shapes.clone(), peers(), budget) {
        Ok(space) => Ok(Diagram::new(Rc::new(space))),
        Err(TooFine { why: TooMuch::Patterns, .. }) if shapes.clone().count() <= MAX_CANDIDATES as usize => {
            Ok(Diagram::symbolic(Rc::new(Space::by_segments(shapes, peers())?)))
        }
        Err(why) => Err(why.into()),
    }
}

/// The lines of a call over a space that tells apart what they tell apart; leaves are line numbers.
pub(crate) fn judge_call(diagram: &mut Diagram, call: &Call) -> Result<Judged, TooManyNodes> {
    let space = diagram.space().clone();
    let narrowed = call.lines.iter().zip(0..).filter(|(line, _)| line.narrowed);
    let products = narrowed.map(|(line, number)| (number, space.product(&line.shape, None))).collect();
    let ranked = rank(products, &[]);
    let maximal = maximal_sets(diagram, &ranked)?;
    let plain = call.lines.iter().position(|line| !line.narrowed);
    let mut decisions = Vec::new();
    for (line, set) in ranked.lines.iter().zip(&maximal) {
        decisions.push(diagram.choose(*set, Target::Leaf(line.rule), Target::Leaf(REFUSED))?);
    }
    decisions.extend(plain.map(|line| Target::Leaf(line as u32)));
    let root = diagram.first_of(&decisions)?;
    Ok(Judged { ranked, maximal, root })
}

/// The table that is asked next: of the narrowest pattern that contains this one's. Tables are sorted by pattern.
pub(crate) fn next_wider(tables: &[HostTable], table: usize) -> Option<usize> {
    let wider = wider(&tables[table].host);
    wider.iter().find_map(|host| tables.binary_search_by(|table| table.host.cmp(host)).ok())
}

/// The patterns that contain this one, the narrowest first.
pub(crate) fn wider(host: &HostPattern) -> Vec<HostPattern> {
    let parent = |name: &str| name.split_once('.').map(|(_, rest)| Text::from(rest));
    let (mut wider, mut above) = match host {
        HostPattern::Any => return vec![],
        HostPattern::Exact(name) => {
            (parent(name).map(HostPattern::OneLabel).into_iter().collect(), parent(name))
        }
        HostPattern::OneLabel(name) => (vec![], Some(name.clone())),
        HostPattern::Labels(name) => (vec![], parent(name)),
    };
    while let Some(name) = above {
        above = parent(&name);
        wider.push(HostPattern::Labels(name));
    }
    wider.push(HostPattern::Any);
    wider
}

/// Whether every host of the second pattern is one of the first.
pub(crate) fn covers(wide: &HostPattern, narrow: &HostPattern) -> bool {
    use HostPattern::{Any, Exact, Labels, OneLabel};
    let below = |name: &str, suffix: &str| name.strip_suffix(suffix).is_some_and(|rest| rest.ends_with('.'));
    match (wide, narrow) {
        (Any, _) => true,
        (_, Any) => false,
        (Exact(a), Exact(b)) => a == b,
        (Exact(_), _) => false,
        (OneLabel(a), Exact(b)) => b.split_once('.').is_some_and(|(_, rest)| rest == a),
        (OneLabel(a), OneLabel(b)) => a == b,
        (OneLabel(_), Labels(_)) => false,
        (Labels(a), Exact(b)) => below(b, a),
        (Labels(a), OneLabel(b) | Labels(b)) => a == b || below(b, a),
    }
}

fn build(
    model: &Model,
    owner: Owner,
    (access, checks): (&[AccessLine], &[Check]),
    tables: &[&Table],
    next: &dyn Fn(usize) -> Option<usize>,
) -> Result<Partition, OverBudget> {
    let rules = tables.iter().flat_map(|table| &table.rules);
    let lines = rules.flat_map(|rule: &Rule| &rule.lines).map(|line: &Line| &line.shape);
    let asked = checks.iter().flat_map(|check| &check.shapes);
    let shapes = lines.chain(access.iter().flat_map(|line| &line.shapes)).chain(asked);
    let count = shapes.clone().count();
    let rules_fit = tables.iter().all(|table| table.rules.len() < MAX_RULES) && tables.len() < MAX_TABLES;
    if count > MAX_LINES || !rules_fit {
        return Err(OverBudget::Lines(count));
    }
    let mut diagram = diagram(shapes, &|| Peers::new(model, access), model.budget)?;
    let fields = diagram.space().fields.len();
    if fields > MAX_FIELDS {
        return Err(OverBudget::Fields(fields));
    }
    let Authorized { sets, products, root } = judge_access(&mut diagram, access)?;
    let tables = judge(&mut diagram, tables, next, &|_| true)?;
    let check_sets = checks.iter().map(|check| asked_about(&mut diagram, check)).collect::<Result<_, _>>()?;
    Ok(Partition {
        owner,
        diagram,
        access_sets: sets,
        access_products: products,
        access: root,
        check_sets,
        tables,
    })
}

/// The rules of tables over a space that tells apart what they tell apart; of their lines those that matter.
pub(crate) fn judge(
    diagram: &mut Diagram,
    tables: &[&Table],
    next: &dyn Fn(usize) -> Option<usize>,
    matters: &dyn Fn(&Shape) -> bool,
) -> Result<Vec<Judged>, TooManyNodes> {
    let mut judged = Vec::new();
    for table in tables {
        let ranked = rank_table(table, diagram.space(), matters);
        let maximal = maximal_sets(diagram, &ranked)?;
        judged.push(Judged { ranked, maximal, root: Target::Leaf(REFUSED) });
    }
    for index in 0..tables.len() {
        judged[index].root = route_root(diagram, tables, &judged, index, next)?;
    }
    Ok(judged)
}

fn rank_table(table: &Table, space: &Space, matters: &dyn Fn(&Shape) -> bool) -> Ranked {
    let rules = table.rules.iter().zip(0..);
    let lines = rules.flat_map(|(rule, number)| {
        let own = rule.lines.iter().filter(|line| matters(&line.shape));
        own.map(move |line| (number, space.line(line)))
    });
    let overrides: Vec<(u32, u32)> = table
        .rules
        .iter()
        .zip(0..)
        .flat_map(|(rule, number)| {
            let names = rule.overrides.iter();
            names.filter_map(move |(name, _)| Some((number, table.rule_named(name)?)))
        })
        .collect();
    rank(lines.collect(), &overrides)
}

impl Table {
    /// The index of a rule.
    pub(crate) fn rule_named(&self, name: &str) -> Option<u32> {
        self.rules.iter().position(|rule| rule.name == name).map(|index| index as u32)
    }
}

/// For each line: what it matches minus what beats it.
fn maximal_sets(diagram: &mut Diagram, ranked: &Ranked) -> Result<Vec<Target>, TooManyNodes> {
    let mut sets = Vec::with_capacity(ranked.lines.len());
    for (line, beaters) in ranked.lines.iter().zip(&ranked.beaten_by) {
        let set = diagram.product(&line.product)?;
        let above = beaters.iter().map(|beater| diagram.product(&ranked.lines[*beater as usize].product));
        let above: Vec<Target> = above.collect::<Result<_, _>>()?;
        let above = diagram.any_of_sets(&above)?;
        sets.push(diagram.minus(set, above)?);
    }
    Ok(sets)
}

/// The whole route of one host: its own rules over its `otherwise`, or else over the next wider table.
fn route_root(
    diagram: &mut Diagram,
    tables: &[&Table],
    judged: &[Judged],
    index: usize,
    next: &dyn Fn(usize) -> Option<usize>,
) -> Result<Target, TooManyNodes> {
    let mut chain = vec![index];
    while let Some(last) = chain.last().copied().filter(|last| tables[*last].otherwise.is_none()) {
        match next(last) {
            Some(wider) => chain.push(wider),
            None => break,
        }
    }
    // Rules are sorted by name: where outcomes are equal, the least name comes first.
    let mut decisions = Vec::new();
    for table in chain {
        let number = table as u32;
        for (line, set) in judged[table].ranked.lines.iter().zip(&judged[table].maximal) {
            let rule = Leaf::Rule { table: number, rule: line.rule }.target();
            decisions.push(diagram.choose(*set, rule, Target::Leaf(REFUSED))?);
        }
        if tables[table].otherwise.is_some() {
            decisions.push(Leaf::Otherwise { table: number }.target());
        }
    }
    diagram.first_of(&decisions)
}

/// The requests that a check is about, whoever sends them.
fn asked_about(diagram: &mut Diagram, check: &Check) -> Result<Target, TooManyNodes> {
    let space = diagram.space().clone();
    let products: Vec<Product> = check.shapes.iter().map(|shape| space.product(shape, None)).collect();
    let products: Vec<(&Product, Target)> = products.iter().map(|product| (product, YES)).collect();
    diagram.first_product(&products, NO)
}

/// What a probe lets in: what no guardrail refuses.
pub(crate) fn passes(
    diagram: &mut Diagram,
    lines: &[AccessLine],
    sets: &[Target],
    probe: usize,
) -> Result<Target, TooManyNodes> {
    let refuses = |line: &AccessLine| line.effect == Effect::Deny && line.is_guardrail();
    let guards = lines.iter().zip(sets).filter(|(line, _)| refuses(line)).map(|(_, set)| *set);
    let guards = diagram.any_of_sets(&guards.collect::<Vec<_>>())?;
    diagram.minus(sets[probe], guards)
}

/// What lines of access decide.
struct Authorized {
    sets: Vec<Target>,
    products: Vec<Vec<Product>>,
    root: Target,
}

/// Deny over allow over nothing, and audits decide nothing; of several lines that match, the least text is reported. Lines stand in
/// the order of their texts. Over all of that are probes, but where guardrails refuse them.
fn judge_access(diagram: &mut Diagram, lines: &[AccessLine]) -> Result<Authorized, TooManyNodes> {
    let space = diagram.space().clone();
    let of_line = |(line, number): (&AccessLine, usize)| {
        let from = space.peers.of_line(number);
        line.shapes.iter().map(|shape| space.product(shape, Some(from.clone()))).collect()
    };
    let products: Vec<Vec<Product>> = lines.iter().zip(0..).map(of_line).collect();
    let mut sets = Vec::with_capacity(lines.len());
    for own in &products {
        let own: Vec<(&Product, Target)> = own.iter().map(|product| (product, YES)).collect();
        sets.push(diagram.first_product(&own, NO)?);
    }
    let decides = |line: &AccessLine| line.effect != Effect::Audit && !line.is_probe;
    let mut order: Vec<usize> = (0..lines.len()).filter(|index| decides(&lines[*index])).collect();
    order.sort_by_key(|index| lines[*index].effect == Effect::Allow);
    let ordered = order
        .into_iter()
        .flat_map(|index| products[index].iter().map(move |product| (product, Target::Leaf(index as u32))));
    let mut root = diagram.first_product(&ordered.collect::<Vec<_>>(), Target::Leaf(REFUSED))?;
    for index in (0..lines.len()).filter(|index| lines[*index].is_probe) {
        let let_in = passes(diagram, lines, &sets, index)?;
        root = diagram.choose(let_in, Target::Leaf(index as u32), root)?;
    }
    Ok(Authorized { sets, products, root })
}
