//! Who calls whom, and how long and how often: each declared call with every end that the routes behind it have, and a gateway's
//! rules likewise (`spec/semantics.md` 11.5).

use crate::model::{Action, Caller, Client, GatewayId, Model, PortId, Rule, ServiceId, Table};
use mesh_lang::Span;
use mesh_plan::{Edit, Retry, Settings};
use std::collections::{BTreeMap, BTreeSet};

/// A call that may happen, with the settings that hold for it.
pub(super) struct Hop {
    pub(super) from: Caller,
    pub(super) to: ServiceId,
    /// Where it is declared: the name in `calls`, or a gateway's rule.
    pub(super) span: Span,
    /// Milliseconds.
    pub(super) timeout: Option<u32>,
    pub(super) retry: Option<Retry>,
    pub(super) client: Client,
    /// How long a fault delays it, in milliseconds, or 0.
    pub(super) delay: u32,
}

impl Hop {
    /// How many tries one call of the application may become.
    pub(super) fn tries(&self) -> u64 {
        let again = self.retry.as_ref().map_or(0, |retry| retry.count);
        let client = self.client.retry.map_or(0, |again| again.value);
        (1 + u64::from(again)) * (1 + u64::from(client))
    }

    /// How long one call takes at most, in milliseconds, and where the application says so itself.
    pub(super) fn patience(&self) -> Option<(u64, Option<Span>)> {
        let client = self.client.timeout.map(|timeout| (u64::from(timeout.value), Some(timeout.span)));
        let proxy = [self.timeout.map(u64::from), self.all_tries()];
        let proxy = proxy.into_iter().flatten().min().map(|timeout| (timeout, None));
        client.into_iter().chain(proxy).min_by_key(|(timeout, _)| *timeout)
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
pub(super) fn hops(model: &Model) -> Vec<Hop> {
    let mut known = BTreeMap::new();
    let mut hops = Vec::new();
    for (gateway, id) in model.gateways.iter().zip(0..) {
        let tables = gateway.listeners.iter().flat_map(|listener| &listener.tables);
        for rule in tables.flat_map(|host| &host.table.rules) {
            let from = Caller::Gateway(GatewayId(id));
            let ends = ends_of_rule(model, rule, Place::Listener(from), &mut known);
            let hop = |end: &End| hop(model, from, rule.span, end, &[], Client::default());
            hops.extend(ends.iter().map(hop));
        }
    }
    for (service, id) in model.services.iter().zip(0..) {
        for call in &service.calls {
            let from = Caller::Service(ServiceId(id));
            let ends = ends_from(model, from, call.to, &mut known);
            let plain = call.lines.iter().find(|line| !line.narrowed);
            for line in &call.lines {
                let below = plain.filter(|_| line.narrowed);
                let levels: Vec<&Settings> =
                    std::iter::once(line).chain(below).map(|line| &line.settings).collect();
                let client = Client {
                    timeout: line.client.timeout.or(below.and_then(|line| line.client.timeout)),
                    retry: line.client.retry.or(below.and_then(|line| line.client.retry)),
                };
                hops.extend(ends.iter().map(|end| hop(model, from, line.span, end, &levels, client)));
            }
        }
    }
    hops
}

/// Where a request to a port ends up, what the rules on its way write, and how long their faults delay it.
type End = (ServiceId, Settings, u32);

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
        None => BTreeSet::from([(port.service, Settings::default(), 0)]),
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
    let own_delay: u32 = delayed.max().unwrap_or(0);
    let mut found = BTreeSet::new();
    for backend in backends {
        let inner = match place {
            Place::Listener(gateway) if backend.enter => Some(ends_from(model, gateway, backend.to, known)),
            Place::Port(own) if backend.enter && backend.to != own => Some(ends(model, backend.to, known)),
            _ => None,
        };
        if let Some(inner) = inner {
            let settled = inner.into_iter().map(|(to, settings, delay)| {
                (to, first(&rule.settings, &settings), delay.saturating_add(own_delay))
            });
            found.extend(settled);
        } else {
            found.insert((backend.to.service, rule.settings.clone(), own_delay));
        }
    }
    found
}

/// What is written nearer counts.
fn first(near: &Settings, far: &Settings) -> Settings {
    Settings {
        timeout: near.timeout.or(far.timeout),
        retry: near.retry.clone().or_else(|| far.retry.clone()),
    }
}

fn hop(model: &Model, from: Caller, span: Span, end: &End, levels: &[&Settings], client: Client) -> Hop {
    let (to, written, delay) = end;
    let below = levels.iter().copied().chain([&model[*to].settings, &model.default]);
    let all = below.fold(written.clone(), |near, far| first(&near, far));
    let (timeout, retry) = (all.timeout.flatten(), all.retry.flatten());
    Hop { from, to: *to, span, timeout, retry, client, delay: *delay }
}

/// Milliseconds as they are written.
pub(crate) fn duration(milliseconds: u64) -> String {
    match milliseconds {
        whole if whole > 0 && whole % 60_000 == 0 => format!("{}m", whole / 60_000),
        whole if whole > 0 && whole % 1_000 == 0 => format!("{}s", whole / 1_000),
        part => format!("{part}ms"),
    }
}
