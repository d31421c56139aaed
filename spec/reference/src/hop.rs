//! Section 5: one hop is a route at the caller and an authorization at the callee.

use crate::access::authorize;
use crate::chance::Chance;
use crate::edits::Effect;
use crate::identity::Peer;
use crate::line;
use crate::program::{Calls, Port, Program, Service};
use crate::route::{self, Action, Backend, Choice};
use crate::settings::{Settings, in_force};
use crate::{Answer, Changes, Ending, Entry, Outcome, Question};
use mesh_lang::ast::HostPattern;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Everything that can happen to a request.
pub(crate) fn ask(program: &Program, question: &Question) -> Answer {
    let mut answer = Answer::default();
    match &question.entry {
        Entry::Gateway { gateway, listener } => {
            at_gateway(program, gateway, listener, question, &mut answer);
        }
        Entry::Sidecar { service } => at_sidecar(program, service, question, &mut answer),
        Entry::FromGateway { gateway, service, port } => {
            let caller = program.gateways.get(gateway).map(|gateway| Peer::Gateway(gateway.identity.clone()));
            let name = format!("gateway {gateway}");
            match caller {
                Some(peer) => send(program, (&name, &peer), service, *port, question, &[], &mut answer),
                None => answer.end(Outcome::NoRoute.into(), Chance::CERTAIN),
            }
        }
        Entry::Inbound { service, port } => {
            let peer = program.peer(question.peer.as_deref());
            let endpoints = endpoints(service, *port);
            let hop = Hop { program, caller: &peer, calls: &[], told: &[], is_own: true };
            hop.deliver(&endpoints, &Way::begin(question), &BTreeSet::new(), Chance::CERTAIN, &mut answer);
        }
    }
    answer
}

/// 5.1: the gateway's authorization, then its route, with the gateway as the peer of what follows.
fn at_gateway(program: &Program, name: &str, listener: &str, request: &Question, answer: &mut Answer) {
    let Some(gateway) = program.gateways.get(name) else {
        return answer.end(Outcome::NoRoute.into(), Chance::CERTAIN);
    };
    let peer = program.peer(request.peer.as_deref());
    let verdict = authorize(&gateway.access, None, &peer, request);
    let (told, asks) = (verdict.told, verdict.asks);
    if !verdict.allowed {
        let outcome = Outcome::Denied { by: name.to_owned() };
        let ending = Ending { outcome, rules: verdict.denials, told, changes: None };
        return answer.end(ending, Chance::CERTAIN);
    }
    let nowhere = Ending { told: told.clone(), ..Outcome::NoRoute.into() };
    let Some(listener) = gateway.listeners.get(listener) else {
        return answer.end(nowhere, Chance::CERTAIN);
    };
    let mut way = Way::begin(request);
    way.effects = [gateway.limits.as_slice(), &listener.limits].concat();
    way.effects.extend(asks.into_iter().map(Effect::Ask));
    way.sender = Some(format!("gateway {name}"));
    // 3.7: where no rule matches and nothing is said otherwise, the next wider table is asked.
    let tables = route::tables_of_host(&listener.tables, &request.host);
    let Some(choice) = tables.into_iter().find_map(|table| table.ask(request)) else {
        return answer.end(nowhere, Chance::CERTAIN);
    };
    let caller = Peer::Gateway(gateway.identity.clone());
    let hop = Hop { program, caller: &caller, calls: &[], told: &told, is_own: false };
    hop.follow(&choice, &way, Chance::CERTAIN, answer);
}

/// 5.2: whom the host names, a declared call, then the callee's route.
fn at_sidecar(program: &Program, name: &str, request: &Question, answer: &mut Answer) {
    let undeclared = |answer: &mut Answer| answer.end(Outcome::UndeclaredCall.into(), Chance::CERTAIN);
    let Some(caller) = program.services.get(name) else { return undeclared(answer) };
    let Some((callee, port)) = meant(program, caller, request) else { return undeclared(answer) };
    let calls = caller.calls.get(&(callee.clone(), port.number));
    let Some(levels) = calls.and_then(|calls| declared(calls, request, answer)) else {
        return undeclared(answer);
    };
    let identity = program.peer(caller.identity.as_deref());
    send(program, (name, &identity), callee, port.number, request, &levels, answer);
}

