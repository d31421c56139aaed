//! What rules 3.4 to 3.8, 4.6, 5.4 and 5.7 call an error, found by trying a sample of every kind of request.

use crate::access::{AccessLine, Asked, Effect, authorize};
use crate::hop;
use crate::identity::{Peer, Principal};
use crate::line::{self, Line, Set};
use crate::program::{Calls, Listener, Program};
use crate::route::{Action, Table, tables_of_host};
use crate::sample::{Universe, combinations};
use mesh_lang::ast::{self, HostPattern};
use std::collections::{BTreeMap, BTreeSet};

/// A mistake: which rule of which target.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Finding {
    /// 3.5: the maximal lines of some request disagree; 5.4: so do the settings of a call.
    AmbiguousRules(String),
    /// 3.6: no line of the rule is maximal for any possible request, or conditions of a line exclude each other; nothing is
    /// left for an `otherwise`; or no request fulfils an `allow`, a `deny` or an `audit`.
    UnreachableRule(String),
    /// 3.4: an `overrides` decides nothing, or lines beat each other in a circle.
    OverridesNothing(String),
    /// 3.4: an `overrides` of something narrower.
    OverridesNarrower(String),
    /// 3.8: a request can reach the end without an answer.
    IncompleteRoute(String),
    /// 5.7: every request of a declared call is denied.
    UnallowedCall(String),
    /// 4.6, 12.2: every request of an `allow` is denied.
    DeadGrant(String),
}

impl Finding {
    /// The code of `spec/diagnostics/` for it.
    pub fn code(&self) -> &'static str {
        match self {
            Finding::AmbiguousRules(_) => "MESH3001",
            Finding::UnreachableRule(_) => "MESH3002",
            Finding::OverridesNothing(_) => "MESH3003",
            Finding::OverridesNarrower(_) => "MESH3004",
            Finding::IncompleteRoute(_) => "MESH3007",
            Finding::UnallowedCall(_) => "MESH4010",
            Finding::DeadGrant(_) => "MESH4012",
        }
    }
}

pub(crate) fn findings(program: &Program) -> BTreeSet<Finding> {
    let mut findings = BTreeSet::new();
    for (name, service) in &program.services {
        for table in service.routes.values() {
            of_table(table, &mut findings);
            of_chain(&[table], &mut findings);
            of_otherwise(std::iter::once(table), &[vec![table]], &mut findings);
        }
        for calls in service.calls.values() {
            of_calls(name, calls, &mut findings);
        }
        for port in &service.ports {
            of_access(program, &service.access, Some(port.number), &mut findings);
        }
    }
    for (caller, service) in &program.services {
        for ((callee, port), calls) in &service.calls {
            if is_refused(program, caller, callee, *port, calls) {
                findings.insert(Finding::UnallowedCall(format!("calls {callee} of {caller}")));
            }
        }
    }
    let services = program.services.iter().map(|(name, own)| (name, own.identity.as_deref(), &own.access));
    let gateways =
        program.gateways.iter().map(|(name, own)| (name, Some(own.identity.as_str()), &own.access));
    for (name, identity, lines) in services.chain(gateways) {
        // One outside has no proxy, and nobody asks for it.
        let asks = lines.iter().filter(|_| identity.is_some()).filter_map(|line| line.asks.as_ref());
        for asked in asks.filter(|asked| is_unasked(program, identity, asked)) {
            findings.insert(Finding::UnallowedCall(format!("{name} asks {}", asked.service)));
        }
    }
    for (name, identity, counting) in who_has_counted(program) {
        for asked in counting.into_iter().filter(|asked| is_unasked(program, Some(identity), asked)) {
            findings.insert(Finding::UnallowedCall(format!("{name} has counted {}", asked.service)));
        }
    }
    for table in program.consumer_routes.values() {
        of_table(table, &mut findings);
        of_chain(&[table], &mut findings);
        of_otherwise(std::iter::once(table), &[vec![table]], &mut findings);
    }
    for gateway in program.gateways.values() {
        of_access(program, &gateway.access, None, &mut findings);
        gateway.listeners.values().for_each(|listener| of_listener(listener, &mut findings));
    }
    findings
}

