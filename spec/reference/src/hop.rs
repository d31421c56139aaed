//! Section 5: one hop is a route at the caller and an authorization at the callee.

use crate::access::authorize;
use crate::chance::Chance;
use crate::identity::Peer;
use crate::line::{self, Request};
use crate::program::{Calls, Program};
use crate::request::header_value;
use crate::route::{self, Action, Backend, Choice};
use crate::settings::{Settings, in_force};
use crate::{Answer, Ending, Entry, Outcome, Question};
use mesh_lang::ast::Method;
use std::collections::BTreeSet;

/// Everything that can happen to a request.
pub(crate) fn ask(program: &Program, question: &Question) -> Answer {
    let request = request(question);
    let mut answer = Answer::default();
    match &question.entry {
        Entry::Gateway { gateway, listener } => {
            at_gateway(program, gateway, listener, question, &request, &mut answer);
        }
        Entry::Sidecar { service } => at_sidecar(program, service, question, &request, &mut answer),
        Entry::FromGateway { gateway, service, port } => {
            let caller = program.gateways.get(gateway).map(|gateway| Peer::Gateway(gateway.identity.clone()));
            match caller {
                Some(caller) => enter(program, &caller, service, *port, &request, &[], &mut answer),
                None => answer.end(Outcome::NoRoute, BTreeSet::new(), Chance::CERTAIN),
            }
        }
        Entry::Inbound { service, port } => {
            let peer = program.peer(question.peer.as_deref());
            let endpoints = endpoints(service, *port);
            let hop = Hop { program, caller: &peer, request: &request, calls: &[] };
            hop.deliver(&endpoints, &[], &BTreeSet::new(), Chance::CERTAIN, &mut answer);
        }
    }
    answer
}

/// Section 1: methods a program cannot name are one, and lines of a header become one value.
fn request(question: &Question) -> Request {
    let names: BTreeSet<&String> = question.headers.iter().map(|(name, _)| name).collect();
    let value = |name: &String| {
        let lines = question.headers.iter().filter(|(other, _)| other == name);
        header_value(name, &lines.map(|(_, line)| line.as_str()).collect::<Vec<_>>())
    };
    Request {
        method: Method::parse(&question.method),
        path: question.path.clone(),
        headers: names.into_iter().map(|name| (name.clone(), value(name))).collect(),
    }
}

/// 5.1: the gateway's authorization, then its route, with the gateway as the peer of what follows.
fn at_gateway(
    program: &Program,
    name: &str,
    listener: &str,
    question: &Question,
    request: &Request,
    answer: &mut Answer,
) {
    let nowhere = |answer: &mut Answer| answer.end(Outcome::NoRoute, BTreeSet::new(), Chance::CERTAIN);
    let Some(gateway) = program.gateways.get(name) else { return nowhere(answer) };
    let peer = program.peer(question.peer.as_deref());
    if let Err(lines) = authorize(&gateway.access, None, &peer, request) {
        return answer.end(Outcome::Denied { by: name.to_owned() }, lines, Chance::CERTAIN);
    }
    let Some(listener) = gateway.listeners.get(listener) else { return nowhere(answer) };
    // 3.7: where no rule matches and nothing is said otherwise, the next wider table is asked.
    let tables = route::tables_of_host(&listener.tables, &question.host);
    let Some(choice) = tables.into_iter().find_map(|table| table.ask(request)) else {
        return nowhere(answer);
    };
    let caller = Peer::Gateway(gateway.identity.clone());
    let hop = Hop { program, caller: &caller, request, calls: &[] };
    hop.follow(&choice, &[], Chance::CERTAIN, answer);
}

/// 5.2: whom the host names, a declared call, then the callee's route.
fn at_sidecar(program: &Program, name: &str, question: &Question, request: &Request, answer: &mut Answer) {
    let undeclared =
        |answer: &mut Answer| answer.end(Outcome::UndeclaredCall, BTreeSet::new(), Chance::CERTAIN);
    let Some(caller) = program.services.get(name) else { return undeclared(answer) };
    let callee = match question.host.contains('.') {
        true => question.host.clone(),
        false => format!("{}.{}", question.host, caller.namespace),
    };
    let ports = program.services.get(&callee).map(|service| service.ports.as_slice()).unwrap_or_default();
    let port = match question.host_port {
        Some(number) => ports.iter().find(|port| port.number == number),
        None if ports.len() == 1 => ports.first(),
        None => None,
    };
    let Some(port) = port else { return undeclared(answer) };
    let calls = caller.calls.get(&(callee.clone(), port.number));
    let Some(levels) = calls.and_then(|calls| declared(calls, request, answer)) else {
        return undeclared(answer);
    };
    let identity = program.peer(Some(&caller.identity));
    enter(program, &identity, &callee, port.number, request, &levels, answer);
}

