//! Who calls whom, and how long and how often: each declared call with every end that the routes behind it have, and a gateway's
//! rules likewise (`spec/semantics.md` 11.5).

use crate::model::{
    Action, Caller, Client, Field, FieldTest, GatewayId, Model, PortId, Rule, ServiceId, SettingsAt, Shape,
    Table, ValueSet,
};
use mesh_lang::Span;
use mesh_lang::ast::Method;
use mesh_plan::{Edit, Retry, Settings};
use std::collections::{BTreeMap, BTreeSet};

/// A call that may happen, with the settings that hold for it.
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

/// All hops of a mesh whose routes enter each other in no circle, in order.
pub(crate) fn hops(model: &Model) -> Vec<Hop> {
    let mut known = BTreeMap::new();
    let mut hops = Vec::new();
    for (gateway, id) in model.gateways.iter().zip(0..) {
        let tables = gateway.listeners.iter().flat_map(|listener| &listener.tables);
        for rule in tables.flat_map(|host| &host.table.rules) {
            let from = Caller::Gateway(GatewayId(id));
            let ends = ends_of_rule(model, rule, Place::Listener(from), &mut known);
            let from =
                Sender { from, span: rule.span, client: Client::default(), breaker: false, unkeyed: u8::MAX };
            hops.extend(ends.iter().map(|end| hop(model, &from, end, &[])));
        }
    }
    for (service, id) in model.services.iter().zip(0..) {
        for call in &service.calls {
            let from = Caller::Service(ServiceId(id));
            let ends = ends_from(model, from, call.to, &mut known);
            let plain = call.lines.iter().find(|line| !line.narrowed);
            for line in &call.lines {
                let below = plain.filter(|_| line.narrowed);
                let levels: Vec<Level<'_>> = std::iter::once(line)
                    .chain(below)
                    .map(|line| (&line.settings, line.settings_at))
                    .collect();
                let client = Client {
                    timeout: line.client.timeout.or(below.and_then(|line| line.client.timeout)),
                    retry: line.client.retry.or(below.and_then(|line| line.client.retry)),
                };
                // Limits of all levels hold together.
                let breaker = line.breaker || below.is_some_and(|below| below.breaker);
                let unkeyed = unkeyed(std::iter::once(&line.shape));
                let from = Sender { from, span: line.span, client, breaker, unkeyed };
                hops.extend(ends.iter().map(|end| hop(model, &from, end, &levels)));
            }
        }
    }
    hops
}

/// What one block says, and where.
type Level<'m> = (&'m Settings, SettingsAt);

/// Settings of several blocks, each from the nearest that writes it.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Nearest {
    settings: Settings,
    at: SettingsAt,
}

impl Nearest {
    fn of((settings, at): Level<'_>) -> Nearest {
        Nearest { settings: settings.clone(), at }
    }

    /// What is written here counts, then what is written there.
    fn then(mut self, (settings, at): Level<'_>) -> Nearest {
        if self.settings.timeout.is_none() {
            (self.settings.timeout, self.at.timeout) = (settings.timeout, at.timeout);
        }
        if self.settings.retry.is_none() {
            (self.settings.retry, self.at.retry) = (settings.retry.clone(), at.retry);
        }
        self
    }
}

/// Where a request to a port ends up, and what the rules on its way do.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct End {
    to: ServiceId,
    written: Nearest,
    /// Milliseconds.
    delay: u32,
    mirrors: Vec<(ServiceId, Span)>,
    unkeyed: u8,
}

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
fn ends_from(
    model: &Model,
    caller: Caller,
    port: PortId,
    known: &mut BTreeMap<PortId, BTreeSet<End>>,
) -> BTreeSet<End> {
    let Some(own) = model.consumer_route(caller, port) else { return ends(model, port, known) };
    let rules = &model.consumer_routes[own].table.rules;
    rules.iter().flat_map(|rule| ends_of_rule(model, rule, Place::Port(port), known)).collect()
}

fn ends(model: &Model, port: PortId, known: &mut BTreeMap<PortId, BTreeSet<End>>) -> BTreeSet<End> {
    if let Some(known) = known.get(&port) {
        return known.clone();
    }
    let found = match &model.port(port).route {
        None => BTreeSet::from([End {
            to: port.service,
            written: Nearest::default(),
            delay: 0,
            mirrors: vec![],
            unkeyed: u8::MAX,
        }]),
        Some(Table { rules, .. }) => {
            rules.iter().flat_map(|rule| ends_of_rule(model, rule, Place::Port(port), known)).collect()
        }
    };
    known.insert(port, found.clone());
    found
}

fn ends_of_rule(
    model: &Model,
    rule: &Rule,
    place: Place,
    known: &mut BTreeMap<PortId, BTreeSet<End>>,
) -> BTreeSet<End> {
    let Action::Forward(backends) = &rule.action else { return BTreeSet::new() };
    let delayed = rule.edits.iter().map(|edit| match edit {
        Edit::Delay { delay, .. } => *delay,
        _ => 0,
    });
    let delay = delayed.max().unwrap_or(0);
    let written = Nearest::of((&rule.settings, rule.settings_at));
    let unkeyed = unkeyed(rule.lines.iter().map(|line| &line.shape));
    let end = |to| End { to, written: written.clone(), delay, mirrors: rule.mirrors.clone(), unkeyed };
    let mut found = BTreeSet::new();
    for backend in backends {
        let inner = match place {
            Place::Listener(gateway) if backend.enter => Some(ends_from(model, gateway, backend.to, known)),
            Place::Port(own) if backend.enter && backend.to != own => Some(ends(model, backend.to, known)),
            _ => None,
        };
        match inner {
            Some(inner) => found.extend(inner.into_iter().map(|inner| end(inner.to).and(inner))),
            None => {
                found.insert(end(backend.to.service));
            }
        }
    }
    found
}

impl End {
    /// What a rule does, and then what those behind it do.
    fn and(self, inner: End) -> End {
        let mirrors = self.mirrors.into_iter().chain(inner.mirrors).collect();
        let written = self.written.then((&inner.written.settings, inner.written.at));
        let (delay, unkeyed) = (self.delay.saturating_add(inner.delay), self.unkeyed & inner.unkeyed);
        End { written, delay, mirrors, unkeyed, ..inner }
    }
}

/// Who sends, and what is said where it is declared.
struct Sender {
    from: Caller,
    span: Span,
    client: Client,
    breaker: bool,
    unkeyed: u8,
}

fn hop(model: &Model, sender: &Sender, end: &End, levels: &[Level<'_>]) -> Hop {
    let Sender { from, span, client, breaker, unkeyed } = *sender;
    let callee = &model[end.to];
    let below = levels
        .iter()
        .copied()
        .chain([(&callee.settings, callee.settings_at), (&model.default, model.default_at)]);
    let Nearest { settings, at } = below.fold(end.written.clone(), Nearest::then);
    let (timeout, retry) = (settings.timeout.flatten(), settings.retry.flatten());
    Hop {
        from,
        to: end.to,
        span,
        timeout,
        retry,
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