/// 5.2: which port of which service the host and the port of a request mean.
fn meant<'p>(program: &'p Program, caller: &Service, request: &Question) -> Option<(&'p String, &'p Port)> {
    let name = match request.host.contains('.') {
        true => request.host.clone(),
        false => format!("{}.{}", request.host, caller.namespace),
    };
    // Names first, then the most specific of all hosts and patterns. What is outside can be several services, of which the caller means its own.
    let width = |pattern: &HostPattern| route::covers(pattern, &request.host).then(|| route::width(pattern));
    let in_network = |network: &String| fixed_bits(network, &request.host).map(|bits| (4, usize::MAX - bits));
    let named = |service: &Service| {
        let hosts = service.hosts.iter().filter_map(width);
        hosts.chain(service.networks.iter().filter_map(in_network)).min()
    };
    let all = || program.services.iter().filter_map(|(name, service)| Some((name, service, named(service)?)));
    let narrowest = all().map(|(_, _, width)| width).min();
    let by_host = all().filter(|(_, _, width)| Some(*width) == narrowest);
    let services: Vec<(&String, &Service)> = match program.services.get_key_value(&name) {
        // A service outside may have its own name as a host, too.
        Some(own) => vec![own],
        None => by_host.map(|(name, service, _)| (name, service)).collect(),
    };
    let is_called = |name: &String| caller.calls.keys().any(|(callee, _)| callee == name);
    let services = services.into_iter().filter(|(name, _)| is_called(name));
    let ports: Vec<(&String, &Port)> =
        services.flat_map(|(name, service)| service.ports.iter().map(move |port| (name, port))).collect();
    // Without a number it is the port of HTTP, or the only one there is.
    let numbered = |number| ports.iter().find(|(_, port)| port.number == number);
    let found = numbered(request.host_port.unwrap_or(80));
    found.or(ports.first().filter(|_| request.host_port.is_none() && ports.len() == 1)).copied()
}

/// How many bits of an address a network says, if the host is an address that has these: written out bit by bit.
fn fixed_bits(network: &str, host: &str) -> Option<usize> {
    let host = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok()?;
    let (first, bits) = network.split_once('/')?;
    let (first, bits) = (first.parse::<IpAddr>().ok()?, bits.parse::<usize>().ok()?);
    let spelled = |ip: IpAddr| match ip.to_canonical() {
        IpAddr::V4(ip) => format!("4:{:032b}", u32::from(ip)),
        IpAddr::V6(ip) => format!("6:{:0128b}", u128::from(ip)),
    };
    let (first, host) = (spelled(first), spelled(host));
    host.starts_with(first.get(..bits + 2)?).then_some(bits)
}

/// 5.7: whether a caller's request ends in nothing but a denial, whatever is drawn, and meets no rule that changes it.
pub(crate) fn is_denied(
    program: &Program,
    caller: &str,
    callee: &str,
    port: u16,
    request: &Question,
) -> bool {
    let Some(service) = program.services.get(caller) else { return false };
    let mut answer = Answer::default();
    let peer = program.peer(service.identity.as_deref());
    send(program, (caller, &peer), callee, port, request, &[], &mut answer);
    !answer.changed && answer.endings.keys().all(|ending| matches!(ending.outcome, Outcome::Denied { .. }))
}

/// 5.4, 6.1: the settings of the maximal `calls … to` and of the plain `calls`, if one of them covers the request.
fn declared(calls: &Calls, request: &Question, answer: &mut Answer) -> Option<Vec<Settings>> {
    let maximal = line::maximal(&calls.lines, &calls.beats, request);
    let settings: Vec<&Settings> =
        maximal.iter().map(|line| &calls.settings[calls.lines[*line].rule]).collect();
    answer.ambiguous |= settings.iter().any(|other| *other != settings[0]);
    let levels: Vec<Settings> = settings.into_iter().take(1).chain(&calls.plain).cloned().collect();
    (!levels.is_empty()).then_some(levels)
}

/// What a caller itself sends to a service: its name of 3.12, and whom the callee sees.
fn send(
    program: &Program,
    (name, caller): (&str, &Peer),
    service: &str,
    port: u16,
    request: &Question,
    calls: &[Settings],
    answer: &mut Answer,
) {
    let hop = Hop { program, caller, calls, told: &[], is_own: false };
    let way = Way { sender: Some(name.to_owned()), ..Way::begin(request) };
    hop.enter(service, port, &way, Chance::CERTAIN, answer);
}

fn endpoints(service: &str, port: u16) -> Backend {
    Backend { service: service.to_owned(), port, subset: None, enters: false }
}

/// What stays the same from the first route to the endpoints.
struct Hop<'a> {
    program: &'a Program,
    /// Whom the callee sees.
    caller: &'a Peer,
    /// What the caller's `calls` write, the nearest first.
    calls: &'a [Settings],
    /// What the gateway tells.
    told: &'a [String],
    /// 11.11a, 12.4: whether it is the proxy of the service itself, which asks.
    is_own: bool,
}

/// What comes about on the way.
#[derive(Clone)]
struct Way {
    /// Who itself sends what comes next (3.12); `None` behind the first route that is entered.
    sender: Option<String>,
    /// The request as it is now (9.1).
    request: Question,
    /// The settings of the rules matched so far, the first first.
    rules: Vec<Settings>,
    /// What else these rules do, and the limits of the places passed (11.10).
    effects: Vec<Effect>,
}