/// 3.7, 3.8
fn of_listener(listener: &Listener, findings: &mut BTreeSet<Finding>) {
    listener.tables.values().for_each(|table| of_table(table, findings));
    // Patterns contain each other or have nothing in common, so one host that is in a pattern and in none of the narrower
    // ones stands for all of them.
    let mut chains = Vec::new();
    for host in listener.hosts.iter().chain(listener.tables.keys()) {
        let chain = tables_of_host(&listener.tables, &sample(host, &listener.tables));
        match chain.as_slice() {
            [] if !listener.is_for_clusters => {
                findings.insert(Finding::IncompleteRoute(format!("host \"{host}\"")));
            }
            [] => {}
            chain => of_chain(chain, findings),
        }
        chains.push(chain);
    }
    of_otherwise(listener.tables.values(), &chains, findings);
}

/// 3.6: an `otherwise` answers if some request gets through the rules of its table and of the narrower ones before it.
fn of_otherwise<'t>(
    tables: impl Iterator<Item = &'t Table>,
    chains: &[Vec<&Table>],
    findings: &mut BTreeSet<Finding>,
) {
    let mut answering = BTreeSet::new();
    for chain in chains {
        let Some(last) = chain.iter().position(|table| table.otherwise.is_some()) else { continue };
        if combinations(&lines_of(&chain[..=last])).contains_key(&vec![]) {
            answering.insert(&chain[last].target);
        }
    }
    for table in tables.filter(|table| table.otherwise.is_some() && !answering.contains(&table.target)) {
        findings.insert(Finding::UnreachableRule(format!("route {} otherwise", table.target)));
    }
}

fn lines_of(tables: &[&Table]) -> Vec<Line> {
    tables.iter().flat_map(|table| table.lines.clone()).collect()
}

/// A host that is in the pattern and in no narrower one of the tables.
fn sample(pattern: &HostPattern, tables: &BTreeMap<HostPattern, Table>) -> String {
    // Longer than every label of every pattern, so it is part of none of them.
    let length = tables.keys().map(|pattern| pattern.to_string().len()).max().unwrap_or(0) + 1;
    let fresh = "z".repeat(length);
    match pattern {
        HostPattern::Exact(name) => name.to_string(),
        HostPattern::OneLabel(name) => format!("{fresh}.{name}"),
        HostPattern::Labels(name) => format!("{fresh}.{fresh}.{name}"),
        HostPattern::Any => fresh,
    }
}

/// 3.8: asks the tables one after the other, as 3.7 does. The path `*` is left out of this question.
fn of_chain(chain: &[&Table], findings: &mut BTreeSet<Finding>) {
    if chain.iter().any(|table| table.otherwise.is_some()) {
        return;
    }
    // Whatever the path `*` is in besides, it is in this line.
    let mut lines = lines_of(chain);
    let every_path = ast::PathPattern { segments: vec![], subtree: true };
    lines.push(Line { path: Some(every_path), ..Line::default() });
    if combinations(&lines).contains_key(&vec![lines.len() - 1]) {
        findings.insert(Finding::IncompleteRoute(chain[0].target.clone()));
    }
}

fn of_table(table: &Table, findings: &mut BTreeSet<Finding>) {
    let title = |rule: usize| format!("route {} rule {}", table.target, table.rules[rule].name);
    of_overrides(table, &title, findings);
    let mut reached: BTreeSet<usize> = BTreeSet::new();
    for matching in combinations(&table.lines).keys() {
        let maximal = line::unbeaten(matching, &table.beats);
        let rules: BTreeSet<usize> = maximal.iter().map(|line| table.lines[*line].rule).collect();
        let mut results = rules.iter().map(|rule| &table.rules[*rule].result);
        let first = results.next();
        if results.any(|result| Some(result) != first) {
            findings.insert(Finding::AmbiguousRules(table.target.clone()));
        }
        reached.extend(rules);
    }
    let universe = Universe::of(&table.lines);
    for line in &table.lines {
        // Methods and paths have no line that is in none of them, so it is the conditions that exclude each other.
        if Set::of(line, &universe).is_empty() {
            reached.remove(&line.rule);
        }
    }
    for rule in (0..table.rules.len()).filter(|rule| !reached.contains(rule)) {
        findings.insert(Finding::UnreachableRule(title(rule)));
    }
}

