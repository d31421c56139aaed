//! Who calls whom, and how long and how often: each declared call with every end that the routes behind it have, and a gateway's
//! rules likewise (`spec/semantics.md` 11.5).

use crate::model::{
    Action, Caller, Client, Field, FieldTest, GatewayId, Model, PortId, Rule, ServiceId, SettingsAt, Shape,
    Table, ValueSet,
};
use mesh_lang::Span;
use mesh_lang::ast::Method;
use mesh_plan::{Edit, Retry, Settings};
use rustc_hash::FxHashMap;
use std::rc::Rc;

/// A call that may happen, with the settings that hold for it.
#[derive(Debug)]
pub(crate) struct Hop {
    pub(crate) from: Caller,
    pub(crate) to: ServiceId,
    /// Where it is declared: the name in `calls`, or a gateway's rule.
    pub(super) span: Span,
    /// Milliseconds.
    pub(super) timeout: Option<u32>,
    pub(super) retry: Option<Retry>,
    /// Where the two are written.
    pub(super) at: SettingsAt,
    pub(super) client: Client,
    /// Whether a `circuit-breaker` of the caller limits it.
    pub(super) breaker: bool,
    /// How long a fault delays it, in milliseconds, or 0.
    pub(super) delay: u32,
    /// Who gets copies of it, and where that is written.
    pub(super) mirrors: Vec<(ServiceId, Span)>,
    /// The methods of its requests that may not be done twice and carry no key to know them by, as in [`Retry::methods`].
    pub(super) unkeyed: u8,
}

/// When a caller turns away while its callee may still be at work.
pub(super) struct GivesUp {
    pub(super) milliseconds: u64,
    /// Where it is written.
    pub(super) at: Span,
    /// How often at most, for one call of the application.
    pub(super) times: u64,
    /// Whether the proxy itself then tries again.
    pub(super) retried: bool,
}

/// A factor of one, in the unit of [`Hop::lasting`]: basis points, as a budget's share is.
pub(super) const ONE: u64 = 10_000;

impl Hop {
    /// How many tries one call of the application may become.
    pub(crate) fn tries(&self) -> u64 {
        (1 + self.retries()) * self.client_tries()
    }

    /// Where it is declared, how long is waited (milliseconds), and where that and how often is tried are written.
    pub(crate) fn in_effect(&self) -> (Span, Option<u32>, SettingsAt) {
        (self.span, self.timeout, self.at)
    }

    /// How many tries each call becomes where many fail for a long time, in basis points: then a budget lets its share of retries
    /// through and no more.
    pub(super) fn lasting(&self) -> u64 {
        let budget = self.retry.as_ref().and_then(|retry| retry.budget);
        let again = self.retries() * ONE;
        let again = budget.map_or(again, |budget| again.min(u64::from(budget.share)));
        (ONE + again) * self.client_tries()
    }

    fn retries(&self) -> u64 {
        self.retry.as_ref().map_or(0, |retry| u64::from(retry.count))
    }

    fn client_tries(&self) -> u64 {
        1 + self.client.retry.map_or(0, |again| u64::from(again.value))
    }

    /// Whether nothing bounds its retries: they have no budget, or the application tries again.
    pub(super) fn is_unbounded(&self) -> bool {
        self.client.retry.is_some() || self.retry.as_ref().is_some_and(|retry| retry.budget.is_none())
    }

    /// When it is given up first: after one try.
    pub(super) fn gives_up(&self) -> Option<GivesUp> {
        let tries = self.client_tries();
        let client = self.client.timeout.map(|own| (own.value, Some(own.span), tries, false));
        let total = self.timeout.map(|timeout| (timeout, self.at.timeout, tries, false));
        let one = self.retry.as_ref().filter(|retry| retry.per_try_timeout > 0).map(|retry| {
            let again = if retry.on_timeout { 1 + u64::from(retry.count) } else { 1 };
            (retry.per_try_timeout, self.at.retry, tries * again, retry.on_timeout)
        });
        let first = client.into_iter().chain(total).chain(one).min_by_key(|(time, ..)| *time);
        first.map(|(time, at, times, retried)| GivesUp {
            milliseconds: u64::from(time),
            at: at.unwrap_or(self.span),
            times,
            retried,
        })
    }

