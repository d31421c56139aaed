//! Why a request ends as it does: what the plan answered, as the lines of the sources that say so, and the lines beside them that
//! do not count, and why they do not.
//!
//! The engine decides, and tells what it was asked and as which atoms it saw the request. Here these atoms are compared with the
//! lines; where a request comes in is in `arrival`, what holds for it at its end in `settings`.

mod arrival;
mod settings;

use super::{Cited, Survey, inner, said, spelling};
use crate::model::{AccessLine, Check, FieldTest, ServiceId, Shape, Table, Wording};
use crate::partition::{self, Leaf, Owner, Partition};
use crate::space::{FIELDS, Space};
use mesh_lang::Span;
use mesh_lang::ast::Effect;
use mesh_lang::statement::Args;
use mesh_plan::REFUSED;

pub use arrival::{Arrival, Asking};
pub use settings::Setting;

/// A question to the plan, as the engine traced it.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Index into the plan's partitions.
    pub partition: u32,
    /// The table that was asked; `None` for the authorization.
    pub table: Option<u32>,
    /// An atom for each dimension.
    pub atoms: &'a [u32],
}

/// What a question is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Whether the caller declares the call.
    Call,
    /// Which rule wins.
    Route,
    /// Whether the callee lets it in.
    Authorize,
}

/// An answer of the plan, in the words of the sources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub kind: Kind,
    /// `reviews.default`, `gateway edge.default listener web host "*"`
    pub of: String,
    /// Whether the request goes on.
    pub holds: bool,
    /// What decides: `rule testers`, `allow from web`, `calls cart`. Empty where nothing that is written does.
    pub by: String,
    /// The line that decides.
    pub at: Option<Span>,
    /// Of a rule, the `match` that the request fits.
    pub fits: Option<Cited>,
    /// Of a rule, what it does.
    pub does: Vec<String>,
    /// Lines that do not decide, the nearest first.
    pub others: Vec<Other>,
    /// How many more there are.
    pub more: usize,
    /// `audit` lines that match.
    pub told: Vec<Cited>,
    /// `check` lines that match what is let in: who has to agree besides.
    pub asks: Vec<Cited>,
    decided: Option<Decided>,
}

/// A line that does not decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Other {
    /// `rule testers`, `allow from web`
    pub line: Cited,
    /// What it asks that the request does not fulfil, as the language writes it; empty where the line fits, and another one wins.
    pub fails: Vec<String>,
}

/// What may write settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decided {
    Rule { owner: Owner, table: u32, rule: u32 },
    Call { caller: ServiceId, call: u32, line: u32 },
}

/// More lines that do not decide than this are counted, and not shown.
const MAX_OTHERS: usize = 5;

impl Survey<'_> {
    /// What an answer of the plan means; `None` where the question is none of this project. Time: the lines of one partition.
    pub fn step(&self, question: &Question<'_>) -> Option<Step> {
        let owner = *self.owners.get(question.partition as usize)?;
        // It is within the budget: the plan was built of it.
        let partition = partition::of(&self.model, owner).ok()?;
        if question.atoms.len() as u32 != FIELDS + partition.diagram.space().fields.len() as u32 {
            return None;
        }
        let at = At { survey: self, owner, partition: &partition, atoms: question.atoms };
        match (owner, question.table) {
            (Owner::Port(id), None) => {
                let own = self.model.port(id);
                Some(at.access(&own.access, &own.checks))
            }
            (Owner::Listener(gateway, listener), None) => {
                let own = &self.model[gateway].listeners[listener as usize];
                Some(at.access(&own.access, &own.checks))
            }
            (Owner::Call(service, call), _) => Some(at.call(service, call)),
            (Owner::Port(id), Some(_)) => match &self.model.port(id).route {
                Some(table) => at.route(&[table], 0),
                None => Some(Step {
                    does: vec![format!("to {}", self.model.port_name(id))],
                    ..at.nothing(Kind::Route, true)
                }),
            },
            (Owner::Listener(gateway, listener), Some(table)) => {
                let hosts = &self.model[gateway].listeners[listener as usize].tables;
                let tables: Vec<&Table> = hosts.iter().map(|host| &host.table).collect();
                at.route(&tables, table as usize)
            }
            (Owner::Consumer(index), Some(_)) => {
                at.route(&[&self.model.consumer_routes[index as usize].table], 0)
            }
            (Owner::Consumer(_), None) => None,
        }
    }
}

/// A request at a partition.
struct At<'a> {
    survey: &'a Survey<'a>,
    owner: Owner,
    partition: &'a Partition,
    atoms: &'a [u32],
}