impl Way {
    fn begin(request: &Question) -> Way {
        Way { sender: None, request: request.clone(), rules: Vec::new(), effects: Vec::new() }
    }

    fn changes(&self, (scheme, host): (Option<String>, Option<String>)) -> Changes {
        let mut effects = self.effects.clone();
        effects.sort_by_key(Effect::what);
        let Question { path, host: now, .. } = self.request.clone();
        Changes { path, host: now, location: (scheme, host), effects }
    }
}

impl Hop<'_> {
    /// 3.10: the service's own route decides; 3.12: of what a caller itself sends, the caller's.
    fn enter(&self, service: &str, port: u16, way: &Way, chance: Chance, answer: &mut Answer) {
        let place = |sender: &String| (sender.clone(), service.to_owned(), port);
        let own = way.sender.as_ref().and_then(|sender| self.program.consumer_routes.get(&place(sender)));
        let table = || self.program.services.get(service).and_then(|service| service.routes.get(&port));
        let way = Way { sender: None, ..way.clone() };
        match own.or_else(table).and_then(|table| table.ask(&way.request)) {
            Some(choice) => self.follow(&choice, &way, chance, answer),
            None => answer.end(Ending { told: self.told.to_vec(), ..Outcome::NoRoute.into() }, chance),
        }
    }

    /// What a rule does.
    fn follow(&self, choice: &Choice, way: &Way, chance: Chance, answer: &mut Answer) {
        answer.ambiguous |= choice.ambiguous;
        let result = &choice.result;
        answer.changed |= result.edits.change_requests();
        let way = Way {
            sender: way.sender.clone(),
            request: result.edits.edited(&way.request),
            rules: [way.rules.as_slice(), std::slice::from_ref(&result.settings)].concat(),
            effects: [way.effects.as_slice(), &result.edits.effects].concat(),
        };
        let answered = |outcome: Outcome| Ending {
            outcome,
            rules: choice.rules.clone(),
            told: self.told.to_vec(),
            changes: Some(way.changes(result.edits.scheme_and_host())),
        };
        match &result.action {
            Action::Redirect { status, location } => {
                let outcome = Outcome::Redirect { status: *status, location: location.clone() };
                answer.end(answered(outcome), chance);
            }
            Action::Respond { status, body } => {
                answer.end(answered(Outcome::Respond { status: *status, body: body.clone() }), chance);
            }
            // 3.9: one draw. What has no share cannot happen.
            Action::To(backends) => {
                for (backend, share) in backends.iter().filter(|(_, share)| **share > 0) {
                    let chance = chance.and(Chance::new(u128::from(*share), 10_000));
                    match backend.enters {
                        true => self.enter(&backend.service, backend.port, &way, chance, answer),
                        false => self.deliver(backend, &way, &choice.rules, chance, answer),
                    }
                }
            }
        }
    }

    /// 5.1, 5.2: the service that owns the endpoints authorizes; what it allows goes there with the settings in force.
    fn deliver(
        &self,
        backend: &Backend,
        way: &Way,
        names: &BTreeSet<String>,
        chance: Chance,
        answer: &mut Answer,
    ) {
        let Some(service) = self.program.services.get(&backend.service) else {
            return answer.end(Outcome::NoRoute.into(), chance);
        };
        let verdict = authorize(&service.access, Some(backend.port), self.caller, &way.request);
        let told = [self.told, &verdict.told].concat();
        if !verdict.allowed {
            let outcome = Outcome::Denied { by: backend.service.clone() };
            return answer.end(Ending { outcome, rules: verdict.denials, told, changes: None }, chance);
        }
        let widest = [&service.settings, &self.program.default];
        let levels: Vec<&Settings> = way.rules.iter().chain(self.calls).chain(widest).collect();
        let (timeout, retry) = in_force(&levels);
        let outcome = Outcome::Forward {
            service: backend.service.clone(),
            port: backend.port,
            subset: backend.subset.clone(),
            timeout,
            retry,
        };
        let mut way = way.clone();
        // 10.16: what the node asks is not counted, and its rule is the probe. 11.11a (a): what others count is its own proxy's affair.
        let counts = |limit: &&Effect| {
            let is_counted = verdict.probe.is_none() || !matches!(limit, Effect::RateLimit(_));
            is_counted && (self.is_own || !limit.is_global())
        };
        way.effects.extend(service.limits.iter().filter(counts).cloned());
        let rules = verdict.probe.map_or_else(|| names.clone(), |probe| BTreeSet::from([probe]));
        let asks = verdict.asks.into_iter().filter(|_| self.is_own);
        way.effects.extend(asks.map(Effect::Ask));
        let changes = Some(way.changes((None, None)));
        answer.end(Ending { outcome, rules, told, changes }, chance);
    }
}

impl Answer {
    fn end(&mut self, ending: Ending, chance: Chance) {
        let sum = self.endings.entry(ending).or_insert(Chance::NEVER);
        *sum = sum.or(chance);
    }
}