    /// How long one call of the application takes at most, in milliseconds, and where that is written.
    pub(super) fn patience(&self) -> Option<(u64, Span)> {
        let tries = self.all_tries().map(|tries| (tries, self.at.retry));
        let timeout = self.timeout.map(|timeout| (u64::from(timeout), self.at.timeout));
        let client = self.client.timeout.map(|timeout| (u64::from(timeout.value), Some(timeout.span)));
        let least = client.into_iter().chain(timeout).chain(tries).min_by_key(|(time, _)| *time);
        least.map(|(time, at)| (time, at.unwrap_or(self.span)))
    }

    /// How long the application waits in all: each of its tries has its patience.
    pub(super) fn wait(&self) -> Option<(u64, Span)> {
        self.patience().map(|(time, at)| (time.saturating_mul(self.client_tries()), at))
    }

    /// How long all tries of the proxy take at most, where each has an end.
    pub(super) fn all_tries(&self) -> Option<u64> {
        let retry = self.retry.as_ref().filter(|retry| retry.per_try_timeout > 0)?;
        Some((1 + u64::from(retry.count)) * u64::from(retry.per_try_timeout) + waits(retry))
    }
}

/// The longest waits between tries, in all.
pub(super) fn waits(retry: &Retry) -> u64 {
    let wait =
        |number: u32| (u64::from(retry.backoff_base) << number.min(20)).min(u64::from(retry.backoff_cap));
    (0..retry.count).map(wait).sum()
}

/// All hops of a mesh whose routes enter each other in no circle, by caller.
#[derive(Debug, Default)]
pub(crate) struct Hops {
    /// Of the gateways, then of the services, in order.
    of: Vec<Vec<Hop>>,
    gateways: usize,
}

/// What of hops was made anew is another one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Changed {
    /// How often something is tried.
    pub(crate) tries: bool,
    /// How long somebody waits.
    pub(crate) waits: bool,
}

impl Hops {
    /// Time: linear in them, in the calls and in the rules.
    pub(crate) fn new(model: &Model) -> Hops {
        let gateways = (0..model.gateways.len() as u32).map(|id| Caller::Gateway(GatewayId(id)));
        let all = gateways.chain(model.service_ids().map(Caller::Service));
        let mut known = Known::default();
        Hops {
            of: all.map(|from| hops_of(model, from, &mut known)).collect(),
            gateways: model.gateways.len(),
        }
    }

    /// In order of callers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Hop> {
        self.of.iter().flatten()
    }

    /// Those of some callers, made anew. Time: linear in these, in the calls and in the rules on their way.
    pub(crate) fn again(&mut self, model: &Model, callers: impl Iterator<Item = Caller>) -> Changed {
        let mut known = Known::default();
        let mut changed = Changed::default();
        for from in callers {
            let at = match from {
                Caller::Gateway(id) => id.0 as usize,
                Caller::Service(id) => self.gateways + id.0 as usize,
            };
            let now = hops_of(model, from, &mut known);
            let Some(before) = self.of.get_mut(at) else { continue };
            let differ = |same: fn(&Hop, &Hop) -> bool| {
                before.len() != now.len() || !before.iter().zip(&now).all(|(before, now)| same(before, now))
            };
            changed.tries |= differ(Hop::tries_like);
            changed.waits |= differ(Hop::waits_like);
            *before = now;
        }
        changed
    }
}

impl Hop {
    /// Whether as often is tried, for the same requests, wherever that is written.
    fn tries_like(&self, other: &Hop) -> bool {
        let mirrors = |hop: &Hop| hop.mirrors.iter().map(|(to, _)| *to).collect::<Vec<_>>();
        let said = |hop: &Hop| (hop.to, hop.client.retry.map(|again| again.value), hop.breaker, hop.unkeyed);
        said(self) == said(other) && self.retry == other.retry && mirrors(self) == mirrors(other)
    }

    /// Whether they wait as long, wherever that is written.
    fn waits_like(&self, other: &Hop) -> bool {
        let client =
            |hop: &Hop| (hop.client.timeout.map(|one| one.value), hop.client.retry.map(|again| again.value));
        let said = |hop: &Hop| (hop.to, hop.timeout, hop.delay, client(hop));
        said(self) == said(other) && self.retry == other.retry
    }
}

fn hops_of<'m>(model: &'m Model, from: Caller, known: &mut Known<'m>) -> Vec<Hop> {
    match from {
        Caller::Gateway(id) => of_gateway(model, id, known),
        Caller::Service(id) => of_service(model, id, known),
    }
}