/// 3.4
fn of_overrides(table: &Table, title: &impl Fn(usize) -> String, findings: &mut BTreeSet<Finding>) {
    let universe = Universe::of(&table.lines);
    let sets: Vec<(usize, Set)> =
        table.lines.iter().map(|line| (line.rule, Set::of(line, &universe))).collect();
    for (r, rule) in table.rules.iter().enumerate() {
        for (s, _) in table.rules.iter().enumerate().filter(|(_, other)| rule.overrides.contains(&other.name))
        {
            let pairs = sets.iter().filter(|(rule, _)| *rule == r).flat_map(|(_, mine)| {
                let theirs = sets.iter().filter(|(rule, _)| *rule == s).map(|(_, theirs)| theirs);
                theirs.filter(|theirs| mine.overlaps(theirs)).map(move |theirs| (mine, theirs))
            });
            let pairs: Vec<(&Set, &Set)> = pairs.collect();
            if pairs.iter().any(|(mine, theirs)| theirs.is_narrower(mine)) {
                findings.insert(Finding::OverridesNarrower(title(r)));
            }
            if !pairs.iter().any(|(mine, theirs)| !mine.is_narrower(theirs) && !theirs.is_narrower(mine)) {
                findings.insert(Finding::OverridesNothing(title(r)));
            }
        }
    }
    if has_circle(&table.beats) {
        findings.insert(Finding::OverridesNothing(table.target.clone()));
    }
}

/// Takes away, again and again, the lines that beat nothing that is left.
fn has_circle(beats: &[Vec<bool>]) -> bool {
    let mut left: BTreeSet<usize> = (0..beats.len()).collect();
    loop {
        let done: Vec<usize> = left.iter().copied().filter(|a| !left.iter().any(|b| beats[*a][*b])).collect();
        if done.is_empty() {
            return !left.is_empty();
        }
        left.retain(|line| !done.contains(line));
    }
}

/// 5.4
fn of_calls(caller: &str, calls: &Calls, findings: &mut BTreeSet<Finding>) {
    let disagree = |matching: &Vec<usize>| {
        let maximal = line::unbeaten(matching, &calls.beats);
        let settings: Vec<_> = maximal.iter().map(|line| &calls.settings[calls.lines[*line].rule]).collect();
        settings.iter().any(|other| *other != settings[0])
    };
    if combinations(&calls.lines).keys().any(disagree) {
        findings.insert(Finding::AmbiguousRules(format!("calls of {caller}")));
    }
}

/// 3.6, 4.6, 12.2: lines that no request fulfils, and allows of which every request is denied.
fn of_access(program: &Program, lines: &[AccessLine], port: Option<u16>, findings: &mut BTreeSet<Finding>) {
    let about: Vec<&AccessLine> = lines.iter().filter(|line| line.is_about(port)).collect();
    let (mut fulfilled, mut granted, mut unguarded) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for peer in peers(program, &about) {
        let of_peer: Vec<&AccessLine> = about.iter().copied().filter(|line| line.is_from(&peer)).collect();
        let owned: Vec<(&AccessLine, &Line)> =
            of_peer.iter().flat_map(|line| line.ops.iter().map(|op| (*line, op))).collect();
        let ops: Vec<Line> = owned.iter().map(|(_, op)| (*op).clone()).collect();
        for matching in combinations(&ops).keys() {
            let matching: Vec<&AccessLine> = matching.iter().map(|op| owned[*op].0).collect();
            fulfilled.extend(matching.iter().map(|line| &line.text));
            let denies = |line: &&AccessLine| matches!(line.effect, Effect::Deny | Effect::Guard);
            if !matching.iter().any(denies) {
                granted.extend(matching.iter().map(|line| &line.text));
            }
            if !matching.iter().any(|line| line.effect == Effect::Guard) {
                unguarded.extend(matching.iter().map(|line| &line.text));
            }
        }
    }
    for line in about {
        let text = &line.text;
        match line.effect {
            effect if effect != Effect::Mode && !fulfilled.contains(text) => {
                findings.insert(Finding::UnreachableRule(text.clone()));
            }
            Effect::Allow if !granted.contains(text) => _ = findings.insert(Finding::DeadGrant(text.clone())),
            Effect::Probe if !unguarded.contains(text) => {
                findings.insert(Finding::DeadGrant(text.clone()));
            }
            _ => {}
        }
    }
}