impl At<'_> {
    /// A step in which no line says anything.
    fn nothing(&self, kind: Kind, holds: bool) -> Step {
        let model = &self.survey.model;
        let of = match self.owner {
            Owner::Port(id) => model.port_name(id),
            Owner::Listener(gateway, listener) => {
                let own = &model[gateway].listeners[listener as usize];
                format!("gateway {} listener {}", model[gateway].full_name(), own.name)
            }
            Owner::Call(caller, call) => {
                let callee = model.port_name(model[caller].calls[call as usize].to);
                format!("{} to {callee}", model[caller].full_name())
            }
            Owner::Consumer(index) => model.consumer_route_name(&model.consumer_routes[index as usize]),
        };
        Step {
            kind,
            of,
            holds,
            by: String::new(),
            at: None,
            fits: None,
            does: vec![],
            others: vec![],
            more: 0,
            told: vec![],
            asks: vec![],
            decided: None,
        }
    }

    fn space(&self) -> &Space {
        self.partition.diagram.space()
    }

    /// Whether the request is in the set of a shape.
    fn is_in(&self, shape: &Shape) -> bool {
        let product = self.space().product(shape, None);
        product
            .sets
            .iter()
            .all(|(dim, set)| self.atoms.get(*dim as usize).is_some_and(|atom| set.contains(*atom)))
    }

    /// The parts of a shape that the request does not fulfil.
    fn fails(&self, shape: &Shape) -> Vec<String> {
        let operation = [
            Shape { method: shape.method, ..Shape::default() },
            Shape { path: shape.path.clone(), ..Shape::default() },
        ];
        let tests = shape.tests.iter().map(|test| (shape_of(test), spelling::test(test)));
        let parts = operation.into_iter().map(|part| (part.clone(), spelling::operation(&part))).chain(tests);
        parts.filter(|(part, _)| !self.is_in(part)).map(|(_, said)| said).collect()
    }

    /// What a line of an authorization asks that the request does not fulfil: of its operations, the nearest.
    fn access_fails(&self, line: &AccessLine) -> Vec<String> {
        let peers = self.space().peers.set(&line.from, &self.survey.model);
        let is_peer = self.atoms.first().is_some_and(|atom| peers.contains(*atom));
        let from = match &line.text {
            Wording::Authorize { line, .. } => line.from.as_ref().map(ToString::to_string),
            Wording::Said(_) => None,
        };
        let mut fails: Vec<String> = Vec::new();
        fails.extend((!is_peer).then(|| from.unwrap_or_else(|| "from".to_owned())));
        let nearest = line.shapes.iter().map(|shape| self.fails(shape)).min_by_key(Vec::len);
        fails.extend(nearest.unwrap_or_default());
        fails
    }

    /// 4.1: a `deny` that matches, else an `allow` that does; where there is neither, the `allow`s that are near.
    fn access(&self, lines: &[AccessLine], checks: &[Check]) -> Step {
        let leaf = self.partition.diagram.leaf(self.partition.access, self.atoms);
        let by = lines.get(leaf as usize).filter(|_| leaf != REFUSED);
        let allowed = by.is_some_and(|line| line.effect == Effect::Allow);
        let of = |effect: Effect| lines.iter().filter(move |line| line.effect == effect);
        let cited = |line: &AccessLine| Cited { text: said(line), span: line.span };
        let mut others: Vec<Other> = match allowed {
            true => vec![],
            false => of(Effect::Allow)
                .map(|line| Other { line: cited(line), fails: self.access_fails(line) })
                .collect(),
        };
        let more = nearest(&mut others);
        let about = |check: &&Check| check.shapes.iter().any(|shape| self.is_in(shape));
        let is_asked = allowed && by.is_some_and(AccessLine::lets_in);
        let asks = checks.iter().filter(|_| is_asked).filter(about);
        let told = of(Effect::Audit).filter(|line| self.access_fails(line).is_empty()).map(cited);
        Step {
            by: by.map(said).unwrap_or_default(),
            at: by.map(|line| line.span),
            others,
            more,
            told: told.collect(),
            asks: asks.map(|check| self.survey.cited(check.span)).collect(),
            ..self.nothing(Kind::Authorize, allowed)
        }
    }

    /// 5.2: the `calls` that covers the request.
    fn call(&self, caller: ServiceId, index: u32) -> Step {
        let call = &self.survey.model[caller].calls[index as usize];
        let blocks = self.survey.written.blocks();
        let cited = |span: Span| {
            let statement = inner(&blocks, span).map(|(_, statement)| statement.span);
            self.survey.cited(statement.unwrap_or(span))
        };
        let root = self.partition.tables.first().map(|judged| judged.root);
        let leaf = root.map_or(REFUSED, |root| self.partition.diagram.leaf(root, self.atoms));
        let by = call.lines.get(leaf as usize).filter(|_| leaf != REFUSED);
        let mut others: Vec<Other> = Vec::new();
        for line in call.lines.iter().filter(|line| by.is_none_or(|by| by.span != line.span)) {
            let other = Other { line: cited(line.span), fails: self.fails(&line.shape) };
            match others.iter_mut().find(|known| known.line == other.line) {
                Some(known) if other.fails.len() < known.fails.len() => *known = other,
                Some(_) => {}
                None => others.push(other),
            }
        }
        let more = nearest(&mut others);
        let line = by.map(|line| cited(line.span));
        Step {
            by: line.as_ref().map(|line| line.text.clone()).unwrap_or_default(),
            at: line.map(|line| line.span),
            others,
            more,
            decided: by.map(|_| Decided::Call { caller, call: index, line: leaf }),
            ..self.nothing(Kind::Call, by.is_some())
        }
    }

    /// 3.5, 3.7: the rule that wins, and of the others the line that is nearest to the request.
    fn route(&self, tables: &[&Table], asked: usize) -> Option<Step> {
        let root = self.partition.tables.get(asked)?.root;
        let leaf = self.partition.diagram.leaf(root, self.atoms);
        let won = (leaf != REFUSED).then(|| Leaf::of(leaf));
        let (last, winner) = match won {
            Some(Leaf::Rule { table, rule }) => (table as usize, Some(rule as usize)),
            Some(Leaf::Otherwise { table }) => (table as usize, None),
            None => (asked, None),
        };
        let mut step = self.nothing(Kind::Route, won.is_some());
        let mut seen = vec![asked, last];
        seen.dedup();
        for number in seen {
            let (table, judged) = (tables.get(number)?, self.partition.tables.get(number)?);
            let mut products = judged.ranked.lines.iter();
            for (index, rule) in table.rules.iter().enumerate() {
                let lines: Vec<_> = rule.lines.iter().zip(products.by_ref()).collect();
                let fails = |line: &crate::model::Line| self.fails(&line.shape);
                let nearest = lines
                    .iter()
                    .map(|(line, _)| (fails(line), line.span))
                    .min_by_key(|(fails, _)| fails.len());
                let Some((fails, span)) = nearest else { continue };
                let head = self.head(rule.span, &rule.name);
                if (number, Some(index)) == (last, winner) {
                    let at = Decided::Rule { owner: self.owner, table: number as u32, rule: index as u32 };
                    step.by = head;
                    step.at = Some(rule.span);
                    step.fits = (span != rule.span).then(|| self.survey.cited(span));
                    step.does = self.does(rule.span);
                    step.decided = Some(at);
                } else {
                    step.others.push(Other { line: Cited { text: head, span: rule.span }, fails });
                }
            }
        }
        if let Some((status, span)) =
            tables.get(last)?.otherwise.filter(|_| won.is_some() && winner.is_none())
        {
            step.by = "otherwise".to_owned();
            step.at = Some(span);
            step.does = vec![status.to_string()];
        }
        step.more = nearest(&mut step.others);
        Some(step)
    }

    /// `rule testers`; a bare `to` says itself.
    fn head(&self, span: Span, name: &str) -> String {
        let blocks = self.survey.written.blocks();
        match inner(&blocks, span).map(|(_, statement)| &statement.args) {
            Some(Args::Rule(..)) => format!("rule {name}"),
            _ => self.survey.plain(span),
        }
    }

    /// What a rule does, statement by statement.
    fn does(&self, span: Span) -> Vec<String> {
        let blocks = self.survey.written.blocks();
        let Some((block, statement)) = inner(&blocks, span) else { return vec![] };
        if !matches!(statement.args, Args::Rule(..)) {
            return vec![];
        }
        let lines = statement.block.iter().filter(|line| line.keyword() != "match");
        lines.map(|line| self.survey.written.line(block.directory, line, String::new()).text).collect()
    }
}

/// The shape that asks one thing.
fn shape_of(test: &FieldTest) -> Shape {
    Shape { tests: vec![test.clone()].into(), ..Shape::default() }
}

/// Keeps the nearest, and says how many more there were.
fn nearest(others: &mut Vec<Other>) -> usize {
    others.sort_by_key(|other| (other.fails.len(), other.line.span));
    let more = others.len().saturating_sub(MAX_OTHERS);
    others.truncate(MAX_OTHERS);
    more
}