fn of_gateway<'m>(model: &'m Model, id: GatewayId, known: &mut Known<'m>) -> Vec<Hop> {
    let from = Caller::Gateway(id);
    let mut hops = Vec::new();
    for rule in model[id].tables().flat_map(|table| &table.rules) {
        let sender = Sender {
            from,
            span: rule.span,
            client: Client::default(),
            breaker: false,
            written: Nearest::default(),
            unkeyed: u8::MAX,
        };
        let mut ends = Vec::new();
        ends_of_rule(model, rule, Place::Listener(from), known, &mut ends);
        hops.extend(each_once(ends).iter().map(|end| hop(model, &sender, end)));
    }
    hops
}

fn of_service<'m>(model: &'m Model, id: ServiceId, known: &mut Known<'m>) -> Vec<Hop> {
    let from = Caller::Service(id);
    let mut hops = Vec::with_capacity(model[id].calls.len());
    for call in &model[id].calls {
        let ends = ends_from(model, from, call.to, known);
        let plain = call.lines.iter().find(|line| !line.narrowed);
        for line in &call.lines {
            let below = plain.filter(|_| line.narrowed);
            let own = Nearest::of(&line.settings, line.settings_at);
            let sender = Sender {
                from,
                span: line.span,
                client: Client {
                    timeout: line.client.timeout.or(below.and_then(|line| line.client.timeout)),
                    retry: line.client.retry.or(below.and_then(|line| line.client.retry)),
                },
                // Limits of all levels hold together.
                breaker: line.settings.breaker.is_some()
                    || below.is_some_and(|below| below.settings.breaker.is_some()),
                written: below.map_or(own, |below| own.then(Nearest::of(&below.settings, below.settings_at))),
                unkeyed: unkeyed(std::iter::once(&line.shape)),
            };
            hops.extend(ends.iter().map(|end| hop(model, &sender, end)));
        }
    }
    hops
}

/// Settings of several blocks, each from the nearest that writes it.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Nearest<'m> {
    timeout: Option<Option<u32>>,
    retry: Option<Option<&'m Retry>>,
    at: SettingsAt,
}

impl<'m> Nearest<'m> {
    fn of(settings: &'m Settings, at: SettingsAt) -> Nearest<'m> {
        Nearest { timeout: settings.timeout, retry: settings.retry.as_ref().map(Option::as_ref), at }
    }

    /// What is written here counts, then what is written there.
    fn then(mut self, there: Nearest<'m>) -> Nearest<'m> {
        if self.timeout.is_none() {
            (self.timeout, self.at.timeout) = (there.timeout, there.at.timeout);
        }
        if self.retry.is_none() {
            (self.retry, self.at.retry) = (there.retry, there.at.retry);
        }
        self
    }
}

/// Where a request to a port ends up, and what the rules on its way do.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct End<'m> {
    to: ServiceId,
    written: Nearest<'m>,
    /// Milliseconds.
    delay: u32,
    mirrors: Vec<(ServiceId, Span)>,
    unkeyed: u8,
}

/// The ends behind each port that was asked for.
type Known<'m> = FxHashMap<PortId, Rc<[End<'m>]>>;

/// Methods of which a second request may do more than the first: of those that a program can name, the ones that are not idempotent
/// (RFC 9110 9.2.2, RFC 5789 2).
const ONCE: [Method; 2] = [Method::Post, Method::Patch];

/// The header by which a service knows a request that it has done already (draft-ietf-httpapi-idempotency-key-header).
const KEY: &str = "idempotency-key";

/// The methods of [`ONCE`] that some of these lines are for without asking for a key.
fn unkeyed<'l>(lines: impl Iterator<Item = &'l Shape>) -> u8 {
    let bit = |method: Method| 1 << crate::space::method_atom(method);
    let of_line = |line: &Shape| {
        let asks_key = |test: &FieldTest| {
            matches!(&test.field, Field::Header(name) if name == KEY) && test.set != ValueSet::Absent
        };
        let keyed = line.tests.iter().any(asks_key);
        let own = ONCE.into_iter().filter(|method| !keyed && line.method.is_none_or(|own| own == *method));
        own.fold(0, |bits, method| bits | bit(method))
    };
    lines.fold(0, |bits, line| bits | of_line(line))
}

/// Where a rule stands.
#[derive(Clone, Copy)]
enum Place {
    /// In a route of this gateway.
    Listener(Caller),
    /// In a route to this port.
    Port(PortId),
}