/// A peer of every kind that the lines can tell apart.
fn peers(program: &Program, lines: &[&AccessLine]) -> Vec<Peer> {
    let froms = || lines.iter().filter_map(|line| line.from.as_ref());
    let named = || froms().flat_map(|from| from.principals.iter().chain(&from.except));
    let identities = named().filter_map(|principal| match principal {
        Principal::Identity(id) => Some(id.clone()),
        _ => None,
    });
    let strangers = named().filter_map(|principal| match principal {
        Principal::TrustDomain(name) => Some(format!("spiffe://{name}/nobody/knows")),
        Principal::Below(beginning) => Some(format!("{beginning}/nobody")),
        _ => None,
    });
    let gateways = program.gateways.values().map(|gateway| gateway.identity.clone());
    let known: BTreeSet<String> = identities.chain(strangers).chain(gateways).collect();
    // Longer than every name.
    let fresh = "z".repeat(known.iter().map(String::len).max().unwrap_or(0) + 1);
    let namespaces = named().filter_map(|principal| match principal {
        Principal::Namespace(name) => Some(name.clone()),
        _ => None,
    });
    let unknown = namespaces.chain([fresh.clone()]).map(|namespace| program.own(&namespace, &fresh));
    let others: Vec<String> = unknown.chain([format!("spiffe://{fresh}/x"), fresh.clone()]).collect();
    let with_identity = known.into_iter().chain(others).map(|id| program.peer(Some(&id)));
    [Peer::Unauthenticated].into_iter().chain(with_identity).collect()
}

/// 11.11a (a): whose proxies ask, and whom: for limits of their own, and for those of the rules that their requests may come to.
fn who_has_counted(program: &Program) -> Vec<(&String, &str, Vec<&Asked>)> {
    let mut found = Vec::new();
    for (name, service) in &program.services {
        // One outside has no proxy, and nobody asks for it.
        let Some(identity) = &service.identity else { continue };
        let tables = service.calls.keys().filter_map(|(callee, port)| {
            let own = program.consumer_routes.get(&(name.clone(), callee.clone(), *port));
            own.or_else(|| program.services.get(callee)?.routes.get(port))
        });
        found.push((name, identity.as_str(), counted(program, name, tables.collect(), &service.counting)));
    }
    for (name, gateway) in &program.gateways {
        let tables = gateway.listeners.values().flat_map(|listener| listener.tables.values()).collect();
        let own = gateway.listeners.values().flat_map(|listener| &listener.counting);
        let own: Vec<&Asked> = own.chain(&gateway.counting).collect();
        let mut asked = counted(program, name, tables, &[]);
        asked.extend(own);
        found.push((name, gateway.identity.as_str(), asked));
    }
    found
}