/// 5.7: whether a caller's request ends in nothing but a denial, whatever is drawn.
pub(crate) fn is_denied(program: &Program, caller: &str, callee: &str, port: u16, request: &Request) -> bool {
    let Some(caller) = program.services.get(caller) else { return false };
    let mut answer = Answer::default();
    enter(program, &program.peer(Some(&caller.identity)), callee, port, request, &[], &mut answer);
    answer.endings.keys().all(|ending| matches!(ending.outcome, Outcome::Denied { .. }))
}

/// 5.4, 6.1: the settings of the maximal `calls … to` and of the plain `calls`, if one of them covers the request.
fn declared(calls: &Calls, request: &Request, answer: &mut Answer) -> Option<Vec<Settings>> {
    let maximal = line::maximal(&calls.lines, &calls.beats, request);
    let settings: Vec<&Settings> =
        maximal.iter().map(|line| &calls.settings[calls.lines[*line].rule]).collect();
    answer.ambiguous |= settings.iter().any(|other| *other != settings[0]);
    let levels: Vec<Settings> = settings.into_iter().take(1).chain(&calls.plain).cloned().collect();
    (!levels.is_empty()).then_some(levels)
}

/// A caller's request on its way into a service's route.
fn enter(
    program: &Program,
    caller: &Peer,
    service: &str,
    port: u16,
    request: &Request,
    calls: &[Settings],
    answer: &mut Answer,
) {
    let hop = Hop { program, caller, request, calls };
    hop.enter(service, port, &[], Chance::CERTAIN, answer);
}

fn endpoints(service: &str, port: u16) -> Backend {
    Backend { service: service.to_owned(), port, subset: None, enters: false }
}

/// What stays the same from the first route to the endpoints.
struct Hop<'a> {
    program: &'a Program,
    /// Whom the callee sees.
    caller: &'a Peer,
    request: &'a Request,
    /// What the caller's `calls` write, the nearest first.
    calls: &'a [Settings],
}

impl Hop<'_> {
    /// 3.10: the service's own route decides.
    fn enter(&self, service: &str, port: u16, rules: &[&Settings], chance: Chance, answer: &mut Answer) {
        let table = self.program.services.get(service).and_then(|service| service.routes.get(&port));
        match table.and_then(|table| table.ask(self.request)) {
            Some(choice) => self.follow(&choice, rules, chance, answer),
            None => answer.end(Outcome::NoRoute, BTreeSet::new(), chance),
        }
    }

    /// What a rule does; `rules` are the settings of those matched before, the first first.
    fn follow(&self, choice: &Choice, rules: &[&Settings], chance: Chance, answer: &mut Answer) {
        answer.ambiguous |= choice.ambiguous;
        let rules = [rules, &[&choice.result.settings]].concat();
        match &choice.result.action {
            Action::Redirect { status, location } => {
                let outcome = Outcome::Redirect { status: *status, location: location.clone() };
                answer.end(outcome, choice.rules.clone(), chance);
            }
            Action::Respond { status, body } => {
                let outcome = Outcome::Respond { status: *status, body: body.clone() };
                answer.end(outcome, choice.rules.clone(), chance);
            }
            // 3.9: one draw. What has no share cannot happen.
            Action::To(backends) => {
                for (backend, share) in backends.iter().filter(|(_, share)| **share > 0) {
                    let chance = chance.and(Chance::new(u128::from(*share), 10_000));
                    match backend.enters {
                        true => self.enter(&backend.service, backend.port, &rules, chance, answer),
                        false => self.deliver(backend, &rules, &choice.rules, chance, answer),
                    }
                }
            }
        }
    }

    /// 5.1, 5.2: the service that owns the endpoints authorizes; what it allows goes there with the settings in force.
    fn deliver(
        &self,
        backend: &Backend,
        rules: &[&Settings],
        names: &BTreeSet<String>,
        chance: Chance,
        answer: &mut Answer,
    ) {
        let Some(service) = self.program.services.get(&backend.service) else {
            return answer.end(Outcome::NoRoute, BTreeSet::new(), chance);
        };
        if let Err(lines) = authorize(&service.access, Some(backend.port), self.caller, self.request) {
            return answer.end(Outcome::Denied { by: backend.service.clone() }, lines, chance);
        }
        let widest = [&service.settings, &self.program.default];
        let levels: Vec<&Settings> = rules.iter().copied().chain(self.calls).chain(widest).collect();
        let (timeout, retry) = in_force(&levels);
        let outcome = Outcome::Forward {
            service: backend.service.clone(),
            port: backend.port,
            subset: backend.subset.clone(),
            timeout,
            retry,
        };
        answer.end(outcome, names.clone(), chance);
    }
}

impl Answer {
    fn end(&mut self, outcome: Outcome, rules: BTreeSet<String>, chance: Chance) {
        let sum = self.endings.entry(Ending { outcome, rules }).or_insert(Chance::NEVER);
        *sum = sum.or(chance);
    }
}