/// The ends of what a caller itself sends: behind its own route to the port, where it has one.
fn ends_from<'m>(model: &'m Model, caller: Caller, port: PortId, known: &mut Known<'m>) -> Rc<[End<'m>]> {
    match model.consumer_route(caller, port) {
        Some(own) => ends_of_table(model, &model.consumer_routes[own].table, port, known),
        None => ends(model, port, known),
    }
}

fn ends<'m>(model: &'m Model, port: PortId, known: &mut Known<'m>) -> Rc<[End<'m>]> {
    if let Some(known) = known.get(&port) {
        return known.clone();
    }
    let found = match &model.port(port).route {
        None => Rc::new([End {
            to: port.service,
            written: Nearest::default(),
            delay: 0,
            mirrors: vec![],
            unkeyed: u8::MAX,
        }]),
        Some(table) => ends_of_table(model, table, port, known),
    };
    known.insert(port, found.clone());
    found
}

fn ends_of_table<'m>(
    model: &'m Model,
    table: &'m Table,
    port: PortId,
    known: &mut Known<'m>,
) -> Rc<[End<'m>]> {
    let mut found = Vec::new();
    table.rules.iter().for_each(|rule| ends_of_rule(model, rule, Place::Port(port), known, &mut found));
    each_once(found).into()
}

/// In order, each once.
fn each_once(mut ends: Vec<End<'_>>) -> Vec<End<'_>> {
    ends.sort_unstable();
    ends.dedup();
    ends
}

fn ends_of_rule<'m>(
    model: &'m Model,
    rule: &'m Rule,
    place: Place,
    known: &mut Known<'m>,
    found: &mut Vec<End<'m>>,
) {
    let Action::Forward(backends) = &rule.action else { return };
    let delays = rule.edits.iter().map(|edit| match edit {
        Edit::Delay { delay, .. } => *delay,
        _ => 0,
    });
    let delay = delays.max().unwrap_or(0);
    let written = Nearest::of(&rule.settings, rule.settings_at);
    let unkeyed = unkeyed(rule.lines.iter().map(|line| &line.shape));
    let end = |to| End { to, written, delay, mirrors: rule.mirrors.clone(), unkeyed };
    for backend in backends {
        let inner = match place {
            Place::Listener(gateway) if backend.enter => Some(ends_from(model, gateway, backend.to, known)),
            Place::Port(own) if backend.enter && backend.to != own => Some(ends(model, backend.to, known)),
            _ => None,
        };
        match inner {
            Some(inner) => found.extend(inner.iter().map(|inner| end(inner.to).and(inner))),
            None => found.push(end(backend.to.service)),
        }
    }
}

impl<'m> End<'m> {
    /// What a rule does, and then what those behind it do.
    fn and(mut self, inner: &End<'m>) -> End<'m> {
        self.mirrors.extend(&inner.mirrors);
        End {
            to: inner.to,
            written: self.written.then(inner.written),
            delay: self.delay.saturating_add(inner.delay),
            mirrors: self.mirrors,
            unkeyed: self.unkeyed & inner.unkeyed,
        }
    }
}

/// Who sends, and what is said where it is declared.
struct Sender<'m> {
    from: Caller,
    span: Span,
    client: Client,
    breaker: bool,
    written: Nearest<'m>,
    unkeyed: u8,
}

fn hop<'m>(model: &'m Model, sender: &Sender<'m>, end: &End<'m>) -> Hop {
    let Sender { from, span, client, breaker, written, unkeyed } = *sender;
    let callee = &model[end.to];
    let levels = [
        written,
        Nearest::of(&callee.settings, callee.settings_at),
        Nearest::of(&model.default, model.default_at),
    ];
    let Nearest { timeout, retry, at } = levels.into_iter().fold(end.written, Nearest::then);
    Hop {
        from,
        to: end.to,
        span,
        timeout: timeout.flatten(),
        retry: retry.flatten().cloned(),
        at,
        client,
        breaker,
        delay: end.delay,
        mirrors: end.mirrors.clone(),
        unkeyed: unkeyed & end.unkeyed,
    }
}

/// Milliseconds as they are written.
pub(crate) fn duration(milliseconds: u64) -> String {
    match milliseconds {
        whole if whole > 0 && whole % 60_000 == 0 => format!("{}m", whole / 60_000),
        whole if whole > 0 && whole % 1_000 == 0 => format!("{}s", whole / 1_000),
        part => format!("{part}ms"),
    }
}