/// Who counts for what comes from some tables.
fn counted<'p>(
    program: &'p Program,
    caller: &str,
    mut left: Vec<&'p Table>,
    own: &'p [Asked],
) -> Vec<&'p Asked> {
    let mut found: Vec<&Asked> = own.iter().collect();
    let (mut known, mut is_first) = (BTreeSet::new(), true);
    while !left.is_empty() {
        for table in std::mem::take(&mut left) {
            found.extend(&table.counting);
            for rule in &table.rules {
                let Action::To(backends) = &rule.result.action else { continue };
                for backend in backends.keys().filter(|backend| backend.enters) {
                    let own = (caller.to_owned(), backend.service.clone(), backend.port);
                    // 3.12: of a gateway the first route that is entered may be its own.
                    let own = program
                        .consumer_routes
                        .get(&own)
                        .filter(|_| is_first && program.gateways.contains_key(caller));
                    let table =
                        own.or_else(|| program.services.get(&backend.service)?.routes.get(&backend.port));
                    let is_new = known.insert((is_first, &backend.service, backend.port));
                    left.extend(table.filter(|_| is_new));
                }
            }
        }
        is_first = false;
    }
    found
}

/// 12.4 (b): every question to an authority is denied. Where nobody may call it at all, that is said of it.
fn is_unasked(program: &Program, identity: Option<&str>, asked: &Asked) -> bool {
    let service = program.services.get(&asked.service);
    let access = service.map(|service| service.access.as_slice()).unwrap_or_default();
    let met: Vec<&AccessLine> = access.iter().filter(|line| line.is_about(Some(asked.port))).collect();
    if !met.iter().any(|line| matches!(line.effect, Effect::Allow | Effect::Mode)) {
        return false;
    }
    let peer = program.peer(identity);
    let met: Vec<Line> = met.iter().flat_map(|line| line.ops.iter().cloned()).collect();
    asked.requests.iter().all(|line| {
        let all = [met.as_slice(), std::slice::from_ref(line)].concat();
        let found = combinations(&all);
        let mut mine = found.iter().filter(|(matching, _)| matching.contains(&met.len()));
        mine.all(|(_, sample)| !authorize(access, Some(asked.port), &peer, &sample.question()).allowed)
    })
}

/// 5.7: whether every request of some line of a call is denied, behind the routes that it meets. Where nobody may call, 4.2 says
/// so. A line of which some request meets a rule that changes it is not asked.
fn is_refused(program: &Program, caller: &str, callee: &str, port: u16, calls: &Calls) -> bool {
    let of_port = |service: &str, port: u16| {
        let service = program.services.get(service);
        let lines = service.into_iter().flat_map(|service| &service.access);
        lines.filter(move |line| line.is_about(Some(port)))
    };
    if !of_port(callee, port).any(|line| matches!(line.effect, Effect::Allow | Effect::Mode)) {
        return false;
    }
    let mut met: Vec<Line> = Vec::new();
    let (mut left, mut known) = (vec![(callee.to_owned(), port)], BTreeSet::new());
    // What the caller's own route asks, and where it leads; what only the callee's asks is asked too much, and changes nothing.
    let own = program.consumer_routes.get(&(caller.to_owned(), callee.to_owned(), port));
    met.extend(own.into_iter().flat_map(|table| table.lines.iter().cloned()));
    for rule in own.into_iter().flat_map(|table| &table.rules) {
        if let Action::To(backends) = &rule.result.action {
            left.extend(backends.keys().map(|backend| (backend.service.clone(), backend.port)));
        }
    }
    while let Some(place) = left.pop() {
        if !known.insert(place.clone()) {
            continue;
        }
        met.extend(of_port(&place.0, place.1).flat_map(|line| line.ops.iter().cloned()));
        let table = program.services.get(&place.0).and_then(|service| service.routes.get(&place.1));
        met.extend(table.into_iter().flat_map(|table| table.lines.iter().cloned()));
        for rule in table.into_iter().flat_map(|table| &table.rules) {
            if let Action::To(backends) = &rule.result.action {
                left.extend(backends.keys().map(|backend| (backend.service.clone(), backend.port)));
            }
        }
    }
    let plain = calls.plain.iter().map(|_| Line::default());
    let mut lines = calls.lines.iter().cloned().chain(plain);
    lines.any(|line| {
        let all = [met.as_slice(), std::slice::from_ref(&line)].concat();
        let found = combinations(&all);
        let mut mine = found.iter().filter(|(matching, _)| matching.contains(&met.len()));
        mine.all(|(_, sample)| hop::is_denied(program, caller, callee, port, &sample.question()))
    })
}
